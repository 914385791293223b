"""What the nodes of a store count: as it is, or as rates between two looks."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aiscli.actions.browse.refresh import ONCE, Refresh, run_repeated
from aiscli.actions.cluster import choose_nodes, is_embedded
from aiscli.exitcodes import ExitCode
from aiscli.output import Column
from aiscore.errors import InvalidArgumentError
from aiscore.model.cluster import NodeInfo, NodeRole

if TYPE_CHECKING:
    from aiscli.context import CliContext
    from aiscli.output.base import Record

__all__ = ["PerformanceRequest", "run_counters", "run_latency", "run_throughput"]

_SAMPLE_S = 5.0
"""Between two looks, unless `--refresh` says otherwise; AIStore's default."""
_CLUSTER = "Cluster"
_NS_PER_MS = 1e6


@dataclass(frozen=True, slots=True, kw_only=True)
class PerformanceRequest:
    """Which numbers to show.

    Attributes:
        node: id or name of a target; "" is all of them.
        regex: names of counters that match it.
        refresh: how often; also how long a sample of rates takes.
        is_sampled: False takes the refresh for granted and samples for `_SAMPLE_S` once.
    """

    node: str = ""
    regex: str = ""
    refresh: Refresh = ONCE
    is_sampled: bool = False

    def __post_init__(self) -> None:
        self.matches("")

    def matches(self, name: str) -> bool:
        """True if the counter is to be shown.

        Raises:
            InvalidArgumentError: the pattern is malformed.
        """
        try:
            return re.search(self.regex, name, re.IGNORECASE) is not None
        except re.error as error:
            raise InvalidArgumentError(
                f'invalid regular expression "{self.regex}": {error}'
            ) from None


@dataclass(frozen=True, slots=True)
class _Sample:
    """Counters of one target at a time."""

    node: NodeInfo
    at: float


def run_counters(context: CliContext, request: PerformanceRequest) -> ExitCode:
    """Print the counters of each target, those that are not 0."""

    def show() -> ExitCode:
        rows: list[tuple[str, Mapping[str, float]]] = [
            (
                node.name,
                {n: v for n, v in sorted(node.counters.items()) if v and _is_count(n)},
            )
            for node in _targets(context, request)
        ]
        return _print(context, request, rows, _Kind("counters", _counter_title, _integer_cell))

    return run_repeated(context, request.refresh, show)


def run_throughput(context: CliContext, request: PerformanceRequest) -> ExitCode:
    """Print bytes a second of each kind of request, between two looks."""
    size = context.output.size

    def rates(before: NodeInfo, now: NodeInfo, seconds: float) -> dict[str, float]:
        return {
            name: (value - before.counters.get(name, 0)) / seconds
            for name, value in sorted(now.counters.items())
            if name.endswith(".size") and value > before.counters.get(name, 0)
        }

    kind = _Kind("rates", lambda name: _title(name, ".size", "bw"), lambda v: f"{size(int(v))}/s")
    return _run_sampled(context, request, rates, kind)


def run_latency(context: CliContext, request: PerformanceRequest) -> ExitCode:
    """Print the average time of each kind of request, between two looks."""

    def averages(before: NodeInfo, now: NodeInfo, seconds: float) -> dict[str, float]:
        found = {}
        for name, value in sorted(now.counters.items()):
            stem = name.removesuffix(".ns.total")
            count = now.counters.get(f"{stem}.n", 0) - before.counters.get(f"{stem}.n", 0)
            if stem != name and count > 0:
                found[name] = (value - before.counters.get(name, 0)) / count / _NS_PER_MS
        return found

    kind = _Kind(
        "milliseconds", lambda name: _title(name, ".ns.total", "t"), lambda v: f"{v:.3f}ms"
    )
    return _run_sampled(context, request, averages, kind)


@dataclass(frozen=True, slots=True)
class _Kind:
    """How numbers are shown.

    Attributes:
        field: of the machine formats: name of the counter to number.
        title: of a column, from the name of the counter.
        cell: of a number.
    """

    field: str
    title: Callable[[str], str]
    cell: Callable[[float], str]


def _run_sampled(
    context: CliContext,
    request: PerformanceRequest,
    derive: Callable[[NodeInfo, NodeInfo, float], dict[str, float]],
    kind: _Kind,
) -> ExitCode:
    """Look, wait, look again; with `--refresh` the second look is the first of the next round."""
    interval_s = request.refresh.interval_ns / 1e9 if request.is_sampled else _SAMPLE_S
    before = _looked(context, request)
    done = 0
    while True:
        if not is_embedded(context):
            time.sleep(interval_s)
        now = _looked(context, request)
        rows = [
            (name, derive(before[name].node, sample.node, max(sample.at - before[name].at, 1e-9)))
            for name, sample in now.items()
            if name in before
        ]
        _print(context, request, rows, kind)
        context.output.flush()
        before, done = now, done + 1
        if done == request.refresh.count or is_embedded(context):
            return ExitCode.OK


def _looked(context: CliContext, request: PerformanceRequest) -> dict[str, _Sample]:
    return {node.name: _Sample(node, time.monotonic()) for node in _targets(context, request)}


def _targets(context: CliContext, request: PerformanceRequest) -> list[NodeInfo]:
    nodes = choose_nodes(context.transport.cluster_info(), request.node)
    return [node for node in nodes if node.role is NodeRole.TARGET]


def _print(
    context: CliContext,
    request: PerformanceRequest,
    rows: Sequence[tuple[str, Mapping[str, float]]],
    kind: _Kind,
) -> ExitCode:
    records: list[Record] = [
        {"target": name, kind.field: {n: v for n, v in values.items() if request.matches(n)}}
        for name, values in rows
    ]
    if not context.output.is_table:
        context.output.table([Column("target"), Column(kind.field)], records)
        return ExitCode.OK
    names = dict.fromkeys(n for _, values in rows for n in values if request.matches(n))
    if not names:
        idle = (
            "No counters: each process that uses an embedded store counts for itself"
            if is_embedded(context)
            else "idle"
        )
        context.output.text(idle)
        return ExitCode.OK
    columns = [Column("target")]
    columns += [Column(name, kind.title(name), show=_cell(name, kind)) for name in sorted(names)]
    context.output.table(
        columns, [{"target": name, **{n: values.get(n) for n in names}} for name, values in rows]
    )
    return ExitCode.OK


def _cell(name: str, kind: _Kind) -> Callable[[Record], str]:
    def show(record: Record) -> str:
        value = record[name]
        return kind.cell(value) if isinstance(value, int | float) else "-"

    return show


_WAITS = (".throttle.ns", ".rxwait.ns")
"""Ends of the names of what is counted in nanoseconds."""


def _is_count(name: str) -> bool:
    return name.endswith((".n", ".size", *_WAITS))


def _counter_title(name: str) -> str:
    if name.endswith(_WAITS):
        return _title(name, ".ns", "ns")
    unit = "size" if name.endswith(".size") else "n"
    return _title(name, f".{unit}", unit)


def _title(name: str, suffix: str, unit: str) -> str:
    """`err.get.n` as `ERR-GET(n)`."""
    return f"{name.removesuffix(suffix).replace('.', '-').upper()}({unit})"


def _integer_cell(value: float) -> str:
    return f"{int(value)}"
