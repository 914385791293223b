"""Operations on shards as a whole: list members, write and append members, pack objects."""

import time
from collections.abc import Iterable, Iterator
from typing import Protocol

from aiscore.engine.archive.append import NewMember, append_stream
from aiscore.engine.archive.encode import Piece
from aiscore.engine.archive.writer import new_archive
from aiscore.engine.bodies import blocks_of
from aiscore.engine.commit import commit_content
from aiscore.engine.content import ContentSource
from aiscore.engine.contentreader import ContentReader
from aiscore.engine.core import Core
from aiscore.engine.index.buckets import BucketRow
from aiscore.engine.index.objects import ObjectRow
from aiscore.engine.objects import select_names
from aiscore.engine.read import open_content, props_of
from aiscore.engine.shards import detect, index_of
from aiscore.engine.write import writer_for
from aiscore.engine.xaction.job import Announce, Job, unannounced
from aiscore.errors import InvalidArgumentError, ObjectNotFoundError
from aiscore.model.access import Access
from aiscore.model.archive import ArchiveFormat
from aiscore.model.bucket import BucketRef
from aiscore.model.checksum import ChecksumType
from aiscore.model.names import check_object_name
from aiscore.model.objects import (
    ArchiveMember,
    ArchiveOptions,
    ArchivePutMode,
    ObjectProps,
    Selection,
)
from aiscore.model.stream import Body
from aiscore.model.xaction import XactionKind

__all__ = ["Member", "archive_objects", "list_members", "members_of", "put_members"]


class Member(Protocol):
    """A file on its way into a shard (`transport.MemberInput`)."""

    @property
    def name(self) -> str:
        """Path inside the shard."""
        ...

    @property
    def size(self) -> int:
        """Bytes."""
        ...

    @property
    def body(self) -> Body:
        """Content of exactly that size."""
        ...


def list_members(
    core: Core, bucket: BucketRef, shard: str, archmime: ArchiveFormat | None
) -> list[ArchiveMember]:
    """Files of a shard in archive order. See `Transport.list_members`."""
    check_object_name(shard)
    return members_of(core, core.bucket(bucket, Access.GET), shard, archmime)


def members_of(
    core: Core, bucket: BucketRow, shard: str, archmime: ArchiveFormat | None = None
) -> list[ArchiveMember]:
    """The same, for a bucket that was looked up."""
    row, content = open_content(core, bucket, shard)
    try:
        index = index_of(core, row, content, bucket.bucket.object_cname(shard), archmime)
    finally:
        content.close()
    return [ArchiveMember(member.name, member.size) for member in index]


def put_members(
    core: Core,
    bucket: BucketRef,
    shard: str,
    members: Iterable[Member],
    mode: ArchivePutMode,
    archmime: ArchiveFormat | None,
) -> ObjectProps:
    """Write files into a shard, all or none. See `Transport.put_members`."""
    check_object_name(shard)
    row = core.bucket(bucket, Access.PUT)
    new = ((member.name, member.size, _blocks(bucket, shard, member)) for member in members)
    return _put(core, row, shard, new, mode, archmime)


def archive_objects(
    core: Core,
    bucket: BucketRef,
    selection: Selection,
    target: BucketRef,
    shard: str,
    options: ArchiveOptions,
    announce: Announce = unannounced,
) -> ObjectProps:
    """Pack objects of a bucket into one shard. See `Transport.archive_objects`."""
    check_object_name(shard)
    source_row = core.bucket(bucket, Access.GET)
    target_row = core.bucket(target, Access.PUT)
    if options.output_format is None and ArchiveFormat.of_name(shard) is None:
        raise InvalidArgumentError(
            f'"{shard}" has no archive extension', hint=f"use one of: {', '.join(ArchiveFormat)}"
        )
    own_name = shard if bucket == target else None
    mode = ArchivePutMode.APPEND_OR_CREATE if options.append else ArchivePutMode.CREATE
    with core.xactions.start(XactionKind.ARCHIVE, bucket, target, shard, announce) as job:
        members = _object_members(core, source_row, selection, options, own_name, job)
        return _put(core, target_row, shard, members, mode, options.output_format)


def _put(
    core: Core,
    bucket: BucketRow,
    shard: str,
    members: Iterable[NewMember],
    mode: ArchivePutMode,
    archmime: ArchiveFormat | None,
) -> ObjectProps:
    core.admit_write()
    cname = bucket.bucket.object_cname(shard)
    kind = bucket.props.checksum.type
    sync = core.is_durable(bucket)
    writer = writer_for(
        core, bucket, shard, {kind}, hash_pieces=kind is not ChecksumType.NONE, sync=sync
    )
    old = _existing(core, bucket, shard, mode)
    try:
        if old is None:
            blocks = new_archive(cname, shard, members, archmime)
        else:
            blocks = _grown_archive(core, *old, cname, members, archmime)
        for block in blocks:
            writer.write(block)
        writer.finish()
        committed = commit_content(
            core,
            bucket,
            shard,
            writer,
            checksum=writer.hasher.checksum(kind),
            custom={} if mode is ArchivePutMode.CREATE else None,
            expected_generation=_expected(old, mode),
            sync=sync,
        )
    except BaseException:
        writer.abort()
        raise
    finally:
        if old is not None:
            old[1].close()
    return props_of(core, committed)


def _expected(old: tuple[ObjectRow, ContentSource] | None, mode: ArchivePutMode) -> int | None:
    if mode is ArchivePutMode.CREATE:
        return None
    return 0 if old is None else old[0].generation


def _existing(
    core: Core, bucket: BucketRow, shard: str, mode: ArchivePutMode
) -> tuple[ObjectRow, ContentSource] | None:
    if mode is ArchivePutMode.CREATE:
        return None
    try:
        return open_content(core, bucket, shard)
    except ObjectNotFoundError:
        if mode is ArchivePutMode.APPEND:
            raise
        return None


def _grown_archive(
    core: Core,
    row: ObjectRow,
    content: ContentSource,
    cname: str,
    members: Iterable[NewMember],
    archmime: ArchiveFormat | None,
) -> Iterator[Piece]:
    archive_format = detect(content, row.name, archmime, cname)
    index = index_of(core, row, content, cname, archive_format)
    return append_stream(content, archive_format, members, index=index, mtime=int(time.time()))


def _blocks(bucket: BucketRef, shard: str, member: Member) -> Iterator[bytes | memoryview]:
    return blocks_of(member.body, member.size, f"{bucket.object_cname(shard)}/{member.name}")


def _object_members(
    core: Core,
    bucket: BucketRow,
    selection: Selection,
    options: ArchiveOptions,
    own_name: str | None,
    job: Job,
) -> Iterator[NewMember]:
    for found in select_names(core, bucket, selection):
        name = found if isinstance(found, str) else found.name
        if name == own_name:
            continue  # the shard does not swallow itself
        try:
            row, content = open_content(core, bucket, name)
        except ObjectNotFoundError:
            if options.cont_on_err:
                continue
            raise
        member = name.rpartition("/")[2] if options.base_name_only else name
        if options.include_bucket:
            member = f"{bucket.bucket.name}/{member}"
        cname = bucket.bucket.object_cname(name)
        with ContentReader(content, 0, row.size, cname) as reader:
            yield member, row.size, reader
        job.step(1, row.size)
