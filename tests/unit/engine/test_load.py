"""The load of a store: sampled at intervals, from the files of a machine, and what jobs and batches do about it."""

import asyncio
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from aiscore.engine.load import SAMPLE_INTERVAL_S, Load
from aiscore.engine.machine import Machine
from aiscore.engine.pace import BATCH_WORK_MIN, FIRST_LOOK, BatchGate, Pace
from aiscore.engine.store import Store
from aiscore.errors import InvalidArgumentError, ThrottledError
from aiscore.model.batch import BatchEntry, BatchRequest
from aiscore.model.bucket import BucketRef
from aiscore.model.config import ClusterConfig
from aiscore.model.load import Grade, LoadUse, Sample
from aiscore.model.objects import CopyOptions, PutOptions
from aiscore.model.sections import replace_path
from aiscore.model.units import GIB, MIB
from aiscore.model.xaction import XactionFilter
from aiscore.server.lag import measure_lag

BUCKET = BucketRef("b")
REQUEST = BatchRequest(entries=[BatchEntry("o")], bucket=BUCKET)


class Clock:
    """Goes on when it is told to, or slept on."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


class Samples:
    """A sampler that gives what it is told to, and counts."""

    def __init__(self) -> None:
        self.now = Sample(memory_total=8 * GIB, memory_available=6 * GIB, memory_free=6 * GIB)
        self.taken = 0

    def sample(self, paths: Iterable[str], smooth_s: float) -> Sample:
        self.taken += 1
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def samples() -> Samples:
    return Samples()


@pytest.fixture
def load(clock: Clock, samples: Samples) -> Load:
    return Load(ClusterConfig, lambda: ["/"], sampler=samples, clock=clock)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(str(tmp_path / "home"))
    store.create_bucket(BUCKET)
    store.put(BUCKET, "o", b"content", PutOptions())
    yield store
    store.close()


def add_to(counts: Counter[str]) -> Callable[[str, int], None]:
    def add(name: str, amount: int) -> None:
        counts[name] += amount

    return add


def read_batch(store: Store) -> list[bytes]:
    return [data for _, data in store.get_batch(REQUEST)]


# sampling


def test_one_sample_serves_an_interval(load: Load, clock: Clock, samples: Samples) -> None:
    for _ in range(100):
        load.advice(LoadUse.BATCH)
    assert samples.taken == 1
    samples.now = samples.now._replace(memory_available=0, memory_free=0)
    clock.now += SAMPLE_INTERVAL_S / 2
    assert load.vector().memory is Grade.LOW
    clock.now += SAMPLE_INTERVAL_S / 2
    assert load.vector().memory is Grade.CRITICAL
    assert load.advice(LoadUse.BATCH).is_refused
    assert samples.taken == 2


def test_a_lag_is_forgotten_slowly(load: Load, clock: Clock) -> None:
    grades = []
    load.note_lag(0.9)
    for _ in range(4):
        grades.append(load.vector().loop)
        clock.now += SAMPLE_INTERVAL_S
        load.note_lag(0.0)
    assert grades == [Grade.CRITICAL, Grade.HIGH, Grade.HIGH, Grade.HIGH]
    load.note_lag(0.0)
    assert load.vector().loop is Grade.LOW


def test_a_setting_forces_grades_at_once(store: Store) -> None:
    assert store.load().memory < Grade.CRITICAL
    store.set_config({"store.load": "memory:critical,files:high"})
    assert (store.load().memory, store.load().files) == (Grade.CRITICAL, Grade.HIGH)
    store.set_config({"store.load": "off"})
    assert set(store.load()) == {Grade.LOW}
    with pytest.raises(InvalidArgumentError, match='invalid load "loud"'):
        store.set_config({"store.load": "loud"})


def test_who_asks_after_a_change_does_not_hear_what_was_before_it(clock: Clock) -> None:
    config = ClusterConfig()
    is_sampling, may_go_on = threading.Event(), threading.Event()

    class Slow(Samples):
        def sample(self, paths: Iterable[str], smooth_s: float) -> Sample:
            is_sampling.set()
            assert may_go_on.wait(60)
            return super().sample(paths, smooth_s)

    load = Load(lambda: config, lambda: ["/"], sampler=Slow(), clock=clock)
    with ThreadPoolExecutor(2) as pool:
        before = pool.submit(load.vector)
        assert is_sampling.wait(60)
        config = replace_path(config, {"store.load": "memory:high"})
        load.forget()
        after = pool.submit(load.vector)
        with pytest.raises(TimeoutError):
            after.result(0.2)
        may_go_on.set()
        assert before.result(60).memory is Grade.LOW
        assert after.result(60).memory is Grade.HIGH


def test_the_environment_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIS_LOAD", "disk:critical")
    with closing(Store(str(tmp_path / "home"))) as store:
        store.set_config({"store.load": "off"})
        assert store.load().disk is Grade.CRITICAL
    monkeypatch.setenv("AIS_LOAD", "disk")
    with pytest.raises(InvalidArgumentError, match='invalid load "disk"'):
        Store(str(tmp_path / "other"))
    assert not (tmp_path / "other").exists()


def test_another_process_changes_the_setting(store: Store) -> None:
    with closing(Store(store.core.home)) as other:
        assert other.load().disk < Grade.CRITICAL
        store.set_config({"store.load": "disk:critical"})
        deadline = time.monotonic() + 20
        while other.load().disk is not Grade.CRITICAL:
            assert time.monotonic() < deadline


# the machine


def machine_files(root: Path, **files: str) -> Path:
    """Files below `root`; "__" in a keyword stands for a slash, "_" for a point behind `memory` and `cpu`."""
    meminfo = {
        "MemTotal": 16 * GIB,
        "MemFree": 2 * GIB,
        "MemAvailable": 9 * GIB,
        "Buffers": 0,
        "Cached": 8 * GIB,
        "SwapTotal": 4 * GIB,
        "SwapFree": 4 * GIB,
    }
    given = {
        "proc/meminfo": "".join(f"{k}: {v // 1024} kB\n" for k, v in meminfo.items()),
        "proc/loadavg": "1.50 0.75 0.25 2/345 678\n",
        **files,
    }
    for name, text in given.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def test_a_machine_without_limits(tmp_path: Path) -> None:
    found = Machine(str(machine_files(tmp_path))).sample([], 0)
    assert (found.memory_total, found.memory_available) == (16 * GIB, 9 * GIB)
    assert found.memory_free == 9 * GIB, "caches count, up to what is available"
    assert found.load == (1.5, 0.75, 0.25)
    assert found.cpu_count == len(os.sched_getaffinity(0))
    assert found.disk_pct == 0


@pytest.mark.parametrize("is_seen_from_inside", [False, True])
def test_a_control_group_of_version_2(tmp_path: Path, is_seen_from_inside: bool) -> None:
    group = "sys/fs/cgroup" if is_seen_from_inside else "sys/fs/cgroup/user.slice/job"
    path = "/" if is_seen_from_inside else "/user.slice/job"
    files = {
        "proc/self/cgroup": f"0::{path}\n",
        f"{group}/memory.max": f"{GIB}\n",
        f"{group}/memory.current": f"{900 * MIB}\n",
        f"{group}/memory.stat": f"anon {600 * MIB}\ninactive_file {200 * MIB}\nactive_file {100 * MIB}\n",
        f"{group}/cpu.max": "50000 100000\n",
    }
    if not is_seen_from_inside:
        files["sys/fs/cgroup/user.slice/memory.max"] = "max\n"
    found = Machine(str(machine_files(tmp_path, **files))).sample([], 0)
    assert (found.memory_total, found.memory_available) == (GIB, GIB - 600 * MIB)
    assert found.memory_free == found.memory_available
    assert found.cpu_count == 1


def test_the_group_above_is_fuller(tmp_path: Path) -> None:
    above, own = "sys/fs/cgroup/above", "sys/fs/cgroup/above/own"
    files = {
        "proc/self/cgroup": "0::/above/own\n",
        f"{above}/memory.max": f"{4 * GIB}\n",
        f"{above}/memory.current": f"{4 * GIB - MIB}\n",
        f"{above}/memory.stat": "inactive_file 0\n",
        f"{own}/memory.max": f"{2 * GIB}\n",
        f"{own}/memory.current": "0\n",
        f"{own}/memory.stat": "\n",
    }
    found = Machine(str(machine_files(tmp_path, **files))).sample([], 0)
    assert (found.memory_total, found.memory_available) == (2 * GIB, MIB)


def test_a_control_group_of_version_1(tmp_path: Path) -> None:
    memory, cpu = "sys/fs/cgroup/memory/docker/x", "sys/fs/cgroup/cpu"
    files = {
        "proc/self/cgroup": "5:memory:/docker/x\n3:cpu,cpuacct:/docker/x\n0::/\n",
        f"{memory}/memory.limit_in_bytes": f"{GIB}\n",
        f"{memory}/memory.usage_in_bytes": f"{GIB}\n",
        f"{memory}/memory.stat": f"total_inactive_file {300 * MIB}\n",
        "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
        f"{cpu}/cpu.cfs_quota_us": "100000\n",
        f"{cpu}/cpu.cfs_period_us": "100000\n",
    }
    found = Machine(str(machine_files(tmp_path, **files))).sample([], 0)
    assert (found.memory_total, found.memory_available) == (GIB, 300 * MIB)
    assert found.cpu_count == 1


def test_a_group_that_fills_up_is_graded(tmp_path: Path, clock: Clock) -> None:
    group = "sys/fs/cgroup/"
    files = {
        "proc/self/cgroup": "0::/\n",
        f"{group}memory.max": f"{GIB}\n",
        f"{group}memory.current": f"{100 * MIB}\n",
    }
    sampler = Machine(str(machine_files(tmp_path, **files)))
    load = Load(ClusterConfig, list, sampler=sampler, clock=clock)
    grades = []
    for used in (100, 600, 900, 1000):
        (tmp_path / f"{group}memory.current").write_text(f"{used * MIB}\n")
        clock.now += SAMPLE_INTERVAL_S
        grades.append(load.vector().memory)
    assert grades == [Grade.LOW, Grade.MODERATE, Grade.HIGH, Grade.CRITICAL]


def test_a_busy_disk(tmp_path: Path, clock: Clock) -> None:
    device = os.stat(tmp_path).st_dev
    name = f"sys/dev/block/{os.major(device)}:{os.minor(device)}/stat"
    root = machine_files(tmp_path, **{name: "1 " * 9 + "5000 0\n"})
    machine = Machine(str(root), clock)
    assert machine.sample([str(tmp_path)], 0).disk_pct == 0
    clock.now += 2
    (root / name).write_text("1 " * 9 + "6800 0\n")
    assert machine.sample([str(tmp_path), str(root)], 0).disk_pct == 90
    clock.now += 0.01
    assert machine.sample([str(tmp_path)], 0).disk_pct == 90, "too soon to tell anything else"
    clock.now += 1.99
    assert machine.sample([str(tmp_path)], 8).disk_pct == 68, "averaged over eight seconds"


def test_this_machine(tmp_path: Path) -> None:
    found = Machine().sample([str(tmp_path)], 8)
    assert 0 < found.memory_free <= found.memory_available <= found.memory_total
    assert found.load is not None
    before = found.file_count
    with open(os.devnull) as _, open(os.devnull) as _:
        assert Machine().sample([], 8).file_count == before + 2
    assert 0 < before < found.file_limit or not found.file_limit


# jobs


def test_a_job_asks_when_the_advice_says_so(load: Load, clock: Clock, samples: Samples) -> None:
    counts: Counter[str] = Counter()
    samples.now = samples.now._replace(disk_pct=99)
    pace = Pace(load, LoadUse.DATA_JOB, add_to(counts), clock=clock, sleep=clock.sleep)
    for _ in range(FIRST_LOOK - 1):
        clock.now += 0.001
        pace.spent(1)
    assert not clock.slept, "too short a job to be slowed down"
    for _ in range(3 * 16 + 1):
        clock.now += 0.001
        pace.spent(1)
    assert clock.slept == [0.01] * 4
    assert pace.slept_ns == counts["job.throttle.ns"] == pytest.approx(40e6)


def test_a_job_sleeps_no_longer_than_it_works(load: Load, clock: Clock, samples: Samples) -> None:
    samples.now = samples.now._replace(memory_available=0, memory_free=0)
    pace = Pace(load, LoadUse.DATA_JOB, add_to(Counter()), clock=clock, sleep=clock.sleep)
    begun = clock.now
    for _ in range(1000):
        clock.now += 0.001
        pace.spent(1)
    assert set(clock.slept) == {0.1}
    assert 0.4 <= sum(clock.slept) / (clock.now - begun) <= 0.5


def test_a_job_with_large_objects_asks_every_second(load: Load, clock: Clock) -> None:
    pace = Pace(load, LoadUse.DATA_JOB, add_to(Counter()), clock=clock, sleep=clock.sleep)
    pace.spent(1)
    load.note_lag(2.0)
    for _ in range(3):
        clock.now += SAMPLE_INTERVAL_S
        pace.spent(1)
    assert clock.slept == [0.001] * 3


def test_a_copy_is_slowed_down_and_says_so(store: Store) -> None:
    for number in range(3 * FIRST_LOOK):
        store.put(BUCKET, f"n{number}", b"content", PutOptions())
    store.set_config({"store.load": "disk:high"})
    result = store.copy_bucket(BUCKET, BucketRef("c"), CopyOptions())
    assert result.objects == 3 * FIRST_LOOK + 1
    (snap,) = store.list_xactions(XactionFilter())
    slept_ns = snap.ext["throttled_ns"]
    assert isinstance(slept_ns, int)
    assert slept_ns >= 1e6
    assert store.counters()["job.throttle.ns"] == slept_ns


# batches


def test_batches_are_delayed_a_hundredth_of_the_time(
    load: Load, clock: Clock, samples: Samples
) -> None:
    counts: Counter[str] = Counter()
    samples.now = samples.now._replace(disk_pct=99)
    gate = BatchGate(load, add_to(counts), clock=clock, sleep=clock.sleep)
    for _ in range(20_000):
        clock.now += 0.001
        gate.admit()
    assert set(clock.slept) == {0.01}
    assert len(clock.slept) == pytest.approx(20 / (0.01 * BATCH_WORK_MIN), rel=0.1)
    assert counts["getbatch.throttle.ns"] == pytest.approx(sum(clock.slept) * 1e9)


def test_busy_cpus_refuse_no_batch(store: Store) -> None:
    store.set_config({"store.load": "cpu:critical,disk:critical,loop:critical,memory:high"})
    for _ in range(3):
        assert read_batch(store) == [b"content"]
    assert "err.getbatch.n" not in store.counters()
    assert store.counters()["getbatch.throttle.ns"] >= 1e8


def test_a_batch_is_refused_while_memory_is_critical(store: Store) -> None:
    store.set_config({"store.load": "memory:critical"})
    for ask in (store.get_batch, store.get_batch_archive):
        with pytest.raises(ThrottledError, match="memory=critical") as info:
            ask(REQUEST)
        assert info.value.retry_after_s == SAMPLE_INTERVAL_S
    assert store.counters()["err.getbatch.n"] == 2
    assert "getbatch.n" not in store.counters()
    store.set_config({"store.load": "auto"})
    assert read_batch(store) == [b"content"]


_FILES = """
import os, resource, sys, time
from aiscore.engine.store import Store
from aiscore.errors import ThrottledError
from aiscore.model.batch import BatchEntry, BatchRequest
from aiscore.model.bucket import BucketRef
resource.setrlimit(resource.RLIMIT_NOFILE, (200, 200))
store = Store(sys.argv[1])
def batch():
    return [d for _, d in store.get_batch(BatchRequest(entries=[BatchEntry("o")], bucket=BucketRef("b")))]
print(batch())
taken = []
while len(os.listdir("/proc/self/fd")) < 192:
    taken.append(os.open(os.devnull, os.O_RDONLY))
store.core.load.forget()
try:
    batch()
except ThrottledError as exc:
    print(exc)
for fd in taken:
    os.close(fd)
store.core.load.forget()
print(batch())
"""


def test_a_batch_is_refused_while_there_are_no_files_to_open(store: Store) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _FILES, store.core.home], capture_output=True, text=True, check=True
    )
    first, refusal, last = done.stdout.splitlines()
    assert first == last == "[b'content']"
    assert "files=critical" in refusal


def test_a_loop_that_is_held_up_is_noticed(store: Store) -> None:
    async def hold_up() -> Grade:
        noted = asyncio.Event()

        def note(lag_s: float) -> None:
            store.note_lag(lag_s)
            noted.set()

        measuring = asyncio.ensure_future(measure_lag(note))
        await asyncio.sleep(0)
        time.sleep(1.0)  # noqa: ASYNC251 - what is provoked
        await noted.wait()
        measuring.cancel()
        store.core.load.forget()
        return store.load().loop

    assert asyncio.run(hold_up()) is Grade.CRITICAL


_MEMORY = """
import sys
from aiscore.engine.store import Store
with open(sys.argv[2], "w") as procs:
    procs.write("0")
store = Store(sys.argv[1])
print(store.load().memory.text)
taken = []
while store.load().memory.text != "critical" and len(taken) < 512:
    taken.append(b"x" * (1 << 20))
    store.core.load.forget()
print(store.load().memory.text, len(taken))
"""


@pytest.fixture
def group(request: pytest.FixtureRequest) -> Iterator[Path]:
    """A control group of our own whose memory is limited to 512 MiB."""
    name = f"aiscore-test-{os.getpid()}"
    for base, limit in (("memory", "memory.limit_in_bytes"), ("", "memory.max")):
        directory = Path("/sys/fs/cgroup", base, name)
        if not (Path("/sys/fs/cgroup") / base / "cgroup.procs").exists():
            continue
        try:
            directory.mkdir()
        except OSError:
            continue
        try:
            (directory / limit).write_text(str(512 * MIB))
        except OSError:
            directory.rmdir()
            continue
        yield directory
        directory.rmdir()
        return
    pytest.skip("no control group can be made here")


def test_a_control_group_that_is_used_up(store: Store, group: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _MEMORY, store.core.home, str(group / "cgroup.procs")],
        capture_output=True,
        text=True,
        check=True,
    )
    first, last = done.stdout.splitlines()
    assert first in {"low", "moderate"}
    grade, count = last.split()
    assert grade == "critical"
    assert 256 < int(count) < 512
