"""Every error of ours as an answer, and what clients and our own decoder make of it."""

from collections.abc import Callable, Iterator

import pytest

from aiscore import errors
from aiscore.errors import (
    AisError,
    CorruptionError,
    RangeNotSatisfiableError,
    ThrottledError,
    TransportError,
)
from aiscore.server.errors import error_response
from aiscore.server.head import HeadParser
from aiscore.server.http import Request, Response
from aiscore.server.s3.errors import error_response as s3_error_response
from aiscore.server.settings import ServerSettings
from aiscore.wire.errors import decode_error


class Client:
    peer = "127.0.0.1:5"
    is_tls = False


def request(method: str = "GET", target: str = "/v1/objects/b/o") -> Request:
    head = f"{method} {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
    parsed = HeadParser(ServerSettings(home="/")).parse(head)
    parsed.client = Client()
    return parsed


def classes(base: type[AisError] = AisError) -> Iterator[type[AisError]]:
    for cls in base.__subclasses__():
        if cls.__module__ == errors.__name__ and not issubclass(cls, TransportError):
            yield cls
            yield from classes(cls)


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT"])
@pytest.mark.parametrize("cls", list(classes()))
def test_every_class_comes_back(cls: type[AisError], method: str) -> None:
    exc = cls("ais://b/ü o\n\x1b[31m is what it is", hint="do this")
    response = error_response(exc, request(method))
    assert response.status == cls.status
    headers = dict(response.headers)
    if method == "HEAD":
        assert response.body == b""
        text = headers["Hdr-Error"]
        assert text.isascii()
        assert text.isprintable()
        body = text.encode()
    else:
        assert isinstance(response.body, bytes)
        assert response.body.endswith(b"}\n")
        assert headers["Content-Type"] == "application/json"
        body = response.body
    back = decode_error(response.status, body, method=method)
    assert type(back) is cls
    assert (back.message, back.hint) == (exc.message, exc.hint)


@pytest.mark.parametrize(("asked_s", "told"), [(0.0, "1"), (1.0, "1"), (2.5, "3")])
@pytest.mark.parametrize("respond", [error_response, s3_error_response])
def test_who_is_asked_to_slow_down_is_told_for_how_long(
    respond: Callable[[AisError, Request], Response], asked_s: float, told: str
) -> None:
    response = respond(ThrottledError("no", retry_after_s=asked_s), request())
    assert dict(response.headers)["Retry-After"] == told
    assert "Retry-After" not in dict(respond(AisError("no"), request()).headers)


def test_a_range_error_tells_the_size() -> None:
    response = error_response(RangeNotSatisfiableError("no", size=7), request())
    assert dict(response.headers)["Content-Range"] == "bytes */7"
    assert "Content-Range" not in dict(
        error_response(RangeNotSatisfiableError("no"), request()).headers
    )


def test_the_kind_of_a_damage_comes_back() -> None:
    response = error_response(CorruptionError("x", kind="wrong size"), request())
    assert isinstance(response.body, bytes)
    back = decode_error(500, response.body, method="GET")
    assert isinstance(back, CorruptionError)
    assert back.kind == "wrong size"


def test_a_defect_tells_nothing_of_our_insides() -> None:
    response = error_response(ValueError("/secret/path"), request())
    assert response.status == 500
    assert isinstance(response.body, bytes)
    assert b"secret" not in response.body
    assert b"internal error" in response.body


def test_a_path_that_cannot_be_decoded_is_repeated_as_sent() -> None:
    response = error_response(AisError("x"), request(target="/v1/objects/b/%FF"))
    assert isinstance(response.body, bytes)
    assert b'"/v1/objects/b/%FF"' in response.body
