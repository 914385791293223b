"""The write path: a stream becomes pieces.

Nothing is visible before the commit (`commit`) and nothing is lost by an abort: until its commit a piece is a file with
an id that no row names, which `abort` removes now, or the sweep after a crash.
"""

import logging
from collections.abc import Iterable, Sequence
from contextlib import suppress

from aiscore.engine.checksum import Hasher, MultiHasher, new_hasher
from aiscore.engine.core import Core
from aiscore.engine.fileio import close_quietly, copy_all, storage_error, write_all
from aiscore.engine.hashing import BackgroundHasher
from aiscore.engine.index.buckets import BucketRow
from aiscore.engine.index.database import abandon
from aiscore.engine.index.objects import (
    PieceRef,
)
from aiscore.engine.layout import piece_directory, piece_path
from aiscore.engine.mountpath import Mountpath
from aiscore.errors import (
    AisError,
    CapacityExceededError,
)
from aiscore.model.checksum import ChecksumType

__all__ = [
    "PIECE_COUNT_MAX",
    "ContentWriter",
    "SinglePiece",
    "discard_pieces",
    "make_directory",
    "write_small",
    "writer_for",
]

log = logging.getLogger(__name__)

PIECE_COUNT_MAX = 9_999
"""Pieces of one object; upstream's `MaxChunkCount`."""
GATHERED_MAX = 4
"""Blocks of `bytes` hashed and written together: waking the other thread costs a third of hashing a mebibyte."""
BACKGROUND_HASH_MIN = 1 << 20
"""Bytes from which hashing runs beside writing; below, the hand-over costs more than it hides."""
BACKGROUND_BLOCK_MIN = 512 << 10
"""Bytes of a borrowed block from which it is hashed beside writing. The other thread must be done with it before the
call returns, so that for what a socket gives at once waking it costs more than it hides."""


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
        """Remove the file, if it was made and no commit has named it."""
        discard_pieces(self._core, [(self.pieces[0].piece_id, self.path)])


def discard_pieces(core: Core, pieces: Sequence[tuple[int, str]]) -> None:
    """Remove piece files (id, path) that no row names, and settle their ids.

    The rows are asked, not the caller: an interrupt can arrive after the commit and before its caller knows of it.
    What cannot be removed, or asked, stays outstanding: the sweep after this process takes it.
    """
    try:
        connection = core.connection()
        if connection.raw.in_transaction:
            abandon(connection)
        for piece_id, path in pieces:
            query = "SELECT 1 FROM pieces WHERE id = ?"
            if connection.execute(query, (piece_id,)).fetchone() is None:
                with suppress(FileNotFoundError):
                    core.files.unlink(path)
            core.sessions.settle(piece_id)
    except (OSError, AisError) as exc:
        log.warning("unfinished pieces left for the sweep: reason=%s", exc)


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
            make_directory(core, content.pieces[0].mountpath_id, directory)
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
    `piece_checksum` each piece gets a checksum of that type of its own; with `sync`, pieces and their directories are
    on disk when `finish` returns.
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
        sync: bool = False,
    ) -> None:
        self._core = core
        self._sync = sync
        self._key = key
        self._cname = cname
        self.hasher = MultiHasher(kinds)
        self._hashes = self.hasher.has_work
        self._background: BackgroundHasher | None = None
        self._gathered: list[bytes] = []
        self._piece_size_max = piece_size_max
        self._piece_checksum = piece_checksum
        self._piece_hasher: Hasher | None = None
        self._fd = -1
        self._current: PieceRef | None = None
        self.pieces: list[PieceRef] = []
        self._made: list[tuple[int, str]] = []
        self.size = 0

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Append one block.

        Raises:
            CapacityExceededError: no space, or more than `PIECE_COUNT_MAX` pieces.
            StorageError: the disk refused.
        """
        if not data:
            return
        is_lent = not isinstance(data, bytes)
        is_beside = not is_lent or len(data) >= BACKGROUND_BLOCK_MIN
        if (
            is_beside
            and self._background is None
            and self._hashes
            and self.size >= BACKGROUND_HASH_MIN
        ):
            self._background = BackgroundHasher.start(self.hasher.update)
        self.size += len(data)
        if self._background is None or not is_beside:
            self._write_gathered()
            self.hasher.update(data)
            self._write_pieces(data)
        elif is_lent:
            self._write_gathered()
            self._hash_and_write([data])
        else:
            self._gathered.append(bytes(data))
            if len(self._gathered) == GATHERED_MAX:
                self._write_gathered()

    def copy_from(self, source_fd: int, count: int) -> None:
        """Append `count` bytes from the start of a file without hashing them: for content whose checksum is known."""
        self._begin()
        try:
            copy_all(self._core.files, source_fd, self._fd, count)
        except OSError as exc:
            raise storage_error(exc, self._cname) from exc
        self.size += count
        self._grow(count)

    def finish(self) -> None:
        """Close the last piece; there is one even when nothing was written."""
        self._write_gathered()
        if self._current is None:
            self._begin()
        self._end()
        if self._sync:
            try:
                for directory in {path.rpartition("/")[0] for _, path in self._made}:
                    self._core.files.fsync_dir(directory)
            except OSError as exc:
                raise storage_error(exc, self._cname) from exc

    def abort(self) -> None:
        """Remove what was written; safe to repeat, and after `finish`."""
        self._stop_background()
        if self._fd >= 0:
            fd, self._fd = self._fd, -1
            close_quietly(self._core.files, fd)
        discard_pieces(self._core, self._made)
        self.pieces, self._made, self._current = [], [], None

    def settle(self) -> None:
        """After the commit: the pieces have rows."""
        self._stop_background()
        for piece in self.pieces:
            self._core.sessions.settle(piece.piece_id)

    def _write_gathered(self) -> None:
        if self._gathered:
            gathered, self._gathered = self._gathered, []
            self._hash_and_write(gathered)

    def _hash_and_write(self, blocks: Sequence[bytes | bytearray | memoryview]) -> None:
        assert self._background is not None
        self._background.submit(blocks)
        try:
            for block in blocks:
                self._write_pieces(block)
        finally:
            self._background.wait()

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
                    self._end()
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
        self._made.append((piece_id, path))
        self._current = PieceRef(piece_id, mountpath.id, 0)
        try:
            try:
                self._fd = self._core.files.create(path)
            except FileNotFoundError:
                directory = piece_directory(mountpath.path, piece_id)
                make_directory(self._core, mountpath.id, directory)
                self._fd = self._core.files.create(path)
        except OSError as exc:
            raise storage_error(exc, self._cname) from exc
        if self._piece_checksum is not ChecksumType.NONE:
            self._piece_hasher = new_hasher(self._piece_checksum)

    def _end(self) -> None:
        assert self._current is not None
        fd = self._fd
        try:
            if self._sync:
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


def writer_for(
    core: Core,
    bucket: BucketRow,
    name: str,
    kinds: set[ChecksumType],
    *,
    size: int | None = None,
    sync: bool = False,
) -> ContentWriter:
    """A writer placed and limited as the bucket's properties say."""
    chunks = bucket.props.chunks
    piece_size_max = chunks.max_monolithic_size
    piece_checksum = ChecksumType.NONE
    if size is not None and size > piece_size_max:
        piece_size_max = chunks.chunk_size
        piece_checksum = bucket.props.checksum.type
    return ContentWriter(
        core,
        bucket.uname + name,
        bucket.bucket.object_cname(name),
        kinds,
        piece_size_max=piece_size_max,
        piece_checksum=piece_checksum,
        sync=sync,
    )


def make_directory(core: Core, mountpath_id: int, path: str) -> None:
    """Make a directory of pieces, for good: it is made once in the life of a mountpath, whatever is durable."""
    try:
        core.files.mkdir(path)
    except FileExistsError:
        return
    except FileNotFoundError:
        core.mountpaths.check_label(mountpath_id)
        raise
    core.files.fsync_dir(path.rpartition("/")[0])
