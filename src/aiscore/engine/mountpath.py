"""Mountpaths: which directories the home uses, in which state, and which one gets the next piece.

The index holds the list; each directory holds a label that names its home and itself, so that an unmounted disk (an
empty directory in its place) is noticed and never written to. A piece is found through the mountpath id in the
index, so placement is free to change: rendezvous hashing of the object's unique name over the enabled mountpaths.
"""

import json
import os
import secrets
import shutil
import time
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass

import xxhash

from aiscore.engine.fileio import Files, storage_error, write_all
from aiscore.engine.index.database import Connection, Database
from aiscore.engine.layout import LABEL_NAME, label_path, pieces_root
from aiscore.errors import (
    AlreadyExistsError,
    InvalidArgumentError,
    MountpathNotFoundError,
    UnavailableError,
)
from aiscore.model.storage import MountpathInfo, MountpathState

__all__ = ["MOUNTPATH_PATH_MAX", "Mountpath", "Mountpaths"]

MOUNTPATH_PATH_MAX = 255
"""Characters; upstream's limit."""
LABEL_CHECK_S = 2.0
"""How long a label that was looked for is taken to be there, or not, still."""
_READABLE = frozenset({MountpathState.ENABLED, MountpathState.DRAINING})
_CACHE_KEY = "mountpaths"


@dataclass(frozen=True, slots=True)
class Mountpath:
    """A disk plus the directory on it that the store fully owns."""

    id: int
    label: str
    path: str
    state: MountpathState
    location: str
    """As object properties show it: `t[NODE]:mp[PATH]`."""


class Mountpaths:
    """The mountpaths of one home."""

    def __init__(self, home: str, database: Database, files: Files) -> None:
        self.node_id = ""
        self._home = home
        self._database = database
        self._files = files
        self._labels: dict[str, tuple[float, bool]] = {}

    def all(self) -> dict[int, Mountpath]:
        """Every mountpath by id, with its state as of now in the index and, once a cache, on disk."""
        self._database.connection().fresh_cache()
        return self._known()

    def _known(self) -> dict[int, Mountpath]:
        """The same as of the begin of the operation."""
        connection = self._database.connection()
        cached: tuple[float, dict[int, Mountpath]] | None = connection.cache.get(_CACHE_KEY)
        now = time.monotonic()
        if cached is not None and now < cached[0]:
            return cached[1]
        found = self._load(connection)
        connection.cache[_CACHE_KEY] = (now + LABEL_CHECK_S, found)
        return found

    def check_label(self, mountpath_id: int) -> None:
        """A file was not where it should be: is the disk there at all?

        Raises:
            UnavailableError: it is not.
        """
        self.look_again()
        self.readable(mountpath_id)

    def look_again(self) -> None:
        """Take no label for there, or not, that was looked for some time ago."""
        self._labels.clear()
        self._database.connection().cache.pop(_CACHE_KEY, None)

    def known(self, mountpath_id: int) -> Mountpath | None:
        """One mountpath as of the begin of the operation."""
        return self._known().get(mountpath_id)

    def location(self, mountpath_id: int) -> str:
        """Where a piece lies, as object properties show it."""
        found = self._known().get(mountpath_id)
        return found.location if found is not None else f"t[{self.node_id}]:mp[]"

    def readable(self, mountpath_id: int) -> str:
        """Path of a mountpath that can be read.

        Raises:
            UnavailableError: it is disabled or missing.
        """
        found = self._known().get(mountpath_id)
        if found is None:
            # Who names it may have read of it after the table was read.
            self.look_again()
            found = self._known().get(mountpath_id)
        if found is None:
            raise UnavailableError(f"mountpath {mountpath_id} is not part of this home")
        if found.state not in _READABLE:
            raise UnavailableError(
                f"mountpath {found.path} is {found.state}",
                hint=f"enable it: ais storage mountpath enable {found.path}"
                if found.state is MountpathState.DISABLED
                else "mount the disk",
            )
        return found.path

    def choose(self, key: str, position: int = 0) -> Mountpath:
        """The enabled mountpath for a piece of the object with unique name `key`.

        Consecutive positions go round the mountpaths, in an order of their own for each object, so that the chunks of
        one are spread evenly.

        Raises:
            UnavailableError: none is enabled.
        """
        candidates = [m for m in self._known().values() if m.state is MountpathState.ENABLED]
        if len(candidates) == 1:
            return candidates[0]
        if not candidates:
            raise UnavailableError(
                "no mountpath is enabled", hint="see: ais storage mountpath show"
            )
        weights = [(xxhash.xxh64_intdigest((m.label + key).encode()), m.id) for m in candidates]
        if not position:
            return candidates[weights.index(max(weights))]
        weights.sort(reverse=True)
        chosen = weights[position % len(weights)][1]
        return next(m for m in candidates if m.id == chosen)

    def choose_others(self, key: str, taken: Collection[int], count: int) -> list[Mountpath]:
        """Up to `count` enabled mountpaths whose ids are not `taken`, in an order of their own for each `key`."""
        candidates = [
            m
            for m in self._known().values()
            if m.state is MountpathState.ENABLED and m.id not in taken
        ]
        candidates.sort(
            key=lambda m: xxhash.xxh64_intdigest((m.label + key).encode()), reverse=True
        )
        return candidates[:count]

    @property
    def enabled_count(self) -> int:
        """Mountpaths that are written to."""
        return sum(m.state is MountpathState.ENABLED for m in self._known().values())

    def by_path(self, path: str) -> Mountpath:
        """The mountpath at `path`.

        Raises:
            MountpathNotFoundError: there is none.
        """
        wanted = path.rstrip("/")
        for found in self.all().values():
            if found.path == wanted:
                return found
        raise MountpathNotFoundError(
            f'mountpath "{path}" does not exist', hint="see: ais storage mountpath show"
        )

    def add(self, path: str, home_id: str) -> None:
        """Begin to use a directory. See `Transport.add_mountpath`."""
        path = _checked_path(path)
        with self._database.write(sync=True) as connection:
            connection.cache.clear()
            for other in self.all().values():
                if other.path == path:
                    raise AlreadyExistsError(f'mountpath "{path}" already exists')
                if _is_nested(path, other.path):
                    raise InvalidArgumentError(f'mountpath "{path}" nests with "{other.path}"')
            try:
                if not os.path.isdir(path):
                    raise InvalidArgumentError(
                        f'mountpath "{path}" is not a directory', hint="create it first"
                    )
                if not _is_free(path, home_id):
                    raise InvalidArgumentError(
                        f'mountpath "{path}" is not empty', hint="give it a directory of its own"
                    )
                self._enter(connection, path, home_id)
            except OSError as exc:
                raise storage_error(exc, path) from exc

    def add_default(self, path: str, home_id: str) -> None:
        """Make and enter the first mountpath of a new home, unless another process was faster."""
        with self._database.write(sync=True) as connection:
            connection.cache.clear()
            if self.all():
                return
            try:
                os.makedirs(path, mode=0o700, exist_ok=True)
                self._enter(connection, path, home_id)
            except OSError as exc:
                raise storage_error(exc, path) from exc

    def set_state(self, path: str, state: MountpathState) -> None:
        """Enable, disable, or begin to drain.

        Enabling also claims a mountpath whose label names another place of this home: the home has been moved. Whoever
        has copied the home instead must not do that, for the original still uses the mountpath.
        """
        found = self.by_path(path)
        try:
            if state is MountpathState.ENABLED and _read_label(found.path) == found.label:
                self._write_label(found.path, self.node_id, found.label)
        except OSError as exc:
            raise storage_error(exc, path) from exc
        with self._database.write(sync=True) as connection:
            others = connection.execute(
                "SELECT count(*) FROM mountpaths WHERE id != ? AND state = ?",
                (found.id, MountpathState.ENABLED.value),
            ).fetchone()[0]
            if state is not MountpathState.ENABLED and not others:
                raise InvalidArgumentError(
                    f'mountpath "{path}" is the last one that is enabled',
                    hint="add another one first",
                )
            connection.execute(
                "UPDATE mountpaths SET state = ? WHERE id = ?", (state.value, found.id)
            )
            connection.cache.clear()
        self._labels.clear()

    def forget(self, mountpath: Mountpath) -> bool:
        """Remove a mountpath from the index if it is empty, then its label and directories from the disk.

        True when it is not part of the home any more, whoever has removed it. A write that is still in flight there
        finds at its commit that the mountpath is gone, and fails.
        """
        with self._database.write(sync=True) as connection:
            deleted = connection.execute(
                "DELETE FROM mountpaths WHERE id = ? AND NOT EXISTS "
                "(SELECT 1 FROM pieces WHERE mountpath_id = ?)",
                (mountpath.id, mountpath.id),
            ).rowcount
            connection.cache.clear()
        if not deleted:
            return mountpath.id not in self.all()
        # What is left behind by a crash here is a labelled directory that nothing refers to.
        with self._database.write() as connection:
            # Nobody adds it at the same time; who has added it again has its label and directories now.
            connection.cache.clear()
            if mountpath.path not in {other.path for other in self._known().values()}:
                shutil.rmtree(pieces_root(mountpath.path), ignore_errors=True)
                if os.path.exists(label_path(mountpath.path)):
                    os.unlink(label_path(mountpath.path))
        return True

    def infos(self) -> list[MountpathInfo]:
        """What `Transport.mountpaths` answers."""
        counts: dict[int, int] = dict(
            self._database.connection()
            .execute("SELECT mountpath_id, count(*) FROM pieces GROUP BY mountpath_id")
            .fetchall()
        )
        infos = []
        for mountpath in self.all().values():
            used = total = 0
            state = mountpath.state
            try:
                if state is not MountpathState.MISSING:
                    usage = shutil.disk_usage(mountpath.path)
                    # What only the superuser may fill counts as used: no object gets it.
                    used, total = usage.total - usage.free, usage.total
            except OSError:
                state = MountpathState.MISSING
            infos.append(
                MountpathInfo(
                    path=mountpath.path,
                    state=state,
                    disk_used=used,
                    disk_total=total,
                    piece_count=counts.get(mountpath.id, 0),
                )
            )
        return infos

    def fullest_pct(self) -> int:
        """How full the fullest disk is, in percent; 0 when none can be looked at."""
        fullest = 0
        for mountpath in self.all().values():
            try:
                usage = shutil.disk_usage(mountpath.path)
            except OSError:
                continue  # missing
            fullest = max(fullest, 100 * (usage.total - usage.free) // max(usage.total, 1))
        return fullest

    def disk_total(self) -> int:
        """Bytes of all disks under the mountpaths, each disk once."""
        sizes: dict[int, int] = {}
        for mountpath in self.all().values():
            try:
                device = os.stat(mountpath.path).st_dev
                sizes[device] = shutil.disk_usage(mountpath.path).total
            except OSError:
                continue  # missing
        return sum(sizes.values())

    def _load(self, connection: Connection) -> dict[int, Mountpath]:
        rows = connection.execute("SELECT id, label, path, state FROM mountpaths ORDER BY id")
        found = {}
        for mountpath_id, label, stored, state in rows.fetchall():
            path = self._resolve(stored)
            actual = (
                MountpathState(state) if self._has_label(label, path) else MountpathState.MISSING
            )
            location = f"t[{self.node_id}]:mp[{path}]"
            found[mountpath_id] = Mountpath(mountpath_id, label, path, actual, location)
        return found

    def _resolve(self, stored: str) -> str:
        """A mountpath inside the home is stored relative to it, so that a copy of the home has its own."""
        return stored if stored.startswith("/") else f"{self._home}/{stored}"

    def _has_label(self, label: str, path: str) -> bool:
        # Every commit of another process empties the row cache; the disks are not looked at that often.
        now = time.monotonic()
        checked, is_there = self._labels.get(label, (-LABEL_CHECK_S, False))
        if now - checked >= LABEL_CHECK_S:
            is_there = self._is_ours(label, path)
            self._labels[label] = (now, is_there)
        return is_there

    def _is_ours(self, label: str, path: str) -> bool:
        """The label is there, and says that this home, in this place, owns it: a copy of the home does not."""
        if _read_label(path) != label:
            return False
        return path.startswith(f"{self._home}/") or _read_label(path, "home_path") == self._home

    def _enter(self, connection: Connection, path: str, home_id: str) -> None:
        # Label before row: a crash in between leaves a label that nothing refers to, never a row without a label.
        label = secrets.token_hex(8)
        os.makedirs(pieces_root(path), mode=0o700, exist_ok=True)
        self._write_label(path, home_id, label)
        inside = path.removeprefix(f"{self._home}/")
        connection.execute(
            "INSERT INTO mountpaths (label, path, state) VALUES (?, ?, ?)",
            (label, inside, MountpathState.ENABLED.value),
        )
        connection.cache.clear()

    def _write_label(self, path: str, home_id: str, label: str) -> None:
        fields = {"home": home_id, "mountpath": label, "home_path": self._home}
        content = json.dumps(fields).encode()
        temporary = f"{label_path(path)}.{secrets.token_hex(4)}"
        fd = self._files.create(temporary)
        try:
            try:
                write_all(self._files.write, fd, content)
                self._files.fsync(fd)
            finally:
                self._files.close(fd)
            os.replace(temporary, label_path(path))
            self._files.fsync_dir(path)
        except BaseException:
            with suppress(FileNotFoundError):
                os.unlink(temporary)
            raise


def _read_label(path: str, field: str = "mountpath") -> str | None:
    try:
        with open(label_path(path), "rb") as file:
            content = json.load(file)
    except (OSError, ValueError):
        return None
    return content.get(field) if isinstance(content, dict) else None


def _is_free(path: str, home_id: str) -> bool:
    """True for an empty directory, and for one that an attempt to add it to this home left half made."""
    for name in os.listdir(path):
        if name == LABEL_NAME:
            if _read_label(path, "home") not in {home_id, None}:
                return False
        elif name == "pieces":
            if os.listdir(pieces_root(path)):
                return False
        elif name != "lost+found" and not name.startswith(f"{LABEL_NAME}."):
            return False
    return True


def _checked_path(path: str) -> str:
    clean = path.rstrip("/")
    if not path.startswith("/") or not clean or os.path.normpath(clean) != clean:
        raise InvalidArgumentError(
            f'mountpath "{path}" is invalid: expected an absolute path other than "/", without ".."'
        )
    if len(clean) > MOUNTPATH_PATH_MAX:
        raise InvalidArgumentError(
            f'mountpath "{path}" has {len(clean)} characters, the limit is {MOUNTPATH_PATH_MAX}'
        )
    return clean


def _is_nested(one: str, other: str) -> bool:
    return one.startswith(f"{other}/") or other.startswith(f"{one}/")
