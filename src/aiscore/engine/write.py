"""The write path: a stream becomes pieces, and one transaction makes a name point at them.

Nothing is visible before the commit and nothing is lost by an abort: until its commit a piece is a file with an id
that no row names, which `abort` removes now, or the sweep after a crash.
"""

import json
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Protocol

from aiscore.engine.checksum import Hasher, MultiHasher, new_hasher
from aiscore.engine.core import Core
from aiscore.engine.fileio import storage_error, write_all
from aiscore.engine.hashing import BackgroundHasher
from aiscore.engine.index.buckets import BucketRow
from aiscore.engine.index.database import Connection
from aiscore.engine.index.objects import (
    ObjectRow,
    PieceRef,
    insert_pieces,
    select_for_write,
    write_object,
)
from aiscore.engine.index.schema import PIECE_LIVE
from aiscore.engine.layout import piece_directory, piece_path
from aiscore.engine.mountpath import Mountpath
from aiscore.errors import (
    BucketNotFoundError,
    BusyError,
    CapacityExceededError,
    ChecksumMismatchError,
    InvalidArgumentError,
    NotFoundError,
    PreconditionFailedError,
)
from aiscore.model.checksum import Checksum, ChecksumType
from aiscore.model.objects import Precondition
from aiscore.model.stream import BLOCK_SIZE, Body

__all__ = [
    "PIECE_COUNT_MAX",
    "Content",
    "ContentWriter",
    "SinglePiece",
    "blocks_of",
    "check_given",
    "check_precondition",
    "commit_content",
    "etag_of",
    "verify",
    "write_small",
]

PIECE_COUNT_MAX = 9_999
"""Pieces of one object; upstream's `MaxChunkCount`."""
BACKGROUND_HASH_MIN = 1 << 20
"""Bytes from which hashing runs beside writing; below, the hand-over costs more than it hides."""


class Content(Protocol):
    """Finished pieces that wait for their commit."""

    @property
    def pieces(self) -> Sequence[PieceRef]:
        """At least one, in order."""
        ...

    @property
    def size(self) -> int:
        """Bytes of all of them."""
        ...

    def settle(self) -> None:
        """Called after the commit: the pieces have rows."""
        ...


class SinglePiece:
    """Content that is one file, made without a `ContentWriter`: a small body, or a hard link."""

    __slots__ = ("_core", "path", "pieces", "size")

    def __init__(self, core: Core, mountpath: Mountpath, size: int) -> None:
        """Take an id for the file; nothing is made yet."""
        self._core = core
        piece_id = core.sessions.new_piece_id()
        self.path = piece_path(mountpath.path, piece_id)
        self.pieces = (PieceRef(piece_id, mountpath.id, size),)
        self.size = size

    def settle(self) -> None:
        """After the commit: the piece has a row."""
        self._core.sessions.settle(self.pieces[0].piece_id)

    def abort(self) -> None:
        """Remove the file, if it was made."""
        try:
            self._core.files.unlink(self.path)
        except FileNotFoundError:
            pass
        except OSError:
            return  # stays outstanding: the sweep after this process takes it
        self.settle()


def write_small(
    core: Core, key: str, cname: str, data: bytes | bytearray | memoryview, *, sync: bool
) -> SinglePiece:
    """Write a body that is at hand and fits one block as one piece: what `ContentWriter` does, in a straight line.

    Raises:
        CapacityExceededError: no space.
        StorageError: the disk refused.
    """
    files = core.files
    content = SinglePiece(core, core.mountpaths.choose(key), len(data))
    directory = content.path.rpartition("/")[0]
    try:
        try:
            fd = files.create(content.path)
        except FileNotFoundError:
            _make_directory(core, directory)
            fd = files.create(content.path)
        try:
            write_all(files.write, fd, data)
            if sync:
                files.fsync(fd)
        finally:
            files.close(fd)
        if sync:
            files.fsync_dir(directory)
    except OSError as exc:
        content.abort()
        raise storage_error(exc, cname) from exc
    except BaseException:
        content.abort()
        raise
    return content


class ContentWriter:
    """Pieces of one object on their way to a commit.

    Args of the constructor: `key` is the object's unique name (placement), `cname` names it in errors, `kinds` are
    the checksum types to compute over the whole, `piece_size_max` is where a piece ends and the next begins; with
    `piece_checksum` each piece gets a checksum of that type of its own.
    """

    def __init__(
        self,
        core: Core,
        key: str,
        cname: str,
        kinds: Iterable[ChecksumType] = (),
        *,
        piece_size_max: int,
        piece_checksum: ChecksumType = ChecksumType.NONE,
    ) -> None:
        self._core = core
        self._key = key
        self._cname = cname
        self.hasher = MultiHasher(kinds)
        self._background: BackgroundHasher | None = None
        self._piece_size_max = piece_size_max
        self._piece_checksum = piece_checksum
        self._piece_hasher: Hasher | None = None
        self._fd = -1
        self._current: PieceRef | None = None
        self.pieces: list[PieceRef] = []
        self._paths: list[str] = []
        self.size = 0

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Append one block.

        Raises:
            CapacityExceededError: no space, or more than `PIECE_COUNT_MAX` pieces.
            StorageError: the disk refused.
        """
        if not data:
            return
        if self._background is None and self.size >= BACKGROUND_HASH_MIN:
            self._background = BackgroundHasher(self.hasher.update)
        if self._background is not None:
            self._background.submit(data)
            try:
                self._write_pieces(data)
            finally:
                self._background.settle(data)
        else:
            self.hasher.update(data)
            self._write_pieces(data)
        self.size += len(data)

    def copy_from(self, source_fd: int, count: int) -> None:
        """Append `count` bytes from the start of a file without hashing them: for content whose checksum is known."""
        self._begin()
        try:
            done = 0
            while done < count:
                copied = self._core.files.copy_range(source_fd, self._fd, count - done, done)
                if not copied:
                    raise CapacityExceededError(
                        f"source of {self._cname} ended at {done} of {count}"
                    )
                done += copied
        except OSError as exc:
            raise storage_error(exc, self._cname) from exc
        self.size += count
        self._grow(count)

    def finish(self, *, sync: bool) -> None:
        """Close the last piece; with `sync`, pieces and their directories are on disk."""
        if self._background is not None:
            self._background.wait()
        if self._current is None:
            self._begin()
        self._end(sync=sync)
        if sync:
            try:
                for directory in {path.rpartition("/")[0] for path in self._paths}:
                    self._core.files.fsync_dir(directory)
            except OSError as exc:
                raise storage_error(exc, self._cname) from exc

    def abort(self) -> None:
        """Remove what was written; safe to repeat, and after `finish`."""
        self._stop_background()
        if self._fd >= 0:
            fd, self._fd = self._fd, -1
            _close_quietly(self._core, fd)
        settled = [piece.piece_id for piece in self.pieces]
        if self._current is not None:
            settled.append(self._current.piece_id)
        for piece_id, path in zip(settled, self._paths, strict=True):
            try:
                self._core.files.unlink(path)
            except FileNotFoundError:
                pass
            except OSError:
                continue  # stays outstanding: the sweep after this process takes it
            self._core.sessions.settle(piece_id)
        self.pieces, self._paths, self._current = [], [], None

    def settle(self) -> None:
        """After the commit: the pieces have rows."""
        self._stop_background()
        for piece in self.pieces:
            self._core.sessions.settle(piece.piece_id)

    def _write_pieces(self, data: bytes | bytearray | memoryview) -> None:
        try:
            if self._current is None:
                self._begin()
            current = self._current
            assert current is not None
            room = self._piece_size_max - current.size
            if len(data) <= room:
                self._write_piece(data)
                return
            view = memoryview(data)
            while view:
                assert self._current is not None
                room = self._piece_size_max - self._current.size
                if not room:
                    self._end(sync=False)
                    self._begin()
                    continue
                self._write_piece(view[:room])
                view = view[room:]
        except OSError as exc:
            raise storage_error(exc, self._cname) from exc

    def _write_piece(self, data: bytes | bytearray | memoryview) -> None:
        write_all(self._core.files.write, self._fd, data)
        if self._piece_hasher is not None:
            self._piece_hasher.update(data)
        self._grow(len(data))

    def _grow(self, count: int) -> None:
        current = self._current
        assert current is not None
        self._current = current._replace(size=current.size + count)

    def _begin(self) -> None:
        if len(self.pieces) >= PIECE_COUNT_MAX:
            raise CapacityExceededError(
                f"{self._cname} needs more than {PIECE_COUNT_MAX} chunks",
                hint="raise the bucket's chunks.chunk_size",
            )
        number = len(self.pieces)
        key = self._key if number == 0 else f"{self._key}.{number:04d}"
        mountpath = self._core.mountpaths.choose(key)
        piece_id = self._core.sessions.new_piece_id()
        path = piece_path(mountpath.path, piece_id)
        self._current = PieceRef(piece_id, mountpath.id, 0)
        self._paths.append(path)
        try:
            try:
                self._fd = self._core.files.create(path)
            except FileNotFoundError:
                _make_directory(self._core, piece_directory(mountpath.path, piece_id))
                self._fd = self._core.files.create(path)
        except OSError as exc:
            raise storage_error(exc, self._cname) from exc
        if self._piece_checksum is not ChecksumType.NONE:
            self._piece_hasher = new_hasher(self._piece_checksum)

    def _end(self, *, sync: bool) -> None:
        assert self._current is not None
        fd = self._fd
        try:
            if sync:
                self._core.files.fsync(fd)
            self._fd = -1
            self._core.files.close(fd)
        except OSError as exc:
            raise storage_error(exc, self._cname) from exc
        value = self._piece_hasher.hexdigest() if self._piece_hasher is not None else ""
        self.pieces.append(self._current._replace(checksum=value))
        self._current = None

    def _stop_background(self) -> None:
        if self._background is not None:
            self._background.close()
            self._background = None


def commit_content(
    core: Core,
    bucket: BucketRow,
    name: str,
    content: Content,
    *,
    checksum: Checksum | None,
    custom: Mapping[str, str],
    precondition: Precondition | None = None,
    expected: ObjectRow | None = None,
    append_handle: str | None = None,
    sync: bool = False,
) -> ObjectRow:
    """Make `name` point at the finished pieces of `content`, and reclaim what it pointed at before.

    Args:
        core: the home.
        bucket: where; it must still exist at the commit.
        name: checked object name.
        content: finished; it is settled here on success, and aborted by the caller on failure.
        checksum: of the whole.
        custom: checked metadata.
        precondition: checked inside the transaction.
        expected: the object must still have this row's content (an append that started from it).
        append_handle: the pieces have rows already, held by this handle, which ends here.
        sync: the commit is on disk on return.

    Raises:
        PreconditionFailedError: `precondition` does not hold.
        BusyError: the object is not `expected` any more.
    """
    first = content.pieces[0]
    now = time.time_ns()
    with core.database.write(sync=sync) as connection:
        is_alive, old = select_for_write(connection, bucket.id, name)
        if not is_alive:
            raise BucketNotFoundError(f'bucket "{bucket.bucket}" does not exist')
        if precondition is not None:
            check_precondition(precondition, old, bucket.bucket.object_cname(name))
        if expected is not None and (old is None or old.generation != expected.generation):
            raise BusyError(
                f"{bucket.bucket.object_cname(name)} was changed meanwhile", hint="try again"
            )
        version = 0
        if bucket.props.versioning.enabled:
            version = old.version + 1 if old is not None else 1
        row = ObjectRow(
            bucket.id,
            name,
            content.size,
            version,
            checksum.type.value if checksum is not None else ChecksumType.NONE.value,
            checksum.value if checksum is not None else "",
            now,
            now,
            json.dumps(dict(custom), separators=(",", ":")) if custom else None,
            first.piece_id,
            first.mountpath_id,
            first.piece_id,
            len(content.pieces),
        )
        if append_handle is None:
            insert_pieces(connection, content.pieces)
        else:
            _take_over(connection, append_handle, first.piece_id)
        write_object(connection, row, old)
        core.garbage.forget(connection)
    content.settle()
    if old is not None:
        core.garbage.reclaim(old)
    return row


def _take_over(connection: Connection, handle: str, piece_id: int) -> None:
    ended = connection.execute("DELETE FROM appends WHERE handle = ?", (handle,)).rowcount
    if not ended:
        raise NotFoundError(f'append handle "{handle}" does not exist')
    connection.execute("UPDATE pieces SET state = ? WHERE id = ?", (PIECE_LIVE, piece_id))


def etag_of(row: ObjectRow) -> str:
    """Strong validator of the content: the backend's or S3's own when it is known, else the generation."""
    if row.custom is not None and '"ETag"' in row.custom:
        etag = json.loads(row.custom).get("ETag")
        if etag:
            return str(etag).strip('"')
    return f"{row.generation:016x}"


def check_precondition(wanted: Precondition, row: ObjectRow | None, cname: str) -> None:
    """Compare a precondition with the object as it is.

    Raises:
        PreconditionFailedError: it does not hold.
    """
    if wanted.if_absent:
        if row is not None:
            raise PreconditionFailedError(
                f"{cname} already exists", hint="drop the condition to replace it"
            )
        return
    for what, value, actual in (
        ("etag", wanted.if_etag, etag_of(row) if row is not None else ""),
        ("version", wanted.if_version, str(row.version) if row is not None else ""),
    ):
        if value is None:
            continue
        if row is None:
            raise PreconditionFailedError(f"{cname} does not exist, expected {what} {value}")
        if value != actual:
            raise PreconditionFailedError(f"{cname} has {what} {actual}, expected {value}")


def verify(given: Checksum | None, hasher: MultiHasher, cname: str) -> None:
    """Compare the checksum that came with a body with the computed one.

    Raises:
        ChecksumMismatchError: they differ.
    """
    if given is None or given.type is ChecksumType.NONE:
        return
    check_given(given, hasher.value(given.type), cname)


def check_given(given: Checksum, actual: str, cname: str) -> None:
    """The same with the value at hand."""
    if actual != given.value:
        raise ChecksumMismatchError(
            f"bad checksum of {cname}: expected {given}, the body has {given.type}[{actual}]"
        )


def blocks_of(body: Body, limit: int | None, cname: str) -> Iterator[bytes | memoryview]:
    """The body in blocks; each is valid until the next.

    Raises:
        InvalidArgumentError: the body is not bytes, readable or iterable, or is longer than `limit`.
    """
    total = 0
    for block in _raw_blocks(body, cname):
        total += len(block)
        if limit is not None and total > limit:
            raise InvalidArgumentError(
                f"the body of {cname} is longer than the {limit} bytes that were announced"
            )
        yield block
    if limit is not None and total != limit:
        raise InvalidArgumentError(f"the body of {cname} has {total} bytes, {limit} were announced")


def _raw_blocks(body: Body, cname: str) -> Iterator[bytes | memoryview]:
    if isinstance(body, bytes | bytearray | memoryview):
        view = memoryview(body).cast("B")
        for start in range(0, len(view), BLOCK_SIZE):
            yield view[start : start + BLOCK_SIZE]
        return
    readinto = getattr(body, "readinto", None)
    if readinto is not None:
        buffer = memoryview(bytearray(BLOCK_SIZE))
        while count := readinto(buffer):
            yield buffer[:count]
        return
    read = getattr(body, "read", None)
    if read is not None:
        while block := read(BLOCK_SIZE):
            yield _checked_block(block, cname)
        return
    if isinstance(body, Iterable) and not isinstance(body, str):
        for block in body:
            yield _checked_block(block, cname)
        return
    raise InvalidArgumentError(
        f"the body of {cname} is a {type(body).__name__}: expected bytes, a binary file or an iterable of bytes"
    )


def _checked_block(block: object, cname: str) -> bytes | memoryview:
    if isinstance(block, bytes):
        return block
    if isinstance(block, bytearray | memoryview):
        return memoryview(block).cast("B")
    raise InvalidArgumentError(
        f"the body of {cname} gives {type(block).__name__}: expected bytes",
        hint="open the file in binary mode",
    )


def _make_directory(core: Core, path: str) -> None:
    try:
        core.files.mkdir(path)
    except FileExistsError:
        return


def _close_quietly(core: Core, fd: int) -> None:
    try:
        core.files.close(fd)
    except OSError:
        return
