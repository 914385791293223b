"""Several small objects in one transaction: each has its own result, whatever becomes of the others."""

import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from aiscore.engine.puts import SmallPut
from aiscore.engine.store import Store
from aiscore.errors import (
    AisError,
    BucketNotFoundError,
    BusyError,
    ChecksumMismatchError,
    InvalidNameError,
    PreconditionFailedError,
)
from aiscore.model.bucket import BucketRef
from aiscore.model.checksum import Checksum, ChecksumType
from aiscore.model.objects import (
    GetOptions,
    ListOptions,
    ObjectProps,
    Precondition,
    PutOptions,
)

BUCKET = BucketRef("b")
OTHER = BucketRef("other")
PLAIN = PutOptions()
VERIFIED = GetOptions(verify_checksum=True)
ABSENT = PutOptions(precondition=Precondition(if_absent=True))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(str(tmp_path / "home"))
    store.create_bucket(BUCKET)
    yield store
    try:
        assert not store.validate(None, "").faults
        assert not orphans(store)
    finally:
        store.close()


def orphans(store: Store) -> set[str]:
    """Files of pieces without a row."""
    rows = store.core.connection().rows("SELECT id FROM pieces")
    named = {f"{row[0]:016x}" for row in rows}
    root = Path(store.core.home, "mp", "pieces")
    found = {path.name for path in root.rglob("*") if path.is_file()}
    return {name for name in found if not any(name in each or each in name for each in named)}


def transactions(store: Store) -> int:
    return store.core.connection().transaction


def put(
    name: str, data: bytes, options: PutOptions = PLAIN, bucket: BucketRef = BUCKET
) -> SmallPut:
    return SmallPut(bucket, name, data, options)


def test_many_are_one_transaction(store: Store) -> None:
    store.put(BUCKET, "o3", b"old", PLAIN)
    before = transactions(store)
    results = store.put_many([put(f"o{number}", b"%d" % number) for number in range(20)])
    assert transactions(store) == before + 1
    for number, props in enumerate(results):
        assert isinstance(props, ObjectProps)
        assert props == store.head(BUCKET, f"o{number}")
        assert store.read(BUCKET, f"o{number}", VERIFIED) == b"%d" % number
    assert len({props.etag for props in results if isinstance(props, ObjectProps)}) == 20
    assert store.put_many([]) == []


def test_one_that_fails_fails_alone(store: Store) -> None:
    store.put(BUCKET, "there", b"kept", PLAIN)
    wrong = Checksum(ChecksumType.XXHASH2, "0" * 16)
    puts = [
        put("a", b"1"),
        put("there", b"2", ABSENT),
        put("b", b"3", bucket=OTHER),
        put("c", b"4", PutOptions(checksum=wrong, skip_same=False)),
        put("../d", b"5"),
        put("e", b"6"),
    ]
    results = store.put_many(puts)
    kinds = [
        ObjectProps,
        PreconditionFailedError,
        BucketNotFoundError,
        ChecksumMismatchError,
        InvalidNameError,
        ObjectProps,
    ]
    assert [type(result) for result in results] == kinds
    # What each of them would have failed with by itself.
    for one, result in zip(puts, results, strict=True):
        if isinstance(result, AisError):
            with pytest.raises(type(result)) as alone:
                store.put(*one)
            assert alone.value.message == result.message
    assert store.read(BUCKET, "there", VERIFIED) == b"kept"
    names = {entry.name for entry in store.list_page(BUCKET, ListOptions()).entries}
    assert names == {"a", "there", "e"}


def test_the_last_of_a_name_stays(store: Store) -> None:
    store.set_bucket_props(BUCKET, {"versioning.enabled": "true"})
    results = store.put_many([put("o", b"1"), put("p", b"2"), put("o", b"3"), put("o", b"4")])
    assert [result.version for result in results if isinstance(result, ObjectProps)] == [
        "1",
        "1",
        "2",
        "3",
    ]
    assert store.read(BUCKET, "o", VERIFIED) == b"4"
    absent, second = store.put_many([put("q", b"5", ABSENT), put("q", b"6", ABSENT)])
    assert isinstance(absent, ObjectProps)
    assert isinstance(second, PreconditionFailedError)
    assert store.read(BUCKET, "q", VERIFIED) == b"5"


def test_what_is_not_one_piece_and_one_row_is_put_by_itself(store: Store, tmp_path: Path) -> None:
    (tmp_path / "second").mkdir()
    store.add_mountpath(str(tmp_path / "second"))
    store.create_bucket(OTHER)
    store.set_bucket_props(OTHER, {"mirror.enabled": "true", "mirror.copies": "2"})
    same = store.put(BUCKET, "same", b"same", PLAIN)
    results = store.put_many(
        [
            put("a", b"1"),
            put("m", b"2", bucket=OTHER),
            put("same", b"same", PutOptions(checksum=same.checksum)),
            put("large", b"x" * (2 << 20)),
            put("md5", b"3", PutOptions(md5=True, custom={"k": "v"})),
        ]
    )
    props = [result for result in results if isinstance(result, ObjectProps)]
    assert len(props) == 5
    assert len(store.head(OTHER, "m").mirror_paths) == 2
    assert props[2].etag == same.etag
    assert store.head(BUCKET, "large").size == 2 << 20
    assert props[4].etag == "eccbc87e4b5ce2fe28308fd9f2a7baf3"
    assert props[4].custom["k"] == "v"


def test_a_busy_index_is_told_of_each_and_leaves_nothing(store: Store) -> None:
    store.put(BUCKET, "old", b"old", PLAIN)
    with sqlite3.connect(f"{store.core.home}/index.db", isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        with store.briefly():
            results = store.put_many([put("old", b"1"), put("new", b"2")])
        other.execute("ROLLBACK")
    other.close()
    assert [type(result) for result in results] == [BusyError, BusyError]
    assert [entry.name for entry in store.list_page(BUCKET, ListOptions()).entries] == ["old"]
    assert not orphans(store)
    assert store.read(BUCKET, "old", VERIFIED) == b"old"


def test_who_must_not_wait_does_not_wait_for_a_thread_either(store: Store) -> None:
    store.put(BUCKET, "old", b"old", PLAIN)
    is_begun, may_end = threading.Event(), threading.Event()

    def write() -> None:
        with store.core.database.write():
            is_begun.set()
            may_end.wait(30)

    thread = threading.Thread(target=write)
    thread.start()
    assert is_begun.wait(30)
    # Asking `is_writing` first is not enough: the thread may begin in between.
    with store.briefly():
        results = store.put_many([put("old", b"1"), put("new", b"2")])
        with pytest.raises(BusyError, match="busy with the writes of others"):
            store.put(BUCKET, "new", b"3", PLAIN)
    assert thread.is_alive()
    may_end.set()
    thread.join()
    assert [type(result) for result in results] == [BusyError, BusyError]
    assert [entry.name for entry in store.list_page(BUCKET, ListOptions()).entries] == ["old"]
    assert not orphans(store)
    store.put(BUCKET, "new", b"3", PLAIN)
