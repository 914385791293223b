"""Zip: the central directory is read right, and not believed blindly."""

import contextlib
import io
import struct
import zipfile
import zlib

import pytest

from aiscore.engine.archive import (
    BytesSource,
    build_index,
    iter_members,
    member_range,
    open_member,
    read_members,
)
from aiscore.errors import ArchiveError, RangeNotSatisfiableError
from aiscore.model.archive import ArchiveFormat

ZIP = ArchiveFormat.ZIP
TEXT = b"the quick brown fox " * 5000


def make(*members: tuple[str, bytes, int], comment: bytes = b"") -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data, method in members:
            archive.writestr(name, data, method)
        archive.comment = comment
    return out.getvalue()


def patched(archive: bytes, old: bytes, new: bytes, count: int = -1) -> bytes:
    assert old in archive
    return archive.replace(old, new, count)


SAMPLE = make(
    ("stored.bin", b"abc" * 100, zipfile.ZIP_STORED),
    ("d/", b"", zipfile.ZIP_STORED),
    ("d/text", TEXT, zipfile.ZIP_DEFLATED),
    ("empty", b"", zipfile.ZIP_STORED),
    ("d/ünï", b"u", zipfile.ZIP_DEFLATED),
)


@pytest.mark.parametrize("comment", [b"", b"hello", b"PK\5\6" + bytes(30), b"x" * 65535])
@pytest.mark.parametrize("prefix", [b"", b"#!/bin/sh\nexit 0\n"])
def test_reads_what_zipfile_writes(comment: bytes, prefix: bytes) -> None:
    expected = {"stored.bin": b"abc" * 100, "d/text": TEXT, "empty": b"", "d/ünï": b"u"}
    archive = SAMPLE
    if comment:
        out = io.BytesIO(archive)
        with zipfile.ZipFile(out, "a") as file:
            file.comment = comment
        archive = out.getvalue()
    source = BytesSource(prefix + archive)
    index = build_index(source, ZIP)
    assert index.names == list(expected)
    assert {m.name: open_member(source, index, m.name).read() for m in index} == expected
    assert {name: reader.read() for name, _, reader in iter_members(source, ZIP)} == expected
    assert {index.names[at]: r.read() for at, r in read_members(source, index, [3, 0, 1, 2])} == (
        expected
    )


def test_stored_members_are_plain_ranges() -> None:
    source = BytesSource(SAMPLE)
    index = build_index(source, ZIP)
    found = member_range(source, index, 0)
    assert found is not None
    offset, size = found
    assert SAMPLE[offset : offset + size] == b"abc" * 100
    assert member_range(source, index, 1) is None


@pytest.mark.parametrize("name", ["stored.bin", "d/text"])
@pytest.mark.parametrize(("start", "length"), [(0, 10), (7, 100), (299, None), (300, None), (5, 0)])
def test_part_of_a_member(name: str, start: int, length: int | None) -> None:
    source = BytesSource(SAMPLE)
    index = build_index(source, ZIP)
    whole = open_member(source, index, name).read()
    end = len(whole) if length is None else start + length
    assert open_member(source, index, name, start, length).read() == whole[start:end]
    with pytest.raises(RangeNotSatisfiableError):
        open_member(source, index, name, len(whole) + 1)


def test_zip64_records() -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive, archive.open("a", "w", force_zip64=True) as file:
        file.write(TEXT)
    source = BytesSource(out.getvalue())
    assert open_member(source, build_index(source, ZIP), "a").read() == TEXT


def test_zip64_fields_of_every_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zipfile, "ZIP64_LIMIT", 100)
    monkeypatch.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", 1)
    archive = make(
        ("small", b"1", zipfile.ZIP_STORED),
        ("large", TEXT, zipfile.ZIP_DEFLATED),
        ("far", b"2", zipfile.ZIP_STORED),
    )
    for prefix in (b"", b"x" * 1000):
        source = BytesSource(prefix + archive)
        index = build_index(source, ZIP)
        assert {m.name: open_member(source, index, m.name).read() for m in index} == {
            "small": b"1",
            "large": TEXT,
            "far": b"2",
        }
    locator = archive.index(b"PK\6\7")
    damaged = patched(archive, b"PK\6\6", b"PK\0\0")
    with pytest.raises(ArchiveError):
        build_index(BytesSource(damaged), ZIP)
    for at in range(locator - 56, locator + 20):  # no field of it may do harm
        odd = bytearray(archive)
        odd[at] ^= 0xFF
        with contextlib.suppress(ArchiveError):
            build_index(BytesSource(bytes(odd)), ZIP)


def test_more_entries_than_16_bits_count() -> None:
    archive = make(*((f"{n:05}", b"", zipfile.ZIP_STORED) for n in range(66_000)))
    for prefix in (b"", b"junk"):
        index = build_index(BytesSource(prefix + archive), ZIP)
        assert len(index) == 66_000
        assert index.names[65_999] == "65999"


def test_code_page_437_and_unflagged_utf8_names() -> None:
    archive = make(("x" * 6, b"1", 0), ("y" * 6, b"2", 0))
    archive = patched(archive, b"x" * 6, b"caf\x82!!")
    archive = patched(archive, b"y" * 6, "naïve".encode())
    assert build_index(BytesSource(archive), ZIP).names == ["café!!", "naïve"]


def test_links_and_hostile_names_are_not_members() -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        link = zipfile.ZipInfo("link")
        link.create_system = 3
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
        archive.writestr("../escape", b"x")
        archive.writestr("/absolute", b"fine without its slash")
        archive.writestr("a/../../b", b"x")
        archive.writestr("ok", b"x")
    source = BytesSource(out.getvalue())
    index = build_index(source, ZIP)
    assert index.names == ["absolute", "ok"]
    assert index.refused == 2
    assert open_member(source, index, "absolute").read() == b"fine without its slash"


def test_wrong_crc_is_noticed() -> None:
    crc = struct.pack("<I", zlib.crc32(b"abc" * 100))
    archive = patched(SAMPLE, crc, b"\1\2\3\4")
    source = BytesSource(archive)
    index = build_index(source, ZIP)
    with pytest.raises(ArchiveError, match="CRC-32"):
        open_member(source, index, "stored.bin").read()
    assert open_member(source, index, "d/text").read() == TEXT


def central(archive: bytes) -> int:
    return archive.index(b"PK\1\2")


def with_central(archive: bytes, at: int, value: bytes) -> bytes:
    """Overwrite a field of the first central record."""
    start = central(archive) + at
    return archive[:start] + value + archive[start + len(value) :]


def test_encrypted_and_unknown_methods_are_refused_on_reading() -> None:
    archive = make(("a", TEXT, zipfile.ZIP_DEFLATED), ("b", b"fine", zipfile.ZIP_STORED))
    for at, value, message in ((8, b"\1\0", "encrypted"), (10, b"\x0c\0", "method 12")):
        source = BytesSource(with_central(archive, at, value))
        index = build_index(source, ZIP)
        assert index.names == ["a", "b"]
        with pytest.raises(ArchiveError, match=message):
            open_member(source, index, "a").read()
        assert open_member(source, index, "b").read() == b"fine"


@pytest.mark.parametrize("size", [len(TEXT) - 1, len(TEXT) + 1, 0, 10**9])
def test_declared_size_that_lies(size: int) -> None:
    archive = make(("a", TEXT, zipfile.ZIP_DEFLATED))
    source = BytesSource(with_central(archive, 24, struct.pack("<I", size)))
    index = build_index(source, ZIP)
    with pytest.raises(ArchiveError, match=r"lies|beyond|damaged"):
        open_member(source, index, "a").read()
    stored = BytesSource(with_central(make(("a", b"abc", 0)), 24, struct.pack("<I", min(size, 2))))
    with pytest.raises(ArchiveError, match="lies"):
        member_range(stored, build_index(stored, ZIP), 0)


def test_no_more_than_the_declared_size_comes_out() -> None:
    archive = make(("a", bytes(50_000_000), zipfile.ZIP_DEFLATED))
    source = BytesSource(with_central(archive, 24, struct.pack("<I", 1000)))
    index = build_index(source, ZIP)
    blocks: list[bytes] = []
    with pytest.raises(ArchiveError, match="beyond"):
        blocks.extend(open_member(source, index, "a"))
    assert sum(map(len, blocks)) <= 1000


def test_overlapping_entries_are_refused() -> None:
    """Two names for the same compressed bytes: how a small zip becomes a huge one."""
    single = make(("a", TEXT, zipfile.ZIP_DEFLATED))
    at, end = central(single), single.index(b"PK\5\6")
    record = single[at:end]
    both = record + record.replace(b"a", b"b")
    fields = struct.pack("<2H2I", 2, 2, len(both), at)
    archive = single[:at] + both + single[end : end + 8] + fields + b"\0\0"
    assert zipfile.ZipFile(io.BytesIO(archive)).namelist() == ["a", "b"]
    with pytest.raises(ArchiveError, match="overlap"):
        build_index(BytesSource(archive), ZIP)


def test_entries_that_point_into_the_directory_are_refused() -> None:
    archive = with_central(make(("a", b"abc", 0)), 42, struct.pack("<I", 34))
    with pytest.raises(ArchiveError, match="lies"):
        build_index(BytesSource(archive), ZIP)


def test_damaged_local_header() -> None:
    archive = bytearray(make(("a", b"abc", 0), ("b", b"def", 0)))
    archive[0] = 0
    source = BytesSource(bytes(archive))
    index = build_index(source, ZIP)
    with pytest.raises(ArchiveError, match="local header"):
        open_member(source, index, "a").read()
    archive[0] = ord("P")
    archive[28:30] = b"\xff\xff"  # length of the extra field
    with pytest.raises(ArchiveError, match="local header"):
        member_range(BytesSource(bytes(archive)), index, 0)


def test_any_truncation_is_an_error() -> None:
    archive = make(("a", b"abc", 0), ("b", TEXT, zipfile.ZIP_DEFLATED))
    for size in range(len(archive)):
        with pytest.raises(ArchiveError):
            build_index(BytesSource(archive[:size]), ZIP)


def test_damage_in_the_directory_is_an_error_or_harmless() -> None:
    archive = make(("a", b"abc", 0), ("b", TEXT, zipfile.ZIP_DEFLATED))
    for at in range(central(archive), len(archive)):
        for bit in (1, 0x80):
            damaged = bytearray(archive)
            damaged[at] ^= bit
            source = BytesSource(bytes(damaged))
            try:
                for _, _, reader in iter_members(source, ZIP):
                    reader.read()
            except ArchiveError:
                pass


def test_missing_zip64_field() -> None:
    archive = with_central(make(("a", b"abc", 0)), 24, b"\xff\xff\xff\xff")
    with pytest.raises(ArchiveError, match="zip64"):
        build_index(BytesSource(archive), ZIP)
