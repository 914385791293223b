"""Ids of pieces, and the sweep of what a killed process left behind.

A *session* is one process that writes to a home: a row in `sessions` and a lock file held with flock(2), which the
kernel releases when the process dies. Piece ids are `session << 32 | counter`, so no id is ever used twice and no
coordination is needed to make one.

The sweep must find files that no row names without listing the disks. The session row bounds where they can be:
counters below `settled` are all committed or removed, counters from `reserved` on were never handed out. Both are
advanced once in `RESERVE_COUNT` pieces, so a sweep looks at a few thousand paths at most, whatever the size of the
store (more while a single piece takes as long to write as thousands of others).
"""

import fcntl
import os
import threading
import time

from aiscore.engine.fileio import Files, storage_error
from aiscore.engine.index.database import Connection, Database
from aiscore.engine.layout import piece_path, run_directory, session_lock_path
from aiscore.engine.mountpath import Mountpaths
from aiscore.model.storage import MountpathState

__all__ = ["COUNTER_BITS", "RESERVE_COUNT", "Sessions"]

COUNTER_BITS = 32
RESERVE_COUNT = 1_024
"""Piece ids a session reserves at once: the price of a transaction against the length of a sweep."""
_COUNTER_MAX = (1 << COUNTER_BITS) - 1


class Sessions:
    """This process's session, opened at the first piece, and the sweep of dead ones."""

    def __init__(self, home: str, database: Database, mountpaths: Mountpaths, files: Files) -> None:
        self._home = home
        self._database = database
        self._mountpaths = mountpaths
        self._files = files
        # Rank 2 of 2, inside the write lock: a reservation is a transaction, so it is made before this is taken.
        self._lock = threading.Lock()
        self._session = 0
        self._lock_fd = -1
        self._next = 0
        self._reserved = 0
        self._outstanding: set[int] = set()

    def new_piece_id(self) -> int:
        """A fresh id; `settle` it when its file is committed or gone."""
        while True:
            with self._lock:
                if self._next < self._reserved:
                    counter = self._next
                    self._next += 1
                    self._outstanding.add(counter)
                    return self._session << COUNTER_BITS | counter
            self._reserve()

    def current(self) -> int:
        """This process's session, begun if there is none yet."""
        if not self._session:
            self._reserve()
        return self._session

    def known(self) -> int:
        """This process's session, 0 before it has begun."""
        return self._session

    def is_alive(self, session: int) -> bool:
        """True while the process of a session lives."""
        if session == self._session:
            return True
        query = "SELECT 1 FROM sessions WHERE id = ?"
        if self._database.connection().execute(query, (session,)).fetchone() is None:
            return False
        try:
            fd = os.open(session_lock_path(self._home, session), os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            return False
        try:
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return True
        finally:
            os.close(fd)
        return False

    def settle(self, piece_id: int) -> None:
        """The piece is named by a committed row, or its file does not exist."""
        with self._lock:
            if piece_id >> COUNTER_BITS == self._session:
                self._outstanding.discard(piece_id & _COUNTER_MAX)

    def is_settled(self, piece_id: int) -> bool:
        """True for a piece of this process that is committed or removed: a file without a row is an orphan then."""
        with self._lock:
            return (
                piece_id >> COUNTER_BITS == self._session
                and (piece_id & _COUNTER_MAX) not in self._outstanding
            )

    def reset_after_fork(self) -> None:
        """The child takes a session of its own at its first piece."""
        if self._lock_fd >= 0:
            # Only this descriptor: the lock belongs to the open file, which the parent still has.
            os.close(self._lock_fd)
        self._lock = threading.Lock()
        self._session = self._next = self._reserved = 0
        self._lock_fd = -1
        self._outstanding = set()

    def close(self) -> None:
        """End the session; without unfinished pieces nothing of it remains."""
        if not self._session:
            return
        if not self._outstanding:
            with self._database.write() as connection:
                connection.execute("DELETE FROM sessions WHERE id = ?", (self._session,))
            _unlink_quietly(session_lock_path(self._home, self._session))
        os.close(self._lock_fd)
        self._session = self._next = self._reserved = 0
        self._lock_fd = -1

    def sweep(self) -> int:
        """Remove the unfinished pieces of processes that are gone; the number of files removed.

        Safe beside live processes: a session is swept by whoever gets its lock.
        """
        rows = self._database.connection().execute(
            "SELECT id FROM sessions WHERE id != ?", (self._session,)
        )
        return sum(self._sweep_session(row[0]) for row in rows.fetchall())

    def _reserve(self) -> None:
        # Synced: a reservation that a power cut undid would hand out the ids of files that survived it.
        with self._database.write(sync=True) as connection:
            if self._next < self._reserved:  # another thread was here first
                return
            if not self._session or self._reserved >= _COUNTER_MAX - RESERVE_COUNT:
                session, lock_fd = self._begin(connection)
                settled, reserved = 0, RESERVE_COUNT
            else:
                session, lock_fd = self._session, self._lock_fd
                with self._lock:
                    settled = min(self._outstanding, default=self._next)
                reserved = self._reserved + RESERVE_COUNT
            try:
                connection.execute(
                    "UPDATE sessions SET settled = ?, reserved = ? WHERE id = ?",
                    (settled, reserved, session),
                )
                connection.execute("COMMIT")
            except BaseException:
                if lock_fd != self._lock_fd:
                    os.close(lock_fd)
                raise
            # Known here only now: what a failed commit undid must not be remembered.
            with self._lock:
                if session != self._session:
                    if self._lock_fd >= 0:
                        os.close(self._lock_fd)
                    self._session, self._lock_fd = session, lock_fd
                    self._next, self._outstanding = 0, set()
                self._reserved = reserved

    def _begin(self, connection: Connection) -> tuple[int, int]:
        """A row for a new session, and the descriptor of its lock."""
        cursor = connection.execute(
            "INSERT INTO sessions (pid, started_ns, settled, reserved) VALUES (?, ?, 0, 0)",
            (os.getpid(), time.time_ns()),
        )
        assert cursor.lastrowid is not None
        session = cursor.lastrowid
        fd = -1
        try:
            fd = _open_lock(self._home, session)
            # Locked before the row is committed: no sweeper can see the session without its lock.
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BaseException as exc:
            if fd >= 0:
                os.close(fd)
            if isinstance(exc, OSError):
                raise storage_error(exc, session_lock_path(self._home, session)) from exc
            raise
        return session, fd

    def _sweep_session(self, session: int) -> int:
        try:
            fd = _open_lock(self._home, session)
        except OSError:
            return 0
        try:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                return 0  # alive
            # Read under the lock: until a moment ago the session may have moved its bounds.
            bounds = (
                self._database.connection()
                .execute("SELECT settled, reserved FROM sessions WHERE id = ?", (session,))
                .fetchone()
            )
            removed = None if bounds is None else self._remove_unnamed(session, *bounds)
            if removed is None:
                return 0
            with self._database.write() as connection:
                connection.execute("DELETE FROM sessions WHERE id = ?", (session,))
            _unlink_quietly(session_lock_path(self._home, session))
            return removed
        finally:
            os.close(fd)

    def _remove_unnamed(self, session: int, settled: int, reserved: int) -> int | None:
        """Unlink what lies between the bounds and has no row; None when a disk is away, to be swept later."""
        low, high = session << COUNTER_BITS | settled, session << COUNTER_BITS | reserved
        connection = self._database.connection()
        named = {
            row[0]
            for row in connection.execute(
                "SELECT id FROM pieces WHERE id >= ? AND id < ?", (low, high)
            ).fetchall()
        }
        mountpaths = list(self._mountpaths.all().values())
        if any(m.state is MountpathState.MISSING for m in mountpaths):
            return None
        removed = 0
        for piece_id in range(low, high):
            if piece_id in named:
                continue
            for mountpath in mountpaths:
                try:
                    self._files.unlink(piece_path(mountpath.path, piece_id))
                    removed += 1
                except FileNotFoundError:
                    continue
                except OSError:
                    return None
        return removed


def _open_lock(home: str, session: int) -> int:
    path = session_lock_path(home, session)
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
    try:
        return os.open(path, flags, 0o600)
    except FileNotFoundError:
        os.makedirs(run_directory(home), mode=0o700, exist_ok=True)
        return os.open(path, flags, 0o600)


def _unlink_quietly(path: str) -> None:
    try:
        os.unlink(path)
    except OSError:
        return
