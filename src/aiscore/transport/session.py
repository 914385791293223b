"""Requests to one store: redirects followed, failures retried, error answers raised as their class.

AIStore's proxies answer object requests with a redirect to the node that holds the object. Method, headers and body
are kept, the body is opened anew. The token goes to the servers it was meant for and to no other.
"""

import re
import threading
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple, Self

from aiscore._version import __version__
from aiscore.errors import (
    AisError,
    BusyError,
    InvalidArgumentError,
    ThrottledError,
    TransportError,
    UnavailableError,
    UnsupportedError,
)
from aiscore.transport.answer import MESSAGE_MAX, MalformedAnswerError, Response
from aiscore.transport.body import NO_BODY, Payload, StreamPayload
from aiscore.transport.endpoint import Endpoint, tls_context
from aiscore.transport.options import ConnectionOptions
from aiscore.transport.pool import Pool
from aiscore.transport.redirect import REDIRECTS, REDIRECTS_MAX, next_place
from aiscore.transport.retry import Attempts, retry_after, sent_nothing
from aiscore.wire.errors import ERROR_BODY_MAX, decode_error
from aiscore.wire.names import H

if TYPE_CHECKING:
    import ssl

__all__ = ["Answer", "Call", "Session", "query_text"]

POOLS_MAX = 256
"""Servers that connections are kept to: the nodes of a cluster."""
EXPECT_MIN = 64 << 10
"""Smallest body for which a server that is known to redirect is asked first."""
USER_AGENT = f"aiscore/{__version__}"

_VALUE_BAD = re.compile(r"[\r\n\0]")

Headers = Sequence[tuple[str, str]]


class Call(NamedTuple):
    """One request. A named tuple, not a dataclass: making one costs as much as parsing half of the answer.

    Attributes:
        method: HTTP method.
        target: path and query, percent-encoded.
        headers: without those of the connection and of the body's framing.
        payload: the body.
        is_safe: repeating it, after a failure that tells nothing of its outcome, does no harm.
        accept: statuses that are no failure, beside 2xx.
    """

    method: str
    target: str
    headers: Headers = ()
    payload: Payload = NO_BODY
    is_safe: bool = True
    accept: frozenset[int] = frozenset()


class Answer(NamedTuple):
    """An answer in memory; header names in lower case, in `fields` each as often as it came."""

    status: int
    headers: dict[str, str]
    body: bytes
    fields: Sequence[tuple[str, str]] = ()

    def header_all(self, name: str) -> list[str]:
        """Every value of a header that may repeat, where `fields` are kept: in answers to control calls."""
        return [value for field, value in self.fields if field == name]


class Session:
    """Connections to one store. Shared by threads.

    Attributes:
        endpoint: of the store.
        options: how to connect.
        has_answered: True once the store has answered anything.
    """

    def __init__(self, endpoint: str, options: ConnectionOptions) -> None:
        """Connect later, at the first request.

        Raises:
            InvalidArgumentError: not an endpoint.
        """
        self.endpoint = Endpoint.parse(endpoint)
        others = [Endpoint.parse(url) for url in options.gateways]
        self._gateways = tuple({self.endpoint, *others}) if others else ()
        self.options = options
        self._pools: dict[Endpoint, Pool] = {}
        self._home: Pool | None = None  # of `endpoint`
        self._home_common = self._common(self.endpoint)
        # Rank 1 of 1: held while a pool is made or all are closed.
        self._lock = threading.Lock()
        self._is_closed = False
        self.has_answered = False
        self._redirects = False

    def close(self) -> None:
        """Close all connections; safe to repeat."""
        with self._lock:
            self._is_closed = True
            pools = list(self._pools.values())
        for pool in pools:
            pool.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def attempts(self) -> Attempts:
        """The tries of a new operation."""
        return Attempts(self.options)

    def call(self, call: Call) -> Answer:
        """Send a request and read the answer; both are tried again when that is harmless.

        Raises:
            AisError: the server says so.
            TransportError: no answer came.
        """
        attempts = self.attempts()
        while True:
            response = self.open(call, attempts)
            try:
                with response:
                    body = response.read_all(MESSAGE_MAX)
                return Answer(response.status, response.headers, body)
            except TransportError as exc:
                if not call.is_safe or not call.payload.is_repeatable:
                    raise
                attempts.wait(exc)

    def open(
        self, call: Call, attempts: Attempts | None = None, *, first: Response | None = None
    ) -> Response:
        """The same, with the body of the answer still to be read.

        Args:
            call: the request.
            attempts: the tries of the operation that it belongs to.
            first: the answer of the first try, where the request was sent already.

        Raises:
            AisError: the server says so.
            TransportError: no answer came.
        """
        while True:
            try:
                response = self._follow(call, first)
            except TransportError as exc:
                if not self._may_repeat(call, exc):
                    raise
                error: AisError = exc
                after_s = 0.0
            else:
                self.has_answered = True
                if response.status < 300 or response.status in call.accept:
                    return response
                after_s = retry_after(response.header("Retry-After"))
                error, is_plain = _error_of(response, call)
                if isinstance(error, ThrottledError):
                    error.retry_after_s = after_s or error.retry_after_s
                if not _is_worth_repeating(call, error, asked=is_plain or after_s > 0):
                    raise error
            if attempts is None:
                attempts = self.attempts()
            attempts.wait(error, after_s)
            first = None

    def head_of(self, call: Call) -> bytes:
        """Request line and headers of a call to the store, without those of a body."""
        return self._head(self.endpoint, call, call.target)

    def home_pool(self) -> Pool:
        """The connections to the store itself."""
        return self._pool(self.endpoint)

    def control_headers(self, endpoint: Endpoint) -> dict[str, str]:
        """Headers that another HTTP client must send to `endpoint`: the token only to the one it is for."""
        headers = {H.USER_AGENT: USER_AGENT}
        if self.options.token and endpoint == self.endpoint:
            headers[H.AUTHORIZATION] = f"Bearer {self.options.token}"
        return headers

    @cached_property
    def tls(self) -> "ssl.SSLContext":
        """The TLS context of all connections; made when first needed."""
        return tls_context(self.options)

    def _may_repeat(self, call: Call, error: TransportError) -> bool:
        if not error.retryable or not call.payload.is_repeatable:
            return False
        if sent_nothing(error):
            # An endpoint that never answered is wrong rather than busy: say so at once.
            return self.has_answered
        return call.is_safe

    def _follow(self, call: Call, response: Response | None = None) -> Response:
        """One try; `response` when its first request was sent already."""
        endpoint, target = self.endpoint, call.target
        if self._gateways:
            from random import choice  # here: the import costs milliseconds that most never need

            endpoint = choice(self._gateways)
        seen: list[tuple[Endpoint, str]] = []
        while True:
            if response is None:
                pool = self._home if endpoint is self.endpoint else None
                if pool is None:
                    pool = self._pool(endpoint)
                response = pool.request(
                    call.method,
                    self._head(endpoint, call, target),
                    call.payload,
                    expect_continue=self._asks_first(call.payload),
                    # The second try of a DELETE finds nothing: its caller must know that there was a first.
                    is_safe=call.is_safe and call.method != "DELETE",
                )
            if response.status not in REDIRECTS:
                return response
            self._redirects = self.has_answered = True
            location = response.header(H.LOCATION)
            # Read, not dropped: AIStore's redirects have a short body, and a connection with bytes left is lost.
            _read_some(response)
            response = None
            seen.append((endpoint, target))
            endpoint, target = next_place(endpoint, location)
            if (endpoint, target) in seen or len(seen) > REDIRECTS_MAX:
                raise MalformedAnswerError(
                    f"{self.endpoint.url} redirects in circles: {len(seen)} times, at last to {endpoint.url}"
                )
            if isinstance(call.payload, StreamPayload) and call.payload.is_started:
                raise UnsupportedError(
                    f"{self.endpoint.url} redirects an upload that has begun, and its body cannot begin again",
                    hint="give bytes or a file that can seek",
                )

    def _asks_first(self, payload: Payload) -> bool:
        """Whether a body waits for `100 Continue`: one that cannot begin again, or would be sent in vain."""
        if not payload.is_repeatable:
            return True
        return self._redirects and (payload.size or 0) >= EXPECT_MIN

    def _head(self, endpoint: Endpoint, call: Call, target: str) -> bytes:
        common = self._home_common if endpoint is self.endpoint else self._common(endpoint)
        line = f"{call.method} {target} HTTP/1.1\r\n".encode("ascii")
        if not call.headers:
            return line + common
        return b"".join((line, common, *map(_header_line, call.headers)))

    def _common(self, endpoint: Endpoint) -> bytes:
        lines = [("Host", endpoint.authority), (H.USER_AGENT, USER_AGENT)]
        if self.options.token and (endpoint == self.endpoint or endpoint in self._gateways):
            lines.append((H.AUTHORIZATION, f"Bearer {self.options.token}"))
        return b"".join(map(_header_line, lines))

    def _pool(self, endpoint: Endpoint) -> Pool:
        pool = self._pools.get(endpoint)
        if pool is not None:
            return pool
        tls = self.tls if endpoint.is_tls else None
        with self._lock:
            if self._is_closed:
                raise UnavailableError(f"the connection to {self.endpoint.url} is closed")
            if len(self._pools) >= POOLS_MAX:
                oldest = next(place for place in self._pools if place != self.endpoint)
                self._pools.pop(oldest).close()
            pool = self._pools.setdefault(endpoint, Pool(endpoint, self.options, tls))
            if endpoint is self.endpoint:
                self._home = pool
            return pool


def query_text(query: dict[str, str]) -> str:
    """A query with its question mark; nothing for none."""
    if not query:
        return ""
    parts = []
    for name, value in query.items():
        if not (value.isascii() and value.isalnum()):
            from urllib.parse import quote

            value = quote(value, safe="")
        parts.append(f"{name}={value}")
    return "?" + "&".join(parts)


def _header_line(header: tuple[str, str]) -> bytes:
    name, value = header
    if _VALUE_BAD.search(value):
        raise InvalidArgumentError(f"invalid header {name}: {value!r} has a line break")
    try:
        return f"{name}: {value}\r\n".encode()
    except UnicodeEncodeError:
        raise InvalidArgumentError(f"invalid header {name}: {value!r} is not Unicode") from None


def _error_of(response: Response, call: Call) -> tuple[AisError, bool]:
    """The error that an answer stands for, and whether it is without AIStore's message."""
    status = response.status
    if status < 400:
        response.close()
        return MalformedAnswerError(f"unexpected status {status} from {response.url}"), False
    if call.method == "HEAD":
        body = (response.header(H.ERROR) or "").encode("utf-8", "surrogateescape")
        response.close()
    else:
        body = _read_some(response)
    error = decode_error(status, body, method=call.method, target=call.target)
    return error, not body.lstrip().startswith(b"{")


def _read_some(response: Response) -> bytes:
    """The begin of an error's body; what cannot be read does not hide the status."""
    out = bytearray()
    try:
        with response:
            while len(out) < ERROR_BODY_MAX and (block := response.read(ERROR_BODY_MAX)):
                out += block
    except TransportError:
        pass
    return bytes(out[:ERROR_BODY_MAX])


def _is_worth_repeating(call: Call, error: AisError, *, asked: bool) -> bool:
    """Whether the server may answer otherwise soon.

    A 503 with a message tells of a state that lasts (a disk that is switched off); one without comes from a cluster
    that is starting, or from a proxy in front of it.
    """
    if not call.payload.is_repeatable:
        return False
    if isinstance(error, ThrottledError):
        return True  # refused, so nothing has been done
    if isinstance(error, UnavailableError):
        return call.is_safe and asked
    return isinstance(error, BusyError) and call.method == "GET"
