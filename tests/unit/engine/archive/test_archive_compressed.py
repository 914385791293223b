"""Tgz and tar.lz4: one pass, bounded memory, bounded results."""

import gzip
import io
import tarfile
import tracemalloc
import zlib
from collections.abc import Callable

import lz4.frame
import pytest

from aiscore.engine.archive import (
    BytesSource,
    build_index,
    index_and_read,
    iter_members,
    open_member,
    read_members,
)
from aiscore.engine.archive import inflate as inflate_module
from aiscore.errors import ArchiveError, ArchpathNotFoundError
from aiscore.model.archive import ArchiveFormat

TGZ, LZ4 = ArchiveFormat.TGZ, ArchiveFormat.TAR_LZ4
MEMBERS = {f"d/{n:03}": bytes([n % 256]) * (n * 97 % 5000) for n in range(200)}
MEMBERS["big"] = bytes(range(256)) * 8000


def pack(archive_format: ArchiveFormat, data: bytes) -> bytes:
    if archive_format is TGZ:
        return gzip.compress(data, 1)
    return bytes(lz4.frame.compress(data, content_checksum=True))


def tar_of(members: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


@pytest.fixture(params=[TGZ, LZ4])
def archive_format(request: pytest.FixtureRequest) -> ArchiveFormat:
    found: ArchiveFormat = request.param
    return found


def peak_of(run: Callable[[], object]) -> int:
    tracemalloc.start()
    try:
        run()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_reads_every_member_every_way(archive_format: ArchiveFormat) -> None:
    source = BytesSource(pack(archive_format, tar_of(MEMBERS)))
    index = build_index(source, archive_format)
    assert index.names == list(MEMBERS)
    for name in ("d/000", "d/001", "d/199", "big"):
        assert open_member(source, index, name).read() == MEMBERS[name]
    assert {n: r.read() for n, _, r in iter_members(source, archive_format)} == MEMBERS
    wanted: list[str | int] = ["big", "d/150", 3, "d/003", "d/149"]
    found = {index.names[at]: reader.read() for at, reader in read_members(source, index, wanted)}
    assert found == {n: MEMBERS[n] for n in ("d/003", "d/149", "d/150", "big")}
    assert list(found) == ["d/003", "d/149", "d/150", "big"]


def test_skipped_and_partly_read_members_do_not_matter(archive_format: ArchiveFormat) -> None:
    source = BytesSource(pack(archive_format, tar_of(MEMBERS)))
    for number, (name, size, reader) in enumerate(iter_members(source, archive_format)):
        assert size == len(MEMBERS[name])
        if number % 3 == 0:
            assert reader.read(10) == MEMBERS[name][:10]


def test_part_of_a_member(archive_format: ArchiveFormat) -> None:
    source = BytesSource(pack(archive_format, tar_of(MEMBERS)))
    index = build_index(source, archive_format)
    assert open_member(source, index, "big", 1000, 300_000).read() == MEMBERS["big"][1000:301_000]


def test_a_member_is_fetched_while_indexing(archive_format: ArchiveFormat) -> None:
    source = BytesSource(pack(archive_format, tar_of(MEMBERS)))
    index, data = index_and_read(source, archive_format, "./d/123")
    assert index.names == list(MEMBERS)
    assert data == MEMBERS["d/123"]
    assert index_and_read(source, archive_format, "absent")[1] is None
    assert index_and_read(source, archive_format, "")[1] is None


def test_the_last_of_duplicates_is_fetched_while_indexing(archive_format: ArchiveFormat) -> None:
    twice = tar_of({"a": b"old"})[:1024] + tar_of({"a": b"new"})
    source = BytesSource(pack(archive_format, twice))
    assert index_and_read(source, archive_format, "a")[1] == b"new"


def test_concatenated_streams_and_padding_are_one(archive_format: ArchiveFormat) -> None:
    data = tar_of(MEMBERS)
    packed = b"".join(
        pack(archive_format, data[at : at + 100_000]) for at in range(0, len(data), 100_000)
    )
    for tail in (b"", pack(archive_format, b"")):
        source = BytesSource(packed + tail)
        assert {n: r.read() for n, _, r in iter_members(source, archive_format)} == MEMBERS
    padded = BytesSource(packed + bytes(100_000))
    assert build_index(padded, archive_format).names == list(MEMBERS)


def test_skippable_lz4_frames_are_skipped() -> None:
    skippable = b"\x50\x2a\x4d\x18\x04\0\0\0junk"
    source = BytesSource(skippable + pack(LZ4, tar_of(MEMBERS)))
    assert build_index(source, LZ4).names == list(MEMBERS)


def test_any_truncation_is_an_error(archive_format: ArchiveFormat) -> None:
    packed = pack(archive_format, tar_of({"a": zlib.compress(b"x" * 100) * 50, "b": b"y"}))
    for size in range(len(packed)):
        with pytest.raises(ArchiveError):
            build_index(BytesSource(packed[:size]), archive_format)


def test_damage_fails_the_checksum(archive_format: ArchiveFormat) -> None:
    packed = bytearray(pack(archive_format, tar_of({"a": zlib.compress(bytes(range(256)))})))
    packed[-1 if archive_format is LZ4 else -5] ^= 1
    with pytest.raises(ArchiveError, match="does not decompress"):
        build_index(BytesSource(bytes(packed)), archive_format)


def test_garbage_behind_the_stream_is_an_error(archive_format: ArchiveFormat) -> None:
    packed = pack(archive_format, tar_of({"a": b"x"}))
    with pytest.raises(ArchiveError):
        build_index(BytesSource(packed + b"not zeros" * 10), archive_format)


def test_lying_size_inside_of_a_stream(archive_format: ArchiveFormat) -> None:
    data = bytearray(tar_of({"a": b"x" * 100}))
    with pytest.raises(ArchiveError, match="truncated"):
        build_index(BytesSource(pack(archive_format, bytes(data[:512]))), archive_format)


def test_unknown_member_fails_before_reading(archive_format: ArchiveFormat) -> None:
    source = BytesSource(pack(archive_format, tar_of({"a": b"x"})))
    index = build_index(source, archive_format)
    with pytest.raises(ArchpathNotFoundError):
        read_members(source, index, ["a", "b"])


def bomb(size: int) -> bytes:
    """A tgz of one member with `size` zeros."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    info = tarfile.TarInfo("zeros")
    info.size = size
    parts = [packer.compress(info.tobuf())]
    parts += [packer.compress(bytes(1 << 20)) for _ in range(size >> 20)]
    parts += [packer.compress(bytes(1024)), packer.flush()]
    return b"".join(parts)


def test_a_bomb_is_refused_in_flat_memory() -> None:
    source = BytesSource(bomb(1 << 30))
    assert source.size < 1_200_000

    def run() -> None:
        with pytest.raises(ArchiveError, match="expands too much"):
            build_index(source, TGZ)

    assert peak_of(run) < 4_000_000


def test_zeros_within_the_free_limit_are_read_in_flat_memory() -> None:
    source = BytesSource(bomb(64 << 20))

    def run() -> None:
        index = build_index(source, TGZ)
        assert sum(map(len, open_member(source, index, "zeros"))) == 64 << 20

    assert peak_of(run) < 4_000_000


def test_total_is_bounded(monkeypatch: pytest.MonkeyPatch, archive_format: ArchiveFormat) -> None:
    monkeypatch.setattr(inflate_module, "DECOMPRESSED_MAX", 1 << 20)
    with pytest.raises(ArchiveError, match="expands too much"):
        build_index(BytesSource(pack(archive_format, bytes(2 << 20))), archive_format)
    zeros = BytesSource(pack(archive_format, bytes(1 << 19)))
    assert len(build_index(zeros, archive_format)) == 0


def test_plain_zlib_does_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inflate_module, "fast_zlib", zlib)
    source = BytesSource(pack(TGZ, tar_of(MEMBERS)))
    assert {n: r.read() for n, _, r in iter_members(source, TGZ)} == MEMBERS
    damaged = BytesSource(source.data[:-6] + b"\0\0\0\0\0\0")
    with pytest.raises(ArchiveError, match="does not decompress"):
        build_index(damaged, TGZ)
