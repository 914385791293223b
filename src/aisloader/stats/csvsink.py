"""One line a second for each operation, as CSV: for plots and for programs."""

from typing import TextIO

from aisloader.stats.sample import Final, RunInfo, Sample

__all__ = ["COLUMNS", "CsvSink"]

COLUMNS = (
    "time",
    "elapsed_s",
    "op",
    "count",
    "bytes",
    "errors",
    "mean_ns",
    "p50_ns",
    "p90_ns",
    "p99_ns",
    "p99.9_ns",
    "max_ns",
)


class CsvSink:
    """Writes to an open text file, which it closes. Each second is flushed, so that the file can be followed."""

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def start(self, info: RunInfo) -> None:
        """Names of the columns."""
        self._file.write(",".join(COLUMNS) + "\n")
        self._file.flush()

    def second(self, sample: Sample) -> None:
        """A line for each operation of the run, also when nothing happened: a gap is a fact."""
        span = sample.interval
        end = span.started + span.elapsed_ns / 1e9
        elapsed = sample.run.elapsed_ns / 1e9
        for series, totals in span.totals.items():
            service = totals.service
            p50, p90, p99, p999 = service.percentiles((50, 90, 99, 99.9))
            self._file.write(
                f"{end:.3f},{elapsed:.3f},{series.label},{totals.count},{totals.size},"
                f"{totals.errors},{service.mean_ns},{p50},{p90},{p99},{p999},{service.max_ns}\n"
            )
        self._file.flush()

    def interval(self, sample: Sample) -> None:
        """Seconds only."""

    def finish(self, final: Final) -> None:
        """The last second has been written."""

    def close(self) -> None:
        """Close the file."""
        self._file.close()
