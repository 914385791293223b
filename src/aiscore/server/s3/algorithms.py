"""The checksums that S3 knows besides MD5: computed, and written as S3 writes them."""

import binascii
import hashlib
from base64 import b64encode
from collections.abc import Callable
from enum import StrEnum
from functools import lru_cache
from typing import Any, Final, Protocol
from zlib import crc32

__all__ = [
    "ALGORITHM_OF",
    "Algorithm",
    "ChecksumKind",
    "Digest",
    "Watcher",
    "decode",
    "encode",
    "is_slow",
    "new_digest",
]


class Algorithm(StrEnum):
    """Algorithms, spelled as in `x-amz-checksum-algorithm`."""

    CRC32 = "CRC32"
    CRC32C = "CRC32C"
    CRC64NVME = "CRC64NVME"
    SHA1 = "SHA1"
    SHA256 = "SHA256"

    @property
    def header(self) -> str:
        """The header, or trailer, that has a value."""
        return f"x-amz-checksum-{self.lower()}"

    @property
    def element(self) -> str:
        """The same in XML."""
        return f"Checksum{self}"

    @property
    def size(self) -> int:
        """Bytes of a value."""
        return _SIZES[self]

    @property
    def kinds(self) -> "tuple[ChecksumKind, ...]":
        """What the checksum of a multipart upload may be; the first unless told otherwise."""
        if self is Algorithm.CRC64NVME:
            return (ChecksumKind.FULL_OBJECT,)
        if self in {Algorithm.SHA1, Algorithm.SHA256}:
            return (ChecksumKind.COMPOSITE,)
        return (ChecksumKind.COMPOSITE, ChecksumKind.FULL_OBJECT)


class ChecksumKind(StrEnum):
    """What a checksum is of, spelled as in `x-amz-checksum-type`."""

    COMPOSITE = "COMPOSITE"
    """The checksum of the checksums of the parts."""
    FULL_OBJECT = "FULL_OBJECT"


_SIZES: Final = {
    Algorithm.CRC32: 4,
    Algorithm.CRC32C: 4,
    Algorithm.CRC64NVME: 8,
    Algorithm.SHA1: 20,
    Algorithm.SHA256: 32,
}
ALGORITHM_OF: Final = {algorithm.header: algorithm for algorithm in Algorithm}
"""By header."""


class Watcher(Protocol):
    """Looks at content that passes."""

    def update(self, data: bytes | bytearray | memoryview, /) -> None:
        """Feed a block."""
        ...


class Digest(Watcher, Protocol):
    """A checksum under way; one of `hashlib`, or a `_Crc`."""

    def digest(self) -> bytes:
        """The value so far."""
        ...


class _Crc:
    """A CRC with the interface of `hashlib`."""

    __slots__ = ("_size", "_update", "_value", "is_fast")

    def __init__(
        self, update: Callable[[Any, int], int], size: int, *, is_fast: bool = True
    ) -> None:
        self.is_fast = is_fast
        self._update = update
        self._size = size
        self._value = 0

    def update(self, data: bytes | bytearray | memoryview, /) -> None:
        self._value = self._update(data, self._value)

    def digest(self) -> bytes:
        return self._value.to_bytes(self._size, "big")


def new_digest(algorithm: Algorithm) -> Digest:
    """A fresh one."""
    match algorithm:
        case Algorithm.CRC32:
            return _Crc(crc32, 4, is_fast=False)
        case Algorithm.CRC32C:
            return _Crc(_crc32c(), 4)
        case Algorithm.CRC64NVME:
            return _Crc(_crc64nvme(), 8)
        case Algorithm.SHA1:
            return hashlib.sha1(usedforsecurity=False)
        case Algorithm.SHA256:
            return hashlib.sha256()


def is_slow(watcher: Watcher) -> bool:
    """True for what takes longer than to write the content to a file."""
    return not (isinstance(watcher, _Crc) and watcher.is_fast)


# Libraries that only those pay for who use their algorithm.


@lru_cache(maxsize=1)
def _crc32c() -> Callable[[Any, int], int]:
    from crc32c import crc32c

    return crc32c


@lru_cache(maxsize=1)
def _crc64nvme() -> Callable[[Any, int], int]:
    from anycrc import Model

    return Model("CRC64-NVME").calc  # type: ignore[no-any-return]


def encode(value: bytes) -> str:
    """A value as S3 writes it."""
    return b64encode(value).decode()


def decode(text: str, size: int) -> bytes | None:
    """The value of a text; None when it is none of `size` bytes."""
    try:
        value = binascii.a2b_base64(text, strict_mode=True)
    except (binascii.Error, ValueError):
        return None
    return value if len(value) == size else None
