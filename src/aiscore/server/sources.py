"""Bodies on their way out of the store."""

from typing import Protocol

from aiscore.model.stream import BLOCK_SIZE

__all__ = ["OpenedReader", "ReaderSource"]


class OpenedReader(Protocol):
    """What the store opened."""

    @property
    def size(self) -> int | None:
        """Bytes it delivers, if that is known."""
        ...

    def read(self, size: int = -1, /) -> bytes:
        """Up to `size` bytes; b"" at the end."""
        ...

    def place(self) -> tuple[int, int] | None:
        """Descriptor and position of the next byte, when it lies in one file as it is."""
        ...

    def skip(self, count: int) -> None:
        """Go on so many bytes later."""
        ...

    def close(self) -> None:
        """Release files; safe to repeat."""
        ...


class ReaderSource:
    """An open object as blocks (`http.BlockSource`).

    Each block is `bytes` of its own: the last may still wait for the client when the source is closed.
    """

    __slots__ = ("_reader", "length", "place", "skip")

    def __init__(self, reader: OpenedReader) -> None:
        """Take over the reader."""
        self._reader = reader
        self.length = reader.size
        self.place = reader.place
        self.skip = reader.skip

    def next(self) -> bytes | None:
        """The next block; None at the end."""
        return self._reader.read(BLOCK_SIZE) or None

    def close(self) -> None:
        """Release files; safe to repeat."""
        self._reader.close()
