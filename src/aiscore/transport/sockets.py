"""Sockets: connected, encrypted, and waited for."""

import select
import socket
import struct
import time
from typing import TYPE_CHECKING

from aiscore.errors import ConnectError
from aiscore.transport.endpoint import CertificateError, Endpoint

if TYPE_CHECKING:
    import ssl

    from aiscore.transport.options import ConnectionOptions

__all__ = ["connect", "poll_for"]


def connect(
    endpoint: Endpoint, options: "ConnectionOptions", tls: "ssl.SSLContext | None"
) -> socket.socket:
    """A connected socket: encrypted with Python's own timeouts, or plain with the kernel's.

    Raises:
        ConnectError: nobody answers there, or not with a certificate to trust.
    """
    try:
        sock = socket.create_connection(
            (endpoint.host, endpoint.port), options.connect_timeout_s or None
        )
    except TimeoutError:
        raise ConnectError(
            f"cannot reach {endpoint.url}: no answer within {options.connect_timeout_s:g} s",
            hint="check the endpoint, or wait longer: set AIS_CONNECT_TIMEOUT",
        ) from None
    except (OSError, UnicodeError) as exc:
        reason = getattr(exc, "strerror", None) or str(exc)
        raise ConnectError(
            f"cannot reach {endpoint.url}: {reason}",
            hint="check that the server runs, and AIS_ENDPOINT or --endpoint",
        ) from exc
    try:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if tls is not None:
            sock = _encrypt(sock, endpoint, tls)
            sock.settimeout(options.read_timeout_s or None)
            return sock
        sock.settimeout(None)
        limit = options.read_timeout_s
        # Zero means no limit here and in the options.
        packed = struct.pack("@ll", int(limit), int(limit % 1 * 1_000_000))
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, packed)
    except BaseException:
        sock.close()
        raise
    return sock


def _encrypt(sock: socket.socket, endpoint: Endpoint, tls: "ssl.SSLContext") -> socket.socket:
    import ssl

    try:
        # Ragged ends are errors: otherwise anybody on the way could cut an answer.
        return tls.wrap_socket(sock, server_hostname=endpoint.host, suppress_ragged_eofs=False)
    except ssl.SSLCertVerificationError as exc:
        raise CertificateError(
            f"the certificate of {endpoint.url} is not trusted: {exc.verify_message}",
            hint="name its authority with AIS_CLIENT_CA=FILE",
        ) from exc
    except TimeoutError:
        raise ConnectError(
            f"cannot reach {endpoint.url}: the TLS handshake took too long",
            hint="wait longer: set AIS_CONNECT_TIMEOUT",
        ) from None
    except (OSError, ValueError) as exc:
        reason = getattr(exc, "reason", None) or getattr(exc, "strerror", None) or str(exc)
        raise ConnectError(
            f"cannot reach {endpoint.url}: the TLS handshake failed ({reason})",
            hint="check that the server speaks https there",
        ) from exc


def poll_for(sock: socket.socket, events: int, timeout_s: float | None) -> int:
    """The events that are there, 0 after the time; unlike `select` it has no limit on descriptors."""
    poll = select.poll()
    poll.register(sock, events)
    until = None if timeout_s is None else time.monotonic() + timeout_s
    ready = poll.poll(None if timeout_s is None else timeout_s * 1000)
    while not ready and until is not None and time.monotonic() < until:
        ready = poll.poll(max(until - time.monotonic(), 0) * 1000)
    return ready[0][1] if ready else 0
