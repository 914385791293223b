import json

import numpy as np
import pytest
from hdrh.histogram import HdrHistogram
from hypothesis import given
from hypothesis import strategies as st

from aiscore.errors import InvalidArgumentError
from aisloader.stats.board import Board, BoardLayout
from aisloader.stats.histogram import (
    BUCKET_COUNT,
    DURATION_MAX,
    Histogram,
    bucket_of,
    lower_bound,
    upper_bound,
)
from aisloader.stats.recorder import Recorder
from aisloader.stats.series import Metric, Series

DURATIONS = st.integers(1, 2 * DURATION_MAX)


def lognormal(count: int, seed: int = 1) -> list[int]:
    generator = np.random.default_rng(seed)
    return [int(value) + 1 for value in generator.lognormal(13, 1.5, count)]


def test_buckets_follow_each_other_without_gap_or_overlap() -> None:
    assert lower_bound(0) == 0
    for bucket in range(BUCKET_COUNT - 1):
        assert upper_bound(bucket) + 1 == lower_bound(bucket + 1)
        assert bucket_of(lower_bound(bucket)) == bucket == bucket_of(upper_bound(bucket))
    assert upper_bound(BUCKET_COUNT - 1) == DURATION_MAX


def test_a_bucket_is_never_wider_than_one_in_128() -> None:
    for bucket in range(256, BUCKET_COUNT):
        assert (upper_bound(bucket) - lower_bound(bucket) + 1) * 128 <= lower_bound(bucket)


def test_what_is_longer_than_everything_is_counted_last_and_keeps_its_exact_maximum() -> None:
    histogram = Histogram.of([5, DURATION_MAX * 3])
    assert histogram.counts[-1] == 1
    assert histogram.percentile(100) == histogram.max_ns == DURATION_MAX * 3


@pytest.mark.parametrize("seed", range(5))
def test_percentiles_agree_with_hdrhistogram(seed: int) -> None:
    values = lognormal(20_000, seed)
    ours = Histogram.of(values)
    theirs = HdrHistogram(1, DURATION_MAX, 3)
    for value in values:
        theirs.record_value(value)
    for percent in (1, 10, 50, 90, 99, 99.9, 99.99, 100):
        expected = theirs.get_value_at_percentile(percent)
        assert ours.percentile(percent) == pytest.approx(expected, rel=1 / 128 + 0.001)
    assert ours.count == theirs.get_total_count()
    assert ours.mean_ns == sum(values) // len(values)


@given(st.lists(DURATIONS, min_size=1), st.floats(0.001, 100))
def test_a_percentile_is_at_most_one_bucket_above_the_exact_one(
    values: list[int], percent: float
) -> None:
    exact = sorted(values)[max(-int(-round(percent / 100 * len(values), 6) // 1), 1) - 1]
    found = Histogram.of(values).percentile(percent)
    if exact <= DURATION_MAX:
        assert exact <= found <= max(upper_bound(bucket_of(exact)), exact)
    assert min(values) <= found <= max(values)


@given(st.lists(DURATIONS), st.lists(DURATIONS))
def test_merging_is_the_same_as_counting_everything_in_one(
    first: list[int], second: list[int]
) -> None:
    merged = Histogram.of(first).merged(Histogram.of(second))
    whole = Histogram.of(first + second)
    assert (merged.counts == whole.counts).all()
    assert (merged.total_ns, merged.min_ns, merged.max_ns) == (
        whole.total_ns,
        whole.min_ns,
        whole.max_ns,
    )


@given(st.lists(DURATIONS, min_size=1), st.lists(DURATIONS, min_size=1))
def test_the_difference_of_two_states_is_what_came_between(
    first: list[int], later: list[int]
) -> None:
    between = Histogram.of(first + later).since(Histogram.of(first))
    expected = Histogram.of(later)
    assert (between.counts == expected.counts).all()
    assert between.total_ns == expected.total_ns
    assert between.min_ns <= expected.min_ns
    assert between.max_ns >= expected.max_ns
    assert between.min_ns <= between.mean_ns <= between.max_ns
    if max(first) <= DURATION_MAX:
        assert between.max_ns <= expected.max_ns * (1 + 1 / 128)


def test_nothing_counted_has_zeros_only() -> None:
    empty = Histogram.empty()
    assert (empty.count, empty.mean_ns, empty.percentile(99), empty.share_within(5)) == (0, 0, 0, 1)
    assert Histogram.of([7]).merged(empty).min_ns == empty.merged(Histogram.of([7])).min_ns == 7


@given(st.lists(DURATIONS))
def test_json_keeps_everything(values: list[int]) -> None:
    histogram = Histogram.of(values)
    again = Histogram.from_json(json.loads(json.dumps(histogram.to_json())))
    assert (again.counts == histogram.counts).all()
    assert (again.total_ns, again.min_ns, again.max_ns) == (
        histogram.total_ns,
        histogram.min_ns,
        histogram.max_ns,
    )


@pytest.mark.parametrize(
    "value",
    [
        None,
        [],
        {},
        {"sub_bits": 7},
        {"sub_bits": 6, "total_ns": 0, "min_ns": 0, "max_ns": 0, "gaps_and_counts": []},
        {"sub_bits": 7, "total_ns": 0, "min_ns": 0, "max_ns": 0, "gaps_and_counts": [1]},
        {"sub_bits": 7, "total_ns": 0, "min_ns": 0, "max_ns": 0, "gaps_and_counts": [9999, 1]},
        {"sub_bits": 7, "total_ns": 0, "min_ns": 0, "max_ns": 0, "gaps_and_counts": [-5, 1]},
        {"sub_bits": 7, "total_ns": 0, "min_ns": 0, "max_ns": 0, "gaps_and_counts": [1, -1]},
        {"sub_bits": 7, "total_ns": "x", "min_ns": 0, "max_ns": 0, "gaps_and_counts": []},
        {"sub_bits": 7, "total_ns": 0, "min_ns": 0, "max_ns": 0, "gaps_and_counts": [1, 1 << 70]},
    ],
)
def test_malformed_json_is_refused(value: object) -> None:
    with pytest.raises(InvalidArgumentError, match="malformed histogram"):
        Histogram.from_json(value)


@given(st.lists(DURATIONS, min_size=1, max_size=50))
def test_the_workers_arithmetic_is_that_of_the_histogram(values: list[int]) -> None:
    layout = BoardLayout(1, {Series.GET: (Metric.SERVICE,)})
    buffer = memoryview(bytearray(layout.size))
    recorder = Recorder(layout, buffer, 0, Series.GET)
    for value in values:
        recorder.done(value, 1)
    counted = Board(layout, buffer).totals()[Series.GET].service
    expected = Histogram.of(values)
    assert (counted.counts == expected.counts).all()
    assert (counted.total_ns, counted.min_ns, counted.max_ns) == (
        expected.total_ns,
        expected.min_ns,
        expected.max_ns,
    )
