from dataclasses import replace

import pytest
from tests.unit.aisloader.stats.conftest import MakeResult

from aiscore.errors import InvalidArgumentError
from aisloader.params.loader import LoaderParams
from aisloader.stats.compare import Change, compare
from aisloader.stats.merge import merge_results
from aisloader.stats.result import Result, read_result
from aisloader.stats.series import Metric, Series


def changes(before: str, after: str) -> dict[str, Change]:
    found = compare(read_result(before), read_result(after))
    return {finding.metric: finding.change for finding in found.findings}


@pytest.mark.parametrize("seed", range(2, 12))
def test_runs_of_the_same_kind_are_never_worse(make_result: MakeResult, seed: int) -> None:
    found = changes(make_result("a", seed=1), make_result("b", seed=seed))
    assert Change.WORSE not in found.values()
    assert found["p50"] is Change.SAME


def test_a_slower_run_is_worse(make_result: MakeResult) -> None:
    found = changes(make_result("a"), make_result("b", seed=2, latency_ns=1.3e6, rate=150))
    assert found == dict.fromkeys(("ops/s", "bytes/s", "p50", "p99"), Change.WORSE)


def test_a_faster_run_is_better(make_result: MakeResult) -> None:
    found = changes(make_result("a"), make_result("b", seed=2, latency_ns=0.7e6, rate=280))
    assert set(found.values()) == {Change.BETTER}


def test_more_failures_are_worse(make_result: MakeResult) -> None:
    found = changes(make_result("a"), make_result("b", failed=300))
    assert found["errors"] is Change.WORSE


def test_a_short_run_decides_nothing(make_result: MakeResult) -> None:
    found = compare(
        read_result(make_result("a", seconds=5)), read_result(make_result("b", seconds=60))
    )
    assert not found.is_decided
    assert "too few" in found.notes[0]


def test_the_interval_holds_the_ratio_and_repeats(make_result: MakeResult) -> None:
    first, second = (
        read_result(make_result(name, seed=seed)) for name, seed in (("a", 1), ("b", 2))
    )
    found = compare(first, second)
    assert found == compare(first, second)
    for finding in found.findings:
        assert finding.low <= finding.ratio <= finding.high


def test_operations_of_one_run_only_are_named(make_result: MakeResult) -> None:
    found = compare(read_result(make_result("a")), read_result(make_result("b", series=Series.PUT)))
    assert not found.is_decided
    assert {note.split()[0] for note in found.notes} == {"GET", "PUT"}


def test_merging_adds_counts_and_histograms(make_result: MakeResult) -> None:
    parts = [
        read_result(make_result("a")),
        read_result(make_result("b", seed=2, loader="1", started=1_000_000.4)),
    ]
    merged, notes = merge_results(parts)
    assert notes == []
    one, other, both = (run.totals[Series.GET] for run in (*parts, merged))
    assert both.count == one.count + other.count
    assert (
        both.of(Metric.SERVICE).counts
        == one.of(Metric.SERVICE).counts + other.of(Metric.SERVICE).counts
    ).all()
    assert merged.elapsed_ns == pytest.approx(30.4e9, rel=1e-6)
    assert sum(second.count for second in merged.seconds[Series.GET]) == both.count
    assert 30 <= len(merged.seconds[Series.GET]) <= 31
    assert merged.config["# workers"] == 4


def test_runs_that_hardly_overlap_are_told(make_result: MakeResult) -> None:
    _, notes = merge_results(
        [
            read_result(make_result("a")),
            read_result(make_result("b", seed=2, started=1_000_020.0)),
        ]
    )
    assert "20%" in notes[0]


def test_loaders_with_the_same_seed_and_id_are_told(make_result: MakeResult) -> None:
    _, notes = merge_results(
        [read_result(make_result("a")), read_result(make_result("b", started=1_000_000.1))]
    )
    assert "same seed" in notes[0]


def test_loaders_whose_objects_have_the_same_names_are_told(make_result: MakeResult) -> None:
    def written_by(name: str, number: int) -> Result:
        made = read_result(make_result(name, started=1_000_000.0 + number / 10))
        loader = {"loaderid": name, "loadernum": 0, "loaderidhashlen": 4}
        return replace(made, params={"workload": {"pctput": 100}, "loader": loader})

    # Of sixteen hashes, seventeen names have one in common.
    alike: dict[int, list[str]] = {}
    for name in map(str, range(17)):
        number = LoaderParams(loaderid=name, loaderidhashlen=4).number
        alike.setdefault(number, []).append(name)
    one, other = max(alike.values(), key=len)[:2]
    told = "loaders with the same id overwrote each other's new objects"
    assert merge_results([written_by(one, 0), written_by(other, 1)])[1] == [told]
    apart = [names[0] for names in alike.values()]
    assert merge_results([written_by(apart[0], 0), written_by(apart[1], 1)])[1] == []


def test_one_result_or_the_same_twice_does_not_merge(make_result: MakeResult) -> None:
    result = read_result(make_result("a"))
    with pytest.raises(InvalidArgumentError, match="two results"):
        merge_results([result])
    with pytest.raises(InvalidArgumentError, match="twice"):
        merge_results([result, result])
