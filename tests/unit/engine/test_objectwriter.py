"""The push-style writer: what `put` promises, for blocks that come one by one and from several threads."""

import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from aiscore.engine import hashing
from aiscore.engine.archive.index import SEARCHED_MAX, SEARCHES_BEFORE_DICT
from aiscore.engine.checksum import checksum_of
from aiscore.engine.hashing import THREADS_MAX, BackgroundHasher
from aiscore.engine.store import Store
from aiscore.errors import (
    AccessDeniedError,
    AisError,
    BucketNotFoundError,
    ChecksumMismatchError,
    InvalidArgumentError,
    InvalidNameError,
    PreconditionFailedError,
)
from aiscore.model.archive import ArchiveFormat, ArchiveMode
from aiscore.model.bucket import BucketRef
from aiscore.model.checksum import Checksum, ChecksumType
from aiscore.model.objects import GetOptions, Precondition, PutOptions
from aiscore.testing.archives import build
from aiscore.testing.content import pattern

BUCKET = BucketRef("b")
MIB = 1 << 20
KINDS = [ChecksumType.XXHASH2, ChecksumType.MD5, ChecksumType.CRC32C, ChecksumType.NONE]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(str(tmp_path / "home"))
    opened.create_bucket(BUCKET)
    yield opened
    assert opened.validate(None, "").faults == ()
    opened.close()


def piece_files(store: Store) -> list[str]:
    root = f"{store.core.home}/mp/pieces"
    return [name for _, _, files in os.walk(root) for name in files]


def push(store: Store, name: str, data: bytes, options: PutOptions, block: int) -> None:
    """Through one buffer that is used again for every block, as a server's receive buffer is."""
    buffer = bytearray(block)
    with store.open_writer(BUCKET, name, options) as writer:
        for start in range(0, len(data), block):
            part = data[start : start + block]
            buffer[: len(part)] = part
            writer.write(memoryview(buffer)[: len(part)])
        writer.commit()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("block", [1000, 64 << 10, 700_000, MIB])
def test_what_is_pushed_is_what_put_would_store(
    store: Store, kind: ChecksumType, block: int
) -> None:
    data = pattern(3 * MIB + 17)
    options = PutOptions(compute=kind, custom={"k": "v"}, size=len(data))
    push(store, "pushed", data, options, block)
    store.put(BUCKET, "put", data, options)
    assert store.read(BUCKET, "pushed", GetOptions(verify_checksum=True)) == data
    pushed, put = store.head(BUCKET, "pushed"), store.head(BUCKET, "put")
    assert (pushed.checksum, pushed.custom, pushed.version) == (put.checksum, put.custom, "1")


def test_blocks_of_all_kinds_keep_their_order(store: Store) -> None:
    data = pattern(9 * MIB)
    sizes = [MIB, 3, MIB, 600_000, 10, 2 * MIB, 1, MIB]
    with store.open_writer(BUCKET, "o", PutOptions()) as writer:
        position = 0
        for number, size in enumerate(sizes):
            part = data[position : position + size]
            writer.write(part if number % 2 else memoryview(bytearray(part)))
            position += size
        writer.write(data[position:])
        props = writer.commit()
    assert props.checksum == Checksum(ChecksumType.XXHASH2, checksum_of(ChecksumType.XXHASH2, data))
    assert store.read(BUCKET, "o", GetOptions(verify_checksum=True)) == data


def test_an_empty_body_is_an_empty_object(store: Store) -> None:
    with store.open_writer(BUCKET, "o", PutOptions(size=0)) as writer:
        assert writer.commit().size == 0
    assert store.read(BUCKET, "o", GetOptions()) == b""


@pytest.mark.parametrize(
    ("bucket", "name", "options", "error"),
    [
        (BUCKET, "../o", PutOptions(), InvalidNameError),
        (BucketRef("nope"), "o", PutOptions(), BucketNotFoundError),
        (BUCKET, "o", PutOptions(custom={"a=b": "c"}), InvalidArgumentError),
    ],
)
def test_what_can_be_refused_is_refused_before_the_body(
    store: Store, bucket: BucketRef, name: str, options: PutOptions, error: type[AisError]
) -> None:
    with pytest.raises(error):
        store.open_writer(bucket, name, options)


def test_a_bucket_that_forbids_it_refuses_a_writer(store: Store) -> None:
    store.set_bucket_props(BUCKET, {"access": "ro"})
    with pytest.raises(AccessDeniedError):
        store.open_writer(BUCKET, "o", PutOptions())


def test_a_body_that_lies_leaves_nothing_and_spends_the_writer(store: Store) -> None:
    store.put(BUCKET, "o", b"old", PutOptions())
    wrong = Checksum(ChecksumType.MD5, "0" * 32)
    for options, parts, error in (
        (PutOptions(size=5), [b"123", b"456"], InvalidArgumentError),
        (PutOptions(size=7), [b"123", b"456"], InvalidArgumentError),
        (PutOptions(checksum=wrong), [b"123"], ChecksumMismatchError),
        (PutOptions(precondition=Precondition(if_absent=True)), [b"1"], PreconditionFailedError),
    ):
        writer = store.open_writer(BUCKET, "o", options)

        def send() -> None:
            for part in parts:  # noqa: B023 - called in this turn
                writer.write(part)  # noqa: B023
            writer.commit()  # noqa: B023

        with pytest.raises(error):
            send()
        with pytest.raises(InvalidArgumentError, match="spent"):
            writer.write(b"more")
        with pytest.raises(InvalidArgumentError, match="spent"):
            writer.commit()
        writer.abort()
        assert store.read(BUCKET, "o", GetOptions()) == b"old"
        assert len(piece_files(store)) == 1


def test_abort_is_safe_to_repeat_and_after_commit(store: Store) -> None:
    writer = store.open_writer(BUCKET, "o", PutOptions())
    writer.write(b"x" * MIB)
    assert len(piece_files(store)) == 1
    writer.abort()
    writer.abort()
    assert piece_files(store) == []
    writer = store.open_writer(BUCKET, "o", PutOptions())
    writer.write(b"kept")
    writer.commit()
    writer.abort()
    assert store.read(BUCKET, "o", GetOptions()) == b"kept"


def test_the_same_content_again_changes_nothing(store: Store) -> None:
    data = pattern(2 * MIB)
    given = Checksum(ChecksumType.XXHASH2, checksum_of(ChecksumType.XXHASH2, data))
    push(store, "o", data, PutOptions(), MIB)
    before = store.head(BUCKET, "o")
    push(store, "o", data, PutOptions(checksum=given), 64 << 10)
    assert store.head(BUCKET, "o") == before
    assert len(piece_files(store)) == 1
    push(store, "o", data, PutOptions(checksum=given, skip_same=False), 64 << 10)
    assert store.head(BUCKET, "o").version == "2"


def test_the_same_content_again_mends_what_is_damaged(store: Store) -> None:
    data = pattern(2 * MIB)
    given = Checksum(ChecksumType.XXHASH2, checksum_of(ChecksumType.XXHASH2, data))
    push(store, "o", data, PutOptions(), MIB)
    [piece] = Path(store.core.home, "mp", "pieces").glob("*/*")
    piece.write_bytes(bytes(len(data)))
    push(store, "o", data, PutOptions(checksum=given), MIB)
    assert store.read(BUCKET, "o", GetOptions(verify_checksum=True)) == data
    assert store.head(BUCKET, "o").version == "2"


def test_many_writers_take_turns_on_one_thread(store: Store) -> None:
    """A server's event loop: every open body gets a block in turn, while threads put and commit beside it."""
    bodies = {f"o{i:03}": pattern(1_300_000 + i, seed=i) for i in range(3 * THREADS_MAX)}
    stop = threading.Event()

    def put_beside() -> int:
        count = 0
        while not stop.is_set():
            store.put(BUCKET, f"beside/{count % 10}", b"x" * 5000, PutOptions())
            count += 1
        return count

    with ThreadPoolExecutor(2) as pool, ExitStack() as stack:
        beside = pool.submit(put_beside)
        writers = {
            name: stack.enter_context(store.open_writer(BUCKET, name, PutOptions(size=len(body))))
            for name, body in bodies.items()
        }
        buffer = bytearray(200_000)
        position = 0
        while position < 1_400_000:
            for name, writer in writers.items():
                part = bodies[name][position : position + len(buffer)]
                if position < 600_000:
                    buffer[: len(part)] = part
                    writer.write(memoryview(buffer)[: len(part)])
                else:
                    writer.write(part)
            position += len(buffer)
        commits = [pool.submit(writer.commit) for writer in writers.values()]
        props = [commit.result() for commit in commits]
        stop.set()
        assert beside.result() > 0
    assert [p.size for p in props] == [len(body) for body in bodies.values()]
    for name, body in bodies.items():
        assert store.read(BUCKET, name, GetOptions(verify_checksum=True)) == body


def test_hashing_threads_are_bounded_and_given_back() -> None:
    free = len(hashing._slots)
    started = [BackgroundHasher.start(lambda _: None) for _ in range(free)]
    assert None not in started
    assert BackgroundHasher.start(lambda _: None) is None
    for hasher in started:
        assert hasher is not None
        hasher.close()
    deadline = threading.Event()
    for _ in range(500):
        if len(hashing._slots) == free:
            break
        deadline.wait(0.01)
    assert len(hashing._slots) == free


def test_a_glance_reads_what_is_small_and_tells_of_the_rest(store: Store) -> None:
    store.put(BUCKET, "small", b"x" * 100, PutOptions())
    store.put(BUCKET, "large", b"x" * 1001, PutOptions())
    small, large = store.glance(BUCKET, "small", 1000), store.glance(BUCKET, "large", 1000)
    assert (small.data, small.size, small.is_cheap) == (b"x" * 100, 100, True)
    assert (large.data, large.size) == (None, 1001)
    assert store.props_of(large.state) == store.head(BUCKET, "large")
    store.set_custom(BUCKET, "small", {"a": "b"}, replace=True)
    again = store.glance(BUCKET, "small", 1000)
    assert again.state is not small.state
    assert store.props_of(again.state).custom == {"a": "b"}


def test_files_of_a_tar_are_quick_to_open_once_its_members_are_known(store: Store) -> None:
    def is_quick(name: str, options: GetOptions) -> bool:
        return store.is_quick(store.glance(BUCKET, name, 0), options)

    member = GetOptions(archpath="file")
    for name, archive_format in (("s.tar", ArchiveFormat.TAR), ("s.tgz", ArchiveFormat.TGZ)):
        store.put(BUCKET, name, build(archive_format, [("file", b"content")]), PutOptions())
        assert is_quick(name, GetOptions())
        assert not is_quick(name, GetOptions(verify_checksum=True))
        assert not is_quick(name, member)
        assert store.read(BUCKET, name, member) == b"content"
        assert is_quick(name, member) is (archive_format is ArchiveFormat.TAR)
        assert not is_quick(name, GetOptions(archregx="f", archmode=ArchiveMode.PREFIX))
    store.put(BUCKET, "s.tar", build(ArchiveFormat.TAR, [("file", b"other")]), PutOptions())
    assert not is_quick("s.tar", member), "it is another shard"
    many = [(f"f{number}", b"") for number in range(SEARCHED_MAX + 1)]
    store.put(BUCKET, "s.tar", build(ArchiveFormat.TAR, many), PutOptions())
    for number in range(SEARCHES_BEFORE_DICT + 1):
        assert not is_quick("s.tar", member)
        store.read(BUCKET, "s.tar", GetOptions(archpath=f"f{number}"))
    assert is_quick("s.tar", member)


def test_a_glance_verifies_where_the_bucket_wants_it(store: Store) -> None:
    store.put(BUCKET, "o", b"x" * 100, PutOptions())
    store.set_bucket_props(BUCKET, {"checksum.validate_warm_get": "true"})
    assert store.glance(BUCKET, "o", 1000).data is None


def test_a_spool_gives_back_what_it_was_given(store: Store) -> None:
    data = pattern(2 * MIB + 1)
    spool = store.open_spool("ais://b/o")
    for start in range(0, len(data), 300_000):
        spool.write(data[start : start + 300_000])
    spool.rewind()
    assert spool.size == len(data)
    store.put(BUCKET, "o", spool, PutOptions(size=len(data)))
    spool.close()
    spool.close()
    assert store.read(BUCKET, "o", GetOptions()) == data
