"""The load of this machine as this process sees it: sampled at intervals, asked on every request.

Nothing runs in the background: who asks first after `SAMPLE_INTERVAL_S` takes the sample, others go on with the last
advice meanwhile; only after a change of the configuration they wait for it. Between two samples an answer is a look at
the clock and an element of a tuple.

`store.load` of the configuration switches this off or gives grades instead of measured ones; the environment
variable `AIS_LOAD` does so for one process, and wins.
"""

import logging
import os
import threading
import time
from collections.abc import Callable, Iterable

from aiscore.engine.machine import Machine, Sampler
from aiscore.errors import AisError
from aiscore.model.config import ClusterConfig
from aiscore.model.load import (
    LOAD_OFF,
    Advice,
    LoadUse,
    LoadVector,
    Marks,
    Sample,
    advise,
    grade_sample,
    parse_load,
)

__all__ = ["LOAD_VARIABLE", "SAMPLE_INTERVAL_S", "Load"]

log = logging.getLogger(__name__)

SAMPLE_INTERVAL_S = 1.0
"""Between two samples. AIStore looks every 7.5 to 60 seconds, and lets in whoever comes in between."""
LOAD_VARIABLE = "AIS_LOAD"
_LAG_LEFT = 0.5
"""What is left of a lag at the next tick that is on time."""
_NS_PER_S = 1e9


class Load:
    """Grades and advice; from any thread."""

    def __init__(
        self,
        config: Callable[[], ClusterConfig],
        paths: Callable[[], Iterable[str]],
        *,
        sampler: Sampler | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Sample later, when somebody asks.

        Args:
            config: the configuration as of now.
            paths: directories whose disks count.
            sampler: where samples come from; this machine.
            clock: seconds.

        Raises:
            InvalidArgumentError: `AIS_LOAD` is malformed.
        """
        self._config = config
        self._paths = paths
        self._sampler = sampler
        self._clock = clock
        self._forced = os.environ.get(LOAD_VARIABLE, "")
        parse_load(self._forced)
        # Rank 1 of 1: held while a sample is taken. Nobody waits for it while what is known is still right.
        self._lock = threading.Lock()
        self._due = 0.0
        self._changes = 0
        self._known_changes = -1
        self._first: Sample | None = None
        self._lag_s = 0.0
        self._set(LoadVector())

    def advice(self, use: LoadUse) -> Advice:
        """What `use` should do now."""
        self._refresh()
        return self._advice[use]

    def vector(self) -> LoadVector:
        """Grades of now."""
        self._refresh()
        return self._vector

    def note_lag(self, lag_s: float) -> None:
        """The event loop came so late to something that was due; called at every tick of it."""
        self._lag_s = max(lag_s, self._lag_s * _LAG_LEFT)

    def forget(self) -> None:
        """What is known is wrong: the configuration has changed."""
        self._changes += 1

    def reset_after_fork(self) -> None:
        """The child samples for itself."""
        self._lock = threading.Lock()
        self._known_changes = -1
        self._lag_s = 0.0

    def _refresh(self) -> None:
        is_wrong = self._known_changes != self._changes
        if not is_wrong and self._clock() < self._due:
            return
        if not self._lock.acquire(blocking=is_wrong):
            return
        try:
            if is_wrong and self._known_changes == self._changes:
                return  # another thread has been quicker
            changes = self._changes
            self._due = self._clock() + SAMPLE_INTERVAL_S
            try:
                config = self._config()
                self._set(self._measured(config))
            except AisError as exc:
                log.warning("load not sampled: reason=%s", exc)
            # Of before the sample, so that a change meanwhile is not missed.
            self._known_changes = changes
        finally:
            self._lock.release()

    def _measured(self, config: ClusterConfig) -> LoadVector:
        wanted = self._forced or config.store.load
        if wanted.strip().lower() == LOAD_OFF:
            return LoadVector()
        if self._sampler is None:
            self._sampler = Machine()
        smooth_s = config.disk.smooth_window_ns / _NS_PER_S
        sample = self._sampler.sample(self._paths(), smooth_s)._replace(lag_s=self._lag_s)
        if self._first is None or not self._first.memory_total:
            self._first = sample  # without a descriptor to spare nothing can be read
        marks = Marks.of(
            self._first,
            min_free=config.memsys.min_free,
            min_pct_total=config.memsys.min_pct_total,
            min_pct_free=config.memsys.min_pct_free,
            disk_high_pct=config.disk.disk_util_high_wm,
            disk_max_pct=config.disk.disk_util_max_wm,
        )
        return grade_sample(sample, marks).with_forced(parse_load(wanted))

    def _set(self, vector: LoadVector) -> None:
        self._vector = vector
        self._advice = tuple(advise(vector, use) for use in LoadUse)
