"""The handle of one job that runs in this process: progress, its pace, and the moment to stop.

Progress is written to the job's row at most once in `FLUSH_INTERVAL_S`, in the thread that works; the same look at the
row tells whether another process asked to stop. Between two looks a stop in this process is one attribute.
"""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Self

from aiscore.engine.pace import Pace
from aiscore.errors import AisError, XactionAbortedError
from aiscore.model.xaction import KINDS, XactionKind, XactionState

if TYPE_CHECKING:
    from aiscore.engine.xaction.registry import Xactions

__all__ = [
    "FLUSH_INTERVAL_S",
    "MISSING_NAMED_MAX",
    "THROTTLED",
    "Announce",
    "Job",
    "unannounced",
]

FLUSH_INTERVAL_S = 0.5
MISSING_NAMED_MAX = 10_000
"""Names that a job's `ext` holds at most."""
THROTTLED = "throttled_ns"
"""In a job's `ext`: how long it has slept because of the load."""

Announce = Callable[[str], None]
"""Told the id of a job when its request has been found good and its work begins."""


def unannounced(job_id: str) -> None:
    """Nobody wants to know."""


class Job:
    """A running job. A context manager: leaving it ends the job, as failed or aborted when an exception passes."""

    def __init__(
        self,
        registry: "Xactions",
        job_id: str,
        kind: XactionKind,
        pace: Pace,
        *,
        is_recorded: bool,
    ) -> None:
        self._registry = registry
        self._pace = pace
        self.id = job_id
        self.kind = kind
        self.objects = 0
        self.size = 0
        self.ext: dict[str, object] = {}
        self._is_recorded = is_recorded
        self._is_ended = False
        self._flushed_at = time.monotonic()
        self.is_ahead = False

    def is_due(self, now: float) -> bool:
        """True once in `FLUSH_INTERVAL_S`: what has been done is to be written; else it is noted that it is not."""
        if now - self._flushed_at >= FLUSH_INTERVAL_S:
            self._flushed_at = now
            return True
        self.is_ahead = True
        return False

    def step(self, objects: int = 0, size: int = 0) -> None:
        """Count what has been done, between two pieces of work that are whole; returns when it is time for the next.

        Raises:
            XactionAbortedError: somebody asked the job to stop.
        """
        self.objects += objects
        self.size += size
        now = self._pace.spent(objects or 1)
        self._note_sleep()
        if self.is_due(now) and self._is_recorded and not self._registry.write_progress(self):
            raise XactionAbortedError(f"{KINDS[self.kind].display}[{self.id}] was stopped")

    def end(self, error: BaseException | None = None) -> None:
        """Write how it ended; safe to repeat, only the first counts."""
        if self._is_ended:
            return
        self._is_ended = True
        self._note_sleep()
        if not self._is_recorded:
            return
        if error is None:
            self._registry.write_end(self, XactionState.FINISHED)
            return
        is_abort = isinstance(error, XactionAbortedError) or not isinstance(error, Exception)
        state = XactionState.ABORTED if is_abort else XactionState.FAILED
        text = error.message if isinstance(error, AisError) else str(error) or type(error).__name__
        code = error.code if isinstance(error, AisError) else ""
        self._registry.write_end(self, state, text, code)

    def _note_sleep(self) -> None:
        if self._pace.slept_ns:
            self.ext[THROTTLED] = self._pace.slept_ns

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        self.end(error)
