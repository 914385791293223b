"""The read path: from an object's row to its bytes.

Pieces are immutable, so a reader needs no lock on the object: it holds the pieces (see `garbage`). Between looking up
the row and opening the piece another process may replace the object and unlink the piece; then the row is looked up
again.
"""

import fcntl
import json
from collections.abc import Sequence
from functools import partial

from aiscore.engine.commit import etag_of
from aiscore.engine.content import ContentSource, FileContent, ManifestContent
from aiscore.engine.contentreader import ContentReader
from aiscore.engine.core import Core
from aiscore.engine.fileio import Files, close_quietly, storage_error
from aiscore.engine.index.buckets import BucketRow
from aiscore.engine.index.copies import copies_of
from aiscore.engine.index.objects import (
    ObjectRow,
    PieceRef,
    find_object,
    select_object,
)
from aiscore.engine.layout import piece_path
from aiscore.engine.mirror import mend
from aiscore.engine.verify import verify_content
from aiscore.errors import (
    AisError,
    BusyError,
    CorruptionError,
    ObjectNotFoundError,
    UnavailableError,
)
from aiscore.model.bucket import BucketRef
from aiscore.model.checksum import Checksum, ChecksumType
from aiscore.model.objects import ObjectProps
from aiscore.model.storage import FaultKind

__all__ = [
    "checksum_in",
    "fill_from",
    "find_or_raise",
    "open_content",
    "open_verified",
    "props_of",
    "read_piece",
    "read_piece_into",
    "read_whole",
]


class _DegradedError(Exception):
    """A piece is damaged, and has a copy that is not."""


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

    What has copies is mended on the way, if a piece is found to be missing or to have another size.

    Raises:
        ObjectNotFoundError: it does not exist.
        CorruptionError: a piece is missing or has another size than recorded.
        UnavailableError: it lies on a mountpath that is disabled or missing.
    """
    what = f"{bucket.cname}/{name}"
    row = find_or_raise(core, bucket, name)
    for attempt in range(_ATTEMPTS):
        try:
            content = _try_open(core, row, what)
        except _DegradedError:
            # Before it is opened: a reader keeps others, and itself, from moving pieces.
            if mend(core, bucket, row):
                row = _current(core, bucket, row)
            content = _try_open(core, row, what, is_picky=False)
        except UnavailableError:
            # It may have been moved since, from a disk that was taken out then, or to one that is new.
            core.connection().cache.clear()
            current = _current(core, bucket, row)
            place = current.piece_id, current.mountpath_id
            if attempt and place == (row.piece_id, row.mountpath_id):
                raise
            row = current
            continue
        if content is not None:
            return row, content
        row = _look_again(core, bucket, row, what)
    raise BusyError(f"{what} is being overwritten", hint="try again")


def open_verified(
    core: Core, bucket: BucketRow, name: str, what: str
) -> tuple[ObjectRow, ContentSource]:
    """The same, after all of it was compared with the recorded checksum; what has a good copy is mended.

    Raises:
        CorruptionError: it differs.
    """
    for attempt in range(2):
        row, content = open_content(core, bucket, name)
        try:
            verify_content(row, content, what)
        except CorruptionError:
            content.close()
            if attempt or not mend(core, bucket, row, is_deep=True):
                raise
        except BaseException:
            content.close()
            raise
        else:
            return row, content
    raise AssertionError("not reached")


def read_whole(core: Core, bucket: BucketRow, row: ObjectRow) -> tuple[ObjectRow, bytes]:
    """All bytes of an object that was found, and the row they belong to: the shortest way to a small object."""
    name = row.name
    if row.piece_count == 1:
        try:
            data = read_piece(core, row)
            if data is not None:
                return row, data
        except (FileNotFoundError, UnavailableError):
            pass
        except OSError as exc:
            if row.copies == 1:
                raise storage_error(exc, bucket.bucket.object_cname(name)) from exc
    row, content = open_content(core, bucket, name)
    with ContentReader(content, 0, row.size, bucket.bucket.object_cname(name)) as reader:
        return row, reader.read()


def read_piece(core: Core, row: ObjectRow) -> bytes | None:
    """All bytes of an object of one piece; None when it does not have as many as recorded.

    Raises:
        OSError: the piece cannot be opened or read.
        UnavailableError: it lies on a mountpath that is disabled or missing.
    """
    files = core.files
    fd = files.open(piece_path(core.mountpaths.readable(row.mountpath_id), row.piece_id))
    try:
        # One byte more than recorded, so that a piece that grew is seen too.
        data = files.pread(fd, row.size + 1, 0)
    finally:
        close_quietly(files, fd)
    return data if len(data) == row.size else None


def read_piece_into(core: Core, row: ObjectRow, buffer: memoryview) -> bool:
    """Fill `buffer`, which is one byte longer than the object of one piece; False when that cannot be: read it anew."""
    files = core.files
    try:
        fd = files.open(piece_path(core.mountpaths.readable(row.mountpath_id), row.piece_id))
        try:
            return files.preadv(fd, [buffer], 0) == row.size
        finally:
            close_quietly(files, fd)
    except (OSError, AisError):
        return False


def fill_from(files: Files, fd: int, buffer: memoryview, offset: int) -> bool:
    """Fill all of `buffer` from an open file in one step; False when that cannot be: read it anew."""
    try:
        return not buffer or files.preadv(fd, [buffer], offset) == len(buffer)
    except OSError:
        return False


def _try_open(
    core: Core, row: ObjectRow, what: str, *, is_picky: bool = True
) -> ContentSource | None:
    """None when the first piece is not there: the object has been replaced, or is damaged.

    Raises:
        _DegradedError: `is_picky`, and it can be read only because there are copies.
    """
    if row.copies > 1:
        return _try_open_copies(core, row, what, is_picky=is_picky)
    try:
        place = PieceRef(row.piece_id, row.mountpath_id, row.size)
        return _open_place(core, row, (place,), what)
    except FileNotFoundError:
        return None


def _try_open_copies(
    core: Core, row: ObjectRow, what: str, *, is_picky: bool
) -> ContentSource | None:
    """The same from the first place of the first piece that is good."""
    manifest = copies_of(core.connection(), row)
    if not manifest:
        return None
    places = manifest[0]
    failure: AisError | None = None
    is_degraded = False
    for number in range(len(places)):
        try:
            content = _open_place(core, row, places[number:], what)
        except UnavailableError as exc:
            failure = exc  # away, which is not damage
        except FileNotFoundError:
            is_degraded = True
        except AisError as exc:
            failure, is_degraded = exc, True
        else:
            is_degraded |= isinstance(content, ManifestContent) and content.is_degraded
            if content is not None and is_degraded and is_picky:
                content.close()
                raise _DegradedError
            return content
    if failure is not None and _is_current(core, row):
        raise failure
    return None


def _open_place(
    core: Core, row: ObjectRow, places: Sequence[PieceRef], what: str
) -> ContentSource | None:
    """The content, with its first piece from the first of `places`; None when the name points elsewhere by now."""
    files = core.files
    place = places[0]
    path = piece_path(core.mountpaths.readable(place.mountpath_id), place.piece_id)
    try:
        fd = files.open(path)
    except FileNotFoundError:
        raise
    except OSError as exc:
        raise storage_error(exc, what) from exc
    try:
        if row.piece_count > 1:
            content = _open_manifest(core, row, place, fd, what)
            if content is None:
                close_quietly(files, fd)
            return content
        actual = files.size(fd)
        if actual != row.size:
            raise CorruptionError(
                f"{what} has {actual} bytes on disk, recorded are {row.size}", kind=FaultKind.SIZE
            )
        spares = [spare for other in places[1:] if (spare := _find(core, other))]
        return FileContent(files, fd, row.size, what, spares)
    except BaseException as exc:
        close_quietly(files, fd)
        if isinstance(exc, OSError):
            raise storage_error(exc, what) from exc
        raise


def _find(core: Core, place: PieceRef) -> str | None:
    found = core.mountpaths.known(place.mountpath_id)
    return None if found is None else piece_path(found.path, place.piece_id)


def _is_current(core: Core, row: ObjectRow) -> bool:
    """The name still points at the piece: what is not there is damage, not a replaced object."""
    current = select_object(core.connection(), row.bucket_id, row.name)
    return current is not None and current.piece_id == row.piece_id


def _current(core: Core, bucket: BucketRow, row: ObjectRow) -> ObjectRow:
    current = select_object(core.connection(), row.bucket_id, row.name)
    if current is None:
        raise _not_found(bucket.bucket, row.name)
    return current


def _open_manifest(
    core: Core, row: ObjectRow, opened: PieceRef, fd: int, what: str
) -> ManifestContent | None:
    """Lock the manifest against the reclaimer, then make sure that the name still points at it.

    `opened` is what `fd` is open on: the first piece, or a copy of it.
    """
    fcntl.flock(fd, fcntl.LOCK_SH)
    connection = core.database.connection()
    current = select_object(connection, row.bucket_id, row.name)
    if current is None or current.piece_id != row.piece_id:
        return None
    let_go = partial(core.garbage.let_go, row.piece_id, row.mountpath_id)
    manifest = copies_of(connection, current)
    if not manifest:
        return None  # replaced, and reclaimed, in this moment
    ids = [place.piece_id for place in manifest[0]]
    if opened.piece_id not in ids:
        return None
    # What is before it was found to be bad, or away.
    manifest[0] = manifest[0][ids.index(opened.piece_id) :]
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
        copies=row.copies,
        chunk_count=row.piece_count,
        chunk_size_max=row.piece_size_max,
        etag=etag_of(row),
    )
