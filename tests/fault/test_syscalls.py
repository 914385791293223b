"""Every operation, with its every file call failing once: a typed error, the old state, nothing left behind."""

import errno
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.fault.support import (
    BUCKET,
    CASES,
    ERRORS,
    PROCESSES,
    FaultyFiles,
    assert_sound,
    chunked,
    contents_of,
    enable_all,
    expect_typed,
    finish_process,
    large,
    members,
    names_of,
    open_fds,
    open_store,
    piece_files,
    prepare_case,
    put,
    put_pieces,
    read,
    small,
)

from aiscore.engine.store import Store
from aiscore.errors import AisError, CapacityExceededError
from aiscore.model.batch import BatchEntry, BatchRequest
from aiscore.model.objects import ArchivePutMode, PutOptions, Selection
from aiscore.model.storage import FaultKind

MIRROR_ALWAYS = {"mirror-put-chunked", "mirror-mend"}
"""The others of their kind are run with the soak: each needs several disks made anew for every call. So are deaths of
the first of these."""
SHORT_ALWAYS = {"put-large", "push", "append", "batch", "members", "upload-complete", "put-members"}
"""Transfers that are cut short: the loops that go on are these operations'; the others run with the soak."""
DEATH_WITH_SOAK = {
    "checkpointed",
    "link-copy-chunked",
    "link-copy-chunked-durable",
    "link-copy-durable",
    "mirror-put-chunked",
    "overwrite-chunked-by-small",
    "push",
    "put-chunked",
    "put-large",
    "put-many",
    "upload",
}
"""A neighbour that always runs makes these calls too, and more: durable, over an old object, or in more pieces."""


def _is_long(kind: str) -> bool:
    return kind.startswith("mirror") and kind not in MIRROR_ALWAYS


SWEEP = [
    pytest.param(
        kind,
        error,
        marks=(
            ()
            if (error == "EIO" and not _is_long(kind))
            or (error == "short" and kind in SHORT_ALWAYS)
            else pytest.mark.soak
        ),
        id=f"{kind}-{error}",
    )
    for kind in CASES
    for error in ERRORS
]
"""The engine hardly tells errors apart, so one of them runs always."""
READS = {"read", "batch", "members"}
MOVES = {
    "evacuate",
    "spread",
    "upload-evacuate",
    "rechunk",
    "rechunk-durable",
    "rechunk-back",
    "mirror",
    "mirror-off",
    "mirror-evacuate",
    "mirror-mend",
    "mirror-rechunk",
}
"""These leave contents as they are, in other files."""
WHOLE_EACH = {"copy-across", "append-to-object", "put-many", "put-many-durable"}
"""Of these each object is whole, not all of them together."""
STEPS_MAX = 400
"""More calls than any operation here makes: the sweep ends by itself."""


@pytest.mark.parametrize(("kind", "error"), SWEEP)
def test_each_failing_call_gives_a_typed_error_and_keeps_the_old_state(
    memory_path: Path, kind: str, error: str
) -> None:
    """One store per fault kind; the state is made anew in a fresh home only where an operation changed it."""
    problems: list[str] = []
    done: dict[str, bytes] | None = None
    for step in range(1, STEPS_MAX):
        directory = str(memory_path / f"{step}")
        outcome, done = _one_fault(directory, kind, ERRORS[error], step, done)
        if outcome is None:
            break
        problems += outcome
    else:
        pytest.fail("the operation makes more calls than expected")
    assert not problems, "\n".join(problems)


def _one_fault(
    directory: str, kind: str, code: int, step: int, done: dict[str, bytes] | None
) -> tuple[list[str] | None, dict[str, bytes] | None]:
    """Problems found with the call number `step` failing; None when there is no such call."""
    os.makedirs(directory)
    case = CASES[kind]
    files = FaultyFiles()
    store = open_store(f"{directory}/home", files)
    problems: list[str] = []
    try:
        prepare_case(case, store, directory)
        store.core.garbage.reclaim_marked()
        before = contents_of(store)
        pieces = piece_files(store)
        fds = open_fds()
        files.arm(step, code)
        raised: BaseException | None = None
        try:
            case.run(store, directory)
        except BaseException as exc:
            raised = exc
        files.disarm()
        if not files.failed:
            return None, contents_of(store)
        where = f"{kind}, call {step} ({files.failed})"
        if raised is not None and not isinstance(raised, AisError):
            problems.append(f"{where}: {raised!r} is not a typed error")
        if raised is not None and code == 0 and files.failed in {"write", "pread", "preadv"}:
            problems.append(f"{where}: a short transfer is no error: {raised!r}")
        raised = None
        enable_all(store)
        store.core.garbage.reclaim_marked()
        after = expect_contents(store)
        if isinstance(after, str):
            problems.append(f"{where}: {after}")
        elif kind not in READS | {"append"} and after != before and done and after != done:
            changed = {
                name for name in before.keys() | after.keys() if before.get(name) != after.get(name)
            }
            if kind not in WHOLE_EACH:
                problems.append(
                    f"{where}: neither the old state nor the new one: {sorted(changed)}"
                )
        if (leaked := open_fds() - fds) > 0:
            problems.append(f"{where}: {leaked} descriptors leaked")
        if after == before and kind not in MOVES and (extra := piece_files(store) - pieces):
            problems.append(f"{where}: {len(extra)} files left behind")
        faults = [f for f in store.validate(None, "").faults if f.kind is not FaultKind.COPIES]
        if faults and not (kind == "mirror-mend" and after == before):
            problems.append(f"{where}: {faults}")
        try:
            case.run(store, directory)
        except BaseException as exc:
            problems.append(f"{where}: the retry failed: {exc!r}")
        else:
            if kind == "checkpointed-whole" and files.failed == "unlink":
                # What it gave up and could not remove is not garbage of the index: the next session sweeps it.
                store.close()
                store = open_store(f"{directory}/home", files)
            try:
                assert_sound(store)
            except AssertionError as exc:
                problems.append(f"{where}: not sound after the retry: {str(exc)[:300]}")
    finally:
        files.disarm()
        store.close()
    return problems, done


def expect_contents(store: Store) -> dict[str, bytes] | str:
    """All contents, or what kept them from being read."""
    try:
        return contents_of(store)
    except AisError as exc:
        return f"contents cannot be read: {exc}"


def crash_at(directory: str, kind: str, step: int) -> None:
    """The child: runs the operation and ends, without any clean-up, at call `step`."""
    files = FaultyFiles()
    store = open_store(f"{directory}/home", files)
    files.arm(step, -1)
    CASES[kind].run(store, directory)
    os._exit(0)


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param(
            kind, marks=pytest.mark.soak if _is_long(kind) or kind in DEATH_WITH_SOAK else ()
        )
        for kind in sorted(CASES.keys() - READS)
    ],
)
def test_death_at_each_call_leaves_the_old_state_or_the_new_one(
    memory_path: Path, kind: str
) -> None:
    problems: list[str] = []
    for step in range(1, STEPS_MAX):
        directory = str(memory_path / f"{step}")
        os.makedirs(directory)
        store = open_store(f"{directory}/home")
        prepare_case(CASES[kind], store, directory)
        before = contents_of(store)
        store.close()
        child = PROCESSES.Process(target=crash_at, args=(directory, kind, step))
        child.start()
        code = finish_process(child)
        assert code in {0, 77}
        store = open_store(f"{directory}/home")
        try:
            problems += _examine_after_death(store, directory, kind, step, before)
        finally:
            store.close()
        if code == 0:
            break
    else:
        pytest.fail("the operation makes more calls than expected")
    assert not problems, "\n".join(problems)


def _examine_after_death(
    store: Store, directory: str, kind: str, step: int, before: dict[str, bytes]
) -> list[str]:
    where = f"{kind}, dead at call {step}"
    problems = []
    enable_all(store)
    after = expect_contents(store)
    if isinstance(after, str):
        problems.append(f"{where}: {after}")
    elif any(after.get(name) != data for name, data in before.items() if name == "bystander"):
        problems.append(f"{where}: a bystander changed")
    try:
        assert_sound(store)
    except AssertionError as exc:
        problems.append(f"{where}: not sound: {str(exc)[:300]}")
    others = "SELECT count(*) FROM sessions WHERE id != ?"
    if store.core.connection().execute(others, (store.core.sessions.known(),)).fetchone()[0]:
        problems.append(f"{where}: the dead session was not swept")
    error = expect_typed(lambda: CASES[kind].run(store, directory))
    if error is not None:
        problems.append(f"{where}: the retry failed: {error!r}")
    return problems


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param(kind, marks=pytest.mark.soak if _is_long(kind) else ())
        for kind in sorted(CASES.keys() - READS)
    ],
)
def test_a_full_index_fails_typed_and_keeps_the_old_state(memory_path: Path, kind: str) -> None:
    """SQLite itself refuses to grow: SQLITE_FULL out of real statements and commits."""
    directory = str(memory_path)
    store = open_store(f"{directory}/home")
    try:
        prepare_case(CASES[kind], store, directory)
        _exhaust_index(store)
        before = contents_of(store)
        fds = open_fds()
        expect_typed(lambda: CASES[kind].run(store, directory))
        assert {n: d for n, d in contents_of(store).items() if n == "bystander"} == {
            "bystander": before["bystander"]
        }
        assert open_fds() <= fds
        store.core.connection().execute("PRAGMA max_page_count = 1000000")
        assert store.validate(None, "").faults == ()
        CASES[kind].run(store, directory)
        assert_sound(store)
    finally:
        store.close()


def _exhaust_index(store: Store) -> None:
    """No page of the index is free, and none can be added."""
    connection = store.core.connection().raw
    connection.execute("CREATE TABLE filler (x)")
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.execute(f"PRAGMA max_page_count = {pages}")
    for size in (4000, 500, 50, 1):
        while True:
            try:
                connection.execute("INSERT INTO filler VALUES (zeroblob(?))", (size,))
            except sqlite3.OperationalError:
                break


def test_a_session_whose_first_commit_failed_is_not_used(home: str) -> None:
    """Its row was rolled back: pieces under its id would never be swept, and another process gets the same id."""
    store = open_store(home)
    store.create_bucket(BUCKET)
    _exhaust_index(store)
    failures = 0
    for number in range(2000):
        # The index is full to the last byte or not, depending on how rows happen to lie; try until it is.
        if expect_typed(lambda n=number: put(store, f"n{n}", b"x")):  # type: ignore[misc]
            failures += 1
            break
    store.core.connection().execute("PRAGMA max_page_count = 1000000")
    put(store, "after", b"y")
    assert failures
    known = {row[0] for row in store.core.connection().execute("SELECT id FROM sessions")}
    used = {
        row[0] >> 32 for row in store.core.connection().execute("SELECT id FROM pieces").fetchall()
    }
    store.close()
    assert used <= known


def test_a_failed_commit_of_the_first_reservation_forgets_the_session(home: str) -> None:
    store = open_store(home)
    store.create_bucket(BUCKET)
    connection = store.core.connection()
    # Fails the UPDATE behind the INSERT of the session, in the same transaction.
    connection.execute(
        "CREATE TEMP TRIGGER refuse BEFORE UPDATE ON main.sessions "
        "BEGIN SELECT RAISE(ABORT, 'disk trouble'); END"
    )
    assert expect_typed(lambda: put(store, "first", b"x"))
    connection.execute("DROP TRIGGER refuse")
    other = open_store(home)
    put(other, "others", b"theirs")
    put(store, "second", b"ours")
    known = {row[0] for row in connection.execute("SELECT id FROM sessions").fetchall()}
    used = {row[0] >> 32 for row in connection.execute("SELECT id FROM pieces").fetchall()}
    other.close()
    store.close()
    assert used <= known


@pytest.mark.parametrize("call", ["close", "open", "unlink"])
def test_a_failure_after_the_commit_never_removes_the_new_content(
    faulty: tuple[Store, FaultyFiles], call: str
) -> None:
    """The old pieces are reclaimed after the commit: trouble there must not be taken for a failed put."""
    store, files = faulty
    for step in range(1, 8):
        put_pieces(store, "c", chunked(step))
        files.arm(step, errno.EIO, only=call)
        expect_typed(lambda s=step: put(store, "c", small(s)))  # type: ignore[misc]
        files.disarm()
        assert read(store, "c") in {small(step), chunked(step)}


def test_a_full_index_after_the_commit_never_removes_the_new_content(home: str) -> None:
    """Reclaiming a manifest is a transaction of its own, and that one may fail too."""
    store = open_store(home)
    store.create_bucket(BUCKET)
    put_pieces(store, "c", chunked())
    store.core.connection().execute(
        "CREATE TEMP TRIGGER refuse BEFORE DELETE ON main.manifests "
        "BEGIN SELECT RAISE(ABORT, 'disk trouble'); END"
    )
    expect_typed(lambda: put(store, "c", small(1)))
    store.core.connection().execute("DROP TRIGGER refuse")
    found = read(store, "c")
    store.close()
    assert found == small(1)


def test_a_failed_first_append_leaves_no_handle_behind(faulty: tuple[Store, FaultyFiles]) -> None:
    """Nobody knows its handle, so nobody could flush or drop it."""
    store, files = faulty
    put(store, "s", small())
    files.arm(1, errno.ENOSPC, only="write", sticky=True)
    with pytest.raises(CapacityExceededError):
        store.append(BUCKET, "new", small(1), "")
    files.disarm()
    rows = store.core.connection().execute("SELECT count(*) FROM appends").fetchone()[0]
    assert rows == 0
    assert len(piece_files(store)) == 1


def test_a_directory_whose_registration_failed_can_be_added_again(tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "home"))
    second = str(tmp_path / "second")
    os.makedirs(second)
    store.core.connection().execute(
        "CREATE TEMP TRIGGER refuse BEFORE INSERT ON main.mountpaths "
        "BEGIN SELECT RAISE(ABORT, 'disk trouble'); END"
    )
    assert expect_typed(lambda: store.add_mountpath(second))
    store.core.connection().execute("DROP TRIGGER refuse")
    again = expect_typed(lambda: store.add_mountpath(second))
    store.close()
    assert again is None


def test_a_body_that_fails_or_lies_leaves_nothing(store: Store) -> None:
    def broken() -> "list[bytes]":
        raise RuntimeError("the caller's own trouble")

    class Body:
        def read(self, _size: int, /) -> bytes:
            broken()
            return b""

    put(store, "s", small())
    fds = open_fds()
    for _ in range(20):
        with pytest.raises(RuntimeError):
            store.put(BUCKET, "s", Body(), PutOptions())
    with pytest.raises(AisError):
        store.put_members(
            BUCKET, "x.tar", members({"a": b"1", "../b": b"2"}), ArchivePutMode.CREATE, None
        )
    assert open_fds() == fds
    assert names_of(store) == ["s"]
    assert len(piece_files(store)) == 1


def test_a_batch_that_cannot_open_a_file_is_typed_and_leaks_nothing(
    faulty: tuple[Store, FaultyFiles],
) -> None:
    store, files = faulty
    put_pieces(store, "c", chunked())
    put(store, "l", large())
    fds = open_fds()
    problems = []
    for call in ("open", "size", "close", "preadv", "pread"):
        for step in range(1, 12):
            files.arm(step, errno.EMFILE, only=call)
            try:
                run_batch(store)
            except AisError:
                pass
            except BaseException as exc:
                problems.append(f"{call} {step}: {exc!r}")
            files.disarm()
            if open_fds() != fds:
                problems.append(f"{call} {step}: descriptors {fds} -> {open_fds()}")
                fds = open_fds()
    assert not problems, "\n".join(problems)


def run_batch(store: Store) -> None:
    entries = [BatchEntry("c"), BatchEntry("l"), BatchEntry("c", start=5, length=10)]
    request = BatchRequest(entries=entries, bucket=BUCKET)
    with store.get_batch_archive(request) as archive:
        for _ in archive:
            pass


def test_the_index_damaged_on_disk_is_a_typed_error(home: str) -> None:
    """Pages of the index are overwritten while it is closed: every call answers with a typed error, or rightly."""
    store = open_store(home)
    store.create_bucket(BUCKET)
    for number in range(3000):
        put(store, f"name-{number:05d}-{'x' * 60}", b"")
    store.close()
    path = f"{home}/index.db"
    size = os.path.getsize(path)
    with open(path, "r+b") as file:
        for offset in range(24 * 4096, size, 3 * 4096):
            file.seek(offset)
            file.write(bytes(range(256)) * 16)
    untyped = []
    try:
        store = open_store(home)
    except AisError:
        return
    calls: dict[str, Callable[[int], object]] = {
        "head": lambda n: store.head(BUCKET, f"name-{n:05d}-{'x' * 60}"),
        "read": lambda n: read(store, f"name-{n:05d}-{'x' * 60}"),
        "list": lambda _: names_of(store),
        "summarize": lambda _: store.summarize_bucket(BUCKET),
        "validate": lambda _: store.validate(None, ""),
        "delete_many": lambda _: store.delete_many(BUCKET, Selection(prefix="name-0009")),
        "put": lambda n: put(store, f"name-{n:05d}-{'x' * 60}", b"y"),
    }
    for what, call in calls.items():
        for number in range(0, 3000, 300):
            try:
                call(number)
            except AisError:
                continue
            except Exception as exc:
                untyped.append(f"{what}: {exc!r}")
                break
    try:
        store.close()
    except AisError:
        pass
    except Exception as exc:
        untyped.append(f"close: {exc!r}")
    assert not untyped, "\n".join(untyped)
