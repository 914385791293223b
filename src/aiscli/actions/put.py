"""`put`: a file, standard input, or many files of a directory into a bucket."""

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import BinaryIO

from aiscli.actions.buckets import DRY_RUN
from aiscli.actions.hashing import hash_file
from aiscli.actions.parallel import WORKERS_DEFAULT, bounded_map
from aiscli.actions.sources import LocalFile, SourceRequest, find_files, is_single_file
from aiscli.context import CliContext
from aiscli.exitcodes import ExitCode
from aiscli.output import Column
from aiscli.output.progress import Advance, progress
from aiscore.errors import AisError, BucketNotFoundError, InvalidArgumentError, TransportError
from aiscore.model.bucket import ObjectUri
from aiscore.model.checksum import Checksum, ChecksumType
from aiscore.model.names import check_object_name, check_prefix
from aiscore.model.objects import ObjectProps, PutOptions

__all__ = ["STDIN", "PutRequest", "run_put"]

STDIN = "-"


@dataclass(frozen=True, slots=True, kw_only=True)
class PutRequest:
    """What to upload, and where to.

    Attributes:
        source: files of this machine, or `-` for standard input.
        target: bucket; an object name for one file, a prefix for many.
        checksum: expected checksum of a single source.
        compute_checksum: checksum each file here, so that the transfer is protected from end to
            end.
        skip_same: leave an object alone that already has the given checksum.
        append: add to an existing object.
        workers: uploads at a time.
        cont_on_err: go on after a file that cannot be uploaded.
        dry_run: name what would be uploaded.
        assume_yes: do not ask.
        show_progress: on a terminal.
    """

    source: SourceRequest
    target: ObjectUri
    checksum: Checksum | None = None
    compute_checksum: bool = False
    skip_same: bool = True
    append: bool = False
    workers: int = WORKERS_DEFAULT
    cont_on_err: bool = False
    dry_run: bool = False
    assume_yes: bool = False
    show_progress: bool = False

    def __post_init__(self) -> None:
        if self.workers < 1:
            raise InvalidArgumentError("--num-workers must be 1 or more")
        if self.source.path == STDIN and not self.target.name:
            raise InvalidArgumentError(
                "missing object name: standard input has none",
                hint=f"use {self.target.cname}/OBJECT",
            )
        if self.checksum is not None and self.compute_checksum:
            raise InvalidArgumentError(
                "--compute-checksum and a given checksum are mutually exclusive"
            )
        if self.source.path == STDIN and self.compute_checksum:
            raise InvalidArgumentError("--compute-checksum needs a file, not standard input")


def run_put(context: CliContext, request: PutRequest) -> ExitCode:
    """Upload."""
    if request.source.path == STDIN:
        return _put_stdin(context, request)
    if is_single_file(replace(request.source, path=os.path.expanduser(request.source.path))):
        return _put_file(context, request)
    if request.checksum is not None or request.append:
        raise InvalidArgumentError("a checksum or --append needs exactly one file")
    return _put_many(context, request)


def _put_stdin(context: CliContext, request: PutRequest) -> ExitCode:
    bucket, name = request.target.bucket, check_object_name(request.target.name)
    text = f"PUT (standard input) => {request.target.cname}"
    if request.dry_run:
        context.output.item({"bucket": bucket.cname, "name": name, "dry_run": True}, DRY_RUN, text)
        return ExitCode.OK
    body: BinaryIO = context.stdin.buffer
    props = _send(context, request, name, body, None, request.checksum)
    context.output.item(_record(request, STDIN, props), text)
    return ExitCode.OK


def _put_file(context: CliContext, request: PutRequest) -> ExitCode:
    path = os.path.expanduser(request.source.path)
    name = request.target.name
    if not name or name.endswith("/"):
        name += os.path.basename(path)
    check_object_name(name)
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


def _upload(context: CliContext, request: PutRequest, file: LocalFile, name: str) -> ObjectProps:
    checksum = request.checksum
    if request.compute_checksum:
        policy = context.transport.head_bucket(request.target.bucket).checksum
        kind = ChecksumType(policy.type)
        checksum = None if kind is ChecksumType.NONE else hash_file(file.path, kind)
    with open(file.path, "rb", buffering=0) as body:
        # Files that the kernel makes up (/proc/mounts) say 0 and have content.
        size = os.fstat(body.fileno()).st_size or None
        return _send(context, request, name, body, size, checksum)


def _send(
    context: CliContext,
    request: PutRequest,
    name: str,
    body: BinaryIO,
    size: int | None,
    checksum: Checksum | None,
) -> ObjectProps:
    transport, bucket = context.transport, request.target.bucket
    if request.append:
        handle = transport.append(bucket, name, body)
        return transport.flush_append(bucket, name, handle)
    options = PutOptions(size=size, checksum=checksum, skip_same=request.skip_same)
    return transport.put(bucket, name, body, options)


def _record(request: PutRequest, path: str, props: ObjectProps) -> dict[str, object]:
    return {
        "file": path,
        "bucket": request.target.bucket.cname,
        "name": props.name,
        "size": props.size,
    }


# many files


@dataclass(frozen=True, slots=True)
class _Outcome:
    file: LocalFile
    name: str
    error: AisError | OSError | None = None


@dataclass(slots=True)
class _Tally:
    objects: int = 0
    size: int = 0
    failed: int = 0


def _put_many(context: CliContext, request: PutRequest) -> ExitCode:
    prefix = check_prefix(request.target.name)
    files = list(find_files(request.source))
    if not files:
        raise InvalidArgumentError(
            f'no files to upload in "{request.source.path}"',
            hint=None
            if request.source.recursive
            else "use --recursive to descend into subdirectories",
        )
    if prefix and not prefix.endswith("/"):
        context.output.warning(
            f'destination "{request.target.cname}" does not end with "/": names begin with "{prefix}" as it is'
        )
    if request.dry_run:
        return _show_plan(context, request, files, prefix)
    _show_files(context, files)
    if context.prompt.is_interactive and not request.assume_yes:
        recursively = ", recursively" if request.source.recursive else ""
        where = " (one directory" + recursively + ")" if os.path.isdir(request.source.path) else ""
        if not context.prompt.confirm(
            f"PUT {len(files):,} files{where} => {request.target.cname}?"
        ):
            return ExitCode.OK
    tally = _transfer(context, request, files, prefix)
    if not tally.failed:
        context.output.text("Done")
        return ExitCode.OK
    context.output.error(f"failed to PUT {tally.failed:,} of {len(files):,} files")
    return ExitCode.PARTIAL


def _transfer(
    context: CliContext, request: PutRequest, files: list[LocalFile], prefix: str
) -> _Tally:
    tally = _Tally()
    total = sum(file.size for file in files)
    bucket = request.target.bucket.cname
    columns = [Column(key) for key in ("file", "bucket", "name", "size", "error")]
    with progress("put", enabled=request.show_progress, total_size=total) as advance:
        outcomes = bounded_map(
            lambda file: _try_upload(context, request, file, prefix), files, request.workers
        )
        records = _settle(context, request, outcomes, tally, advance)
        if context.output.is_table:
            for _ in records:
                pass
        else:
            context.output.table(columns, ({"bucket": bucket, **record} for record in records))
    return tally


def _settle(
    context: CliContext,
    request: PutRequest,
    outcomes: Iterator[_Outcome],
    tally: _Tally,
    advance: Advance,
) -> Iterator[dict[str, object]]:
    for outcome in outcomes:
        error = outcome.error
        reason = None
        if error is None:
            tally.objects += 1
            tally.size += outcome.file.size
            advance(1, outcome.file.size)
        else:
            if not request.cont_on_err:
                raise error
            reason = error.message if isinstance(error, AisError) else str(error)
            context.output.error(f"{outcome.file.path}: {reason}")
            tally.failed += 1
        yield {
            "file": outcome.file.path,
            "name": outcome.name,
            "size": outcome.file.size,
            "error": reason,
        }


def _try_upload(context: CliContext, request: PutRequest, file: LocalFile, prefix: str) -> _Outcome:
    name = prefix + file.name
    try:
        _upload(context, request, file, check_object_name(name))
    except (BucketNotFoundError, TransportError):
        raise  # the next file would fare no better
    except (AisError, OSError) as error:
        return _Outcome(file, name, error)
    return _Outcome(file, name)


def _show_plan(
    context: CliContext, request: PutRequest, files: list[LocalFile], prefix: str
) -> ExitCode:
    context.output.text(DRY_RUN)
    bucket = request.target.bucket
    for file in files:
        context.output.text(f'PUT "{file.path}" => {bucket.object_cname(prefix + file.name)}')
    if not context.output.is_table:
        columns = [Column(key) for key in ("file", "bucket", "name", "size", "error")]
        context.output.table(
            columns,
            (
                {
                    "file": f.path,
                    "bucket": bucket.cname,
                    "name": prefix + f.name,
                    "size": f.size,
                    "error": None,
                }
                for f in files
            ),
        )
    return ExitCode.OK


def _show_files(context: CliContext, files: list[LocalFile]) -> None:
    """The caption of a multi-file upload: what goes, by extension."""
    if not context.output.is_table:
        return
    counts: Counter[str] = Counter()
    sizes: Counter[str] = Counter()
    for file in files:
        extension = os.path.splitext(file.name)[1]
        counts[extension] += 1
        sizes[extension] += file.size
    rows: list[dict[str, object]] = [
        {"extension": extension, "count": counts[extension], "size": sizes[extension]}
        for extension in sorted(counts)
    ]
    rows.append({"extension": "TOTAL", "count": len(files), "size": sum(sizes.values())})
    context.output.text("Files to upload:")
    context.output.table([Column("extension"), Column("count"), Column("size", is_size=True)], rows)
