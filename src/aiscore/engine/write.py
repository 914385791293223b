"""The write path: a stream becomes pieces.

Nothing is visible before the commit (`commit`) and nothing is lost by an abort: until its commit a piece is a file with
an id that no row names, which `abort` removes now, or the sweep after a crash.
"""

from collections.abc import Callable, Iterable, Sequence

from aiscore.engine.ahead import ReadAhead
from aiscore.engine.checkpoint import Checkpoints
from aiscore.engine.checksum import MultiHasher, PieceHasher
from aiscore.engine.commit import FromUpload
from aiscore.engine.core import Core
from aiscore.engine.fileio import close_quietly, copy_all, storage_error, write_all
from aiscore.engine.hashing import BackgroundHasher
from aiscore.engine.index.buckets import BucketRow
from aiscore.engine.index.objects import (
    PieceRef,
)
from aiscore.engine.lanes import LANES_FROM, Lanes, Update
from aiscore.engine.layout import piece_directory, piece_path
from aiscore.engine.mountpath import Mountpath
from aiscore.engine.piecefiles import discard_pieces, make_directory
from aiscore.engine.syncing import BackgroundSync
from aiscore.errors import CapacityExceededError
from aiscore.model.checksum import ChecksumType
from aiscore.model.chunks import chunk_size_for, is_chunked_at
from aiscore.model.multipart import CHUNK_COUNT_MAX

__all__ = [
    "ContentWriter",
    "SinglePiece",
    "write_small",
    "writer_for",
]

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
    try:
        try:
            fd = files.create(content.path)
        except FileNotFoundError:
            directory = content.path.rpartition("/")[0]
            make_directory(core, content.pieces[0].mountpath_id, directory)
            fd = files.create(content.path)
        try:
            write_all(files.write, fd, data)
            if sync:
                files.fsync(fd)
        finally:
            files.close(fd)
        if sync:
            files.fsync_dir(content.path.rpartition("/")[0])
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
    `hash_pieces` each piece gets a checksum of its own; with `sync`, pieces and their directories are
    on disk when `finish` returns; `position` is that of the first piece among the object's, for placement; content of
    several pieces that turns out to be shorter than `whole_below` becomes one; `checkpoints` take note of pieces while
    others are still to come.

    Hashing. What is quick runs where the block is written. What is slow runs beside it: of blocks that are lent in
    lanes that copy them, of others in a thread that is done before the next ones come.
    """

    def __init__(
        self,
        core: Core,
        key: str,
        cname: str,
        kinds: Iterable[ChecksumType] = (),
        *,
        piece_size_max: int,
        hash_pieces: bool = False,
        sync: bool = False,
        position: int = 0,
        whole_below: int = 0,
        checkpoints: Checkpoints | None = None,
    ) -> None:
        self._core = core
        self._whole_below = whole_below
        self._checkpoints = checkpoints
        self._sync = sync
        self._position = position
        self._key = key
        self._cname = cname
        self.hasher = MultiHasher(kinds)
        self._piece_hasher = PieceHasher(piece_size_max) if hash_pieces else None
        self._hashes = self.hasher.has_work or self._piece_hasher is not None
        self._is_slow = self.hasher.has_slow
        self._watches: list[Update] = []
        self._slow_watches: list[Update] = []
        self._lanes: Lanes | None = None
        self._lanes_from = LANES_FROM
        self._sealed = 0
        self._syncs = BackgroundSync(core.files)
        self._background: BackgroundHasher | None = None
        self._gathered: list[bytes] = []
        self._piece_size_max = piece_size_max
        self._fd = -1
        self._current: PieceRef | None = None
        self.pieces: list[PieceRef] = []
        self._made: list[tuple[int, str]] = []
        self.size = 0

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Append one block.

        Raises:
            CapacityExceededError: no space, or more than `CHUNK_COUNT_MAX` pieces.
            StorageError: the disk refused.
        """
        if not data:
            return
        is_lent = not isinstance(data, bytes)
        if self._lanes is not None or (is_lent and (self._is_slow or self._slow_watches)):
            self._write_lent(data)
            self._note_pieces()
            return
        is_beside = not is_lent or len(data) >= BACKGROUND_BLOCK_MIN
        if (
            is_beside
            and self._background is None
            and self._hashes
            and self.size >= BACKGROUND_HASH_MIN
        ):
            self._background = BackgroundHasher.start(self._hash)
        self.size += len(data)
        if self._background is None or not is_beside:
            self._write_gathered()
            self._hash(data)
            self._write_pieces(data)
        elif is_lent:
            self._write_gathered()
            self._hash_and_write([data])
        else:
            self._gathered.append(bytes(data))
            if len(self._gathered) == GATHERED_MAX:
                self._write_gathered()
        self._note_pieces()

    def watch(self, update: Update, *, is_slow: bool) -> None:
        """Feed the content to `update` as well; for all of it, before the first block."""
        (self._slow_watches if is_slow else self._watches).append(update)
        self._hashes = True

    @property
    def is_behind(self) -> bool:
        """True when the next `write` may have to wait for hashing; `catch_up` does so where that hurts nobody."""
        return self._lanes is not None and self._lanes.is_behind

    def catch_up(self) -> None:
        """Until hashing is not far behind."""
        if self._lanes is not None:
            self._lanes.catch_up()

    def drain(self) -> None:
        """Until everything written has been hashed; safe to repeat, and to write more after."""
        self._write_gathered()
        if self._lanes is not None:
            self._lanes.drain()

    def hashed_ahead(self, readinto: Callable[[memoryview], int], size: int) -> ReadAhead:
        """All that `readinto` gives, about `size` bytes, hashed; each block is for `write_hashed`."""

        def fill(block: memoryview) -> int:
            count = readinto(block)
            self._hash(block[:count])
            return count

        return ReadAhead(self._core.buffers, fill, size)

    def write_hashed(self, data: memoryview) -> None:
        """Append one block of `hashed_ahead`.

        Raises:
            CapacityExceededError: no space, or more than `CHUNK_COUNT_MAX` pieces.
            StorageError: the disk refused.
        """
        self.size += len(data)
        self._write_pieces(data)

    def copy_from(self, source_fd: int, count: int) -> None:
        """Append `count` bytes from the start of a file without hashing them: for content whose checksum is known.

        They go to the piece that is being written, whatever its size.
        """
        if self._current is None:
            self._begin()
        try:
            copy_all(self._core.files, source_fd, self._fd, count)
        except OSError as exc:
            raise storage_error(exc, self._cname) from exc
        self.size += count
        self._grow(count)

    def finish(self) -> None:
        """Close the last piece; there is one even when nothing was written."""
        self.drain()
        if self._current is None:
            self._begin()
        self._end()
        self._wait_for_syncs()
        if len(self.pieces) > 1 and self.size < self._whole_below:
            self._join()
        self._seal()
        if self._sync:
            try:
                for directory in {path.rpartition("/")[0] for _, path in self._made}:
                    self._core.files.fsync_dir(directory)
            except OSError as exc:
                raise storage_error(exc, self._cname) from exc

    def abort(self) -> None:
        """Remove what was written; safe to repeat, and after `finish`."""
        self._stop_background()
        self._syncs.settle()
        if self._fd >= 0:
            fd, self._fd = self._fd, -1
            close_quietly(self._core.files, fd)
        if self._checkpoints is not None:
            self._checkpoints.abort()
        discard_pieces(self._core, self._made)
        self.pieces, self._made, self._current = [], [], None

    def settle(self) -> None:
        """After the commit: the pieces have rows."""
        self._stop_background()
        for piece in self.pieces:
            self._core.sessions.settle(piece.piece_id)

    @property
    def upload(self) -> FromUpload | None:
        """Pieces that the checkpoints have taken note of; None when there are none."""
        return None if self._checkpoints is None else self._checkpoints.upload

    def _hash(self, data: bytes | bytearray | memoryview) -> None:
        self.hasher.update(data)
        if self._piece_hasher is not None:
            self._piece_hasher.update(data)
        for update in (*self._watches, *self._slow_watches):
            update(data)

    def _write_lent(self, data: bytes | bytearray | memoryview) -> None:
        """Append a block that may be gone when this returns, with slow hashes of it to compute."""
        if self._lanes is None and self.size + len(data) >= self._lanes_from:
            self._open_lanes()
        self.size += len(data)
        if self._lanes is None:
            self._write_gathered()
            self._hash(data)
        else:
            self._lanes.update(data)
            self._hash_fast(data)
        self._write_pieces(data)

    def _open_lanes(self) -> None:
        self._write_gathered()
        lanes: list[Update] = []
        if self._is_slow:
            lanes.append(self._hash_slow)
        if self._slow_watches:
            lanes.append(self._feed_watches)
        self._lanes = Lanes.start(lanes)
        if self._lanes is None:
            # All threads are busy: ask again a little later.
            self._lanes_from = self.size + LANES_FROM

    def _hash_fast(self, data: bytes | bytearray | memoryview) -> None:
        """What is not left to the lanes."""
        self.hasher.update_fast(data)
        if self._piece_hasher is not None:
            self._piece_hasher.update(data)
        for update in self._watches:
            update(data)

    def _hash_slow(self, data: bytes | bytearray | memoryview) -> None:
        """One lane: what the store wants to know."""
        self.hasher.update_slow(data)

    def _feed_watches(self, data: bytes | bytearray | memoryview) -> None:
        """The other lane: what somebody else wants to know."""
        for update in self._slow_watches:
            update(data)

    def _note_pieces(self) -> None:
        if self._checkpoints is not None and self._checkpoints.is_due(len(self.pieces)):
            self._wait_for_syncs()
            self._seal()
            self._checkpoints.record(self.pieces)

    def _seal(self) -> None:
        """Give finished pieces their checksums."""
        if self._piece_hasher is None:
            return
        fresh = self.pieces[self._sealed :]
        values = self._piece_hasher.values(self._sealed, len(fresh))
        self.pieces[self._sealed :] = [
            piece._replace(checksum=value) for piece, value in zip(fresh, values, strict=True)
        ]
        self._sealed = len(self.pieces)

    def _join(self) -> None:
        """Make one piece of all: the content is shorter than what is stored in chunks."""
        parts, made = self.pieces, self._made
        self.pieces, self._made, self._piece_hasher = [], [*made], None
        try:
            self._begin()
            for piece, (_, path) in zip(parts, made, strict=True):
                fd = self._core.files.open(path)
                try:
                    copy_all(self._core.files, fd, self._fd, piece.size)
                finally:
                    close_quietly(self._core.files, fd)
                self._grow(piece.size)
        except OSError as exc:
            raise storage_error(exc, self._cname) from exc
        self._end()
        self._made = self._made[len(made) :]
        if self._checkpoints is not None:
            self._checkpoints.abort()
        discard_pieces(self._core, made)

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
                    self._end(is_last=False)
                    self._begin()
                    continue
                self._write_piece(view[:room])
                view = view[room:]
        except OSError as exc:
            raise storage_error(exc, self._cname) from exc

    def _write_piece(self, data: bytes | bytearray | memoryview) -> None:
        write_all(self._core.files.write, self._fd, data)
        self._grow(len(data))

    def _grow(self, count: int) -> None:
        current = self._current
        assert current is not None
        self._current = current._replace(size=current.size + count)

    def _begin(self) -> None:
        if len(self.pieces) >= CHUNK_COUNT_MAX:
            raise CapacityExceededError(
                f"{self._cname} needs more than {CHUNK_COUNT_MAX} chunks",
                hint="raise the bucket's chunks.chunk_size",
            )
        mountpath = self._core.mountpaths.choose(self._key, self._position + len(self.pieces))
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

    def _end(self, *, is_last: bool = True) -> None:
        assert self._current is not None
        fd = self._fd
        try:
            if self._sync and not is_last:
                self._fd = -1
                self._syncs.submit(fd)
            else:
                if self._sync:
                    self._core.files.fsync(fd)
                self._fd = -1
                self._core.files.close(fd)
        except OSError as exc:
            raise storage_error(exc, self._cname) from exc
        self.pieces.append(self._current)
        self._current = None

    def _wait_for_syncs(self) -> None:
        try:
            self._syncs.wait()
        except OSError as exc:
            raise storage_error(exc, self._cname) from exc

    def _stop_background(self) -> None:
        if self._background is not None:
            self._background.close()
            self._background = None
        if self._lanes is not None:
            self._lanes.close()
            self._lanes = None


def writer_for(
    core: Core,
    bucket: BucketRow,
    name: str,
    kinds: set[ChecksumType],
    *,
    hash_pieces: bool = False,
    size: int | None = None,
    sync: bool = False,
    checkpoints: Checkpoints | None = None,
) -> ContentWriter:
    """A writer placed and laid out as the bucket's properties say.

    Args:
        core: the home.
        bucket: where.
        name: object name.
        kinds: checksum types to compute over the whole.
        hash_pieces: chunks get checksums of their own.
        size: bytes that are to come; None when unknown. Then what is long enough is chunked all the same.
        sync: on disk when it is finished.
        checkpoints: to take note of chunks; not used for content that gets none.
    """
    chunks = bucket.props.chunks
    is_chunked = chunks.is_auto if size is None else is_chunked_at(chunks, size)
    return ContentWriter(
        core,
        bucket.uname + name,
        bucket.bucket.object_cname(name),
        kinds,
        piece_size_max=chunk_size_for(chunks, size),
        hash_pieces=hash_pieces and is_chunked,
        sync=sync,
        whole_below=chunks.objsize_limit if size is None else 0,
        checkpoints=checkpoints if is_chunked else None,
    )
