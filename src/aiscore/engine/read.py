"""The read path: from an object's row to its bytes.

Pieces are immutable, so a reader needs no lock on the object: it holds the pieces (see `garbage`). Between looking up
the row and opening the piece another process may replace the object and unlink the piece; then the row is looked up
again.
"""

import fcntl
import json
from collections.abc import Iterator
from functools import partial
from typing import Self

from aiscore.engine.checksum import checksum_of, new_hasher
from aiscore.engine.commit import etag_of
from aiscore.engine.content import ContentSource, FileContent, ManifestContent
from aiscore.engine.core import Core
from aiscore.engine.fileio import close_quietly, storage_error
from aiscore.engine.index.buckets import BucketRow
from aiscore.engine.index.objects import (
    ObjectRow,
    PieceRef,
    find_object,
    manifest_of,
    select_object,
)
from aiscore.engine.layout import piece_path
from aiscore.errors import BusyError, CorruptionError, ObjectNotFoundError
from aiscore.model.bucket import BucketRef
from aiscore.model.checksum import Checksum, ChecksumType
from aiscore.model.objects import ObjectProps
from aiscore.model.storage import FaultKind
from aiscore.model.stream import BLOCK_SIZE

__all__ = [
    "ContentReader",
    "check_digest",
    "checksum_in",
    "fill_exact",
    "find_or_raise",
    "open_content",
    "props_of",
    "read_exact",
    "read_whole",
    "verify_bytes",
    "verify_content",
]

_ATTEMPTS = 20
"""Look-ups of an object that is being overwritten as fast as it is read, before the reader gives up."""


def find_or_raise(core: Core, bucket: BucketRow, name: str) -> ObjectRow:
    """The object's row.

    Raises:
        ObjectNotFoundError: it does not exist.
    """
    row = find_object(core.database.connection(), bucket.id, name)
    if row is None:
        raise _not_found(bucket.bucket, name)
    return row


def open_content(core: Core, bucket: BucketRow, name: str) -> tuple[ObjectRow, ContentSource]:
    """The row of an object and its open content, which the caller closes.

    Raises:
        ObjectNotFoundError: it does not exist.
        CorruptionError: a piece is missing or has another size than recorded.
        UnavailableError: it lies on a mountpath that is disabled or missing.
    """
    what = f"{bucket.cname}/{name}"
    row = find_or_raise(core, bucket, name)
    for _ in range(_ATTEMPTS):
        content = _try_open(core, row, what)
        if content is not None:
            return row, content
        row = _look_again(core, bucket, row, what)
    raise BusyError(f"{what} is being overwritten", hint="try again")


def read_whole(core: Core, bucket: BucketRow, row: ObjectRow) -> tuple[ObjectRow, bytes]:
    """All bytes of an object that was found, and the row they belong to: the shortest way to a small object."""
    name = row.name
    if row.piece_count == 1:
        files = core.files
        size = row.size
        try:
            fd = files.open(piece_path(core.mountpaths.readable(row.mountpath_id), row.piece_id))
            try:
                # One byte more than recorded, so that a piece that grew is seen too.
                data = files.pread(fd, size + 1, 0)
            finally:
                close_quietly(files, fd)
            if len(data) == size:
                return row, data
        except FileNotFoundError:
            pass
        except OSError as exc:
            raise storage_error(exc, bucket.bucket.object_cname(name)) from exc
    row, content = open_content(core, bucket, name)
    with ContentReader(content, 0, row.size, bucket.bucket.object_cname(name)) as reader:
        return row, reader.read()


def _try_open(core: Core, row: ObjectRow, what: str) -> ContentSource | None:
    """None when the first piece is not there: the object has been replaced, or is damaged."""
    files = core.files
    path = piece_path(core.mountpaths.readable(row.mountpath_id), row.piece_id)
    try:
        fd = files.open(path)
    except FileNotFoundError:
        return None
    except OSError as exc:
        raise storage_error(exc, what) from exc
    try:
        if row.piece_count > 1:
            content = _open_manifest(core, row, fd, what)
            if content is None:
                close_quietly(files, fd)
            return content
        actual = files.size(fd)
        if actual != row.size:
            raise CorruptionError(
                f"{what} has {actual} bytes on disk, recorded are {row.size}", kind=FaultKind.SIZE
            )
        return FileContent(files, fd, row.size, what)
    except BaseException as exc:
        close_quietly(files, fd)
        if isinstance(exc, OSError):
            raise storage_error(exc, what) from exc
        raise


def _open_manifest(core: Core, row: ObjectRow, fd: int, what: str) -> ManifestContent | None:
    """Lock the manifest against the reclaimer, then make sure that the name still points at it."""
    fcntl.flock(fd, fcntl.LOCK_SH)
    connection = core.database.connection()
    current = select_object(connection, row.bucket_id, row.name)
    if current is None or current.piece_id != row.piece_id:
        return None
    let_go = partial(core.garbage.let_go, row.piece_id, row.mountpath_id)
    manifest = manifest_of(connection, row)
    content = ManifestContent(core.files, partial(_path_of, core), manifest, fd, what, let_go)
    if content.size != row.size:
        raise CorruptionError(
            f"{what}: its chunks add up to {content.size} bytes, not {row.size}",
            kind=FaultKind.SIZE,
        )
    content.check()
    return content


def _path_of(core: Core, piece: PieceRef) -> str:
    return piece_path(core.mountpaths.readable(piece.mountpath_id), piece.piece_id)


def _look_again(core: Core, bucket: BucketRow, seen: ObjectRow, what: str) -> ObjectRow:
    connection = core.database.connection()
    connection.cache.clear()
    row = select_object(connection, bucket.id, seen.name)
    if row is None:
        raise _not_found(bucket.bucket, seen.name)
    if row.piece_id == seen.piece_id and row.mountpath_id == seen.mountpath_id:
        core.mountpaths.check_label(row.mountpath_id)
        raise CorruptionError(
            f"{what} is damaged: its piece {row.piece_id:016x} (chunk 1) is missing",
            kind=FaultKind.MISSING,
        )
    return row


def _not_found(bucket: BucketRef, name: str) -> ObjectNotFoundError:
    return ObjectNotFoundError(
        f"{bucket.object_cname(name)} does not exist", hint=f"list names: ais ls {bucket}"
    )


class ContentReader:
    """A stream over a part of a content; closes it at the end of the `with`, unless it is only lent (`owns`)."""

    def __init__(
        self, content: ContentSource, start: int, length: int, what: str, *, owns: bool = True
    ) -> None:
        self._content = content
        self._owns = owns
        self._position = start
        self._end = start + length
        self._what = what

    def read(self, size: int = -1, /) -> bytes:
        """Up to `size` bytes, all that is left for a negative size."""
        left = self._end - self._position
        wanted = left if size < 0 else min(size, left)
        data = read_exact(self._content, wanted, self._position, self._what)
        self._position += wanted
        return data

    def readinto(self, buffer: bytearray | memoryview, /) -> int:
        """Fill as much of `buffer` as one step gives; 0 at the end."""
        wanted = min(len(buffer), self._end - self._position)
        if wanted == 0:
            return 0
        count = self._content.pread_into(memoryview(buffer)[:wanted], self._position)
        if count == 0:
            raise _short(self._what, self._position, self._end)
        self._position += count
        return count

    def __iter__(self) -> Iterator[bytes]:
        while block := self.read(BLOCK_SIZE):
            yield block

    def close(self) -> None:
        """Close the content; safe to repeat."""
        if self._owns:
            self._content.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def read_exact(content: ContentSource, count: int, offset: int, what: str) -> bytes:
    """Exactly `count` bytes.

    Raises:
        CorruptionError: there are less.
    """
    if not count:
        return b""
    data = content.pread(count, offset)
    if len(data) == count:
        return data
    # Linux gives at most 2 GiB in one call.
    parts = [data]
    done = len(data)
    while done < count:
        data = content.pread(count - done, offset + done)
        if not data:
            raise _short(what, offset + done, offset + count)
        parts.append(data)
        done += len(data)
    return b"".join(parts)


def fill_exact(content: ContentSource, buffer: memoryview, offset: int, what: str) -> None:
    """Fill all of `buffer`.

    Raises:
        CorruptionError: there is less.
    """
    size = len(buffer)
    done = content.pread_into(buffer, offset) if size else 0
    while done < size:
        count = content.pread_into(buffer[done:], offset + done)
        if not count:
            raise _short(what, offset + done, offset + size)
        done += count


def _short(what: str, position: int, end: int) -> CorruptionError:
    return CorruptionError(f"{what} ends at byte {position}, expected {end}", kind=FaultKind.SIZE)


def checksum_in(row: ObjectRow) -> Checksum | None:
    """The recorded checksum; None when the bucket had none."""
    return Checksum(ChecksumType(row.checksum_type), row.checksum) if row.checksum else None


def props_of(core: Core, row: ObjectRow) -> ObjectProps:
    """What a row says, as a value of the model."""
    return ObjectProps(
        name=row.name,
        size=row.size,
        checksum=checksum_in(row),
        version=str(row.version) if row.version else "",
        atime_ns=row.atime_ns,
        mtime_ns=row.mtime_ns,
        custom=json.loads(row.custom) if row.custom else {},
        location=core.mountpaths.location(row.mountpath_id),
        chunk_count=row.piece_count,
        chunk_size_max=row.piece_size_max,
        etag=etag_of(row),
    )


def verify_content(row: ObjectRow, content: ContentSource, what: str) -> None:
    """Read all of it and compare with the recorded checksum.

    Raises:
        CorruptionError: it differs.
    """
    kind = ChecksumType(row.checksum_type)
    if kind is ChecksumType.NONE:
        return
    hasher = new_hasher(kind)
    buffer = memoryview(bytearray(min(BLOCK_SIZE, max(content.size, 1))))
    position = 0
    while position < content.size:
        count = content.pread_into(buffer[: content.size - position], position)
        if count == 0:
            raise _short(what, position, content.size)
        hasher.update(buffer[:count])
        position += count
    actual = hasher.hexdigest()
    if actual != row.checksum and isinstance(content, ManifestContent):
        what = _name_damaged_chunk(kind, content, what)
    check_digest(row, actual, what)


def _name_damaged_chunk(kind: ChecksumType, content: ManifestContent, what: str) -> str:
    """Find which chunk it is, by the checksums of their own: only asked when something is wrong."""
    offset = 0
    for number, piece in enumerate(content.pieces, start=1):
        if piece.checksum:
            hasher = new_hasher(kind)
            reader = ContentReader(content, offset, piece.size, what, owns=False)
            for block in reader:
                hasher.update(block)
            if hasher.hexdigest() != piece.checksum:
                return f"chunk {number} of {what}"
        offset += piece.size
    return what


def verify_bytes(row: ObjectRow, data: bytes, what: str) -> None:
    """The same for content at hand."""
    check_digest(row, checksum_of(ChecksumType(row.checksum_type), data), what)


def check_digest(row: ObjectRow, actual: str, what: str) -> None:
    """Compare a computed value with the recorded one.

    Raises:
        CorruptionError: they differ.
    """
    if actual != row.checksum:
        raise CorruptionError(
            f"{what} is damaged: {row.checksum_type} is {actual}, recorded is {row.checksum}",
            hint="restore the object from its source",
            kind=FaultKind.CHECKSUM,
        )
