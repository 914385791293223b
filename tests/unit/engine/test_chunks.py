"""Chunks, uploads and rechunk, as far as only the engine and its disks show it."""

import errno
import os
import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path

import pytest
import xxhash

from aiscore.engine import multipart
from aiscore.engine.fileio import OsFiles
from aiscore.engine.index.objects import select_object
from aiscore.engine.layout import piece_path
from aiscore.engine.rechunk import _Throttle
from aiscore.engine.store import Store
from aiscore.engine.syncing import SYNCS_MAX
from aiscore.errors import (
    BusyError,
    CorruptionError,
    InvalidArgumentError,
    NotFoundError,
    StorageError,
    XactionAbortedError,
)
from aiscore.model.archive import ArchiveFormat
from aiscore.model.batch import BatchEntry, BatchRequest
from aiscore.model.bucket import BucketRef
from aiscore.model.byterange import ByteRange
from aiscore.model.checksum import ChecksumType
from aiscore.model.chunks import RechunkOptions, RechunkResult
from aiscore.model.multipart import CompleteOptions, PartOptions, PartRef, UploadOptions
from aiscore.model.objects import GetOptions, PutOptions
from aiscore.model.storage import FaultKind, MountpathState
from aiscore.model.xaction import XactionFilter, XactionKind, XactionState
from aiscore.testing.archives import build
from aiscore.testing.content import checksum_of, pattern

BUCKET = BucketRef("b")
KIB = 1024
CHUNKED = {"chunks.objsize_limit": "4KiB", "chunks.chunk_size": "1KiB"}
GET = GetOptions()
VERIFIED = GetOptions(verify_checksum=True)
PUT = PutOptions()
PART = PartOptions()
DATA = pattern(12 * KIB)
IN_CHUNKS = RechunkOptions(objsize_limit=4 * KIB, chunk_size=2 * KIB)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(str(tmp_path / "home"))
    opened.create_bucket(BUCKET, CHUNKED)
    yield opened
    if not opened.core.is_closed:
        assert opened.validate(None, "").faults == ()
        opened.close()


def add_disks(store: Store, tmp_path: Path, count: int) -> None:
    for number in range(count):
        (tmp_path / f"disk{number}").mkdir()
        store.add_mountpath(str(tmp_path / f"disk{number}"))


def chunk_paths(store: Store, name: str) -> list[str]:
    row = store.core.bucket(BUCKET, 0)
    rows = (
        store.core.connection()
        .execute(
            "SELECT m.mountpath_id, m.piece_id FROM manifests m JOIN objects o "
            "ON o.piece_id = m.manifest_id WHERE o.bucket_id = ? AND o.name = ? ORDER BY number",
            (row.id, name),
        )
        .fetchall()
    )
    mountpaths = store.core.mountpaths.all()
    return [piece_path(mountpaths[mountpath].path, piece) for mountpath, piece in rows]


def piece_files(store: Store) -> set[str]:
    return {
        f"{directory}/{name}"
        for mountpath in store.core.mountpaths.all().values()
        for directory, _, names in os.walk(f"{mountpath.path}/pieces")
        for name in names
    }


def assert_checksums(store: Store, name: str, *, has_any: bool) -> None:
    paths = chunk_paths(store, name)
    assert len(paths) > 1
    for path in paths:
        query = "SELECT checksum FROM manifests WHERE piece_id = ?"
        piece_id = int(Path(path).name, 16)
        (found,) = store.core.connection().execute(query, (piece_id,)).fetchone()
        assert found == (xxhash.xxh3_64_hexdigest(Path(path).read_bytes()) if has_any else "")


def flip(path: str, offset: int = 100) -> None:
    with open(path, "r+b") as file:
        file.seek(offset)
        byte = file.read(1)
        file.seek(offset)
        file.write(bytes([byte[0] ^ 1]))


def complete(store: Store, name: str, upload: str, count: int) -> None:
    refs = [PartRef(number=number) for number in range(1, count + 1)]
    store.complete_upload(BUCKET, name, upload, refs, CompleteOptions())


class TestPlacement:
    def test_chunks_are_spread_evenly(self, store: Store, tmp_path: Path) -> None:
        add_disks(store, tmp_path, 2)
        firsts = set()
        for number in range(40):
            store.put(BUCKET, f"o{number}", DATA, PUT)
            chunks = store.list_chunks(BUCKET, f"o{number}")
            assert [chunk.offset for chunk in chunks] == list(range(0, 12 * KIB, KIB))
            assert Counter(Counter(chunk.location for chunk in chunks).values()) == {4: 3}
            firsts.add(chunks[0].location)
            assert store.read(BUCKET, f"o{number}", VERIFIED) == DATA
        assert len(firsts) > 1
        assert firsts == {found.location for found in store.core.mountpaths.all().values()}

    def test_parts_are_spread_too(self, store: Store, tmp_path: Path) -> None:
        add_disks(store, tmp_path, 1)
        upload = store.create_upload(BUCKET, "o", UploadOptions())
        for number in range(1, 9):
            store.put_part(BUCKET, "o", upload, number, pattern(500, number), PART)
        complete(store, "o", upload, 8)
        locations = Counter(chunk.location for chunk in store.list_chunks(BUCKET, "o"))
        assert sorted(locations.values()) == [4, 4]

    def test_a_mountpath_with_chunks_and_parts_can_go(self, store: Store, tmp_path: Path) -> None:
        add_disks(store, tmp_path, 1)
        store.put(BUCKET, "o", DATA, PUT)
        upload = store.create_upload(BUCKET, "p", UploadOptions())
        sent = [
            store.put_part(BUCKET, "p", upload, number, pattern(500, number), PART)
            for number in (1, 2, 3, 4)
        ]
        store.remove_mountpath(str(tmp_path / "disk0"))
        assert store.read(BUCKET, "o", VERIFIED) == DATA
        assert store.list_parts(BUCKET, "p", upload, 0, 100) == sent
        complete(store, "p", upload, 4)
        expected = b"".join(pattern(500, number) for number in (1, 2, 3, 4))
        assert store.read(BUCKET, "p", VERIFIED) == expected

    @pytest.mark.parametrize("size", [100, len(DATA)])
    def test_a_disk_goes_between_finding_an_object_and_opening_it(
        self, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
    ) -> None:
        def take(path: str) -> None:
            known = store.core.mountpaths
            readable = known.readable

            def late(mountpath_id: int) -> str:
                monkeypatch.setattr(known, "readable", readable)
                store.remove_mountpath(path)
                return readable(mountpath_id)

            monkeypatch.setattr(known, "readable", late)

        reads: list[Callable[[str], object]] = [
            lambda name: store.read(BUCKET, name, GET),
            lambda name: store.read(BUCKET, name, VERIFIED),
            lambda name: b"".join(store.open(BUCKET, name, GET)),
            lambda name: store.glance(BUCKET, name, len(DATA)).data,
        ]
        for number, read in enumerate(reads):
            disk = tmp_path / f"disk{number}"
            disk.mkdir()
            store.add_mountpath(str(disk))
            there = {found.id for found in store.core.mountpaths.all().values()}
            for name in (f"o{n}" for n in range(100)):
                store.put(BUCKET, name, DATA[:size], PUT)
                row = select_object(store.core.connection(), store.core.bucket(BUCKET, 0).id, name)
                assert row is not None
                if row.mountpath_id == max(there):
                    break
            take(str(disk))
            assert read(name) == DATA[:size]
            assert max(there) not in store.core.mountpaths.all()

    @pytest.mark.parametrize("inside", ["", "home/"])
    def test_a_disk_that_was_taken_again_is_not_cleared(
        self, store: Store, tmp_path: Path, inside: str
    ) -> None:
        disk = f"{tmp_path}/{inside}disk"
        Path(disk).mkdir()
        store.add_mountpath(disk)
        old = store.core.mountpaths.by_path(disk)
        store.remove_mountpath(disk)
        store.add_mountpath(disk)
        for number in range(20):
            store.put(BUCKET, f"o{number}", DATA, PUT)
        # Another process that has waited until it was empty goes on only now.
        assert store.core.mountpaths.forget(old)
        for number in range(20):
            assert store.read(BUCKET, f"o{number}", VERIFIED) == DATA
        assert all(info.state is MountpathState.ENABLED for info in store.mountpaths())

    def test_a_disk_goes_while_pieces_are_moved_to_it(
        self, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        add_disks(store, tmp_path, 2)
        for number in range(100):
            store.put(BUCKET, f"o{number}", DATA[:100], PUT)
        files = store.core.files
        create = files.create

        def late(path: str) -> int:
            fd = create(path)
            if path.startswith(f"{tmp_path}/disk1/"):
                monkeypatch.setattr(files, "create", create)
                store.remove_mountpath(str(tmp_path / "disk1"))
            return fd

        monkeypatch.setattr(files, "create", late)
        store.remove_mountpath(str(tmp_path / "disk0"))
        assert files.create == create, "it was moved to"
        assert len(store.mountpaths()) == 1
        for number in range(100):
            assert store.read(BUCKET, f"o{number}", VERIFIED) == DATA[:100]

    @pytest.mark.parametrize("when", ["before it is opened", "before it is locked"])
    @pytest.mark.parametrize("is_flush", [False, True])
    def test_a_disk_goes_under_an_append(
        self,
        store: Store,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        when: str,
        is_flush: bool,
    ) -> None:
        add_disks(store, tmp_path, 1)
        disk = str(tmp_path / "disk0")
        for number in range(100):
            name = f"o{number}"
            handle = store.append(BUCKET, name, b"first ", "")
            query = "SELECT mountpath_id FROM appends WHERE handle = ?"
            (there,) = store.core.connection().execute(query, (handle,)).fetchone()
            if store.core.mountpaths.all()[there].path.startswith(disk):
                break
        files = store.core.files
        open_write = files.open_write

        def late(path: str) -> int:
            monkeypatch.setattr(files, "open_write", open_write)
            if when == "before it is opened":
                store.remove_mountpath(disk)
                return open_write(path)
            fd = open_write(path)
            store.remove_mountpath(disk)
            return fd

        monkeypatch.setattr(files, "open_write", late)
        if not is_flush:
            assert store.append(BUCKET, name, b"second", handle) == handle
        store.flush_append(BUCKET, name, handle, None)
        assert store.read(BUCKET, name, VERIFIED) == (b"first " if is_flush else b"first second")

    def test_copies_share_their_chunks(self, store: Store) -> None:
        store.put(BUCKET, "o", DATA, PUT)
        store.copy(BUCKET, "o", BUCKET, "p")
        for one, other in zip(chunk_paths(store, "o"), chunk_paths(store, "p"), strict=True):
            assert os.path.samefile(one, other)


class SlowSyncs(OsFiles):
    """Tells how many files are being synced at the same time."""

    def __init__(self) -> None:
        self.now = self.most = self.count = 0
        self.fail_at = 0
        self._lock = threading.Lock()

    def fsync(self, fd: int) -> None:  # type: ignore[override]  # a counting stand-in for a builtin
        with self._lock:
            self.count += 1
            number = self.count
            self.now += 1
            self.most = max(self.most, self.now)
        time.sleep(0.01)
        with self._lock:
            self.now -= 1
        if number == self.fail_at:
            raise OSError(errno.EIO, "broken")
        os.fsync(fd)


class TestSyncs:
    def test_chunks_are_synced_beside_the_writing_of_others(self, tmp_path: Path) -> None:
        files = SlowSyncs()
        store = Store(str(tmp_path / "home"), files)
        store.create_bucket(BUCKET, {**CHUNKED, "features": "Fsync-PUT"})
        add_disks(store, tmp_path, 2)
        files.count = 0
        store.put(BUCKET, "o", DATA, PUT)
        assert files.count == 12
        assert 2 <= files.most <= SYNCS_MAX + 1
        assert store.read(BUCKET, "o", VERIFIED) == DATA
        store.close()

    @pytest.mark.parametrize("number", [1, 6, 12])
    def test_one_that_fails_fails_the_put(self, tmp_path: Path, number: int) -> None:
        files = SlowSyncs()
        store = Store(str(tmp_path / "home"), files)
        store.create_bucket(BUCKET, {**CHUNKED, "features": "Fsync-PUT"})
        store.put(BUCKET, "first", b"", PUT)  # opens what stays open
        store.delete(BUCKET, "first", None)
        files.count, files.fail_at = 0, number
        descriptors = len(os.listdir("/proc/self/fd"))
        with pytest.raises(StorageError, match="ais://b/o"):
            store.put(BUCKET, "o", DATA, PUT)
        assert piece_files(store) == set()
        assert len(os.listdir("/proc/self/fd")) == descriptors
        assert store.validate(None, "").faults == ()
        store.close()


class TestDamage:
    @pytest.mark.parametrize("number", [1, 2, 7, 12])
    def test_missing_and_short_chunks_are_named_before_the_first_byte(
        self, store: Store, number: int
    ) -> None:
        for damage, kind, word in (
            (lambda path: os.truncate(path, 500), FaultKind.SIZE, "500 bytes"),
            (os.unlink, FaultKind.MISSING, "missing"),
        ):
            store.put(BUCKET, "o", DATA, PUT)
            damage(chunk_paths(store, "o")[number - 1])
            with pytest.raises(CorruptionError, match=f"chunk {number}") as info:
                store.open(BUCKET, "o", GET)
            assert word in info.value.message
            assert BUCKET.object_cname("o") in info.value.message
            far = GetOptions(byte_range=ByteRange((number * 7 % 12) * KIB, 1))
            with pytest.raises(CorruptionError, match=f"chunk {number}"):
                store.open(BUCKET, "o", far)
            faults = store.validate(BUCKET, "").faults
            assert [(fault.kind, fault.name) for fault in faults] == [
                (kind, BUCKET.object_cname("o"))
            ]
        store.delete(BUCKET, "o", None)

    @pytest.mark.parametrize("number", [1, 5, 12])
    def test_damaged_chunk_is_named(self, store: Store, number: int) -> None:
        store.put(BUCKET, "o", DATA, PUT)
        flip(chunk_paths(store, "o")[number - 1])
        with pytest.raises(CorruptionError, match=f"chunk {number} of ais://b/o"):
            store.open(BUCKET, "o", VERIFIED)
        with pytest.raises(CorruptionError, match=f"chunk {number} of ais://b/o"):
            store.read(BUCKET, "o", VERIFIED)
        (fault,) = store.validate(BUCKET, "").faults
        assert f"chunk {number} of" in fault.detail
        store.delete(BUCKET, "o", None)

    @pytest.mark.parametrize("kind", ["xxhash2", "md5", "none"])
    def test_each_chunk_has_its_own_checksum(self, store: Store, kind: str) -> None:
        """However it was written, XXH3-64 whatever the object has; none where that has none."""
        changes = {
            "checksum.type": kind,
            "chunks.checkpoint_every": "3",
            "chunks.chunk_size": "400000",
            "chunks.objsize_limit": "400000",
        }
        store.set_bucket_props(BUCKET, changes)
        large = pattern(3 << 20)
        store.put(BUCKET, "bytes", [large], PUT)
        with store.open_writer(BUCKET, "lent", PUT) as writer:
            for start in range(0, len(large), 300_000):
                writer.write(memoryview(bytearray(large[start : start + 300_000])))
            writer.commit()
        upload = store.create_upload(BUCKET, "parts", UploadOptions())
        store.put_part(BUCKET, "parts", upload, 1, large, PART)
        part = store.put_part(BUCKET, "parts", upload, 2, DATA, PART)
        if kind != "none":
            assert part.checksum == checksum_of(ChecksumType(kind), DATA)
        complete(store, "parts", upload, 2)
        store.create_bucket(other := BucketRef("whole"), {"checksum.type": kind})
        store.put(other, "o", large, PUT)
        store.copy(other, "o", BUCKET, "copied")
        for name in ("bytes", "lent", "parts", "copied"):
            assert_checksums(store, name, has_any=kind != "none")
            assert store.read(BUCKET, name, VERIFIED).startswith(large)
        store.rechunk_bucket(BUCKET, RechunkOptions(objsize_limit=1, chunk_size=300_000))
        for name in ("bytes", "lent", "parts", "copied"):
            assert_checksums(store, name, has_any=kind != "none")

    @pytest.mark.parametrize("kind", ["flip", "cut", "grow", "unlink"])
    def test_damaged_part_is_found_at_completion_and_can_be_sent_again(
        self, store: Store, kind: str
    ) -> None:
        upload = store.create_upload(BUCKET, "o", UploadOptions())
        before = piece_files(store)
        store.put_part(BUCKET, "o", upload, 1, pattern(900, 1), PART)
        store.put_part(BUCKET, "o", upload, 2, pattern(900, 2), PART)
        (path,) = [p for p in piece_files(store) - before if _content(p) == pattern(900, 2)]
        if kind == "flip":
            flip(path)
        elif kind == "unlink":
            os.unlink(path)
        else:
            os.truncate(path, 500 if kind == "cut" else 1000)
        with pytest.raises(CorruptionError, match="part 2 of upload") as info:
            complete(store, "o", upload, 2)
        assert info.value.hint == "send it again"
        with pytest.raises(NotFoundError):
            store.head(BUCKET, "o")
        store.put_part(BUCKET, "o", upload, 2, pattern(900, 2), PART)
        complete(store, "o", upload, 2)
        assert store.read(BUCKET, "o", VERIFIED) == pattern(900, 1) + pattern(900, 2)

    def test_validate_names_a_missing_part(self, store: Store) -> None:
        upload = store.create_upload(BUCKET, "o", UploadOptions())
        store.put_part(BUCKET, "o", upload, 1, pattern(900, 1), PART)
        for path in piece_files(store):
            os.unlink(path)
        assert [fault.kind for fault in store.validate(None, "").faults] == [FaultKind.MISSING]
        store.abort_upload(BUCKET, "o", upload)

    def test_rechunk_leaves_what_is_damaged_and_does_the_rest(self, store: Store) -> None:
        for name in ("a", "b", "c"):
            store.put(BUCKET, name, DATA, PUT)
        flip(chunk_paths(store, "b")[3])
        damaged = chunk_paths(store, "b")
        with pytest.raises(CorruptionError, match="1 of 3 objects") as info:
            store.rechunk_bucket(BUCKET, IN_CHUNKS)
        assert BUCKET.object_cname("b") in info.value.message
        assert chunk_paths(store, "b") == damaged
        assert store.head(BUCKET, "a").chunk_count == store.head(BUCKET, "c").chunk_count == 6
        (job,) = store.list_xactions(XactionFilter(kind=XactionKind.RECHUNK))
        assert job.state is XactionState.FAILED
        assert job.ext["chunked"] == 2
        store.delete(BUCKET, "b", None)


def _content(path: str) -> bytes:
    return Path(path).read_bytes()


class TestLeavings:
    """Nothing stays behind that no name points at."""

    def test_replaced_and_aborted_parts_are_removed(self, store: Store) -> None:
        upload = store.create_upload(BUCKET, "o", UploadOptions())
        for _ in range(5):
            store.put_part(BUCKET, "o", upload, 1, b"part", PART)
        assert len(piece_files(store)) == 1
        for number in (2, 3):
            store.put_part(BUCKET, "o", upload, number, b"part", PART)
        refs = [PartRef(number=1), PartRef(number=3)]
        store.complete_upload(BUCKET, "o", upload, refs, CompleteOptions(partial=True))
        assert len(piece_files(store)) == 2
        again = store.create_upload(BUCKET, "o", UploadOptions())
        store.put_part(BUCKET, "o", again, 1, b"part", PART)
        store.abort_upload(BUCKET, "o", again)
        assert len(piece_files(store)) == 2
        store.put(BUCKET, "o", b"small", PUT)
        assert len(piece_files(store)) == 1

    def test_rechunk_removes_what_it_replaced(self, store: Store) -> None:
        store.put(BUCKET, "o", DATA, PUT)
        assert len(piece_files(store)) == 12
        store.rechunk_bucket(BUCKET, IN_CHUNKS)
        assert len(piece_files(store)) == 6
        store.rechunk_bucket(BUCKET, RechunkOptions(objsize_limit=0))
        assert len(piece_files(store)) == 1

    def test_uploads_expire_when_nothing_is_added(
        self, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        old = store.create_upload(BUCKET, "old", UploadOptions())
        store.put_part(BUCKET, "old", old, 1, b"part", PART)
        used = store.create_upload(BUCKET, "used", UploadOptions())
        later = time.time_ns() + multipart.UPLOAD_IDLE_MAX_S * 10**9 - 10**9
        monkeypatch.setattr(time, "time_ns", lambda: later)
        store.put_part(BUCKET, "used", used, 1, b"part", PART)
        monkeypatch.setattr(time, "time_ns", lambda: later + 60 * 10**9)
        new = store.create_upload(BUCKET, "x", UploadOptions())
        assert [u.upload_id for u in store.list_uploads(BUCKET, "", None, 10)] == [used, new]
        assert len(piece_files(store)) == 1
        with pytest.raises(NotFoundError, match=old):
            store.put_part(BUCKET, "old", old, 2, b"part", PART)

    def test_part_writers_are_spent_and_leave_nothing(self, store: Store) -> None:
        upload = store.create_upload(BUCKET, "o", UploadOptions())
        with store.open_part_writer(BUCKET, "o", upload, 1, PART) as writer:
            writer.write(b"abandoned")
        with pytest.raises(InvalidArgumentError, match="spent"):
            writer.write(b"more")
        with store.open_part_writer(BUCKET, "o", upload, 1, PART) as writer:
            writer.write(memoryview(b"part"))
            assert writer.size == 4
            assert writer.commit().size == 4
            with pytest.raises(InvalidArgumentError, match="spent"):
                writer.commit()
        with store.open_part_writer(BUCKET, "o", upload, 2, PART) as writer:
            writer.write(b"late")
            store.abort_upload(BUCKET, "o", upload)
            with pytest.raises(NotFoundError, match=upload):
                writer.commit()
        assert piece_files(store) == set()


class TestCheckpoints:
    def test_a_running_put_is_nobody_elses(self, store: Store, tmp_path: Path) -> None:
        store.set_bucket_props(BUCKET, {"chunks.checkpoint_every": "2"})
        with store.open_writer(BUCKET, "o", PUT) as writer:
            for start in range(0, len(DATA), 600):
                writer.write(DATA[start : start + 600])
            upload_id = store.core.connection().execute("SELECT id FROM uploads").fetchone()[0]
            other = Store(str(tmp_path / "home"))
            assert other.list_uploads(BUCKET, "", None, 10) == []
            with pytest.raises(BusyError, match="being written"):
                other.abort_upload(BUCKET, "o", upload_id)
            with pytest.raises(BusyError, match="being written"):
                other.put_part(BUCKET, "o", upload_id, 1, b"part", PART)
            other.close()
            writer.commit()
        assert store.read(BUCKET, "o", VERIFIED) == DATA
        assert len(piece_files(store)) == 12

    def test_an_abort_takes_them_away(self, store: Store) -> None:
        store.set_bucket_props(BUCKET, {"chunks.checkpoint_every": "1"})
        with store.open_writer(BUCKET, "o", PUT) as writer:
            writer.write(DATA)
            assert store.core.connection().execute("SELECT count(*) FROM parts").fetchone()[0]
        assert piece_files(store) == set()
        assert store.core.connection().execute("SELECT * FROM uploads").fetchall() == []

    def test_a_put_whose_bucket_went_fails(self, store: Store) -> None:
        store.set_bucket_props(BUCKET, {"chunks.checkpoint_every": "1"})
        writer = store.open_writer(BUCKET, "o", PUT)
        writer.write(DATA)
        store.destroy_bucket(BUCKET)
        with pytest.raises(NotFoundError):
            writer.commit()
        assert piece_files(store) == set()


class TestRechunkJobs:
    def test_an_overwrite_in_between_wins(self, store: Store) -> None:
        store.put(BUCKET, "o", pattern(200 * KIB), PUT)
        new = pattern(5 * KIB, 1)
        slow = RechunkOptions(objsize_limit=0, bandwidth=400 * KIB)
        results: list[RechunkResult] = []
        thread = threading.Thread(target=lambda: results.append(store.rechunk_bucket(BUCKET, slow)))
        thread.start()
        _until_running(store)
        store.put(BUCKET, "o", new, PUT)
        assert store.read(BUCKET, "o", VERIFIED) == new
        thread.join()
        assert store.read(BUCKET, "o", VERIFIED) == new
        assert store.head(BUCKET, "o").version == "2"
        assert (results[0].objects, results[0].overtaken, results[0].restored) == (1, 1, 0)
        assert len(piece_files(store)) == 5

    def test_metadata_that_changes_in_between_is_kept(self, store: Store) -> None:
        store.put(BUCKET, "o", pattern(100 * KIB), PUT)
        slow = RechunkOptions(objsize_limit=0, bandwidth=200 * KIB)
        thread = threading.Thread(target=lambda: store.rechunk_bucket(BUCKET, slow))
        thread.start()
        _until_running(store)
        store.set_custom(BUCKET, "o", {"k": "v"}, replace=False)
        thread.join()
        props = store.head(BUCKET, "o")
        assert (props.chunk_count, dict(props.custom), props.version) == (1, {"k": "v"}, "1")

    def test_the_same_again_waits_and_others_are_refused(self, store: Store) -> None:
        store.put(BUCKET, "o", pattern(100 * KIB), PUT)
        slow = RechunkOptions(objsize_limit=0, bandwidth=200 * KIB)
        results: list[RechunkResult] = []
        ids: list[str] = []
        thread = threading.Thread(
            target=lambda: results.append(store.rechunk_bucket(BUCKET, slow, ids.append))
        )
        thread.start()
        _until_running(store)
        for other in (IN_CHUNKS, RechunkOptions(objsize_limit=0, prefix="o")):
            with pytest.raises(BusyError, match="other options") as info:
                store.rechunk_bucket(BUCKET, other)
            assert info.value.hint == f"stop it: ais stop {ids[0]}"
        again = store.rechunk_bucket(BUCKET, slow, ids.append)
        thread.join()
        assert again == results[0]
        assert ids[0] == ids[1]
        assert len(store.list_xactions(XactionFilter(kind=XactionKind.RECHUNK))) == 1

    def test_a_stopped_job_goes_on_where_it_was(self, store: Store) -> None:
        for number in range(6):
            store.put(BUCKET, f"o{number}", pattern(40 * KIB, number), PUT)
        slow = RechunkOptions(objsize_limit=0, bandwidth=100 * KIB)
        failures: list[BaseException] = []

        def run() -> None:
            try:
                store.rechunk_bucket(BUCKET, slow)
            except XactionAbortedError as exc:
                failures.append(exc)

        thread = threading.Thread(target=run)
        thread.start()
        deadline = time.monotonic() + 20
        while store.head(BUCKET, "o0").chunk_count > 1:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        store.stop_xactions(XactionFilter(kind=XactionKind.RECHUNK))
        thread.join()
        assert len(failures) == 1
        done = sum(store.head(BUCKET, f"o{n}").chunk_count == 1 for n in range(6))
        assert 1 <= done < 6
        result = store.rechunk_bucket(BUCKET, RechunkOptions(objsize_limit=0))
        assert (result.restored, result.skipped) == (6 - done, done)
        for number in range(6):
            assert store.read(BUCKET, f"o{number}", VERIFIED) == pattern(40 * KIB, number)

    def test_throttle_keeps_the_mean_rate(self) -> None:
        now = 0.0
        slept = 0.0

        def sleep(seconds: float) -> None:
            nonlocal now, slept
            now += seconds
            slept += seconds

        throttle = _Throttle(1_000, lambda: now, sleep)
        for _ in range(100):
            throttle.spent(100)
            now += 0.05  # the work itself
        assert 9.5 <= now <= 10.5
        assert slept == pytest.approx(now - 5, abs=0.5)
        unlimited = _Throttle(0, lambda: now, sleep)
        before = now
        unlimited.spent(1 << 40)
        assert now == before


class TestBatches:
    """Files of a shard in chunks: each chunk is another file, few are open at a time, and who reads holds them all."""

    def test_a_batch_that_is_over_holds_nothing(self, store: Store, tmp_path: Path) -> None:
        add_disks(store, tmp_path, 1)
        shard = build(ArchiveFormat.TAR, [("f", DATA)])
        store.put(BUCKET, "s.tar", shard, PUT)
        with closing(Store(store.core.home)) as other:
            entries = [BatchEntry("s.tar", archpath="f")]
            ((_, data),) = other.get_batch(BatchRequest(entries=entries, bucket=BUCKET))
            assert bytes(data) == DATA
            assert store.rechunk_bucket(BUCKET, IN_CHUNKS).chunked == 1
            store.remove_mountpath(str(tmp_path / "disk0"))
        assert store.read(BUCKET, "s.tar", VERIFIED) == shard

    def test_threads_do_not_read_from_each_others_chunks(self, store: Store) -> None:
        files = {f"f{number}": pattern(300 + number) for number in range(48)}
        store.put(BUCKET, "s.tar", build(ArchiveFormat.TAR, list(files.items())), PUT)
        assert len(store.list_chunks(BUCKET, "s.tar")) > 20

        def read(seed: int) -> None:
            names = list(files)
            random.Random(seed).shuffle(names)
            entries = [BatchEntry("s.tar", archpath=name) for name in names]
            request = BatchRequest(entries=entries, bucket=BUCKET)
            for name, (_, data) in zip(names, store.get_batch(request), strict=True):
                assert bytes(data) == files[name]

        interval = sys.getswitchinterval()
        sys.setswitchinterval(1e-5)
        try:
            with ThreadPoolExecutor(8) as pool:
                assert list(pool.map(read, range(80))) == [None] * 80
        finally:
            sys.setswitchinterval(interval)


def _until_running(store: Store) -> None:
    """Until a rechunk job has begun to write pieces that are not the object's."""
    deadline = time.monotonic() + 20
    known = None
    while time.monotonic() < deadline:
        running = store.list_xactions(XactionFilter(kind=XactionKind.RECHUNK, only_running=True))
        if running:
            with suppress(OSError):
                files = piece_files(store)
                if known is not None and files - known:
                    return
                known = files if known is None else known
                rows = store.core.connection().execute("SELECT count(*) FROM pieces").fetchone()
                if len(files) > rows[0]:
                    return
        time.sleep(0.002)
    raise AssertionError("the job did not begin")
