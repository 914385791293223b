"""One open home: the parts that every operation of the engine works with, opened, recovered and closed together."""

import json
import logging
import os
import secrets
import time
import weakref
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from functools import lru_cache, partial
from typing import TypeVar

from aiscore.engine.archive.index import MemberIndex
from aiscore.engine.buffers import Buffers
from aiscore.engine.fileio import Files, OsFiles, storage_error
from aiscore.engine.garbage import Garbage
from aiscore.engine.index.buckets import BucketRow, find_bucket
from aiscore.engine.index.database import Connection, Database
from aiscore.engine.index.objects import ObjectRow
from aiscore.engine.layout import default_mountpath, reserve_path, run_directory
from aiscore.engine.load import Load
from aiscore.engine.mountpath import Mountpaths
from aiscore.engine.openshards import OpenShards
from aiscore.engine.pace import BatchGate, Pace
from aiscore.engine.session import Sessions
from aiscore.engine.shardcache import ShardCache, UnpackedCache
from aiscore.engine.xaction.registry import Xactions
from aiscore.errors import (
    AccessDeniedError,
    AisError,
    CapacityExceededError,
    InvalidArgumentError,
    StorageError,
)
from aiscore.model.access import Access, allows, format_access
from aiscore.model.bucket import BucketRef
from aiscore.model.config import ClusterConfig
from aiscore.model.counters import Counters
from aiscore.model.features import Feature
from aiscore.model.load import LoadUse
from aiscore.model.sections import from_wire, replace_path, to_wire
from aiscore.model.storage import MountpathState

__all__ = ["Core"]

log = logging.getLogger(__name__)

T = TypeVar("T")

UNENFORCED = Access.RO | Access.PATCH | Access.SET_BUCKET_ACL
"""Operations that a bucket's own mask does not forbid: without users there is nobody to keep from reading, and a
bucket that refused to be changed could never be opened up again. Upstream's rule while authentication is off."""
ATIME_GRANULARITY_NS = 600 * 10**9
"""Age of an access time below which another access does not change it: reads stay reads."""
TOUCHED_MAX = 4_096
STORED_MEMBERS_MAX = 1_000_000
"""Members above which an index is not kept in the home: its row would have tens of megabytes."""
NEW_INDEXES_MAX = 32
RESERVE_SIZE = 2 << 20
"""Bytes set aside on the home's disk so that a delete can be recorded when nothing else is left."""
DOOMED_OBJECTS_AT_OPEN = 20_000
"""Objects of destroyed buckets that one open removes at most; it bounds the time an open can take."""
_CONFIG_KEY = "config"

_open_cores: "weakref.WeakSet[Core]" = weakref.WeakSet()


class Core:
    """Everything that belongs to one open home."""

    def __init__(self, home: str, files: Files | None = None) -> None:
        """Open the home, making it if it is new, and recover what killed processes left.

        Raises:
            FormatVersionError: a newer release, or another program, wrote it.
            StorageError: the directory cannot be made or used.
        """
        if not os.path.isabs(home):
            raise InvalidArgumentError(f'home "{home}" is invalid: expected an absolute path')
        self.home = home
        self.files: Files = OsFiles() if files is None else files
        self.counters = Counters()
        self.load = Load(self.config, self._disk_paths)
        self.batch_gate = BatchGate(self.load, self._add)
        self.buffers = Buffers()
        self.shard_indexes = ShardCache()
        self.open_shards = OpenShards()
        self.unpacked = UnpackedCache()
        self._touched: dict[tuple[int, str], int] = {}
        self._new_indexes: list[tuple[ObjectRow, MemberIndex]] = []
        self.is_closed = False
        self._has_reserve = True
        try:
            os.makedirs(home, mode=0o700, exist_ok=True)
            os.makedirs(run_directory(home), mode=0o700, exist_ok=True)
        except OSError as exc:
            raise storage_error(exc, home) from exc
        self.database = self._open_index()
        self.mountpaths = Mountpaths(home, self.database, self.files)
        self.sessions = Sessions(home, self.database, self.mountpaths, self.files)
        self.xactions = Xactions(
            self.database, self.sessions, self._pace, lambda: self.config().features
        )
        self.garbage = Garbage(self.database, self.mountpaths, self.files, self.open_shards.drop)
        try:
            self.home_id = self._initialize()
            self.mountpaths.node_id = self.home_id
            self.database.connection().cache.clear()
            self.recover()
        except BaseException:
            self.database.close()
            raise
        _open_cores.add(self)

    def connection(self) -> Connection:
        """This thread's connection to the index."""
        return self.database.connection()

    def bucket(self, bucket: BucketRef, access: int) -> BucketRow:
        """The bucket, if it exists and its access mask allows the operation.

        Raises:
            BucketNotFoundError: it does not exist.
            AccessDeniedError: the mask forbids it.
        """
        connection = self.database.connection()
        connection.fresh_cache()
        row = find_bucket(connection, bucket)
        enforced = access & ~UNENFORCED
        if enforced and not allows(row.props.access, enforced):
            raise AccessDeniedError(
                f"bucket {bucket} does not permit {format_access(enforced)}",
                hint=f"see: ais bucket props show {bucket} access",
            )
        return row

    def config(self) -> ClusterConfig:
        """The configuration as of now."""
        connection = self.database.connection()
        connection.fresh_cache()
        return self.known_config(connection)

    def known_config(self, connection: Connection) -> ClusterConfig:
        """The configuration as of the begin of the operation."""
        cache = connection.cache
        found: ClusterConfig | None = cache.get(_CONFIG_KEY)
        if found is None:
            row = connection.execute("SELECT value FROM meta WHERE key = 'config'").fetchone()
            found = cache[_CONFIG_KEY] = _decode_config(row[0] if row else "{}", self.home_id)
        return found

    def set_config(self, changes: Mapping[str, str]) -> ClusterConfig:
        """Apply dotted changes as a whole or not at all."""
        with self.database.write(sync=True) as connection:
            connection.cache.clear()
            config = self._write_config(connection, replace_path(self.config(), changes))
        self.load.forget()
        return config

    def reset_config(self) -> ClusterConfig:
        """Back to the defaults."""
        with self.database.write(sync=True) as connection:
            connection.cache.clear()
            version = self.config().config_version
            default = replace(ClusterConfig(), config_version=version)
            config = self._write_config(connection, default)
        self.load.forget()
        return config

    def _write_config(self, connection: Connection, changed: ClusterConfig) -> ClusterConfig:
        config = replace(
            changed,
            uuid=self.home_id,
            lastupdate_time=datetime.now(UTC).isoformat(timespec="seconds"),
            config_version=changed.config_version + 1,
        )
        text = json.dumps(to_wire(config, reveal=True))
        connection.execute("INSERT OR REPLACE INTO meta VALUES ('config', ?)", (text,))
        connection.cache.clear()
        return config

    def is_durable(self, row: BucketRow) -> bool:
        """True when commits to this bucket must be on disk before they are acknowledged."""
        if row.props.features & Feature.FSYNC_PUT:
            return True
        return self.known_config(self.database.connection()).store.durable

    def remember_index(self, row: ObjectRow, index: MemberIndex) -> None:
        """Have a member index written to the home, with others and not at once: a first read should not wait for it."""
        if len(index) > STORED_MEMBERS_MAX:
            return
        self._new_indexes.append((row, index))
        if len(self._new_indexes) >= NEW_INDEXES_MAX:
            self.write_notes()

    def count(self, **amounts: int) -> None:
        """Add to counters; "_" in a keyword stands for the "." of the counter's name."""
        self.counters.add({name.replace("_", "."): amount for name, amount in amounts.items()})

    def touch(self, row: ObjectRow) -> None:
        """Note an access; written back in bulk, and only when the last one is `ATIME_GRANULARITY_NS` old."""
        now = time.time_ns()
        if now - row.atime_ns < ATIME_GRANULARITY_NS:
            return
        self._touched[(row.bucket_id, row.name)] = now
        if len(self._touched) >= TOUCHED_MAX:
            self.write_notes()

    def write_notes(self) -> None:
        """Write back access times and member indexes. Neither is needed for correctness: a failure is only logged."""
        touched, self._touched = self._touched, {}
        indexes, self._new_indexes = self._new_indexes, []
        if not touched and not indexes:
            return
        try:
            with self.database.write() as connection:
                connection.executemany(
                    "UPDATE objects SET atime_ns = ? WHERE bucket_id = ? AND name = ?",
                    [(when, *key) for key, when in touched.items()],
                )
                connection.executemany(
                    "INSERT OR REPLACE INTO shard_indexes SELECT ?, ?, ? WHERE EXISTS "
                    "(SELECT 1 FROM objects WHERE bucket_id = ? AND name = ? AND generation = ?)",
                    [
                        (
                            row.generation,
                            index.format.value,
                            index.to_bytes(),
                            row.bucket_id,
                            row.name,
                            row.generation,
                        )
                        for row, index in indexes
                    ],
                )
                connection.cache.clear()
        except AisError as exc:
            log.warning(
                "notes not written: times=%d indexes=%d reason=%s", len(touched), len(indexes), exc
            )

    def recover(self) -> None:
        """Sweep the sessions of dead processes, marked pieces, and objects of destroyed buckets."""
        self.sessions.sweep()
        self.garbage.reclaim_marked()
        self.remove_doomed(DOOMED_OBJECTS_AT_OPEN)

    def remove_doomed(self, limit: int | None = None) -> None:
        """Remove objects of destroyed buckets, up to `limit` of them."""
        connection = self.database.connection()
        doomed = [row[0] for row in connection.execute("SELECT id FROM doomed_buckets").fetchall()]
        budget = limit if limit is not None else 1 << 62
        for bucket_id in doomed:
            while budget > 0:
                removed = self.freeing(partial(self._remove_some, bucket_id))
                self.garbage.reclaim_marked()
                budget -= removed
                if not removed:
                    break

    def close(self) -> None:
        """End the session and close the index; safe to repeat."""
        if self.is_closed:
            return
        self.is_closed = True
        _open_cores.discard(self)
        try:
            self.write_notes()
            self.open_shards.close()
            self.unpacked.close()
            self.garbage.flush()
            self.xactions.close()
            self.sessions.close()
        except CapacityExceededError:
            pass  # the disk is full: what could not be recorded is swept at the next open
        finally:
            self.database.close()

    def freeing(self, work: Callable[[], T]) -> T:
        """Run a transaction that frees space, on a full disk too.

        When it does not fit, first the write-ahead log is emptied, so that its space is used again, then the reserve is
        given up. It is set aside again before the next write that takes space (`admit_write`).
        """
        try:
            return work()
        except CapacityExceededError:
            self.database.checkpoint()
        try:
            return work()
        except CapacityExceededError:
            with suppress(OSError):
                os.unlink(reserve_path(self.home))
            self._has_reserve = False
            self.database.checkpoint()
        return work()

    def admit_write(self) -> None:
        """Called before what takes space: while the reserve is spent and finds no room, deletes have the disk alone.

        Raises:
            CapacityExceededError: so it is.
        """
        if self._has_reserve:
            return
        self._refill_reserve()
        if not self._has_reserve:
            raise CapacityExceededError(
                f"no space left on the disk of {self.home}", hint="delete objects, or free space"
            )

    def _pace(self, use: LoadUse) -> Pace:
        """The pace of a job."""
        return Pace(self.load, use, self._add)

    def _add(self, name: str, amount: int) -> None:
        self.counters.add({name: amount})

    def _disk_paths(self) -> list[str]:
        """Directories whose disks the work of this store keeps busy."""
        mountpaths = self.mountpaths.all().values()
        return [m.path for m in mountpaths if m.state is MountpathState.ENABLED]

    def _open_index(self) -> Database:
        """The index, on a full disk too: SQLite makes files beside it, for which the reserve is given up."""
        try:
            return Database(self.home)
        except (CapacityExceededError, StorageError):
            if not self._give_up_reserve():
                raise
        return Database(self.home)

    def _give_up_reserve(self) -> bool:
        """Free the reserve on a disk that is full; False when it is not full, or has no reserve."""
        try:
            found = os.statvfs(self.home)
            if found.f_bavail * found.f_frsize >= RESERVE_SIZE:
                return False
            os.unlink(reserve_path(self.home))
        except OSError:
            return False
        self._has_reserve = False
        return True

    def _refill_reserve(self) -> None:
        path = reserve_path(self.home)
        self._has_reserve = os.path.exists(path)
        if self._has_reserve:
            return
        temporary = f"{path}.new"
        try:
            fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            try:
                os.posix_fallocate(fd, 0, RESERVE_SIZE)
            finally:
                os.close(fd)
            os.rename(temporary, path)
            self._has_reserve = True
        except OSError:
            try:
                os.unlink(temporary)
            except OSError:
                return

    def reset_after_fork(self) -> None:
        """Called in the child: nothing of the parent's that has a position or a lock is used again."""
        self.database.reset_after_fork()
        self.sessions.reset_after_fork()
        self.garbage.reset_after_fork()
        self._touched = {}
        self._new_indexes = []
        for part in (
            self.buffers,
            self.counters,
            self.shard_indexes,
            self.open_shards,
            self.unpacked,
            self.xactions,
            self.load,
        ):
            part.reset_after_fork()

    def _initialize(self) -> str:
        connection = self.database.connection()
        found = connection.execute("SELECT value FROM meta WHERE key = 'home_id'").fetchone()
        if found is None:
            with self.database.write(sync=True) as connection:
                connection.execute(
                    "INSERT OR IGNORE INTO meta VALUES ('home_id', ?)", (secrets.token_hex(8),)
                )
                found = connection.execute(
                    "SELECT value FROM meta WHERE key = 'home_id'"
                ).fetchone()
            self._refill_reserve()
        home_id = str(found[0])
        if not self.mountpaths.all():
            self.mountpaths.add_default(default_mountpath(self.home), home_id)
        return home_id

    def _remove_some(self, bucket_id: int) -> int:
        """Delete a batch of a destroyed bucket's rows; 0 when none was left, and the bucket is forgotten."""
        with self.database.write() as connection:
            rows = connection.execute(
                "SELECT name, piece_id, generation FROM objects WHERE bucket_id = ? LIMIT 1000",
                (bucket_id,),
            ).fetchall()
            if not rows:
                connection.execute("DELETE FROM doomed_buckets WHERE id = ?", (bucket_id,))
                return 0
            connection.executemany(
                "DELETE FROM objects WHERE bucket_id = ? AND name = ?",
                [(bucket_id, row[0]) for row in rows],
            )
            connection.executemany(
                "UPDATE pieces SET state = 1 WHERE id = ?", [(r[1],) for r in rows]
            )
            connection.executemany(
                "DELETE FROM shard_indexes WHERE generation = ?", [(r[2],) for r in rows]
            )
            connection.cache.clear()
        return len(rows)


@lru_cache(maxsize=16)
def _decode_config(text: str, home_id: str) -> ClusterConfig:
    return replace(from_wire(ClusterConfig, json.loads(text)), uuid=home_id)


def _after_fork_in_child() -> None:
    for core in list(_open_cores):
        core.reset_after_fork()


os.register_at_fork(after_in_child=_after_fork_in_child)
