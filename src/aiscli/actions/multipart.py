"""Multipart uploads step by step: begun, filled, completed, aborted, listed."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from aiscli.actions.records import checksum_record, iso_time
from aiscli.context import CliContext
from aiscli.exitcodes import ExitCode
from aiscli.output import Column
from aiscli.output.base import Record
from aiscli.uri import BucketQuery
from aiscore.errors import AisError, InvalidArgumentError, NotFoundError
from aiscore.model.bucket import BucketRef, ObjectUri
from aiscore.model.multipart import (
    PART_NUMBER_MAX,
    UPLOADS_PAGE_MAX,
    MultipartUpload,
    PartInfo,
    PartRef,
    UploadOptions,
)
from aiscore.transport.base import Transport

__all__ = [
    "AbortManyRequest",
    "AbortRequest",
    "CompleteRequest",
    "CreateUploadRequest",
    "ListUploadsRequest",
    "PutPartRequest",
    "all_parts",
    "all_uploads",
    "read_part_number",
    "read_part_numbers",
    "run_abort",
    "run_abort_many",
    "run_complete",
    "run_create_upload",
    "run_list_parts",
    "run_list_uploads",
    "run_put_part",
]

STDIN = "-"


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateUploadRequest:
    """An upload to begin; `md5` gives it the ETags of S3, `quiet` prints its id only."""

    object: ObjectUri
    md5: bool = False
    quiet: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PutPartRequest:
    """A part to send: number from 1, and the path of a file, or `-`."""

    object: ObjectUri
    upload_id: str
    number: int
    path: str
    show_progress: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CompleteRequest:
    """An upload to complete; without numbers all parts that are stored."""

    object: ObjectUri
    upload_id: str
    numbers: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AbortRequest:
    """An upload to drop."""

    object: ObjectUri
    upload_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AbortManyRequest:
    """Uploads to drop: of a bucket or a prefix, and not used for so long."""

    target: ObjectUri
    older_than_ns: int = 0
    assume_yes: bool = False
    dry_run: bool = False

    def __post_init__(self) -> None:
        if self.older_than_ns < 0:
            raise InvalidArgumentError("--older-than must not be negative")


@dataclass(frozen=True, slots=True, kw_only=True)
class ListUploadsRequest:
    """Uploads of a bucket, of a prefix, or of every bucket of a set."""

    target: ObjectUri | BucketQuery


def read_part_number(text: str) -> int:
    """Read a part number.

    Raises:
        InvalidArgumentError: not a number from 1 to `PART_NUMBER_MAX`.
    """
    try:
        number = int(text)
    except ValueError:
        raise InvalidArgumentError(f'invalid part number "{text}": expected a number') from None
    if number < 1:
        raise InvalidArgumentError(f"part number must be positive, not {number}")
    if number > PART_NUMBER_MAX:
        raise InvalidArgumentError(f"part number must be {PART_NUMBER_MAX} at most, not {number}")
    return number


def read_part_numbers(text: str) -> tuple[int, ...]:
    """Read part numbers, comma separated.

    Raises:
        InvalidArgumentError: none, or one of them is no part number.
    """
    words = [word for part in text.split(",") if (word := part.strip())]
    if not words:
        raise InvalidArgumentError("the list of part numbers is empty", hint="as in: 1,2,3")
    return tuple(map(read_part_number, words))


def run_create_upload(context: CliContext, request: CreateUploadRequest) -> ExitCode:
    """Begin an upload, and print its id."""
    uri = request.object
    with _named("failed to create multipart upload"):
        upload_id = context.transport.create_upload(
            uri.bucket, uri.name, UploadOptions(md5=request.md5)
        )
    if request.quiet:
        context.output.plain(upload_id)
        return ExitCode.OK
    record = {"bucket": uri.bucket.cname, "name": uri.name, "upload_id": upload_id}
    context.output.item(record, f"Upload ID: {upload_id}")
    return ExitCode.OK


def run_put_part(context: CliContext, request: PutPartRequest) -> ExitCode:
    """Send a part."""
    uri = request.object
    with _named(f"failed to upload part {request.number}"):
        part = _send_part(context, request)
    record = {
        "bucket": uri.bucket.cname,
        "name": uri.name,
        "upload_id": request.upload_id,
        **_part_record(part),
    }
    context.output.item(
        record,
        f"Uploaded part {part.number} for {uri.cname} (upload ID: {request.upload_id})",
    )
    return ExitCode.OK


def _send_part(context: CliContext, request: PutPartRequest) -> PartInfo:
    from aiscli.actions.transfers.slices import FileSlice
    from aiscli.output.progress import progress

    uri, transport = request.object, context.transport
    if request.path == STDIN:
        return transport.put_part(
            uri.bucket, uri.name, request.upload_id, request.number, context.stdin.buffer
        )
    with FileSlice(request.path) as body:
        label = f"part {request.number}"
        with progress(label, enabled=request.show_progress, total_size=body.size) as advance:
            body.on_block = lambda count: advance(0, count)
            part = transport.put_part(uri.bucket, uri.name, request.upload_id, request.number, body)
        body.check_unchanged()
    return part


def run_complete(context: CliContext, request: CompleteRequest) -> ExitCode:
    """Make the object of its parts."""
    uri, transport = request.object, context.transport
    with _named("failed to complete multipart upload"):
        numbers: Sequence[int] = request.numbers
        if not numbers:
            numbers = [part.number for part in all_parts(transport, uri, request.upload_id)]
        parts = [PartRef(number=number) for number in numbers]
        props = transport.complete_upload(uri.bucket, uri.name, request.upload_id, parts)
    record = {
        "bucket": uri.bucket.cname,
        "name": uri.name,
        "size": props.size,
        "checksum": checksum_record(props.checksum),
        "chunks": props.chunk_count,
    }
    context.output.item(record, f"Successfully completed multipart upload for {uri.cname}")
    return ExitCode.OK


def run_abort(context: CliContext, request: AbortRequest) -> ExitCode:
    """Drop an upload and its parts."""
    uri = request.object
    with _named("failed to abort multipart upload"):
        context.transport.abort_upload(uri.bucket, uri.name, request.upload_id)
    record = {"bucket": uri.bucket.cname, "name": uri.name, "upload_id": request.upload_id}
    context.output.text(f"Aborted multipart upload {request.upload_id} for {uri.cname}")
    if not context.output.is_table:
        context.output.table(_ABORTED, [record])
    return ExitCode.OK


def run_abort_many(context: CliContext, request: AbortManyRequest) -> ExitCode:
    """Drop uploads that nobody added to for a while; asks first."""
    target, output = request.target, context.output
    before_ns = time.time_ns() - request.older_than_ns
    found = [
        upload
        for upload in all_uploads(context.transport, target.bucket, target.name)
        if upload.used_ns <= before_ns
    ]
    records = [
        {"bucket": target.bucket.cname, "name": upload.name, "upload_id": upload.upload_id}
        for upload in found
    ]
    size = sum(upload.size for upload in found)
    what = f"{len(found):,} multipart uploads of {target.cname} ({output.size(size)})"
    if request.dry_run or not found:
        output.text(f"[DRY RUN] would abort {what}" if found else "No uploads, nothing to do")
        if not output.is_table:
            output.table(_ABORTED, records if request.dry_run else [])
        return ExitCode.OK
    if not request.assume_yes and not context.prompt.confirm(f"Abort {what}?"):
        return ExitCode.OK
    gone = []
    for upload, record in zip(found, records, strict=True):
        try:
            context.transport.abort_upload(target.bucket, upload.name, upload.upload_id)
        except NotFoundError:
            continue  # completed or aborted by somebody else
        gone.append(record)
    output.text(f"Aborted {len(gone):,} multipart uploads of {target.cname}")
    if not output.is_table:
        output.table(_ABORTED, gone)
    return ExitCode.OK


def run_list_uploads(context: CliContext, request: ListUploadsRequest) -> ExitCode:
    """Print uploads that are open, by bucket and name."""
    records: list[Record] = []
    for bucket, prefix in _places(context.transport, request.target):
        records += [
            {
                "bucket": bucket.cname,
                "name": upload.name,
                "upload_id": upload.upload_id,
                "parts": upload.part_count,
                "size": upload.size,
                "created": iso_time(upload.created_ns),
                "used": iso_time(upload.used_ns),
            }
            for upload in all_uploads(context.transport, bucket, prefix)
        ]
    if records or not context.output.is_table:
        context.output.table(_UPLOADS, records)
    else:
        context.output.text("No multipart uploads.")
    return ExitCode.OK


def run_list_parts(context: CliContext, request: AbortRequest) -> ExitCode:
    """Print the parts of an upload that are stored, by number."""
    found = all_parts(context.transport, request.object, request.upload_id)
    if found or not context.output.is_table:
        context.output.table(_PARTS, [_part_record(part) for part in found])
    else:
        context.output.text("No parts.")
    return ExitCode.OK


def all_uploads(
    transport: Transport, bucket: BucketRef, prefix: str = ""
) -> Iterator[MultipartUpload]:
    """Uploads of a bucket, page by page."""
    after: tuple[str, str] | None = None
    while True:
        page = transport.list_uploads(bucket, prefix, after)
        yield from page
        if len(page) < UPLOADS_PAGE_MAX:
            return
        after = (page[-1].name, page[-1].upload_id)


def all_parts(transport: Transport, uri: ObjectUri, upload_id: str) -> list[PartInfo]:
    """Parts of an upload; there are not more than a page of them."""
    return transport.list_parts(uri.bucket, uri.name, upload_id)


def _places(
    transport: Transport, target: ObjectUri | BucketQuery
) -> Iterator[tuple[BucketRef, str]]:
    if isinstance(target, ObjectUri):
        yield target.bucket, target.name
        return
    for bucket in transport.list_buckets(target.provider, target.namespace):
        yield bucket, ""


def _part_record(part: PartInfo) -> Record:
    return {
        "part": part.number,
        "size": part.size,
        "checksum": checksum_record(part.checksum),
        "etag": part.etag,
        "last_modified": iso_time(part.mtime_ns),
    }


@contextmanager
def _named(what: str) -> Iterator[None]:
    """Errors inside of the block begin with what failed; they keep their class, hint and exit code."""
    try:
        yield
    except AisError as error:
        error.message = f"{what}: {error.message}"
        raise


_ABORTED = (Column("bucket"), Column("name"), Column("upload_id"))
_UPLOADS = (
    Column("bucket"),
    Column("name"),
    Column("upload_id", "UPLOAD ID"),
    Column("parts"),
    Column("size", is_size=True),
    Column("created"),
    Column("used", "LAST USED"),
)
_PARTS = (
    Column("part"),
    Column("size", is_size=True),
    Column("checksum", show=lambda record: _shown_checksum(record["checksum"])),
    Column("etag", "ETAG"),
    Column("last_modified", "STORED"),
)


def _shown_checksum(value: object) -> str:
    return f"{value['type']}[{value['value']}]" if isinstance(value, dict) else "-"
