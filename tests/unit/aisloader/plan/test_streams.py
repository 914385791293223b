"""Random numbers that are functions of a counter."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from aisloader.streams import MASK64, Stream, derive_key, mix64


def test_a_position_has_the_same_number_however_it_is_reached() -> None:
    stream = Stream(1, 2, 3)
    whole = stream.bits(0, 5000).tolist()
    assert [stream.at(position) for position in (0, 1, 1023, 1024, 4999)] == [
        whole[position] for position in (0, 1, 1023, 1024, 4999)
    ]
    assert stream.bits(1000, 10).tolist() == whole[1000:1010]


def test_streams_of_different_keys_share_nothing() -> None:
    """Not even shifted: the numbers of one must not be those of another further on."""
    seen: set[int] = set()
    for key in range(200):
        seen.update(Stream(7, key).bits(0, 1000).tolist())
    assert len(seen) == 200_000


def test_the_order_of_a_keys_parts_matters() -> None:
    assert derive_key(1, 2) != derive_key(2, 1)
    assert derive_key(1) != derive_key(1, 0)
    assert derive_key(2**64) != derive_key(0)


def test_every_bit_is_set_half_the_time() -> None:
    bits = Stream(3).bits(0, 20_000)
    for shift in range(64):
        ones = int(((bits >> np.uint64(shift)) & np.uint64(1)).sum())
        assert abs(ones - 10_000) < 4 * 5000**0.5


def test_one_bit_of_the_counter_changes_half_the_bits() -> None:
    stream = Stream(3)
    changed = [
        (stream.at(position) ^ stream.at(position ^ 1 << bit)).bit_count()
        for position in range(50)
        for bit in range(20)
    ]
    assert abs(sum(changed) / len(changed) - 32) < 1


@given(st.integers(1, 2**40), st.integers(0, 2**40))
def test_numbers_below_a_bound_are_below_it(bound: int, start: int) -> None:
    drawn = Stream(9).below(bound, start, 100)
    assert ((drawn >= 0) & (drawn < bound)).all()


@given(st.integers(0, MASK64), st.integers(0, MASK64))
def test_the_mixer_is_a_bijection(first: int, second: int) -> None:
    assert (mix64(first) == mix64(second)) is (first == second)
