"""Sizes by directory: against sums over all names."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiscli.actions.browse.du import DuRequest, Usage, usage_of
from aiscore.errors import InvalidArgumentError
from aiscore.model.objects import ListEntry
from aiscore.testing.strategies import object_names

parts = st.lists(st.sampled_from(["a", "b", "a.b", "a b", ""]), min_size=1, max_size=4)
names = st.one_of(parts.map("/".join), object_names())


def brute_force(sizes: dict[str, int], depth: int | None) -> dict[str, tuple[int, int, int]]:
    """Directory -> level, bytes, objects."""
    found: dict[str, list[int]] = {"": [0, 0, 0]}
    for name, size in sizes.items():
        above = name.split("/")[:-1]
        for level in range(len(above) + 1):
            if depth is not None and level > depth:
                break
            directory = "".join(f"{part}/" for part in above[:level])
            entry = found.setdefault(directory, [level, 0, 0])
            entry[1] += size
            entry[2] += 1
    return {name: (entry[0], entry[1], entry[2]) for name, entry in found.items()}


@given(
    st.dictionaries(names, st.integers(0, 1000), max_size=20),
    st.one_of(st.none(), st.integers(0, 3)),
)
def test_every_directory_has_the_sums_of_what_is_below(
    sizes: dict[str, int], depth: int | None
) -> None:
    entries = [ListEntry(name, sizes[name]) for name in sorted(sizes, key=str.encode)]
    usages = list(usage_of(iter(entries), "", depth))
    assert {u.name: (u.depth, u.size, u.objects) for u in usages} == brute_force(sizes, depth)
    assert len(usages) == len({usage.name for usage in usages})
    assert usages[-1].name == ""


def test_levels_count_from_the_last_slash_of_the_prefix() -> None:
    entries = [ListEntry("x/train/a/1", 1), ListEntry("x/train/b/2", 2), ListEntry("x/try", 4)]
    assert list(usage_of(iter(entries), "x/tr", 1)) == [
        Usage("x/train/", 1, 3, 2),
        Usage("", 0, 7, 3),
    ]


def test_directories_come_behind_those_in_them() -> None:
    entries = [ListEntry("a/b/1", 1), ListEntry("a/c", 1)]
    assert [u.name for u in usage_of(iter(entries), "", None)] == ["a/b/", "a/", ""]


def test_a_name_of_many_parts_takes_no_recursion() -> None:
    entries = [ListEntry("a/" * 5000 + "x", 1)]
    assert sum(1 for _ in usage_of(iter(entries), "", None)) == 5001


def test_a_negative_depth_is_refused() -> None:
    with pytest.raises(InvalidArgumentError):
        DuRequest(depth=-1)
