"""Several processes, threads and forks on one home: exact contents, one winner, nothing lost, nothing left."""

import hashlib
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import pytest
from tests.fault.support import (
    BUCKET,
    GET,
    KIB,
    OTHER,
    PIECE,
    PROCESSES,
    VERIFIED,
    assert_sound,
    chunked,
    expect_typed,
    finish_process,
    members,
    names_of,
    open_fds,
    open_store,
    piece_files,
    put,
    put_pieces,
    read,
    run_children,
    second_mountpath,
    small,
    spread_names,
    until,
)

from aiscore.engine.read import props_of
from aiscore.engine.store import Store
from aiscore.errors import (
    AisError,
    AlreadyExistsError,
    ArchiveError,
    BusyError,
    CorruptionError,
    NotFoundError,
    PreconditionFailedError,
    UnavailableError,
)
from aiscore.model.archive import ArchiveFormat
from aiscore.model.batch import BatchEntry, BatchRequest
from aiscore.model.objects import (
    ArchivePutMode,
    GetOptions,
    ListOptions,
    Precondition,
    PutOptions,
)
from aiscore.testing.content import pattern

NAMES = [f"name-{number}" for number in range(6)]


def stamped(name: str, writer: int, sequence: int, size: int) -> bytes:
    """Content that says whose it is and proves that it is whole."""
    head = f"{name}|{writer}|{sequence}|".encode()
    body = head + Random(f"{writer}/{sequence}").randbytes(size)
    return body + hashlib.sha256(body).digest()


def check_stamp(name: str, data: bytes) -> None:
    body, digest = data[:-32], data[-32:]
    assert hashlib.sha256(body).digest() == digest, f"{name}: torn content"
    assert body.split(b"|", 1)[0].decode() in NAMES, f"{name}: content of something else"


def hammer(home: str, writer: int, seconds: float) -> None:
    """Random operations on the same few names as everybody else."""
    random = Random(f"hammer/{writer}")
    store = open_store(home)
    versions: dict[str, int] = {}
    end = time.monotonic() + seconds
    sequence = 0
    while time.monotonic() < end:
        sequence += 1
        name = random.choice(NAMES)
        try:
            _hammer_once(store, random, name, writer, sequence, versions)
        except NotFoundError:
            versions.pop(name, None)
        except BusyError:
            continue
    store.close()


def _hammer_once(
    store: Store, random: Random, name: str, writer: int, sequence: int, versions: dict[str, int]
) -> None:
    match random.choice("ppppccgggggdlbvrh"):
        case "p":
            data = stamped(name, writer, sequence, random.choice([10, 3_000, 70_000]))
            store.put(BUCKET, name, data, PutOptions())
        case "c":
            data = stamped(name, writer, sequence, 3 * KIB)
            put_pieces(store, name, data, KIB)
        case "g":
            check_stamp(name, store.read(BUCKET, name, random.choice([GET, VERIFIED])))
        case "h":
            assert store.head(BUCKET, name).size > 32
        case "d":
            if random.random() < 0.3:
                store.delete(BUCKET, name, None)
        case "l":
            found = names_of(store)
            assert found == sorted(set(found))
        case "b":
            request = BatchRequest(
                entries=[BatchEntry(each) for each in NAMES], bucket=BUCKET, cont_on_err=True
            )
            with store.get_batch(request) as stream:
                for result, data in stream:
                    if result.error is None:
                        check_stamp(result.entry.name, data)
        case "r":
            other = random.choice(NAMES)
            store.copy(BUCKET, name, BUCKET, other)
        case "v":
            with store.open(BUCKET, name, GET) as reader:
                check_stamp(name, b"".join(reader))


@pytest.mark.parametrize("count", [2, 4])
def test_every_read_is_one_of_the_written_contents(home: str, store: Store, count: int) -> None:
    run_children(hammer, [(home, writer, 4.0) for writer in range(count)])
    for name in names_of(store):
        check_stamp(name, store.read(BUCKET, name, VERIFIED))


@pytest.mark.soak
def test_every_read_is_one_of_the_written_contents_for_long(home: str, store: Store) -> None:
    run_children(hammer, [(home, writer, 120.0) for writer in range(4)], 200.0)
    for name in names_of(store):
        check_stamp(name, store.read(BUCKET, name, VERIFIED))


def overwrite_versions(home: str, writer: int, count: int) -> None:
    store = open_store(home)
    last = 0
    for sequence in range(count):
        props = store.put(BUCKET, "v", stamped("name-0", writer, sequence, 100), PutOptions())
        version = int(props.version)
        assert version > last, "the version of an overwrite went back"
        seen = int(store.head(BUCKET, "v").version)
        assert seen >= version, "head went back behind an own put"
        last = seen
    store.close()


def test_versions_rise_by_one_for_each_put(home: str, store: Store) -> None:
    run_children(overwrite_versions, [(home, writer, 150) for writer in range(3)])
    assert store.head(BUCKET, "v").version == "450"


def create_once(home: str, writer: int, rounds: int) -> None:
    store = open_store(home)
    for number in range(rounds):
        options = PutOptions(precondition=Precondition(if_absent=True))
        try:
            store.put(BUCKET, f"once-{number}", f"{writer}".encode(), options)
        except PreconditionFailedError:
            continue
        put(store, f"won-{number}-{writer}", b"")
    store.close()


def test_if_absent_has_exactly_one_winner(home: str, store: Store) -> None:
    run_children(create_once, [(home, writer, 60) for writer in range(4)])
    winners = [name for name in names_of(store) if name.startswith("won-")]
    assert len(winners) == 60
    for name in winners:
        _, number, writer = name.split("-")
        assert read(store, f"once-{number}") == writer.encode()


def count_up(home: str, wanted: int) -> None:
    store = open_store(home)
    done = 0
    while done < wanted:
        props = store.head(BUCKET, "counter")
        value = int(read(store, "counter"))
        if store.head(BUCKET, "counter").version != props.version:
            continue
        options = PutOptions(precondition=Precondition(if_version=props.version))
        try:
            store.put(BUCKET, "counter", str(value + 1).encode(), options)
        except PreconditionFailedError:
            continue
        done += 1
    store.close()


def test_compare_and_swap_counts_every_success(home: str, store: Store) -> None:
    put(store, "counter", b"0")
    run_children(count_up, [(home, 80)] * 3)
    assert read(store, "counter") == b"240"


def append_members(home: str, writer: int, count: int, mode: ArchivePutMode) -> None:
    store = open_store(home)
    for number in range(count):
        name = f"{writer}-{number}"
        end = time.monotonic() + 60
        while True:
            try:
                store.put_members(BUCKET, "t.tar", members({name: name.encode()}), mode, None)
                break
            except BusyError:
                assert time.monotonic() < end, "busy for a minute"
    store.close()


@pytest.mark.parametrize("mode", [ArchivePutMode.APPEND, ArchivePutMode.APPEND_OR_CREATE])
def test_concurrent_appends_to_a_shard_all_survive(
    home: str, store: Store, mode: ArchivePutMode
) -> None:
    if mode is ArchivePutMode.APPEND:
        store.put_members(BUCKET, "t.tar", members({"x": b"x"}), ArchivePutMode.CREATE, None)
    run_children(append_members, [(home, writer, 12, mode) for writer in range(3)])
    found = {member.name for member in store.list_members(BUCKET, "t.tar", None)} - {"x"}
    assert found == {f"{writer}-{number}" for writer in range(3) for number in range(12)}


def test_two_that_append_or_create_lose_no_member(home: str, store: Store) -> None:
    """Both find no shard; the second commit must notice that there is one now."""
    other = open_store(home)

    def body() -> Iterator[bytes]:
        mode = ArchivePutMode.APPEND_OR_CREATE
        other.put_members(BUCKET, "t.tar", members({"theirs": b"1"}), mode, None)
        yield b"2"

    mine = [type(members({"": b""})[0])("mine", 1, body())]
    error = expect_typed(
        lambda: store.put_members(
            BUCKET, "t.tar", mine, ArchivePutMode.APPEND_OR_CREATE, ArchiveFormat.TAR
        )
    )
    other.close()
    found = {member.name for member in store.list_members(BUCKET, "t.tar", None)}
    assert found == ({"theirs"} if isinstance(error, BusyError) else {"theirs", "mine"})


def test_metadata_set_during_an_append_survives(home: str, store: Store) -> None:
    store.put_members(BUCKET, "t.tar", members({"a": b"1"}), ArchivePutMode.CREATE, None)
    other = open_store(home)

    def body() -> Iterator[bytes]:
        other.set_custom(BUCKET, "t.tar", {"label": "cat"}, replace=False)
        yield b"2"

    mine = [type(members({"": b""})[0])("mine", 1, body())]
    error = expect_typed(
        lambda: store.put_members(BUCKET, "t.tar", mine, ArchivePutMode.APPEND, None)
    )
    other.close()
    assert error is None or isinstance(error, BusyError)
    assert store.head(BUCKET, "t.tar").custom == {"label": "cat"}


def create_home(home: str, number: int, barrier: str) -> None:
    with open(f"{barrier}.{number}", "wb"):
        pass
    end = time.monotonic() + 20
    while not all(os.path.exists(f"{barrier}.{each}") for each in range(2)):
        assert time.monotonic() < end
    store = open_store(home)
    put_error = expect_typed(lambda: store.create_bucket(BUCKET))
    assert put_error is None or isinstance(put_error, AlreadyExistsError)
    put(store, f"by-{number}", b"x")
    store.close()


def test_two_processes_create_the_same_home(tmp_path: Path) -> None:
    for number in range(20):
        home = str(tmp_path / f"home-{number}")
        barrier = str(tmp_path / f"barrier-{number}")
        run_children(create_home, [(home, each, barrier) for each in range(2)])
        store = open_store(home)
        assert names_of(store) == ["by-0", "by-1"]
        assert len(store.mountpaths()) == 1
        assert_sound(store)
        store.close()


def put_until_gone(home: str, writer: int) -> None:
    store = open_store(home)
    try:
        for number in range(100_000):
            put(store, f"{writer}-{number}", small(writer), OTHER)
            if number % 5 == 0:
                put_pieces(store, f"c-{writer}-{number}", small(writer), KIB, OTHER)
    except NotFoundError:
        store.close()
        return
    raise AssertionError("the bucket was never destroyed")


def test_destroying_a_bucket_under_puts_leaves_no_orphan(home: str, store: Store) -> None:
    for _ in range(4):
        store.create_bucket(OTHER)
        children = [
            PROCESSES.Process(target=put_until_gone, args=(home, writer)) for writer in range(2)
        ]
        for child in children:
            child.start()
        end = time.monotonic() + 20
        while store.summarize_bucket(OTHER).object_count < 20:
            assert time.monotonic() < end
        store.destroy_bucket(OTHER)
        assert [finish_process(child) for child in children] == [0, 0]
        store.core.remove_doomed()
        assert_sound(store)
        assert piece_files(store) == set()


def test_an_append_begun_as_its_bucket_is_destroyed_leaves_nothing(home: str, store: Store) -> None:
    store.create_bucket(OTHER)
    put(store, "o", small(), OTHER)
    other = open_store(home)

    class Slow:
        """Destroys the bucket between the start of the first append and its first byte."""

        def read(self, _size: int, /) -> bytes:
            if OTHER in other.list_buckets():
                other.destroy_bucket(OTHER)
                return b"x"
            return b""

    error = expect_typed(lambda: store.append(OTHER, "o", Slow(), ""))
    other.close()
    assert isinstance(error, NotFoundError)
    assert piece_files(store) == set()


def test_a_reader_of_many_pieces_is_not_disturbed_by_an_overwrite(home: str, store: Store) -> None:
    data = pattern(40 * KIB, 1)
    put_pieces(store, "c", data, KIB)
    other = open_store(home)
    with store.open(BUCKET, "c", GET) as reader:
        got = reader.read(100)
        put(other, "c", b"new")
        other.core.garbage.reclaim_marked()
        store.core.garbage.reclaim_marked()
        third = open_store(home)
        third.close()
        got += reader.read()
    assert got == data
    assert read(store, "c") == b"new"
    assert reader.props.size == len(data)
    other.core.garbage.reclaim_marked()
    other.close()


def test_properties_of_a_reader_that_was_closed_and_overwritten(store: Store) -> None:
    put_pieces(store, "c", chunked())
    with store.open(BUCKET, "c", GET) as reader:
        pass
    put(store, "c", b"new")
    store.core.garbage.reclaim_marked()
    assert reader.props.size == len(chunked())


def test_properties_of_a_row_that_was_replaced_since(store: Store) -> None:
    """Between the commit of a put, or the look-up of a head, and the answer others may overwrite the object."""
    row = put_pieces(store, "c", chunked())
    put(store, "c", b"new")
    store.core.garbage.reclaim_marked()
    assert props_of(store.core, row).size == len(chunked())


def overwrite_pieces(home: str, writer: int, seconds: float) -> None:
    store = open_store(home)
    end = time.monotonic() + seconds
    sequence = 0
    while time.monotonic() < end:
        sequence += 1
        put_pieces(store, "name-0", stamped("name-0", writer, sequence, 30 * KIB), KIB)
        assert store.head(BUCKET, "name-0").size > 0
    store.close()


def read_pieces(home: str, seconds: float) -> None:
    store = open_store(home)
    end = time.monotonic() + seconds
    fds = 0
    while time.monotonic() < end:
        try:
            with store.open(BUCKET, "name-0", GET) as reader:
                data = reader.read(5 * KIB)
                time.sleep(0.001)  # let the writer get ahead of the reader
                check_stamp("name-0", data + reader.read())
            assert store.head(BUCKET, "name-0").size > 0
        except BusyError:
            continue
        fds = fds or open_fds()
        assert open_fds() <= fds + 2
    store.close()


def test_many_pieces_overwritten_under_readers(home: str, store: Store) -> None:
    put_pieces(store, "name-0", stamped("name-0", 9, 0, 30 * KIB), KIB)
    children = [PROCESSES.Process(target=overwrite_pieces, args=(home, 1, 3.0))]
    children += [PROCESSES.Process(target=read_pieces, args=(home, 3.0)) for _ in range(2)]
    for child in children:
        child.start()
    assert [finish_process(child) for child in children] == [0, 0, 0]


def test_a_put_in_flight_survives_the_removal_of_its_mountpath(
    home: str, store: Store, tmp_path: Path
) -> None:
    """The piece has no row yet, so the removal does not see it; the commit must not point at what is gone."""
    second_mountpath(store, str(tmp_path))
    name = spread_names(store, str(tmp_path / "second"), 1)[0]
    other = open_store(home)
    removed: list[AisError | None] = []

    def body() -> Iterator[bytes]:
        yield small(1)
        removed.append(expect_typed(lambda: other.remove_mountpath(str(tmp_path / "second"))))
        yield small(2)

    error = expect_typed(lambda: store.put(BUCKET, name, body(), PutOptions()))
    other.close()
    if error is None:
        assert read(store, name) == small(1) + small(2)
    else:
        assert isinstance(error, BusyError | UnavailableError)
        assert name not in names_of(store)


def test_a_reader_of_many_pieces_survives_the_removal_of_a_mountpath(
    home: str, store: Store, tmp_path: Path
) -> None:
    second_mountpath(store, str(tmp_path))
    data = pattern(60 * KIB, 1)
    put_pieces(store, "c", data, KIB)
    other = open_store(home)
    with store.open(BUCKET, "c", GET) as reader:
        got = reader.read(10)
        removal = expect_typed(lambda: other.remove_mountpath(str(tmp_path / "second")))
        assert removal is None or isinstance(removal, BusyError)
        got += reader.read()
    assert got == data
    other.close()


def test_objects_stay_readable_while_their_mountpath_is_emptied(
    home: str, store: Store, tmp_path: Path
) -> None:
    second_mountpath(store, str(tmp_path))
    names = spread_names(store, str(tmp_path / "second"), 150)
    for name in names:
        put(store, name, stamped("name-0", 0, 0, 100))
    child = PROCESSES.Process(target=remove_mountpath, args=(home, str(tmp_path / "second")))
    child.start()
    unavailable = 0
    reads = 0
    while child.is_alive():
        for name in names[-20:]:
            reads += 1
            try:
                check_stamp(name, read(store, name))
            except UnavailableError:
                unavailable += 1
    assert finish_process(child) == 0
    assert unavailable == 0, f"{unavailable} of {reads} reads were refused"


def remove_mountpath(home: str, path: str) -> None:
    store = open_store(home)
    store.remove_mountpath(path)
    store.close()


def churn(home: str, writer: int, stop: str) -> None:
    random = Random(f"churn/{writer}")
    store = open_store(home)
    sequence = 0
    lost = []
    own: dict[str, bytes] = {}
    while not os.path.exists(stop):
        sequence += 1
        name = f"{writer}-{random.randrange(30)}"
        data = stamped("name-0", writer, sequence, 2_500)
        try:
            match random.choice("pppcdg"):
                case "p":
                    put(store, name, data)
                    own[name] = data
                case "c":
                    put_pieces(store, name, data, KIB)
                    own[name] = data
                case "d":
                    if name in own:
                        store.delete(BUCKET, name, None)
                        del own[name]
                case _:
                    if name in own:
                        assert read(store, name) == own[name]
        except (BusyError, UnavailableError):
            continue
        except CorruptionError as exc:
            lost.append(f"{name}: {exc}")
    for name, data in own.items():
        try:
            if store.read(BUCKET, name, VERIFIED) != data:
                lost.append(f"{name}: other content")
        except AisError as exc:
            lost.append(f"{name}: {exc!r}")
    store.close()
    assert not lost, "\n".join(lost)


def test_mountpaths_come_and_go_under_reads_and_writes(
    home: str, store: Store, tmp_path: Path
) -> None:
    stop = str(tmp_path / "stop")
    children = [PROCESSES.Process(target=churn, args=(home, each, stop)) for each in range(2)]
    for child in children:
        child.start()
    problems = []
    for number in range(6):
        path = str(tmp_path / f"extra-{number}")
        os.makedirs(path)
        store.add_mountpath(path)
        end = time.monotonic() + 0.4
        while time.monotonic() < end:
            store.read(BUCKET, put_one(store, number), VERIFIED)
        end = time.monotonic() + 20
        while True:
            try:
                store.remove_mountpath(path)
                break
            except BusyError:
                if time.monotonic() > end:
                    problems.append(f"{path}: busy for 20 s")
                    break
            except AisError as exc:
                problems.append(f"{path}: {exc!r}")
                if time.monotonic() > end:
                    break
    with open(stop, "wb"):
        pass
    assert [finish_process(child) for child in children] == [0, 0]
    assert not problems, "\n".join(problems[:10])


def put_one(store: Store, number: int) -> str:
    name = f"parent-{number}"
    end = time.monotonic() + 10
    while True:
        try:
            put(store, name, small(number))
            return name
        except (BusyError, UnavailableError):
            assert time.monotonic() < end


def forks(home: str) -> None:
    """Forks in the middle of open readers and used connections; parent and child go on with the same store."""
    store = open_store(home)
    put(store, "before", small())
    put_pieces(store, "c", chunked())
    store.put_members(BUCKET, "t.tar", members({"a": small(1)}), ArchivePutMode.CREATE, None)
    reader = store.open(BUCKET, "c", GET)
    first = reader.read(PIECE + 5)
    handle = store.append(BUCKET, "grown", b"parent ", "")
    children = []
    for number in range(6):
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                assert first + reader.read() == chunked()
                assert read(store, "before") == small()
                assert store.read(BUCKET, "t.tar", GetOptions(archpath="a")) == small(1)
                for each in range(20):
                    put(store, f"child-{number}-{each}", small(each))
                    put(store, "contended", stamped("name-0", number, each, 10))
                put(store, "c", b"overwritten")
                store.close()
                code = 0
            finally:
                os._exit(code)
        children.append(pid)
        put(store, f"parent-{number}", small(number))
    codes = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children]
    assert codes == [0] * 6
    assert first + reader.read() == chunked()
    reader.close()
    store.append(BUCKET, "grown", b"again", handle)
    store.flush_append(BUCKET, "grown", handle, None)
    assert read(store, "grown") == b"parent again"
    check_stamp("name-0", read(store, "contended"))
    assert len([name for name in names_of(store) if name.startswith("child-")]) == 120
    assert_sound(store)
    store.close()


def test_a_forked_child_uses_the_same_store(home: str, store: Store) -> None:
    run_children(forks, [(home,)])


def forks_under_a_lock(home: str) -> None:
    """Another thread looks into the shard cache at the moment of the fork; the child must still get in."""
    store = open_store(home)
    contents = members({"a": small(1)})
    store.put_members(BUCKET, "t.tar", contents, ArchivePutMode.CREATE, None)
    store.put_members(BUCKET, "t.tgz", contents, ArchivePutMode.CREATE, None)
    entered, leave = threading.Event(), threading.Event()

    def hold() -> None:
        core = store.core
        with core.shard_indexes._lock, core.unpacked._lock, core.buffers._lock:
            entered.set()
            leave.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    entered.wait()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            assert store.read(BUCKET, "t.tar", GetOptions(archpath="a")) == small(1)
            entries = [BatchEntry("t.tgz", archpath="a")]
            with store.get_batch(BatchRequest(entries=entries, bucket=BUCKET)) as stream:
                assert [data for _, data in stream] == [small(1)]
            with store.get_batch_archive(BatchRequest(entries=entries, bucket=BUCKET)) as archive:
                assert sum(len(block) for block in archive) > len(small(1))
            code = 0
        finally:
            os._exit(code)
    leave.set()
    thread.join()
    end = time.monotonic() + 10
    while True:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            break
        if time.monotonic() > end:
            os.kill(pid, 9)
            os.waitpid(pid, 0)
            raise AssertionError("the child waits for a lock of a thread that it does not have")
        time.sleep(0.01)
    assert os.waitstatus_to_exitcode(status) == 0
    store.close()


def test_a_fork_while_another_thread_holds_a_cache(home: str, store: Store) -> None:
    run_children(forks_under_a_lock, [(home,)])


def in_threads(count: int, target: Callable[[int], None]) -> None:
    failures: list[BaseException] = []

    def run(number: int) -> None:
        try:
            target(number)
        except BaseException as exc:
            failures.append(exc)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


def test_eight_threads_on_one_store(store: Store) -> None:
    end = time.monotonic() + 4

    def work(writer: int) -> None:
        random = Random(f"thread/{writer}")
        sequence = 0
        while time.monotonic() < end:
            sequence += 1
            try:
                _hammer_once(store, random, random.choice(NAMES), writer, sequence, {})
            except (NotFoundError, BusyError):
                continue

    in_threads(8, work)
    for name in names_of(store):
        check_stamp(name, store.read(BUCKET, name, VERIFIED))


def test_threads_that_come_and_go_leave_no_descriptors(store: Store) -> None:
    """A server's threads live long; a script that starts one for each piece of work must not run out either."""
    put(store, "s", small())

    def read_small(_number: int) -> None:
        assert read(store, "s") == small()

    in_threads(8, read_small)
    fds = open_fds()
    for _ in range(10):
        in_threads(8, read_small)
    assert open_fds() <= fds + 24


def test_a_scrub_under_churn_finds_nothing(home: str, store: Store, tmp_path: Path) -> None:
    stop = str(tmp_path / "stop")
    child = PROCESSES.Process(target=churn, args=(home, 1, stop))
    child.start()
    end = time.monotonic() + 4

    def work(writer: int) -> None:
        random = Random(f"scrub/{writer}")
        sequence = 0
        while time.monotonic() < end:
            sequence += 1
            name = f"t{writer}-{random.randrange(20)}"
            if random.random() < 0.3:
                expect_typed(lambda n=name: store.delete(BUCKET, n, None))  # type: ignore[misc]
            else:
                put(store, name, small(sequence % 7))

    def scrub(_number: int) -> None:
        while time.monotonic() < end:
            faults = store.validate(None, "").faults
            assert faults == ()

    try:
        in_threads(3, lambda number: scrub(number) if number == 0 else work(number))
    finally:
        with open(stop, "wb"):
            pass
        code = finish_process(child)
    assert code == 0


def test_a_scrub_beside_buckets_that_come_and_go(home: str, store: Store) -> None:
    other = open_store(home)
    end = time.monotonic() + 2

    def work(number: int) -> None:
        while time.monotonic() < end:
            if number:
                other.create_bucket(OTHER)
                put(other, "o", small(), OTHER)
                other.destroy_bucket(OTHER)
            else:
                assert store.validate(None, "").faults == ()

    in_threads(2, work)
    other.close()


def test_listing_under_churn_shows_every_stable_name_once(
    home: str, store: Store, tmp_path: Path
) -> None:
    """R13: what lives for the whole scan appears exactly once, in order."""
    stable = [f"s/{number:04d}" for number in range(600)]
    for name in stable:
        put(store, name, b"")
    stop = str(tmp_path / "stop")
    child = PROCESSES.Process(target=churn_names, args=(home, stop))
    child.start()
    try:
        for size in (1000, 37, 100, 7):
            seen: list[str] = []
            token = ""
            while True:
                page = store.list_page(BUCKET, ListOptions(token=token, page_size=size))
                seen += [entry.name for entry in page.entries]
                token = page.token
                if not token:
                    break
            assert seen == sorted(set(seen))
            assert [name for name in seen if len(name) == 6] == stable
    finally:
        with open(stop, "wb"):
            pass
        code = finish_process(child)
    assert code == 0


def churn_names(home: str, stop: str) -> None:
    random = Random("names")
    store = open_store(home)
    while not os.path.exists(stop):
        name = f"s/{random.randrange(600):04d}/{random.randrange(3)}"
        if random.random() < 0.5:
            put(store, name, b"")
        else:
            expect_typed(lambda n=name: store.delete(BUCKET, n, None))  # type: ignore[misc]
    store.close()


def test_a_sweep_that_read_an_old_bound_leaves_no_orphan(
    home: str, store: Store, tmp_path: Path
) -> None:
    """The bounds of a session are good only once its lock is held: its process may have gone on until then."""
    go, first_go = str(tmp_path / "go"), str(tmp_path / "first-go")
    children = []
    for number, signal_file in enumerate((first_go, go)):
        ready = str(tmp_path / f"ready-{number}")
        arguments = (home, ready, signal_file, 1030)
        children.append(PROCESSES.Process(target=leave_unfinished, args=arguments))
        children[-1].start()
        until(lambda path=ready: os.path.exists(path), "the writer has its session")  # type: ignore[misc]
    first, second = children
    with open(first_go, "wb"):
        pass
    finish_process(first)
    connection = store.core.connection()

    def between(statement: str) -> None:
        # The sweep has read all sessions and is at the pieces of the first: now the second writes on, and dies.
        if "pieces" in statement and not os.path.exists(go):
            with open(go, "wb"):
                pass
            finish_process(second)

    connection.raw.set_trace_callback(between)
    store.core.sessions.sweep()
    connection.raw.set_trace_callback(None)
    assert os.path.exists(go)
    store.core.sessions.sweep()
    assert store.validate(None, "").faults == ()


def leave_unfinished(home: str, ready: str, go: str, count: int) -> None:
    store = open_store(home)
    put(store, "n", b"")
    with open(ready, "wb"):
        pass
    until(lambda: os.path.exists(go), "the sign to go on")
    for number in range(count):
        put(store, f"n{number % 10}", b"")

    def body() -> Iterator[bytes]:
        yield small()
        os._exit(0)

    store.put(BUCKET, "unfinished", body(), PutOptions())


def test_what_a_reader_held_is_reclaimed_by_the_process_that_let_go(
    home: str, store: Store
) -> None:
    """The writer found the pieces held and may never look again."""
    put_pieces(store, "c", chunked())
    other = open_store(home)
    reader = other.open(BUCKET, "c", GET)
    put(store, "c", b"new")
    reader.close()
    other.close()
    assert len(piece_files(store)) == 1


def test_a_piece_deleted_during_the_removal_of_its_mountpath(
    home: str, store: Store, tmp_path: Path
) -> None:
    """The removal lists pieces first and moves them later; objects may be deleted in between."""
    second_mountpath(store, str(tmp_path))
    for name in spread_names(store, str(tmp_path / "second"), 40):
        put(store, name, small())
    other = open_store(home)
    errors: list[AisError | None] = []
    thread = threading.Thread(
        target=lambda: errors.append(
            expect_typed(lambda: other.remove_mountpath(str(tmp_path / "second")))
        )
    )
    thread.start()
    for name in reversed(names_of(store)):
        store.delete(BUCKET, name, None)
    thread.join()
    other.close()
    assert errors[0] is None or isinstance(errors[0], BusyError)


def test_a_malformed_shard_in_a_batch_is_soft(store: Store) -> None:
    put(store, "bad.tar", small())
    request = BatchRequest(
        entries=[BatchEntry("bad.tar", archpath="a")], bucket=BUCKET, cont_on_err=True
    )
    with store.get_batch(request) as stream:
        assert [result.error is not None for result, _ in stream] == [True]
    with pytest.raises(ArchiveError):
        store.list_members(BUCKET, "bad.tar", None)
