"""Settings and limits of the server, each with a name and a reason."""

from dataclasses import dataclass, fields

from aiscore.errors import InvalidArgumentError

__all__ = ["PORT_DEFAULT", "ServerSettings"]

PORT_DEFAULT = 51080
_PORT_MAX = 65535
_WORKERS_MAX = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """How one server runs.

    Attributes:
        home: directory of the store.
        host: address to bind; loopback unless told otherwise.
        port: TCP port; 0 takes a free one.
        workers: processes that share the port.
        cert: PEM file of the certificate chain; TLS is on with it.
        key: PEM file of its key; empty when it is in `cert`.
        version: AIStore version that is reported.
        query_params_max: more parameters than this are refused; upstream's limit.
        head_bytes_max: bytes of request line and headers.
        headers_max: header lines of one request.
        message_bytes_max: bytes of a control message (JSON body).
        connections_max: connections of one worker.
        head_timeout_s: for a request head, from its first byte (or the connection's start) to its last.
        idle_timeout_s: a kept-alive connection without a request.
        body_timeout_s: without a byte of an announced body, or with a client that does not read its answer.
        drain_timeout_s: for requests in flight when the server is told to stop.
        pool_threads: threads for what may block.
        access_log: file of the access log; "-" is standard error; "" writes none.
        s3_domain: S3 clients may ask for `BUCKET.DOMAIN` instead of `/s3/BUCKET`; several, with commas between.
        s3_keys: file of the key pairs that S3 requests must be signed with, `ACCESS:SECRET` a line; "" lets anybody in.
    """

    home: str
    host: str = "127.0.0.1"
    port: int = PORT_DEFAULT
    workers: int = 1
    cert: str = ""
    key: str = ""
    version: str = "4.1"
    query_params_max: int = 100
    head_bytes_max: int = 64 << 10
    headers_max: int = 128
    message_bytes_max: int = 64 << 20
    connections_max: int = 8192
    head_timeout_s: float = 30.0
    idle_timeout_s: float = 120.0
    body_timeout_s: float = 60.0
    drain_timeout_s: float = 30.0
    pool_threads: int = 4
    access_log: str = ""
    s3_domain: str = ""
    s3_keys: str = ""

    def __post_init__(self) -> None:
        """Refuse what cannot work.

        Raises:
            InvalidArgumentError: a value is out of its range, or of the wrong type.
        """
        for field in fields(self):
            value = getattr(self, field.name)
            is_number = isinstance(value, int | float) and not isinstance(value, bool)
            if field.type is str:
                if not isinstance(value, str) or "\0" in value:
                    raise _invalid(field.name, value, "a text")
            elif not is_number or (field.type is int and not isinstance(value, int)):
                raise _invalid(field.name, value, "a number")
            elif not _LOWEST.get(field.name, 1) <= value <= _HIGHEST.get(field.name, 2**31):
                lowest, highest = _LOWEST.get(field.name, 1), _HIGHEST.get(field.name, 2**31)
                raise _invalid(field.name, value, f"from {lowest} to {highest}")
        if not self.home or not self.host:
            raise _invalid(
                *(("host", "", "an address") if self.home else ("home", "", "a directory"))
            )
        if self.key and not self.cert:
            raise InvalidArgumentError(
                "key is given without a certificate", hint="give --cert as well"
            )


_LOWEST: dict[str, float] = {
    "port": 0,
    "head_bytes_max": 1 << 10,
    "message_bytes_max": 1 << 10,
    "head_timeout_s": 0.05,
    "idle_timeout_s": 0.05,
    "body_timeout_s": 0.05,
    "drain_timeout_s": 0,
}
_HIGHEST: dict[str, float] = {
    "port": _PORT_MAX,
    "workers": _WORKERS_MAX,
    "head_bytes_max": 1 << 20,
    "message_bytes_max": 1 << 30,
    "pool_threads": 256,
}


def _invalid(name: str, value: object, expected: str) -> InvalidArgumentError:
    return InvalidArgumentError(f'server setting {name} "{value}" is invalid: expected {expected}')
