import itertools
import threading
from collections.abc import Iterator

import numpy as np
import pytest

from aisloader.arrivals import Arrivals, constant, poisson


def take(times: Iterator[int], count: int) -> list[int]:
    return list(itertools.islice(times, count))


def test_shares_of_a_constant_rate_are_together_evenly_spaced() -> None:
    together = sorted(itertools.chain(*(take(constant(1000, share, 3), 100) for share in range(3))))
    assert together == [number * 1_000_000 for number in range(300)]


def test_a_constant_rate_does_not_drift() -> None:
    # A third of a second is no whole number of nanoseconds.
    *_, last = itertools.islice(constant(3, 0, 1), 3_000_001)
    assert last == 10**6 * 10**9


def test_poisson_gaps_are_exponential_with_the_right_mean() -> None:
    gaps = np.diff(take(poisson(1000, 0.5, 7), 200_000)) / 1e9
    assert gaps.mean() == pytest.approx(1 / 500, rel=0.01)
    assert gaps.std() == pytest.approx(1 / 500, rel=0.02)
    assert (gaps > 2 / 500).mean() == pytest.approx(np.exp(-2), rel=0.03)


def test_poisson_shares_are_independent_and_repeat() -> None:
    one, other = (np.array(take(poisson(1000, 0.5, key), 50_000)) for key in (1, 2))
    assert (one == np.array(take(poisson(1000, 0.5, 1), 50_000))).all()
    seconds = int(min(one[-1], other[-1]) // 10**8)
    counts = [np.bincount(times // 10**8, minlength=seconds)[:seconds] for times in (one, other)]
    assert abs(np.asarray(np.corrcoef(counts))[0, 1]) < 0.15
    both = counts[0] + counts[1]
    assert both.var() / both.mean() == pytest.approx(1, abs=0.2)


def test_threads_take_each_time_once() -> None:
    arrivals = Arrivals(iter(range(4000)))
    taken: list[list[int]] = [[] for _ in range(4)]

    def work(mine: list[int]) -> None:
        mine.extend(arrivals.take() for _ in range(1000))

    threads = [threading.Thread(target=work, args=(mine,)) for mine in taken]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(itertools.chain(*taken)) == list(range(4000))
    assert all(mine == sorted(mine) for mine in taken)
