"""Several results as one: of loaders that ran at the same time.

Counts add up, histograms are added bucket by bucket, seconds are put together by the clocks of the hosts. Throughput is
that of the time in which any of them ran; how much of it all of them ran is told, because a sum of runs that hardly
overlap is the throughput of nothing.
"""

from collections.abc import Sequence
from typing import Any

from aiscore.errors import InvalidArgumentError
from aisloader.params.loader import LoaderParams
from aisloader.stats.histogram import Histogram
from aisloader.stats.result import Result, Second
from aisloader.stats.series import Series, Totals

__all__ = ["merge_results"]

OVERLAP_MIN = 0.9
"""Below this share of common time a note says so."""


def merge_results(results: Sequence[Result]) -> tuple[Result, list[str]]:
    """The sum of results, and what to know about it.

    Raises:
        InvalidArgumentError: fewer than two, one of them twice, or with and without rates.
    """
    if len(results) < 2:
        raise InvalidArgumentError("merge needs two results or more")
    if len({result.has_rate for result in results}) > 1:
        raise InvalidArgumentError(
            "results with and without a rate do not merge: their latencies mean different things"
        )
    identities = [_identity(result) for result in results]
    if len(set(identities)) < len(results):
        raise InvalidArgumentError("one result is given twice: it would count twice")
    begin = min(result.started for result in results)
    end = max(_end(result) for result in results)
    common = min(_end(r) for r in results) - max(r.started for r in results)
    overlap = max(common, 0.0) / max(end - begin, 1e-9)
    totals: dict[Series, Totals] = {}
    for result in results:
        for series, one in result.totals.items():
            totals[series] = totals.get(series, Totals()).merged(one)
    first = results[0]
    merged = Result(
        path="",
        config={**first.config, "# workers": sum(int(r.config["# workers"]) for r in results)},
        params=first.params,
        environment={"merged": [dict(result.environment) for result in results]},
        has_rate=first.has_rate,
        started=begin,
        elapsed_ns=round((end - begin) * 1e9),
        ended_by=", ".join(sorted({result.ended_by for result in results})),
        verdict=_verdict(results),
        coverage={},
        totals={series: totals[series] for series in Series if series in totals},
        seconds={
            series: _seconds(results, series, begin)
            for series in Series
            if any(series in result.seconds for result in results)
        },
    )
    return merged, _notes(results, overlap)


def _end(result: Result) -> float:
    return result.started + result.elapsed_ns / 1e9


def _identity(result: Result) -> tuple[Any, ...]:
    counts = tuple((series, one.count, one.size) for series, one in result.totals.items())
    return result.environment.get("host"), result.started, result.elapsed_ns, counts


def _notes(results: Sequence[Result], overlap: float) -> list[str]:
    notes = []
    if overlap < OVERLAP_MIN:
        notes.append(
            f"all loaders ran together for {overlap:.0%} of the time only: throughput is too low"
        )
    seeds = [
        (
            result.params.get("workload", {}).get("seed"),
            result.params.get("loader", {}).get("loaderid"),
        )
        for result in results
    ]
    if len(set(seeds)) < len(seeds):
        notes.append("loaders with the same seed and id did the same operations")
    ids = [found for result in results if (found := _id_in_names(result)) is not None]
    if len(set(ids)) < len(ids):
        notes.append("loaders with the same id overwrote each other's new objects")
    notes += [
        f"{result.path}: the loader itself was a limit"
        for result in results
        if result.verdict.get("loader_bound")
    ]
    return notes


def _id_in_names(result: Result) -> int | None:
    """The id in the names of the objects that a loader wrote; None when its names have none."""
    loader = result.params.get("loader", {})
    known = ("loaderid", "loadernum", "loaderidhashlen")
    if not (loader.get("loadernum") or loader.get("loaderidhashlen")):
        return None
    if not (result.params.get("workload", {}).get("pctput") and all(n in loader for n in known)):
        return None
    section = LoaderParams(**{name: loader[name] for name in known})
    return section.number


def _verdict(results: Sequence[Result]) -> dict[str, Any]:
    bound = [result for result in results if result.verdict.get("loader_bound")]
    text = f"{len(bound)} of {len(results)} loaders were themselves a limit" if bound else ""
    return {"loader_bound": bool(bound), "text": text}


def _seconds(results: Sequence[Result], series: Series, begin: float) -> list[Second]:
    """Seconds of the merged run; each second of a result goes to the one in which most of it lies."""
    found: dict[int, tuple[int, int, int, Histogram]] = {}
    for result in results:
        rows = result.seconds.get(series, [])
        # `elapsed_s` counts from the start of the clock, `started` is the begin of the measured time.
        offset = result.started - begin - (rows[0].elapsed_s - rows[0].length_s if rows else 0.0)
        for row in rows:
            at = int(offset + row.elapsed_s - row.length_s / 2)
            count, size, errors, histogram = found.get(at, (0, 0, 0, Histogram.empty()))
            found[at] = (
                count + row.count,
                size + row.size,
                errors + row.errors,
                histogram.merged(row.histogram),
            )
    return [
        Second(float(at + 1), 1.0, count, size, errors, histogram.to_json())
        for at, (count, size, errors, histogram) in sorted(found.items())
    ]
