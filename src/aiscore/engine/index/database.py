"""Connections to the index and write transactions.

Each thread has a connection of its own, opened on first use. Beside it stands a cache of rows that is good as long as
SQLite's `data_version` of that connection stands still: it moves when any other connection, of this process or
another, commits. What the connection itself commits it must bring up to date in its cache. While nobody at all commits,
the wal-index says so (`walindex`), and SQLite is not asked.

After a fork the child must not use, nor close, the parent's connections (closing would release the parent's POSIX
locks): they are kept aside for good and new ones are opened.
"""

import os
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import lru_cache
from typing import Any

from aiscore.engine.index.checkpoints import Checkpoints, Submit
from aiscore.engine.index.schema import check_identity, migrate
from aiscore.engine.index.walindex import (
    HEADER_SIZE,
    WalIndex,
    close_wal_index,
    frames_in,
    is_next,
    open_wal_index,
)
from aiscore.engine.layout import index_path
from aiscore.errors import (
    AisError,
    BusyError,
    CapacityExceededError,
    CorruptionError,
    StorageError,
    UnavailableError,
)

__all__ = ["Connection", "Database", "abandon", "index_error"]

BUSY_TIMEOUT_S = 60.0
"""How long a writer waits for the writers of other processes before it gives up with `BusyError`."""
BRIEF_WAIT_S = 0.005
"""The same for who must not wait: some commits of others fit in, a transaction that syncs does not."""
_WAIT_LONG = f"PRAGMA busy_timeout = {round(BUSY_TIMEOUT_S * 1000)}"
_WAIT_BRIEFLY = f"PRAGMA busy_timeout = {round(BRIEF_WAIT_S * 1000)}"
CACHE_ROWS_MAX = 65_536
"""Rows in one connection's cache; about 40 MiB. Past it the cache starts anew."""

_abandoned: list[object] = []
"""Connections inherited over a fork: never closed, never used."""


class Connection:
    """One thread's connection and its row cache."""

    __slots__ = (
        "_cursor",
        "_cursor_class",
        "_home",
        "_own_cursor",
        "_seen",
        "_wal_fd",
        "cache",
        "checkpoints",
        "is_brief",
        "is_full_sync",
        "is_hasty",
        "raw",
        "transaction",
        "version",
    )

    def __init__(
        self, raw: sqlite3.Connection, home: str, wal_index: WalIndex | None = None
    ) -> None:
        self.raw = raw
        self._wal_fd = -1 if wal_index is None else wal_index.fd
        self._seen: bytes | None = None
        self._home = home
        self._cursor = raw.cursor
        self._cursor_class = _cursor_class(home)
        self.cache: dict[Any, Any] = {}
        self.version = -1
        self.is_full_sync = False
        self.transaction = 0
        self.checkpoints: Checkpoints | None = None
        self.is_hasty = False
        self.is_brief = False
        self._own_cursor = raw.cursor()

    @property
    def wal_frames(self) -> int:
        """Pages in the write-ahead log when the last transaction, or operation, began; 0 when that is not known."""
        return 0 if self._seen is None else frames_in(self._seen)

    @property
    def sees_wal(self) -> bool:
        """True when the length of the write-ahead log can be told."""
        return self._wal_fd >= 0

    def execute(self, sql: str, values: Sequence[object] = ()) -> sqlite3.Cursor:
        """Run one statement; its failure is an error of the store."""
        try:
            return self._cursor(self._cursor_class).execute(sql, values)
        except sqlite3.Error as exc:
            return self._again(exc, sql, values)

    def run(self, sql: str, values: Sequence[object] = ()) -> None:
        """The same for a statement whose rows nobody wants: without a cursor of its own, which costs a microsecond."""
        try:
            self._own_cursor.execute(sql, values).fetchone()
        except sqlite3.Error as exc:
            self._again(exc, sql, values).fetchone()

    def rows(self, sql: str, values: Sequence[object] = ()) -> list[Any]:
        """All rows of one query."""
        return self.execute(sql, values).fetchall()

    def executemany(self, sql: str, values: Iterable[Sequence[object]]) -> sqlite3.Cursor:
        """Run one statement for each of many rows."""
        try:
            return self.raw.executemany(sql, values)
        except sqlite3.Error as exc:
            raise index_error(exc, self._home) from exc

    def fresh_cache(self) -> dict[Any, Any]:
        """The cache, emptied first if another connection has committed since the last call.

        Called once at the begin of an operation; what follows in the operation takes `cache` as it is.
        """
        header = None
        if self._wal_fd >= 0:
            # Read before SQLite is asked: what is committed in between makes another one, and is found the next time.
            header = os.pread(self._wal_fd, HEADER_SIZE, 0)
            if header == self._seen and len(self.cache) <= CACHE_ROWS_MAX:
                return self.cache
        try:
            version = self._own_cursor.execute("PRAGMA data_version").fetchone()[0]
        except sqlite3.Error as exc:
            version = self._again(exc, "PRAGMA data_version").fetchone()[0]
        if version != self.version or len(self.cache) > CACHE_ROWS_MAX:
            self.cache.clear()
            self.version = version
        self._seen = header if header is not None and len(header) == HEADER_SIZE else None
        return self.cache

    def note_commit(self) -> None:
        """After a commit of its own that has changed something: is it the only one since the transaction began?"""
        if self._seen is not None:
            header = os.pread(self._wal_fd, HEADER_SIZE, 0)
            if is_next(header, self._seen):
                self._seen = header

    def _again(self, exc: sqlite3.Error, sql: str, values: Sequence[object] = ()) -> sqlite3.Cursor:
        """Go on with a statement that failed, if it was busy and SQLite was not to wait for as long as may be."""
        deadline = time.monotonic() + BUSY_TIMEOUT_S
        while (
            self.is_hasty
            and not self.is_brief
            and _primary_code(exc) == sqlite3.SQLITE_BUSY
            and time.monotonic() < deadline
        ):
            time.sleep(BRIEF_WAIT_S)
            try:
                return self._cursor(self._cursor_class).execute(sql, values)
            except sqlite3.Error as again:
                exc = again
        raise index_error(exc, self._home) from exc


@lru_cache(maxsize=16)
def _cursor_class(home: str) -> type[sqlite3.Cursor]:
    """Cursors whose rows come with errors of the store: the statement may succeed and a later page be damaged."""
    fetch_one, fetch_all = sqlite3.Cursor.fetchone, sqlite3.Cursor.fetchall

    class Cursor(sqlite3.Cursor):
        def fetchone(self) -> Any:  # noqa: ANN401 -- as sqlite3 has it
            try:
                return fetch_one(self)
            except sqlite3.Error as exc:
                raise index_error(exc, home) from exc

        def fetchall(self) -> list[Any]:
            try:
                return fetch_all(self)
            except sqlite3.Error as exc:
                raise index_error(exc, home) from exc

    return Cursor


class Database:
    """The index of one home: a connection a thread, one write transaction at a time in this process."""

    def __init__(self, home: str) -> None:
        self._home = home
        self._path = index_path(home)
        self._is_closed = False
        self._local = threading.local()
        self._all: list[tuple[threading.Thread, Connection]] = []
        self._wal_index: WalIndex | None = None
        # Rank 1 of 2, outside the allocator's lock. Taken before BEGIN IMMEDIATE: threads of one process would
        # otherwise find each other busy and sleep in SQLite's back-off instead of queueing.
        # Re-entrant, because the block of an interrupted transaction may still be held by the traceback that is being
        # handled when the next one begins.
        self._write_lock = threading.RLock()
        self._brief_turn = _BriefTurn(self._write_lock, home)
        self._list_lock = threading.Lock()
        connection = self.connection()
        try:
            self.is_new = migrate(connection.raw, home)
        except sqlite3.Error as exc:
            self.close()
            raise index_error(exc, home) from exc
        except BaseException:
            self.close()
            raise

    def connection(self) -> Connection:
        """This thread's connection."""
        found: Connection | None = getattr(self._local, "connection", None)
        if found is not None:
            return found
        return self._connect()

    def reset_after_fork(self) -> None:
        """Leave the parent's connections alone; the child opens its own."""
        _abandoned.append((self._all, self._local))
        self._all = []
        self._local = threading.local()
        self._write_lock = threading.RLock()
        self._brief_turn = _BriefTurn(self._write_lock, self._home)
        self._list_lock = threading.Lock()

    @contextmanager
    def write(self, *, sync: bool = False) -> Iterator[Connection]:
        """A write transaction: commits at the end of the block, rolls back on an exception; gives the connection.

        A generator, because an interrupt (Ctrl-C in a notebook) may come between any two steps: one that is dropped
        half way is closed, and so rolls back and lets go of the lock, which a class with two methods would not.

        Args:
            sync: the commit is on disk when the block ends, not only safe from the death of the process.
        """
        connection = self.connection()
        with self._brief_turn if connection.is_brief else self._write_lock:
            connection.transaction += 1
            mine = connection.transaction
            try:
                if self._is_closed:  # while this thread was at work
                    raise _closed(self._home)
                if connection.raw.in_transaction:
                    _roll_back(connection)  # of a block that was interrupted and not yet dropped
                if connection.is_full_sync is not sync:
                    connection.run(f"PRAGMA synchronous = {'FULL' if sync else 'NORMAL'}")
                    connection.is_full_sync = sync
                connection.run("BEGIN IMMEDIATE")
                # From here on nobody else commits: what is cached is what is stored, until the end of the block.
                connection.fresh_cache()
                changes = connection.raw.total_changes
                yield connection
                if connection.transaction != mine:
                    raise StorageError(f"a transaction on {self._home} was begun inside of another")
                if connection.raw.in_transaction:  # the block may have committed by itself
                    connection.run("COMMIT")
                    if connection.raw.total_changes != changes:
                        connection.note_commit()
            except BaseException:
                if connection.transaction == mine:
                    _roll_back(connection)
                raise
        if connection.checkpoints is not None:
            connection.checkpoints.look(connection.wal_frames)

    def enter_event_loop(self, submit: Submit) -> None:
        """This thread is an event loop, and must not wait for the disk.

        Its commits leave the write-ahead log to what `submit` runs: to move it into the database takes as long as the
        disk does. And `briefly` costs it nothing: SQLite never waits long here, and who may wait asks it again.
        """
        connection = self.connection()
        connection.run(_WAIT_BRIEFLY)
        connection.is_hasty = True
        if connection.sees_wal:
            connection.run("PRAGMA wal_autocheckpoint = 0")
            connection.checkpoints = Checkpoints(self.checkpoint_beside, submit)

    def checkpoint_beside(self) -> None:
        """Move the write-ahead log into the database, most of it while others commit."""
        connection = self.connection()
        connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        with self._write_lock:
            # Of what was committed meanwhile, too: only a log that has been moved whole begins anew.
            connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()

    def briefly(self) -> AbstractContextManager[None]:
        """Inside, this thread waits for the writers of other threads and processes for `BRIEF_WAIT_S` only.

        Past it there is `BusyError`, and nothing has been written.
        """
        return _Briefly(self.connection())

    @property
    def is_writing(self) -> bool:
        """True while another thread of this process is in a write transaction."""
        if self._write_lock.acquire(blocking=False):
            self._write_lock.release()
            return False
        return True

    def checkpoint(self) -> None:
        """Move the write-ahead log into the database, as far as readers and space permit, so that its space is free."""
        try:
            self.connection().execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        except (AisError, sqlite3.Error):
            return

    def close(self) -> None:
        """Close every connection of this process; other threads must be done with theirs."""
        self._is_closed = True
        with self._list_lock:
            connections, self._all = self._all, []
            wal_index, self._wal_index = self._wal_index, None
        for _, connection in connections:
            connection.raw.close()
        if wal_index is not None:
            close_wal_index(wal_index)
        self._local = threading.local()

    def _connect(self) -> Connection:
        if self._is_closed:
            raise _closed(self._home)
        try:
            raw = sqlite3.connect(
                self._path,
                timeout=BUSY_TIMEOUT_S,
                isolation_level=None,
                cached_statements=256,
                check_same_thread=False,
            )
        except sqlite3.Error as exc:
            raise index_error(exc, self._home) from exc
        try:
            check_identity(raw, self._home)
            _switch_to_wal(raw)
            raw.execute("PRAGMA synchronous = NORMAL")
            raw.execute("PRAGMA mmap_size = 268435456")
            raw.execute("PRAGMA cache_size = -16384")
            raw.execute("PRAGMA data_version").fetchone()  # opens the wal-index
        except BaseException as exc:
            raw.close()
            if isinstance(exc, sqlite3.Error):
                raise index_error(exc, self._home) from exc
            raise
        with self._list_lock:
            connection = Connection(raw, self._home, self._look_at_wal_index())
            # Threads come and go: the connections of those that are gone are closed by the next that comes.
            gone = [found for thread, found in self._all if not thread.is_alive()]
            self._all = [pair for pair in self._all if pair[0].is_alive()]
            self._all.append((threading.current_thread(), connection))
        for old in gone:
            old.raw.close()
        self._local.connection = connection
        return connection

    def _look_at_wal_index(self) -> WalIndex | None:
        """The wal-index, looked for with every new connection: after a fork it may be another one."""
        before, self._wal_index = self._wal_index, open_wal_index(self._path)
        if before is not None:
            close_wal_index(before)
        return self._wal_index


class _Briefly:
    """A class, because a server does this around every small change, and a generator costs as much as its work."""

    __slots__ = ("_connection",)

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def __enter__(self) -> None:
        self._connection.is_brief = True
        if not self._connection.is_hasty:
            self._connection.run(_WAIT_BRIEFLY)

    def __exit__(self, *exc: object) -> None:
        self._connection.is_brief = False
        if not self._connection.is_hasty:
            self._connection.run(_WAIT_LONG)


class _BriefTurn:
    """The write lock for who must not wait: another thread has it for as long as a third process keeps it waiting."""

    __slots__ = ("_home", "_lock")

    def __init__(self, lock: "threading.RLock", home: str) -> None:
        self._lock = lock
        self._home = home

    def __enter__(self) -> None:
        if not self._lock.acquire(timeout=BRIEF_WAIT_S):
            raise _busy(self._home)

    def __exit__(self, *exc: object) -> None:
        self._lock.release()


def abandon(connection: Connection) -> None:
    """Undo what an interrupted transaction of this thread left open, before rows are asked what was committed."""
    connection.transaction += 1
    _roll_back(connection)


def _busy(home: str) -> BusyError:
    return BusyError(f"the index of {home} is busy with the writes of others", hint="try again")


def _closed(home: str) -> UnavailableError:
    return UnavailableError(f"the store in {home} is closed", hint="open it again")


def _roll_back(connection: Connection) -> None:
    connection.cache.clear()
    try:
        # SQLite rolls back by itself on some errors (disk full, I/O error): a second one would be an error.
        is_begun = connection.raw.in_transaction
    except sqlite3.ProgrammingError:  # closed by another thread, which rolls back as well
        return
    if is_begun:
        connection.execute("ROLLBACK")


def _switch_to_wal(raw: sqlite3.Connection) -> None:
    # The switch of a brand-new file needs an exclusive lock and does not honour the busy timeout.
    deadline = time.monotonic() + BUSY_TIMEOUT_S
    while True:
        try:
            raw.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as exc:
            if _primary_code(exc) != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.005)


def _primary_code(exc: sqlite3.Error) -> int:
    return int(getattr(exc, "sqlite_errorcode", 0)) & 0xFF


def index_error(exc: sqlite3.Error, home: str) -> AisError:
    """The typed error for a failure of the index."""
    code = _primary_code(exc)
    if code in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
        return _busy(home)
    if code == sqlite3.SQLITE_FULL:
        return CapacityExceededError(
            f"no space left for the index of {home}", hint="free space on that disk"
        )
    if code in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}:
        return CorruptionError(
            f"the index of {home} is damaged: {exc}", hint="restore it from a backup"
        )
    return StorageError(f"the index of {home} failed: {exc}")
