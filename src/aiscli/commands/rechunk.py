"""`ais bucket rechunk`: and `ais rechunk`, `ais job start rechunk`."""

from typing import Annotated

import typer

from aiscli.actions.rechunk import RechunkRequest, run_rechunk
from aiscli.commands.options import (
    DryRunOption,
    PrefixOption,
    ProgressOption,
    YesOption,
    read_size,
)
from aiscli.context import CliContext
from aiscli.uri import parse_target
from aiscore.model.chunks import RechunkOptions

__all__ = ["rechunk"]


def rechunk(
    ctx: typer.Context,
    target: Annotated[
        str, typer.Argument(metavar="BUCKET[/PREFIX]", help="ais://BUCKET, or a prefix of it.")
    ],
    chunk_size: Annotated[
        str | None,
        typer.Option(
            "--chunk-size", metavar="SIZE", help="Bytes of a chunk; default the bucket's."
        ),
    ] = None,
    objsize_limit: Annotated[
        str | None,
        typer.Option(
            "--objsize-limit",
            metavar="SIZE",
            help="Chunk objects of this size and more; 0 makes them whole. Default the bucket's.",
        ),
    ] = None,
    prefix: PrefixOption = None,
    bandwidth: Annotated[
        str | None,
        typer.Option("--bandwidth", metavar="SIZE", help="Bytes a second at most; 0 is no limit."),
    ] = None,
    yes: YesOption = False,
    dry_run: DryRunOption = False,
    wait: Annotated[
        bool, typer.Option("--wait", help="Print `Done.`; commands always wait.")
    ] = False,
    progress: ProgressOption = False,
) -> int:
    """Store objects in chunks of another size, or in one piece.

    What is laid out so already is left alone, so that a run that was stopped goes on where it was.
    Objects can be read and written meanwhile; checksum, version, ETag and metadata stay. Asks when a
    size is the bucket's (see: ais bucket props show BUCKET chunks).

    Examples:
      ais bucket rechunk ais://images --objsize-limit 1MiB --chunk-size 256KiB
      ais rechunk ais://images --dry-run
      ais job start rechunk ais://images/train/ --objsize-limit 0 --yes
    """
    context = CliContext.of(ctx)
    options = RechunkOptions(
        objsize_limit=read_size(objsize_limit, "--objsize-limit", context),
        chunk_size=read_size(chunk_size, "--chunk-size", context),
        prefix=prefix or "",
        dry_run=dry_run,
        bandwidth=read_size(bandwidth, "--bandwidth", context) or 0,
    )
    request = RechunkRequest(
        target=parse_target(target),
        options=options,
        assume_yes=yes,
        wait=wait,
        show_progress=progress,
    )
    return run_rechunk(context, request)
