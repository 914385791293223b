"""`ml lhotse-get-batch`: the recordings of Lhotse cuts, in one archive or in many."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, islice

from aiscli.actions.batches.cuts import Samples, read_cuts
from aiscli.actions.batches.get_batch import may_overwrite, write_archive
from aiscli.actions.batches.retry import RETRIES_DEFAULT, RETRIES_MAX, with_retries
from aiscli.context import CliContext
from aiscli.exitcodes import ExitCode
from aiscli.output import Column
from aiscore.errors import InvalidArgumentError
from aiscore.model.archive import ArchiveFormat
from aiscore.model.batch import BATCH_ENTRIES_MAX, BatchEntry, BatchRequest
from aiscore.model.bucket import BucketRef
from aiscore.model.template import parse_template

__all__ = ["LhotseRequest", "run_lhotse"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LhotseRequest:
    """Cuts, and where their recordings go.

    Attributes:
        cuts: the manifest.
        bucket: of sources without a scheme; None reads these as BUCKET/OBJECT.
        destination: archive of all cuts; "" with a template.
        template: names of archives, one for each `batch_size` cuts.
        batch_size: cuts of one archive; 0 is all.
        samples: fetch only the samples of the cuts.
        cont_on_err: put a placeholder where a recording is missing, and go on.
        only_obj_name: member names without the bucket.
        streaming: emit while reading.
        retries: when the store is busy.
        assume_yes: overwrite without asking.
        quiet: no message.
    """

    cuts: str
    bucket: BucketRef | None = None
    destination: str = ""
    template: str = ""
    batch_size: int = 0
    samples: Samples | None = None
    cont_on_err: bool = False
    only_obj_name: bool = False
    streaming: bool = False
    retries: int = RETRIES_DEFAULT
    assume_yes: bool = False
    quiet: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.batch_size <= BATCH_ENTRIES_MAX:
            raise InvalidArgumentError(
                f"--batch-size must be 0 to {BATCH_ENTRIES_MAX}, not {self.batch_size}"
            )
        if not 0 <= self.retries <= RETRIES_MAX:
            raise InvalidArgumentError(f"--retries must be 0 to {RETRIES_MAX}")
        if bool(self.batch_size) != bool(self.template):
            raise InvalidArgumentError("--batch-size and --output-template go together")
        if bool(self.destination) == bool(self.template):
            raise InvalidArgumentError(
                "expected either DST_ARCHIVE, or --batch-size and --output-template"
            )
        if self.template and not parse_template(self.template).ranges:
            raise InvalidArgumentError(
                f'--output-template "{self.template}" has no range',
                hint="as in batch-{000..999}.tar",
            )


def run_lhotse(context: CliContext, request: LhotseRequest) -> ExitCode:
    """Write the archives, strictly in the order of the cuts."""
    tally = _Tally()
    records = _records(context, request, tally)
    if context.output.is_table:
        for record in records:
            if not request.quiet:
                context.output.text(
                    f"Created {record['output']} with {record['objects']:,} objects and/or "
                    "archived files"
                )
        if request.template and not request.quiet:
            context.output.text(f"Generated {tally.batches:,} batches from {tally.cuts:,} cuts")
    else:
        keys = ("output", "cuts", "objects", "missing", "size")
        context.output.table([Column(key) for key in keys], records)
    if tally.missing:
        context.output.error(f"{tally.missing:,} recordings are missing")
        return ExitCode.PARTIAL
    return ExitCode.OK


@dataclass(slots=True)
class _Tally:
    """What was done so far."""

    batches: int = 0
    cuts: int = 0
    missing: int = 0


def _records(
    context: CliContext, request: LhotseRequest, tally: _Tally
) -> Iterator[dict[str, object]]:
    """Fetch batch after batch; a record of each. Ends early when the user refuses to overwrite."""
    names = iter(parse_template(request.template)) if request.template else None
    cuts = read_cuts(request.cuts, bucket=request.bucket, samples=request.samples)
    limit = request.batch_size or BATCH_ENTRIES_MAX + 1
    while group := list(islice(cuts, limit)):
        name = request.destination if names is None else next(names, None)
        if name is None:
            raise InvalidArgumentError(
                f'--output-template "{request.template}" has names for {tally.batches:,} batches '
                "only",
                hint="use a wider range, or a larger --batch-size",
            )
        if not may_overwrite(context, name, assume_yes=request.assume_yes):
            return
        record, missing = _fetch(context, request, name, group)
        tally.batches += 1
        tally.cuts += len(group)
        tally.missing += missing
        yield record
    if not tally.batches:
        raise InvalidArgumentError(f'no cuts in "{request.cuts}"')


def _fetch(
    context: CliContext,
    request: LhotseRequest,
    name: str,
    group: list[list[BatchEntry]],
) -> tuple[dict[str, object], int]:
    batch = BatchRequest(
        entries=list(chain.from_iterable(group)),
        bucket=request.bucket,
        output_format=ArchiveFormat.of_name(name) or ArchiveFormat.TAR,
        cont_on_err=request.cont_on_err,
        only_obj_name=request.only_obj_name,
        streaming=request.streaming,
    )
    results, size = with_retries(
        context, request.retries, lambda: write_archive(context, batch, name)
    )
    missing = sum(result.error is not None for result in results)
    record: dict[str, object] = {
        "output": name,
        "cuts": len(group),
        "objects": len(results),
        "missing": missing,
        "size": size,
    }
    return record, missing
