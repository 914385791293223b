"""Suite: buckets, their properties, names and life."""

from collections.abc import Callable

import pytest

from aiscore.errors import (
    AisError,
    BucketAlreadyExistsError,
    BucketNotFoundError,
    InvalidArgumentError,
    ObjectNotFoundError,
    UnsupportedError,
)
from aiscore.model.batch import BatchEntry, BatchRequest
from aiscore.model.bucket import BucketRef, Namespace, Provider
from aiscore.model.checksum import ChecksumType
from aiscore.model.objects import CopyOptions, ListOptions, PutOptions, Selection
from aiscore.testing.content import checksum_of, pattern
from aiscore.testing.expect import refuses
from aiscore.testing.fixtures import BucketFactory, Fixtures
from aiscore.testing.listing import list_names
from aiscore.transport.base import MemberInput, Transport

__all__ = ["BucketTests"]

ALL = Selection(everything=True)

ON_MISSING_BUCKET: dict[str, Callable[[Transport, BucketRef], object]] = {
    "head_bucket": lambda t, b: t.head_bucket(b),
    "set_bucket_props": lambda t, b: t.set_bucket_props(b, {"versioning.enabled": "false"}),
    "reset_bucket_props": lambda t, b: t.reset_bucket_props(b),
    "rename_bucket": lambda t, b: t.rename_bucket(b, BucketRef(f"{b.name}-2")),
    "copy_bucket": lambda t, b: t.copy_bucket(b, BucketRef(f"{b.name}-2")),
    "destroy_bucket": lambda t, b: t.destroy_bucket(b),
    "summarize_bucket": lambda t, b: t.summarize_bucket(b),
    "put": lambda t, b: t.put(b, "o", b"content"),
    "open": lambda t, b: t.open(b, "o"),
    "read": lambda t, b: t.read(b, "o"),
    "head": lambda t, b: t.head(b, "o"),
    "delete": lambda t, b: t.delete(b, "o"),
    "delete_many": lambda t, b: t.delete_many(b, ALL),
    "rename": lambda t, b: t.rename(b, "o", "p"),
    "copy": lambda t, b: t.copy(b, "o", b, "p"),
    "append": lambda t, b: t.append(b, "o", b"content"),
    "set_custom": lambda t, b: t.set_custom(b, "o", {"k": "v"}),
    "list_page": lambda t, b: t.list_page(b),
    "list_members": lambda t, b: t.list_members(b, "s.tar"),
    "put_members": lambda t, b: t.put_members(b, "s.tar", [MemberInput("m", 1, b"x")]),
    "archive_objects": lambda t, b: t.archive_objects(b, Selection(names=("o",)), b, "s.tar"),
    "get_batch": lambda t, b: list(t.get_batch(BatchRequest(entries=[BatchEntry("o", b)]))),
    "get_batch cont_on_err": lambda t, b: list(
        t.get_batch(BatchRequest(entries=[BatchEntry("o", b)], cont_on_err=True))
    ),
    "get_batch_archive": lambda t, b: list(
        t.get_batch_archive(BatchRequest(entries=[BatchEntry("o")], bucket=b))
    ),
    "validate": lambda t, b: t.validate(b),
}


class BucketTests(Fixtures):
    """Buckets."""

    def test_new_bucket_is_listed_and_has_the_defaults(
        self, transport: Transport, bucket: BucketRef
    ) -> None:
        assert bucket in transport.list_buckets()
        props = transport.head_bucket(bucket)
        config = transport.config()
        assert props.provider == "ais"
        assert props.checksum == config.checksum
        assert props.versioning == config.versioning
        assert props.created > 0
        assert transport.list_page(bucket).entries == []

    def test_create_applies_property_changes(
        self, transport: Transport, buckets: BucketFactory
    ) -> None:
        bucket = buckets.create({"checksum.type": "md5", "versioning.enabled": "false"})
        props = transport.head_bucket(bucket)
        assert (props.checksum.type, props.versioning.enabled) == ("md5", False)
        stored = transport.put(bucket, "o", b"content")
        assert stored.checksum == checksum_of(ChecksumType.MD5, b"content")
        assert stored.version == ""

    def test_create_refuses_a_name_that_is_taken(
        self, transport: Transport, bucket: BucketRef
    ) -> None:
        transport.put(bucket, "o", b"content")
        with refuses(BucketAlreadyExistsError, bucket.cname, "already exists"):
            transport.create_bucket(bucket)
        assert transport.read(bucket, "o") == b"content"

    @pytest.mark.parametrize(
        "changes",
        [
            {"checksum.typo": "md5"},
            {"checksum.type": "crc64"},
            {"checksum.type": "md5", "versioning.enabled": "perhaps"},
        ],
    )
    def test_create_with_bad_changes_creates_nothing(
        self, transport: Transport, buckets: BucketFactory, changes: dict[str, str]
    ) -> None:
        bucket = buckets.reserve()
        with refuses(InvalidArgumentError):
            transport.create_bucket(bucket, changes)
        assert bucket not in transport.list_buckets()

    def test_create_refuses_what_another_system_owns(self, transport: Transport) -> None:
        bucket = BucketRef("suite-cloud-bucket", Provider.AWS)
        with refuses(UnsupportedError, "s3://suite-cloud-bucket"):
            transport.create_bucket(bucket)
        assert bucket not in transport.list_buckets()

    def test_namespaces_keep_equal_names_apart(
        self, transport: Transport, buckets: BucketFactory, bucket: BucketRef
    ) -> None:
        scoped = buckets.keep(BucketRef(bucket.name, namespace=Namespace(name="suite")))
        with refuses(BucketNotFoundError, scoped.cname):
            transport.head_bucket(scoped)
        transport.create_bucket(scoped)
        transport.put(bucket, "o", b"global")
        transport.put(scoped, "o", b"scoped")
        assert transport.read(bucket, "o") == b"global"
        assert transport.read(scoped, "o") == b"scoped"
        transport.destroy_bucket(scoped)
        assert transport.read(bucket, "o") == b"global"

    def test_list_is_sorted_and_filters(self, transport: Transport, buckets: BucketFactory) -> None:
        scope = Namespace(name="suite-list")
        made = sorted([*(buckets.create() for _ in range(3)), buckets.reserve(scope)])
        transport.create_bucket(next(ref for ref in made if ref.namespace == scope))
        everything = transport.list_buckets()
        assert everything == sorted(
            everything, key=lambda b: (b.provider, b.namespace.uuid, b.namespace.name, b.name)
        )
        assert set(made) <= set(everything)
        assert set(made) <= set(transport.list_buckets(Provider.AIS))
        assert set(made).isdisjoint(transport.list_buckets(Provider.GCP))
        assert [ref for ref in made if ref.namespace == scope] == transport.list_buckets(
            namespace=scope
        )
        in_global = transport.list_buckets(Provider.AIS, Namespace())
        assert [ref for ref in made if ref.namespace != scope] == [
            ref for ref in in_global if ref in made
        ]

    @pytest.mark.parametrize("operation", ON_MISSING_BUCKET)
    def test_missing_bucket_is_named(
        self, transport: Transport, buckets: BucketFactory, operation: str
    ) -> None:
        bucket = buckets.reserve()
        with refuses(BucketNotFoundError, bucket.cname, "does not exist"):
            ON_MISSING_BUCKET[operation](transport, bucket)
        assert bucket not in transport.list_buckets()

    # properties

    def test_set_props_changes_and_keeps(self, transport: Transport, bucket: BucketRef) -> None:
        before = transport.head_bucket(bucket)
        answer = transport.set_bucket_props(bucket, {"checksum.type": "sha256"})
        assert answer.checksum.type == "sha256"
        assert answer.versioning == before.versioning
        assert transport.head_bucket(bucket) == answer
        stored = transport.put(bucket, "o", b"content")
        assert stored.checksum == checksum_of(ChecksumType.SHA256, b"content")

    @pytest.mark.parametrize(
        "changes",
        [
            {"versioning.enabled": "false", "no.such.prop": "1"},
            {"versioning.enabled": "false", "checksum.type": "crc64"},
            {"versioning.enabled": "false", "bid": "7"},
        ],
    )
    def test_set_props_applies_all_or_nothing(
        self, transport: Transport, bucket: BucketRef, changes: dict[str, str]
    ) -> None:
        before = transport.head_bucket(bucket)
        with refuses(InvalidArgumentError):
            transport.set_bucket_props(bucket, changes)
        assert transport.head_bucket(bucket) == before

    def test_reset_props_returns_to_the_defaults(
        self, transport: Transport, buckets: BucketFactory
    ) -> None:
        bucket = buckets.create({"checksum.type": "md5"})
        created = transport.head_bucket(bucket).created
        transport.put(bucket, "o", b"content")
        answer = transport.reset_bucket_props(bucket)
        assert answer.checksum == transport.config().checksum
        assert answer.created == created
        assert transport.head_bucket(bucket) == answer
        assert transport.read(bucket, "o") == b"content"

    def test_versioning_can_be_switched(self, transport: Transport, bucket: BucketRef) -> None:
        transport.set_bucket_props(bucket, {"versioning.enabled": "false"})
        assert transport.put(bucket, "o", b"a").version == ""
        transport.set_bucket_props(bucket, {"versioning.enabled": "true"})
        assert transport.put(bucket, "p", b"a").version == "1"

    # rename

    def test_rename_keeps_objects_versions_and_checksums(
        self, transport: Transport, buckets: BucketFactory, bucket: BucketRef
    ) -> None:
        transport.put(bucket, "o", b"first")
        transport.put(bucket, "o", b"second", PutOptions(custom={"k": "v"}))
        before = transport.head(bucket, "o")
        target = buckets.reserve()
        transport.rename_bucket(bucket, target)
        after = transport.head(target, "o")
        assert (after.size, after.checksum, after.version, dict(after.custom), after.etag) == (
            before.size,
            before.checksum,
            before.version,
            dict(before.custom),
            before.etag,
        )
        assert transport.read(target, "o") == b"second"
        assert bucket not in transport.list_buckets()
        with refuses(BucketNotFoundError, bucket.cname):
            transport.read(bucket, "o")
        transport.create_bucket(bucket)
        with refuses(ObjectNotFoundError, bucket.object_cname("o")):
            transport.head(bucket, "o")

    def test_rename_keeps_properties(self, transport: Transport, buckets: BucketFactory) -> None:
        bucket, target = buckets.create({"checksum.type": "md5"}), buckets.reserve()
        transport.rename_bucket(bucket, target)
        assert transport.head_bucket(target).checksum.type == "md5"

    def test_rename_refuses_a_name_that_is_taken(
        self, transport: Transport, buckets: BucketFactory, bucket: BucketRef
    ) -> None:
        target = buckets.create()
        transport.put(bucket, "o", b"mine")
        transport.put(target, "o", b"theirs")
        with refuses(BucketAlreadyExistsError, target.cname, "already exists"):
            transport.rename_bucket(bucket, target)
        assert transport.read(bucket, "o") == b"mine"
        assert transport.read(target, "o") == b"theirs"

    # copy

    def test_copy_creates_the_target_like_the_source(
        self, transport: Transport, buckets: BucketFactory
    ) -> None:
        source, target = buckets.create({"checksum.type": "md5"}), buckets.reserve()
        content = {f"dir/o-{i}": pattern(i * 1000) for i in range(5)}
        for name, data in content.items():
            transport.put(source, name, data, PutOptions(custom={"name": name}))
        result = transport.copy_bucket(source, target)
        assert (result.objects, result.size) == (5, sum(map(len, content.values())))
        assert transport.head_bucket(target).checksum.type == "md5"
        for name, data in content.items():
            assert transport.read(target, name) == data
            assert transport.head(target, name).checksum == transport.head(source, name).checksum
            assert dict(transport.head(target, name).custom) == {"name": name}
        transport.destroy_bucket(source)
        assert {name: transport.read(target, name) for name in content} == content

    def test_copy_replaces_and_keeps_the_rest(
        self, transport: Transport, buckets: BucketFactory, bucket: BucketRef
    ) -> None:
        target = buckets.create()
        transport.put(bucket, "both", b"new")
        transport.put(target, "both", b"old")
        transport.put(target, "other", b"other")
        transport.copy_bucket(bucket, target)
        assert transport.read(target, "both") == b"new"
        assert transport.read(target, "other") == b"other"

    def test_copy_selects_and_prepends(
        self, transport: Transport, buckets: BucketFactory, bucket: BucketRef
    ) -> None:
        target = buckets.create()
        for name in ("train/a", "train/b", "trainer", "val/a"):
            transport.put(bucket, name, name.encode())
        result = transport.copy_bucket(
            bucket, target, CopyOptions(prefix="train/", prepend="copy-")
        )
        assert result.objects == 2
        assert list_names(transport, target) == ["copy-train/a", "copy-train/b"]
        assert transport.read(target, "copy-train/b") == b"train/b"

    def test_copy_dry_run_counts_and_changes_nothing(
        self, transport: Transport, buckets: BucketFactory, bucket: BucketRef
    ) -> None:
        target = buckets.create()
        transport.put(bucket, "o", b"content")
        transport.put(target, "gone", b"content")
        options = CopyOptions(dry_run=True, synchronize=True)
        result = transport.copy_bucket(bucket, target, options)
        assert (result.objects, result.size) == (1, 7)
        assert list_names(transport, target) == ["gone"]

    def test_copy_synchronize_deletes_what_the_source_lacks(
        self, transport: Transport, buckets: BucketFactory, bucket: BucketRef
    ) -> None:
        target = buckets.create()
        transport.put(bucket, "kept", b"content")
        for name in ("gone-1", "kept", "gone-2"):
            transport.put(target, name, b"old")
        result = transport.copy_bucket(bucket, target, CopyOptions(synchronize=True))
        assert (result.objects, result.deleted) == (1, 2)
        assert list_names(transport, target) == ["kept"]

    def test_copy_onto_itself_is_refused(self, transport: Transport, bucket: BucketRef) -> None:
        transport.put(bucket, "o", b"content")
        with refuses(InvalidArgumentError, bucket.cname):
            transport.copy_bucket(bucket, bucket)
        assert transport.read(bucket, "o") == b"content"

    # destroy and summary

    def test_destroyed_bucket_comes_back_empty(
        self, transport: Transport, bucket: BucketRef
    ) -> None:
        for i in range(20):
            transport.put(bucket, f"o-{i}", pattern(5000, i))
        transport.destroy_bucket(bucket)
        assert bucket not in transport.list_buckets()
        with refuses(AisError, bucket.cname):
            transport.read(bucket, "o-1")
        transport.create_bucket(bucket)
        assert transport.list_page(bucket).entries == []
        assert transport.put(bucket, "o-1", b"new").version == "1"

    def test_summary_counts(self, transport: Transport, bucket: BucketRef) -> None:
        empty = transport.summarize_bucket(bucket)
        assert (empty.bucket, empty.object_count, empty.size) == (bucket, 0, 0)
        for name, size in (("a/1", 10), ("a/2", 20), ("b", 90)):
            transport.put(bucket, name, pattern(size))
        full = transport.summarize_bucket(bucket)
        assert (full.object_count, full.size) == (3, 120)
        assert (full.size_min, full.size_avg, full.size_max) == (10, 40, 90)
        part = transport.summarize_bucket(bucket, "a/")
        assert (part.object_count, part.size, part.size_max) == (2, 30, 20)
        transport.put(bucket, "b", pattern(1))
        transport.delete(bucket, "a/1")
        assert transport.summarize_bucket(bucket).size == 21

    def test_buckets_do_not_see_each_other(
        self, transport: Transport, buckets: BucketFactory, bucket: BucketRef
    ) -> None:
        other = buckets.create()
        transport.put(bucket, "o", b"mine")
        with refuses(ObjectNotFoundError, other.object_cname("o")):
            transport.read(other, "o")
        assert transport.list_page(other, ListOptions()).entries == []
        transport.put_members(other, "s.tar", [MemberInput("m", 1, b"x")])
        assert list_names(transport, bucket) == ["o"]
