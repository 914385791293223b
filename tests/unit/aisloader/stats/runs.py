"""Totals and heads of runs that never were, for reports."""

from aisloader.stats.failure import FailureKind
from aisloader.stats.histogram import Histogram
from aisloader.stats.sample import RunInfo
from aisloader.stats.series import Metric, Totals


def totals_of(durations: list[int], size: int = 1000, failed: int = 0) -> Totals:
    return Totals(
        count=len(durations),
        size=size * len(durations),
        started=len(durations) + failed,
        failures={FailureKind.SERVER: failed} if failed else {},
        durations={Metric.SERVICE: Histogram.of(durations)},
    )


def info(**changes: object) -> RunInfo:
    values: dict[str, object] = {
        "config": {"bucket": "ais://b", "# workers": 2},
        "params": {"workload": {"seed": 1}, "loader": {"loaderid": "0"}},
        "environment": {"host": "h"},
        "has_rate": False,
        "started": 1_000_000.0,
    }
    return RunInfo(**(values | changes))  # type: ignore[arg-type]
