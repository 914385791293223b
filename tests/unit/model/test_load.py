"""Grades and advice: AIStore's thresholds, and where ours differ."""

import pytest

from aiscore.errors import InvalidArgumentError
from aiscore.model.load import (
    Advice,
    Dimension,
    Grade,
    LoadUse,
    LoadVector,
    Marks,
    Sample,
    advise,
    grade_sample,
    parse_load,
    swap_growths_after,
)
from aiscore.model.units import GIB, MIB

LOW, MODERATE, HIGH, CRITICAL = Grade
MARKS = Marks(memory_min=2 * GIB, memory_low=12 * GIB, disk_high_pct=80, disk_max_pct=95)


def memory(available: int, free: int | None = None, growths: int = 0) -> Grade:
    sample = Sample(
        memory_total=32 * GIB,
        memory_available=available,
        memory_free=available if free is None else free,
        swap_growths=growths,
    )
    return grade_sample(sample, MARKS).memory


@pytest.mark.parametrize(
    ("available", "grade"),
    [
        (20 * GIB, LOW),
        (12 * GIB * 17 // 16 + 1, LOW),
        (12 * GIB * 17 // 16, MODERATE),
        (6 * GIB, MODERATE),
        (6 * GIB - 1, HIGH),
        (2 * GIB + 1, HIGH),
        (2 * GIB, CRITICAL),
    ],
)
def test_memory(available: int, grade: Grade) -> None:
    assert memory(available) is grade


def test_memory_that_only_caches_hold() -> None:
    assert memory(3 * GIB, free=2 * GIB) is HIGH


@pytest.mark.parametrize(("growths", "grade"), [(0, MODERATE), (1, HIGH), (2, CRITICAL)])
def test_swap_that_grows(growths: int, grade: Grade) -> None:
    assert memory(8 * GIB, growths=growths) is grade


def test_swap_that_grows_while_memory_is_plenty() -> None:
    assert memory(20 * GIB, growths=3) is LOW


def test_a_little_more_swap_is_no_growth() -> None:
    assert swap_growths_after(0, 0, GIB // 100, GIB) == 0
    assert swap_growths_after(1, 0, GIB // 50, GIB) == 2
    assert swap_growths_after(2, GIB, GIB, GIB) == 1


@pytest.mark.parametrize(
    ("load", "cpus", "grade"),
    [
        ((3.67, 0.0, 0.0), 4, LOW),
        ((4.0, 1.0, 1.0), 4, HIGH),
        ((3.7, 3.7, 0.0), 4, CRITICAL),
        ((3.7, 3.0, 3.7), 4, CRITICAL),
        ((14.0, 0.0, 0.0), 16, HIGH),
        ((13.9, 0.0, 0.0), 16, LOW),
        ((0.9, 0.9, 0.9), 1, LOW),
        ((1.0, 1.0, 1.0), 1, CRITICAL),
        (None, 4, LOW),
    ],
)
def test_cpu(load: tuple[float, float, float] | None, cpus: int, grade: Grade) -> None:
    assert grade_sample(Sample(load=load, cpu_count=cpus), MARKS).cpu is grade


@pytest.mark.parametrize(("pct", "grade"), [(80, LOW), (81, HIGH), (94, HIGH), (95, CRITICAL)])
def test_disk(pct: int, grade: Grade) -> None:
    assert grade_sample(Sample(disk_pct=pct), MARKS).disk is grade


@pytest.mark.parametrize(
    ("count", "limit", "grade"),
    [(79, 100, LOW), (80, 100, HIGH), (95, 100, CRITICAL), (10_000, 0, LOW)],
)
def test_files(count: int, limit: int, grade: Grade) -> None:
    assert grade_sample(Sample(file_count=count, file_limit=limit), MARKS).files is grade


@pytest.mark.parametrize(("lag_s", "grade"), [(0.05, LOW), (0.1, HIGH), (0.5, CRITICAL)])
def test_loop(lag_s: float, grade: Grade) -> None:
    assert grade_sample(Sample(lag_s=lag_s), MARKS).loop is grade


def test_nothing_known_is_idle() -> None:
    assert grade_sample(Sample(), MARKS) == LoadVector()


def marks(total: int, free: int, *, pct_total: int = 0, pct_free: int = 0) -> Marks:
    first = Sample(memory_total=total, memory_available=free, memory_free=free)
    return Marks.of(
        first,
        min_free=2 * GIB,
        min_pct_total=pct_total,
        min_pct_free=pct_free,
        disk_high_pct=80,
        disk_max_pct=95,
    )


def test_marks_of_a_large_machine() -> None:
    found = marks(256 * GIB, 200 * GIB)
    both = 202 * GIB
    assert (found.memory_min, found.memory_low) == (2 * GIB, both // 2 - both // 16)


@pytest.mark.parametrize("total", [128 * MIB, 512 * MIB, 2 * GIB, 8 * GIB, 16 * GIB])
def test_a_small_machine_is_not_short_of_memory_by_itself(total: int) -> None:
    for free in (total // 2, total // 4, total // 10):
        sample = Sample(memory_total=total, memory_available=free, memory_free=free)
        assert grade_sample(sample, marks(total, free)).memory < CRITICAL
    floor = marks(total, total // 2).memory_min
    sample = Sample(memory_total=total, memory_available=floor, memory_free=floor)
    assert grade_sample(sample, marks(total, total // 2)).memory is CRITICAL


def test_percentages_lower_the_floor() -> None:
    assert marks(16 * GIB, 8 * GIB, pct_total=50).memory_min == 2 * GIB
    assert marks(16 * GIB, 8 * GIB, pct_total=5).memory_min == 16 * GIB * 5 // 100
    assert marks(16 * GIB, 8 * GIB, pct_total=50, pct_free=10).memory_min == 8 * GIB // 10


@pytest.mark.parametrize(
    ("vector", "expected"),
    [
        (LoadVector(), (0, 8192, LOW)),
        (LoadVector(memory=MODERATE), (0, 32, MODERATE)),
        (LoadVector(memory=HIGH), (0.01, 32, HIGH)),
        (LoadVector(memory=CRITICAL, disk=CRITICAL), (0.1, 16, CRITICAL)),
        (LoadVector(cpu=HIGH), (0.001, 32, HIGH)),
        (LoadVector(loop=HIGH), (0.001, 32, HIGH)),
        (LoadVector(cpu=CRITICAL), (0.001, 32, CRITICAL)),
        (LoadVector(cpu=CRITICAL, memory=HIGH), (0.01, 32, CRITICAL)),
        (LoadVector(cpu=CRITICAL, loop=CRITICAL), (0.01, 16, CRITICAL)),
        (LoadVector(cpu=CRITICAL, loop=CRITICAL, memory=HIGH), (0.1, 16, CRITICAL)),
        (LoadVector(disk=HIGH), (0.001, 32, HIGH)),
        (LoadVector(disk=CRITICAL), (0.01, 16, CRITICAL)),
        (LoadVector(disk=CRITICAL, cpu=CRITICAL), (0.01, 16, CRITICAL)),
        (LoadVector(disk=CRITICAL, memory=HIGH), (0.1, 16, CRITICAL)),
    ],
)
def test_advice(vector: LoadVector, expected: tuple[float, int, Grade]) -> None:
    sleep_s, every, overall = expected
    is_refused = vector.memory is CRITICAL
    assert advise(vector, LoadUse.BATCH) == Advice(sleep_s, every, overall, is_refused)


def test_only_batches_are_refused_and_only_for_memory_and_files() -> None:
    busy = LoadVector(cpu=CRITICAL, disk=CRITICAL, loop=CRITICAL)
    assert not advise(busy, LoadUse.BATCH).is_refused
    for vector in (LoadVector(memory=CRITICAL), LoadVector(files=CRITICAL)):
        assert [advise(vector, use).is_refused for use in LoadUse] == [False, False, True]


def test_busy_cpus_do_not_slow_a_job_that_moves_data() -> None:
    assert advise(LoadVector(cpu=CRITICAL), LoadUse.DATA_JOB) == advise(
        LoadVector(), LoadUse.DATA_JOB
    )


def test_metadata_goes_on_until_something_is_critical() -> None:
    high = LoadVector(memory=HIGH, cpu=HIGH, disk=HIGH)
    assert advise(high, LoadUse.METADATA_JOB) == Advice(0, 512, HIGH)
    assert advise(LoadVector(), LoadUse.METADATA_JOB).every == 8192
    critical = LoadVector(disk=CRITICAL)
    assert advise(critical, LoadUse.METADATA_JOB) == Advice(0.01, 16, CRITICAL)


def test_forced_grades() -> None:
    assert parse_load("auto") == parse_load("off") == parse_load("") == {}
    assert parse_load("High") == dict.fromkeys(Dimension, HIGH)
    forced = parse_load("memory:critical, disk:high")
    assert forced == {Dimension.MEMORY: CRITICAL, Dimension.DISK: HIGH}
    vector = LoadVector(cpu=HIGH).with_forced(forced)
    assert vector == LoadVector(memory=CRITICAL, cpu=HIGH, disk=HIGH)
    assert vector.text == "memory=critical cpu=high disk=high files=low loop=low"


@pytest.mark.parametrize(
    "text", ["loud", "memory", "memory:", "memory:loud", "ram:high", ",", "x" * 999]
)
def test_malformed_grades(text: str) -> None:
    with pytest.raises(InvalidArgumentError, match="expected auto, off, a grade") as info:
        parse_load(text)
    assert "memory:high,disk:critical" in str(info.value.hint)
    assert len(info.value.message) < 300
