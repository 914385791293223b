"""What a process keeps of shards it has read: member indexes, and compressed shards unpacked."""

import os
from collections import OrderedDict
from threading import Lock

from aiscore.engine.archive.index import MemberIndex
from aiscore.model.archive import ArchiveFormat

__all__ = ["CACHED_MEMBERS_MAX", "UNPACKED_TOTAL_MAX", "ShardCache", "UnpackedCache"]

CACHED_MEMBERS_MAX = 4_000_000
"""Members of all indexes in a process's cache; some 400 MiB when every shard has had a name looked up."""
UNPACKED_TOTAL_MAX = 1 << 30
"""Bytes of temporary files of one process; also the largest shard that is unpacked."""
UNPACKED_COUNT_MAX = 32


class ShardCache:
    """A process's cache of member indexes, least recently used out first."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._cache: OrderedDict[tuple[int, ArchiveFormat], MemberIndex] = OrderedDict()
        self._members = 0

    def reset_after_fork(self) -> None:
        """Another thread of the parent may have held the lock."""
        self._lock = Lock()

    def get(self, key: tuple[int, ArchiveFormat]) -> MemberIndex | None:
        """The index of a generation in a format, if it is here."""
        with self._lock:
            found = self._cache.get(key)
            if found is not None:
                self._cache.move_to_end(key)
            return found

    def put(self, key: tuple[int, ArchiveFormat], index: MemberIndex) -> None:
        """Keep an index, at the price of the oldest ones."""
        with self._lock:
            if key in self._cache:
                return
            self._cache[key] = index
            self._members += len(index) + 1
            while self._members > CACHED_MEMBERS_MAX and len(self._cache) > 1:
                self._members -= len(self._cache.popitem(last=False)[1]) + 1


class UnpackedCache:
    """Descriptors of unpacked shards by generation, least recently used out first."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._files: OrderedDict[int, tuple[int, int]] = OrderedDict()
        self._total = 0

    def reset_after_fork(self) -> None:
        """Another thread of the parent may have held the lock; the files may be shared, every read names its offset."""
        self._lock = Lock()

    def borrow(self, generation: int) -> tuple[int, int] | None:
        """A duplicate of the descriptor, and the size; the caller closes it."""
        with self._lock:
            found = self._files.get(generation)
            if found is None:
                return None
            self._files.move_to_end(generation)
            return os.dup(found[0]), found[1]

    def keep(self, generation: int, fd: int, size: int) -> None:
        """Keep a duplicate of the descriptor."""
        with self._lock:
            if generation in self._files:
                return
            self._files[generation] = (os.dup(fd), size)
            self._total += size
            while self._total > UNPACKED_TOTAL_MAX or len(self._files) > UNPACKED_COUNT_MAX:
                old_fd, old_size = self._files.popitem(last=False)[1]
                os.close(old_fd)
                self._total -= old_size

    def close(self) -> None:
        """Close all of them."""
        with self._lock:
            while self._files:
                os.close(self._files.popitem()[1][0])
            self._total = 0
