"""Where the load goes: the embedded engine, a server, or an S3 endpoint."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aiscore.errors import InvalidArgumentError
from aiscore.model.units import MINUTE, SECOND, parse_bool
from aisloader.params.option import Kind, check_section, option

if TYPE_CHECKING:
    from aiscore.transport.options import ConnectionOptions

__all__ = ["ClusterParams", "resolve"]

LOCAL_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})
DEFAULT_PORT = "8080"
EMBEDDED = "embedded:"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterParams:
    """Where the load goes and how it gets there.

    Attributes:
        endpoint: what to load, resolved: `http(s)://HOST:PORT`, `file:///DIR`, or "" for the embedded engine in its
            default home. Set by `-endpoint`, by `-ip` and `-port`, or by `AIS_ENDPOINT`, in that order.
        timeout_ns: longest request; 0 waits for ever.
    """

    endpoint: str = option(
        "",
        "endpoint",
        Kind.TEXT,
        "store to load: http://HOST:PORT, https://HOST:PORT, file:///DIR or embedded:DIR "
        "(default: AIS_ENDPOINT, else the embedded engine)",
    )
    ip: str = option(
        "localhost", "ip", Kind.TEXT, "host name, address or URL of the server (or use -endpoint)"
    )
    port: str = option(DEFAULT_PORT, "port", Kind.TEXT, "port of the server, with -ip")
    timeout_ns: int = option(
        10 * MINUTE, "timeout", Kind.DURATION, "longest request; 0 waits for ever"
    )
    tokenfile: str = option("", "tokenfile", Kind.TEXT, "file with the authentication token")
    randomproxy: bool = option(
        False, "randomproxy", Kind.BOOL, "send each request to a gateway drawn at random"
    )
    s3endpoint: str = option(
        "",
        "s3endpoint",
        Kind.TEXT,
        "S3 endpoint to load directly, without AIStore: http(s)://HOST[:PORT][/PATH]",
    )
    s3profile: str = option(
        "",
        "s3profile",
        Kind.TEXT,
        "profile of the AWS configuration with the credentials (default: AWS_PROFILE)",
    )
    s3_use_path_style: bool = option(
        False, "s3-use-path-style", Kind.BOOL, "address S3 buckets in the path; with -s3endpoint"
    )

    @property
    def is_s3(self) -> bool:
        """True when the load goes to an S3 endpoint directly."""
        return bool(self.s3endpoint)

    @property
    def shown(self) -> str:
        """What is loaded, as people read it."""
        return self.s3endpoint or self.endpoint or "embedded"

    @property
    def is_embedded(self) -> bool:
        """True when the engine runs in the loader's own processes."""
        return not self.is_s3 and not self.endpoint.startswith(("http://", "https://"))

    def connection(self, environ: Mapping[str, str] | None = None) -> "ConnectionOptions":
        """How to connect: the variables of AIStore's clients, with this section's token and timeout.

        Raises:
            InvalidArgumentError: a variable is malformed, or the token file cannot be read.
        """
        import os

        from aiscore.transport.options import ConnectionOptions

        env = dict(os.environ if environ is None else environ)
        if self.tokenfile:
            env.pop("AIS_AUTHN_TOKEN", None)
            env["AIS_AUTHN_TOKEN_FILE"] = self.tokenfile
        env.setdefault("AIS_READ_TIMEOUT", str(self.timeout_ns / SECOND))
        return ConnectionOptions.from_environ(env)

    def validate(self) -> None:
        """Check the values; raises `InvalidArgumentError`."""
        check_section(self)
        if self.endpoint and not self.endpoint.startswith(("http://", "https://", "file:///", "/")):
            raise InvalidArgumentError(
                f'invalid -endpoint "{self.endpoint}"',
                hint="write http://HOST:PORT, https://HOST:PORT, file:///DIR or embedded:DIR",
            )
        if not (self.port.isascii() and self.port.isdecimal() and 0 < int(self.port) <= 65535):
            raise InvalidArgumentError(f'invalid -port "{self.port}": expected 1 to 65535')
        if self.is_s3:
            from aisloader.s3.place import check_s3_endpoint

            check_s3_endpoint(self.s3endpoint)
        elif self.s3_use_path_style:
            raise InvalidArgumentError("-s3-use-path-style needs -s3endpoint")


def resolve(
    values: dict[str, Any], given: frozenset[str], environ: Mapping[str, str], notes: list[str]
) -> None:
    """Fill in what depends on other flags and on the environment."""
    if not values["s3endpoint"] and (from_env := environ.get("S3_ENDPOINT", "").strip()):
        # The variable alone must not turn a run against AIStore into one against S3 unnoticed.
        values["s3endpoint"] = from_env
        notes.append(f"S3_ENDPOINT is set: loading {from_env} directly, without AIStore")
    if not values["s3profile"]:
        values["s3profile"] = environ.get("AWS_PROFILE", "")
    local_ip = values["ip"].strip().lower() in LOCAL_HOSTS
    if values["s3endpoint"]:
        _check_s3_excludes(values, given, local_ip=local_ip)
        return
    from_env = environ.get("AIS_ENDPOINT", "").strip()
    if "endpoint" in given:
        for name in ("ip", "port"):
            if name in given:
                raise InvalidArgumentError(f"-endpoint and -{name} exclude each other")
        values["endpoint"] = _endpoint(values["endpoint"])
    elif from_env:
        if not local_ip:
            raise InvalidArgumentError(
                f'-ip "{values["ip"]}" contradicts AIS_ENDPOINT "{from_env}"',
                hint="unset AIS_ENDPOINT, or leave -ip out",
            )
        if "port" in given:
            notes.append(f"-port is ignored: AIS_ENDPOINT is set to {from_env}")
        values["endpoint"] = _endpoint(from_env)
    elif {"ip", "port"} & given:
        values["endpoint"] = _of_ip(values["ip"].strip(), values["port"], "port" in given)
    if values["endpoint"].startswith("https://") and _is_unverified(environ):
        notes.append("AIS_SKIP_VERIFY_CRT is set: nobody checks who answers")


def _is_unverified(environ: Mapping[str, str]) -> bool:
    text = environ.get("AIS_SKIP_VERIFY_CRT") or environ.get("AIS_SKIP_VERIFY") or "false"
    try:
        return parse_bool(text)
    except InvalidArgumentError:
        return False  # the connection will refuse it


def _check_s3_excludes(values: dict[str, Any], given: frozenset[str], *, local_ip: bool) -> None:
    if values["randomproxy"]:
        raise InvalidArgumentError("-s3endpoint and -randomproxy exclude each other")
    if not local_ip:
        raise InvalidArgumentError("-s3endpoint and -ip exclude each other")
    if values["port"] != DEFAULT_PORT:
        raise InvalidArgumentError("-s3endpoint and -port exclude each other")
    if "endpoint" in given:
        raise InvalidArgumentError("-s3endpoint and -endpoint exclude each other")


def _endpoint(text: str) -> str:
    """An endpoint as `open_transport` takes it; a bare HOST:PORT is http, as `AIS_ENDPOINT` allows."""
    import os

    if text.startswith(EMBEDDED):
        directory = text.removeprefix(EMBEDDED)
        return f"file://{os.path.abspath(os.path.expanduser(directory))}" if directory else ""
    scheme, separator, _ = text.partition("://")
    if separator and scheme.lower() not in {"http", "https", "file"}:
        raise InvalidArgumentError(
            f'invalid endpoint "{text}": the scheme must be http, https or file'
        )
    if separator:
        return f"{scheme.lower()}{text[len(scheme) :]}"
    return text if text.startswith("/") or not text else f"http://{text}"


def _of_ip(host: str, port: str, port_given: bool) -> str:
    """The URL of `-ip` and `-port`; `-ip` may be a URL, whose own port wins over the default one."""
    scheme, separator, rest = host.partition("://")
    if not separator:
        scheme, rest = "http", host
    if scheme.lower() not in {"http", "https"} or not rest:
        raise InvalidArgumentError(
            f'invalid -ip "{host}"', hint="write a host name, an address or http(s)://HOST"
        )
    rest = rest.rstrip("/")
    if rest.count(":") > 1 and not rest.startswith("["):
        rest = f"[{rest}]"
    has_port = rest.rpartition("]")[2].count(":") == 1
    if has_port and port_given:
        raise InvalidArgumentError(f'-ip "{host}" has a port, and -port is given too')
    return f"{scheme.lower()}://{rest}" if has_port else f"{scheme.lower()}://{rest}:{port}"
