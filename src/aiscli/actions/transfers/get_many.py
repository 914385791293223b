"""Many objects of a bucket into files of a directory.

A file that is there already with the size and the checksum of its object is left alone, so that a
run that was interrupted can be repeated at the price of reading what it left; where the store keeps
no checksum everything is fetched again.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING

from aiscli.actions.transfers.download import Saving, is_work_file, save
from aiscli.actions.transfers.hashing import same_content
from aiscli.actions.transfers.localfile import confine, copy_to
from aiscli.actions.transfers.parallel import Pace, Workers
from aiscli.actions.transfers.report import Report, reason_of, status_of
from aiscli.actions.transfers.select import iter_chosen
from aiscli.exitcodes import ExitCode
from aiscli.output import Column
from aiscli.output.progress import progress
from aiscore.errors import AisError, InvalidArgumentError
from aiscore.model.byterange import ByteRange

if TYPE_CHECKING:
    from aiscli.actions.transfers.get import GetRequest
    from aiscli.actions.transfers.select import Choice
    from aiscli.context import CliContext
    from aiscore.transport.base import ObjectReader

__all__ = ["get_many"]

DISCARD = "/dev/null"
STDOUT = "-"
_COLUMNS = [Column(key) for key in ("bucket", "name", "file", "size", "status", "error")]


@dataclass(frozen=True, slots=True)
class _Outcome:
    bucket: str
    name: str
    path: str
    size: int = 0
    is_skipped: bool = False
    error: AisError | OSError | None = None

    @property
    def label(self) -> str:
        return f"{self.bucket}/{self.name}"

    def record(self) -> dict[str, object]:
        error = None if self.error is None else reason_of(self.error)
        return {
            "bucket": self.bucket,
            "name": self.name,
            "file": self.path,
            "size": self.size,
            "status": status_of(self),
            "error": error,
        }


def get_many(context: CliContext, request: GetRequest, choice: Choice) -> ExitCode:
    """Download what was chosen.

    Raises:
        InvalidArgumentError: an option that needs one object; the destination is a file.
    """
    if request.options.archpath is not None:
        raise InvalidArgumentError("--archpath needs exactly one object")
    if request.destination == STDOUT:
        return _concatenate(context, request, choice)
    bucket = request.source.bucket
    root = os.path.expanduser(request.destination) or "."
    if root != DISCARD and os.path.exists(root) and not os.path.isdir(root):
        raise InvalidArgumentError(f'destination "{root}" is not a directory')
    if context.prompt.is_interactive and not request.assume_yes:
        question = f"GET {choice.label} from {bucket.cname} to {root}?"
        if not context.prompt.confirm(question):
            return ExitCode.OK
    downloads = _Downloads(context, request, root)
    report = Report(verb="GET", noun="objects", columns=_COLUMNS, cont_on_err=request.cont_on_err)
    with progress("get", enabled=request.show_progress) as advance:
        tally, code = report.follow(context, downloads.run(choice), advance)
    if not tally.done and not tally.skipped and not tally.failed:
        context.output.warning(f"no objects match {choice.label} in {bucket.cname}")
    kept = f", {tally.skipped:,} were there already" if tally.skipped else ""
    size = context.output.size(tally.size)
    context.output.text(f"GET {tally.done:,} objects from {bucket.cname} to {root} ({size}){kept}")
    return code


class _Downloads:
    """Downloads of one run."""

    def __init__(self, context: CliContext, request: GetRequest, root: str) -> None:
        self._transport = context.transport
        self._request = request
        self._root = root
        self._pace = Pace()
        self._workers = Workers(request.workers, context.transport)
        options = request.options
        self._is_whole = options.byte_range is None and options.archregx is None
        self._made = ""

    def run(self, choice: Choice) -> Iterator[_Outcome]:
        """One outcome an object, in the order of the names."""
        names = iter_chosen(self._transport, self._request.source.bucket, choice)
        if self._request.limit:
            names = islice(names, self._request.limit)
        return self._workers.map(self._try, names, self._pace, lambda item: item[1] or 0)

    def _try(self, item: tuple[str, int | None]) -> _Outcome:
        name = item[0]
        bucket = self._request.source.bucket
        relative = name.rpartition("/")[2] if self._request.flat else name
        path = DISCARD if self._root == DISCARD else confine(self._root, relative)
        try:
            if path is None or is_work_file(os.path.basename(path)):
                raise InvalidArgumentError(
                    f'"{bucket.object_cname(name)}" is no file name below "{self._root}"'
                )
            if self._is_there(name, path):
                return _Outcome(bucket.cname, name, path, is_skipped=True)
            return _Outcome(bucket.cname, name, path, self._download(name, path))
        except (AisError, OSError) as error:
            return _Outcome(bucket.cname, name, path or "", error=error)

    def _is_there(self, name: str, path: str) -> bool:
        if self._request.overwrite or not self._is_whole:
            return False
        try:
            size = os.stat(path).st_size
        except OSError:
            return False
        if not os.path.isfile(path):
            return False
        props = self._transport.head(self._request.source.bucket, name)
        return props.size == size and same_content(path, props.checksum, self._pace.check) is True

    def _download(self, name: str, path: str) -> int:
        request, bucket = self._request, self._request.source.bucket
        directory = os.path.dirname(path)
        if directory != self._made:
            os.makedirs(directory, exist_ok=True)
            self._made = directory  # a race costs a system call, no more

        def reopen(offset: int) -> ObjectReader:
            whole = ByteRange(offset=offset) if offset else None
            return self._transport.open(bucket, name, replace(request.options, byte_range=whole))

        saving = Saving(
            cname=bucket.object_cname(name),
            verify=request.verify and self._is_whole,
            reopen=reopen if request.resume and self._is_whole else None,
            on_block=lambda count: self._pace.check(),
        )
        with self._transport.open(bucket, name, request.options) as reader:
            return save(reader, path, saving)


def _concatenate(context: CliContext, request: GetRequest, choice: Choice) -> ExitCode:
    bucket = request.source.bucket
    for name, _ in iter_chosen(context.transport, bucket, choice):
        with context.transport.open(bucket, name, request.options) as reader:
            copy_to(reader, context.output.binary, reader.size, bucket.object_cname(name))
    context.output.binary.flush()
    return ExitCode.OK
