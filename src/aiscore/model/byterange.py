"""Byte ranges: what was asked, and what that means for an object of a given size."""

from dataclasses import dataclass

from aiscore.errors import InvalidArgumentError, RangeNotSatisfiableError

__all__ = ["ByteRange"]


@dataclass(frozen=True, slots=True)
class ByteRange:
    """A part of an object.

    Attributes:
        offset: first byte, from 0; negative counts from the end (`-5` is the last five bytes).
        length: bytes wanted, at least 1; None is up to the end.
    """

    offset: int
    length: int | None = None

    def __post_init__(self) -> None:
        if self.length is not None and self.length < 1:
            raise InvalidArgumentError(f"invalid range length {self.length}: expected 1 or more")
        if self.offset < 0 and self.length is not None:
            raise InvalidArgumentError("a range that counts from the end takes no length")

    def resolve(self, size: int, cname: str) -> tuple[int, int]:
        """Start and length within `size` bytes; the end is clamped, as HTTP has it.

        Raises:
            RangeNotSatisfiableError: the range starts at or after the end.
        """
        start = max(size + self.offset, 0) if self.offset < 0 else self.offset
        if start >= size:
            raise RangeNotSatisfiableError(
                f"not satisfiable range of {cname}: starts at {start}, the size is {size}",
                size=size,
            )
        length = size - start if self.length is None else min(self.length, size - start)
        return start, length
