"""Was it the store that was measured, or the loader?

Three signs that the loader was the limit: its workers spent much of their time between operations; a worker process
used up a core; or workers that were free began late what was due. Each is measured, and told with its figure.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from aisloader.stats.histogram import Histogram
from aisloader.stats.text import pretty_duration

__all__ = ["Figures", "judge"]

OWN_SHARE_MAX = 0.10
CPU_SHARE_MAX = 0.85
LATE_SHARE_MAX = 0.10
"""p99 of lateness, as part of the median service time."""
_OPERATIONS_MIN = 100
"""Fewer operations tell nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What the verdict is made of.

    Attributes:
        own_ns: time of all workers between operations, waiting left out.
        active_ns: time of all workers from the start to their end.
        waited_ns: of it, time spent waiting for operations to be due.
        operations: how many.
        cpu_ns: CPU time of each worker process.
        elapsed_ns: the run.
        is_embedded: the engine runs in the worker processes, so that their CPU time is the store's too.
        lateness: how late free workers began.
        service_p50_ns: median service time of the most frequent operation.
        workers: how many there were.
    """

    own_ns: int
    active_ns: int
    waited_ns: int
    operations: int
    cpu_ns: Sequence[int]
    elapsed_ns: int
    is_embedded: bool
    lateness: Histogram
    service_p50_ns: int
    workers: int = 1


def judge(figures: Figures) -> dict[str, Any]:
    """`loader_bound`, the figures, and one line of text."""
    busy = max(figures.active_ns - figures.waited_ns, 1)
    own_share = figures.own_ns / busy
    cpu = max((used / max(figures.elapsed_ns, 1) for used in figures.cpu_ns), default=0.0)
    late = figures.lateness.percentile(99)
    per_operation = figures.own_ns // max(figures.operations, 1)
    signs = []
    if own_share > OWN_SHARE_MAX and not figures.waited_ns:
        signs.append(f"its workers spent {own_share:.0%} of their time between operations")
    if cpu > CPU_SHARE_MAX and not figures.is_embedded:
        signs.append(f"a worker process used {cpu:.0%} of a core")
    if late > LATE_SHARE_MAX * max(figures.service_p50_ns, 1) and figures.lateness.count:
        signs.append(f"free workers began up to {pretty_duration(late)} late (p99)")
    enough = figures.operations >= _OPERATIONS_MIN
    bound = enough and bool(signs)
    own = f"{per_operation / 1000:.1f} us of its own for an operation"
    if not enough:
        text = ""
    elif bound:
        text = f"The loader itself was a limit: {'; '.join(signs)} ({own})"
    else:
        text = f"The loader was not the limit: {own_share:.1%} of its workers' time, {own}"
    processes = len(figures.cpu_ns)
    if text and figures.is_embedded and figures.workers > processes > 0:
        text += (
            f"; {figures.workers} workers share {processes} process{'es' if processes > 1 else ''} with the engine, "
            "and latencies hold their waiting for each other"
        )
    return {
        "loader_bound": bound,
        "own_share": round(own_share, 4),
        "own_ns_per_operation": per_operation,
        "cpu_share_max": round(cpu, 4),
        "late_p99_ns": late,
        "text": text,
    }
