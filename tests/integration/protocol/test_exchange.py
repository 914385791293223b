"""What well-behaved clients do, and HTTP promises them."""

import http.client
import shutil
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.integration.protocol.support import (
    ClosedError,
    Served,
    pattern,
    request,
    wait_for,
)

KIB, MIB = 1 << 10, 1 << 20


def test_requests_follow_one_another_on_one_connection(server: Served) -> None:
    with server.connect() as peer:
        for size in (0, 1, 255 * KIB, 256 * KIB, 300 * KIB, 2 * MIB):
            peer.send(request(f"/bytes?size={size}"))
            answer = peer.answer()
            assert (answer.status, answer.body) == (200, pattern(0, size))
            assert not answer.closes
            assert "date" in answer.headers


def test_pipelined_requests_are_answered_in_order(server: Served) -> None:
    with server.connect() as peer:
        sizes = [7 * n % 1000 for n in range(500)]
        peer.send(b"".join(request(f"/bytes?size={size}") for size in sizes))
        for size in sizes:
            assert peer.answer().body == pattern(0, size)


def test_pipelined_work_and_bodies_keep_their_order(server: Served) -> None:
    with server.connect() as peer:
        put = request("/echo", "PUT", "Content-Length: 3\r\n") + b"abc"
        peer.send(
            request("/work?s=0.05&say=one")
            + put
            + request("/source?size=600000")
            + request("/work?s=0&say=four")
            + put
        )
        found = [peer.answer().body for _ in range(5)]
        assert found == [b"one", b"abc", pattern(0, 600000), b"four", b"abc"]


def test_pipelining_into_slow_work_is_bounded(server: Served) -> None:
    with server.connect() as peer:
        peer.socket.settimeout(0.5)
        peer.send(request("/work?s=1&say=first"))
        with pytest.raises(
            TimeoutError
        ):  # the kernel keeps some megabytes, and the server little more
            peer.send(request("/bytes?size=0") * 1_000_000)
        assert server.counts.worked == 0


def test_a_request_may_come_byte_by_byte(server: Served) -> None:
    with server.connect() as peer:
        peer.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in b"\r\n" + request("/echo", "PUT", "Content-Length: 2\r\n") + b"xy":
            peer.send(bytes([byte]))
            time.sleep(0.001)
        assert peer.answer().body == b"xy"


@pytest.mark.parametrize("size", [0, 1, KIB, 64 * KIB, MIB, 5 * MIB + 1])
def test_a_body_of_any_size_arrives_whole(server: Served, size: int) -> None:
    with server.connect() as peer:
        data = b"".join(pattern(at, min(MIB, size - at)) for at in range(0, size, MIB))
        peer.send(request("/echo", "PUT", f"Content-Length: {size}\r\n") + data)
        assert peer.answer().body == data
        peer.send(request())
        assert peer.answer().status == 200


@pytest.mark.parametrize("chunk", [1, 7, 4096, 700_000])
def test_a_chunked_body_arrives_whole(server: Served, chunk: int) -> None:
    size = 50 if chunk == 1 else 3 * chunk + 5
    data = pattern(0, size)
    pieces = [data[at : at + chunk] for at in range(0, size, chunk)]
    encoded = b"".join(b"%X;ext=1\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
    with server.connect() as peer:
        head = request("/echo", "PUT", "Transfer-Encoding: chunked\r\n")
        peer.send(head + encoded + b"0\r\nTrailer: x\r\n\r\n" + request("/bytes?size=3"))
        assert peer.answer().body == data
        assert peer.answer().body == pattern(0, 3)


def test_a_sink_that_waits_is_not_overrun(server: Served) -> None:
    size = 6 * MIB
    data = b"".join(pattern(at, MIB) for at in range(0, size, MIB))
    with server.connect() as peer:
        peer.send(request("/echo?wait=1", "PUT", f"Content-Length: {size}\r\n") + data)
        assert peer.answer().body == data
        chunks = b"".join(
            b"%x\r\n%b\r\n" % (1000, data[at : at + 1000]) for at in range(0, 50000, 1000)
        )
        head = request("/echo?wait=1", "PUT", "Transfer-Encoding: chunked\r\n")
        peer.send(head + chunks + b"0\r\n\r\n" + request())
        assert peer.answer().body == data[:50000]
        assert peer.answer().status == 200


@pytest.mark.parametrize("announce", ["", "&announce=none"])
@pytest.mark.parametrize("size", [0, 1, 200_000, 256 * KIB, 3 * MIB + 17])
@pytest.mark.parametrize("block", [1000, 1 << 20])
def test_a_source_is_sent_whole(server: Served, size: int, block: int, announce: str) -> None:
    if block == 1000 and size > MIB:
        block = 10_000
    with server.connect() as peer:
        for _ in range(2):
            peer.send(request(f"/source?size={size}&block={block}{announce}"))
            answer = peer.answer()
            assert answer.body == b"".join(
                pattern(at, min(MIB, size - at)) for at in range(0, size, MIB)
            )
            assert ("content-length" in answer.headers) == (not announce)


def test_a_slow_reader_gets_everything_in_blocks_that_are_reused(server: Served) -> None:
    with server.connect(receive_buffer=4 * KIB) as peer:
        size = 2 * MIB
        peer.send(request(f"/source?size={size}&block=300000"))
        while len(peer.data) < 100_000:
            peer.data += peer.socket.recv(5000)
            time.sleep(0.002)
        assert peer.answer().body == b"".join(pattern(at, MIB) for at in range(0, size, MIB))


def test_head_has_the_length_and_no_body(server: Served) -> None:
    with server.connect() as peer:
        for target, length in (
            ("/bytes?size=70000", "70000"),
            ("/source?size=5000000", "5000000"),
            ("/status?is=200&n=123", "123"),
            ("/work", "4"),
        ):
            peer.send(request(target, "HEAD"))
            assert peer.answer("HEAD").headers["content-length"] == length
        peer.send(request("/source?size=9&announce=none", "HEAD"))
        assert "content-length" not in peer.answer("HEAD").headers
        peer.send(request())
        assert peer.answer().body == pattern(0, 5)


@pytest.mark.parametrize("status", [204, 304])
def test_bodyless_statuses_have_no_body(server: Served, status: int) -> None:
    with server.connect() as peer:
        peer.send(request(f"/status?is={status}") + request())
        answer = peer.answer()
        assert answer.status == status
        assert "transfer-encoding" not in answer.headers
        if status == 204:
            assert "content-length" not in answer.headers
        assert peer.answer().body == pattern(0, 5)


def test_expecting_clients_are_told_to_go_on(server: Served) -> None:
    with server.connect() as peer:
        peer.send(request("/echo", "PUT", "Content-Length: 5\r\nExpect: 100-continue\r\n"))
        assert peer.answer().status == 100
        peer.send(b"hello")
        assert peer.answer().body == b"hello"
        peer.send(request())
        assert peer.answer().status == 200


@pytest.mark.parametrize("size", [5, 5_000_000])
def test_expecting_clients_are_refused_before_they_send(server: Served, size: int) -> None:
    with server.connect() as peer:
        head = f"Content-Length: {size}\r\nExpect: 100-continue\r\n"
        peer.send(request("/nope", "PUT", head))
        answer = peer.answer()
        assert answer.status == 404
        assert answer.closes
        assert peer.is_closed()


def test_unknown_expectations_are_refused(server: Served) -> None:
    assert server.ask(request(headers="Expect: wonders\r\n")).status == 417


def test_connection_close_is_kept(server: Served) -> None:
    with server.connect() as peer:
        peer.send(request(headers="Connection: close\r\n"))
        assert peer.answer().closes
        assert peer.is_closed()


def test_http_1_0(server: Served) -> None:
    with server.connect() as peer:
        peer.send(b"GET /bytes?size=3 HTTP/1.0\r\n\r\n")
        assert peer.answer().body == pattern(0, 3)
        assert peer.is_closed()
    with server.connect() as peer:
        peer.send(b"GET /bytes HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        assert peer.answer().headers["connection"] == "keep-alive"
        peer.send(
            b"GET /source?size=500000&announce=none HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
        )
        answer = peer.answer()
        assert "transfer-encoding" not in answer.headers
        assert answer.body == pattern(0, 500000)  # the end of the connection is its end


def test_a_client_that_closes_its_half_is_answered(server: Served) -> None:
    with server.connect() as peer:
        peer.send(request("/work?s=0.1&say=late") + request("/source?size=700000") + request())
        peer.socket.shutdown(socket.SHUT_WR)
        assert peer.answer().body == b"late"
        assert peer.answer().body == pattern(0, 700000)
        assert peer.answer().body == pattern(0, 5)
        assert peer.is_closed()


def test_an_unwanted_body_is_skipped(server: Served) -> None:
    with server.connect() as peer:
        peer.send(request("/bytes", "PUT", "Content-Length: 200000\r\n") + bytes(200_000))
        assert not peer.answer().closes
        peer.send(
            request("/bytes", "PUT", "Transfer-Encoding: chunked\r\n") + b"3\r\nabc\r\n0\r\n\r\n"
        )
        assert not peer.answer().closes
        peer.send(request("/work?s=0.05", "PUT", "Content-Length: 5\r\n") + b"hello" + request())
        assert peer.answer().body == b"done"
        assert peer.answer().body == pattern(0, 5)


def test_the_answer_comes_before_the_unwanted_body(server: Served) -> None:
    with server.connect() as peer:
        peer.send(request("/bytes", "PUT", "Content-Length: 50\r\n"))
        assert peer.answer().status == 200
        peer.send(bytes(50) + request("/bytes?size=1"))
        assert peer.answer().body == b"\0"


def test_a_large_unwanted_body_ends_the_connection_but_not_the_answer(server: Served) -> None:
    size = 30 * MIB
    with server.connect() as peer:
        peer.send(request("/echo?refuse_at=100", "PUT", f"Content-Length: {size}\r\n"))
        sent = 0
        while sent < size:  # deaf until it has sent all: the answer must still be there
            peer.send(bytes(MIB))
            sent += MIB
        answer = peer.answer()
        assert answer.status == 507
        assert answer.closes
        assert b"no space left for ais://b/o" in answer.body
    wait_for(lambda: server.counts.aborted == 1, "aborted")


def test_a_refused_small_body_keeps_the_connection(server: Served) -> None:
    with server.connect() as peer:
        peer.send(request("/echo?refuse_at=3", "PUT", "Content-Length: 9\r\n") + b"123456789")
        assert peer.answer().status == 507
        peer.send(request())
        assert peer.answer().status == 200


def test_failures_tell_no_internals(server: Served) -> None:
    with server.connect() as peer:
        for target in ("/fail", "/fail-late"):
            peer.send(request(target))
            answer = peer.answer()
            assert answer.status == 500
            assert b"secret" not in answer.body
            assert answer.headers["content-type"].startswith("application/json")


def test_failures_tell_the_log_what_they_do_not_tell_the_client(
    server: Served, caplog: pytest.LogCaptureFixture
) -> None:
    for number, target in enumerate(("/fail", "/fail-late"), start=1):
        answer = server.ask(request(target))
        assert answer.status == 500
        logged = [record for record in caplog.records if record.levelname == "ERROR"]
        assert len(logged) == number
        assert logged[-1].getMessage() == f"request failed: method=GET path={target}"
        assert logged[-1].exc_info is not None
        assert "secret of the inside" in str(logged[-1].exc_info[1])


def test_a_source_that_fails_first_is_an_error_and_later_a_cut(server: Served) -> None:
    with server.connect() as peer:
        for size in (1000, 5_000_000):
            peer.send(request(f"/source?size={size}&fail_at=0"))
            assert peer.answer().status == 507
        peer.send(request("/source?size=5000000&block=100000&fail_at=300000"))
        with pytest.raises(ClosedError):
            peer.answer()


@pytest.mark.parametrize("announce", [99_999, 500_001])
def test_a_source_of_the_wrong_length_is_cut(server: Served, announce: int) -> None:
    with server.connect() as peer:
        peer.send(request(f"/source?size=500000&block=50000&announce={announce}") + request())
        if announce > 500_000:
            with pytest.raises(ClosedError):
                peer.answer()
        else:
            assert len(peer.rest()) < 200_000


def test_header_injection_is_an_error(server: Served) -> None:
    with server.connect() as peer:
        peer.send(request("/headers?x=a%0d%0aSet-Cookie:%20b"))
        answer = peer.answer()
        assert answer.status == 500
        assert "set-cookie" not in answer.headers
        peer.send(request("/headers?x=caf%C3%A9"))
        assert peer.answer().headers["x"] == "caf\u00e9"


def test_handlers_see_the_request_decoded(server: Served) -> None:
    head = request("/seen/a%20b%2Fc/d?x=1+2&x=3&y=%E2%82%AC&z", headers="A: 1\r\nB: x\r\na: 2\r\n")
    lines = server.ask(head).body.decode().split("\n")
    assert lines[:3] == ["GET", "/seen/a b/c/d", "{'x': '1 2', 'y': '\u20ac', 'z': ''}"]
    assert lines[3].startswith("127.0.0.1:")
    assert lines[4:] == ["1", "2"]


def test_absolute_form_is_understood(server: Served) -> None:
    assert server.ask(request("http://elsewhere:1/bytes?size=2")).body == pattern(0, 2)


def test_messages_are_limited(start: Callable[..., Served]) -> None:
    server = start(message_bytes_max=1024)
    with server.connect() as peer:
        peer.send(request("/message", "POST", "Content-Length: 1024\r\n") + bytes(1024))
        assert len(peer.answer().body) == 1024
        peer.send(request("/message", "POST", "Content-Length: 1025\r\n") + bytes(1025))
        assert peer.answer().status == 413
        head = request("/message", "POST", "Transfer-Encoding: chunked\r\n")
        peer.send(head + b"401\r\n" + bytes(1025) + b"\r\n0\r\n\r\n")
        assert peer.answer().status == 413
        peer.send(request("/message"))
        assert peer.answer().body == b""


def test_upgrades_are_ignored(server: Served) -> None:
    head = request(headers="Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n")
    with server.connect() as peer:
        peer.send(head + request("/bytes?size=1"))
        assert peer.answer().body == pattern(0, 5)
        assert peer.answer().body == b"\0"


def test_the_standard_client_agrees(server: Served) -> None:
    client = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    for size in (0, 10, 3_000_000):
        client.request("GET", f"/source?size={size}&announce=none")
        assert len(client.getresponse().read()) == size
        client.request("PUT", "/echo", body=iter([b"x" * 1000] * 7), encode_chunked=True)
        assert client.getresponse().read() == b"x" * 7000
    client.close()


@pytest.mark.skipif(shutil.which("curl") is None, reason="no curl")
def test_curl_agrees(server: Served, tmp_path: Path) -> None:
    path = tmp_path / "body"
    path.write_bytes(pattern(0, 2 * MIB))
    url = f"http://127.0.0.1:{server.port}"
    for extra in ([], ["-H", "Transfer-Encoding: chunked"], ["-H", "Expect: 100-continue"], ["-0"]):
        if extra == ["-0"]:
            extra = ["-0", "-H", "Content-Length: 2097152"]
        run = subprocess.run(
            ["curl", "-sS", "-m", "20", "-T", str(path), *extra, f"{url}/echo"],
            capture_output=True,
            check=True,
        )
        assert run.stdout == path.read_bytes()
    run = subprocess.run(
        ["curl", "-sS", "-I", "-m", "20", f"{url}/source?size=12"], capture_output=True, check=True
    )
    assert b"Content-Length: 12\r\n" in run.stdout
