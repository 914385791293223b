"""How much load, of what kind, for how long, at what rate."""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from aiscore.errors import InvalidArgumentError
from aiscore.model.units import INT64_MAX, MINUTE, UINT64_MAX, format_duration
from aisloader.params.option import Kind, check_section, option

__all__ = [
    "ARRIVALS",
    "NAME_GETTERS",
    "READER_TYPES",
    "WorkloadParams",
    "decode_picks",
    "encode_picks",
    "resolve",
]

WORKERS_MAX = 10_000
PROCESSES_MAX = 256
READER_TYPES = ("sg", "file", "rand")
ARRIVALS = ("closed", "constant", "poisson")
NAME_GETTERS = ("auto", "random", "unique", "unique-iter", "shuffle", "affine", "feistel")
DEFAULT_DURATION = MINUTE


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkloadParams:
    """How much load, of what kind, for how long, at what rate.

    Attributes:
        duration_ns: end of the run; None for no limit of time, 0 for a run that does nothing but clean up (unless
            another limit, or `-stoppable`, is set: then it is no limit of time as well).
        seed: never 0 after `parse`.
        rate: operations in a second over all workers; 0 issues them as fast as they are answered.
    """

    duration_ns: int | None = option(
        DEFAULT_DURATION,
        "duration",
        Kind.DURATION,
        "how long to run; 0 with another limit or -stoppable: no limit of time",
    )
    numworkers: int = option(
        10, "numworkers", Kind.INT, "operations in flight at once", low=1, high=WORKERS_MAX
    )
    epochs: int = option(
        0, "epochs", Kind.UINT, "passes over all names, each read exactly once a pass; 0: no limit"
    )
    perm_shuffle_max: int = option(
        100_000,
        "perm-shuffle-max",
        Kind.UINT,
        "most names that are shuffled; more are permuted by arithmetic, without memory",
        high=(1 << 32) - 1,
    )
    pctput: int = option(
        0, "pctput", Kind.INT, "percentage of PUTs; the rest are reads", low=0, high=100
    )
    pctupdate: int = option(
        0,
        "pctupdate",
        Kind.INT,
        "percentage of GETs that are followed by a PUT of the same name",
        low=0,
        high=100,
    )
    maxputs: int = option(
        0, "maxputs", Kind.UINT, "most objects to PUT; 0: no limit", high=UINT64_MAX
    )
    totalputsize: int = option(
        0, "totalputsize", Kind.SIZE, "stop when this much has been PUT; 0: no limit"
    )
    seed: int = option(
        0,
        "seed",
        Kind.INT,
        "makes a run repeatable: kinds, names, sizes and order follow from it; 0 draws one",
        low=-INT64_MAX - 1,
        high=INT64_MAX,
    )
    tmpdir: str = option("/tmp/ais", "tmpdir", Kind.TEXT, "directory for -readertype=file")
    readertype: str = option(
        "sg",
        "readertype",
        Kind.TEXT,
        "where PUT content comes from: sg (memory), file, rand (fresh random bytes)",
        choices=READER_TYPES,
    )
    name_getter: str = option(
        "auto",
        "name-getter",
        Kind.TEXT,
        f"order of names: {', '.join(NAME_GETTERS)}",
        choices=NAME_GETTERS,
    )
    resume: str = option(
        "",
        "resume",
        Kind.TEXT,
        "go on where an interrupted run with -epochs was: the numbers it printed, with its -seed",
    )
    shared_epochs: bool = option(
        False,
        "shared-epochs",
        Kind.BOOL,
        "the loaders of -loadernum read every name once an epoch together; needs the same -seed",
    )
    rate: float = option(
        0.0,
        "rate",
        Kind.RATE,
        'operations in a second over all workers, as in "500/s"; 0: as fast as answers come',
        low=0,
    )
    arrival: str = option(
        "closed",
        "arrival",
        Kind.TEXT,
        "schedule of -rate: constant or poisson (closed: none)",
        choices=ARRIVALS,
    )
    max_backlog: int = option(
        100_000,
        "max-backlog",
        Kind.UINT,
        "operations that are due but not sent before more count as errors (unsent)",
        low=1,
    )
    warmup_ns: int = option(
        0, "warmup", Kind.DURATION, "beginning of the run that the results leave out"
    )
    processes: int = option(
        0,
        "processes",
        Kind.UINT,
        "worker processes; 0: one for each 8 workers, at most one a core",
        high=PROCESSES_MAX,
    )
    epoch_batch: str = option(
        "span",
        "epoch-batch",
        Kind.TEXT,
        "GetBatch at the end of an epoch: span into the next, stay short, or span without "
        "duplicates (dedup)",
        choices=("span", "short", "dedup"),
    )

    @property
    def resumed_picks(self) -> tuple[int, ...]:
        """Picks that each worker has behind it; empty for a run from the start."""
        return decode_picks(self.resume)

    @property
    def is_read_only(self) -> bool:
        """True without PUTs of new names."""
        return self.pctput == 0

    @property
    def is_write_only(self) -> bool:
        """True when nothing is read."""
        return self.pctput == 100

    @property
    def has_limit(self) -> bool:
        """True when something other than time ends the run."""
        return bool(self.epochs or self.totalputsize or self.maxputs)

    def validate(self) -> None:
        """Check the values; raises `InvalidArgumentError`."""
        check_section(self)
        if self.duration_ns is not None and self.duration_ns < 0:
            raise InvalidArgumentError("invalid -duration: it is negative")
        if self.arrival != "closed" and not self.rate:
            raise InvalidArgumentError(f"-arrival={self.arrival} needs -rate")
        if self.duration_ns and self.warmup_ns >= self.duration_ns:
            raise InvalidArgumentError(
                f"-warmup ({format_duration(self.warmup_ns)}) must be shorter than -duration "
                f"({format_duration(self.duration_ns)})"
            )
        picks = self.resumed_picks
        if picks and len(picks) != self.numworkers:
            raise InvalidArgumentError(
                f"-resume has the picks of {len(picks)} workers, and -numworkers is {self.numworkers}"
            )
        if picks and not (self.epochs and self.is_read_only):
            raise InvalidArgumentError("-resume needs -epochs, and a run that only reads")


def decode_picks(text: str) -> tuple[int, ...]:
    """The numbers of `-resume`: `120,7*119` is 120 once and 119 seven times.

    Raises:
        InvalidArgumentError: malformed.
    """
    picks: list[int] = []
    for word in text.split(",") if text else []:
        times, star, number = word.rpartition("*")
        repeated = times if star else "1"
        if not all(part.isascii() and part.isdecimal() for part in (repeated, number)):
            raise InvalidArgumentError(
                f'invalid -resume "{text[:64]}": expected numbers and commas, as in "120,7*119"'
            )
        if int(repeated) > WORKERS_MAX or int(number) > INT64_MAX:
            raise InvalidArgumentError(f'invalid -resume "{text[:64]}": a number is too large')
        picks += [int(number)] * int(repeated)
    return tuple(picks)


def encode_picks(picks: Sequence[int]) -> str:
    """What `decode_picks` reads."""
    groups = [(number, len(list(same))) for number, same in groupby(picks)]
    return ",".join(f"{times}*{number}" if times > 1 else str(number) for number, times in groups)


def resolve(
    values: dict[str, Any], given: frozenset[str], environ: Mapping[str, str], notes: list[str]
) -> None:
    """Draw a seed; an absent duration is one minute, or unlimited beside another limit."""
    del environ
    if not values["seed"]:
        values["seed"] = secrets.randbits(62) | 1
    if values["epochs"] and values["pctput"] == 100:
        notes.append("-epochs has no effect: -pctput=100 reads nothing")
        values["epochs"] = 0
    limited = values["totalputsize"] or values["epochs"] or values["maxputs"]
    if "duration" not in given:
        values["duration_ns"] = None if limited else DEFAULT_DURATION
        if not limited:
            notes.append(
                f"Duration not specified - running for {format_duration(DEFAULT_DURATION)}"
            )
    if values["rate"] and "arrival" not in given:
        values["arrival"] = "constant"
