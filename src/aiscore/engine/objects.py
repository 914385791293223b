"""Operations on single objects and on selections of them: put, head, delete, rename, custom metadata."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace

from aiscore.engine.bodies import blocks_of, check_given, verify
from aiscore.engine.checksum import MultiHasher, checksum_of
from aiscore.engine.commit import CONTENT_KEYS, ETAG_KEY, check_precondition, commit_content
from aiscore.engine.core import Core
from aiscore.engine.index.buckets import BucketRow
from aiscore.engine.index.objects import (
    ObjectRow,
    delete_object,
    rows_after,
    select_object,
    write_object,
)
from aiscore.engine.objectwriter import ObjectWriter, admit_put, find_same
from aiscore.engine.read import find_or_raise, props_of
from aiscore.engine.write import write_small
from aiscore.engine.xaction.job import MISSING_NAMED_MAX, Announce, Job, unannounced
from aiscore.errors import ObjectNotFoundError
from aiscore.model.access import Access
from aiscore.model.bucket import BucketRef
from aiscore.model.checksum import Checksum, ChecksumType
from aiscore.model.chunks import is_chunked_at
from aiscore.model.names import check_object_name
from aiscore.model.objects import (
    DeleteResult,
    ObjectProps,
    Precondition,
    PutOptions,
    Selection,
    check_custom,
)
from aiscore.model.stream import BLOCK_SIZE, Body
from aiscore.model.template import parse_template
from aiscore.model.xaction import XactionKind

__all__ = [
    "delete_many",
    "delete_one",
    "delete_selected",
    "head_object",
    "put_object",
    "rename_object",
    "select_names",
    "set_custom",
]

_DELETE_BATCH = 500


def put_object(
    core: Core, bucket: BucketRef, name: str, body: Body, options: PutOptions
) -> ObjectProps:
    """Store an object. See `Transport.put`."""
    row = admit_put(core, bucket, name, options)
    cname = f"{row.cname}/{name}"
    if options.checksum is not None:
        same = find_same(core, row, name, options)
        if same is not None:
            _drain(options.checksum, body, options.size, cname)
            return props_of(core, same)
        # Decided: the writer does not look a second time.
        options = replace(options, skip_same=False)
    if (
        isinstance(body, bytes)
        and len(body) <= BLOCK_SIZE
        and options.size in {None, len(body)}
        and not is_chunked_at(row.props.chunks, len(body))
    ):
        return props_of(core, _put_small(core, row, name, body, options))
    if isinstance(body, bytes | bytearray | memoryview) and options.size is None:
        # Known, so that what is chunked is so from its first byte.
        options = replace(options, size=memoryview(body).nbytes)
    with ObjectWriter(core, row, name, options) as writer:
        for block in blocks_of(body, None, cname):
            writer.write(block)
        return writer.commit()


def _put_small(
    core: Core,
    bucket: BucketRow,
    name: str,
    data: bytes,
    options: PutOptions,
) -> ObjectRow:
    cname = f"{bucket.cname}/{name}"
    given = options.checksum
    kind = options.compute or bucket.props.checksum.type
    value = checksum_of(kind, data)
    if given is not None and given.type is not ChecksumType.NONE:
        check_given(given, value if given.type is kind else checksum_of(given.type, data), cname)
    custom = options.custom
    if options.md5:
        etag = value if kind is ChecksumType.MD5 else checksum_of(ChecksumType.MD5, data)
        custom = {**custom, ETAG_KEY: etag}
    sync = core.is_durable(bucket)
    content = write_small(core, bucket.uname + name, cname, data, sync=sync)
    try:
        return commit_content(
            core,
            bucket,
            name,
            content,
            checksum=None if kind is ChecksumType.NONE else Checksum(kind, value),
            custom=custom,
            precondition=options.precondition,
            sync=sync,
        )
    except BaseException:
        content.abort()
        raise


def _drain(given: Checksum, body: Body, size: int | None, cname: str) -> None:
    """Read a body that is not needed, and check it all the same."""
    hasher = MultiHasher([given.type])
    for block in blocks_of(body, size, cname):
        hasher.update(block)
    verify(given, hasher, cname)


def head_object(core: Core, bucket: BucketRef, name: str) -> ObjectProps:
    """Properties of an object."""
    check_object_name(name)
    return props_of(core, find_or_raise(core, core.bucket(bucket, Access.HEAD_OBJECT), name))


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
