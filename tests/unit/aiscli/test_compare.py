"""Two ordered listings, merged: against sets and dictionaries."""

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiscli.actions.sync.compare import Item, Pair, Relation, difference, merge, ordered
from aiscore.errors import ProtocolError
from aiscore.model.checksum import Checksum, ChecksumType
from aiscore.testing.strategies import object_names

ONE = Checksum(ChecksumType.MD5, "0" * 32)
OTHER = Checksum(ChecksumType.MD5, "1" * 32)
XX = Checksum(ChecksumType.XXHASH, "0" * 16)
XX2 = Checksum(ChecksumType.XXHASH2, "0" * 16)

listings = st.dictionaries(object_names(), st.integers(0, 2), max_size=12)


def items(sizes: dict[str, int]) -> list[Item]:
    """In the order of a store: that of the bytes of the names."""
    return [Item(name, sizes[name]) for name in sorted(sizes, key=str.encode)]


@given(listings, listings)
def test_every_name_once_in_order_and_on_its_side(
    left: dict[str, int], right: dict[str, int]
) -> None:
    pairs = list(merge(items(left), items(right)))
    assert [pair.name for pair in pairs] == sorted({*left, *right}, key=str.encode)
    for pair in pairs:
        assert (pair.left and pair.left.size) == left.get(pair.name)
        assert (pair.right and pair.right.size) == right.get(pair.name)
        if pair.left is None:
            assert pair.relation is Relation.RIGHT_ONLY
        elif pair.right is None:
            assert pair.relation is Relation.LEFT_ONLY
        else:
            same = pair.left.size == pair.right.size
            assert pair.relation is (Relation.SAME if same else Relation.DIFFERENT)
            assert pair.reason == ("" if same else "size")


@pytest.mark.parametrize(
    ("left", "right", "reason"),
    [
        (Item("a", 1), Item("a", 2), "size"),
        (Item("a", 1, ONE), Item("a", 2, ONE), "size"),
        (Item("a", 1, ONE), Item("a", 1, ONE), ""),
        (Item("a", 1, ONE), Item("a", 1, OTHER), "checksum"),
        (Item("a", 1, ONE), Item("a", 1), ""),
        (Item("a", 1, ONE), Item("a", 1, XX), ""),
        (Item("a", 1, XX), Item("a", 1, XX2), ""),
        (Item("a", 1, XX), Item("a", 1, Checksum(ChecksumType.XXHASH2, "f" * 16)), "checksum"),
        (Item("a", 1, mtime_ns=1), Item("a", 1, mtime_ns=2), ""),
    ],
)
def test_what_differs(left: Item, right: Item, reason: str) -> None:
    assert difference(left, right) == reason


def test_the_caller_decides_what_differs() -> None:
    assert list(merge([Item("a", 1)], [Item("a", 1)], lambda one, other: "age")) == [
        Pair("a", Relation.DIFFERENT, Item("a", 1), Item("a", 1), "age")
    ]


@pytest.mark.parametrize("names", [["b", "a"], ["a", "a"], ["a/b", "a.b"]])
def test_a_listing_out_of_order_is_no_basis(names: list[str]) -> None:
    with pytest.raises(ProtocolError, match="not in order"):
        list(ordered([Item(name, 0) for name in names]))


def test_an_error_of_a_side_comes_through() -> None:
    def broken() -> Iterator[Item]:
        yield Item("a", 1)
        raise OSError("disk")

    with pytest.raises(OSError, match="disk"):
        list(merge(broken(), [Item("z", 1)]))


def test_one_item_of_each_side_is_read_ahead() -> None:
    read: list[str] = []

    def side(prefix: str) -> Iterator[Item]:
        for number in range(1000):
            read.append(f"{prefix}{number:04d}")
            yield Item(f"{number:04d}", 0)

    pairs = merge(side("l"), side("r"))
    next(pairs)
    assert len(read) <= 4
