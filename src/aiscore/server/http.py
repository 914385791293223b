"""What the protocol and the handlers exchange: a request, a response, a source of blocks, a sink for a body.

The protocol (`protocol`) parses a request head and asks the router for an outcome:

- a `Response`: it is sent; a body that comes all the same is drained;
- a `BodySink`: blocks of the body are written to it as they arrive, `finish` gives the response;
- an awaitable of a `Response`: work that may block, done elsewhere.

Small work is answered inline, without a task: a task costs as much as a small GET. What may block (more than a
few hundred KiB, fsync, compression) runs in `ServerContext.pool`.
"""

from collections.abc import Awaitable, Callable, Mapping
from collections.abc import Set as AbstractSet
from concurrent.futures import Executor
from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING, Protocol

from aiscore.node import Node

if TYPE_CHECKING:
    from aiscore.server.settings import ServerSettings

__all__ = [
    "BlockSource",
    "BodySink",
    "Handler",
    "Outcome",
    "Request",
    "Response",
    "ServerContext",
    "ServerState",
]

SHARD_LOCK_COUNT = 64
"""Shards that fall to the same lock wait for each other: few do, when there are many more than threads."""


class Request(Protocol):
    """The head of one request."""

    @property
    def method(self) -> str:
        """`GET`, upper case."""
        ...

    @property
    def path(self) -> str:
        """Percent-decoded once; starts with a slash; repeated slashes kept."""
        ...

    @property
    def raw_path(self) -> str:
        """As sent, without the query: for redirects, logs and errors."""
        ...

    @property
    def query(self) -> Mapping[str, str]:
        """Decoded parameters, the first value of each; at most `ServerSettings.query_params_max`."""
        ...

    @property
    def raw_query(self) -> str:
        """As sent, without the question mark."""
        ...

    @property
    def content_length(self) -> int | None:
        """Bytes of the body; 0 without a body, None when it is chunked."""
        ...

    @property
    def peer(self) -> str:
        """`IP:PORT` of the client."""
        ...

    @property
    def is_tls(self) -> bool:
        """True when the connection is encrypted."""
        ...

    on_error: "Callable[[BaseException, Request], Response] | None"
    """How the API that the request turned out to be for tells of errors; None tells as AIStore does."""

    def header(self, name: str) -> str | None:
        """A header by lower-case name; repeated ones joined by ", "."""
        ...

    def header_all(self, name: str) -> list[str]:
        """Every value of a header that may repeat."""
        ...

    def header_names(self, prefix: str) -> list[str]:
        """The names of the headers that begin with `prefix`, in lower case, each once."""
        ...

    def has_any(self, names: AbstractSet[bytes]) -> bool:
        """True when at least one of these headers is there; names in lower case."""
        ...


class BlockSource(Protocol):
    """A body on its way out.

    One that works ahead may have `is_at_hand`: while it is true, `next` does not block and is called on the event loop.
    """

    @property
    def length(self) -> int | None:
        """Bytes in all; None sends chunks."""
        ...

    def next(self) -> bytes | memoryview | None:
        """The next block, valid until the next call; None at the end. May block: called in the pool.

        An exception after the first block cuts the connection: there is no other way left to say it.
        """
        ...

    def close(self) -> None:
        """Release files; safe to repeat; called also when the client has gone."""
        ...


@dataclass(slots=True)
class Response:
    """An answer.

    Attributes:
        status: HTTP status.
        headers: name and value, in order; `Content-Length` and connection headers are the protocol's.
        body: bytes at hand, or a source.
        content_length: for an answer to HEAD: the length of the body that GET would have.
        raw_headers: header lines encoded beforehand, each with its CR LF; sent before `headers`.
        repeat: gives the body again if the very same request would be answered in the very same way now, else None.
    """

    status: int = 200
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: "bytes | memoryview | BlockSource" = b""
    content_length: int | None = None
    raw_headers: bytes = b""
    repeat: Callable[[], bytes | None] | None = None


class BodySink(Protocol):
    """Where a request's body goes."""

    def write(self, data: memoryview) -> "Awaitable[None] | None":
        """Take a block, which is valid during the call only. Runs on the event loop.

        Returns:
            None when it is done with; or what to wait for before the next block: the client is not read meanwhile.

        Raises:
            AisError: it becomes the answer; the rest of the body is not read.
        """
        ...

    def finish(self) -> "Response | Awaitable[Response]":
        """The body is complete and as long as announced."""
        ...

    def abort(self) -> None:
        """The client has gone or broke the protocol; nothing of the body stays. Safe to repeat."""
        ...


Outcome = Response | BodySink | Awaitable[Response]
Handler = Callable[[Request], Outcome]


@dataclass(slots=True)
class ServerState:
    """What changes while a server runs.

    Attributes:
        started_ns: when it began to answer, ns since the epoch.
        is_draining: it was told to stop: requests in flight are finished, readiness is over.
    """

    started_ns: int = 0
    is_draining: bool = False


@dataclass(frozen=True, slots=True)
class ServerContext:
    """What every handler works with.

    Attributes:
        node: the store; opened in this process.
        settings: `port` is the taken one, also when 0 was asked for.
        pool: for what may block.
        state: what changes while the server runs.
        shard_locks: rank 1 of 1, held by a thread of the pool while it writes into a shard that falls to the lock.
    """

    node: Node
    settings: "ServerSettings"
    pool: Executor
    state: ServerState = field(default_factory=ServerState)
    shard_locks: tuple[Lock, ...] = field(
        default_factory=lambda: tuple(Lock() for _ in range(SHARD_LOCK_COUNT))
    )
