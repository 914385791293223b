"""`ais show cluster`, and how full the disks are."""

from typing import Annotated

import typer

from aiscli.actions.browse.refresh import read_refresh
from aiscli.actions.cluster import (
    NodeRequest,
    run_capacity,
    run_no_rebalance,
    run_show_cluster,
)
from aiscli.commands.options import CountOption, RefreshOption
from aiscli.context import CliContext

__all__ = ["capacity", "rebalance", "show"]


def show(
    ctx: typer.Context,
    node: Annotated[
        str, typer.Argument(metavar="NODE_ID", help="A node, proxy, or target. Default: all.")
    ] = "",
    refresh: RefreshOption = None,
    count: CountOption = None,
) -> int:
    """Show the nodes of the store, and what it is.

    An embedded store has one proxy and one target, and both are this process.

    Examples:
      ais show cluster
      ais show cluster target -o json
    """
    request = NodeRequest(node=node, refresh=read_refresh(refresh, count))
    return run_show_cluster(CliContext.of(ctx), request)


def capacity(
    ctx: typer.Context,
    node: Annotated[str | None, typer.Argument(metavar="TARGET", hidden=True)] = None,
    refresh: RefreshOption = None,
    count: CountOption = None,
) -> int:
    """Show how full the disks are.

    Disk by disk: ais storage mountpath show.

    Examples:
      ais storage show
      ais performance capacity --refresh 10s --count 3
    """
    return run_capacity(CliContext.of(ctx), read_refresh(refresh, count))


def rebalance(
    ctx: typer.Context,
    words: Annotated[list[str] | None, typer.Argument(metavar="NODE|BUCKET", hidden=True)] = None,
) -> int:
    """Spread objects evenly: one node needs nothing.

    Examples:
      ais show rebalance
      ais job start rebalance
    """
    return run_no_rebalance(CliContext.of(ctx))
