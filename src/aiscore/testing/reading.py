"""Suite: reading objects, whole and in ranges, while others change them."""

from collections.abc import Callable

import pytest

from aiscore.errors import (
    BucketNotFoundError,
    InvalidNameError,
    ObjectNotFoundError,
    RangeNotSatisfiableError,
)
from aiscore.model.bucket import BucketRef
from aiscore.model.byterange import ByteRange
from aiscore.model.objects import GetOptions, PutOptions
from aiscore.model.stream import BLOCK_SIZE
from aiscore.testing.content import LARGE, SIZES, is_checksum_of, pattern
from aiscore.testing.expect import refuses
from aiscore.testing.fixtures import BucketFactory, Fixtures
from aiscore.transport.base import ObjectReader, Transport

__all__ = ["ReadingTests"]

RANGES: tuple[tuple[int, int, int | None], ...] = (
    # size of the object, offset, length
    (10, 0, None),
    (10, 0, 10),
    (10, 0, 1),
    (10, 3, 4),
    (10, 9, 1),
    (10, 9, None),
    (10, 3, 1000),
    (10, -1, None),
    (10, -10, None),
    (10, -1000, None),
    (LARGE, 0, BLOCK_SIZE),
    (LARGE, BLOCK_SIZE - 1, 2),
    (LARGE, BLOCK_SIZE, BLOCK_SIZE),
    (LARGE, 1, LARGE - 2),
    (LARGE, 2 * BLOCK_SIZE - 1, None),
    (LARGE, -BLOCK_SIZE - 1, None),
)


def _overwrite(transport: Transport, bucket: BucketRef) -> None:
    transport.put(bucket, "o", b"another content")


def _delete(transport: Transport, bucket: BucketRef) -> None:
    transport.delete(bucket, "o")


def _delete_and_write(transport: Transport, bucket: BucketRef) -> None:
    transport.delete(bucket, "o")
    for i in range(10):
        transport.put(bucket, f"other-{i}", pattern(10_000, seed=i))


def _rename(transport: Transport, bucket: BucketRef) -> None:
    transport.rename(bucket, "o", "p")
    transport.put(bucket, "o", b"another content")


def _destroy(transport: Transport, bucket: BucketRef) -> None:
    transport.destroy_bucket(bucket)


def _destroy_and_create(transport: Transport, bucket: BucketRef) -> None:
    transport.destroy_bucket(bucket)
    transport.create_bucket(bucket)
    transport.put(bucket, "o", b"another content")


CHANGES: dict[str, Callable[[Transport, BucketRef], None]] = {
    "overwritten": _overwrite,
    "deleted": _delete,
    "deleted, others written": _delete_and_write,
    "renamed": _rename,
    "bucket destroyed": _destroy,
    "bucket destroyed and made again": _destroy_and_create,
}


class ReadingTests(Fixtures):
    """Get."""

    @pytest.mark.parametrize("size", [*SIZES, LARGE])
    def test_every_way_of_reading_gives_the_content(
        self, transport: Transport, bucket: BucketRef, size: int
    ) -> None:
        data = pattern(size)
        transport.put(bucket, "o", data)
        assert transport.read(bucket, "o") == data
        with transport.open(bucket, "o") as reader:
            assert (reader.size, reader.props.size) == (size, size)
            assert reader.read() == data
            assert reader.read() == b""
            assert reader.read(10) == b""
            assert reader.readinto(bytearray(10)) == 0
        with transport.open(bucket, "o") as reader:
            blocks = list(reader)
            assert b"".join(blocks) == data
            assert all(0 < len(block) <= BLOCK_SIZE for block in blocks)
        with transport.open(bucket, "o") as reader:
            assert _read_in_steps(reader, 300_007) == data
        with transport.open(bucket, "o") as reader:
            assert _readinto_in_steps(reader, 300_007) == data

    def test_ways_of_reading_can_be_mixed(self, transport: Transport, bucket: BucketRef) -> None:
        data = pattern(LARGE)
        transport.put(bucket, "o", data)
        with transport.open(bucket, "o") as reader:
            first = reader.read(1000)
            assert first == data[: len(first)]
            buffer = bytearray(5000)
            count = reader.readinto(buffer)
            assert first + buffer[:count] + next(iter(reader)) + reader.read() == data

    def test_read_of_nothing_is_empty(self, transport: Transport, bucket: BucketRef) -> None:
        transport.put(bucket, "o", b"content")
        with transport.open(bucket, "o") as reader:
            assert reader.read(0) == b""
            assert reader.read() == b"content"

    def test_reader_has_the_properties(self, transport: Transport, bucket: BucketRef) -> None:
        transport.put(bucket, "o", b"0123456789", PutOptions(custom={"k": "v"}))
        head = transport.head(bucket, "o")
        options = GetOptions(byte_range=ByteRange(offset=2, length=3))
        with transport.open(bucket, "o", options) as reader:
            assert reader.size == 3
            assert (reader.props.name, reader.props.size) == ("o", 10)
            assert reader.props.checksum == head.checksum
            assert reader.props.etag == head.etag
            assert dict(reader.props.custom) == {"k": "v"}

    def test_close_can_be_repeated(self, transport: Transport, bucket: BucketRef) -> None:
        transport.put(bucket, "o", pattern(LARGE))
        reader = transport.open(bucket, "o")
        assert len(reader.read(10)) == 10
        reader.close()
        reader.close()
        with transport.open(bucket, "o") as other:
            other.close()

    def test_readers_are_independent(self, transport: Transport, bucket: BucketRef) -> None:
        data = pattern(LARGE)
        transport.put(bucket, "o", data)
        with transport.open(bucket, "o") as first, transport.open(bucket, "o") as second:
            start = first.read(1000)
            assert second.read() == data
            assert start + first.read() == data

    # ranges

    @pytest.mark.parametrize(("size", "offset", "length"), RANGES)
    def test_range(
        self, transport: Transport, bucket: BucketRef, size: int, offset: int, length: int | None
    ) -> None:
        data = pattern(size)
        transport.put(bucket, "o", data)
        end = size if length is None else offset + length
        expected = data[offset:] if offset < 0 else data[offset:end]
        options = GetOptions(byte_range=ByteRange(offset=offset, length=length))
        assert transport.read(bucket, "o", options) == expected
        with transport.open(bucket, "o", options) as reader:
            assert reader.size == len(expected)
            assert _read_in_steps(reader, 65_537) == expected
        with transport.open(bucket, "o", options) as reader:
            assert b"".join(reader) == expected

    def test_range_of_a_chunked_object(self, transport: Transport, buckets: BucketFactory) -> None:
        bucket = buckets.create({"chunks.objsize_limit": "64KiB", "chunks.chunk_size": "64KiB"})
        data = pattern(1_000_000)
        transport.put(bucket, "o", data)
        edge = 64 << 10
        for offset in (0, edge - 1, edge, edge + 1, 5 * edge - 3, 999_999):
            for length in (1, 2, edge, edge + 1, 3 * edge):
                options = GetOptions(byte_range=ByteRange(offset=offset, length=length))
                assert transport.read(bucket, "o", options) == data[offset : offset + length]

    @pytest.mark.parametrize(
        ("size", "offset", "length"),
        [(10, 10, None), (10, 10, 1), (10, 11, 1), (0, 0, None), (0, 0, 1), (0, -1, None)],
    )
    def test_range_past_the_end_is_an_error(
        self, transport: Transport, bucket: BucketRef, size: int, offset: int, length: int | None
    ) -> None:
        transport.put(bucket, "o", pattern(size))
        options = GetOptions(byte_range=ByteRange(offset=offset, length=length))
        for get in (transport.read, transport.open):
            with refuses(RangeNotSatisfiableError, bucket.object_cname("o"), str(size)):
                get(bucket, "o", options)

    def test_range_with_verification(self, transport: Transport, bucket: BucketRef) -> None:
        data = pattern(LARGE)
        transport.put(bucket, "o", data)
        options = GetOptions(byte_range=ByteRange(offset=7, length=11), verify_checksum=True)
        assert transport.read(bucket, "o", options) == data[7:18]

    # what is not there

    def test_missing_object_is_named(self, transport: Transport, bucket: BucketRef) -> None:
        transport.put(bucket, "a/b", b"content")
        for name in ("o", "a", "a/b/c", "A/B"):
            cname = bucket.object_cname(name)
            for get in (transport.read, transport.open, transport.head):
                with refuses(ObjectNotFoundError, cname, "does not exist"):
                    get(bucket, name)

    @pytest.mark.parametrize("name", ["", "a/", "/a", "a/../b", "a\0b"])
    def test_bad_name_is_refused(self, transport: Transport, bucket: BucketRef, name: str) -> None:
        for get in (transport.read, transport.open, transport.head):
            with refuses(InvalidNameError):
                get(bucket, name)

    def test_head_tells_what_put_told(self, transport: Transport, bucket: BucketRef) -> None:
        stored = transport.put(bucket, "o", b"content", PutOptions(custom={"k": "v"}))
        head = transport.head(bucket, "o")
        for field in ("name", "size", "checksum", "version", "mtime_ns", "etag", "chunk_count"):
            assert getattr(head, field) == getattr(stored, field), field
        assert is_checksum_of(head.checksum, b"content")
        assert dict(head.custom) == {"k": "v"}
        assert head.copies >= 1
        assert not head.is_chunked

    # others change it meanwhile

    @pytest.mark.parametrize("change", CHANGES)
    @pytest.mark.parametrize("size", [100, 100_000, LARGE])
    def test_reader_keeps_the_content_it_opened(
        self, transport: Transport, bucket: BucketRef, change: str, size: int
    ) -> None:
        data = pattern(size)
        before = transport.put(bucket, "o", data)
        with (
            transport.open(bucket, "o") as untouched,
            transport.open(bucket, "o") as started,
            transport.open(
                bucket, "o", GetOptions(byte_range=ByteRange(offset=size // 2))
            ) as ranged,
        ):
            start = started.read(50)
            CHANGES[change](transport, bucket)
            assert start + started.read() == data
            assert b"".join(untouched) == data
            assert ranged.read() == data[size // 2 :]
            assert untouched.props.etag == before.etag

    def test_destroyed_bucket_is_gone_for_new_readers(
        self, transport: Transport, bucket: BucketRef
    ) -> None:
        transport.put(bucket, "o", pattern(LARGE))
        with transport.open(bucket, "o") as reader:
            transport.destroy_bucket(bucket)
            with refuses(BucketNotFoundError, bucket.cname):
                transport.open(bucket, "o")
            assert len(reader.read()) == LARGE


def _read_in_steps(reader: ObjectReader, step: int) -> bytes:
    parts = []
    while part := reader.read(step):
        assert len(part) <= step
        parts.append(part)
    return b"".join(parts)


def _readinto_in_steps(reader: ObjectReader, step: int) -> bytes:
    out, buffer = bytearray(), bytearray(step)
    while count := reader.readinto(memoryview(buffer)):
        out += buffer[:count]
    return bytes(out)
