"""The seam between who takes a body and who makes sure that it is what was sent.

An operation gives an `Inbound` to `checksums.body_sink(request, inbound, identity)`, and the sink that it gets to the
protocol. The sink takes aws-chunked framing off (so `Inbound.write` sees content only), verifies every signature,
digest and checksum that came with the body, in front of it or behind, and calls `Inbound.finish` only when all of them
are right; otherwise it raises an `S3Error` and `Inbound.abort` is called.
"""

from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Protocol

from aiscore.model.objects import CHECKSUM_KEY
from aiscore.server.http import Response

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
        md5: hex, when it had to be computed; "" otherwise.
        checksum: value for `CHECKSUM_KEY`; "" when the client wanted none.
        headers: `x-amz-checksum-*` to answer with.
    """

    md5: str = ""
    checksum: str = ""
    headers: tuple[tuple[str, str], ...] = ()


class Inbound(Protocol):
    """Where the content of a body goes; as `http.BodySink`, but that `finish` learns what was received."""

    def write(self, data: memoryview) -> "Awaitable[None] | None":
        """Take a block, which is valid during the call only."""
        ...

    def finish(self, received: Received) -> "Response | Awaitable[Response]":
        """The content is complete, as long as announced, and right."""
        ...

    def abort(self) -> None:
        """Nothing of it stays; safe to repeat."""
        ...
