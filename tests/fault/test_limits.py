"""Many and large things in flat memory and few descriptors; the memory is that of a process of its own."""

import os
import resource
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Self

import pytest
from tests.fault.support import (
    BUCKET,
    GET,
    KIB,
    MIB,
    members,
    open_fds,
    open_store,
    piece_files,
    put,
    put_pieces,
    run_children,
    small,
)

from aiscore.engine.store import Store
from aiscore.errors import StorageError
from aiscore.model.access import Access
from aiscore.model.batch import BatchEntry, BatchRequest
from aiscore.model.objects import ArchivePutMode, ListOptions, PutOptions, Selection
from aiscore.testing.content import pattern

ODD_NAMES = [
    "~",
    "\x01",
    "a",
    "a b",
    "a/b",
    "a0",
    "A",
    "é",
    "e\u0301",
    "\u07ff",
    "\u0800",
    "\ud7ff",
    "\ue000",
    "\uffff",
    "\U00010000",
    "\U0001f600/x",
    "\U0010ffff",
    "\U0010ffff\U0010ffff",
]
"""Around every edge of UTF-8 and UTF-16, whose orders differ."""


class Memory:
    """Watches how far resident memory rises above what it is now."""

    def __init__(self) -> None:
        self.peak = 0
        self._base = resident()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(0.005):
            self.peak = max(self.peak, resident() - self._base)


def resident() -> int:
    """Bytes of anonymous memory: mapped pages of the index are the kernel's to drop."""
    with open("/proc/self/status", "rb") as file:
        for line in file:
            if line.startswith(b"RssAnon"):
                return int(line.split()[1]) << 10
    raise AssertionError("no RssAnon in /proc/self/status")


def insert_rows(store: Store, names: Iterator[str]) -> None:
    """Objects by the row: what `put` would have written, all of it hard links to one piece file."""
    put(store, "first", b"")
    connection = store.core.connection()
    bucket = store.core.bucket(BUCKET, Access.GET)
    row = connection.execute(
        "SELECT * FROM objects WHERE bucket_id = ? AND name = 'first'", (bucket.id,)
    ).fetchone()
    with store.core.database.write() as connection:
        connection.executemany(
            f"INSERT INTO objects VALUES ({', '.join('?' * len(row))})",
            ((row[0], name, *row[2:]) for name in names),
        )


def list_a_million(home: str, count: int) -> None:
    store = open_store(home)
    store.create_bucket(BUCKET)
    insert_rows(store, (f"{n % 97:02d}/{n:07d}" for n in range(count)))
    store.close()
    store = open_store(home)
    store.list_page(BUCKET, ListOptions())
    with Memory() as memory:
        for options in (ListOptions(), ListOptions(prefix="5"), ListOptions(delimiter="/")):
            seen = 0
            last = ""
            token = ""
            while True:
                page = store.list_page(
                    BUCKET,
                    ListOptions(prefix=options.prefix, delimiter=options.delimiter, token=token),
                )
                for entry in page.entries:
                    assert entry.name > last
                    last = entry.name
                seen += len(page.entries)
                token = page.token
                if not token:
                    break
            if options.delimiter:
                assert seen == 98
            elif options.prefix:
                assert seen == sum(1 for n in range(count) if f"{n % 97:02d}"[0] == "5")
            else:
                assert seen == count + 1
        assert store.summarize_bucket(BUCKET).object_count == count + 1
    assert memory.peak < 120 * MIB, f"{memory.peak >> 20} MiB"
    store.close()


def test_a_million_names_are_listed_in_flat_memory(tmp_path: Path) -> None:
    run_children(list_a_million, [(str(tmp_path / "home"), 1_000_000)], 120)


@pytest.mark.parametrize("page_size", [1, 3, 0])
def test_names_come_in_the_order_of_their_bytes(store: Store, page_size: int) -> None:
    random = Random("odd names")
    names = {*ODD_NAMES}
    while len(names) < 400:
        names.add("".join(random.choices(ODD_NAMES, k=random.randrange(1, 4))))
    for name in random.sample(sorted(names), len(names)):
        put(store, name, b"")
    expected = sorted(names, key=str.encode)
    for prefix in ("", "\ud7ff", "\U0010ffff", "a", "\uffff"):
        found: list[str] = []
        token = ""
        while True:
            options = ListOptions(prefix=prefix, token=token, page_size=page_size)
            page = store.list_page(BUCKET, options)
            found += [entry.name for entry in page.entries]
            token = page.token
            if not token:
                break
        assert found == [name for name in expected if name.startswith(prefix)]


def batch_of_many(home: str, count: int) -> None:
    store = open_store(home)
    store.create_bucket(BUCKET)
    shards = ["a.tar", "b.tar", "c.tgz", "d.zip"]
    for shard in shards:
        contents = {f"m{number}": small(number % 7) for number in range(100)}
        store.put_members(BUCKET, shard, members(contents), ArchivePutMode.CREATE, None)
    random = Random("batch")
    entries = [
        BatchEntry(random.choice(shards), archpath=f"m{random.randrange(100)}")
        for _ in range(count)
    ]
    request = BatchRequest(entries=entries, bucket=BUCKET)
    fds = open_fds()
    with Memory() as memory:
        with store.get_batch(request) as stream:
            total = 0
            for number, (result, data) in enumerate(stream):
                assert result.entry is entries[number]
                if number % 1000 == 0:
                    assert data == small(int((entries[number].archpath or "")[1:]) % 7)
                total += len(data)
        assert total == count * 5_000
        with store.get_batch_archive(request) as archive:
            assert sum(len(block) for block in archive) > count * 5_000
    # A result an entry is part of the archive's contract.
    assert memory.peak < 64 * MIB + count * 400, f"{memory.peak >> 20} MiB"
    assert open_fds() < fds + 3 * len(shards)
    store.close()


def test_a_batch_of_a_hundred_thousand_entries(tmp_path: Path) -> None:
    run_children(batch_of_many, [(str(tmp_path / "home"), 100_000)], 120)


def stream_large(home: str, size: int) -> None:
    store = open_store(home)
    store.create_bucket(BUCKET)
    block = pattern(MIB, 1)

    def body() -> Iterator[bytes]:
        for _ in range(size // MIB):
            yield block

    with Memory() as memory:
        store.put(BUCKET, "large", body(), PutOptions())
        assert store.head(BUCKET, "large").size == size
        seen = 0
        buffer = bytearray(MIB)
        with store.open(BUCKET, "large", GET) as reader:
            while count := reader.readinto(buffer):
                seen += count
        assert seen == size
        store.copy(BUCKET, "large", BUCKET, "copy")
        assert store.validate(BUCKET, "large").faults == ()
        request = BatchRequest(entries=[BatchEntry("large")], bucket=BUCKET)
        with store.get_batch_archive(request) as archive:
            assert sum(len(each) for each in archive) > size
    assert memory.peak < 100 * MIB, f"{memory.peak >> 20} MiB"
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < 200 * KIB
    store.delete(BUCKET, "large", None)
    store.delete(BUCKET, "copy", None)
    assert piece_files(store) == set()
    store.close()


def test_two_gibibytes_stream_through_little_memory(tmp_path: Path) -> None:
    run_children(stream_large, [(str(tmp_path / "home"), 2 << 30)], 240)


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_ten_gibibytes_stream_through_little_memory(tmp_path: Path) -> None:
    run_children(stream_large, [(str(tmp_path / "home"), 10 << 30)], 1800)


def few_descriptors(home: str, kind: str) -> None:
    store = open_store(home)
    store.create_bucket(BUCKET)
    entries = []
    for number in range({"objects": 2_000, "shards": 400, "packed": 400, "chunked": 150}[kind]):
        match kind:
            case "objects":
                put(store, f"o{number}", small(number % 7))
                entries.append(BatchEntry(f"o{number}"))
            case "shards" | "packed":
                name = f"s{number}.{'tar' if kind == 'shards' else 'tgz'}"
                store.put_members(BUCKET, name, members({"m": b"1"}), ArchivePutMode.CREATE, None)
                entries.append(BatchEntry(name, archpath="m"))
            case _:
                put_pieces(store, f"c{number}", pattern(24 * KIB, number), KIB)
                entries.append(BatchEntry(f"c{number}"))
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))
    most = 0
    for _ in range(2):
        with store.get_batch(BatchRequest(entries=entries, bucket=BUCKET)) as stream:
            for _result, data in stream:
                assert data
                most = max(most, open_fds())
    assert most < 256
    store.close()


@pytest.mark.parametrize("kind", ["objects", "shards", "packed", "chunked"])
def test_a_batch_keeps_few_files_open(tmp_path: Path, kind: str) -> None:
    run_children(few_descriptors, [(str(tmp_path / "home"), kind)], 60)


def out_of_descriptors(home: str) -> None:
    """Every kind of operation with no descriptor left: a typed error, and all is well afterwards."""
    store = open_store(home)
    store.create_bucket(BUCKET)
    put(store, "o", small())
    put_pieces(store, "c", pattern(24 * KIB, 1), KIB)
    store.put_members(BUCKET, "t.tgz", members({"m": b"1"}), ArchivePutMode.CREATE, None)
    calls: dict[str, Callable[[], object]] = {
        "put": lambda: put(store, "new", b"1"),
        "read": lambda: store.read(BUCKET, "o", GET),
        "open": lambda: store.open(BUCKET, "c", GET).close(),
        "copy": lambda: store.copy(BUCKET, "c", BUCKET, "copy"),
        "append": lambda: store.append(BUCKET, "o", b"1", ""),
        "batch": lambda: list(
            store.get_batch(
                BatchRequest(entries=[BatchEntry("t.tgz", archpath="m")], bucket=BUCKET)
            )
        ),
        "buffered": lambda: store.get_batch_archive(
            BatchRequest(entries=[BatchEntry("o")], bucket=BUCKET, streaming=False)
        ).close(),
        "members": lambda: store.list_members(BUCKET, "t.tgz", None),
        "validate": lambda: store.validate(None, ""),
        "delete": lambda: store.delete_many(BUCKET, Selection(names=("c",))),
    }
    store.set_config({"store.load": "off"})  # or batches would be refused long before
    resource.setrlimit(resource.RLIMIT_NOFILE, (128, 128))
    problems = []
    for what, call in calls.items():
        for spare in range(4):
            hoard = []
            try:
                while True:
                    hoard.append(os.open("/dev/null", os.O_RDONLY))
            except OSError:
                pass
            for fd in hoard[:spare]:
                os.close(fd)
            try:
                call()
            except StorageError:
                pass
            except Exception as exc:
                problems.append(f"{what} with {spare}: {exc!r}")
            for fd in hoard[spare:]:
                os.close(fd)
    resource.setrlimit(resource.RLIMIT_NOFILE, (128, 128))
    store.close()
    assert not problems, "\n".join(problems)


def test_no_descriptor_left_is_a_typed_error(tmp_path: Path) -> None:
    run_children(out_of_descriptors, [(str(tmp_path / "home"),)])


def test_an_open_of_a_large_store_is_quick(home: str) -> None:
    """R4: a restart after a crash with 100,000 objects takes a second at most."""
    store = open_store(home)
    store.create_bucket(BUCKET)
    insert_rows(store, (f"{n:07d}" for n in range(100_000)))
    store.close()
    started = time.monotonic()
    store = open_store(home)
    store.list_page(BUCKET, ListOptions(page_size=10))
    elapsed = time.monotonic() - started
    store.close()
    assert elapsed < 1
