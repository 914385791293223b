"""Durations counted in buckets of fixed relative width: memory that never grows, percentiles that merge exactly.

A duration is a whole number of nanoseconds. Up to 256 ns each has its own bucket; above, every power of two is cut into
128 equal buckets, so that a bucket is never wider than 1/128 (0.78 %) of the durations in it. `BUCKET_COUNT` buckets
reach `DURATION_MAX`, a little over an hour; what is longer is counted in the last one, and the exact largest duration
is kept beside the counts.

Counts of several workers, processes or hosts are added bucket by bucket, which loses nothing: a percentile of the sum
is what one histogram of all durations would have given. Percentiles are never averaged.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from aiscore.errors import InvalidArgumentError

__all__ = [
    "BUCKET_COUNT",
    "DURATION_MAX",
    "SUB_BITS",
    "Histogram",
    "bucket_of",
    "lower_bound",
    "upper_bound",
]

SUB_BITS = 7
"""128 buckets in each power of two."""
_SHIFT_MAX = 34
BUCKET_COUNT = (_SHIFT_MAX + 2) << SUB_BITS
"""4,608 buckets: 36 KiB of counters."""
DURATION_MAX = (1 << (_SHIFT_MAX + SUB_BITS + 1)) - 1
"""Longest duration, ns, that has a bucket of its own kind: 73 minutes."""

Counts = npt.NDArray[np.int64]


def bucket_of(duration_ns: int) -> int:
    """Index of the bucket that counts this duration. The worker has the same arithmetic in line."""
    if duration_ns < 256:
        return max(duration_ns, 0)
    if duration_ns > DURATION_MAX:
        return BUCKET_COUNT - 1
    shift = duration_ns.bit_length() - SUB_BITS - 1
    return (shift << SUB_BITS) + (duration_ns >> shift)


def lower_bound(bucket: int) -> int:
    """Shortest duration of the bucket, ns."""
    if bucket < 256:
        return bucket
    shift = (bucket >> SUB_BITS) - 1
    return ((bucket & 127) + 128) << shift


def upper_bound(bucket: int) -> int:
    """Longest duration of the bucket, ns."""
    return lower_bound(bucket + 1) - 1


@dataclass(frozen=True, slots=True)
class Histogram:
    """How many durations fell into each bucket, with exact sum, minimum and maximum.

    Attributes:
        counts: `BUCKET_COUNT` counters.
        total_ns: sum of all durations.
        min_ns: shortest; 0 when empty.
        max_ns: longest; 0 when empty.
    """

    counts: Counts
    total_ns: int = 0
    min_ns: int = 0
    max_ns: int = 0

    @classmethod
    def empty(cls) -> Self:
        """No durations."""
        return cls(np.zeros(BUCKET_COUNT, np.int64))

    @classmethod
    def of(cls, durations_ns: Iterable[int]) -> Self:
        """Count durations that are at hand."""
        values = [max(int(value), 0) for value in durations_ns]
        counts = np.zeros(BUCKET_COUNT, np.int64)
        for value in values:
            counts[bucket_of(value)] += 1
        return cls(counts, sum(values), min(values, default=0), max(values, default=0))

    @classmethod
    def from_counts(cls, counts: Counts, total_ns: int, min_ns: int = 0, max_ns: int = 0) -> Self:
        """Take counts whose extremes are known in part: 0 is unknown, and the buckets' bounds stand in for it.

        `min_ns` and `max_ns` may belong to a longer time than the counts: they only tighten the bounds.
        """
        used = np.flatnonzero(counts)
        if not len(used):
            return cls(counts)
        low, high = lower_bound(int(used[0])), upper_bound(int(used[-1]))
        longest = max_ns if max_ns > DURATION_MAX else min(high, max_ns or high)
        return cls(counts, total_ns, max(low, min_ns), max(longest, low))

    @property
    def count(self) -> int:
        """Durations counted."""
        return int(self.counts.sum())

    @property
    def mean_ns(self) -> int:
        """Arithmetic mean, rounded down; 0 when empty.

        A reading of counters that change meanwhile may have the count of an operation and not yet its duration; what
        that does to a mean of few operations is cut off at the extremes.
        """
        count = self.count
        return min(max(self.total_ns // count, self.min_ns), self.max_ns) if count else 0

    def merged(self, other: "Histogram") -> "Histogram":
        """All durations of both."""
        if not other.max_ns and not other.counts.any():
            return self
        if not self.max_ns and not self.counts.any():
            return other
        return Histogram(
            self.counts + other.counts,
            self.total_ns + other.total_ns,
            min(self.min_ns, other.min_ns),
            max(self.max_ns, other.max_ns),
        )

    def since(self, earlier: "Histogram") -> "Histogram":
        """What was added after `earlier`, an older state of this one; extremes are those of the buckets."""
        counts = self.counts - earlier.counts
        return Histogram.from_counts(
            counts, self.total_ns - earlier.total_ns, self.min_ns, self.max_ns
        )

    def percentile(self, percent: float) -> int:
        """Smallest duration, ns, that at least `percent` of all are not longer than; 0 when empty.

        It is the upper bound of its bucket, so never too low by anything and too high by at most 0.78 %, and never
        outside of minimum and maximum.
        """
        return self.percentiles((percent,))[0]

    def percentiles(self, percents: Iterable[float]) -> list[int]:
        """Several percentiles at the cost of one."""
        cumulated = np.cumsum(self.counts)
        count = int(cumulated[-1])
        if not count:
            return [0 for _ in percents]
        found = []
        for percent in percents:
            # At least one; the rounding keeps 99.9 % of 1000 at 999 instead of 1000.
            rank = max(-int(-round(percent / 100 * count, 6) // 1), 1)
            bucket = int(np.searchsorted(cumulated, rank))
            bound = self.max_ns if bucket == BUCKET_COUNT - 1 else upper_bound(bucket)
            found.append(min(max(bound, self.min_ns), self.max_ns))
        return found

    def beyond(self, percent: float) -> int:
        """Samples above the percentile: with under ten it says little."""
        return int(self.count * (100 - percent) / 100)

    def share_within(self, limit_ns: int) -> float:
        """Part of the durations, 0 to 1, in buckets up to the one of `limit_ns`."""
        count = self.count
        return float(self.counts[: bucket_of(limit_ns) + 1].sum()) / count if count else 1.0

    def to_json(self) -> dict[str, Any]:
        """As result files hold it: used buckets as gaps and counts in turn."""
        used = np.flatnonzero(self.counts)
        gaps = np.diff(used, prepend=0)
        pairs = np.stack([gaps, self.counts[used]], axis=1).reshape(-1)
        return {
            "sub_bits": SUB_BITS,
            "total_ns": self.total_ns,
            "min_ns": self.min_ns,
            "max_ns": self.max_ns,
            "gaps_and_counts": pairs.tolist(),
        }

    @classmethod
    def from_json(cls, value: object) -> Self:
        """Read `to_json`.

        Raises:
            InvalidArgumentError: it is none.
        """
        try:
            if not isinstance(value, dict) or value["sub_bits"] != SUB_BITS:
                raise ValueError("not a histogram of this kind")
            pairs = np.asarray(value["gaps_and_counts"], np.int64).reshape(-1, 2)
            used = np.cumsum(pairs[:, 0])
            if len(used) and (
                pairs[:, 1].min() < 0 or pairs[:, 0].min() < 0 or used[-1] >= BUCKET_COUNT
            ):
                raise ValueError("buckets out of range")
            counts = np.zeros(BUCKET_COUNT, np.int64)
            np.add.at(counts, used, pairs[:, 1])
            extremes = [int(value[name]) for name in ("total_ns", "min_ns", "max_ns")]
        except (KeyError, TypeError, ValueError, OverflowError) as exc:
            raise InvalidArgumentError(f"malformed histogram: {exc}") from exc
        return cls(counts, *extremes)
