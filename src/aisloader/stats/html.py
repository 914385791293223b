"""One page with the whole run, that opens without a network: tables, and plots as inline SVG."""

import html
import json
import math
import time
from collections.abc import Iterable, Iterator, Sequence

from aiscore.model.units import format_duration
from aisloader.stats.histogram import Histogram
from aisloader.stats.result import Result, Second
from aisloader.stats.series import Metric, Series
from aisloader.stats.svg import Line, line_plot
from aisloader.stats.text import pretty_duration, pretty_number, pretty_size, pretty_speed

__all__ = ["page"]

_POINTS_MAX = 1500
"""Points of one line; longer runs are thinned by merging neighbouring seconds."""
_SPECTRUM = (1, 5, 10, 25, 50, 75, 90, 95, 99, 99.5, 99.9, 99.95, 99.99, 99.999)
_NINES = {50: "p50", 90: "p90", 99: "p99", 99.9: "p99.9", 99.99: "p99.99", 99.999: "p99.999"}
"""Marks on the axis of percentiles."""
_TAIL_MIN_S = 0.5
"""A last second that is shorter belongs to the one before: a rate over milliseconds is a spike of nothing."""
_STYLE = """
body{font:15px/1.45 system-ui,sans-serif;margin:2rem auto;max-width:72rem;padding:0 1rem;color:#1a1a1a;background:#fff}
h1{font-size:1.5rem}h2{font-size:1.15rem;margin-top:2.2rem}
table{border-collapse:collapse;margin:.6rem 0 1.2rem;font-variant-numeric:tabular-nums;white-space:nowrap}
th,td{padding:.25rem .7rem;border-bottom:1px solid #ddd;text-align:right}
th:first-child,td:first-child{text-align:left;padding-left:0}
.wide{overflow-x:auto}
svg{display:block;width:100%;height:auto;margin:.6rem 0;background:#fafafa;border:1px solid #e4e4e4}
.bad{color:#a40000}.note{color:#555}pre{background:#f6f6f6;padding:.8rem;overflow-x:auto;font-size:13px}
@media(max-width:60rem){table{font-size:13px}th,td{padding:.25rem .45rem}}
"""


def page(result: Result) -> str:
    """The page as text."""
    title = f"aisloader: {result.config.get('bucket', '')}"
    body = "\n".join(_sections(result, title))
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{_e(title)}</title>\n'
        f'<meta name="viewport" content="width=device-width">\n<style>{_STYLE}</style></head>\n'
        f"<body>\n{body}\n</body></html>\n"
    )


def _sections(result: Result, title: str) -> Iterator[str]:
    started = time.strftime("%Y-%m-%d %H:%M:%S %z", time.localtime(result.started))
    yield f"<h1>{_e(title)}</h1>"
    yield (
        f"<p>{_e(str(result.config.get('proxy', '')))} &middot; started {_e(started)} &middot; "
        f"measured {_e(format_duration(_whole_ms(result.elapsed_ns)))} &middot; ended by {_e(result.ended_by)}</p>"
    )
    if text := result.verdict.get("text"):
        kind = "bad" if result.verdict.get("loader_bound") else "note"
        yield f'<p class="{kind}">{_e(str(text))}</p>'
    if text := result.coverage.get("text"):
        yield f'<p class="note">{_e(str(text))}</p>'
    yield from _totals(result)
    yield from _failures(result)
    what = "Response time (from when an operation was due)" if result.has_rate else "Service time"
    for series, seconds in result.seconds.items():
        if seconds and result.totals[series].has_happened:
            yield from _plots(result, series, _thinned(_without_tail(seconds)), what)
    yield "<h2>Configuration</h2>"
    for part in (result.config, result.environment):
        yield f"<pre>{_e(json.dumps(part, indent=2, ensure_ascii=False))}</pre>"
    yield (
        "<h2>Parameters</h2><details><summary>all sections</summary>"
        f"<pre>{_e(json.dumps(result.params, indent=2, ensure_ascii=False))}</pre></details>"
    )


def _totals(result: Result) -> Iterator[str]:
    """What was done, and how long it took: two tables, so that both fit a narrow window."""
    span = result.span
    yield _table(
        ("", "count", "ops/s", "size", "throughput", "errors"),
        (
            (
                series.label,
                pretty_number(totals.count),
                f"{span.rate(series):,.1f}",
                pretty_size(totals.size),
                pretty_speed(span.throughput(series)),
                pretty_number(totals.errors),
            )
            for series, totals in result.totals.items()
            if totals.has_happened
        ),
    )
    yield _table(
        ("", "count", "min", "mean", "p50", "p90", "p99", "p99.9", "max"),
        (
            (f"{series.label} {metric.key}", *_latencies(totals.of(metric)))
            for series, totals in result.totals.items()
            for metric in (Metric.SERVICE, Metric.RESPONSE, Metric.FIRST, Metric.GAP)
            if totals.of(metric).max_ns
        ),
    )


def _latencies(found: Histogram) -> Iterator[str]:
    yield pretty_number(found.count)
    values = found.min_ns, found.mean_ns, *found.percentiles((50, 90, 99, 99.9)), found.max_ns
    yield from map(pretty_duration, values)


def _table(names: Sequence[str], rows: Iterable[Iterable[str]]) -> str:
    head = "".join(f"<th>{name}</th>" for name in names)
    body = "".join(
        "<tr>" + "".join(f"<td>{_e(cell)}</td>" for cell in row) + "</tr>" for row in rows
    )
    return f'<div class="wide"><table><tr>{head}</tr>{body}</table></div>'


def _failures(result: Result) -> Iterator[str]:
    for series, totals in result.totals.items():
        for kind, count in totals.failures.items():
            if count:
                yield f'<p class="bad">{series.label}: {pretty_number(count)} failed ({_e(kind.value)})</p>'
        if totals.missing:
            yield f"<p>{series.label}: {pretty_number(totals.missing)} entries were missing</p>"


def _plots(result: Result, series: Series, seconds: Sequence[Second], what: str) -> Iterator[str]:
    times = [second.elapsed_s for second in seconds]
    yield f"<h2>{series.label}: throughput</h2>"
    speed = [second.size / second.length_s / (1 << 20) for second in seconds]
    yield line_plot([Line("MiB/s", times, speed)], "s", "MiB/s")
    rate = [second.count / second.length_s for second in seconds]
    lines = [Line("operations/s", times, rate)]
    if any(second.errors for second in seconds):
        lines.append(Line("failures/s", times, [s.errors / s.length_s for s in seconds]))
    yield line_plot(lines, "s", "1/s")
    yield f"<h2>{series.label}: {_e(what.lower())}</h2>"
    columns = [second.histogram.percentiles((50, 90, 99, 99.9)) for second in seconds]
    yield line_plot(
        [
            Line(f"p{name}", times, [max(column[index], 1) / 1e6 for column in columns])
            for index, name in enumerate(("50", "90", "99", "99.9"))
        ],
        "s",
        "ms",
        is_log=True,
    )
    metric = Metric.RESPONSE if result.has_rate else Metric.SERVICE
    found = result.totals[series].of(metric)
    # Nines on the axis: p90, p99, p99.9 are equally far apart; beyond the last sample there is no percentile.
    shown = [percent for percent in _SPECTRUM if percent <= 50 or found.beyond(percent)]
    values = [max(value, 1) / 1e6 for value in found.percentiles(shown)]
    yield f'<p class="note">{series.label}: percentiles of the whole run</p>'
    yield line_plot(
        [Line(what.partition(" (")[0].lower(), [_nines(percent) for percent in shown], values)],
        "",
        "ms",
        is_log=True,
        marks=[(_nines(at), name) for at, name in _NINES.items() if at <= shown[-1]],
    )


def _nines(percent: float) -> float:
    return -math.log10(1 - percent / 100)


def _without_tail(seconds: Sequence[Second]) -> list[Second]:
    if len(seconds) < 2 or seconds[-1].length_s >= _TAIL_MIN_S:
        return list(seconds)
    return [*seconds[:-2], _together(seconds[-2:])]


def _thinned(seconds: Sequence[Second]) -> list[Second]:
    step = -(-len(seconds) // _POINTS_MAX)
    if step <= 1:
        return list(seconds)
    return [_together(seconds[at : at + step]) for at in range(0, len(seconds), step)]


def _together(group: Sequence[Second]) -> Second:
    """Neighbouring seconds as one."""
    histogram = group[0].histogram
    for second in group[1:]:
        histogram = histogram.merged(second.histogram)
    return Second(
        group[-1].elapsed_s,
        sum(second.length_s for second in group),
        sum(second.count for second in group),
        sum(second.size for second in group),
        sum(second.errors for second in group),
        histogram.to_json(),
    )


def _whole_ms(duration_ns: int) -> int:
    return round(duration_ns, -6) or duration_ns


def _e(text: str) -> str:
    return html.escape(text, quote=True)
