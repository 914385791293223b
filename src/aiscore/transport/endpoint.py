"""Where a remote server is, and how its certificate is checked."""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from aiscore.errors import ConnectError, InvalidArgumentError

if TYPE_CHECKING:
    import ssl

    from aiscore.transport.options import ConnectionOptions

__all__ = ["CertificateError", "Endpoint", "tls_context"]

_ENDPOINT = re.compile(
    r"(?P<scheme>https?)://(?:\[(?P<v6>[0-9A-Fa-f:.]+(?:%[\w.-]+)?)\]|(?P<host>[\w.-]+))(?::(?P<port>[0-9]{1,5}))?(?P<rest>.*)",
    re.ASCII | re.DOTALL | re.IGNORECASE,
)
_PORT_MAX = 65535


class CertificateError(ConnectError):
    """The server's certificate is not trusted, or it does not trust ours; trying again does not help."""

    retryable = False


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One server: host, port, and whether the connection is encrypted."""

    host: str
    port: int
    is_tls: bool

    @property
    def url(self) -> str:
        """`http://host:port`."""
        return f"{'https' if self.is_tls else 'http'}://{self.authority}"

    @property
    def authority(self) -> str:
        """The value of the `Host` header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    @classmethod
    def parse(cls, url: str) -> Self:
        """Read `http://HOST[:PORT]` or `https://HOST[:PORT]`.

        Raises:
            InvalidArgumentError: it is something else, or has a path, a query or a user.
        """
        endpoint, rest = cls.split(url)
        if rest not in {"", "/"}:
            raise _invalid(url)
        return endpoint

    @classmethod
    def split(cls, url: str) -> tuple[Self, str]:
        """The same for an URL that goes on: the server, and the path and query that follow.

        Raises:
            InvalidArgumentError: it is no URL of a server.
        """
        match = _ENDPOINT.fullmatch(url)
        if match is None:
            raise _invalid(url)
        is_tls = match["scheme"].lower() == "https"
        port = int(match["port"] or (443 if is_tls else 80))
        rest = match["rest"]
        if not 0 < port <= _PORT_MAX or rest[:1] not in {"", "/", "?"}:
            raise _invalid(url)
        return cls(match["v6"] or match["host"].lower(), port, is_tls), rest


def _invalid(url: str) -> InvalidArgumentError:
    shown = url if url.isprintable() and len(url) <= 200 else ascii(url[:200])
    shown = re.sub(r"//[^/]*@", "//***@", shown)  # a password must not end up in a log
    return InvalidArgumentError(
        f'invalid endpoint "{shown}": expected http://HOST:PORT or https://HOST:PORT',
        hint="check AIS_ENDPOINT or --endpoint",
    )


def tls_context(options: "ConnectionOptions") -> "ssl.SSLContext":
    """The context of all connections: TLS 1.2 or newer, certificates checked unless told otherwise.

    Raises:
        InvalidArgumentError: a file cannot be read, or holds no certificate or key.
    """
    import ssl

    what, path = "the authorities in", options.ca_file
    try:
        context = ssl.create_default_context(cafile=options.ca_file or None)
        if options.cert_file:
            what, path = "the client certificate", options.cert_file
            context.load_cert_chain(options.cert_file, options.key_file or None, password="")
    except (OSError, ValueError) as exc:
        reason = getattr(exc, "strerror", None) or "no certificate and key in PEM form"
        raise InvalidArgumentError(
            f'cannot load {what} "{path}": {reason}',
            hint="check AIS_CLIENT_CA, AIS_CRT and AIS_CRT_KEY",
        ) from exc
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if not options.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
