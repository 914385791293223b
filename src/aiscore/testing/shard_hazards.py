"""Suite: shards as the world writes them, and shards that mean harm."""

import gzip
import io
import tarfile
import zipfile

import pytest

from aiscore.errors import AisError, ArchiveError
from aiscore.model.archive import ArchiveFormat
from aiscore.model.bucket import BucketRef
from aiscore.model.objects import GetOptions
from aiscore.testing.archives import FORMATS, build, build_tar
from aiscore.testing.content import pattern
from aiscore.testing.expect import refuses
from aiscore.testing.fixtures import Fixtures
from aiscore.testing.shard_writes import HOSTILE_NAMES
from aiscore.transport.base import Transport

__all__ = ["ShardHazardTests"]

AWKWARD = [
    ("d" * 120 + "/" + "n" * 90, b"gnu long name or ustar prefix"),
    ("ünï/日本.txt", b"unicode"),
    ("with space", pattern(513)),
    ("./dotted", b"dotted"),
    ("zero", b""),
]
DIALECTS = [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]


class ShardHazardTests(Fixtures):
    """Shards of all origins."""

    @pytest.mark.parametrize("dialect", DIALECTS)
    def test_dialects_of_tar(self, transport: Transport, bucket: BucketRef, dialect: int) -> None:
        transport.put(bucket, "s.tar", build_tar(AWKWARD, dialect=dialect))
        names = [m.name for m in transport.list_members(bucket, "s.tar")]
        assert names == [name.removeprefix("./") for name, _ in AWKWARD]
        for name, content in AWKWARD:
            options = GetOptions(archpath=name.removeprefix("./"))
            assert transport.read(bucket, "s.tar", options) == content

    def test_only_regular_files_are_members(self, transport: Transport, bucket: BucketRef) -> None:
        others = []
        for name, kind in (
            ("dir", tarfile.DIRTYPE),
            ("link", tarfile.SYMTYPE),
            ("hard", tarfile.LNKTYPE),
            ("pipe", tarfile.FIFOTYPE),
            ("device", tarfile.CHRTYPE),
        ):
            info = tarfile.TarInfo(name)
            info.type = kind
            info.linkname = "/etc/passwd"
            others.append(info)
        transport.put(bucket, "s.tar", build_tar([("file", b"content")], others=others))
        assert [m.name for m in transport.list_members(bucket, "s.tar")] == ["file"]
        for info in others:
            with refuses(AisError, bucket.object_cname("s.tar")):
                transport.read(bucket, "s.tar", GetOptions(archpath=info.name))

    def test_zip_methods(self, transport: Transport, bucket: BucketRef) -> None:
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w") as archive:
            archive.writestr("dir/", b"")
            archive.writestr("stored", pattern(5000), zipfile.ZIP_STORED)
            archive.writestr("deflated", b"a" * 5000, zipfile.ZIP_DEFLATED)
            archive.comment = b"a comment moves the end record"
        transport.put(bucket, "s.zip", out.getvalue())
        listed = [(m.name, m.size) for m in transport.list_members(bucket, "s.zip")]
        assert listed == [("stored", 5000), ("deflated", 5000)]
        assert transport.read(bucket, "s.zip", GetOptions(archpath="stored")) == pattern(5000)
        assert transport.read(bucket, "s.zip", GetOptions(archpath="deflated")) == b"a" * 5000

    def test_gzip_of_several_streams(self, transport: Transport, bucket: BucketRef) -> None:
        tar = build_tar([("a", pattern(10_000)), ("b", b"b")])
        parts = [gzip.compress(tar[i : i + 4000]) for i in range(0, len(tar), 4000)]
        transport.put(bucket, "s.tgz", b"".join(parts))
        assert [m.name for m in transport.list_members(bucket, "s.tgz")] == ["a", "b"]
        assert transport.read(bucket, "s.tgz", GetOptions(archpath="a")) == pattern(10_000)

    @pytest.mark.parametrize("kind", FORMATS)
    def test_hostile_members_are_out_of_reach(
        self, transport: Transport, bucket: BucketRef, kind: ArchiveFormat
    ) -> None:
        hostile = [name for name in HOSTILE_NAMES if name and "\0" not in name]
        members = [("good", b"good"), *((name, b"evil") for name in hostile), ("also", b"also")]
        shard = f"s{kind}"
        transport.put(bucket, shard, build(kind, members))
        listed = [m.name for m in transport.list_members(bucket, shard)]
        assert listed == ["good", "also"]
        assert transport.read(bucket, shard, GetOptions(archpath="also")) == b"also"
        for name in hostile:
            with refuses(AisError):
                transport.read(bucket, shard, GetOptions(archpath=name))

    @pytest.mark.parametrize("kind", FORMATS)
    def test_absolute_members_become_relative(
        self, transport: Transport, bucket: BucketRef, kind: ArchiveFormat
    ) -> None:
        shard = f"s{kind}"
        transport.put(bucket, shard, build(kind, [("/etc/passwd", b"content")]))
        assert [m.name for m in transport.list_members(bucket, shard)] == ["etc/passwd"]
        for archpath in ("etc/passwd", "/etc/passwd"):
            assert transport.read(bucket, shard, GetOptions(archpath=archpath)) == b"content"

    @pytest.mark.parametrize("kind", FORMATS)
    @pytest.mark.parametrize("keep", [0.1, 0.5, 0.8])
    def test_cut_archive_never_gives_wrong_bytes(
        self, transport: Transport, bucket: BucketRef, kind: ArchiveFormat, keep: float
    ) -> None:
        members = [(f"m-{i}", pattern(5000, seed=i)) for i in range(8)]
        whole = build(kind, members)
        shard = f"s{kind}"
        transport.put(bucket, shard, whole[: int(len(whole) * keep)])
        failures = []
        for name, content in members:
            try:
                assert transport.read(bucket, shard, GetOptions(archpath=name)) == content
            except AisError as exc:
                failures.append(exc.message)
        assert failures
        assert all(bucket.object_cname(shard) in message for message in failures)
        with refuses(ArchiveError, bucket.object_cname(shard)):
            transport.list_members(bucket, shard)

    @pytest.mark.parametrize("kind", FORMATS)
    def test_damaged_archive_fails_by_our_errors_only(
        self, transport: Transport, bucket: BucketRef, kind: ArchiveFormat
    ) -> None:
        members = [(f"m-{i}", pattern(3000, seed=i)) for i in range(4)]
        whole = build(kind, members)
        shard = f"s{kind}"
        contents = {content for _, content in members}
        for position in range(0, len(whole), len(whole) // 40):
            damaged = bytearray(whole)
            damaged[position] ^= 0xFF
            transport.put(bucket, shard, bytes(damaged))
            for name, _ in members:
                try:
                    read = transport.read(bucket, shard, GetOptions(archpath=name))
                except AisError:
                    continue
                # Only ZIP has a checksum for each member.
                assert kind is not ArchiveFormat.ZIP or read in contents

    def test_size_that_lies_is_refused(self, transport: Transport, bucket: BucketRef) -> None:
        info = tarfile.TarInfo("m")
        info.size = 1 << 40
        transport.put(bucket, "s.tar", info.tobuf() + bytes(1024))
        with refuses(ArchiveError, bucket.object_cname("s.tar")):
            transport.list_members(bucket, "s.tar")
        with refuses(ArchiveError, bucket.object_cname("s.tar")):
            transport.read(bucket, "s.tar", GetOptions(archpath="m"))

    def test_archive_without_members(self, transport: Transport, bucket: BucketRef) -> None:
        for kind in FORMATS:
            shard = f"s{kind}"
            transport.put(bucket, shard, build(kind, []))
            assert transport.list_members(bucket, shard) == []
            with refuses(AisError, bucket.object_cname(shard)):
                transport.read(bucket, shard, GetOptions(archpath="m"))
