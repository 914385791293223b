"""Computes checksums. The algorithms are libraries; this module names them and runs several at once."""

import hashlib
from collections.abc import Callable, Iterable
from typing import Protocol

import xxhash

from aiscore.model.checksum import Checksum, ChecksumType

__all__ = [
    "SLOW",
    "Hasher",
    "MultiHasher",
    "PieceHasher",
    "checksum_of",
    "new_chunk_hasher",
    "new_hasher",
]

SLOW = frozenset({ChecksumType.MD5, ChecksumType.SHA256, ChecksumType.SHA512})
"""Types that take longer than all else that happens to a body: half a GiB a second, the others have ten."""


class Hasher(Protocol):
    """What `hashlib` objects have in common."""

    def update(self, data: bytes | bytearray | memoryview, /) -> None:
        """Feed a block."""
        ...

    def hexdigest(self) -> str:
        """The value so far."""
        ...


class _Crc32c:
    """CRC-32C with the interface of `hashlib`."""

    __slots__ = ("_crc", "_value")

    def __init__(self) -> None:
        from crc32c import crc32c  # 5 ms of import that only this checksum type pays

        self._crc: Callable[..., int] = crc32c
        self._value = 0

    def update(self, data: bytes | bytearray | memoryview, /) -> None:
        self._value = self._crc(data, self._value)

    def hexdigest(self) -> str:
        return f"{self._value:08x}"


_FACTORIES: dict[ChecksumType, Callable[[], Hasher]] = {
    ChecksumType.XXHASH: xxhash.xxh64,
    ChecksumType.XXHASH2: xxhash.xxh64,
    ChecksumType.MD5: lambda: hashlib.md5(usedforsecurity=False),
    ChecksumType.CRC32C: _Crc32c,
    ChecksumType.SHA256: hashlib.sha256,
    ChecksumType.SHA512: hashlib.sha512,
}


def new_hasher(kind: ChecksumType) -> Hasher:
    """A fresh hasher; `none` has no hasher."""
    return _FACTORIES[kind]()


def new_chunk_hasher() -> Hasher:
    """A fresh hasher for one chunk or part. It always is XXH3-64, whatever type of checksum the object has.

    A chunk is hashed beside its object, so this must cost next to nothing: a third of XXH64, a fiftieth of MD5.
    """
    return xxhash.xxh3_64()


def checksum_of(kind: ChecksumType, data: bytes | bytearray | memoryview) -> str:
    """The hex value for `data`, "" for type `none`."""
    if kind is ChecksumType.XXHASH2 or kind is ChecksumType.XXHASH:
        return xxhash.xxh64_hexdigest(data)
    if kind is ChecksumType.NONE:
        return ""
    hasher = _FACTORIES[kind]()
    hasher.update(data)
    return hasher.hexdigest()


class MultiHasher:
    """Several checksum types over one stream."""

    __slots__ = ("_hashers", "_slow")

    def __init__(self, kinds: Iterable[ChecksumType]) -> None:
        self._hashers = {k: new_hasher(k) for k in kinds if k is not ChecksumType.NONE}
        self._slow = [k for k in self._hashers if k in SLOW]

    @property
    def has_work(self) -> bool:
        """False when every type is `none`."""
        return bool(self._hashers)

    def update(self, data: bytes | bytearray | memoryview) -> None:
        """Feed one block to all of them."""
        for hasher in self._hashers.values():
            hasher.update(data)

    @property
    def has_slow(self) -> bool:
        """True when one of the types is in `SLOW`."""
        return bool(self._slow)

    def update_slow(self, data: bytes | bytearray | memoryview) -> None:
        """Feed one block to those in `SLOW` only; the others want it by `update_fast`."""
        for kind in self._slow:
            self._hashers[kind].update(data)

    def update_fast(self, data: bytes | bytearray | memoryview) -> None:
        """Feed one block to those that are not in `SLOW`."""
        for kind, hasher in self._hashers.items():
            if kind not in SLOW:
                hasher.update(data)

    def value(self, kind: ChecksumType) -> str:
        """The hex value of one of the types so far, "" for `none`."""
        return "" if kind is ChecksumType.NONE else self._hashers[kind].hexdigest()

    def checksum(self, kind: ChecksumType) -> Checksum | None:
        """The value with its type; None for `none`."""
        return None if kind is ChecksumType.NONE else Checksum(kind, self.value(kind))


class PieceHasher:
    """One checksum for each piece of a stream: all have the same size, but the last, which may be shorter."""

    __slots__ = ("_filled", "_hasher", "_piece_size", "_values")

    def __init__(self, piece_size: int) -> None:
        self._piece_size = piece_size
        self._hasher = new_chunk_hasher()
        self._filled = 0
        self._values: list[str] = []

    def update(self, data: bytes | bytearray | memoryview) -> None:
        """Feed one block, which may reach over several pieces."""
        if self._filled + len(data) < self._piece_size:
            self._hasher.update(data)
            self._filled += len(data)
            return
        view = memoryview(data)
        while view:
            part = view[: self._piece_size - self._filled]
            self._hasher.update(part)
            self._filled += len(part)
            view = view[len(part) :]
            if self._filled == self._piece_size:
                self._values.append(self._hasher.hexdigest())
                self._hasher = new_chunk_hasher()
                self._filled = 0

    def values(self, start: int, count: int) -> list[str]:
        """The values of `count` pieces from `start` on; the last one may still be short."""
        last = [self._hasher.hexdigest()]
        return [*self._values, *last][start : start + count]
