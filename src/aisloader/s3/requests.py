"""Requests to one bucket of an S3 endpoint: signed, over kept connections, redirects followed, failures repeated."""

import threading
from collections.abc import Sequence
from typing import NamedTuple

from aiscore.errors import AisError, ConnectError, TransportError
from aiscore.transport.answer import MalformedAnswerError, Response
from aiscore.transport.body import NO_BODY, Payload
from aiscore.transport.endpoint import Endpoint, tls_context
from aiscore.transport.options import ConnectionOptions
from aiscore.transport.pool import Pool
from aiscore.transport.redirect import REDIRECTS, REDIRECTS_MAX, next_place
from aiscore.transport.retry import Attempts, retry_after
from aiscore.transport.session import USER_AGENT
from aisloader.s3.answers import ANSWER_MAX, error_of
from aisloader.s3.place import Place, host_header
from aisloader.s3.signing import Signer

__all__ = ["Call", "Requests"]

_AGENT = f"User-Agent: {USER_AGENT}\r\n".encode()
_READ_MAX = 64 << 10


class Call(NamedTuple):
    """One request.

    Attributes:
        method: HTTP method.
        target: path and query, percent-encoded.
        what: the bucket or object that it is about, for errors.
        headers: to sign and to send, beside those of the signature and of the body's framing.
        payload: the body.
        is_safe: repeating it after a failure that tells nothing of its outcome does no harm.
        is_bucket: `what` is a bucket.
    """

    method: str
    target: str
    what: str
    headers: Sequence[tuple[str, str]] = ()
    payload: Payload = NO_BODY
    is_safe: bool = True
    is_bucket: bool = False


class Requests:
    """Connections to where a bucket is, and to where it redirects. Shared by threads."""

    def __init__(self, place: Place, signer: Signer, options: ConnectionOptions) -> None:
        self._place = place
        self._signer = signer
        self._options = options
        self._tls = tls_context(options) if place.endpoint.is_tls else None
        self._host = host_header(place.endpoint)
        self._home = Pool(place.endpoint, options, self._tls)
        self._pools = {place.endpoint: self._home}
        # Rank 1 of 1: held while a pool is made or all are closed.
        self._lock = threading.Lock()

    def close(self) -> None:
        """Close all connections; safe to repeat."""
        with self._lock:
            for pool in self._pools.values():
                pool.close()

    def open(self, call: Call) -> Response:
        """Send a request; the answer, its body still to be read.

        Raises:
            AisError: the endpoint says so.
            TransportError: no answer came.
        """
        attempts: Attempts | None = None
        while True:
            after_s = 0.0
            try:
                response = self._follow(call)
            except TransportError as exc:
                error: AisError = self._explained(exc)
            else:
                if response.status < 300:
                    return response
                after_s = retry_after(response.header("Retry-After"))
                error = error_of(response, call.what, is_bucket=call.is_bucket)
            if not call.is_safe or not call.payload.is_repeatable:
                raise error
            attempts = attempts or Attempts(self._options)
            attempts.wait(error, after_s)

    def call(self, call: Call) -> bytes:
        """Send a request; the body of its answer."""
        with self.open(call) as response:
            return response.read_all(ANSWER_MAX)

    def _follow(self, call: Call) -> Response:
        """One try. A redirect is signed anew, for the host that it leads to."""
        pool, host, target = self._home, self._host, call.target
        for _ in range(REDIRECTS_MAX + 1):
            head = self._signer.head(call.method, host, target, call.headers) + _AGENT
            response = pool.request(call.method, head, call.payload, is_safe=call.is_safe)
            if response.status not in REDIRECTS or not (location := response.header("Location")):
                return response
            with response:
                response.read_all(_READ_MAX)
            endpoint, target = next_place(pool.endpoint, location)
            pool, host = self._pool(endpoint), host_header(endpoint)
        raise MalformedAnswerError(f"{self._place.url} redirects in circles")

    def _pool(self, endpoint: Endpoint) -> Pool:
        with self._lock:
            if endpoint not in self._pools:
                tls = self._tls or (tls_context(self._options) if endpoint.is_tls else None)
                self._pools[endpoint] = Pool(endpoint, self._options, tls)
            return self._pools[endpoint]

    def _explained(self, error: TransportError) -> TransportError:
        """A host that begins with the bucket's name is there only where somebody has set that up."""
        if not isinstance(error, ConnectError):
            return error
        hint = "check that the endpoint runs, and -s3endpoint (or S3_ENDPOINT)"
        if self._place.is_host_of_bucket:
            hint += "; the bucket is part of the host's name unless -s3-use-path-style is added"
        return type(error)(error.message, hint=hint)
