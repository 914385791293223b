"""Headers, writers and appending, read back by the standard library and by ourselves."""

import io
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator

import lz4.frame
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from aiscore.engine.archive import (
    TAR_EOF,
    ArchiveWriter,
    BytesSource,
    Piece,
    append_stream,
    build_index,
    check_member_name,
    inflate,
    iter_members,
    open_writer,
    padding,
    tar_append_point,
    tar_header,
    zipencode,
)
from aiscore.errors import ArchiveError, InvalidNameError
from aiscore.model.archive import ArchiveFormat

MTIME = 1700000000
MEMBERS = {
    "a.txt": b"hello",
    "empty": b"",
    "d/block": b"x" * 512,
    "d/" + "n" * 200 + "/x": b"1",
    "n" * 300: b"long",
    "ünï/cödé": bytes(range(256)) * 10,
    "big": bytes(range(251)) * 9000,
}
STREAMED = {"zeros": bytes(3_000_000), "text": b"to be or not " * 200_000}

ascii_names = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=300)
any_names = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1)


def read_back(archive_format: ArchiveFormat, archive: bytes) -> list[tuple[str, bytes]]:
    """Read with the standard library, in order."""
    found = []
    if archive_format is ArchiveFormat.ZIP:
        with zipfile.ZipFile(io.BytesIO(archive)) as file:
            assert file.testzip() is None
            return [(info.filename, file.read(info)) for info in file.infolist()]
    if archive_format is ArchiveFormat.TAR_LZ4:
        archive = lz4.frame.decompress(archive)
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        for info in tar:
            member = tar.extractfile(info)
            assert member is not None
            found.append((info.name, member.read()))
    return found


def ours(archive_format: ArchiveFormat, archive: bytes) -> list[tuple[str, bytes]]:
    return [(n, r.read()) for n, _, r in iter_members(BytesSource(archive), archive_format)]


def written(
    archive_format: ArchiveFormat, fill: Callable[[ArchiveWriter], object], *, deflate: bool = False
) -> bytes:
    out = bytearray()
    writer = open_writer(archive_format, out.extend, mtime=MTIME, deflate=deflate)
    fill(writer)
    writer.finish()
    return bytes(out)


def put(*members: tuple[str, bytes]) -> Callable[[ArchiveWriter], None]:
    """Return what writes these members."""

    def fill(writer: ArchiveWriter) -> None:
        for name, data in members:
            writer.add_bytes(name, data)

    return fill


def tarfile_block(name: str, size: int, mtime: int) -> bytes:
    info = tarfile.TarInfo(name)
    info.size, info.mtime = size, mtime
    return info.tobuf(tarfile.USTAR_FORMAT)


@given(ascii_names, st.integers(0, 0o77777777777), st.integers(0, 0o77777777777))
def test_ustar_headers_are_those_of_tarfile(name: str, size: int, mtime: int) -> None:
    try:
        expected = tarfile_block(name, size, mtime)
    except ValueError:
        return  # too long for ustar
    if name.endswith("/"):
        return
    if len(name) <= 100:
        assert tar_header(name, size, mtime) == expected
        assert tar_header(name.encode(), size, mtime) == expected
    else:
        with tarfile.open(fileobj=io.BytesIO(tar_header(name, 0, mtime) + TAR_EOF)) as tar:
            (info,) = tar.getmembers()
        assert info.name == name


@given(any_names, st.integers(0, 1 << 60), st.integers(-(1 << 40), 1 << 40))
def test_any_header_is_understood_by_tarfile(name: str, size: int, mtime: int) -> None:
    assume(name.strip("/"))  # no member can have such a name, and tarfile is of two minds about it
    packed = tar_header(name, size, mtime)
    assert len(packed) % 512 == 0
    with tarfile.open(fileobj=io.BytesIO(packed)) as tar:
        info = tar.next()
    assert info is not None
    assert (info.name, info.size, info.mtime) == (name.rstrip("/"), size, mtime)
    assert info.isreg()
    assert (info.mode, info.uid, info.gid) == (0o644, 0, 0)


@pytest.mark.parametrize("raw", [b"\xff\xfe", b"caf\xe9/" + b"x" * 150])
def test_names_that_are_no_utf8_survive(raw: bytes) -> None:
    name = raw.decode("utf-8", "surrogateescape")
    for packed in (tar_header(raw, 0, 0), tar_header(name, 0, 0)):
        assert ours(ArchiveFormat.TAR, packed + TAR_EOF) == [(name, b"")]
        assert read_back(ArchiveFormat.TAR, packed + TAR_EOF) == [(name, b"")]


@pytest.mark.parametrize("name", ["", "a\0b", b"", b"\0", "\ud800"])
def test_header_refuses_names_it_cannot_hold(name: str | bytes) -> None:
    with pytest.raises(InvalidNameError):
        tar_header(name, 0, 0)


def test_padding() -> None:
    assert [len(padding(n)) for n in (0, 1, 511, 512, 513)] == [0, 511, 1, 0, 511]


@pytest.mark.parametrize("archive_format", ArchiveFormat)
@pytest.mark.parametrize("deflate", [False, True])
def test_what_is_written_is_read(archive_format: ArchiveFormat, deflate: bool) -> None:
    def fill(writer: ArchiveWriter) -> None:
        for name, data in MEMBERS.items():
            writer.add_bytes(name, memoryview(data))
        for name, data in STREAMED.items():
            writer.add(
                name, len(data), (data[at : at + 70_000] for at in range(0, len(data), 70_000))
            )

    archive = written(archive_format, fill, deflate=deflate)
    expected = [*MEMBERS.items(), *STREAMED.items()]
    assert read_back(archive_format, archive) == expected
    assert ours(archive_format, archive) == expected
    assert archive == written(archive_format, fill, deflate=deflate)
    if deflate and archive_format is ArchiveFormat.ZIP:
        assert len(archive) < 3_000_000


def test_duplicates_are_written_as_often_as_asked() -> None:
    for archive_format in ArchiveFormat:
        archive = written(archive_format, put(("a", b"1"), ("a", b"2")))
        assert ours(archive_format, archive) == [("a", b"1"), ("a", b"2")]


@pytest.mark.parametrize("archive_format", ArchiveFormat)
@pytest.mark.parametrize("size", [9, 11, 0])
def test_wrong_size_spends_the_writer(archive_format: ArchiveFormat, size: int) -> None:
    writer = open_writer(archive_format, lambda _: None)
    writer.add_bytes("fine", b"1")
    with pytest.raises(ArchiveError, match=f'"bad" was declared with {size} bytes'):
        writer.add("bad", size, [b"12345", b"67890"])
    with pytest.raises(ArchiveError, match="cannot be continued"):
        writer.add_bytes("x", b"")
    with pytest.raises(ArchiveError, match="cannot be continued"):
        writer.finish()


def test_a_failing_output_spends_the_writer() -> None:
    def full(_: Piece) -> None:
        raise OSError(28, "full")

    writer = open_writer(ArchiveFormat.TAR, full)
    with pytest.raises(OSError, match="full"):
        writer.add_bytes("x", b"")
    with pytest.raises(ArchiveError, match="cannot be continued"):
        writer.finish()


@pytest.mark.parametrize(
    "name", ["", "/abs", "../x", "a/../b", "a\0b", "dir/", "x" * 4097, "\ud800", "./", "."]
)
def test_bad_names_are_refused_and_the_writer_lives(name: str) -> None:
    out = bytearray()
    writer = open_writer(ArchiveFormat.TAR, out.extend)
    with pytest.raises(InvalidNameError):
        writer.add_bytes(name, b"")
    writer.add_bytes("ok", b"")
    writer.finish()
    assert ours(ArchiveFormat.TAR, bytes(out)) == [("ok", b"")]


def test_good_names() -> None:
    assert check_member_name("a/b..c/...d") == b"a/b..c/...d"
    assert check_member_name("x" * 4096) == b"x" * 4096


@given(any_names)
def test_a_name_that_is_accepted_comes_back(name: str) -> None:
    try:
        check_member_name(name)
    except InvalidNameError:
        return
    for archive_format in (ArchiveFormat.TAR, ArchiveFormat.ZIP):
        archive = written(archive_format, lambda w: w.add_bytes(name, b"data"))
        index = build_index(BytesSource(archive), archive_format)
        assert index.find(name) == 0
        assert index.refused == 0


def appended(
    archive_format: ArchiveFormat, old: bytes, *new: tuple[str, bytes], indexed: bool = False
) -> bytes:
    source = BytesSource(old)
    index = build_index(source, archive_format) if indexed else None
    members = ((name, len(data), [data]) for name, data in new)
    return b"".join(append_stream(source, archive_format, members, index=index, mtime=MTIME))


@pytest.mark.parametrize("archive_format", ArchiveFormat)
@pytest.mark.parametrize("indexed", [False, True])
def test_append_keeps_the_old_and_adds_the_new(
    archive_format: ArchiveFormat, indexed: bool
) -> None:
    old = written(archive_format, put(*MEMBERS.items()))
    archive = appended(archive_format, old, *STREAMED.items(), indexed=indexed)
    expected = [*MEMBERS.items(), *STREAMED.items()]
    assert read_back(archive_format, archive) == expected
    assert ours(archive_format, archive) == expected
    again = appended(archive_format, archive, ("z", b"zz"))
    assert read_back(archive_format, again) == [*expected, ("z", b"zz")]
    assert [n for n, _ in ours(archive_format, appended(archive_format, old))] == list(MEMBERS)


@pytest.mark.parametrize("archive_format", ArchiveFormat)
def test_append_of_an_existing_name_wins(archive_format: ArchiveFormat) -> None:
    old = written(archive_format, put(("a", b"old"), ("b", b"b")))
    archive = appended(archive_format, old, ("a", b"new"))
    index = build_index(BytesSource(archive), archive_format)
    if archive_format is ArchiveFormat.ZIP:
        assert index.names == ["b", "a"]
    else:
        assert index.names == ["a", "b", "a"]
    assert dict(read_back(archive_format, archive)) == {"a": b"new", "b": b"b"}


@pytest.mark.parametrize("tail", [b"", bytes(512), bytes(1024), bytes(10240)])
def test_tar_append_point(tail: bytes) -> None:
    body = tar_header("a", 3, 0) + b"abc" + padding(3)
    assert tar_append_point(BytesSource(body + tail)) == len(body)
    assert ours(ArchiveFormat.TAR, appended(ArchiveFormat.TAR, body + tail, ("b", b"1"))) == [
        ("a", b"abc"),
        ("b", b"1"),
    ]
    assert tar_append_point(BytesSource(b"")) == 0


def test_append_keeps_directories_links_and_comments_of_zip() -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("d/", b"")
        file.writestr("d/a", b"text" * 100)
        file.comment = b"keep me"
    for prefix in (b"", b"#!/bin/sh\n"):
        archive = appended(ArchiveFormat.ZIP, prefix + out.getvalue(), ("b", b"1"))
        with zipfile.ZipFile(io.BytesIO(archive)) as file:
            assert file.namelist() == ["d/", "d/a", "b"]
            assert file.comment == b"keep me"
            assert file.read("d/a") == b"text" * 100
        assert dict(ours(ArchiveFormat.ZIP, archive)) == {"d/a": b"text" * 100, "b": b"1"}


@pytest.mark.parametrize("archive_format", ArchiveFormat)
def test_append_pulls_in_pieces(archive_format: ArchiveFormat) -> None:
    old = written(archive_format, lambda w: w.add_bytes("a", zlib.compress(b"x" * 100) * 10))
    block = bytes(range(256)) * 1024

    def blocks() -> Iterator[bytes]:
        for _ in range(40):
            yield block

    pieces = append_stream(BytesSource(old), archive_format, [("b", 40 * len(block), blocks())])
    assert max(map(len, pieces)) <= 2 * len(block)


def test_append_to_garbage_is_an_error() -> None:
    for archive_format in ArchiveFormat:
        with pytest.raises(ArchiveError):
            appended(archive_format, b"garbage" * 100, ("a", b""))


def test_plain_zlib_writes_the_same_members(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inflate, "fast_zlib", zlib)
    monkeypatch.setattr(zipencode, "fast_zlib", zlib)
    archive = written(ArchiveFormat.ZIP, put(*MEMBERS.items()), deflate=True)
    assert dict(read_back(ArchiveFormat.ZIP, archive)) == MEMBERS
