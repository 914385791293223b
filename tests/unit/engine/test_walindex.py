"""What is cached of the index holds exactly as long as nobody commits, and looking costs no lock its safety."""

import gc
import io
import os
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from aiscore.engine.store import Store
from aiscore.errors import BucketNotFoundError, ObjectNotFoundError, PreconditionFailedError
from aiscore.model.archive import ArchiveFormat
from aiscore.model.batch import BatchEntry, BatchRequest
from aiscore.model.bucket import BucketRef
from aiscore.model.objects import ArchivePutMode, GetOptions, Precondition, PutOptions
from aiscore.transport.base import MemberInput

BUCKET = BucketRef("b")
WHOLE = GetOptions()
_DEAD_MAN_BYTE = 128
"""Of the wal-index: every SQLite connection holds a lock on it, and who gets it alone may make the file anew."""
_WRITER = """
import sys
from aiscore.engine.store import Store
from aiscore.model.bucket import BucketRef
from aiscore.model.objects import PutOptions
store = Store(sys.argv[1])
for line in sys.stdin:
    store.put(BucketRef("b"), "o", line.strip().encode(), PutOptions())
    print("done", flush=True)
store.close()
"""
_LOCKER = """
import fcntl, os, sys
fd = os.open(sys.argv[1], os.O_RDWR)
try:
    fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, int(sys.argv[2]))
except OSError:
    print("held")
else:
    print("free")
"""


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(str(tmp_path / "home"))
    store.create_bucket(BUCKET)
    yield store
    store.close()


def _questions(store: Store) -> list[str]:
    """The statements that this thread's connection runs from now on."""
    asked: list[str] = []
    store.core.connection().raw.set_trace_callback(asked.append)
    return asked


def test_every_commit_of_another_process_is_seen_by_the_next_read(store: Store) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _WRITER, store.core.home],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as writer:
        assert writer.stdin is not None
        assert writer.stdout is not None
        for number in range(300):
            writer.stdin.write(f"{number}\n")
            writer.stdin.flush()
            assert writer.stdout.readline() == "done\n"
            for _ in range(2):  # once anew, once from the cache
                assert store.read(BUCKET, "o", WHOLE) == str(number).encode()
        writer.stdin.close()


def test_every_commit_of_another_store_of_this_process_is_seen(store: Store) -> None:
    other = Store(store.core.home)
    for number in range(50):
        here, there = (store, other) if number % 2 else (other, store)
        here.put(BUCKET, "o", str(number).encode(), PutOptions())
        assert there.read(BUCKET, "o", WHOLE) == here.read(BUCKET, "o", WHOLE)
        assert there.head(BUCKET, "o").version == str(number + 1)
    other.delete(BUCKET, "o", None)
    with pytest.raises(ObjectNotFoundError):
        store.read(BUCKET, "o", WHOLE)
    other.close()


def test_while_nobody_commits_sqlite_is_not_asked(store: Store) -> None:
    store.put(BUCKET, "o", b"x", PutOptions())
    store.read(BUCKET, "o", WHOLE)
    asked = _questions(store)
    for _ in range(10):
        store.read(BUCKET, "o", WHOLE)
        store.head(BUCKET, "o")
    assert asked == []


def test_a_checkpoint_that_starts_the_log_anew_hides_nothing(store: Store) -> None:
    other = Store(store.core.home)
    for number in range(20):
        other.put(BUCKET, "o", str(number).encode(), PutOptions())
        (other if number % 3 else store).core.database.checkpoint()
        assert store.read(BUCKET, "o", WHOLE) == str(number).encode()
    other.close()


def test_a_child_sees_what_its_parent_commits_and_the_reverse(store: Store) -> None:
    store.put(BUCKET, "o", b"before", PutOptions())
    assert store.read(BUCKET, "o", WHOLE) == b"before"
    go, gone = os.pipe(), os.pipe()
    pid = os.fork()
    if not pid:
        status = 1
        try:
            assert store.read(BUCKET, "o", WHOLE) == b"before"
            os.write(gone[1], b".")
            os.read(go[0], 1)
            assert store.read(BUCKET, "o", WHOLE) == b"parent"
            store.put(BUCKET, "o", b"child", PutOptions())
            store.close()
            status = 0
        finally:
            os._exit(status)
    os.read(gone[0], 1)
    store.put(BUCKET, "o", b"parent", PutOptions())
    os.write(go[1], b".")
    assert os.waitpid(pid, 0)[1] == 0
    assert store.read(BUCKET, "o", WHOLE) == b"child"
    for fd in (*go, *gone):
        os.close(fd)


def test_closing_one_store_leaves_the_locks_of_the_other(store: Store) -> None:
    shared = f"{store.core.home}/index.db-shm"
    for _ in range(3):
        other = Store(store.core.home)
        other.list_buckets()
        other.close()
        command = [sys.executable, "-c", _LOCKER, shared, str(_DEAD_MAN_BYTE)]
        found = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        assert found == "held\n"


def test_a_closed_home_keeps_no_descriptor(tmp_path: Path) -> None:
    gc.collect()  # what tests before this one have left
    Store(str(tmp_path / "first")).close()
    before = len(os.listdir("/proc/self/fd"))
    for number in range(20):
        home = str(tmp_path / str(number % 4))
        first, second = Store(home), Store(home)
        first.list_buckets()
        first.close()
        second.list_buckets()
        second.close()
    assert len(os.listdir("/proc/self/fd")) == before


def _stored_indexes(store: Store) -> int:
    found = store.core.connection().execute("SELECT count(*) FROM shard_indexes").fetchone()
    return int(found[0])


def test_a_shard_index_that_another_store_made_goes_with_its_shard(store: Store) -> None:
    store.put(BUCKET, "first", b"x", PutOptions())
    store.put(BUCKET, "first", b"y", PutOptions())  # now it is known that there are no indexes
    other = Store(store.core.home)
    other.put_members(
        BUCKET, "s.tar", [MemberInput("a", 1, b"a")], ArchivePutMode.CREATE, ArchiveFormat.TAR
    )
    assert other.read(BUCKET, "s.tar", GetOptions(archpath="a")) == b"a"
    other.close()  # writes down what it has read
    assert _stored_indexes(store) == 1
    store.put(BUCKET, "s.tar", b"no shard any more", PutOptions())
    assert _stored_indexes(store) == 0
    assert store.validate(None, "").faults == ()


def test_a_commit_counts_on_what_is_stored_not_on_what_was_cached(store: Store) -> None:
    store.put(BUCKET, "o", b"1", PutOptions())
    other = Store(store.core.home)
    for number in range(2, 20, 2):
        before = store.head(BUCKET, "o")
        assert other.put(BUCKET, "o", b"2", PutOptions()).version == str(number)
        with pytest.raises(PreconditionFailedError):
            store.put(BUCKET, "o", b"x", PutOptions(precondition=Precondition(if_etag=before.etag)))
        assert store.put(BUCKET, "o", b"3", PutOptions()).version == str(number + 1)
    writer = store.open_writer(BUCKET, "o", PutOptions())
    writer.write(b"4")
    other.destroy_bucket(BUCKET)
    with pytest.raises(BucketNotFoundError):
        writer.commit()
    assert store.validate(None, "").faults == ()
    other.close()


@pytest.mark.parametrize("change", ["overwritten", "renamed", "deleted"])
def test_a_batch_that_goes_on_in_another_thread_sees_what_was_committed(
    store: Store, change: str
) -> None:
    names = [f"o{number}" for number in range(40)]
    for name in names:
        store.put(BUCKET, name, bytes(100_000), PutOptions())
    request = BatchRequest(
        entries=[BatchEntry(name) for name in names], bucket=BUCKET, cont_on_err=True
    )

    with ThreadPoolExecutor(1) as pool:
        # That thread has rows in its cache that are old when the batch comes to it.
        pool.submit(store.read, BUCKET, names[-1], WHOLE).result()
        other = Store(store.core.home)
        if change == "overwritten":
            other.put(BUCKET, names[-1], b"new", PutOptions())
        elif change == "renamed":
            other.rename(BUCKET, names[-1], "elsewhere")
        else:
            other.delete(BUCKET, names[-1], None)
        archive = store.get_batch_archive(request)
        blocks = iter(archive)
        data = bytes(next(blocks))
        while (block := pool.submit(next, blocks, None).result()) is not None:
            data += bytes(block)
        other.close()
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        found = {member.name: member.size for member in tar}
    assert len(found) == len(names)
    if change == "overwritten":
        assert found[f"b/{names[-1]}"] == 3
    else:
        assert found[f"__404__/b/{names[-1]}"] == 0
