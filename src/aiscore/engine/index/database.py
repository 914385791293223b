"""Connections to the index and write transactions.

Each thread has a connection of its own, opened on first use. Beside it stands a cache of rows that is good as long as
SQLite's `data_version` of that connection stands still: it moves when any other connection, of this process or
another, commits. What the connection itself commits it must take out of its cache (`Connection.forget`).

After a fork the child must not use, nor close, the parent's connections (closing would release the parent's POSIX
locks): they are kept aside for good and new ones are opened.
"""

import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

from aiscore.engine.index.schema import check_identity, migrate
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
        "_version_cursor",
        "cache",
        "is_full_sync",
        "raw",
        "transaction",
        "version",
    )

    def __init__(self, raw: sqlite3.Connection, home: str) -> None:
        self.raw = raw
        self._home = home
        self._cursor = raw.cursor
        self._cursor_class = _cursor_class(home)
        self.cache: dict[Any, Any] = {}
        self.version = -1
        self.is_full_sync = False
        self.transaction = 0
        self._version_cursor = raw.cursor()

    def execute(self, sql: str, values: Sequence[object] = ()) -> sqlite3.Cursor:
        """Run one statement; its failure is an error of the store."""
        try:
            return self._cursor(self._cursor_class).execute(sql, values)
        except sqlite3.Error as exc:
            raise index_error(exc, self._home) from exc

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
        try:
            version = self._version_cursor.execute("PRAGMA data_version").fetchone()[0]
        except sqlite3.Error as exc:
            raise index_error(exc, self._home) from exc
        if version != self.version or len(self.cache) > CACHE_ROWS_MAX:
            self.cache.clear()
            self.version = version
        return self.cache


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
        # Rank 1 of 2, outside the allocator's lock. Taken before BEGIN IMMEDIATE: threads of one process would
        # otherwise find each other busy and sleep in SQLite's back-off instead of queueing.
        # Re-entrant, because the block of an interrupted transaction may still be held by the traceback that is being
        # handled when the next one begins.
        self._write_lock = threading.RLock()
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
        with self._write_lock:
            connection.transaction += 1
            mine = connection.transaction
            try:
                if connection.raw.in_transaction:
                    _roll_back(connection)  # of a block that was interrupted and not yet dropped
                if connection.is_full_sync is not sync:
                    connection.execute(f"PRAGMA synchronous = {'FULL' if sync else 'NORMAL'}")
                    connection.is_full_sync = sync
                connection.execute("BEGIN IMMEDIATE")
                yield connection
                if connection.transaction != mine:
                    raise StorageError(f"a transaction on {self._home} was begun inside of another")
                if connection.raw.in_transaction:  # the block may have committed by itself
                    connection.execute("COMMIT")
            except BaseException:
                if connection.transaction == mine:
                    _roll_back(connection)
                raise

    @contextmanager
    def briefly(self) -> Iterator[None]:
        """Inside, this thread waits for writers of other processes for `BRIEF_WAIT_S` only, then it is `BusyError`."""
        connection = self.connection()
        connection.execute(f"PRAGMA busy_timeout = {round(BRIEF_WAIT_S * 1000)}")
        try:
            yield
        finally:
            connection.execute(f"PRAGMA busy_timeout = {round(BUSY_TIMEOUT_S * 1000)}")

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
        for _, connection in connections:
            connection.raw.close()
        self._local = threading.local()

    def _connect(self) -> Connection:
        if self._is_closed:
            raise UnavailableError(f"the store in {self._home} is closed", hint="open it again")
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
        except BaseException as exc:
            raw.close()
            if isinstance(exc, sqlite3.Error):
                raise index_error(exc, self._home) from exc
            raise
        connection = Connection(raw, self._home)
        with self._list_lock:
            # Threads come and go: the connections of those that are gone are closed by the next that comes.
            gone = [found for thread, found in self._all if not thread.is_alive()]
            self._all = [pair for pair in self._all if pair[0].is_alive()]
            self._all.append((threading.current_thread(), connection))
        for old in gone:
            old.raw.close()
        self._local.connection = connection
        return connection


def abandon(connection: Connection) -> None:
    """Undo what an interrupted transaction of this thread left open, before rows are asked what was committed."""
    connection.transaction += 1
    _roll_back(connection)


def _roll_back(connection: Connection) -> None:
    connection.cache.clear()
    # SQLite rolls back by itself on some errors (disk full, I/O error): a second one would be an error.
    if connection.raw.in_transaction:
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
        return BusyError(f"the index of {home} is busy with the writes of others", hint="try again")
    if code == sqlite3.SQLITE_FULL:
        return CapacityExceededError(
            f"no space left for the index of {home}", hint="free space on that disk"
        )
    if code in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}:
        return CorruptionError(
            f"the index of {home} is damaged: {exc}", hint="restore it from a backup"
        )
    return StorageError(f"the index of {home} failed: {exc}")
