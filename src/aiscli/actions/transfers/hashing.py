"""Checksums of content as it passes, and of local files. Libraries are imported when needed."""

import hashlib
from collections.abc import Callable
from typing import Protocol

from aiscore.errors import CorruptionError
from aiscore.model.checksum import Checksum, ChecksumType
from aiscore.model.stream import BLOCK_SIZE

__all__ = ["Hash", "check_content", "hash_file", "new_hash", "same_content"]


class Hash(Protocol):
    """A running checksum, in the shape of hashlib."""

    def update(self, data: memoryview, /) -> None:
        """Add bytes."""
        ...

    def hexdigest(self) -> str:
        """The checksum so far, in lower-case hex."""
        ...


class _Crc32c:
    """CRC-32C in the shape of hashlib."""

    def __init__(self) -> None:
        import crc32c

        self._step = crc32c.crc32c
        self._value = 0

    def update(self, data: memoryview, /) -> None:
        self._value = self._step(data, self._value)

    def hexdigest(self) -> str:
        return f"{self._value:08x}"


def new_hash(kind: ChecksumType) -> Hash:
    """A checksum of a type other than `none`, of nothing yet."""
    if kind is ChecksumType.CRC32C:
        return _Crc32c()
    if kind in {ChecksumType.XXHASH, ChecksumType.XXHASH2}:
        import xxhash

        made: Hash = xxhash.xxh64(seed=0)
        return made
    return hashlib.new(kind.value)


def hash_file(
    path: str, kind: ChecksumType, on_block: Callable[[], None] = lambda: None
) -> Checksum:
    """The checksum of a file's content; `on_block` is called between blocks."""
    digest = new_hash(kind)
    buffer = memoryview(bytearray(BLOCK_SIZE))
    with open(path, "rb", buffering=0) as file:
        while count := file.readinto(buffer):
            digest.update(buffer[:count])
            on_block()
    return Checksum(kind, digest.hexdigest())


def same_content(
    path: str, checksum: Checksum | None, on_block: Callable[[], None] = lambda: None
) -> bool | None:
    """True when the file has the checksum; None when there is none to compare with.

    Raises:
        OSError: the file cannot be read.
    """
    if checksum is None or checksum.type is ChecksumType.NONE:
        return None
    return hash_file(path, checksum.type, on_block).value == checksum.value


def check_content(digest: Hash, expected: Checksum, cname: str) -> None:
    """Compare what arrived with the checksum that the store keeps.

    Raises:
        CorruptionError: they differ.
    """
    actual = digest.hexdigest()
    if actual != expected.value:
        raise CorruptionError(
            f"bad checksum of {cname}: expected {expected}, received {expected.type}[{actual}]",
            hint="check what is stored: ais storage validate",
        )
