"""Checksums of local files, for `--compute-checksum`. Libraries are imported when needed."""

import hashlib
from typing import Protocol

from aiscore.model.checksum import Checksum, ChecksumType
from aiscore.model.stream import BLOCK_SIZE

__all__ = ["hash_file"]


class _Hash(Protocol):
    def update(self, data: memoryview, /) -> None: ...

    def hexdigest(self) -> str: ...


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


def hash_file(path: str, kind: ChecksumType) -> Checksum:
    """The checksum of a file's content."""
    digest = _new(kind)
    buffer = memoryview(bytearray(BLOCK_SIZE))
    with open(path, "rb", buffering=0) as file:
        while count := file.readinto(buffer):
            digest.update(buffer[:count])
    return Checksum(kind, digest.hexdigest())


def _new(kind: ChecksumType) -> _Hash:
    if kind is ChecksumType.CRC32C:
        return _Crc32c()
    if kind in {ChecksumType.XXHASH, ChecksumType.XXHASH2}:
        import xxhash

        made: _Hash = xxhash.xxh64(seed=0)
        return made
    return hashlib.new(kind.value)
