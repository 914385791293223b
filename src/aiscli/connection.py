"""How to reach a store over the network: certificates, timeouts and the token, from the settings."""

from __future__ import annotations

import base64
import json
import os
import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from aiscli.clifile import DEFAULTS
from aiscli.config import Setting, Settings
from aiscore.errors import AisError, InvalidArgumentError
from aiscore.model.units import parse_duration

if TYPE_CHECKING:
    from aiscore.transport.options import ConnectionOptions

__all__ = [
    "TOKEN_SIZE_MAX",
    "TWO_TOKENS",
    "Connection",
    "connection_options",
    "expiry",
    "read_connection",
    "read_token",
    "token_source",
]

TOKEN_SIZE_MAX = 64 * 1024
"""Bytes of a token file; a token is a kilobyte or two."""

TWO_TOKENS = "AIS_AUTHN_TOKEN and AIS_AUTHN_TOKEN_FILE are both set: AIS_AUTHN_TOKEN is used"

_POOL_VARIABLES = ("AIS_MAX_CONN_POOL",)
_BACKOFF_S = 1.0
"""Somebody waits: a store that is busy or starts up is asked for half a minute at most."""
_TOKEN_NAME = "auth.token"
_NUMBER = re.compile(r"\d+(\.\d+)?")
_NS_PER_S = 1_000_000_000
_TIME_MAX = 253_402_300_800  # the year 10000, which no date can be written of


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """Settings of a connection, checked.

    Attributes:
        ca_file: certificates of authorities to trust; "" is those of the system.
        cert_file: certificate of this client; "" is none.
        key_file: its key; "" when `cert_file` has it, too.
        verify: check the certificate of the server.
        connect_timeout_s: to connect, in seconds; 0 is no limit, None the transport's default.
        read_timeout_s: for an answer, in seconds; 0 is no limit, None the transport's default.
        token: sent with every request; "" is none. Never shown.
    """

    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""
    verify: bool = True
    connect_timeout_s: float | None = None
    read_timeout_s: float | None = None
    token: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        if self.key_file and not self.cert_file:
            raise InvalidArgumentError(
                "cluster.client_crt_key is set and cluster.client_crt is not: a key needs its "
                "certificate",
                hint="see: ais config cli show cluster --origin",
            )


def read_connection(settings: Settings, *, has_token: bool = True) -> Connection:
    """The connection that the settings describe; without their token, if that is for another store.

    Raises:
        InvalidArgumentError: a value is not what its key asks for.
        AisError: a file is missing, or the token file cannot be read.
    """
    return Connection(
        ca_file=_file(settings, "cluster.client_ca_tls"),
        cert_file=_file(settings, "cluster.client_crt"),
        key_file=_file(settings, "cluster.client_crt_key"),
        verify=not settings.is_on("cluster.skip_verify_crt"),
        connect_timeout_s=_seconds(settings, "timeout.tcp_timeout"),
        read_timeout_s=_seconds(settings, "timeout.http_timeout"),
        token=read_token(settings) if has_token else "",
    )


def connection_options(settings: Settings, *, has_token: bool = True) -> ConnectionOptions:
    """The same for the transport: what is not set is as the transport has it.

    Raises:
        AisError: see `read_connection`.
    """
    from aiscore.transport.options import ConnectionOptions

    connection = read_connection(settings, has_token=has_token)
    pool = {name: os.environ[name] for name in _POOL_VARIABLES if name in os.environ}
    options = ConnectionOptions.from_environ(pool)
    connect, read = connection.connect_timeout_s, connection.read_timeout_s
    return replace(
        options,
        ca_file=connection.ca_file,
        cert_file=connection.cert_file,
        key_file=connection.key_file,
        verify=connection.verify,
        connect_timeout_s=options.connect_timeout_s if connect is None else connect,
        read_timeout_s=options.read_timeout_s if read is None else read,
        token=connection.token,
        backoff_s=_BACKOFF_S,
    )


def token_source(settings: Settings) -> Setting:
    """Where the token comes from: the path of a file, or "" with the variable that holds it.

    `AIS_AUTHN_TOKEN`, `AIS_AUTHN_TOKEN_FILE`, and `auth.token` beside the settings, in this order.
    The origin is "default" when there is none.
    """
    if settings.token.value:
        return Setting("", settings.token.origin)
    if settings.token_file.value:
        return Setting(os.path.expanduser(settings.token_file.value), settings.token_file.origin)
    path = os.path.join(os.path.dirname(settings.path), _TOKEN_NAME)
    return Setting(path, "file") if os.path.exists(path) else Setting("", "default")


def read_token(settings: Settings) -> str:
    """The token; "" when there is none.

    Raises:
        AisError: its file cannot be read, or is not `{"token": "..."}`.
    """
    source = token_source(settings)
    if not source.value:
        return settings.token.value.strip()
    try:
        with open(source.value, "rb") as file:
            content = file.read(TOKEN_SIZE_MAX + 1)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise _bad_token(source, reason) from error
    if len(content) > TOKEN_SIZE_MAX:
        raise _bad_token(source, f"more than {TOKEN_SIZE_MAX:,} bytes")
    return _token_of(source, content.strip())


def _token_of(source: Setting, content: bytes) -> str:
    """The token in a file: `{"token": "..."}`, or the bare token."""
    token: object = content.decode("ascii", "replace")
    if content.startswith(b"{"):
        try:
            token = json.loads(content).get("token")
        except (ValueError, RecursionError):
            # Without the cause: its text may have parts of the token.
            raise _bad_token(source, 'not JSON, expected {"token": "..."}') from None
    if not isinstance(token, str) or not token.strip():
        raise _bad_token(source, 'no token in it, expected {"token": "..."}')
    token = token.strip()
    if not token.isascii() or not token.isprintable() or " " in token:
        raise _bad_token(source, "the token is not printable ASCII without blanks")
    return token


def expiry(token: str) -> float | None:
    """When a token ends, in seconds since the epoch, by its own words; None when it does not say."""
    parts = token.split(".")
    if len(parts) != 3:
        return None
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
        ends = claims.get("exp") if isinstance(claims, dict) else None
    except (ValueError, RecursionError):
        return None
    if not isinstance(ends, int | float) or not 0 <= ends < _TIME_MAX:
        return None
    return float(ends)


def _bad_token(source: Setting, reason: str) -> AisError:
    named = f" (from {source.origin})" if source.origin != "file" else ""
    return AisError(
        f"cannot read token file {source.value}{named}: {reason}",
        hint="name another with AIS_AUTHN_TOKEN_FILE, or remove it",
    )


def _file(settings: Settings, name: str) -> str:
    setting = settings.get(name)
    if not setting.value:
        return ""
    path = os.path.abspath(os.path.expanduser(setting.value))
    if not os.path.isfile(path):
        raise InvalidArgumentError(
            f"{_label(name, setting)}: no file {path}",
            hint=f"see: ais config cli show {name} --origin",
        )
    return path


def _seconds(settings: Settings, name: str) -> float | None:
    """A duration in seconds, a bare number too; None for the default.

    AIStore's `ais` writes its defaults into the file at first run, so they say nothing.
    """
    setting = settings.get(name)
    if setting.value == DEFAULTS[name]:
        return None
    text = f"{setting.value}s" if _NUMBER.fullmatch(setting.value) else setting.value
    try:
        duration_ns = parse_duration(text)
    except InvalidArgumentError as error:
        raise InvalidArgumentError(
            f"{_label(name, setting)}: {error.message}", hint=error.hint
        ) from None
    if duration_ns < 0:
        raise InvalidArgumentError(f"{_label(name, setting)}: expected 0 or more")
    return duration_ns / _NS_PER_S


def _label(name: str, setting: Setting) -> str:
    return name if setting.origin in {"file", "default"} else setting.origin
