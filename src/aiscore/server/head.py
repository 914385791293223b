"""From the bytes of a request head to a request: httptools finds the tokens, what a handler asks for is decoded.

One parser serves every connection of a loop: it is given whole heads only, and never sees a body, so that where a
message ends is decided in one place, the protocol.

A client sends the same headers again and again, and only the request line differs. What the lines below it say is
remembered by their bytes, and a plain request line above known ones is split here; what is not plain goes to httptools.
"""

from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from functools import lru_cache
from typing import NamedTuple, Protocol

import httptools

from aiscore.errors import InvalidArgumentError
from aiscore.server.faults import HttpFault
from aiscore.server.http import Request, Response
from aiscore.server.settings import ServerSettings

__all__ = ["ClientAddress", "HeadParser", "HttpRequest"]

_KNOWN_LENGTH_MAX = 64
"""Bytes of a query that is remembered: room for a bucket's provider and namespace."""
_LENGTH_MAX = 2**63 - 1
_HEX = "0123456789ABCDEFabcdef"
_BYTE_OF = {(a + b).encode(): bytes([int(a + b, 16)]) for a in _HEX for b in _HEX}
_VERSIONS = frozenset({"1.1", "1.0"})
_PLAIN_METHODS = {name.encode(): name for name in ("GET", "HEAD", "PUT", "POST", "DELETE", "PATCH")}
_PLAIN_TARGET = (
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789/-._~%?&=+:@,!$'()*;"
)
_KNOWN_BLOCKS_MAX = 1_024
_KNOWN_BLOCK_BYTES_MAX = 1 << 10
"""Of the headers of one request that are remembered: of a mebibyte of them at most."""


class ClientAddress(Protocol):
    """The connection, as far as a request tells of it."""

    @property
    def peer(self) -> str:
        """`IP:PORT`."""
        ...

    @property
    def is_tls(self) -> bool:
        """True when it is encrypted."""
        ...


class _Nobody:
    peer = ""
    is_tls = False


_NOBODY = _Nobody()


class HttpRequest:
    """The head of one request; see `aiscore.server.http.Request`."""

    __slots__ = (
        "_fields",
        "_params_max",
        "_path",
        "_query",
        "_raw_query",
        "_repeated",
        "client",
        "content_length",
        "is_http_1_0",
        "keep_alive",
        "method",
        "on_error",
        "target_path",
        "wants_continue",
    )

    def __init__(
        self,
        method: str,
        target: bytes,
        params_max: int,
        fields: Mapping[bytes, bytes],
        repeated: Mapping[bytes, list[bytes]] | None,
    ) -> None:
        self.method = method
        self.client: ClientAddress = _NOBODY
        self.target_path, _, self._raw_query = target.partition(b"?")
        self._params_max = params_max
        self._path: str | None = None
        self._query: dict[str, str] | None = None
        self._fields = fields
        self._repeated = repeated
        self.content_length: int | None = 0
        self.is_http_1_0 = False
        self.keep_alive = True
        self.wants_continue = False
        self.on_error: Callable[[BaseException, Request], Response] | None = None

    @property
    def path(self) -> str:
        """Percent-decoded once.

        Raises:
            InvalidArgumentError: invalid escape, not UTF-8, or a NUL.
        """
        path = self._path
        if path is None:
            path = self._path = _decoded(self.target_path, "URL path")
        return path

    @property
    def raw_path(self) -> str:
        """As sent, without the query."""
        return self.target_path.decode("ascii", "backslashreplace")

    @property
    def query(self) -> Mapping[str, str]:
        """Decoded parameters, the first value of each.

        Raises:
            InvalidArgumentError: too many, invalid escape, not UTF-8, or a NUL.
        """
        query = self._query
        if query is None:
            raw = self._raw_query
            known = _known_parameters if len(raw) <= _KNOWN_LENGTH_MAX else _parameters
            query = self._query = known(raw, self._params_max)
        return query

    @property
    def raw_query(self) -> str:
        """As sent, without the question mark."""
        return self._raw_query.decode("ascii", "backslashreplace")

    @property
    def peer(self) -> str:
        """`IP:PORT` of the client."""
        return self.client.peer

    @property
    def is_tls(self) -> bool:
        """True when the connection is encrypted."""
        return self.client.is_tls

    def header(self, name: str) -> str | None:
        """A header by lower-case name; repeated ones joined by ", "."""
        value = self._fields.get(name.encode())
        return None if value is None else _text(value)

    def header_all(self, name: str) -> list[str]:
        """Every value of a header that may repeat."""
        key = name.encode()
        if self._repeated is not None and key in self._repeated:
            return [_text(value) for value in self._repeated[key]]
        value = self._fields.get(key)
        return [] if value is None else [_text(value)]

    def header_names(self, prefix: str) -> list[str]:
        """The names of the headers that begin with `prefix`, in lower case, each once."""
        start = prefix.encode()
        return [name.decode("latin-1") for name in self._fields if name.startswith(start)]

    def has_any(self, names: AbstractSet[bytes]) -> bool:
        """True when at least one of these headers is there; names in lower case."""
        return not self._fields.keys().isdisjoint(names)

    def moved(self, path: str, parameters: Mapping[str, str]) -> "HttpRequest":
        """The same request for another path, with `parameters` where it has none of that name.

        `raw_path` stays, for logs and errors.
        """
        copy = HttpRequest.__new__(HttpRequest)
        for name in HttpRequest.__slots__:
            setattr(copy, name, getattr(self, name))
        copy._path = path  # noqa: SLF001 -- of the same class
        copy._query = {**parameters, **self.query}  # noqa: SLF001
        return copy


class _Block(NamedTuple):
    """What the lines below a request line say."""

    fields: Mapping[bytes, bytes]
    repeated: Mapping[bytes, list[bytes]] | None
    content_length: int | None
    wants_continue: bool


class HeadParser:
    """Parses heads, one at a time. Not thread safe: one for each event loop."""

    def __init__(self, settings: ServerSettings) -> None:
        self._params_max = settings.query_params_max
        self._headers_max = settings.headers_max
        self._target = b""
        self._fields: dict[bytes, bytes] = {}
        self._repeated: dict[bytes, list[bytes]] | None = None
        self._is_complete = False
        self._known: dict[bytes, _Block] = {}
        self._parser = httptools.HttpRequestParser(self)

    # what httptools calls

    def on_url(self, url: bytes) -> None:
        """The target of the request line."""
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header line."""
        key = name.lower()
        fields = self._fields
        if key not in fields:
            fields[key] = value
            return
        if self._repeated is None:
            self._repeated = {}
        self._repeated.setdefault(key, [fields[key]]).append(value)
        fields[key] = b"%b, %b" % (fields[key], value)

    def on_headers_complete(self) -> None:
        """The empty line."""
        self._is_complete = True

    # what the protocol calls

    def parse(self, head: bytes) -> HttpRequest:
        """Read one head, from the request line to the empty line, and nothing behind it.

        Raises:
            HttpFault: it is malformed, ambiguous, or over a limit.
        """
        end = head.find(b"\r\n")
        words = head[:end].split(b" ")
        if len(words) != 3 or words[2] != b"HTTP/1.1":
            return self._parse(head)
        target = words[1]
        method = _PLAIN_METHODS.get(words[0])
        if method is None or target[:1] != b"/" or target.translate(None, _PLAIN_TARGET):
            return self._parse(head)
        block = head[end:]
        known = self._known.get(block)
        if known is None:
            request = self._parse(head)
            if request.keep_alive and len(block) <= _KNOWN_BLOCK_BYTES_MAX:
                self._remember(block, request)
            return request
        request = HttpRequest(method, target, self._params_max, known.fields, known.repeated)
        request.content_length = known.content_length
        request.wants_continue = known.wants_continue
        return request

    def _remember(self, block: bytes, request: HttpRequest) -> None:
        if len(self._known) >= _KNOWN_BLOCKS_MAX:
            self._known.clear()
        self._known[block] = _Block(
            self._fields, self._repeated, request.content_length, request.wants_continue
        )

    def _parse(self, head: bytes) -> HttpRequest:
        """The same for any head."""
        # Before anything is allocated for them.
        if head.count(b"\n") > self._headers_max + 2:
            raise HttpFault(431, f"too many headers: more than {self._headers_max}")
        self._target = b""
        self._fields = {}
        self._repeated = None
        self._is_complete = False
        parser = self._parser
        is_spent = False
        try:
            parser.feed_data(head)
        except httptools.HttpParserUpgrade:
            is_spent = True  # no upgrade is offered: the request is answered as if it had not asked
        except httptools.HttpParserError as exc:
            self._parser = httptools.HttpRequestParser(self)
            reason = str(exc).replace("`", "").lower() or "not HTTP"
            raise HttpFault(400, f"malformed request: {reason}") from None
        if not self._is_complete:
            self._parser = httptools.HttpRequestParser(self)
            raise HttpFault(400, "malformed request: incomplete head")
        try:
            request = HttpRequest(
                parser.get_method().decode("ascii"),
                _origin(self._target),
                self._params_max,
                self._fields,
                self._repeated,
            )
            self._frame(request, parser.get_http_version())
            is_spent |= request.content_length != 0 or not request.keep_alive
        except HttpFault:
            is_spent = True
            raise
        finally:
            # One that waits for a body, or for the end of the connection, would not take the next head, which may be
            # that of another client.
            if is_spent:
                self._parser = httptools.HttpRequestParser(self)
        return request

    def _frame(self, request: HttpRequest, version: str) -> None:
        """Where the body ends, and whether the connection goes on after it."""
        fields = self._fields
        if b"content-length" in fields or b"transfer-encoding" in fields:
            request.content_length = self._body_length(version)
        if version not in _VERSIONS:
            request.keep_alive = False
            if version == "0.9":  # what the parser says when there is none
                raise HttpFault(400, "malformed request: no HTTP version")
            raise HttpFault(505, f"HTTP version {version} is not supported: expected 1.1")
        tokens = fields.get(b"connection", b"").lower()
        if version == "1.0":
            request.is_http_1_0 = True
            request.keep_alive = b"keep-alive" in tokens and b"close" not in tokens
        elif tokens:
            request.keep_alive = not any(word.strip() == b"close" for word in tokens.split(b","))
        self._check_host(version)
        expected = fields.get(b"expect")
        if expected is not None:
            if expected.lower() != b"100-continue":
                raise HttpFault(417, "unknown expectation: only 100-continue is supported")
            request.wants_continue = version == "1.1" and request.content_length != 0

    def _body_length(self, version: str) -> int | None:
        """Bytes of the body; None when it is chunked. The parser has refused most of what is ambiguous already."""
        lengths = self._fields.get(b"content-length")
        coding = self._fields.get(b"transfer-encoding")
        if coding is not None:
            if lengths is not None:
                raise HttpFault(400, "malformed request: both Content-Length and Transfer-Encoding")
            if version == "1.0":
                raise HttpFault(400, "malformed request: Transfer-Encoding in HTTP/1.0")
            if coding.lower() != b"chunked":
                raise HttpFault(501, "transfer coding is not supported: expected chunked")
            return None
        if lengths is None:
            return 0
        if not lengths.isdigit() or int(lengths) > _LENGTH_MAX:
            raise HttpFault(400, "malformed request: invalid Content-Length")
        return int(lengths)

    def _check_host(self, version: str) -> None:
        if self._repeated is not None and b"host" in self._repeated:
            raise HttpFault(400, "malformed request: several Host headers")
        if version == "1.1" and b"host" not in self._fields:
            raise HttpFault(400, "malformed request: no Host header")


def _origin(target: bytes) -> bytes:
    """Path and query of a target; a proxy's absolute form has the server in front of them.

    Raises:
        HttpFault: neither of the two forms.
    """
    if target[:1] != b"/":
        scheme, separator, rest = target.partition(b"://")
        if not separator or scheme.lower() not in {b"http", b"https"}:
            raise HttpFault(400, "malformed request: invalid request target")
        slash = min((at for at in (rest.find(b"/"), rest.find(b"?")) if at >= 0), default=-1)
        target = b"/" if slash < 0 else rest[slash:]
        if target[:1] == b"?":
            target = b"/" + target
    if b"#" in target:
        raise HttpFault(400, "malformed request: fragment in the request target")
    return target


def _decoded(raw: bytes, what: str) -> str:
    """Percent-decode, and read as UTF-8.

    Raises:
        InvalidArgumentError: it cannot be, or holds a NUL.
    """
    if b"%" not in raw and b"\0" not in raw and raw.isascii():
        return raw.decode("ascii")
    shown = raw[:200].decode("ascii", "backslashreplace")
    if b"%" in raw:
        first, *rest = raw.split(b"%")
        parts = [first]
        for part in rest:
            byte = _BYTE_OF.get(part[:2])
            if byte is None:
                raise InvalidArgumentError(f'invalid {what} "{shown}": malformed percent escape')
            parts += (byte, part[2:])
        raw = b"".join(parts)
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        raise InvalidArgumentError(f'invalid {what} "{shown}": not UTF-8') from None
    if "\0" in text:
        raise InvalidArgumentError(f'invalid {what} "{shown}": holds a NUL')
    return text


@lru_cache(maxsize=1_024)
def _known_parameters(raw: bytes, params_max: int) -> dict[str, str]:
    """The same for queries that come again and again; nobody may change the answer."""
    return _parameters(raw, params_max)


def _parameters(raw: bytes, params_max: int) -> dict[str, str]:
    if not raw:
        return {}
    if raw.count(b"&") >= params_max:
        raise InvalidArgumentError(f"too many query parameters: more than {params_max}")
    found: dict[str, str] = {}
    for pair in raw.replace(b"+", b" ").split(b"&"):
        if pair:
            name, _, value = pair.partition(b"=")
            found.setdefault(_decoded(name, "query parameter"), _decoded(value, "query parameter"))
    return found


def _text(value: bytes) -> str:
    """A header's value: UTF-8 as AIStore's clients send it; anything else is taken byte by byte."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")
