"""One part of a multipart upload on its way in, pushed block by block.

A part is one piece with a row in `parts`, which is written in one transaction when the piece is finished: so a part
is there whole or not at all, in every process that opens the home, and whatever happens to the one that wrote it.
"""

import time

from aiscore.engine.bodies import blocks_of, verify
from aiscore.engine.core import Core
from aiscore.engine.index.buckets import BucketRow
from aiscore.engine.index.objects import have_mountpaths
from aiscore.engine.index.uploads import PartRow, UploadRow, select_upload, write_parts
from aiscore.engine.pushed import PushedBody
from aiscore.engine.write import ContentWriter
from aiscore.errors import BusyError, InvalidArgumentError, NotFoundError
from aiscore.model.access import Access
from aiscore.model.bucket import BucketRef
from aiscore.model.checksum import Checksum, ChecksumType
from aiscore.model.multipart import PartInfo, PartOptions, check_part_number, check_upload_id
from aiscore.model.names import check_object_name
from aiscore.model.stream import Body

__all__ = [
    "PartWriter",
    "find_upload",
    "info_of",
    "no_upload",
    "open_part_writer",
    "put_part",
    "upload_name",
]

_SIZE_UNLIMITED = 1 << 62


def upload_name(bucket: BucketRow, name: str, upload_id: str) -> str:
    """An upload as messages have it."""
    return f'upload "{upload_id}" of {bucket.cname}/{name}'


def find_upload(core: Core, bucket: BucketRow, name: str, upload_id: str) -> UploadRow:
    """The upload, if clients may work with it.

    Raises:
        InvalidArgumentError: what is given is no id.
        NotFoundError: there is none, or it has ended.
        BusyError: it is what a PUT that is still running has written so far.
    """
    check_upload_id(upload_id)
    found = select_upload(core.connection(), bucket.id, name, upload_id)
    if found is None:
        raise no_upload(bucket, name, upload_id)
    if found.session_id and core.sessions.is_alive(found.session_id):
        raise BusyError(
            f"{upload_name(bucket, name, upload_id)} is being written by a PUT", hint="wait for it"
        )
    return found


def no_upload(bucket: BucketRow, name: str, upload_id: str) -> NotFoundError:
    """The error for an upload that is not there."""
    return NotFoundError(
        f"{upload_name(bucket, name, upload_id)} does not exist",
        hint="it was completed, aborted, or never begun",
    )


def info_of(upload: UploadRow, row: PartRow) -> PartInfo:
    """What a row says, as a value of the model."""
    kind = ChecksumType(upload.checksum_type)
    return PartInfo(
        number=row.number,
        size=row.size,
        checksum=Checksum(kind, row.checksum) if row.checksum else None,
        etag=row.md5 or f"{row.generation:016x}",
        mtime_ns=row.mtime_ns,
        note=row.note,
    )


def open_part_writer(
    core: Core, bucket: BucketRef, name: str, upload_id: str, number: int, options: PartOptions
) -> "PartWriter":
    """Check all of a part that can be checked before its body is looked at. See `Transport.put_part`."""
    check_object_name(name)
    row = core.bucket(bucket, Access.PUT)
    check_part_number(number, f"{row.cname}/{name}")
    core.admit_write()
    return PartWriter(core, row, find_upload(core, row, name, upload_id), number, options)


def put_part(
    core: Core,
    bucket: BucketRef,
    name: str,
    upload_id: str,
    number: int,
    body: Body,
    options: PartOptions,
) -> PartInfo:
    """Store a part. See `Transport.put_part`."""
    with open_part_writer(core, bucket, name, upload_id, number, options) as writer:
        for block in blocks_of(body, None, writer.what):
            writer.write(block)
        return writer.commit()


class PartWriter(PushedBody[PartRow]):
    """Takes a part of an upload. See `PushedBody`."""

    def __init__(
        self, core: Core, bucket: BucketRow, upload: UploadRow, number: int, options: PartOptions
    ) -> None:
        """Begin what `open_part_writer` admitted; no file is made before the first block."""
        what = f"part {number} of {upload_name(bucket, upload.name, upload.id)}"
        self._core = core
        self._bucket = bucket
        self._upload = upload
        self._number = number
        self._note = ""
        self._given = given = options.checksum
        self._kind = ChecksumType(upload.checksum_type)
        self._size_max = bucket.props.chunks.max_monolithic_size
        sync = core.is_durable(bucket)
        kinds = {self._kind} if given is None else {self._kind, given.type}
        if upload.has_md5:
            kinds.add(ChecksumType.MD5)
        content = ContentWriter(
            core,
            bucket.uname + upload.name,
            what,
            kinds,
            piece_size_max=_SIZE_UNLIMITED,
            hash_pieces=self._kind is not ChecksumType.NONE,
            sync=sync,
            position=number - 1,
        )
        super().__init__(what, content, options.size, sync=sync)

    def commit(self, note: str = "") -> PartInfo:
        """Make it a part of the upload, in place of one of the same number; on an error nothing of it stays.

        Args:
            note: see `PartInfo`.

        Raises:
            ChecksumMismatchError: the body does not have the checksum that came with it.
            InvalidArgumentError: it is empty, or shorter than announced; or the writer is spent.
            NotFoundError: the upload has ended meanwhile.
        """
        self._note = note
        return info_of(self._upload, self._settle())

    def _record(self) -> PartRow:
        content = self._content
        if not content.size:
            raise InvalidArgumentError(f"{self.what} is empty", hint="a part has one byte at least")
        content.finish()
        verify(self._given, content.hasher, self.what)
        piece = content.pieces[0]
        row = PartRow(
            self._number,
            piece.piece_id,
            piece.mountpath_id,
            piece.size,
            content.hasher.value(self._kind),
            piece.checksum,
            content.hasher.value(ChecksumType.MD5) if self._upload.has_md5 else "",
            piece.piece_id,
            time.time_ns(),
            self._note,
        )
        with self._core.database.write(sync=self._sync) as connection:
            if not have_mountpaths(connection, [row.mountpath_id]):
                raise BusyError(
                    f"the mountpath of {self.what} was removed meanwhile", hint="try again"
                )
            replaced = write_parts(connection, self._upload.id, [row])
            if replaced is None:
                raise no_upload(self._bucket, self._upload.name, self._upload.id)
            self._core.garbage.forget(connection)
        content.settle()
        if replaced:
            self._core.garbage.reclaim_marked()
        return row

    def _check_size(self, size: int) -> None:
        super()._check_size(size)
        if size > self._size_max:
            raise InvalidArgumentError(
                f"{self.what} is longer than {self._size_max} bytes, the limit of one chunk",
                hint="send smaller parts, or raise the bucket's chunks.max_monolithic_size",
            )
