"""Jobs across processes: seen, stopped, and marked when their process dies."""

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextlib import closing
from pathlib import Path

import pytest

from aiscore.engine.pace import FIRST_LOOK
from aiscore.engine.store import Store
from aiscore.engine.xaction import job as job_module
from aiscore.engine.xaction import registry as registry_module
from aiscore.errors import LimitedCoexistenceError, XactionAbortedError
from aiscore.model.bucket import BucketRef
from aiscore.model.xaction import (
    XactionFilter,
    XactionKind,
    XactionSnap,
    XactionState,
    is_xaction_id,
)

BUCKET = BucketRef("b")
_WORK = """
import sys, time
from aiscore.engine.store import Store
from aiscore.model.bucket import BucketRef
from aiscore.model.xaction import XactionKind
store = Store(sys.argv[1])
with store.core.xactions.start(XactionKind.COPY_BUCKET, BucketRef("b")) as job:
    print(job.id, flush=True)
    while True:
        job.step(1, 10)
        time.sleep(0.01)
"""


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(str(tmp_path))
    yield store
    store.close()


@pytest.fixture
def worker(store: Store) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-c", _WORK, store.core.home],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        yield process
        process.kill()


def _id(worker: subprocess.Popen[str]) -> str:
    assert worker.stdout is not None
    return worker.stdout.readline().strip()


def _wait(store: Store, job_id: str, timeout_s: float = 10) -> XactionSnap:
    deadline = time.monotonic() + timeout_s
    while not (snap := store.find_xaction(job_id)).is_finished:
        assert time.monotonic() < deadline, snap
        time.sleep(0.02)
    return snap


def test_job_of_another_process_is_seen_and_stopped(
    store: Store, worker: subprocess.Popen[str]
) -> None:
    job_id = _id(worker)
    snap = store.find_xaction(job_id)
    assert snap.state is XactionState.RUNNING
    assert snap.bucket == BUCKET
    assert store.stop_xactions(XactionFilter(id=job_id)) == 1
    snap = _wait(store, job_id)
    assert snap.state is XactionState.ABORTED
    assert snap.objects > 0
    assert snap.size == 10 * snap.objects
    assert worker.wait(10) == 1
    assert worker.stderr is not None
    assert "XactionAbortedError" in worker.stderr.read()


def test_job_whose_process_is_killed_is_marked(store: Store, worker: subprocess.Popen[str]) -> None:
    job_id = _id(worker)
    os.kill(worker.pid, signal.SIGKILL)
    worker.wait(10)
    snap = store.find_xaction(job_id)
    assert snap.state is XactionState.ABORTED
    assert "gone" in snap.error


def test_job_that_was_swept_is_marked(store: Store, worker: subprocess.Popen[str]) -> None:
    job_id = _id(worker)
    os.kill(worker.pid, signal.SIGKILL)
    worker.wait(10)
    store.core.sessions.sweep()
    assert store.find_xaction(job_id).state is XactionState.ABORTED


def test_on_demand_job_idles_and_ends(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    first = store.record_use(XactionKind.GET_BATCH, BUCKET, 3, 30)
    assert store.record_use(XactionKind.GET_BATCH, BUCKET, 1, 5) == first
    snap = store.find_xaction(first)
    assert (snap.objects, snap.size, snap.is_idle, snap.is_finished) == (4, 35, False, False)
    _age(store, first, 10)
    assert store.find_xaction(first).is_idle
    _age(store, first, 100)
    ended = store.find_xaction(first)
    assert ended.state is XactionState.FINISHED
    assert ended.ended_ns < time.time_ns()
    assert store.record_use(XactionKind.GET_BATCH, BUCKET, 1, 1) != first


def test_stopped_on_demand_job_is_not_used_again(store: Store) -> None:
    first = store.record_use(XactionKind.GET_BATCH, None, 1, 1)
    assert store.stop_xactions(XactionFilter(kind=XactionKind.GET_BATCH)) == 1
    assert store.find_xaction(first).state is XactionState.ABORTED
    second = store.record_use(XactionKind.GET_BATCH, None, 1, 1)
    assert second != first
    assert store.find_xaction(second).objects == 1


def test_what_runs_is_not_forgotten(store: Store) -> None:
    with store.core.xactions.start(XactionKind.PROMOTE, BUCKET) as job:
        assert store.forget_xactions(XactionFilter()) == 0
        assert store.find_xaction(job.id).state is XactionState.RUNNING
    used = store.record_use(XactionKind.GET_BATCH, BUCKET, 1, 1)
    assert store.forget_xactions(XactionFilter()) == 1
    assert store.find_xaction(used).state is XactionState.RUNNING


def test_brief_uses_are_written_once_in_a_while(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A listing is shorter than a transaction; who asks sees all the same what was done."""
    monkeypatch.setattr(job_module, "FLUSH_INTERVAL_S", 3600.0)
    first = store.record_use(XactionKind.LIST, BUCKET, 10, 0, is_brief=True)
    commits = _commits(store)
    for _ in range(20):
        again = store.record_use(XactionKind.LIST, BUCKET, 10, 0, job_id=first, is_brief=True)
        assert again == first
    assert _commits(store) == commits
    snap = store.find_xaction(first)
    assert (snap.objects, snap.state) == (210, XactionState.RUNNING)
    _age(store, first, 25)
    assert store.find_xaction(first).state is XactionState.FINISHED, "listings end after 20 s"
    assert store.record_use(XactionKind.LIST, BUCKET, 1, 0, is_brief=True) != first
    # Who comes with the id of a listing keeps it.
    assert store.record_use(XactionKind.LIST, BUCKET, 1, 0, job_id=first, is_brief=True) == first


def test_a_use_does_not_wait_for_a_writer(store: Store) -> None:
    """Pages of names are read while others write; that they were is noted later, or never."""
    with closing(sqlite3.connect(f"{store.core.home}/index.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        begin = time.monotonic()
        found = store.record_use(XactionKind.LIST, BUCKET, 1, 0, is_brief=True)
        assert is_xaction_id(found)
        assert time.monotonic() - begin < 30
        other.execute("ROLLBACK")


def _commits(store: Store) -> int:
    row = store.core.connection().execute("PRAGMA data_version").fetchone()
    changes = store.core.connection().raw.total_changes
    return int(row[0]) + changes


def test_interrupt_is_an_abort(store: Store) -> None:
    with (
        pytest.raises(KeyboardInterrupt),
        store.core.xactions.start(XactionKind.PROMOTE, BUCKET) as job,
    ):
        raise KeyboardInterrupt
    assert store.find_xaction(job.id).state is XactionState.ABORTED


def test_stop_of_own_job(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job_module, "FLUSH_INTERVAL_S", 0.0)
    job = store.core.xactions.start(XactionKind.PROMOTE, BUCKET)
    job.step(1)
    store.stop_xactions(XactionFilter(id=job.id))
    with pytest.raises(XactionAbortedError) as info:
        job.step(1)
    job.end(info.value)
    assert store.find_xaction(job.id).state is XactionState.ABORTED
    assert store.find_xaction(job.id).objects == 2


def test_a_running_job_tells_what_it_has_to_say(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """How long it slept because of the load, too: not only at its end."""
    monkeypatch.setattr(job_module, "FLUSH_INTERVAL_S", 0.0)
    store.set_config({"store.load": "disk:critical"})
    with store.core.xactions.start(XactionKind.RECHUNK, BUCKET) as job:
        job.ext["chunked"] = 3
        deadline = time.monotonic() + 20
        while not (seen := store.find_xaction(job.id)).ext.get(job_module.THROTTLED):
            assert time.monotonic() < deadline
            job.step(FIRST_LOOK)
    assert seen.state is XactionState.RUNNING
    assert seen.ext["chunked"] == 3


def test_jobs_that_move_content_do_not_run_beside_a_resilver(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = store.core.xactions.start
    with start(XactionKind.RESILVER) as job:
        monkeypatch.setattr(registry_module, "COEXISTENCE_WAIT_S", 0.1)
        for kind, name in ((XactionKind.RECHUNK, "rechunk"), (XactionKind.COPY_BUCKET, "copy-b")):
            with pytest.raises(
                LimitedCoexistenceError,
                match=rf'^resilver\[{job.id}\] is currently running, cannot run "{name}',
            ):
                start(kind, BUCKET)
        start(XactionKind.RENAME_BUCKET, BUCKET).end()
        store.record_use(XactionKind.GET_BATCH, BUCKET, 1, 1)
        store.set_config({"features": "Ignore-LimitedCoexistence-Conflicts"})
        start(XactionKind.RECHUNK, BUCKET).end()
        store.set_config({"features": "none"})
        monkeypatch.setattr(registry_module, "COEXISTENCE_WAIT_S", 60.0)
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(start, XactionKind.RECHUNK, BUCKET)
            with pytest.raises(FutureTimeoutError):
                waiting.result(0.2)
            job.end()
            waiting.result(20).end()


def test_old_jobs_are_forgotten_and_the_last_are_kept(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aiscore.engine.xaction.registry.KEPT_COUNT", 5)
    for _ in range(20):
        store.core.xactions.start(XactionKind.PROMOTE, BUCKET).end()
    assert len(store.list_xactions(XactionFilter())) == 20
    with store.core.database.write() as connection:
        connection.execute("UPDATE xactions SET ended_ns = ended_ns - 4000 * 1000000000")
    store.core.xactions.start(XactionKind.PROMOTE, BUCKET).end()
    assert len(store.list_xactions(XactionFilter())) == 6


def test_ids(store: Store) -> None:
    jobs = [store.core.xactions.start(XactionKind.PROMOTE) for _ in range(50)]
    for job in jobs:
        job.end()
    assert len({job.id for job in jobs}) == 50
    assert all(is_xaction_id(job.id) for job in jobs)


@pytest.mark.parametrize(
    "text", ["short", "-leading-dash", "trailing_dash-", "a" * 33, "sp ace12345"]
)
def test_not_an_id(text: str) -> None:
    assert not is_xaction_id(text)


def _age(store: Store, job_id: str, seconds: int) -> None:
    with store.core.database.write() as connection:
        connection.execute(
            "UPDATE xactions SET updated_ns = ? WHERE id = ?",
            (time.time_ns() - seconds * 10**9, job_id),
        )


def test_ten_thousand_ended_jobs_are_listed_at_once(store: Store) -> None:
    """A busy server keeps those of an hour; questions about few of them do not read them all."""
    now = time.time_ns()
    columns = (
        "id, kind, state, bucket, target, session_id, started_ns, ended_ns, updated_ns, objects, size, control, "
        "error, error_code, ext"
    )
    with store.core.database.write() as connection:
        connection.executemany(
            f"INSERT INTO xactions ({columns}) "
            "VALUES (?, 'copy-bck', 'finished', ?, '', 1, ?, ?, ?, 1, 10, '', '', '', '{}')",
            [
                (f"job{n:08}x", f"ais://b{n % 7}", now - n * 1000, now - n * 1000, now)
                for n in range(10_000)
            ],
        )
    begin = time.process_time()
    snaps = store.list_xactions(XactionFilter())
    everything_s = time.process_time() - begin
    assert len(snaps) == 10_000
    assert [snap.started_ns for snap in snaps] == sorted(snap.started_ns for snap in snaps)
    assert everything_s < 1.0
    begin = time.process_time()
    for _ in range(20):
        assert store.list_xactions(XactionFilter(only_running=True)) == []
        assert store.find_xaction("job00000005x").objects == 1
    assert time.process_time() - begin < everything_s
