"""Moves the write-ahead log into the database beside the commits of a thread that must not wait for the disk."""

import logging
from collections.abc import Callable

from aiscore.errors import AisError

__all__ = ["CHECKPOINT_FRAMES", "Checkpoints", "Submit"]

log = logging.getLogger(__name__)

CHECKPOINT_FRAMES = 4_000
"""Pages in the write-ahead log from which it is moved: 16 MiB, four times what SQLite takes where it is left to it. A
page that many commits change is moved once, so that a longer log costs less."""
CHECKPOINT_FRAMES_MAX = 8 * CHECKPOINT_FRAMES
"""From here on it is moved at once: whoever was to do it is busy otherwise, and a log must not fill a disk."""

Submit = Callable[[Callable[[], None]], object]
"""Has a function run in another thread."""


class Checkpoints:
    """Has the log moved whenever it has grown by `CHECKPOINT_FRAMES`."""

    def __init__(self, move: Callable[[], None], submit: Submit) -> None:
        """`move` is what `submit` has run."""
        self._move = move
        self._submit = submit
        self._due = CHECKPOINT_FRAMES
        self._overdue = CHECKPOINT_FRAMES_MAX
        self._is_running = False

    def look(self, frames: int) -> None:
        """After a commit: `frames` are in the log."""
        if frames < CHECKPOINT_FRAMES:
            self._due, self._overdue = CHECKPOINT_FRAMES, CHECKPOINT_FRAMES_MAX
            return
        if frames >= self._overdue:
            self._overdue = frames + CHECKPOINT_FRAMES
            self._run()
        if frames < self._due or self._is_running:
            return
        # A log that a reader of another process keeps from beginning anew is not tried at every commit.
        self._due = frames + CHECKPOINT_FRAMES
        self._is_running = True
        try:
            self._submit(self._run_beside)
        except RuntimeError:
            # Whoever would run it is shutting down, and closing the index does the same.
            self._is_running = False

    def _run_beside(self) -> None:
        try:
            self._run()
        finally:
            self._is_running = False

    def _run(self) -> None:
        try:
            self._move()
        except AisError as exc:  # the log grows, nothing is lost, and the next one tries again
            log.warning("write-ahead log not moved: reason=%s", exc)
