"""A request again, when the store was busy: with growing, random pauses."""

import random
import time
from collections.abc import Callable
from typing import TypeVar

from aiscli.context import CliContext
from aiscore.errors import AisError

__all__ = ["RETRIES_DEFAULT", "RETRIES_MAX", "with_retries"]

RETRIES_DEFAULT = 3
RETRIES_MAX = 20
_PAUSE_FIRST_S = 0.5
_PAUSE_MAX_S = 30.0

T = TypeVar("T")


def with_retries(
    context: CliContext,
    retries: int,
    call: Callable[[], T],
    *,
    may_repeat: Callable[[], bool] = lambda: True,
    sleep: Callable[[float], None] = time.sleep,
) -> T:
    """Call until it succeeds, fails for good, or has failed `retries` times more than once.

    Args:
        context: notes go to its output.
        retries: calls after the first.
        call: what to do; starts from nothing each time.
        may_repeat: False once something is out that cannot be taken back.
        sleep: pauses, in seconds.

    Raises:
        AisError: of the last call.
    """
    for attempt in range(1, retries + 1):
        try:
            return call()
        except AisError as error:
            if not error.retryable or not may_repeat():
                raise
            # Half of it random: those who were refused together must not come back together.
            pause = min(_PAUSE_MAX_S, _PAUSE_FIRST_S * 2 ** (attempt - 1))
            pause *= 0.5 + random.random() / 2
            context.output.note(
                f"{error.message}; trying again in {pause:.1f}s ({attempt} of {retries})"
            )
            sleep(pause)
    return call()
