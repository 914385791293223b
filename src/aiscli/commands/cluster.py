"""`ais show cluster`, how full the disks are, and what the nodes count and log."""

from typing import Annotated

import typer

from aiscli.actions.browse.refresh import read_refresh
from aiscli.actions.cluster import (
    NodeRequest,
    run_capacity,
    run_no_rebalance,
    run_show_cluster,
    run_show_rebalance,
)
from aiscli.commands.options import CountOption, RefreshOption
from aiscli.context import CliContext

__all__ = [
    "bmd",
    "capacity",
    "counters",
    "latency",
    "log",
    "rebalance",
    "rebalance_show",
    "show",
    "smap",
    "throughput",
]

NodeArgument = Annotated[
    str, typer.Argument(metavar="NODE_ID", help="A node, proxy, or target. Default: all.")
]
TargetArgument = Annotated[str, typer.Argument(metavar="TARGET", help="A target. Default: all.")]
RegexOption = Annotated[
    str, typer.Option("--regex", metavar="REGEX", help="Counters whose names match it: ^get.")
]


def show(
    ctx: typer.Context,
    node: NodeArgument = "",
    refresh: RefreshOption = None,
    count: CountOption = None,
) -> int:
    """Show the nodes of the store, and what it is.

    An embedded store has one proxy and one target, and both are this process. [P] marks the primary
    proxy of a cluster.

    Examples:
      ais show cluster
      ais show cluster target -o json
    """
    request = NodeRequest(node=node, refresh=read_refresh(refresh, count))
    return run_show_cluster(CliContext.of(ctx), request)


def smap(ctx: typer.Context, node: NodeArgument = "") -> int:
    """Show the cluster map: which nodes there are, and where.

    Marks: [P] the primary proxy, [n/e] never the primary, [x] not in service.

    Examples:
      ais show cluster smap
    """
    from aiscli.actions.cluster_views import run_smap

    return run_smap(CliContext.of(ctx), NodeRequest(node=node))


def bmd(
    ctx: typer.Context,
    node: Annotated[str, typer.Argument(metavar="NODE_ID", hidden=True)] = "",
) -> int:
    """Show all buckets with what the cluster keeps of them.

    Examples:
      ais show cluster bmd
    """
    from aiscli.actions.cluster_views import run_bmd

    return run_bmd(CliContext.of(ctx))


def log(
    ctx: typer.Context,
    node: Annotated[str, typer.Argument(metavar="NODE_ID", help="A node: ais show cluster.")],
    severity: Annotated[
        str, typer.Option("--severity", metavar="LEVEL", help="info, warning, or error and above.")
    ] = "",
) -> int:
    """Show the log of a node.

    An embedded store writes none.

    Examples:
      ais log show t[ID] --severity error
      ais show log t[ID]
    """
    from aiscli.actions.cluster_views import LogRequest, run_log

    return run_log(CliContext.of(ctx), LogRequest(node=node, severity=severity.lower()))


def capacity(
    ctx: typer.Context,
    node: TargetArgument = "",
    refresh: RefreshOption = None,
    count: CountOption = None,
) -> int:
    """Show how full the disks are.

    Disk by disk: ais storage mountpath show.

    Examples:
      ais storage show
      ais performance capacity --refresh 10s --count 3
    """
    request = NodeRequest(node=node, refresh=read_refresh(refresh, count))
    return run_capacity(CliContext.of(ctx), request)


def counters(
    ctx: typer.Context,
    node: TargetArgument = "",
    regex: RegexOption = "",
    refresh: RefreshOption = None,
    count: CountOption = None,
) -> int:
    """Show what each target has counted since it started.

    Requests (n) and bytes (size) by AIStore's names, those that are not 0. A process that uses an
    embedded store counts for itself, so there is nothing to show.

    Examples:
      ais performance counters
      ais show performance --regex '^err' -o json
    """
    from aiscli.actions.performance import PerformanceRequest, run_counters

    request = PerformanceRequest(node=node, regex=regex, refresh=read_refresh(refresh, count))
    return run_counters(CliContext.of(ctx), request)


def throughput(
    ctx: typer.Context,
    node: TargetArgument = "",
    regex: RegexOption = "",
    refresh: RefreshOption = None,
    count: CountOption = None,
) -> int:
    """Show bytes a second of each target.

    Looks twice, 5 s apart, or as far apart as --refresh says.

    Examples:
      ais performance throughput --refresh 10s --count 3
    """
    from aiscli.actions.performance import PerformanceRequest, run_throughput

    request = PerformanceRequest(
        node=node,
        regex=regex,
        refresh=read_refresh(refresh, count),
        is_sampled=refresh is not None,
    )
    return run_throughput(CliContext.of(ctx), request)


def latency(
    ctx: typer.Context,
    node: TargetArgument = "",
    regex: RegexOption = "",
    refresh: RefreshOption = None,
    count: CountOption = None,
) -> int:
    """Show how long requests take on average at each target.

    Looks twice, 5 s apart, or as far apart as --refresh says.

    Examples:
      ais performance latency --refresh 10s --count 3
    """
    from aiscli.actions.performance import PerformanceRequest, run_latency

    request = PerformanceRequest(
        node=node,
        regex=regex,
        refresh=read_refresh(refresh, count),
        is_sampled=refresh is not None,
    )
    return run_latency(CliContext.of(ctx), request)


def rebalance_show(
    ctx: typer.Context,
    words: Annotated[list[str] | None, typer.Argument(metavar="REB_ID|NODE", hidden=True)] = None,
) -> int:
    """Show jobs that spread objects evenly over the targets, also those that have ended.

    Examples:
      ais show rebalance
    """
    return run_show_rebalance(CliContext.of(ctx))


def rebalance(
    ctx: typer.Context,
    words: Annotated[list[str] | None, typer.Argument(metavar="NODE|BUCKET", hidden=True)] = None,
) -> int:
    """Spread objects evenly: one target needs nothing.

    Examples:
      ais job start rebalance
    """
    return run_no_rebalance(CliContext.of(ctx))
