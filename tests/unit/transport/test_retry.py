"""When requests are repeated and where redirects lead: options, waits, deadlines, tokens."""

import io
import socket
import threading
import time
from collections.abc import Iterator
from email.utils import formatdate
from pathlib import Path

import pytest
from tests.unit.transport.peer import Peer, ok

from aiscore.errors import (
    AisError,
    BusyError,
    ConnectError,
    InvalidArgumentError,
    ProtocolError,
    ThrottledError,
    TransportError,
    UnavailableError,
    UnsupportedError,
)
from aiscore.transport.body import payload_of
from aiscore.transport.control import ControlClient
from aiscore.transport.endpoint import Endpoint
from aiscore.transport.options import ConnectionOptions
from aiscore.transport.redirect import next_place
from aiscore.transport.retry import BACKOFF_MAX_S, RETRY_AFTER_MAX_S, Attempts, retry_after
from aiscore.transport.session import Call, Session, query_text

QUICK = ConnectionOptions(backoff_s=0.01, read_timeout_s=2, token="s3cret")


class Clock:
    """Time that passes only while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 100.0
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    def __call__(self) -> float:
        return self.now


def attempts(clock: Clock, **options: float) -> Attempts:
    return Attempts(
        ConnectionOptions(**options),  # type: ignore[arg-type]
        sleep=clock.sleep,
        clock=clock,
        uniform=lambda low, high: high,
    )


def failures(tries: Attempts, error: AisError, after_s: float = 0.0) -> int:
    """How often it is tried again."""
    for count in range(1000):
        try:
            tries.wait(error, after_s)
        except type(error):
            return count
    raise AssertionError("it never ends")


class TestAttempts:
    def test_waits_double_up_to_a_limit(self) -> None:
        clock = Clock()
        assert failures(attempts(clock, retries=6, deadline_s=0), UnavailableError("x")) == 6
        assert clock.slept == [3, 6, 12, 24, BACKOFF_MAX_S, BACKOFF_MAX_S]

    def test_broken_connections_are_tried_sooner(self) -> None:
        clock = Clock()
        assert failures(attempts(clock, retries=3), ProtocolError("x")) == 3
        assert clock.slept == [0.1, 0.2, 0.4]

    def test_deadline_ends_it(self) -> None:
        clock = Clock()
        assert failures(attempts(clock, retries=50, deadline_s=20), ThrottledError("x")) == 2
        assert sum(clock.slept) <= 20

    def test_progress_gives_all_tries_again(self) -> None:
        clock = Clock()
        tries = attempts(clock, retries=2, deadline_s=10)
        for _ in range(20):
            tries.wait(ProtocolError("x"))
            tries.wait(ProtocolError("x"))
            assert tries.failures == 2
            tries.progressed()
        assert failures(tries, ProtocolError("x")) == 2

    def test_what_cannot_help_is_not_waited_for(self) -> None:
        clock = Clock()
        assert failures(attempts(clock), InvalidArgumentError("x")) == 0
        assert failures(attempts(clock, retries=0), ProtocolError("x")) == 0
        assert clock.slept == []

    def test_server_may_ask_for_more_but_not_for_any(self) -> None:
        clock = Clock()
        assert failures(attempts(clock, retries=1), ThrottledError("x"), 7.0) == 1
        assert clock.slept == [10.0]
        assert failures(attempts(clock), ThrottledError("x"), RETRY_AFTER_MAX_S + 1) == 0

    def test_waits_are_random_from_nothing_to_the_limit(self) -> None:
        clock = Clock()
        for _ in range(200):
            tries = Attempts(ConnectionOptions(), sleep=clock.sleep, clock=clock)
            tries.wait(UnavailableError("x"))
        assert min(clock.slept) < 0.5
        assert 2.5 < max(clock.slept) <= 3

    @pytest.mark.parametrize(
        ("value", "seconds"),
        [(None, 0), ("", 0), ("0", 0), (" 12 ", 12), ("soon", 0), ("-5", 0), ("1e9", 0)],
    )
    def test_retry_after(self, value: str | None, seconds: float) -> None:
        assert retry_after(value) == seconds

    def test_retry_after_a_date(self) -> None:
        assert 50 < retry_after(formatdate(time.time() + 60, usegmt=True)) <= 60
        assert retry_after("Wed, 21 Oct 2015 07:28:00 GMT") == 0


BROKEN = b"HTTP/1.1 200 OK\r\nContent-Le"
BUSY = (
    b'HTTP/1.1 409 Conflict\r\nContent-Length: 40\r\n\r\n{"tcode":"ErrBusy","message":"busy now"}\n'
)
THROTTLED = b"HTTP/1.1 429 Too Many\r\nContent-Length: 0\r\n\r\n"
STARTING = b"HTTP/1.1 503 Unavailable\r\nContent-Length: 0\r\n\r\n"
OFF = b'HTTP/1.1 503 Unavailable\r\nContent-Length: 24\r\n\r\n{"message":"disk is off"}'[:-1] + b"}"
ASKED = b"HTTP/1.1 503 Unavailable\r\nRetry-After: 0\r\nContent-Length: 0\r\n\r\n"
MISSING = (
    b'HTTP/1.1 404 Not Found\r\nContent-Length: 36\r\n\r\n{"message":"ais://b/o does not exist"}'
)


def tries(first: bytes, call: Call) -> tuple[int, AisError | None]:
    """How often a call is sent when the first answer is this one and the next are good, and its error."""
    with Peer() as peer, Session(peer.url, QUICK) as session:
        warm = ok(b"", b"Connection: close\r\n")
        peer._scripts = [peer.answers(warm), peer.answers(first), peer.answers(ok(b"good"))]
        session.call(Call("GET", "/warm"))
        try:
            session.call(call)
        except AisError as exc:
            return len(peer.heads) - 1, exc
        return len(peer.heads) - 1, None


def stream() -> Iterator[bytes]:
    yield bytes(2_000_000)


class TestWhatIsRepeated:
    @pytest.mark.parametrize("first", [BROKEN, THROTTLED, STARTING, ASKED, BUSY])
    def test_get_is(self, first: bytes) -> None:
        assert tries(first, Call("GET", "/")) == (2, None)

    @pytest.mark.parametrize("first", [BROKEN, THROTTLED, STARTING, ASKED])
    @pytest.mark.parametrize("body", [b"bytes", io.BytesIO(b"x" * 2_000_000)])
    def test_put_with_a_body_that_can_begin_again_is(self, first: bytes, body: bytes) -> None:
        call = Call("PUT", "/", (), payload_of(body, None, "c"))
        assert tries(first, call) == (2, None)

    @pytest.mark.parametrize("first", [BROKEN, STARTING, BUSY])
    def test_what_may_happen_once_is_not(self, first: bytes) -> None:
        call = Call("POST", "/", (), payload_of(b"{}", None, "c"), is_safe=False)
        count, error = tries(first, call)
        assert (count, error is None) == (1, False)

    def test_refused_before_anything_was_done_is(self) -> None:
        call = Call("POST", "/", (), payload_of(b"{}", None, "c"), is_safe=False)
        assert tries(THROTTLED, call) == (2, None)

    @pytest.mark.parametrize("first", [BROKEN, THROTTLED, STARTING])
    def test_stream_is_not(self, first: bytes) -> None:
        count, error = tries(first, Call("PUT", "/", (), payload_of(stream(), None, "c")))
        assert (count, error is None) == (1, False)

    def test_error_that_stays_is_not(self) -> None:
        assert tries(MISSING, Call("GET", "/"))[0] == 1
        count, error = tries(OFF, Call("GET", "/"))
        assert (count, type(error)) == (1, UnavailableError)

    def test_busy_is_for_reads_only(self) -> None:
        count, error = tries(BUSY, Call("DELETE", "/"))
        assert (count, type(error)) == (1, BusyError)

    def test_endpoint_that_never_answered_is_told_at_once(self) -> None:
        with (
            Session("http://127.0.0.1:1", ConnectionOptions()) as session,
            pytest.raises(ConnectError),
        ):
            session.call(Call("POST", "/", is_safe=False))

    def test_server_that_is_away_for_a_moment_is_waited_for(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as first:
            port = first.getsockname()[1]
            first.settimeout(5)
            with Session(
                f"http://127.0.0.1:{port}", ConnectionOptions(read_timeout_s=5)
            ) as session:

                def once() -> None:
                    connection, _ = first.accept()
                    with connection:
                        connection.recv(1000)
                        connection.sendall(ok(b"", b"Connection: close\r\n"))

                thread = threading.Thread(target=once)
                thread.start()
                session.call(Call("GET", "/"))
                thread.join(5)
                first.close()
                back: list[socket.socket] = []

                def come_back() -> None:
                    back.append(socket.create_server(("127.0.0.1", port)))
                    connection, _ = back[0].accept()
                    with connection:
                        connection.recv(1000)
                        connection.sendall(ok(b"back", b"Connection: close\r\n"))

                timer = threading.Timer(0.15, come_back)
                timer.start()
                # Nothing was sent to a server that is not there, so even this may be repeated.
                assert session.call(Call("POST", "/", is_safe=False)).body == b"back"
                timer.join(5)
                back[0].close()


def moved(location: str, status: int = 307) -> bytes:
    return f"HTTP/1.1 {status} X\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n".encode()


class TestRedirects:
    @pytest.mark.parametrize("status", [301, 307, 308])
    @pytest.mark.parametrize("size", [0, 10, 500_000])
    def test_method_headers_and_body_are_kept(self, status: int, size: int) -> None:
        with Peer() as target, Peer() as proxy, Session(proxy.url, QUICK) as session:
            bodies: list[bytes] = []

            def take(connection: socket.socket) -> None:
                bodies.append(target.request(connection))
                connection.sendall(ok(b"stored"))

            target._scripts = [take]
            place = f"{target.url}/v1/objects/b/o?pid=p&utm=1"
            proxy._scripts = [proxy.answers(moved(place, status))]
            call = Call("PUT", "/v1/objects/b/o", (("X", "y"),), payload_of(bytes(size), None, "c"))
            assert session.call(call).body == b"stored"
            assert bodies[0].startswith(b"PUT /v1/objects/b/o?pid=p&utm=1 HTTP/1.1\r\n")
            assert b"\r\nX: y\r\n" in bodies[0]
            assert bodies[0].endswith(b"\r\n\r\n" + bytes(size))

    def test_token_goes_to_the_endpoint_only(self) -> None:
        with Peer() as target, Peer() as proxy, Session(proxy.url, QUICK) as session:
            target._scripts = [target.answers(ok(b"x"))]
            proxy._scripts = [
                proxy.answers(moved("/here"), moved(f"{target.url}/there")),
            ]
            session.call(Call("GET", "/"))
            assert all(b"Authorization: Bearer s3cret" in head for head in proxy.heads)
            assert len(proxy.heads) == 2
            assert b"authorization" not in target.heads[0].lower()

    def test_control_calls_follow_the_same_rules(self) -> None:
        with Peer() as target, Peer() as proxy, Session(proxy.url, QUICK) as session:
            target._scripts = [target.answers(ok(b"x"))]
            proxy._scripts = [proxy.answers(moved(f"{target.url}/there", 301))]
            control = ControlClient(session)
            assert control.call("POST", "/v1/buckets/b", b'{"action":"x"}').body == b"x"
            control.close()
            assert b"authorization: bearer s3cret" in proxy.heads[0].lower()
            assert b"authorization" not in target.heads[0].lower()
            assert target.heads[0].startswith(b"POST /there")

    def test_circle_is_refused(self) -> None:
        with Peer() as peer, Session(peer.url, QUICK) as session:
            peer._scripts = [peer.answers(*[moved("/a"), moved("/b")] * 20)]
            with pytest.raises(ProtocolError, match="circles"):
                session.call(Call("GET", "/a"))
            assert len(peer.heads) <= 2

    def test_endless_way_is_refused(self) -> None:
        with Peer() as peer, Session(peer.url, QUICK) as session:
            peer._scripts = [peer.answers(*[moved(f"/{i}") for i in range(50)])]
            with pytest.raises(ProtocolError, match="circles"):
                session.call(Call("GET", "/"))
            assert len(peer.heads) <= 7

    def test_stream_is_not_used_up_by_a_server_that_redirects(self) -> None:
        with Peer() as target, Peer() as proxy, Session(proxy.url, QUICK) as session:

            def take(connection: socket.socket) -> None:
                connection.recv(10_000)
                connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
                data = b""
                while not data.endswith(b"0\r\n\r\n"):
                    data += connection.recv(65536)
                connection.sendall(ok(b"stored"))

            def refer(connection: socket.socket) -> None:
                connection.recv(10_000)
                connection.sendall(moved(f"{target.url}/x"))

            target._scripts, proxy._scripts = [take], [refer]
            call = Call("PUT", "/", (), payload_of(stream(), None, "c"))
            assert session.call(call).body == b"stored"

    def test_upload_that_cannot_begin_again_is_refused_by_name(self) -> None:
        with Peer() as peer, Session(peer.url, QUICK) as session:

            def late(connection: socket.socket) -> None:
                # No answer to Expect, so the body comes; and only then the redirect.
                while b"0\r\n\r\n" not in connection.recv(65536)[-5:]:
                    pass
                connection.sendall(moved("/elsewhere"))

            peer._scripts = [late]
            with pytest.raises(UnsupportedError, match="body cannot begin again"):
                session.call(Call("PUT", "/", (), payload_of(stream(), None, "c")))

    @pytest.mark.parametrize(
        "location",
        ["", "nowhere", "//host/x", "http://", "ftp://host/x", "/a b", "/a\tb", "http://h:99999/"],
    )
    def test_nonsense_is_refused(self, location: str) -> None:
        with pytest.raises(ProtocolError, match="nowhere"):
            next_place(Endpoint("h", 80, is_tls=False), location)

    def test_encryption_is_not_left(self) -> None:
        with pytest.raises(ProtocolError, match="not encrypted"):
            next_place(Endpoint("h", 443, is_tls=True), "http://h:80/x")
        assert next_place(Endpoint("h", 80, is_tls=False), "https://h/x")[0].is_tls


class TestOptions:
    def test_environment(self, tmp_path: Path) -> None:
        token = tmp_path / "token"
        token.write_text('{"token": "from.file"}')
        options = ConnectionOptions.from_environ(
            {
                "AIS_CLIENT_CA": "ca.pem",
                "AIS_CRT": "crt.pem",
                "AIS_CRT_KEY": "key.pem",
                "AIS_SKIP_VERIFY_CRT": "Yes",
                "AIS_CONNECT_TIMEOUT": "1.5",
                "AIS_READ_TIMEOUT": "0",
                "AIS_MAX_CONN_POOL": "3",
                "AIS_AUTHN_TOKEN_FILE": str(token),
            }
        )
        assert (options.ca_file, options.cert_file, options.key_file) == (
            "ca.pem",
            "crt.pem",
            "key.pem",
        )
        assert (options.verify, options.connect_timeout_s, options.read_timeout_s) == (
            False,
            1.5,
            0,
        )
        assert (options.pool_size, options.token) == (3, "from.file")
        assert "from.file" not in repr(options)
        assert ConnectionOptions.from_environ({}) == ConnectionOptions()
        assert ConnectionOptions.from_environ({"AIS_AUTHN_TOKEN": "x"}).token == "x"

    def test_defaults(self) -> None:
        options = ConnectionOptions()
        assert (options.retries, options.backoff_s, options.pool_size) == (5, 3.0, 10)
        assert (options.connect_timeout_s, options.read_timeout_s) == (3.0, 20.0)

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("AIS_CONNECT_TIMEOUT", "soon"),
            ("AIS_READ_TIMEOUT", "-1"),
            ("AIS_READ_TIMEOUT", "nan"),
            ("AIS_MAX_CONN_POOL", "0"),
            ("AIS_MAX_CONN_POOL", "many"),
            ("AIS_SKIP_VERIFY", "perhaps"),
            ("AIS_CRT_KEY", "key.pem"),
            ("AIS_AUTHN_TOKEN", "two words"),
            ("AIS_AUTHN_TOKEN", "line\nbreak"),
            ("AIS_AUTHN_TOKEN_FILE", "/no/such/file"),
        ],
    )
    def test_bad_value_is_refused(self, name: str, value: str) -> None:
        with pytest.raises(InvalidArgumentError):
            ConnectionOptions.from_environ({name: value})

    @pytest.mark.parametrize(
        ("url", "shown"),
        [
            ("http://host", "http://host:80"),
            ("HTTPS://Host/", "https://host:443"),
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
            ("http://[::1]:51080", "http://[::1]:51080"),
        ],
    )
    def test_endpoint(self, url: str, shown: str) -> None:
        assert Endpoint.parse(url).url == shown

    @pytest.mark.parametrize(
        "url",
        [
            "http://",
            "http://host:0",
            "http://host:70000",
            "http://host/path",
            "http://host?x=1",
            "http://user@host",
            "http://ho st",
            "http://host:80x",
            "http://host\r\nX: y",
            "host:80",
        ],
    )
    def test_what_is_no_endpoint(self, url: str) -> None:
        with pytest.raises(InvalidArgumentError, match="invalid endpoint"):
            Endpoint.parse(url)

    def test_header_cannot_be_broken_out_of(self) -> None:
        with Session("http://127.0.0.1:1", QUICK) as session:
            for value in ("a\r\nX: y", "a\nb", "a\0b", "\ud800"):
                with pytest.raises(InvalidArgumentError, match="invalid header"):
                    session.call(Call("GET", "/", (("A", value),)))

    def test_query_is_encoded(self) -> None:
        assert query_text({}) == ""
        assert query_text({"a": "1", "b": "x y&=#/?%é"}) == "?a=1&b=x%20y%26%3D%23%2F%3F%25%C3%A9"

    def test_missing_files_are_named(self, tmp_path: Path) -> None:
        empty = tmp_path / "empty.pem"
        empty.write_text("")
        for options in (
            ConnectionOptions(ca_file="/no/ca.pem"),
            ConnectionOptions(cert_file=str(empty)),
        ):
            with (
                Session("https://127.0.0.1:1", options) as session,
                pytest.raises(InvalidArgumentError, match=r"\.pem"),
            ):
                session.call(Call("GET", "/"))


def test_errors_of_the_transport_have_no_status() -> None:
    assert TransportError("x").status == 0
