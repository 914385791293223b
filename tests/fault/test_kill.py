"""SIGKILL in the middle of a random mix of operations, again and again, on one home.

The child tells its intents and acknowledgements through a pipe, so the ledger lives in the parent and survives the
child. After each death the parent opens the home and compares it with a model: what was acknowledged must be there
byte for byte, and the one operation that was not must have happened as a whole or not at all.
"""

import faulthandler
import os
import signal
import time
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from random import Random

import pytest
from tests.fault.support import (
    GET,
    KIB,
    PROCESSES,
    VERIFIED,
    FaultyFiles,
    assert_sound,
    members,
    names_of,
    open_store,
    put_many,
    put_pieces,
    upload,
)

from aiscore.engine.store import Store
from aiscore.errors import AisError, BusyError, NotFoundError, UnavailableError
from aiscore.model.bucket import BucketRef
from aiscore.model.chunks import RechunkOptions
from aiscore.model.objects import (
    ArchivePutMode,
    CopyOptions,
    GetOptions,
    PutOptions,
    Selection,
)
from aiscore.testing.content import pattern

BUCKETS = ["alpha", "beta", "gamma"]
NAMES = [f"o{number}" for number in range(8)]
SHARD = "s.tar"
SIZES = [0, 10, 5_000, 70_000]

Member = tuple[str, int, int]
"""Name, size and seed of a file in a shard."""
Content = tuple[tuple[tuple[int, int], ...] | tuple[Member, ...], tuple[tuple[str, str], ...]]
"""Parts that make up an object (size and seed of each, or the members of a shard), and its custom metadata."""
Model = dict[str, dict[str, Content]]
"""Bucket, name, content."""
Op = tuple[str, tuple[str, ...], tuple[int, ...]]


def draw(random: Random, model: Model) -> Op:
    """The next operation; it is legal for the model, so that it must succeed."""
    size, seed = random.choice(SIZES), random.randrange(1 << 30)
    live = sorted(model)
    absent = [name for name in BUCKETS if name not in model]
    if not live or (absent and random.random() < 0.05):
        return "create", (random.choice(absent),), ()
    bucket, other = random.choice(live), random.choice(live)
    objects = sorted(name for name in model[bucket] if name != SHARD)
    name = random.choice(NAMES)
    kind = random.choices(
        [
            "put",
            "group",
            "chunked",
            "layout",
            "upload",
            "rechunk",
            "append",
            "shard",
            "grow",
            "mount",
            "mirror",
            "bucket",
        ],
        [25, 12, 6, 8, 10, 6, 8, 5, 6, 4, 4, 2],
    )[0]
    if objects and random.random() < 0.4:
        kind = random.choice(["copy", "rename", "delete", "delete", "many", "custom"])
    old = random.choice(objects) if objects else ""
    match kind:
        case "copy":
            return "copy", (bucket, old, other, name), ()
        case "rename":
            return "rename", (bucket, old, name), ()
        case "delete":
            return "delete", (bucket, old), ()
        case "many":
            return "many", (bucket, *random.sample(NAMES, 3)), ()
        case "custom":
            return "custom", (bucket, old, str(seed)), ()
        case "group":
            return "group", (bucket, *random.sample(NAMES, 3)), (size, seed)
        case "grow" if SHARD in model[bucket]:
            return "grow", (bucket,), (size, seed)
        case "grow":
            return "shard", (bucket,), (size, seed)
        case "bucket" if absent:
            action = random.choice(["copy-bucket", "rename-bucket"])
            return action, (bucket, absent[0]), ()
        case "bucket":
            return "destroy", (bucket,), ()
        case "mount":
            return "mount", (), ()
        case "mirror":
            return "mirror", (bucket,), (random.choice([1, 2, 2]),)
        case "rechunk":
            return "rechunk", (bucket,), (random.choice([0, 6, 9]),)
        case _:
            return kind, (bucket, name), (size, seed)


def apply(model: Model, op: Op) -> Model:
    """The model after the operation."""
    kind, words, numbers = op
    after = {bucket: dict(objects) for bucket, objects in model.items()}
    part = (numbers[0], numbers[1]) if len(numbers) > 1 else (0, 0)
    match kind:
        case "create":
            after[words[0]] = {}
        case "put" | "chunked" | "layout":
            after[words[0]][words[1]] = ((part,), ())
        case "group":
            for number, name in enumerate(words[1:]):
                after[words[0]][name] = (((part[0], part[1] + number),), ())
        case "upload":
            after[words[0]][words[1]] = (((part[0] + 1, part[1]), (7_000, part[1] + 1)), ())
        case "append":
            old = after[words[0]].get(words[1], ((), ()))
            after[words[0]][words[1]] = ((*old[0], part), old[1])
        case "shard":
            after[words[0]][SHARD] = ((("m", *part),), ())
        case "grow":
            old = after[words[0]][SHARD]
            after[words[0]][SHARD] = ((*old[0], (f"m{part[1]}", *part)), old[1])
        case "copy":
            after[words[2]][words[3]] = after[words[0]][words[1]]
        case "rename":
            after[words[0]][words[2]] = after[words[0]].pop(words[1])
        case "delete":
            del after[words[0]][words[1]]
        case "many":
            for name in words[1:]:
                after[words[0]].pop(name, None)
        case "custom":
            parts, _ = after[words[0]][words[1]]
            after[words[0]][words[1]] = (parts, (("key", words[2]),))
        case "destroy":
            del after[words[0]]
        case "copy-bucket":
            after[words[1]] = dict(after[words[0]])
        case "rename-bucket":
            after[words[1]] = after.pop(words[0])
    return after


def perform(store: Store, op: Op, directory: str) -> None:
    """The same on the store."""
    kind, words, numbers = op
    data = pattern(numbers[0], numbers[1]) if len(numbers) > 1 else b""
    bucket = BucketRef(words[0]) if words else BucketRef("none")
    match kind:
        case "create":
            store.create_bucket(bucket)
        case "put":
            store.put(bucket, words[1], data, PutOptions())
        case "group":
            size, seed = numbers
            put_many(
                store,
                {name: pattern(size, seed + number) for number, name in enumerate(words[1:])},
                bucket,
            )
        case "chunked":
            put_pieces(store, words[1], data, 8 * KIB, bucket)
        case "layout":
            _set_layout(store, bucket, "10KiB")
            store.put(bucket, words[1], data, PutOptions())
            _set_layout(store, bucket, "0")
        case "upload":
            parts = [pattern(numbers[0] + 1, numbers[1]), pattern(7_000, numbers[1] + 1)]
            upload(store, words[1], parts, again=1, bucket=bucket)
        case "rechunk":
            limit = numbers[0] * KIB
            store.rechunk_bucket(bucket, RechunkOptions(objsize_limit=limit, chunk_size=5 * KIB))
        case "append":
            handle = ""
            for start in range(0, len(data) or 1, 30_000):
                handle = store.append(bucket, words[1], data[start : start + 30_000], handle)
            store.flush_append(bucket, words[1], handle, None)
        case "shard":
            store.put_members(bucket, SHARD, members({"m": data}), ArchivePutMode.CREATE, None)
        case "grow":
            new = members({f"m{numbers[1]}": data})
            store.put_members(bucket, SHARD, new, ArchivePutMode.APPEND, None)
        case "copy":
            store.copy(bucket, words[1], BucketRef(words[2]), words[3])
        case "rename":
            store.rename(bucket, words[1], words[2])
        case "delete":
            store.delete(bucket, words[1], None)
        case "many":
            store.delete_many(bucket, Selection(names=words[1:]))
        case "custom":
            store.set_custom(bucket, words[1], {"key": words[2]}, replace=True)
        case "destroy":
            store.destroy_bucket(bucket)
        case "copy-bucket":
            store.copy_bucket(bucket, BucketRef(words[1]), CopyOptions())
        case "rename-bucket":
            store.rename_bucket(bucket, BucketRef(words[1]))
        case "mount":
            _toggle_mountpath(store, directory)
        case "mirror":
            store.mirror_bucket(bucket, min(numbers[0], len(store.mountpaths())))


def _set_layout(store: Store, bucket: BucketRef, limit: str) -> None:
    changes = {
        "chunks.objsize_limit": limit,
        "chunks.chunk_size": "4KiB",
        "chunks.checkpoint_every": "3",
    }
    store.set_bucket_props(bucket, changes)


def _toggle_mountpath(store: Store, directory: str) -> None:
    extra = [found.path for found in store.mountpaths() if found.path.startswith(directory)]
    if extra:
        try:
            store.remove_mountpath(extra[0])
        except BusyError:
            # An append of a killed process lies there: nobody can end it, it expires.
            store.enable_mountpath(extra[0])
        return
    path = f"{directory}/{time.monotonic_ns()}"
    os.makedirs(path)
    store.add_mountpath(path)


def bytes_of(content: Content) -> bytes | dict[str, bytes]:
    parts = content[0]
    if parts and len(parts[0]) == 3:
        return {name: pattern(size, seed) for name, size, seed in parts}
    return b"".join(pattern(size, seed) for size, seed in parts)  # type: ignore[misc]


def work(
    home: str, directory: str, seed: str, model: Model, ledger: Connection, die_at: int
) -> None:
    """The child: operations until it is killed; `die_at` ends it at that file call instead."""
    files = FaultyFiles()
    store = open_store(home, files)
    random = Random(seed)
    ledger.send("open")
    if die_at:
        files.arm(die_at, -1)
    while True:
        op = draw(random, model)
        ledger.send(("intent", op))
        perform(store, op, directory)
        model = apply(model, op)
        ledger.send(("ack", op))


@dataclass
class Ledger:
    """What the parent knows: the acknowledged state, and the one operation that may or may not have happened."""

    model: Model = field(default_factory=dict)
    pending: Op | None = None
    count: int = 0

    def read(self, source: Connection) -> None:
        """Take in everything that the dead child has told."""
        try:
            while True:
                message = source.recv()
                if message == "open":
                    continue
                what, op = message
                if what == "intent":
                    self.pending = op
                else:
                    self.model = apply(self.model, op)
                    self.pending = None
                    self.count += 1
        except (EOFError, ConnectionResetError, OSError):
            return


def matches(store: Store, bucket: str, objects: dict[str, Content]) -> str:
    """Why the bucket is not what the model says; "" when it is."""
    ref = BucketRef(bucket)
    found = names_of(store, ref)
    if found != sorted(objects):
        return f"{bucket}: has {found}, expected {sorted(objects)}"
    for name, content in objects.items():
        difference = _differs(store, ref, name, content)
        if difference:
            return difference
    return ""


def _differs(store: Store, bucket: BucketRef, name: str, content: Content) -> str:
    expected = bytes_of(content)
    cname = bucket.object_cname(name)
    try:
        data = store.read(bucket, name, VERIFIED)
        if isinstance(expected, dict):
            listed = [member.name for member in store.list_members(bucket, name, None)]
            if listed != list(expected):
                return f"{cname}: members {listed}, expected {list(expected)}"
            for member, wanted in expected.items():
                if store.read(bucket, name, GetOptions(archpath=member)) != wanted:
                    return f"{cname}/{member}: other content"
        elif data != expected:
            return f"{cname}: {len(data)} bytes, expected {len(expected)}"
        if dict(store.head(bucket, name).custom) != dict(content[1]):
            return f"{cname}: other custom metadata"
    except AisError as exc:
        return f"{cname}: {exc!r}"
    return ""


def settle(store: Store, ledger: Ledger) -> None:
    """Decide whether the pending operation happened, and check everything; afterwards the model is what is."""
    candidates = [ledger.model]
    if ledger.pending is not None:
        candidates.append(apply(ledger.model, ledger.pending))
        if ledger.pending[0] in {"many", "group", "copy-bucket"}:
            ledger.model = _settle_partial(store, ledger)
            candidates = [ledger.model]
    existing = sorted(bucket.name for bucket in store.list_buckets())
    reasons = []
    for candidate in candidates:
        if existing != sorted(candidate):
            reasons.append(f"buckets {existing}, expected {sorted(candidate)}")
            continue
        differences = [matches(store, name, objects) for name, objects in candidate.items()]
        if not any(differences):
            ledger.model, ledger.pending = candidate, None
            return
        reasons += [difference for difference in differences if difference]
    raise AssertionError(f"after {ledger.pending}: {reasons}")


def _settle_partial(store: Store, ledger: Ledger) -> Model:
    """Operations on many objects are whole for each object, not as one."""
    assert ledger.pending is not None
    after = apply(ledger.model, ledger.pending)
    model = {bucket: dict(objects) for bucket, objects in ledger.model.items()}
    if ledger.pending[0] == "group":
        bucket, *group = ledger.pending[1]
        for name in group:
            if not _differs(store, BucketRef(bucket), name, after[bucket][name]):
                model[bucket][name] = after[bucket][name]
        return model
    if ledger.pending[0] == "many":
        bucket = ledger.pending[1][0]
        there = set(names_of(store, BucketRef(bucket)))
        model[bucket] = {
            name: content
            for name, content in model[bucket].items()
            if name in after[bucket] or name in there
        }
        return model
    target = ledger.pending[1][1]
    if BucketRef(target) in store.list_buckets():
        there = set(names_of(store, BucketRef(target)))
        model[target] = {name: c for name, c in after[target].items() if name in there}
    return model


def one_round(home: str, directory: str, seed: str, ledger: Ledger, *, at_call: bool) -> None:
    random = Random(f"parent/{seed}")
    ours, theirs = PROCESSES.Pipe(duplex=False)
    die_at = random.randrange(1, 120) if at_call else 0
    child = PROCESSES.Process(
        target=work, args=(home, directory, seed, ledger.model, theirs, die_at)
    )
    child.start()
    theirs.close()
    assert ours.poll(30), "the child did not open the store"
    if not at_call:
        # The moment of death is what is random here: not a wait for something.
        time.sleep(random.random() * 0.15)
        child.kill()
    ledger.read(ours)
    child.join()
    ours.close()
    expected = 77 if at_call else -signal.SIGKILL
    assert child.exitcode == expected, f"the child failed by itself: {child.exitcode}"
    store = open_store(home)
    for found in store.mountpaths():
        store.enable_mountpath(found.path)  # a removal may have been killed
    if random.random() < 0.5:
        settle(store, ledger)
        assert_sound(store)
    else:
        assert_sound(store)
        settle(store, ledger)
    # Enabling a disk restores copies, and with that begins a session of our own.
    own = store.core.sessions.known()
    others = "SELECT count(*) FROM sessions WHERE id != ?"
    sessions = store.core.connection().execute(others, (own,)).fetchone()[0]
    assert sessions == 0, "the dead session was not swept"
    # One that died before the commit of its session leaves a lock file, which the next of that number takes over.
    assert len(os.listdir(f"{home}/run")) <= 1 + bool(own)
    store.close()


def kill_loop(tmp_path: Path, rounds: int, seed: str) -> None:
    home, directory = str(tmp_path / "home"), str(tmp_path / "extra")
    os.makedirs(directory)
    ledger = Ledger()
    for number in range(rounds):
        one_round(home, directory, f"{seed}/{number}", ledger, at_call=number % 3 == 2)
    assert ledger.count > rounds


@pytest.mark.parametrize("seed", ["a", "b", "c", "d"])
def test_nothing_acknowledged_is_lost_by_a_kill(tmp_path: Path, seed: str) -> None:
    kill_loop(tmp_path, 15, seed)


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_nothing_acknowledged_is_lost_by_many_kills(tmp_path: Path) -> None:
    kill_loop(tmp_path, 500, "soak")


def work_on_own_names(home: str, writer: int, seed: str, ledger: Connection, stop: str) -> None:
    """One of several children; each has names of its own, all share the bucket."""
    store = open_store(home)
    random = Random(seed)
    bucket = BucketRef("shared")
    ledger.send(("open", "", 0, 0))
    while not os.path.exists(stop):
        name = f"w{writer}-{random.randrange(10)}"
        size, number = random.choice(SIZES), random.randrange(1 << 30)
        kind = random.choice(["put", "chunked", "delete", "append"])
        removes = kind in {"delete", "append"}  # an append begins with a delete here
        ledger.send(("intent", name, -1 if removes else size, number))
        data = pattern(size, number)
        try:
            match kind:
                case "put":
                    store.put(bucket, name, data, PutOptions())
                case "chunked":
                    put_pieces(store, name, data, 8 * KIB, bucket)
                case "append":
                    store.delete_many(bucket, Selection(names=(name,)))
                    ledger.send(("ack", name, -1, 0))
                    ledger.send(("intent", name, size, number))
                    handle = store.append(bucket, name, data, "")
                    store.flush_append(bucket, name, handle, None)
                case _:
                    store.delete(bucket, name, None)
        except (NotFoundError, BusyError, UnavailableError):
            ledger.send(("none", name, 0, 0))
            continue
        ledger.send(("ack", name, -1 if kind == "delete" else size, number))
    store.close()


def others_ledger(
    source: Connection,
) -> tuple[dict[str, tuple[int, int]], tuple[str, int, int] | None]:
    state: dict[str, tuple[int, int]] = {}
    pending: tuple[str, int, int] | None = None
    try:
        while True:
            what, name, size, number = source.recv()
            if what == "intent":
                pending = (name, size, number)
            elif what == "ack":
                state[name] = (size, number)
                pending = None
            else:
                pending = None
    except (EOFError, ConnectionResetError, OSError):
        return state, pending


def kill_one_of_three(tmp_path: Path, rounds: int) -> None:
    home = str(tmp_path / "home")
    store = open_store(home)
    store.create_bucket(BucketRef("shared"))
    store.close()
    state: dict[str, tuple[int, int]] = {}
    for number in range(rounds):
        random = Random(f"three/{number}")
        stop = str(tmp_path / f"stop-{number}")
        pipes = [PROCESSES.Pipe(duplex=False) for _ in range(3)]
        children = []
        for writer, (_, theirs) in enumerate(pipes):
            arguments = (home, writer, f"{number}/{writer}", theirs, stop)
            child = PROCESSES.Process(target=work_on_own_names, args=arguments)
            child.start()
            theirs.close()
            children.append(child)
        assert all(ours.poll(30) for ours, _ in pipes)
        victim = random.randrange(3)
        ledgers = []
        time.sleep(random.random() * 0.15)
        children[victim].kill()
        children[victim].join()
        # A newcomer sweeps what the dead one left, beside the two that go on.
        newcomer = open_store(home)
        newcomer.close()
        with open(stop, "wb"):
            pass
        for ours, _ in pipes:
            ledgers.append(others_ledger(ours))
        for child in children:
            child.join(30)
        codes = [child.exitcode for child in children]
        assert codes == [-9 if writer == victim else 0 for writer in range(3)]
        store = open_store(home)
        for acknowledged, pending in ledgers:
            state.update(acknowledged)
            if pending is not None:
                name, size, seed = pending
                data = _content_or_none(store, name)
                if data == (None if size < 0 else pattern(size, seed)):
                    state[name] = (size, seed)
        for name, (size, seed) in state.items():
            expected = None if size < 0 else pattern(size, seed)
            assert _content_or_none(store, name) == expected, name
        assert_sound(store)
        store.close()


def _content_or_none(store: Store, name: str) -> bytes | None:
    try:
        return store.read(BucketRef("shared"), name, GET)
    except NotFoundError:
        return None


def test_a_kill_of_one_does_not_disturb_the_others(tmp_path: Path) -> None:
    kill_one_of_three(tmp_path, 6)


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_a_kill_of_one_does_not_disturb_the_others_often(tmp_path: Path) -> None:
    kill_one_of_three(tmp_path, 200)


def interrupted_work(home: str, seed: str, ledger: Connection, stop: str) -> None:
    """Every operation may be cut by a KeyboardInterrupt; the same store goes on."""
    armed = False

    def interrupt(_number: int, _frame: object) -> None:
        nonlocal armed
        if armed:
            armed = False  # one an operation: a second one would hit the handler of the first
            raise KeyboardInterrupt

    signal.signal(signal.SIGINT, interrupt)
    faulthandler.dump_traceback_later(15)  # where it hangs, if it does
    store = open_store(home)
    random = Random(seed)
    bucket = BucketRef("shared")
    allowed: dict[str, list[bytes | None]] = {}
    problems: list[str] = []
    fds = 0
    cuts = 0
    ledger.send("open")
    while not os.path.exists(stop):
        name = f"o{random.randrange(6)}"
        kind = random.choice(["put", "group", "chunked", "copy", "delete", "shard", "read"])
        data: bytes | None = pattern(random.choice(SIZES), random.randrange(1 << 30))
        assert data is not None
        if kind in {"copy", "delete"}:
            data = None
        known = allowed.get(name, [None])
        try:
            armed = True
            match kind:
                case "put":
                    store.put(bucket, name, data or b"", PutOptions())
                case "group":
                    put_many(store, {"beside": b"it", name: data or b""}, bucket)
                case "chunked":
                    put_pieces(store, name, data or b"", 8 * KIB, bucket)
                case "copy":
                    store.copy(bucket, name, bucket, "copy")
                case "delete":
                    store.delete_many(bucket, Selection(names=(name,)))
                case "shard":
                    new = members({"m": data or b""})
                    store.put_members(bucket, SHARD, new, ArchivePutMode.APPEND_OR_CREATE, None)
                case _:
                    store.read(bucket, name, GET)
            armed = False
        except KeyboardInterrupt:
            armed = False
            cuts += 1
            if kind in {"put", "group", "chunked", "delete"}:
                allowed[name] = [*known, data]
        except NotFoundError:
            armed = False
        except AisError as exc:
            armed = False
            problems.append(f"{kind} {name}: {exc!r}, in an operation of its own")
            break
        else:
            if kind in {"put", "group", "chunked", "delete"}:
                allowed[name] = [data]
        try:
            found = _content_or_none(store, name)
            if found not in allowed.get(name, [None]):
                problems.append(f"{kind} {name}: neither old nor new")
            allowed[name] = [found]
        except AisError as exc:
            problems.append(f"{kind} {name}: {exc!r}")
            break
    # An interrupt that arrives during open(2) is raised between its return and the assignment of the result, which
    # loses the descriptor: one for an interrupt, then, but never more.
    fds = len(os.listdir("/proc/self/fd"))
    if fds > 30 + cuts:
        problems.append(f"{fds} descriptors are open after {cuts} interrupts")
    try:
        # What an interrupted clean-up left is swept with its session.
        store.close()
        store = open_store(home)
        assert_sound(store)
    except (AssertionError, AisError) as exc:
        problems.append(f"not sound: {str(exc)[:500]}")
    if not cuts:
        problems.append("nothing was interrupted")
    ledger.send(problems)
    with suppress(AisError):
        store.close()


@pytest.mark.parametrize("seed", ["a", "b"])
def test_an_interrupt_leaves_the_store_usable(tmp_path: Path, seed: str) -> None:
    """Ctrl-C, in a notebook for instance: the process lives on and uses the same store."""
    home, stop = str(tmp_path / "home"), str(tmp_path / "stop")
    store = open_store(home)
    store.create_bucket(BucketRef("shared"))
    store.close()
    ours, theirs = PROCESSES.Pipe(duplex=False)
    child = PROCESSES.Process(target=interrupted_work, args=(home, seed, theirs, stop))
    child.start()
    theirs.close()
    assert ours.recv() == "open"
    random = Random(f"interrupt/{seed}")
    pid = child.pid
    assert pid is not None
    for _ in range(500):
        time.sleep(random.random() * 0.006)
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGINT)
    with open(stop, "wb"):
        pass
    hung = not ours.poll(20)
    problems = [] if hung else ours.recv()
    if hung:
        child.kill()
    child.join()
    ours.close()
    assert not hung, "an interrupt left a lock behind: the store hangs"
    assert not problems, "\n".join(problems[:20])
    assert child.exitcode == 0
