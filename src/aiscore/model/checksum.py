"""A checksum is a type plus a value, never a bare string.

Values are lower-case hex. `xxhash` and `xxhash2` are both XXH64 with seed 0 (16 digits, big-endian); the two type
names are kept apart because clients compare them as text.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from aiscore.errors import InvalidArgumentError

__all__ = ["Checksum", "ChecksumType"]


class ChecksumType(StrEnum):
    """Checksum types a bucket may have; `none` switches checksums off."""

    NONE = "none"
    XXHASH = "xxhash"
    XXHASH2 = "xxhash2"
    MD5 = "md5"
    CRC32C = "crc32c"
    SHA256 = "sha256"
    SHA512 = "sha512"

    @property
    def digits(self) -> int:
        """Length of the value, in hex digits."""
        return _DIGITS[self]


_DIGITS = {
    ChecksumType.NONE: 0,
    ChecksumType.XXHASH: 16,
    ChecksumType.XXHASH2: 16,
    ChecksumType.MD5: 32,
    ChecksumType.CRC32C: 8,
    ChecksumType.SHA256: 64,
    ChecksumType.SHA512: 128,
}


@dataclass(frozen=True, slots=True)
class Checksum:
    """Type and value of one checksum, e.g. `Checksum(ChecksumType.MD5, "d41d8cd98f00b204e9800998ecf8427e")`."""

    type: ChecksumType
    value: str

    @classmethod
    def parse(cls, type_name: str, value: str) -> Self:
        """Check a checksum that came from outside.

        Raises:
            InvalidArgumentError: the type is unknown, or the value is not hex of the type's length.
        """
        try:
            kind = ChecksumType(type_name.lower())
        except ValueError:
            known = ", ".join(ChecksumType)
            raise InvalidArgumentError(
                f'invalid checksum type "{type_name}"', hint=f"use one of: {known}"
            ) from None
        text = value.strip().lower()
        if len(text) != kind.digits or any(c not in "0123456789abcdef" for c in text):
            raise InvalidArgumentError(
                f'invalid {kind} checksum "{value}": expected {kind.digits} hexadecimal digits'
            )
        return cls(kind, text)

    def __str__(self) -> str:
        return f"{self.type}[{self.value}]"
