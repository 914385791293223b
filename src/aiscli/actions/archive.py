"""Shards: many local files into one, many objects into one, and what is inside."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from random import Random
from typing import BinaryIO, Self

from aiscli.actions.browse.listing import MEMBER_INDENT
from aiscli.actions.buckets import DRY_RUN
from aiscli.actions.transfers.parallel import Pace, Workers
from aiscli.actions.transfers.put import STDIN
from aiscli.actions.transfers.select import describe, require_objects, resolve_name
from aiscli.actions.transfers.sources import LocalFile, SourceRequest, find_files, is_single_file
from aiscli.context import CliContext
from aiscli.exitcodes import ExitCode
from aiscli.output import Column
from aiscore.errors import (
    BucketAlreadyExistsError,
    BucketNotFoundError,
    InvalidArgumentError,
)
from aiscore.model.archive import ArchiveFormat
from aiscore.model.bucket import BucketRef, ObjectUri
from aiscore.model.names import check_object_name
from aiscore.model.objects import (
    ArchiveOptions,
    ArchivePutMode,
    ListOptions,
    ObjectProps,
    Selection,
)
from aiscore.model.template import parse_template
from aiscore.transport.base import MemberInput

__all__ = [
    "ArchiveBucketRequest",
    "ArchivePutRequest",
    "GenShardsRequest",
    "ListShardRequest",
    "run_archive_bucket",
    "run_archive_put",
    "run_gen_shards",
    "run_list_shard",
]

_SPOOL_MEMORY = 16 << 20
"""Bytes of standard input held in memory; a member needs its size, so more goes to a file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchivePutRequest:
    """Files to write into one shard.

    Attributes:
        source: files of this machine, or `-` for standard input.
        shard: bucket and object name.
        archpath: name inside of the shard for a single file; put before the names of many.
        mode: create (replace), append, or append-or-create.
        archmime: format when the shard's name does not tell.
        cont_on_err: leave out files that cannot be read.
        dry_run: name what would be written.
    """

    source: SourceRequest
    shard: ObjectUri
    archpath: str = ""
    mode: ArchivePutMode = ArchivePutMode.CREATE
    archmime: ArchiveFormat | None = None
    cont_on_err: bool = False
    dry_run: bool = False

    def __post_init__(self) -> None:
        if self.source.path == STDIN and not self.archpath:
            raise InvalidArgumentError("standard input has no name", hint="add --archpath NAME")


def run_archive_put(context: CliContext, request: ArchivePutRequest) -> ExitCode:
    """Write files into a shard in one operation: all of them, or none."""
    cname = request.shard.cname
    if request.source.path == STDIN:
        return _put_stdin(context, request)
    source = request.source
    single = is_single_file(source)
    files = _name_members(request, single=single)
    if not files:
        raise InvalidArgumentError(
            f'no files to archive in "{source.path}"',
            hint=None if source.recursive else "use --recursive to descend into subdirectories",
        )
    if request.dry_run:
        lines = [f'APPEND {file.path} to {cname} as "{file.name}"' for file in files]
        context.output.item(_plan(request, files), DRY_RUN, *lines)
        return ExitCode.OK
    skipped: list[str] = []
    files = _readable(context, request, files, skipped)
    with _Members(files) as members:
        props = _write(context, request, iter(members))
    if single:
        text = [f'APPEND {files[0].path} to {cname} as "{files[0].name}"', ""]
    else:
        total = sum(file.size for file in files)
        verb = "Created" if request.mode is ArchivePutMode.CREATE else "Appended to"
        text = [f"{verb} {cname}: {len(files):,} files ({context.output.size(total)})"]
    context.output.item({**_plan(request, files), "size": props.size, "skipped": skipped}, *text)
    return ExitCode.PARTIAL if skipped else ExitCode.OK


def _put_stdin(context: CliContext, request: ArchivePutRequest) -> ExitCode:
    name = check_object_name(request.archpath)
    text = f'APPEND (standard input) to {request.shard.cname} as "{name}"'
    if request.dry_run:
        context.output.item(_plan(request, [LocalFile(STDIN, name, 0)]), DRY_RUN, text)
        return ExitCode.OK
    with tempfile.SpooledTemporaryFile(_SPOOL_MEMORY) as spool:
        body: BinaryIO = context.stdin.buffer
        shutil.copyfileobj(body, spool)
        size = spool.tell()
        spool.seek(0)
        props = _write(context, request, iter([MemberInput(name, size, spool)]))
    record = {**_plan(request, [LocalFile(STDIN, name, size)]), "size": props.size, "skipped": []}
    context.output.item(record, text, "")
    return ExitCode.OK


def _write(
    context: CliContext, request: ArchivePutRequest, members: Iterator[MemberInput]
) -> ObjectProps:
    shard = request.shard
    return context.transport.put_members(
        shard.bucket, shard.name, members, request.mode, request.archmime
    )


def _plan(request: ArchivePutRequest, files: list[LocalFile]) -> dict[str, object]:
    return {
        "bucket": request.shard.bucket.cname,
        "name": request.shard.name,
        "mode": request.mode.value,
        "dry_run": request.dry_run,
        "files": [{"file": file.path, "archpath": file.name, "size": file.size} for file in files],
    }


def _name_members(request: ArchivePutRequest, *, single: bool) -> list[LocalFile]:
    """The files with their names inside of the shard."""
    archpath = request.archpath.lstrip("/")
    if single:
        found = next(find_files(request.source))
        name = archpath or found.name
        if name.endswith("/"):
            name += found.name
        return [LocalFile(found.path, check_object_name(name), found.size)]
    prefix = f"{archpath.rstrip('/')}/" if archpath else ""
    return [
        LocalFile(file.path, check_object_name(prefix + file.name), file.size)
        for file in find_files(request.source)
    ]


def _readable(
    context: CliContext, request: ArchivePutRequest, files: list[LocalFile], skipped: list[str]
) -> list[LocalFile]:
    """Without `cont_on_err` all files, with it those that can be opened: it is all or none."""
    if not request.cont_on_err:
        return files
    kept = []
    for file in files:
        if os.access(file.path, os.R_OK):
            kept.append(file)
        else:
            context.output.error(f"{file.path}: cannot be read")
            skipped.append(file.path)
    if not kept:
        raise InvalidArgumentError("none of the files can be read")
    return kept


class _Members:
    """Files as members, each open from its turn to the next. A context manager."""

    def __init__(self, files: list[LocalFile]) -> None:
        self._files = files
        self._open = ExitStack()

    def __iter__(self) -> Iterator[MemberInput]:
        for file in self._files:
            self._open.close()
            body = self._open.enter_context(open(file.path, "rb", buffering=0))  # noqa: SIM115
            yield MemberInput(file.name, os.fstat(body.fileno()).st_size, body)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._open.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class ListShardRequest:
    """A shard whose files are to be listed."""

    shard: ObjectUri
    archmime: ArchiveFormat | None = None


def run_list_shard(context: CliContext, request: ListShardRequest) -> ExitCode:
    """Print the shard, then its files indented; records have the files only."""
    bucket, shard = request.shard.bucket, request.shard.name
    members = context.transport.list_members(bucket, shard, request.archmime)
    output = context.output
    columns = [
        Column("name", show=lambda r: f"{r['indent']}{r['name']}"),
        Column("size", is_size=True),
    ]
    if not output.is_table:
        columns = [Column("name"), Column("size"), Column("shard"), Column("archpath")]
        output.table(
            columns,
            (
                {"name": f"{shard}/{m.name}", "size": m.size, "shard": shard, "archpath": m.name}
                for m in members
            ),
        )
        return ExitCode.OK
    size = context.transport.head(bucket, shard).size
    with output.records(columns) as writer:
        rows: list[dict[str, object]] = [{"indent": "", "name": shard, "size": size}]
        rows += [
            {"indent": MEMBER_INDENT, "name": f"{shard}/{m.name}", "size": m.size} for m in members
        ]
        writer.page(rows)
    return ExitCode.OK


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveBucketRequest:
    """Objects to pack into one shard."""

    source: ObjectUri
    shard: ObjectUri
    selection: Selection | None = None
    options: ArchiveOptions = field(default_factory=ArchiveOptions)
    dry_run: bool = False

    def __post_init__(self) -> None:
        require_objects(self.selection, self.source.name)


def run_archive_bucket(context: CliContext, request: ArchiveBucketRequest) -> ExitCode:
    """Pack objects of a bucket into a shard."""
    source = request.source
    selection = request.selection
    if selection is None:
        selection = Selection(everything=True)
        if source.name:
            selection = resolve_name(context.transport, source.bucket, source.name) or Selection(
                names=(source.name,)
            )
    what = (
        source.bucket.cname
        if selection.everything
        else f"{source.bucket.cname}/{describe(selection)}"
    )
    text = f"Archived {what} => {request.shard.cname}"
    if request.dry_run:
        context.output.item(
            {"source": what, "shard": request.shard.cname, "dry_run": True}, DRY_RUN, text
        )
        return ExitCode.OK
    props = context.transport.archive_objects(
        source.bucket, selection, request.shard.bucket, request.shard.name, request.options
    )
    context.output.item(
        {"source": what, "shard": request.shard.cname, "size": props.size, "dry_run": False}, text
    )
    return ExitCode.OK


@dataclass(frozen=True, slots=True, kw_only=True)
class GenShardsRequest:
    """Shards of random files to write.

    Attributes:
        bucket: created when it does not exist.
        template: shard names.
        file_count: files in each.
        file_size: bytes of each.
        extensions: given to the files in turn.
        seed: the same seed gives the same bytes.
        workers: shards written at a time; None decides by the store.
        cleanup: destroy the bucket first, if there is one.
        assume_yes: do not ask before that.
    """

    bucket: BucketRef
    template: str
    file_count: int = 5
    file_size: int = 1024
    extensions: tuple[str, ...] = (".test",)
    seed: int = 0
    workers: int | None = None
    cleanup: bool = False
    assume_yes: bool = False

    def __post_init__(self) -> None:
        if self.file_count < 1 or self.file_size < 0:
            raise InvalidArgumentError("--fcount must be 1 or more, --fsize must not be negative")


def run_gen_shards(context: CliContext, request: GenShardsRequest) -> ExitCode:
    """Write shards; the names follow from the template."""
    template = parse_template(request.template)
    if template.count is None and not template.is_prefix:
        raise InvalidArgumentError(f'template "{request.template}" has no end')
    workers = Workers(request.workers, context.transport)
    if request.cleanup and not _clean_up(context, request):
        return ExitCode.OK
    with suppress(BucketAlreadyExistsError):
        context.transport.create_bucket(request.bucket)
    names = [request.template] if template.is_prefix else template
    count = size = 0
    for written in workers.map(
        lambda numbered: _generate(context, request, *numbered),
        enumerate(names),
        Pace(),
        lambda _: request.file_count * request.file_size,
    ):
        size += written
        count += 1
    context.output.item(
        {"bucket": request.bucket.cname, "shards": count, "size": size},
        f"Shards created: {count:,} ({context.output.size(size)}) in {request.bucket.cname}",
    )
    return ExitCode.OK


def _generate(context: CliContext, request: GenShardsRequest, number: int, name: str) -> int:
    """Write one shard; its size. The bytes follow from the seed and the number alone."""
    random = Random(f"{request.seed}/{number}")
    members = (
        MemberInput(
            f"{number:05d}-{index:05d}{request.extensions[index % len(request.extensions)]}",
            request.file_size,
            random.randbytes(request.file_size),
        )
        for index in range(request.file_count)
    )
    return context.transport.put_members(request.bucket, name, members).size


def _clean_up(context: CliContext, request: GenShardsRequest) -> bool:
    """Destroy the bucket that is there already; False when the user would rather not."""
    try:
        page = context.transport.list_page(request.bucket, ListOptions(page_size=1))
    except BucketNotFoundError:
        return True
    if (
        page.entries
        and not request.assume_yes
        and not context.prompt.confirm(f"Proceed to destroy {request.bucket.cname}?")
    ):
        return False
    context.transport.destroy_bucket(request.bucket)
    return True
