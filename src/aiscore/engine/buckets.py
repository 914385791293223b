"""Operations on buckets."""

import time
from collections.abc import Mapping
from dataclasses import replace

from aiscore.engine.copying import copy_content
from aiscore.engine.core import Core
from aiscore.engine.index import buckets as index
from aiscore.engine.index.buckets import BucketRow
from aiscore.engine.index.objects import after_prefix, rows_after, select_object
from aiscore.engine.index.schema import PIECE_APPENDING, PIECE_GARBAGE
from aiscore.engine.index.uploads import delete_uploads_of
from aiscore.engine.objects import delete_selected, select_names
from aiscore.engine.resilver import (
    check_copies,
    needs_copies,
    restore_copies,
    start_mirroring,
)
from aiscore.engine.xaction.job import MISSING_NAMED_MAX, Announce, Job, unannounced
from aiscore.errors import (
    BucketAlreadyExistsError,
    BucketNotFoundError,
    InvalidArgumentError,
    ObjectNotFoundError,
    PreconditionFailedError,
    UnsupportedError,
)
from aiscore.model.access import Access
from aiscore.model.bucket import BucketRef
from aiscore.model.names import check_object_name, check_prefix
from aiscore.model.objects import BucketSummary, CopyOptions, CopyResult, Selection
from aiscore.model.props import BucketProps, change_props, default_props
from aiscore.model.xaction import XactionKind

__all__ = [
    "copy_bucket",
    "copy_objects",
    "create_bucket",
    "destroy_bucket",
    "mirror_bucket",
    "rename_bucket",
    "reset_props",
    "set_props",
    "summarize",
]


def create_bucket(core: Core, bucket: BucketRef, changes: Mapping[str, str] | None) -> None:
    """Create an empty bucket. See `Transport.create_bucket`."""
    if bucket.is_remote:
        raise UnsupportedError(
            f"cannot create {bucket} - only ais:// buckets of this store are supported",
            hint=f"use ais://{bucket.name}",
        )
    props = default_props(bucket.provider, core.config())
    props = change_props(props, changes or {})
    if props.mirror.enabled and changes:
        check_copies(core, bucket, props.mirror.copies)
    with core.database.write(sync=True) as connection:
        if index.select_bucket(connection, bucket) is not None:
            raise BucketAlreadyExistsError(f'bucket "{bucket}" already exists')
        bucket_id = index.insert_bucket(connection, bucket, props)
        index.update_props(
            connection, bucket_id, replace(props, bid=bucket_id, created=time.time_ns())
        )


def set_props(
    core: Core,
    bucket: BucketRef,
    changes: Mapping[str, str],
    announce: Announce = unannounced,
    *,
    force: bool,
) -> BucketProps:
    """Apply property changes as a whole or not at all; those of mirroring also to what the bucket holds, as a job."""
    before = core.bucket(bucket, Access.PATCH).props
    after = change_props(before, changes, force=force)
    if not needs_copies(before, after):
        return _change_props(core, bucket, changes, force=force)
    copies = after.mirror.copies
    check_copies(core, bucket, copies)
    with start_mirroring(core, bucket, copies, announce) as job:
        props = _change_props(core, bucket, changes, force=force)
        restore_copies(core, [core.bucket(bucket, Access.PATCH)], job)
    return props


def mirror_bucket(
    core: Core, bucket: BucketRef, copies: int, announce: Announce = unannounced
) -> None:
    """Keep every object of a bucket on so many mountpaths. See `Transport.mirror_bucket`."""
    core.bucket(bucket, Access.PATCH)
    check_copies(core, bucket, copies)
    changes = {"mirror.enabled": "false"}
    if copies > 1:
        changes = {"mirror.enabled": "true", "mirror.copies": f"{copies}"}
    with start_mirroring(core, bucket, copies, announce) as job:
        _change_props(core, bucket, changes, force=False)
        restore_copies(core, [core.bucket(bucket, Access.PATCH)], job)


def _change_props(
    core: Core, bucket: BucketRef, changes: Mapping[str, str], *, force: bool
) -> BucketProps:
    with core.database.write(sync=True) as connection:
        row = _current(core, bucket)
        props = change_props(row.props, changes, force=force)
        index.update_props(connection, row.id, props)
    return props


def reset_props(core: Core, bucket: BucketRef) -> BucketProps:
    """Back to the cluster's defaults."""
    core.bucket(bucket, Access.PATCH)
    with core.database.write(sync=True) as connection:
        row = _current(core, bucket)
        defaults = change_props(default_props(bucket.provider, core.config()), {})
        props = replace(defaults, bid=row.props.bid, created=row.props.created)
        index.update_props(connection, row.id, props)
    return props


def rename_bucket(
    core: Core, source: BucketRef, target: BucketRef, announce: Announce = unannounced
) -> None:
    """Give the bucket another name: one row."""
    core.bucket(source, Access.MOVE_BUCKET)
    if source == target:
        raise InvalidArgumentError(f"cannot rename {source} to itself")
    if target.is_remote:
        raise UnsupportedError(f"cannot rename {source} to {target}: not a bucket of this store")
    with core.database.write(sync=True) as connection:
        row = _current(core, source)
        if index.select_bucket(connection, target) is not None:
            raise BucketAlreadyExistsError(f'bucket "{target}" already exists')
        index.rename_bucket(connection, row.id, target)
    core.xactions.start(XactionKind.RENAME_BUCKET, source, target, "", announce).end()


def destroy_bucket(core: Core, bucket: BucketRef, *, only_empty: bool = False) -> None:
    """Take the name away in one commit, then remove what the bucket held.

    Raises:
        PreconditionFailedError: it has objects at the commit, and `only_empty` is set.
    """
    core.bucket(bucket, Access.DESTROY_BUCKET)
    core.freeing(lambda: _take_name_away(core, bucket, only_empty=only_empty))
    core.remove_doomed()


def _take_name_away(core: Core, bucket: BucketRef, *, only_empty: bool) -> None:
    with core.database.write(sync=True) as connection:
        row = _current(core, bucket)
        query = "SELECT 1 FROM objects WHERE bucket_id = ? LIMIT 1"
        if only_empty and connection.execute(query, (row.id,)).fetchone() is not None:
            raise PreconditionFailedError(f'bucket "{bucket}" is not empty')
        connection.execute(
            "UPDATE pieces SET state = ? WHERE state = ? AND id IN "
            "(SELECT piece_id FROM appends WHERE bucket_id = ?)",
            (PIECE_GARBAGE, PIECE_APPENDING, row.id),
        )
        connection.execute("DELETE FROM appends WHERE bucket_id = ?", (row.id,))
        delete_uploads_of(connection, row.id)
        index.delete_bucket(connection, row.id)


def copy_bucket(
    core: Core,
    source: BucketRef,
    target: BucketRef,
    options: CopyOptions,
    announce: Announce = unannounced,
) -> CopyResult:
    """Copy objects one by one. See `Transport.copy_bucket`."""
    source_row, target_row = _copy_ends(core, source, target, options)
    start = core.xactions.start
    with start(XactionKind.COPY_BUCKET, source, target, options.prefix, announce) as job:
        # The names as of now: with source and target the same bucket, copies must not be copied again.
        names = [row.name for row in rows_after(core.connection(), source_row.id, options.prefix)]
        for name in names:
            _copy_named(core, source_row, name, target_row, options.prepend, job)
        deleted = 0
        if options.synchronize and target_row is not None:
            deleted = _delete_others(core, target_row, options.prefix, set(names))
        job.ext["deleted"] = deleted
    return CopyResult(objects=job.objects, size=job.size, deleted=deleted)


def copy_objects(
    core: Core,
    source: BucketRef,
    selection: Selection,
    target: BucketRef,
    options: CopyOptions,
    announce: Announce = unannounced,
) -> CopyResult:
    """Copy the objects of a selection. See `Transport.copy_objects`."""
    if options.prefix or options.synchronize:
        raise InvalidArgumentError(
            "a copy of selected objects takes neither prefix nor synchronize"
        )
    source_row, target_row = _copy_ends(core, source, target, options)
    missing: list[str] = []
    start = core.xactions.start
    with start(XactionKind.COPY_OBJECTS, source, target, "", announce) as job:
        # Names only, taken before the first copy: copies into the same bucket must not be copied again.
        found = select_names(core, source_row, selection)
        names = [item if isinstance(item, str) else item.name for item in found]
        for name in names:
            if _copy_named(core, source_row, name, target_row, options.prepend, job):
                continue
            if selection.names is not None:
                if not options.cont_on_err:
                    raise ObjectNotFoundError(f"{source.object_cname(name)} does not exist")
                missing.append(name)
        if missing:
            job.ext["missing"] = missing[:MISSING_NAMED_MAX]
    return CopyResult(objects=job.objects, size=job.size, missing=tuple(missing))


def _copy_ends(
    core: Core, source: BucketRef, target: BucketRef, options: CopyOptions
) -> tuple[BucketRow, BucketRow | None]:
    """Rows of both buckets, the target made when it is missing; none for a dry run."""
    source_row = core.bucket(source, Access.GET)
    if source == target and not (options.prepend or options.dry_run):
        raise InvalidArgumentError(
            f"cannot copy {source} onto itself", hint="give another bucket, or prepend a prefix"
        )
    if options.dry_run:
        return source_row, None
    if index.select_bucket(core.connection(), target) is None:
        _create_like(core, source_row, target)
    return source_row, core.bucket(target, Access.PUT)


def _create_like(core: Core, source: BucketRow, target: BucketRef) -> None:
    create_bucket(core, target, None)
    with core.database.write(sync=True) as connection:
        created = _current(core, target)
        props = replace(source.props, bid=created.id, created=created.props.created)
        index.update_props(connection, created.id, props)


def _copy_named(
    core: Core, source: BucketRow, name: str, target: BucketRow | None, prepend: str, job: Job
) -> bool:
    """Copy one object, or only count it without a target; False when it is not there (any more)."""
    new_name = prepend + name
    check_object_name(new_name)
    if target is None:
        found = select_object(core.connection(), source.id, name)
        if found is None:
            return False
        size = found.size
    else:
        try:
            size = copy_content(core, source, name, target, new_name).size
        except ObjectNotFoundError:
            return False
    job.step(1, size)
    return True


def _delete_others(core: Core, target: BucketRow, prefix: str, kept: set[str]) -> int:
    rows = rows_after(core.connection(), target.id, prefix)
    extra = tuple(row.name for row in rows if row.name not in kept)
    return delete_selected(core, target, Selection(names=extra)).deleted


def summarize(core: Core, bucket: BucketRef, prefix: str) -> BucketSummary:
    """Count objects and bytes: one scan of the index."""
    check_prefix(prefix)
    row = core.bucket(bucket, Access.HEAD_BUCKET)
    end = after_prefix(prefix)
    bound = "" if end is None else " AND name < ?"
    count, total, smallest, largest = (
        core.connection()
        .execute(
            "SELECT count(*), coalesce(sum(size), 0), coalesce(min(size), 0), coalesce(max(size), 0) "
            f"FROM objects WHERE bucket_id = ? AND name >= ?{bound}",
            (row.id, prefix) if end is None else (row.id, prefix, end),
        )
        .fetchone()
    )
    return BucketSummary(
        bucket=bucket,
        object_count=count,
        size=total,
        size_min=smallest,
        size_avg=total // count if count else 0,
        size_max=largest,
        size_on_disk=total,
        disk_total=core.mountpaths.disk_total(),
    )


def _current(core: Core, bucket: BucketRef) -> BucketRow:
    """The bucket as it is inside the transaction that is about to change it."""
    row = index.select_bucket(core.connection(), bucket)
    if row is None:
        raise BucketNotFoundError(f'bucket "{bucket}" does not exist')
    return row
