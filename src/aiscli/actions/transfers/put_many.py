"""Many local files into a bucket.

An object that has the size and the checksum of its file is left alone, so that a run that was
interrupted can be repeated without sending everything again. Below a prefix that holds no object yet
nothing is looked up.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aiscli.actions.buckets import DRY_RUN
from aiscli.actions.transfers.parallel import Pace, Workers
from aiscli.actions.transfers.report import Report, reason_of, status_of
from aiscli.actions.transfers.sources import LocalFile, find_files
from aiscli.actions.transfers.upload import Upload, is_stored, upload
from aiscli.exitcodes import ExitCode
from aiscli.output import Column
from aiscli.output.progress import progress
from aiscore.errors import AccessDeniedError, AisError, InvalidArgumentError
from aiscore.model.names import check_object_name, check_prefix
from aiscore.model.objects import ListOptions

if TYPE_CHECKING:
    from aiscli.actions.transfers.put import PutRequest
    from aiscli.context import CliContext

__all__ = ["put_many"]

_COLUMNS = [Column(key) for key in ("file", "bucket", "name", "size", "status", "error")]


@dataclass(frozen=True, slots=True)
class _Outcome:
    file: LocalFile
    bucket: str
    name: str
    is_skipped: bool = False
    error: AisError | OSError | None = None

    @property
    def size(self) -> int:
        return self.file.size

    @property
    def label(self) -> str:
        return self.file.path

    def record(self) -> dict[str, object]:
        return {
            "file": self.file.path,
            "bucket": self.bucket,
            "name": self.name,
            "size": self.file.size,
            "status": status_of(self),
            "error": None if self.error is None else reason_of(self.error),
        }


def put_many(context: CliContext, request: PutRequest) -> ExitCode:
    """Upload the files of a directory, of a pattern, a list or a template.

    Raises:
        InvalidArgumentError: there are none.
    """
    prefix = check_prefix(request.target.name)
    files = [f for f in find_files(request.source) if request.names.accepts(f.name)]
    if not files:
        raise InvalidArgumentError(
            f'no files to upload in "{request.source.path}"',
            hint=None
            if request.source.recursive
            else "use --recursive to descend into subdirectories",
        )
    if prefix and not prefix.endswith("/"):
        context.output.warning(
            f'destination "{request.target.cname}" does not end with "/": '
            f'names begin with "{prefix}" as it is'
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
    uploads = _Uploads(context, request, prefix)
    report = Report(
        verb="PUT",
        noun="files",
        columns=_COLUMNS,
        cont_on_err=request.cont_on_err,
        total=len(files),
    )
    total = sum(file.size for file in files)
    with progress("put", enabled=request.show_progress, total_size=total) as advance:
        tally, code = report.follow(context, uploads.run(files), advance)
    if code is ExitCode.OK:
        kept = f" ({tally.skipped:,} were there already)" if tally.skipped else ""
        context.output.text(f"Done{kept}")
    return code


class _Uploads:
    """Uploads of one run."""

    def __init__(self, context: CliContext, request: PutRequest, prefix: str) -> None:
        self._transport = context.transport
        self._request = request
        self._bucket = request.target.bucket
        self._prefix = prefix
        self._pace = Pace()
        self._workers = Workers(request.workers, context.transport)
        self._looks_up = False
        self._how = Upload(
            compute_checksum=request.compute_checksum,
            skip_same=request.skip_same,
            on_block=self._pace.check,
            chunk_size=request.chunk_size,
        )

    def run(self, files: list[LocalFile]) -> Iterator[_Outcome]:
        """One outcome a file, in the order of the files."""
        self._looks_up = self._request.skip_same and self._has_objects()
        return self._workers.map(self._try, files, self._pace, lambda file: file.size)

    def _has_objects(self) -> bool:
        options = ListOptions(prefix=self._prefix, page_size=1)
        try:
            return bool(self._transport.list_page(self._bucket, options).entries)
        except AccessDeniedError:
            return False  # who may write need not be allowed to list

    def _try(self, file: LocalFile) -> _Outcome:
        bucket, name = self._bucket, self._prefix + file.name
        try:
            check_object_name(name)
            if self._looks_up and is_stored(
                self._transport, bucket, name, file.path, self._pace.check
            ):
                return _Outcome(file, bucket.cname, name, is_skipped=True)
            upload(self._transport, bucket, name, file.path, self._how)
        except (AisError, OSError) as error:
            return _Outcome(file, bucket.cname, name, error=error)
        return _Outcome(file, bucket.cname, name)


def _show_plan(
    context: CliContext, request: PutRequest, files: list[LocalFile], prefix: str
) -> ExitCode:
    context.output.text(DRY_RUN)
    bucket = request.target.bucket
    for file in files:
        context.output.text(f'PUT "{file.path}" => {bucket.object_cname(prefix + file.name)}')
    if not context.output.is_table:
        planned = (
            _Outcome(file, bucket.cname, prefix + file.name).record() | {"status": "planned"}
            for file in files
        )
        context.output.table(_COLUMNS, planned)
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
