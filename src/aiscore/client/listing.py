"""What a listing gives back: entries that know their bucket, and pages of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from time import gmtime, strftime
from typing import TYPE_CHECKING

from aiscore.client.attributes import ObjectAttributes
from aiscore.client.errors import UsageError
from aiscore.model.objects import EntryFlag, ListEntry, ListProp

if TYPE_CHECKING:
    from aiscore.client.bucket import Bucket
    from aiscore.client.object import Object

__all__ = ["BucketEntry", "BucketList", "parse_props"]

_STATUS_MASK = 31
"""Bits of the flags that say where a copy lies; 0 is "in its place"."""


class BucketEntry:
    """One line of a listing. Properties that were not asked for have their defaults."""

    __slots__ = ("_bucket", "values")

    def __init__(self, bucket: "Bucket", values: ListEntry) -> None:
        self._bucket = bucket
        self.values: ListEntry = values

    @property
    def name(self) -> str:
        """Object name; `SHARD/MEMBER` for a member; ends with a slash for a directory."""
        return self.values.name

    @property
    def size(self) -> int:
        """Bytes."""
        return self.values.size

    @property
    def checksum(self) -> str:
        """Hex digits, empty without a checksum; its type is in `values.checksum`."""
        return self.values.checksum.value if self.values.checksum else ""

    @property
    def atime(self) -> str:
        """Last access as `02 Jan 06 15:04 UTC`; empty when unknown."""
        seconds = self.values.atime_ns // 1_000_000_000
        return strftime("%d %b %y %H:%M UTC", gmtime(seconds)) if seconds else ""

    @property
    def version(self) -> str:
        """Version."""
        return self.values.version

    @property
    def location(self) -> str:
        """Where the content lies."""
        return self.values.location

    @property
    def copies(self) -> int:
        """Copies of the content."""
        return self.values.copies

    @property
    def custom(self) -> Mapping[str, str]:
        """Custom metadata."""
        return self.values.custom or {}

    @property
    def flags(self) -> EntryFlag:
        """Kind and state, in the wire's bits."""
        return self.values.flags

    @property
    def object(self) -> "Object":
        """The object of this name, with these properties cached."""
        return self._bucket.object(self.values.name, self.generate_object_props())

    def is_cached(self) -> bool:
        """True when the content is in the store, and not only in a remote bucket behind it."""
        return EntryFlag.CACHED in self.values.flags

    def is_ok(self) -> bool:
        """True when the content lies where it belongs."""
        return self.values.flags.value & _STATUS_MASK == 0

    def generate_object_props(self) -> ObjectAttributes:
        """The entry as properties of an object."""
        return ObjectAttributes.of_entry(self._bucket.ref, self.values)

    def __repr__(self) -> str:
        return f"BucketEntry({self.name!r}, size={self.size})"


@dataclass(frozen=True, slots=True)
class BucketList:
    """One page: entries in byte order of names, and the token of the next ("" after the last)."""

    entries: list[BucketEntry]
    continuation_token: str


def parse_props(text: str) -> frozenset[ListProp]:
    """Read a comma-separated list of properties; empty is name and size.

    Raises:
        UsageError: a property is unknown.
    """
    words = [word.strip() for word in text.split(",") if word.strip()]
    try:
        return frozenset(map(ListProp, words or ("name", "size")))
    except ValueError:
        known = ", ".join(ListProp)
        unknown = next(word for word in words if word not in set(ListProp))
        raise UsageError(f'unknown property "{unknown}"', hint=f"use some of: {known}") from None
