"""Do two runs differ? A decision with a confidence, not two numbers side by side.

Seconds of a run are alike but not independent: a slow one is followed by another. So whole blocks of neighbouring
seconds are drawn anew, with replacement, from each run (block bootstrap); each draw gives a ratio, and the ratios'
quantiles an interval. Percentiles of a draw are those of the merged histograms of its seconds, never averages. The
level is divided by the number of comparisons, so that one in twenty runs of a dozen figures is not declared a
regression by chance. The random numbers are fixed: the same files give the same answer.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from aisloader.stats.histogram import BUCKET_COUNT, upper_bound
from aisloader.stats.result import Result, Second
from aisloader.stats.series import Series

Floats = npt.NDArray[np.float64]

__all__ = ["SECONDS_MIN", "Change", "Comparison", "Finding", "compare"]

SECONDS_MIN = 8
"""Fewer whole seconds in either run decide nothing."""
SECONDS_MAX = 1_200
"""Seconds that are looked at, evenly spread over a longer run: bounds memory and time."""
DRAWS = 2000
CONFIDENCE = 0.95
_BLOCK_MAX = 10
_LENGTH_MIN_S = 0.9


class Change(StrEnum):
    """What is known of a figure of the second run against the first."""

    BETTER = "better"
    WORSE = "worse"
    SAME = "same"
    """Any difference is within the tolerance."""
    UNCLEAR = "unclear"
    """Neither is sure: run longer."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One figure of one operation.

    Attributes:
        metric: `ops/s`, `bytes/s`, `p50` or `p99` (ns), `errors` (share of operations).
        before, after: of the whole runs.
        ratio: after / before, with its confidence interval `low`..`high`.
    """

    series: Series
    metric: str
    before: float
    after: float
    ratio: float
    low: float
    high: float
    change: Change


@dataclass(frozen=True, slots=True)
class Comparison:
    """All findings, and what could not be compared."""

    findings: tuple[Finding, ...]
    notes: tuple[str, ...]
    tolerance: float

    @property
    def is_worse(self) -> bool:
        """True when anything is worse for sure."""
        return any(finding.change is Change.WORSE for finding in self.findings)

    @property
    def is_decided(self) -> bool:
        """True when something was compared."""
        return bool(self.findings)


def compare(before: Result, after: Result, tolerance: float = 0.05) -> Comparison:
    """Compare two runs.

    Args:
        before: the first.
        after: the second.
        tolerance: relative difference that does not matter, 0 to 1.
    """
    shared = [s for s in Series if before.seconds.get(s) and after.seconds.get(s)]
    notes = [*_differences(before, after)]
    notes += [
        f"{series.label} is in one of the runs only"
        for series in Series
        if bool(before.seconds.get(series)) != bool(after.seconds.get(series))
    ]
    findings: list[Finding] = []
    level = (1 - CONFIDENCE) / max(4 * len(shared), 1)
    for series in shared:
        first, second = (_whole(run.seconds[series]) for run in (before, after))
        if min(len(first), len(second)) < SECONDS_MIN:
            notes.append(
                f"{series.label}: {min(len(first), len(second))} whole seconds are too few, "
                f"{SECONDS_MIN} are needed"
            )
            continue
        findings += _compare_series(series, first, second, level, tolerance)
        findings += _compare_errors(series, before, after)
    return Comparison(tuple(findings), tuple(notes), tolerance)


def _differences(before: Result, after: Result) -> list[str]:
    """Parameters that make runs different in kind; results are compared all the same."""
    notes = []
    for name in ("bucket", "# workers", "rate", "% PUT", "GET(batch): batch size", "name-getter"):
        one, other = before.config.get(name), after.config.get(name)
        if one != other and name != "bucket":
            notes.append(f"the runs differ in {name}: {one} and {other}")
    if before.has_rate != after.has_rate:
        notes.append("one run has a rate and the other none: latencies mean different things")
    notes += [
        f"{run.path}: the loader itself was a limit, see its report"
        for run in (before, after)
        if run.verdict.get("loader_bound")
    ]
    return notes


def _whole(seconds: Sequence[Second]) -> list[Second]:
    whole = [second for second in seconds if second.length_s >= _LENGTH_MIN_S]
    if len(whole) <= SECONDS_MAX:
        return whole
    picked = np.linspace(0, len(whole) - 1, SECONDS_MAX).astype(int)
    return [whole[index] for index in picked]


class _Table:
    """Seconds of one operation as arrays: a row a second.

    Args:
        seconds: of one run.
        columns: buckets that either run uses.
    """

    def __init__(self, seconds: Sequence[Second], columns: npt.NDArray[np.int64]) -> None:
        self.count = len(seconds)
        self._lengths = np.array([second.length_s for second in seconds])
        self._counts = np.array([second.count for second in seconds], float)
        self._sizes = np.array([second.size for second in seconds], float)
        self._bounds = np.array([upper_bound(int(column)) for column in columns], float)
        rows = [second.histogram.counts[columns] for second in seconds]
        self._histograms = np.stack(rows).astype(np.float64)

    def figures(self, rows: npt.NDArray[np.int64]) -> dict[str, Floats]:
        """Every figure, for each draw: `rows` has a row of second numbers for each."""
        time = self._lengths[rows].sum(axis=1)
        found = {
            "ops/s": self._counts[rows].sum(axis=1) / time,
            "bytes/s": self._sizes[rows].sum(axis=1) / time,
        }
        if len(self._bounds):
            cumulated = np.cumsum(_weights(rows, self.count) @ self._histograms, axis=1)
            for percent in (50, 99):
                ranks = np.maximum(np.ceil(cumulated[:, -1:] * percent / 100 - 1e-6), 1)
                at = np.minimum((cumulated < ranks).sum(axis=1), len(self._bounds) - 1)
                found[f"p{percent}"] = self._bounds[at]
        return found


def _compare_series(
    series: Series,
    first: Sequence[Second],
    second: Sequence[Second],
    level: float,
    tolerance: float,
) -> list[Finding]:
    used = np.zeros(BUCKET_COUNT, bool)
    for each in (*first, *second):
        used |= each.histogram.counts > 0
    columns = np.flatnonzero(used)
    generator = np.random.Generator(np.random.PCG64(20_260_101 + series))
    tables = [_Table(seconds, columns) for seconds in (first, second)]
    whole = [table.figures(np.arange(table.count)[None, :]) for table in tables]
    drawn = [table.figures(_draws(table.count, generator)) for table in tables]
    findings = []
    for metric in whole[0]:
        before, after = float(whole[0][metric][0]), float(whole[1][metric][0])
        if not before or not after:
            continue
        ratios = drawn[1][metric] / np.maximum(drawn[0][metric], 1e-9)
        low, high = (float(v) for v in np.quantile(ratios, (level / 2, 1 - level / 2)))
        change = _decide(low, high, tolerance, more_is_better=metric.endswith("/s"))
        findings.append(Finding(series, metric, before, after, after / before, low, high, change))
    return findings


def _decide(low: float, high: float, tolerance: float, *, more_is_better: bool) -> Change:
    if high < 1 - tolerance:
        return Change.WORSE if more_is_better else Change.BETTER
    if low > 1 + tolerance:
        return Change.BETTER if more_is_better else Change.WORSE
    if low >= 1 - tolerance and high <= 1 + tolerance:
        return Change.SAME
    return Change.UNCLEAR


def _compare_errors(series: Series, before: Result, after: Result) -> list[Finding]:
    """Shares of failed operations, by a normal approximation of their difference."""
    shares, counts = [], []
    for run in (before, after):
        totals = run.totals[series]
        counts.append(max(totals.count + totals.errors, 1))
        shares.append(totals.errors / counts[-1])
    if not any(shares):
        return []
    pooled = (shares[0] * counts[0] + shares[1] * counts[1]) / sum(counts)
    spread = (pooled * (1 - pooled) * (1 / counts[0] + 1 / counts[1])) ** 0.5
    score = (shares[1] - shares[0]) / spread if spread else 0.0
    limit = 2.58
    change = Change.WORSE if score > limit else Change.BETTER if score < -limit else Change.SAME
    ratio = shares[1] / shares[0] if shares[0] else float("inf")
    return [Finding(series, "errors", shares[0], shares[1], ratio, ratio, ratio, change)]


def _draws(count: int, generator: np.random.Generator) -> npt.NDArray[np.int64]:
    """`DRAWS` rows of `count` row numbers, in blocks of neighbours that wrap around."""
    length = min(max(round(count ** (1 / 3) * 2), 1), _BLOCK_MAX)
    # A long run has more seconds than a draw needs: the spread is what it is, only finer.
    blocks = -(-count // length)
    starts = generator.integers(0, count, (DRAWS, blocks))
    rows = (starts[:, :, None] + np.arange(length)) % count
    return rows.reshape(DRAWS, -1)[:, :count]


def _weights(rows: npt.NDArray[np.int64], count: int) -> Floats:
    """How often each second was drawn."""
    offsets = np.arange(len(rows))[:, None] * count
    flat = np.bincount((rows + offsets).ravel(), minlength=len(rows) * count)
    return flat.reshape(len(rows), count).astype(np.float64)
