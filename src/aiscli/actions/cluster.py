"""Cluster-shaped commands on an embedded store: one node, which is this process.

The store has one pseudo target `t[local]` and one pseudo proxy `p[local]`, so that tables keep their
shape.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from aiscli.actions.browse.refresh import ONCE, Refresh, run_repeated
from aiscli.context import CliContext
from aiscli.exitcodes import ExitCode
from aiscli.output import Column
from aiscli.output.base import Record
from aiscore._version import __version__
from aiscore.errors import (
    NotFoundError,
    UnsupportedError,
)
from aiscore.model.storage import MountpathInfo, MountpathState

__all__ = [
    "TARGET",
    "NodeRequest",
    "is_embedded",
    "run_capacity",
    "run_no_rebalance",
    "run_show_cluster",
]

PROXY, TARGET = "p[local]", "t[local]"
_NODES = {"proxy": (PROXY,), "target": (TARGET,), PROXY: (PROXY,), TARGET: (TARGET,)}
_VIEWS = frozenset({"bmd", "config", "cpu", "memory", "smap", "stats"})
_LOCAL_SCHEME = "file:"


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeRequest:
    """Which nodes to show: all, `proxy`, `target`, or one by its id."""

    node: str = ""
    refresh: Refresh = ONCE

    def __post_init__(self) -> None:
        if self.node in _VIEWS:
            raise UnsupportedError(
                f"'ais show cluster {self.node}' is not available yet", hint="see: ais show cluster"
            )
        if self.node and self.node not in _NODES:
            raise NotFoundError(
                f'no node "{self.node}": expecting a valid NODE_ID or node type (proxy, target)',
                hint=f"an embedded store has {PROXY} and {TARGET}",
            )

    @property
    def nodes(self) -> tuple[str, ...]:
        """Ids of the nodes."""
        return _NODES.get(self.node, (PROXY, TARGET))


@dataclass(frozen=True, slots=True)
class _Capacity:
    """Disks of the store together; bytes."""

    used: int
    total: int
    enabled: int
    mountpaths: int

    @classmethod
    def of(cls, infos: Sequence[MountpathInfo]) -> "_Capacity":
        # Mountpaths of one disk share its space: counted once.
        disks = {(info.disk_used, info.disk_total) for info in infos}
        return cls(
            sum(used for used, _ in disks),
            sum(total for _, total in disks),
            sum(info.state is MountpathState.ENABLED for info in infos),
            len(infos),
        )

    @property
    def used_percent(self) -> int:
        return round(100 * self.used / self.total) if self.total else 0

    @property
    def available(self) -> int:
        return self.total - self.used

    @property
    def status(self) -> str:
        """Whether all disks are in use."""
        if self.enabled == self.mountpaths:
            return "online"
        return f"{self.mountpaths - self.enabled} of {self.mountpaths} mountpaths not in use"


def run_show_cluster(context: CliContext, request: NodeRequest) -> ExitCode:
    """Print the nodes, and what the store is."""

    def show() -> ExitCode:
        _require_embedded(context, "the nodes of a remote store")
        capacity = _Capacity.of(context.transport.mountpaths())
        records = [_node_record(node, capacity) for node in request.nodes]
        if not context.output.is_table:
            columns = [Column(key) for key in records[0]]
            context.output.table(columns, records)
            return ExitCode.OK
        _print_nodes(context, records)
        if not request.node:
            _print_cluster(context, capacity)
        return ExitCode.OK

    return run_repeated(context, request.refresh, show)


def _node_record(node: str, capacity: _Capacity) -> Record:
    is_target = node == TARGET
    return {
        "node": node,
        "type": "target" if is_target else "proxy",
        "used_percent": capacity.used_percent if is_target else None,
        "available": capacity.available if is_target else None,
        "mountpaths": capacity.mountpaths if is_target else None,
        "status": capacity.status if is_target else "online",
        "version": __version__,
    }


def _print_nodes(context: CliContext, records: Sequence[Record]) -> None:
    for record in records:
        status = [Column("status"), Column("version")]
        if record["type"] == "proxy":
            columns = [Column("node", "PROXY"), *status]
        else:
            columns = [
                Column("node", "TARGET"),
                Column("used_percent", "CAP USED(%)", show=lambda r: f"{r['used_percent']}%"),
                Column("available", "CAP AVAIL", is_size=True),
                Column("mountpaths"),
                *status,
            ]
        context.output.table(columns, [record])
        context.output.text()


def _print_cluster(context: CliContext, capacity: _Capacity) -> None:
    size = context.output.size
    buckets = len(context.transport.list_buckets())
    lines = {
        "Endpoint": context.transport.endpoint,
        "Proxies": "1 (this process)",
        "Targets": f"1 (this process, {capacity.mountpaths} mountpaths)",
        "Capacity": f"used {size(capacity.used)} ({capacity.used_percent}%), "
        f"available {size(capacity.available)}",
        "Cluster Map": "none: an embedded store has one node",
        "Software": f"aiscore {__version__}",
        "Backend": "none",
        "Deployment": "embedded",
        "Status": f"{capacity.status}, {buckets:,} buckets",
        "Rebalance": "n/a",
        "Authentication": "disabled",
        "Version": __version__,
        "Build": "n/a",
    }
    context.output.text("Cluster:")
    for key, value in lines.items():
        context.output.text(f"   {key + ':':<16} {value}")


def run_capacity(context: CliContext, refresh: Refresh) -> ExitCode:
    """Print how full the disks are, for each target."""

    def show() -> ExitCode:
        infos = context.transport.mountpaths()
        capacity = _Capacity.of(infos)
        shares = [
            round(100 * info.disk_used / info.disk_total) for info in infos if info.disk_total
        ] or [0]
        record: dict[str, object] = {
            "target": TARGET if is_embedded(context) else context.transport.endpoint,
            "mountpaths": capacity.mountpaths,
            "used_percent_min": min(shares),
            "used_percent_avg": round(sum(shares) / len(shares)),
            "used_percent_max": max(shares),
            "used": capacity.used,
            "available": capacity.available,
            "total": capacity.total,
            "status": capacity.status,
        }
        columns = [
            Column("target"),
            Column("mountpaths"),
            Column("used", "USED(min%, avg%, max%)", show=_shares),
            Column("available", "CAP AVAIL", is_size=True),
            Column("status", "CAP STATUS"),
        ]
        if not context.output.is_table:
            columns = [Column(key) for key in record]
        context.output.table(columns, [record])
        return ExitCode.OK

    return run_repeated(context, refresh, show)


def _shares(record: Record) -> str:
    keys = ("used_percent_min", "used_percent_avg", "used_percent_max")
    return " ".join(f"{record[key]}%" for key in keys)


def run_no_rebalance(context: CliContext) -> ExitCode:
    """Say that a store of one node is always balanced."""
    _require_embedded(context, "rebalancing a remote store")
    context.output.item({"jobs": 0}, "An embedded store has one node, nothing to do")
    return ExitCode.OK


def is_embedded(context: CliContext) -> bool:
    """True when the store is in this process."""
    return context.transport.endpoint.startswith(_LOCAL_SCHEME)


def _require_embedded(context: CliContext, what: str) -> None:
    # Of another store nothing is known: better no answer than "none".
    if not is_embedded(context):
        raise UnsupportedError(f"{what}: not available yet")
