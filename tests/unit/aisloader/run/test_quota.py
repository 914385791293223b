import itertools
import threading

import pytest

from aisloader.plan import Op, OpKind
from aisloader.quota import Quota
from aisloader.stats.board import CONTROL_WORDS, Control


def control() -> memoryview:
    """Shared words of a run without a limit of time."""
    words = memoryview(bytearray(8 * CONTROL_WORDS)).cast("q")
    words[Control.DEADLINE_NS] = 2**63 - 1
    return words


def put(size: int, kind: OpKind = OpKind.PUT) -> Op:
    return Op(kind, "o", size, 0, 0, "", (), 0, 0)


@pytest.mark.parametrize("kind", [OpKind.PUT, OpKind.MULTIPART])
def test_the_last_object_is_cut_to_what_is_left(kind: OpKind) -> None:
    words = control()
    quota = Quota(words, threading.Lock(), 0, 250)
    sizes = []
    while (op := quota.reserve(put(100, kind))) is not None:
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
    looks = itertools.count(1)
    quota = Quota(words, threading.Lock(), 1, 0, clock=lambda: next(looks))
    assert quota.reserve(put(5)) is not None
    words[Control.DEADLINE_NS] = 3
    assert quota.reserve(put(5)) is None
    assert next(looks) == 4  # it has waited, and looked three times
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
