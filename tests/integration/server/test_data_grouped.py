"""Small PUTs that arrive together: in one transaction, each with an answer of its own."""

import os
import socket
import sqlite3
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest
from tests.integration.server.data import BUCKET, Server, pieces, serving

from aiscore.engine.checksum import checksum_of
from aiscore.engine.index.walindex import HEADER_SIZE, close_wal_index, open_wal_index
from aiscore.engine.layout import index_path
from aiscore.model.checksum import ChecksumType
from aiscore.model.objects import GetOptions, PutOptions
from aiscore.testing.content import pattern

VERIFIED = GetOptions(verify_checksum=True)
CLIENTS = 24
DEADLINE_S = 20

Put = tuple[str, bytes, dict[str, str]]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with serving(tmp_path) as server:
        yield server


def commits(server: Server) -> int:
    """How many transactions the index has seen: a counter of SQLite's own."""
    index = open_wal_index(index_path(server.store.core.home))
    assert index is not None
    header = os.pread(index.fd, HEADER_SIZE, 0)
    close_wal_index(index)
    return int.from_bytes(header[8:12], sys.byteorder)


def together(server: Server, puts: Sequence[Put]) -> list[tuple[int, bytes]]:
    """Send all of them, each on a connection of its own, and the last byte of each when nothing else is missing."""
    with ExitStack() as stack:
        sockets = []
        for path, data, headers in puts:
            one = stack.enter_context(socket.create_connection(server.address, DEADLINE_S))
            lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
            head = f"PUT {path} HTTP/1.1\r\nHost: h\r\n{lines}Content-Length: {len(data)}\r\n\r\n"
            one.sendall(head.encode() + data[:-1])
            sockets.append(one)
        for one, (_, data, _) in zip(sockets, puts, strict=True):
            one.sendall(data[-1:])
        return [answer_of(one) for one in sockets]


def answer_of(one: socket.socket) -> tuple[int, bytes]:
    received = b""
    while b"\r\n\r\n" not in received:
        block = one.recv(1 << 16)
        assert block, received
        received += block
    return int(received.split(b" ", 2)[1]), received


def test_what_arrives_together_is_one_transaction(server: Server) -> None:
    deadline = time.monotonic() + DEADLINE_S
    round_number = 0
    while True:
        round_number += 1
        bodies = {f"o{i}": pattern(2_000 + i, round_number + i) for i in range(CLIENTS)}
        before = commits(server)
        answers = together(
            server, [(f"/v1/objects/b/{name}", data, {}) for name, data in bodies.items()]
        )
        assert {status for status, _ in answers} == {200}
        for name, data in bodies.items():
            assert server.store.read(BUCKET, name, VERIFIED) == data
        if commits(server) - before < CLIENTS:
            break
        assert time.monotonic() < deadline, "each was committed by itself"
    assert pieces(server.store) == CLIENTS


def test_each_has_its_own_answer(server: Server) -> None:
    server.store.put(BUCKET, "there", b"kept", PutOptions())
    wrong = {"Ais-Checksum-Type": "xxhash2", "Ais-Checksum-Value": "0" * 16}
    right = {
        "Ais-Checksum-Type": "xxhash2",
        "Ais-Checksum-Value": checksum_of(ChecksumType.XXHASH2, b"right"),
    }
    cases: list[tuple[Put, int]] = [
        (("/v1/objects/b/there", b"other", {"If-None-Match": "*"}), 412),
        (("/v1/objects/b/wrong", b"wrong", wrong), 400),
        (("/v1/objects/b/right", b"right", right), 200),
        (("/v1/objects/b/same", b"one", {}), 200),
        (("/v1/objects/b/same", b"two", {}), 200),
    ]
    cases += [
        ((f"/v1/objects/b/o{number}", pattern(3_000, number), {}), 200) for number in range(6)
    ]
    for _ in range(5):
        answers = together(server, [put for put, _ in cases])
        assert [status for status, _ in answers] == [status for _, status in cases]
        assert server.store.read(BUCKET, "there", VERIFIED) == b"kept"
        assert server.store.read(BUCKET, "same", VERIFIED) in {b"one", b"two"}
        for number in range(6):
            assert server.store.read(BUCKET, f"o{number}", VERIFIED) == pattern(3_000, number)
    # The answer is that of the object, not of another one of the group.
    expected = checksum_of(ChecksumType.XXHASH2, pattern(3_000, 2)).encode()
    assert expected in answers[7][1]
    assert server.call("GET", "/v1/objects/b/wrong").status == 404


def send_each(server: Server, puts: list[Put], stack: ExitStack) -> list[socket.socket]:
    """Send the PUTs, each on a connection of its own, and read no answer."""
    sockets = []
    for path, data, _ in puts:
        one = stack.enter_context(socket.create_connection(server.address, DEADLINE_S))
        one.sendall(
            b"PUT %b HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n%b"
            % (path.encode(), len(data), data)
        )
        sockets.append(one)
    return sockets


def test_they_wait_for_another_process_in_the_pool(server: Server) -> None:
    """The event loop goes on meanwhile."""
    other = sqlite3.connect(
        f"{server.store.core.home}/index.db", isolation_level=None, check_same_thread=False
    )
    puts: list[Put] = [(f"/v1/objects/b/o{i}", pattern(1_000, i), {}) for i in range(8)]
    other.execute("BEGIN IMMEDIATE")
    with ExitStack() as stack:
        sockets = send_each(server, puts, stack)
        # They are with the server, and it answers others.
        assert server.call("GET", "/v1/health").status == 200
        assert server.call("GET", "/v1/objects/b/o0").status == 404
        other.execute("ROLLBACK")
        assert [answer_of(one)[0] for one in sockets] == [200] * len(puts)
    other.close()
    for number in range(8):
        assert server.store.read(BUCKET, f"o{number}", VERIFIED) == pattern(1_000, number)


def test_a_client_that_goes_takes_nobody_with_it(server: Server) -> None:
    puts: list[Put] = [(f"/v1/objects/b/o{i}", pattern(1_000, i), {}) for i in range(12)]
    with ExitStack() as stack:
        sockets = send_each(server, puts, stack)
        for one in sockets[::3]:
            one.close()
        kept = [(n, one) for n, one in enumerate(sockets) if n % 3]
        assert [answer_of(one)[0] for _, one in kept] == [200] * len(kept)
    for number, _ in kept:
        assert server.store.read(BUCKET, f"o{number}", VERIFIED) == pattern(1_000, number)
    assert not server.store.validate(None, "").faults
