"""Suite: chunked objects. What is stored in chunks is in every respect the object that it is in one piece."""

import tarfile
from collections.abc import Iterator
from io import BytesIO

import pytest

from aiscore.errors import InvalidArgumentError, RangeNotSatisfiableError
from aiscore.model.archive import ArchiveFormat
from aiscore.model.batch import BatchEntry, BatchRequest
from aiscore.model.bucket import BucketRef
from aiscore.model.byterange import ByteRange
from aiscore.model.checksum import ChecksumType
from aiscore.model.objects import (
    ArchivePutMode,
    CopyOptions,
    EntryFlag,
    GetOptions,
    ListOptions,
    PutOptions,
    Selection,
)
from aiscore.model.stream import BLOCK_SIZE, Body
from aiscore.testing.content import LARGE, OnlyReads, drain, in_blocks, is_checksum_of, pattern
from aiscore.testing.expect import refuses
from aiscore.testing.fixtures import BucketFactory, Fixtures
from aiscore.transport.base import MemberInput, Transport

__all__ = ["CHUNK", "CHUNKED", "ChunkTests"]

CHUNK = 1024
LIMIT = 4 * CHUNK
CHUNKED = {"chunks.objsize_limit": f"{LIMIT}", "chunks.chunk_size": f"{CHUNK}"}
VERIFIED = GetOptions(verify_checksum=True)


class ChunkTests(Fixtures):
    """Chunked objects."""

    @pytest.fixture
    def chunked(self, buckets: BucketFactory) -> BucketRef:
        """A bucket that chunks objects of 4 KiB and more, a KiB a chunk."""
        return buckets.create(CHUNKED)

    @pytest.mark.parametrize(
        ("size", "count"),
        [
            (0, 1),
            (1, 1),
            (LIMIT - 1, 1),
            (LIMIT, 4),
            (LIMIT + 1, 5),
            (10 * CHUNK, 10),
            (10 * CHUNK - 1, 10),
            (BLOCK_SIZE + 1, 1025),
        ],
    )
    @pytest.mark.parametrize("announced", [True, False], ids=["announced", "unannounced"])
    @pytest.mark.parametrize("kind", ["bytes", "blocks", "reader"])
    def test_what_is_large_enough_is_chunked(
        self,
        transport: Transport,
        chunked: BucketRef,
        size: int,
        count: int,
        announced: bool,
        kind: str,
    ) -> None:
        data = pattern(size)
        bodies: dict[str, Body] = {
            "bytes": data,
            "blocks": in_blocks(data, 700),
            "reader": OnlyReads(data),
        }
        put = transport.put(
            chunked, "o", bodies[kind], PutOptions(size=size if announced else None)
        )
        props = transport.head(chunked, "o")
        assert (put.chunk_count, props.chunk_count) == (count, count)
        assert props.is_chunked == (count > 1)
        assert props.chunk_size_max == (CHUNK if count > 1 else size)
        assert (props.size, props.version) == (size, "1")
        assert is_checksum_of(props.checksum, data)
        assert transport.read(chunked, "o", VERIFIED) == data

    @pytest.mark.parametrize("size", [0, 1, 4 * BLOCK_SIZE])
    def test_bucket_without_limit_does_not_chunk(
        self, transport: Transport, bucket: BucketRef, size: int
    ) -> None:
        assert transport.put(bucket, "o", pattern(size)).chunk_count == 1

    def test_chunks_grow_where_ten_thousand_would_be_needed(
        self, transport: Transport, chunked: BucketRef
    ) -> None:
        data = pattern(10_001 * CHUNK)
        props = transport.put(chunked, "o", data)
        assert 5_000 < props.chunk_count <= 9_999
        assert transport.read(chunked, "o", VERIFIED) == data

    def test_most_chunks(self, transport: Transport, chunked: BucketRef) -> None:
        data = pattern(9_999 * CHUNK)
        assert transport.put(chunked, "o", data).chunk_count == 9_999
        assert transport.read(chunked, "o") == data
        last = GetOptions(byte_range=ByteRange(len(data) - CHUNK - 1, None))
        assert transport.read(chunked, "o", last) == data[-CHUNK - 1 :]
        transport.delete(chunked, "o")

    def test_too_long_without_announcement_leaves_nothing(
        self, transport: Transport, chunked: BucketRef
    ) -> None:
        transport.put(chunked, "o", b"before")
        with pytest.raises(Exception, match="9999 chunks"):
            transport.put(chunked, "o", in_blocks(pattern(9_999 * CHUNK + 1), BLOCK_SIZE))
        assert transport.read(chunked, "o") == b"before"

    @pytest.mark.parametrize("kind", list(ChecksumType))
    def test_checksum_is_that_of_the_whole(
        self, transport: Transport, chunked: BucketRef, kind: ChecksumType
    ) -> None:
        data = pattern(LARGE)
        props = transport.put(chunked, "o", in_blocks(data), PutOptions(compute=kind))
        assert (props.checksum is None) == (kind is ChecksumType.NONE)
        assert props.checksum is None or is_checksum_of(props.checksum, data)
        assert transport.read(chunked, "o", VERIFIED) == data

    @pytest.mark.parametrize(
        ("offset", "length"),
        [
            (0, 1),
            (CHUNK - 1, 1),
            (CHUNK - 1, 2),
            (CHUNK, 1),
            (CHUNK, CHUNK),
            (CHUNK - 1, CHUNK + 2),
            (3 * CHUNK + 7, 4 * CHUNK),
            (10 * CHUNK, 3),
            (10 * CHUNK + 2, None),
            (0, None),
            (-1, None),
            (-CHUNK - 5, None),
            (5, 1_000_000),
        ],
    )
    def test_ranges_over_borders(
        self, transport: Transport, chunked: BucketRef, offset: int, length: int | None
    ) -> None:
        data = pattern(10 * CHUNK + 3)
        transport.put(chunked, "o", data)
        start = max(len(data) + offset, 0) if offset < 0 else offset
        expected = data[start:] if length is None else data[start : start + length]
        for verify in (False, True):
            options = GetOptions(byte_range=ByteRange(offset, length), verify_checksum=verify)
            assert transport.read(chunked, "o", options) == expected
            with transport.open(chunked, "o", options) as reader:
                assert drain(reader) == expected

    def test_range_behind_the_end(self, transport: Transport, chunked: BucketRef) -> None:
        transport.put(chunked, "o", pattern(10 * CHUNK))
        options = GetOptions(byte_range=ByteRange(10 * CHUNK, None))
        with refuses(RangeNotSatisfiableError, chunked.object_cname("o")):
            transport.read(chunked, "o", options)

    @pytest.mark.parametrize("shard", ["s.tar", "s.tgz", "s.tar.lz4", "s.zip"])
    def test_shards_over_borders(
        self, transport: Transport, chunked: BucketRef, shard: str
    ) -> None:
        files = {f"dir/f{n}": pattern(600 * n + 1, n) for n in range(12)}
        members = [MemberInput(name, len(data), data) for name, data in files.items()]
        assert transport.put_members(chunked, shard, members).chunk_count > 4
        listed = {m.name: m.size for m in transport.list_members(chunked, shard)}
        assert listed == {name: len(data) for name, data in files.items()}
        for name, data in files.items():
            assert transport.read(chunked, shard, GetOptions(archpath=name)) == data
        part = GetOptions(archpath="dir/f9", byte_range=ByteRange(1_000, 2_000))
        assert transport.read(chunked, shard, part) == files["dir/f9"][1_000:3_000]
        more = [MemberInput("more", 5_000, pattern(5_000))]
        transport.put_members(chunked, shard, more, ArchivePutMode.APPEND)
        assert transport.read(chunked, shard, GetOptions(archpath="more")) == pattern(5_000)
        assert transport.read(chunked, shard, GetOptions(archpath="dir/f3")) == files["dir/f3"]

    def test_batch_over_borders(self, transport: Transport, chunked: BucketRef) -> None:
        contents = {f"o{n}": pattern(n * 777, n) for n in range(20)}
        for name, data in contents.items():
            transport.put(chunked, name, data)
        files = {f"m{n}": pattern(900, n) for n in range(20)}
        transport.put_members(
            chunked, "s.tar", [MemberInput(name, 900, data) for name, data in files.items()]
        )
        entries = [BatchEntry(name) for name in contents]
        entries += [BatchEntry("s.tar", archpath=name) for name in reversed(files)]
        request = BatchRequest(entries=entries, bucket=chunked)
        with transport.get_batch(request) as stream:
            answers = [data for _, data in stream]
        assert answers == [*contents.values(), *reversed(files.values())]
        whole = BatchRequest(
            entries=[BatchEntry("o19")], bucket=chunked, output_format=ArchiveFormat.TAR
        )
        with transport.get_batch_archive(whole) as archive:
            raw = b"".join(map(bytes, archive))
        with tarfile.open(fileobj=BytesIO(raw)) as tar:
            file = tar.extractfile(tar.getmembers()[0])
            assert file is not None
            assert file.read() == contents["o19"]

    def test_overwriting_in_every_direction(self, transport: Transport, chunked: BucketRef) -> None:
        sizes = (10, 20 * CHUNK, 7 * CHUNK, 0, 9 * CHUNK + 1, 5)
        etags = set()
        for version, size in enumerate(sizes, start=1):
            props = transport.put(chunked, "o", pattern(size, version))
            etags.add(props.etag)
            assert props.version == str(version)
            assert transport.read(chunked, "o", VERIFIED) == pattern(size, version)
        assert len(etags) == len(sizes)

    def test_reader_keeps_what_it_opened(self, transport: Transport, chunked: BucketRef) -> None:
        before, after = pattern(20 * CHUNK, 1), pattern(20 * CHUNK, 2)
        transport.put(chunked, "o", before)
        with transport.open(chunked, "o") as reader:
            start = reader.read(CHUNK + 1)
            transport.put(chunked, "o", after)
            assert start + reader.read() == before
        with transport.open(chunked, "o") as reader:
            start = reader.read(CHUNK + 1)
            transport.delete(chunked, "o")
            assert start + reader.read() == after

    def test_rename_keeps_all(self, transport: Transport, chunked: BucketRef) -> None:
        data = pattern(9 * CHUNK)
        before = transport.put(chunked, "o", data, PutOptions(custom={"k": "v"}))
        transport.put(chunked, "p", pattern(7 * CHUNK))
        transport.rename(chunked, "o", "p")
        after = transport.head(chunked, "p")
        assert (after.etag, after.checksum, after.chunk_count, dict(after.custom)) == (
            before.etag,
            before.checksum,
            9,
            {"k": "v"},
        )
        assert transport.read(chunked, "p", VERIFIED) == data

    @pytest.mark.parametrize("chunks", [0, 512, CHUNK, 3 * CHUNK])
    def test_copy_is_laid_out_as_its_bucket_says(
        self, transport: Transport, chunked: BucketRef, buckets: BucketFactory, chunks: int
    ) -> None:
        changes = {"chunks.objsize_limit": f"{2 * CHUNK if chunks else 0}"}
        if chunks >= CHUNK:
            changes["chunks.chunk_size"] = f"{chunks}"
        target = buckets.create(changes)
        data = pattern(10 * CHUNK)
        source = transport.put(chunked, "o", data, PutOptions(custom={"k": "v"}))
        copied = transport.copy(chunked, "o", target, "p")
        whole = chunks < CHUNK
        assert copied.chunk_count == (1 if whole else -(-10 * CHUNK // chunks))
        assert (copied.checksum, dict(copied.custom)) == (source.checksum, {"k": "v"})
        assert transport.read(target, "p", VERIFIED) == data
        transport.copy(target, "p", chunked, "back")
        assert transport.head(chunked, "back").chunk_count == 10
        transport.delete(chunked, "o")
        assert transport.read(chunked, "back", VERIFIED) == data
        assert transport.read(target, "p", VERIFIED) == data

    def test_bucket_copy_and_archive(
        self, transport: Transport, chunked: BucketRef, buckets: BucketFactory
    ) -> None:
        contents = {f"o{n}": pattern(n * 2 * CHUNK, n) for n in range(5)}
        for name, data in contents.items():
            transport.put(chunked, name, data)
        target = buckets.reserve()
        assert transport.copy_bucket(chunked, target, CopyOptions()).objects == 5
        for name, data in contents.items():
            assert transport.read(target, name, VERIFIED) == data
        transport.archive_objects(chunked, Selection(prefix="o"), chunked, "all.tar")
        for name, data in contents.items():
            assert transport.read(chunked, "all.tar", GetOptions(archpath=name)) == data

    def test_append_grows_in_one_piece(self, transport: Transport, chunked: BucketRef) -> None:
        data = pattern(8 * CHUNK)
        transport.put(chunked, "o", data)
        handle = transport.append(chunked, "o", b"more")
        assert transport.read(chunked, "o") == data
        transport.flush_append(chunked, "o", handle)
        assert transport.read(chunked, "o", VERIFIED) == data + b"more"

    def test_listing_tells_chunked_ones(self, transport: Transport, chunked: BucketRef) -> None:
        transport.put(chunked, "large", pattern(8 * CHUNK))
        transport.put(chunked, "small", b"1")
        page = transport.list_page(chunked, ListOptions())
        flags = {entry.name: EntryFlag.CHUNKED in entry.flags for entry in page.entries}
        assert flags == {"large": True, "small": False}

    def test_delete_many_and_destroy(self, transport: Transport, buckets: BucketFactory) -> None:
        ref = buckets.create(CHUNKED)
        for number in range(4):
            transport.put(ref, f"o{number}", pattern(6 * CHUNK))
        assert transport.delete_many(ref, Selection(names=("o0", "o1"))).deleted == 2
        transport.destroy_bucket(ref)
        assert transport.validate().faults == ()

    def test_body_that_breaks_leaves_the_old_object(
        self, transport: Transport, chunked: BucketRef
    ) -> None:
        data = pattern(6 * CHUNK)
        transport.put(chunked, "o", data)

        def broken() -> Iterator[bytes]:
            yield pattern(20 * CHUNK, 1)
            raise ConnectionError("the body failed in its middle")

        with pytest.raises(ConnectionError):
            transport.put(chunked, "o", broken())
        wrong = PutOptions(size=7 * CHUNK)
        with refuses(InvalidArgumentError, chunked.object_cname("o")):
            transport.put(chunked, "o", in_blocks(pattern(8 * CHUNK)), wrong)
        assert transport.read(chunked, "o", VERIFIED) == data

    @pytest.mark.parametrize("every", ["1", "3", "1024"])
    def test_checkpoints_leave_no_trace(
        self, transport: Transport, buckets: BucketFactory, every: str
    ) -> None:
        ref = buckets.create({**CHUNKED, "chunks.checkpoint_every": every})
        data = pattern(20 * CHUNK + 5)
        for options in (PutOptions(size=len(data)), PutOptions()):
            props = transport.put(ref, "o", in_blocks(data, 1500), options)
            assert props.chunk_count == 21
            assert transport.read(ref, "o", VERIFIED) == data
        assert transport.put(ref, "small", in_blocks(data[:3000], 100)).chunk_count == 1
        assert transport.read(ref, "small", VERIFIED) == data[:3000]
        with pytest.raises(InvalidArgumentError):
            transport.put(ref, "o", in_blocks(data, 1500), PutOptions(size=len(data) + 1))
        assert transport.read(ref, "o", VERIFIED) == data

    @pytest.mark.parametrize(
        "changes",
        [
            {"chunks.chunk_size": "1023"},
            {"chunks.chunk_size": "6GiB"},
            {"chunks.chunk_size": "-1"},
            {"chunks.max_monolithic_size": "1MiB"},
            {"chunks.max_monolithic_size": "2TiB"},
            {"chunks.objsize_limit": "2GiB", "chunks.max_monolithic_size": "1GiB"},
            {"chunks.objsize_limit": "-1"},
            {"chunks.checkpoint_every": "1025"},
            {"chunks.checkpoint_every": "-1"},
        ],
        ids=str,
    )
    def test_properties_are_always_checked(
        self, transport: Transport, bucket: BucketRef, changes: dict[str, str]
    ) -> None:
        before = transport.head_bucket(bucket).chunks
        with refuses(InvalidArgumentError, "chunks."):
            transport.set_bucket_props(bucket, changes)
        assert transport.head_bucket(bucket).chunks == before

    def test_zero_means_the_default(self, transport: Transport, bucket: BucketRef) -> None:
        changes = {"chunks.chunk_size": "0", "chunks.max_monolithic_size": "0"}
        chunks = transport.set_bucket_props(bucket, changes).chunks
        assert (chunks.chunk_size, chunks.max_monolithic_size) == (1 << 30, 1 << 40)
