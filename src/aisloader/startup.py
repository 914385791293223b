"""What a run says before it starts: its parameters, and where it runs; and when its clock starts."""

import os
import platform
import sys
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from aiscore._version import __version__
from aiscore.errors import InvalidArgumentError
from aiscore.model.units import SECOND
from aisloader.params.describe import listing

if TYPE_CHECKING:
    from aisloader.params import Params

__all__ = ["check_start", "environment", "parameter_lines", "start_ns"]

START_AHEAD_MAX_S = 7 * 24 * 3600.0
"""A moment further ahead is a mistake: milliseconds, or the wrong year."""


def parameter_lines(params: "Params") -> Iterator[str]:
    """Every parameter: those with their default value, then those that were set; aligned."""
    defaults, custom = listing(params)
    width = max((len(name) for name, _ in (*defaults, *custom)), default=0) + 1
    for title, rows in (("Defaults", defaults), ("Set for this run", custom)):
        if rows:
            yield f"{title}:"
            for name, shown in sorted(rows):
                yield f"  {f'{name}:':<{width}} {shown or '-'}"
    yield ""


def environment(endpoint: str) -> dict[str, Any]:
    """Machine and versions."""
    return {
        "host": platform.node(),
        "kernel": f"{platform.system()} {platform.release()}",
        "cpus": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        "aisloader": __version__,
        "endpoint": endpoint,
        "argv": sys.argv[1:],
    }


def check_start(params: "Params") -> None:
    """Refuse a moment of the start that has passed: the other loaders did not wait.

    Raises:
        InvalidArgumentError: it has, or it is more than a week ahead.
    """
    moment = params.loader.start_s
    if not moment:
        return
    left = moment - time.time()
    if left <= 0:
        raise InvalidArgumentError(
            f"-start-at={params.loader.start_at} was {-left:.1f} s ago",
            hint="choose a later moment, and check that the clocks of all hosts agree",
        )
    if left > START_AHEAD_MAX_S:
        raise InvalidArgumentError(
            f"-start-at={params.loader.start_at} is more than a week ahead",
            hint="it counts seconds since 1970",
        )


def start_ns(params: "Params") -> int:
    """When the clock starts, on `perf_counter_ns`; 0 as soon as all is ready."""
    moment = params.loader.start_s
    return time.perf_counter_ns() + round((moment - time.time()) * SECOND) if moment else 0
