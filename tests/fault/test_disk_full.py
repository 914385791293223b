"""Real file systems that are full, read-only or gone."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.fault.support import (
    BUCKET,
    GET,
    KIB,
    MIB,
    OTHER,
    PIECE,
    PROCESSES,
    assert_sound,
    chunked,
    expect_typed,
    finish_process,
    members,
    mounted_tmpfs,
    names_of,
    open_fds,
    open_store,
    piece_files,
    put,
    put_pieces,
    read,
    remount,
    small,
    spread_names,
    unmount,
    until,
)

from aiscore.engine.store import Store
from aiscore.errors import AisError, CapacityExceededError, StorageError, UnavailableError
from aiscore.model.batch import BatchEntry, BatchRequest
from aiscore.model.objects import ArchivePutMode, PutOptions, Selection
from aiscore.model.storage import FaultKind
from aiscore.testing.content import pattern

DISK = 32 * MIB


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[str]:
    path = str(tmp_path / "disk")
    with mounted_tmpfs(path, DISK):
        yield path


@pytest.fixture
def second_disk(tmp_path: Path) -> Iterator[str]:
    path = str(tmp_path / "second-disk")
    with mounted_tmpfs(path, DISK):
        yield path


def fill(store: Store, size: int, prefix: str) -> list[str]:
    """Put until the disk is full; the names that were acknowledged."""
    names: list[str] = []
    while True:
        name = f"{prefix}{len(names)}"
        try:
            store.put(BUCKET, name, pattern(size, len(names)), PutOptions())
        except CapacityExceededError:
            return names
        names.append(name)


def fill_to_the_last_byte(directory: str) -> list[str]:
    """What others store on the same disk."""
    paths: list[str] = []
    for size in (MIB, 4 * KIB):
        while True:
            path = f"{directory}/filler-{size}-{len(paths)}"
            fd = os.open(path, os.O_WRONLY | os.O_CREAT)
            try:
                os.posix_fallocate(fd, 0, size)
                paths.append(path)
            except OSError:
                os.unlink(path)
                break
            finally:
                os.close(fd)
    assert shutil.disk_usage(directory).free == 0
    return paths


def full_store(disk: str) -> tuple[Store, list[str]]:
    store = open_store(f"{disk}/home")
    store.create_bucket(BUCKET)
    names = fill(store, MIB, "big-") + fill(store, 5_000, "small-")
    fill_to_the_last_byte(disk)
    return store, names


def content_of(name: str) -> bytes:
    kind, number = name.split("-")
    return pattern({"big": MIB, "small": 5_000, "tiny": 10}[kind], int(number))


def test_a_full_disk_keeps_everything_and_recovers(disk: str) -> None:
    store, names = full_store(disk)
    assert len(names) > 25
    for name in names:
        assert read(store, name) == content_of(name)
    assert names_of(store) == sorted(names)
    for _ in range(20):
        with pytest.raises(CapacityExceededError):
            put(store, "more", pattern(MIB, 1))
    assert store.validate(None, "").faults == ()
    store.delete(BUCKET, "big-0", None)
    store.delete(BUCKET, "big-1", None)
    put(store, "big-0", content_of("big-0"))
    assert read(store, "big-0") == content_of("big-0")
    assert_sound(store)
    store.close()


def test_every_object_can_be_deleted_one_by_one_from_no_free_byte(disk: str) -> None:
    store, names = full_store(disk)
    for name in sorted(names, key=lambda each: each.startswith("big")):
        store.delete(BUCKET, name, None)
    assert names_of(store) == []
    assert_sound(store)
    store.close()


def fill_to_the_last_byte_again(disk: str, number: int) -> list[str]:
    os.makedirs(f"{disk}/{number}", exist_ok=True)
    return fill_to_the_last_byte(f"{disk}/{number}")


def test_puts_and_deletes_in_turn_on_a_full_disk(disk: str) -> None:
    """The reserve is given up again and again: each delete must find room for its own record."""
    store, names = full_store(disk)
    tiny: list[str] = []
    for round_number in range(6):
        victim = names.pop()
        store.delete(BUCKET, victim, None)
        while True:
            name = f"tiny-{round_number * 100_000 + len(tiny)}"
            if expect_typed(lambda n=name: put(store, n, content_of(n))):  # type: ignore[misc]
                break
            tiny.append(name)
    for name in tiny[:50]:
        assert read(store, name) == content_of(name)
    store.delete(BUCKET, tiny[-1], None)
    assert store.validate(None, "").faults == ()
    store.close()


@pytest.mark.parametrize("how", ["delete_many", "destroy", "delete-chunked"])
def test_whatever_frees_space_works_at_no_free_byte(disk: str, how: str) -> None:
    store = open_store(f"{disk}/home")
    store.create_bucket(BUCKET)
    store.create_bucket(OTHER)
    for number in range(300):
        put(store, f"o{number}", small(number % 7), OTHER)
    put_pieces(store, "chunked", chunked(), KIB, OTHER)
    fill(store, MIB, "big-")
    fill(store, 100, "tiny-")
    fill_to_the_last_byte(disk)
    match how:
        case "delete_many":
            store.delete_many(OTHER, Selection(everything=True))
        case "destroy":
            store.destroy_bucket(OTHER)
        case _:
            store.delete(OTHER, "chunked", None)
    put(store, "tiny-0", small())
    assert_sound(store)
    store.close()


def test_a_full_disk_can_be_closed_and_opened(disk: str) -> None:
    store, names = full_store(disk)
    fds = open_fds()
    store.close()
    assert open_fds() < fds
    fill_to_the_last_byte_again(disk, 0)
    store = open_store(f"{disk}/home")
    for name in names:
        assert read(store, name) == content_of(name)
    store.delete(BUCKET, names[0], None)
    put(store, "tiny-1", b"x")
    assert_sound(store)
    store.close()


def die_with_garbage(home: str) -> None:
    """Ends with an unfinished put and a replaced object not yet reclaimed."""
    store = open_store(home)
    put(store, "big-0", content_of("big-0"))
    put_pieces(store, "chunked", chunked())
    reader = store.open(BUCKET, "chunked", GET)
    put(store, "chunked", b"new")
    assert reader.read(1)

    def body() -> Iterator[bytes]:
        yield pattern(MIB, 1)
        os._exit(0)

    store.put(BUCKET, "unfinished", body(), PutOptions())


def test_a_full_disk_opens_after_a_crash(disk: str) -> None:
    """What a dead process left is recovered, or left for later; the store opens."""
    store = open_store(f"{disk}/home")
    store.create_bucket(BUCKET)
    store.close()
    child = PROCESSES.Process(target=die_with_garbage, args=(f"{disk}/home",))
    child.start()
    finish_process(child)
    paths = fill_to_the_last_byte(disk)
    store = open_store(f"{disk}/home")
    assert read(store, "big-0") == content_of("big-0")
    assert read(store, "chunked") == b"new"
    store.delete(BUCKET, "big-0", None)
    for path in paths:
        os.unlink(path)
    store.close()
    store = open_store(f"{disk}/home")
    assert_sound(store)
    store.close()


def test_a_buffered_batch_on_a_full_disk(disk: str) -> None:
    store, names = full_store(disk)
    fds = open_fds()
    entries = [BatchEntry(name) for name in names[:20]]
    for _ in range(5):
        with pytest.raises(CapacityExceededError):
            store.get_batch_archive(BatchRequest(entries=entries, bucket=BUCKET, streaming=False))
    assert open_fds() == fds
    assert shutil.disk_usage(disk).free < MIB
    with store.get_batch_archive(BatchRequest(entries=entries, bucket=BUCKET)) as archive:
        assert sum(len(block) for block in archive) > 10 * MIB
    assert store.validate(None, "").faults == ()
    store.close()


def test_a_compressed_shard_is_read_without_room_to_unpack_it(disk: str) -> None:
    store = open_store(f"{disk}/home")
    store.create_bucket(BUCKET)
    contents = {f"m{number}": small(number) for number in range(200)}
    store.put_members(BUCKET, "t.tgz", members(contents), ArchivePutMode.CREATE, None)
    fill(store, MIB, "big-")
    fill_to_the_last_byte(disk)
    entries = [BatchEntry("t.tgz", archpath=name) for name in contents]
    fds = []
    for _ in range(5):
        with store.get_batch(BatchRequest(entries=entries, bucket=BUCKET)) as stream:
            assert [data for _, data in stream] == list(contents.values())
        fds.append(open_fds())
    assert len(set(fds)) == 1
    store.close()


def test_only_the_mountpath_is_full(home: str, disk: str) -> None:
    """The index lies elsewhere: its rows are written as ever."""
    store = open_store(home)
    store.create_bucket(BUCKET)
    os.makedirs(f"{disk}/mp")
    store.add_mountpath(f"{disk}/mp")
    fill_to_the_last_byte(disk)
    names = spread_names(store, f"{disk}/mp", 20)
    for name in names:
        with pytest.raises(CapacityExceededError):
            put(store, name, small())
    elsewhere = spread_names(store, f"{home}/mp", 20)
    for name in elsewhere:
        put(store, name, small())
    with pytest.raises(CapacityExceededError):
        put_pieces(store, "chunked", chunked(), KIB)
    assert_sound(store)
    assert names_of(store) == sorted(elsewhere)
    store.close()


@pytest.mark.parametrize("how", ["remove", "append", "copy-chunked"])
def test_bytes_go_from_one_file_system_to_another(home: str, disk: str, how: str) -> None:
    """Kernels since 5.19 refuse copy_file_range between file systems."""
    store = open_store(home)
    store.create_bucket(BUCKET)
    os.makedirs(f"{disk}/mp")
    store.add_mountpath(f"{disk}/mp")
    name = spread_names(store, f"{disk}/mp", 1)[0]
    moved = spread_names(store, f"{home}/mp", 2)
    store.disable_mountpath(f"{home}/mp")
    for each in (name, *moved):
        put(store, each, small(1))
    put_pieces(store, "chunked", chunked())
    store.enable_mountpath(f"{home}/mp")
    match how:
        case "remove":
            store.remove_mountpath(f"{disk}/mp")
            assert read(store, name) == small(1)
            assert read(store, "chunked") == chunked()
        case "append":
            # The object lies there, its next content goes here.
            for each in moved:
                handle = store.append(BUCKET, each, b"more", "")
                store.flush_append(BUCKET, each, handle, None)
                assert read(store, each) == small(1) + b"more"
        case _:
            for target in moved:
                store.copy(BUCKET, "chunked", BUCKET, target)
                assert read(store, target) == chunked()
    assert_sound(store)
    store.close()


def test_removal_without_room_elsewhere_keeps_every_object_readable(
    home: str, disk: str, second_disk: str
) -> None:
    store = open_store(home)
    store.create_bucket(BUCKET)
    for path in (disk, second_disk):
        os.makedirs(f"{path}/mp")
        store.add_mountpath(f"{path}/mp")
    store.disable_mountpath(f"{home}/mp")
    names = spread_names(store, f"{second_disk}/mp", 5)
    for name in names:
        put(store, name, pattern(MIB, 1))
    fill_to_the_last_byte(disk)
    with pytest.raises(CapacityExceededError):
        store.remove_mountpath(f"{second_disk}/mp")
    for name in names:
        assert read(store, name) == pattern(MIB, 1)
    store.close()


def test_a_mountpath_that_became_read_only(home: str, disk: str) -> None:
    store = open_store(home)
    store.create_bucket(BUCKET)
    os.makedirs(f"{disk}/mp")
    store.add_mountpath(f"{disk}/mp")
    there = spread_names(store, f"{disk}/mp", 6)
    for name in there[:3]:
        put(store, name, small(1))
    put_pieces(store, "chunked", chunked(), PIECE)
    remount(disk, "ro")
    for name in there[:3]:
        assert read(store, name) == small(1)
    for name in there[3:]:
        error = expect_typed(lambda n=name: put(store, n, small(2)))  # type: ignore[misc]
        assert error is None or isinstance(error, StorageError | UnavailableError)
    for name in spread_names(store, f"{home}/mp", 5):
        put(store, name, small(3))
    assert read(store, "chunked") == chunked()
    store.delete(BUCKET, there[0], None)
    store.delete(BUCKET, "chunked", None)
    error = expect_typed(lambda: store.remove_mountpath(f"{disk}/mp"))
    remount(disk, "rw")
    if error is not None:
        store.enable_mountpath(f"{disk}/mp")
    store.close()
    store = open_store(home)
    assert read(store, there[1]) == small(1)
    assert_sound(store)
    store.close()


@dataclass
class Away:
    """A store with a second disk, some objects on each, and the means to take that disk away and bring it back."""

    store: Store
    home: str
    disk: str
    there: list[str]
    here: list[str]

    def take(self) -> None:
        _bind(self.disk, f"{self.disk}-aside")
        unmount(self.disk)
        assert os.listdir(self.disk) == []

    def bring_back(self) -> None:
        _bind(f"{self.disk}-aside", self.disk)


@pytest.fixture
def away(home: str, disk: str) -> Iterator[Away]:
    store = open_store(home)
    store.create_bucket(BUCKET)
    store.add_mountpath(disk)
    there = spread_names(store, disk, 30)
    here = spread_names(store, f"{home}/mp", 3)
    for name in there[:3] + here:
        put(store, name, small(1))
    os.makedirs(f"{disk}-aside")
    yield Away(store, home, disk, there, here)
    store.close()
    unmount(f"{disk}-aside")


def test_what_lies_on_an_unmounted_disk_is_unavailable_and_not_damaged(away: Away) -> None:
    away.take()
    for name in away.there[:3]:
        with pytest.raises(UnavailableError):
            read(away.store, name)
        with pytest.raises(UnavailableError):
            away.store.copy(BUCKET, name, BUCKET, "copy")
    for name in away.here:
        assert read(away.store, name) == small(1)
    kinds = {fault.kind for fault in away.store.validate(None, "").faults}
    assert kinds == {FaultKind.UNREADABLE}


def test_writes_go_elsewhere_while_a_disk_is_not_mounted(away: Away) -> None:
    away.take()
    until(lambda: _can_put(away.store, away.there[5:]), "writes go to the other mountpath", 10)
    for name in away.there[5:]:
        assert read(away.store, name) == small(2)
    put(away.store, away.there[0], small(3))
    assert read(away.store, away.there[0]) == small(3)
    away.store.delete(BUCKET, away.there[1], None)
    other = open_store(away.home)
    put(other, away.there[2], small(4))
    other.close()
    assert os.listdir(away.disk) == []
    away.bring_back()
    reopened = open_store(away.home)
    assert_sound(reopened)
    reopened.close()


def test_a_disk_that_is_mounted_again_is_used_again(away: Away) -> None:
    away.take()
    until(lambda: _is_unavailable(away.store, away.there[0]), "reads say unavailable", 10)
    away.bring_back()
    until(lambda: _reads(away.store, away.there[0]), "the disk is back", 10)
    assert_sound(away.store)


def test_the_directory_of_a_mountpath_may_vanish(away: Away) -> None:
    """What looks at disks, not at objects, copes as well."""
    away.take()
    os.rmdir(away.disk)
    try:
        infos = away.store.mountpaths()
        assert len(infos) == 2
        assert away.store.summarize_bucket(BUCKET).object_count == 6
        assert expect_typed(lambda: away.store.remove_mountpath(away.disk)) is not None
    finally:
        os.makedirs(away.disk)
        away.bring_back()


def _bind(source: str, target: str) -> None:
    subprocess.run(["mount", "--bind", source, target], check=True)


def _is_unavailable(store: Store, name: str) -> bool:
    return isinstance(expect_typed(lambda: read(store, name)), UnavailableError)


def _can_put(store: Store, names: list[str]) -> bool:
    return all(
        expect_typed(lambda n=name: put(store, n, small(2))) is None  # type: ignore[misc]
        for name in names
    )


def _reads(store: Store, name: str) -> bool:
    return expect_typed(lambda: read(store, name)) is None and read(store, name) == small(1)


def test_a_home_on_a_read_only_disk(disk: str) -> None:
    """It opens and reads, or is refused with a typed error."""
    store = open_store(f"{disk}/home")
    store.create_bucket(BUCKET)
    put(store, "o", small())
    store.close()
    remount(disk, "ro")
    try:
        store = open_store(f"{disk}/home")
    except AisError:
        pass
    else:
        assert read(store, "o") == small()
        assert isinstance(expect_typed(lambda: put(store, "p", small())), AisError)
        assert isinstance(expect_typed(lambda: store.delete(BUCKET, "o", None)), AisError)
        expect_typed(store.close)
    remount(disk, "rw")
    store = open_store(f"{disk}/home")
    assert read(store, "o") == small()
    assert_sound(store)
    assert len(piece_files(store)) == 1
    store.close()


def test_a_full_disk_is_opened_read_and_freed(disk: str) -> None:
    """Nothing is left, not even for the files that SQLite makes beside the index: a new process still deletes."""
    home = f"{disk}/home"
    store = open_store(home)
    store.create_bucket(BUCKET)
    names = fill(store, 3 * MIB, "o")
    store.close()
    with Path(disk, "filler").open("wb", buffering=0) as filler:
        for step in (MIB, 4 * KIB):
            try:
                while True:
                    filler.write(bytes(step))
            except OSError:
                continue
    assert os.statvfs(disk).f_bavail == 0
    store = open_store(home)
    try:
        assert names_of(store) == names
        assert read(store, names[0]) == pattern(3 * MIB, 0)
        store.delete(BUCKET, names[0], None)
        store.destroy_bucket(BUCKET)
        assert store.list_buckets() == []
    finally:
        store.close()
