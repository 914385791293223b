"""Checksums of what came over the network: compared at the end, when the whole object was read."""

from typing import Protocol

from aiscore.errors import CorruptionError
from aiscore.model.checksum import Checksum, ChecksumType

__all__ = ["Digest", "check_digest", "digest_of", "hexdigest"]


class Digest(Protocol):
    """A running checksum."""

    def update(self, data: bytes | memoryview, /) -> None:
        """Take more of the content."""
        ...

    def hexdigest(self) -> str:
        """The value so far."""
        ...


class _Crc32c:
    def __init__(self) -> None:
        self._value = 0

    def update(self, data: bytes | memoryview, /) -> None:
        import crc32c

        self._value = crc32c.crc32c(data, self._value)

    def hexdigest(self) -> str:
        return f"{self._value:08x}"


def digest_of(kind: ChecksumType) -> Digest | None:
    """A running checksum of this type; None for `none`."""
    match kind:
        case ChecksumType.NONE:
            return None
        case ChecksumType.XXHASH | ChecksumType.XXHASH2:
            import xxhash

            return xxhash.xxh64()
        case ChecksumType.CRC32C:
            return _Crc32c()
        case _:
            import hashlib

            return hashlib.new(kind.value, usedforsecurity=False)


def hexdigest(kind: ChecksumType, data: bytes | memoryview) -> str:
    """The checksum of bytes at hand; "" for `none`."""
    digest = digest_of(kind)
    if digest is None:
        return ""
    digest.update(data)
    return digest.hexdigest()


def check_digest(expected: Checksum, found: str, cname: str) -> None:
    """Compare.

    Raises:
        CorruptionError: they differ; what was read is not what was stored.
    """
    if expected.value and found != expected.value:
        raise CorruptionError(
            f"the content of {cname} as received has checksum {expected.type}[{found}], expected {expected}",
            hint="read it again; if that repeats, validate the bucket: ais storage validate",
            kind="checksum mismatch",
        )
