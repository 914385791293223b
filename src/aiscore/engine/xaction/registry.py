"""The table of jobs: every process that opens the home sees, waits for and stops the jobs of all others.

A row belongs to the session of the process that runs the job (see `session`). When that session is gone and the row
has not ended, its process died in the middle: the job is marked aborted by whoever notices.

An on-demand job (`record_use`) has no end of its own: it is idle when its row has not moved for `IDLE_AFTER_S`, and
has ended `idle_end_s` of its kind after its last use; the reader works that out, nobody has to run for it.
"""

import json
import logging
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from functools import lru_cache
from typing import NamedTuple

from aiscore.engine.index.database import Connection, Database
from aiscore.engine.pace import Pace
from aiscore.engine.session import Sessions
from aiscore.engine.xaction.job import Announce, Job, unannounced
from aiscore.errors import (
    AisError,
    BusyError,
    CapacityExceededError,
    LimitedCoexistenceError,
    XactionNotFoundError,
)
from aiscore.model.bucket import BucketRef
from aiscore.model.features import Feature
from aiscore.model.load import LoadUse
from aiscore.model.xaction import (
    IDLE_AFTER_S,
    KINDS,
    XactionFilter,
    XactionKind,
    XactionSnap,
    XactionState,
)

__all__ = ["AlreadyRunningError", "Xactions"]

log = logging.getLogger(__name__)

KEPT_COUNT = 1_024
"""Ended jobs that are always kept; upstream's number."""
KEPT_BRIEF_S = 60.0
KEPT_S = 3_600.0
COEXISTENCE_WAIT_S = 3.0
"""How long a job waits for a resilver to end before it is refused; upstream's number."""
_COEXISTENCE_POLL_S = 0.1
ERROR_LENGTH_MAX = 4_096
"""Characters of a recorded error."""
_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
_ID_LENGTH = 11
_LOST = "the process that ran it is gone"


class _Row(NamedTuple):
    """A job as the index holds it, but for `stop`."""

    id: str
    kind: str
    state: str
    bucket: str
    target: str
    session_id: int
    started_ns: int
    ended_ns: int
    updated_ns: int
    objects: int
    size: int
    control: str
    error: str
    error_code: str
    ext: str


_COLUMNS = ", ".join(_Row._fields)


class AlreadyRunningError(BusyError):
    """A job of this kind works on the bucket; it runs alone."""

    def __init__(self, job_id: str, control: str) -> None:
        super().__init__(f"job {job_id} ({control}) is running", hint=f"stop it: ais stop {job_id}")
        self.job_id = job_id
        self.control = control


class Xactions:
    """Jobs of one home."""

    def __init__(
        self,
        database: Database,
        sessions: Sessions,
        pace: Callable[[LoadUse], Pace],
        features: Callable[[], int],
    ) -> None:
        """`pace` makes what a job slows down by, `features` are the switches of the configuration."""
        self._pace = pace
        self._features = features
        self._database = database
        self._sessions = sessions
        self._on_demand: dict[tuple[XactionKind, str], Job] = {}

    def start(
        self,
        kind: XactionKind,
        bucket: BucketRef | None = None,
        target: BucketRef | None = None,
        control: str = "",
        announce: Announce = unannounced,
        *,
        alone: bool = False,
    ) -> Job:
        """Begin a job of this process, and tell its id.

        A disk without room does not keep it from running: then it has no row.

        Raises:
            AlreadyRunningError: `alone`, and a job of this kind works on the bucket.
            LimitedCoexistenceError: pieces are being moved between disks, and this kind does not run beside that.
        """
        if alone:
            self._mark_lost()
        if KINDS[kind].yields_to_resilver:
            self._wait_for_resilver(kind, bucket)
        job_id = _new_id()
        now = time.time_ns()
        is_recorded = True
        row = (job_id, kind.value, XactionState.RUNNING.value, _text(bucket), _text(target))
        try:
            session = self._sessions.current()
            with self._database.write() as connection:
                if alone:
                    _refuse_second(connection, kind, _text(bucket))
                connection.execute(
                    f"INSERT INTO xactions ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, 0, ?, 0, 0, ?, '', '', '{{}}')",
                    (*row, session, now, now, control),
                )
                _prune(connection, now)
        except CapacityExceededError as exc:
            log.warning("job not recorded: kind=%s reason=%s", kind, exc)
            is_recorded = False
        announce(job_id)
        use = LoadUse.METADATA_JOB if KINDS[kind].is_metadata_only else LoadUse.DATA_JOB
        return Job(self, job_id, kind, self._pace(use), is_recorded=is_recorded)

    def record_use(
        self,
        kind: XactionKind,
        bucket: BucketRef | None,
        objects: int,
        size: int,
        *,
        job_id: str = "",
        is_brief: bool = False,
    ) -> str:
        """Count work of an on-demand job, beginning one when there is none; its id.

        Args:
            kind: of the job.
            bucket: one job each.
            objects: done just now.
            size: bytes of them.
            job_id: the job that this goes on with; it keeps the id, whatever became of that.
            is_brief: the work is shorter than writing that it was done: that is then done once in `FLUSH_INTERVAL_S`.
        """
        key = (kind, _text(bucket))
        job = self._on_demand.get(key)
        try:
            with self._database.briefly() if is_brief else nullcontext():
                if job is None or not self._is_running(job):
                    job = self._on_demand[key] = self.start(kind, bucket)
                job.objects += objects
                job.size += size
                if not is_brief or job.is_due(time.monotonic()):
                    self.write_progress(job)
        except (CapacityExceededError, BusyError) as exc:
            log.warning("use not recorded: kind=%s reason=%s", kind, exc)
        return job_id or ("" if job is None else job.id) or _new_id()

    def list(self, wanted: XactionFilter) -> "list[XactionSnap]":
        """Jobs by start, oldest first."""
        self._write_uses()
        self._mark_lost()
        return [
            snap for snap in self._snaps(wanted) if not (wanted.only_running and snap.is_finished)
        ]

    def find(self, job_id: str) -> XactionSnap:
        """One job.

        Raises:
            XactionNotFoundError: no job has this id, or it ended long ago.
        """
        found = self.list(XactionFilter(id=job_id))
        if not found:
            raise XactionNotFoundError(
                f'job "{job_id}" does not exist', hint="see: ais show job --all"
            )
        return found[0]

    def stop(self, wanted: XactionFilter) -> int:
        """Ask jobs to stop; how many were running. They stop between two objects, on-demand ones at once."""
        running = [snap.id for snap in self.list(wanted) if not snap.is_finished]
        now = time.time_ns()
        with self._database.write() as connection:
            for job_id in running:
                connection.execute(
                    "UPDATE xactions SET stop = 1 WHERE id = ? AND ended_ns = 0", (job_id,)
                )
            on_demand = [kind.value for kind, info in KINDS.items() if info.is_on_demand]
            connection.execute(
                "UPDATE xactions SET state = ?, ended_ns = ?, error = 'stopped by user', error_code = 'ErrAborted' "
                f"WHERE stop = 1 AND ended_ns = 0 AND kind IN ({', '.join('?' * len(on_demand))})",
                (XactionState.ABORTED.value, now, *on_demand),
            )
        return len(running)

    def stop_own(self) -> None:
        """Ask the jobs of this process to stop."""
        with self._database.write() as connection:
            connection.execute(
                "UPDATE xactions SET stop = 1 WHERE session_id = ? AND ended_ns = 0",
                (self._sessions.known(),),
            )

    def forget(self, wanted: XactionFilter) -> int:
        """Remove jobs that have ended from the table; how many there were."""
        ended = [snap.id for snap in self.list(wanted) if snap.is_finished]
        with self._database.write() as connection:
            connection.executemany("DELETE FROM xactions WHERE id = ?", [(i,) for i in ended])
        return len(ended)

    def write_progress(self, job: Job) -> bool:
        """Write what a job has done; False when it was asked to stop."""
        job.is_ahead = False
        with self._database.write() as connection:
            connection.execute(
                "UPDATE xactions SET objects = ?, size = ?, updated_ns = ?, ext = ? "
                "WHERE id = ? AND ended_ns = 0",
                (job.objects, job.size, time.time_ns(), json.dumps(job.ext), job.id),
            )
            row = connection.execute("SELECT stop FROM xactions WHERE id = ?", (job.id,)).fetchone()
        return row is None or not row[0]

    def write_end(self, job: Job, state: XactionState, error: str = "", code: str = "") -> None:
        """Write how a job ended. A failure to do so is logged: the work itself is done or undone already."""
        now = time.time_ns()
        values = (
            state.value,
            now,
            now,
            job.objects,
            job.size,
            error[:ERROR_LENGTH_MAX],
            code,
            json.dumps(job.ext),
            job.id,
        )
        try:
            with self._database.write() as connection:
                connection.execute(
                    "UPDATE xactions SET state = ?, ended_ns = ?, updated_ns = ?, objects = ?, size = ?, error = ?, "
                    "error_code = ?, ext = ? WHERE id = ? AND ended_ns = 0",
                    values,
                )
        except AisError as exc:
            log.warning("end of job not recorded: id=%s reason=%s", job.id, exc)

    def close(self) -> None:
        """End the on-demand jobs of this process; safe to repeat."""
        jobs, self._on_demand = self._on_demand, {}
        for job in jobs.values():
            job.end()

    def reset_after_fork(self) -> None:
        """The child's on-demand jobs are its own."""
        self._on_demand = {}

    def _is_running(self, job: Job) -> bool:
        row = (
            self._database.connection()
            .execute("SELECT ended_ns, updated_ns FROM xactions WHERE id = ?", (job.id,))
            .fetchone()
        )
        idle_end_ns = KINDS[job.kind].idle_end_s * 1e9
        return row is not None and not row[0] and time.time_ns() - row[1] < idle_end_ns

    def _wait_for_resilver(self, kind: XactionKind, bucket: BucketRef | None) -> None:
        """Until none is running, `COEXISTENCE_WAIT_S` at most."""
        if self._features() & Feature.IGNORE_LIMITED_COEXISTENCE_CONFLICTS:
            return
        deadline = time.monotonic() + COEXISTENCE_WAIT_S
        wanted = XactionFilter(kind=XactionKind.RESILVER, only_running=True)
        while running := self.list(wanted):
            if time.monotonic() > deadline:
                raise LimitedCoexistenceError(
                    f'resilver[{running[0].id}] is currently running, cannot run "{KINDS[kind].display}"'
                    f"({bucket}) concurrently",
                    hint=f"wait for it: ais wait {running[0].id}",
                )
            time.sleep(_COEXISTENCE_POLL_S)

    def _write_uses(self) -> None:
        """What was done and not written yet, of the on-demand jobs of this process."""
        for job in list(self._on_demand.values()):
            if job.is_ahead:
                try:
                    self.write_progress(job)
                except (CapacityExceededError, BusyError):
                    return

    def _snaps(self, wanted: XactionFilter) -> Iterator[XactionSnap]:
        conditions, values = ["1"], []
        if wanted.id:
            conditions.append("id = ?")
            values.append(wanted.id)
        if wanted.kind is not None:
            conditions.append("kind = ?")
            values.append(wanted.kind.value)
        if wanted.bucket is not None:
            conditions.append("(bucket = ? OR target = ?)")
            values += [_text(wanted.bucket)] * 2
        if wanted.only_running:
            conditions.append("ended_ns = 0")
        rows = self._database.connection().execute(
            f"SELECT {_COLUMNS} FROM xactions WHERE {' AND '.join(conditions)} ORDER BY started_ns, id",
            values,
        )
        now = time.time_ns()
        for row in rows.fetchall():
            yield _snap(_Row._make(row), now)

    def _mark_lost(self) -> None:
        """Mark jobs aborted whose process has died."""
        connection = self._database.connection()
        query = "SELECT DISTINCT session_id FROM xactions WHERE ended_ns = 0"
        owners = {row[0] for row in connection.execute(query).fetchall()}
        if not owners - {self._sessions.known()}:
            return
        lost = [owner for owner in owners if not self._sessions.is_alive(owner)]
        if not lost:
            return
        with self._database.write() as connection:
            for owner in lost:
                connection.execute(
                    "UPDATE xactions SET state = ?, ended_ns = updated_ns, error = ?, error_code = 'ErrAborted' "
                    "WHERE session_id = ? AND ended_ns = 0",
                    (XactionState.ABORTED.value, _LOST, owner),
                )


def _snap(row: _Row, now: int) -> XactionSnap:
    kind, state, ended_ns = XactionKind(row.kind), XactionState(row.state), row.ended_ns
    is_idle = False
    if state is XactionState.RUNNING and KINDS[kind].is_on_demand:
        idle_end_ns = int(KINDS[kind].idle_end_s * 1e9)
        is_idle = now - row.updated_ns > IDLE_AFTER_S * 1e9
        if now - row.updated_ns > idle_end_ns:
            state, is_idle = XactionState.FINISHED, False
            ended_ns = row.updated_ns + idle_end_ns
    return XactionSnap(
        id=row.id,
        kind=kind,
        state=state,
        is_idle=is_idle,
        bucket=_bucket(row.bucket) if row.bucket else None,
        target=_bucket(row.target) if row.target else None,
        started_ns=row.started_ns,
        ended_ns=ended_ns,
        objects=row.objects,
        size=row.size,
        control=row.control,
        error=row.error,
        error_code=row.error_code,
        ext={} if row.ext == "{}" else json.loads(row.ext),
    )


# A table of thousands of jobs names few buckets.
_bucket = lru_cache(maxsize=1024)(BucketRef.parse)


def _text(bucket: BucketRef | None) -> str:
    return "" if bucket is None else str(bucket)


def _new_id() -> str:
    letters = _ALPHABET[:52]
    middle = "".join(secrets.choice(_ALPHABET) for _ in range(_ID_LENGTH - 2))
    return f"{secrets.choice(letters)}{middle}{secrets.choice(letters)}"


def _refuse_second(connection: Connection, kind: XactionKind, bucket: str) -> None:
    query = "SELECT id, control FROM xactions WHERE kind = ? AND bucket = ? AND ended_ns = 0"
    found = connection.execute(query, (kind.value, bucket)).fetchone()
    if found is not None:
        raise AlreadyRunningError(*found)


def _prune(connection: Connection, now: int) -> None:
    """Forget ended jobs that are old, beyond the last `KEPT_COUNT`."""
    brief = [kind.value for kind, info in KINDS.items() if info.is_brief]
    connection.execute(
        "DELETE FROM xactions WHERE ended_ns > 0 AND id IN (SELECT id FROM xactions WHERE ended_ns > 0 "
        f"ORDER BY ended_ns DESC LIMIT 1000 OFFSET {KEPT_COUNT}) AND (ended_ns < ? OR (ended_ns < ? AND kind IN "
        f"({', '.join('?' * len(brief))})))",
        (now - int(KEPT_S * 1e9), now - int(KEPT_BRIEF_S * 1e9), *brief),
    )
