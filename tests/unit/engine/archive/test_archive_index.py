"""The member index as a value and as bytes."""

from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiscore.engine.archive import BytesSource, MemberIndex, build_index, open_writer
from aiscore.engine.archive.index import Names, ZipColumns
from aiscore.errors import ArchiveError, ArchpathNotFoundError
from aiscore.model.archive import ArchiveFormat

# Written by version 1: members "a" (offset 512, size 3) and "dir/ü" (1536, 0), end 2048, 5 refused.
VERSION_1 = bytes.fromhex(
    "41495358010100000500000000000000000800000000000002000000000000000a00000000000000"
    "00020000000000000006000000000000030000000000000000000000000000000061006469722fc3"
    "bc00b0f159ae03ec0e31"
)


def make(archive_format: ArchiveFormat, names: list[str]) -> MemberIndex:
    count = len(names)
    packed = b"\0" + b"".join(n.encode("utf-8", "surrogateescape") + b"\0" for n in names)
    columns = None
    if archive_format is ArchiveFormat.ZIP:
        columns = ZipColumns(
            array("Q", range(count)), array("I", range(count)), array("H", [8] * count)
        )
    return MemberIndex(
        archive_format,
        Names(packed, count),
        array("Q", (n * 1000 for n in range(count))),
        array("Q", (n * 7 for n in range(count))),
        end=count * 1000,
        refused=3,
        zip_columns=columns,
    )


def same(left: MemberIndex, right: MemberIndex) -> bool:
    return all(
        getattr(left, field) == getattr(right, field)
        for field in ("format", "names", "offsets", "sizes", "end", "refused", "zip")
    )


names = st.lists(
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1),
    max_size=20,
)


@given(archive_format=st.sampled_from(ArchiveFormat), names=names)
def test_bytes_round_trip(archive_format: ArchiveFormat, names: list[str]) -> None:
    index = make(archive_format, names)
    loaded = MemberIndex.from_bytes(index.to_bytes())
    assert same(index, loaded)
    assert loaded.to_bytes() == index.to_bytes()
    assert len(loaded) == len(names)
    assert [m.name for m in loaded] == names


@given(names=names)
def test_search_and_dict_find_the_same(names: list[str]) -> None:
    index = make(ArchiveFormat.TAR, names)
    searched = [index.find(name) for name in names[:5]]
    positions = index.positions
    assert searched == [positions[name] for name in names[:5]]
    assert [index.find(name) for name in names] == [positions[name] for name in names]


def test_search_does_not_match_parts_of_names() -> None:
    index = make(ArchiveFormat.TAR, ["dir/abc", "b", "abcd"])
    for name in ("abc", "dir", "", "bcd", "dir/abc\0b", "\ud800"):
        assert index.find(name) is None
        assert name not in index
    with pytest.raises(ArchpathNotFoundError, match='"abc" not found'):
        index.position_of("abc")


def test_damage_anywhere_is_an_error() -> None:
    stored = make(ArchiveFormat.ZIP, ["a", "b/c"]).to_bytes()
    for at in range(len(stored)):
        damaged = bytearray(stored)
        damaged[at] ^= 1
        with pytest.raises(ArchiveError):
            MemberIndex.from_bytes(bytes(damaged))
        with pytest.raises(ArchiveError):
            MemberIndex.from_bytes(stored[:at])
    with pytest.raises(ArchiveError):
        MemberIndex.from_bytes(stored + b"\0")


@given(st.binary(max_size=200))
def test_any_bytes_are_refused_or_loaded(stored: bytes) -> None:
    with pytest.raises(ArchiveError):
        MemberIndex.from_bytes(stored)


def test_version_1_loads() -> None:
    loaded = MemberIndex.from_bytes(VERSION_1)
    assert loaded.format is ArchiveFormat.TAR
    assert loaded.names == ["a", "dir/ü"]
    assert (list(loaded.offsets), list(loaded.sizes)) == ([512, 1536], [3, 0])
    assert (loaded.end, loaded.refused) == (2048, 5)


@pytest.mark.parametrize("archive_format", ArchiveFormat)
def test_an_empty_archive_has_an_empty_index(archive_format: ArchiveFormat) -> None:
    out = bytearray()
    open_writer(archive_format, out.extend).finish()
    index = build_index(BytesSource(bytes(out)), archive_format)
    assert len(index) == 0
    assert index.names == []
    assert list(index) == []
    assert same(index, MemberIndex.from_bytes(index.to_bytes()))
