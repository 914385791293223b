"""Formats: what names, MIME strings and first bytes say."""

import io
import tarfile

import pytest

from aiscore.engine.archive import BytesSource, detect_format, open_writer
from aiscore.errors import ArchiveError, InvalidArgumentError
from aiscore.model.archive import ArchiveFormat, split_archpath


@pytest.mark.parametrize(
    ("mime", "expected"),
    [
        (".tar", ArchiveFormat.TAR),
        ("tar", ArchiveFormat.TAR),
        ("application/x-tar", ArchiveFormat.TAR),
        ("application/x-gtar", ArchiveFormat.TAR),
        (".tgz", ArchiveFormat.TGZ),
        ("tgz", ArchiveFormat.TGZ),
        (".tar.gz", ArchiveFormat.TGZ),
        ("tar.gz", ArchiveFormat.TGZ),
        ("application/gzip", ArchiveFormat.TGZ),
        ("application/x-gzip", ArchiveFormat.TGZ),
        ("application/x-compressed-tar", ArchiveFormat.TGZ),
        ("APPLICATION/GZIP", ArchiveFormat.TGZ),
        (".zip", ArchiveFormat.ZIP),
        ("application/zip", ArchiveFormat.ZIP),
        ("application/x-zip-compressed", ArchiveFormat.ZIP),
        (".tar.lz4", ArchiveFormat.TAR_LZ4),
        ("application/x-lz4", ArchiveFormat.TAR_LZ4),
    ],
)
def test_parse_accepts_extensions_and_mime_strings(mime: str, expected: ArchiveFormat) -> None:
    assert ArchiveFormat.parse(mime) is expected


@pytest.mark.parametrize("mime", ["", "rar", "application/target", "x" * 300, "application/json"])
def test_parse_refuses_others_and_names_the_supported(mime: str) -> None:
    with pytest.raises(InvalidArgumentError, match=r"\.tar, \.tgz, \.tar\.gz, \.tar\.lz4, \.zip"):
        ArchiveFormat.parse(mime)


def test_content_type_parses_back() -> None:
    for archive_format in ArchiveFormat:
        assert ArchiveFormat.parse(archive_format.content_type) is archive_format


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a/b.tar", ArchiveFormat.TAR),
        ("b.tgz", ArchiveFormat.TGZ),
        ("b.tar.gz", ArchiveFormat.TGZ),
        ("b.tar.lz4", ArchiveFormat.TAR_LZ4),
        ("b.zip", ArchiveFormat.ZIP),
        ("b.gz", None),
        ("b.tar/x", None),
        ("btar", None),
    ],
)
def test_of_name(name: str, expected: ArchiveFormat | None) -> None:
    assert ArchiveFormat.of_name(name) is expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a/shard.tar/inner/x.jpg", ("a/shard.tar", "inner/x.jpg")),
        ("shard.tgz/x", ("shard.tgz", "x")),
        ("s.tar.gz/d.zip/x", ("s.tar.gz", "d.zip/x")),
        ("s.tar.lz4//x", ("s.tar.lz4", "x")),
        ("shard.tar", None),
        ("shard.tar/", None),
        ("a/b/c", None),
        ("shard.tarx/a", None),
    ],
)
def test_split_archpath(name: str, expected: tuple[str, str] | None) -> None:
    assert split_archpath(name) == expected


@pytest.mark.parametrize("archive_format", ArchiveFormat)
@pytest.mark.parametrize("is_empty", [False, True])
def test_magic_is_found_without_an_extension(archive_format: ArchiveFormat, is_empty: bool) -> None:
    out = bytearray()
    writer = open_writer(archive_format, out.extend)
    if not is_empty:
        writer.add_bytes("a", b"x")
    writer.finish()
    if archive_format is ArchiveFormat.TAR and is_empty:
        with pytest.raises(ArchiveError):
            detect_format(BytesSource(bytes(out)), "object")
        return
    assert detect_format(BytesSource(bytes(out)), "object") is archive_format


def test_mime_overrides_name_which_overrides_magic() -> None:
    out = io.BytesIO()
    tarfile.open(fileobj=out, mode="w:gz").close()
    source = BytesSource(out.getvalue())
    assert detect_format(source, "a.zip", "application/x-tar") is ArchiveFormat.TAR
    assert detect_format(source, "a.zip") is ArchiveFormat.ZIP
    assert detect_format(source, "a") is ArchiveFormat.TGZ


@pytest.mark.parametrize("content", [b"", b"hello", b"\0" * 600])
def test_what_is_no_archive_is_named(content: bytes) -> None:
    with pytest.raises(ArchiveError, match='"notes" is not an archive'):
        detect_format(BytesSource(content), "notes")
