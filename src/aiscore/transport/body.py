"""Request bodies: what can be sent again after a failure, what has a length, and what is only a stream.

A short stream is collected, up to `COLLECT_MAX` bytes: it then has a length and can be repeated like bytes at hand.
"""

import os
from collections.abc import Iterable, Iterator
from typing import Protocol

from aiscore.errors import InvalidArgumentError
from aiscore.model.stream import BLOCK_SIZE, Body

__all__ = [
    "COLLECT_MAX",
    "NO_BODY",
    "Block",
    "BytesPayload",
    "FilePayload",
    "Payload",
    "SeekableFile",
    "StreamPayload",
    "payload_of",
    "raw_blocks",
]

COLLECT_MAX = BLOCK_SIZE
"""Bytes of a stream that are held to see whether it ends there."""

Block = bytes | memoryview


class Payload(Protocol):
    """A body on its way out."""

    @property
    def size(self) -> int | None:
        """Bytes in all; None when only the end tells."""
        ...

    @property
    def data(self) -> Block | None:
        """All of it, when it is at hand."""
        ...

    @property
    def is_repeatable(self) -> bool:
        """True when `blocks` can be called again."""
        ...

    def blocks(self) -> Iterator[Block]:
        """The content from its beginning; each block is good until the next and none is empty."""
        ...


class BytesPayload:
    """Bytes at hand."""

    __slots__ = ("data", "size")
    is_repeatable = True

    def __init__(self, data: Block) -> None:
        self.data = data
        self.size = len(data)

    def blocks(self) -> Iterator[Block]:
        """All of it."""
        if self.size:
            yield self.data


NO_BODY = BytesPayload(b"")


class FilePayload:
    """A file that can go back to where it was; the rest of it from there is the body."""

    __slots__ = ("_cname", "_file", "_start", "size")
    data = None
    is_repeatable = True

    def __init__(self, file: "SeekableFile", start: int, size: int, cname: str) -> None:
        self._file = file
        self._start = start
        self._cname = cname
        self.size = size

    def blocks(self) -> Iterator[Block]:
        """The file from where it was.

        Raises:
            InvalidArgumentError: the file has become shorter, or longer.
        """
        file, size = self._file, self.size
        file.seek(self._start)
        total = 0
        for block in raw_blocks(file, self._cname):
            total += len(block)
            if total > size:
                break
            yield block
        if total != size:
            raise InvalidArgumentError(
                f"the body of {self._cname} changed while it was read: it had {size} bytes"
            )


class StreamPayload:
    """What can be read once."""

    __slots__ = ("_blocks", "is_started", "size")
    data = None
    is_repeatable = False

    def __init__(self, blocks: Iterator[Block], size: int | None) -> None:
        self._blocks = blocks
        self.is_started = False
        self.size = size

    def blocks(self) -> Iterator[Block]:
        """What is left of it."""
        self.is_started = True
        return self._blocks


class SeekableFile(Protocol):
    """What a repeatable file must do."""

    def read(self, size: int, /) -> bytes:
        """Up to `size` bytes."""
        ...

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Go there; the new position."""
        ...

    def tell(self) -> int:
        """The position."""
        ...


def payload_of(body: Body, size: int | None, cname: str) -> Payload:
    """A body as it is to be sent.

    Args:
        body: what the caller gave.
        size: bytes that it must have; None when unknown.
        cname: of the object, for errors.

    Raises:
        InvalidArgumentError: it is no body, or is longer or shorter than `size`; the latter also while it is sent.
    """
    if isinstance(body, bytes | bytearray | memoryview):
        data = body if isinstance(body, bytes) else memoryview(body).cast("B")
        _check_size(len(data), size, cname)
        return BytesPayload(data)
    place = _place(body)
    if place is not None:
        start, length = place
        _check_size(length, size, cname)
        return FilePayload(body, start, length, cname)  # type: ignore[arg-type]  # `_place` called its methods
    return _collected(_counted(raw_blocks(body, cname), size, cname), size)


def raw_blocks(body: object, cname: str) -> Iterator[Block]:
    """What reads, or an iterable, in blocks that are not empty; each is good until the next.

    Raises:
        InvalidArgumentError: it is neither, or gives something other than bytes.
    """
    readinto = getattr(body, "readinto", None)
    read = getattr(body, "read", None)
    if readinto is not None:
        buffer = memoryview(bytearray(BLOCK_SIZE))
        while count := readinto(buffer):
            yield buffer[:count]
    elif read is not None:
        while block := _checked(read(BLOCK_SIZE), cname):
            yield block
    elif isinstance(body, Iterable) and not isinstance(body, str):
        for item in body:
            block = _checked(item, cname)
            if block:
                yield block
    else:
        raise InvalidArgumentError(
            f"the body of {cname} is a {type(body).__name__}: expected bytes, a binary file or an iterable of bytes"
        )


def _checked(block: object, cname: str) -> Block:
    if isinstance(block, bytes):
        return block
    if isinstance(block, bytearray | memoryview):
        return memoryview(block).cast("B")
    raise InvalidArgumentError(
        f"the body of {cname} gives {type(block).__name__}: expected bytes",
        hint="open the file in binary mode",
    )


def _check_size(found: int, size: int | None, cname: str) -> None:
    if size is not None and found != size:
        raise InvalidArgumentError(f"the body of {cname} has {found} bytes, {size} were announced")


def _place(body: object) -> tuple[int, int] | None:
    """Position and bytes left of a binary file that can seek; None of everything else."""
    seek, tell = getattr(body, "seek", None), getattr(body, "tell", None)
    if seek is None or tell is None or hasattr(body, "encoding"):
        return None
    try:
        start = tell()
        end = seek(0, os.SEEK_END)
        seek(start)
    except (OSError, ValueError, TypeError):
        return None
    if not isinstance(start, int) or not isinstance(end, int):
        return None
    return start, max(end - start, 0)


def _counted(blocks: Iterator[Block], size: int | None, cname: str) -> Iterator[Block]:
    total = 0
    for block in blocks:
        total += len(block)
        if size is not None and total > size:
            raise InvalidArgumentError(
                f"the body of {cname} is longer than the {size} bytes that were announced"
            )
        yield block
    _check_size(total, size, cname)


def _collected(blocks: Iterator[Block], size: int | None) -> Payload:
    """Bytes when the stream is short; otherwise the stream, with what was taken of it put back."""
    if size is not None and size > COLLECT_MAX:
        return StreamPayload(blocks, size)
    taken = bytearray()
    for block in blocks:
        if len(taken) + len(block) > COLLECT_MAX:
            return StreamPayload(_chain(bytes(taken), block, blocks), size)
        taken += block
    return BytesPayload(bytes(taken))


def _chain(taken: bytes, block: Block, blocks: Iterator[Block]) -> Iterator[Block]:
    if taken:
        yield taken
    yield block
    yield from blocks
