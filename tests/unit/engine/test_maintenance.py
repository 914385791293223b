"""Jobs that keep a home in order: what they remove, what they leave alone, and that they can be stopped."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from aiscore.engine import lru
from aiscore.engine.layout import piece_path
from aiscore.engine.store import Store
from aiscore.engine.xaction import job as job_module
from aiscore.errors import (
    BucketNotFoundError,
    InvalidArgumentError,
    UnsupportedError,
    XactionAbortedError,
)
from aiscore.model.archive import ArchiveFormat
from aiscore.model.bucket import BucketRef
from aiscore.model.multipart import PartOptions, UploadOptions
from aiscore.model.objects import GetOptions, ListOptions, PutOptions
from aiscore.model.xaction import XactionFilter, XactionKind, XactionState
from aiscore.testing.archives import build
from aiscore.testing.content import pattern

BUCKET, OTHER = BucketRef("b"), BucketRef("other")
HOUR_NS = 3600 * 10**9
PUT = PutOptions()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(str(tmp_path / "home"))
    store.create_bucket(BUCKET)
    store.create_bucket(OTHER)
    yield store
    assert store.validate(None, "").faults == ()
    store.close()


def mountpath(store: Store) -> str:
    return next(iter(store.core.mountpaths.all().values())).path


def names(store: Store, bucket: BucketRef = BUCKET) -> list[str]:
    return [entry.name for entry in store.list_page(bucket, ListOptions()).entries]


class TestCleanup:
    def test_nothing_to_do(self, store: Store) -> None:
        store.put(BUCKET, "o", b"content", PUT)
        upload = store.create_upload(BUCKET, "p", UploadOptions())
        store.put_part(BUCKET, "p", upload, 1, b"part", PartOptions())
        handle = store.append(BUCKET, "q", b"appended", "")
        snap = store.run_job(XactionKind.CLEANUP, None)
        assert (snap.state, snap.objects, snap.size) == (XactionState.FINISHED, 0, 0)
        assert store.read(BUCKET, "o", GetOptions()) == b"content"
        assert len(store.list_parts(BUCKET, "p", upload, 0, 10)) == 1
        store.flush_append(BUCKET, "q", handle, None)

    @pytest.mark.parametrize("force", [False, True])
    def test_files_without_a_row(self, store: Store, force: bool) -> None:
        store.put(BUCKET, "o", b"content", PUT)
        old, young = piece_path(mountpath(store), 77 << 32), piece_path(mountpath(store), 78 << 32)
        for path in (old, young):
            Path(path).parent.mkdir(exist_ok=True)
            Path(path).write_bytes(b"12345")
        long_ago = time.time() - 3 * 3600
        os.utime(old, (long_ago, long_ago))
        snap = store.run_job(XactionKind.CLEANUP, None, force=force)
        assert (snap.objects, snap.size) == ((2, 10) if force else (1, 5))
        assert not os.path.exists(old)
        assert os.path.exists(young) is not force
        if not force:
            os.unlink(young)

    def test_a_stranger_is_left_alone(self, store: Store) -> None:
        stranger = Path(mountpath(store), "pieces", "README")
        stranger.write_text("not ours")
        os.utime(stranger, (0, 0))
        assert store.run_job(XactionKind.CLEANUP, None, force=True).objects == 0
        assert stranger.exists()
        stranger.unlink()

    def test_old_uploads_and_stale_indexes(self, store: Store) -> None:
        upload = store.create_upload(BUCKET, "p", UploadOptions())
        store.put_part(BUCKET, "p", upload, 1, pattern(1000), PartOptions())
        with store.core.database.write() as connection:
            connection.execute("UPDATE uploads SET used_ns = 1")
            connection.execute("INSERT INTO shard_indexes VALUES (123456, '.tar', x'00')")
        snap = store.run_job(XactionKind.CLEANUP, None)
        assert store.list_uploads(BUCKET, "", None, 10) == []
        assert snap.ext["shard_indexes"] == 1


class TestLru:
    def used(self, store: Store, name: str, hours: float, bucket: BucketRef = BUCKET) -> None:
        store.put(bucket, name, pattern(1000), PUT)
        then = time.time_ns() - int(hours * HOUR_NS)
        with store.core.database.write() as connection:
            connection.execute(
                "UPDATE objects SET atime_ns = ?, mtime_ns = ? WHERE name = ?", (then, then, name)
            )
            connection.cache.clear()

    @pytest.fixture(autouse=True)
    def backends(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Buckets as if they had backends, and eviction on in the first."""
        monkeypatch.setattr(lru, "_may_evict", lambda row, *, force: force or row.bucket == BUCKET)

    def full(self, monkeypatch: pytest.MonkeyPatch, excess: int) -> None:
        monkeypatch.setattr(lru, "_excess", lambda core: excess)

    def test_oldest_go_until_it_is_enough(
        self, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name, hours in (("a", 5), ("b", 9), ("c", 7), ("d", 1), ("e", 20)):
            self.used(store, name, hours)
        self.used(store, "f", 99, OTHER)  # eviction is off there
        self.full(monkeypatch, 2500)
        snap = store.run_job(XactionKind.LRU, None)
        assert (snap.objects, snap.size) == (3, 3000)
        assert names(store) == ["a", "d"]
        assert names(store, OTHER) == ["f"]
        # All that is left was used in the last two hours, or lies where eviction is off.
        self.full(monkeypatch, 10**9)
        assert store.run_job(XactionKind.LRU, None).objects == 1
        assert names(store) == ["d"]
        assert store.run_job(XactionKind.LRU, OTHER).objects == 0
        assert store.run_job(XactionKind.LRU, OTHER, force=True).objects == 1

    def test_the_only_copy_never_goes(self, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.undo()
        self.full(monkeypatch, 10**9)
        self.used(store, "a", 99)
        assert store.run_job(XactionKind.LRU, BUCKET, force=True).objects == 0
        assert names(store) == ["a"]

    def test_disks_that_are_not_full(self, store: Store) -> None:
        self.used(store, "a", 99)
        store.set_config({"space.out_of_space": "100", "space.highwm": "99"})
        assert store.run_job(XactionKind.LRU, None).objects == 0
        assert names(store) == ["a"]

    def test_low_watermark(self, store: Store) -> None:
        self.used(store, "a", 99)
        store.set_config({"space.cleanupwm": "1", "space.lowwm": "2", "space.highwm": "3"})
        snap = store.run_job(XactionKind.LRU, None)
        is_full = any(i.disk_used * 100 >= 3 * i.disk_total for i in store.mountpaths())
        assert snap.objects == (1 if is_full else 0)

    def test_many_in_several_transactions(
        self, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(lru, "_BATCH", 3)
        monkeypatch.setattr(lru, "_CANDIDATES", 7)
        for n in range(20):
            self.used(store, f"o{n:02}", 100 - n)
        self.full(monkeypatch, 15_500)
        assert store.run_job(XactionKind.LRU, None).objects == 16
        assert names(store) == [f"o{n}" for n in range(16, 20)]


class TestOthers:
    def test_shards_are_indexed(self, store: Store) -> None:
        for n in range(3):
            store.put(BUCKET, f"s{n}.tar", build_tar(n), PUT)
        store.put(BUCKET, "o.txt", b"no shard", PUT)
        store.put(BUCKET, "bad.tar", b"no shard either", PUT)
        snap = store.run_job(XactionKind.SHARD_INDEX, BUCKET)
        assert snap.objects == 3
        assert snap.ext["no_shards"] == ["ais://b/bad.tar"]
        rows = store.core.connection().execute("SELECT count(*) FROM shard_indexes").fetchone()
        assert rows[0] == 3

    def test_warm_up_counts(self, store: Store) -> None:
        store.put(BUCKET, "o", b"content", PUT)
        snap = store.run_job(XactionKind.WARM_UP, BUCKET)
        assert (snap.objects, snap.size, snap.bucket) == (1, 7, BUCKET)

    def test_what_is_refused(self, store: Store) -> None:
        with pytest.raises(UnsupportedError, match="ec-bucket"):
            store.run_job(XactionKind.EC_ENCODE, BUCKET)
        with pytest.raises(InvalidArgumentError, match="requires a bucket"):
            store.run_job(XactionKind.WARM_UP, None)
        with pytest.raises(BucketNotFoundError):
            store.run_job(XactionKind.LRU, BucketRef("none"))
        assert store.list_xactions(XactionFilter()) == []

    def test_stopped_in_the_middle(self, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(job_module, "FLUSH_INTERVAL_S", 0.0)
        for n in range(50):
            store.put(BUCKET, f"o{n}", b"x", PUT)
        seen: list[str] = []

        def announce(job_id: str) -> None:
            seen.append(job_id)
            store.stop_xactions(XactionFilter(id=job_id))

        with pytest.raises(XactionAbortedError):
            store.run_job(XactionKind.WARM_UP, BUCKET, announce)
        assert store.find_xaction(seen[0]).state is XactionState.ABORTED

    def test_detaching_a_disk_is_a_job(self, store: Store, tmp_path: Path) -> None:
        disk = tmp_path / "disk"
        disk.mkdir()
        store.add_mountpath(str(disk))
        for n in range(20):
            store.put(BUCKET, f"o{n}", pattern(1000, n), PUT)
        store.remove_mountpath(str(disk))
        (snap,) = store.list_xactions(XactionFilter(kind=XactionKind.RESILVER))
        assert snap.state is XactionState.FINISHED
        assert 0 < snap.objects < 20
        assert snap.control == f"detach {disk}"


def build_tar(seed: int) -> bytes:
    return build(ArchiveFormat.TAR, [(f"m{n}", pattern(10, seed)) for n in range(5)])
