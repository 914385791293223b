"""A live view on a terminal: the run's table, redrawn in place once a second, with a line of throughput."""

import re
import shutil
import time
from collections import deque
from typing import TextIO

from aiscore.model.units import format_duration
from aisloader.stats.sample import Final, RunInfo, Sample
from aisloader.stats.series import Series
from aisloader.stats.text import (
    PERCENTS,
    pretty_duration,
    pretty_number,
    pretty_size,
    pretty_speed,
)

__all__ = ["LiveSink", "sparkline"]

_BARS = "▁▂▃▄▅▆▇█"
_HISTORY = 60


class LiveSink:
    """Draws on a terminal, below what was printed; wipes itself away at the end.

    Args:
        file: the terminal.
    """

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._drawn = 0
        self._limit_ns: int | None = None
        self._history: dict[Series, deque[int]] = {}

    def start(self, info: RunInfo) -> None:
        """How long the run is to be."""
        limit = info.params.get("workload", {}).get("duration_ns")
        self._limit_ns = int(limit) if limit else None

    def second(self, sample: Sample) -> None:
        """Draw."""
        self.wipe()
        width = max(shutil.get_terminal_size().columns - 1, 20)
        lines = [self._head(sample.run.elapsed_ns), *self._rows(sample)]
        self._file.write("".join(f"{_cut(line, width)}\n" for line in lines))
        self._file.flush()
        self._drawn = len(lines)

    def interval(self, sample: Sample) -> None:
        """Make room: the report prints its rows where the view stands."""
        self.wipe()

    def finish(self, final: Final) -> None:
        """The report says it all."""
        self.wipe()

    def close(self) -> None:
        """Leave a clean terminal."""
        self.wipe()

    def wipe(self) -> None:
        """Remove what was drawn last."""
        if self._drawn:
            self._file.write(f"\x1b[{self._drawn}F\x1b[J")
            self._file.flush()
            self._drawn = 0

    def _head(self, elapsed_ns: int) -> str:
        seconds = elapsed_ns // 10**9 * 10**9
        text = f"{time.strftime('%H:%M:%S')}  running {format_duration(seconds)}"
        if self._limit_ns:
            done = min(elapsed_ns / self._limit_ns, 1.0)
            text += f" of {format_duration(self._limit_ns)}  [{'#' * round(done * 20):<20}]"
        return text

    def _rows(self, sample: Sample) -> list[str]:
        lines = []
        for series, totals in sample.interval.totals.items():
            run = sample.run.totals[series]
            history = self._history.setdefault(series, deque(maxlen=_HISTORY))
            history.append(sample.interval.throughput(series))
            p50, _, p99, _ = totals.service.percentiles(PERCENTS)
            errors = f"  errors {pretty_number(run.errors)}" if run.errors else ""
            lines.append(
                f"{series.label}  {pretty_number(round(sample.interval.rate(series)))}/s"
                f"  {pretty_speed(history[-1])}  p50 {pretty_duration(p50)}"
                f"  p99 {pretty_duration(p99)}  total {pretty_number(run.count)}"
                f" {pretty_size(run.size)}{errors}  {sparkline(history)}"
            )
        return lines


def sparkline(values: "deque[int] | list[int]") -> str:
    """Values as bars, the largest is the highest."""
    top = max(values, default=0)
    if not top:
        return ""
    return "".join(_BARS[min(value * len(_BARS) // (top + 1), len(_BARS) - 1)] for value in values)


def _cut(line: str, width: int) -> str:
    return re.sub(r"\s+$", "", line[:width])
