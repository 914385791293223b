"""`ais ml lhotse-get-batch`."""

from typing import Annotated

import typer

from aiscli.actions.batches.cuts import Samples
from aiscli.actions.batches.lhotse import LhotseRequest, run_lhotse
from aiscli.actions.batches.retry import RETRIES_DEFAULT
from aiscli.commands.get_batch import RetriesOption
from aiscli.commands.options import YesOption, read_size
from aiscli.context import CliContext
from aiscli.uri import parse_bucket
from aiscore.errors import InvalidArgumentError

__all__ = ["lhotse_get_batch"]


def lhotse_get_batch(
    ctx: typer.Context,
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[BUCKET] [DST_ARCHIVE]",
            help="Bucket of sources without a scheme; archive of all cuts.",
        ),
    ] = None,
    cuts: Annotated[
        str, typer.Option("--cuts", metavar="FILE", help="Cuts: .jsonl, .jsonl.gz, .jsonl.lz4.")
    ] = "",
    batch_size: Annotated[
        int, typer.Option("--batch-size", metavar="N", help="Cuts of each archive.")
    ] = 0,
    template: Annotated[
        str,
        typer.Option(
            "--output-template",
            "-t",
            metavar="TEMPLATE",
            help="Archives: 'batch-{000..999}.tar'.",
        ),
    ] = "",
    sample_rate: Annotated[
        int | None,
        typer.Option(
            "--sample-rate", metavar="HZ", help="Only the samples of each cut; see below."
        ),
    ] = None,
    sample_width: Annotated[
        int, typer.Option("--sample-width", metavar="BYTES", help="Of a sample of one channel.")
    ] = 2,
    header_size: Annotated[
        str | None,
        typer.Option("--header-size", metavar="SIZE", help="Before the samples; 44 in .wav."),
    ] = None,
    streaming: Annotated[
        bool, typer.Option("--streaming/--no-streaming", help="Emit while reading.")
    ] = False,
    cont_on_err: Annotated[
        bool, typer.Option("--cont-on-err", help="Placeholders for what is missing; exit 5.")
    ] = False,
    omit_src_bck: Annotated[
        bool, typer.Option("--omit-src-bck", help="Member names without the bucket.")
    ] = False,
    retries: RetriesOption = RETRIES_DEFAULT,
    non_verbose: Annotated[
        bool, typer.Option("--non-verbose", "--nv", "-nv", help="No message.")
    ] = False,
    yes: YesOption = False,
) -> int:
    """Fetch the recordings of Lhotse cuts, batch by batch.

    In the order of the cuts: all into DST_ARCHIVE, or --batch-size cuts into each of the archives
    of --output-template. A source is a URI, or BUCKET/OBJECT.

    With --sample-rate an entry is the raw samples of its cut (start and duration, to the sample),
    without a header: for files of uncompressed samples only.

    Examples:
      ais ml lhotse-get-batch --cuts cuts.jsonl.gz out.tar
      ais ml lhotse-get-batch --cuts cuts.jsonl --batch-size 9 -t 'b-{0..9}.tar'
    """
    if not cuts:
        raise InvalidArgumentError("missing --cuts", hint="as in: --cuts cuts.jsonl.gz out.tar")
    given = list(words or ())
    destination = "" if template else given.pop() if given else ""
    if len(given) > 1:
        raise InvalidArgumentError(
            f"expected BUCKET and DST_ARCHIVE, found {len(words or ())} arguments",
            hint="with --output-template there is no DST_ARCHIVE",
        )
    if destination == "-" or "://" in destination:
        raise InvalidArgumentError(f'invalid destination "{destination}": expected an archive file')
    context = CliContext.of(ctx)
    samples = None
    if sample_rate is not None:
        header = read_size(header_size, "--header-size", context)
        samples = Samples(rate=sample_rate, width=sample_width, header_size=header)
    request = LhotseRequest(
        cuts=cuts,
        bucket=parse_bucket(given[0]) if given else None,
        destination=destination,
        template=template,
        batch_size=batch_size,
        samples=samples,
        cont_on_err=cont_on_err,
        only_obj_name=omit_src_bck,
        streaming=streaming,
        retries=retries,
        assume_yes=yes,
        quiet=non_verbose,
    )
    return run_lhotse(context, request)
