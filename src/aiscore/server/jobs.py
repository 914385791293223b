"""Work that outlives its request: it runs in a thread of its own, the answer is its id.

The answer waits until the request has been found good (`Announce`): an error before that is the error of the request,
one after it is the error of the job.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Awaitable, Callable

from aiscore.errors import AisError, ThrottledError
from aiscore.server.http import Response, ServerContext
from aiscore.wire.names import H

__all__ = ["JOB_THREADS_MAX", "STOP_WAIT_S", "Work", "run_job", "stop_jobs", "text_response"]

log = logging.getLogger(__name__)

JOB_THREADS_MAX = 64
"""Jobs of one worker at a time; each has a thread."""
STOP_WAIT_S = 10.0
"""For jobs to come to an end when the server stops: each is asked between two objects, and while it copies one."""
_STOP_POLL_S = 0.1

Work = Callable[[Callable[[str], None]], object]
"""The operation, called with what to tell the job's id."""

_threads: dict[threading.Thread, asyncio.AbstractEventLoop] = {}
_lock = threading.Lock()


def text_response(text: str, status: int = 200) -> Response:
    """A plain text: ids have no quotes and no line end."""
    return Response(status, [(H.CONTENT_TYPE, "text/plain; charset=utf-8")], text.encode())


def run_job(work: Work) -> Awaitable[Response]:
    """Begin `work` in a thread; the response is the id of its job, and comes when that is known.

    Call it on the event loop.

    Raises:
        ThrottledError: too many jobs are running.
    """
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[Response] = loop.create_future()

    def settle(result: "str | BaseException") -> None:
        if answer.done():
            return
        if isinstance(result, str):
            answer.set_result(text_response(result))
        else:
            answer.set_exception(result)

    def tell(result: "str | BaseException") -> None:
        try:
            loop.call_soon_threadsafe(settle, result)
        except RuntimeError:
            log.debug("answer of a job dropped: the server has stopped")

    def run() -> None:
        try:
            work(tell)
            tell("")
        except AisError as exc:
            tell(exc)
        except Exception as exc:
            log.exception("job failed")
            tell(exc)
        finally:
            with _lock:
                _threads.pop(threading.current_thread(), None)

    with _lock:
        if len(_threads) >= JOB_THREADS_MAX:
            raise ThrottledError(
                f"{JOB_THREADS_MAX} jobs are running, no more are taken", hint="try again later"
            )
        thread = threading.Thread(target=run, name="job", daemon=True)
        _threads[thread] = loop
    thread.start()
    return answer


def stop_jobs(
    context: ServerContext, loop: asyncio.AbstractEventLoop, *, timeout_s: float = STOP_WAIT_S
) -> bool:
    """Have the jobs that began on `loop` stop, and wait for them: before the store is closed, after the last request.

    Returns:
        False when one is still at work.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        with _lock:
            running = [thread for thread, its_loop in _threads.items() if its_loop is loop]
        if not running:
            return True
        try:
            # Again and again: one that has just begun may not stand in the table yet.
            context.node.store.stop_own_xactions()
        except AisError as exc:
            log.warning("jobs not asked to stop: reason=%s", exc)
        running[0].join(_STOP_POLL_S)
        if time.monotonic() > deadline:
            log.warning("jobs did not stop in time: they are given up: count=%d", len(running))
            return False
