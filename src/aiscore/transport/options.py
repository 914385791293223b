"""How to connect to a remote store: timeouts, pool, TLS, token, retries.

The environment variables are those of AIStore's own clients, so one set-up serves all of them.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from aiscore.errors import InvalidArgumentError

if TYPE_CHECKING:
    from aiscore.transport.tracing import Tracer

__all__ = ["ConnectionOptions"]

_TRUE = frozenset({"1", "t", "true", "y", "yes", "on"})
_FALSE = frozenset({"", "0", "f", "false", "n", "no", "off"})

RETRIES_MAX = 100
POOL_SIZE_MAX = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionOptions:
    """How to connect to a remote store.

    Attributes:
        ca_file: PEM file of the authorities to trust; "" is the system's.
        cert_file: PEM file of the client's certificate chain, for servers that ask for one.
        key_file: PEM file of its key; "" when `cert_file` holds both.
        verify: check the server's certificate and its name. Off is for tests only.
        connect_timeout_s: for a connection and its TLS handshake; 0 waits as long as the system does.
        read_timeout_s: without a byte from the server, or without one that it takes; 0 waits for ever.
        pool_size: idle connections kept for each server; more may be in use.
        token: sent as `Authorization: Bearer`; never shown.
        retries: how often a request that is safe to repeat is repeated after a failure.
        backoff_s: longest wait before the first repetition after 429 or 503; doubles with each. The wait itself is a
            random part of it, so that many clients do not return at once.
        deadline_s: how long an operation goes on trying after it last made progress; 0 sets no limit but `retries`.
        gateways: other proxies of the same cluster, as URLs: each request begins at one of them, or at the endpoint, at
            random. The token is for them too.
        verify_content: compare whole objects with their checksum after they came over the network.
        tracer: is told when the steps of each request were done.
    """

    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""
    verify: bool = True
    connect_timeout_s: float = 3.0
    read_timeout_s: float = 20.0
    pool_size: int = 10
    token: str = field(default="", repr=False)
    retries: int = 5
    backoff_s: float = 3.0
    deadline_s: float = 120.0
    gateways: tuple[str, ...] = ()
    verify_content: bool = False
    tracer: "Tracer | None" = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        for name in ("connect_timeout_s", "read_timeout_s", "backoff_s", "deadline_s"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise InvalidArgumentError(
                    f"invalid {name} {getattr(self, name)}: expected seconds, 0 or more"
                )
        if not 1 <= self.pool_size <= POOL_SIZE_MAX:
            raise InvalidArgumentError(
                f"invalid pool_size {self.pool_size}: expected 1 to {POOL_SIZE_MAX}"
            )
        if not 0 <= self.retries <= RETRIES_MAX:
            raise InvalidArgumentError(
                f"invalid retries {self.retries}: expected 0 to {RETRIES_MAX}"
            )
        if self.key_file and not self.cert_file:
            raise InvalidArgumentError(
                "a client key needs its certificate", hint="set cert_file (AIS_CRT)"
            )
        if not self.token.isascii() or not self.token.isprintable() or " " in self.token:
            raise InvalidArgumentError(
                "invalid token: expected printable ASCII without spaces",
                hint="check AIS_AUTHN_TOKEN, or the file of AIS_AUTHN_TOKEN_FILE",
            )

    @classmethod
    def from_environ(cls, environ: Mapping[str, str] | None = None) -> Self:
        """Read the variables of AIStore's clients; what is unset or empty has its default.

        `AIS_CLIENT_CA`, `AIS_CRT`, `AIS_CRT_KEY`, `AIS_SKIP_VERIFY_CRT` (older: `AIS_SKIP_VERIFY`),
        `AIS_CONNECT_TIMEOUT`, `AIS_READ_TIMEOUT` (seconds), `AIS_MAX_CONN_POOL`, `AIS_AUTHN_TOKEN`, and
        `AIS_AUTHN_TOKEN_FILE` when there is no token.

        Raises:
            InvalidArgumentError: a value is malformed, or the token file cannot be read.
        """
        env = os.environ if environ is None else environ
        return cls(
            ca_file=env.get("AIS_CLIENT_CA", ""),
            cert_file=env.get("AIS_CRT", ""),
            key_file=env.get("AIS_CRT_KEY", ""),
            verify=not _skip_verify(env),
            connect_timeout_s=_seconds(env, "AIS_CONNECT_TIMEOUT", 3.0),
            read_timeout_s=_seconds(env, "AIS_READ_TIMEOUT", 20.0),
            pool_size=_pool_size(env),
            token=env.get("AIS_AUTHN_TOKEN", "").strip() or _token_of_file(env),
        )


def _skip_verify(env: Mapping[str, str]) -> bool:
    name = "AIS_SKIP_VERIFY_CRT" if env.get("AIS_SKIP_VERIFY_CRT") else "AIS_SKIP_VERIFY"
    text = env.get(name, "").strip().lower()
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    raise InvalidArgumentError(f'invalid {name} "{env[name]}": expected true or false')


def _seconds(env: Mapping[str, str], name: str, default: float) -> float:
    text = env.get(name, "").strip()
    if not text:
        return default
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise InvalidArgumentError(
            f'invalid {name} "{text}": expected seconds', hint="0 switches the limit off"
        )
    return value


def _pool_size(env: Mapping[str, str]) -> int:
    text = env.get("AIS_MAX_CONN_POOL", "").strip()
    if not text:
        return 10
    if not text.isdecimal() or not 1 <= int(text) <= POOL_SIZE_MAX:
        raise InvalidArgumentError(
            f'invalid AIS_MAX_CONN_POOL "{text}": expected 1 to {POOL_SIZE_MAX}'
        )
    return int(text)


def _token_of_file(env: Mapping[str, str]) -> str:
    """The token of `AIS_AUTHN_TOKEN_FILE`: JSON `{"token": ...}`, as `ais auth login` writes it, or the bare text."""
    path = env.get("AIS_AUTHN_TOKEN_FILE", "")
    if not path:
        return ""
    try:
        with open(os.path.expanduser(path), encoding="utf-8") as file:
            text = file.read(1 << 16).strip()
    except (OSError, UnicodeDecodeError) as exc:
        raise InvalidArgumentError(
            f'cannot read the token file "{path}": {getattr(exc, "strerror", None) or "not text"}',
            hint="check AIS_AUTHN_TOKEN_FILE",
        ) from exc
    if not text.startswith("{"):
        return text
    import json

    try:
        token = json.loads(text).get("token", "")
    except ValueError:
        token = None
    if not isinstance(token, str):
        raise InvalidArgumentError(
            f'the token file "{path}" is malformed: expected {{"token": "..."}}',
            hint="check AIS_AUTHN_TOKEN_FILE",
        )
    return token
