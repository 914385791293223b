"""Suite: rechunk."""

from dataclasses import replace

import pytest

from aiscore.errors import BucketNotFoundError, InvalidArgumentError
from aiscore.model.bucket import BucketRef
from aiscore.model.chunks import RechunkOptions, RechunkResult
from aiscore.model.multipart import PartRef, UploadOptions
from aiscore.model.objects import GetOptions, ObjectProps, PutOptions
from aiscore.model.xaction import XactionFilter, XactionKind, XactionState
from aiscore.testing.content import pattern
from aiscore.testing.expect import refuses
from aiscore.testing.fixtures import BucketFactory, Fixtures
from aiscore.transport.base import MemberInput, Transport

__all__ = ["RechunkTests"]

KIB = 1024
VERIFIED = GetOptions(verify_checksum=True)
CONTENTS = {f"d{n % 2}/o{n:02d}": pattern(n * KIB, n) for n in range(0, 20, 3)}
"""0, 3, 6 … 18 KiB."""
IN_CHUNKS = RechunkOptions(objsize_limit=6 * KIB, chunk_size=2 * KIB)
WHOLE = RechunkOptions(objsize_limit=0, chunk_size=2 * KIB)


def _fill(transport: Transport, bucket: BucketRef) -> dict[str, ObjectProps]:
    return {
        name: transport.put(bucket, name, data, PutOptions(custom={"n": name}))
        for name, data in CONTENTS.items()
    }


def _without_layout(props: ObjectProps) -> ObjectProps:
    return replace(props, chunk_count=1, chunk_size_max=0, location="")


class RechunkTests(Fixtures):
    """Rechunk."""

    def test_there_and_back(self, transport: Transport, bucket: BucketRef) -> None:
        before = _fill(transport, bucket)
        sizes = [len(data) for data in CONTENTS.values()]
        large = [size for size in sizes if size >= 6 * KIB]
        result = transport.rechunk_bucket(bucket, IN_CHUNKS)
        assert result == RechunkResult(
            objects=len(sizes), size=sum(sizes), chunked=len(large), chunked_size=sum(large)
        )
        assert result.skipped == len(sizes) - len(large)
        for name, data in CONTENTS.items():
            props = transport.head(bucket, name)
            count = -(-len(data) // (2 * KIB)) if len(data) >= 6 * KIB else 1
            assert props.chunk_count == count
            assert props.chunk_size_max == min(2 * KIB, len(data)) or count == 1
            assert _without_layout(props) == _without_layout(before[name])
            assert transport.read(bucket, name, VERIFIED) == data
        result = transport.rechunk_bucket(bucket, WHOLE)
        assert (result.restored, result.restored_size) == (len(large), sum(large))
        assert result.chunked == 0
        for name, data in CONTENTS.items():
            props = transport.head(bucket, name)
            assert props.chunk_count == 1
            assert _without_layout(props) == _without_layout(before[name])
            assert transport.read(bucket, name, VERIFIED) == data

    def test_second_time_there_is_nothing_to_do(
        self, transport: Transport, bucket: BucketRef
    ) -> None:
        _fill(transport, bucket)
        transport.rechunk_bucket(bucket, IN_CHUNKS)
        result = transport.rechunk_bucket(bucket, IN_CHUNKS)
        assert (result.chunked, result.restored, result.skipped) == (0, 0, len(CONTENTS))

    def test_other_chunk_size(self, transport: Transport, bucket: BucketRef) -> None:
        _fill(transport, bucket)
        transport.rechunk_bucket(bucket, IN_CHUNKS)
        smaller = RechunkOptions(objsize_limit=6 * KIB, chunk_size=KIB)
        assert transport.rechunk_bucket(bucket, smaller).chunked == 5
        assert transport.head(bucket, "d0/o18").chunk_count == 18
        assert transport.read(bucket, "d0/o18", VERIFIED) == CONTENTS["d0/o18"]

    def test_only_names_with_a_prefix(self, transport: Transport, bucket: BucketRef) -> None:
        _fill(transport, bucket)
        inside = [name for name in CONTENTS if name.startswith("d1/")]
        result = transport.rechunk_bucket(bucket, replace(IN_CHUNKS, prefix="d1/"))
        assert result.objects == len(inside)
        for name, data in CONTENTS.items():
            is_chunked = name in inside and len(data) >= 6 * KIB
            assert transport.head(bucket, name).is_chunked == is_chunked

    def test_dry_run_counts(self, transport: Transport, bucket: BucketRef) -> None:
        before = _fill(transport, bucket)
        planned = transport.rechunk_bucket(bucket, replace(IN_CHUNKS, dry_run=True))
        assert {name: transport.head(bucket, name) for name in CONTENTS} == before
        wanted = XactionFilter(kind=XactionKind.RECHUNK, bucket=bucket)
        assert transport.list_xactions(wanted) == []
        assert transport.rechunk_bucket(bucket, IN_CHUNKS) == planned

    def test_sizes_of_the_bucket(self, transport: Transport, buckets: BucketFactory) -> None:
        ref = buckets.create()
        _fill(transport, ref)
        assert transport.rechunk_bucket(ref).chunked == 0
        changes = {"chunks.objsize_limit": f"{6 * KIB}", "chunks.chunk_size": f"{2 * KIB}"}
        transport.set_bucket_props(ref, changes)
        assert transport.rechunk_bucket(ref).chunked == 5
        assert transport.rechunk_bucket(ref, RechunkOptions(chunk_size=KIB)).chunked == 5
        assert transport.head(ref, "d0/o18").chunk_count == 18
        assert transport.rechunk_bucket(ref, RechunkOptions(objsize_limit=0)).restored == 5

    def test_uploads_keep_their_etag(self, transport: Transport, bucket: BucketRef) -> None:
        upload = transport.create_upload(bucket, "o", UploadOptions(md5=True))
        for number in (1, 2, 3):
            transport.put_part(bucket, "o", upload, number, pattern(3000 + number, number))
        refs = [PartRef(number=number) for number in (1, 2, 3)]
        before = transport.complete_upload(bucket, "o", upload, refs)
        data = transport.read(bucket, "o")
        for options, count in ((IN_CHUNKS, 5), (WHOLE, 1)):
            transport.rechunk_bucket(bucket, options)
            after = transport.head(bucket, "o")
            assert after.chunk_count == count
            assert (after.etag, after.version, after.checksum) == (
                before.etag,
                before.version,
                before.checksum,
            )
            assert transport.read(bucket, "o", VERIFIED) == data

    def test_shards_keep_their_members(self, transport: Transport, bucket: BucketRef) -> None:
        files = {f"f{n}": pattern(900 + n, n) for n in range(20)}
        members = [MemberInput(name, len(data), data) for name, data in files.items()]
        for shard in ("s.tar", "s.tgz"):
            transport.put_members(bucket, shard, members)
            transport.read(bucket, shard, GetOptions(archpath="f3"))
        for options in (IN_CHUNKS, WHOLE):
            transport.rechunk_bucket(bucket, options)
            for shard in ("s.tar", "s.tgz"):
                for name, data in files.items():
                    assert transport.read(bucket, shard, GetOptions(archpath=name)) == data

    def test_reader_goes_on(self, transport: Transport, bucket: BucketRef) -> None:
        _fill(transport, bucket)
        for options in (IN_CHUNKS, WHOLE):
            with transport.open(bucket, "d0/o18") as reader:
                start = reader.read(3000)
                transport.rechunk_bucket(bucket, options)
                assert start + reader.read() == CONTENTS["d0/o18"]

    def test_rechunk_leaves_a_job(self, transport: Transport, bucket: BucketRef) -> None:
        _fill(transport, bucket)
        result = transport.rechunk_bucket(bucket, replace(IN_CHUNKS, prefix="d"))
        (job,) = transport.list_xactions(XactionFilter(kind=XactionKind.RECHUNK, bucket=bucket))
        assert job.state is XactionState.FINISHED
        assert (job.objects, job.size) == (result.objects, result.size)
        assert job.control == f"objsize-limit:{6 * KIB}, chunk-size:{2 * KIB}, prefix:d"

    def test_bandwidth(self, transport: Transport, bucket: BucketRef) -> None:
        _fill(transport, bucket)
        limited = replace(IN_CHUNKS, bandwidth=1 << 30)
        assert transport.rechunk_bucket(bucket, limited).chunked == 5

    @pytest.mark.parametrize(
        ("limit", "chunk"), [(None, 1023), (None, 6 << 30), (2 << 40, None)], ids=str
    )
    def test_sizes_are_checked(
        self, transport: Transport, bucket: BucketRef, limit: int | None, chunk: int | None
    ) -> None:
        options = RechunkOptions(objsize_limit=limit, chunk_size=chunk)
        with refuses(InvalidArgumentError, "chunks."):
            transport.rechunk_bucket(bucket, options)

    def test_options_are_checked(self) -> None:
        for chunk_size, limit, bandwidth in ((0, 0, 0), (-1, 0, 0), (KIB, -1, 0), (KIB, 0, -1)):
            with pytest.raises(InvalidArgumentError):
                RechunkOptions(chunk_size=chunk_size, objsize_limit=limit, bandwidth=bandwidth)

    def test_rechunk_of_no_bucket(self, transport: Transport, buckets: BucketFactory) -> None:
        absent = buckets.reserve()
        with refuses(BucketNotFoundError, absent.cname):
            transport.rechunk_bucket(absent)
