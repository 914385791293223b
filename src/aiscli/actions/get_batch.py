"""`get-batch`: objects, files of shards and ranges in one request, as an archive or as files."""

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from aiscli.actions.batch_spec import BatchSpec, parse_spec, plan_entries
from aiscli.actions.localfile import atomic_file, confine, copy_to
from aiscli.actions.records import batch_record
from aiscli.actions.select import iter_selected
from aiscli.context import CliContext
from aiscli.exitcodes import ExitCode
from aiscli.output import Column
from aiscore.errors import ArchiveError, InvalidArgumentError
from aiscore.model.archive import ArchiveFormat
from aiscore.model.batch import BatchEntry, BatchRequest, BatchResult
from aiscore.model.bucket import BucketRef
from aiscore.model.objects import Selection

__all__ = ["GetBatchRequest", "run_get_batch"]

STDOUT = "-"
SPEC_SIZE_MAX = 1 << 30
"""Bytes of a spec or a list of names; a million entries take a tenth of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GetBatchRequest:
    """What to fetch, and where to.

    Attributes:
        bucket: bucket of names that are no URIs; None when a spec names all of them.
        objects: names or URIs, in order.
        archpaths: files of shards, see `batch_spec`.
        selection: further objects of the bucket: list, template, or prefix.
        spec: JSON document, file with one, or `-` for standard input.
        from_file: file with a name a line, or `-`.
        output: archive file, directory with a trailing slash, or `-`; "" makes up a file name.
        output_format: None takes it from the file name, then from the spec, then TAR.
        streaming: None takes it from the spec, then True; so do the next two, with False.
        cont_on_err: put a placeholder where an entry is missing, and go on.
        only_obj_name: member names without the bucket.
        split: read `shard.tar/inner` as a file of a shard.
        start: first byte of every entry.
        length: bytes of every entry; 0 is all.
        assume_yes: overwrite the output.
        quiet: no message.
        asks_to_overwrite: ask, as upstream does, where the top-level command refuses.
    """

    bucket: BucketRef | None = None
    objects: tuple[str, ...] = ()
    archpaths: tuple[str, ...] = ()
    selection: Selection | None = None
    spec: str | None = None
    from_file: str | None = None
    output: str = ""
    output_format: ArchiveFormat | None = None
    streaming: bool | None = None
    cont_on_err: bool | None = None
    only_obj_name: bool | None = None
    split: bool = True
    start: int = 0
    length: int = 0
    assume_yes: bool = False
    quiet: bool = False
    asks_to_overwrite: bool = False

    def __post_init__(self) -> None:
        if self.spec == STDOUT and self.from_file == STDOUT:
            raise InvalidArgumentError("--spec and --from-file cannot both read standard input")
        if self.selection is not None and self.bucket is None:
            raise InvalidArgumentError("--list, --template and --prefix need a bucket")
        if self.start < 0 or self.length < -1:
            raise InvalidArgumentError(
                "--start must not be negative; --length is 1 or more, or -1 for up to the end"
            )


def run_get_batch(context: CliContext, request: GetBatchRequest) -> ExitCode:
    """Fetch a batch, strictly in the order it was asked for."""
    started = time.monotonic()
    spec = (
        parse_spec(_read_text(context, request.spec, inline=True))
        if request.spec is not None
        else BatchSpec()
    )
    entries = _entries(context, request, spec)
    batch = BatchRequest(
        entries=entries,
        bucket=request.bucket,
        output_format=_format(request, spec),
        cont_on_err=_first(request.cont_on_err, spec.cont_on_err, default=False),
        only_obj_name=_first(request.only_obj_name, spec.only_obj_name, default=False),
        streaming=_first(request.streaming, spec.streaming, default=True),
    )
    if request.bucket is None and any(entry.bucket is None for entry in entries):
        raise InvalidArgumentError(
            "some entries name no bucket", hint="give BUCKET before the objects"
        )
    output = request.output or _default_name(batch.output_format)
    if output != STDOUT and (output.endswith("/") or os.path.isdir(output)):
        results, size = _to_directory(context, batch, output)
    elif output == STDOUT:
        results, size = _to_stdout(context, batch)
    else:
        if not _may_write(context, request, output):
            return ExitCode.OK
        results, size = _to_file(context, batch, output)
    return _report(context, request, batch, results, output, size, time.monotonic() - started)


def _entries(context: CliContext, request: GetBatchRequest, spec: BatchSpec) -> list[BatchEntry]:
    names = list(request.objects)
    if request.selection is not None:
        assert request.bucket is not None
        names += (
            name for name, _ in iter_selected(context.transport, request.bucket, request.selection)
        )
    if request.from_file is not None:
        lines = _read_text(context, request.from_file).splitlines()
        names += (line.strip() for line in lines if line.strip())
    entries = plan_entries(
        names, request.archpaths, split=request.split, start=request.start, length=request.length
    )
    if entries and spec.entries:
        context.output.warning(
            f"{len(spec.entries):,} objects of the spec are added to {len(entries):,} of the command"
        )
    entries += spec.entries
    if not entries:
        raise InvalidArgumentError(
            "no objects to fetch",
            hint="name objects, or use --list, --template, --from-file or --spec",
        )
    return entries


def _read_text(context: CliContext, source: str, *, inline: bool = False) -> str:
    if inline and source.lstrip()[:1] in {"{", "["}:
        return source
    if source == STDOUT:
        text = context.stdin.read(SPEC_SIZE_MAX)
    else:
        try:
            with open(os.path.expanduser(source), encoding="utf-8") as file:
                text = file.read(SPEC_SIZE_MAX)
        except UnicodeDecodeError:
            raise InvalidArgumentError(f'"{source}" is not UTF-8 text') from None
    if len(text) >= SPEC_SIZE_MAX:
        raise InvalidArgumentError(f'"{source}" is longer than {SPEC_SIZE_MAX} characters')
    return text


def _first(*values: bool | None, default: bool) -> bool:
    return next((value for value in values if value is not None), default)


def _format(request: GetBatchRequest, spec: BatchSpec) -> ArchiveFormat:
    if request.output_format is not None:
        return request.output_format
    named = ArchiveFormat.of_name(request.output)
    return named or spec.output_format or ArchiveFormat.TAR


def _default_name(output_format: ArchiveFormat) -> str:
    from secrets import token_hex

    return f"get-batch-{token_hex(5)}{output_format.value}"


def _may_write(context: CliContext, request: GetBatchRequest, path: str) -> bool:
    if not os.path.isfile(path) or request.assume_yes:
        return True
    if request.asks_to_overwrite:
        context.output.warning(f'destination "{path}" already exists')
        return context.prompt.confirm("Proceed to overwrite?")
    raise InvalidArgumentError(
        f'destination "{path}" already exists', hint="use --yes to overwrite it"
    )


def _to_file(
    context: CliContext, batch: BatchRequest, path: str
) -> tuple[Sequence[BatchResult], int]:
    size = 0
    with (
        context.transport.get_batch_archive(batch) as archive,
        atomic_file(os.path.expanduser(path)) as file,
    ):
        for block in archive:
            _write_all(file.write, block)
            size += len(block)
        return list(archive.results), size


def _to_stdout(context: CliContext, batch: BatchRequest) -> tuple[Sequence[BatchResult], int]:
    if context.output.is_terminal:
        raise InvalidArgumentError(
            "will not write an archive to a terminal", hint="redirect it, or use --output FILE"
        )
    size = 0
    stdout = context.output.binary
    with context.transport.get_batch_archive(batch) as archive:
        for block in archive:
            _write_all(stdout.write, block)
            size += len(block)
        stdout.flush()
        return list(archive.results), size


def _write_all(write: Callable[[memoryview], int], block: memoryview) -> None:
    while block:
        block = block[write(block) :]


def _to_directory(
    context: CliContext, batch: BatchRequest, directory: str
) -> tuple[Sequence[BatchResult], int]:
    root = os.path.expanduser(directory)
    os.makedirs(root, exist_ok=True)
    results: list[BatchResult] = []
    size = 0
    with context.transport.get_batch(batch) as stream:
        for result, reader in stream.streams():
            results.append(result)
            if result.error is not None:
                continue
            path = confine(root, result.member_name)
            if path is None:
                raise ArchiveError(f'"{result.member_name}" would lie outside of "{root}"')
            with atomic_file(path) as file:
                size += copy_to(reader, file, result.size, result.member_name)
    return results, size


def _report(
    context: CliContext,
    request: GetBatchRequest,
    batch: BatchRequest,
    results: Sequence[BatchResult],
    output: str,
    size: int,
    seconds: float,
) -> ExitCode:
    missing = [result for result in results if result.error is not None]
    if output != STDOUT and not request.quiet:
        _print(context, batch, results, missing, output, size, seconds)
    if not missing:
        return ExitCode.OK
    context.output.error(f"{len(missing):,} of {len(results):,} entries are missing:")
    for result in missing:
        context.output.trace(f"{_name_of(result)}: {result.error}")
    return ExitCode.PARTIAL


def _print(
    context: CliContext,
    batch: BatchRequest,
    results: Sequence[BatchResult],
    missing: Sequence[BatchResult],
    output: str,
    size: int,
    seconds: float,
) -> None:
    out = context.output
    if out.options.format in {"csv", "jsonl"}:
        keys = ("bucket", "name", "archpath", "member", "size", "status", "error")
        out.table([Column(key) for key in keys], (batch_record(result) for result in results))
        return
    if out.is_table and not batch.streaming:
        columns = [
            Column("member", "NAME"),
            Column("size", is_size=True),
            Column("status"),
            Column("error"),
        ]
        out.table(columns, (batch_record(result) for result in results))
    count = f"{len(results):,} objects"
    if output.endswith("/") or os.path.isdir(output):
        text = f"Extracted {count} to {output}"
    elif batch.streaming:
        text = f"Streamed {count} to {output}"
    else:
        text = f"Created ML batch archive {output} with {count}"
    out.item(
        {
            "output": output,
            "format": batch.output_format.value,
            "objects": len(results),
            "missing": len(missing),
            "size": size,
            "seconds": round(seconds, 3),
            "entries": [batch_record(result) for result in results],
        },
        text,
    )


def _name_of(result: BatchResult) -> str:
    cname = result.bucket.object_cname(result.entry.name)
    return f"{cname}/{result.entry.archpath}" if result.entry.archpath else cname
