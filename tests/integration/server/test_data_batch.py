"""GetBatch over a socket: both ways of answering, every format, and how it fails."""

import base64
import io
import json
import os
import socket
import tarfile
import threading
import time
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import lz4.frame
import pytest
from tests.integration.server.data import BUCKET, MIB, Answer, Server, serving

from aiscore.model.bucket import BucketRef
from aiscore.model.objects import ArchivePutMode, PutOptions
from aiscore.model.xaction import XactionFilter, XactionKind
from aiscore.server import worker
from aiscore.testing.content import pattern
from aiscore.transport.base import MemberInput
from aiscore.wire.batch import boundary_of, split_multipart

OTHER = BucketRef("other")
CONTENT = {f"o{i}": pattern(5_000 + i, i) for i in range(30)} | {
    "empty": b"",
    "large": pattern(3 * MIB + 5),
}
TYPES = {
    ".tar": "application/x-tar",
    ".tgz": "application/gzip",
    ".tar.lz4": "application/x-lz4",
    ".zip": "application/zip",
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("batch")) as server:
        for name, data in CONTENT.items():
            server.store.put(BUCKET, name, data, PutOptions())
        server.store.create_bucket(OTHER)
        server.store.put(OTHER, "theirs", b"other bucket", PutOptions())
        members = [MemberInput("m/1", 5, b"inner"), MemberInput("m/2", 3, b"two")]
        server.store.put_members(BUCKET, "s.tar", members, ArchivePutMode.CREATE, None)
        yield server


def ask(server: Server, message: object, path: str = "/v1/ml/moss/b?provider=ais") -> Answer:
    body = message if isinstance(message, bytes) else json.dumps(message).encode()
    return server.call("GET", path, body, {"Content-Type": "application/json"})


def unpack(data: bytes, mime: str) -> list[tuple[str, bytes]]:
    if mime == ".zip":
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return [(info.filename, archive.read(info)) for info in archive.infolist()]
    if mime == ".tar.lz4":
        data = lz4.frame.decompress(data)
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        return [(m.name, tar.extractfile(m).read()) for m in tar]  # type: ignore[union-attr]


def buffered(got: Answer) -> tuple[dict[str, Any], bytes]:
    """Metadata and archive of a multipart answer."""
    metadata, blocks = split_multipart([got.body], boundary_of(got.headers["content-type"]))
    return json.loads(metadata), b"".join(blocks)


@pytest.mark.parametrize("mime", TYPES)
def test_streaming_gives_the_archive_in_the_order_asked(server: Server, mime: str) -> None:
    names = [*reversed(CONTENT), "o3", "o3"]
    got = ask(server, {"in": [{"objname": n} for n in names], "mime": mime, "strm": True})
    assert got.status == 200
    assert got.headers["content-type"] == TYPES[mime]
    assert got.headers["transfer-encoding"] == "chunked"
    assert unpack(got.body, mime) == [(f"b/{n}", CONTENT[n]) for n in names]


@pytest.mark.parametrize("mime", TYPES)
def test_buffered_gives_the_metadata_first(server: Server, mime: str) -> None:
    opaque = bytes(range(256))
    entries: list[dict[str, object]] = [
        {"objname": "o1", "opaque": base64.b64encode(opaque).decode()},
        {"objname": "o2", "opaque": base64.urlsafe_b64encode(opaque).decode().rstrip("=")},
        {"objname": "missing"},
        {"objname": "s.tar", "archpath": "m/1"},
        {"objname": "theirs", "bucket": "other"},
        {"objname": "theirs", "uname": "ais/@#/other/"},
        {"objname": "large", "start": 10, "length": 20},
        {"objname": "large", "start": 10, "length": -1},
    ]
    got = ask(server, {"in": entries, "mime": mime, "strm": False, "coer": True, "onob": True})
    assert got.status == 200
    metadata, archive = buffered(got)
    out = metadata["out"]
    assert metadata["uuid"].isprintable()
    assert f'filename="get-batch[{metadata["uuid"]}]"'.encode() in got.body
    assert [item["objname"] for item in out] == [entry["objname"] for entry in entries]
    assert [item["bucket"] for item in out] == ["b", "b", "b", "b", "other", "other", "b", "b"]
    assert {item["provider"] for item in out} == {"ais"}
    assert [item["opaque"] for item in out[:2]] == [base64.b64encode(opaque).decode()] * 2
    assert [i for i, item in enumerate(out) if item.get("err_msg")] == [2]
    found = unpack(archive, mime)
    assert [int(item["size"]) for item in out] == [len(data) for _, data in found]
    assert found == [
        ("o1", CONTENT["o1"]),
        ("o2", CONTENT["o2"]),
        ("__404__/missing", b""),
        ("s.tar/m/1", b"inner"),
        ("theirs", b"other bucket"),
        ("theirs", b"other bucket"),
        ("large", CONTENT["large"][10:30]),
        ("large", CONTENT["large"][10:]),
    ]


def test_without_a_bucket_in_the_path(server: Server) -> None:
    entry = {"objname": "o1", "bucket": "b", "provider": "ais"}
    got = ask(server, {"in": [entry], "strm": True}, "/v1/ml/moss")
    assert unpack(got.body, ".tar") == [("b/o1", CONTENT["o1"])]


@pytest.mark.parametrize("is_streaming", [True, False])
@pytest.mark.parametrize(
    ("message", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b"[]", 400),
        ({}, 400),
        ({"in": []}, 400),
        ({"in": [{"objname": ""}]}, 400),
        ({"in": [{"objname": "../x"}]}, 400),
        ({"in": [{"bucket": "b"}]}, 400),
        ({"in": [{"objname": "o1"}], "mime": "rar"}, 400),
        ({"in": [{"objname": "o1"}], "coloc": 3}, 400),
        ({"in": [{"objname": "o1", "opaque": "!"}]}, 400),
        ({"in": [{"objname": "nope"}]}, 404),
        ({"in": [{"objname": "s.tar", "archpath": "nope"}]}, 404),
        ({"in": [{"objname": "o1", "bucket": "nope"}]}, 404),
        ({"in": [{"objname": "o1", "start": 100_000, "length": 1}]}, 416),
        ({"in": [{"objname": "o1", "start": 1, "length": 100_000}]}, 416),
        ({"in": [{"objname": "o1", "start": 1}]}, 416),
    ],
)
def test_what_fails_before_the_first_byte_has_its_status(
    server: Server, message: object, status: int, is_streaming: bool
) -> None:
    if isinstance(message, dict):
        message = {**message, "strm": is_streaming}
    got = ask(server, message)
    assert got.status == status, got.body
    assert got.error["status"] == status


def test_too_many_missing_entries_fail_a_buffered_batch(server: Server) -> None:
    entries = [{"objname": f"no{i}"} for i in range(20)]
    got = ask(server, {"in": entries, "coer": True, "strm": False})
    assert (got.status, got.error["code"]) == (400, "ErrBatchAborted")


def test_what_is_not_bucket_or_method(server: Server) -> None:
    message = {"in": [{"objname": "theirs", "bucket": "other"}], "strm": True}
    assert ask(server, message, "/v1/ml/moss/nope").status == 404
    # The bucket is named by the path, by the entry, or not at all.
    assert ask(server, {"in": [{"objname": "o1"}]}, "/v1/ml/moss").status == 400
    for method in ("POST", "PUT", "DELETE"):
        assert server.call(method, "/v1/ml/moss/b", b"{}").status == 405


def test_a_failure_in_the_middle_cuts_the_connection(server: Server) -> None:
    entries = [{"objname": "large"}] * 8 + [{"objname": "nope"}]
    body = json.dumps({"in": entries, "strm": True}).encode()
    with socket.create_connection(server.address, timeout=20) as connection:
        head = f"GET /v1/ml/moss/b HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
        connection.sendall(head.encode() + body)
        received = bytearray()
        try:
            while block := connection.recv(MIB):
                received += block
        except ConnectionResetError:
            pass
    assert received.startswith(b"HTTP/1.1 200 OK\r\n")
    assert len(received) > MIB
    assert not received.endswith(b"0\r\n\r\n"), "a cut answer must not look complete"
    # The same buffered: nothing goes out before all is known.
    assert ask(server, {"in": entries, "strm": False}).status == 404


def test_clients_that_go_in_the_middle_are_forgotten(server: Server) -> None:
    """More of them than the server takes at a time: each must give its place back."""
    body = json.dumps({"in": [{"objname": "large"}] * 20, "strm": True}).encode()
    head = f"GET /v1/ml/moss/b HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
    for _ in range(300):
        with socket.create_connection(server.address, timeout=20) as connection:
            connection.sendall(head.encode() + body)
            assert connection.recv(100).startswith(b"HTTP/1.1 200")
    got = ask(server, {"in": [{"objname": "o1"}], "strm": True})
    assert unpack(got.body, ".tar") == [("b/o1", CONTENT["o1"])]


def test_batches_at_once_do_not_mix(server: Server) -> None:
    """Output buffers are used again and again: a block that was given out must not change on its way."""
    wrong: list[str] = []

    def fetch(number: int) -> None:
        names = [f"o{(number + i) % 30}" for i in range(30)] + ["large"]
        for mime in (".tar", ".tgz"):
            got = ask(server, {"in": [{"objname": n} for n in names], "mime": mime, "strm": True})
            if unpack(got.body, mime) != [(f"b/{n}", CONTENT[n]) for n in names]:
                wrong.append(f"{number}{mime}")

    threads = [threading.Thread(target=fetch, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_the_job_of_batches_can_be_found_and_stopped(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        server.store.put(BUCKET, "o", b"x", PutOptions())
        wanted = XactionFilter(kind=XactionKind.GET_BATCH)
        message = {"in": [{"objname": "o"}], "strm": False}
        first = buffered(ask(server, message))[0]["uuid"]
        assert [snap.id for snap in server.store.list_xactions(wanted)] == [first]
        assert buffered(ask(server, message))[0]["uuid"] == first
        assert server.store.stop_xactions(wanted) == 1
        deadline = time.monotonic() + 10
        while buffered(ask(server, message))[0]["uuid"] == first:
            assert time.monotonic() < deadline, "a stopped job must not serve for long"
            threading.Event().wait(0.05)
        snaps = {snap.id: snap for snap in server.store.list_xactions(wanted)}
        assert len(snaps) == 2
        assert snaps[first].is_finished


def test_a_shard_that_another_process_deletes_is_let_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What batches keep open would hold its space, and its disk, as long as no other batch comes."""

    def deleted() -> list[str]:
        links = []
        for fd in os.listdir("/proc/self/fd"):
            with suppress(OSError):
                links.append(os.readlink(f"/proc/self/fd/{fd}"))
        return [link for link in links if str(tmp_path) in link and link.endswith("(deleted)")]

    monkeypatch.setattr(worker, "CHECK_S", 0.1)
    with serving(tmp_path) as server:
        members = [MemberInput("m", 5, b"inner")]
        server.store.put_members(BUCKET, "s.tar", members, ArchivePutMode.CREATE, None)
        got = ask(server, {"in": [{"objname": "s.tar", "archpath": "m"}], "strm": True})
        assert unpack(got.body, ".tar") == [("b/s.tar/m", b"inner")]
        server.store.delete(BUCKET, "s.tar", None)
        deadline = time.monotonic() + 20
        while deleted():
            assert time.monotonic() < deadline, deleted()
            time.sleep(0.02)
