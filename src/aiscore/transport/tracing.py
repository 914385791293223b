"""When the steps of a request were done: for who wants to know where its time goes.

A request that nobody asks about costs one comparison more. Times are those of `perf_counter_ns`.
"""

from time import perf_counter_ns
from typing import Protocol

__all__ = ["RequestTimes", "Tracer"]


class RequestTimes:
    """One request to one server.

    Attributes:
        begun_ns: somebody wants to send it.
        connected_ns: there is a connection for it, a kept one or a new one.
        head_ns: its head has been given to the system; with small bodies, the body as well.
        sent_ns: all of it has.
        answered_ns: the head of the answer is there.
        status: of the answer; 0 when none came.
    """

    __slots__ = ("answered_ns", "begun_ns", "connected_ns", "head_ns", "sent_ns", "status")

    def __init__(self) -> None:
        """Begin now."""
        self.begun_ns: int = perf_counter_ns()
        self.connected_ns: int = 0
        self.head_ns: int = 0
        self.sent_ns: int = 0
        self.answered_ns: int = 0
        self.status: int = 0

    def connected(self) -> None:
        """There is a connection; it may turn out to be a stale one, and be followed by another."""
        self.connected_ns = perf_counter_ns()
        self.head_ns = 0

    def head_sent(self) -> None:
        """The head is on its way; counts when it is said for the first time."""
        if not self.head_ns:
            self.head_ns = perf_counter_ns()

    def sent(self) -> None:
        """Everything is on its way."""
        self.sent_ns = perf_counter_ns()
        self.head_ns = self.head_ns or self.sent_ns

    def answered(self, status: int) -> None:
        """The head of the answer is there."""
        self.answered_ns = perf_counter_ns()
        self.status = status


class Tracer(Protocol):
    """Who wants to know. Called by any thread that sends a request."""

    def begin(self) -> RequestTimes | None:
        """A request begins; None when it is not to be followed."""
        ...

    def add(self, times: RequestTimes, /) -> None:
        """It has been answered."""
        ...
