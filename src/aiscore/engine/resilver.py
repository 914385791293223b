"""Jobs that bring many objects to where they should be, and to the number of copies that they should have.

An object that is being read or written at that moment is come back to; what is still busy then keeps what it has, and
is counted. Running the job again goes on where this one was.
"""

import time
from collections.abc import Callable, Iterable, Iterator

from aiscore.engine.balance import balance
from aiscore.engine.core import Core
from aiscore.engine.index import buckets as bucket_index
from aiscore.engine.index.buckets import BucketRow
from aiscore.engine.index.objects import ObjectRow, rows_after, select_object
from aiscore.engine.mirror import Arranged, arrange, wanted_copies
from aiscore.engine.xaction.job import MISSING_NAMED_MAX, Announce, Job, unannounced
from aiscore.errors import CorruptionError, InvalidArgumentError, StorageError
from aiscore.model.bucket import BucketRef
from aiscore.model.policies import MIRROR_COPIES_MAX
from aiscore.model.props import BucketProps
from aiscore.model.xaction import XactionKind

__all__ = [
    "check_copies",
    "mirrored_buckets",
    "needs_copies",
    "resilver",
    "restore_copies",
    "spread",
    "start_mirroring",
]

_PATIENCE_S = 5.0
"""How long a job comes back to objects that are in use."""
_PAUSE_S = 0.05


def check_copies(core: Core, bucket: BucketRef, copies: int) -> None:
    """Refuse more copies than there can be.

    Raises:
        InvalidArgumentError: fewer than one, more than `MIRROR_COPIES_MAX`, or than mountpaths that are enabled.
    """
    node = f"t[{core.home_id}]"
    if not 1 <= copies <= MIRROR_COPIES_MAX:
        raise InvalidArgumentError(
            f"{node}: invalid num copies {copies}, must be in [1, {MIRROR_COPIES_MAX}] range"
        )
    count = core.mountpaths.enabled_count
    if copies > max(count, 1):
        raise InvalidArgumentError(
            f"{node}: not enough mountpaths ({count}) to configure {bucket} as {copies}-way mirror",
            hint="add a disk: ais storage mountpath attach",
        )


def start_mirroring(core: Core, bucket: BucketRef, copies: int, announce: Announce) -> Job:
    """Begin the job that follows a change of the number of copies, before it is changed: there is one at a time."""
    start = core.xactions.start
    return start(XactionKind.MIRROR, bucket, None, f"copies:{copies}", announce, alone=True)


def needs_copies(before: BucketProps, after: BucketProps) -> bool:
    """A change of properties that makes copies, or removes some: upstream's rule."""
    return after.mirror.enabled and (
        not before.mirror.enabled or before.mirror.copies != after.mirror.copies
    )


def mirrored_buckets(core: Core) -> list[BucketRow]:
    """Buckets that are mirrored."""
    connection = core.connection()
    connection.fresh_cache()
    names = bucket_index.list_buckets(connection, None, None)
    found = [bucket_index.select_bucket(connection, name) for name in names]
    return [row for row in found if row is not None and row.props.mirror.enabled]


def resilver(core: Core, control: str = "", announce: Announce = unannounced) -> None:
    """Restore the copies of all mirrored buckets after disks have come or gone, as a job if there are any."""
    buckets = mirrored_buckets(core)
    if not buckets:
        return
    with core.xactions.start(XactionKind.RESILVER, None, None, control, announce) as job:
        restore_copies(core, buckets, job)


def restore_copies(core: Core, buckets: list[BucketRow], job: Job) -> None:
    """Bring all objects to the number of copies of their bucket, and replace what is missing or short.

    Raises:
        CorruptionError: of some objects there is no good copy; the others are done.
    """
    run = _Run(core, job, lambda bucket, row: arrange(core, bucket, row, wanted_copies(bucket)))
    for bucket in buckets:
        run.visit(bucket, _rows(core, bucket))
    run.finish()


def spread(core: Core, buckets: list[BucketRow], job: Job) -> None:
    """Move objects to the mountpaths where they would be written now, so that a new disk gets its share.

    Raises:
        CorruptionError: some objects are damaged, and stay where they are; the others are done.
        CapacityExceededError: a disk is full; what was moved has been moved.
    """
    if core.mountpaths.enabled_count == 1:
        return
    run = _Run(core, job, lambda bucket, row: balance(core, bucket, row))
    for bucket in buckets:
        run.visit(bucket, rows_after(core.connection(), bucket.id))
    run.finish()


class _Run:
    """One operation on many objects, each in a commit of its own."""

    def __init__(
        self, core: Core, job: Job, act: Callable[[BucketRow, ObjectRow], Arranged]
    ) -> None:
        self._core = core
        self._job = job
        self._act = act
        self._damaged: list[str] = []
        self._busy: list[tuple[BucketRow, str]] = []

    def visit(self, bucket: BucketRow, rows: Iterable[ObjectRow]) -> None:
        """Do it to these objects of a bucket."""
        for row in rows:
            try:
                done = self._try(bucket, row)
            except CorruptionError:
                self._damaged.append(bucket.bucket.object_cname(row.name))
                continue
            if done is Arranged.BUSY:
                self._busy.append((bucket, row.name))
            else:
                _count(self._job, row, done)

    def finish(self) -> None:
        """Come back to those that were in use, and tell what is left.

        Raises:
            CorruptionError: some objects are damaged.
        """
        deadline = time.monotonic() + _PATIENCE_S
        while self._busy and time.monotonic() < deadline:
            time.sleep(_PAUSE_S)
            again, self._busy = self._busy, []
            for bucket, name in again:
                row = select_object(self._core.connection(), bucket.id, name)
                if row is not None:
                    self.visit(bucket, [row])
        ext, damaged = self._job.ext, self._damaged
        ext["busy"] = int(str(ext.get("busy", 0))) + len(self._busy)
        ext["damaged"] = int(str(ext.get("damaged", 0))) + len(damaged)
        if damaged:
            ext["damaged_names"] = damaged[:MISSING_NAMED_MAX]
            raise CorruptionError(
                f"{len(damaged)} objects are damaged and were left as they are, the first: {damaged[0]}",
                hint="see: ais storage validate",
            )

    def _try(self, bucket: BucketRow, row: ObjectRow) -> Arranged:
        try:
            return self._act(bucket, row)
        except (CorruptionError, StorageError):
            now = select_object(self._core.connection(), bucket.id, row.name)
            if now is not None and now.piece_id == row.piece_id:
                raise
            return Arranged.UNCHANGED  # what was not there was removed, or written anew


def _rows(core: Core, bucket: BucketRow) -> Iterator[ObjectRow]:
    """All objects, then those that were written by operations that had begun before the bucket was changed."""
    yield from rows_after(core.connection(), bucket.id, "")
    count = min(wanted_copies(bucket), core.mountpaths.enabled_count)
    query = "SELECT name FROM objects WHERE bucket_id = ? AND copies != ?"
    for (name,) in core.connection().rows(query, (bucket.id, count)):
        row = select_object(core.connection(), bucket.id, name)
        if row is not None:
            yield row


def _count(job: Job, row: ObjectRow, done: Arranged) -> None:
    if done is Arranged.CHANGED:
        job.step(1, row.size)
    else:
        job.step()
