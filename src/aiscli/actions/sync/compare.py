"""Two ordered listings, merged name by name: pure, and one item of each side in memory.

Both sides come in byte order of their names (what listings of a store give; what `ordered` asserts),
so a single pass tells what is the same, what differs, and what one side lacks. Errors of a side are
raised in the middle of the merge: nothing may be concluded from a merge that did not end.
"""

from collections.abc import Callable, Iterable, Iterator
from enum import StrEnum
from typing import NamedTuple

from aiscore.errors import ProtocolError
from aiscore.model.checksum import Checksum, ChecksumType

__all__ = ["Item", "Pair", "Relation", "difference", "merge", "ordered"]


class Item(NamedTuple):
    """One name of one side.

    Attributes:
        name: relative to what is compared, with "/" between its parts.
        size: bytes.
        checksum: of the content; None where it is not known.
        mtime_ns: when the content was written, ns since the epoch; 0 where it is not known.
        origin: what the side needs to find it again: a path, an object name.
    """

    name: str
    size: int
    checksum: Checksum | None = None
    mtime_ns: int = 0
    origin: str = ""


class Relation(StrEnum):
    """How the two sides stand to each other at one name."""

    SAME = "same"
    DIFFERENT = "different"
    LEFT_ONLY = "left-only"
    RIGHT_ONLY = "right-only"


class Pair(NamedTuple):
    """One name of the merge; `left` or `right` is None where that side lacks it.

    Attributes:
        name: of the item.
        relation: what the comparison found.
        left: the item of the left side.
        right: the item of the right side.
        reason: for DIFFERENT, what differs.
    """

    name: str
    relation: Relation
    left: Item | None
    right: Item | None
    reason: str = ""


def difference(left: Item, right: Item) -> str:
    """What differs: "size", "checksum", or "" when nothing that is known does.

    Checksums count where both sides have one of the same type.
    """
    if left.size != right.size:
        return "size"
    one, other = left.checksum, right.checksum
    if one is None or other is None or one == other:
        return ""
    if _kind(one) is _kind(other):
        return "" if one.value == other.value else "checksum"
    return ""


def merge(
    left: Iterable[Item],
    right: Iterable[Item],
    differ: Callable[[Item, Item], str] = difference,
) -> Iterator[Pair]:
    """Every name of either side, in byte order.

    Args:
        left: items in byte order of their names, each name once.
        right: likewise.
        differ: what differs between two items of the same name, "" for nothing.

    Raises:
        ProtocolError: a side is not in order.
    """
    lefts, rights = ordered(left), ordered(right)
    one, other = next(lefts, None), next(rights, None)
    while one is not None or other is not None:
        if other is None or (one is not None and one.name < other.name):
            assert one is not None
            yield Pair(one.name, Relation.LEFT_ONLY, one, None)
            one = next(lefts, None)
        elif one is None or other.name < one.name:
            yield Pair(other.name, Relation.RIGHT_ONLY, None, other)
            other = next(rights, None)
        else:
            reason = differ(one, other)
            relation = Relation.DIFFERENT if reason else Relation.SAME
            yield Pair(one.name, relation, one, other, reason)
            one, other = next(lefts, None), next(rights, None)


def ordered(items: Iterable[Item]) -> Iterator[Item]:
    """`items`, each checked to come behind the one before.

    A name out of order would look deleted on one side: better no answer than that one.

    Raises:
        ProtocolError: it does not.
    """
    before = None
    for item in items:
        # Code points and UTF-8 bytes sort alike.
        if before is not None and item.name <= before:
            raise ProtocolError(f'the listing is not in order: "{item.name}" after "{before}"')
        before = item.name
        yield item


def _kind(checksum: Checksum) -> ChecksumType:
    # The two names stand for one algorithm.
    is_alias = checksum.type is ChecksumType.XXHASH
    return ChecksumType.XXHASH2 if is_alias else checksum.type
