"""The nodes of a store, and how full their disks are.

An embedded store stands for one proxy `p[local]` and one target `t[local]`, both of them this
process, so that tables keep their shape.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aiscli.actions.browse.refresh import ONCE, Refresh, run_repeated
from aiscli.exitcodes import ExitCode
from aiscli.output import Column
from aiscore.errors import NotFoundError
from aiscore.model.cluster import ONLINE, ClusterInfo, NodeInfo, NodeRole

if TYPE_CHECKING:
    from aiscli.context import CliContext
    from aiscli.output.base import Record

__all__ = [
    "TARGET",
    "NodeRequest",
    "choose_nodes",
    "is_embedded",
    "run_capacity",
    "run_no_rebalance",
    "run_show_cluster",
    "run_show_rebalance",
]

TARGET = "t[local]"
_LOCAL_SCHEME = "file:"
_ROLES = {role.value: role for role in NodeRole}


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeRequest:
    """Which nodes to show: all, `proxy`, `target`, or one by its id or name."""

    node: str = ""
    refresh: Refresh = ONCE


def choose_nodes(found: ClusterInfo, wanted: str) -> tuple[NodeInfo, ...]:
    """The nodes that a word stands for: a role, an id, a name (`t[ID]`); all for "".

    Raises:
        NotFoundError: there is no such node.
    """
    if not wanted:
        return found.nodes
    if wanted.lower() in _ROLES:
        return found.of(_ROLES[wanted.lower()])
    chosen = tuple(node for node in found.nodes if wanted in {node.name, node.id})
    if not chosen:
        names = ", ".join(node.name for node in found.nodes[:_NAMES_SHOWN])
        more = ", ..." if len(found.nodes) > _NAMES_SHOWN else ""
        raise NotFoundError(
            f'no node "{wanted}": expecting a valid NODE_ID or node type (proxy, target)',
            hint=f"nodes are: {names}{more}",
        )
    return chosen


_NAMES_SHOWN = 8


def run_show_cluster(context: CliContext, request: NodeRequest) -> ExitCode:
    """Print the nodes, and what the store is."""

    def show() -> ExitCode:
        found = context.transport.cluster_info()
        nodes = choose_nodes(found, request.node)
        if not context.output.is_table:
            records = [_node_record(node) for node in nodes]
            context.output.table([Column(key) for key in records[0]], records)
            return ExitCode.OK
        _print_nodes(context, nodes)
        if not request.node:
            _print_cluster(context, found)
        return ExitCode.OK

    return run_repeated(context, request.refresh, show)


def _node_record(node: NodeInfo) -> Record:
    is_target = node.role is NodeRole.TARGET
    return {
        "node": node.name,
        "type": node.role.value,
        "url": node.url or None,
        "primary": node.is_primary,
        "used_percent": _used_percent(node) if is_target else None,
        "available": node.disk_total - node.disk_used if is_target else None,
        "mountpaths": len(node.mountpaths) if is_target else None,
        "memory_used": node.memory_used or None,
        "memory_available": node.memory_available or None,
        "load": None if node.load is None else " ".join(f"{value:.1f}" for value in node.load),
        "uptime_seconds": node.uptime_ns / 1e9 if node.uptime_ns else None,
        "status": node.status,
        "alerts": list(node.alerts),
        "pressure": dict(node.pressure) or None,
        "version": node.version,
    }


def _print_nodes(context: CliContext, nodes: Sequence[NodeInfo]) -> None:
    for role in NodeRole:
        records = [
            {
                **_node_record(node),
                "name": _marked_name(node),
            }
            for node in nodes
            if node.role is role
        ]
        if records:
            context.output.table(_node_columns(role, records), records)
            context.output.text()


def _marked_name(node: NodeInfo) -> str:
    """The name; of a primary proxy with a mark, unless it is this process."""
    return f"{node.name}[P]" if node.is_primary and node.url else node.name


def _node_columns(role: NodeRole, records: Sequence[Record]) -> list[Column]:
    """The columns in which there is something to say."""
    capacity = [
        Column("used_percent", "CAP USED(%)", show=lambda r: f"{r['used_percent']}%"),
        Column("available", "CAP AVAIL", is_size=True),
        Column("mountpaths"),
    ]
    optional = [
        Column("memory_used", "MEM USED", is_size=True),
        Column("memory_available", "MEM AVAIL", is_size=True),
        *(capacity if role is NodeRole.TARGET else ()),
        Column("load", "LOAD AVERAGE", show=lambda r: f"[{r['load']}]" if r["load"] else "-"),
        Column("uptime_seconds", "UPTIME", show=lambda r: _duration(r["uptime_seconds"])),
        Column("status"),
        Column("version"),
        Column("alerts", "ALERT", show=_alert_cell),
    ]
    said = [column for column in optional if any(record[column.field] for record in records)]
    return [Column("name", role.value.upper()), *said]


def _alert_cell(record: Record) -> str:
    alerts = record["alerts"]
    return ",".join(alerts) if isinstance(alerts, list) and alerts else "-"


def _duration(seconds: object) -> str:
    """`3d4h`, `2h10m`, `9m30s`: the two largest parts."""
    if not isinstance(seconds, int | float):
        return "-"
    left = int(seconds)
    parts: list[str] = []
    for unit, size in (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)):
        count, left = divmod(left, size)
        if count or (unit == "s" and not parts):
            parts.append(f"{count}{unit}")
    return "".join(parts[:2])


def _print_cluster(context: CliContext, found: ClusterInfo) -> None:
    size = context.output.size
    proxies, targets = found.of(NodeRole.PROXY), found.of(NodeRole.TARGET)
    used = sum(node.disk_used for node in targets)
    total = sum(node.disk_total for node in targets)
    percent = round(100 * used / total) if total else 0
    mountpaths = sum(len(node.mountpaths) for node in targets)
    embedded = is_embedded(context)
    of_process = "this process, " if embedded else ""
    primary = next((node.name for node in proxies if node.is_primary), "none")
    versions = sorted({node.version for node in found.nodes if node.version}) or ["unknown"]
    builds = sorted({node.build for node in found.nodes if node.build})
    deployments = sorted({node.deployment for node in found.nodes if node.deployment})
    lines = {
        "Endpoint": context.transport.endpoint,
        "Proxies": f"{len(proxies)}{' (this process)' if embedded else ''}",
        "Targets": f"{len(targets)} ({of_process}{mountpaths} mountpaths)",
        "Capacity": f"used {size(used)} ({percent}%), available {size(total - used)}",
        "Cluster Map": "none: an embedded store has one node"
        if embedded
        else f"version {found.map_version}, UUID {found.uuid}, primary {primary}",
        "Software": ", ".join(builds) or "unknown",
        "Deployment": ", ".join(deployments) or "unknown",
        "Status": f"{_status(found)}, {len(context.transport.list_buckets()):,} buckets",
        "Version": ", ".join(versions),
    }
    context.output.text("Cluster:")
    for key, value in lines.items():
        context.output.text(f"   {key + ':':<16} {value}")


def _status(found: ClusterInfo) -> str:
    faulty = [node for node in found.nodes if not node.is_online]
    online = f"{len(found.nodes) - len(faulty)} {ONLINE}"
    return ", ".join([online, *(f"{node.name}: {node.status}" for node in faulty[:_NAMES_SHOWN])])


def _used_percent(node: NodeInfo) -> int:
    return round(100 * node.disk_used / node.disk_total) if node.disk_total else 0


def run_capacity(context: CliContext, request: NodeRequest) -> ExitCode:
    """Print how full the disks are, for each target."""

    def show() -> ExitCode:
        found = context.transport.cluster_info()
        nodes = [n for n in choose_nodes(found, request.node) if n.role is NodeRole.TARGET]
        columns = [
            Column("target"),
            Column("mountpaths"),
            Column("used", "USED(min%, avg%, max%)", show=_shares),
            Column("available", "CAP AVAIL", is_size=True),
            Column("status", "CAP STATUS"),
        ]
        records = [_capacity_record(node) for node in nodes]
        if not context.output.is_table:
            columns = [Column(key) for key in records[0]] if records else []
        context.output.table(columns, records)
        return ExitCode.OK

    return run_repeated(context, request.refresh, show)


def _capacity_record(node: NodeInfo) -> Record:
    shares = [
        round(100 * info.disk_used / info.disk_total) for info in node.mountpaths if info.disk_total
    ] or [0]
    return {
        "target": node.name,
        "mountpaths": len(node.mountpaths),
        "used_percent_min": min(shares),
        "used_percent_avg": round(sum(shares) / len(shares)),
        "used_percent_max": max(shares),
        "used": node.disk_used,
        "available": node.disk_total - node.disk_used,
        "total": node.disk_total,
        "status": node.status,
    }


def _shares(record: Record) -> str:
    keys = ("used_percent_min", "used_percent_avg", "used_percent_max")
    return " ".join(f"{record[key]}%" for key in keys)


def run_no_rebalance(context: CliContext) -> ExitCode:
    """Say that a store of one target is always balanced.

    Raises:
        UnsupportedError: it has several.
    """
    targets = context.transport.cluster_info().of(NodeRole.TARGET)
    if len(targets) > 1:
        from aiscore.errors import UnsupportedError

        raise UnsupportedError(
            f"cannot start a rebalance of {len(targets)} targets: not available yet",
            hint="AIStore's own ais can: ais job start rebalance",
        )
    subject = "An embedded store has one node" if is_embedded(context) else "One target"
    context.output.item({"jobs": 0}, f"{subject}, nothing to do")
    return ExitCode.OK


def run_show_rebalance(context: CliContext) -> ExitCode:
    """Print rebalance jobs, those that ended too; a store in this process has none."""
    from aiscli.actions.jobs import JobQuery, ShowJobsRequest, run_show_jobs
    from aiscore.model.xaction import XactionKind

    query = JobQuery(label="rebalance", kinds=(XactionKind.REBALANCE,))
    return run_show_jobs(context, ShowJobsRequest(query=query, everything=True))


def is_embedded(context: CliContext) -> bool:
    """True when the store is in this process."""
    return context.transport.endpoint.startswith(_LOCAL_SCHEME)
