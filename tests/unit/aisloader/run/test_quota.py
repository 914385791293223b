import threading
import time

from aisloader.plan import Op, OpKind
from aisloader.quota import Quota
from aisloader.stats.board import CONTROL_WORDS, Control


def control() -> memoryview:
    words = memoryview(bytearray(8 * CONTROL_WORDS)).cast("q")
    words[Control.DEADLINE_NS] = time.perf_counter_ns() + 60 * 10**9
    return words


def put(size: int) -> Op:
    return Op(OpKind.PUT, "o", size, 0, 0, "", (), 0, 0)


def test_the_last_object_is_cut_to_what_is_left() -> None:
    words = control()
    quota = Quota(words, threading.Lock(), 0, 250)
    sizes = []
    while (op := quota.reserve(put(100))) is not None:
        sizes.append(op.size)
        quota.confirm()
    assert sizes == [100, 100, 50]
    assert words[Control.STOP]


def test_a_failure_is_made_up_for() -> None:
    words = control()
    quota = Quota(words, threading.Lock(), 2, 0)
    first, second = quota.reserve(put(5)), quota.reserve(put(5))
    assert first is not None
    assert second is not None
    quota.confirm()
    quota.give_back(second)
    assert not words[Control.STOP]
    assert quota.reserve(put(5)) is not None
    quota.confirm()
    assert quota.reserve(put(5)) is None
    assert words[Control.STOP]


def test_a_worker_waits_for_what_is_under_way_and_ends_with_the_time() -> None:
    words = control()
    quota = Quota(words, threading.Lock(), 1, 0)
    assert quota.reserve(put(5)) is not None
    words[Control.DEADLINE_NS] = time.perf_counter_ns() + 20_000_000
    assert quota.reserve(put(5)) is None
    assert not words[Control.STOP]


def test_many_workers_meet_the_limit_exactly() -> None:
    words = control()
    lock = threading.Lock()
    done: list[int] = []

    def work(seed: int) -> None:
        quota = Quota(words, lock, 0, 100_000)
        number = seed
        while not words[Control.STOP] and (op := quota.reserve(put(1 + number % 97))) is not None:
            number += 7
            if number % 5 == 0:
                quota.give_back(op)
            else:
                done.append(op.size)
                quota.confirm()

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sum(done) == 100_000
