"""Operations on single objects and on selections of them: head, delete, rename, custom metadata."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace

from aiscore.engine.commit import CONTENT_KEYS, check_precondition
from aiscore.engine.core import Core
from aiscore.engine.index.buckets import BucketRow
from aiscore.engine.index.copies import copies_of
from aiscore.engine.index.objects import (
    ObjectRow,
    delete_object,
    rows_after,
    select_object,
    write_object,
)
from aiscore.engine.read import find_or_raise, props_of
from aiscore.engine.xaction.job import MISSING_NAMED_MAX, Announce, Job, unannounced
from aiscore.errors import ObjectNotFoundError
from aiscore.model.access import Access
from aiscore.model.bucket import BucketRef
from aiscore.model.names import check_object_name
from aiscore.model.objects import (
    DeleteResult,
    ObjectProps,
    Precondition,
    Selection,
    check_custom,
)
from aiscore.model.template import parse_template
from aiscore.model.xaction import XactionKind

__all__ = [
    "delete_many",
    "delete_one",
    "delete_selected",
    "head_object",
    "rename_object",
    "select_names",
    "set_custom",
]

_DELETE_BATCH = 500


def head_object(core: Core, bucket: BucketRef, name: str) -> ObjectProps:
    """Properties of an object."""
    check_object_name(name)
    row = find_or_raise(core, core.bucket(bucket, Access.HEAD_OBJECT), name)
    props = props_of(core, row)
    if row.copies == 1:
        return props
    manifest = copies_of(core.connection(), row)
    # One that has been replaced since it was looked up may have no pieces any more.
    places = manifest[0] if manifest else []
    known = map(core.mountpaths.known, (place.mountpath_id for place in places))
    return replace(props, mirror_paths=tuple(found.path for found in known if found is not None))


def delete_one(core: Core, bucket: BucketRef, name: str, precondition: Precondition | None) -> None:
    """Remove an object; works on a full disk too, as long as the reserve lasts."""
    check_object_name(name)
    row = core.bucket(bucket, Access.DELETE_OBJECT)
    core.garbage.reclaim(core.freeing(lambda: _delete_row(core, row, name, precondition)))


def _delete_row(
    core: Core, bucket: BucketRow, name: str, precondition: Precondition | None
) -> ObjectRow:
    cname = bucket.bucket.object_cname(name)
    with core.database.write(sync=core.is_durable(bucket)) as connection:
        old = select_object(connection, bucket.id, name)
        if precondition is not None:
            check_precondition(precondition, old, cname)
        if old is None:
            raise ObjectNotFoundError(
                f"{cname} does not exist", hint=f"list names: ais ls {bucket.bucket}"
            )
        delete_object(connection, old)
        core.garbage.forget(connection)
    return old


def select_names(core: Core, bucket: BucketRow, selection: Selection) -> Iterator[ObjectRow | str]:
    """What a selection means: rows of objects that exist, and names of the list or template that do not."""
    if selection.names is not None:
        yield from _look_up(core, bucket, iter(selection.names))
        return
    prefix = selection.prefix or ""
    if selection.template is not None:
        template = parse_template(selection.template)
        if not (template.is_prefix or template.is_all):
            yield from _look_up(core, bucket, iter(template))
            return
        prefix = template.prefix
    yield from rows_after(core.connection(), bucket.id, prefix)


def _look_up(core: Core, bucket: BucketRow, names: Iterator[str]) -> Iterator[ObjectRow | str]:
    connection = core.connection()
    for name in names:
        row = select_object(connection, bucket.id, name)
        yield name if row is None else row


def delete_many(
    core: Core, bucket: BucketRef, selection: Selection, announce: Announce = unannounced
) -> DeleteResult:
    """Remove every object of the selection, as a job."""
    row = core.bucket(bucket, Access.DELETE_OBJECT)
    with core.xactions.start(XactionKind.DELETE_OBJECTS, bucket, None, "", announce) as job:
        result = delete_selected(core, row, selection, job)
        if result.missing:
            job.ext["missing"] = result.missing[:MISSING_NAMED_MAX]
            job.ext["missing_count"] = len(result.missing)
    return result


def delete_selected(
    core: Core, bucket: BucketRow, selection: Selection, job: Job | None = None
) -> DeleteResult:
    """Remove every object of the selection, some hundreds in a transaction."""
    deleted = 0
    missing: list[str] = []
    batch: list[ObjectRow] = []
    for found in select_names(core, bucket, selection):
        if isinstance(found, str):
            # A template may name ten million objects: only a list is answered name by name.
            if selection.names is not None:
                missing.append(found)
            continue
        batch.append(found)
        if len(batch) == _DELETE_BATCH:
            deleted += _delete_batch(core, bucket, batch, job)
            batch = []
    if batch:
        deleted += _delete_batch(core, bucket, batch, job)
    return DeleteResult(deleted=deleted, missing=tuple(missing))


def _delete_batch(core: Core, bucket: BucketRow, rows: list[ObjectRow], job: Job | None) -> int:
    gone = core.freeing(lambda: _delete_rows(core, bucket, rows))
    for row in gone:
        core.garbage.reclaim(row)
    if job is not None:
        job.step(len(gone), sum(row.size for row in gone))
    return len(gone)


def _delete_rows(core: Core, bucket: BucketRow, rows: list[ObjectRow]) -> list[ObjectRow]:
    gone = []
    with core.database.write(sync=core.is_durable(bucket)) as connection:
        for row in rows:
            current = select_object(connection, row.bucket_id, row.name)
            if current is not None:
                delete_object(connection, current)
                gone.append(current)
        core.garbage.forget(connection)
    return gone


def rename_object(core: Core, bucket: BucketRef, name: str, new_name: str) -> None:
    """Give an object another name; its content is not touched. See `Transport.rename`."""
    check_object_name(name)
    check_object_name(new_name)
    row = core.bucket(bucket, Access.MOVE_OBJECT)
    if name == new_name:
        find_or_raise(core, row, name)
        return
    with core.database.write(sync=core.is_durable(row)) as connection:
        old = select_object(connection, row.id, name)
        if old is None:
            raise ObjectNotFoundError(f"{bucket.object_cname(name)} does not exist")
        replaced = select_object(connection, row.id, new_name)
        connection.execute("DELETE FROM objects WHERE bucket_id = ? AND name = ?", (row.id, name))
        connection.cache.pop((row.id, name), None)
        write_object(connection, old._replace(name=new_name), replaced)
    if replaced is not None:
        core.garbage.reclaim(replaced)


def set_custom(
    core: Core, bucket: BucketRef, name: str, custom: Mapping[str, str], *, replace: bool
) -> ObjectProps:
    """Merge or replace custom metadata. See `Transport.set_custom`."""
    check_object_name(name)
    row = core.bucket(bucket, Access.UPDATE_OBJECT)
    with core.database.write(sync=core.is_durable(row)) as connection:
        old = select_object(connection, row.id, name)
        if old is None:
            raise ObjectNotFoundError(f"{bucket.object_cname(name)} does not exist")
        before: dict[str, str] = json.loads(old.custom or "{}")
        if replace:
            # Of the content, which stays.
            custom = {**{key: before[key] for key in CONTENT_KEYS & before.keys()}, **custom}
        merged = dict(custom) if replace else {**before, **custom}
        kept = {key: value for key, value in merged.items() if value}
        check_custom(kept)
        new = old._replace(custom=json.dumps(kept, separators=(",", ":")) if kept else None)
        write_object(connection, new, old)
    return props_of(core, new)
