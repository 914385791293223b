"""Objects on the mountpaths where they would be written now: after a disk has come, a part of each goes there.

A piece is found wherever it lies, so this is for room and for speed, never for finding things. It is one operation for
each object, like those of `mirror`: new files, then one transaction that names them. Since a move gives up the place
that it copies from, what was copied is read back and compared with its checksum before.
"""

from collections.abc import Callable, Sequence

from aiscore.engine.checksum import Hasher
from aiscore.engine.core import Core
from aiscore.engine.index.buckets import BucketRow
from aiscore.engine.index.copies import copies_of
from aiscore.engine.index.objects import ObjectRow, PieceRef
from aiscore.engine.mirror import (
    Arranged,
    Copies,
    hasher_for,
    is_as_before,
    is_good,
    switch_places,
)
from aiscore.engine.mountpath import Mountpath
from aiscore.errors import AisError, CorruptionError, UnavailableError
from aiscore.model.storage import FaultKind

__all__ = ["balance"]


def balance(core: Core, bucket: BucketRow, row: ObjectRow) -> Arranged:
    """Move the pieces of an object to where its name puts them, as many copies of each as there are.

    Raises:
        CorruptionError: a piece does not have the recorded checksum; nothing was changed.
        CapacityExceededError: the disk that it belongs on is full; nothing was changed.
    """
    what = f"{bucket.cname}/{row.name}"
    before = copies_of(core.connection(), row)
    key = bucket.uname + row.name
    targets = [_targets(core, key, position, places) for position, places in enumerate(before)]
    if not any(targets):
        return Arranged.UNCHANGED
    if row.piece_count > 1:
        with core.garbage.held(before[0]) as is_free:
            if not is_free:
                return (
                    Arranged.BUSY
                )  # asked again in the end, but not before gigabytes were copied for nothing
    hasher = hasher_for(row) if row.checksum else None
    copies = Copies(core, what, sync=core.is_durable(bucket))
    try:
        after = []
        for number, (places, wanted) in enumerate(zip(before, targets, strict=True), start=1):
            have = {place.mountpath_id: place for place in places}
            piece = f"{what}: chunk {number}" if row.piece_count > 1 else what
            moved = [
                have.get(target.id) or _copy(core, places, target, copies, hasher, piece)
                for target in wanted
            ]
            after.append(moved or list(places))
        return switch_places(core, bucket, row, before, after)
    except AisError:
        if is_as_before(core.connection(), row, before):
            raise
        return Arranged.BUSY  # what is not there any more was looked for in vain
    finally:
        copies.abort()


def _targets(
    core: Core, key: str, position: int, places: Sequence[PieceRef]
) -> Sequence[Mountpath]:
    """Where a piece and its copies should lie; empty when they stay where they are."""
    mountpaths = core.mountpaths
    first = mountpaths.choose(key, position)
    wanted = [first, *mountpaths.choose_others(key, {first.id}, len(places) - 1)]
    have = {place.mountpath_id for place in places}
    if len(wanted) < len(places) or have == {mountpath.id for mountpath in wanted}:
        return ()
    try:
        for place in places:
            mountpaths.readable(place.mountpath_id)
    except UnavailableError:
        return ()  # a disk that is away may come back with what is on it
    return wanted


def _copy(
    core: Core,
    places: Sequence[PieceRef],
    mountpath: Mountpath,
    copies: Copies,
    hasher: Callable[[], Hasher] | None,
    what: str,
) -> PieceRef:
    """A piece on another mountpath, out of the first of its places that is good."""
    for place in places:
        copy = copies.make(place, mountpath)
        if is_good(core, copy, hasher):
            return copy
    raise CorruptionError(
        f"{what} is damaged: it does not have its checksum",
        hint="see: ais storage validate",
        kind=FaultKind.CHECKSUM,
    )
