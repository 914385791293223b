"""The operations that are told apart, and what is known of each."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, Self

from aiscore.errors import InvalidArgumentError
from aisloader.stats.failure import KINDS, FailureKind
from aisloader.stats.histogram import Histogram

__all__ = ["PHASES", "Metric", "Series", "Totals"]

PHASES = (
    *("proxyconn", "proxyheader", "proxyrequest", "proxyresponse", "proxy"),
    *("targetconn", "targetheader", "targetrequest", "targetresponse", "target"),
    "posthttp",
)
"""What a request goes through, by AIStore's names; see `aisloader.tracing`."""


class Series(IntEnum):
    """Operations, in the order of the rows of a report."""

    PUT = 0
    MPU = 1
    """PUT of an object in parts."""
    GET = 2
    MPD = 3
    """GET of an object by parallel ranges."""
    GBT = 4
    """GetBatch."""

    @property
    def label(self) -> str:
        """In the text table."""
        return self.name

    @property
    def key(self) -> str:
        """In JSON."""
        return _KEYS[self]

    @property
    def statsd(self) -> str:
        """In the names of StatsD metrics."""
        return _STATSD[self]


_KEYS = {
    Series.PUT: "put",
    Series.MPU: "put_multipart",
    Series.GET: "get",
    Series.MPD: "get_mpdstream",
    Series.GBT: "get_batch",
}
_STATSD = {
    Series.PUT: "put",
    Series.MPU: "putmultipart",
    Series.GET: "get",
    Series.MPD: "getmpdstream",
    Series.GBT: "getbatch",
}


class Metric(IntEnum):
    """Durations that are measured of an operation; each has its histogram."""

    SERVICE = 0
    """From the moment the request is sent to the last byte of the answer."""
    FIRST = 1
    """To the first byte of the content; for GetBatch to the first whole entry."""
    RESPONSE = 2
    """From the moment the request was due, by the schedule of `-rate`."""
    FAILED = 3
    """Of operations that failed; in no other histogram."""
    GAP = 4
    """Between two entries of a GetBatch."""

    @property
    def key(self) -> str:
        """In JSON."""
        return self.name.lower()


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """What one operation came to over some time.

    Attributes:
        count: successes.
        size: bytes of content that successes moved.
        started: operations begun, whatever became of them.
        entries: entries that GetBatch delivered.
        missing: entries delivered below `__404__/`; no errors.
        unverified: reads whose content could not be compared, because nothing came to compare it with.
        retried: repetitions that successes needed.
        failures: failed operations by kind.
        durations: by metric; a metric that was not measured is absent.
        phases: of requests that were traced, by name: how many, and ns of all of them.
    """

    count: int = 0
    size: int = 0
    started: int = 0
    entries: int = 0
    missing: int = 0
    unverified: int = 0
    retried: int = 0
    failures: Mapping[FailureKind, int] = field(default_factory=dict)
    durations: Mapping[Metric, Histogram] = field(default_factory=dict)
    phases: Mapping[str, tuple[int, int]] = field(default_factory=dict)

    @property
    def errors(self) -> int:
        """Failed operations."""
        return sum(self.failures.values())

    @property
    def has_happened(self) -> bool:
        """True when there is anything to report."""
        return bool(self.count or self.errors)

    def of(self, metric: Metric) -> Histogram:
        """The histogram of a metric, empty when it was not measured."""
        found = self.durations.get(metric)
        return Histogram.empty() if found is None else found

    @property
    def service(self) -> Histogram:
        """Service time."""
        return self.of(Metric.SERVICE)

    def since(self, earlier: "Totals") -> "Totals":
        """What came after `earlier`, an older state of this."""
        return Totals(
            **{name: getattr(self, name) - getattr(earlier, name) for name in _COUNTERS},
            failures={
                kind: count - earlier.failures.get(kind, 0)
                for kind, count in self.failures.items()
                if count != earlier.failures.get(kind, 0)
            },
            durations={
                metric: found.since(earlier.durations[metric])
                if metric in earlier.durations
                else found
                for metric, found in self.durations.items()
            },
            phases={
                name: (count - earlier.phases[name][0], total_ns - earlier.phases[name][1])
                if name in earlier.phases
                else (count, total_ns)
                for name, (count, total_ns) in self.phases.items()
                if count != earlier.phases.get(name, (0, 0))[0]
            },
        )

    def merged(self, other: "Totals") -> "Totals":
        """Both together: of two loaders, or of two runs."""
        return Totals(
            **{name: getattr(self, name) + getattr(other, name) for name in _COUNTERS},
            failures={
                kind: self.failures.get(kind, 0) + other.failures.get(kind, 0)
                for kind in KINDS
                if kind in self.failures or kind in other.failures
            },
            durations={
                metric: self.of(metric).merged(other.of(metric))
                for metric in Metric
                if metric in self.durations or metric in other.durations
            },
            phases={
                name: (one[0] + two[0], one[1] + two[1])
                for name in PHASES
                if (one := self.phases.get(name, (0, 0)))[0]
                + (two := other.phases.get(name, (0, 0)))[0]
            },
        )

    def to_json(self) -> dict[str, Any]:
        """As result files hold it."""
        counters: dict[str, Any] = {name: getattr(self, name) for name in _COUNTERS}
        if self.phases:
            counters["phases"] = {name: list(found) for name, found in self.phases.items()}
        return counters | {
            "failures": {kind.value: count for kind, count in self.failures.items() if count},
            "durations": {metric.key: found.to_json() for metric, found in self.durations.items()},
        }

    @classmethod
    def from_json(cls, value: object) -> Self:
        """Read `to_json`; kinds that a newer version added count as `other`.

        Raises:
            InvalidArgumentError: malformed.
        """
        try:
            if not isinstance(value, dict):
                raise TypeError("not an object")
            failures: dict[FailureKind, int] = {}
            for name, count in dict(value["failures"]).items():
                kind = FailureKind(name) if name in _KIND_NAMES else FailureKind.OTHER
                failures[kind] = failures.get(kind, 0) + int(count)
            durations = {
                metric: Histogram.from_json(value["durations"][metric.key])
                for metric in Metric
                if metric.key in value["durations"]
            }
            phases = {
                name: (int(count), int(total_ns))
                for name, (count, total_ns) in dict(value.get("phases", {})).items()
                if name in PHASES
            }
            counters = {name: int(value[name]) for name in _COUNTERS}
        except (KeyError, TypeError, ValueError) as exc:
            raise InvalidArgumentError(f"malformed totals: {exc}") from exc
        return cls(**counters, failures=failures, durations=durations, phases=phases)


_COUNTERS = ("count", "size", "started", "entries", "missing", "unverified", "retried")
_KIND_NAMES = frozenset(kind.value for kind in KINDS)
