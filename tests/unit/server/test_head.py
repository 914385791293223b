"""Parsing of request heads, without a socket."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from aiscore.errors import InvalidArgumentError
from aiscore.server.faults import HttpFault
from aiscore.server.head import HeadParser, HttpRequest
from aiscore.server.settings import ServerSettings

SETTINGS = ServerSettings(home="/h", headers_max=5, query_params_max=3)


def parse(*lines: str, parser: HeadParser | None = None) -> HttpRequest:
    head = "\r\n".join([*lines, "", ""]).encode()
    return (parser or HeadParser(SETTINGS)).parse(head)


def test_a_head_is_read() -> None:
    request = parse(
        "PUT /a%20b?x=1&y=%41 HTTP/1.1", "Host: h", "Content-Length: 12", "A: 1", "a: 2"
    )
    assert request.method == "PUT"
    assert request.path == "/a b"
    assert request.raw_path == "/a%20b"
    assert request.raw_query == "x=1&y=%41"
    assert request.query == {"x": "1", "y": "A"}
    assert request.content_length == 12
    assert request.header("a") == "1, 2"
    assert request.header_all("a") == ["1", "2"]
    assert request.header_all("host") == ["h"]
    assert request.header_all("b") == []
    assert request.header("b") is None


def test_one_parser_reads_many_heads() -> None:
    parser = HeadParser(SETTINGS)
    for _ in range(3):
        assert parse("GET /a HTTP/1.1", "Host: h", parser=parser).content_length == 0
        assert (
            parse("PUT /b HTTP/1.1", "Host: h", "Content-Length: 3", parser=parser).content_length
            == 3
        )
        chunked = parse("PUT /c HTTP/1.1", "Host: h", "Transfer-Encoding: chunked", parser=parser)
        assert chunked.content_length is None
        assert not parse(
            "GET /d HTTP/1.1", "Host: h", "Connection: close", parser=parser
        ).keep_alive
        assert not parse("GET /e HTTP/1.0", parser=parser).keep_alive
        assert parse(
            "GET /f HTTP/1.1", "Host: h", "Connection: upgrade", "Upgrade: h2c", parser=parser
        ).keep_alive
        for broken in ("GET / HTTP/2.0", "WHAT / HTTP/1.1", "GET HTTP/1.1"):
            with pytest.raises(HttpFault):
                parse(broken, "Host: h", parser=parser)


@pytest.mark.parametrize(
    ("version", "connection", "kept"),
    [
        ("1.1", "", True),
        ("1.1", "close", False),
        ("1.1", "Close", False),
        ("1.1", "keep-alive, close", False),
        ("1.1", "closed", True),
        ("1.0", "", False),
        ("1.0", "Keep-Alive", True),
        ("1.0", "keep-alive, close", False),
    ],
)
def test_whether_the_connection_is_kept(version: str, connection: str, kept: bool) -> None:
    lines = [f"Connection: {connection}"] if connection else []
    assert parse(f"GET / HTTP/{version}", "Host: h", *lines).keep_alive is kept


@pytest.mark.parametrize(
    ("target", "path"),
    [
        ("/", "/"),
        ("/a//b", "/a//b"),
        ("/%2e%2E/%2f", "/..//"),
        ("/%25%34%31", "/%41"),
        ("/%E2%82%AC", "/\u20ac"),
        ("http://h:1/a", "/a"),
        ("HTTPS://h", "/"),
        ("http://h?x=1", "/"),
        ("http://h?x=a/b", "/"),
    ],
)
def test_targets(target: str, path: str) -> None:
    assert parse(f"GET {target} HTTP/1.1", "Host: h").path == path


@pytest.mark.parametrize("target", ["/%", "/%1", "/%g1", "/%1g", "/a%00", "/%80", "/%ed%a0%80"])
def test_undecodable_paths(target: str) -> None:
    request = parse(f"GET {target} HTTP/1.1", "Host: h")
    with pytest.raises(InvalidArgumentError, match="invalid URL path"):
        _ = request.path
    assert request.raw_path == target


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", {}),
        ("a", {"a": ""}),
        ("a=&b", {"a": "", "b": ""}),
        ("a=1&a=2", {"a": "1"}),
        ("a=b=c", {"a": "b=c"}),
        ("&&a=1", {"a": "1"}),
        ("a+b=c+d%2B", {"a b": "c d+"}),
        ("a?b=c?d", {"a?b": "c?d"}),
    ],
)
def test_queries(query: str, found: dict[str, str]) -> None:
    assert parse(f"GET /?{query} HTTP/1.1", "Host: h").query == found


def test_limits() -> None:
    assert len(parse("GET /?a&b&c HTTP/1.1", "Host: h").query) == 3
    with pytest.raises(InvalidArgumentError, match="too many query parameters: more than 3"):
        _ = parse("GET /?a&b&c&d HTTP/1.1", "Host: h").query
    parse("GET / HTTP/1.1", "Host: h", *["A: b"] * 4)
    with pytest.raises(HttpFault, match="too many headers: more than 5") as caught:
        parse("GET / HTTP/1.1", "Host: h", *["A: b"] * 5)
    assert caught.value.status == 431


def test_headers_that_are_not_utf_8_are_bytes() -> None:
    head = b"GET / HTTP/1.1\r\nHost: h\r\nA: \xff\xc3\xa9\r\nB: \xc3\xa9\r\n\r\n"
    request = HeadParser(SETTINGS).parse(head)
    assert request.header("a") == "\xff\xc3\xa9"
    assert request.header("b") == "\xe9"


def test_a_moved_request_keeps_all_but_its_path() -> None:
    request = parse("GET /ais/b?x=1 HTTP/1.1", "Host: h", "A: 1")
    moved = request.moved("/v1/buckets/b", {"provider": "ais", "x": "2"})
    assert moved.path == "/v1/buckets/b"
    assert moved.raw_path == "/ais/b"
    assert moved.query == {"provider": "ais", "x": "1"}
    assert moved.header("a") == "1"
    assert request.path == "/ais/b"


@given(st.binary(max_size=200))
@example(b"GET / HTTP/1.1\r\nHost: h\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n")
@example(b"")
def test_anything_is_a_request_or_a_fault(data: bytes) -> None:
    parser = HeadParser(SETTINGS)
    try:
        request = parser.parse(data)
    except HttpFault:
        return
    try:
        assert request.path.startswith("/")
        assert len(request.query) <= 3
    except InvalidArgumentError:
        pass


@given(
    st.lists(
        st.sampled_from(
            [
                *("Host: h", "Content-Length: 3", "Transfer-Encoding: chunked", "A:"),
                *("Expect: 100-continue", "Connection: close", "Host: i", "Content-Length: 4"),
            ]
        ),
        max_size=6,
    ),
    st.sampled_from(["1.0", "1.1"]),
)
def test_no_combination_is_ambiguous(lines: list[str], version: str) -> None:
    try:
        request = parse(f"PUT / HTTP/{version}", *lines)
    except HttpFault:
        return
    names = [line.partition(":")[0] for line in lines]
    assert names.count("Content-Length") + names.count("Transfer-Encoding") <= 1
    assert names.count("Host") <= 1
    if "Transfer-Encoding" in names:
        assert request.content_length is None
    elif "Content-Length" in names:
        assert request.content_length in {3, 4}
    else:
        assert request.content_length == 0


_FIRST_LINES = (
    *("GET / HTTP/1.1", "PUT /a?b=c HTTP/1.1", "HEAD /%41 HTTP/1.1", "GET  / HTTP/1.1", "GET /"),
    *("GET / HTTP/1.0", "CONNECT / HTTP/1.1", "GET http://h/x HTTP/1.1", "GET /#x HTTP/1.1", ""),
    *("get / HTTP/1.1", "GET /\x7f HTTP/1.1", "GET /\t HTTP/1.1", "GET * HTTP/1.1", "X / HTTP/1.1"),
    *(
        "GET /\xe4 HTTP/1.1",
        "GET /a b HTTP/1.1",
        " GET / HTTP/1.1",
        "GET /\n HTTP/1.1",
        "OPTIONS /",
    ),
)
_HEADER_LINES = (
    *("Host: h", "Host: h:1", "Content-Length: 3", "Content-Length: 0", "Content-Length: -1"),
    *("Transfer-Encoding: chunked", "Connection: close", "Connection: upgrade", "Upgrade: h2c"),
    *(
        "Expect: 100-continue",
        "A: 1",
        "a: 2",
        "GET / HTTP/1.1",
        "A",
        " folded",
        "B:\x00",
        "C: \xe4",
    ),
)


def _seen(parser: HeadParser, head: bytes) -> object:
    """All that a request says, or why it is none."""
    try:
        found = parser.parse(head)
    except HttpFault as fault:
        return fault.status, fault.message
    fields = [(name, found.header_all(name)) for name in ("host", "a", "b", "c", "connection")]
    framing = (found.content_length, found.keep_alive, found.wants_continue, found.is_http_1_0)
    return found.method, found.raw_path, found.raw_query, fields, framing


@given(
    st.lists(
        st.tuples(
            st.sampled_from(_FIRST_LINES),
            st.lists(st.sampled_from(_HEADER_LINES), max_size=3).map(lambda n: ["Host: h", *n]),
        ),
        min_size=2,
        max_size=12,
    )
)
def test_known_headers_change_nothing(requests: list[tuple[str, list[str]]]) -> None:
    """A parser that has seen headers before reads a head as a new parser does."""
    used = HeadParser(SETTINGS)
    for first, lines in [*requests, *((first, requests[0][1]) for first in _FIRST_LINES)]:
        head = "\r\n".join([first, *lines, "", ""]).encode("latin-1")
        assert _seen(used, head) == _seen(HeadParser(SETTINGS), head)
