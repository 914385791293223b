"""Orders: permutations by position, whatever they are made of."""

import pickle
from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiscore.errors import InvalidArgumentError
from aisloader.namegetter import (
    AffineOrder,
    FeistelOrder,
    Order,
    ShuffleOrder,
    UniqueIterOrder,
    UniqueOrder,
    perm_shuffle,
)
from aisloader.namegetter.perm_shuffle import PART_INDICES, WHOLE_MAX
from aisloader.namegetter.primes import is_prime, next_prime

Make = Callable[..., Order]
ALL: list[Make] = [AffineOrder, FeistelOrder, ShuffleOrder, UniqueOrder, UniqueIterOrder]
COUNTS = [1, 2, 3, 5, 10, 11, 12, 63, 64, 65, 255, 256, 257, 1000, 4096, 10_007, 65_537]


def epoch_of(order: Order, epoch: int) -> list[int]:
    indices: list[int] = order.at(epoch, np.arange(order.count, dtype=np.int64)).tolist()
    return indices


@pytest.fixture(scope="module", params=ALL, ids=lambda make: make.__name__)
def make(request: pytest.FixtureRequest) -> Make:
    made: Make = request.param
    return made


class TestEveryOrder:
    @pytest.mark.parametrize("count", COUNTS)
    def test_an_epoch_has_every_index_once(self, make: Make, count: int) -> None:
        order = make(count, 7, 11)
        for epoch in (0, 1, 2**40):
            assert sorted(epoch_of(order, epoch)) == list(range(count))

    def test_two_hundred_thousand_names_over_two_epochs(self, make: Make) -> None:
        order = make(200_000, 3)
        first, second = (np.array(epoch_of(order, epoch)) for epoch in (0, 1))
        assert (np.bincount(np.concatenate((first, second)), minlength=200_000) == 2).all()
        assert first[:1000].tolist() != second[:1000].tolist()

    def test_any_position_is_found_without_the_ones_before(self, make: Make) -> None:
        order = make(10_007, 5)
        whole = np.array(epoch_of(order, 3))
        positions = np.random.default_rng(1).integers(0, 10_007, 500)
        assert order.at(3, positions).tolist() == whole[positions].tolist()

    def test_no_positions_have_no_indices(self, make: Make) -> None:
        assert make(100, 1).at(0, np.empty(0, dtype=np.int64)).tolist() == []

    def test_the_same_key_gives_the_same_order(self, make: Make) -> None:
        assert epoch_of(make(1000, 1, 2), 5) == epoch_of(make(1000, 1, 2), 5)

    def test_seed_loader_and_epoch_each_change_it(self, make: Make) -> None:
        orders = {
            tuple(epoch_of(make(1000, seed, loader), epoch))
            for seed in (1, 2)
            for loader in (1, 2)
            for epoch in (0, 1, 2, 3)
        }
        assert len(orders) == 16

    def test_it_travels_between_processes(self, make: Make) -> None:
        order = make(1000, 1, 2)
        again = pickle.loads(pickle.dumps(order))
        assert epoch_of(again, 4) == epoch_of(order, 4)

    def test_the_argument_is_left_alone(self, make: Make) -> None:
        positions = np.arange(100, dtype=np.int64)
        make(100, 1).at(0, positions)
        assert positions.tolist() == list(range(100))

    @given(count=st.integers(1, 3000), seed=st.integers(0, 2**63), epoch=st.integers(0, 2**32))
    def test_it_is_a_permutation_for_any_key(
        self, make: Make, count: int, seed: int, epoch: int
    ) -> None:
        assert sorted(epoch_of(make(count, seed), epoch)) == list(range(count))


# affine


@pytest.mark.parametrize(
    ("count", "prime"),
    [
        (11, 11),
        (12, 13),
        (1000, 1009),
        (100_001, 100_003),
        (1_000_000, 1_000_003),
        (10_000_000, 10_000_019),
    ],
)
def test_the_modulus_is_the_smallest_prime_at_or_above(count: int, prime: int) -> None:
    assert AffineOrder(count, 1).prime == prime


@given(st.integers(0, 20_000))
def test_primes_are_what_trial_division_says(number: int) -> None:
    assert is_prime(number) == (
        number > 1 and all(number % d for d in range(2, int(number**0.5) + 1))
    )


@pytest.mark.parametrize("pseudoprime", [561, 3_215_031_751, 3_474_749_660_383, 2**61 - 3])
def test_strong_pseudoprimes_are_not_taken_for_primes(pseudoprime: int) -> None:
    assert not is_prime(pseudoprime)


def test_large_primes() -> None:
    assert is_prime(2**61 - 1)
    assert next_prime(2**32) == 4_294_967_311
    assert next_prime(2**40) == 1_099_511_627_791


@pytest.mark.parametrize("count", [1000, 4096, 2**32 - 4, 2**32, 2**40, 2**45])
def test_affine_arithmetic_is_exact_at_any_size(count: int) -> None:
    """Walked step by step in Python's integers: y -> (y + a) mod p, leaving out what is no index."""
    order = AffineOrder(count, 9)
    a, b = order.factors(2)
    assert 1 <= a < order.prime
    assert 0 <= b < order.prime
    walked: list[int] = []
    value = b
    while len(walked) < 2000 and len(walked) < count:
        if value < count:
            walked.append(value)
        value = (value + a) % order.prime
    assert order.at(2, np.arange(len(walked), dtype=np.int64)).tolist() == walked


@pytest.mark.parametrize("count", [2**32 + 7, 2**40])
def test_affine_is_exact_far_into_an_epoch(count: int) -> None:
    order = AffineOrder(count, 9)
    a, b = order.factors(0)
    gaps = sorted(
        (v - b) * pow(a, -1, order.prime) % order.prime for v in range(count, order.prime)
    )
    for position in (0, 1, count // 3, count - 1):
        step = position
        for gap in gaps:
            step += gap <= step
        found = order.at(0, np.array([position], dtype=np.int64)).tolist()
        assert found == [(b + a * step) % order.prime]


# statistics of order: a million names as a thousand shards of a thousand files


def dispersion(order: Order, epoch: int) -> float:
    """Variance over mean of the hits a shard has after a tenth of the epoch; 0.9 for true randomness."""
    picks = order.at(epoch, np.arange(order.count // 10, dtype=np.int64))
    hits = np.bincount(picks // 1000, minlength=1000)
    return float(hits.var() / hits.mean())


def serial_correlation(order: Order, epoch: int) -> float:
    picks = order.at(epoch, np.arange(100_000, dtype=np.int64)).astype(np.float64)
    return float(np.corrcoef(picks[:-1], picks[1:])[0, 1])


@pytest.mark.parametrize("make", [FeistelOrder, ShuffleOrder, UniqueOrder])
def test_random_like_orders_are_as_uneven_as_chance(make: Make) -> None:
    order = make(1_000_000, 77)
    for epoch in range(3):
        assert 0.75 < dispersion(order, epoch) < 1.05
        assert abs(serial_correlation(order, epoch)) < 0.015


def test_a_shuffle_in_parts_has_every_order_as_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """All 24 orders of four indices: chi-square over 24 cells, p about 1e-5."""
    monkeypatch.setattr(perm_shuffle, "WHOLE_MAX", 0)
    monkeypatch.setattr(perm_shuffle, "PART_INDICES", 1)
    order = ShuffleOrder(4, 24)
    hits = Counter(tuple(order.table(epoch).tolist()) for epoch in range(24_000))
    assert len(hits) == 24
    assert sum((count - 1000) ** 2 / 1000 for count in hits.values()) < 63.0


@pytest.mark.parametrize("count", [WHOLE_MAX, WHOLE_MAX + 1, 20 * PART_INDICES + 7])
def test_a_long_shuffle_moves_every_index_everywhere(count: int) -> None:
    """Where sixteenths of the list go: chi-square over 256 cells, p about 1e-5; and nothing is lost."""
    table = ShuffleOrder(count, 5).table(0)
    assert np.array_equal(np.sort(table), np.arange(count))
    cells = np.arange(count) * 16 // count * 16 + table.astype(np.int64) * 16 // count
    hits = np.bincount(cells, minlength=256)
    assert float(((hits - count / 256) ** 2 / (count / 256)).sum()) < 340.0


def test_affine_spreads_far_more_evenly_than_chance() -> None:
    order = AffineOrder(1_000_000, 77)
    assert float(np.median([dispersion(order, epoch) for epoch in range(20)])) < 0.2


def test_feistel_moves_every_index_everywhere() -> None:
    """Position 0 of many epochs is uniform: chi-square over 50 cells, p about 1e-5."""
    order = FeistelOrder(1000, 5)
    zero = np.zeros(1, dtype=np.int64)
    first = [int(order.at(epoch, zero)[0]) for epoch in range(5000)]
    hits = np.bincount(np.array(first) // 20, minlength=50)
    assert float(((hits - 100.0) ** 2 / 100.0).sum()) < 105.0


def test_the_iterated_getter_prefers_names_after_taken_runs() -> None:
    """Its known bias: late in an epoch a start falls into a long taken run, whose end it takes."""
    late = {}
    for make in (UniqueIterOrder, UniqueOrder):
        runs = []
        for epoch in range(20):
            order = epoch_of(make(1000, 3), epoch)
            taken = np.zeros(1000, dtype=bool)
            taken[order[:700]] = True
            runs.append(sum(1 for index in order[700:710] if taken[index - 1]))
        late[make] = sum(runs)
    assert late[UniqueIterOrder] > late[UniqueOrder]


def test_a_table_has_32_bit_indices_and_is_shared() -> None:
    first, second = ShuffleOrder(1000, 1), ShuffleOrder(1000, 1)
    assert first.table(0).dtype == np.uint32
    assert first.table(0) is second.table(0)
    with pytest.raises(ValueError, match="read-only"):
        first.table(0)[0] = 1


def test_a_table_of_more_than_32_bits_is_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="too many"):
        ShuffleOrder(2**32, 1)
