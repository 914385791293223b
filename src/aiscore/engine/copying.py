"""Copies of objects: hard links where a mountpath allows it, bytes elsewhere."""

import json
import os
from collections.abc import Mapping

from aiscore.engine.commit import CONTENT_KEYS, commit_content
from aiscore.engine.content import ContentSource, FileContent
from aiscore.engine.contentreader import ContentReader
from aiscore.engine.core import Core
from aiscore.engine.fileio import close_quietly
from aiscore.engine.index.buckets import BucketRow
from aiscore.engine.index.objects import ObjectRow, PieceRef
from aiscore.engine.layout import piece_path
from aiscore.engine.mountpath import Mountpath
from aiscore.engine.piecefiles import discard_pieces, make_directory
from aiscore.engine.read import checksum_in, open_content, props_of
from aiscore.engine.write import writer_for
from aiscore.model.access import Access
from aiscore.model.bucket import BucketRef
from aiscore.model.chunks import conforms, is_chunked_at
from aiscore.model.names import check_object_name
from aiscore.model.objects import CopyTerms, ObjectProps, Precondition
from aiscore.model.storage import MountpathState

__all__ = ["copy_content", "copy_object"]


def copy_object(
    core: Core,
    bucket: BucketRef,
    name: str,
    target: BucketRef,
    target_name: str,
    terms: CopyTerms | None = None,
) -> ObjectProps:
    """Copy one object. See `Transport.copy`."""
    check_object_name(name)
    check_object_name(target_name)
    source_row = core.bucket(bucket, Access.GET)
    target_row = core.bucket(target, Access.PUT)
    terms = terms or AS_IT_IS
    return props_of(core, copy_content(core, source_row, name, target_row, target_name, terms))


def copy_content(
    core: Core,
    source: BucketRow,
    name: str,
    target: BucketRow,
    target_name: str,
    terms: CopyTerms | None = None,
) -> ObjectRow:
    """Copy content, checksum and custom metadata under another name.

    A piece is immutable, so on the same mountpath its copy is a hard link: no data moves. Elsewhere the bytes are
    copied, inside the kernel where that is possible, and so they are where the target lays out objects of this size in
    another way than the source. The recorded checksum goes along; it is not computed again.
    """
    core.admit_write()
    terms = terms or AS_IT_IS
    row, content = open_content(core, source, name)
    try:
        if terms.check is not None:
            terms.check(props_of(core, row))
        custom = _custom_of(row, terms)
        if terms.derive is not None:
            what = source.bucket.object_cname(name)
            blocks = ContentReader(content, 0, row.size, what, owns=False)
            custom.update(terms.derive(props_of(core, row), blocks))
        if source.props.chunks == target.props.chunks or conforms(
            target.props.chunks, content.sizes
        ):
            linked = _link_copy(core, row, content, target, target_name, custom, terms.precondition)
            if linked is not None:
                return linked
        return _byte_copy(core, row, content, target, target_name, custom, terms.precondition)
    finally:
        content.close()


AS_IT_IS = CopyTerms()


def _custom_of(row: ObjectRow, terms: CopyTerms) -> dict[str, str]:
    known: dict[str, str] = json.loads(row.custom) if row.custom else {}
    if terms.custom is None:
        return known
    return {**terms.custom, **{key: known[key] for key in CONTENT_KEYS & known.keys()}}


class _Linked:
    """Pieces that are hard links to those of another object."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._made: list[tuple[int, str]] = []
        self.pieces: list[PieceRef] = []
        self.size = 0

    def add(self, mountpath: Mountpath, piece: PieceRef) -> None:
        """Link one piece; an `OSError` is the caller's."""
        piece_id = self._core.sessions.new_piece_id()
        path = piece_path(mountpath.path, piece_id)
        self._made.append((piece_id, path))
        _link(self._core, mountpath.id, piece_path(mountpath.path, piece.piece_id), path)
        self.pieces.append(piece._replace(piece_id=piece_id))
        self.size += piece.size

    def sync(self) -> None:
        """Bring the links to the disk, and what is linked: that may have been written without a sync."""
        files = self._core.files
        for _, path in self._made:
            fd = files.open(path)
            try:
                files.fsync(fd)
            finally:
                close_quietly(files, fd)
        for directory in {path.rpartition("/")[0] for _, path in self._made}:
            files.fsync_dir(directory)

    def settle(self) -> None:
        """After the commit: the pieces have rows."""
        for piece_id, _ in self._made:
            self._core.sessions.settle(piece_id)

    def abort(self) -> None:
        """Remove the links, unless a commit has named them."""
        discard_pieces(self._core, self._made)


def _link_copy(
    core: Core,
    row: ObjectRow,
    content: ContentSource,
    target: BucketRow,
    target_name: str,
    custom: Mapping[str, str],
    precondition: Precondition | None,
) -> ObjectRow | None:
    """None when the file system cannot link here."""
    if isinstance(content, FileContent):
        pieces = [PieceRef(row.piece_id, row.mountpath_id, row.size)]
    else:
        pieces = content.pieces
    linked = _Linked(core)
    sync = core.is_durable(target)
    try:
        try:
            for piece in pieces:
                mountpath = core.mountpaths.known(piece.mountpath_id)
                if mountpath is None or mountpath.state is not MountpathState.ENABLED:
                    linked.abort()
                    return None
                linked.add(mountpath, piece)
            if sync:
                linked.sync()
        except OSError:
            linked.abort()
            return None
        return commit_content(
            core,
            target,
            target_name,
            linked,
            checksum=checksum_in(row),
            custom=custom,
            precondition=precondition,
            sync=sync,
        )
    except BaseException:
        linked.abort()
        raise


def _link(core: Core, mountpath_id: int, source: str, path: str) -> None:
    try:
        core.files.link(source, path)
    except FileNotFoundError:
        directory = path.rpartition("/")[0]
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
    custom: Mapping[str, str],
    precondition: Precondition | None,
) -> ObjectRow:
    what = target.bucket.object_cname(target_name)
    sync = core.is_durable(target)
    writer = writer_for(
        core,
        target,
        target_name,
        set(),
        hash_pieces=bool(row.checksum),
        size=row.size,
        sync=sync,
    )
    try:
        is_whole = not is_chunked_at(target.props.chunks, row.size)
        if isinstance(content, FileContent) and row.size and is_whole:
            writer.copy_from(content.fd, row.size)
        else:
            reader = ContentReader(content, 0, row.size, what, owns=False)
            with writer.hashed_ahead(reader.readinto, row.size) as blocks:
                for block in blocks:
                    writer.write_hashed(block)
        writer.finish()
        return commit_content(
            core,
            target,
            target_name,
            writer,
            checksum=checksum_in(row),
            custom=custom,
            precondition=precondition,
            sync=sync,
        )
    except BaseException:
        writer.abort()
        raise
