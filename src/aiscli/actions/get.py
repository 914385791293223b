"""`get` and `cat`: objects, ranges, files of shards and whole prefixes, to files or stdout.

A local file appears under its name only when it is complete; nothing is written outside of the
destination.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import TYPE_CHECKING, Self

from aiscli.actions.localfile import atomic_file, confine, copy_to
from aiscli.actions.parallel import WORKERS_DEFAULT, bounded_map
from aiscli.actions.select import describe, iter_selected, require_objects, resolve_name
from aiscli.exitcodes import ExitCode
from aiscli.output import Column
from aiscli.output.progress import progress
from aiscore.errors import (
    AisError,
    ArchiveError,
    BucketNotFoundError,
    InvalidArgumentError,
    ObjectNotFoundError,
    TransportError,
)
from aiscore.model.archive import split_archpath
from aiscore.model.batch import BatchEntry, BatchRequest
from aiscore.model.bucket import ObjectUri
from aiscore.model.objects import GetOptions, Selection

if TYPE_CHECKING:
    from aiscli.context import CliContext
    from aiscore.transport.base import ObjectReader, Transport

__all__ = ["CatRequest", "GetRequest", "run_cat", "run_get"]

STDOUT = "-"
DISCARD = "/dev/null"


@dataclass(frozen=True, slots=True, kw_only=True)
class CatRequest:
    """An object (or `SHARD/FILE`) whose content goes to standard output."""

    object: ObjectUri
    options: GetOptions = field(default_factory=GetOptions)


def run_cat(context: CliContext, request: CatRequest) -> ExitCode:
    """Write content to standard output, and nothing else."""
    source = _open(context.transport, request.object, request.options)
    with source.reader as reader:
        copy_to(reader, context.output.binary, reader.size, source.cname)
    context.output.binary.flush()
    return ExitCode.OK


@dataclass(frozen=True, slots=True, kw_only=True)
class GetRequest:
    """What to download, and where to.

    Attributes:
        source: bucket; object, `SHARD/FILE`, prefix or template behind it.
        destination: file, directory, `-` for standard output, `/dev/null` to read and discard; ""
            is the current directory.
        selection: list, template, prefix or everything.
        options: range, archive selection, verification.
        extract: unpack shards into directories beside them.
        flat: many objects by the last part of their names, all in one directory.
        limit: objects at most; 0 is no limit.
        workers: downloads at a time.
        cont_on_err: go on after an object that cannot be read.
        assume_yes: overwrite without asking.
        show_progress: on a terminal.
    """

    source: ObjectUri
    destination: str = ""
    selection: Selection | None = None
    options: GetOptions = field(default_factory=GetOptions)
    extract: bool = False
    flat: bool = False
    limit: int = 0
    workers: int = WORKERS_DEFAULT
    cont_on_err: bool = False
    assume_yes: bool = False
    show_progress: bool = False

    def __post_init__(self) -> None:
        require_objects(self.selection, self.source.name)
        if self.selection is None and not self.source.name:
            raise InvalidArgumentError(
                f'missing object name in "{self.source.cname}"',
                hint="use --all, --prefix, --list or --template for many objects",
            )
        if self.extract and (
            self.options.archpath is not None or self.options.byte_range is not None
        ):
            raise InvalidArgumentError(
                "--extract cannot be combined with --archpath, --offset or --length"
            )
        if self.limit < 0 or self.workers < 1:
            raise InvalidArgumentError(
                "--limit must not be negative, --num-workers must be 1 or more"
            )


def run_get(context: CliContext, request: GetRequest) -> ExitCode:
    """Download one object or many."""
    selection = request.selection
    if selection is not None:
        return _get_many(context, request, selection)
    if request.extract:
        return _extract_one(context, request)
    try:
        return _get_one(context, request)
    except ObjectNotFoundError:
        guess = _guess(context.transport, request)
        if guess is None:
            raise
    if guess.template is None:
        context.output.note(f'"{request.source.cname}" is no object: taking it for a prefix')
    return _get_many(context, request, guess)


@dataclass(frozen=True, slots=True)
class _Source:
    """An open reader, and what it is called: whole cname, last part, and what a message says."""

    reader: ObjectReader
    cname: str
    base_name: str
    label: str
    where: str


def _open(transport: Transport, uri: ObjectUri, options: GetOptions) -> _Source:
    """Open an object; a name such as `shard.tar/a.jpg` that is no object is a file of a shard."""
    bucket, name = uri.bucket, uri.name
    in_archive = options.archpath is not None or options.archregx is not None
    split = None if in_archive else split_archpath(name)
    try:
        reader = transport.open(bucket, name, options)
    except ObjectNotFoundError:
        if split is None:
            raise
        name, archpath = split
        options = replace(options, archpath=archpath)
        reader = transport.open(bucket, name, options)
    cname = bucket.object_cname(name)
    if options.archpath is not None:
        member = options.archpath.strip("/")
        return _Source(reader, f"{cname}/{member}", member.rpartition("/")[2], member, cname)
    return _Source(reader, cname, name.rpartition("/")[2], name, bucket.cname)


def _guess(transport: Transport, request: GetRequest) -> Selection | None:
    """What else a name can mean that is no object."""
    options = request.options
    if (
        options.archpath is not None
        or options.archregx is not None
        or options.byte_range is not None
    ):
        return None
    return resolve_name(transport, request.source.bucket, request.source.name)


def _get_one(context: CliContext, request: GetRequest) -> ExitCode:
    if request.source.name.endswith("/"):
        raise ObjectNotFoundError(f'"{request.source.cname}" does not exist')
    source = _open(context.transport, request.source, request.options)
    with source.reader as reader:
        if request.destination == STDOUT:
            copy_to(reader, context.output.binary, reader.size, source.cname)
            context.output.binary.flush()
            return ExitCode.OK
        path = _destination(request.destination, source.base_name)
        asks = request.destination == path and os.path.isfile(path) and not request.assume_yes
        if asks and not context.prompt.confirm(f'overwrite existing "{path}"'):
            return ExitCode.OK
        with (
            atomic_file(path) as file,
            progress("get", enabled=request.show_progress, total_size=reader.size) as advance,
        ):
            size = copy_to(reader, file, reader.size, source.cname, lambda count: advance(0, count))
    record = {
        "bucket": request.source.bucket.cname,
        "name": request.source.name,
        "file": path,
        "size": size,
    }
    context.output.item(record, _message(context, request, source, path, size))
    return ExitCode.OK


def _message(
    context: CliContext, request: GetRequest, source: _Source, path: str, size: int
) -> str:
    shown = context.output.size(size)
    if request.options.byte_range is not None:
        offset = request.options.byte_range.offset
        return f"Read range (length {shown} at offset {offset}) from {source.cname} as {path}"
    if path == DISCARD:
        return f"GET (and discard) {source.label} from {source.where} ({shown})"
    return f"GET {source.label} from {source.where} as {path} ({shown})"


def _destination(given: str, base_name: str) -> str:
    if not given:
        return base_name
    path = os.path.expanduser(given)
    if path != DISCARD and (path.endswith("/") or os.path.isdir(path)):
        return os.path.join(path, base_name)
    return path


# many objects


@dataclass(slots=True)
class _Tally:
    """What came of a multi-object download."""

    objects: int = 0
    size: int = 0
    failed: list[str] = field(default_factory=list)


def _get_many(context: CliContext, request: GetRequest, selection: Selection) -> ExitCode:
    if request.options.byte_range is not None or request.options.archpath is not None:
        raise InvalidArgumentError("--offset, --length and --archpath need exactly one object")
    if request.destination == STDOUT:
        return _concatenate(context, request, selection)
    bucket = request.source.bucket
    root = os.path.expanduser(request.destination) or "."
    if root != DISCARD and os.path.exists(root) and not os.path.isdir(root):
        raise InvalidArgumentError(f'destination "{root}" is not a directory')
    if context.prompt.is_interactive and not request.assume_yes:
        question = f"GET {describe(selection)} from {bucket.cname} to {root}?"
        if not context.prompt.confirm(question):
            return ExitCode.OK
    names: Iterable[tuple[str, int | None]] = iter_selected(context.transport, bucket, selection)
    if request.limit:
        names = islice(names, request.limit)
    tally = _Tally()
    with (
        (
            context.output.records(
                [Column("bucket"), Column("name"), Column("file"), Column("size"), Column("error")]
            )
            if not context.output.is_table
            else _Discard()
        ) as writer,
        progress("get", enabled=request.show_progress) as advance,
    ):
        for outcome in bounded_map(
            lambda item: _download(context, request, root, item[0]), names, request.workers
        ):
            if outcome.error is None:
                tally.objects += 1
                tally.size += outcome.size
                advance(1, outcome.size)
            else:
                _refuse(context, request, outcome)
                tally.failed.append(outcome.name)
            writer.page([outcome.record(bucket.cname)])
    if not tally.objects and not tally.failed:
        context.output.warning(f"no objects match {describe(selection)} in {bucket.cname}")
    size = context.output.size(tally.size)
    context.output.text(f"GET {tally.objects:,} objects from {bucket.cname} to {root} ({size})")
    if tally.failed:
        context.output.error(f"failed to GET {len(tally.failed):,} objects")
        return ExitCode.PARTIAL
    return ExitCode.OK


class _Discard:
    """A record writer for table runs, which print a summary only."""

    def page(self, records: Iterable[object]) -> None:
        """Drop the records."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        pass


@dataclass(frozen=True, slots=True)
class _Outcome:
    name: str
    path: str
    size: int = 0
    error: AisError | OSError | None = None

    def record(self, bucket: str) -> dict[str, object]:
        error = None if self.error is None else _reason(self.error)
        return {
            "bucket": bucket,
            "name": self.name,
            "file": self.path,
            "size": self.size,
            "error": error,
        }


def _download(context: CliContext, request: GetRequest, root: str, name: str) -> _Outcome:
    bucket = request.source.bucket
    relative = name.rpartition("/")[2] if request.flat else name
    path = DISCARD if root == DISCARD else confine(root, relative)
    if path is None:
        refused = InvalidArgumentError(
            f'"{bucket.object_cname(name)}" is no file name below "{root}"'
        )
        return _Outcome(name, "", error=refused)
    try:
        with (
            context.transport.open(bucket, name, request.options) as reader,
            atomic_file(path) as file,
        ):
            return _Outcome(
                name, path, copy_to(reader, file, reader.size, bucket.object_cname(name))
            )
    except (BucketNotFoundError, TransportError):
        raise  # the next object would fare no better
    except (AisError, OSError) as error:
        return _Outcome(name, path, error=error)


def _refuse(context: CliContext, request: GetRequest, outcome: _Outcome) -> None:
    assert outcome.error is not None
    if not request.cont_on_err:
        raise outcome.error
    context.output.error(_reason(outcome.error))


def _reason(error: AisError | OSError) -> str:
    return error.message if isinstance(error, AisError) else str(error)


def _concatenate(context: CliContext, request: GetRequest, selection: Selection) -> ExitCode:
    bucket = request.source.bucket
    for name, _ in iter_selected(context.transport, bucket, selection):
        with context.transport.open(bucket, name, request.options) as reader:
            copy_to(reader, context.output.binary, reader.size, bucket.object_cname(name))
    context.output.binary.flush()
    return ExitCode.OK


# shards


def _extract_one(context: CliContext, request: GetRequest) -> ExitCode:
    """Unpack a shard into the destination, or into a directory named after it."""
    bucket, shard = request.source.bucket, request.source.name
    root = os.path.expanduser(request.destination) or _shard_stem(shard)
    if os.path.exists(root) and not os.path.isdir(root):
        raise InvalidArgumentError(f'destination "{root}" is not a directory')
    members = context.transport.list_members(bucket, shard, request.options.archmime)
    names = [member.name for member in members]
    written, size, failed = 0, 0, []
    for name, count, error in _extract(context.transport, request.source, names, root):
        if error is None:
            written += 1
            size += count
            continue
        if not request.cont_on_err:
            raise error
        context.output.error(error.message)
        failed.append(name)
    context.output.item(
        {
            "bucket": bucket.cname,
            "name": shard,
            "directory": root,
            "files": written,
            "size": size,
            "failed": failed,
        },
        f"GET {shard} from {bucket.cname} and extract to {root.rstrip('/')}/ "
        f"({written:,} files, {context.output.size(size)})",
    )
    return ExitCode.PARTIAL if failed else ExitCode.OK


def _extract(
    transport: Transport, shard: ObjectUri, names: list[str], root: str
) -> Iterator[tuple[str, int, ArchiveError | None]]:
    os.makedirs(root, exist_ok=True)
    if not names:
        return
    entries = [BatchEntry(shard.name, archpath=name) for name in names]
    with transport.get_batch(BatchRequest(entries=entries, bucket=shard.bucket)) as batch:
        for result, reader in batch.streams():
            name = result.entry.archpath or ""
            path = confine(root, name)
            if path is None:
                yield (
                    name,
                    0,
                    ArchiveError(f'"{name}" of {shard.cname} would lie outside of "{root}"'),
                )
                continue
            with atomic_file(path) as file:
                size = copy_to(reader, file, result.size, f"{shard.cname}/{name}")
            yield name, size, None


def _shard_stem(name: str) -> str:
    base = name.rpartition("/")[2]
    for suffix in (".tar.gz", ".tar.lz4", ".tar", ".tgz", ".zip"):
        if base.endswith(suffix) and len(base) > len(suffix):
            return base.removesuffix(suffix)
    return f"{base}.d"
