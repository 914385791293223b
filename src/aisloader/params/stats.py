"""What is reported, where and how often."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aiscore.errors import InvalidArgumentError
from aiscore.model.units import MILLISECOND, SECOND
from aisloader.params.option import Kind, check_section, option

__all__ = ["StatsParams", "resolve"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StatsParams:
    """What is reported, where and how often.

    Attributes:
        interval_ns: time between two lines of statistics; 0 prints the totals only.
        output: file for the statistics; "" is stdout.
        json: statistics as JSON.
        result: file that keeps the whole run for `report`, `compare` and `merge`; "" keeps none.
        csv: file with one line a second; "" none.
        live: redraw one table on a terminal instead of adding lines.
    """

    interval_ns: int = option(
        10 * SECOND,
        "statsinterval",
        Kind.INTERVAL,
        "seconds (or a duration) between two lines of statistics; 0: totals only",
    )
    output: str = option("", "stats-output", Kind.TEXT, "file for the statistics; empty: stdout")
    json: bool = option(False, "json", Kind.BOOL, "statistics as JSON")
    statsdip: str = option("localhost", "statsdip", Kind.TEXT, "host of a StatsD server")
    statsdport: int = option(
        8125, "statsdport", Kind.INT, "UDP port of the StatsD server", low=1, high=65535
    )
    statsdprobe: bool = option(
        False, "statsdprobe", Kind.BOOL, "send test packets to the StatsD server first"
    )
    statsd: bool = option(
        False, "statsd", Kind.BOOL, "send statistics to StatsD; implied by the other three"
    )
    result: str = option(
        "", "result", Kind.TEXT, "file that keeps the run for report, compare and merge"
    )
    csv: str = option("", "csv", Kind.TEXT, "file with one line of statistics a second")
    live: bool = option(False, "live", Kind.BOOL, "redraw one table on the terminal")

    def validate(self) -> None:
        """Check the values; raises `InvalidArgumentError`."""
        check_section(self)
        if 0 < self.interval_ns < 100 * MILLISECOND:
            raise InvalidArgumentError("invalid -statsinterval: expected 100ms or more, or 0")
        files = [name for name in (self.output, self.result, self.csv) if name]
        if len(set(files)) < len(files):
            raise InvalidArgumentError("-stats-output, -result and -csv must be different files")
        if self.live and self.json:
            raise InvalidArgumentError("-live and -json exclude each other")


def resolve(
    values: dict[str, Any], given: frozenset[str], environ: Mapping[str, str], notes: list[str]
) -> None:
    """Any StatsD flag asks for StatsD."""
    del environ, notes
    if "statsd" not in given and {"statsdip", "statsdport", "statsdprobe"} & given:
        values["statsd"] = True
