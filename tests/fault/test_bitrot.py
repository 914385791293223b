"""Damage on disk: found by name and kind, never served as if it were right, neighbours unharmed."""

import os
import sqlite3
from collections.abc import Callable
from random import Random

import pytest
from tests.fault.support import (
    BUCKET,
    KIB,
    VERIFIED,
    chunked,
    members,
    open_store,
    paths_of,
    put,
    put_pieces,
    read,
    small,
)

from aiscore.engine.store import Store
from aiscore.errors import CorruptionError
from aiscore.model.archive import ArchiveFormat
from aiscore.model.batch import BatchEntry, BatchRequest
from aiscore.model.bucket import BucketRef
from aiscore.model.checksum import ChecksumType
from aiscore.model.objects import ArchivePutMode, GetOptions, ListOptions, PutOptions
from aiscore.model.storage import FaultKind
from aiscore.testing.content import checksum_of


def flip(path: str, random: Random) -> None:
    with open(path, "r+b") as file:
        offset = random.randrange(os.path.getsize(path))
        file.seek(offset)
        byte = file.read(1)[0]
        file.seek(offset)
        file.write(bytes([byte ^ 1 << random.randrange(8)]))


def truncate(path: str, random: Random) -> None:
    os.truncate(path, random.randrange(os.path.getsize(path)))


def extend(path: str, random: Random) -> None:
    with open(path, "ab") as file:
        file.write(random.randbytes(random.randrange(1, 100)))


def remove(path: str, _random: Random) -> None:
    os.unlink(path)


DAMAGE: dict[str, tuple[Callable[[str, Random], None], FaultKind]] = {
    "flip": (flip, FaultKind.CHECKSUM),
    "truncate": (truncate, FaultKind.SIZE),
    "extend": (extend, FaultKind.SIZE),
    "remove": (remove, FaultKind.MISSING),
}


@pytest.fixture
def damaged(home: str) -> Store:
    """A store whose end is not checked: it is broken on purpose."""
    store = open_store(home)
    store.create_bucket(BUCKET)
    return store


@pytest.mark.parametrize("seed", range(5))
def test_a_scrub_names_every_damaged_object_and_no_other(damaged: Store, seed: int) -> None:
    """One, two or many pieces; every kind of damage, to any piece."""
    random = Random(f"bitrot/{seed}")
    for number in range(60):
        if number % 3:
            put(damaged, f"single-{number}", small(number))
        else:
            put_pieces(damaged, f"chunked-{number}", small(number), random.choice([KIB, 4 * KIB]))
    expected: dict[str, FaultKind] = {}
    names = [entry.name for entry in damaged.list_page(BUCKET, ListOptions()).entries]
    for name in random.sample(names, 24):
        kind = random.choice(sorted(DAMAGE))
        DAMAGE[kind][0](random.choice(paths_of(damaged, name)), random)
        expected[BUCKET.object_cname(name)] = DAMAGE[kind][1]
    report = damaged.validate(None, "")
    assert {fault.name: fault.kind for fault in report.faults} == expected
    assert len(report.faults) == 24
    for name in names:
        if BUCKET.object_cname(name) in expected:
            with pytest.raises(CorruptionError):
                damaged.read(BUCKET, name, VERIFIED)
            with pytest.raises(CorruptionError):
                damaged.open(BUCKET, name, VERIFIED)
        else:
            assert len(damaged.read(BUCKET, name, VERIFIED)) == 5_000
    damaged.close()


@pytest.mark.parametrize("kind", sorted(DAMAGE))
def test_the_kind_of_a_fault_does_not_depend_on_the_name_of_the_object(
    damaged: Store, kind: str
) -> None:
    for name in ("missing", "recorded is", "chunk 1 is missing", "checksum"):
        put(damaged, name, small())
        DAMAGE[kind][0](paths_of(damaged, name)[0], Random(name))
    faults = damaged.validate(None, "").faults
    damaged.close()
    assert {fault.kind for fault in faults} == {DAMAGE[kind][1]}


@pytest.mark.parametrize("kind", ["truncate", "extend", "remove"])
@pytest.mark.parametrize("piece", [0, 1, 5])
def test_damage_that_stat_shows_is_found_before_the_first_byte(
    damaged: Store, kind: str, piece: int
) -> None:
    put(damaged, "single", small())
    put_pieces(damaged, "chunked", chunked())
    DAMAGE[kind][0](paths_of(damaged, "single")[0], Random(1))
    DAMAGE[kind][0](paths_of(damaged, "chunked")[piece], Random(1))
    for name in ("single", "chunked"):
        with pytest.raises(CorruptionError) as caught:
            damaged.open(BUCKET, name, GetOptions())
        assert name in str(caught.value)
        with pytest.raises(CorruptionError):
            read(damaged, name)
        with pytest.raises(CorruptionError):
            damaged.copy(BUCKET, name, BUCKET, "copy")
        request = BatchRequest(entries=[BatchEntry(name)], bucket=BUCKET)
        with pytest.raises(CorruptionError), damaged.get_batch(request) as stream:
            list(stream)
    with pytest.raises(CorruptionError) as caught:
        read(damaged, "chunked")
    assert f"chunk {piece + 1}" in str(caught.value)
    put(damaged, "single", small(1))
    put(damaged, "chunked", small(2))
    assert read(damaged, "chunked") == small(2)
    damaged.core.garbage.reclaim_marked()
    assert damaged.validate(None, "").faults == ()
    damaged.close()


@pytest.mark.parametrize("kind", sorted(DAMAGE))
def test_a_damaged_object_can_be_deleted_and_replaced(damaged: Store, kind: str) -> None:
    for name in ("a", "b"):
        put_pieces(damaged, name, chunked())
        for path in paths_of(damaged, name)[:2]:
            DAMAGE[kind][0](path, Random(2))
    damaged.delete(BUCKET, "a", None)
    put_pieces(damaged, "b", chunked(1))
    assert damaged.read(BUCKET, "b", VERIFIED) == chunked(1)
    damaged.core.garbage.reclaim_marked()
    assert damaged.validate(None, "").faults == ()
    damaged.close()


@pytest.mark.parametrize("kind", sorted(DAMAGE))
def test_putting_the_same_content_again_repairs(damaged: Store, kind: str) -> None:
    """The hint of the error says: restore it from its source. The row's checksum must not make that a no-op."""
    data = small(3)
    put(damaged, "o", data)
    DAMAGE[kind][0](paths_of(damaged, "o")[0], Random(3))
    checksum = checksum_of(ChecksumType.XXHASH2, data)
    damaged.put(BUCKET, "o", data, PutOptions(checksum=checksum))
    assert damaged.read(BUCKET, "o", VERIFIED) == data
    damaged.close()


def test_a_flipped_bit_is_refused_when_the_bucket_validates_reads(damaged: Store) -> None:
    warm = BucketRef("warm")
    damaged.create_bucket(warm, {"checksum.validate_warm_get": "true"})
    put(damaged, "o", small(), warm)
    flip(paths_of(damaged, "o", warm)[0], Random(4))
    with pytest.raises(CorruptionError):
        read(damaged, "o", warm)
    with pytest.raises(CorruptionError):
        damaged.open(warm, "o", GetOptions())
    damaged.close()


def stored_index(home: str) -> bytes:
    connection = sqlite3.connect(f"{home}/index.db")
    found = connection.execute("SELECT members FROM shard_indexes").fetchall()
    connection.close()
    assert len(found) == 1
    return bytes(found[0][0])


@pytest.mark.parametrize("archive_format", list(ArchiveFormat))
def test_a_damaged_member_index_is_rebuilt_silently(
    home: str, archive_format: ArchiveFormat
) -> None:
    store = open_store(home)
    store.create_bucket(BUCKET)
    shard = f"t{archive_format}"
    contents = {f"m{number}": small(number) for number in range(20)}
    store.put_members(BUCKET, shard, members(contents), ArchivePutMode.CREATE, None)
    assert store.read(BUCKET, shard, GetOptions(archpath="m7")) == small(7)
    store.close()
    whole = stored_index(home)
    random = Random("index")
    damages = [b"", b"AISX", whole[:-1], whole + b"\0", random.randbytes(len(whole))]
    for _ in range(20):
        bad = bytearray(whole)
        bad[random.randrange(len(bad))] ^= 1 << random.randrange(8)
        damages.append(bytes(bad))
    for blob in damages:
        store = open_store(home)
        store.core.connection().execute("UPDATE shard_indexes SET members = ?", (blob,))
        assert store.read(BUCKET, shard, GetOptions(archpath="m7")) == small(7)
        names = [member.name for member in store.list_members(BUCKET, shard, None)]
        assert names == list(contents)
        assert store.validate(None, "").faults == ()
        store.close()
        assert stored_index(home) == whole


@pytest.mark.parametrize("archive_format", list(ArchiveFormat))
def test_members_of_a_damaged_shard_are_never_served_wrong_when_verified(
    damaged: Store, archive_format: ArchiveFormat
) -> None:
    shard = f"t{archive_format}"
    contents = {f"m{number}": small(number) for number in range(5)}
    damaged.put_members(BUCKET, shard, members(contents), ArchivePutMode.CREATE, None)
    damaged.list_members(BUCKET, shard, None)
    flip(paths_of(damaged, shard)[0], Random(5))
    for name in contents:
        with pytest.raises(CorruptionError):
            damaged.read(BUCKET, shard, GetOptions(archpath=name, verify_checksum=True))
    assert [fault.kind for fault in damaged.validate(None, "").faults] == [FaultKind.CHECKSUM]
    damaged.close()


def test_files_that_do_not_belong_are_reported(damaged: Store, home: str) -> None:
    put(damaged, "o", small())
    directory = os.path.dirname(paths_of(damaged, "o")[0])
    strangers = [f"{directory}/stranger", f"{home}/mp/pieces/aa/00000063000000aa"]
    os.makedirs(f"{home}/mp/pieces/aa", exist_ok=True)
    for path in strangers:
        with open(path, "wb") as file:
            file.write(b"?")
    faults = damaged.validate(None, "").faults
    assert {(fault.kind, fault.name) for fault in faults} == {
        (FaultKind.ORPHAN, path) for path in strangers
    }
    damaged.close()


def test_a_stray_file_beside_the_piece_directories_is_no_crash_of_the_scrub(
    damaged: Store, home: str
) -> None:
    put(damaged, "o", small())
    with open(f"{home}/mp/pieces/README", "wb") as file:
        file.write(b"?")
    faults = damaged.validate(None, "").faults
    assert [fault.kind for fault in faults] in ([], [FaultKind.ORPHAN])
    damaged.close()
