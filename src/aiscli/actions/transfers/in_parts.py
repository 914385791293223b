"""One file as a multipart upload: parts in parallel, and a run that was interrupted goes on where it was.

What an interrupted run left is found by asking the store: an upload of the same name whose parts have the sizes and
the checksums of this file's slices. Nothing is kept on this machine, so a file that changed meanwhile, or an upload of
something else, is told from the right one by content.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from aiscli.actions.buckets import DRY_RUN
from aiscli.actions.multipart import all_parts, all_uploads
from aiscli.actions.records import checksum_record
from aiscli.actions.transfers.parallel import Pace, Workers
from aiscli.actions.transfers.slices import FileSlice
from aiscli.context import CliContext
from aiscli.exitcodes import ExitCode
from aiscli.output.progress import Advance, progress
from aiscore.errors import (
    AisError,
    BusyError,
    ChecksumMismatchError,
    InvalidArgumentError,
    NotFoundError,
    UnsupportedError,
)
from aiscore.model.bucket import ObjectUri
from aiscore.model.checksum import ChecksumType
from aiscore.model.multipart import CHUNK_COUNT_MAX, PartInfo, PartOptions, PartRef
from aiscore.model.names import check_object_name
from aiscore.model.objects import ObjectProps
from aiscore.transport.base import Transport

__all__ = ["CHUNK_SIZE_DEFAULT", "PutInPartsRequest", "run_put_in_parts"]

CHUNK_SIZE_DEFAULT = 16 << 20
"""Bytes of a part, where the file is not so large that they would be too many."""
_MIB = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class PutInPartsRequest:
    """A file to upload, and where to.

    Attributes:
        path: of a regular file.
        object: the name may be empty, or end with a slash: then the file's own is put behind it.
        chunk_size: bytes of a part; None chooses, or takes that of the interrupted run.
        workers: parts at a time; None chooses.
        resume: go on with what an interrupted run left.
        compute_checksum: checksum each part here, too, and verify on arrival.
        dry_run: say what would be done.
        show_progress: on a terminal.
    """

    path: str
    object: ObjectUri
    chunk_size: int | None = None
    workers: int | None = None
    resume: bool = True
    compute_checksum: bool = False
    dry_run: bool = False
    show_progress: bool = False

    def __post_init__(self) -> None:
        if self.path == "-":
            raise InvalidArgumentError(
                "standard input cannot be sent in parts", hint="use: ais put - BUCKET/OBJECT"
            )
        if self.chunk_size is not None and self.chunk_size <= 0:
            raise InvalidArgumentError(f"--chunk-size must be positive, not {self.chunk_size}")


class _Plan(NamedTuple):
    """An upload: its id ("" when it is yet to begin), bytes of a part, and what is there already."""

    upload_id: str
    chunk_size: int
    stored: Mapping[int, PartInfo]


@dataclass(slots=True)
class _Run:
    """What the workers share."""

    transport: Transport
    uri: ObjectUri
    path: str
    size: int
    plan: _Plan
    kind: ChecksumType | None
    advance: Advance
    pace: Pace = field(default_factory=Pace)

    def slice_of(self, number: int) -> FileSlice:
        """The file's bytes of a part."""
        offset = (number - 1) * self.plan.chunk_size
        return FileSlice(self.path, offset, min(self.plan.chunk_size, self.size - offset))

    def send(self, number: int) -> PartInfo:
        """Make sure that a part is stored."""
        self.pace.check()
        with self.slice_of(number) as body:
            found = self.plan.stored.get(number)
            if found is not None and _is_same(body, found):
                self.advance(0, body.size)
                return found
            body.on_block = self._passed
            checksum = None if self.kind is None else body.checksum(self.kind)
            return self.transport.put_part(
                self.uri.bucket,
                self.uri.name,
                self.plan.upload_id,
                number,
                body,
                PartOptions(size=body.size, checksum=checksum),
            )

    def _passed(self, count: int) -> None:
        self.pace.check()
        self.advance(0, count)


def run_put_in_parts(context: CliContext, request: PutInPartsRequest) -> ExitCode:
    """Upload a file in parts."""
    path = os.path.expanduser(request.path)
    uri = _target(request.object, path)
    with FileSlice(path) as whole:
        size = whole.size
        if request.dry_run:
            return _say_plan(context, request, uri, size)
        if not size:
            props = context.transport.put(uri.bucket, uri.name, b"")  # a part is never empty
            return _done(context, request, uri, props, "", 0)
        workers = Workers(request.workers, context.transport)
        plan = _find(context.transport, uri, path, size, request) or _begin(
            context.transport, uri, size, request.chunk_size
        )
        kind = None
        if request.compute_checksum:
            kind = ChecksumType(context.transport.head_bucket(uri.bucket).checksum.type)
            kind = None if kind is ChecksumType.NONE else kind
        try:
            with progress(uri.name, enabled=request.show_progress, total_size=size) as advance:
                run = _Run(context.transport, uri, path, size, plan, kind, advance)
                parts = _send_all(run, workers)
            whole.check_unchanged()
            props = _complete(context.transport, uri, plan, parts, size)
        except BaseException as error:
            _leave(context, uri, plan, error)
            raise
    return _done(context, request, uri, props, plan.upload_id, len(plan.stored))


def _target(uri: ObjectUri, path: str) -> ObjectUri:
    name = uri.name
    if not name or name.endswith("/"):
        name += os.path.basename(path)
    return ObjectUri(uri.bucket, check_object_name(name))


def _send_all(run: _Run, workers: Workers) -> list[PartInfo]:
    count = -(-run.size // run.plan.chunk_size)
    sizes = run.plan.chunk_size
    return list(workers.map(run.send, range(1, count + 1), run.pace, lambda _: sizes))


def _find(
    transport: Transport, uri: ObjectUri, path: str, size: int, request: PutInPartsRequest
) -> _Plan | None:
    """The upload of an interrupted run that has most of this file; None without one."""
    if not request.resume:
        return None
    found: list[tuple[int, _Plan]] = []
    try:
        for upload in all_uploads(transport, uri.bucket, uri.name):
            if upload.name != uri.name or not upload.part_count or upload.md5 or upload.custom:
                continue
            stored = {part.number: part for part in all_parts(transport, uri, upload.upload_id)}
            chunk_size = _chunk_size_of(stored, size, request.chunk_size)
            if chunk_size is None or not _begins_alike(path, stored, chunk_size):
                continue
            found.append((len(stored), _Plan(upload.upload_id, chunk_size, stored)))
    except (UnsupportedError, NotFoundError):
        return None  # AIStore does not tell of uploads; or the bucket is missing, which the begin says better
    return max(found, key=lambda one: one[0])[1] if found else None


def _chunk_size_of(stored: Mapping[int, PartInfo], size: int, wanted: int | None) -> int | None:
    """Bytes of a part of an upload of a file of `size` bytes; None when its parts are no slices of such a file."""
    chunk_size = max(part.size for part in stored.values())
    count = -(-size // chunk_size)
    last = size - (count - 1) * chunk_size
    if count == 1 and size != chunk_size:
        return None
    for number, part in stored.items():
        if number > count or part.size != (last if number == count else chunk_size):
            return None
    return chunk_size if wanted in {None, chunk_size} and count <= CHUNK_COUNT_MAX else None


def _begins_alike(path: str, stored: Mapping[int, PartInfo], chunk_size: int) -> bool:
    """True when the first part that is stored is a slice of the file: the others are compared one by one."""
    part = stored[min(stored)]
    with FileSlice(path, (part.number - 1) * chunk_size, part.size) as body:
        return _is_same(body, part)


def _is_same(body: FileSlice, part: PartInfo) -> bool:
    """True when a stored part has the bytes of a slice; without a checksum nobody knows."""
    kept = part.checksum
    return kept is not None and part.size == body.size and body.checksum(kept.type) == kept


def _begin(transport: Transport, uri: ObjectUri, size: int, chunk_size: int | None) -> _Plan:
    chunk_size = _checked(chunk_size, size)
    return _Plan(transport.create_upload(uri.bucket, uri.name), chunk_size, {})


def _checked(chunk_size: int | None, size: int) -> int:
    """Bytes of a part.

    Raises:
        InvalidArgumentError: so small ones would be too many.
    """
    least = -(-size // CHUNK_COUNT_MAX)
    if chunk_size is None:
        return max(CHUNK_SIZE_DEFAULT, -(-least // _MIB) * _MIB)
    if chunk_size < least:
        raise InvalidArgumentError(
            f"--chunk-size {chunk_size} makes {-(-size // chunk_size)} parts, the limit is {CHUNK_COUNT_MAX}",
            hint=f"use {least} at least",
        )
    return chunk_size


def _complete(
    transport: Transport, uri: ObjectUri, plan: _Plan, parts: list[PartInfo], size: int
) -> ObjectProps:
    listed = [PartRef(number=part.number, etag=part.etag) for part in parts]
    try:
        return transport.complete_upload(uri.bucket, uri.name, plan.upload_id, listed)
    except NotFoundError:
        # Another run of the same command may have been quicker: what it stored is the same.
        props = transport.head(uri.bucket, uri.name)
        if (props.size, props.chunk_count) != (size, len(parts)):
            raise
        return props


def _leave(context: CliContext, uri: ObjectUri, plan: _Plan, error: BaseException) -> None:
    """What stays of an upload that was not completed: it, to go on with; nothing when its content is in doubt."""
    is_mixed = isinstance(error, BusyError | ChecksumMismatchError)
    try:
        can_resume = not is_mixed and bool(all_parts(context.transport, uri, plan.upload_id))
    except UnsupportedError:
        can_resume = False
    except AisError:
        return  # the store does not answer: it has what it has
    if can_resume:
        context.output.note(
            f"what has been sent stays as upload {plan.upload_id}: run the command again to go on"
        )
        return
    try:
        context.transport.abort_upload(uri.bucket, uri.name, plan.upload_id)
    except AisError as failed:
        context.output.warning(f"upload {plan.upload_id} stays: {failed.message}")


def _say_plan(
    context: CliContext, request: PutInPartsRequest, uri: ObjectUri, size: int
) -> ExitCode:
    context.transport.head_bucket(uri.bucket)
    found = _find(context.transport, uri, os.path.expanduser(request.path), size, request)
    chunk_size = found.chunk_size if found else _checked(request.chunk_size, size)
    count, there = -(-size // chunk_size), len(found.stored) if found else 0
    text = f'PUT in {count:,} chunks "{request.path}" => {uri.cname}'
    if there:
        text += f" ({there:,} are there)"
    record = {
        "file": os.path.expanduser(request.path),
        "bucket": uri.bucket.cname,
        "name": uri.name,
        "size": size,
        "chunks": count,
        "resumed": there,
        "dry_run": True,
    }
    context.output.item(record, DRY_RUN, text)
    return ExitCode.OK


def _done(
    context: CliContext,
    request: PutInPartsRequest,
    uri: ObjectUri,
    props: ObjectProps,
    upload_id: str,
    resumed: int,
) -> ExitCode:
    record = {
        "file": os.path.expanduser(request.path),
        "bucket": uri.bucket.cname,
        "name": uri.name,
        "size": props.size,
        "checksum": checksum_record(props.checksum),
        "chunks": props.chunk_count,
        "upload_id": upload_id,
        "resumed": resumed,
        "dry_run": False,
    }
    text = f'PUT in chunks "{request.path}" => {uri.cname}'
    if resumed:
        text += f" ({resumed:,} of {props.chunk_count:,} parts were there)"
    context.output.item(record, text, "")
    return ExitCode.OK
