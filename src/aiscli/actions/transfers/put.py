"""`put`: a file, standard input, or many files of a directory into a bucket."""

import os
from dataclasses import dataclass, field, replace
from typing import BinaryIO

from aiscli.actions.buckets import DRY_RUN
from aiscli.actions.transfers.filter import NameFilter
from aiscli.actions.transfers.sources import LocalFile, SourceRequest, is_single_file
from aiscli.context import CliContext
from aiscli.exitcodes import ExitCode
from aiscore.errors import InvalidArgumentError
from aiscore.model.bucket import ObjectUri
from aiscore.model.checksum import Checksum
from aiscore.model.names import check_object_name
from aiscore.model.objects import ObjectProps, PutOptions

__all__ = ["STDIN", "PutRequest", "run_put"]

STDIN = "-"


@dataclass(frozen=True, slots=True, kw_only=True)
class PutRequest:
    """What to upload, and where to.

    Attributes:
        source: files of this machine, or `-` for standard input.
        target: bucket; an object name for one file, a prefix for many.
        names: patterns that leave out some of many files.
        checksum: expected checksum of a single source.
        compute_checksum: checksum each file here, so that the transfer is protected from end to
            end.
        skip_same: leave an object alone that already has the content; for many files that is found
            out by size and checksum.
        append: add to an existing object.
        chunk_size: longer files go in parts of so many bytes, those of a single one in parallel; None is none.
        workers: uploads at a time; None chooses.
        cont_on_err: go on after a file that cannot be uploaded.
        dry_run: name what would be uploaded.
        assume_yes: do not ask.
        show_progress: on a terminal.
    """

    source: SourceRequest
    target: ObjectUri
    names: NameFilter = field(default_factory=NameFilter)
    checksum: Checksum | None = None
    compute_checksum: bool = False
    skip_same: bool = True
    append: bool = False
    chunk_size: int | None = None
    workers: int | None = None
    cont_on_err: bool = False
    dry_run: bool = False
    assume_yes: bool = False
    show_progress: bool = False

    def __post_init__(self) -> None:
        if self.source.path == STDIN and not self.target.name:
            raise InvalidArgumentError(
                "missing object name: standard input has none",
                hint=f"use {self.target.cname}/OBJECT",
            )
        if self.checksum is not None and self.compute_checksum:
            raise InvalidArgumentError(
                "--compute-checksum and a given checksum are mutually exclusive"
            )
        if self.chunk_size is not None and self.chunk_size <= 0:
            raise InvalidArgumentError(f"--chunk-size must be positive, not {self.chunk_size}")
        if self.chunk_size is not None and (self.append or self.checksum is not None):
            raise InvalidArgumentError(
                "--chunk-size goes with neither --append nor a given checksum",
                hint="--compute-checksum verifies each part",
            )
        if self.source.path == STDIN and self.compute_checksum:
            raise InvalidArgumentError("--compute-checksum needs a file, not standard input")


def run_put(context: CliContext, request: PutRequest) -> ExitCode:
    """Upload."""
    if request.source.path == STDIN:
        return _put_stdin(context, request)
    if is_single_file(replace(request.source, path=os.path.expanduser(request.source.path))):
        if request.names:
            raise InvalidArgumentError("--include and --exclude need a directory")
        return _put_file(context, request)
    if request.checksum is not None or request.append:
        raise InvalidArgumentError("a checksum or --append needs exactly one file")
    from aiscli.actions.transfers.put_many import put_many

    return put_many(context, request)


def _put_stdin(context: CliContext, request: PutRequest) -> ExitCode:
    bucket, name = request.target.bucket, check_object_name(request.target.name)
    text = f"PUT (standard input) => {request.target.cname}"
    if request.dry_run:
        context.output.item({"bucket": bucket.cname, "name": name, "dry_run": True}, DRY_RUN, text)
        return ExitCode.OK
    body: BinaryIO = context.stdin.buffer
    props = _send(context, request, name, body)
    context.output.item(_record(request, STDIN, props), text, "")
    return ExitCode.OK


def _put_file(context: CliContext, request: PutRequest) -> ExitCode:
    path = os.path.expanduser(request.source.path)
    name = request.target.name
    if not name or name.endswith("/"):
        name += os.path.basename(path)
    check_object_name(name)
    if request.chunk_size is not None and os.stat(path).st_size > request.chunk_size:
        return _put_in_parts(context, request)
    cname = request.target.bucket.object_cname(name)
    verb = "APPEND" if request.append else "PUT"
    text = f'{verb} "{request.source.path}" => {cname}'
    if request.dry_run:
        record = {
            "file": path,
            "bucket": request.target.bucket.cname,
            "name": name,
            "dry_run": True,
        }
        context.output.item(record, DRY_RUN, text)
        return ExitCode.OK
    props = _upload(context, request, LocalFile(path, name, os.stat(path).st_size), name)
    context.output.item(_record(request, path, props), text, "")
    return ExitCode.OK


def _put_in_parts(context: CliContext, request: PutRequest) -> ExitCode:
    from aiscli.actions.transfers.in_parts import PutInPartsRequest, run_put_in_parts

    in_parts = PutInPartsRequest(
        path=request.source.path,
        object=request.target,
        chunk_size=request.chunk_size,
        workers=request.workers,
        compute_checksum=request.compute_checksum,
        dry_run=request.dry_run,
        show_progress=request.show_progress,
    )
    return run_put_in_parts(context, in_parts)


def _upload(context: CliContext, request: PutRequest, file: LocalFile, name: str) -> ObjectProps:
    from aiscli.actions.transfers.upload import Upload, open_steady, upload

    transport, bucket = context.transport, request.target.bucket
    if request.append:
        with open_steady(file.path) as body:
            return transport.flush_append(bucket, name, transport.append(bucket, name, body))
    how = Upload(
        checksum=request.checksum,
        compute_checksum=request.compute_checksum,
        skip_same=request.skip_same,
    )
    return upload(transport, bucket, name, file.path, how)


def _send(context: CliContext, request: PutRequest, name: str, body: BinaryIO) -> ObjectProps:
    transport, bucket = context.transport, request.target.bucket
    if request.append:
        handle = transport.append(bucket, name, body)
        return transport.flush_append(bucket, name, handle)
    options = PutOptions(checksum=request.checksum, skip_same=request.skip_same)
    return transport.put(bucket, name, body, options)


def _record(request: PutRequest, path: str, props: ObjectProps) -> dict[str, object]:
    return {
        "file": path,
        "bucket": request.target.bucket.cname,
        "name": props.name,
        "size": props.size,
    }
