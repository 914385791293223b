"""Whether the index has changed, without asking SQLite: a look at bytes that all of its connections share.

While a home is open there is a file `index.db-shm`, the wal-index, which every connection maps. It begins with a header
of 48 bytes: the length of the write-ahead log, its salts and running checksums. SQLite writes it last of all in every
commit, and compares it at the begin of every read to learn whether its own page cache is still good (the layout is part
of the file format: https://sqlite.org/walformat.html, section 2). The same bytes are compared here: whoever finds them
unchanged would be told by SQLite that nothing was committed. A look costs half a microsecond, asking SQLite several.

Closing any descriptor of a file drops all POSIX locks that the process has on it, also those of SQLite, and another
process could take them. So a descriptor stays open until the file is deleted, as the last connection of all processes
does, and a file that is open already is not opened again. A plain descriptor, because a mapping would be closed, at a
time of its own choosing, when the interpreter ends.
"""

import os
import sys
import threading

__all__ = ["HEADER_SIZE", "WalIndex", "close_wal_index", "frames_in", "is_next", "open_wal_index"]

HEADER_SIZE = 48
"""Bytes of the header; a copy of it follows, by which SQLite tells a torn one."""


class WalIndex:
    """One open wal-index: `os.pread(fd, HEADER_SIZE, 0)` is what it says now."""

    __slots__ = ("fd", "key", "users")

    def __init__(self, fd: int, key: tuple[int, int]) -> None:
        self.fd = fd
        self.key = key
        self.users = 0


_lock = threading.Lock()
_open: dict[tuple[int, int], WalIndex] = {}
"""By device and inode. After a fork the child goes on with those of its parent: nothing in them has a position."""


def frames_in(header: bytes) -> int:
    """How many pages the write-ahead log holds; those that are in the database by now count, until it begins anew."""
    return int.from_bytes(header[16:20], sys.byteorder)


def is_next(header: bytes, before: bytes) -> bool:
    """True when exactly one commit lies between the two: a counter in the header goes up by one with each."""
    if len(header) != HEADER_SIZE:
        return False
    commits = [int.from_bytes(each[8:12], sys.byteorder) for each in (before, header)]
    return (commits[1] - commits[0]) & 0xFFFF_FFFF == 1


def open_wal_index(database_path: str) -> WalIndex | None:
    """That of a database with an open connection of this process; None when there is none to be seen."""
    path = f"{database_path}-shm"
    try:
        with _lock:
            _close_unused()
            status = os.stat(path)
            key = (status.st_dev, status.st_ino)
            found = _open.get(key)
            if found is None:
                found = _open[key] = WalIndex(os.open(path, os.O_RDONLY | os.O_CLOEXEC), key)
            found.users += 1
            return found
    except OSError:
        return None


def close_wal_index(index: WalIndex) -> None:
    """End one use of it, when the connections of the database are closed."""
    with _lock:
        index.users -= 1
        _close_unused()


def _close_unused() -> None:
    for found in list(_open.values()):
        if not found.users and not os.fstat(found.fd).st_nlink:
            del _open[found.key]
            os.close(found.fd)


def _reset_after_fork() -> None:
    global _lock
    _lock = threading.Lock()


os.register_at_fork(after_in_child=_reset_after_fork)
