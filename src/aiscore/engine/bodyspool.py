"""A body that must be whole before it is used: kept in a file without a name until then."""

from io import BufferedRandom

from aiscore.engine.fileio import storage_error
from aiscore.model.stream import BLOCK_SIZE

__all__ = ["BodySpool"]


class BodySpool:
    """Write blocks, `rewind`, then it is a body (`model.stream.Body`); gone at `close`, or with the process.

    What comes slowly from a socket is collected here, so that nothing waits for it: neither a thread nor a lock.
    """

    def __init__(self, directory: str, what: str) -> None:
        """Make the file on the disk of `directory`; `what` the body is for is named in errors.

        Raises:
            CapacityExceededError: no space.
            StorageError: the disk refused.
        """
        self.size = 0
        self._what = what
        try:
            import tempfile

            self._file: BufferedRandom = tempfile.TemporaryFile(dir=directory, buffering=BLOCK_SIZE)  # type: ignore[assignment]  # noqa: SIM115 - outlives this call
        except OSError as exc:
            raise storage_error(exc, self._what) from exc

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Append a block.

        Raises:
            CapacityExceededError: no space.
            StorageError: the disk refused.
        """
        try:
            self._file.write(data)
        except OSError as exc:
            raise storage_error(exc, self._what) from exc
        self.size += len(data)

    def rewind(self) -> None:
        """Go back to the first byte: from here on it is read."""
        try:
            self._file.seek(0)
        except OSError as exc:
            raise storage_error(exc, self._what) from exc

    def read(self, size: int = -1, /) -> bytes:
        """Up to `size` bytes; b"" at the end."""
        try:
            return self._file.read(size)
        except OSError as exc:
            raise storage_error(exc, self._what) from exc

    def readinto(self, buffer: bytearray | memoryview, /) -> int:
        """Fill as much of `buffer` as one step gives; 0 at the end."""
        try:
            return self._file.readinto(buffer)
        except OSError as exc:
            raise storage_error(exc, self._what) from exc

    def close(self) -> None:
        """Forget it; safe to repeat."""
        try:
            self._file.close()
        except OSError:
            return  # what was buffered did not fit: nobody wants it any more
