"""Parts of what a cluster is: its map, its buckets, the logs of its nodes."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aiscli.actions.cluster import NodeRequest, choose_nodes
from aiscli.exitcodes import ExitCode
from aiscli.output import Column
from aiscli.output.text import printable
from aiscore.errors import BucketNotFoundError, InvalidArgumentError
from aiscore.model.cluster import ClusterInfo, NodeRole

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aiscli.context import CliContext
    from aiscli.output.base import Record

__all__ = ["SEVERITIES", "LogRequest", "run_bmd", "run_log", "run_smap"]

SEVERITIES = ("info", "warning", "error")


def run_smap(context: CliContext, request: NodeRequest) -> ExitCode:
    """Print the cluster map: who is where."""
    found = context.transport.cluster_info()
    nodes = choose_nodes(found, request.node)
    records: list[Record] = [
        {
            "node": node.name,
            "type": node.role.value,
            "url": node.url or None,
            "control_url": node.control_url or None,
            "data_url": node.data_url or None,
            "primary": node.is_primary,
            "electable": node.is_electable and node.role is NodeRole.PROXY,
            "status": node.status,
        }
        for node in nodes
    ]
    if not context.output.is_table:
        context.output.table([Column(key) for key in records[0]], records)
        return ExitCode.OK
    columns = [Column("node", show=_marked), Column("type"), Column("url", "PUBLIC URL")]
    for key, title in (("control_url", "INTRA CONTROL URL"), ("data_url", "INTRA DATA URL")):
        if any(record[key] != record["url"] for record in records):
            columns.append(Column(key, title))
    context.output.table(columns, records)
    proxies = found.of(NodeRole.PROXY)
    not_electable = [node.name for node in proxies if not node.is_electable]
    primary = next((node.name for node in proxies if node.is_primary), "none")
    for line in (
        "",
        f"Non-Electable: {', '.join(not_electable) or 'none'}",
        f"Primary Proxy: {primary}",
        _summary(found),
    ):
        context.output.text(line)
    return ExitCode.OK


def _summary(found: ClusterInfo) -> str:
    counts = ", ".join(
        f"{plural}({len(found.of(role))})"
        for role, plural in ((NodeRole.PROXY, "proxies"), (NodeRole.TARGET, "targets"))
    )
    which = (
        f"cluster map(v{found.map_version}), cluster ID({found.uuid})"
        if found.uuid
        else "no cluster map: one node"
    )
    return f"Summary:       {counts}, {which}"


def _marked(record: Record) -> str:
    marks = "[P]" if record["primary"] and record["url"] else ""
    if record["type"] == NodeRole.PROXY.value and not record["electable"]:
        marks += "[n/e]"
    if record["status"] != "online":
        marks += "[x]"
    return f"{record['node']}{marks}"


def run_bmd(context: CliContext) -> ExitCode:
    """Print all buckets with what the cluster keeps of them."""
    columns = [
        Column("provider"),
        Column("namespace", show=lambda r: str(r["namespace"] or "-")),
        Column("name"),
        Column("backend", show=lambda r: str(r["backend"] or "-")),
        Column("copies", show=lambda r: str(r["copies"] or "-")),
        Column("ec", "EC", show=lambda r: str(r["ec"] or "-")),
        Column("created"),
    ]
    context.output.table(columns, _buckets(context))
    return ExitCode.OK


def _buckets(context: CliContext) -> Iterator[Record]:
    for bucket in context.transport.list_buckets():
        try:
            props = context.transport.head_bucket(bucket)
        except BucketNotFoundError:
            continue  # destroyed meanwhile
        backend = props.backend_bck
        seconds = props.created // 1_000_000_000
        namespace = bucket.namespace
        yield {
            "provider": bucket.provider.value,
            "namespace": f"{'@' + namespace.uuid if namespace.uuid else ''}"
            f"{'#' + namespace.name if namespace.name else ''}"
            or None,
            "name": bucket.name,
            "backend": f"{backend.provider}://{backend.name}" if backend.is_set else None,
            "copies": props.mirror.copies if props.mirror.enabled else None,
            "ec": f"{props.ec.data_slices}:{props.ec.parity_slices}" if props.ec.enabled else None,
            "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds)),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class LogRequest:
    """Whose log: a node by id or name; `severity` leaves out what is less severe."""

    node: str
    severity: str = ""

    def __post_init__(self) -> None:
        if self.severity and self.severity not in SEVERITIES:
            raise InvalidArgumentError(
                f'invalid severity "{self.severity}"', hint=f"use one of: {', '.join(SEVERITIES)}"
            )


def run_log(context: CliContext, request: LogRequest) -> ExitCode:
    """Print the log of a node; control characters in it are shown, not obeyed."""
    rest = b""
    for block in context.transport.node_log(request.node, request.severity):
        *lines, rest = (rest + block).split(b"\n")
        for line in lines:
            context.output.plain(_shown(line))
    if rest:
        context.output.plain(_shown(rest))
    return ExitCode.OK


def _shown(line: bytes) -> str:
    return printable(line.decode("utf-8", "replace").rstrip("\r").expandtabs())
