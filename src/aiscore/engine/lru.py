"""Eviction: when disks are too full, what was not used for longest goes, from the buckets that allow it.

Only objects that can be fetched again go: those of buckets with a backend. In any other bucket they are the only
copies, and no option makes eviction delete these. Nothing happens while every disk is below `space.highwm`; then
objects go until the fullest are down to `space.lowwm`, and never one that was used within the bucket's
`lru.dont_evict_time`.
"""

import os
import shutil
import time

from aiscore.engine.core import Core
from aiscore.engine.index.buckets import BucketRow
from aiscore.engine.index.objects import ObjectRow, delete_object, select_object
from aiscore.engine.xaction.job import Job
from aiscore.model.access import Access, allows
from aiscore.model.storage import MountpathState

__all__ = ["evict"]

_BATCH = 256
"""Objects of one transaction; between two of them the job can be stopped."""
_CANDIDATES = 8_192
"""Objects of a bucket that one look at its index brings."""


def evict(core: Core, buckets: list[BucketRow], job: Job, *, force: bool = False) -> None:
    """Delete the least recently used objects until the disks are emptier.

    Args:
        core: the home.
        buckets: those that are asked for.
        job: counts, and may be stopped.
        force: of buckets with a backend whose `lru.enabled` is off, too.
    """
    core.write_notes()  # access times that are still in memory
    excess = _excess(core)
    job.ext["excess"] = excess
    allowed = [row for row in buckets if _may_evict(row, force=force)]
    while excess > 0:
        before = excess
        found = _oldest(core, allowed)
        for start in range(0, len(found), _BATCH):
            for row in _delete(core, found[start : start + _BATCH], excess):
                excess -= row.size
                core.garbage.reclaim(row)
                job.step(1, row.size)
            if excess <= 0:
                break
        if excess == before:
            return  # nothing may go, or all of it was used meanwhile


def _may_evict(row: BucketRow, *, force: bool) -> bool:
    return (
        _has_backend(row)
        and (force or row.props.lru.enabled)
        and allows(row.props.access, Access.DELETE_OBJECT)
    )


def _has_backend(row: BucketRow) -> bool:
    return row.bucket.is_remote or row.props.backend_bck.is_set


def _excess(core: Core) -> int:
    """Bytes that are to go: of all disks above the high watermark, what lies above the low one."""
    space = core.config().space
    excess = 0
    seen: set[int] = set()
    for mountpath in core.mountpaths.all().values():
        if mountpath.state is MountpathState.MISSING:
            continue
        try:
            device = os.stat(mountpath.path).st_dev
            usage = shutil.disk_usage(mountpath.path)
        except OSError:
            continue
        if device in seen:
            continue  # mountpaths of one disk
        seen.add(device)
        used = usage.total - usage.free
        if used * 100 >= space.highwm * usage.total:
            excess += used - space.lowwm * usage.total // 100
    return excess


def _oldest(core: Core, buckets: list[BucketRow]) -> list[ObjectRow]:
    """Some of the least recently used objects that may go, oldest first."""
    now = time.time_ns()
    found: list[ObjectRow] = []
    columns = ", ".join(ObjectRow._fields)
    for bucket in buckets:
        rows = core.connection().execute(
            f"SELECT {columns} FROM objects WHERE bucket_id = ? AND max(atime_ns, mtime_ns) < ? "
            "ORDER BY max(atime_ns, mtime_ns) LIMIT ?",
            (bucket.id, now - bucket.props.lru.dont_evict_time_ns, _CANDIDATES),
        )
        found += map(ObjectRow._make, rows.fetchall())
    found.sort(key=lambda row: max(row.atime_ns, row.mtime_ns))
    # What comes behind may be younger than what another bucket has left.
    return found[:_CANDIDATES]


def _delete(core: Core, rows: list[ObjectRow], excess: int) -> list[ObjectRow]:
    """Delete rows that are still as they were, until they are `excess` bytes; those that are gone."""

    def work() -> list[ObjectRow]:
        gone: list[ObjectRow] = []
        left = excess
        with core.database.write() as connection:
            for row in rows:
                if left <= 0:
                    break
                current = select_object(connection, row.bucket_id, row.name)
                if current is None or (current.generation, current.atime_ns) != (
                    row.generation,
                    row.atime_ns,
                ):
                    continue
                delete_object(connection, current)
                gone.append(current)
                left -= current.size
            core.garbage.forget(connection)
        return gone

    return core.freeing(work)
