"""Copies of objects: hard links where a mountpath allows it, bytes elsewhere."""

import json
import os

from aiscore.engine.commit import commit_content
from aiscore.engine.content import ContentSource, FileContent
from aiscore.engine.core import Core
from aiscore.engine.index.buckets import BucketRow
from aiscore.engine.index.objects import ObjectRow
from aiscore.engine.layout import piece_path
from aiscore.engine.read import ContentReader, checksum_in, open_content, props_of
from aiscore.engine.write import SinglePiece, make_directory, writer_for
from aiscore.model.access import Access
from aiscore.model.bucket import BucketRef
from aiscore.model.names import check_object_name
from aiscore.model.objects import ObjectProps
from aiscore.model.storage import MountpathState

__all__ = ["copy_content", "copy_object"]


def copy_object(
    core: Core, bucket: BucketRef, name: str, target: BucketRef, target_name: str
) -> ObjectProps:
    """Copy one object. See `Transport.copy`."""
    check_object_name(name)
    check_object_name(target_name)
    source_row = core.bucket(bucket, Access.GET)
    target_row = core.bucket(target, Access.PUT)
    return props_of(core, copy_content(core, source_row, name, target_row, target_name))


def copy_content(
    core: Core, source: BucketRow, name: str, target: BucketRow, target_name: str
) -> ObjectRow:
    """Copy content, checksum and custom metadata under another name.

    A piece is immutable, so on the same mountpath the copy is a hard link: no data moves. Elsewhere the bytes are
    copied inside the kernel. The recorded checksum goes along; it is not computed again.
    """
    core.admit_write()
    row, content = open_content(core, source, name)
    try:
        if isinstance(content, FileContent):
            linked = _link_copy(core, row, content, target, target_name)
            if linked is not None:
                return linked
        return _byte_copy(core, row, content, target, target_name)
    finally:
        content.close()


def _link_copy(
    core: Core, row: ObjectRow, content: FileContent, target: BucketRow, target_name: str
) -> ObjectRow | None:
    """None when the file system cannot link here."""
    mountpath = core.mountpaths.known(row.mountpath_id)
    if mountpath is None or mountpath.state is not MountpathState.ENABLED:
        return None
    linked = SinglePiece(core, mountpath, row.size)
    directory = linked.path.rpartition("/")[0]
    sync = core.is_durable(target)
    try:
        try:
            source = piece_path(mountpath.path, row.piece_id)
            _link(core, mountpath.id, source, linked.path, directory)
            if sync:
                core.files.fsync(content.fd)  # what is linked may have been written without a sync
                core.files.fsync_dir(directory)
        except OSError:
            linked.abort()
            return None
        return commit_content(
            core,
            target,
            target_name,
            linked,
            checksum=checksum_in(row),
            custom=json.loads(row.custom) if row.custom else {},
            sync=sync,
        )
    except BaseException:
        linked.abort()
        raise


def _link(core: Core, mountpath_id: int, source: str, path: str, directory: str) -> None:
    try:
        core.files.link(source, path)
    except FileNotFoundError:
        if os.path.isdir(directory):
            raise  # the source is gone, not the directory
        make_directory(core, mountpath_id, directory)
        core.files.link(source, path)


def _byte_copy(
    core: Core,
    row: ObjectRow,
    content: ContentSource,
    target: BucketRow,
    target_name: str,
) -> ObjectRow:
    what = target.bucket.object_cname(target_name)
    sync = core.is_durable(target)
    writer = writer_for(core, target, target_name, set(), size=row.size, sync=sync)
    try:
        if isinstance(content, FileContent) and row.size:
            writer.copy_from(content.fd, row.size)
        else:
            for block in ContentReader(content, 0, row.size, what):
                writer.write(block)
        writer.finish()
        return commit_content(
            core,
            target,
            target_name,
            writer,
            checksum=checksum_in(row),
            custom=json.loads(row.custom) if row.custom else {},
            sync=sync,
        )
    except BaseException:
        writer.abort()
        raise
