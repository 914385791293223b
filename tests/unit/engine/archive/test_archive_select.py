"""Readers of one member, and selection by pattern."""

import pytest

from aiscore.engine.archive import (
    BytesSource,
    MemberIndex,
    build_index,
    matcher,
    open_member,
    open_writer,
    read_members,
    select,
    wds_key,
)
from aiscore.errors import InvalidArgumentError, RangeNotSatisfiableError
from aiscore.model.archive import ArchiveFormat, ArchiveMode

NAMES = ["a/x.jpg", "a/x.cls", "a/x.seg.png", "b/x.jpg", "b/xy.jpg", "README", "a/x.jpg", ".hidden"]
DATA = bytes(range(256)) * 4000


@pytest.fixture
def source() -> BytesSource:
    out = bytearray()
    writer = open_writer(ArchiveFormat.TAR, out.extend)
    for name in NAMES:
        writer.add_bytes(name, name.encode())
    writer.add_bytes("big", DATA)
    writer.finish()
    return BytesSource(bytes(out))


@pytest.fixture
def index(source: BytesSource) -> MemberIndex:
    return build_index(source, ArchiveFormat.TAR)


@pytest.mark.parametrize(
    ("pattern", "mode", "expected"),
    [
        ("", ArchiveMode.REGEXP, [1, 2, 3, 4, 5, 6, 7, 8]),
        ("*", ArchiveMode.WDSKEY, [1, 2, 3, 4, 5, 6, 7, 8]),
        (r"x\.(jpg|cls)$", ArchiveMode.REGEXP, [1, 3, 6]),
        ("^x", ArchiveMode.REGEXP, []),
        ("b/", ArchiveMode.PREFIX, [3, 4]),
        (".jpg", ArchiveMode.SUFFIX, [3, 4, 6]),
        ("/xy", ArchiveMode.SUBSTR, [4]),
        ("a/x", ArchiveMode.WDSKEY, [1, 2, 6]),
        ("a/", ArchiveMode.WDSKEY, []),
        ("README", ArchiveMode.WDSKEY, [5]),
        (".hidden", ArchiveMode.WDSKEY, [7]),
    ],
)
def test_select(index: MemberIndex, pattern: str, mode: ArchiveMode, expected: list[int]) -> None:
    assert select(index, pattern, mode) == expected


@pytest.mark.parametrize(
    ("name", "key"),
    [("a/b.c/d.e.f", "a/b.c/d"), ("x", "x"), ("a.b/c", "a.b/c"), ("d/.x.y", "d/.x"), ("", "")],
)
def test_wds_key(name: str, key: str) -> None:
    assert wds_key(name) == key


@pytest.mark.parametrize("pattern", ["(", "[z-a]", "a" * 1025, "(?P<x", "a{999999999999}"])
def test_bad_patterns_are_arguments_errors(pattern: str) -> None:
    with pytest.raises(InvalidArgumentError):
        matcher(pattern, ArchiveMode.REGEXP)


def test_reader_in_pieces(source: BytesSource, index: MemberIndex) -> None:
    with open_member(source, index, "big") as reader:
        assert reader.size == len(DATA)
        parts = [reader.read(7), reader.read(300_000), reader.read(0), *reader]
        assert b"".join(parts) == DATA
        assert reader.read() == reader.read(5) == b""


def test_closed_reader_gives_nothing(source: BytesSource, index: MemberIndex) -> None:
    reader = open_member(source, index, "big")
    reader.read(1)
    reader.close()
    assert reader.read() == b""


def test_ranges(source: BytesSource, index: MemberIndex) -> None:
    assert open_member(source, index, "big", 5, 10).read() == DATA[5:15]
    assert open_member(source, index, "big", len(DATA) - 3, 10).read() == DATA[-3:]
    assert open_member(source, index, "big", len(DATA)).read() == b""
    for start, length in ((len(DATA) + 1, None), (-1, None), (0, -1)):
        with pytest.raises(RangeNotSatisfiableError):
            open_member(source, index, "big", start, length)


def test_read_members_goes_by_offset_and_counts_repeats_once(
    source: BytesSource, index: MemberIndex
) -> None:
    found = [(at, r.read()) for at, r in read_members(source, index, ["b/x.jpg", "a/x.cls", 3])]
    assert found == [(1, b"a/x.cls"), (3, b"b/x.jpg")]
