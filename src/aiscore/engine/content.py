"""Open content of an object: random access to the bytes of one piece, or of several as if they were one.

A piece that has copies is read from the first place that is good, and from the next one when the disk fails.
"""

import logging
import os
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import partial

from aiscore.engine.archive.source import Source
from aiscore.engine.fileio import Files, close_quietly, storage_error
from aiscore.engine.index.objects import PieceRef
from aiscore.errors import AisError, CorruptionError
from aiscore.model.storage import FaultKind

__all__ = ["ContentSource", "FileContent", "ManifestContent"]

log = logging.getLogger(__name__)

_OPEN_PIECES_MAX = 2
"""Of one object, beside the first: readers go forward, and a batch holds many objects open."""


class _RawFile:
    """A file as an archive source, without a Python frame around the system call."""

    __slots__ = ("pread", "size")

    def __init__(self, pread: Callable[[int, int], bytes], size: int) -> None:
        self.pread = pread
        self.size = size


class FileContent:
    """Content of one piece: random access over one open file; `spares` are paths of copies of it."""

    __slots__ = ("_files", "_spares", "_what", "fd", "size")

    def __init__(
        self, files: Files, fd: int, size: int, what: str, spares: Sequence[str] = ()
    ) -> None:
        self._files = files
        self.fd = fd
        self.size = size
        self._what = what
        self._spares = list(spares)

    def pread(self, count: int, offset: int, /) -> bytes:
        """Up to `count` bytes at `offset`; short only at the end."""
        while True:
            try:
                return self._files.pread(self.fd, count, offset)
            except OSError as exc:
                self._fall_back(exc)

    @property
    def sizes(self) -> list[int]:
        """Bytes of each piece."""
        return [self.size]

    def unguarded(self) -> Source:
        """The same bytes without this object's frame and error mapping: for walks of a call a member."""
        return _RawFile(partial(self._files.pread, self.fd), self.size)

    def pread_into(self, buffer: memoryview, offset: int, /) -> int:
        """Fill as much of `buffer` as one system call gives."""
        while True:
            try:
                return self._files.preadv(self.fd, [buffer], offset)
            except OSError as exc:
                self._fall_back(exc)

    def _fall_back(self, exc: OSError) -> None:
        """Go on with a copy, under the same descriptor: others may have it, too."""
        while self._spares:
            path = self._spares.pop(0)
            try:
                fd = self._files.open(path)
                try:
                    if self._files.size(fd) == self.size:
                        os.dup2(fd, self.fd, inheritable=False)
                        log.warning("read from a copy: %s errno=%s", self._what, exc.errno)
                        return
                finally:
                    close_quietly(self._files, fd)
            except OSError:
                continue
        raise storage_error(exc, self._what) from exc

    def close(self) -> None:
        """Close the file; safe to repeat."""
        fd, self.fd = self.fd, -1
        if fd >= 0:
            close_quietly(self._files, fd)


class ManifestContent:
    """Content of several pieces, opened as they are reached, the last few kept open.

    For one thread at a time: what it opens for one read it may close for the next.
    """

    def __init__(
        self,
        files: Files,
        path_of: Callable[[PieceRef], str],
        places: Sequence[Sequence[PieceRef]],
        first_fd: int,
        what: str,
        on_close: Callable[[], None],
    ) -> None:
        """Take over `first_fd`, which holds the manifest; `on_close` is called when it is let go.

        `places` is for each piece where it lies: one or more. The first of the first is what `first_fd` is open on.
        """
        self._files = files
        self._places = [list(of_piece) for of_piece in places]
        pieces = [of_piece[0] for of_piece in places]
        self.is_degraded = False
        self._path_of = path_of
        self._on_close = on_close
        self._pieces = pieces
        # Found out once, by `check`: whoever reads may be a thread that has no business with the index.
        self._paths = [""] * len(pieces)
        self._first_fd = first_fd
        self._what = what
        self._ends: list[int] = []
        total = 0
        for piece in pieces:
            total += piece.size
            self._ends.append(total)
        self.size = total
        self._open: OrderedDict[int, int] = OrderedDict()
        self._is_first_used = True

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
        while True:
            try:
                return self._read(number, buffer[:room], inside)
            except AisError as exc:
                if not self._next_place(number):
                    raise
                log.warning("read from a copy: %s reason=%s", self._what, exc)

    def _read(self, number: int, buffer: memoryview, inside: int) -> int:
        try:
            count = self._files.preadv(self._fd(number), [buffer], inside)
        except OSError as exc:
            raise storage_error(exc, self._what) from exc
        if count == 0 and buffer:
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
        """Look at every piece's size before the first byte is delivered; of copies, take one that has it."""
        for number in range(len(self._places)):
            while True:
                try:
                    self._check(number)
                    break
                except AisError:
                    if not self._next_place(number):
                        raise
                    self.is_degraded = True

    def _check(self, number: int) -> None:
        piece = self._pieces[number]
        path = self._paths[number] = self._path_of(piece)
        try:
            actual = self._files.size_of(path)
        except FileNotFoundError as exc:
            raise self._missing(number + 1) from exc
        except OSError as exc:
            raise storage_error(exc, self._what) from exc
        if actual != piece.size:
            raise CorruptionError(
                f"{self._what}: chunk {number + 1} has {actual} bytes, recorded are {piece.size}",
                kind=FaultKind.SIZE,
            )

    def _next_place(self, number: int) -> bool:
        """Read a piece from its next place from now on; False when there is none."""
        places = self._places[number]
        if len(places) == 1:
            return False
        del places[0]
        self._pieces[number] = places[0]
        self._paths[number] = ""
        fd = self._open.pop(number, -1)
        if fd >= 0:
            close_quietly(self._files, fd)
        if number == 0:
            self._is_first_used = False
        return True

    def _fd(self, number: int) -> int:
        if number == 0 and self._is_first_used:
            return self._first_fd
        fd = self._open.get(number)
        if fd is not None:
            self._open.move_to_end(number)
            return fd
        path = self._paths[number] or self._path_of(self._pieces[number])
        try:
            fd = self._files.open(path)
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
