"""Copies of pieces on other mountpaths, so that an object outlives a disk.

In a bucket with `mirror.enabled` every piece of an object lies on `mirror.copies` mountpaths, as far as there are so
many. A write makes the copies before its commit, and the commit names all of them: what is acknowledged has its
copies, and there is no queue that a crash could lose. Copying is done by the kernel, out of memory that was just
written.

Everything later is one operation, `arrange`: bring an object to the number of copies that it should have. It adds what
is missing, leaves out what is damaged or lies on a disk that goes, and takes a copy for the piece itself when that is
lost. Nothing is overwritten: what is added are new files, and one transaction names them, if the object is still what
was looked at.
"""

import logging
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from enum import Enum
from functools import partial
from typing import Self

from aiscore.engine.checksum import Hasher, new_chunk_hasher, new_hasher
from aiscore.engine.core import Core
from aiscore.engine.fileio import close_quietly, copy_all, storage_error
from aiscore.engine.index.buckets import BucketRow
from aiscore.engine.index.copies import copies_of, replace_places
from aiscore.engine.index.database import Connection
from aiscore.engine.index.objects import ObjectRow, PieceRef, have_mountpaths, select_object
from aiscore.engine.layout import piece_path
from aiscore.engine.mountpath import Mountpath
from aiscore.engine.piecefiles import discard_pieces, make_directory
from aiscore.errors import (
    AisError,
    CapacityExceededError,
    CorruptionError,
    StorageError,
    UnavailableError,
)
from aiscore.model.checksum import ChecksumType
from aiscore.model.storage import FaultKind
from aiscore.model.stream import BLOCK_SIZE

__all__ = [
    "Arranged",
    "Copies",
    "arrange",
    "hasher_for",
    "is_as_before",
    "is_good",
    "make_copies",
    "mend",
    "switch_places",
    "wanted_copies",
]

log = logging.getLogger(__name__)


class Copies:
    """Copies of the pieces of one object on their way to a commit, which is made inside of a `with`.

    Attributes:
        of_pieces: those of each piece; empty when there are none at all.
    """

    def __init__(self, core: Core, what: str, *, sync: bool) -> None:
        """`what` names the object in errors; with `sync` each copy is on disk when it has been made."""
        self._core = core
        self._what = what
        self._sync = sync
        self._made: list[tuple[int, str]] = []
        self.of_pieces: list[list[PieceRef]] = []

    @property
    def count(self) -> int:
        """Places of each piece, with that of the piece itself."""
        return 1 + min(map(len, self.of_pieces), default=0)

    @property
    def all(self) -> list[PieceRef]:
        """Every copy."""
        return [copy for of_piece in self.of_pieces for copy in of_piece]

    def make(self, source: PieceRef, mountpath: Mountpath) -> PieceRef:
        """Copy one piece to a mountpath."""
        files = self._core.files
        piece_id = self._core.sessions.new_piece_id()
        path = piece_path(mountpath.path, piece_id)
        self._made.append((piece_id, path))
        directory = path.rpartition("/")[0]
        try:
            source_fd = files.open(
                piece_path(self._core.mountpaths.readable(source.mountpath_id), source.piece_id)
            )
            try:
                try:
                    fd = files.create(path)
                except FileNotFoundError:
                    make_directory(self._core, mountpath.id, directory)
                    fd = files.create(path)
                try:
                    if source.size:
                        copy_all(files, source_fd, fd, source.size)
                    if self._sync:
                        files.fsync(fd)
                finally:
                    files.close(fd)
            finally:
                close_quietly(files, source_fd)
            if self._sync:
                files.fsync_dir(directory)
        except OSError as exc:
            raise storage_error(exc, f"copy of {self._what}") from exc
        return source._replace(piece_id=piece_id, mountpath_id=mountpath.id)

    def abort(self) -> None:
        """Remove those that no commit has named."""
        discard_pieces(self._core, self._made)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *exc: object) -> None:
        if kind is not None:
            self.abort()
        else:
            for piece_id, _ in self._made:
                self._core.sessions.settle(piece_id)


def wanted_copies(bucket: BucketRow) -> int:
    """Copies that the objects of a bucket should have, the original included."""
    mirror = bucket.props.mirror
    return mirror.copies if mirror.enabled else 1


def make_copies(
    core: Core, bucket: BucketRow, name: str, pieces: Sequence[PieceRef], *, sync: bool
) -> Copies:
    """Copies of new pieces, before their commit; none when the bucket wants none, or there is no disk for one.

    Every piece gets as many as the one that gets the fewest.
    """
    copies = Copies(core, f"{bucket.cname}/{name}", sync=sync)
    extra = wanted_copies(bucket) - 1
    if not extra:
        return copies
    key = bucket.uname + name
    choose = core.mountpaths.choose_others
    targets = [choose(key, {piece.mountpath_id}, extra) for piece in pieces]
    count = min(map(len, targets))
    if not count:
        return copies
    try:
        for piece, found in zip(pieces, targets, strict=True):
            copies.of_pieces.append([copies.make(piece, target) for target in found[:count]])
    except BaseException:
        copies.abort()
        raise
    return copies


class Arranged(Enum):
    """What `arrange` did."""

    UNCHANGED = "unchanged"
    CHANGED = "changed"
    BUSY = "busy"
    """It is being read, or was written meanwhile: nothing was changed."""


def arrange(
    core: Core,
    bucket: BucketRow,
    row: ObjectRow,
    wanted: int,
    *,
    leaving: int = 0,
    is_deep: bool = False,
) -> Arranged:
    """Bring an object to `wanted` copies, or as many as there are disks for.

    Args:
        core: the home.
        bucket: of the object.
        row: the object as it was looked up.
        wanted: copies of each piece, the original included; 1 at least.
        leaving: a mountpath that nothing is to stay on.
        is_deep: read all copies, and replace those that do not have the recorded checksum.

    Raises:
        CorruptionError: no copy of some piece is good; nothing was changed.
        UnavailableError: there is no disk for any.
    """
    what = f"{bucket.cname}/{row.name}"
    before = copies_of(core.connection(), row)
    if not before:
        return Arranged.BUSY  # replaced since it was looked up
    hasher = hasher_for(row) if is_deep and row.checksum else None
    copies = Copies(core, what, sync=core.is_durable(bucket))
    try:
        plans = [
            _Plan(
                core,
                places,
                hasher,
                leaving,
                f"{what}: chunk {number}" if len(before) > 1 else what,
            )
            for number, places in enumerate(before, start=1)
        ]
        after = _after(core, plans, wanted, copies)
        if after == before:
            return Arranged.UNCHANGED
        return switch_places(core, bucket, row, before, after)
    except AisError:
        if is_as_before(core.connection(), row, before):
            raise
        return Arranged.BUSY  # what is not there any more was looked for in vain
    finally:
        copies.abort()


def is_as_before(connection: Connection, row: ObjectRow, before: list[list[PieceRef]]) -> bool:
    """True while nobody has written the object, and its pieces lie where they were."""
    current = select_object(connection, row.bucket_id, row.name)
    return (
        current is not None
        and current.generation == row.generation
        and copies_of(connection, current) == before
    )


def mend(core: Core, bucket: BucketRow, row: ObjectRow, *, is_deep: bool = False) -> bool:
    """Replace what is damaged of an object by a good copy; False when there is none, or not now."""
    if row.copies == 1:
        return False
    try:
        done = arrange(core, bucket, row, row.copies, is_deep=is_deep)
    except AisError as exc:
        log.warning("not mended: object=%s/%s reason=%s", bucket.cname, row.name, exc)
        return False
    if done is Arranged.CHANGED:
        log.warning("mended from a copy: object=%s/%s", bucket.cname, row.name)
        core.count(mirror_mend_n=1)
    return done is Arranged.CHANGED


class _Plan:
    """What there is of one piece: the places that can stay, and one to copy from."""

    def __init__(
        self,
        core: Core,
        places: Sequence[PieceRef],
        hasher: Callable[[], Hasher] | None,
        leaving: int,
        what: str,
    ) -> None:
        """`hasher` makes those of the pieces' checksums; without it they are not read."""
        self.places = places
        self.kept: list[PieceRef] = []
        self.source: PieceRef | None = None
        for place in places:
            try:
                if not is_good(core, place, hasher):
                    continue
                self.source = self.source or place
            except UnavailableError:
                pass  # it may come back: what lies there is not lost as long as the disk is not taken out
            if place.mountpath_id != leaving:
                self.kept.append(place)
        if self.source is None and not self.kept:
            raise CorruptionError(
                f"{what} is damaged, and so are all copies of it", kind=FaultKind.MISSING
            )
        if places[0] not in self.kept:
            # Of those that can take its place, one that is there before one that is away.
            self.kept.sort(key=lambda place: place is not self.source)


def hasher_for(row: ObjectRow) -> Callable[[], Hasher]:
    """What makes hashers of the checksums of an object's pieces; a single piece has that of the object."""
    if row.piece_count > 1:
        return new_chunk_hasher
    return partial(new_hasher, ChecksumType(row.checksum_type))


def is_good(core: Core, place: PieceRef, new: Callable[[], Hasher] | None) -> bool:
    """Is it there, of its size, and with its checksum if that is asked for.

    Raises:
        UnavailableError: its disk is away.
    """
    files = core.files
    path = piece_path(core.mountpaths.readable(place.mountpath_id), place.piece_id)
    try:
        if files.size_of(path) != place.size:
            return False
        if new is None or not place.checksum:
            return True
        hasher = new()
        buffer = memoryview(bytearray(BLOCK_SIZE))
        fd = files.open(path)
        try:
            position = 0
            while count := files.preadv(fd, [buffer], position):
                hasher.update(buffer[:count])
                position += count
        finally:
            close_quietly(files, fd)
    except FileNotFoundError:
        core.mountpaths.check_label(place.mountpath_id)
        return False
    except OSError:
        return False
    return hasher.hexdigest() == place.checksum


def _after(core: Core, plans: Sequence[_Plan], wanted: int, copies: Copies) -> list[list[PieceRef]]:
    """Where each piece will lie: everywhere in equal number."""
    targets: list[list[Mountpath]] = []
    for plan in plans:
        need = max(0, wanted - len(plan.kept)) if plan.source is not None else 0
        taken = {place.mountpath_id for place in plan.kept}
        if plan.source is not None and plan.source not in plan.kept:
            taken.add(plan.source.mountpath_id)
        key = f"{plan.places[0].piece_id:016x}"
        targets.append(core.mountpaths.choose_others(key, taken, need))
    pairs = list(zip(plans, targets, strict=True))
    count = min(wanted, *(len(plan.kept) + len(new) for plan, new in pairs))
    if not count:
        raise UnavailableError("no mountpath is enabled", hint="see: ais storage mountpath show")
    after = []
    for plan, new in pairs:
        places = plan.kept[:count]
        for target in new[: count - len(places)]:
            assert plan.source is not None
            try:
                places.append(copies.make(plan.source, target))
            except (CapacityExceededError, StorageError) as exc:
                if not places:
                    raise
                log.warning("copy not made: path=%s reason=%s", target.path, exc)
                break
        after.append(places)
    fewest = min(map(len, after))
    return [places[:fewest] for places in after]


def switch_places(
    core: Core,
    bucket: BucketRow,
    row: ObjectRow,
    before: list[list[PieceRef]],
    after: list[list[PieceRef]],
) -> Arranged:
    """Let the rows name the new places, if the object is still what it was."""
    left = [
        place for old, new in zip(before, after, strict=True) for place in old if place not in new
    ]
    with ExitStack() as stack:
        # Who reads many pieces opens them as it goes: none may be taken away from it.
        is_free = (
            not left or row.piece_count == 1 or stack.enter_context(core.garbage.held(before[0]))
        )
        if is_free:
            with core.database.write(sync=core.is_durable(bucket)) as connection:
                used = {place.mountpath_id for of_piece in after for place in of_piece}
                is_free = is_as_before(connection, row, before) and have_mountpaths(
                    connection, used
                )
                if is_free:
                    for number, (old, new) in enumerate(zip(before, after, strict=True), start=1):
                        if old != new:
                            replace_places(connection, row, number, old, new)
                    first = after[0][0]
                    if row.piece_count > 1 and first.piece_id != row.piece_id:
                        connection.execute(
                            "UPDATE manifests SET manifest_id = ? WHERE manifest_id = ?",
                            (first.piece_id, row.piece_id),
                        )
                    connection.execute(
                        "UPDATE objects SET piece_id = ?, mountpath_id = ?, copies = ? "
                        "WHERE bucket_id = ? AND name = ?",
                        (
                            first.piece_id,
                            first.mountpath_id,
                            len(after[0]),
                            row.bucket_id,
                            row.name,
                        ),
                    )
                    connection.cache.clear()
    if not is_free:
        return Arranged.BUSY
    core.garbage.reclaim_pieces(left)
    return Arranged.CHANGED
