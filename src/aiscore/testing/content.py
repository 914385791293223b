"""Content to store, oracles to check it with, and bodies in every form that `put` takes."""

import hashlib
import io
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from random import Random

import crc32c
import xxhash

from aiscore.model.checksum import Checksum, ChecksumType
from aiscore.model.stream import BLOCK_SIZE, Body, ByteReader

__all__ = [
    "BODIES",
    "LARGE",
    "SIZES",
    "BrokenBodyError",
    "OnlyReads",
    "broken",
    "checksum_of",
    "drain",
    "in_blocks",
    "is_checksum_of",
    "join_views",
    "pattern",
]

SIZES = (0, 1, 511, 4096, BLOCK_SIZE - 1, BLOCK_SIZE, BLOCK_SIZE + 1)
"""Sizes around the edges of whatever blocks a store has."""
LARGE = 3 * BLOCK_SIZE + 17
"""Bytes that no single read or write carries."""


BASE_SIZE = 1 << 20
"""Bytes of a pattern up to which all of them are random; these are remembered."""


class BrokenBodyError(Exception):
    """What a body raises in its middle."""


class OnlyReads:
    """The least that a readable body is: no name, no descriptor, no length."""

    def __init__(self, data: bytes) -> None:
        self._file = io.BytesIO(data)

    def read(self, size: int, /) -> bytes:
        """Fewer bytes than asked, as a socket would."""
        return self._file.read(min(size, 1000) if size >= 0 else size)


def pattern(size: int, seed: int = 0) -> bytes:
    """Bytes that do not compress within a mebibyte, and that no shift or swap of blocks maps to themselves."""
    return _remembered(size, seed) if size <= BASE_SIZE else _large(size, seed)


@lru_cache(maxsize=64)
def _remembered(size: int, seed: int) -> bytes:
    return Random(f"{seed}/{size}").randbytes(size)


def _large(size: int, seed: int) -> bytes:
    """Blocks of one mebibyte of random bytes, each rotated by another distance: a mebibyte is made, the rest copied."""
    random = Random(f"{seed}/{size}")
    twice = memoryview(random.randbytes(BASE_SIZE) * 2)
    starts = (random.randrange(BASE_SIZE) for _ in range(0, size, BASE_SIZE))
    joined = b"".join(twice[start : start + BASE_SIZE] for start in starts)
    return joined[:size]


def in_blocks(data: bytes, size: int = 70_000) -> Iterator[bytes]:
    """The bytes in blocks, with empty ones among them: those are no end."""
    yield b""
    for start in range(0, len(data), size):
        yield data[start : start + size]
        yield b""


def broken(data: bytes) -> Iterator[bytes]:
    """The bytes, and then a failure where more would come."""
    yield from in_blocks(data)
    raise BrokenBodyError("the body failed in its middle")


BODIES: dict[str, Callable[[bytes], Body]] = {
    "bytes": bytes,
    "bytearray": bytearray,
    "memoryview": memoryview,
    "file": io.BytesIO,
    "reader": OnlyReads,
    "generator": in_blocks,
    "list": lambda data: list(in_blocks(data)),
}
"""How to turn bytes into each kind of body."""


def checksum_of(kind: ChecksumType, data: bytes) -> Checksum:
    """The checksum, computed by the library that defines it."""
    match kind:
        case ChecksumType.XXHASH | ChecksumType.XXHASH2:
            value = xxhash.xxh64(data).hexdigest()
        case ChecksumType.CRC32C:
            value = f"{crc32c.crc32c(data):08x}"
        case ChecksumType.NONE:
            value = ""
        case _:
            value = hashlib.new(kind.value, data).hexdigest()
    return Checksum(kind, value)


def is_checksum_of(checksum: Checksum | None, data: bytes) -> bool:
    """True if it is that of the data, whatever its type; an object has one unless told otherwise."""
    return checksum is not None and checksum == checksum_of(checksum.type, data)


def join_views(views: Iterable[memoryview]) -> bytes:
    """All blocks of an archive; each is valid only until the next, so `b"".join` would mix them."""
    return b"".join(map(bytes, views))


def drain(reader: ByteReader | Iterable[bytes]) -> bytes:
    """All blocks of a reader."""
    return b"".join(reader)
