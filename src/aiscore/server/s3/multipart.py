"""Multipart uploads: S3's side of the one mechanism that the store has."""

import itertools
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, TypeVar

from aiscore.errors import (
    AisError,
    BucketNotFoundError,
    ChecksumMismatchError,
    InvalidArgumentError,
    NotFoundError,
    ObjectNotFoundError,
)
from aiscore.model.bucket import BucketRef
from aiscore.model.byterange import ByteRange
from aiscore.model.multipart import (
    CHUNK_COUNT_MAX,
    PART_NUMBER_MAX,
    CompleteOptions,
    MultipartUpload,
    PartInfo,
    PartOptions,
    PartRef,
    UploadOptions,
    check_upload_id,
    composite_etag,
)
from aiscore.model.objects import GetOptions, ObjectProps
from aiscore.model.stream import BLOCK_SIZE
from aiscore.server.http import BodySink, Response, ServerContext
from aiscore.server.message import in_pool
from aiscore.server.s3 import checksums
from aiscore.server.s3.algorithms import is_slow, new_digest
from aiscore.server.s3.bodies import Pushed, document
from aiscore.server.s3.body import Received
from aiscore.server.s3.buckets import OWNER
from aiscore.server.s3.call import Call, s3_etag, xml_response
from aiscore.server.s3.faults import S3Error
from aiscore.server.s3.listing import encoding_of
from aiscore.server.s3.metadata import custom_of, refuse_unsupported
from aiscore.server.s3.names import key_of, name_of
from aiscore.server.s3.review import CompleteReview, chosen_for, upload_custom, upload_headers
from aiscore.server.s3.writes import source_check, source_of, write_condition, xml_time
from aiscore.server.s3.xml import Element, XmlWriter, read_xml
from aiscore.wire.conditions import quote_etag
from aiscore.wire.ranges import parse_range

__all__ = ["PART_SIZE_MIN", "Multipart"]

PART_SIZE_MIN: Final = 5 << 20
"""Bytes of every part but the last one; S3's rule, which keeps objects from having thousands of tiny pieces."""
_PAGE_MAX = 1_000

T = TypeVar("T")


class Multipart:
    """Answers what is about multipart uploads."""

    def __init__(self, context: ServerContext) -> None:
        self._context = context
        self._store = context.node.store

    def create(self, call: Call) -> Awaitable[Response]:
        """CreateMultipartUpload."""
        request = call.request
        refuse_unsupported(request)
        of_checksums = upload_custom(request)
        options = UploadOptions(custom={**custom_of(request), **of_checksums}, md5=True)

        def create() -> Response:
            upload_id = self._store.create_upload(call.bucket, call.name, options)
            writer = XmlWriter("InitiateMultipartUploadResult")
            writer.text("Bucket", call.bucket.name)
            writer.text("Key", call.key)
            writer.text("UploadId", upload_id)
            return xml_response(writer, upload_headers(of_checksums))

        return in_pool(self._context, create)

    def put_part(self, call: Call) -> BodySink:
        """UploadPart: straight into the piece that will be a chunk of the object."""
        request = call.request
        refuse_unsupported(request)
        number, upload_id = _part_of(call)
        options = PartOptions(
            size=checksums.content_length(request), checksum=checksums.content_md5(request)
        )
        writer = _of_upload(
            lambda: self._store.open_part_writer(call.bucket, call.name, upload_id, number, options)
        )

        def commit(received: Received) -> Response:
            part = _of_upload(lambda: writer.commit(received.checksum))
            return Response(200, [("ETag", quote_etag(part.etag)), *received.headers])

        inbound = Pushed(writer, commit, self._context)
        return checksums.body_sink(request, inbound, call.identity, compares_md5=False)

    def copy_part(self, call: Call) -> Awaitable[Response]:
        """UploadPartCopy."""
        request = call.request
        number, upload_id = _part_of(call)
        bucket, key = source_of(request)
        name = name_of(key)
        check = source_check(request)
        text = request.header("x-amz-copy-source-range")

        def copy() -> Response:
            options = GetOptions()
            if text is not None:
                total = self._store.head(bucket, name).size
                options = GetOptions(byte_range=_exact_range(text, total))
            part = _of_upload(
                lambda: self._copy(call, upload_id, number, bucket, name, options, check)
            )
            writer = XmlWriter("CopyPartResult")
            writer.text("LastModified", xml_time(part.mtime_ns))
            writer.text("ETag", quote_etag(part.etag))
            _write_checksum(writer, part)
            return xml_response(writer)

        return in_pool(self._context, copy)

    def list_parts(self, call: Call) -> Awaitable[Response]:
        """ListParts."""
        upload_id = _upload_of(call)
        after = call.number("part-number-marker", 0)
        limit = call.number("max-parts", _PAGE_MAX, _PAGE_MAX)
        encode = encoding_of(call)

        def answer() -> Response:
            upload = _of_upload(lambda: self._store.find_upload(call.bucket, call.name, upload_id))
            parts = _of_upload(
                lambda: self._store.list_parts(call.bucket, call.name, upload_id, after, limit + 1)
            )
            is_truncated = 0 < limit < len(parts)
            parts = parts[:limit]
            writer = XmlWriter("ListPartsResult")
            writer.text("Bucket", call.bucket.name)
            writer.text("Key", encode(call.key))
            writer.text("UploadId", upload_id)
            _write_owners(writer)
            writer.text("StorageClass", "STANDARD")
            _write_choice(writer, upload)
            writer.text("PartNumberMarker", after)
            writer.text("NextPartNumberMarker", parts[-1].number if parts else 0)
            writer.text("MaxParts", limit)
            writer.text("IsTruncated", "true" if is_truncated else "false")
            for part in parts:
                writer.start("Part")
                writer.text("PartNumber", part.number)
                writer.text("LastModified", xml_time(part.mtime_ns))
                writer.text("ETag", quote_etag(part.etag))
                writer.text("Size", part.size)
                _write_checksum(writer, part)
                writer.end()
            return xml_response(writer)

        return in_pool(self._context, answer)

    def list_uploads(self, call: Call) -> Awaitable[Response]:
        """ListMultipartUploads."""
        query = call.request.query
        prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
        key_marker, id_marker = query.get("key-marker", ""), query.get("upload-id-marker", "")
        limit = call.number("max-uploads", _PAGE_MAX, _PAGE_MAX)
        encode = encoding_of(call)

        def answer() -> Response:
            after = (key_marker, id_marker or "~") if key_marker else None
            found = self._store.list_uploads(call.bucket, prefix, after, limit + 1)
            is_truncated = 0 < limit < len(found)
            found = found[:limit]
            writer = XmlWriter("ListMultipartUploadsResult")
            writer.text("Bucket", call.bucket.name)
            writer.text("KeyMarker", encode(key_marker))
            writer.text("UploadIdMarker", id_marker)
            if is_truncated:
                writer.text("NextKeyMarker", encode(found[-1].name))
                writer.text("NextUploadIdMarker", found[-1].upload_id)
            writer.text("Prefix", encode(prefix))
            if delimiter:
                writer.text("Delimiter", encode(delimiter))
            writer.text("MaxUploads", limit)
            writer.text("IsTruncated", "true" if is_truncated else "false")
            _write_uploads(writer, found, prefix, delimiter, encode)
            return xml_response(writer)

        return in_pool(self._context, answer)

    def complete(self, call: Call) -> BodySink:
        """CompleteMultipartUpload."""
        upload_id = _upload_of(call)
        precondition = write_condition(call.request)

        def complete(body: bytes) -> Response:
            parts, claims = _listed(read_xml(body, ("CompleteMultipartUpload",)))
            options = CompleteOptions(precondition=precondition, partial=True)
            try:
                upload = self._store.find_upload(call.bucket, call.name, upload_id)
            except NotFoundError:
                done = self._completed_before(call, parts)
                if done is None:
                    raise S3Error("NoSuchUpload", _NO_UPLOAD) from None
                return _completed(call, done, [])
            review = CompleteReview(call.request, upload.custom, claims)
            self._check_sizes(call, upload_id, parts)
            try:
                props = self._store.complete_upload(
                    call.bucket, call.name, upload_id, parts, options, review
                )
            except ChecksumMismatchError as exc:
                raise S3Error("InvalidPart", exc.message) from exc
            except NotFoundError as exc:
                raise _no_upload(exc) from exc
            return _completed(call, props, review.elements)

        return document(call, self._context, complete)

    def abort(self, call: Call) -> Awaitable[Response]:
        """AbortMultipartUpload."""
        upload_id = _upload_of(call)

        def abort() -> Response:
            _of_upload(lambda: self._store.abort_upload(call.bucket, call.name, upload_id))
            return Response(204)

        return in_pool(self._context, abort)

    def _copy(
        self,
        call: Call,
        upload_id: str,
        number: int,
        bucket: BucketRef,
        name: str,
        options: GetOptions,
        check: Callable[[ObjectProps], None],
    ) -> PartInfo:
        chosen = chosen_for(self._store.find_upload(call.bucket, call.name, upload_id).custom)
        with self._store.open(bucket, name, options) as reader:
            check(reader.props)
            writer = self._store.open_part_writer(
                call.bucket, call.name, upload_id, number, PartOptions(size=reader.size)
            )
            with writer:
                digest = None if chosen is None else new_digest(chosen[0])
                if digest is not None:
                    writer.watch(digest.update, is_slow=is_slow(digest))
                while block := reader.read(BLOCK_SIZE):
                    writer.write(block)
                writer.drain()
                if chosen is None or digest is None:
                    return writer.commit()
                return writer.commit(checksums.storable(chosen[0], digest.digest()))

    def _check_sizes(self, call: Call, upload_id: str, listed: list[PartRef]) -> None:
        """Every part is there as it is listed, and large enough.

        Raises:
            S3Error: `InvalidPart` or `EntityTooSmall`.
        """
        stored = {
            part.number: part
            for part in self._store.list_parts(
                call.bucket, call.name, upload_id, 0, PART_NUMBER_MAX
            )
        }
        for position, part in enumerate(listed, start=1):
            found = stored.get(part.number)
            if found is None or found.etag != part.etag:
                raise S3Error(
                    "InvalidPart",
                    "One or more of the specified parts could not be found. The part may not have been uploaded, or "
                    f"the specified entity tag may not match the part's: part {part.number}",
                )
            if found.size < PART_SIZE_MIN and position < len(listed):
                raise S3Error(
                    "EntityTooSmall",
                    f"Your proposed upload is smaller than the minimum allowed size: part {part.number} has "
                    f"{found.size} of {PART_SIZE_MIN} bytes",
                )

    def _completed_before(self, call: Call, parts: list[PartRef]) -> ObjectProps | None:
        """The object, if a request whose answer was lost has completed just this."""
        try:
            props = self._store.head(call.bucket, call.name)
            etag = composite_etag([part.etag for part in parts])
        except (ObjectNotFoundError, ValueError):
            return None
        return props if props.etag == etag else None


_NO_UPLOAD = "The specified upload does not exist. It may have been aborted or completed."


def _no_upload(exc: NotFoundError) -> AisError:
    if isinstance(exc, BucketNotFoundError | ObjectNotFoundError):
        return exc
    return S3Error("NoSuchUpload", _NO_UPLOAD)


def _of_upload(work: Callable[[], T]) -> T:
    """Do something with an upload.

    Raises:
        S3Error: `NoSuchUpload` when there is none.
    """
    try:
        return work()
    except NotFoundError as exc:
        raise _no_upload(exc) from exc


def _upload_of(call: Call) -> str:
    upload_id = call.request.query["uploadId"]
    try:
        return check_upload_id(upload_id)
    except InvalidArgumentError:
        raise S3Error("NoSuchUpload", _NO_UPLOAD) from None


def _part_of(call: Call) -> tuple[int, str]:
    text = call.request.query["partNumber"]
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= PART_NUMBER_MAX):
        raise S3Error(
            "InvalidArgument",
            f"Part number must be an integer between 1 and {PART_NUMBER_MAX}, inclusive",
        )
    return int(text), _upload_of(call)


def _exact_range(text: str, total: int) -> ByteRange:
    """`x-amz-copy-source-range`, which names both ends and must lie inside."""
    first, _, last = text.removeprefix("bytes=").partition("-")
    if not text.startswith("bytes=") or not (first.isdigit() and last.isdigit()):
        raise S3Error(
            "InvalidArgument", "The x-amz-copy-source-range value must be bytes=FIRST-LAST"
        )
    if int(last) >= total:
        raise S3Error(
            "InvalidArgument", f"Range specified is not valid for source object of size: {total}"
        )
    return parse_range(text)


def _listed(root: Element) -> tuple[list[PartRef], Mapping[int, Mapping[str, str]]]:
    """Parts in a CompleteMultipartUpload, and what is said of the checksum of each."""
    parts: list[PartRef] = []
    claims: dict[int, dict[str, str]] = {}
    for item in root.all("Part"):
        number, etag = (item.get("PartNumber") or "").strip(), item.get("ETag")
        if not (number.isascii() and number.isdigit()) or etag is None:
            raise S3Error("MalformedXML", "a part has a PartNumber and an ETag")
        if len(parts) >= PART_NUMBER_MAX:
            raise S3Error("MalformedXML", f"more than {PART_NUMBER_MAX} parts")
        parts.append(PartRef(number=int(number[:9]), etag=etag.strip().strip('"')))
        claims[parts[-1].number] = {
            child.name: child.text.strip()
            for child in item.children
            if child.name.startswith("Checksum")
        }
    if not parts:
        raise S3Error("MalformedXML", "You must specify at least one part")
    numbers = [part.number for part in parts]
    if any(after <= before for before, after in itertools.pairwise(numbers)):
        raise S3Error(
            "InvalidPartOrder", "The list of parts was not in ascending order by part number"
        )
    if len(parts) > CHUNK_COUNT_MAX:
        raise S3Error("InvalidRequest", f"{len(parts)} parts, the limit is {CHUNK_COUNT_MAX}")
    return parts, claims


def _completed(call: Call, props: ObjectProps, elements: list[tuple[str, str]]) -> Response:
    writer = XmlWriter("CompleteMultipartUploadResult")
    writer.text("Location", call.request.raw_path)
    writer.text("Bucket", call.bucket.name)
    writer.text("Key", call.key)
    writer.text("ETag", quote_etag(s3_etag(props.etag)))
    for name, value in elements:
        writer.text(name, value)
    return xml_response(writer)


def _write_choice(writer: XmlWriter, upload: MultipartUpload) -> None:
    """The checksum that whoever began the upload chose for it."""
    chosen = chosen_for(upload.custom)
    if chosen is not None:
        writer.text("ChecksumAlgorithm", chosen[0].value)
        writer.text("ChecksumType", chosen[1].value)


def _write_checksum(writer: XmlWriter, part: PartInfo) -> None:
    for algorithm, _, value in checksums.parsed(part.note):
        writer.text(algorithm.element, value)


def _write_owners(writer: XmlWriter) -> None:
    for role in ("Initiator", "Owner"):
        writer.start(role)
        writer.text("ID", OWNER)
        writer.text("DisplayName", OWNER)
        writer.end()


def _write_uploads(
    writer: XmlWriter,
    found: list[MultipartUpload],
    prefix: str,
    delimiter: str,
    encode: Callable[[str], str],
) -> None:
    folded: dict[str, None] = {}
    for upload in found:
        key = key_of(upload.name)
        at = key.find(delimiter, len(prefix)) if delimiter else -1
        if at >= 0:
            folded[key[: at + len(delimiter)]] = None
            continue
        writer.start("Upload")
        writer.text("Key", encode(key))
        writer.text("UploadId", upload.upload_id)
        _write_owners(writer)
        writer.text("StorageClass", "STANDARD")
        _write_choice(writer, upload)
        writer.text("Initiated", xml_time(upload.created_ns))
        writer.end()
    for name in folded:
        writer.start("CommonPrefixes")
        writer.text("Prefix", encode(name))
        writer.end()
