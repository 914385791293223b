"""`get` and `cat`: objects, ranges, files of shards and whole prefixes, to files or stdout.

A local file appears under its name only when it is complete; nothing is written outside of the
destination.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from aiscli.actions.transfers.filter import NameFilter
from aiscli.actions.transfers.localfile import atomic_file, confine, copy_to
from aiscli.actions.transfers.select import Choice, choose, require_objects
from aiscli.exitcodes import ExitCode
from aiscli.output.progress import progress
from aiscore.errors import ArchiveError, InvalidArgumentError, ObjectNotFoundError
from aiscore.model.archive import split_archpath
from aiscore.model.batch import BatchEntry, BatchRequest
from aiscore.model.bucket import ObjectUri
from aiscore.model.byterange import ByteRange
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
        names: patterns that leave out some of many objects.
        options: range, archive selection, verification.
        extract: unpack shards into directories beside them.
        flat: many objects by the last part of their names, all in one directory.
        limit: objects at most; 0 is no limit.
        workers: downloads at a time; None chooses.
        overwrite: download what is there already with the same content, too.
        resume: go on with a large object that an earlier run began.
        verify: compare what arrives with the stored checksum.
        cont_on_err: go on after an object that cannot be read.
        assume_yes: overwrite without asking.
        show_progress: on a terminal.
    """

    source: ObjectUri
    destination: str = ""
    selection: Selection | None = None
    names: NameFilter = field(default_factory=NameFilter)
    options: GetOptions = field(default_factory=GetOptions)
    extract: bool = False
    flat: bool = False
    limit: int = 0
    workers: int | None = None
    overwrite: bool = False
    resume: bool = True
    verify: bool = True
    cont_on_err: bool = False
    assume_yes: bool = False
    show_progress: bool = False

    def __post_init__(self) -> None:
        require_objects(self.selection, self.source.name)
        if self.selection is None and not self.source.name and not self.names:
            raise InvalidArgumentError(
                f'missing object name in "{self.source.cname}"',
                hint="use --all, --prefix, --list, --template or --include for many objects",
            )
        if self.extract and (
            self.options.archpath is not None or self.options.byte_range is not None
        ):
            raise InvalidArgumentError(
                "--extract cannot be combined with --archpath, --offset or --length"
            )
        if self.limit < 0:
            raise InvalidArgumentError("--limit must not be negative")


def run_get(context: CliContext, request: GetRequest) -> ExitCode:
    """Download one object or many."""
    choice = None
    if request.selection is not None or request.names:
        choice = choose(context.transport, request.source, request.selection, request.names)
    elif request.extract:
        return _extract_one(context, request)
    else:
        try:
            return _get_one(context, request)
        except ObjectNotFoundError:
            choice = _guess(context.transport, request)
            if choice is None:
                raise
    assert choice is not None
    if choice.is_guess:
        context.output.note(f'"{request.source.cname}" is no object: taking it for a prefix')
    from aiscli.actions.transfers.get_many import get_many

    return get_many(context, request, choice)


@dataclass(frozen=True, slots=True)
class _Source:
    """An open reader, and what it is called: whole cname, last part, and what a message says.

    `is_whole` tells that it gives an object from its first byte to its last.
    """

    reader: ObjectReader
    cname: str
    base_name: str
    label: str
    where: str
    is_whole: bool


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
        base_name = member.rpartition("/")[2]
        return _Source(reader, f"{cname}/{member}", base_name, member, cname, is_whole=False)
    is_whole = options.byte_range is None and options.archregx is None
    return _Source(reader, cname, name.rpartition("/")[2], name, bucket.cname, is_whole=is_whole)


def _guess(transport: Transport, request: GetRequest) -> Choice | None:
    """What else a name can mean that is no object."""
    options = request.options
    if options.archpath is not None or options.archregx is not None:
        return None
    return choose(transport, request.source, None, request.names)


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
        with progress("get", enabled=request.show_progress, total_size=reader.size) as advance:
            size = _save(context, request, source, path, lambda n: advance(0, n))
    record = {
        "bucket": request.source.bucket.cname,
        "name": request.source.name,
        "file": path,
        "size": size,
    }
    context.output.item(record, _message(context, request, source, path, size))
    return ExitCode.OK


def _save(
    context: CliContext,
    request: GetRequest,
    source: _Source,
    path: str,
    on_block: Callable[[int], None],
) -> int:
    from aiscli.actions.transfers.download import Saving, save

    uri, options = request.source, request.options

    def reopen(offset: int) -> ObjectReader:
        rest = ByteRange(offset=offset) if offset else None
        return context.transport.open(uri.bucket, uri.name, replace(options, byte_range=rest))

    directory = os.path.dirname(path)
    if directory:
        os.makedirs(directory, exist_ok=True)
    saving = Saving(
        cname=source.cname,
        verify=request.verify and source.is_whole,
        reopen=reopen if request.resume and source.is_whole else None,
        on_block=on_block,
        on_resume=lambda have: context.output.note(
            f"{context.output.size(have)} of {source.cname} are there from an earlier run"
        ),
    )
    return save(source.reader, path, saving)


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
