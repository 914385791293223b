"""Suite: writing shards."""

from collections.abc import Iterator

import pytest

from aiscore.errors import (
    AisError,
    ArchiveError,
    InvalidArgumentError,
    ObjectNotFoundError,
)
from aiscore.model.archive import ArchiveFormat
from aiscore.model.bucket import BucketRef
from aiscore.model.objects import (
    ArchiveOptions,
    ArchivePutMode,
    GetOptions,
    Selection,
)
from aiscore.testing.archives import FORMATS, build, unpack
from aiscore.testing.content import (
    BODIES,
    LARGE,
    BrokenBodyError,
    broken,
    is_checksum_of,
    pattern,
)
from aiscore.testing.expect import refuses
from aiscore.testing.fixtures import BucketFactory, Fixtures
from aiscore.testing.listing import list_names
from aiscore.transport.base import MemberInput, Transport

__all__ = ["HOSTILE_NAMES", "ShardWriteTests", "inputs"]

FILES = [
    ("0001.jpg", pattern(1000, seed=1)),
    ("0001.cls", b"7"),
    ("dir/sub/0002.jpg", pattern(70_000, seed=2)),
    ("empty", b""),
    ("ünï/日本.txt", "日本".encode()),
    ("n" * 90 + "/" + "m" * 200, b"long name"),
]
HOSTILE_NAMES = ("../x", "a/../../x", "a/..", "..", "", "a\0b")


def inputs(members: list[tuple[str, bytes]], kind: str = "bytes") -> list[MemberInput]:
    """Members on their way into a shard."""
    return [MemberInput(name, len(data), BODIES[kind](data)) for name, data in members]


every_format = pytest.mark.parametrize("kind", FORMATS)


class ShardWriteTests(Fixtures):
    """Writing shards."""

    @every_format
    @pytest.mark.parametrize("body", ["bytes", "file", "generator"])
    def test_new_shard_is_an_archive(
        self, transport: Transport, bucket: BucketRef, kind: ArchiveFormat, body: str
    ) -> None:
        shard = f"dir/s{kind}"
        stored = transport.put_members(bucket, shard, inputs(FILES, body))
        data = transport.read(bucket, shard, GetOptions(verify_checksum=True))
        assert (stored.name, stored.size, stored.version) == (shard, len(data), "1")
        assert is_checksum_of(stored.checksum, data)
        assert unpack(kind, data) == FILES
        listed = [(m.name, m.size) for m in transport.list_members(bucket, shard)]
        assert listed == [(name, len(content)) for name, content in FILES]
        for name, content in FILES:
            assert transport.read(bucket, shard, GetOptions(archpath=name)) == content

    @every_format
    def test_append_adds_at_the_end(
        self, transport: Transport, bucket: BucketRef, kind: ArchiveFormat
    ) -> None:
        shard = f"s{kind}"
        transport.put(bucket, shard, build(kind, FILES[:2]))
        assert len(transport.list_members(bucket, shard)) == 2
        for i, member in enumerate(FILES[2:], start=2):
            stored = transport.put_members(bucket, shard, inputs([member]), ArchivePutMode.APPEND)
            assert stored.version == str(i)
            assert [m.name for m in transport.list_members(bucket, shard)] == [
                name for name, _ in FILES[: i + 1]
            ]
            assert transport.read(bucket, shard, GetOptions(archpath=member[0])) == member[1]
        data = transport.read(bucket, shard, GetOptions(verify_checksum=True))
        assert unpack(kind, data) == FILES

    @every_format
    def test_append_needs_the_shard(
        self, transport: Transport, bucket: BucketRef, kind: ArchiveFormat
    ) -> None:
        shard = f"s{kind}"
        with refuses(ObjectNotFoundError, bucket.object_cname(shard)):
            transport.put_members(bucket, shard, inputs(FILES), ArchivePutMode.APPEND)
        assert list_names(transport, bucket) == []
        mode = ArchivePutMode.APPEND_OR_CREATE
        transport.put_members(bucket, shard, inputs(FILES[:1]), mode)
        transport.put_members(bucket, shard, inputs(FILES[1:]), mode)
        assert unpack(kind, transport.read(bucket, shard)) == FILES

    @every_format
    def test_create_replaces(
        self, transport: Transport, bucket: BucketRef, kind: ArchiveFormat
    ) -> None:
        shard = f"s{kind}"
        transport.put_members(bucket, shard, inputs(FILES))
        assert len(transport.list_members(bucket, shard)) == len(FILES)
        stored = transport.put_members(bucket, shard, inputs([("new", b"new")]))
        assert stored.version == "2"
        assert [m.name for m in transport.list_members(bucket, shard)] == ["new"]
        assert unpack(kind, transport.read(bucket, shard)) == [("new", b"new")]

    @every_format
    @pytest.mark.parametrize("mode", [ArchivePutMode.CREATE, ArchivePutMode.APPEND])
    def test_all_members_or_none(
        self, transport: Transport, bucket: BucketRef, kind: ArchiveFormat, mode: ArchivePutMode
    ) -> None:
        shard = f"s{kind}"
        before = transport.put(bucket, shard, build(kind, FILES))

        def failing() -> Iterator[MemberInput]:
            yield MemberInput("first", 3, b"one")
            yield MemberInput("second", 500_000, broken(pattern(400_000)))

        with pytest.raises((BrokenBodyError, AisError)):
            transport.put_members(bucket, shard, failing(), mode)
        for wrong in (2, 4):
            members = [MemberInput("ok", 2, b"ok"), MemberInput("wrong", wrong, b"one")]
            with refuses(InvalidArgumentError, "wrong"):
                transport.put_members(bucket, shard, members, mode)
        assert transport.head(bucket, shard).etag == before.etag
        assert transport.head(bucket, shard).version == "1"
        assert unpack(kind, transport.read(bucket, shard)) == FILES
        assert [m.name for m in transport.list_members(bucket, shard)] == [n for n, _ in FILES]

    @every_format
    @pytest.mark.parametrize("name", HOSTILE_NAMES, ids=ascii)
    def test_hostile_member_names_are_refused(
        self, transport: Transport, bucket: BucketRef, kind: ArchiveFormat, name: str
    ) -> None:
        shard = f"s{kind}"
        members = inputs([("good", b"good"), (name, b"evil")])
        with refuses(InvalidArgumentError):
            transport.put_members(bucket, shard, members)
        assert list_names(transport, bucket) == []
        transport.put(bucket, shard, build(kind, FILES))
        with refuses(InvalidArgumentError):
            transport.put_members(bucket, shard, members, ArchivePutMode.APPEND)
        assert unpack(kind, transport.read(bucket, shard)) == FILES

    @every_format
    def test_large_and_many_members(
        self, transport: Transport, bucket: BucketRef, kind: ArchiveFormat
    ) -> None:
        members = [(f"m/{i:05d}", pattern(i % 700, seed=i)) for i in range(2000)]
        members.insert(1000, ("large", pattern(LARGE)))
        shard = f"s{kind}"
        transport.put_members(bucket, shard, (m for m in inputs(members)))
        assert unpack(kind, transport.read(bucket, shard)) == members
        for name, data in (members[0], members[1000], members[1001], members[-1]):
            assert transport.read(bucket, shard, GetOptions(archpath=name)) == data

    # packing objects

    @every_format
    def test_objects_are_packed(
        self, transport: Transport, bucket: BucketRef, kind: ArchiveFormat
    ) -> None:
        content = {f"in/{i}": pattern(i * 5000, seed=i) for i in range(4)}
        for name, data in content.items():
            transport.put(bucket, name, data)
        names = tuple(reversed(content))
        shard = f"s{kind}"
        stored = transport.archive_objects(bucket, Selection(names=names), bucket, shard)
        data = transport.read(bucket, shard, GetOptions(verify_checksum=True))
        assert stored.size == len(data)
        assert sorted(unpack(kind, data)) == sorted(content.items())
        more = {"more/x": b"x"}
        transport.put(bucket, "more/x", b"x")
        transport.archive_objects(
            bucket, Selection(prefix="more/"), bucket, shard, ArchiveOptions(append=True)
        )
        packed = unpack(kind, transport.read(bucket, shard))
        assert dict(packed) == content | more

    def test_format_can_be_given(self, transport: Transport, bucket: BucketRef) -> None:
        for kind in FORMATS:
            shard = f"no-extension-{kind.name}"
            transport.put_members(bucket, shard, inputs(FILES), archmime=kind)
            assert unpack(kind, transport.read(bucket, shard)) == FILES
        with refuses(InvalidArgumentError, "no-extension"):
            transport.put_members(bucket, "no-extension", inputs(FILES))

    def test_append_to_what_is_no_archive(self, transport: Transport, bucket: BucketRef) -> None:
        data = pattern(5000)
        transport.put(bucket, "s.tar", data)
        with refuses(ArchiveError, bucket.object_cname("s.tar")):
            transport.put_members(bucket, "s.tar", inputs(FILES), ArchivePutMode.APPEND)
        assert transport.read(bucket, "s.tar") == data

    def test_packing_selects_and_names(
        self, transport: Transport, buckets: BucketFactory, bucket: BucketRef
    ) -> None:
        other = buckets.create()
        for name in ("a/1", "a/2", "b/3", "s-01", "s-02", "s-03"):
            transport.put(bucket, name, name.encode())

        def packed(selection: Selection, options: ArchiveOptions) -> list[tuple[str, bytes]]:
            transport.archive_objects(bucket, selection, other, "s.tar", options)
            return unpack(ArchiveFormat.TAR, transport.read(other, "s.tar"))

        plain = ArchiveOptions()
        assert packed(Selection(prefix="a/"), plain) == [("a/1", b"a/1"), ("a/2", b"a/2")]
        assert packed(Selection(template="s-{01..02}"), plain) == [
            ("s-01", b"s-01"),
            ("s-02", b"s-02"),
        ]
        assert len(packed(Selection(everything=True), plain)) == 6
        scoped = ArchiveOptions(include_bucket=True)
        assert packed(Selection(names=("a/1",)), scoped) == [(f"{bucket.name}/a/1", b"a/1")]
        base = ArchiveOptions(base_name_only=True)
        assert packed(Selection(names=("b/3",)), base) == [("3", b"b/3")]
        assert list_names(transport, other) == ["s.tar"]

    def test_packing_what_is_missing(self, transport: Transport, bucket: BucketRef) -> None:
        transport.put(bucket, "a", b"a")
        selection = Selection(names=("a", "missing"))
        with refuses(ObjectNotFoundError, bucket.object_cname("missing")):
            transport.archive_objects(bucket, selection, bucket, "s.tar")
        assert list_names(transport, bucket) == ["a"]
        options = ArchiveOptions(cont_on_err=True)
        transport.archive_objects(bucket, selection, bucket, "s.tar", options)
        assert unpack(ArchiveFormat.TAR, transport.read(bucket, "s.tar")) == [("a", b"a")]

    def test_packing_into_another_format(self, transport: Transport, bucket: BucketRef) -> None:
        transport.put(bucket, "a", b"a")
        options = ArchiveOptions(output_format=ArchiveFormat.ZIP)
        transport.archive_objects(bucket, Selection(names=("a",)), bucket, "s.bin", options)
        assert unpack(ArchiveFormat.ZIP, transport.read(bucket, "s.bin")) == [("a", b"a")]
