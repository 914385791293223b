"""Reading open content in order: exactly as many bytes as asked for, or an error that says where they end."""

from collections.abc import Iterator
from typing import Self

from aiscore.engine.content import ContentSource
from aiscore.errors import CorruptionError
from aiscore.model.storage import FaultKind
from aiscore.model.stream import BLOCK_SIZE

__all__ = ["ContentReader", "fill_exact", "read_exact", "short_error"]


class ContentReader:
    """A stream over a part of a content; closes it at the end of the `with`, unless it is only lent (`owns`).

    Attributes:
        position: of the next byte, in the content.
    """

    def __init__(
        self, content: ContentSource, start: int, length: int, what: str, *, owns: bool = True
    ) -> None:
        self._content = content
        self._owns = owns
        self.position = start
        self._end = start + length
        self._what = what

    def read(self, size: int = -1, /) -> bytes:
        """Up to `size` bytes, all that is left for a negative size."""
        left = self._end - self.position
        wanted = left if size < 0 else min(size, left)
        data = read_exact(self._content, wanted, self.position, self._what)
        self.position += wanted
        return data

    def readinto(self, buffer: bytearray | memoryview, /) -> int:
        """Fill as much of `buffer` as one step gives; 0 at the end."""
        wanted = min(len(buffer), self._end - self.position)
        if wanted == 0:
            return 0
        count = self._content.pread_into(memoryview(buffer)[:wanted], self.position)
        if count == 0:
            raise short_error(self._what, self.position, self._end)
        self.position += count
        return count

    def __iter__(self) -> Iterator[bytes]:
        while block := self.read(BLOCK_SIZE):
            yield block

    def close(self) -> None:
        """Close the content; safe to repeat."""
        if self._owns:
            self._content.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def read_exact(content: ContentSource, count: int, offset: int, what: str) -> bytes:
    """Exactly `count` bytes.

    Raises:
        CorruptionError: there are less.
    """
    if not count:
        return b""
    data = content.pread(count, offset)
    if len(data) == count:
        return data
    # Linux gives at most 2 GiB in one call.
    parts = [data]
    done = len(data)
    while done < count:
        data = content.pread(count - done, offset + done)
        if not data:
            raise short_error(what, offset + done, offset + count)
        parts.append(data)
        done += len(data)
    return b"".join(parts)


def fill_exact(content: ContentSource, buffer: memoryview, offset: int, what: str) -> None:
    """Fill all of `buffer`.

    Raises:
        CorruptionError: there is less.
    """
    size = len(buffer)
    done = content.pread_into(buffer, offset) if size else 0
    while done < size:
        count = content.pread_into(buffer[done:], offset + done)
        if not count:
            raise short_error(what, offset + done, offset + size)
        done += count


def short_error(what: str, position: int, end: int) -> CorruptionError:
    """The error for content that has less bytes than recorded."""
    return CorruptionError(f"{what} ends at byte {position}, expected {end}", kind=FaultKind.SIZE)
