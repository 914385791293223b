"""How loaded a machine is, and what work should do about it: grades of samples, advice of grades. Nothing is read here.

Theory of operation. A sample (`Sample`) has what was measured. Each of its dimensions gets a grade, low to critical:
together they are the `LoadVector`. For a use (a job that moves data, one that touches only metadata, a GetBatch) the
vector gives an `Advice`: how long to sleep, after how many operations to ask again, whether to refuse. Thresholds
and advice are AIStore's, but where a docstring says "ours". The dimension of goroutines is the lag of the event loop
here, and file descriptors, which AIStore only reserves, are graded.
"""

from collections.abc import Mapping
from enum import IntEnum, StrEnum
from functools import lru_cache
from typing import NamedTuple

from aiscore.errors import InvalidArgumentError
from aiscore.model.units import GIB, MIB

__all__ = [
    "LOAD_OFF",
    "Advice",
    "Dimension",
    "Grade",
    "LoadUse",
    "LoadVector",
    "Marks",
    "Sample",
    "advise",
    "grade_sample",
    "parse_load",
    "swap_growths_after",
]

MIN_FREE_DEFAULT = 3 * GIB // 2
"""Memory that is to stay free when `memsys.min_free` is 0."""
MIN_PCT_DEFAULT = 3
"""Ours: `memsys.min_pct_total` where it is 0. In AIStore that means no limit, and then a machine, or a container, with
less memory than `memsys.min_free` is under critical pressure from its start."""
LOW_GAP_MIN = 256 * MIB
_HIGH_SHARE = 40
"""Below this percentage of the way from the floor to the low watermark memory is graded high."""
SWAP_STEP_PCT = 1
"""Ours: growth of swap, in percent of the memory, that counts; less is a kernel that tidies up."""
SWAP_CRITICAL = 2
CPU_CRITICAL_PCT = 92
FILES_HIGH_PCT = 80
"""Ours."""
FILES_CRITICAL_PCT = 95
"""Ours."""
LAG_HIGH_S = 0.1
"""Ours: how late an event loop comes to what is due."""
LAG_CRITICAL_S = 0.5
"""Ours."""

LOAD_OFF = "off"
_AUTO = "auto"
_SLEEP_S = (0.001, 0.01, 0.1)
_EVERY_MAX = 0x2000
_EVERY_SMALL = 0x20
_EVERY_MIN = 0x10
_METADATA_SHIFT = 4


class Grade(IntEnum):
    """How loaded something is; the values are AIStore's."""

    LOW = 1
    MODERATE = 2
    HIGH = 3
    CRITICAL = 4

    @property
    def text(self) -> str:
        """`low`, `moderate`, `high` or `critical`."""
        return self.name.lower()


_GRADES = {grade.text: grade for grade in Grade}


class Dimension(StrEnum):
    """What is graded; the values are what people read and write."""

    MEMORY = "memory"
    CPU = "cpu"
    DISK = "disk"
    FILES = "files"
    LOOP = "loop"


class LoadVector(NamedTuple):
    """A grade of each dimension, in the order of `Dimension`."""

    memory: Grade = Grade.LOW
    cpu: Grade = Grade.LOW
    disk: Grade = Grade.LOW
    files: Grade = Grade.LOW
    loop: Grade = Grade.LOW

    @property
    def text(self) -> str:
        """`memory=low cpu=high disk=low files=low loop=low`."""
        return " ".join(f"{name}={grade}" for name, grade in self.texts.items())

    @property
    def texts(self) -> dict[str, str]:
        """The same as a mapping."""
        return {name.value: grade.text for name, grade in zip(Dimension, self, strict=True)}

    def with_forced(self, forced: Mapping[Dimension, Grade]) -> "LoadVector":
        """The vector with some grades given instead of measured."""
        return self._replace(**{name.value: grade for name, grade in forced.items()})


class Sample(NamedTuple):
    """What was measured at one moment; sizes are bytes.

    Attributes:
        memory_total: of the machine, or of the control group if that is less; 0 when nothing is known.
        memory_available: that new work can have.
        memory_free: free, with buffers and caches, `memory_available` at most.
        swap_growths: how often in succession swap has grown, by `swap_growths_after`.
        load: mean number of runnable tasks over 1, 5 and 15 minutes; None when it is not known.
        cpu_count: CPUs that the process may use.
        disk_pct: how busy the busiest disk is.
        file_count: open file descriptors of the process.
        file_limit: as many as it may have; 0 for no limit.
        lag_s: how late the event loop is; 0 without one.
    """

    memory_total: int = 0
    memory_available: int = 0
    memory_free: int = 0
    swap_growths: int = 0
    load: tuple[float, float, float] | None = None
    cpu_count: int = 1
    disk_pct: int = 0
    file_count: int = 0
    file_limit: int = 0
    lag_s: float = 0.0


class Marks(NamedTuple):
    """Where grades begin, of one configuration.

    Attributes:
        memory_min: bytes that are to stay free.
        memory_low: bytes below which memory is not plenty any more.
        disk_high_pct: utilisation above which a disk is graded high.
        disk_max_pct: utilisation from which it is critical.
    """

    memory_min: int
    memory_low: int
    disk_high_pct: int
    disk_max_pct: int

    @classmethod
    def of(
        cls,
        first: Sample,
        *,
        min_free: int,
        min_pct_total: int = 0,
        min_pct_free: int = 0,
        disk_high_pct: int,
        disk_max_pct: int,
    ) -> "Marks":
        """The marks that settings mean on a machine.

        Args:
            first: the sample of when the process started: "free" is what was free then.
            min_free: `memsys.min_free`, and so on.
            min_pct_total: 0 is `MIN_PCT_DEFAULT`.
            min_pct_free: 0 is no limit.
            disk_high_pct: `disk.disk_util_high_wm`.
            disk_max_pct: `disk.disk_util_max_wm`.
        """
        free = first.memory_free
        least = min(
            min_free or MIN_FREE_DEFAULT,
            first.memory_total * (min_pct_total or MIN_PCT_DEFAULT) // 100,
        )
        if min_pct_free:
            least = min(least, free * min_pct_free // 100)
        both = least + free
        low = max(both // 2 - both // 16, least + LOW_GAP_MIN)
        if free < min(2 * least, least + MIN_FREE_DEFAULT):
            low = min(low, least + LOW_GAP_MIN)
        # Of a small container the gap of a server would be more than all it has.
        low = min(low, max(first.memory_total // 2, least + 1))
        return cls(least, low, disk_high_pct, disk_max_pct)


class LoadUse(IntEnum):
    """Who asks for advice."""

    DATA_JOB = 0
    """A job that moves content. How busy the CPUs are does not slow it."""
    METADATA_JOB = 1
    """A job that deletes, counts or looks: it goes on until something is critical."""
    BATCH = 2
    """GetBatch: the only one that is refused."""


class Advice(NamedTuple):
    """What to do.

    Attributes:
        sleep_s: how long to sleep when advice is due; 0 is not at all.
        every: operations after which it is due again.
        overall: the worst grade that counted.
        is_refused: new work is not to begin.
    """

    sleep_s: float
    every: int
    overall: Grade
    is_refused: bool = False


def swap_growths_after(growths: int, before: int, now: int, memory_total: int) -> int:
    """The new `Sample.swap_growths`, from the bytes swapped out at two successive looks."""
    if now - before > memory_total * SWAP_STEP_PCT // 100:
        return min(growths + 1, SWAP_CRITICAL + 1)
    return max(growths - 1, 0)


def grade_sample(sample: Sample, marks: Marks) -> LoadVector:
    """Grade every dimension."""
    return LoadVector(
        _grade_memory(sample, marks),
        _grade_cpu(sample),
        _between(sample.disk_pct, marks.disk_high_pct + 1, marks.disk_max_pct),
        _grade_files(sample),
        _between(sample.lag_s, LAG_HIGH_S, LAG_CRITICAL_S),
    )


def advise(vector: LoadVector, use: LoadUse) -> Advice:
    """What the vector means for a use."""
    refuses = use is LoadUse.BATCH
    if vector.memory is Grade.CRITICAL:
        return Advice(_SLEEP_S[2], _EVERY_MIN, Grade.CRITICAL, refuses)
    overall: Grade = vector.memory
    sleep_s, every = 0.0, _EVERY_MAX
    if vector.memory is Grade.HIGH:
        sleep_s = _SLEEP_S[1]
    if vector.memory > Grade.LOW:
        every = _EVERY_SMALL
    cpu = Grade.LOW if use is LoadUse.DATA_JOB else vector.cpu
    if cpu is Grade.CRITICAL and vector.loop is Grade.CRITICAL:
        sleep_s = _raised(sleep_s, 1)
        every, overall = min(every, _EVERY_MIN), Grade.CRITICAL
    elif Grade.CRITICAL in {cpu, vector.loop}:
        sleep_s = _raised(sleep_s, 0)
        every, overall = min(every, _EVERY_SMALL), Grade.CRITICAL
    elif Grade.HIGH in {cpu, vector.loop}:
        sleep_s = max(sleep_s, _SLEEP_S[0])
        every, overall = min(every, _EVERY_SMALL), max(overall, Grade.HIGH)
    if vector.disk is Grade.CRITICAL:
        sleep_s = _raised(sleep_s, 1)
        every, overall = min(every, _EVERY_MIN), Grade.CRITICAL
    elif vector.disk is Grade.HIGH:
        sleep_s = max(sleep_s, _SLEEP_S[0])
        every, overall = min(every, _EVERY_SMALL), max(overall, Grade.HIGH)
    if use is LoadUse.METADATA_JOB and overall < Grade.CRITICAL:
        sleep_s, every = 0.0, min(every << _METADATA_SHIFT, _EVERY_MAX)
    # A batch opens many files at once: better refused than failed in its middle.
    is_refused = refuses and vector.files is Grade.CRITICAL
    return Advice(sleep_s, every, Grade.CRITICAL if is_refused else overall, is_refused)


@lru_cache(maxsize=16)
def parse_load(text: str) -> Mapping[Dimension, Grade]:
    """Grades that a setting forces: none for `auto`, `off` or nothing.

    Args:
        text: `auto`, `off`, one grade for all dimensions, or `DIMENSION:GRADE` with commas between.

    Raises:
        InvalidArgumentError: something else.
    """
    wanted = text.strip().lower()
    if wanted in {"", _AUTO, LOAD_OFF}:
        return {}
    if wanted in _GRADES:
        return dict.fromkeys(Dimension, _GRADES[wanted])
    forced = {}
    for part in wanted.split(","):
        name, _, grade = part.strip().partition(":")
        if name not in set(Dimension) or grade not in _GRADES:
            raise InvalidArgumentError(
                f'invalid load "{text[:100]}": expected auto, off, a grade ({", ".join(_GRADES)}), or DIMENSION:GRADE',
                hint=f"dimensions are {', '.join(Dimension)}: memory:high,disk:critical",
            )
        forced[Dimension(name)] = _GRADES[grade]
    return forced


def _grade_memory(sample: Sample, marks: Marks) -> Grade:
    if not sample.memory_total:
        return Grade.LOW
    free, least, low = sample.memory_free, marks.memory_min, marks.memory_low
    # Ours: swap that grows while memory is plenty is no pressure.
    growths = sample.swap_growths if free <= low else 0
    if growths >= SWAP_CRITICAL or sample.memory_available <= least:
        return Grade.CRITICAL
    if growths or free <= least:
        return Grade.HIGH
    if free > low + low // 16:
        return Grade.LOW
    return Grade.HIGH if (free - least) * 100 < _HIGH_SHARE * (low - least) else Grade.MODERATE


def _grade_cpu(sample: Sample) -> Grade:
    if sample.load is None:
        return Grade.LOW
    one, five, fifteen = sample.load
    critical = max(sample.cpu_count * CPU_CRITICAL_PCT / 100, 1)
    if max(one, five) >= critical and max(five, fifteen) >= critical:
        return Grade.CRITICAL
    high = max(sample.cpu_count - sample.cpu_count // 8, 1)
    return Grade.HIGH if max(one, five) >= high else Grade.LOW


def _grade_files(sample: Sample) -> Grade:
    if not sample.file_limit:
        return Grade.LOW
    return _between(
        sample.file_count * 100 // sample.file_limit, FILES_HIGH_PCT, FILES_CRITICAL_PCT
    )


def _between(value: float, high: float, critical: float) -> Grade:
    if value >= critical:
        return Grade.CRITICAL
    return Grade.HIGH if value >= high else Grade.LOW


def _raised(sleep_s: float, step: int) -> float:
    """The sleep of this step; the next longer one, when there is reason to sleep as long already."""
    return max(_SLEEP_S[step + 1], sleep_s) if sleep_s >= _SLEEP_S[step] else _SLEEP_S[step]
