"""Archives against the tools that people use: GNU tar, bsdtar, zip, unzip, gzip and lz4.

A missing tool is a failure, not a skip: install tar, libarchive-tools, zip, unzip, gzip and lz4.
"""

import io
import os
import shutil
import subprocess
import tarfile
import zipfile
from pathlib import Path

import pytest

from aiscore.engine.archive import (
    ArchiveWriter,
    BytesSource,
    FileSource,
    Piece,
    append_stream,
    build_index,
    detect_format,
    iter_members,
    open_member,
    open_writer,
    zipencode,
)
from aiscore.model.archive import ArchiveFormat

ENV = {**os.environ, "LC_ALL": "C.UTF-8", "TZ": "UTC"}
SHORT = {
    "a.txt": b"hello",
    "d/empty": b"",
    "d/blocks": b"b" * 1024,
    "d/big": bytes(range(256)) * 5000,
}
SPLIT = {"p" * 90 + "/" + "n" * 90: b"prefix and name"}
LONG = {"q" * 150 + "/" + "r" * 150: b"300 characters", "ünï/cödé-文件.jpg": b"unicode"}


def tool(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        pytest.fail(f"{name} is not installed: these tests need it", pytrace=False)
    return path


def run(*command: str, cwd: Path, stdin: bytes | None = None) -> bytes:
    done = subprocess.run(
        [tool(command[0]), *command[1:]], cwd=cwd, input=stdin, env=ENV, capture_output=True
    )
    assert done.returncode == 0, (command, done.stderr)
    return done.stdout


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A directory `in` with files of every kind of name, a directory, and links."""
    root = tmp_path / "in"
    for name, data in {**SHORT, **SPLIT, **LONG}.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    (root / "link").symlink_to("../../etc/passwd")
    os.link(root / "a.txt", root / "z-hard")
    os.mkfifo(root / "fifo")
    return root


def written(archive_format: ArchiveFormat, *, deflate: bool = False) -> bytes:
    out = bytearray()
    writer: ArchiveWriter = open_writer(
        archive_format, out.extend, mtime=1700000000, deflate=deflate
    )
    for name, data in {**SHORT, **SPLIT, **LONG}.items():
        writer.add_bytes(name, data)
    large = b"0123456789" * 300_000
    writer.add(
        "d/large", len(large), (large[at : at + 65536] for at in range(0, len(large), 65536))
    )
    writer.finish()
    return bytes(out)


EXPECTED = {**SHORT, **SPLIT, **LONG, "d/large": b"0123456789" * 300_000}


def files_under(root: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file() and not path.is_symlink()
    }


def ours(path: Path, archive_format: ArchiveFormat) -> dict[str, bytes]:
    with path.open("rb") as file:
        source = FileSource(file.fileno())
        assert detect_format(source, "object") is archive_format
        index = build_index(source, archive_format)
        found = {m.name: open_member(source, index, m.name).read() for m in index}
        assert {n: r.read() for n, _, r in iter_members(source, archive_format)} == found
        return found


@pytest.mark.parametrize(
    ("dialect", "names"),
    [
        ("v7", SHORT),
        ("ustar", {**SHORT, **SPLIT}),
        ("oldgnu", {**SHORT, **SPLIT, **LONG}),
        ("gnu", {**SHORT, **SPLIT, **LONG}),
        ("pax", {**SHORT, **SPLIT, **LONG}),
    ],
)
def test_we_read_gnu_tar(tree: Path, tmp_path: Path, dialect: str, names: dict[str, bytes]) -> None:
    others = ["link"] if dialect == "v7" else ["link", "fifo"]
    run("tar", f"--format={dialect}", "-cf", "../x.tar", *names, *others, cwd=tree)
    archive = (tmp_path / "x.tar").read_bytes()
    source = BytesSource(archive)
    assert detect_format(source, "x.tar") is ArchiveFormat.TAR  # v7 has no magic
    index = build_index(source, ArchiveFormat.TAR)
    assert {m.name: open_member(source, index, m.name).read() for m in index} == names


def test_hard_links_of_gnu_tar_are_no_members(tree: Path, tmp_path: Path) -> None:
    run("tar", "-cf", "../x.tar", ".", cwd=tree)
    found = ours(tmp_path / "x.tar", ArchiveFormat.TAR)
    one_of_two = {"a.txt", "z-hard"} & set(found)
    assert len(one_of_two) == 1
    assert set(found) - {"z-hard", "a.txt"} == set(EXPECTED) - {"a.txt", "d/large"}


def test_sparse_files_of_gnu_tar_are_refused_and_others_read(tree: Path, tmp_path: Path) -> None:
    with (tree / "sparse").open("wb") as file:
        for block in range(100):
            file.seek(block * 65536)
            file.write(b"x" * 4096)
    for options in (["--format=gnu"], ["--format=pax", "--sparse-version=1.0"],
                    ["--format=pax", "--sparse-version=0.1"]):  # fmt: skip
        run("tar", "-S", *options, "-cf", "../x.tar", "a.txt", "sparse", "d/big", cwd=tree)
        index = build_index(BytesSource((tmp_path / "x.tar").read_bytes()), ArchiveFormat.TAR)
        assert (index.names, index.refused) == (["a.txt", "d/big"], 1)


def test_gnu_tar_concatenation_and_append_and_duplicates(tree: Path, tmp_path: Path) -> None:
    run("tar", "-cf", "../x.tar", "a.txt", cwd=tree)
    (tree / "a.txt").write_bytes(b"second")
    run("tar", "-rf", "../x.tar", "a.txt", "d/big", cwd=tree)
    assert ours(tmp_path / "x.tar", ArchiveFormat.TAR)["a.txt"] == b"second"


@pytest.mark.parametrize("dialect", ["ustar", "pax", "gnutar", "v7"])
def test_we_read_bsdtar(tree: Path, tmp_path: Path, dialect: str) -> None:
    names = SHORT if dialect == "v7" else {**SHORT, **SPLIT}
    names = {**names, **LONG} if dialect in ("pax", "gnutar") else names
    run("bsdtar", "--format", dialect, "-cf", "../x.tar", *names, "link", cwd=tree)
    source = BytesSource((tmp_path / "x.tar").read_bytes())
    index = build_index(source, ArchiveFormat.TAR)
    assert {m.name: open_member(source, index, m.name).read() for m in index} == names


@pytest.mark.parametrize("options", [["-0"], ["-6"], ["-9", "-X"]])
def test_we_read_zip(tree: Path, tmp_path: Path, options: list[str]) -> None:
    run("zip", "-q", "-r", "-y", *options, "../x.zip", ".", "-x", "fifo", "z-hard", cwd=tree)
    assert ours(tmp_path / "x.zip", ArchiveFormat.ZIP) == {**SHORT, **SPLIT, **LONG}


def test_we_read_zip_from_a_pipe(tree: Path, tmp_path: Path) -> None:
    packed = run("zip", "-q", "-r", "-", "a.txt", "d", cwd=tree)
    (tmp_path / "x.zip").write_bytes(packed)
    assert ours(tmp_path / "x.zip", ArchiveFormat.ZIP) == SHORT


def test_we_read_bsdtar_zip(tree: Path, tmp_path: Path) -> None:
    names = {**SHORT, **LONG}
    run("bsdtar", "--format", "zip", "-cf", "../x.zip", *names, "link", cwd=tree)
    assert ours(tmp_path / "x.zip", ArchiveFormat.ZIP) == names


def test_encrypted_zip_is_listed_and_refused(tree: Path, tmp_path: Path) -> None:
    run("zip", "-q", "-P", "secret", "../x.zip", "a.txt", cwd=tree)
    source = BytesSource((tmp_path / "x.zip").read_bytes())
    index = build_index(source, ArchiveFormat.ZIP)
    assert index.names == ["a.txt"]
    with pytest.raises(Exception, match="is encrypted"):
        open_member(source, index, "a.txt").read()


@pytest.mark.parametrize("packer", [["gzip", "-9"], ["gzip", "-1", "-n"]])
def test_we_read_gzip(tree: Path, tmp_path: Path, packer: list[str]) -> None:
    names = {**SHORT, **SPLIT, **LONG}
    plain = run("tar", "-cf", "-", *names, cwd=tree)
    half = len(plain) // 2
    packed = b"".join(run(*packer, cwd=tree, stdin=part) for part in (plain[:half], plain[half:]))
    (tmp_path / "x.tgz").write_bytes(packed)
    assert ours(tmp_path / "x.tgz", ArchiveFormat.TGZ) == names


@pytest.mark.parametrize("options", [["-1"], ["-9", "-B4"], ["-BD", "--no-frame-crc"], ["-BX"]])
def test_we_read_lz4(tree: Path, tmp_path: Path, options: list[str]) -> None:
    names = {**SHORT, **SPLIT, **LONG}
    plain = run("tar", "-cf", "-", *names, cwd=tree)
    packed = run("lz4", "-q", *options, "-c", cwd=tree, stdin=plain)
    (tmp_path / "x").write_bytes(packed + run("lz4", "-q", "-c", cwd=tree, stdin=b""))
    assert ours(tmp_path / "x", ArchiveFormat.TAR_LZ4) == names


def extract(archive: bytes, *command: str, tmp_path: Path, suffix: str) -> dict[str, bytes]:
    out = tmp_path / "out"
    out.mkdir()
    (tmp_path / f"x{suffix}").write_bytes(archive)
    run(*command, f"../x{suffix}", cwd=out)
    return files_under(out)


@pytest.mark.parametrize(
    ("archive_format", "command"),
    [
        (ArchiveFormat.TAR, ["tar", "-xf"]),
        (ArchiveFormat.TAR, ["bsdtar", "-xf"]),
        (ArchiveFormat.TGZ, ["tar", "-xzf"]),
        (ArchiveFormat.TGZ, ["bsdtar", "-xf"]),
        (ArchiveFormat.TAR_LZ4, ["tar", "-I", "lz4", "-xf"]),
        (ArchiveFormat.TAR_LZ4, ["bsdtar", "-xf"]),
        (ArchiveFormat.ZIP, ["unzip", "-q"]),
        (ArchiveFormat.ZIP, ["bsdtar", "-xf"]),
    ],
)
@pytest.mark.parametrize("step", ["written", "deflated", "appended"])
def test_tools_read_what_we_write(
    archive_format: ArchiveFormat, command: list[str], step: str, tmp_path: Path
) -> None:
    archive = written(archive_format, deflate=step == "deflated")
    expected = dict(EXPECTED)
    if step == "appended":
        members = [("new/ö", 2_000_000, [b"n" * 2_000_000]), ("a.txt", 7, [b"changed"])]
        archive = b"".join(append_stream(BytesSource(archive), archive_format, members))
        expected |= {"new/ö": b"n" * 2_000_000, "a.txt": b"changed"}
    found = extract(archive, *command, tmp_path=tmp_path, suffix=archive_format)
    assert found == expected


@pytest.mark.parametrize("command", [["unzip", "-q"], ["bsdtar", "-xf"]])
@pytest.mark.parametrize("deflate", [False, True])
def test_tools_read_our_zip64(
    command: list[str], deflate: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for limit in ("_WIDE_FROM", "_STREAMED_WIDE_FROM"):
        monkeypatch.setattr(zipencode, limit, 1000)
    archive = written(ArchiveFormat.ZIP, deflate=deflate)
    assert b"PK\6\6" in archive
    found = extract(archive, *command, tmp_path=tmp_path, suffix=".zip")
    assert found == EXPECTED
    assert ours(tmp_path / "x.zip", ArchiveFormat.ZIP) == EXPECTED
    with zipfile.ZipFile(tmp_path / "x.zip") as file:
        assert {name: file.read(name) for name in file.namelist()} == EXPECTED


@pytest.mark.soak
def test_five_gib_zip(tmp_path: Path) -> None:
    """Real sizes beyond 32 bits, in a sparse file."""
    block, count = bytes(1 << 20), 5 << 10
    path = tmp_path / "x.zip"
    with path.open("wb") as file:

        def write(piece: Piece) -> None:
            if piece is block:
                file.seek(len(piece), os.SEEK_CUR)
            else:
                file.write(piece)

        writer = open_writer(ArchiveFormat.ZIP, write)
        writer.add("zeros", count << 20, (block for _ in range(count)))
        writer.add_bytes("last", b"data")
        writer.finish()
    run("unzip", "-tq", "x.zip", cwd=tmp_path)
    with path.open("rb") as written_file:
        source = FileSource(written_file.fileno())
        index = build_index(source, ArchiveFormat.ZIP)
        assert [m.size for m in index] == [count << 20, 4]
        assert open_member(source, index, "last").read() == b"data"
        assert open_member(source, index, "zeros", 5_000_000_000, 10).read() == bytes(10)


def test_tools_verify_what_we_write(tmp_path: Path) -> None:
    for archive_format, command in (
        (ArchiveFormat.TGZ, ["gzip", "-t"]),
        (ArchiveFormat.TAR_LZ4, ["lz4", "-q", "-t"]),
        (ArchiveFormat.ZIP, ["unzip", "-tq"]),
        (ArchiveFormat.ZIP, ["zip", "-qT"]),
        (ArchiveFormat.TAR, ["tar", "-tvf"]),
    ):
        path = tmp_path / f"x{archive_format}"
        path.write_bytes(written(archive_format))
        run(*command, path.name, cwd=tmp_path)


def test_unzip_streams_small_members_without_the_directory(tmp_path: Path) -> None:
    out = bytearray()
    writer = open_writer(ArchiveFormat.ZIP, out.extend)
    for name, data in SHORT.items():
        writer.add_bytes(name, data)
    writer.finish()
    (tmp_path / "out").mkdir()
    run("bsdtar", "-xf", "-", cwd=tmp_path / "out", stdin=bytes(out))
    assert files_under(tmp_path / "out") == SHORT


def test_append_to_archives_of_tools(tree: Path, tmp_path: Path) -> None:
    names = {**SHORT, **LONG}
    run("tar", "-cf", "../x.tar", *names, cwd=tree)
    run("tar", "-czf", "../x.tgz", *names, cwd=tree)
    run("tar", "-I", "lz4", "-cf", "../x.tar.lz4", *names, cwd=tree)
    run("zip", "-q", "-r", "../x.zip", *names, cwd=tree)
    for archive_format in ArchiveFormat:
        old = (tmp_path / f"x{archive_format}").read_bytes()
        new = b"".join(append_stream(BytesSource(old), archive_format, [("new", 1, [b"1"])]))
        if archive_format is ArchiveFormat.ZIP:
            found = extract(new, "unzip", "-q", tmp_path=tmp_path, suffix=".zip")
            assert found == {**names, "new": b"1"}
            continue
        (tmp_path / "new").write_bytes(new)
        listed = run("bsdtar", "-tf", "../new", cwd=tree).decode().split("\n")[:-1]
        assert listed == [*names, "new"]


def test_pythons_tarfile_reads_streams_of_ours() -> None:
    with tarfile.open(fileobj=io.BytesIO(written(ArchiveFormat.TGZ)), mode="r|gz") as tar:
        found = {}
        for info in tar:
            member = tar.extractfile(info)
            assert member is not None
            found[info.name] = member.read()
    assert found == EXPECTED
