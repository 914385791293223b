"""Where the time of a request goes: AIStore's eleven phases, of requests over the connections that are kept anyway.

A PUT or GET is one request to the store, or two when a gateway redirects it: the first is the gateway's then (`proxy`),
the last the target's. A store that answers at once has phases of a target only. Each phase begins where the one before
it ended, but for `proxy` and `target`, which begin at the connection and hold the phases between:

    conn       until there is a connection: nothing, as a rule, with one that is kept
    header     until the head has been sent, and small bodies with it
    request    until all of the body has
    response   until the answer's head is there
    proxy      from the connection to the gateway to its redirect;  target: the same to the answer's head
    posthttp   from the answer's head to its last byte, verified
"""

import threading
from typing import Final

from aiscore.transport.tracing import RequestTimes
from aisloader.stats.board import Control
from aisloader.stats.series import PHASES

__all__ = ["NOT_HAPPENED", "PhaseTracer", "phases_of"]

NOT_HAPPENED: Final = -1
_ONE_SERVER = len(PHASES) // 2


class PhaseTracer:
    """Follows the requests of the operations of one process, while the run's shared word says so.

    Args:
        control: shared words; `TRACE` is looked at.
    """

    def __init__(self, control: memoryview) -> None:
        self._control = control
        self._threads = threading.local()

    @property
    def is_on(self) -> bool:
        """True while requests are to be followed."""
        return bool(self._control[Control.TRACE])

    def start(self) -> None:
        """An operation begins in this thread."""
        self._threads.requests = [] if self.is_on else None

    def begin(self) -> RequestTimes | None:
        """A request begins (`aiscore.transport.tracing.Tracer`)."""
        return None if getattr(self._threads, "requests", None) is None else RequestTimes()

    def add(self, times: RequestTimes, /) -> None:
        """It has been answered."""
        self._threads.requests.append(times)

    def end(self, ended_ns: int) -> tuple[int, ...] | None:
        """The phases of the operation that ended, ns, in the order of `PHASES`; None when it was not followed."""
        requests = getattr(self._threads, "requests", None)
        self._threads.requests = None
        return phases_of(requests, ended_ns) if requests else None


def phases_of(requests: list[RequestTimes], ended_ns: int) -> tuple[int, ...]:
    """The phases of an operation that took these requests."""
    first, last = requests[0], requests[-1]
    proxy = (NOT_HAPPENED,) * _ONE_SERVER
    if first is not last and 300 <= first.status < 400:
        proxy = _of_server(first, last.begun_ns)
    return (*proxy, *_of_server(last, last.answered_ns), ended_ns - last.answered_ns)


def _of_server(times: RequestTimes, until_ns: int) -> tuple[int, ...]:
    return (
        times.connected_ns - times.begun_ns,
        times.head_ns - times.connected_ns,
        times.sent_ns - times.head_ns,
        times.answered_ns - times.sent_ns,
        until_ns - times.connected_ns,
    )
