"""Multipart uploads: begun, listed, completed, aborted, and forgotten when nobody comes back to them.

An upload is a row of `uploads`, its parts are rows of `parts` (see `partwriter`). Completing reads every part once
more before anything becomes visible, so that what a disk did to a part is found while it can still be sent again; then
one transaction turns the pieces of the parts into those of the object. No byte is copied.
"""

import json
import logging
import time
from collections.abc import Mapping, Sequence
from typing import Protocol

from aiscore.engine.ahead import ReadAhead
from aiscore.engine.bodies import verify
from aiscore.engine.checkpoint import new_upload_id
from aiscore.engine.checksum import MultiHasher, new_chunk_hasher
from aiscore.engine.commit import ETAG_KEY, FromUpload, PartsChangedError, commit_content
from aiscore.engine.core import Core
from aiscore.engine.fileio import close_quietly, storage_error
from aiscore.engine.index import uploads as index
from aiscore.engine.index.buckets import BucketRow
from aiscore.engine.index.objects import PieceRef, after_prefix
from aiscore.engine.index.uploads import PartRow, UploadRow
from aiscore.engine.layout import piece_path
from aiscore.engine.partwriter import find_upload, info_of, no_upload, upload_name
from aiscore.engine.read import props_of
from aiscore.errors import (
    AisError,
    BucketNotFoundError,
    CorruptionError,
    InvalidArgumentError,
    UnavailableError,
)
from aiscore.model.access import Access
from aiscore.model.bucket import BucketRef
from aiscore.model.checksum import ChecksumType
from aiscore.model.multipart import (
    UPLOADS_PAGE_MAX,
    CompleteOptions,
    MultipartUpload,
    PartInfo,
    PartRef,
    UploadOptions,
    choose_parts,
    composite_etag,
)
from aiscore.model.names import check_object_name, check_prefix
from aiscore.model.objects import ObjectProps, check_custom
from aiscore.model.storage import FaultKind

__all__ = [
    "UPLOAD_IDLE_MAX_S",
    "PartsReview",
    "abort_upload",
    "complete_upload",
    "create_upload",
    "describe_upload",
    "expire_uploads",
    "list_parts",
    "list_uploads",
]

log = logging.getLogger(__name__)

UPLOAD_IDLE_MAX_S = 7 * 24 * 3600
"""How long an upload lives to which nothing is added; its parts go with it."""
_ATTEMPTS = 5
"""Completions of an upload whose parts are being replaced or moved at the same time, before it gives up."""


class PartsReview(Protocol):
    """Sees the content of an upload that is being completed, on the one occasion that all of it is read."""

    def begin(self) -> None:
        """Forget what was seen: the parts come from the start; once, or again when they were changed meanwhile."""
        ...

    def update(self, number: int, data: memoryview, /) -> None:
        """The next block of part `number`; parts come in order, whole, and from a thread that may be another one."""
        ...

    def finish(self) -> Mapping[str, str]:
        """Every part was seen: custom metadata to add to that of the upload; an empty value removes a key.

        Raises:
            AisError: the upload must not be completed; it stays as it is.
        """
        ...


def create_upload(core: Core, bucket: BucketRef, name: str, options: UploadOptions) -> str:
    """Begin an upload. See `Transport.create_upload`."""
    check_object_name(name)
    row = core.bucket(bucket, Access.PUT)
    core.admit_write()
    expire_uploads(core)
    now = time.time_ns()
    upload = UploadRow(
        new_upload_id(now),
        row.id,
        name,
        json.dumps(dict(options.custom), separators=(",", ":")) if options.custom else None,
        row.props.checksum.type.value,
        int(options.md5),
        0,
        now,
        now,
    )
    with core.database.write(sync=core.is_durable(row)) as connection:
        if connection.execute("SELECT 1 FROM buckets WHERE id = ?", (row.id,)).fetchone() is None:
            raise BucketNotFoundError(f'bucket "{bucket}" does not exist')
        index.insert_upload(connection, upload)
    return upload.id


def list_uploads(
    core: Core, bucket: BucketRef, prefix: str, after: tuple[str, str] | None, limit: int
) -> list[MultipartUpload]:
    """Uploads by name and id. See `Transport.list_uploads`."""
    check_prefix(prefix)
    _check_limit(limit)
    row = core.bucket(bucket, Access.LIST_OBJECTS)
    connection = core.connection()
    low = max((prefix, ""), after or ("", ""))
    found: list[MultipartUpload] = []
    while len(found) < limit:
        rows = index.list_uploads(connection, row.id, low, after_prefix(prefix), limit)
        for upload in rows:
            # What a PUT is writing is its own; what it left behind by dying can be completed by whoever likes.
            if upload.session_id and core.sessions.is_alive(upload.session_id):
                continue
            found.append(_value_of(upload, *index.totals_of(connection, upload.id)))
        if len(rows) < limit:
            break
        low = (rows[-1].name, rows[-1].id)
    return found[:limit]


def describe_upload(core: Core, bucket: BucketRef, name: str, upload_id: str) -> MultipartUpload:
    """One upload.

    Raises:
        NotFoundError: there is none.
    """
    check_object_name(name)
    upload = find_upload(core, core.bucket(bucket, Access.LIST_OBJECTS), name, upload_id)
    return _value_of(upload, *index.totals_of(core.connection(), upload.id))


def list_parts(
    core: Core, bucket: BucketRef, name: str, upload_id: str, after: int, limit: int
) -> list[PartInfo]:
    """Parts by number. See `Transport.list_parts`."""
    check_object_name(name)
    _check_limit(limit)
    row = core.bucket(bucket, Access.LIST_OBJECTS)
    upload = find_upload(core, row, name, upload_id)
    parts = index.list_parts(core.connection(), upload.id, after, limit)
    return [info_of(upload, part) for part in parts]


def complete_upload(
    core: Core,
    bucket: BucketRef,
    name: str,
    upload_id: str,
    parts: Sequence[PartRef],
    options: CompleteOptions,
    review: PartsReview | None = None,
) -> ObjectProps:
    """Turn the parts into the object. See `Transport.complete_upload`."""
    check_object_name(name)
    row = core.bucket(bucket, Access.PUT)
    core.admit_write()
    for attempt in range(_ATTEMPTS):
        try:
            return _complete(core, row, name, upload_id, parts, options, review)
        except PartsChangedError:
            if attempt == _ATTEMPTS - 1:
                raise
    raise AssertionError("not reached")


def abort_upload(core: Core, bucket: BucketRef, name: str, upload_id: str) -> None:
    """Drop an upload and its parts. See `Transport.abort_upload`."""
    check_object_name(name)
    row = core.bucket(bucket, Access.PUT)
    find_upload(core, row, name, upload_id)
    if not core.freeing(lambda: _delete(core, upload_id, sync=core.is_durable(row))):
        raise no_upload(row, name, upload_id)
    core.garbage.reclaim_marked()


def expire_uploads(core: Core) -> None:
    """Forget uploads that nobody added to for `UPLOAD_IDLE_MAX_S`; what fails here expires later."""
    limit = time.time_ns() - UPLOAD_IDLE_MAX_S * 10**9
    query = "SELECT id, session_id FROM uploads WHERE used_ns < ?"
    for upload_id, session in core.connection().execute(query, (limit,)).fetchall():
        if session and core.sessions.is_alive(session):
            continue
        try:
            core.freeing(lambda upload_id=upload_id: _delete(core, upload_id, sync=False))  # type: ignore[misc]  # a default binds it
            core.garbage.reclaim_marked()
        except AisError as exc:
            log.warning("upload not expired: id=%s reason=%s", upload_id, exc)


def _complete(
    core: Core,
    bucket: BucketRow,
    name: str,
    upload_id: str,
    listed: Sequence[PartRef],
    options: CompleteOptions,
    review: PartsReview | None,
) -> ObjectProps:
    upload = find_upload(core, bucket, name, upload_id)
    what = upload_name(bucket, name, upload_id)
    rows = index.list_parts(core.connection(), upload_id)
    chosen = choose_parts(
        listed, [info_of(upload, row) for row in rows], what, partial=options.partial
    )
    numbers = {part.number for part in chosen}
    taken = [row for row in rows if row.number in numbers]
    kind = ChecksumType(upload.checksum_type)
    given = options.checksum
    sync = core.is_durable(bucket)
    hasher = MultiHasher({kind} if given is None else {kind, given.type})
    if review is not None:
        review.begin()
    _check_parts(core, upload, taken, _Views(hasher, review), what, sync=sync)
    verify(given, hasher, bucket.bucket.object_cname(name))
    custom: dict[str, str] = json.loads(upload.custom) if upload.custom else {}
    if review is not None:
        custom |= review.finish()
        check_custom(custom := {key: value for key, value in custom.items() if value})
    if upload.has_md5:
        custom[ETAG_KEY] = composite_etag([row.md5 for row in taken])
    content = _Parts(taken)
    committed = commit_content(
        core,
        bucket,
        name,
        content,
        checksum=hasher.checksum(kind),
        custom=custom,
        precondition=options.precondition,
        upload=FromUpload(upload_id, content.pieces),
        sync=sync,
    )
    if len(taken) < len(rows):
        core.garbage.reclaim_marked()
    return props_of(core, committed)


class _Views:
    """What is computed of the whole content while its parts are read."""

    __slots__ = ("_hasher", "_number", "_review", "has_work")

    def __init__(self, hasher: MultiHasher, review: PartsReview | None) -> None:
        self._hasher = hasher
        self._review = review
        self._number = 0
        self.has_work = hasher.has_work or review is not None

    def enter(self, number: int) -> None:
        """What comes from now on is of this part."""
        self._number = number

    def update(self, data: bytes | bytearray | memoryview) -> None:
        """Take the next block."""
        self._hasher.update(data)
        if self._review is not None:
            self._review.update(self._number, memoryview(data))


class _Parts:
    """Parts as finished content; their pieces have rows already, the commit makes them live."""

    def __init__(self, rows: Sequence[PartRow]) -> None:
        pieces = [row.piece for row in rows]
        # A single piece has no manifest: its checksum is that of the object.
        self.pieces: list[PieceRef] = pieces
        self.size = sum(piece.size for piece in pieces)

    def settle(self) -> None:
        """Nothing: each was settled when its part was stored."""


def _check_parts(
    core: Core,
    upload: UploadRow,
    rows: Sequence[PartRow],
    whole: _Views,
    what: str,
    *,
    sync: bool,
) -> None:
    """Make sure that every part is as it was stored, and compute the checksums of the whole on the way.

    Raises:
        CorruptionError: a part is missing, short, long, or has another checksum.
        PartsChangedError: it was replaced or moved meanwhile.
    """
    directories = set()
    try:
        for row in rows:
            part = f"part {row.number} of {what}"
            try:
                path = piece_path(core.mountpaths.readable(row.mountpath_id), row.piece_id)
                fd = core.files.open(path)
                directories.add(path.rpartition("/")[0])
            except UnavailableError:
                core.connection().cache.clear()
                _raise_if_changed(core, upload, row, part)
                raise
            except FileNotFoundError as exc:
                _raise_if_changed(core, upload, row, part)
                raise CorruptionError(
                    f"{part} is missing", hint="send it again", kind=FaultKind.MISSING
                ) from exc
            try:
                if core.files.size(fd) != row.size:
                    raise CorruptionError(
                        f"{part} has {core.files.size(fd)} bytes, recorded are {row.size}",
                        hint="send it again",
                        kind=FaultKind.SIZE,
                    )
                if sync:
                    core.files.fsync(fd)  # it may have been stored before the bucket was durable
                if whole.has_work:
                    whole.enter(row.number)
                    _hash_part(core, fd, row, whole, part)
            finally:
                close_quietly(core.files, fd)
        if sync:
            for directory in directories:
                core.files.fsync_dir(directory)
    except OSError as exc:
        raise storage_error(exc, what) from exc


def _hash_part(core: Core, fd: int, row: PartRow, whole: _Views, part: str) -> None:
    """Read one part, and hash it where it is read; the whole is hashed here, while the next blocks are read."""
    own = new_chunk_hasher() if row.chunk_checksum else None
    position = 0

    def fill(block: memoryview) -> int:
        nonlocal position
        if position == row.size:
            return 0
        count = core.files.preadv(fd, [block[: row.size - position]], position)
        if not count:
            raise CorruptionError(f"{part} ends at byte {position}", kind=FaultKind.SIZE)
        if own is not None:
            own.update(block[:count])
        position += count
        return count

    with ReadAhead(core.buffers, fill, row.size) as blocks:
        for block in blocks:
            whole.update(block)
    if own is not None and own.hexdigest() != row.chunk_checksum:
        raise CorruptionError(
            f"{part} is damaged: xxh3 is {own.hexdigest()}, recorded is {row.chunk_checksum}",
            hint="send it again",
            kind=FaultKind.CHECKSUM,
        )


def _raise_if_changed(core: Core, upload: UploadRow, row: PartRow, part: str) -> None:
    query = "SELECT piece_id FROM parts WHERE upload_id = ? AND number = ?"
    found = core.connection().execute(query, (upload.id, row.number)).fetchone()
    if found is None or found[0] != row.piece_id:
        raise PartsChangedError(f"{part} was changed meanwhile", hint="try again")


def _delete(core: Core, upload_id: str, *, sync: bool) -> bool:
    with core.database.write(sync=sync) as connection:
        return index.delete_upload(connection, upload_id)


def _value_of(upload: UploadRow, part_count: int, size: int) -> MultipartUpload:
    return MultipartUpload(
        upload_id=upload.id,
        name=upload.name,
        created_ns=upload.created_ns,
        used_ns=upload.used_ns,
        part_count=part_count,
        size=size,
        custom=json.loads(upload.custom) if upload.custom else {},
        md5=bool(upload.has_md5),
    )


def _check_limit(limit: int) -> None:
    if not 1 <= limit <= UPLOADS_PAGE_MAX:
        raise InvalidArgumentError(f"invalid limit {limit}: expected 1 to {UPLOADS_PAGE_MAX}")
