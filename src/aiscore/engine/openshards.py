"""Objects that batches read from, and the shards among them that stay open from one batch to the next.

A training loop comes back to the same shards again and again. An open shard is keyed by the object's generation and
counts its users, because batches of several threads may share it. Only shards that are one file are kept, and shared:
of one in chunks few files are open at a time, which ones depends on who reads, and while it is open it cannot be moved.
A kept descriptor keeps a deleted file's space, and its disk: so the reclaimer of this process drops it at once, and
what other processes delete or move is noticed by the next batch after they have committed, in a server within seconds.
"""

import os
from collections import OrderedDict
from threading import Lock

from aiscore.engine.archive.index import MemberIndex
from aiscore.engine.content import ContentSource, FileContent
from aiscore.engine.index.objects import ObjectRow

__all__ = ["KEPT_MAX", "OpenShards", "Target"]

KEPT_MAX = 32
"""Open shards kept by one process: descriptors, of the usual limit of 1,024."""


class Target:
    """One open object that entries of a batch name.

    Attributes:
        row: the object as it was opened.
        content: its bytes.
        index: its members, once one was asked for.
        shard: where members lie as they are: the content of a tar, or the unpacked tar of a tgz or tar.lz4.
        plain_fd: descriptor of `shard`, when members lie plainly in one file; -1 otherwise.
        positions: name to number, of `index`.
    """

    __slots__ = ("content", "index", "is_kept", "plain_fd", "positions", "row", "shard", "users")

    def __init__(self, row: ObjectRow, content: ContentSource) -> None:
        self.row = row
        self.content = content
        self.index: MemberIndex | None = None
        self.shard: ContentSource | None = None
        self.plain_fd = -1
        self.positions: dict[str, int] = {}
        self.users = 1
        self.is_kept = False

    @property
    def is_worth_keeping(self) -> bool:
        """True for a shard that is one file, and whose members are known."""
        return self.index is not None and isinstance(self.content, FileContent)

    def set_members(self, index: MemberIndex, shard: ContentSource | None) -> None:
        """Note the members, and where they lie plainly."""
        self.shard = shard
        if isinstance(shard, FileContent):
            self.plain_fd = shard.fd
        self.positions = index.positions
        self.index = index

    def close(self) -> None:
        """Close the files."""
        self.content.close()
        if self.shard is not None:
            self.shard.close()


class OpenShards:
    """The open shards of one process, least recently used out first."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._kept: OrderedDict[int, Target] = OrderedDict()
        self._version = -1

    def take(self, generation: int) -> Target | None:
        """An open shard, for one more user; each `release`s it."""
        with self._lock:
            found = self._kept.get(generation)
            if found is not None:
                found.users += 1
                self._kept.move_to_end(generation)
            return found

    def release(self, target: Target) -> None:
        """End one use; a shard is kept for the next batch, if that may be."""
        with self._lock:
            target.users -= 1
            if target.is_worth_keeping and not target.is_kept:
                if target.row.generation not in self._kept:
                    self._kept[target.row.generation] = target
                    target.is_kept = True
                if len(self._kept) > KEPT_MAX:
                    self._forget(next(iter(self._kept)))
            if not target.users and not target.is_kept:
                target.close()

    def drop(self, generation: int) -> None:
        """Do not keep this shard any longer: its file is being removed."""
        if generation in self._kept:
            with self._lock:
                if generation in self._kept:
                    self._forget(generation)

    def drop_removed(self, version: int = -1) -> None:
        """Drop shards whose file has no name any more; nothing is done while `version`, if given, stays the same.

        Args:
            version: SQLite's data version of the caller's connection, which changes when others commit.
        """
        if 0 <= version == self._version:
            return
        self._version = version
        with self._lock:
            for generation, target in list(self._kept.items()):
                content = target.content
                assert isinstance(content, FileContent)
                if not os.fstat(content.fd).st_nlink:
                    self._forget(generation)

    def close(self) -> None:
        """Keep nothing."""
        with self._lock:
            while self._kept:
                self._forget(next(iter(self._kept)))

    def reset_after_fork(self) -> None:
        """Positions are not shared (every read names its offset), so open files may be; a held lock may not."""
        self._lock = Lock()

    def _forget(self, generation: int) -> None:
        target = self._kept.pop(generation)
        target.is_kept = False
        if not target.users:
            target.close()
