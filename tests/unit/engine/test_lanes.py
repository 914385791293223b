"""Slow hashes beside the writing of a body: right whatever the blocks are, bounded, and never in the way."""

import hashlib
import random
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from aiscore.engine import hashing
from aiscore.engine.hashing import THREADS_MAX, BackgroundHasher
from aiscore.engine.lanes import LANES_FROM, Lanes
from aiscore.engine.store import Store
from aiscore.model.bucket import BucketRef
from aiscore.model.checksum import ChecksumType
from aiscore.model.objects import GetOptions, PutOptions
from aiscore.testing.content import pattern

BUCKET = BucketRef("b")
MIB = 1 << 20
DEADLINE_S = 30


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(str(tmp_path / "home"))
    opened.create_bucket(BUCKET)
    yield opened
    assert opened.validate(None, "").faults == ()
    opened.close()


def test_every_lane_sees_all_of_it_in_order() -> None:
    data = pattern(9 * MIB + 17)
    hashes = hashlib.md5(), hashlib.sha256()
    lanes = Lanes.start([each.update for each in hashes])
    assert lanes is not None
    sizes = random.Random(1)
    buffer = bytearray(MIB)
    position = 0
    while position < len(data):
        part = data[position : position + sizes.choice((1, 777, 65_536, MIB))]
        buffer[: len(part)] = part
        lanes.update(memoryview(buffer)[: len(part)])
        position += len(part)
        if sizes.random() < 0.1:
            lanes.drain()
    lanes.drain()
    lanes.close()
    assert hashes[0].digest() == hashlib.md5(data).digest()
    assert hashes[1].digest() == hashlib.sha256(data).digest()


def test_who_must_not_wait_learns_in_time() -> None:
    go_on = threading.Event()

    def dawdle(_: object) -> None:
        assert go_on.wait(DEADLINE_S)

    lanes = Lanes.start([dawdle])
    assert lanes is not None
    fed = 0
    while not lanes.is_behind:
        lanes.update(bytes(MIB))  # would never return if it had to wait
        fed += 1
    assert 1 <= fed <= 4
    go_on.set()
    lanes.catch_up()
    assert not lanes.is_behind
    lanes.drain()
    lanes.close()


def test_a_failure_is_told() -> None:
    def fail(_: object) -> None:
        raise MemoryError

    lanes = Lanes.start([fail])
    assert lanes is not None
    lanes.update(b"x")
    with pytest.raises(MemoryError):
        lanes.drain()
    lanes.close()


def test_all_lanes_or_none() -> None:
    free = len(hashing._slots)
    taken = [BackgroundHasher.start(lambda _: None) for _ in range(free - 1)]
    assert Lanes.start([lambda _: None, lambda _: None]) is None
    for hasher in taken:
        assert hasher is not None
        hasher.close()
    moment = threading.Event()
    for _ in range(500):
        if len(hashing._slots) >= free:  # or more: threads of tests before may have ended meanwhile
            break
        moment.wait(0.01)
    assert len(hashing._slots) >= free


@pytest.mark.parametrize("kind", [ChecksumType.XXHASH2, ChecksumType.MD5, ChecksumType.SHA512])
@pytest.mark.parametrize("is_chunked", [False, True])
@pytest.mark.parametrize("size", [LANES_FROM - 1, 5 * MIB + 3])
def test_a_writer_hashes_for_itself_and_for_others(
    store: Store, kind: ChecksumType, is_chunked: bool, size: int
) -> None:
    props = {"checksum.type": kind.value}
    if is_chunked:
        props |= {"chunks.objsize_limit": "1MiB", "chunks.chunk_size": "1500KiB"}
    store.set_bucket_props(BUCKET, props)
    data = pattern(size)
    mine, quick = hashlib.sha256(), hashlib.sha1()
    blocks = random.Random(size)
    buffer = bytearray(MIB)
    with store.open_writer(BUCKET, "o", PutOptions(size=size, md5=True)) as writer:
        writer.watch(mine.update, is_slow=True)
        writer.watch(quick.update, is_slow=False)
        position = 0
        while position < size:
            part = data[position : position + blocks.choice((4096, 200_000, MIB))]
            position += len(part)
            if blocks.random() < 0.2:
                writer.write(part)  # `bytes` are not lent
                continue
            buffer[: len(part)] = part
            writer.write(memoryview(buffer)[: len(part)])
            if writer.is_behind:
                writer.catch_up()
        writer.drain()
        assert mine.digest() == hashlib.sha256(data).digest()
        assert quick.digest() == hashlib.sha1(data).digest()
        stored = writer.commit()
    assert stored.etag == hashlib.md5(data).hexdigest()
    assert store.read(BUCKET, "o", GetOptions(verify_checksum=True)) == data
    if is_chunked and size > MIB:
        assert len(store.list_chunks(BUCKET, "o")) == 4


def test_more_writers_than_threads(store: Store) -> None:
    bodies = {f"o{number}": pattern(MIB + number, seed=number) for number in range(THREADS_MAX)}
    writers = {
        name: store.open_writer(BUCKET, name, PutOptions(size=len(data), md5=True))
        for name, data in bodies.items()
    }
    for start in range(0, MIB + THREADS_MAX, 100_000):
        for name, writer in writers.items():
            writer.write(memoryview(bodies[name])[start : start + 100_000])
    for name, writer in writers.items():
        assert writer.commit().etag == hashlib.md5(bodies[name]).hexdigest()
