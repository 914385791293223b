"""Says while a run goes on that nothing succeeds any more, and when something does again."""

from collections.abc import Callable

from aiscore.model.units import SECOND
from aisloader.stats.sample import Final, RunInfo, Sample

__all__ = ["OUTAGE_S", "OutageSink"]

OUTAGE_S = 5
"""Of failures without one success."""


class OutageSink:
    """One line at the begin of an outage, one at its end.

    Args:
        tell: prints a line.
        outlook: what happens when it does not end.
    """

    def __init__(self, tell: Callable[[str], None], outlook: str) -> None:
        self._tell = tell
        self._outlook = outlook
        self._errors = 0
        self._failing_ns = 0
        self._is_told = False

    def start(self, info: RunInfo) -> None:
        """Nothing to say yet."""

    def second(self, sample: Sample) -> None:
        """Look at what came of the last second."""
        interval = sample.interval
        if interval.count:
            if self._is_told:
                self._tell(f"operations succeed again, after {self._failing_ns // SECOND} s")
            self._errors = self._failing_ns = 0
            self._is_told = False
            return
        self._errors += interval.errors
        if not self._errors:
            return  # slow is not down
        self._failing_ns += interval.elapsed_ns
        if self._failing_ns >= OUTAGE_S * SECOND and not self._is_told:
            self._is_told = True
            self._tell(
                f"nothing has succeeded for {self._failing_ns // SECOND} s "
                f"({self._errors:,} failures): {self._outlook}"
            )

    def interval(self, sample: Sample) -> None:
        """Only seconds are looked at."""

    def finish(self, final: Final) -> None:
        """The report says it all."""

    def close(self) -> None:
        """Nothing is open."""
