"""Getters: which one a run has, shares of workers, batches, epochs, resuming, and the audit."""

from collections import Counter
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiscore.errors import InvalidArgumentError
from aisloader.namegetter import (
    NameGetter,
    OrderedGetter,
    ShuffleOrder,
    choose,
    coverage,
    open_names,
)
from aisloader.namegetter.base import BLOCK
from aisloader.params import Params, parse

GETTERS = ["shuffle", "affine", "feistel", "unique", "unique-iter"]


def read(text: str, seed: int = 1) -> Params:
    return parse(["-bucket=b", f"-seed={seed}", *text.split()], {})


def picks(getter: NameGetter) -> Iterator[int]:
    while (index := getter.pick()) >= 0:
        yield index


def batches(getter: NameGetter) -> Iterator[list[int]]:
    while batch := getter.batch():
        yield batch


def shares(params: Params, count: int, workers: int) -> list[NameGetter]:
    return [open_names(params, count, worker, workers) for worker in range(workers)]


@pytest.mark.parametrize(
    ("text", "count", "getter"),
    [
        ("-pctput=10", 100, "random"),
        ("-pctput=10 -epochs=1", 100, "unique"),
        ("", 100, "shuffle"),
        ("", 100_000, "shuffle"),
        ("", 100_001, "affine"),
        ("-epochs=2", 100_001, "affine"),
        ("-pctupdate=50", 100, "shuffle"),
        ("-perm-shuffle-max=0", 10, "shuffle"),
        ("-perm-shuffle-max=0", 11, "affine"),
        ("-perm-shuffle-max=1", 11, "affine"),
        ("-perm-shuffle-max=100", 100, "shuffle"),
        ("-perm-shuffle-max=99", 100, "affine"),
        ("-name-getter=affine", 5, "shuffle"),
        ("-name-getter=feistel", 5, "feistel"),
        ("-name-getter=unique-iter", 5, "unique-iter"),
        ("-pctput=50", 0, "random"),
    ],
)
def test_which_getter_a_run_has(text: str, count: int, getter: str) -> None:
    assert choose(read(text), count) == getter


def test_labels_are_the_originals() -> None:
    labels = {name: open_names(read(f"-name-getter={name}"), 100).label for name in GETTERS}
    assert labels["shuffle"] == "unique sequential"
    assert labels["affine"] == "unique epoch-based"
    assert labels["unique"] == "random unique"
    assert open_names(read("-pctput=1"), 100).label == "random non-unique"


@pytest.mark.parametrize("name", GETTERS)
@pytest.mark.parametrize("workers", [1, 2, 7, 10])
@pytest.mark.parametrize("count", [2, 11, 1000, 1031])
def test_workers_together_read_every_name_once_an_epoch(
    name: str, workers: int, count: int
) -> None:
    params = read(f"-name-getter={name} -epochs=3")
    counts = Counter(index for getter in shares(params, count, workers) for index in picks(getter))
    assert counts == dict.fromkeys(range(count), 3)


@pytest.mark.parametrize("name", GETTERS)
@pytest.mark.parametrize("workers", [1, 3, 10])
@pytest.mark.parametrize("seam", ["span", "short", "dedup"])
@pytest.mark.parametrize("unit", [1, 2, 64, 500])
def test_batches_cover_epochs_exactly_too(name: str, workers: int, seam: str, unit: int) -> None:
    params = read(f"-name-getter={name} -epochs=3 -get-batchsize={unit} -epoch-batch={seam}")
    seen = [b for getter in shares(params, 1031, workers) for b in batches(getter)]
    assert Counter(index for batch in seen for index in batch) == dict.fromkeys(range(1031), 3)
    short = [batch for batch in seen if len(batch) < unit]
    assert len(short) <= (3 if seam == "short" else 1)
    assert max(len(batch) for batch in seen) <= unit
    if seam != "span":
        assert all(len(set(batch)) == len(batch) for batch in seen)


def test_a_batch_without_end_of_run_is_always_full() -> None:
    getter = open_names(read("-get-batchsize=64"), 100)
    assert all(len(getter.batch()) == 64 for _ in range(500))


def test_batches_that_span_epochs_can_have_a_name_twice_and_dedup_ones_cannot() -> None:
    def doubles(seam: str) -> int:
        getter = open_names(read(f"-get-batchsize=50 -epoch-batch={seam}"), 103)
        return sum(50 - len(set(getter.batch())) for _ in range(1000))

    assert doubles("span") > 0
    assert doubles("dedup") == 0


def test_dedup_needs_two_batches_of_names() -> None:
    with pytest.raises(InvalidArgumentError, match="too few"):
        open_names(read("-get-batchsize=50 -epoch-batch=dedup"), 99)


def test_epochs_without_end_go_on() -> None:
    getter = open_names(read(""), 7)
    for _ in range(50):
        assert sorted(getter.pick() for _ in range(7)) == list(range(7))


@pytest.mark.parametrize("name", GETTERS)
def test_one_name_works(name: str) -> None:
    assert list(picks(open_names(read(f"-name-getter={name} -epochs=3"), 1))) == [0, 0, 0]


@pytest.mark.parametrize("name", [*GETTERS, "random"])
def test_the_seed_and_the_loader_decide_the_order(name: str) -> None:
    def first(text: str, seed: int) -> list[int]:
        getter = open_names(read(f"-name-getter={name} {text}", seed), 1000)
        return [getter.pick() for _ in range(100)]

    assert first("", 1) == first("", 1)
    assert first("", 1) != first("", 2)
    assert first("-loaderid=1", 1) != first("-loaderid=2", 1)


def test_the_third_epoch_of_a_shuffle_repeats_with_the_seed() -> None:
    def third() -> list[int]:
        getter = open_names(read("-epochs=4"), 50)
        return list(picks(getter))[100:150]

    assert third() == third()


@settings(max_examples=60)
@given(
    count=st.integers(2, 300),
    workers=st.integers(1, 5),
    unit=st.integers(1, 40),
    seam=st.sampled_from(["span", "short"]),
    at=st.integers(0, 900),
    name=st.sampled_from(GETTERS),
)
def test_a_worker_goes_on_from_the_number_of_its_picks(
    count: int, workers: int, unit: int, seam: str, at: int, name: str
) -> None:
    unit = min(unit, count)
    params = read(f"-name-getter={name} -epochs=3 -get-batchsize={unit} -epoch-batch={seam}")
    whole = list(picks(open_names(params, count, workers - 1, workers)))
    resumed = open_names(params, count, workers - 1, workers)
    resumed.seek(at)
    assert resumed.picks == min(at, len(whole))
    assert list(picks(resumed)) == whole[at:]


def test_seeking_far_costs_no_replay() -> None:
    getter = open_names(read("-name-getter=feistel"), 100_000_000)
    getter.seek(10**14)
    assert getter.picks == 10**14
    assert 0 <= getter.pick() < 100_000_000


@pytest.mark.parametrize("name", GETTERS)
def test_loaders_can_share_the_epochs(name: str) -> None:
    counts = Counter(
        index
        for loader in range(3)
        for getter in shares(
            read(
                f"-name-getter={name} -epochs=2 -shared-epochs -loadernum=3 -loaderid={loader} "
                "-get-batchsize=7"
            ),
            1031,
            4,
        )
        for batch in batches(getter)
        for index in batch
    )
    assert counts == dict.fromkeys(range(1031), 2)


# random


def test_random_draws_are_uniform_and_repeat() -> None:
    getter = open_names(read("-name-getter=random"), 50)
    counts = Counter(getter.pick() for _ in range(50_000))
    assert sum((hits - 1000.0) ** 2 / 1000.0 for hits in counts.values()) < 105.0
    assert len(counts) == 50


def test_random_batches_have_no_name_twice() -> None:
    getter = open_names(read("-pctput=1 -get-batchsize=64"), 100)
    for _ in range(200):
        batch = getter.batch()
        assert len(set(batch)) == len(batch) == 64


def test_names_that_are_added_are_picked() -> None:
    getter = open_names(read("-pctput=1"), 0)
    assert getter.pick() == -1
    assert getter.batch() == []
    getter.add()
    assert [getter.pick() for _ in range(3)] == [0, 0, 0]
    getter.add()
    assert {getter.pick() for _ in range(100)} == {0, 1}


def test_workers_draw_apart() -> None:
    first, second = shares(read("-pctput=1"), 1000, 2)
    assert [first.pick() for _ in range(50)] != [second.pick() for _ in range(50)]


@pytest.mark.parametrize("at", [1, BLOCK - 1, BLOCK, BLOCK + 1, 5000])
def test_random_goes_on_from_the_number_of_picks(at: int) -> None:
    params = read("-name-getter=random")
    whole = open_names(params, 1000)
    for _ in range(at):
        whole.pick()
    resumed = open_names(params, 1000)
    resumed.seek(at)
    assert [resumed.pick() for _ in range(2000)] == [whole.pick() for _ in range(2000)]


# the audit


@pytest.mark.parametrize("text", ["", "-get-batchsize=64", "-get-batchsize=64 -epoch-batch=short"])
def test_the_audit_proves_a_whole_run(text: str) -> None:
    params = read(f"-epochs=3 {text}")
    made = []
    for getter in shares(params, 1031, 4):
        while getter.batch() if params.read.get_batchsize else getter.pick() >= 0:
            pass
        made.append(getter.picks)
    audit = coverage(params, 1031, made)
    assert audit is not None
    assert audit.is_exact
    assert str(audit) == "coverage 100.000% dup 0"


def test_the_audit_sees_what_is_missing() -> None:
    params = read("-epochs=2")
    audit = coverage(params, 1000, [400, 1000])
    assert audit is not None
    assert not audit.is_exact
    assert (audit.missing, audit.duplicates) == (600, 0)
    assert str(audit) == "coverage 70.000% dup 0"


def test_the_audit_counts_what_a_worker_that_is_far_ahead_has_twice() -> None:
    params = read("")
    getter = open_names(params, 1000, 0, 2)
    counts = Counter(getter.pick() for _ in range(1500))
    audit = coverage(params, 1000, [1500, 0])
    assert audit is not None
    assert audit.duplicates == sum(max(0, hits - 2) for hits in counts.values()) > 0
    assert audit.missing == sum(max(0, 2 - counts[index]) for index in range(1000))


def test_random_runs_have_no_audit() -> None:
    assert coverage(read("-name-getter=random"), 1000, [5]) is None


def test_the_getter_refuses_more_than_its_share() -> None:
    getter = OrderedGetter(ShuffleOrder(10, 1), epochs=1, workers=3)
    assert len(list(picks(getter))) == 4
    assert getter.pick() == -1
    assert getter.batch() == []
