"""Suite: storing objects. Whole or not at all, checked, versioned, under conditions."""

import threading
import time
from collections.abc import Iterator

import pytest

from aiscore.errors import (
    AisError,
    ChecksumMismatchError,
    InvalidArgumentError,
    InvalidNameError,
    ObjectNotFoundError,
    PreconditionFailedError,
)
from aiscore.model.bucket import BucketRef
from aiscore.model.checksum import Checksum, ChecksumType
from aiscore.model.names import OBJECT_NAME_MAX
from aiscore.model.objects import (
    CUSTOM_METADATA_MAX,
    GetOptions,
    ObjectProps,
    Precondition,
    PutOptions,
)
from aiscore.testing.content import (
    BODIES,
    LARGE,
    SIZES,
    BrokenBodyError,
    broken,
    checksum_of,
    in_blocks,
    is_checksum_of,
    pattern,
)
from aiscore.testing.expect import refuses
from aiscore.testing.fixtures import BucketFactory, Fixtures
from aiscore.testing.listing import list_names
from aiscore.transport.base import Transport

__all__ = ["WritingTests", "unchanged"]

REAL_TYPES = [kind for kind in ChecksumType if kind is not ChecksumType.NONE]

GOOD_NAMES = (
    "a",
    "a/b/c.jpg",
    "a.b/..c/d..",
    "dir/.hidden",
    "with space and\ttab",
    "100%25 & co?x=1#y;z",
    "quote'\"\\back",
    "ünïcödé/日本語/😀",
    "new\nline",
    "-rf",
    "~tilde",
    "ais:b",
    "a//b",
    "n" * OBJECT_NAME_MAX,
    "é" * (OBJECT_NAME_MAX // 2),
)
BAD_NAMES = (
    "",
    "/",
    "a/",
    "/a",
    "~/a",
    ".",
    "..",
    "a/../b",
    "./a",
    "a/.",
    "a\0b",
    "n" * (OBJECT_NAME_MAX + 1),
    "é" * (OBJECT_NAME_MAX // 2 + 1),
    "\ud800",
)


class WritingTests(Fixtures):
    """Put."""

    @pytest.mark.parametrize("kind", BODIES)
    @pytest.mark.parametrize("size", [*SIZES, LARGE])
    def test_put_stores_every_kind_of_body(
        self, transport: Transport, bucket: BucketRef, kind: str, size: int
    ) -> None:
        data = pattern(size)
        before_ns = time.time_ns()
        stored = transport.put(bucket, "dir/o", BODIES[kind](data))
        assert (stored.name, stored.size, stored.version) == ("dir/o", size, "1")
        assert is_checksum_of(stored.checksum, data)
        assert stored.etag
        assert before_ns - 2_000_000_000 <= stored.mtime_ns <= time.time_ns() + 2_000_000_000
        assert transport.read(bucket, "dir/o", GetOptions(verify_checksum=True)) == data
        head = transport.head(bucket, "dir/o")
        assert (head.size, head.checksum, head.version, head.etag) == (
            stored.size,
            stored.checksum,
            stored.version,
            stored.etag,
        )

    @pytest.mark.parametrize("size", [10, LARGE])
    def test_body_that_fails_leaves_nothing(
        self, transport: Transport, bucket: BucketRef, size: int
    ) -> None:
        with pytest.raises((BrokenBodyError, AisError)):
            transport.put(bucket, "o", broken(pattern(size)))
        with refuses(ObjectNotFoundError, bucket.object_cname("o")):
            transport.head(bucket, "o")
        assert list_names(transport, bucket) == []

    @pytest.mark.parametrize("size", [10, LARGE])
    def test_body_that_fails_leaves_the_object_before(
        self, transport: Transport, bucket: BucketRef, size: int
    ) -> None:
        before = transport.put(bucket, "o", b"before")
        with pytest.raises((BrokenBodyError, AisError)):
            transport.put(bucket, "o", broken(pattern(size)))
        assert transport.read(bucket, "o") == b"before"
        assert transport.head(bucket, "o").etag == before.etag
        assert transport.put(bucket, "o", b"after").version == "2"

    def test_object_is_not_visible_before_it_is_whole(
        self, transport: Transport, bucket: BucketRef
    ) -> None:
        def body() -> Iterator[bytes]:
            yield pattern(2_000_000)
            with pytest.raises(ObjectNotFoundError):
                transport.head(bucket, "o")
            assert list_names(transport, bucket) == []
            yield pattern(10)

        transport.put(bucket, "o", body())
        assert transport.head(bucket, "o").size == 2_000_010

    @pytest.mark.parametrize("kind", ["bytes", "file", "generator"])
    def test_size_must_be_that_of_the_body(
        self, transport: Transport, bucket: BucketRef, kind: str
    ) -> None:
        data = pattern(100_000)
        for wrong in (99_999, 100_001, 0):
            with refuses(InvalidArgumentError, bucket.object_cname("o")):
                transport.put(bucket, "o", BODIES[kind](data), PutOptions(size=wrong))
        with refuses(ObjectNotFoundError):
            transport.head(bucket, "o")
        transport.put(bucket, "o", BODIES[kind](data), PutOptions(size=100_000))
        assert transport.read(bucket, "o") == data

    # checksums

    @pytest.mark.parametrize("kind", REAL_TYPES)
    @pytest.mark.parametrize("size", [0, 100, LARGE])
    def test_right_checksum_is_accepted(
        self, transport: Transport, bucket: BucketRef, kind: ChecksumType, size: int
    ) -> None:
        data = pattern(size)
        options = PutOptions(checksum=checksum_of(kind, data))
        stored = transport.put(bucket, "o", in_blocks(data), options)
        # What comes along is verified; what is kept is of the bucket's type.
        own = ChecksumType(transport.head_bucket(bucket).checksum.type)
        assert stored.checksum == checksum_of(own, data)
        assert transport.read(bucket, "o") == data

    @pytest.mark.parametrize("kind", REAL_TYPES)
    @pytest.mark.parametrize("size", [0, 100, LARGE])
    def test_wrong_checksum_stores_nothing(
        self, transport: Transport, bucket: BucketRef, kind: ChecksumType, size: int
    ) -> None:
        transport.put(bucket, "old", b"before")
        wrong = checksum_of(kind, pattern(size, seed=1) + b"!")
        for name in ("new", "old"):
            cname = bucket.object_cname(name)
            with refuses(ChecksumMismatchError, cname, wrong.value) as info:
                transport.put(bucket, name, pattern(size), PutOptions(checksum=wrong))
            assert checksum_of(kind, pattern(size)).value in info.value.message
        assert list_names(transport, bucket) == ["old"]
        assert transport.read(bucket, "old") == b"before"

    @pytest.mark.parametrize("kind", REAL_TYPES)
    def test_another_checksum_type_can_be_computed(
        self, transport: Transport, bucket: BucketRef, kind: ChecksumType
    ) -> None:
        stored = transport.put(bucket, "o", b"content", PutOptions(compute=kind))
        assert stored.checksum == checksum_of(kind, b"content")
        assert transport.head(bucket, "o").checksum == stored.checksum
        assert transport.read(bucket, "o", GetOptions(verify_checksum=True)) == b"content"

    @pytest.mark.parametrize("kind", REAL_TYPES)
    def test_bucket_says_the_checksum_type(
        self, transport: Transport, buckets: BucketFactory, kind: ChecksumType
    ) -> None:
        bucket = buckets.create({"checksum.type": kind.value})
        data = pattern(LARGE)
        assert transport.put(bucket, "o", data).checksum == checksum_of(kind, data)
        assert transport.read(bucket, "o", GetOptions(verify_checksum=True)) == data

    def test_bucket_without_checksums(self, transport: Transport, buckets: BucketFactory) -> None:
        bucket = buckets.create({"checksum.type": "none"})
        assert transport.put(bucket, "o", b"content").checksum is None
        assert transport.head(bucket, "o").checksum is None
        assert transport.read(bucket, "o", GetOptions(verify_checksum=True)) == b"content"

    # custom metadata, names

    def test_custom_metadata_is_kept(self, transport: Transport, bucket: BucketRef) -> None:
        custom = {"label": "7", "Class": "spam & eggs", "uni": "日本", "eq": "a=b,c"}
        stored = transport.put(bucket, "o", b"content", PutOptions(custom=custom))
        assert dict(stored.custom) == custom
        assert dict(transport.head(bucket, "o").custom) == custom
        assert dict(transport.put(bucket, "o", b"again").custom) == {}

    def test_custom_metadata_has_a_limit(self, transport: Transport, bucket: BucketRef) -> None:
        fits = {"k": "v" * (CUSTOM_METADATA_MAX - 1)}
        transport.put(bucket, "fits", b"", PutOptions(custom=fits))
        assert dict(transport.head(bucket, "fits").custom) == fits
        for bad in ({"k": "v" * CUSTOM_METADATA_MAX}, {"": "v"}, {"a=b": "v"}, {"k": "two\nlines"}):
            with refuses(InvalidArgumentError):
                transport.put(bucket, "bad", b"", PutOptions(custom=bad))
        assert list_names(transport, bucket) == ["fits"]

    def test_good_names_are_kept(self, transport: Transport, bucket: BucketRef) -> None:
        for name in GOOD_NAMES:
            assert transport.put(bucket, name, name.encode()).name == name
        for name in GOOD_NAMES:
            assert transport.read(bucket, name) == name.encode()
            assert transport.head(bucket, name).name == name
        assert list_names(transport, bucket) == sorted(GOOD_NAMES, key=str.encode)

    def test_a_name_may_be_the_directory_of_another(
        self, transport: Transport, bucket: BucketRef
    ) -> None:
        for name in ("a/b/c", "a", "a/b"):
            transport.put(bucket, name, name.encode())
        transport.delete(bucket, "a")
        assert transport.read(bucket, "a/b") == b"a/b"
        assert transport.read(bucket, "a/b/c") == b"a/b/c"

    @pytest.mark.parametrize("name", BAD_NAMES, ids=ascii)
    def test_bad_names_are_refused(
        self, transport: Transport, bucket: BucketRef, name: str
    ) -> None:
        transport.put(bucket, "o", b"content")
        with refuses(InvalidNameError):
            transport.put(bucket, name, b"content")
        with refuses(InvalidNameError):
            transport.rename(bucket, "o", name)
        with refuses(InvalidNameError):
            transport.copy(bucket, "o", bucket, name)
        with refuses(InvalidNameError):
            transport.append(bucket, name, b"content")
        assert list_names(transport, bucket) == ["o"]

    # versions, conditions

    def test_versions_count_from_one(self, transport: Transport, bucket: BucketRef) -> None:
        etags = set()
        for version in ("1", "2", "3"):
            stored = transport.put(bucket, "o", version.encode())
            assert stored.version == version
            assert transport.head(bucket, "o").version == version
            etags.add(stored.etag)
        assert len(etags) == 3
        assert transport.put(bucket, "other", b"x").version == "1"

    def test_if_absent(self, transport: Transport, bucket: BucketRef) -> None:
        options = PutOptions(precondition=Precondition(if_absent=True))
        transport.put(bucket, "o", b"first", options)
        with refuses(PreconditionFailedError, bucket.object_cname("o")):
            transport.put(bucket, "o", b"second", options)
        assert transport.read(bucket, "o") == b"first"
        transport.delete(bucket, "o")
        transport.put(bucket, "o", b"third", options)

    @pytest.mark.parametrize("field", ["etag", "version"])
    def test_if_unchanged(self, transport: Transport, bucket: BucketRef, field: str) -> None:
        seen, condition = unchanged(transport.put(bucket, "o", b"first"), field)
        options = PutOptions(precondition=condition)
        second = transport.put(bucket, "o", b"second", options)
        assert second.version == "2"
        with refuses(PreconditionFailedError, bucket.object_cname("o"), seen):
            transport.put(bucket, "o", b"third", options)
        assert transport.read(bucket, "o") == b"second"
        with refuses(PreconditionFailedError, bucket.object_cname("missing")):
            transport.put(bucket, "missing", b"new", options)
        assert list_names(transport, bucket) == ["o"]

    def test_condition_is_checked_when_the_object_becomes_visible(
        self, transport: Transport, bucket: BucketRef
    ) -> None:
        def body() -> Iterator[bytes]:
            yield b"slow "
            transport.put(bucket, "o", b"fast")
            yield b"writer"

        with refuses(PreconditionFailedError, bucket.object_cname("o")):
            transport.put(
                bucket, "o", body(), PutOptions(precondition=Precondition(if_absent=True))
            )
        assert transport.read(bucket, "o") == b"fast"

    def test_only_one_of_many_creates(self, transport: Transport, bucket: BucketRef) -> None:
        options = PutOptions(precondition=Precondition(if_absent=True))
        won: list[int] = []

        def create(i: int) -> None:
            try:
                transport.put(bucket, "o", str(i).encode(), options)
            except PreconditionFailedError:
                return
            won.append(i)

        _run_all([threading.Thread(target=create, args=(i,)) for i in range(8)])
        assert len(won) == 1
        assert transport.read(bucket, "o") == str(won[0]).encode()

    # the same content again

    def test_same_checksum_changes_nothing(self, transport: Transport, bucket: BucketRef) -> None:
        data = pattern(LARGE)
        first = transport.put(bucket, "o", data)
        assert first.checksum is not None
        drained: list[int] = []

        def body() -> Iterator[bytes]:
            for block in in_blocks(data):
                drained.append(len(block))
                yield block

        again = transport.put(bucket, "o", body(), PutOptions(checksum=first.checksum))
        assert (again.version, again.etag, again.mtime_ns) == ("1", first.etag, first.mtime_ns)
        assert sum(drained) == len(data)
        forced = transport.put(
            bucket, "o", data, PutOptions(checksum=first.checksum, skip_same=False)
        )
        assert forced.version == "2"

    def test_same_content_of_another_name_is_stored(
        self, transport: Transport, bucket: BucketRef
    ) -> None:
        first = transport.put(bucket, "o", b"content")
        transport.put(bucket, "p", b"content", PutOptions(checksum=first.checksum))
        assert transport.read(bucket, "p") == b"content"

    def test_unknown_checksum_does_not_skip(self, transport: Transport, bucket: BucketRef) -> None:
        transport.put(bucket, "o", b"before")
        none = Checksum(ChecksumType.NONE, "")
        transport.put(bucket, "o", b"after", PutOptions(checksum=none))
        assert transport.read(bucket, "o") == b"after"

    # several at once

    def test_writers_of_one_name_leave_one_whole_object(
        self, transport: Transport, bucket: BucketRef
    ) -> None:
        contents = [pattern(300_000 + i, seed=i) for i in range(8)]

        def write(data: bytes) -> None:
            transport.put(bucket, "o", in_blocks(data))

        _run_all([threading.Thread(target=write, args=(data,)) for data in contents])
        assert transport.read(bucket, "o", GetOptions(verify_checksum=True)) in contents
        assert transport.head(bucket, "o").version == "8"

    def test_chunked_bucket_gives_back_what_it_took(
        self, transport: Transport, buckets: BucketFactory
    ) -> None:
        bucket = buckets.create({"chunks.objsize_limit": "256KiB", "chunks.chunk_size": "100KiB"})
        data = pattern(LARGE)
        stored = transport.put(bucket, "o", in_blocks(data))
        assert is_checksum_of(stored.checksum, data)
        assert transport.read(bucket, "o", GetOptions(verify_checksum=True)) == data
        assert transport.head(bucket, "o").size == LARGE


def unchanged(props: ObjectProps, field: str) -> tuple[str, Precondition]:
    """What the object has now, and the condition that it still has it."""
    if field == "etag":
        return props.etag, Precondition(if_etag=props.etag)
    return props.version, Precondition(if_version=props.version)


def _run_all(threads: list[threading.Thread]) -> None:
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
        assert not thread.is_alive()
