"""One request to a store on the network: is it there, and what time has it?"""

import http.client
import socket
import ssl
import time
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

from aiscli.connection import Connection
from aiscore.errors import ConnectError, InvalidArgumentError

__all__ = ["Answer", "probe"]

_HEALTH = "/v1/health"
_TIMEOUT_S = 5.0
"""Who asks for a diagnosis waits no longer, whatever the settings say."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back.

    Attributes:
        summary: address, status and time taken, to be shown.
        skew_s: seconds that the store's clock is behind; None when it did not say.
    """

    summary: str
    skew_s: float | None


def probe(url: str, connection: Connection) -> Answer:
    """Ask the store whether it is well.

    Raises:
        ConnectError: there is no answer; the message says which step failed.
        InvalidArgumentError: malformed URL, or files of certificates that are none.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        host, port = "", None
    if not host:
        raise InvalidArgumentError(f'invalid endpoint "{url}"', hint="use http://HOST:PORT")
    is_tls = parts.scheme == "https"
    port = port or (443 if is_tls else 80)
    timeout = min(connection.connect_timeout_s or _TIMEOUT_S, _TIMEOUT_S)
    client: http.client.HTTPConnection
    if is_tls:
        context = _tls(connection)
        client = http.client.HTTPSConnection(host, port, timeout=timeout, context=context)
    else:
        client = http.client.HTTPConnection(host, port, timeout=timeout)
    began = time.monotonic()
    try:
        client.request("GET", parts.path.rstrip("/") + _HEALTH)
        answer = client.getresponse()
        date = answer.getheader("Date")
    except (OSError, http.client.HTTPException) as error:
        raise _reason(url, host, port, error) from error
    finally:
        client.close()
    milliseconds = 1000 * (time.monotonic() - began)
    return Answer(f"{url}: status {answer.status} in {milliseconds:.0f} ms", _skew(date))


def _tls(connection: Connection) -> ssl.SSLContext:
    path = connection.ca_file
    try:
        context = ssl.create_default_context(cafile=path or None)
        if connection.cert_file:
            path = connection.cert_file
            context.load_cert_chain(path, connection.key_file or None)
    except OSError as error:
        raise InvalidArgumentError(
            f"cannot use the certificates of {path}: {error.strerror or error}",
            hint="expected PEM, see: ais config cli show cluster --origin",
        ) from error
    if not connection.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _reason(url: str, host: str, port: int, error: Exception) -> ConnectError:
    if isinstance(error, socket.gaierror):
        return ConnectError(f"cannot reach {url}: no address of {host}", hint="check the host name")
    if isinstance(error, ssl.SSLCertVerificationError):
        return ConnectError(
            f"cannot reach {url}: certificate: {error.verify_message}",
            hint="name the authority: AIS_CLIENT_CA, or cluster.client_ca_tls",
        )
    if isinstance(error, ssl.SSLError):
        return ConnectError(
            f"cannot reach {url}: TLS failed: {error.reason or error}",
            hint="is it http://, or does it ask for a client certificate (AIS_CRT)?",
        )
    if isinstance(error, TimeoutError):
        return ConnectError(
            f"cannot reach {url}: no answer in {_TIMEOUT_S:g} s", hint="check host and firewall"
        )
    if isinstance(error, http.client.HTTPException | ConnectionResetError):
        return ConnectError(
            f"cannot reach {url}: what listens there does not speak HTTP",
            hint="check the port, and http:// or https://",
        )
    reason = (getattr(error, "strerror", None) or str(error)).lower()
    return ConnectError(
        f"cannot reach {url}: {reason}", hint=f"is a store running at {host}:{port}?"
    )


def _skew(date: str | None) -> float | None:
    if date is None:
        return None
    try:
        return time.time() - parsedate_to_datetime(date).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None
