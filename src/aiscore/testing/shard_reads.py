"""Suite: reading files of shards."""

import pytest

from aiscore.errors import (
    ArchiveError,
    ArchpathNotFoundError,
    InvalidArgumentError,
    ObjectNotFoundError,
    RangeNotSatisfiableError,
)
from aiscore.model.archive import ArchiveFormat, ArchiveMode
from aiscore.model.bucket import BucketRef
from aiscore.model.byterange import ByteRange
from aiscore.model.objects import GetOptions
from aiscore.testing.archives import FORMATS, build, unpack
from aiscore.testing.content import LARGE, drain, pattern
from aiscore.testing.expect import refuses
from aiscore.testing.fixtures import BucketFactory, Fixtures
from aiscore.transport.base import Transport

__all__ = ["ShardReadTests"]

FILES = [
    ("train/0001.jpg", pattern(3000, seed=1)),
    ("train/0001.cls", b"1"),
    ("train/0002.jpg", pattern(LARGE, seed=2)),
    ("train/0002.cls", b"2"),
    ("val/0001.seg.png", pattern(10, seed=3)),
    ("empty", b""),
    ("readme.md", b"# readme"),
]
MATCHES: tuple[tuple[ArchiveMode, str, tuple[int, ...]], ...] = (
    (ArchiveMode.PREFIX, "train/", (0, 1, 2, 3)),
    (ArchiveMode.PREFIX, "val/0001", (4,)),
    (ArchiveMode.SUFFIX, ".cls", (1, 3)),
    (ArchiveMode.SUFFIX, "empty", (5,)),
    (ArchiveMode.SUBSTR, "0001", (0, 1, 4)),
    (ArchiveMode.WDSKEY, "train/0002", (2, 3)),
    (ArchiveMode.WDSKEY, "readme", (6,)),
    (ArchiveMode.REGEXP, r"000\d\.(jpg|cls)$", (0, 1, 2, 3)),
    (ArchiveMode.REGEXP, "^e", (5,)),
)


every_format = pytest.mark.parametrize("kind", FORMATS)


class ShardReadTests(Fixtures):
    """Reading shards."""

    @pytest.fixture
    def shard(self, transport: Transport, bucket: BucketRef, kind: ArchiveFormat) -> str:
        """A shard with `FILES`."""
        name = f"dir/s{kind}"
        transport.put(bucket, name, build(kind, FILES))
        return name

    @every_format
    def test_members_are_listed_in_archive_order(
        self, transport: Transport, bucket: BucketRef, kind: ArchiveFormat, shard: str
    ) -> None:
        for archmime in (None, kind):
            members = transport.list_members(bucket, shard, archmime)
            assert [(m.name, m.size) for m in members] == [(n, len(c)) for n, c in FILES]

    @every_format
    def test_member_is_read(
        self, transport: Transport, bucket: BucketRef, kind: ArchiveFormat, shard: str
    ) -> None:
        head = transport.head(bucket, shard)
        for name, content in reversed(FILES):
            options = GetOptions(archpath=name)
            assert transport.read(bucket, shard, options) == content
            with transport.open(bucket, shard, options) as reader:
                assert reader.size == len(content)
                assert (reader.props.name, reader.props.size) == (shard, head.size)
                assert drain(reader) == content
            with transport.open(bucket, shard, options) as reader:
                start = reader.read(7)
                assert start + reader.read() == content
        options = GetOptions(archpath="/train/0001.cls", archmime=kind)
        assert transport.read(bucket, shard, options) == b"1"

    @every_format
    @pytest.mark.parametrize(
        "archpath", ["train/0003.jpg", "train", "train/", "0001.jpg", "TRAIN/0001.cls"]
    )
    def test_missing_member_is_named(
        self,
        transport: Transport,
        bucket: BucketRef,
        kind: ArchiveFormat,
        shard: str,
        archpath: str,
    ) -> None:
        options = GetOptions(archpath=archpath)
        for get in (transport.read, transport.open):
            with refuses(ArchpathNotFoundError, bucket.object_cname(shard), archpath.strip("/")):
                get(bucket, shard, options)

    @every_format
    @pytest.mark.parametrize(
        ("offset", "length"), [(0, 1), (0, None), (5, 10), (2990, 100), (-7, None), (-5000, None)]
    )
    def test_range_of_a_member(
        self,
        transport: Transport,
        bucket: BucketRef,
        kind: ArchiveFormat,
        shard: str,
        offset: int,
        length: int | None,
    ) -> None:
        byte_range = ByteRange(offset=offset, length=length)
        for name, content in (FILES[0], FILES[2]):
            options = GetOptions(archpath=name, byte_range=byte_range)
            end = len(content) if length is None else offset + length
            expected = content[offset:] if offset < 0 else content[offset:end]
            assert transport.read(bucket, shard, options) == expected
            with transport.open(bucket, shard, options) as reader:
                assert reader.size == len(expected)
                assert drain(reader) == expected

    @every_format
    @pytest.mark.parametrize(("index", "offset"), [(0, 3000), (0, 9999), (5, 0), (1, 1)])
    def test_range_past_the_end_of_a_member(
        self,
        transport: Transport,
        bucket: BucketRef,
        kind: ArchiveFormat,
        shard: str,
        index: int,
        offset: int,
    ) -> None:
        options = GetOptions(archpath=FILES[index][0], byte_range=ByteRange(offset=offset))
        with refuses(RangeNotSatisfiableError, bucket.object_cname(shard)):
            transport.read(bucket, shard, options)

    @every_format
    @pytest.mark.parametrize(("mode", "pattern_", "indexes"), MATCHES)
    def test_matching_members_come_as_a_tar(
        self,
        transport: Transport,
        bucket: BucketRef,
        kind: ArchiveFormat,
        shard: str,
        mode: ArchiveMode,
        pattern_: str,
        indexes: tuple[int, ...],
    ) -> None:
        options = GetOptions(archregx=pattern_, archmode=mode)
        expected = [FILES[i] for i in indexes]
        assert unpack(ArchiveFormat.TAR, transport.read(bucket, shard, options)) == expected
        with transport.open(bucket, shard, options) as reader:
            assert reader.props.name == shard
            assert unpack(ArchiveFormat.TAR, drain(reader)) == expected

    @every_format
    @pytest.mark.parametrize("mode", ArchiveMode)
    def test_no_match_is_an_error(
        self,
        transport: Transport,
        bucket: BucketRef,
        kind: ArchiveFormat,
        shard: str,
        mode: ArchiveMode,
    ) -> None:
        options = GetOptions(archregx="no-such-thing", archmode=mode)
        with refuses(ArchpathNotFoundError, bucket.object_cname(shard), "no-such-thing"):
            transport.read(bucket, shard, options)

    @every_format
    def test_member_of_an_overwritten_shard(
        self, transport: Transport, bucket: BucketRef, kind: ArchiveFormat, shard: str
    ) -> None:
        options = GetOptions(archpath="train/0002.jpg")
        with transport.open(bucket, shard, options) as reader:
            start = reader.read(100)
            transport.put(bucket, shard, build(kind, [("train/0002.jpg", b"new")]))
            assert transport.read(bucket, shard, options) == b"new"
            assert start + drain(reader) == FILES[2][1]
        assert [m.name for m in transport.list_members(bucket, shard)] == ["train/0002.jpg"]
        transport.delete(bucket, shard)
        with refuses(ObjectNotFoundError, bucket.object_cname(shard)):
            transport.read(bucket, shard, options)

    @every_format
    def test_shard_goes_where_its_object_goes(
        self,
        transport: Transport,
        buckets: BucketFactory,
        bucket: BucketRef,
        kind: ArchiveFormat,
        shard: str,
    ) -> None:
        other = buckets.create()
        options = GetOptions(archpath="train/0001.cls")
        assert transport.read(bucket, shard, options) == b"1"
        transport.rename(bucket, shard, f"t{kind}")
        assert transport.read(bucket, f"t{kind}", options) == b"1"
        transport.copy(bucket, f"t{kind}", other, f"u{kind}")
        transport.destroy_bucket(bucket)
        assert transport.read(other, f"u{kind}", options) == b"1"

    @every_format
    def test_format_is_found_by_content(
        self, transport: Transport, bucket: BucketRef, kind: ArchiveFormat
    ) -> None:
        for name in ("no-extension", "wrong.zip", "wrong.tar"):
            transport.put(bucket, name, build(kind, FILES[:2]))
        assert len(transport.list_members(bucket, "no-extension")) == 2
        options = GetOptions(archpath="train/0001.cls")
        assert transport.read(bucket, "no-extension", options) == b"1"
        for name in ("wrong.zip", "wrong.tar"):
            given = GetOptions(archpath="train/0001.cls", archmime=kind)
            assert transport.read(bucket, name, given) == b"1"

    @every_format
    def test_repeated_names_are_all_listed(
        self, transport: Transport, bucket: BucketRef, kind: ArchiveFormat
    ) -> None:
        members = [("a", b"first"), ("b", b"b"), ("a", b"second")]
        transport.put(bucket, f"s{kind}", build(kind, members))
        listed = transport.list_members(bucket, f"s{kind}")
        assert [(m.name, m.size) for m in listed] == [("a", 5), ("b", 1), ("a", 6)]
        read = transport.read(bucket, f"s{kind}", GetOptions(archpath="a"))
        assert read in {b"first", b"second"}
        assert transport.read(bucket, f"s{kind}", GetOptions(archpath="a")) == read
        assert transport.read(bucket, f"s{kind}", GetOptions(archpath="b")) == b"b"

    def test_pattern_that_is_no_regular_expression(
        self, transport: Transport, bucket: BucketRef
    ) -> None:
        transport.put(bucket, "s.tar", build(ArchiveFormat.TAR, FILES[:1]))
        options = GetOptions(archregx="(", archmode=ArchiveMode.REGEXP)
        with refuses(InvalidArgumentError):
            transport.read(bucket, "s.tar", options)

    def test_member_of_what_is_missing(self, transport: Transport, bucket: BucketRef) -> None:
        cname = bucket.object_cname("s.tar")
        with refuses(ObjectNotFoundError, cname):
            transport.list_members(bucket, "s.tar")
        with refuses(ObjectNotFoundError, cname) as info:
            transport.read(bucket, "s.tar", GetOptions(archpath="m"))
        assert not isinstance(info.value, ArchpathNotFoundError)

    def test_object_that_is_no_archive(self, transport: Transport, bucket: BucketRef) -> None:
        for name in ("o.jpg", "s.tar", "s.tgz", "s.tar.lz4", "s.zip"):
            transport.put(bucket, name, pattern(5000))
            with refuses(ArchiveError, bucket.object_cname(name)):
                transport.list_members(bucket, name)
            with refuses(ArchiveError, bucket.object_cname(name)):
                transport.read(bucket, name, GetOptions(archpath="m"))
