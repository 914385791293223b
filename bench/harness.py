"""What every benchmark here shares: interleaved rounds, min/median/max, ratios, CPU, memory, and the machine.

Contenders take turns, so that a machine whose speed drifts is as unfair to one as to the other, and the ratio is made
round by round. Absolute times say little on a shared machine; quote the ratios.
"""

import argparse
import json
import os
import platform
import resource
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

RESULTS = Path(__file__).parent / "results"


@dataclass
class Contender:
    """One thing that is measured: `run` does the work once and returns nothing."""

    name: str
    run: Callable[[], object]
    wall_ns: list[int] = field(default_factory=list)
    cpu_ns: list[int] = field(default_factory=list)


def arguments(description: str | None, *, rounds: int = 15) -> argparse.ArgumentParser:
    """Options that every benchmark takes."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--rounds", type=int, default=rounds, help="counted rounds (%(default)s)")
    parser.add_argument("--dir", default=None, help="where the data goes (a temporary directory)")
    parser.add_argument("--save", action="store_true", help="append a JSON line to bench/results/")
    return parser


def compare(
    contenders: Sequence[Contender],
    *,
    rounds: int,
    warmup: int = 2,
    inner: int = 1,
    swaps: bool = False,
) -> None:
    """Run the contenders in turn; `inner` repetitions are timed as one.

    With `swaps` every other round goes from the last to the first, for contenders that leave memory or a disk to the
    next one as they have used it.
    """
    for number in range(-warmup, rounds):
        for contender in reversed(contenders) if swaps and number % 2 else contenders:
            cpu = time.process_time_ns()
            wall = time.perf_counter_ns()
            for _ in range(inner):
                contender.run()
            elapsed = (time.perf_counter_ns() - wall) // inner
            used = (time.process_time_ns() - cpu) // inner
            if number >= 0:
                contender.wall_ns.append(elapsed)
                contender.cpu_ns.append(used)


def ratio(one: Contender, other: Contender) -> tuple[float, float, float]:
    """Wall time of `one` over `other`, round by round: min, median, max."""
    ratios = [a / b for a, b in zip(one.wall_ns, other.wall_ns, strict=True)]
    return min(ratios), statistics.median(ratios), max(ratios)


def table(title: str, contenders: Sequence[Contender], *, per: int = 1, unit: str = "us") -> None:
    """Print min/median/max of wall time, and median CPU, divided by `per`."""
    scale = {"us": 1e3, "ms": 1e6}[unit] * per
    print(f"\n{title}")
    print(f"  {'':42} {'min':>10} {'median':>10} {'max':>10} {'cpu':>10}  {unit}")
    for c in contenders:
        wall = [value / scale for value in c.wall_ns]
        cpu = statistics.median(c.cpu_ns) / scale
        print(
            f"  {c.name:42} {min(wall):10.2f} {statistics.median(wall):10.2f} {max(wall):10.2f} {cpu:10.2f}"
        )


def goal(
    text: str, measured: tuple[float, float, float], limit: float, *, at_most: bool
) -> dict[str, object]:
    """Print a ratio beside its aim; the median decides."""
    low, middle, high = measured
    is_met = middle <= limit if at_most else middle >= limit
    sign = "<=" if at_most else ">="
    print(
        f"  {'ok  ' if is_met else 'MISS'} {text}: {middle:.2f} [{low:.2f}-{high:.2f}], aim {sign} {limit:g}"
    )
    return {
        "what": text,
        "median": middle,
        "min": low,
        "max": high,
        "aim": f"{sign} {limit:g}",
        "met": is_met,
    }


def inverse(values: tuple[float, float, float]) -> tuple[float, float, float]:
    """The ratio the other way round."""
    return 1 / values[2], 1 / values[1], 1 / values[0]


def machine(directory: str) -> dict[str, object]:
    """Print and return what the figures depend on."""
    facts: dict[str, object] = {
        "python": platform.python_version(),
        "kernel": platform.release(),
        "cpus": os.cpu_count(),
        "load": os.getloadavg()[0],
        "filesystem": filesystem(directory),
        "cache": "warm",
    }
    print("  ".join(f"{key}={value}" for key, value in facts.items()))
    return facts


def peak_mib() -> int:
    """The most memory that this process has had so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def filesystem(directory: str) -> str:
    """Where the data lies, the kind of file system, and of ext4 whether it has a journal: it decides about renames."""
    where, kind, options = "", "", ""
    for line in Path("/proc/mounts").read_text().splitlines():
        _, mount, found, flags, *_ = line.split()
        is_inside = f"{os.path.realpath(directory)}/".startswith(f"{mount.rstrip('/')}/")
        if is_inside and len(mount) >= len(where):
            where, kind, options = mount, found, flags
    if kind != "ext4":
        return f"{where} {kind}"
    number = os.stat(directory).st_dev
    device = os.path.realpath(f"/sys/dev/block/{os.major(number)}:{os.minor(number)}")
    has_journal = any(Path("/proc/fs/jbd2").glob(f"{os.path.basename(device)}-*"))
    no_flush = ", noauto_da_alloc" if "noauto_da_alloc" in options else ""
    return f"{where} ext4 ({'with' if has_journal else 'without'} a journal{no_flush})"


def finish(
    name: str, facts: dict[str, object], goals: list[dict[str, object]], *, save: bool
) -> None:
    """Print peak memory; with `--save` keep a JSON line."""
    peak = peak_mib()
    print(f"\npeak memory of this process: {peak} MiB")
    if save:
        RESULTS.mkdir(exist_ok=True)
        line = {
            "benchmark": name,
            "time": int(time.time()),
            **facts,
            "peak_mib": peak,
            "goals": goals,
        }
        with (RESULTS / f"{name}.jsonl").open("a") as file:
            file.write(json.dumps(line) + "\n")
    sys.stdout.flush()
