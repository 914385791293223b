"""Reading for the time it takes, against a peer that says exactly what it is told."""

import socket
from collections.abc import Callable, Iterator

import pytest
from tests.unit.transport.peer import Peer, abort, ok

from aiscore.errors import (
    AisError,
    NotFoundError,
    ProtocolError,
    TransportError,
    TransportTimeoutError,
)
from aiscore.model.bucket import BucketRef
from aiscore.transport import open_transport
from aiscore.transport.answer import Head, plain_length
from aiscore.transport.drain import Drain, open_drain
from aiscore.transport.lean import StaleConnectionError
from aiscore.transport.options import ConnectionOptions
from aiscore.transport.remote import RemoteTransport

BUFFER = memoryview(bytearray(1000))
GONE = b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\n{}"
CHUNKS = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"

Opened = Callable[..., Drain]


@pytest.fixture
def drain_of() -> Iterator[Opened]:
    made: list[RemoteTransport] = []
    drains: list[Drain] = []

    def drain(peer: Peer, retries: int = 0) -> Drain:
        options = ConnectionOptions(
            read_timeout_s=0.5, connect_timeout_s=2, backoff_s=0.01, retries=retries
        )
        made.append(RemoteTransport(peer.url, options))
        found = open_drain(made[-1], BucketRef("b"))
        assert found is not None
        drains.append(found)
        return found

    yield drain
    for found in drains:
        found.close()
    for transport in made:
        transport.close()


def in_pieces(peer: Peer, *pieces: bytes) -> Callable[[socket.socket], None]:
    """One answer, each piece when the one before has been taken."""

    def script(connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        peer.request(connection)
        for piece in pieces:
            connection.sendall(piece)
        peer.request(connection)

    return script


def test_objects_come_one_after_the_other_over_one_connection(drain_of: Opened) -> None:
    sizes = [4096, 0, 1, 1_000_000]
    with Peer() as peer:
        peer._scripts.append(peer.answers(*(ok(bytes(size)) for size in sizes)))
        drain = drain_of(peer)
        for number, size in enumerate(sizes):
            first, found = drain.read(f"dir/o {number}", BUFFER)
            assert found == size
            assert first > 0
        assert peer.connections == 1
        lines = [head.split(b"\r\n")[0] for head in peer.heads]
        assert lines[2] == b"GET /v1/objects/b/dir/o%202?provider=ais HTTP/1.1"


@pytest.mark.parametrize(
    ("answer", "size"),
    [
        (b"HTTP/1.1 103 Early Hints\r\n\r\n" + ok(b"12345"), 5),
        (b"HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\n12345", 5),
        (b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\n12345", 5),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\n12345", 5),
        (b"HTTP/1.1 206 Partial\r\nContent-Length: 5\r\n\r\n12345", 5),
        (CHUNKS, 5),
    ],
)
def test_every_kind_of_answer_is_read_to_its_end(
    answer: bytes, size: int, drain_of: Opened
) -> None:
    with Peer() as peer:
        peer._scripts.append(peer.answers(answer, ok(b"7777777")))
        peer._scripts.append(peer.answers(ok(b"7777777")))
        drain = drain_of(peer)
        assert drain.read("o", BUFFER)[1] == size
        assert drain.read("o", BUFFER)[1] == 7


def test_an_answer_in_pieces(drain_of: Opened) -> None:
    with Peer() as peer:
        peer._scripts.append(
            in_pieces(peer, b"HTTP/1.1 2", b"00 OK\r\nContent-", b"Length: 3\r\n\r\na", b"bc")
        )
        assert drain_of(peer).read("o", BUFFER)[1] == 3


def test_an_error_is_raised_and_the_connection_stays(drain_of: Opened) -> None:
    with Peer() as peer:
        peer._scripts.append(peer.answers(GONE, ok(b"1"), GONE))
        drain = drain_of(peer)
        with pytest.raises(NotFoundError):
            drain.read("o", BUFFER)
        assert drain.read("o", BUFFER)[1] == 1
        with pytest.raises(NotFoundError):
            drain.read("o", BUFFER)
        assert peer.connections == 1


def test_a_redirect_is_followed(drain_of: Opened) -> None:
    with Peer() as target, Peer() as proxy:
        target._scripts.append(target.answers(ok(b"123"), ok(b"1234")))
        moved = f"HTTP/1.1 307 Moved\r\nLocation: {target.url}/v1/objects/b/o?uid=1\r\n".encode()
        moved += b"Content-Length: 4\r\n\r\nhere"
        proxy._scripts.append(proxy.answers(moved, moved))
        drain = drain_of(proxy)
        assert drain.read("o", BUFFER)[1] == 3
        assert drain.read("o", BUFFER)[1] == 4
        assert proxy.connections == target.connections == 1


def test_a_connection_that_the_server_has_closed_is_replaced(drain_of: Opened) -> None:
    with Peer() as peer:
        peer._scripts.append(peer.answers(ok(b"1")))
        drain = drain_of(peer)
        for _ in range(3):
            assert drain.read("o", BUFFER)[1] == 1


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n123", ProtocolError),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5", ProtocolError),
        (b"", ProtocolError),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n123456", ProtocolError),
        (b"220 mail.example ESMTP\r\n", ProtocolError),
    ],
)
def test_what_is_cut_or_wrong_is_an_error_unless_it_may_be_tried_again(
    answer: bytes, error: type[AisError], drain_of: Opened
) -> None:
    with Peer() as peer:
        peer._scripts += [peer.answers(answer), peer.answers(ok(b"12345"))]
        with pytest.raises(error):
            drain_of(peer).read("o", BUFFER)
        assert drain_of(peer).read("o", BUFFER)[1] == 5
    with Peer() as peer:
        peer._scripts += [peer.answers(answer), peer.answers(ok(b"12345"))]
        drain = drain_of(peer, 2)
        if answer.startswith(b"220") or b"6\r\n" in answer:  # wrong, and would be again
            with pytest.raises(TransportError):
                drain.read("o", BUFFER)
        else:
            assert drain.read("o", BUFFER)[1] == 5


def test_a_kept_connection_that_breaks_in_the_middle_of_an_answer_is_an_error(
    drain_of: Opened,
) -> None:
    with Peer() as peer:
        gate, opened = socket.socketpair()

        def script(connection: socket.socket) -> None:
            peer.request(connection)
            connection.sendall(ok(b"1"))
            peer.request(connection)
            connection.sendall(ok(bytes(5000))[:2000])
            opened.recv(1)
            abort(connection)

        peer._scripts += [script, peer.answers(ok(b"22"))]
        drain = drain_of(peer)
        assert drain.read("o", BUFFER)[1] == 1
        connection = drain.begin("o")
        # All that has come is taken before the connection breaks.
        for _ in range(50):
            assert connection.drain(BUFFER, wait=False) is None
        gate.send(b"x")
        with pytest.raises(ProtocolError) as caught:
            connection.drain(BUFFER)
        assert not isinstance(caught.value, StaleConnectionError)
        with pytest.raises(ProtocolError):
            drain.settle("o", BUFFER, caught.value)
        assert drain.read("o", BUFFER)[1] == 2
        gate.close()
        opened.close()


def test_a_silent_server_is_waited_for_only_so_long(drain_of: Opened) -> None:
    with Peer() as peer:
        peer._scripts.append(in_pieces(peer))
        with pytest.raises(TransportTimeoutError):
            drain_of(peer).read("o", BUFFER)


def test_without_waiting_it_tells_that_more_is_to_come(drain_of: Opened) -> None:
    with Peer() as peer:
        gate, opened = socket.socketpair()

        def script(connection: socket.socket) -> None:
            peer.request(connection)
            connection.sendall(ok(bytes(5000))[:2000])
            opened.recv(1)
            connection.sendall(ok(bytes(5000))[2000:])
            peer.request(connection)

        peer._scripts.append(script)
        drain = drain_of(peer)
        connection = drain.begin("o")
        seen = 0
        while (found := connection.drain(BUFFER, wait=False)) is None:
            seen += 1
            if seen == 100:
                gate.send(b"x")
        assert found[1] == 5000
        gate.close()
        opened.close()


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\n",
        b"HTTP/1.1 204 No\r\nContent-Length: 5\r\n\r\n",
        b"HTTP/1.1 404 No\r\nContent-Length: 5\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nContent-Length: 5\r\nConnection: close\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nConnection: keep-alive, upgrade\r\nContent-Length: 5\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n 7\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: content-length: 5\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n",
    ],
)
def test_only_usual_heads_are_read_the_short_way(head: bytes) -> None:
    assert plain_length(head.lower()) == -1


@pytest.mark.parametrize(
    "connection", [b"", b"Connection: keep-alive\r\n", b"CONNECTION: Keep-Alive\r\n"]
)
def test_a_usual_head_says_the_same_both_ways(connection: bytes) -> None:
    raw = b"HTTP/1.1 200 OK\r\n" + connection + b"content-Length: 17\r\nX: y\r\n\r\n"
    assert plain_length(raw.lower()) == 17
    head = Head(raw, "url")
    assert (head.status, head.length, head.keeps_alive, head.in_chunks) == (200, 17, True, False)
    assert (b"X", b"y") in head.fields


def test_only_plain_http_has_a_short_way(tmp_path: object) -> None:
    with open_transport(f"file://{tmp_path}/home") as local:
        assert open_drain(local, BucketRef("b")) is None
    with RemoteTransport("https://127.0.0.1:1", ConnectionOptions()) as encrypted:
        assert open_drain(encrypted, BucketRef("b")) is None
    drawn = ConnectionOptions(gateways=("http://127.0.0.1:2",))
    with RemoteTransport("http://127.0.0.1:1", drawn) as several:
        assert open_drain(several, BucketRef("b")) is None
