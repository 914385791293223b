"""Copies of pieces, as far as only the engine and its disks show it."""

import errno
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from aiscore.engine.fileio import OsFiles
from aiscore.engine.layout import label_path, piece_path
from aiscore.engine.mirror import Arranged, arrange
from aiscore.engine.store import Store
from aiscore.errors import BusyError, InvalidArgumentError, UnavailableError
from aiscore.model.bucket import BucketRef
from aiscore.model.objects import GetOptions, PutOptions, Selection
from aiscore.model.storage import FaultKind
from aiscore.model.xaction import XactionKind
from aiscore.testing.content import pattern

BUCKET = BucketRef("b")
CHUNKED = {"chunks.objsize_limit": "8KiB", "chunks.chunk_size": "4KiB"}
GET = GetOptions()
VERIFIED = GetOptions(verify_checksum=True)
PUT = PutOptions()
WHOLE, PARTS = pattern(3000), pattern(20 << 10)


class FailingDisk(OsFiles):
    """Reads under one directory fail while `broken` is set."""

    def __init__(self) -> None:
        self.broken = ""

    def preadv(  # a failing stand-in for a builtin
        self,
        fd: int,
        buffers: list[memoryview],  # type: ignore[override]
        offset: int,
        flags: int = 0,
    ) -> int:
        self._check(fd)
        return os.preadv(fd, buffers, offset, flags)

    def pread(self, fd: int, count: int, offset: int) -> bytes:
        self._check(fd)
        return os.pread(fd, count, offset)

    def _check(self, fd: int) -> None:
        if self.broken and os.readlink(f"/proc/self/fd/{fd}").startswith(self.broken):
            raise OSError(errno.EIO, "broken")


@pytest.fixture
def files() -> FailingDisk:
    return FailingDisk()


@pytest.fixture
def disks(tmp_path: Path) -> list[Path]:
    return [tmp_path / "disk1", tmp_path / "disk2"]


@pytest.fixture
def store(tmp_path: Path, files: FailingDisk, disks: list[Path]) -> Iterator[Store]:
    opened = Store(str(tmp_path / "home"), files)
    for disk in disks:
        disk.mkdir()
        opened.add_mountpath(str(disk))
    opened.create_bucket(BUCKET, {**CHUNKED, "mirror.enabled": "true"})
    opened.put(BUCKET, "whole", WHOLE, PUT)
    opened.put(BUCKET, "parts", PARTS, PUT)
    yield opened
    files.broken = ""
    assert opened.validate(None, "").faults == ()
    opened.close()


def places(store: Store, name: str) -> list[list[str]]:
    """For each piece, the paths of all its copies."""
    from aiscore.engine.index.copies import copies_of
    from aiscore.engine.index.objects import select_object

    connection = store.core.connection()
    row = select_object(connection, store.core.bucket(BUCKET, 0).id, name)
    assert row is not None
    known = store.core.mountpaths.all()
    return [
        [piece_path(known[place.mountpath_id].path, place.piece_id) for place in of_piece]
        for of_piece in copies_of(connection, row)
    ]


def unplug(store: Store, disk: Path) -> None:
    """The disk is not mounted: an empty directory in its place."""
    disk.rename(disk.with_name("unplugged"))
    disk.mkdir()
    store.core.mountpaths.look_again()


def plug(store: Store, disk: Path) -> None:
    disk.rmdir()
    disk.with_name("unplugged").rename(disk)
    store.core.mountpaths.look_again()


def contents(store: Store) -> list[bytes]:
    return [store.read(BUCKET, name, VERIFIED) for name in ("whole", "parts")]


class TestPlaces:
    @pytest.mark.parametrize("name", ["whole", "parts"])
    def test_copies_lie_on_other_disks_and_are_equal(self, store: Store, name: str) -> None:
        found = places(store, name)
        assert len(found) == (5 if name == "parts" else 1)
        for of_piece in found:
            assert len({path.partition("/pieces/")[0] for path in of_piece}) == 2
            assert Path(of_piece[0]).read_bytes() == Path(of_piece[1]).read_bytes()

    def test_nothing_is_left_of_what_was_replaced(self, store: Store) -> None:
        old = [path for name in ("whole", "parts") for of in places(store, name) for path in of]
        store.put(BUCKET, "whole", b"new", PUT)
        store.delete_many(BUCKET, Selection(names=("parts",)))
        assert not any(map(os.path.exists, old))
        store.core.garbage.reclaim_marked()
        count = store.core.connection().execute("SELECT count(*) FROM pieces").fetchone()[0]
        assert count == 2
        assert store.core.connection().execute("SELECT count(*) FROM copies").fetchone()[0] == 1

    def test_a_destroyed_bucket_takes_its_copies(self, store: Store) -> None:
        old = [path for name in ("whole", "parts") for of in places(store, name) for path in of]
        store.destroy_bucket(BUCKET)
        assert not any(map(os.path.exists, old))

    def test_a_reader_keeps_the_copies_too(self, store: Store) -> None:
        """What it reads was overwritten, and a chunk of it damaged: it has the copies to go on with."""
        old = places(store, "parts")
        with store.open(BUCKET, "parts", GET) as reader:
            assert reader.read(10) == PARTS[:10]
            store.put(BUCKET, "parts", b"new", PUT)
            os.unlink(old[3][0])
            assert reader.read() == PARTS[10:]
        assert not any(os.path.exists(path) for of_piece in old for path in of_piece)

    def test_nothing_is_taken_away_from_a_reader(self, store: Store) -> None:
        row = store.core.bucket(BUCKET, 0)
        from aiscore.engine.index.objects import select_object

        found = select_object(store.core.connection(), row.id, "parts")
        assert found is not None
        with store.open(BUCKET, "parts", GET) as reader:
            assert arrange(store.core, row, found, 1) is Arranged.BUSY
            assert reader.read() == PARTS
        assert arrange(store.core, row, found, 1) is Arranged.CHANGED
        assert store.head(BUCKET, "parts").copies == 1
        store.run_job(XactionKind.MIRROR, BUCKET)
        assert store.head(BUCKET, "parts").copies == 2


class TestDisks:
    def test_a_disk_that_is_away_is_read_around(self, store: Store, disks: list[Path]) -> None:
        """Nothing is written for that: the disk may be back in a minute."""
        for disk in disks:
            before = [places(store, name) for name in ("whole", "parts")]
            unplug(store, disk)
            assert contents(store) == [WHOLE, PARTS]
            assert store.read(BUCKET, "whole", GET) == WHOLE
            plug(store, disk)
            assert [places(store, name) for name in ("whole", "parts")] == before

    def test_a_lost_disk_is_taken_out(self, store: Store, disks: list[Path]) -> None:
        """It cannot be read any more: what lay there is made again from the copies."""
        unplug(store, disks[0])
        store.remove_mountpath(str(disks[0]))
        assert contents(store) == [WHOLE, PARTS]
        assert [store.head(BUCKET, name).copies for name in ("whole", "parts")] == [2, 2]
        assert len(store.mountpaths()) == 2

    def test_a_lost_disk_that_has_the_only_copy_stays(
        self, store: Store, disks: list[Path]
    ) -> None:
        store.create_bucket(BucketRef("plain"))
        for number in range(20):
            store.put(BucketRef("plain"), f"o{number}", b"x", PUT)
        count = sum(
            f"mp[{disks[0]}]" in store.head(BucketRef("plain"), f"o{n}").location for n in range(20)
        )
        unplug(store, disks[0])
        with pytest.raises(InvalidArgumentError, match=f"is missing and {count} pieces"):
            store.remove_mountpath(str(disks[0]))
        plug(store, disks[0])
        assert contents(store) == [WHOLE, PARTS]

    def test_both_disks_away(self, store: Store, disks: list[Path]) -> None:
        home = store.core.home
        label = Path(label_path(f"{home}/mp"))
        hidden = label.with_name("hidden")
        label.rename(hidden)
        unplug(store, disks[0])
        found: list[object] = []
        for _ in range(10):
            try:
                found.append(store.read(BUCKET, "whole", GET) == WHOLE)
            except UnavailableError as exc:
                found.append(str(exc))
        assert len(set(map(str, found))) == 1
        hidden.rename(label)
        plug(store, disks[0])

    @pytest.mark.parametrize("name", ["whole", "parts"])
    def test_a_disk_that_fails_while_it_is_read(
        self, store: Store, files: FailingDisk, name: str
    ) -> None:
        data = WHOLE if name == "whole" else PARTS
        broken = places(store, name)[0][0].partition("/pieces/")[0]
        with store.open(BUCKET, name, GET) as reader:
            assert reader.read(100) == data[:100]
            files.broken = broken
            assert reader.read() == data[100:]
        assert store.read(BUCKET, name, GET) == data

    def test_a_bucket_is_mirrored_once_at_a_time(
        self, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        started, go_on = threading.Event(), threading.Event()

        def slow(*arguments: object, **options: object) -> Arranged:
            started.set()
            assert go_on.wait(20)
            return arrange(*arguments, **options)  # type: ignore[arg-type]  # passed on as they came

        monkeypatch.setattr("aiscore.engine.resilver.arrange", slow)
        other = threading.Thread(target=store.mirror_bucket, args=(BUCKET, 3))
        other.start()
        assert started.wait(20)
        with pytest.raises(BusyError, match="copies:3"):
            store.mirror_bucket(BUCKET, 2)
        go_on.set()
        other.join()
        assert store.head(BUCKET, "parts").copies == 3
        assert store.head_bucket(BUCKET).mirror.copies == 3

    def test_validate_names_the_copy(self, store: Store) -> None:
        path = places(store, "parts")[2][1]
        data = Path(path).read_bytes()
        Path(path).write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
        (fault,) = store.validate(BUCKET, "").faults
        assert (fault.kind, fault.name) == (FaultKind.CHECKSUM, "ais://b/parts")
        assert "chunk 3 of copy 2 of ais://b/parts" in fault.detail
        Path(path).write_bytes(data)
