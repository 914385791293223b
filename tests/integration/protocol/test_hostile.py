"""Clients that are broken, slow, gone, or worse. None of them may cost more than its own connection."""

import os
import random
import socket
import struct
import time
from collections.abc import Callable

import pytest
from tests.integration.protocol.support import (
    Answer,
    ClosedError,
    Peer,
    Served,
    pattern,
    request,
    wait_for,
)

KIB, MIB = 1 << 10, 1 << 20


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def reset(peer: Peer) -> None:
    """Close with a reset, as a machine that dies would in effect."""
    peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.socket.close()


def head(*lines: str) -> bytes:
    return "\r\n".join([*lines, "", ""]).encode()


MALFORMED = {
    "not HTTP": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(20),
    "line feeds alone": b"GET / HTTP/1.1\nHost: h\n\n",
    "no version": head("GET /"),
    "unknown method": head("WONDER / HTTP/1.1", "Host: h"),
    "lower-case method": head("get / HTTP/1.1", "Host: h"),
    "no host": head("GET / HTTP/1.1"),
    "two hosts": head("GET / HTTP/1.1", "Host: a", "Host: b"),
    "space before colon": head("GET / HTTP/1.1", "Host : h"),
    "no colon": head("GET / HTTP/1.1", "Host: h", "nonsense"),
    "folded header": head("GET / HTTP/1.1", "Host: h", "A: b", " c"),
    "NUL in a header": head("GET / HTTP/1.1", "Host: h", "A: b\0c"),
    "CR in a header": head("GET / HTTP/1.1", "Host: h", "A: b\rc"),
    "LF in a header": head("GET / HTTP/1.1", "Host: h", "A: b\nB: c"),
    "both lengths": head(
        "PUT /echo HTTP/1.1", "Host: h", "Content-Length: 3", "Transfer-Encoding: chunked"
    ),
    "both lengths, swapped": head(
        "PUT /echo HTTP/1.1", "Host: h", "Transfer-Encoding: chunked", "Content-Length: 3"
    ),
    "two lengths": head("PUT /echo HTTP/1.1", "Host: h", "Content-Length: 3", "Content-Length: 4"),
    "one length twice": head(
        "PUT /echo HTTP/1.1", "Host: h", "Content-Length: 3", "Content-Length: 3"
    ),
    "list of lengths": head("PUT /echo HTTP/1.1", "Host: h", "Content-Length: 3, 3"),
    "signed length": head("PUT /echo HTTP/1.1", "Host: h", "Content-Length: +3"),
    "negative length": head("PUT /echo HTTP/1.1", "Host: h", "Content-Length: -3"),
    "hexadecimal length": head("PUT /echo HTTP/1.1", "Host: h", "Content-Length: 0x3"),
    "empty length": head("PUT /echo HTTP/1.1", "Host: h", "Content-Length: "),
    "endless length": head("PUT /echo HTTP/1.1", "Host: h", "Content-Length: " + "9" * 30),
    "length beyond 63 bits": head(
        "PUT /echo HTTP/1.1", "Host: h", "Content-Length: 9223372036854775808"
    ),
    "unknown coding": head("PUT /echo HTTP/1.1", "Host: h", "Transfer-Encoding: gzip, chunked"),
    "chunked twice": head("PUT /echo HTTP/1.1", "Host: h", "Transfer-Encoding: chunked, chunked"),
    "chunked not last": head("PUT /echo HTTP/1.1", "Host: h", "Transfer-Encoding: chunked, gzip"),
    "chunked in 1.0": head("PUT /echo HTTP/1.0", "Host: h", "Transfer-Encoding: chunked"),
    "bad chunk size": head("PUT /echo HTTP/1.1", "Host: h", "Transfer-Encoding: chunked")
    + b"zz\r\nabc\r\n0\r\n\r\n",
    "chunk longer than its size": head(
        "PUT /echo HTTP/1.1", "Host: h", "Transfer-Encoding: chunked"
    )
    + b"3\r\nabcd\r\n0\r\n\r\n",
    "chunk size without CR": head("PUT /echo HTTP/1.1", "Host: h", "Transfer-Encoding: chunked")
    + b"3\nabc\r\n0\r\n\r\n",
    "endless chunk extension": head("PUT /echo HTTP/1.1", "Host: h", "Transfer-Encoding: chunked")
    + b"3;"
    + b"x" * 500,
    "endless chunk size": head("PUT /echo HTTP/1.1", "Host: h", "Transfer-Encoding: chunked")
    + b"0" * 500,
    "fragment": head("GET /a#b HTTP/1.1", "Host: h"),
    "authority form": head("CONNECT h:1 HTTP/1.1", "Host: h"),
    "asterisk form": head("OPTIONS * HTTP/1.1", "Host: h"),
    "HTTP/2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
}


@pytest.mark.parametrize("data", MALFORMED.values(), ids=MALFORMED)
def test_malformed_requests_are_refused_and_the_connection_ends(
    server: Served, data: bytes
) -> None:
    with server.connect() as peer:
        peer.send(data + request() * 2)
        answer = peer.answer()
        assert answer.status in {400, 501}
        assert answer.closes
        assert answer.headers["content-type"] == "application/json; charset=utf-8"
        assert b'"message":"' in answer.body
        assert peer.is_closed()
    assert server.ask(request()).status == 200
    assert server.counts.finished == 0


@pytest.mark.parametrize("version", ["2.0", "0.9", "1.2", "3.0"])
def test_other_versions_are_refused(server: Served, version: str) -> None:
    answer = server.ask(request(version=version))
    assert answer.status in {400, 505}
    assert answer.closes
    assert server.ask(request()).status == 200


@pytest.mark.parametrize(
    "target",
    [
        "/seen/%",
        "/seen/%4",
        "/seen/%zz",
        "/seen/a%00b",
        "/seen/%ff",
        "/seen/%c0%af",
        "/seen?a=%",
        "/seen?%zz=1",
        "/seen?a=%00",
        "/seen?a=%ff",
        "/seen?" + "&".join(f"a{n}=1" for n in range(101)),
    ],
)
def test_undecodable_targets_are_refused(server: Served, target: str) -> None:
    with server.connect() as peer:
        peer.send(request(target))
        assert peer.answer().status == 400
        peer.send(request())  # well-formed HTTP: the connection goes on
        assert peer.answer().status == 200


def test_a_hundred_parameters_are_accepted(server: Served) -> None:
    target = "/seen?" + "&".join(f"a{n}=1" for n in range(100))
    assert server.ask(request(target)).status == 200


@pytest.mark.parametrize(
    ("head_lines", "status"),
    [
        (["A: " + "x" * 3000] * 10, 200),
        (["A: " + "x" * 3000] * 30, 431),
        (["A: b"] * 127, 200),
        (["A: b"] * 128, 431),
    ],
)
def test_heads_are_limited(server: Served, head_lines: list[str], status: int) -> None:
    answer = server.ask(head("GET /bytes HTTP/1.1", "Host: h", *head_lines))
    assert answer.status == status
    assert answer.closes == (status != 200)


def test_an_endless_target_is_refused_while_it_comes(server: Served) -> None:
    with server.connect() as peer:
        peer.send(b"GET /" + b"a" * (65 * KIB))
        assert peer.answer().status == 431
        assert peer.is_closed()


def test_a_head_behind_a_body_is_limited_too(start: Callable[..., Served]) -> None:
    server = start(head_bytes_max=1024)
    with server.connect() as peer:
        put = request("/echo", "PUT", "Content-Length: 100000\r\n") + bytes(100_000)
        peer.send(put + head("GET /bytes HTTP/1.1", "Host: h", "A: " + "x" * 2000))
        assert peer.answer().status == 200
        assert peer.answer().status == 431


def test_a_head_that_drips_is_given_up(start: Callable[..., Served]) -> None:
    server = start(head_timeout_s=0.3)
    with server.connect() as peer:
        began = time.monotonic()
        answer: Answer | None = None
        peer.socket.settimeout(0.03)
        for byte in request(headers="A: " + "x" * 1000):
            peer.send(bytes([byte]))
            try:
                answer = peer.answer()
                break
            except TimeoutError:
                continue
        assert answer is not None
        assert answer.status == 408
        assert answer.closes
        assert time.monotonic() - began < 5


def test_a_connection_that_says_nothing_is_closed(start: Callable[..., Served]) -> None:
    server = start(head_timeout_s=0.2, idle_timeout_s=0.4)
    with server.connect() as peer:
        assert peer.is_closed()
    with server.connect() as peer:
        peer.send(request())
        peer.answer()
        time.sleep(0.25)  # the limit of a kept connection is another one
        peer.send(request())
        peer.answer()
        assert peer.is_closed()


def test_a_body_that_stalls_is_given_up(start: Callable[..., Served]) -> None:
    server = start(body_timeout_s=0.3)
    with server.connect() as peer:
        peer.send(request("/echo", "PUT", "Content-Length: 10\r\n") + b"abc")
        answer = peer.answer()
        assert answer.status == 408
        assert peer.is_closed()
    assert server.counts.aborted == 1


def test_a_body_that_moves_slowly_is_waited_for(start: Callable[..., Served]) -> None:
    server = start(body_timeout_s=0.4)
    with server.connect() as peer:
        peer.send(request("/echo", "PUT", "Content-Length: 10\r\n"))
        for _ in range(10):
            time.sleep(0.1)
            peer.send(b"x")
        assert peer.answer().body == b"x" * 10


@pytest.mark.parametrize("target", ["/source?size=50000000", "/bytes?size=2000000"])
def test_a_client_that_does_not_read_is_cut(start: Callable[..., Served], target: str) -> None:
    server = start(body_timeout_s=0.3)
    with server.connect(receive_buffer=4 * KIB) as peer:
        wait_for(lambda: server.connections == 1, "connected")
        peer.send(request(target) * 20)
        wait_for(lambda: server.connections == 0, "cut")
    assert server.counts.closed == server.counts.sources


def test_unread_answers_do_not_pile_up(server: Served) -> None:
    with server.connect(receive_buffer=4 * KIB) as peer:
        peer.send(request("/bytes?size=2000000") * 200)
        wait_for(lambda: server.counts.asked > 0, "begun")
        time.sleep(0.3)
        assert server.counts.asked < 20  # what the kernel takes, and one more
        assert len(peer.answer().body) == 2_000_000


def test_a_client_that_reads_slowly_is_not_cut(start: Callable[..., Served]) -> None:
    server = start(body_timeout_s=0.4)
    with server.connect(receive_buffer=4 * KIB) as peer:
        size = 6 * MIB
        peer.send(request(f"/source?size={size}&block=1048576"))
        began = time.monotonic()
        while time.monotonic() - began < 1.5:
            peer.data += peer.socket.recv(30_000)
            time.sleep(0.02)
        assert peer.answer().body == b"".join(pattern(at, MIB) for at in range(0, size, MIB))


@pytest.mark.parametrize("sent", [0, 1, 5000, 999_999])
@pytest.mark.parametrize("how", ["reset", "close"])
def test_a_body_that_ends_early_leaves_nothing(server: Served, sent: int, how: str) -> None:
    before = descriptors()
    peer = server.connect()
    peer.send(request("/echo", "PUT", "Content-Length: 1000000\r\n") + bytes(sent))
    wait_for(lambda: server.counts.sinks == 1, "begun")
    if how == "reset":
        reset(peer)
    else:
        peer.socket.close()
    wait_for(lambda: server.counts.aborted == 1, "aborted")
    assert server.counts.finished == 0
    wait_for(lambda: descriptors() == before, "descriptors are back")


def test_a_half_closed_body_is_aborted(server: Served) -> None:
    with server.connect() as peer:
        peer.send(request("/echo", "PUT", "Content-Length: 10\r\n") + b"abc")
        peer.socket.shutdown(socket.SHUT_WR)
        assert peer.is_closed()
    assert server.counts.aborted == 1


@pytest.mark.parametrize(
    "target",
    [
        "/source?size=50000000&slow=0.05",
        "/source?size=50000000&slow=0.05&announce=none",
        "/source?size=50000000",
        "/source?size=250000&block=1000",
        "/late-source",
        "/work?s=0.1",
    ],
)
def test_a_client_that_goes_frees_everything(server: Served, target: str) -> None:
    before = descriptors()
    for how in (reset, Peer.__exit__):
        for wait_s in (0.0, 0.03, 0.12):
            peer = server.connect()
            peer.send(request(target))
            time.sleep(wait_s)
            how(peer)
    wait_for(lambda: descriptors() == before, "descriptors are back")
    wait_for(lambda: server.connections == 0, "no connection")
    assert server.counts.closed == server.counts.sources


def test_a_server_that_stops_under_load_leaves_nothing_open(start: Callable[..., Served]) -> None:
    before = descriptors()
    server = start(drain_timeout_s=0.2)
    peers = []
    for target in (
        "/source?size=50000000&slow=0.3",
        "/work?s=0.4",
        "/late-source",
        "/source?size=9999999",
    ):
        peers.append(server.connect())
        peers[-1].send(request(target))
    peers.append(server.connect())
    peers[-1].send(request("/echo?wait=1", "PUT", "Content-Length: 3000000\r\n") + bytes(100_000))
    wait_for(lambda: server.counts.sources == 3, "under way")
    server.stop()
    for peer in peers:
        peer.socket.close()
    wait_for(lambda: descriptors() <= before, "descriptors are back")
    assert server.counts.closed == server.counts.sources


def test_work_goes_on_without_its_client(server: Served) -> None:
    peer = server.connect()
    peer.send(request("/work?s=0.2"))
    time.sleep(0.05)
    reset(peer)
    wait_for(lambda: server.counts.worked == 1, "worked")


def test_a_client_that_goes_while_the_sink_waits(server: Served) -> None:
    before = descriptors()
    for _ in range(20):
        peer = server.connect()
        peer.send(request("/echo?wait=1", "PUT", "Content-Length: 3000000\r\n") + bytes(200_000))
        reset(peer)
    wait_for(lambda: descriptors() == before, "descriptors are back")
    assert server.counts.aborted == server.counts.sinks


def test_a_thousand_idle_connections(server: Served) -> None:
    peers = [server.connect() for _ in range(1000)]
    try:
        assert server.ask(request()).status == 200
        for peer in peers[::100]:
            peer.send(request())
            assert peer.answer().status == 200
        wait_for(lambda: server.connections == 1000, "all are connected")
    finally:
        for peer in peers:
            peer.socket.close()
    wait_for(lambda: server.connections == 0, "all have gone")


def test_connections_are_limited(start: Callable[..., Served]) -> None:
    server = start(connections_max=3)
    peers = [server.connect() for _ in range(3)]
    for peer in peers:
        peer.send(request())
        assert peer.answer().status == 200
    with server.connect() as peer:
        answer = peer.answer()
        assert answer.status == 503
        assert answer.closes
        assert peer.is_closed()
    peers[0].socket.close()

    def is_served() -> bool:
        with server.connect() as peer:
            try:
                peer.send(request())
                return peer.answer().status == 200
            except (ClosedError, OSError):
                return False

    wait_for(is_served, "there is room again")
    for peer in peers:
        peer.socket.close()


def test_one_greedy_pipeliner_does_not_starve_others(server: Served) -> None:
    with server.connect() as greedy, server.connect() as other:
        greedy.send(request("/spin?s=0.002") * 1000)
        assert greedy.answer().status == 200  # all of them have arrived: two seconds of work
        began = time.monotonic()
        other.send(request())
        assert other.answer().status == 200
        assert time.monotonic() - began < 1


def _mutated(rng: random.Random, data: bytes) -> bytes:
    out = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(out) + 1)
        kind = rng.randrange(5)
        if kind == 0:
            out[at:at] = bytes([rng.choice(b"\r\n\0 :;,%/\xff?=&#\t0")])
        elif kind == 1:
            del out[at : at + rng.randint(1, 8)]
        elif kind == 2 and at < len(out):
            out[at] = rng.randrange(256)
        elif kind == 3:
            out[at:at] = out[rng.randrange(len(out) + 1) :][: rng.randint(1, 40)]
        else:
            out[at:at] = rng.choice(
                [
                    b"\r\n\r\n",
                    b"Content-Length: 5\r\n",
                    b"Transfer-Encoding: chunked\r\n",
                    b"HTTP/1.1",
                ]
            )
    return bytes(out)


SEEDS = [
    request("/seen/a%20b?x=1&y=2", headers="Accept: */*\r\nUser-Agent: x\r\n"),
    request("/echo", "PUT", "Content-Length: 5\r\n") + b"hello",
    request("/echo", "PUT", "Transfer-Encoding: chunked\r\n") + b"5\r\nhello\r\n0\r\nA: b\r\n\r\n",
    request("/echo", "PUT", "Content-Length: 5\r\nExpect: 100-continue\r\n") + b"hello",
    request("http://h/bytes", "HEAD", "Connection: close\r\n") + request(version="1.0"),
]


@pytest.mark.parametrize("seed", range(8))
def test_mutated_requests_are_never_a_server_error(start: Callable[..., Served], seed: int) -> None:
    server = start(head_timeout_s=0.5, body_timeout_s=0.5)
    rng = random.Random(seed)
    for _ in range(150):
        data = b"".join(_mutated(rng, rng.choice(SEEDS)) for _ in range(rng.randint(1, 3)))
        with server.connect() as peer:
            try:
                for at in range(0, len(data), step := rng.choice([1, 7, 1000])):
                    peer.send(data[at : at + step])
                peer.socket.shutdown(socket.SHUT_WR)
            except OSError:
                pass  # refused and closed already
            found = peer.rest()
        for status in (b"HTTP/1.1 500", b"HTTP/1.1 502", b"HTTP/1.1 503"):
            assert status not in found, data
    assert server.ask(request()).status == 200
    wait_for(lambda: server.connections == 0, "no connection hangs")
