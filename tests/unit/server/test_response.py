"""Response heads and routing."""

from collections.abc import Mapping

import pytest

from aiscore.errors import NotFoundError
from aiscore.server.head import HeadParser, HttpRequest
from aiscore.server.heads import encode_head
from aiscore.server.http import Handler, Outcome, Request, Response
from aiscore.server.router import Router
from aiscore.server.settings import ServerSettings


def encode(response: Response, length: int | None = 3, *, is_chunked: bool = False) -> bytes:
    return encode_head(
        response, b"Date: x\r\n", length=length, is_chunked=is_chunked, connection=b""
    )


def test_heads() -> None:
    response = Response(200, [("A", "b"), ("C", "\u20ac")], raw_headers=b"R: s\r\n")
    assert encode(response) == (
        b"HTTP/1.1 200 OK\r\nR: s\r\nA: b\r\nC: \xe2\x82\xac\r\nContent-Length: 3\r\nDate: x\r\n\r\n"
    )
    assert encode(Response(204), 0) == b"HTTP/1.1 204 No Content\r\nDate: x\r\n\r\n"
    assert encode(Response(799), None) == b"HTTP/1.1 799 Status\r\nDate: x\r\n\r\n"
    assert b"Transfer-Encoding: chunked\r\n" in encode(Response(), None, is_chunked=True)


@pytest.mark.parametrize("value", ["a\r\nB: c", "a\nB: c", "a\rB: c", "a\0b", "a\n", "\r"])
def test_no_header_begins_another(value: str) -> None:
    with pytest.raises(ValueError, match="line end or a NUL"):
        encode(Response(200, [("A", value)]))
    with pytest.raises(ValueError, match="line end or a NUL"):
        encode(Response(200, [(value, "a")]))


def routes(router: Router, prefix: str, *methods: str) -> None:
    def answer(request: Request) -> Outcome:
        return Response(200, [], prefix.encode())

    handlers: Mapping[str, Handler] = dict.fromkeys(methods, answer)
    router.add(prefix, handlers)


def ask(router: Router, path: str, method: str = "GET") -> Response:
    head = f"{method} {path} HTTP/1.1\r\nHost: h\r\n\r\n".encode()
    request: HttpRequest = HeadParser(ServerSettings(home="/h")).parse(head)
    outcome = router.dispatch(request)
    assert isinstance(outcome, Response)
    return outcome


@pytest.fixture
def router() -> Router:
    found = Router()
    routes(found, "/v1/objects", "GET", "PUT")
    routes(found, "/v1/reverse/daemon", "GET")
    routes(found, "/v1/daemon", "*")
    routes(found, "/ais", "GET")
    return found


@pytest.mark.parametrize(
    ("path", "prefix"),
    [
        ("/v1/objects", b"/v1/objects"),
        ("/v1/objects/", b"/v1/objects"),
        ("/v1/objects/b/o/p/q", b"/v1/objects"),
        ("//v1///objects//b", b"/v1/objects"),
        ("/v1/%6fbjects/b", b"/v1/objects"),
        ("/v1/reverse/daemon/mountpaths", b"/v1/reverse/daemon"),
        ("/ais/b", b"/ais"),
        ("/ais", b"/ais"),
    ],
)
def test_the_longest_prefix_of_words_answers(router: Router, path: str, prefix: bytes) -> None:
    assert ask(router, path).body == prefix


@pytest.mark.parametrize("path", ["/", "//", "/v1", "/v1/objectsx/b", "/v2/objects", "/v1/reverse"])
def test_nothing_else_is_answered(router: Router, path: str) -> None:
    with pytest.raises(NotFoundError, match="invalid URL path"):
        ask(router, path)


def test_other_methods_are_told_which_there_are(router: Router) -> None:
    response = ask(router, "/v1/objects/b", "DELETE")
    assert (response.status, response.body) == (405, b"Method Not Allowed\n")
    assert ("Allow", "GET, PUT") in response.headers
    assert ask(router, "/v1/daemon", "DELETE").status == 200
