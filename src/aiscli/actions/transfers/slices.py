"""A slice of a local file as a body that can be read again, by any number of threads next to each other."""

import os
import stat
from collections.abc import Callable
from types import TracebackType
from typing import Self

from aiscli.actions.transfers.hashing import new_hash
from aiscore.errors import BusyError, InvalidArgumentError
from aiscore.model.checksum import Checksum, ChecksumType
from aiscore.model.stream import BLOCK_SIZE

__all__ = ["FileSlice"]


def _nothing(count: int) -> None:
    pass


class FileSlice:
    """Bytes `offset` to `offset + size` of a file. A context manager.

    Attributes:
        size: bytes.
        on_block: told the bytes of each block when it is read for the first time; may raise to end the transfer.
    """

    def __init__(self, path: str, offset: int = 0, size: int | None = None) -> None:
        """Open the file.

        Raises:
            OSError: it cannot be opened.
            InvalidArgumentError: it is no regular file.
        """
        # Asked first: to open a pipe would wait for its writer.
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise InvalidArgumentError(f'"{path}" is not a regular file')
        self._path = path
        self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        found = os.fstat(self._fd)
        self._identity = (found.st_size, found.st_mtime_ns)
        self._offset = offset
        self.size = max(found.st_size - offset, 0) if size is None else size
        self._position = 0
        self._told = 0
        self.on_block: Callable[[int], None] = _nothing

    def readinto(self, buffer: bytearray | memoryview, /) -> int:
        """Fill as much of `buffer` as one step gives; 0 at the end."""
        view = memoryview(buffer)[: max(self.size - self._position, 0)]
        count = os.preadv(self._fd, [view], self._offset + self._position) if view else 0
        self._advance(count)
        return count

    def read(self, size: int = -1, /) -> bytes:
        """Up to `size` bytes, all that is left for a negative size; b"" at the end."""
        left = max(self.size - self._position, 0)
        data = os.pread(
            self._fd, left if size < 0 else min(size, left), self._offset + self._position
        )
        self._advance(len(data))
        return data

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Go there; the new position, which counts from the begin of the slice."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self.size}[whence]
        self._position = max(base + offset, 0)
        return self._position

    def tell(self) -> int:
        """The position in the slice."""
        return self._position

    def checksum(self, kind: ChecksumType) -> Checksum:
        """That of the slice as it is now; the position stays."""
        digest, buffer, done = new_hash(kind), memoryview(bytearray(BLOCK_SIZE)), 0
        while done < self.size:
            view = buffer[: self.size - done]
            count = os.preadv(self._fd, [view], self._offset + done)
            if not count:
                break
            digest.update(view[:count])
            done += count
        return Checksum(kind, digest.hexdigest())

    def check_unchanged(self) -> None:
        """Make sure that the file is the one it was when it was opened.

        Raises:
            BusyError: somebody has written it.
        """
        found = os.stat(self._path)
        if (found.st_size, found.st_mtime_ns) != self._identity:
            raise BusyError(
                f'"{self._path}" changed while it was being sent',
                hint="run it again when nothing writes the file",
            )

    def close(self) -> None:
        """Close the file; safe to repeat."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _advance(self, count: int) -> None:
        self._position += count
        # What is sent again was told already.
        fresh = self._position - self._told
        if fresh > 0:
            self._told = self._position
            self.on_block(fresh)
