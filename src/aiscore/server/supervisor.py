"""The process that users start: one worker in it, or several below it that it keeps alive.

With several workers this process does nothing but wait. It binds a socket for each of them before it forks and keeps
all of them open, so that the port stays open, and what has queued up stays queued, while a worker is started again. It
opens no store and starts no thread, so that a fork copies nothing that must not be copied.

Ends: SIGTERM or SIGINT pass on as SIGTERM (a second one makes workers cut their requests short), SIGHUP as SIGHUP. If
this process dies otherwise, workers see the end of a pipe that only it can write to, and stop by themselves.
"""

import gc
import json
import logging
import os
import resource
import signal
import socket
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import NoReturn

from aiscore import errors
from aiscore.errors import AisError, UnavailableError
from aiscore.server.counters import SharedCounters
from aiscore.server.memory import keep_freed_memory
from aiscore.server.settings import ServerSettings
from aiscore.server.sockets import bind, url_of
from aiscore.server.worker import Worker

__all__ = ["run"]

log = logging.getLogger(__name__)

STABLE_S = 10.0
"""A worker that lived this long died by accident; one that did not will probably die again."""
BACKOFF_FIRST_S = 0.1
BACKOFF_MAX_S = 30.0
KILL_AFTER_S = 10.0
"""Grace on top of the drain time, before a worker that does not end is killed."""
_FILES_BESIDE_CONNECTIONS = 4096
_STOP = frozenset({signal.SIGTERM, signal.SIGINT})
_WATCHED = frozenset({*_STOP, signal.SIGHUP, signal.SIGCHLD})


def run(settings: ServerSettings, on_ready: Callable[[str], None]) -> None:
    """Serve until a signal says stop; see `aiscore.serve.serve`."""
    sockets = bind(settings)
    try:
        settings = replace(settings, port=sockets[0].getsockname()[1])
        _raise_file_limit(settings)
        keep_freed_memory()

        def ready() -> None:
            on_ready(url_of(settings))
            _notify("READY=1")

        if len(sockets) == 1:
            is_over = Worker(settings, sockets[0]).run(
                ready,
                on_stop=lambda: _notify("STOPPING=1"),
                signals=(signal.SIGTERM, signal.SIGINT),
            )
            if not is_over:
                _leave(0)
        else:
            _Supervisor(settings, sockets).run(ready)
    finally:
        for one in sockets:
            one.close()


@dataclass(slots=True)
class _Child:
    """One worker process, or its place while there is none."""

    pid: int = 0
    started: float = 0.0
    restart_at: float = 0.0
    delay_s: float = BACKOFF_FIRST_S


class _Supervisor:
    """Starts workers, and starts them again."""

    def __init__(self, settings: ServerSettings, sockets: list[socket.socket]) -> None:
        self._settings = settings
        self._sockets = sockets
        self._children = [_Child() for _ in sockets]
        self._counters = SharedCounters(len(sockets))
        self._orphan_read, self._orphan_write = os.pipe()

    def run(self, on_ready: Callable[[], None]) -> None:
        """Start all workers, and watch them until told to stop.

        Raises:
            AisError: a worker could not start; the others are stopped.
        """
        # Blocked signals are fetched one by one below: no handler, no race between a check and a wait.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _WATCHED)
        try:
            gc.freeze()  # pages that nobody counts references in stay shared
            try:
                for index in range(len(self._children)):
                    self._start_first(index)
            except BaseException:
                self._stop()
                raise
            on_ready()
            self._watch()
        finally:
            os.close(self._orphan_read)
            os.close(self._orphan_write)
            gc.unfreeze()
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def _watch(self) -> None:
        while True:
            number = self._wait(self._next_restart())
            if number in _STOP:
                _notify("STOPPING=1")
                self._stop()
                return
            if number == signal.SIGHUP:
                self._send(signal.SIGHUP)
            self._reap()
            now = time.monotonic()
            for index, child in enumerate(self._children):
                if not child.pid and child.restart_at <= now:
                    self._start(index, None)

    def _next_restart(self) -> float:
        """Seconds until a worker is due; an hour when none is."""
        due = [child.restart_at for child in self._children if not child.pid]
        return max(0.0, min(due) - time.monotonic()) if due else 3600.0

    def _wait(self, timeout_s: float) -> int:
        found = signal.sigtimedwait(_WATCHED, timeout_s)
        return 0 if found is None else found.si_signo

    def _start_first(self, index: int) -> None:
        read, write = os.pipe()
        self._start(index, write)
        os.close(write)
        with open(read, "rb") as pipe:
            report = pipe.read()
        if report != b"ready":
            raise _error_of(report)

    def _start(self, index: int, report_fd: int | None) -> None:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()  # or the child would write it once more
        pid = os.fork()
        if not pid:
            self._work(index, report_fd)
        child = self._children[index]
        child.pid = pid
        child.started = time.monotonic()

    def _work(self, index: int, report_fd: int | None) -> NoReturn:
        """The life of a worker, from the fork to its end."""
        code = 1
        try:
            os.close(self._orphan_write)
            for other, one in enumerate(self._sockets):
                if other != index:
                    one.close()
            # Ctrl-C reaches every process of the terminal, but only the supervisor decides.
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until the worker can take it
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _WATCHED)

            def ready() -> None:
                if report_fd is not None:
                    os.write(report_fd, b"ready")
                    os.close(report_fd)

            counters = self._counters.row(index)
            worker = Worker(self._settings, self._sockets[index], counters=counters)
            worker.run(ready, signals=(signal.SIGTERM,), orphan_fd=self._orphan_read)
            code = 0
        except AisError as exc:
            if report_fd is None:
                log.error("worker not started: %s", exc.message)  # noqa: TRY400 -- an error of use
            else:
                _report(report_fd, exc)
        except SystemExit:
            code = 0
        except BaseException:
            log.exception("worker failed")
        finally:
            _leave(code)

    def _reap(self) -> None:
        for child in self._children:
            if not child.pid:
                continue
            pid, status = os.waitpid(child.pid, os.WNOHANG)
            if pid:
                self._bury(child, os.waitstatus_to_exitcode(status))

    def _bury(self, child: _Child, code: int) -> None:
        now = time.monotonic()
        if now - child.started >= STABLE_S:
            child.delay_s = BACKOFF_FIRST_S
        child.restart_at = now + child.delay_s
        log.warning(
            "worker ended: pid=%d code=%d restart_in_s=%.1f", child.pid, code, child.delay_s
        )
        child.delay_s = min(child.delay_s * 2, BACKOFF_MAX_S)
        child.pid = 0

    def _stop(self) -> None:
        """End all workers: politely, at a second signal less so, at last by force."""
        for one in self._sockets:  # or the kernel would go on to accept for them
            one.close()
        self._send(signal.SIGTERM)
        deadline = time.monotonic() + self._settings.drain_timeout_s + KILL_AFTER_S
        while any(child.pid for child in self._children):
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                log.warning("workers killed: they did not end in time")
                self._send(signal.SIGKILL)
                deadline = time.monotonic() + KILL_AFTER_S
                continue
            if self._wait(left_s) in _STOP:
                self._send(signal.SIGTERM)
            for child in self._children:
                if child.pid and os.waitpid(child.pid, os.WNOHANG)[0]:
                    child.pid = 0

    def _send(self, number: signal.Signals) -> None:
        for child in self._children:
            if child.pid:
                with suppress(ProcessLookupError):
                    os.kill(child.pid, number)


def _report(fd: int, error: AisError) -> None:
    report = {"class": type(error).__name__, "message": error.message, "hint": error.hint}
    os.write(fd, json.dumps(report).encode())


def _error_of(report: bytes) -> AisError:
    """What kept a worker from starting, as that worker raised it."""
    try:
        found = json.loads(report)
        cls = getattr(errors, found["class"], AisError)
        error: AisError = cls(found["message"], hint=found["hint"])
        return error
    except ValueError:
        return UnavailableError("a worker died while it started", hint="see the log above")


def _raise_file_limit(settings: ServerSettings) -> None:
    """Room for all connections and the files they read; less is what the kernel allows, then accepting waits."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = settings.connections_max + _FILES_BESIDE_CONNECTIONS
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _notify(state: str) -> None:
    """Tell systemd, if it has started us."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    if address[0] == "@":
        address = f"\0{address[1:]}"
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as one:
        one.sendto(state.encode(), address)


def _leave(code: int) -> NoReturn:
    """End this process without waiting for threads that are not through, and without the parent's clean-up."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)
