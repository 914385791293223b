"""Jobs that keep a home in order, each started by hand: cleanup, indexing of shards, copies, warming up the index.

What a killed process leaves is swept when a home is opened; a home that a server keeps open for months is swept here.
"""

import os
import time
from collections.abc import Callable, Iterator

from aiscore.engine.append import expire_appends
from aiscore.engine.check import may_be_unfinished, piece_files
from aiscore.engine.core import Core
from aiscore.engine.index import buckets as bucket_index
from aiscore.engine.index.buckets import BucketRow
from aiscore.engine.index.objects import rows_after
from aiscore.engine.lru import evict
from aiscore.engine.members import members_of
from aiscore.engine.multipart import expire_uploads
from aiscore.engine.resilver import mirrored_buckets, restore_copies, spread
from aiscore.engine.xaction.job import MISSING_NAMED_MAX, Announce, Job, unannounced
from aiscore.errors import (
    ArchiveError,
    CorruptionError,
    InvalidArgumentError,
    ObjectNotFoundError,
    UnsupportedError,
    XactionNotFoundError,
)
from aiscore.model.access import Access
from aiscore.model.archive import ArchiveFormat
from aiscore.model.bucket import BucketRef
from aiscore.model.storage import MountpathState
from aiscore.model.xaction import KINDS, XactionKind, XactionSnap, XactionState

__all__ = ["run_job"]

_DOOMED_BATCH = 1_000


def run_job(
    core: Core,
    kind: XactionKind,
    bucket: BucketRef | None,
    announce: Announce = unannounced,
    *,
    force: bool = False,
) -> XactionSnap:
    """Run a job to its end. See `Transport.run_job`."""
    work = _WORK.get(kind)
    display = KINDS[kind].display
    if work is None:
        raise UnsupportedError(f"cannot start {display} - operation not supported")
    if kind in _NEED_BUCKET and bucket is None:
        raise InvalidArgumentError(f'xaction "{kind}" requires a bucket to start')
    rows = _buckets(core, bucket)
    control = "force" if force else ""
    alone = kind is XactionKind.RESILVER
    with core.xactions.start(kind, bucket, None, control, announce, alone=alone) as job:
        work(core, rows, job, force)
    try:
        return core.xactions.find(job.id)
    except XactionNotFoundError:  # a full disk has no room for its row
        return XactionSnap(
            id=job.id,
            kind=kind,
            state=XactionState.FINISHED,
            bucket=bucket,
            objects=job.objects,
            size=job.size,
        )


def _buckets(core: Core, bucket: BucketRef | None) -> list[BucketRow]:
    if bucket is not None:
        return [core.bucket(bucket, Access.LIST_OBJECTS)]
    connection = core.connection()
    connection.fresh_cache()
    names = bucket_index.list_buckets(connection, None, None)
    found = [bucket_index.select_bucket(connection, name) for name in names]
    return [row for row in found if row is not None]


def _clean_up(core: Core, rows: list[BucketRow], job: Job, force: bool) -> None:
    """Everything that no name leads to: it belongs to no bucket any more, so `rows` do not matter."""
    expire_appends(core)
    expire_uploads(core)
    swept = core.sessions.sweep()
    job.step(swept)
    core.garbage.reclaim_marked()
    while core.connection().execute("SELECT 1 FROM doomed_buckets LIMIT 1").fetchone():
        core.remove_doomed(_DOOMED_BATCH)
        job.step()
    with core.database.write() as connection:
        stale = connection.execute(
            "DELETE FROM shard_indexes WHERE generation NOT IN (SELECT generation FROM objects)"
        ).rowcount
    orphans = 0
    # What a person has just copied here by mistake may be looked for.
    age_ns = 0 if force else core.config().space.dont_cleanup_time_ns
    for path, size in _orphans(core, age_ns):
        try:
            core.files.unlink(path)
        except OSError:
            continue
        orphans += 1
        job.step(1, size)
    job.ext |= {"unfinished": swept, "orphans": orphans, "shard_indexes": stale}


def _orphans(core: Core, age_ns: int) -> Iterator[tuple[str, int]]:
    """Files among the pieces that have no row, are not being written, and are at least so old; with their sizes."""
    now = time.time_ns()
    for mountpath in core.mountpaths.all().values():
        if mountpath.state is MountpathState.MISSING:
            continue
        query = "SELECT id FROM pieces WHERE mountpath_id = ?"
        rows = core.connection().execute(query, (mountpath.id,)).fetchall()
        known = {row[0] for row in rows}
        for path, piece_id in piece_files(mountpath.path):
            if piece_id is None or piece_id in known or may_be_unfinished(core, piece_id):
                continue  # what is no piece's name was not written by us
            try:
                found = os.lstat(path)
            except OSError:
                continue
            if now - found.st_mtime_ns >= age_ns:
                yield path, found.st_size


def _index_shards(core: Core, rows: list[BucketRow], job: Job, force: bool) -> None:
    """Read the headers of all shards, so that the first read of a file in one is as fast as the second."""
    bad: list[str] = []
    for bucket in rows:
        for row in rows_after(core.connection(), bucket.id, ""):
            if ArchiveFormat.of_name(row.name) is None:
                continue
            try:
                members_of(core, bucket, row.name)
            except ObjectNotFoundError:
                continue  # deleted since it was listed
            except ArchiveError:
                bad.append(bucket.bucket.object_cname(row.name))
                continue
            job.step(1, row.size)
    core.write_notes()
    if bad:
        job.ext["no_shards"] = bad[:MISSING_NAMED_MAX]


def _warm_up(core: Core, rows: list[BucketRow], job: Job, force: bool) -> None:
    """Read the rows of all objects, so that they are in memory."""
    for bucket in rows:
        for row in rows_after(core.connection(), bucket.id, ""):
            job.step(1, row.size)


def _evict(core: Core, rows: list[BucketRow], job: Job, force: bool) -> None:
    evict(core, rows, job, force=force)


def _mirror(core: Core, rows: list[BucketRow], job: Job, force: bool) -> None:
    restore_copies(core, rows, job)


def _resilver(core: Core, rows: list[BucketRow], job: Job, force: bool) -> None:
    """Of all buckets: a disk has pieces of any. Copies first, so that what is moved has them."""
    damage: CorruptionError | None = None
    try:
        restore_copies(core, mirrored_buckets(core), job)
    except CorruptionError as exc:
        damage = exc
    spread(core, _buckets(core, None), job)
    if damage is not None:
        raise damage


_Work = Callable[[Core, list[BucketRow], Job, bool], None]
_WORK: dict[XactionKind, _Work] = {
    XactionKind.CLEANUP: _clean_up,
    XactionKind.LRU: _evict,
    XactionKind.MIRROR: _mirror,
    XactionKind.RESILVER: _resilver,
    XactionKind.SHARD_INDEX: _index_shards,
    XactionKind.WARM_UP: _warm_up,
}
_NEED_BUCKET = frozenset({XactionKind.MIRROR, XactionKind.SHARD_INDEX, XactionKind.WARM_UP})
