"""Settings and limits of the server, each with a name and a reason."""

from dataclasses import dataclass

__all__ = ["PORT_DEFAULT", "ServerSettings"]

PORT_DEFAULT = 51080


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """How one server runs.

    Attributes:
        home: directory of the store.
        host: address to bind; loopback unless told otherwise.
        port: TCP port; 0 takes a free one.
        workers: processes that share the port.
        cert: PEM file of the certificate chain; TLS is on with it.
        key: PEM file of its key.
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
        sendfile: let the kernel send large bodies: less CPU, less throughput on loopback.
        access_log: file of the access log; "-" is standard error; "" writes none.
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
    sendfile: bool = False
    access_log: str = ""
