"""Power cuts: what was not synced is dropped, at every point of durable operations.

`CrashFiles` does the real calls and keeps a journal: how much of each file, and which directory entries, are known to
be on disk. At every call the state of the disk after a power cut at that moment is made in another directory, with
the index as SQLite has it then, and the home is opened there. Everything acknowledged until then must be there.
"""

import os
import shutil
import sqlite3
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tests.fault.support import (
    BUCKET,
    KIB,
    OTHER,
    VERIFIED,
    FaultyFiles,
    contents_of,
    members,
    open_store,
    push,
    put,
    put_many,
    put_pieces,
    upload,
)

from aiscore.engine.store import Store
from aiscore.errors import AisError
from aiscore.model.bucket import BucketRef
from aiscore.model.chunks import RechunkOptions
from aiscore.model.multipart import CompleteOptions, PartOptions, PartRef, UploadOptions
from aiscore.model.objects import ArchivePutMode, ListOptions
from aiscore.testing.content import pattern


@dataclass
class CrashFiles(FaultyFiles):
    """The real calls, with a journal of what a power cut would leave."""

    synced_size: dict[int, int] = field(default_factory=dict)
    """Bytes on disk, by inode; a file that was never synced has none."""
    durable_entries: set[str] = field(default_factory=set)
    """Paths whose directory was synced after they were made."""
    durable_directories: set[str] = field(default_factory=set)
    before_call: Callable[[], None] | None = None

    def _hit(self, name: str) -> bool:
        if self.before_call is not None and name not in {
            "pread",
            "preadv",
            "size",
            "size_of",
            "open",
        }:
            self.before_call()
        return False

    def fsync(self, fd: int) -> None:
        super().fsync(fd)
        found = os.fstat(fd)
        self.synced_size[found.st_ino] = found.st_size

    def fsync_dir(self, path: str) -> None:
        super().fsync_dir(path)
        for entry in os.scandir(path):
            if entry.is_dir():
                self.durable_directories.add(entry.path)
            else:
                self.durable_entries.add(entry.path)

    def truncate(self, fd: int, size: int) -> None:
        super().truncate(fd, size)
        inode = os.fstat(fd).st_ino
        self.synced_size[inode] = min(self.synced_size.get(inode, 0), size)

    def create(self, path: str) -> int:
        fd = super().create(path)
        self.synced_size[os.fstat(fd).st_ino] = 0
        return fd


class PowerCuts:
    """Makes and checks the state after a power cut at each call of a store's operations."""

    def __init__(self, tmp_path: Path, *, drop_directories: bool = False) -> None:
        self.home = str(tmp_path / "home")
        self._after = str(tmp_path / "after")
        self._drop_directories = drop_directories
        self._lock = threading.Lock()
        self.files = CrashFiles()
        self.acknowledged: dict[str, bytes] = {}
        self.pending: dict[str, bytes | None] = {}
        self.problems: list[str] = []
        self.count = 0
        self.store = open_store(self.home, self.files)
        self.store.create_bucket(BUCKET)
        self.store.set_config({"store.durable": "true"})
        self._settled = self._existing()

    def start(self) -> None:
        """What exists now counts as being on disk."""
        self._settled = self._existing()
        for path in self._settled:
            if os.path.isfile(path):
                self.files.durable_entries.add(path)
                found = os.stat(path)
                self.files.synced_size[found.st_ino] = found.st_size
            else:
                self.files.durable_directories.add(path)
        self.files.before_call = self.cut

    def run(self, operation: Callable[[], object], changes: dict[str, bytes | None]) -> None:
        """Run and acknowledge; a cut during it may show the old or the new state of `changes`."""
        self.pending = changes
        operation()
        for name, data in changes.items():
            if data is None:
                self.acknowledged.pop(name, None)
            else:
                self.acknowledged[name] = data
        self.pending = {}
        self.cut()

    def cut(self) -> None:
        """The power fails now."""
        with self._lock:  # chunks are synced beside the writing of others
            self.count += 1
            self._materialise()
            try:
                store = open_store(self._after)
            except AisError as exc:
                self.problems.append(f"cut {self.count}: does not open: {exc!r}")
                return
            try:
                self._check(store)
            finally:
                store.close()

    def _existing(self) -> set[str]:
        found: set[str] = set()
        for directory, names, files in os.walk(f"{self.home}/mp"):
            found.update(f"{directory}/{name}" for name in [*names, *files])
        return found

    def _materialise(self) -> None:
        shutil.rmtree(self._after, ignore_errors=True)
        os.makedirs(self._after)
        for name in ("index.db", "index.db-wal", "reserve"):
            if os.path.exists(f"{self.home}/{name}"):
                shutil.copyfile(f"{self.home}/{name}", f"{self._after}/{name}")
        for directory, _, files in os.walk(f"{self.home}/mp"):
            if self._drop_directories and not self._is_durable_directory(directory):
                continue
            target = self._after + directory[len(self.home) :]
            os.makedirs(target, exist_ok=True)
            for name in files:
                self._copy(f"{directory}/{name}", f"{target}/{name}")
        connection = sqlite3.connect(f"{self._after}/index.db")
        connection.execute("UPDATE mountpaths SET path = ?", (f"{self._after}/mp",))
        connection.commit()
        connection.close()

    def _is_durable_directory(self, directory: str) -> bool:
        return directory == f"{self.home}/mp" or directory in self.files.durable_directories

    def _copy(self, source: str, target: str) -> None:
        if "/pieces/" not in source:
            shutil.copyfile(source, target)
            return
        if source not in self.files.durable_entries:
            return  # the name itself is lost
        shutil.copyfile(source, target)
        synced = self.files.synced_size.get(os.stat(source).st_ino, 0)
        os.truncate(target, min(synced, os.path.getsize(target)))

    def _check(self, store: Store) -> None:
        where = f"cut {self.count}"
        expected = dict(self.acknowledged)
        names = {entry.name for entry in store.list_page(BUCKET, ListOptions()).entries}
        for name in names | expected.keys():
            allowed: list[bytes | None] = [expected.get(name)]
            if name in self.pending:
                allowed.append(self.pending[name])
            try:
                data: bytes | None = store.read(BUCKET, name, VERIFIED) if name in names else None
            except AisError as exc:
                self.problems.append(f"{where}: {name}: {exc}")
                continue
            if data not in allowed:
                self.problems.append(f"{where}: {name}: neither old nor new")
        if faults := store.validate(None, "").faults:
            self.problems.append(f"{where}: {faults[0]}")


def test_durable_operations_survive_a_power_cut_at_every_call(tmp_path: Path) -> None:
    cuts = PowerCuts(tmp_path)
    store = cuts.store
    cuts.start()
    for number in range(4):
        data = pattern(3_000, number)
        cuts.run(lambda n=number, d=data: put(store, f"o{n}", d), {f"o{number}": data})  # type: ignore[misc]
    new = pattern(9_000, 9)
    cuts.run(lambda: put(store, "o1", new), {"o1": new})
    pushed = pattern(700_000, 10)
    cuts.run(lambda: push(store, "o6", pushed), {"o6": pushed})
    group = {"o1": pattern(2_000, 11), "g1": b"", "g2": pattern(5_000, 12)}
    cuts.run(lambda: put_many(store, group), {**group})
    cuts.run(lambda: store.delete(BUCKET, "o2", None), {"o2": None})
    cuts.run(lambda: store.rename(BUCKET, "o3", "o4"), {"o3": None, "o4": pattern(3_000, 3)})
    cuts.run(lambda: store.copy(BUCKET, "o1", BUCKET, "o5"), {"o5": group["o1"]})

    def append() -> None:
        handle = store.append(BUCKET, "grown", b"one ", "")
        store.append(BUCKET, "grown", b"two", handle)
        store.flush_append(BUCKET, "grown", handle, None)

    cuts.run(append, {"grown": b"one two"})
    cuts.files.before_call = None
    assert contents_of(store) == cuts.acknowledged
    store.close()
    assert cuts.count > 30
    assert not cuts.problems, "\n".join(cuts.problems)


def test_a_durable_object_of_many_pieces_survives_a_power_cut(tmp_path: Path) -> None:
    """Every piece must be synced, not only the last."""
    cuts = PowerCuts(tmp_path)
    store = cuts.store
    data = pattern(7 * KIB + 5, 1)
    cuts.start()
    cuts.run(lambda: put_pieces(store, "c", data, KIB) and None, {"c": data})
    cuts.files.before_call = None
    store.close()
    assert not cuts.problems, "\n".join(cuts.problems)


def test_a_durable_upload_survives_a_power_cut_at_every_call(tmp_path: Path) -> None:
    """Parts too: what was acknowledged of them can be completed afterwards."""
    cuts = PowerCuts(tmp_path)
    store = cuts.store
    cuts.start()
    parts = [pattern(3_000 + number, number) for number in range(3)]
    data = b"".join(parts)
    cuts.run(lambda: upload(store, "c", parts, again=2), {"c": data})
    changes = {
        "chunks.objsize_limit": "2KiB",
        "chunks.chunk_size": "1KiB",
        "chunks.checkpoint_every": "2",
    }
    store.set_bucket_props(BUCKET, changes)
    cuts.run(lambda: put(store, "k", data), {"k": data})
    cuts.run(lambda: store.rechunk_bucket(BUCKET, RechunkOptions(objsize_limit=0)), {})
    cuts.run(lambda: store.rechunk_bucket(BUCKET, RechunkOptions()), {})
    cuts.files.before_call = None
    store.close()
    assert cuts.count > 30
    assert not cuts.problems, "\n".join(cuts.problems)


def test_an_upload_of_what_was_not_durable_survives_a_power_cut(tmp_path: Path) -> None:
    """Its parts were written before anybody asked for more than a live process."""
    cuts = PowerCuts(tmp_path)
    store = cuts.store
    cuts.start()
    cuts.files.before_call = None
    store.set_config({"store.durable": "false"})
    data = pattern(5 * KIB, 1)
    upload_id = store.create_upload(BUCKET, "o", UploadOptions())
    store.put_part(BUCKET, "o", upload_id, 1, data, PartOptions())
    store.put_part(BUCKET, "o", upload_id, 2, data, PartOptions())
    store.set_config({"store.durable": "true"})
    refs = [PartRef(number=1), PartRef(number=2)]
    store.complete_upload(BUCKET, "o", upload_id, refs, CompleteOptions())
    cuts.acknowledged["o"] = data + data
    cuts.cut()
    store.close()
    assert not cuts.problems, "\n".join(cuts.problems)


def test_a_durable_shard_survives_a_power_cut(tmp_path: Path) -> None:
    cuts = PowerCuts(tmp_path)
    store = cuts.store
    store.put_members(BUCKET, "t.tar", members({"a": b"1"}), ArchivePutMode.CREATE, None)
    cuts.acknowledged["t.tar"] = store.read(BUCKET, "t.tar", VERIFIED)
    cuts.start()
    cuts.files.before_call = None
    store.put_members(BUCKET, "t.tar", members({"b": b"2"}), ArchivePutMode.APPEND, None)
    cuts.acknowledged["t.tar"] = store.read(BUCKET, "t.tar", VERIFIED)
    cuts.cut()
    store.close()
    assert not cuts.problems, "\n".join(cuts.problems)


@pytest.mark.parametrize("chunked", [False, True])
def test_a_durable_copy_of_what_was_not_durable_survives_a_power_cut(
    tmp_path: Path, chunked: bool
) -> None:
    """A hard link shares the data of its source, which nobody has synced yet."""
    cuts = PowerCuts(tmp_path)
    store = cuts.store
    store.create_bucket(OTHER)
    cuts.start()
    cuts.files.before_call = None
    store.set_config({"store.durable": "false"})
    data = pattern(5 * KIB, 1)
    if chunked:
        put_pieces(store, "o", data, KIB, OTHER)
    else:
        put(store, "o", data, OTHER)
    store.set_config({"store.durable": "true"})
    store.copy(OTHER, "o", BUCKET, "copy")
    cuts.acknowledged["copy"] = data
    store.destroy_bucket(BucketRef("other"))
    cuts.cut()
    store.close()
    assert not cuts.problems, "\n".join(cuts.problems)


def test_new_piece_directories_survive_a_power_cut(tmp_path: Path) -> None:
    """The first piece of each of the 256 directories: its parent must be synced too."""
    cuts = PowerCuts(tmp_path, drop_directories=True)
    store = cuts.store
    cuts.files.durable_directories.add(f"{cuts.home}/mp/pieces")
    cuts.start()
    data = pattern(3_000, 1)
    cuts.run(lambda: put(store, "first", data), {"first": data})
    cuts.files.before_call = None
    store.close()
    assert not cuts.problems, "\n".join(cuts.problems)


def test_an_emptied_mountpath_survives_a_power_cut(tmp_path: Path) -> None:
    """Evacuation syncs what it moved before it lets go of the source, whatever the bucket says."""
    cuts = PowerCuts(tmp_path)
    store = cuts.store
    second = str(tmp_path / "second")
    os.makedirs(second)
    store.add_mountpath(second)
    contents = {f"o{number}": pattern(2_000, number) for number in range(8)}
    for name, data in contents.items():
        put(store, name, data)
    cuts.start()
    cuts.files.before_call = None
    store.remove_mountpath(second)
    cuts.acknowledged = contents
    cuts.cut()
    store.close()
    assert not cuts.problems, "\n".join(cuts.problems)
