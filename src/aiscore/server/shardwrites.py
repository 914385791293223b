"""Files put into shards: writers of one shard take turns, as those expect who append to it from several connections."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from aiscore.errors import BusyError
from aiscore.model.archive import ArchiveFormat
from aiscore.model.bucket import BucketRef
from aiscore.model.objects import ArchivePutMode, ObjectProps
from aiscore.model.stream import Body
from aiscore.server.http import ServerContext

if TYPE_CHECKING:
    from aiscore.engine.members import Member

__all__ = ["put_members"]

TRIES_MAX = 50
"""Other processes do not take turns: each time that one of them was quicker the files are put again."""


def put_members(
    context: ServerContext,
    bucket: BucketRef,
    shard: str,
    body: Body,
    members: "Callable[[], Iterable[Member]]",
    mode: ArchivePutMode,
    archmime: ArchiveFormat | None,
) -> ObjectProps:
    """Write files into a shard, all or none, in a thread of the pool.

    Args:
        context: of the server.
        bucket: of the shard.
        shard: its object name.
        body: what they are read from, whole: bytes, or a `BodySpool`.
        members: gives the files, from a body at its begin.
        mode: what becomes of the files that are there.
        archmime: format, when the name does not tell.

    Raises:
        BusyError: others have changed the shard again and again meanwhile.
    """
    store = context.node.store
    locks = context.shard_locks
    with locks[hash((bucket, shard)) % len(locks)]:
        for _ in range(TRIES_MAX - 1):
            try:
                return store.put_members(bucket, shard, members(), mode, archmime)
            except BusyError:
                if not isinstance(body, bytes | bytearray | memoryview):
                    body.rewind()  # type: ignore[union-attr]  # a `BodySpool`
        return store.put_members(bucket, shard, members(), mode, archmime)
