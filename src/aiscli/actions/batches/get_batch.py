"""`get-batch`: objects, files of shards and ranges in one request, as an archive or as files."""

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from aiscli.actions.batches.batch_spec import BatchSpec, parse_spec, plan_entries
from aiscli.actions.batches.retry import RETRIES_DEFAULT, RETRIES_MAX, with_retries
from aiscli.actions.records import batch_record
from aiscli.actions.transfers.localfile import atomic_file, confine, copy_to
from aiscli.actions.transfers.select import iter_selected
from aiscli.context import CliContext
from aiscli.exitcodes import ExitCode
from aiscli.output import Column
from aiscore.errors import ArchiveError, InvalidArgumentError
from aiscore.model.archive import ArchiveFormat
from aiscore.model.batch import BatchEntry, BatchRequest, BatchResult
from aiscore.model.bucket import BucketRef
from aiscore.model.objects import Selection

__all__ = ["GetBatchRequest", "may_overwrite", "read_names", "run_get_batch", "write_archive"]

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
        spec: JSON or YAML document, file with one, or `-` for standard input.
        from_file: file with a name a line, or `-`.
        output: archive file, directory with a trailing slash, or `-`; "" makes up a file name.
        output_format: None takes it from the file name, then from the spec, then TAR.
        streaming: None takes it from the spec, then True; so do the next two, with False.
        cont_on_err: put a placeholder where an entry is missing, and go on.
        only_obj_name: member names without the bucket.
        split: read `shard.tar/inner` as a file of a shard.
        start: first byte of every entry.
        length: bytes of every entry; 0 is all.
        retries: when the store is busy.
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
    retries: int = RETRIES_DEFAULT
    assume_yes: bool = False
    quiet: bool = False
    asks_to_overwrite: bool = False

    def __post_init__(self) -> None:
        if self.spec == STDOUT and self.from_file == STDOUT:
            raise InvalidArgumentError("--spec and --from-file cannot both read standard input")
        if self.selection is not None and self.bucket is None:
            raise InvalidArgumentError("--list, --template and --prefix need a bucket")
        if not 0 <= self.retries <= RETRIES_MAX:
            raise InvalidArgumentError(f"--retries must be 0 to {RETRIES_MAX}")
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
        results, size = with_retries(
            context, request.retries, lambda: _to_directory(context, batch, output)
        )
    elif output == STDOUT:
        results, size = _to_stdout(context, batch, request.retries)
    else:
        if not _may_write(context, request, output):
            return ExitCode.OK
        results, size = with_retries(
            context, request.retries, lambda: write_archive(context, batch, output)
        )
    return _report(context, request, batch, results, output, size, time.monotonic() - started)


def _entries(context: CliContext, request: GetBatchRequest, spec: BatchSpec) -> list[BatchEntry]:
    names = list(request.objects)
    if request.selection is not None:
        assert request.bucket is not None
        names += (
            name for name, _ in iter_selected(context.transport, request.bucket, request.selection)
        )
    if request.from_file is not None:
        names += read_names(context, request.from_file)
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


def read_names(context: CliContext, source: str) -> tuple[str, ...]:
    """Names of a file, or of standard input for `-`: one a line, empty lines left out.

    Raises:
        InvalidArgumentError: no name at all, not UTF-8, or too long.
        OSError: the file cannot be read.
    """
    # Not `splitlines`: a name may hold what Unicode takes for the end of a line.
    lines = _read_text(context, source).split("\n")
    names = tuple(name for line in lines if (name := line.removesuffix("\r")).strip())
    if not names:
        raise InvalidArgumentError(f'no names in "{source}"')
    return names


def _read_text(context: CliContext, source: str, *, inline: bool = False) -> str:
    if inline and _is_document(source):
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


def _is_document(text: str) -> bool:
    """True for JSON or YAML itself, in place of the name of a file with it."""
    return text.lstrip()[:1] in {"{", "["} or "\n" in text or ": " in text


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


def may_overwrite(context: CliContext, path: str, *, assume_yes: bool) -> bool:
    """Ask before a file is replaced, as upstream does."""
    if not os.path.isfile(os.path.expanduser(path)) or assume_yes:
        return True
    context.output.warning(f'destination "{path}" already exists')
    return context.prompt.confirm("Proceed to overwrite?")


def _may_write(context: CliContext, request: GetBatchRequest, path: str) -> bool:
    if request.asks_to_overwrite:
        return may_overwrite(context, path, assume_yes=request.assume_yes)
    if os.path.isfile(os.path.expanduser(path)) and not request.assume_yes:
        raise InvalidArgumentError(
            f'destination "{path}" already exists', hint="use --yes to overwrite it"
        )
    return True


def write_archive(
    context: CliContext, batch: BatchRequest, path: str
) -> tuple[Sequence[BatchResult], int]:
    """Fetch a batch into a file, which appears when it is whole; the results, and its bytes."""
    size = 0
    with (
        context.transport.get_batch_archive(batch) as archive,
        atomic_file(os.path.expanduser(path)) as file,
    ):
        for block in archive:
            _write_all(file.write, block)
            size += len(block)
        return list(archive.results), size


def _to_stdout(
    context: CliContext, batch: BatchRequest, retries: int
) -> tuple[Sequence[BatchResult], int]:
    if context.output.is_terminal:
        raise InvalidArgumentError(
            "will not write an archive to a terminal", hint="redirect it, or use --output FILE"
        )
    size = 0
    stdout = context.output.binary

    def fetch() -> list[BatchResult]:
        nonlocal size
        with context.transport.get_batch_archive(batch) as archive:
            for block in archive:
                size += len(block)
                _write_all(stdout.write, block)
            stdout.flush()
            return list(archive.results)

    # What went into the pipe cannot be taken back.
    results = with_retries(context, retries, fetch, may_repeat=lambda: size == 0)
    return results, size


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
