"""The seam between who takes a body and who makes sure that it is what was sent.

An operation gives an `Inbound` to `checksums.body_sink(request, inbound, identity)`, and the sink that it gets to the
protocol. The sink takes aws-chunked framing off, so that `Inbound.write` sees content only, and knows what was said of
the content: signatures, digests and checksums, in front of it or behind. Who takes the content also computes over it
what the sink is to compare, because only he knows where: a small body at once, a long one beside all the rest. In the
end the sink gives him `verify`, which raises an `S3Error` when something is not right: then nothing must stay.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from aiscore.model.objects import CHECKSUM_KEY
from aiscore.server.http import Response
from aiscore.server.s3.algorithms import Watcher

__all__ = ["ANONYMOUS", "CHECKSUM_KEY", "Identity", "Inbound", "Received"]


@dataclass(frozen=True, slots=True)
class Identity:
    """Who asks.

    Attributes:
        access_key: "" for nobody in particular.
    """

    access_key: str = ""
    token: str = ""
    """`X-Amz-Security-Token` as sent and signed: the way for a token of AIStore's; nobody looks at it yet."""
    signing: object = None
    """What `sigv4` needs for the signatures of the chunks that follow; its own business."""


ANONYMOUS = Identity()


@dataclass(frozen=True, slots=True)
class Received:
    """What is known of a body that has arrived whole and right.

    Attributes:
        checksum: value for `CHECKSUM_KEY`; "" when the client wanted none.
        headers: `x-amz-checksum-*` to answer with.
    """

    checksum: str = ""
    headers: tuple[tuple[str, str], ...] = ()


class Inbound(Protocol):
    """Where the content of a body goes; as `http.BodySink`, but for what is to be verified of it."""

    def watch(self, watchers: Sequence[Watcher]) -> None:
        """Feed the content to these as well; called before the first block."""
        ...

    def write(self, data: memoryview) -> "Awaitable[None] | None":
        """Take a block, which is valid during the call only."""
        ...

    def finish(self, verify: Callable[[], Received]) -> "Response | Awaitable[Response]":
        """The content is complete, and as long as announced; right only when `verify` has returned.

        `verify` is called once, when the watchers have seen all of the content, from whatever thread.
        """
        ...

    def abort(self) -> None:
        """Nothing of it stays; safe to repeat."""
        ...
