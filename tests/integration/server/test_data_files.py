"""Bodies that the kernel sends from a file: sizes around the limits, slow clients, clients that go, damaged files."""

import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.integration.server.data import BUCKET, MIB, Server, serving

from aiscore.model.archive import ArchiveFormat
from aiscore.model.objects import PutOptions
from aiscore.server import filestream
from aiscore.server.filestream import SENDFILE_MAX, SENDFILE_MIN
from aiscore.testing.archives import build
from aiscore.testing.content import pattern

TIMEOUT_S = 2


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with serving(tmp_path, body_timeout_s=TIMEOUT_S) as server:
        yield server


def connect(server: Server, receive_bytes: int = 0) -> socket.socket:
    connection = socket.socket()
    if receive_bytes:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
    connection.settimeout(20)
    connection.connect(server.address)
    return connection


def ask(connection: socket.socket, name: str = "o", times: int = 1, headers: str = "") -> None:
    text = f"GET /v1/objects/b/{name} HTTP/1.1\r\nHost: x\r\n{headers}\r\n" * times
    connection.sendall(text.encode())


def read_all(connection: socket.socket) -> bytes:
    """Until the server closes."""
    with connection.makefile("rb") as file:
        return file.read()


def open_files() -> int:
    """The server is a thread of this process."""
    return len(os.listdir("/proc/self/fd"))


def until_closed(count: int) -> None:
    deadline = time.monotonic() + 20
    while open_files() > count:
        assert time.monotonic() < deadline, "descriptors are left"
        time.sleep(0.01)


@pytest.mark.parametrize(
    "size", [SENDFILE_MIN, SENDFILE_MIN + 1, MIB, SENDFILE_MAX, SENDFILE_MAX + 1]
)
def test_sizes_around_the_limits_and_ranges(server: Server, size: int) -> None:
    data = pattern(size)
    server.store.put(BUCKET, "o", data, PutOptions())
    assert server.call("GET", "/v1/objects/b/o").body == data
    part = server.call("GET", "/v1/objects/b/o", headers={"Range": f"bytes=5-{size - 7}"})
    assert (part.status, part.body) == (206, data[5 : size - 6])


def test_files_of_shards_and_objects_in_chunks(server: Server) -> None:
    files = [("a", pattern(MIB)), ("b", pattern(2 * MIB + 1))]
    server.store.put(BUCKET, "s.tar", build(ArchiveFormat.TAR, files), PutOptions())
    for name, data in files * 2:
        assert server.call("GET", f"/v1/objects/b/s.tar?archpath={name}").body == data
    limits = {"chunks.objsize_limit": "1MiB", "chunks.chunk_size": "300KiB"}
    server.store.set_bucket_props(BUCKET, limits)
    server.store.put(BUCKET, "c", files[1][1], PutOptions())
    assert server.call("GET", "/v1/objects/b/c").body == files[1][1]


def test_answers_to_requests_at_once_keep_their_order(server: Server) -> None:
    contents = {f"o{number}": pattern(MIB + number) for number in range(4)}
    for name, data in contents.items():
        server.store.put(BUCKET, name, data, PutOptions())
    with connect(server) as connection:
        for _ in range(2):
            for name in contents:
                ask(connection, name)
        ask(connection, "nothing", headers="Connection: close\r\n")
        found = read_all(connection)
    for data in [*contents.values()] * 2:
        head, _, found = found.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 ")
        assert found[: len(data)] == data
        found = found[len(data) :]
    assert found.startswith(b"HTTP/1.1 404 ")


def test_a_slow_client_gets_everything(server: Server) -> None:
    data = pattern(3 * MIB)
    server.store.put(BUCKET, "o", data, PutOptions())
    with connect(server, receive_bytes=64 << 10) as connection:
        ask(connection, times=2, headers="Connection: close\r\n")
        started, found = time.monotonic(), b""
        while time.monotonic() < started + 2 * TIMEOUT_S:
            found += connection.recv(32 << 10)
            time.sleep(0.05)
        assert len(found) < len(data), "there was no need to wait"
        found += read_all(connection)
    assert found.partition(b"\r\n\r\n")[2] == data


def test_a_client_that_does_not_read_is_cut_and_frees_everything(server: Server) -> None:
    server.store.put(BUCKET, "o", pattern(SENDFILE_MAX), PutOptions())
    before = open_files()
    with connect(server, receive_bytes=16 << 10) as connection:
        ask(connection, times=3)
        until_closed(before + 1)


def test_a_client_that_goes_frees_everything(server: Server) -> None:
    server.store.put(BUCKET, "o", pattern(SENDFILE_MAX), PutOptions())
    before = open_files()
    for _ in range(20):
        with connect(server, receive_bytes=16 << 10) as connection:
            ask(connection, times=2)
            connection.recv(1000)
    until_closed(before)


def test_a_file_that_is_cut_short_under_way_cuts_the_connection(server: Server) -> None:
    server.store.put(BUCKET, "o", pattern(SENDFILE_MAX), PutOptions())
    (piece,) = (
        path
        for path in Path(server.store.core.home).rglob("*")
        if path.is_file() and path.stat().st_size == SENDFILE_MAX
    )
    with connect(server, receive_bytes=16 << 10) as connection:
        ask(connection, times=2)
        connection.recv(1000)
        os.truncate(piece, 100)
        # What the kernel had taken before comes; that is never all of it, with so small a window.
        assert len(read_all(connection)) < SENDFILE_MAX
    assert server.call("GET", "/v1/objects/b/o").status == 500
    server.store.delete(BUCKET, "o", None)


def test_what_is_not_in_the_cache_goes_another_way(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = pattern(MIB)
    server.store.put(BUCKET, "o", data, PutOptions())
    monkeypatch.setattr(filestream, "is_cached", lambda *place: False)
    monkeypatch.setattr(os, "sendfile", None)
    assert server.call("GET", "/v1/objects/b/o").body == data


def test_what_was_never_read_or_was_dropped_is_not_in_the_cache(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(pattern(3 * MIB))
    fd = os.open(path, os.O_RDONLY)
    try:
        assert filestream.is_cached(fd, 0, 3 * MIB)
        assert filestream.is_cached(fd, 3 * MIB - 1, 1)
        assert not filestream.is_cached(fd, 0, 3 * MIB + 1), "it is shorter"
        os.sync()
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        assert not filestream.is_cached(fd, 0, 3 * MIB)
    finally:
        os.close(fd)
