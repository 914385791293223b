"""APPEND: bytes added in several calls, made visible by a flush.

A handle names a row of `appends`: the piece that grows and how many of its bytes count. The row is the truth: what a
killed call wrote past it is cut off by the next one. The handle is good in every process that opens the home.
"""

import fcntl
import logging
import secrets
import time
from dataclasses import dataclass

from aiscore.engine.bodies import blocks_of, verify
from aiscore.engine.checksum import MultiHasher
from aiscore.engine.commit import commit_content
from aiscore.engine.content import FileContent
from aiscore.engine.contentreader import ContentReader
from aiscore.engine.core import Core
from aiscore.engine.fileio import close_quietly, storage_error, write_all
from aiscore.engine.index.buckets import BucketRow
from aiscore.engine.index.objects import PieceRef, select_for_write
from aiscore.engine.index.schema import PIECE_APPENDING, PIECE_GARBAGE
from aiscore.engine.layout import piece_directory, piece_path
from aiscore.engine.read import open_content, props_of
from aiscore.engine.write import ContentWriter
from aiscore.errors import (
    AisError,
    BucketNotFoundError,
    BusyError,
    CapacityExceededError,
    NotFoundError,
    ObjectNotFoundError,
    UnavailableError,
)
from aiscore.model.access import Access
from aiscore.model.bucket import BucketRef
from aiscore.model.checksum import Checksum, ChecksumType
from aiscore.model.names import check_object_name
from aiscore.model.objects import ObjectProps
from aiscore.model.stream import Body

__all__ = ["APPEND_IDLE_MAX_S", "append_object", "expire_appends", "flush_append"]

log = logging.getLogger(__name__)

_SIZE_UNLIMITED = 1 << 62
_ATTEMPTS = 20
"""Look-ups of a piece that is moved as fast as it is found."""
APPEND_IDLE_MAX_S = 24 * 3600
"""How long an unused handle lives; what was appended through it goes with it."""


@dataclass(frozen=True, slots=True)
class _Handle:
    handle: str
    mountpath_id: int
    piece_id: int
    size: int


def append_object(core: Core, bucket: BucketRef, name: str, body: Body, handle: str) -> str:
    """Add bytes. See `Transport.append`."""
    check_object_name(name)
    row = core.bucket(bucket, Access.APPEND)
    core.admit_write()
    if handle:
        _append(core, row, name, body, handle)
        return handle
    handle = _begin(core, row, name)
    try:
        _append(core, row, name, body, handle)
    except BaseException:
        _discard(core, handle)  # the caller never learns of it
        raise
    return handle


def _append(core: Core, row: BucketRow, name: str, body: Body, handle: str) -> None:
    cname = f"{row.cname}/{name}"
    state, fd = _open(core, row, name, handle)
    try:
        size = _write_at_end(core, fd, state, body, row, name)
        with core.database.write() as connection:
            updated = connection.execute(
                "UPDATE appends SET size = ?, used_ns = ? WHERE handle = ? AND piece_id = ?",
                (size, time.time_ns(), handle, state.piece_id),
            ).rowcount
        if not updated:
            raise _no_handle(row, name, handle)
        closing, fd = fd, -1
        core.files.close(closing)
    except OSError as exc:
        raise storage_error(exc, cname) from exc
    finally:
        if fd >= 0:
            close_quietly(core.files, fd)


def flush_append(
    core: Core, bucket: BucketRef, name: str, handle: str, checksum: Checksum | None
) -> ObjectProps:
    """Make what was appended the object's content. See `Transport.flush_append`."""
    check_object_name(name)
    row = core.bucket(bucket, Access.APPEND)
    cname = bucket.object_cname(name)
    kind = row.props.checksum.type
    kinds = {kind} if checksum is None else {kind, checksum.type}
    sync = core.is_durable(row)
    state, fd = _open(core, row, name, handle)
    try:
        core.files.truncate(fd, state.size)
        hasher = _hash(core, fd, state.size, kinds, cname)
        verify(checksum, hasher, cname)
        if sync:
            core.files.fsync(fd)
            core.files.fsync_dir(
                piece_directory(core.mountpaths.readable(state.mountpath_id), state.piece_id)
            )
        committed = commit_content(
            core,
            row,
            name,
            _Appended(state),
            checksum=hasher.checksum(kind),
            custom=None,
            append_handle=handle,
            sync=sync,
        )
    except OSError as exc:
        raise storage_error(exc, cname) from exc
    finally:
        close_quietly(core.files, fd)
    return props_of(core, committed)


def expire_appends(core: Core) -> None:
    """Forget handles that nobody used for `APPEND_IDLE_MAX_S`."""
    limit = time.time_ns() - APPEND_IDLE_MAX_S * 10**9
    connection = core.connection()
    old = connection.execute("SELECT handle FROM appends WHERE used_ns < ?", (limit,))
    for (handle,) in old.fetchall():
        _discard(core, handle)


def _discard(core: Core, handle: str) -> None:
    """End a handle and reclaim its piece; what fails here expires later."""
    try:
        with core.database.write() as connection:
            connection.execute(
                "UPDATE pieces SET state = ? WHERE id IN "
                "(SELECT piece_id FROM appends WHERE handle = ?)",
                (PIECE_GARBAGE, handle),
            )
            connection.execute("DELETE FROM appends WHERE handle = ?", (handle,))
        core.garbage.reclaim_marked()
    except AisError as exc:
        log.warning("append handle not discarded: reason=%s", exc)


class _Appended:
    """The grown piece as finished content; its row in `pieces` exists already, the commit makes it live."""

    def __init__(self, state: _Handle) -> None:
        self.pieces = [PieceRef(state.piece_id, state.mountpath_id, state.size)]
        self.size = state.size

    def settle(self) -> None:
        """Nothing: it was settled when the handle was made."""


def _begin(core: Core, bucket: BucketRow, name: str) -> str:
    """Make a handle: a piece that starts with the object's content, or empty."""
    # One piece whatever the bucket says: what grows cannot be chunked before it has ended.
    writer = ContentWriter(
        core,
        bucket.uname + name,
        bucket.bucket.object_cname(name),
        piece_size_max=_SIZE_UNLIMITED,
    )
    try:
        try:
            row, content = open_content(core, bucket, name)
        except ObjectNotFoundError:
            pass
        else:
            _check_size(bucket, name, row.size)
            with ContentReader(content, 0, row.size, bucket.bucket.object_cname(name)) as reader:
                if isinstance(content, FileContent) and row.size:
                    writer.copy_from(content.fd, row.size)
                else:
                    for block in reader:
                        writer.write(block)
        writer.finish()
        piece = writer.pieces[0]
        handle = secrets.token_hex(12)
        with core.database.write() as connection:
            before = select_for_write(connection, bucket.id, name, writer.pieces)
            if not before.has_bucket:
                raise BucketNotFoundError(f'bucket "{bucket.bucket}" does not exist')
            if not before.has_mountpaths:
                raise BusyError(
                    f"the mountpath of {bucket.cname}/{name} was removed meanwhile",
                    hint="try again",
                )
            connection.execute(
                "INSERT INTO pieces VALUES (?, ?, ?)",
                (piece.piece_id, piece.mountpath_id, PIECE_APPENDING),
            )
            connection.execute(
                "INSERT INTO appends VALUES (?, ?, ?, ?, ?, ?, ?)",
                (
                    handle,
                    bucket.id,
                    name,
                    piece.mountpath_id,
                    piece.piece_id,
                    writer.size,
                    time.time_ns(),
                ),
            )
    except BaseException:
        writer.abort()
        raise
    writer.settle()
    return handle


def _find(core: Core, bucket: BucketRow, name: str, handle: str) -> _Handle:
    found = (
        core.connection()
        .execute(
            "SELECT handle, mountpath_id, piece_id, size FROM appends "
            "WHERE handle = ? AND bucket_id = ? AND name = ?",
            (handle, bucket.id, name),
        )
        .fetchone()
    )
    if found is None:
        raise _no_handle(bucket, name, handle)
    return _Handle(*found)


def _open(core: Core, bucket: BucketRow, name: str, handle: str) -> tuple[_Handle, int]:
    """The handle, and its piece open and locked: nobody else appends to it, and nobody moves it.

    Raises:
        NotFoundError: there is no such handle.
        BusyError: another process appends, or moves the piece.
        UnavailableError: the disk of the piece is away.
    """
    cname = f"{bucket.cname}/{name}"
    state = _find(core, bucket, name, handle)
    for attempt in range(_ATTEMPTS):
        try:
            path = piece_path(core.mountpaths.readable(state.mountpath_id), state.piece_id)
            fd = core.files.open_write(path)
        except (FileNotFoundError, UnavailableError) as exc:
            # It may have been moved since, to a disk that is new.
            core.connection().cache.clear()
            found = _find(core, bucket, name, handle)
            if attempt and found.piece_id == state.piece_id:
                if isinstance(exc, OSError):
                    raise storage_error(exc, cname) from exc
                raise
            state = found
            continue
        except OSError as exc:
            raise storage_error(exc, cname) from exc
        try:
            _lock(fd, cname)
            found = _find(core, bucket, name, handle)
        except BaseException:
            close_quietly(core.files, fd)
            raise
        if found.piece_id == state.piece_id:
            return found, fd
        # Moved until the lock was free: what would be written now is not the piece any more.
        close_quietly(core.files, fd)
        state = found
    raise BusyError(f"{cname} is being moved", hint="try again")


def _no_handle(bucket: BucketRow, name: str, handle: str) -> NotFoundError:
    return NotFoundError(
        f'append handle "{handle}" of {bucket.cname}/{name} does not exist',
        hint="append without a handle to begin anew",
    )


def _lock(fd: int, cname: str) -> None:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as exc:
        raise BusyError(
            f"{cname} is being appended to through the same handle", hint="try again"
        ) from exc


def _check_size(bucket: BucketRow, name: str, size: int) -> None:
    limit = bucket.props.chunks.max_monolithic_size
    if size > limit:
        raise CapacityExceededError(
            f"{bucket.cname}/{name} would have {size} bytes in one piece, the limit is {limit}",
            hint="write it anew, in chunks: ais put, or a multipart upload",
        )


def _write_at_end(
    core: Core, fd: int, state: _Handle, body: Body, bucket: BucketRow, name: str
) -> int:
    core.files.truncate(fd, state.size)
    core.files.seek(fd, state.size)
    size = state.size
    for block in blocks_of(body, None, f"{bucket.cname}/{name}"):
        _check_size(bucket, name, size + len(block))
        write_all(core.files.write, fd, block)
        size += len(block)
    return size


def _hash(core: Core, fd: int, size: int, kinds: set[ChecksumType], cname: str) -> MultiHasher:
    hasher = MultiHasher(kinds)
    content = FileContent(core.files, fd, size, cname)
    for block in ContentReader(content, 0, size, cname):
        hasher.update(block)
    return hasher
