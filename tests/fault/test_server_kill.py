"""SIGKILL of `ais serve`, or of one of its workers, under a mixed load of several client processes.

Every client has names of its own, and knows of each what it may hold: one content, or two after a request that was not
answered. It looks at what it has as it goes, and again when it is asked to stand still. After the death of the whole
server the home is opened directly as well: nothing acknowledged is missing, nothing is half there, and the disks hold
what the index names and nothing else.
"""

import time
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from random import Random

import pytest
from tests.fault.serving import ONCE, Server, serving
from tests.fault.support import (
    BUCKET,
    PROCESSES,
    VERIFIED,
    assert_sound,
    finish_process,
    members,
    names_of,
    open_store,
    until,
)

from aiscore.engine.store import Store
from aiscore.errors import (
    BusyError,
    NotFoundError,
    TransportError,
    UnavailableError,
    XactionAbortedError,
)
from aiscore.model.batch import BatchEntry, BatchRequest
from aiscore.model.chunks import RechunkOptions
from aiscore.model.multipart import PartRef
from aiscore.model.objects import ArchivePutMode, GetOptions, ListOptions
from aiscore.testing.content import pattern
from aiscore.transport.base import Transport
from aiscore.transport.remote import RemoteTransport

CLIENTS = 3
WORKERS = 2
SIZES = (0, 10, 5_000, 70_000, 300_000, 1_500_000)
NAMES = 8
BACK_S = 20.0
"""Within this a killed server must answer again, on its port."""
UNANSWERED = (TransportError, BusyError, UnavailableError)
"""What a request may end with when a worker dies, or while one is away."""

Part = tuple[int, int]
"""Size and seed."""
Content = tuple[Part, ...] | tuple[tuple[str, Part], ...] | None
"""Parts of an object one after the other; members of a shard; None is no such object."""
Known = dict[str, list[Content]]
"""What each name may hold."""


def bytes_of(content: Content) -> bytes:
    return b"".join(pattern(*part) for part in content or ())


@dataclass
class Client:
    """One client process: it keeps its own ledger."""

    transport: Transport
    number: int
    random: Random
    known: Known = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)

    def step(self) -> None:
        """One operation of a random kind, on a name of its own."""
        name = f"c{self.number}-{self.random.randrange(NAMES)}"
        kind = self.random.choices(
            ["put", "append", "delete", "member", "batch", "read", "list", "upload", "rechunk"],
            [30, 10, 10, 10, 10, 15, 5, 8, 5],
        )[0]
        {
            "put": self.put,
            "append": self.append,
            "delete": self.delete,
            "member": self.put_member,
            "batch": self.get_batch,
            "read": self.check,
            "list": self.list,
            "upload": self.upload,
            "rechunk": self.rechunk,
        }[kind](name)
        self.counts[kind] = self.counts.get(kind, 0) + 1

    def put(self, name: str) -> None:
        part = self._part()
        self._change(name, (part,), lambda: self.transport.put(BUCKET, name, pattern(*part)))

    def delete(self, name: str) -> None:
        if self.now(name) is not None:
            self._change(name, None, lambda: self.transport.delete(BUCKET, name))

    def append(self, name: str) -> None:
        parts = [self._part(), self._part()]
        handle = ""
        for part in parts:
            handle = self.transport.append(BUCKET, name, pattern(*part), handle)
        self._change(
            name,
            (*(self.now(name) or ()), *parts),
            lambda: self.transport.flush_append(BUCKET, name, handle),
        )

    def upload(self, name: str) -> None:
        parts = [(size or 1, seed) for size, seed in (self._part() for _ in range(3))]
        upload_id = self.transport.create_upload(BUCKET, name)
        refs = []
        for number, part in enumerate(parts, start=1):
            sent = self.transport.put_part(BUCKET, name, upload_id, number, pattern(*part))
            refs.append(PartRef(number=number, etag=sent.etag))
        self._change(
            name,
            tuple(parts),
            lambda: self.transport.complete_upload(BUCKET, name, upload_id, refs),
        )

    def rechunk(self, _: str) -> None:
        """Of what is its own: no content changes, whatever becomes of the job; of two, one is refused."""
        limit, size = self.random.choice([(0, 32 << 10), (64 << 10, 32 << 10), (1, 100_000)])
        options = RechunkOptions(prefix=f"c{self.number}-", objsize_limit=limit, chunk_size=size)
        with suppress(BusyError, XactionAbortedError):
            self.transport.rechunk_bucket(BUCKET, options)

    def put_member(self, _: str) -> None:
        shard = f"c{self.number}-s.tar"
        part = (self.random.choice(SIZES[1:4]), self.random.randrange(1 << 30))
        old = self.now(shard) or ()
        if len(old) >= 20:
            self._change(shard, None, lambda: self.transport.delete(BUCKET, shard))
            return
        member = f"m{part[1]}"
        new = members({member: pattern(*part)})
        mode = ArchivePutMode.APPEND_OR_CREATE
        self._change(
            shard,
            (*old, (member, part)),
            lambda: self.transport.put_members(BUCKET, shard, new, mode),
        )

    def get_batch(self, _: str) -> None:
        wanted = [name for name in self.known if self.now(name) and not name.endswith(".tar")]
        entries = [BatchEntry(name) for name in wanted]
        shard = f"c{self.number}-s.tar"
        inside: Mapping[str, Part] = dict(self.now(shard) or ())  # type: ignore[arg-type]
        entries += [BatchEntry(shard, archpath=member) for member in inside]
        if not entries:
            return
        request = BatchRequest(entries=entries, bucket=BUCKET)
        with self.transport.get_batch(request) as stream:
            found = [data for _, data in stream]
        expected = [bytes_of(self.now(name)) for name in wanted]
        expected += [pattern(*part) for part in inside.values()]
        assert found == expected, f"batch of {wanted}: other content"

    def list(self, _: str) -> None:
        found = remote_names(self.transport, f"c{self.number}-")
        expected = sorted(name for name in self.known if self.now(name) is not None)
        assert found == expected, f"listed {found}, expected {expected}"

    def check(self, name: str) -> None:
        """Read a name; it holds what it may hold, and that is what it holds from now on."""
        self.known[name] = [settled(self.transport, name, self.known.get(name, [None]))]

    def now(self, name: str) -> Content:
        """What is there; certain, because every unanswered request is looked into at once."""
        (content,) = self.known.get(name, [None])
        return content

    def settle(self) -> None:
        """Find out what became of a request without an answer; fails as it did while the server is away."""
        for name in [name for name, contents in self.known.items() if len(contents) > 1]:
            self.check(name)

    def _part(self) -> Part:
        return self.random.choice(SIZES), self.random.randrange(1 << 30)

    def _change(self, name: str, after: Content, work: Callable[[], object]) -> None:
        self.known[name] = [self.now(name), after]
        work()
        self.known[name] = [after]


def remote_names(transport: Transport, prefix: str) -> list[str]:
    names: list[str] = []
    token = ""
    while True:
        page = transport.list_page(BUCKET, ListOptions(prefix=prefix, page_size=5, token=token))
        names += [entry.name for entry in page.entries]
        token = page.token
        if not token:
            return names


def settled(store: Transport | Store, name: str, contents: list[Content]) -> Content:
    """Which of the contents an object has."""
    try:
        data = store.read(BUCKET, name, VERIFIED)
    except NotFoundError:
        data = None
    for content in contents:
        if content is None or data is None:
            if content is None and data is None:
                return None
        elif name.endswith(".tar"):
            if has_members(store, name, content):
                return content
        elif bytes_of(content) == data:
            return content
    raise AssertionError(
        f"{name}: has {None if data is None else len(data)} bytes, expected one of {contents}"
    )


def has_members(store: Transport | Store, shard: str, content: Content) -> bool:
    wanted: Mapping[str, Part] = dict(content or ())  # type: ignore[arg-type]
    if [found.name for found in store.list_members(BUCKET, shard, None)] != list(wanted):
        return False
    return all(
        store.read(BUCKET, shard, GetOptions(archpath=name)) == pattern(*part)
        for name, part in wanted.items()
    )


def run_client(url: str, number: int, seed: str, control: Connection) -> None:
    """A process: works while it is told to, and gives its ledger when it stands still."""
    client = Client(RemoteTransport(url, ONCE), number, Random(f"{seed}/{number}"))
    try:
        while control.recv() == "run":
            failed = 0
            while not control.poll():
                try:
                    client.settle()
                    client.step()
                except UNANSWERED:
                    failed += 1
                    # The server may be away: it is not to be asked a thousand times a second.
                    time.sleep(0.005)
            assert control.recv() == "stand"
            control.send(("known", client.known, client.counts, failed))
            client.known = control.recv()
        control.send(("end", {}, {}, 0))
    except BaseException:
        control.send(("failed", traceback.format_exc(), {}, 0))
    client.transport.close()


@dataclass
class Crew:
    """The clients, as the test sees them."""

    processes: list[BaseProcess]
    controls: list[Connection]
    counts: dict[str, int] = field(default_factory=dict)
    failed: int = 0

    def run(self) -> None:
        for control in self.controls:
            control.send("run")

    def stand(self) -> list[Known]:
        """Stop all, and collect what they know."""
        for control in self.controls:
            with suppress(BrokenPipeError):  # one that has failed says why below
                control.send("stand")
        ledgers = []
        self.counts = {}
        for control in self.controls:
            assert control.poll(2 * BACK_S), "a client hangs"
            what, known, counts, failed = control.recv()
            assert what == "known", known
            ledgers.append(known)
            self.failed += failed
            for kind, count in counts.items():
                self.counts[kind] = self.counts.get(kind, 0) + count
        return ledgers

    def tell(self, ledgers: list[Known]) -> None:
        for control, known in zip(self.controls, ledgers, strict=True):
            control.send(known)


def start_crew(url: str, seed: str) -> Crew:
    pipes = [PROCESSES.Pipe() for _ in range(CLIENTS)]
    processes = [
        PROCESSES.Process(target=run_client, args=(url, number, seed, theirs))
        for number, (_, theirs) in enumerate(pipes)
    ]
    for process, (_, theirs) in zip(processes, pipes, strict=True):
        process.start()
        theirs.close()
    return Crew(list(processes), [ours for ours, _ in pipes])


def settle_all(store: Transport | Store, ledgers: list[Known]) -> list[Known]:
    """Everything is as it may be; what is."""
    return [
        {name: [settled(store, name, contents)] for name, contents in known.items()}
        for known in ledgers
    ]


def expect_names(names: list[str], ledgers: list[Known]) -> None:
    """There is nothing that nobody has put."""
    expected = [n for known in ledgers for n, contents in known.items() if contents != [None]]
    assert sorted(names) == sorted(expected)


def look_into_home(server: Server, ledgers: list[Known]) -> list[Known]:
    """The server is dead: open its home, and compare."""
    store = open_store(server.home)
    try:
        ledgers = settle_all(store, ledgers)
        expect_names(names_of(store), ledgers)
        assert_sound(store)
        left = store.core.connection().execute("SELECT count(*) FROM sessions").fetchone()[0]
        assert left == 0, "a dead session was not swept"
    finally:
        store.close()
    return ledgers


def look_over_http(server: Server, ledgers: list[Known]) -> list[Known]:
    """The server lives: every worker is back, and all is as it may be."""
    until(lambda: len(server.worker_pids()) == server.workers, "the worker is back", BACK_S)
    with RemoteTransport(server.url) as transport:
        ledgers = settle_all(transport, ledgers)
        expect_names(remote_names(transport, ""), ledgers)
        assert transport.validate(BUCKET).faults == ()
    return ledgers


def one_round(server: Server, crew: Crew, random: Random, kind: str) -> None:
    crew.run()
    # The moment of death is what is random here: not a wait for something.
    time.sleep(0.05 + random.random() * 0.3)
    if kind == "worker":
        server.kill_worker(random.randrange(server.workers))
        time.sleep(random.random() * 0.2)
        crew.tell(look_over_http(server, crew.stand()))
        return
    server.kill(workers=kind == "server")
    if random.random() < 0.3:
        # The clients are at it while the server comes back.
        server.start()
        crew.tell(look_over_http(server, crew.stand()))
        return
    crew.tell(look_into_home(server, crew.stand()))
    server.start()


def kill_loop(directory: Path, rounds: int, seed: str) -> None:
    random = Random(seed)
    with serving(directory, WORKERS) as server:
        crew = start_crew(server.url, seed)
        try:
            for number in range(rounds):
                kind = ("worker", "server", "worker", "supervisor", "server")[number % 5]
                one_round(server, crew, random, kind)
            for control in crew.controls:
                control.send("end")
            assert [finish_process(process) for process in crew.processes] == [0] * CLIENTS
        finally:
            for process in crew.processes:
                process.kill()
                process.join()
        kinds = {"put", "append", "delete", "member", "batch", "read", "list", "upload", "rechunk"}
        assert set(crew.counts) == kinds
        assert crew.failed >= rounds // 2, "the kills hit nobody"


@pytest.mark.timeout(180)
def test_nothing_acknowledged_is_lost_by_kills_of_the_server(tmp_path: Path) -> None:
    kill_loop(tmp_path / "server", 20, "server")


@pytest.mark.soak
@pytest.mark.timeout(7200)
def test_nothing_acknowledged_is_lost_by_many_kills_of_the_server(tmp_path: Path) -> None:
    kill_loop(tmp_path / "server", 500, "server soak")
