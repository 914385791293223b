"""Clients that go away in the middle of a request of any kind, and many that do nothing: `ais serve` frees everything.

Counted are the worker's descriptors (the index's own aside: each thread of the pool opens it once), piece files without
a row, unnamed spool files, and jobs that run on.
"""

import json
import os
import socket
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from tests.fault.serving import Server, serving
from tests.fault.support import (
    BUCKET,
    GET,
    MIB,
    VERIFIED,
    assert_sound,
    members,
    open_store,
    piece_files,
    piece_rows,
    until,
)

from aiscore.engine.store import Store
from aiscore.model.archive import ArchiveFormat
from aiscore.model.bucket import BucketRef
from aiscore.model.objects import ArchivePutMode, GetOptions
from aiscore.model.xaction import XactionFilter, XactionKind
from aiscore.testing.content import pattern
from aiscore.transport.remote import RemoteTransport

IDLE_CONNECTIONS = 1_000
IDLE_BYTES_MAX = 24 << 10
"""Memory that a connection without a request may take, TCP buffers of the kernel aside."""
_RESET = struct.pack("ii", 1, 0)

SMALL, LARGE = pattern(70_000, 1), pattern(3 * MIB + 17, 2)
OLD, OLD_LARGE = pattern(5_000, 3), pattern(9 * MIB, 4)
MEMBERS = {"a": pattern(10_000, 5), "d/b": pattern(2 * MIB, 6)}


@dataclass(frozen=True)
class Kind:
    """A request, and what the object that it changes may hold once it was sent whole."""

    method: str
    target: str
    body: bytes = b""
    headers: str = ""
    name: str = ""
    after: bytes | None = None

    @property
    def data(self) -> bytes:
        length = "" if "chunked" in self.headers else f"Content-Length: {len(self.body)}\r\n"
        head = f"{self.method} {self.target} HTTP/1.1\r\nHost: h\r\n{length}{self.headers}\r\n"
        return head.encode() + self.body


def _act(action: str, value: object = None, name: str = "") -> bytes:
    return json.dumps({"action": action, "name": name, "value": value}).encode()


def _chunks(data: bytes) -> bytes:
    pieces = [data[at : at + 60_000] for at in range(0, len(data), 60_000)]
    return b"".join(b"%x\r\n%b\r\n" % (len(p), p) for p in pieces) + b"0\r\n\r\n"


def _batch(streaming: bool, **entries: str) -> bytes:
    wanted = [{"objname": "large"}, {"objname": "t.tar", "archpath": "d/b"}, {"objname": "x"}]
    return json.dumps({"in": wanted * 8, "mime": ".tar", "strm": streaming, **entries}).encode()


_OBJECTS, _BUCKETS = f"/v1/objects/{BUCKET.name}", f"/v1/buckets/{BUCKET.name}"
KINDS: Mapping[str, Kind] = {
    "put": Kind("PUT", f"{_OBJECTS}/x", SMALL, name="x", after=SMALL),
    "put-large": Kind("PUT", f"{_OBJECTS}/x", LARGE, name="x", after=LARGE),
    "put-chunked": Kind(
        "PUT", f"{_OBJECTS}/x", _chunks(LARGE), "Transfer-Encoding: chunked\r\n", "x", LARGE
    ),
    "put-in-chunks": Kind("PUT", "/v1/objects/chunks/x", LARGE),
    "append": Kind("PUT", f"{_OBJECTS}/x?append_type=append", SMALL),
    "append-large": Kind("PUT", f"{_OBJECTS}/x?append_type=append", LARGE),
    "put-member": Kind(
        "PUT", f"{_OBJECTS}/new.tar?archpath=m&archmime=.tar", LARGE, "Ais-Pine: 0\r\n"
    ),
    "copy": Kind("PUT", f"{_OBJECTS}/large?object_to=ais/@%23/{BUCKET.name}/copy"),
    "archive": Kind(
        "PUT",
        _BUCKETS,
        _act(
            "archive",
            {
                "archname": "made.tar",
                "objnames": ["x", "large"],
                "tobck": {"name": BUCKET.name, "provider": "ais"},
            },
        ),
    ),
    "get": Kind("GET", f"{_OBJECTS}/x"),
    "get-large": Kind("GET", f"{_OBJECTS}/large"),
    "get-range": Kind("GET", f"{_OBJECTS}/large", headers="Range: bytes=100-5000000\r\n"),
    "get-verified": Kind("GET", f"{_OBJECTS}/large?validate-checksum=true"),
    "get-member": Kind("GET", f"{_OBJECTS}/t.tar?archpath=d/b"),
    "get-members": Kind("GET", f"{_OBJECTS}/t.tar?archregx=&archmode=prefix"),
    "get-chunked": Kind("GET", "/v1/objects/chunks/large"),
    "head": Kind("HEAD", f"{_OBJECTS}/x"),
    "list": Kind("GET", _BUCKETS, _act("list", {"props": "name,size"})),
    "batch": Kind("GET", f"/v1/ml/moss/{BUCKET.name}", _batch(True)),
    "batch-buffered": Kind("GET", f"/v1/ml/moss/{BUCKET.name}", _batch(False)),
    "batch-zip": Kind("GET", f"/v1/ml/moss/{BUCKET.name}", _batch(True, mime=".zip")),
    "copy-bucket": Kind("POST", f"{_BUCKETS}?bck_to=ais/@%23/other/", _act("copy-bck", {})),
    "delete-many": Kind(
        "DELETE", _BUCKETS, _act("delete-listrange", {"objnames": ["copy", "made.tar"]})
    ),
    "props": Kind("PATCH", _BUCKETS, _act("set-bprops", {"mirror": {"burst_buffer": 128}})),
    "config": Kind("GET", "/v1/cluster?what=cluster_config"),
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("resets") / "server") as served:
        fill(served)
        yield served
        served.stop()
        store = open_store(served.home)
        assert_sound(store)
        store.close()
        served.start()  # as the block expects it


def fill(server: Server) -> None:
    with RemoteTransport(server.url) as client:
        client.put(BUCKET, "x", OLD)
        client.put(BUCKET, "large", OLD_LARGE)
        new = members(MEMBERS)
        client.put_members(BUCKET, "t.tar", new, ArchivePutMode.CREATE, ArchiveFormat.TAR)
        chunks = {"chunks.objsize_limit": "1MiB", "chunks.chunk_size": "256KiB"}
        client.create_bucket(CHUNKS, chunks)
        client.put(CHUNKS, "large", OLD_LARGE)


CHUNKS = BucketRef("chunks")


def cut(server: Server, sent: bytes, *, read: int = 0, politely: bool = False) -> None:
    """Send, read so many bytes of the answer, or what there is of it, and go."""
    with server.connect() as peer:
        try:
            peer.sendall(sent)
            peer.settimeout(0.2)
            while read > 0 and (data := peer.recv(min(read, 65_536))):
                read -= len(data)
        except OSError:
            return  # the server was faster
        if not politely:
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)


def ask(server: Server, kind: Kind) -> int:
    """The whole request, with its answer; the status."""
    with server.connect() as peer:
        peer.sendall(kind.data.replace(b"\r\nHost", b"\r\nConnection: close\r\nHost", 1))
        answer = b""
        while data := peer.recv(1 << 20):
            answer = answer[:64] + data if len(answer) > 64 else answer + data
    return int(answer[9:12])


def positions(kind: Kind) -> list[int]:
    """Where to cut a request: in every part of it, and around every border."""
    head, size = kind.data.index(b"\r\n\r\n") + 4, len(kind.data)
    found = {0, 1, head // 2, head - 3, head - 1, head, head + 1, (head + size) // 2}
    return sorted(at for at in found | {size - 70_001, size - 1, size} if 0 <= at <= size)


def files_in_use(server: Server) -> list[str]:
    """What the worker has open, the index aside."""
    found = []
    for pid in server.worker_pids():
        for fd in os.listdir(f"/proc/{pid}/fd"):
            try:
                link = os.readlink(f"/proc/{pid}/fd/{fd}")
            except OSError:
                continue
            if "/index." not in link:
                found.append("socket" if link.startswith("socket:") else link)
    return sorted(found)


def expect_free(server: Server, before: list[str], store: Store) -> None:
    """Nothing is left of all that was begun."""
    until(lambda: not running_jobs(server), "all jobs have ended")
    until(lambda: len(files_in_use(server)) <= len(before), f"files are closed, but {before}")
    until(lambda: piece_files(store) <= piece_rows(store), "pieces without a row are gone")


def running_jobs(server: Server) -> bool:
    with RemoteTransport(server.url) as client:
        found = client.list_xactions(XactionFilter(only_running=True))
    # These stand for all batches and listings of the last seconds.
    on_demand = {XactionKind.GET_BATCH, XactionKind.LIST}
    return any(job.kind not in on_demand for job in found)


@pytest.mark.parametrize("what", KINDS)
def test_a_reset_frees_all(server: Server, what: str) -> None:
    kind = KINDS[what]
    store = open_store(server.home)
    status = ask(server, kind)
    assert status < 300, status
    with RemoteTransport(server.url) as client:
        client.put(BUCKET, "x", OLD)
        until(lambda: not running_jobs(server), "the job of the first has ended")
        before = files_in_use(server)
        for at in positions(kind):
            is_whole = at == len(kind.data)
            for politely in (False, True):
                cut(server, kind.data[:at], politely=politely)
                if kind.name and not is_whole:
                    assert client.read(BUCKET, kind.name, VERIFIED) == OLD
        for read in (1, 200, 5_000, 300_000):
            cut(server, kind.data, read=read)
        expect_free(server, before, store)
        if kind.after is not None:
            until(lambda: client.read(BUCKET, kind.name, GET) == kind.after, "the last one is in")
        client.put(BUCKET, "x", OLD)
        assert client.read(BUCKET, "large", VERIFIED) == OLD_LARGE
        assert client.read(BUCKET, "t.tar", GetOptions(archpath="a")) == MEMBERS["a"]
    store.close()


def test_a_thousand_idle_connections_cost_little_and_disturb_nobody(server: Server) -> None:
    process = psutil.Process(server.worker_pids()[0])
    memory = process.memory_info().rss
    peers = []
    try:
        for number in range(IDLE_CONNECTIONS):
            peer = server.connect()
            peers.append(peer)
            # Of three kinds: nothing sent, half a head, one request answered.
            if number % 3 == 1:
                peer.sendall(b"GET /v1/health HTTP/1.1\r\nHo")
            elif number % 3 == 2:
                peer.sendall(b"GET /v1/health HTTP/1.1\r\nHost: h\r\n\r\n")
                assert peer.recv(4096).startswith(b"HTTP/1.1 200 ")
        assert files_in_use(server).count("socket") >= IDLE_CONNECTIONS
        with RemoteTransport(server.url) as client:
            client.put(BUCKET, "beside", LARGE)
            assert client.read(BUCKET, "beside", VERIFIED) == LARGE
        grown = process.memory_info().rss - memory
        assert grown < IDLE_CONNECTIONS * IDLE_BYTES_MAX + 8 * MIB, f"grown by {grown >> 20} MiB"
        for peer in peers[1::3]:
            peer.sendall(b"st: h\r\n\r\n")
            assert peer.recv(4096).startswith(b"HTTP/1.1 200 ")
    finally:
        for peer in peers:
            peer.close()
    until(lambda: files_in_use(server).count("socket") < 5, "all connections are closed")


def test_a_home_that_was_cut_off_is_sound(tmp_path: Path) -> None:
    """All kinds at once, each cut in its middle, and the server killed with what is left in its hands."""
    with serving(tmp_path / "server") as server:
        fill(server)
        peers = []
        for kind in KINDS.values():
            peer = server.connect()
            peer.sendall(kind.data[: len(kind.data) * 2 // 3])
            peers.append(peer)
        server.kill()
        for peer in peers:
            peer.close()
        store = open_store(server.home)
        assert store.read(BUCKET, "x", VERIFIED) == OLD
        assert_sound(store)
        store.close()
        server.start()
