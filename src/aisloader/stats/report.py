"""The only place of the loader that prints: tables and JSON to the report's file, everything else to stderr."""

import json
import sys
import time
from collections.abc import Mapping
from typing import Any, TextIO

from aisloader.stats.jsonstats import encode_span
from aisloader.stats.sample import Final, RunInfo, Sample, Span
from aisloader.stats.series import Metric, Series
from aisloader.stats.text import (
    PERCENTS,
    final_rows,
    header,
    interval_rows,
    pretty_duration,
    pretty_number,
)

__all__ = ["JsonSink", "TextSink", "clean", "complain", "say"]

_LINE_MAX = 500
"""Characters of one line on stderr: an error may quote a whole answer."""


def clean(text: str) -> str:
    """Without characters that steer a terminal: names come from others."""
    shown = "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)
    return shown if len(shown) <= _LINE_MAX else f"{shown[:_LINE_MAX]}..."


def complain(text: str) -> None:
    """One line to stderr."""
    sys.stderr.write(f"{clean(text)}\n")
    sys.stderr.flush()


def say(text: str, file: TextIO | None = None) -> None:
    """Lines to stdout, or to a file; a reader that went away ends nothing."""
    out = sys.stdout if file is None else file
    out.write(f"{text}\n")
    out.flush()


class TextSink:
    """The table, a line for each operation and interval.

    Args:
        file: where to; closed at the end unless it is stdout.
    """

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._has_rate = False

    def start(self, info: RunInfo) -> None:
        """Runtime configuration, and the names of the columns."""
        self._has_rate = info.has_rate
        self._print("Runtime configuration:")
        self._print(json.dumps(info.config, indent=4))
        self._print(f"\n{header(has_rate=self._has_rate)}")

    def second(self, sample: Sample) -> None:
        """Intervals only."""

    def interval(self, sample: Sample) -> None:
        """Rows of what happened."""
        for row in interval_rows(sample, time.time(), has_rate=self._has_rate):
            self._print(row)

    def finish(self, final: Final) -> None:
        """The whole run, and what the table does not say."""
        self._print(f"\n{header(has_rate=self._has_rate)}")
        for row in final_rows(final.run, time.time(), has_rate=self._has_rate):
            self._print(row)
        lines = [*_facts(final.run), *_coverage(final.coverage), *_verdict(final.verdict)]
        if lines:
            self._print("")
        for line in lines:
            self._print(clean(line))

    def close(self) -> None:
        """Close a file; flush stdout."""
        if self._file is sys.stdout:
            self._file.flush()
        else:
            self._file.close()

    def _print(self, text: str) -> None:
        say(text, self._file)


class JsonSink:
    """A JSON array: an object for each interval, and one for the whole run at the end."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._begun = self._ended = False

    def start(self, info: RunInfo) -> None:
        """Open the array."""
        self._begun = True
        self._print("[", end="")

    def second(self, sample: Sample) -> None:
        """Intervals only."""

    def interval(self, sample: Sample) -> None:
        """One element."""
        self._print(f"\n{encode_span(sample.interval)},", end="")

    def finish(self, final: Final) -> None:
        """The last element, and the end of the array."""
        self._ended = True
        self._print(f"\n{encode_span(final.run)}\n]")

    def close(self) -> None:
        """Close a file; a run that failed leaves valid JSON all the same."""
        if self._begun and not self._ended:
            self._print("\nnull\n]")
        if self._file is not sys.stdout:
            self._file.close()

    def _print(self, text: str, end: str = "\n") -> None:
        self._file.write(f"{text}{end}")
        self._file.flush()


def _facts(run: Span) -> list[str]:
    """What is known beside the table, a line each."""
    lines = []
    for series, totals in run.totals.items():
        if totals.failures:
            kinds = ", ".join(
                f"{kind.value} {pretty_number(count)}"
                for kind, count in totals.failures.items()
                if count
            )
            lines.append(f"{series.label} failures: {kinds}")
        if series is Series.GBT and totals.count:
            lines.append(
                f"GBT entries: {pretty_number(totals.entries)}, missing {pretty_number(totals.missing)}"
                f", {pretty_number(totals.entries * 10**9 // max(run.elapsed_ns, 1))}/s"
            )
        for metric, name in ((Metric.FIRST, "first byte"), (Metric.GAP, "gap between entries")):
            found = totals.of(metric)
            if found.max_ns:
                what = "first entry" if series is Series.GBT and metric is Metric.FIRST else name
                lines.append(f"{series.label} {what}: {_spread(found.percentiles(PERCENTS))}")
        if totals.phases:
            means = (
                f"{name} {pretty_duration(total_ns // count)}"
                for name, (count, total_ns) in totals.phases.items()
            )
            count = max(count for count, _ in totals.phases.values())
            lines.append(
                f"{series.label} phases of {pretty_number(count)} requests, mean: {', '.join(means)}"
            )
        if totals.unverified:
            lines.append(
                f"{series.label} not verified: {pretty_number(totals.unverified)} (no checksum to compare with)"
            )
        if totals.retried:
            lines.append(f"{series.label} repetitions: {pretty_number(totals.retried)}")
    return lines


def _spread(values: list[int]) -> str:
    return ", ".join(
        f"p{percent:g} {pretty_duration(value)}"
        for percent, value in zip(PERCENTS, values, strict=True)
    )


def _coverage(coverage: Mapping[str, Any]) -> list[str]:
    if not coverage:
        return []
    names = pretty_number(int(coverage["names"]))
    return [f"{coverage['text']} ({coverage['epochs']} x {names} names)"]


def _verdict(verdict: Mapping[str, Any]) -> list[str]:
    return [str(verdict["text"])] if verdict.get("text") else []
