"""The table for people: upstream's columns, then percentiles."""

import time
from collections.abc import Iterator

from aiscore.model.units import format_go_duration, format_size
from aisloader.stats.histogram import Histogram
from aisloader.stats.sample import Sample, Span
from aisloader.stats.series import Metric, Series, Totals

__all__ = [
    "PERCENTS",
    "final_rows",
    "header",
    "interval_rows",
    "pretty_duration",
    "pretty_number",
    "pretty_size",
    "pretty_speed",
]

PERCENTS = (50.0, 90.0, 99.0, 99.9)
_SAMPLES_BEYOND_MIN = 10
"""A percentile with fewer samples above it says nothing, and is not shown."""
_COLUMNS = (
    "Time",
    "OP",
    "Count",
    "Size (Total)",
    "Latency (min, avg, max)",
    "Throughput (Avg)",
    "Errors (Total)",
)


def header(*, has_rate: bool = False) -> str:
    """Names of the columns. With a rate the percentiles are of response times, and say so."""
    what = "resp " if has_rate else ""
    return _line((*_COLUMNS, *(f"{what}p{percent:g}" for percent in PERCENTS)))


def interval_rows(sample: Sample, now: float, *, has_rate: bool = False) -> Iterator[str]:
    """A row for each operation that succeeded or failed in the interval."""
    for series, totals in sample.interval.totals.items():
        run = sample.run.totals[series]
        if not totals.has_happened:
            continue
        count = f"{pretty_number(totals.count)} ({pretty_number(run.count)})"
        if series in {Series.PUT, Series.GET}:
            pending = max(run.started - run.count - run.errors, 0)
            # The last is the length of a queue between loader and report, which there is none of here.
            count = f"{count[:-1]} {pretty_number(pending)} 0)"
        errors = f"{pretty_number(totals.errors)} ({pretty_number(run.errors)})"
        speed = pretty_speed(sample.interval.throughput(series))
        yield _row(
            now,
            series,
            count,
            f"{pretty_size(totals.size)} ({pretty_size(run.size)})",
            totals,
            f"{speed} ({pretty_speed(sample.run.throughput(series))})",
            errors if run.errors else "-",
            has_rate,
        )


def final_rows(run: Span, now: float, *, has_rate: bool = False) -> Iterator[str]:
    """A row for each operation that succeeded or failed in the run."""
    for series, totals in run.totals.items():
        if totals.has_happened:
            yield _row(
                now,
                series,
                pretty_number(totals.count),
                pretty_size(totals.size),
                totals,
                pretty_speed(run.throughput(series)),
                pretty_number(totals.errors),
                has_rate,
            )


def _row(
    now: float,
    series: Series,
    count: str,
    size: str,
    totals: Totals,
    speed: str,
    errors: str,
    has_rate: bool,
) -> str:
    service = totals.service
    latency = "".join(
        f"{pretty_duration(value) if service.max_ns else '-':<11}"
        for value in (service.min_ns, service.mean_ns, service.max_ns)
    )
    of = totals.of(Metric.RESPONSE) if has_rate else service
    clock = time.strftime("%H:%M:%S", time.localtime(now))
    cells = (clock, series.label, count, size, latency, speed, errors, *_percentiles(of))
    return _line(cells)


def _percentiles(histogram: Histogram) -> Iterator[str]:
    for percent, value in zip(PERCENTS, histogram.percentiles(PERCENTS), strict=True):
        enough = percent == 50 or histogram.beyond(percent) >= _SAMPLES_BEYOND_MIN
        yield pretty_duration(value) if enough and histogram.max_ns else "-"


def _line(cells: tuple[str, ...]) -> str:
    first = (
        f"{cells[0]:<10}{cells[1]:<6}{cells[2]:<22}\t{cells[3]:<22}\t{cells[4]:<36}\t"
        f"{cells[5]:<27}\t{cells[6]:<16}"
    )
    return (first + "".join(f"{cell:<11}" for cell in cells[7:])).rstrip()


def pretty_number(number: int) -> str:
    """`1,234,567`."""
    return f"{number:,}"


def pretty_size(size: int) -> str:
    """`4.7GiB`; `-` for nothing."""
    return format_size(size, digits=1) if size > 0 else "-"


def pretty_speed(speed: int) -> str:
    """`4.71GiB/s`; `-` for nothing."""
    return f"{format_size(speed)}/s" if speed > 0 else "-"


def pretty_duration(duration_ns: int) -> str:
    """As Go writes durations, with three decimals at most, cut: `1.234ms`."""
    text = format_go_duration(duration_ns)
    whole, point, rest = text.partition(".")
    if not point:
        return text
    digits = rest.rstrip("abcdefghijklmnopqrstuvwxyzµ")
    return f"{whole}.{digits[:3]}{rest[len(digits) :]}"
