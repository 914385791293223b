"""Statistics as JSON, in the shape that consumers of upstream's output read: the last element is the whole run.

Counts, bytes and throughput are strings and durations numbers of nanoseconds, as upstream has them. What upstream does
not tell follows: multipart PUT and download stream, percentiles, failures by kind, entries of GetBatch.
"""

import datetime
import json
from typing import Any

from aisloader.stats.sample import Span
from aisloader.stats.series import Metric, Series, Totals

__all__ = ["encode_span", "span_to_json"]

_ORDER = (Series.GET, Series.PUT, Series.GBT, Series.MPU, Series.MPD)
_NAMES = ("p50", "p90", "p99", "p99.9")
_PERCENTS = (50.0, 90.0, 99.0, 99.9)


def encode_span(span: Span) -> str:
    """One element, indented."""
    return json.dumps(span_to_json(span), indent=2)


def span_to_json(span: Span) -> dict[str, Any]:
    """One element. Upstream's three are always there, the others when they can happen."""
    always = {Series.GET, Series.PUT, Series.GBT}
    return {
        series.key: _series_to_json(span, series, span.totals.get(series, Totals()))
        for series in _ORDER
        if series in always or series in span.totals
    }


def _series_to_json(span: Span, series: Series, totals: Totals) -> dict[str, Any]:
    service = totals.service
    value: dict[str, Any] = {
        "start_time": _rfc3339(span.started),
        "count": str(totals.count),
        "bytes": str(totals.size),
        "errors": totals.errors,
        "latency": service.mean_ns,
        "duration": span.elapsed_ns,
        "min_latency": service.min_ns,
        "max_latency": service.max_ns,
        "throughput": str(span.throughput(series)),
        "percentiles": _percentiles(totals, Metric.SERVICE),
    }
    for metric, name in ((Metric.RESPONSE, "response"), (Metric.FIRST, "first")):
        if totals.of(metric).max_ns:
            value[f"{name}_percentiles"] = _percentiles(totals, metric)
    if totals.failures:
        value["failures"] = {kind.value: n for kind, n in totals.failures.items() if n}
    if series is Series.GBT and totals.count:
        value["entries"], value["missing"] = totals.entries, totals.missing
    if totals.unverified:
        value["unverified"] = totals.unverified
    if totals.retried:
        value["retries"] = totals.retried
    return value


def _percentiles(totals: Totals, metric: Metric) -> dict[str, int]:
    return dict(zip(_NAMES, totals.of(metric).percentiles(_PERCENTS), strict=True))


def _rfc3339(seconds: float) -> str:
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).astimezone().isoformat()
