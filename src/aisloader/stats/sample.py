"""What every report is made of: readings of the counters, and what they come to over a time."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from aiscore.model.units import SECOND
from aisloader.stats.series import Series, Totals

__all__ = ["Final", "RunInfo", "Sample", "Sink", "Span"]


@dataclass(frozen=True, slots=True)
class Span:
    """Counters over a time.

    Attributes:
        started: wall clock of its begin, s since the epoch.
        elapsed_ns: how long it is.
        totals: by operation, in the order of rows.
    """

    started: float
    elapsed_ns: int
    totals: Mapping[Series, Totals]

    def throughput(self, series: Series) -> int:
        """Bytes a second: content over wall time, never over summed latency."""
        totals = self.totals.get(series)
        return totals.size * SECOND // self.elapsed_ns if totals and self.elapsed_ns > 0 else 0

    def rate(self, series: Series) -> float:
        """Operations a second."""
        totals = self.totals.get(series)
        return totals.count * SECOND / self.elapsed_ns if totals and self.elapsed_ns > 0 else 0.0

    @property
    def errors(self) -> int:
        """Failed operations of all kinds."""
        return sum(totals.errors for totals in self.totals.values())

    @property
    def count(self) -> int:
        """Successful operations of all kinds."""
        return sum(totals.count for totals in self.totals.values())


@dataclass(frozen=True, slots=True)
class Sample:
    """An interval, and the run up to its end."""

    interval: Span
    run: Span


@dataclass(frozen=True, slots=True, kw_only=True)
class RunInfo:
    """What is known before the first operation.

    Attributes:
        config: the block of runtime configuration, in upstream's order and keys.
        params: every parameter by section.
        environment: machine, versions, endpoint.
        has_rate: operations follow a schedule: response times exist.
        started: wall clock, s since the epoch.
    """

    config: Mapping[str, Any]
    params: Mapping[str, Any]
    environment: Mapping[str, Any]
    has_rate: bool
    started: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Final:
    """What is known after the last one.

    Attributes:
        run: the measured time: without warm-up.
        verdict: whether the loader was the limit, and the figures behind it.
        coverage: of the epochs; empty without.
        ended_by: why the run ended.
        notes: one line each.
    """

    run: Span
    verdict: Mapping[str, Any]
    ended_by: str
    coverage: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


class Sink(Protocol):
    """Somewhere that a run is reported to."""

    def start(self, info: RunInfo) -> None:
        """The clock is about to start."""
        ...

    def second(self, sample: Sample) -> None:
        """A second has passed."""
        ...

    def interval(self, sample: Sample) -> None:
        """An interval of the report has passed."""
        ...

    def finish(self, final: Final) -> None:
        """The run is over."""
        ...

    def close(self) -> None:
        """Release files and sockets; after an error too."""
        ...
