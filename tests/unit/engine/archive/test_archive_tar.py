"""The tar walk: every dialect, every malformation."""

import io
import tarfile
import tracemalloc
from pathlib import Path

import pytest

from aiscore.engine.archive import BytesSource, FileSource, build_index, iter_members, open_member
from aiscore.engine.archive.tarheader import PAX_SIZE_MAX
from aiscore.errors import ArchiveError, ArchpathNotFoundError
from aiscore.model.archive import ArchiveFormat

TAR = ArchiveFormat.TAR
EOF = bytes(1024)


def header(
    name: bytes = b"f", size: int | bytes = 0, kind: bytes = b"0", *, magic: bytes = b"ustar\x0000"
) -> bytes:
    """One hand-made header, with a valid checksum whatever it claims."""
    block = bytearray(512)
    block[: len(name)] = name
    block[100:124] = b"0000644\0" + b"0000000\0" * 2
    block[124:136] = size if isinstance(size, bytes) else b"%011o\0" % size
    block[136:148] = b"%011o\0" % 0
    block[156:157] = kind
    block[257:265] = magic
    return seal(block)


def seal(block: bytearray) -> bytes:
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 512)


def member(name: bytes, data: bytes, kind: bytes = b"0") -> bytes:
    return header(name, len(data), kind) + padded(data)


def pax(records: bytes, kind: bytes = b"x") -> bytes:
    return member(b"pax", records, kind)


def record(keyword: bytes, value: bytes) -> bytes:
    rest = b" " + keyword + b"=" + value + b"\n"
    length = len(rest) + 1
    while len(rest) + len(str(length)) != length:
        length += 1
    return str(length).encode() + rest


def contents(archive: bytes) -> dict[str, bytes]:
    source = BytesSource(archive)
    index = build_index(source, TAR)
    found = {m.name: open_member(source, index, m.position).read() for m in index}
    streamed = {name: reader.read() for name, _, reader in iter_members(source, TAR)}
    assert found == streamed
    return found


@pytest.mark.parametrize("dialect", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_reads_what_tarfile_writes(dialect: int) -> None:
    names = ["a", "d/b.txt", "x" * 100, "d" * 120 + "/" + "e" * 90]
    if dialect != tarfile.USTAR_FORMAT:
        names += ["n" * 300, "ünï/cödé.jpg", "l" * 101]
    out = io.BytesIO()
    expected = {}
    with tarfile.open(fileobj=out, mode="w", format=dialect) as tar:
        for number, name in enumerate(names):
            data = bytes([number]) * (number * 300)
            info = tarfile.TarInfo(name)
            info.size = len(data)
            info.mtime = 1700000000 + number
            tar.addfile(info, io.BytesIO(data))
            expected[name] = data
    assert contents(out.getvalue()) == expected
    assert build_index(BytesSource(out.getvalue()), TAR).names == names


def test_only_regular_files_are_members() -> None:
    archive = b"".join(
        [
            member(b"old", b"1", b"\0"),
            member(b"contiguous", b"2", b"7"),
            header(b"hard", 1000, b"1"),
            header(b"soft", 1000, b"2"),
            header(b"char", 0, b"3"),
            header(b"block", 0, b"4"),
            header(b"dir/", 4096, b"5"),
            header(b"fifo", 0, b"6"),
            header(b"olddir/", 0, b"\0"),
            member(b"volume", b"xyz", b"V"),
            member(b"last", b"3"),
            EOF,
        ]
    )
    assert contents(archive) == {"old": b"1", "contiguous": b"2", "last": b"3"}


def test_v7_has_no_magic_and_no_prefix() -> None:
    block = bytearray(header(b"f", 2, b"\0", magic=bytes(8)))
    block[345:350] = b"trash"
    assert contents(seal(block) + padded(b"hi") + EOF) == {"f": b"hi"}


def test_ustar_prefix_is_joined_but_gnu_area_is_not() -> None:
    posix = bytearray(header(b"f", 2))
    posix[345:349] = b"some"
    gnu = bytearray(header(b"g", 2, magic=b"ustar  \0"))
    gnu[345:356] = b"%011o" % 1700000000
    archive = seal(posix) + padded(b"hi") + seal(gnu) + padded(b"ho") + EOF
    assert contents(archive) == {"some/f": b"hi", "g": b"ho"}


@pytest.mark.parametrize(
    "size", [b"          2 ", b"2\0" + bytes(10), b"000000000002", b"\x80" + bytes(10) + b"\2"]
)
def test_size_spellings(size: bytes) -> None:
    assert contents(header(b"f", size) + padded(b"hi") + EOF) == {"f": b"hi"}


def test_signed_checksums_of_old_tars() -> None:
    block = bytearray(header("ä".encode() * 4, 2))
    block[148:156] = b" " * 8
    signed = sum(c - 256 if c > 127 else c for c in block)
    block[148:156] = b"%06o\0 " % signed
    assert contents(bytes(block) + padded(b"hi") + EOF) == {"ä" * 4: b"hi"}


def test_mostly_non_ascii_header_sums_beyond_the_modulus() -> None:
    block = bytearray(header(b"\xff" * 100, 0))
    block[157:257] = b"\xff" * 100
    block[265:329] = b"\xff" * 64
    assert len(contents(seal(block) + EOF)) == 1


def test_names_that_are_no_utf8_keep_their_bytes() -> None:
    found = contents(member(b"caf\xe9", b"x") + EOF)
    (name,) = found
    assert name.encode("utf-8", "surrogateescape") == b"caf\xe9"
    source = BytesSource(member(b"caf\xe9", b"x") + EOF)
    assert open_member(source, build_index(source, TAR), name).read() == b"x"


def test_later_duplicate_wins_and_both_are_listed() -> None:
    source = BytesSource(member(b"a", b"old") + member(b"b", b"") + member(b"a", b"new") + EOF)
    index = build_index(source, TAR)
    assert index.names == ["a", "b", "a"]
    for _ in range(20):  # by search, then by dict
        assert index.find("a") == 2
    assert open_member(source, index, "a").read() == b"new"


def test_leading_dots_and_slashes_do_not_count() -> None:
    source = BytesSource(member(b"./a", b"1") + member(b"/b", b"2") + member(b".//./c", b"3") + EOF)
    index = build_index(source, TAR)
    assert index.names == ["a", "b", "c"]
    assert index.find("./a") == index.find("/a") == index.find("a") == 0


@pytest.mark.parametrize(
    "name", [b"../a", b"a/../../b", b"/../etc/passwd", b"..", b"a/..", b"./", b"././../x"]
)
def test_hostile_names_are_counted_and_not_reachable(name: bytes) -> None:
    source = BytesSource(member(b"ok", b"1") + member(name, b"2") + member(b"ok2", b"3") + EOF)
    index = build_index(source, TAR)
    assert (index.names, index.refused) == (["ok", "ok2"], 1)
    assert [m.size for m in index] == [1, 1]
    assert open_member(source, index, "ok2").read() == b"3"
    with pytest.raises(ArchpathNotFoundError):
        open_member(source, index, name.decode())


def test_dots_inside_of_names_are_fine() -> None:
    assert set(contents(member(b"a..b/...", b"") + member(b".hidden", b"") + EOF)) == {
        "a..b/...",
        ".hidden",
    }


def test_pax_path_with_nul_or_of_extreme_length_is_refused() -> None:
    for path in (b"a\0b", b"x" * 5000, b"../x"):
        archive = pax(record(b"path", path)) + member(b"f", b"1") + member(b"g", b"2") + EOF
        index = build_index(BytesSource(archive), TAR)
        assert (index.names, index.refused) == (["g"], 1)


def test_pax_global_applies_to_all_and_local_overrides() -> None:
    archive = b"".join(
        [
            pax(record(b"size", b"3") + record(b"comment", b"x"), b"g"),
            header(b"a", 0) + padded(b"abc"),
            pax(record(b"size", b"2")) + header(b"b", 0) + padded(b"de"),
            pax(record(b"size", b""), b"g"),
            member(b"c", b"f"),
            EOF,
        ]
    )
    assert contents(archive) == {"a": b"abc", "b": b"de", "c": b"f"}


def test_long_link_names_and_chained_extensions() -> None:
    archive = b"".join(
        [
            member(b"././@LongLink", b"t" * 300 + b"\0", b"K"),
            member(b"././@LongLink", b"n" * 300 + b"\0", b"L"),
            header(b"n", 0, b"2"),
            pax(record(b"path", b"first")),
            pax(record(b"path", b"second")),
            member(b"x", b"1"),
            member(b"y", b"2"),
            EOF,
        ]
    )
    assert contents(archive) == {"second": b"1", "y": b"2"}


def test_sparse_files_are_refused_and_skipped_right() -> None:
    sparse = bytearray(header(b"sparse", 512, b"S", magic=b"ustar  \0"))
    sparse[482] = 1
    more = bytearray(512)
    more[504] = 1
    archive = b"".join(
        [
            seal(sparse) + bytes(more) + bytes(512) + b"D" * 512,
            pax(record(b"GNU.sparse.major", b"1")) + member(b"GNUSparse/f", b"data"),
            member(b"ok", b"1"),
            EOF,
        ]
    )
    index = build_index(BytesSource(archive), TAR)
    assert (index.names, index.refused) == (["ok"], 2)


@pytest.mark.parametrize(
    ("archive", "message"),
    [
        (header(b"big", 10**6) + padded(b"x") + EOF, "big.*1000000"),
        (header(b"big", b"\x80" + b"\x7f" * 11) + EOF, "big"),
        (header(b"neg", b"\xff" * 12) + EOF, "neg"),
        (header(b"oct", b"00000000008\0") + EOF, "oct"),
        (header(b"text", b"12_3_____\0\0\0") + EOF, "text"),
        (header(b"text", b"garbage\0\0\0\0\0") + EOF, "text"),
        (member(b"a", b"1")[:-1], "truncated"),
        (pax(b"11 path=abc\n") + EOF, "PAX"),
        (pax(b"99 path=abc\n") + EOF, "PAX"),
        (pax(b"garbage") + EOF, "PAX"),
        (pax(b"5 abc") + EOF, "PAX"),
        (pax(record(b"size", b"-1")) + EOF, "PAX size"),
        (pax(record(b"size", b"9" * 30)) + EOF, "PAX size"),
        (pax(record(b"path", b"x")) + EOF, "extended header at its end"),
        (header(b"x", PAX_SIZE_MAX + 1, b"x") + EOF, "limit"),
        (header(b"L", 10**9, b"L") + EOF, "limit"),
        (header(b"x", 1000, b"x"), "truncated"),
        (b"\1" * 512, "checksum"),
        (bytes([1]) + bytes(511), "not a tar header"),
        (b"short", "truncated"),
    ],
)
def test_malformed_archives_say_what_is_wrong(archive: bytes, message: str) -> None:
    with pytest.raises(ArchiveError, match=message):
        build_index(BytesSource(archive), TAR)
    with pytest.raises(ArchiveError):
        [reader.read() for _, _, reader in iter_members(BytesSource(archive), TAR)]


def test_a_flipped_bit_in_a_header_is_noticed() -> None:
    archive = bytearray(member(b"name", b"data") + EOF)
    for at in (0, 3, 101, 130, 200, 300, 511):
        damaged = bytearray(archive)
        damaged[at] ^= 0x40
        with pytest.raises(ArchiveError):
            build_index(BytesSource(bytes(damaged)), TAR)


def test_truncation_at_every_block_is_an_error_or_a_prefix() -> None:
    members = [(b"m%d" % n, bytes([n]) * (n * 400)) for n in range(1, 6)]
    archive = b"".join(member(*m) for m in members)
    archive = pax(record(b"path", b"p" * 200)) + archive + EOF
    boundaries = {0, len(archive) - 512, len(archive)}
    at = 1024
    for _, data in members:
        at += 512 + len(padded(data))
        boundaries.add(at)
    for size in range(0, len(archive) + 1, 512):
        source = BytesSource(archive[:size])
        if size in boundaries:
            index = build_index(source, TAR)
            assert [m.size for m in index] == [len(d) for _, d in members][: len(index)]
        else:
            with pytest.raises(ArchiveError, match="truncated"):
                build_index(source, TAR)


def test_end_is_where_the_end_marker_starts() -> None:
    body = member(b"a", b"1") + member(b"b", b"2")
    for tail in (b"", bytes(512), EOF, bytes(10240), EOF + b"rest"):
        assert build_index(BytesSource(body + tail), TAR).end == len(body)


def test_a_window_covers_small_members_and_large_ones_between() -> None:
    members = {
        f"m{n:04}": bytes([n % 251]) * (50_000 if n % 7 == 0 else n % 600) for n in range(300)
    }
    archive = b"".join(member(name.encode(), data) for name, data in members.items()) + EOF
    assert contents(archive) == members


@pytest.mark.parametrize("size", [b"\x80" + b"\x7f" * 11, b"\x80\0\0\0" + b"\x7f" + b"\xff" * 7])
@pytest.mark.parametrize("kind", [b"0", b"K", b"V", b"S"])
def test_offsets_that_no_system_call_takes(tmp_path: Path, size: bytes, kind: bytes) -> None:
    path = tmp_path / "a.tar"
    path.write_bytes(header(b"huge", size, kind) + EOF)
    with path.open("rb") as file, pytest.raises(ArchiveError, match="huge"):
        build_index(FileSource(file.fileno()), TAR)


def test_short_reads_are_continued() -> None:
    class Trickle(BytesSource):
        def pread(self, count: int, offset: int, /) -> bytes:
            return super().pread(min(count, 100), offset)

    archive = pax(record(b"path", b"p" * 200)) + member(b"x", b"d" * 3000) + member(b"y", b"") + EOF
    source = Trickle(archive)
    index = build_index(source, TAR)
    assert index.names == ["p" * 200, "y"]
    assert open_member(source, index, 0).read() == b"d" * 3000


def test_millions_of_extended_headers_take_no_memory() -> None:
    archive = pax(record(b"path", b"x" * 400)) * 2000 + member(b"y", b"") + EOF
    source = BytesSource(archive)
    tracemalloc.start()
    index = build_index(source, TAR)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(index) == 1
    assert peak < 200_000


def test_file_source_reads_a_descriptor(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    path.write_bytes(member(b"a", b"hello") + EOF)
    with path.open("rb") as file:
        source = FileSource(file.fileno())
        assert open_member(source, build_index(source, TAR), "a").read() == b"hello"
