"""`ais sync`."""

from typing import Annotated

import typer

from aiscli.actions.between.stores import Place
from aiscli.actions.sync.run import SyncRequest, parse_side, run_sync
from aiscli.actions.transfers.filter import NameFilter
from aiscli.commands.options import (
    ContinueOption,
    DryRunOption,
    ExcludeOption,
    FromContextOption,
    FromEndpointOption,
    FromTokenOption,
    IncludeOption,
    ProgressOption,
    ToContextOption,
    ToEndpointOption,
    ToTokenOption,
    WorkersOption,
    YesOption,
)
from aiscli.context import CliContext

__all__ = ["sync"]

SideArgument = "DIR|ais://BUCKET[/PREFIX]"


def sync(
    ctx: typer.Context,
    source: Annotated[str, typer.Argument(metavar="SRC", help=f"{SideArgument}: what to copy.")],
    target: Annotated[str, typer.Argument(metavar="DST", help=f"{SideArgument}: where to.")],
    delete: Annotated[
        bool, typer.Option("--delete", help="Delete from DST what SRC does not have.")
    ] = False,
    delete_despite_errors: Annotated[
        bool,
        typer.Option(
            "--delete-despite-errors", help="Delete even if something could not be copied."
        ),
    ] = False,
    checksum: Annotated[
        bool, typer.Option("--checksum", help="Compare content even where size and time agree.")
    ] = False,
    include: IncludeOption = None,
    exclude: ExcludeOption = None,
    to_context: ToContextOption = "",
    to_endpoint: ToEndpointOption = "",
    to_token_file: ToTokenOption = "",
    from_context: FromContextOption = "",
    from_endpoint: FromEndpointOption = "",
    from_token_file: FromTokenOption = "",
    workers: WorkersOption = None,
    cont_on_err: ContinueOption = False,
    dry_run: DryRunOption = False,
    yes: YesOption = False,
    progress: ProgressOption = False,
) -> int:
    """Make a directory or a bucket have what another one has.

    Copies what is new or different; a second run copies nothing. A file and an object are the same
    if they have the same size and the file has the modification time recorded with the object;
    where the times differ, and with --checksum, the checksum of the content decides. Two buckets
    are compared by checksums; each may be in another store (--from-..., --to-...).

    Everything is compared before the first change: if either side cannot be listed, nothing is
    done. --delete asks, and deletes last, only if every copy succeeded; it refuses if SRC is empty.
    What --include and --exclude leave out is neither copied nor deleted.

    Links to files are followed, links to directories are not. Nothing is written outside of DST.

    Examples:
      ais sync ./data ais://images/train
      ais sync ais://images/train ./data --delete --dry-run
      ais sync ais://images ais://backup --exclude '*.tmp'
      ais sync ais://images ais://backup --to-context scratch
    """
    request = SyncRequest(
        source=parse_side(source),
        target=parse_side(target),
        names=NameFilter(include or (), exclude or ()),
        delete=delete,
        delete_despite_errors=delete_despite_errors,
        checksum=checksum,
        workers=workers,
        cont_on_err=cont_on_err,
        dry_run=dry_run,
        assume_yes=yes,
        show_progress=progress,
        from_place=Place(
            flag="--from",
            endpoint=from_endpoint,
            context_name=from_context,
            token_file=from_token_file,
        ),
        to_place=Place(
            flag="--to", endpoint=to_endpoint, context_name=to_context, token_file=to_token_file
        ),
    )
    return run_sync(CliContext.of(ctx), request)
