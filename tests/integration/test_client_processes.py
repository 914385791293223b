"""One client in many threads and processes, however they were started."""

import multiprocessing
import os
import pickle
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import pytest

from aiscore import Bucket, Client
from aiscore.client import client as module
from aiscore.testing.content import LARGE, pattern

DEADLINE_S = 60


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Client]:
    with Client(f"file://{tmp_path}/home") as client:
        yield client
        assert client.transport.validate().faults == ()


@pytest.fixture
def bucket(client: Client) -> Bucket:
    bucket = client.bucket("bucket").create()
    for i in range(10):
        bucket.object(f"o-{i}").get_writer().put_content(pattern(10_000, seed=i))
    return bucket


def work(bucket: Bucket, worker: int) -> int:
    """What a loader's worker does: reads, batches, and writes a result."""
    for i in range(10):
        assert bucket.object(f"o-{i}").get_reader().read_all() == pattern(10_000, seed=i)
    names = [f"o-{(worker + i) % 10}" for i in range(40)]
    contents = [content for _, content in bucket.client.batch(names, bucket=bucket)]
    assert contents == [pattern(10_000, seed=int(name[2:])) for name in names]
    bucket.object(f"result-{worker}").get_writer().put_content(pattern(LARGE, seed=worker))
    return worker


def in_child(run: Callable[[], object]) -> int:
    """Exit code of a forked child that runs this."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            run()
            code = 0
        finally:
            os._exit(code)
    deadline = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    os.kill(pid, 9)
    os.waitpid(pid, 0)
    pytest.fail("the child hangs")


def check_results(bucket: Bucket, count: int) -> None:
    for worker in range(count):
        content = bucket.object(f"result-{worker}").get_reader().read_all()
        assert content == pattern(LARGE, seed=worker)


class TestThreads:
    def test_threads_share_a_client(self, bucket: Bucket) -> None:
        with ThreadPoolExecutor(8) as pool:
            assert list(pool.map(lambda i: work(bucket, i), range(8))) == list(range(8))
        check_results(bucket, 8)

    def test_first_use_by_many_threads_opens_once(self, tmp_path: Path) -> None:
        with Client(f"file://{tmp_path}/other") as client:
            barrier = threading.Barrier(8)

            def first_use() -> int:
                barrier.wait(DEADLINE_S)
                return id(client.transport)

            with ThreadPoolExecutor(8) as pool:
                futures = [pool.submit(first_use) for _ in range(8)]
                assert len({future.result(DEADLINE_S) for future in futures}) == 1


class TestPickles:
    def test_what_comes_out_of_a_pickle_works(self, bucket: Bucket) -> None:
        obj = bucket.object("o-1")
        obj.head()
        again, same = pickle.loads(pickle.dumps((obj, bucket)))
        assert again.props_cached == obj.props_cached
        assert again.get_reader().read_all() == pattern(10_000, seed=1)
        assert same.client is not bucket.client
        same.client.close()

    @pytest.mark.parametrize("method", ["spawn", "forkserver"])
    def test_workers_of_a_pool(self, bucket: Bucket, method: str) -> None:
        context = multiprocessing.get_context(method)
        with ProcessPoolExecutor(2, mp_context=context) as pool:
            futures = [pool.submit(work, bucket, worker) for worker in range(4)]
            assert [future.result(DEADLINE_S) for future in futures] == list(range(4))
        check_results(bucket, 4)

    def test_pickle_finds_its_store_in_another_environment(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AIS_ENDPOINT", f"file://{tmp_path}/first")
        with Client() as client:
            client.bucket("b").create()
            pickled = pickle.dumps(client)
        monkeypatch.setenv("AIS_ENDPOINT", f"file://{tmp_path}/second")
        with pickle.loads(pickled) as again:
            assert [bucket.name for bucket in again.list_buckets()] == ["b"]


class TestForks:
    def test_child_uses_the_open_client(self, bucket: Bucket) -> None:
        assert in_child(lambda: work(bucket, 0)) == 0
        check_results(bucket, 1)
        work(bucket, 1)

    def test_children_and_parent_at_once(self, bucket: Bucket) -> None:
        context = multiprocessing.get_context("fork")
        processes = [context.Process(target=work, args=(bucket, i)) for i in range(3)]
        for process in processes:
            process.start()
        work(bucket, 3)
        for process in processes:
            process.join(DEADLINE_S)
            assert process.exitcode == 0
        check_results(bucket, 4)

    def test_child_of_a_child(self, bucket: Bucket) -> None:
        def child() -> None:
            work(bucket, 0)
            assert in_child(lambda: work(bucket, 1)) == 0
            work(bucket, 2)

        assert in_child(child) == 0
        check_results(bucket, 3)

    def test_fork_while_a_reader_is_open(self, bucket: Bucket) -> None:
        bucket.object("large").get_writer().put_content(pattern(LARGE))

        def child() -> None:
            bucket.object("large").get_writer().put_content(b"replaced")

        with bucket.object("large").get_reader().as_file() as reader:
            start = reader.read(10)
            assert in_child(child) == 0
            assert start + reader.read() == pattern(LARGE)
        assert bucket.object("large").get_reader().read_all() == b"replaced"

    def test_fork_while_another_thread_opens_a_client(self, bucket: Bucket) -> None:
        def child() -> None:
            with Client(bucket.client.endpoint) as client:
                assert len(client.list_buckets()) == 1

        with module._OPENING.lock:  # as if that thread were in the middle of it
            assert in_child(child) == 0
