"""Hostile bytes: nothing but `ArchiveError`, no hang, no memory."""

import gzip
import io
import os
import tarfile
import tracemalloc
import zipfile

import lz4.frame
import pytest
from hypothesis import given, seed, settings
from hypothesis import strategies as st

from aiscore.engine.archive import (
    FileSource,
    Source,
    append_stream,
    build_index,
    iter_members,
    member_range,
    open_member,
)
from aiscore.errors import ArchiveError
from aiscore.model.archive import ArchiveFormat

MEMORY_MAX = 16 * 1024 * 1024


def sample_tar() -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name in ("a", "d/b", "n" * 150, "ü"):
            info = tarfile.TarInfo(name)
            info.size = 700
            tar.addfile(info, io.BytesIO(b"x" * 700))
        link = tarfile.TarInfo("link")
        link.type, link.linkname = tarfile.SYMTYPE, "../../etc/passwd"
        tar.addfile(link)
    return out.getvalue()[:-8192]


def sample_zip() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("a", b"x" * 700)
        archive.writestr("b", b"y" * 700, zipfile.ZIP_DEFLATED)
    return out.getvalue()


SAMPLES = {
    ArchiveFormat.TAR: sample_tar(),
    ArchiveFormat.TGZ: gzip.compress(sample_tar()),
    ArchiveFormat.TAR_LZ4: bytes(lz4.frame.compress(sample_tar(), content_checksum=True)),
    ArchiveFormat.ZIP: sample_zip(),
}


def exercise(archive_format: ArchiveFormat, data: bytes) -> None:
    """Use every reading path over a real file; only archive errors may come out."""
    fd = os.memfd_create("archive")
    try:
        os.write(fd, data)
        exercise_source(archive_format, FileSource(fd))
    finally:
        os.close(fd)


def exercise_source(archive_format: ArchiveFormat, source: Source) -> None:
    try:
        for _, size, reader in iter_members(source, archive_format):
            assert sum(map(len, reader)) == size
    except ArchiveError:
        pass
    try:
        index = build_index(source, archive_format)
    except ArchiveError:
        return
    for position, member in enumerate(index):
        assert not member.name.startswith("/")
        assert ".." not in member.name.split("/")
        try:
            member_range(source, index, position)
            assert len(open_member(source, index, position).read(10_000_000)) == member.size
        except ArchiveError:
            pass
    try:
        for _ in append_stream(source, archive_format, [("new", 1, [b"n"])]):
            pass
    except ArchiveError:
        pass


@pytest.mark.parametrize("archive_format", ArchiveFormat)
@seed(20240607)
@settings(max_examples=300, deadline=None, database=None)
@given(data=st.binary(max_size=3000))
def test_random_bytes(archive_format: ArchiveFormat, data: bytes) -> None:
    exercise(archive_format, data)


@pytest.mark.parametrize("archive_format", ArchiveFormat)
@seed(20240607)
@settings(max_examples=400, deadline=None, database=None)
@given(draw=st.data())
def test_mutated_archives(archive_format: ArchiveFormat, draw: st.DataObject) -> None:
    data = bytearray(SAMPLES[archive_format])
    for _ in range(draw.draw(st.integers(1, 4))):
        at = draw.draw(st.integers(0, len(data) - 1))
        match draw.draw(st.sampled_from(["byte", "cut", "copy", "insert"])):
            case "byte":
                data[at] = draw.draw(st.integers(0, 255))
            case "cut":
                del data[at : at + draw.draw(st.integers(1, 600))]
            case "copy":
                length = draw.draw(st.integers(1, 600))
                data[at:at] = data[at : at + length]
            case "insert":
                data[at:at] = draw.draw(st.binary(max_size=30))
        if not data:
            break
    exercise(archive_format, bytes(data))


@seed(20240607)
@settings(max_examples=500, deadline=None, database=None)
@given(
    fields=st.lists(
        st.tuples(
            st.binary(max_size=100),
            st.binary(min_size=12, max_size=12)
            | st.integers(0, 2000).map(lambda n: b"%011o\0" % n),
            st.sampled_from(b"\x000123456789gxXLKSDMNV"),
            st.binary(max_size=300),
            st.booleans(),
        ),
        max_size=6,
    )
)
def test_valid_checksums_with_wild_fields(
    fields: list[tuple[bytes, bytes, int, bytes, bool]],
) -> None:
    archive = bytearray()
    for name, size, kind, data, is_ustar in fields:
        block = bytearray(512)
        block[: len(name)] = name
        block[124:136] = size
        block[156] = kind
        if is_ustar:
            block[257:263] = b"ustar\0"
        block[345 : 345 + min(len(data), 155)] = data[:155]
        block[148:156] = b" " * 8
        block[148:156] = b"%06o\0 " % sum(block)
        archive += block + data + bytes(-len(data) % 512)
    exercise(ArchiveFormat.TAR, bytes(archive))


@pytest.mark.parametrize("archive_format", ArchiveFormat)
def test_memory_does_not_follow_what_headers_claim(archive_format: ArchiveFormat) -> None:
    data = bytearray(SAMPLES[archive_format])
    tracemalloc.start()
    for at in range(0, len(data), 3):
        damaged = bytearray(data)
        damaged[at : at + 4] = b"\xff\xff\xff\x7f"
        exercise(archive_format, bytes(damaged))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < MEMORY_MAX
