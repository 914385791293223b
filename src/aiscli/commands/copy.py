"""`ais cp`: within a store, and between stores."""

from typing import Annotated

import typer

from aiscli.commands.options import (
    ContinueOption,
    DryRunOption,
    ExcludeOption,
    FromContextOption,
    FromEndpointOption,
    FromTokenOption,
    IncludeOption,
    ListOption,
    PrefixOption,
    ProgressOption,
    TemplateOption,
    ToContextOption,
    ToEndpointOption,
    ToTokenOption,
    WorkersOption,
    make_selection,
)
from aiscli.context import CliContext
from aiscli.uri import parse_target
from aiscore.errors import InvalidArgumentError
from aiscore.model.objects import CopyOptions

__all__ = ["cp"]


def cp(
    ctx: typer.Context,
    source: Annotated[
        str,
        typer.Argument(
            metavar="SRC[/NAME]", help="Bucket; object, prefix, template or pattern behind it."
        ),
    ],
    target: Annotated[
        str, typer.Argument(metavar="DST[/NAME]", help="Bucket; a name for one object.")
    ],
    names: ListOption = None,
    template: TemplateOption = None,
    prefix: PrefixOption = None,
    include: IncludeOption = None,
    exclude: ExcludeOption = None,
    prepend: Annotated[
        str, typer.Option("--prepend", metavar="TEXT", help="Put before each new name.")
    ] = "",
    to_context: ToContextOption = "",
    to_endpoint: ToEndpointOption = "",
    to_token_file: ToTokenOption = "",
    from_context: FromContextOption = "",
    from_endpoint: FromEndpointOption = "",
    from_token_file: FromTokenOption = "",
    sync: Annotated[
        bool, typer.Option("--sync", help="Delete what the source does not have, too.")
    ] = False,
    workers: WorkersOption = None,
    cont_on_err: ContinueOption = False,
    dry_run: DryRunOption = False,
    progress: ProgressOption = False,
    everything: Annotated[
        bool, typer.Option("--all", help="All objects: the default.", hidden=True)
    ] = False,
    wait: Annotated[
        bool, typer.Option("--wait", help="Print `Done.`; commands always wait.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", "-f", help="No effect: nothing is in the way.", hidden=True)
    ] = False,
) -> int:
    """Copy a bucket, some of its objects, or one object.

    Within the store, or to another one that --to-... or --from-... names. A bucket that does not
    exist is created with the properties of the source.

    Between stores, an object is compared with its checksum before it becomes visible, custom
    metadata goes along, and what the target has already (same size, same checksum) is left alone:
    a run that ended early is simply repeated. An object that is replaced while it is copied is
    copied again.

    Examples:
      ais cp ais://a ais://b
      ais cp ais://a/one.jpg ais://b/two.jpg
      ais cp ais://a ais://b --template 'shard-{00..09}.tar'
      ais cp ais://images ais://images --to-context scratch --exclude '*.tmp'
      ais cp ais://images ais://images --from-endpoint file:///data/store --dry-run
    """
    context = CliContext.of(ctx)
    flags = (to_context, to_endpoint, to_token_file, from_context, from_endpoint, from_token_file)
    selection = make_selection(names, template, prefix)
    if not (any(flags) or include or exclude):
        from aiscli.actions.buckets import CopyRequest, run_copy

        request = CopyRequest(
            source=parse_target(source),
            target=parse_target(target),
            selection=selection,
            options=CopyOptions(prepend=prepend, synchronize=sync, dry_run=dry_run),
            cont_on_err=cont_on_err,
            wait=wait,
        )
        return run_copy(context, request)
    if sync:
        raise InvalidArgumentError(
            "--sync is for copies within a store, of what no pattern leaves out",
            hint="to delete what the source does not have: ais sync SRC DST --delete",
        )
    from aiscli.actions.between.run import BetweenRequest, run_between
    from aiscli.actions.between.stores import Place
    from aiscli.actions.transfers.filter import NameFilter

    return run_between(
        context,
        BetweenRequest(
            source=parse_target(source),
            target=parse_target(target),
            from_place=Place(
                flag="--from",
                endpoint=from_endpoint,
                context_name=from_context,
                token_file=from_token_file,
            ),
            to_place=Place(
                flag="--to",
                endpoint=to_endpoint,
                context_name=to_context,
                token_file=to_token_file,
            ),
            selection=selection,
            names=NameFilter(include or (), exclude or ()),
            prepend=prepend,
            workers=workers,
            cont_on_err=cont_on_err,
            dry_run=dry_run,
            show_progress=progress,
        ),
    )
