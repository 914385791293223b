"""How a caller reaches a store: the `Transport` interface and `open_transport`."""

from aiscore.transport.base import (
    ArchiveStream,
    BatchStream,
    MemberInput,
    ObjectReader,
    Transport,
)
from aiscore.transport.options import ConnectionOptions
from aiscore.transport.registry import default_home, open_transport

__all__ = [
    "ArchiveStream",
    "BatchStream",
    "ConnectionOptions",
    "MemberInput",
    "ObjectReader",
    "Transport",
    "default_home",
    "open_transport",
]
