"""The lean client against a peer that says exactly what it is told."""

import io
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.unit.transport.peer import Peer, abort, ok

from aiscore.errors import (
    CapacityExceededError,
    ConnectError,
    InvalidArgumentError,
    ProtocolError,
    TransportError,
    TransportTimeoutError,
)
from aiscore.model.stream import Body
from aiscore.transport.answer import HEAD_MAX, Response
from aiscore.transport.body import COLLECT_MAX, NO_BODY, Payload, payload_of
from aiscore.transport.lean import StaleConnectionError
from aiscore.transport.options import ConnectionOptions
from aiscore.transport.pool import Pool
from aiscore.transport.session import Call, Session

OPTIONS = ConnectionOptions(read_timeout_s=0.5, connect_timeout_s=2, backoff_s=0.01)
GET = b"GET / HTTP/1.1\r\nHost: x\r\n"
PUT = b"PUT / HTTP/1.1\r\nHost: x\r\n"


_pools: list[Pool] = []
_sessions: list[Session] = []


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    yield
    while _pools:
        _pools.pop().close()
    while _sessions:
        _sessions.pop().close()


def pool_of(peer: Peer, options: ConnectionOptions = OPTIONS) -> Pool:
    _pools.append(Pool(peer.endpoint, options, None))
    return _pools[-1]


def session_of(url: str, options: ConnectionOptions = OPTIONS) -> Session:
    _sessions.append(Session(url, options))
    return _sessions[-1]


def get(pool: Pool) -> Response:
    return pool.request("GET", GET)


def one(answer: bytes) -> bytes:
    """What a client reads of one answer; the peer closes after it."""
    with Peer() as peer:
        peer._scripts = [peer.answers(answer)]
        return get(pool_of(peer)).read_all()


class TestAnswers:
    def test_length(self) -> None:
        assert one(ok(b"content")) == b"content"
        assert one(ok(b"")) == b""

    @pytest.mark.parametrize("size", [1, 65_000, 65_536, 70_000, 3_000_000])
    def test_sizes_around_the_buffer(self, size: int) -> None:
        data = os.urandom(size)
        assert one(ok(data)) == data

    def test_chunks(self) -> None:
        head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        assert one(head + b"5\r\nhello\r\nA;x=1\r\n, worlds!!\r\n0\r\nTrailer: x\r\n\r\n") == (
            b"hello, worlds!!"
        )
        assert one(head + b"0\r\n\r\n") == b""
        big = os.urandom(300_000)
        assert one(head + b"493E0\r\n" + big + b"\r\n0\r\n\r\n") == big

    def test_answer_byte_by_byte(self) -> None:
        answer = (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
        )

        with Peer() as peer:

            def drip(connection: socket.socket) -> None:
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                peer.request(connection)
                for byte in answer:
                    connection.sendall(bytes([byte]))
                    time.sleep(
                        0.001
                    )  # the reader must see each alone, not as many as have gathered

            peer._scripts = [drip]
            assert get(pool_of(peer)).read_all() == b"abcde"

    def test_head_has_no_body(self) -> None:
        with Peer() as peer:
            answer = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\nETag: x\r\n\r\n"
            peer._scripts = [peer.answers(answer, answer)]
            pool = pool_of(peer)
            for _ in range(2):
                response = pool.request("HEAD", b"HEAD / HTTP/1.1\r\nHost: x\r\n")
                assert response.header("Content-Length") == "1000"
                assert response.read_all() == b""
            assert peer.connections == 1

    @pytest.mark.parametrize("status", [204, 304])
    def test_statuses_without_body(self, status: int) -> None:
        with Peer() as peer:
            answer = b"HTTP/1.1 %d X\r\nContent-Length: 5\r\n\r\n" % status
            peer._scripts = [peer.answers(answer, ok(b"next"))]
            pool = pool_of(peer)
            assert get(pool).read_all() == b""
            assert get(pool).read_all() == b"next"
            assert peer.connections == 1

    def test_interim_answers_are_skipped(self) -> None:
        early = b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n"
        assert one(early + ok(b"content")) == b"content"

    def test_headers_repeat_and_are_text(self) -> None:
        with Peer() as peer:
            headers = "Ais-Custom-Md: a=ü\r\nais-custom-md: b=2\r\nX: \xff\r\n".encode("latin-1")
            headers = headers.replace(b"\xfc", "ü".encode())
            peer._scripts = [peer.answers(ok(b"", headers))]
            response = get(pool_of(peer))
        assert response.header_all("Ais-Custom-Md") == ["a=ü", "b=2"]
        assert response.headers["ais-custom-md"] == "a=ü"
        assert response.header("X-Missing") is None
        assert (response.header("x") or "").encode("utf-8", "surrogateescape") == b"\xff"

    @pytest.mark.parametrize(
        "answer",
        [
            b"SSH-2.0-OpenSSH_9.2\r\n",
            b"\x15\x03\x03\x00\x02\x02\x28",
            b"HTTP/1.1 abc OK\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 5x\r\n\r\nhello",
            b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n 7\r\n\r\nhello",
            b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
            b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
            b"HTTP/1.1 200 OK\r\n\r\nno length",
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nX: " + b"x" * HEAD_MAX + b"\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\nhello\r\n0\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhelloX\r\n0\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1" * 300 + b"\r\n",
            b"HTTP/1.1 103 Hints\r\n\r\n" * 50,
        ],
        ids=lambda answer: repr(answer[:60]),
    )
    def test_what_is_no_answer_is_refused_for_good(self, answer: bytes) -> None:
        with Peer() as peer:
            peer._scripts = [peer.answers(answer)]
            with pytest.raises(ProtocolError) as info:
                get(pool_of(peer)).read_all()
            assert not info.value.retryable
            # Nobody asks again: it would be the same.
            with pytest.raises(ProtocolError), session_of(peer.url).open(Call("GET", "/")) as r:
                r.read_all()
            assert peer.connections == 2

    @pytest.mark.parametrize(
        "answer",
        [
            b"",
            b"HTTP/1.1 200 O",
            b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r",
            ok(b"hello")[:-1],
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n",
        ],
    )
    def test_cut_answer_is_never_a_whole_one(self, answer: bytes) -> None:
        with pytest.raises(ProtocolError) as info:
            one(answer)
        assert info.value.retryable

    def test_error_without_length_ends_with_the_connection(self) -> None:
        with Peer() as peer:
            peer._scripts = [peer.answers(b"HTTP/1.0 404 Not Found\r\n\r\nwhere?")]
            response = get(pool_of(peer))
            assert (response.status, response.read_all()) == (404, b"where?")

    def test_silence_times_out(self) -> None:
        for part in (b"", b"HTTP/1.1 200 OK\r\n", ok(b"hello")[:-2]):
            with Peer() as peer:
                gate = threading.Event()

                def stall(
                    connection: socket.socket,
                    part: bytes = part,
                    gate: threading.Event = gate,
                    peer: Peer = peer,
                ) -> None:
                    peer.request(connection)
                    connection.sendall(part)
                    gate.wait(3)

                peer._scripts = [stall]
                with pytest.raises(TransportTimeoutError, match=r"0\.5 s"):
                    get(pool_of(peer)).read_all()
                gate.set()


class TestKeepAlive:
    @pytest.mark.parametrize("status", [200, 206, 307, 404, 503])
    def test_connection_stays_whatever_the_answer(self, status: int) -> None:
        for framing in (
            b"Content-Length: 0\r\n\r\n",
            b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        ):
            with Peer() as peer:
                peer._scripts = [peer.answers(*[b"HTTP/1.1 %d X\r\n" % status + framing] * 3)]
                pool = pool_of(peer)
                for _ in range(3):
                    assert get(pool).read_all() == b""
                assert peer.connections == 1

    def test_connection_is_used_again(self) -> None:
        with Peer() as peer:
            peer._scripts = [peer.answers(*[ok(b"x" * i) for i in range(20)])]
            pool = pool_of(peer)
            for i in range(20):
                assert get(pool).read_all() == b"x" * i
            assert peer.connections == 1

    def test_close_is_obeyed(self) -> None:
        with Peer() as peer:
            peer._scripts = [peer.answers(ok(b"x", b"Connection: close\r\n"), ok(b"never"))]
            pool = pool_of(peer)
            assert get(pool).read_all() == b"x"
            assert get(pool).read_all() == b"x"
            assert peer.connections == 2

    def test_unread_answer_is_not_mixed_with_the_next(self) -> None:
        with Peer() as peer:
            peer._scripts = [peer.answers(ok(b"a" * 500_000)), peer.answers(ok(b"b"))]
            pool = pool_of(peer)
            with get(pool) as response:
                assert response.read(10) == b"a" * 10
            assert get(pool).read_all() == b"b"

    def test_answer_to_nobody_is_not_taken_for_the_next(self) -> None:
        with Peer() as peer:
            peer._scripts = [peer.answers(ok(b"a") + ok(b"evil")), peer.answers(ok(b"b"))]
            pool = pool_of(peer)
            assert get(pool).read_all() == b"a"
            connection = pool._idle[-1]
            assert not connection.is_alive()
            connection.used_at -= 100
            assert get(pool).read_all() == b"b"

    def test_stale_connection_is_replaced_unseen(self) -> None:
        with Peer() as peer:
            peer._scripts = [peer.answers(ok(b"x"))]  # closes after one answer
            pool = pool_of(peer)
            for _ in range(5):
                assert get(pool).read_all() == b"x"
            assert peer.connections == 5

    def test_stale_connection_is_not_risked_for_what_may_happen_once(self) -> None:
        with Peer() as peer:
            closed = threading.Event()

            def script(connection: socket.socket) -> None:
                peer.request(connection)
                connection.sendall(ok(b"x"))
                connection.shutdown(socket.SHUT_WR)
                closed.set()

            peer._scripts = [script]
            pool = pool_of(peer)
            for i in range(3):
                closed.clear()
                response = pool.request(
                    "POST",
                    b"POST / HTTP/1.1\r\nHost: x\r\n",
                    payload_of(b"b", 1, "c"),
                    is_safe=False,
                )
                assert response.read_all() == b"x"
                assert closed.wait(5)
                assert peer.connections == i + 1

    def test_unsafe_request_is_not_repeated_after_a_break(self) -> None:
        with Peer() as peer:

            def script(connection: socket.socket) -> None:
                peer.request(connection)
                connection.sendall(ok(b"x"))
                peer.request(connection)  # and no answer

            peer._scripts = [script]
            pool = pool_of(peer)
            head = b"POST / HTTP/1.1\r\nHost: x\r\n"
            pool.request("POST", head, NO_BODY, is_safe=False).read_all()
            with pytest.raises(StaleConnectionError):
                pool.request("POST", head, NO_BODY, is_safe=False)
            assert peer.connections == 1
            assert len(peer.heads) == 2

    def test_pool_keeps_no_more_than_it_may(self) -> None:
        with Peer() as peer:
            peer._scripts = [peer.answers(*[ok(b"x" * 100_000)] * 5)]
            pool = pool_of(peer, ConnectionOptions(pool_size=2, read_timeout_s=2))
            responses = [get(pool) for _ in range(6)]
            assert {response.read_all() for response in responses} == {b"x" * 100_000}
            assert len(pool._idle) == 2
            pool.close()
            assert len(pool._idle) == 0
            with pytest.raises(Exception, match="closed"):
                get(pool)

    def test_threads_share_a_pool(self) -> None:
        with Peer() as peer:

            def echo(connection: socket.socket) -> None:
                while request := peer.request(connection):
                    connection.sendall(ok(request.split(b" ")[1]))

            peer._scripts = [echo]
            pool = pool_of(peer)
            wrong: list[object] = []

            def run(number: int) -> None:
                for i in range(200):
                    path = b"/%d/%d" % (number, i)
                    head = b"GET %b HTTP/1.1\r\nHost: x\r\n" % path
                    if pool.request("GET", head).read_all() != path:
                        wrong.append(path)

            threads = [threading.Thread(target=run, args=(n,)) for n in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(30)
            assert not wrong
            assert peer.connections <= 8

    def test_forked_child_opens_its_own(self) -> None:
        with Peer() as peer:
            peer._scripts = [peer.answers(*[ok(b"x" * 100_000)] * 4)]
            pool = pool_of(peer)
            get(pool).read_all()
            response = get(pool)
            assert len(response.read(10)) == 10
            read, write = os.pipe()
            child = os.fork()
            if not child:
                try:
                    mine = get(pool).read_all()  # not over the parent's connection
                    try:
                        response.read_all()
                        outcome = b"shared"
                    except ProtocolError as exc:
                        outcome = b"refused" if "forked" in exc.message else b"other"
                    os.write(write, outcome if len(mine) == 100_000 else b"wrong")
                finally:
                    os._exit(0)
            os.close(write)
            with os.fdopen(read, "rb") as pipe:
                assert pipe.read() == b"refused"
            os.waitpid(child, 0)
            assert len(response.read_all()) == 99_990
            assert get(pool).read_all() == b"x" * 100_000
            assert peer.connections == 2


def blocks(data: bytes, size: int) -> Iterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


BODIES: dict[str, Callable[[bytes], Body]] = {
    "small": bytes,
    "view": memoryview,
    "file": io.BytesIO,
    "stream": lambda data: blocks(data, 1000),
    "large blocks": lambda data: blocks(data, 200_000),
}


class TestBodies:
    @pytest.mark.parametrize("kind", BODIES)
    @pytest.mark.parametrize("size", [0, 1, 5000, COLLECT_MAX, COLLECT_MAX + 1, 3_000_000])
    @pytest.mark.parametrize("tells_size", [True, False])
    def test_body_arrives(self, kind: str, size: int, tells_size: bool) -> None:
        data = os.urandom(size)
        with Peer() as peer:
            got: list[bytes] = []

            def script(connection: socket.socket) -> None:
                got.append(peer.request(connection))
                connection.sendall(ok(b"stored"))

            peer._scripts = [script]
            payload = payload_of(BODIES[kind](data), size if tells_size else None, "ais://b/o")
            response = pool_of(peer).request("PUT", PUT, payload)
            assert response.read_all() == b"stored"
        head, _, body = got[0].partition(b"\r\n\r\n")
        if b"chunked" in head:
            assert not tells_size
            body = unchunked(body)
        else:
            assert b"Content-Length: %d" % size in head
        assert body == data

    @pytest.mark.parametrize("wrong", [-1, 1])
    @pytest.mark.parametrize("kind", BODIES)
    @pytest.mark.parametrize("size", [10, 3_000_000])
    def test_wrong_size_is_an_error_of_the_caller(self, kind: str, size: int, wrong: int) -> None:
        with Peer() as peer:
            peer._scripts = [peer.answers(ok(b"stored"))]
            pool, body = pool_of(peer), BODIES[kind](bytes(size))
            with pytest.raises(InvalidArgumentError, match="ais://b/o"):
                pool.request("PUT", PUT, payload_of(body, size + wrong, "ais://b/o")).read_all()

    def test_failure_of_the_body_comes_through(self) -> None:
        def body() -> Iterator[bytes]:
            yield bytes(2_000_000)
            raise OSError(5, "disk of the caller")

        with Peer() as peer:
            peer._scripts = [peer.answers(ok(b"stored"))]
            with pytest.raises(OSError, match="disk of the caller"):
                pool_of(peer).request("PUT", PUT, payload_of(body(), None, "ais://b/o"))

    @pytest.mark.parametrize("how", ["close", "reset", "stay"])
    @pytest.mark.parametrize("kind", ["small", "file", "large blocks"])
    def test_refusal_in_the_middle_of_a_body_is_the_answer(self, how: str, kind: str) -> None:
        refusal = b"HTTP/1.1 507 Insufficient Storage\r\nContent-Length: 2\r\n\r\nno"
        with Peer() as peer:
            gate = threading.Event()

            def refuse(connection: socket.socket) -> None:
                connection.recv(1000)
                connection.sendall(refusal)
                if how == "reset":
                    # What was sent must have arrived before the abort overtakes it.
                    gate.wait(0.2)
                    abort(connection)
                elif how == "stay":
                    gate.wait(3)

            peer._scripts = [refuse]
            payload: Payload = payload_of(BODIES[kind](bytes(30_000_000)), None, "ais://b/o")
            pool = pool_of(peer, ConnectionOptions(read_timeout_s=5))
            response = pool.request("PUT", PUT, payload)
            assert (response.status, response.read_all()) == (507, b"no")
            assert len(pool._idle) == 0  # half a request is still in that connection
            gate.set()

    def test_server_that_takes_nothing_times_out(self) -> None:
        with Peer() as peer:
            gate = threading.Event()

            def sleep(_: socket.socket) -> None:
                gate.wait(3)

            peer._scripts = [sleep]
            with pytest.raises(TransportTimeoutError, match="took no data"):
                pool_of(peer).request("PUT", PUT, payload_of(bytes(30_000_000), None, "c"))
            gate.set()

    def test_stream_asks_before_it_is_used_up(self) -> None:
        started: list[bool] = []

        def body() -> Iterator[bytes]:
            for _ in range(30):
                started.append(True)
                yield bytes(100_000)

        with Peer() as peer:

            def refuse(connection: socket.socket) -> None:
                connection.recv(10_000)
                connection.sendall(b"HTTP/1.1 507 Full\r\nContent-Length: 4\r\n\r\nfull")

            def take(connection: socket.socket) -> None:
                connection.recv(10_000)
                connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
                data = b""
                while not data.endswith(b"0\r\n\r\n"):
                    data += connection.recv(65536)
                connection.sendall(ok(b"%d" % len(unchunked(data))))

            peer._scripts = [refuse, take]
            session = session_of(peer.url)
            payload = payload_of(body(), None, "c")
            with pytest.raises(CapacityExceededError):
                session.call(Call("PUT", "/", (), payload))
            assert len(started) <= 11  # no more than was collected to see its length
            assert (
                session.call(Call("PUT", "/", (), payload_of(body(), None, "c"))).body == b"3000000"
            )


class TestConnecting:
    def test_nobody_there(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        session = session_of(f"http://127.0.0.1:{port}")
        with pytest.raises(ConnectError, match=f"cannot reach http://127.0.0.1:{port}") as info:
            session.call(Call("GET", "/"))
        assert info.value.hint is not None

    def test_name_that_does_not_resolve(self) -> None:
        with pytest.raises(ConnectError, match=r"cannot reach http://no-such-host\.invalid:80"):
            session_of("http://no-such-host.invalid").call(Call("GET", "/"))

    def test_zero_is_no_limit(self) -> None:
        options = ConnectionOptions(connect_timeout_s=0, read_timeout_s=0, retries=0)
        silent, goes_on = threading.Event(), threading.Event()
        with Peer() as peer:

            def late(connection: socket.socket) -> None:
                peer.request(connection)
                silent.set()
                goes_on.wait(10)
                connection.sendall(ok(b"late"))

            peer._scripts = [late]
            with ThreadPoolExecutor(1) as pool:
                found = pool.submit(session_of(peer.url, options).call, Call("GET", "/"))
                assert silent.wait(10)
                with pytest.raises(TimeoutError):
                    found.result(0.1)
                goes_on.set()
                assert found.result(10).body == b"late"

    def test_tls_against_a_plain_server_and_the_reverse(self) -> None:
        with Peer() as peer:
            peer._scripts = [peer.answers(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")]
            with pytest.raises(ConnectError, match="TLS handshake"):
                session_of(peer.url.replace("http", "https")).call(Call("GET", "/"))

    def test_errors_are_told_apart(self) -> None:
        assert not issubclass(ConnectError, ProtocolError)
        assert not issubclass(TransportTimeoutError, ProtocolError)
        assert all(
            issubclass(cls, TransportError)
            for cls in (ConnectError, ProtocolError, TransportTimeoutError)
        )


def unchunked(data: bytes) -> bytes:
    out = b""
    while True:
        line, _, data = data.partition(b"\r\n")
        size = int(line, 16)
        if not size:
            return out
        out, data = out + data[:size], data[size + 2 :]
