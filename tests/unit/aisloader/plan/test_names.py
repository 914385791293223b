"""Names to read: files of them, templates, and lists that people write."""

import gzip
import os
import pickle
from pathlib import Path

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from aiscore.errors import InvalidArgumentError
from aisloader import names as module
from aisloader.filelist import read_file_list
from aisloader.names import NamesWriter, TemplateNames, split_member


def write(path: Path, entries: list[tuple[str, str, int]]) -> module.FileNames:
    writer = NamesWriter(str(path))
    for name, archpath, size in entries:
        writer.add(name, archpath, size)
    return writer.close()


@pytest.mark.parametrize("mapped_max", [1 << 30, 0])
def test_what_is_written_comes_back(
    tmp_path: Path, mapped_max: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAPPED_MAX", mapped_max)
    entries = [(f"näme {n}", "a/b\tc" if n % 3 else "", n - 1) for n in range(50_000)]
    names = write(tmp_path / "n", entries)
    assert len(names) == 50_000
    for index in (0, 1, 2, 49_999):
        assert (*names.entry(index), names.size(index)) == entries[index]
    with pytest.raises(IndexError):
        names.entry(50_000)
    with pytest.raises(IndexError):
        names.entry(-1)
    again = pickle.loads(pickle.dumps(names))
    assert again.entry(777) == names.entry(777)
    names.remove()
    assert names.entry(777) == again.entry(777)
    assert os.listdir(tmp_path) == []


def test_no_names_and_no_sizes(tmp_path: Path) -> None:
    assert len(write(tmp_path / "n", [])) == 0
    names = write(tmp_path / "m", [("a", "", -1)])
    assert names.size(0) == -1
    assert not (tmp_path / "m.sizes").exists()


def test_an_error_while_listing_leaves_no_files(tmp_path: Path) -> None:
    with pytest.raises(UnicodeEncodeError), NamesWriter(str(tmp_path / "n")) as writer:
        writer.add("\ud800")
    assert os.listdir(tmp_path) == []


@given(st.lists(st.text(st.characters(exclude_characters="\0", codec="utf-8"), min_size=1)))
def test_any_names_come_back(
    tmp_path_factory: pytest.TempPathFactory, given_names: list[str]
) -> None:
    path = tmp_path_factory.mktemp("names") / "n"
    names = write(path, [(name, "", -1) for name in given_names])
    assert [names.entry(index)[0] for index in range(len(names))] == given_names


@pytest.mark.parametrize(
    ("text", "count", "expected"),
    [
        ("a-{01..03}.tar", 0, ["a-01.tar", "a-02.tar", "a-03.tar"]),
        ("{0..1}/{5..9..2}", 0, ["0/5", "0/7", "0/9", "1/5", "1/7", "1/9"]),
        ("x%03d.t", 2, ["x000.t", "x001.t"]),
        ("a-{1..9}", 2, ["a-1", "a-2"]),
    ],
)
def test_templates(text: str, count: int, expected: list[str]) -> None:
    names = TemplateNames(text, count)
    again = pickle.loads(pickle.dumps(names))
    assert [again.entry(index)[0] for index in range(len(names))] == expected
    assert names.size(0) == -1
    with pytest.raises(IndexError):
        names.entry(len(expected))


def test_a_template_without_end_needs_a_count() -> None:
    with pytest.raises(InvalidArgumentError, match="no end"):
        TemplateNames("a-%d")


def test_a_hundred_million_names_of_a_template_take_no_memory() -> None:
    names = TemplateNames("shard-%08d.tar", 100_000_000)
    assert names.entry(99_999_999) == ("shard-99999999.tar", "")


TRUNCATED = zstandard.ZstdCompressor().compress(os.urandom(1000).hex().encode())[:-9]
LIST = "# comment\n\n  \na b\nc\ts/d.jpg\ne\tf\t12\ng\t\t5\r\n"
ENTRIES = [("a b", "", -1), ("c", "s/d.jpg", -1), ("e", "f", 12), ("g", "", 5)]


@pytest.mark.parametrize("suffix", [".txt", ".gz", ".zst"])
def test_file_lists(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"list{suffix}"
    content = LIST.encode()
    if suffix == ".gz":
        content = gzip.compress(content)
    elif suffix == ".zst":
        # In two frames, as concatenated files have them.
        content = b"".join(
            zstandard.ZstdCompressor().compress(part) for part in (content[:20], content[20:])
        )
    path.write_bytes(content)
    writer = NamesWriter(str(tmp_path / "n"))
    counts = read_file_list(str(path), writer)
    names = writer.close()
    assert (counts.names, counts.skipped) == (4, 3)
    assert [(*names.entry(index), names.size(index)) for index in range(4)] == ENTRIES


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"ok\n../x\n", 'line 2 of ".*": object name'),
        (b"a\tb\tc\td\n", "4 columns"),
        (b"a\tb\tbig\n", '"big" is not a size'),
        (b"a\tb\t-1\n", "is not a size"),
        (b"a\t../../b\n", "line 1"),
        (b"\xff\xfe\n", "cannot read"),
        (b"x" * 20_000, "more than"),
    ],
)
def test_malformed_file_lists_name_the_line(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "list"
    path.write_bytes(content)
    with (
        pytest.raises(InvalidArgumentError, match=message),
        NamesWriter(str(tmp_path / "n")) as writer,
    ):
        read_file_list(str(path), writer)


@pytest.mark.parametrize(
    ("suffix", "content"),
    [
        ("", None),
        (".gz", b"no gzip"),
        (".zst", b"no zst"),
        (".gz", b"\x1f\x8b"),
        (".zst", TRUNCATED),
    ],
)
def test_file_lists_that_cannot_be_read(tmp_path: Path, suffix: str, content: bytes | None) -> None:
    path = tmp_path / f"list{suffix}"
    if content is not None:
        path.write_bytes(content)
    with (
        pytest.raises(InvalidArgumentError, match="cannot read -filelist"),
        NamesWriter(str(tmp_path / "n")) as writer,
    ):
        read_file_list(str(path), writer)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("s.tar/a/b.jpg", ("s.tar", "a/b.jpg")),
        ("d/s.tar.gz/x", ("d/s.tar.gz", "x")),
        ("s.tgz/x.tar/y", ("s.tgz", "x.tar/y")),
        ("s.zip/x", ("s.zip", "x")),
        ("s.tar.lz4/x", ("s.tar.lz4", "x")),
        ("plain.tar", ("plain.tar", "")),
        ("dir/plain", ("dir/plain", "")),
    ],
)
def test_members_of_an_archive_aware_listing(name: str, expected: tuple[str, str]) -> None:
    assert split_member(name) == expected
