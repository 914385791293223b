"""Suite: multipart upload."""

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from aiscore.errors import (
    BucketNotFoundError,
    ChecksumMismatchError,
    InvalidArgumentError,
    InvalidNameError,
    NotFoundError,
    PreconditionFailedError,
)
from aiscore.model.bucket import BucketRef
from aiscore.model.byterange import ByteRange
from aiscore.model.checksum import Checksum, ChecksumType
from aiscore.model.multipart import (
    PART_NUMBER_MAX,
    CompleteOptions,
    PartInfo,
    PartOptions,
    PartRef,
    UploadOptions,
)
from aiscore.model.objects import GetOptions, ListOptions, Precondition
from aiscore.testing.content import (
    BODIES,
    LARGE,
    BrokenBodyError,
    broken,
    checksum_of,
    in_blocks,
    is_checksum_of,
    pattern,
)
from aiscore.testing.expect import refuses
from aiscore.testing.fixtures import BucketFactory, Fixtures
from aiscore.transport.base import Transport

__all__ = ["MultipartTests"]

VERIFIED = GetOptions(verify_checksum=True)
SIZES = (5_000, 1, 1 << 20, 70_001)
UNKNOWN = "0123456789abcdef0123456789abcdef"


def _content(number: int) -> bytes:
    return pattern(SIZES[number % len(SIZES)], number)


def _whole(numbers: Sequence[int]) -> bytes:
    return b"".join(map(_content, numbers))


def _refs(parts: Sequence[PartInfo]) -> list[PartRef]:
    return [PartRef(number=part.number, etag=part.etag) for part in parts]


class MultipartTests(Fixtures):
    """Multipart upload."""

    @pytest.mark.parametrize("order", [(1, 2, 3, 4), (4, 2, 3, 1), (1,)], ids=str)
    def test_parts_become_the_object(
        self, transport: Transport, bucket: BucketRef, order: tuple[int, ...]
    ) -> None:
        upload = transport.create_upload(bucket, "o")
        for number in order:
            part = transport.put_part(bucket, "o", upload, number, _content(number))
            assert (part.number, part.size) == (number, len(_content(number)))
            assert is_checksum_of(part.checksum, _content(number))
            assert part.etag
        data = _whole(sorted(order))
        props = transport.complete_upload(
            bucket, "o", upload, [PartRef(number=number) for number in order]
        )
        assert (props.name, props.size, props.version) == ("o", len(data), "1")
        assert props.chunk_count == len(order)
        assert props.etag, "AIStore leaves it empty here"
        assert is_checksum_of(props.checksum, data)
        assert transport.head(bucket, "o") == props
        assert transport.read(bucket, "o", VERIFIED) == data

    def test_nothing_is_visible_before(self, transport: Transport, bucket: BucketRef) -> None:
        upload = transport.create_upload(bucket, "o")
        transport.put_part(bucket, "o", upload, 1, b"part")
        assert transport.list_page(bucket, ListOptions()).entries == []
        with pytest.raises(NotFoundError):
            transport.head(bucket, "o")
        transport.put(bucket, "o", b"put meanwhile")
        assert transport.read(bucket, "o") == b"put meanwhile"
        props = transport.complete_upload(bucket, "o", upload, [PartRef(number=1)])
        assert (props.version, transport.read(bucket, "o")) == ("2", b"part")

    @pytest.mark.parametrize("kind", list(BODIES))
    def test_bodies_of_all_kinds(self, transport: Transport, bucket: BucketRef, kind: str) -> None:
        data = pattern(LARGE)
        upload = transport.create_upload(bucket, "o")
        for number in (1, 2):
            body = BODIES[kind](data)
            transport.put_part(bucket, "o", upload, number, body, PartOptions(size=LARGE))
        transport.complete_upload(bucket, "o", upload, [PartRef(number=n) for n in (2, 1)])
        assert transport.read(bucket, "o", VERIFIED) == data + data

    def test_a_part_can_be_sent_again(self, transport: Transport, bucket: BucketRef) -> None:
        upload = transport.create_upload(bucket, "o")
        first = transport.put_part(bucket, "o", upload, 1, b"wrong")
        second = transport.put_part(bucket, "o", upload, 1, b"right")
        assert first.etag != second.etag
        assert [p.etag for p in transport.list_parts(bucket, "o", upload)] == [second.etag]
        with refuses(ChecksumMismatchError, "part 1", bucket.object_cname("o")):
            transport.complete_upload(bucket, "o", upload, _refs([first]))
        transport.complete_upload(bucket, "o", upload, _refs([second]))
        assert transport.read(bucket, "o") == b"right"

    def test_s3_etags(self, transport: Transport, bucket: BucketRef) -> None:
        upload = transport.create_upload(bucket, "o", UploadOptions(md5=True))
        parts = [transport.put_part(bucket, "o", upload, n, _content(n)) for n in (1, 2, 3)]
        digests = [hashlib.md5(_content(n)) for n in (1, 2, 3)]
        assert [part.etag for part in parts] == [digest.hexdigest() for digest in digests]
        quoted = [PartRef(number=part.number, etag=f'"{part.etag}"') for part in parts]
        props = transport.complete_upload(bucket, "o", upload, quoted)
        whole = hashlib.md5(b"".join(digest.digest() for digest in digests)).hexdigest()
        assert props.etag == f"{whole}-3"
        assert transport.head(bucket, "o").etag == f"{whole}-3"
        assert transport.copy(bucket, "o", bucket, "copy").etag == f"{whole}-3"
        assert transport.set_custom(bucket, "o", {"k": "v"}, replace=True).etag == f"{whole}-3"
        handle = transport.append(bucket, "o", b"other content")
        assert transport.flush_append(bucket, "o", handle).etag != f"{whole}-3"
        assert transport.put(bucket, "copy", b"other content").etag != f"{whole}-3"

    def test_etag_is_of_the_content(self, transport: Transport, bucket: BucketRef) -> None:
        etags = set()
        for _ in range(2):
            upload = transport.create_upload(bucket, "o")
            part = transport.put_part(bucket, "o", upload, 1, b"same")
            etags.add(transport.complete_upload(bucket, "o", upload, _refs([part])).etag)
        assert len(etags) == 2

    def test_custom_metadata_of_the_begin(self, transport: Transport, bucket: BucketRef) -> None:
        upload = transport.create_upload(bucket, "o", UploadOptions(custom={"k": "v"}))
        part = transport.put_part(bucket, "o", upload, 1, b"part")
        props = transport.complete_upload(bucket, "o", upload, _refs([part]))
        assert dict(props.custom) == {"k": "v"}
        with pytest.raises(InvalidArgumentError):
            UploadOptions(custom={"k": "v" * 5_000})

    def test_ranges_over_parts(self, transport: Transport, bucket: BucketRef) -> None:
        upload = transport.create_upload(bucket, "o")
        parts = [transport.put_part(bucket, "o", upload, n, _content(n)) for n in (1, 2, 3, 4)]
        transport.complete_upload(bucket, "o", upload, _refs(parts))
        data, border = _whole((1, 2, 3, 4)), 0
        for part in parts:
            for start in (max(border - 2, 0), border):
                options = GetOptions(byte_range=ByteRange(start, 5))
                assert transport.read(bucket, "o", options) == data[start : start + 5]
            border += part.size

    # what is refused

    def test_list_must_be_that_of_the_parts(self, transport: Transport, bucket: BucketRef) -> None:
        cname = bucket.object_cname("o")
        upload = transport.create_upload(bucket, "o")
        for number in (1, 2, 3):
            transport.put_part(bucket, "o", upload, number, _content(number))
        for numbers, message in (
            ((), "empty parts list"),
            ((1, 2), "partial completion"),
            ((1, 2, 3, 4), "partial completion"),
            ((1, 2, 4), "exactly 1..3"),
            ((1, 2, 2), "exactly 1..3"),
            ((0, 1, 2), "exactly 1..3"),
        ):
            refs = [PartRef(number=number) for number in numbers]
            with refuses(InvalidArgumentError, message, cname):
                transport.complete_upload(bucket, "o", upload, refs)
        refs = [PartRef(number=number) for number in (3, 1, 2)]
        transport.complete_upload(bucket, "o", upload, refs)
        assert transport.read(bucket, "o") == _whole((1, 2, 3))

    def test_gap_is_refused(self, transport: Transport, bucket: BucketRef) -> None:
        upload = transport.create_upload(bucket, "o")
        for number in (1, 3):
            transport.put_part(bucket, "o", upload, number, b"part")
        with refuses(InvalidArgumentError, "exactly 1..2", bucket.object_cname("o")):
            transport.complete_upload(bucket, "o", upload, [PartRef(number=n) for n in (1, 3)])

    def test_partial_completion_as_in_s3(self, transport: Transport, bucket: BucketRef) -> None:
        upload = transport.create_upload(bucket, "o")
        for number in (2, 5, 7, PART_NUMBER_MAX):
            transport.put_part(bucket, "o", upload, number, _content(number))
        partial = CompleteOptions(partial=True)
        for numbers, message in (
            ((5, 2), "ascending"),
            ((2, 2), "ascending"),
            ((2, 3), "part 3"),
            ((), "empty parts list"),
        ):
            refs = [PartRef(number=number) for number in numbers]
            with refuses(InvalidArgumentError, message, bucket.object_cname("o")):
                transport.complete_upload(bucket, "o", upload, refs, partial)
        refs = [PartRef(number=number) for number in (2, 7, PART_NUMBER_MAX)]
        props = transport.complete_upload(bucket, "o", upload, refs, partial)
        assert props.chunk_count == 3
        assert transport.read(bucket, "o", VERIFIED) == _whole((2, 7, PART_NUMBER_MAX))

    def test_listed_checksums_are_compared(self, transport: Transport, bucket: BucketRef) -> None:
        upload = transport.create_upload(bucket, "o")
        part = transport.put_part(bucket, "o", upload, 1, b"part")
        assert part.checksum is not None
        wrong = checksum_of(part.checksum.type, b"other")
        with refuses(ChecksumMismatchError, "part 1", wrong.value):
            transport.complete_upload(bucket, "o", upload, [PartRef(number=1, checksum=wrong)])
        other = checksum_of(ChecksumType.SHA512, b"part")
        with refuses(InvalidArgumentError, "sha512"):
            transport.complete_upload(bucket, "o", upload, [PartRef(number=1, checksum=other)])
        right = [PartRef(number=1, checksum=part.checksum)]
        transport.complete_upload(bucket, "o", upload, right)

    def test_checksum_of_the_whole_is_verified(
        self, transport: Transport, bucket: BucketRef
    ) -> None:
        upload = transport.create_upload(bucket, "o")
        parts = [transport.put_part(bucket, "o", upload, n, _content(n)) for n in (1, 2)]
        wrong = CompleteOptions(checksum=checksum_of(ChecksumType.SHA256, b"other"))
        with refuses(ChecksumMismatchError, bucket.object_cname("o")):
            transport.complete_upload(bucket, "o", upload, _refs(parts), wrong)
        right = CompleteOptions(checksum=checksum_of(ChecksumType.SHA256, _whole((1, 2))))
        transport.complete_upload(bucket, "o", upload, _refs(parts), right)

    @pytest.mark.parametrize("kind", list(ChecksumType))
    def test_checksum_types(
        self, transport: Transport, buckets: BucketFactory, kind: ChecksumType
    ) -> None:
        ref = buckets.create({"checksum.type": kind.value})
        upload = transport.create_upload(ref, "o", UploadOptions(md5=kind is ChecksumType.CRC32C))
        parts = [transport.put_part(ref, "o", upload, n, _content(n)) for n in (1, 2, 3)]
        props = transport.complete_upload(ref, "o", upload, _refs(parts))
        if kind is ChecksumType.NONE:
            assert props.checksum is None
            assert parts[0].checksum is None
        else:
            assert props.checksum == checksum_of(kind, _whole((1, 2, 3)))
        assert transport.read(ref, "o", VERIFIED) == _whole((1, 2, 3))

    def test_wrong_part_is_not_stored(self, transport: Transport, bucket: BucketRef) -> None:
        cname = bucket.object_cname("o")
        upload = transport.create_upload(bucket, "o")
        good = transport.put_part(bucket, "o", upload, 1, b"good")
        wrong = PartOptions(checksum=Checksum(ChecksumType.MD5, "0" * 32))
        with refuses(ChecksumMismatchError, "part 1", cname):
            transport.put_part(bucket, "o", upload, 1, b"other", wrong)
        for size in (4, 6):
            with refuses(InvalidArgumentError, "part 1", cname):
                transport.put_part(bucket, "o", upload, 1, b"other", PartOptions(size=size))
            with refuses(InvalidArgumentError, "part 1", cname):
                body = in_blocks(b"other", 2)
                transport.put_part(bucket, "o", upload, 1, body, PartOptions(size=size))
        with refuses(InvalidArgumentError, "part 1", "empty"):
            transport.put_part(bucket, "o", upload, 1, b"")
        with pytest.raises(BrokenBodyError):
            transport.put_part(bucket, "o", upload, 1, broken(pattern(LARGE)))
        assert transport.list_parts(bucket, "o", upload) == [good]
        right = PartOptions(checksum=checksum_of(ChecksumType.SHA256, b"good"), size=4)
        transport.put_part(bucket, "o", upload, 1, b"good", right)

    @pytest.mark.parametrize("number", [0, -1, PART_NUMBER_MAX + 1])
    def test_part_numbers(self, transport: Transport, bucket: BucketRef, number: int) -> None:
        upload = transport.create_upload(bucket, "o")
        with refuses(InvalidArgumentError, "part number must be a positive integer", str(number)):
            transport.put_part(bucket, "o", upload, number, b"part")

    def test_unknown_upload(self, transport: Transport, bucket: BucketRef) -> None:
        spent = transport.create_upload(bucket, "o")
        transport.put_part(bucket, "o", spent, 1, b"part")
        transport.complete_upload(bucket, "o", spent, [PartRef(number=1)])
        aborted = transport.create_upload(bucket, "o")
        transport.abort_upload(bucket, "o", aborted)
        other = transport.create_upload(bucket, "other")
        for upload in (UNKNOWN, spent, aborted, other):
            cname = bucket.object_cname("o")
            with refuses(NotFoundError, upload, cname):
                transport.put_part(bucket, "o", upload, 2, b"part")
            with refuses(NotFoundError, upload, cname):
                transport.complete_upload(bucket, "o", upload, [PartRef(number=1)])
            with refuses(NotFoundError, upload, cname):
                transport.list_parts(bucket, "o", upload)
            with refuses(NotFoundError, upload, cname):
                transport.abort_upload(bucket, "o", upload)
        assert transport.read(bucket, "o") == b"part"

    @pytest.mark.parametrize("upload", ["", "short", "a/../../../b", "with space", "x" * 129])
    def test_what_is_no_id(self, transport: Transport, bucket: BucketRef, upload: str) -> None:
        with pytest.raises((InvalidArgumentError, NotFoundError)):
            transport.put_part(bucket, "o", upload, 1, b"part")

    def test_names_and_buckets_are_checked(
        self, transport: Transport, bucket: BucketRef, buckets: BucketFactory
    ) -> None:
        with pytest.raises(InvalidNameError):
            transport.create_upload(bucket, "../o")
        absent = buckets.reserve()
        with refuses(BucketNotFoundError, absent.cname):
            transport.create_upload(absent, "o")
        with refuses(BucketNotFoundError, absent.cname):
            transport.list_uploads(absent)

    # preconditions

    def test_precondition_holds_at_completion(
        self, transport: Transport, bucket: BucketRef
    ) -> None:
        absent = CompleteOptions(precondition=Precondition(if_absent=True))
        upload = transport.create_upload(bucket, "o")
        part = transport.put_part(bucket, "o", upload, 1, b"part")
        before = transport.put(bucket, "o", b"put")
        with refuses(PreconditionFailedError, bucket.object_cname("o")):
            transport.complete_upload(bucket, "o", upload, _refs([part]), absent)
        assert transport.read(bucket, "o") == b"put"
        same = CompleteOptions(precondition=Precondition(if_etag=before.etag))
        transport.complete_upload(bucket, "o", upload, _refs([part]), same)
        assert transport.read(bucket, "o") == b"part"

    # listing and aborting

    def test_list_uploads(self, transport: Transport, bucket: BucketRef) -> None:
        names = ("a", "b/x", "b/x", "b/y", "日本")
        made = [(name, transport.create_upload(bucket, name)) for name in names]
        transport.put_part(bucket, "a", made[0][1], 2, b"12345")
        transport.put_part(bucket, "a", made[0][1], 1, b"123")
        found = transport.list_uploads(bucket)
        assert [(upload.name, upload.upload_id) for upload in found] == made
        assert (found[0].part_count, found[0].size) == (2, 8)
        assert found[0].created_ns <= found[0].used_ns
        inside = transport.list_uploads(bucket, "b/")
        assert [(upload.name, upload.upload_id) for upload in inside] == made[1:4]
        paged: list[tuple[str, str]] = []
        while page := transport.list_uploads(bucket, after=paged[-1] if paged else None, limit=2):
            paged += [(upload.name, upload.upload_id) for upload in page]
        assert paged == made
        for name, upload in made:
            transport.abort_upload(bucket, name, upload)
        assert transport.list_uploads(bucket) == []

    def test_list_parts(self, transport: Transport, bucket: BucketRef) -> None:
        upload = transport.create_upload(bucket, "o")
        assert transport.list_parts(bucket, "o", upload) == []
        made = {n: transport.put_part(bucket, "o", upload, n, _content(n)) for n in (7, 1, 3)}
        assert transport.list_parts(bucket, "o", upload) == [made[1], made[3], made[7]]
        assert transport.list_parts(bucket, "o", upload, after=1, limit=1) == [made[3]]
        assert transport.list_parts(bucket, "o", upload, after=7) == []
        for limit in (0, -1, 10_001):
            with refuses(InvalidArgumentError, str(limit)):
                transport.list_parts(bucket, "o", upload, limit=limit)

    def test_abort_leaves_the_object(self, transport: Transport, bucket: BucketRef) -> None:
        transport.put(bucket, "o", b"object")
        upload = transport.create_upload(bucket, "o")
        for number in (1, 2):
            transport.put_part(bucket, "o", upload, number, _content(number))
        transport.abort_upload(bucket, "o", upload)
        assert transport.read(bucket, "o") == b"object"
        assert transport.list_uploads(bucket) == []

    def test_uploads_go_with_their_bucket(
        self, transport: Transport, buckets: BucketFactory
    ) -> None:
        ref = buckets.create()
        upload = transport.create_upload(ref, "o")
        transport.put_part(ref, "o", upload, 1, _content(1))
        renamed = buckets.reserve()
        transport.rename_bucket(ref, renamed)
        transport.put_part(renamed, "o", upload, 2, _content(2))
        transport.destroy_bucket(renamed)
        transport.create_bucket(renamed)
        assert transport.list_uploads(renamed) == []
        with refuses(NotFoundError, upload):
            transport.put_part(renamed, "o", upload, 1, b"part")

    # several at a time

    def test_parts_in_parallel(self, transport: Transport, bucket: BucketRef) -> None:
        upload = transport.create_upload(bucket, "o")

        def send(number: int) -> PartInfo:
            return transport.put_part(bucket, "o", upload, number, _content(number))

        with ThreadPoolExecutor(8) as pool:
            parts = list(pool.map(send, range(24, 0, -1)))
        transport.complete_upload(bucket, "o", upload, _refs(parts))
        assert transport.read(bucket, "o", VERIFIED) == _whole(range(1, 25))

    def test_one_of_several_completions_wins(self, transport: Transport, bucket: BucketRef) -> None:
        upload = transport.create_upload(bucket, "o")
        parts = [transport.put_part(bucket, "o", upload, n, _content(n)) for n in (1, 2)]

        def complete(_: int) -> bool:
            try:
                transport.complete_upload(bucket, "o", upload, _refs(parts))
            except NotFoundError:
                return False
            return True

        with ThreadPoolExecutor(4) as pool:
            assert sorted(pool.map(complete, range(4))) == [False, False, False, True]
        assert transport.head(bucket, "o").version == "1"
        assert transport.read(bucket, "o", VERIFIED) == _whole((1, 2))

    def test_the_last_of_two_uploads_wins(self, transport: Transport, bucket: BucketRef) -> None:
        uploads = [transport.create_upload(bucket, "o") for _ in range(2)]
        for number, upload in enumerate(uploads):
            transport.put_part(bucket, "o", upload, 1, _content(number))
        for number, upload in enumerate(uploads):
            transport.complete_upload(bucket, "o", upload, [PartRef(number=1)])
            assert transport.read(bucket, "o") == _content(number)
