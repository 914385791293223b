"""Open content of an object: random access to the bytes of one piece, or of several as if they were one."""

from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable
from functools import partial

from aiscore.engine.archive.source import Source
from aiscore.engine.fileio import Files, close_quietly, storage_error
from aiscore.engine.index.objects import PieceRef
from aiscore.errors import CorruptionError
from aiscore.model.storage import FaultKind

__all__ = ["ContentSource", "FileContent", "ManifestContent"]

_OPEN_PIECES_MAX = 2
"""Of one object, beside the first: readers go forward, and a batch holds many objects open."""


class _RawFile:
    """A file as an archive source, without a Python frame around the system call."""

    __slots__ = ("pread", "size")

    def __init__(self, pread: Callable[[int, int], bytes], size: int) -> None:
        self.pread = pread
        self.size = size


class FileContent:
    """Content of one piece: random access over one open file."""

    __slots__ = ("_files", "_what", "fd", "size")

    def __init__(self, files: Files, fd: int, size: int, what: str) -> None:
        self._files = files
        self.fd = fd
        self.size = size
        self._what = what

    def pread(self, count: int, offset: int, /) -> bytes:
        """Up to `count` bytes at `offset`; short only at the end."""
        try:
            return self._files.pread(self.fd, count, offset)
        except OSError as exc:
            raise storage_error(exc, self._what) from exc

    @property
    def sizes(self) -> list[int]:
        """Bytes of each piece."""
        return [self.size]

    def unguarded(self) -> Source:
        """The same bytes without this object's frame and error mapping: for walks of a call a member."""
        return _RawFile(partial(self._files.pread, self.fd), self.size)

    def pread_into(self, buffer: memoryview, offset: int, /) -> int:
        """Fill as much of `buffer` as one system call gives."""
        try:
            return self._files.preadv(self.fd, [buffer], offset)
        except OSError as exc:
            raise storage_error(exc, self._what) from exc

    def close(self) -> None:
        """Close the file; safe to repeat."""
        fd, self.fd = self.fd, -1
        if fd >= 0:
            close_quietly(self._files, fd)


class ManifestContent:
    """Content of several pieces, opened as they are reached, the last few kept open."""

    def __init__(
        self,
        files: Files,
        path_of: Callable[[PieceRef], str],
        pieces: list[PieceRef],
        first_fd: int,
        what: str,
        on_close: Callable[[], None],
    ) -> None:
        """Take over `first_fd`, which holds the manifest; `on_close` is called when it is let go."""
        self._files = files
        self._path_of = path_of
        self._on_close = on_close
        self._pieces = pieces
        self._first_fd = first_fd
        self._what = what
        self._ends: list[int] = []
        total = 0
        for piece in pieces:
            total += piece.size
            self._ends.append(total)
        self.size = total
        self._open: OrderedDict[int, int] = OrderedDict()

    @property
    def pieces(self) -> list[PieceRef]:
        """What it is made of."""
        return self._pieces

    @property
    def sizes(self) -> list[int]:
        """Bytes of each piece."""
        return [piece.size for piece in self._pieces]

    def pread(self, count: int, offset: int, /) -> bytes:
        """Up to `count` bytes at `offset`, over piece borders."""
        count = min(count, self.size - offset)
        if count <= 0:
            return b""
        buffer = bytearray(count)
        view = memoryview(buffer)
        done = 0
        while done < count:
            done += self.pread_into(view[done:], offset + done)
        return bytes(buffer)

    def unguarded(self) -> Source:
        """Itself: which piece a byte is in must be found out in any case."""
        return self

    def pread_into(self, buffer: memoryview, offset: int, /) -> int:
        """Fill as much of `buffer` as one piece gives."""
        number = bisect_right(self._ends, offset)
        if number == len(self._ends):
            return 0
        inside = offset - (self._ends[number] - self._pieces[number].size)
        room = min(len(buffer), self._pieces[number].size - inside)
        try:
            count = self._files.preadv(self._fd(number), [buffer[:room]], inside)
        except OSError as exc:
            raise storage_error(exc, self._what) from exc
        if count == 0 and room:
            raise CorruptionError(
                f"{self._what}: chunk {number + 1} is shorter than recorded", kind=FaultKind.SIZE
            )
        return count

    def close(self) -> None:
        """Close all files; safe to repeat. Closing the first one lets the reclaimer in."""
        while self._open:
            close_quietly(self._files, self._open.popitem()[1])
        fd, self._first_fd = self._first_fd, -1
        if fd >= 0:
            close_quietly(self._files, fd)
            self._on_close()

    def check(self) -> None:
        """Look at every piece's size before the first byte is delivered."""
        for number, piece in enumerate(self._pieces, start=1):
            try:
                actual = self._files.size_of(self._path_of(piece))
            except FileNotFoundError as exc:
                raise self._missing(number) from exc
            except OSError as exc:
                raise storage_error(exc, self._what) from exc
            if actual != piece.size:
                raise CorruptionError(
                    f"{self._what}: chunk {number} has {actual} bytes, recorded are {piece.size}",
                    kind=FaultKind.SIZE,
                )

    def _fd(self, number: int) -> int:
        if number == 0:
            return self._first_fd
        fd = self._open.get(number)
        if fd is not None:
            self._open.move_to_end(number)
            return fd
        piece = self._pieces[number]
        try:
            fd = self._files.open(self._path_of(piece))
        except FileNotFoundError as exc:
            raise self._missing(number + 1) from exc
        except OSError as exc:
            raise storage_error(exc, self._what) from exc
        if len(self._open) >= _OPEN_PIECES_MAX:
            close_quietly(self._files, self._open.popitem(last=False)[1])
        self._open[number] = fd
        return fd

    def _missing(self, number: int) -> CorruptionError:
        return CorruptionError(f"{self._what}: chunk {number} is missing", kind=FaultKind.MISSING)


ContentSource = FileContent | ManifestContent
