"""Uploads under fire: killed writers, many processes at once, and chunks that a killed PUT has written down."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from pathlib import Path
from random import Random

import pytest
from tests.fault.support import (
    BUCKET,
    KIB,
    PROCESSES,
    VERIFIED,
    assert_sound,
    open_store,
    run_children,
    until,
)

from aiscore.engine.store import Store
from aiscore.errors import BusyError, NotFoundError
from aiscore.model.chunks import RechunkOptions
from aiscore.model.multipart import CompleteOptions, PartOptions, PartRef, UploadOptions
from aiscore.model.objects import PutOptions
from aiscore.testing.content import pattern

PART = PartOptions()
COMPLETE = CompleteOptions()


def content(seed: int, number: int) -> bytes:
    """A part, as everybody knows it: nothing but the numbers travels between the processes."""
    random = Random(f"{seed}/{number}")
    return pattern(random.choice([1, 700, 5_000, 70_000]), seed * 1_000 + number)


def whole(seed: int, count: int) -> bytes:
    return b"".join(content(seed, number) for number in range(1, count + 1))


def refs(count: int) -> list[PartRef]:
    return [PartRef(number=number) for number in range(1, count + 1)]


# kills


def send_parts(home: str, upload: str, numbers: list[int], ledger: Connection) -> None:
    """The child: parts from four threads, each told when it is acknowledged, until it is killed."""
    store = open_store(home)
    lock = threading.Lock()

    def send(number: int) -> None:
        part = store.put_part(BUCKET, "o", upload, number, content(1, number), PART)
        with lock:
            ledger.send((number, part.etag))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(send, numbers))
    store.close()


def test_acknowledged_parts_survive_kills(tmp_path: Path) -> None:
    home = str(tmp_path / "home")
    store = open_store(home)
    store.create_bucket(BUCKET)
    upload = store.create_upload(BUCKET, "o", UploadOptions())
    store.close()
    random = Random("kills")
    acknowledged: dict[int, str] = {}
    count = 600
    for _ in range(10):
        missing = [number for number in range(1, count + 1) if number not in acknowledged]
        random.shuffle(missing)
        again = random.sample(sorted(acknowledged), min(len(acknowledged), 5))
        ours, theirs = PROCESSES.Pipe(duplex=False)
        child = PROCESSES.Process(
            target=send_parts, args=(home, upload, [*again, *missing], theirs)
        )
        child.start()
        theirs.close()
        told: dict[int, str] = {}
        target = random.randrange(1, 30)
        while len(told) < target and ours.poll(20):
            try:
                number, etag = ours.recv()
            except EOFError:
                break  # nothing was missing any more
            told[number] = etag
        assert child.pid is not None
        os.kill(child.pid, signal.SIGKILL)
        told.update(_drained(ours))
        child.join()
        acknowledged.update(told)
        store = open_store(home)
        stored = {part.number: part for part in store.list_parts(BUCKET, "o", upload, 0, 10_000)}
        for number, etag in list(acknowledged.items()):
            if number in again and number not in told:
                acknowledged[number] = stored[
                    number
                ].etag  # sent again, and killed before it could say so
                continue
            assert stored[number].etag == etag
        assert all(stored[number].size == len(content(1, number)) for number in acknowledged)
        assert_sound(store)
        store.close()
    store = open_store(home)
    for number in range(1, count + 1):
        if number not in acknowledged:
            store.put_part(BUCKET, "o", upload, number, content(1, number), PART)
    props = store.complete_upload(BUCKET, "o", upload, refs(count), COMPLETE)
    assert props.chunk_count == count
    assert store.read(BUCKET, "o", VERIFIED) == whole(1, count)
    assert_sound(store)
    store.close()


def _drained(source: Connection) -> Iterator[tuple[int, str]]:
    try:
        while True:
            yield source.recv()
    except (EOFError, OSError):
        return


def put_slowly(home: str, data: bytes, given: int, ledger: Connection) -> None:
    """The child: a PUT that never ends, of which so many bytes were given."""

    def blocks() -> Iterator[bytes]:
        for start in range(0, given, 700):
            yield data[start : min(start + 700, given)]
        ledger.send("given")
        signal.pause()

    store = open_store(home)
    store.put(BUCKET, "o", blocks(), PutOptions(size=len(data), custom={"k": "v"}))


@pytest.mark.parametrize("every", [1, 3])
def test_chunks_of_a_killed_put_can_be_completed(tmp_path: Path, every: int) -> None:
    home = str(tmp_path / "home")
    store = open_store(home)
    changes = {"objsize_limit": "2KiB", "chunk_size": "1KiB", "checkpoint_every": f"{every}"}
    store.create_bucket(BUCKET, {f"chunks.{key}": value for key, value in changes.items()})
    data = pattern(20 * KIB)
    ours, theirs = PROCESSES.Pipe(duplex=False)
    child = PROCESSES.Process(target=put_slowly, args=(home, data, 8 * KIB + 100, theirs))
    child.start()
    assert ours.recv() == "given"
    assert store.list_uploads(BUCKET, "", None, 10) == [], "a PUT that runs is nobody else's"
    child.kill()
    child.join()
    store.close()
    store = open_store(home)
    (upload,) = store.list_uploads(BUCKET, "", None, 10)
    parts = store.list_parts(BUCKET, "o", upload.upload_id, 0, 100)
    assert [part.size for part in parts] == [KIB] * (8 // every * every)
    assert (upload.name, dict(upload.custom)) == ("o", {"k": "v"})
    assert_sound(store)
    done = sum(part.size for part in parts)
    last = len(parts) + 1
    store.put_part(BUCKET, "o", upload.upload_id, last, data[done:], PART)
    props = store.complete_upload(BUCKET, "o", upload.upload_id, refs(last), COMPLETE)
    assert (props.size, dict(props.custom)) == (len(data), {"k": "v"})
    assert store.read(BUCKET, "o", VERIFIED) == data
    store.rechunk_bucket(BUCKET, RechunkOptions())
    assert store.head(BUCKET, "o").chunk_count == 20
    assert store.read(BUCKET, "o", VERIFIED) == data
    assert_sound(store)
    store.close()


def rechunk_for_ever(home: str) -> None:
    store = open_store(home)
    while True:
        for limit in (KIB, 0):
            store.rechunk_bucket(BUCKET, RechunkOptions(objsize_limit=limit, chunk_size=2 * KIB))


def test_a_rechunk_that_is_killed_again_and_again(tmp_path: Path) -> None:
    home = str(tmp_path / "home")
    store = open_store(home)
    store.create_bucket(BUCKET)
    contents = {f"o{number}": pattern(number * 3 * KIB, number) for number in range(8)}
    before = {
        name: store.put(BUCKET, name, data, PutOptions(custom={"n": name}))
        for name, data in contents.items()
    }
    store.close()
    random = Random("rechunk")
    layouts = set()
    for _ in range(8):
        child = PROCESSES.Process(target=rechunk_for_ever, args=(home,))
        child.start()
        time.sleep(0.05 + random.random() * 0.15)  # the moment of death, not a wait
        child.kill()
        child.join()
        store = open_store(home)
        for name, data in contents.items():
            props = store.head(BUCKET, name)
            layouts.add(props.chunk_count)
            assert (props.etag, props.version, props.checksum, props.mtime_ns) == (
                before[name].etag,
                "1",
                before[name].checksum,
                before[name].mtime_ns,
            )
            assert store.read(BUCKET, name, VERIFIED) == data
        assert_sound(store)
        store.close()
    assert len(layouts) > 1, "no kill came after a rewrite"


# many at once


def upload_many(home: str, writer: int, uploads: int, parts: int, stop: str) -> None:
    """One of several processes: uploads with parts from several threads, each success compared byte for byte."""
    store = open_store(home)
    random = Random(writer)
    for number in range(uploads):
        seed = writer * 100 + number
        name = f"shared-{number % 3}" if number % 2 else f"w{writer}-{number}"
        upload = store.create_upload(BUCKET, name, UploadOptions(md5=bool(number % 4)))
        order = [*range(1, parts + 1), *random.sample(range(1, parts + 1), parts // 5)]
        random.shuffle(order)
        with ThreadPoolExecutor(4) as pool:
            sent = list(
                pool.map(lambda n, u=upload, m=name, s=seed: _send(store, m, u, s, n), order)
            )
        assert all(sent)
        listed = store.list_parts(BUCKET, name, upload, 0, 10_000)
        if number % 7 == 6:
            store.abort_upload(BUCKET, name, upload)
            continue
        known = [PartRef(number=part.number, etag=part.etag) for part in listed]
        props = store.complete_upload(BUCKET, name, upload, known, COMPLETE)
        expected = whole(seed, parts)
        assert props.size == len(expected)
        if name.startswith("w"):
            assert store.read(BUCKET, name, VERIFIED) == expected
            assert store.head(BUCKET, name).etag == props.etag
    store.close()
    Path(f"{stop}-{writer}").touch()


def _send(store: Store, name: str, upload: str, seed: int, number: int) -> bool:
    data = content(seed, number)
    return store.put_part(BUCKET, name, upload, number, data, PART).size == len(data)


def disturb(home: str, stop: str, writers: int) -> None:
    """Another process: rechunks, and takes a mountpath away and gives it back, until the writers are done."""
    store = open_store(home)
    disk = f"{os.path.dirname(home)}/disk"
    while sum(os.path.exists(f"{stop}-{writer}") for writer in range(writers)) < writers:
        for limit in (4 * KIB, 0):
            store.rechunk_bucket(BUCKET, RechunkOptions(objsize_limit=limit, chunk_size=4 * KIB))
        try:
            store.remove_mountpath(disk)
        except BusyError:
            store.enable_mountpath(disk)
        except NotFoundError:
            store.add_mountpath(disk)
        Path(f"{stop}-begun").touch()
    store.close()


def many_uploads(tmp_path: Path, writers: int, uploads: int, parts: int) -> None:
    home, stop = str(tmp_path / "home"), str(tmp_path / "stop")
    (tmp_path / "disk").mkdir()
    store = open_store(home)
    store.create_bucket(BUCKET)
    store.add_mountpath(str(tmp_path / "disk"))
    run_children(
        upload_many,
        [(home, writer, uploads, parts, stop) for writer in range(writers)],
        deadline_s=1_000,
    )
    assert store.list_uploads(BUCKET, "", None, 10) == []
    assert_sound(store)
    for writer in range(writers):
        for number in range(0, uploads, 2):
            if number % 7 != 6:
                data = store.read(BUCKET, f"w{writer}-{number}", VERIFIED)
                assert data == whole(writer * 100 + number, parts)
    shared = {whole(w * 100 + n, parts) for w in range(writers) for n in range(1, uploads, 2)}
    for number in range(3):
        assert store.read(BUCKET, f"shared-{number}", VERIFIED) in shared
    store.close()


def test_parallel_uploads_of_several_processes(tmp_path: Path) -> None:
    many_uploads(tmp_path, writers=3, uploads=6, parts=15)


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_thousands_of_parallel_parts(tmp_path: Path) -> None:
    many_uploads(tmp_path, writers=4, uploads=14, parts=150)


def test_uploads_beside_rechunk_and_a_mountpath_that_comes_and_goes(tmp_path: Path) -> None:
    home, stop = str(tmp_path / "home"), str(tmp_path / "stop")
    store = open_store(home)
    store.create_bucket(BUCKET)
    (tmp_path / "disk").mkdir()
    for number in range(4):
        store.put(BUCKET, f"standing-{number}", pattern(20 * KIB, number), PutOptions())
    disturber = PROCESSES.Process(target=disturb, args=(home, stop, 2))
    disturber.start()
    try:
        until(lambda: os.path.exists(f"{stop}-begun"), "the disturber has begun")
        upload_with_patience(home, stop)
    finally:
        for writer in range(2):
            Path(f"{stop}-{writer}").touch()
        until(lambda: not disturber.is_alive(), "the disturber ends")
    assert disturber.exitcode == 0
    assert store.read(BUCKET, "patient", VERIFIED) == whole(5, 200)
    for number in range(4):
        assert store.read(BUCKET, f"standing-{number}", VERIFIED) == pattern(20 * KIB, number)
    assert_sound(store)
    store.close()


def upload_with_patience(home: str, stop: str) -> None:
    """Parts that meet a mountpath on its way out are refused as busy, and sent again."""
    store = open_store(home)
    upload = store.create_upload(BUCKET, "patient", UploadOptions())
    for number in range(1, 201):
        for _ in range(50):
            try:
                store.put_part(BUCKET, "patient", upload, number, content(5, number), PART)
            except BusyError:
                continue
            break
    store.complete_upload(BUCKET, "patient", upload, refs(200), COMPLETE)
    store.close()
