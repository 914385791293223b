"""Bodies on their way in: bytes, files and iterables as one stream of blocks, and the checksum that came with them."""

from collections.abc import Iterable, Iterator

from aiscore.engine.checksum import MultiHasher
from aiscore.errors import ChecksumMismatchError, InvalidArgumentError
from aiscore.model.checksum import Checksum, ChecksumType
from aiscore.model.stream import BLOCK_SIZE, Body

__all__ = ["blocks_of", "check_given", "verify"]


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
            f"BAD DATA CHECKSUM: {given.type}({given.value} != {actual}) of {cname}"
        )
