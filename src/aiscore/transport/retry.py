"""When a failed request is tried again, and after what wait.

Three rules. A request is repeated only if that can do no harm: it is idempotent, or nothing of it was sent. Waits
are random up to a limit that doubles ("full jitter"), so that clients that failed together do not return together;
what the server asks for with `Retry-After` comes on top. And there is an end: a number of tries and a deadline, both
counted anew when the operation gets on.
"""

import time
from collections.abc import Callable

from aiscore.errors import AisError, ConnectError
from aiscore.transport.options import ConnectionOptions

__all__ = ["Attempts", "retry_after", "sent_nothing"]

CONNECT_BACKOFF_S = 0.1
"""Longest first wait after a connection that was refused or broke: a server that restarts is soon back."""
BACKOFF_MAX_S = 30.0
RETRY_AFTER_MAX_S = 120.0
"""A server that asks for more is not waited for."""


class Attempts:
    """The tries of one operation."""

    def __init__(
        self,
        options: ConnectionOptions,
        *,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
        uniform: Callable[[float, float], float] | None = None,
    ) -> None:
        self._options = options
        self._sleep = sleep
        self._clock = clock
        self._uniform = uniform
        self._failures = 0
        self._begin: float | None = None

    @property
    def failures(self) -> int:
        """Failures since the operation last got on."""
        return self._failures

    def progressed(self) -> None:
        """The operation got on: it has all its tries again."""
        self._failures = 0
        self._begin = None

    def wait(self, error: AisError, after_s: float = 0.0) -> None:
        """Wait before the next try.

        Args:
            error: what went wrong.
            after_s: what the server asks for, at least.

        Raises:
            AisError: `error`, when there is to be no next try.
        """
        options = self._options
        now = self._clock()
        if self._begin is None:
            self._begin = now
        if not error.retryable or self._failures >= options.retries or after_s > RETRY_AFTER_MAX_S:
            raise error
        first = options.backoff_s
        if error.status == 0:  # no answer: the server restarts, or the network had a moment
            first = min(CONNECT_BACKOFF_S, first)
        delay = after_s + self._random(min(first * 2**self._failures, BACKOFF_MAX_S))
        if options.deadline_s and now + delay > self._begin + options.deadline_s:
            raise error
        self._failures += 1
        if delay:
            self._sleep(delay)

    def _random(self, limit: float) -> float:
        if self._uniform is None:
            # Here: most operations never wait, and the import costs a few milliseconds.
            from random import uniform

            self._uniform = uniform
        return self._uniform(0.0, limit)


def retry_after(value: str | None) -> float:
    """Seconds that a `Retry-After` header asks for: a number, or a date; 0 for none and for nonsense."""
    text = (value or "").strip()
    if not text:
        return 0.0
    if text.isascii() and text.isdigit():
        return float(text[:9])
    from email.utils import parsedate_to_datetime

    try:
        return max(parsedate_to_datetime(text).timestamp() - time.time(), 0.0)
    except (ValueError, TypeError, OverflowError):
        return 0.0


def sent_nothing(error: AisError) -> bool:
    """True when the server cannot have seen the request."""
    return isinstance(error, ConnectError) and error.retryable
