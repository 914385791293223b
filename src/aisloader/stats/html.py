"""One page with the whole run, that opens without a network: tables, and plots as inline SVG."""

import html
import json
import math
import time
from collections.abc import Iterator, Sequence

from aiscore.model.units import format_duration
from aisloader.stats.result import Result, Second
from aisloader.stats.series import Metric, Series, Totals
from aisloader.stats.svg import Line, line_plot
from aisloader.stats.text import pretty_duration, pretty_number, pretty_size, pretty_speed

__all__ = ["page"]

_POINTS_MAX = 1500
"""Points of one line; longer runs are thinned by merging neighbouring seconds."""
_SPECTRUM = (1, 5, 10, 25, 50, 75, 90, 95, 99, 99.5, 99.9, 99.95, 99.99, 99.999)
_STYLE = """
body{font:15px/1.45 system-ui,sans-serif;margin:2rem auto;max-width:68rem;padding:0 1rem;color:#1a1a1a;background:#fff}
h1{font-size:1.5rem}h2{font-size:1.15rem;margin-top:2.2rem}
table{border-collapse:collapse;margin:.6rem 0;font-variant-numeric:tabular-nums}
th,td{padding:.25rem .8rem;border-bottom:1px solid #ddd;text-align:right}
th:first-child,td:first-child{text-align:left}
.wide{overflow-x:auto}svg{width:100%;height:auto;background:#fafafa;border:1px solid #e4e4e4}
.bad{color:#a40000}.note{color:#555}pre{background:#f6f6f6;padding:.8rem;overflow-x:auto;font-size:13px}
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
        f"measured {_e(format_duration(result.elapsed_ns))} &middot; ended by {_e(result.ended_by)}</p>"
    )
    if text := result.verdict.get("text"):
        kind = "bad" if result.verdict.get("loader_bound") else "note"
        yield f'<p class="{kind}">{_e(str(text))}</p>'
    if text := result.coverage.get("text"):
        yield f'<p class="note">{_e(str(text))}</p>'
    yield _totals(result)
    yield from _failures(result)
    what = "Response time (from when an operation was due)" if result.has_rate else "Service time"
    for series, seconds in result.seconds.items():
        if seconds and result.totals[series].has_happened:
            yield from _plots(result, series, _thinned(seconds), what)
    yield "<h2>Configuration</h2>"
    for part in (result.config, result.environment):
        yield f"<pre>{_e(json.dumps(part, indent=2, ensure_ascii=False))}</pre>"
    yield (
        "<h2>Parameters</h2><details><summary>all sections</summary>"
        f"<pre>{_e(json.dumps(result.params, indent=2, ensure_ascii=False))}</pre></details>"
    )


def _totals(result: Result) -> str:
    names = (
        "count",
        "ops/s",
        "size",
        "throughput",
        "min",
        "mean",
        "p50",
        "p90",
        "p99",
        "p99.9",
        "max",
        "errors",
    )
    head = "".join(f"<th>{name}</th>" for name in ("", *names))
    rows = [
        _totals_row(result, series, totals, metric)
        for series, totals in result.totals.items()
        for metric in (Metric.SERVICE, Metric.RESPONSE, Metric.FIRST, Metric.GAP)
        if totals.of(metric).max_ns
    ]
    return f'<div class="wide"><table><tr>{head}</tr>{"".join(rows)}</table></div>'


def _totals_row(result: Result, series: Series, totals: Totals, metric: Metric) -> str:
    found = totals.of(metric)
    main = metric is Metric.SERVICE
    span = result.span
    cells = [
        f"{series.label} {metric.key}",
        pretty_number(totals.count if main else found.count),
        f"{span.rate(series):,.1f}" if main else "",
        pretty_size(totals.size) if main else "",
        pretty_speed(span.throughput(series)) if main else "",
        pretty_duration(found.min_ns),
        pretty_duration(found.mean_ns),
        *(pretty_duration(value) for value in found.percentiles((50, 90, 99, 99.9))),
        pretty_duration(found.max_ns),
        pretty_number(totals.errors) if main else "",
    ]
    return "<tr>" + "".join(f"<td>{_e(cell)}</td>" for cell in cells) + "</tr>"


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
    # Nines on the axis: 90, 99, 99.9 are equally far apart.
    at = [-math.log10(1 - percent / 100) for percent in _SPECTRUM]
    values = [max(value, 1) / 1e6 for value in found.percentiles(_SPECTRUM)]
    yield f'<p class="note">{series.label}: percentiles by number of nines (1 is p90, 2 is p99, 3 is p99.9)</p>'
    yield line_plot([Line("latency", at, values)], "nines", "ms", is_log=True)


def _thinned(seconds: Sequence[Second]) -> list[Second]:
    step = -(-len(seconds) // _POINTS_MAX)
    if step == 1:
        return list(seconds)
    merged = []
    for at in range(0, len(seconds), step):
        group = seconds[at : at + step]
        histogram = group[0].histogram
        for second in group[1:]:
            histogram = histogram.merged(second.histogram)
        merged.append(
            Second(
                group[-1].elapsed_s,
                sum(second.length_s for second in group),
                sum(second.count for second in group),
                sum(second.size for second in group),
                sum(second.errors for second in group),
                histogram.to_json(),
            )
        )
    return merged


def _e(text: str) -> str:
    return html.escape(text, quote=True)
