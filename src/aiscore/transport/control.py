"""Calls that change the control plane, over httpx: buckets, configuration, jobs, disks.

They are rare, so the comfort of a full client costs nothing; it is imported with the first of them, and reads do
without it. A call that changes something is sent once, unless the server cannot have seen it.
"""

import threading
from typing import TYPE_CHECKING

from aiscore.errors import (
    AisError,
    ConnectError,
    ProtocolError,
    ThrottledError,
    TransportError,
    TransportTimeoutError,
    UnavailableError,
)
from aiscore.transport.answer import MESSAGE_MAX
from aiscore.transport.endpoint import CertificateError, Endpoint
from aiscore.transport.lean import current_epoch
from aiscore.transport.redirect import REDIRECTS, REDIRECTS_MAX, next_place
from aiscore.transport.retry import retry_after
from aiscore.transport.session import Answer, Session
from aiscore.wire.errors import decode_error
from aiscore.wire.names import JSON_TYPE, H

if TYPE_CHECKING:
    import httpx

__all__ = ["ControlClient"]


class ControlClient:
    """Sends control calls of one session. Shared by threads."""

    def __init__(self, session: Session) -> None:
        self._session = session
        # By whether they speak TLS.
        self._clients: dict[bool, httpx.Client] = {}
        self._epoch = 0
        self._is_closed = False
        # Rank 1 of 1: held while the client is made or closed.
        self._lock = threading.Lock()

    def close(self) -> None:
        """Close its connections; safe to repeat."""
        with self._lock:
            self._is_closed = True
            clients, self._clients = self._clients, {}
        if self._epoch == current_epoch():
            for client in clients.values():
                client.close()

    def call(
        self,
        method: str,
        target: str,
        body: bytes = b"",
        headers: tuple[tuple[str, str], ...] = (),
        *,
        is_long: bool = False,
    ) -> Answer:
        """Send one call.

        Args:
            method: HTTP method.
            target: path and query, percent-encoded.
            body: JSON.
            headers: more headers.
            is_long: the answer may take any time: wait for it without limit.

        Raises:
            AisError: the server says so.
            TransportError: no answer came; unless it is a `ConnectError`, the change may have been made.
        """
        attempts = self._session.attempts()
        while True:
            try:
                answer = self._follow(method, target, body, headers, is_long=is_long)
            except ConnectError as exc:
                if not exc.retryable or not self._session.has_answered:
                    raise
                attempts.wait(exc)
                continue
            self._session.has_answered = True
            if answer.status < 300:
                return answer
            error = _error_of(answer, method, self._session.endpoint.url)
            if not isinstance(error, ThrottledError):
                raise error
            after_s = retry_after(answer.headers.get("retry-after"))
            error.retry_after_s = after_s or error.retry_after_s
            attempts.wait(error, after_s)

    def _follow(
        self,
        method: str,
        target: str,
        body: bytes,
        headers: tuple[tuple[str, str], ...],
        *,
        is_long: bool,
    ) -> Answer:
        session = self._session
        endpoint = session.endpoint
        for _ in range(REDIRECTS_MAX + 1):
            sent = session.control_headers(endpoint) | dict(headers)
            if body:
                sent[H.CONTENT_TYPE] = JSON_TYPE
            answer = self._send(endpoint, method, target, body, sent, is_long=is_long)
            if answer.status not in REDIRECTS:
                return answer
            endpoint, target = next_place(endpoint, answer.headers.get("location"))
        raise ProtocolError(f"{session.endpoint.url} redirects in circles")

    def _send(
        self,
        endpoint: Endpoint,
        method: str,
        target: str,
        body: bytes,
        headers: dict[str, str],
        *,
        is_long: bool,
    ) -> Answer:
        client = self._opened(endpoint)
        import httpx

        options = self._session.options
        timeout = httpx.Timeout(
            None if is_long else options.read_timeout_s or None,
            connect=options.connect_timeout_s or None,
        )
        try:
            with client.stream(
                method, endpoint.url + target, content=body, headers=headers, timeout=timeout
            ) as response:
                data = bytearray()
                for block in response.iter_raw():
                    data += block
                    if len(data) > MESSAGE_MAX:
                        raise ProtocolError(
                            f"the answer of {endpoint.url} is longer than {MESSAGE_MAX} bytes"
                        )
                fields = [(name.lower(), text) for name, text in response.headers.multi_items()]
                first = dict(reversed(fields))
                return Answer(response.status_code, first, bytes(data), fields)
        except httpx.HTTPError as exc:
            raise _transport_error(exc, endpoint) from exc
        except (httpx.InvalidURL, UnicodeError) as exc:
            raise ProtocolError(f"invalid request to {endpoint.url}: {exc}") from exc

    def _opened(self, endpoint: Endpoint) -> "httpx.Client":
        client = self._clients.get(endpoint.is_tls)
        if client is not None and self._epoch == current_epoch():
            return client

        with self._lock:
            if self._is_closed:
                raise UnavailableError(f"the connection to {self._session.endpoint.url} is closed")
            if self._epoch != current_epoch():
                self._clients, self._epoch = {}, current_epoch()
            client = self._clients.get(endpoint.is_tls)
            if client is None:
                client = self._clients[endpoint.is_tls] = self._new_client(endpoint)
            return client

    def _new_client(self, endpoint: Endpoint) -> "httpx.Client":
        import socket
        import ssl

        import httpx

        session = self._session
        # Without TLS an empty context will do; to load the authorities takes longer than a call.
        verify = session.tls if endpoint.is_tls else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        keep_alive = (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        limits = httpx.Limits(max_keepalive_connections=session.options.pool_size)
        return httpx.Client(
            transport=httpx.HTTPTransport(
                verify=verify, limits=limits, socket_options=[keep_alive], trust_env=False
            ),
            headers={"Accept-Encoding": "identity"},
            trust_env=False,
        )


def _transport_error(exc: "httpx.HTTPError", endpoint: Endpoint) -> TransportError:
    import httpx

    reason = str(exc) or type(exc).__name__
    if isinstance(exc, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout):
        return _connect_error(exc, endpoint)
    if isinstance(exc, httpx.TimeoutException):
        return TransportTimeoutError(
            f"{endpoint.url} did not answer in time; what was asked may have been done",
            hint="wait longer: set AIS_READ_TIMEOUT (seconds; 0 is no limit)",
        )
    return ProtocolError(f"the connection to {endpoint.url} broke: {reason}")


def _connect_error(exc: "httpx.HTTPError", endpoint: Endpoint) -> ConnectError:
    """What the lean client says of the same failure."""
    import ssl

    cause: BaseException | None = exc
    while cause is not None and not isinstance(cause, OSError):
        cause = cause.__cause__ or cause.__context__
    if isinstance(cause, ssl.SSLCertVerificationError):
        return CertificateError(
            f"the certificate of {endpoint.url} is not trusted: {cause.verify_message}",
            hint="name its authority with AIS_CLIENT_CA=FILE",
        )
    if isinstance(cause, ssl.SSLError):
        return ConnectError(
            f"cannot reach {endpoint.url}: the TLS handshake failed ({cause.reason or cause})",
            hint="check that the server speaks https there",
        )
    reason = getattr(cause, "strerror", None) or str(cause or exc) or type(exc).__name__
    return ConnectError(
        f"cannot reach {endpoint.url}: {reason}",
        hint="check that the server runs, and AIS_ENDPOINT or --endpoint",
    )


def _error_of(answer: Answer, method: str, url: str) -> AisError:
    if answer.status < 400:
        return ProtocolError(f"unexpected status {answer.status} from {url}")
    return decode_error(answer.status, answer.body, method=method)
