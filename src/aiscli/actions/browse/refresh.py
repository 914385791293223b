"""`--refresh` and `--count`: the same output again and again, until Ctrl-C."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from aiscli.context import CliContext
from aiscli.exitcodes import ExitCode
from aiscore.errors import InvalidArgumentError
from aiscore.model.units import SECOND, parse_duration

__all__ = ["ONCE", "Refresh", "read_refresh", "run_repeated"]

INTERVAL_DEFAULT_NS = 5 * SECOND
INTERVAL_MIN_NS = SECOND
_RULE = "-" * 40


@dataclass(frozen=True, slots=True)
class Refresh:
    """How often to print.

    Attributes:
        interval_ns: from one print to the next.
        count: prints in all; 0 is no limit.
    """

    interval_ns: int = INTERVAL_DEFAULT_NS
    count: int = 1


ONCE = Refresh()


def read_refresh(interval: str | None, count: int | None) -> Refresh:
    """Read `--refresh` and `--count`; with `--count` alone the interval is 5 s.

    Raises:
        InvalidArgumentError: not a duration, under 1 s, or a count that is not positive.
    """
    if count is not None and count < 1:
        raise InvalidArgumentError(f"--count must be 1 or more, not {count}")
    if interval is None:
        return ONCE if count is None else Refresh(count=count)
    interval_ns = parse_duration(interval)
    if interval_ns < INTERVAL_MIN_NS:
        raise InvalidArgumentError(f'--refresh must be 1s or more, not "{interval}"')
    return Refresh(interval_ns, count or 0)


def run_repeated(context: CliContext, refresh: Refresh, call: Callable[[], ExitCode]) -> ExitCode:
    """Call it as often as asked; a rule between two outputs. The first failure ends it."""
    done = 0
    while True:
        code = call()
        done += 1
        context.output.flush()
        if done == refresh.count or code is not ExitCode.OK:
            return code
        time.sleep(refresh.interval_ns / SECOND)
        context.output.text(_RULE)
