from dataclasses import replace

from aisloader.stats.histogram import Histogram
from aisloader.stats.verdict import Figures, judge

FINE = Figures(
    own_ns=10_000_000,
    active_ns=10**9,
    waited_ns=0,
    operations=1000,
    cpu_ns=[200_000_000],
    elapsed_ns=10**9,
    is_embedded=False,
    lateness=Histogram.empty(),
    service_p50_ns=10**6,
)


def test_a_loader_that_waits_for_the_store_was_not_the_limit() -> None:
    verdict = judge(FINE)
    assert not verdict["loader_bound"]
    assert "not the limit: 1.0% of its workers' time, 10.0 us" in verdict["text"]


def test_time_between_operations_is_a_sign() -> None:
    verdict = judge(replace(FINE, own_ns=300_000_000))
    assert verdict["loader_bound"]
    assert "30% of their time" in verdict["text"]


def test_a_full_core_is_a_sign_unless_the_engine_is_in_it() -> None:
    busy = replace(FINE, cpu_ns=[100, 950_000_000])
    assert judge(busy)["loader_bound"]
    assert not judge(replace(busy, is_embedded=True))["loader_bound"]


def test_late_starts_are_a_sign() -> None:
    late = replace(FINE, waited_ns=5 * 10**8, lateness=Histogram.of([300_000] * 200))
    verdict = judge(late)
    assert verdict["loader_bound"]
    assert verdict["late_p99_ns"] == 300_000


def test_few_operations_tell_nothing() -> None:
    verdict = judge(replace(FINE, operations=20, own_ns=900_000_000))
    assert not verdict["loader_bound"]
    assert verdict["text"] == ""


def test_workers_that_share_a_process_with_the_engine_are_told() -> None:
    shared = replace(FINE, is_embedded=True, workers=8)
    assert "8 workers share 1 process with the engine" in judge(shared)["text"]
    assert "share" not in judge(replace(shared, is_embedded=False))["text"]
    assert "share" not in judge(replace(shared, workers=1))["text"]
