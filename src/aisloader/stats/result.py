"""The file that keeps a run: parameters, a line for every second, totals with whole histograms.

JSON lines, so that a run of days is written in constant memory and read in one pass. The file gets its name when it is
complete; until then it is `NAME.partial`. `docs/aisloader.md` describes every field.
"""

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TextIO

from aiscore.errors import InvalidArgumentError
from aisloader.stats.histogram import Histogram
from aisloader.stats.sample import Final, RunInfo, Sample, Span
from aisloader.stats.series import Metric, Series, Totals

__all__ = ["FORMAT", "VERSION", "Result", "ResultSink", "Second", "read_result", "write_result"]

FORMAT = "aisloader-result"
VERSION = 1
LINE_MAX = 16 << 20
"""Characters of one line that are read; whole histograms of all operations have a few hundred thousand."""
SECONDS_MAX = 40 * 86_400
"""Lines that are read of one file."""
_BY_KEY = {series.key: series for series in Series}


@dataclass(frozen=True, slots=True)
class Second:
    """One second of one operation.

    Attributes:
        elapsed_s: from the start of the run to the end of this second.
        length_s: how long it was: the last one may be shorter.
        size: bytes.
        durations: response times of a run with a rate, service times of one without; as `Histogram.to_json` has them,
            because whole histograms of every second of a day would not fit the memory.
    """

    elapsed_s: float
    length_s: float
    count: int
    size: int
    errors: int
    durations: Mapping[str, Any]

    @property
    def histogram(self) -> Histogram:
        """The durations, unpacked."""
        return Histogram.from_json(self.durations)


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """A result file in memory.

    Attributes:
        path: where it came from.
        started: wall clock, s since the epoch.
        elapsed_ns: measured time.
        totals: of the measured time.
        seconds: by operation, warm-up left out.
    """

    path: str
    config: Mapping[str, Any]
    params: Mapping[str, Any]
    environment: Mapping[str, Any]
    has_rate: bool
    started: float
    elapsed_ns: int
    ended_by: str
    verdict: Mapping[str, Any]
    coverage: Mapping[str, Any]
    totals: Mapping[Series, Totals]
    seconds: Mapping[Series, list[Second]]

    @property
    def span(self) -> Span:
        """Totals over time."""
        return Span(self.started, self.elapsed_ns, self.totals)


class ResultSink:
    """Writes the file while the run goes on.

    Args:
        path: of the file when it is complete; an existing one is replaced then.
        warmup_ns: seconds that end before it are left out.

    Raises:
        InvalidArgumentError: the file cannot be made.
    """

    def __init__(self, path: str, warmup_ns: int = 0) -> None:
        self._path = path
        self._partial = f"{path}.partial"
        self._warmup_ns = warmup_ns
        self._has_rate = False
        try:
            self._file: TextIO | None = open(self._partial, "w", encoding="utf-8")  # noqa: SIM115
        except OSError as exc:
            raise InvalidArgumentError(f'cannot write -result "{path}": {exc.strerror}') from exc

    def start(self, info: RunInfo) -> None:
        """The first line."""
        self._has_rate = info.has_rate
        self._write(
            {
                "format": FORMAT,
                "version": VERSION,
                "started": info.started,
                "has_rate": info.has_rate,
                "config": info.config,
                "params": info.params,
                "environment": info.environment,
            }
        )

    def second(self, sample: Sample) -> None:
        """A line a second."""
        if sample.run.elapsed_ns > self._warmup_ns:
            self._write(_second_line(sample, has_rate=self._has_rate))

    def interval(self, sample: Sample) -> None:
        """Seconds only."""

    def finish(self, final: Final) -> None:
        """The last line, and the name."""
        self._write(_final_line(final))
        file = self._file
        assert file is not None
        file.flush()
        os.fsync(file.fileno())
        os.replace(self._partial, self._path)
        self._file = None
        file.close()

    def close(self) -> None:
        """Remove what was not finished."""
        file, self._file = self._file, None
        if file is not None:
            os.unlink(self._partial)
            file.close()

    def _write(self, value: Mapping[str, Any]) -> None:
        assert self._file is not None
        self._file.write(json.dumps(value, separators=(",", ":")) + "\n")


def _second_line(sample: Sample, *, has_rate: bool) -> dict[str, Any]:
    ops = {}
    for series, totals in sample.interval.totals.items():
        durations = totals.of(Metric.RESPONSE if has_rate else Metric.SERVICE)
        ops[series.key] = {
            "count": totals.count,
            "size": totals.size,
            "errors": totals.errors,
            "durations": durations.to_json(),
        }
    return {
        "second": round(sample.run.elapsed_ns / 1e9, 6),
        "length": round(sample.interval.elapsed_ns / 1e9, 6),
        "ops": ops,
    }


def _final_line(final: Final) -> dict[str, Any]:
    return {
        "final": {
            "started": final.run.started,
            "elapsed_ns": final.run.elapsed_ns,
            "ended_by": final.ended_by,
            "verdict": dict(final.verdict),
            "coverage": dict(final.coverage),
            "totals": {series.key: t.to_json() for series, t in final.run.totals.items()},
        }
    }


def write_result(path: str, result: Result, notes: Mapping[str, Any] | None = None) -> None:
    """Write a result that was made of others (`merge`).

    Raises:
        InvalidArgumentError: the file cannot be made.
    """
    sink = ResultSink(path)
    try:
        sink.start(
            RunInfo(
                config=result.config,
                params=result.params,
                environment={**result.environment, **(notes or {})},
                has_rate=result.has_rate,
                started=result.started,
            )
        )
        for line in _seconds_lines(result.seconds):
            sink._write(line)  # noqa: SLF001
        sink.finish(
            Final(
                run=result.span,
                verdict=result.verdict,
                ended_by=result.ended_by,
                coverage=result.coverage,
            )
        )
    finally:
        sink.close()


def _seconds_lines(seconds: Mapping[Series, list[Second]]) -> Iterable[dict[str, Any]]:
    by_time: dict[tuple[float, float], dict[str, Any]] = {}
    for series, rows in seconds.items():
        for row in rows:
            by_time.setdefault((row.elapsed_s, row.length_s), {})[series.key] = {
                "count": row.count,
                "size": row.size,
                "errors": row.errors,
                "durations": row.durations,
            }
    for (elapsed, length), ops in sorted(by_time.items()):
        yield {"second": elapsed, "length": length, "ops": ops}


def read_result(path: str) -> Result:
    """Read a result file.

    Raises:
        InvalidArgumentError: there is none, it is of a newer version, or it is malformed; the message has the line.
    """
    try:
        with open(path, encoding="utf-8") as file:
            return _read(path, file)
    except OSError as exc:
        raise InvalidArgumentError(f'cannot read "{path}": {exc.strerror}') from exc
    except UnicodeDecodeError as exc:
        raise InvalidArgumentError(f'"{path}" is no result file of aisloader') from exc


def _read(path: str, file: TextIO) -> Result:
    head: dict[str, Any] | None = None
    final: dict[str, Any] | None = None
    seconds: dict[Series, list[Second]] = {}
    for number in range(1, SECONDS_MAX):
        line = file.readline(LINE_MAX)
        if not line:
            break
        try:
            value = json.loads(line)
            if head is None:
                head = _checked_head(path, value)
            elif "second" in value:
                _add_second(seconds, value)
            elif "final" in value:
                final = dict(value["final"])
        except InvalidArgumentError:
            raise
        except (ValueError, TypeError, KeyError, AttributeError) as exc:
            raise _malformed(path, number, exc) from exc
    if head is None or final is None:
        raise InvalidArgumentError(
            f'"{path}" is not a complete result file of aisloader',
            hint="runs write it with -result=FILE",
        )
    try:
        return Result(
            path=path,
            config=dict(head["config"]),
            params=dict(head["params"]),
            environment=dict(head["environment"]),
            has_rate=bool(head["has_rate"]),
            started=float(final["started"]),
            elapsed_ns=int(final["elapsed_ns"]),
            ended_by=str(final["ended_by"]),
            verdict=dict(final["verdict"]),
            coverage=dict(final["coverage"]),
            totals={
                _BY_KEY[key]: Totals.from_json(value)
                for key, value in final["totals"].items()
                if key in _BY_KEY
            },
            seconds=seconds,
        )
    except (ValueError, TypeError, KeyError, AttributeError) as exc:
        raise _malformed(path, 0, exc) from exc


def _checked_head(path: str, value: object) -> dict[str, Any]:
    if not isinstance(value, dict) or value.get("format") != FORMAT:
        raise InvalidArgumentError(f'"{path}" is no result file of aisloader')
    if value.get("version") != VERSION:
        raise InvalidArgumentError(
            f'"{path}" has version {value.get("version")}, this aisloader reads version {VERSION}'
        )
    return value


def _add_second(seconds: dict[Series, list[Second]], value: Mapping[str, Any]) -> None:
    for key, row in value["ops"].items():
        if key in _BY_KEY:
            second = Second(
                elapsed_s=float(value["second"]),
                length_s=float(value["length"]),
                count=int(row["count"]),
                size=int(row["size"]),
                errors=int(row["errors"]),
                durations=dict(row["durations"]),
            )
            seconds.setdefault(_BY_KEY[key], []).append(second)


def _malformed(path: str, number: int, exc: Exception) -> InvalidArgumentError:
    where = f"line {number} of " if number else ""
    return InvalidArgumentError(f'{where}"{path}" is malformed: {type(exc).__name__}: {exc}')
