"""The write-ahead log of a thread that must not wait for the disk is moved into the database by another one."""

import sqlite3
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from aiscore.engine.index import checkpoints
from aiscore.engine.index.checkpoints import Checkpoints
from aiscore.engine.store import Store
from aiscore.errors import BusyError
from aiscore.model.bucket import BucketRef
from aiscore.model.objects import GetOptions, PutOptions

BUCKET = BucketRef("b")
LIMIT = 50


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    monkeypatch.setattr(checkpoints, "CHECKPOINT_FRAMES", LIMIT)
    monkeypatch.setattr(checkpoints, "CHECKPOINT_FRAMES_MAX", 8 * LIMIT)
    store = Store(str(tmp_path / "home"))
    store.create_bucket(BUCKET)
    yield store
    store.close()


def put(store: Store, count: int) -> None:
    for number in range(count):
        store.put(BUCKET, f"o{number}", b"%d" % number, PutOptions())


def frames(store: Store) -> int:
    connection = store.core.connection()
    connection.fresh_cache()
    return connection.wal_frames


def test_another_thread_moves_the_log(store: Store) -> None:
    jobs: list[Future[None]] = []
    with ThreadPoolExecutor(1) as pool:
        store.enter_event_loop(lambda work: jobs.append(pool.submit(work)))
        put(store, 200)
        for job in jobs:
            job.result()
        assert jobs
        # Whatever was committed after the last of them has begun.
        pool.submit(store.core.database.checkpoint_beside).result()
    put(store, 1)
    assert frames(store) < LIMIT, "the log has not begun anew"
    assert store.core.connection().rows("PRAGMA wal_autocheckpoint") == [(0,)]
    assert store.core.database.connection().rows("PRAGMA integrity_check") == [("ok",)]


def test_other_threads_go_on_as_before(store: Store) -> None:
    store.enter_event_loop(lambda _: None)
    with ThreadPoolExecutor(1) as pool:
        pragma = pool.submit(lambda: store.core.connection().rows("PRAGMA wal_autocheckpoint"))
    assert pragma.result() == [(1_000,)]


def test_one_at_a_time_and_again_only_when_it_has_grown(store: Store) -> None:
    jobs: list[Callable[[], None]] = []
    noted = Checkpoints(store.core.database.checkpoint_beside, jobs.append)
    noted.look(LIMIT - 1)
    assert not jobs
    noted.look(LIMIT)
    noted.look(3 * LIMIT)
    assert len(jobs) == 1
    jobs.pop()()
    # A reader of another process holds it: it did not begin anew.
    noted.look(2 * LIMIT - 1)
    assert not jobs
    noted.look(2 * LIMIT)
    assert len(jobs) == 1
    jobs.pop()()
    noted.look(3)
    noted.look(LIMIT)
    assert len(jobs) == 1


def test_a_log_that_nobody_moves_is_moved_at_once(store: Store) -> None:
    """The pool is busy with something else, for as long as it may."""
    jobs: list[Callable[[], None]] = []
    store.enter_event_loop(jobs.append)
    longest = 0
    for _ in range(40):
        put(store, 20)
        longest = max(longest, frames(store))
    assert len(jobs) == 1
    assert 5 * LIMIT < longest < 12 * LIMIT


def test_a_pool_that_is_shut_down_is_no_failure(store: Store) -> None:
    pool = ThreadPoolExecutor(1)
    pool.shutdown()
    store.enter_event_loop(pool.submit)
    put(store, 60)
    assert frames(store) > LIMIT


def test_an_event_loop_waits_long_where_it_may(store: Store) -> None:
    """`briefly` gives up at once; without it a commit of another process is waited for, as ever."""
    store.enter_event_loop(lambda _: None)
    other = sqlite3.connect(
        f"{store.core.home}/index.db", isolation_level=None, check_same_thread=False
    )
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(BusyError), store.briefly():
        store.put(BUCKET, "o", b"1", PutOptions())
    tried = threading.Event()

    def release() -> None:
        tried.wait()
        other.execute("ROLLBACK")

    thread = threading.Thread(target=release)
    thread.start()
    begins: list[str] = []

    def trace(sql: str) -> None:
        if sql == "BEGIN IMMEDIATE":
            begins.append(sql)
            if len(begins) == 3:  # SQLite has given up twice
                tried.set()

    store.core.connection().raw.set_trace_callback(trace)
    store.put(BUCKET, "o", b"2", PutOptions())
    thread.join()
    other.close()
    assert store.read(BUCKET, "o", GetOptions()) == b"2"


def test_what_it_committed_itself_does_not_empty_its_cache(store: Store) -> None:
    put(store, 3)
    connection = store.core.connection()
    cache = connection.fresh_cache()
    cache["mark"] = True
    statements: list[str] = []
    connection.raw.set_trace_callback(statements.append)
    put(store, 5)
    assert connection.fresh_cache()["mark"]
    assert "PRAGMA data_version" not in statements
    other = Store(store.core.home)
    try:
        put(other, 1)
        assert "mark" not in connection.fresh_cache()
        # A commit of another between two of its own is seen whatever its own did.
        connection.fresh_cache()["mark"] = True
        put(store, 1)
        put(other, 1)
        put(store, 1)
        assert "mark" not in connection.fresh_cache()
        # So is one after a transaction that has changed nothing.
        connection.fresh_cache()["mark"] = True
        with store.core.database.write():
            pass
        put(other, 1)
        assert "mark" not in connection.fresh_cache()
    finally:
        other.close()
