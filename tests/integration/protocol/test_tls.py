"""The same over TLS, whose transport buffers, ends and fails in its own way."""

import os
import shutil
import socket
import ssl
import struct
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.integration.protocol.support import (
    DEADLINE_S,
    ClosedError,
    Peer,
    Served,
    pattern,
    request,
    wait_for,
)

MIB = 1 << 20

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    directory = tmp_path_factory.mktemp("tls")
    cert, key = directory / "server.crt", directory / "server.key"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
            *("-subj", "/CN=test", "-addext", "subjectAltName=IP:127.0.0.1"),
            *("-keyout", str(key), "-out", str(cert)),
        ],
        check=True,
        capture_output=True,
    )
    return cert, key


@pytest.fixture
def begin(start: Callable[..., Served], files: tuple[Path, Path]) -> Callable[..., Served]:
    def run(**settings: float) -> Served:
        return start(cert=str(files[0]), key=str(files[1]), **settings)

    return run


@pytest.fixture
def connect(files: tuple[Path, Path]) -> Callable[..., Peer]:
    context = ssl.create_default_context(cafile=str(files[0]))

    def run(server: Served, receive_buffer: int = 0) -> Peer:
        one = socket.socket()
        if receive_buffer:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        one.settimeout(DEADLINE_S)
        one.connect(("127.0.0.1", server.port))
        return Peer(context.wrap_socket(one, server_hostname="127.0.0.1"))

    return run


def whole(size: int) -> bytes:
    return b"".join(pattern(at, min(MIB, size - at)) for at in range(0, size, MIB))


def test_bodies_of_all_sizes_both_ways(
    begin: Callable[..., Served], connect: Callable[..., Peer]
) -> None:
    server = begin()
    with connect(server) as peer:
        for size in (0, 1, 16_384, 16_385, 300_000, 5 * MIB + 3):
            data = whole(size)
            peer.send(request("/echo", "PUT", f"Content-Length: {size}\r\n") + data)
            assert peer.answer().body == data
            for extra in ("", "&announce=none", "&block=1048576"):
                peer.send(request(f"/source?size={size}{extra}"))
                assert peer.answer().body == data
        peer.send(b"".join(request(f"/bytes?size={size}") for size in range(200)))
        for size in range(200):
            assert peer.answer().body == pattern(0, size)
        encoded = b"".join(b"%x\r\n%b\r\n" % (70_000, pattern(0, 70_000)) for _ in range(20))
        head = request("/echo?wait=1", "PUT", "Transfer-Encoding: chunked\r\n")
        peer.send(head + encoded + b"0\r\n\r\n")
        assert peer.answer().body == pattern(0, 70_000) * 20


def test_a_slow_reader_gets_everything(
    begin: Callable[..., Served], connect: Callable[..., Peer]
) -> None:
    server = begin(body_timeout_s=0.5)
    size = 5 * MIB
    with connect(server, receive_buffer=4096) as peer:
        peer.send(request(f"/source?size={size}&block=300000"))
        began = time.monotonic()
        while time.monotonic() - began < 1.5:
            peer.data += peer.socket.recv(20_000)
            time.sleep(0.01)
        assert peer.answer().body == whole(size)


def test_a_slow_reader_gets_everything_before_the_connection_ends(
    begin: Callable[..., Served], connect: Callable[..., Peer]
) -> None:
    """The end of TLS begins while an answer is on its way, and has a time limit of its own."""
    server = begin()
    size = 7 * MIB
    with connect(server, receive_buffer=8192) as peer:
        peer.send(request(f"/source?size={size}&block=1500000", headers="Connection: close\r\n"))
        while len(peer.data) < size - 4 * MIB:
            peer.data += peer.socket.recv(65_536)
        began = time.monotonic()
        while time.monotonic() - began < 9:
            peer.data += peer.socket.recv(10_000)
            time.sleep(0.1)
        assert peer.answer().body == whole(size)


def test_a_client_that_does_not_read_is_cut(
    begin: Callable[..., Served], connect: Callable[..., Peer]
) -> None:
    server = begin(body_timeout_s=0.3)
    with connect(server, receive_buffer=4096) as peer:
        wait_for(lambda: server.connections == 1, "connected")
        peer.send(request("/source?size=80000000"))
        wait_for(lambda: server.connections == 0, "cut")


def test_an_early_answer_arrives(
    begin: Callable[..., Served], connect: Callable[..., Peer]
) -> None:
    server = begin()
    size = 20 * MIB
    with connect(server) as peer:
        peer.send(request("/echo?refuse_at=100", "PUT", f"Content-Length: {size}\r\n"))
        for _ in range(size // MIB):
            peer.send(bytes(MIB))
        answer = peer.answer()
        assert answer.status == 507
        assert answer.closes
    with connect(server) as peer:
        peer.send(request("/bytes", "PUT", f"Content-Length: {size}\r\nConnection: close\r\n"))
        assert peer.answer().body == pattern(0, 5)


@pytest.mark.parametrize("target", ["/source?size=50000000&slow=0.05", "/echo?wait=1", "/echo"])
def test_a_client_that_goes_frees_everything(
    begin: Callable[..., Served], connect: Callable[..., Peer], target: str
) -> None:
    server = begin()
    before = len(os.listdir("/proc/self/fd"))
    for how in ("reset", "close", "shutdown"):
        peer = connect(server)
        peer.send(request(target, "PUT", "Content-Length: 3000000\r\n") + bytes(150_000))
        time.sleep(0.02)
        if how == "reset":
            linger = struct.pack("ii", 1, 0)
            peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        elif how == "shutdown":
            peer.socket.shutdown(socket.SHUT_WR)
        peer.socket.close()
    wait_for(lambda: server.connections == 0, "no connection")
    wait_for(lambda: len(os.listdir("/proc/self/fd")) == before, "descriptors are back")


def test_a_broken_source_is_cut(begin: Callable[..., Served], connect: Callable[..., Peer]) -> None:
    server = begin()
    with connect(server) as peer:
        peer.send(request("/source?size=5000000&block=100000&fail_at=300000"))
        with pytest.raises((ClosedError, ssl.SSLError)):
            peer.answer()


def test_a_handshake_that_does_not_come_is_given_up(begin: Callable[..., Served]) -> None:
    server = begin(head_timeout_s=0.3)
    with server.connect() as peer:
        assert peer.is_closed()
    with server.connect() as peer:
        peer.send(b"\x16\x03\x01\x02\x00")
        assert peer.is_closed()
