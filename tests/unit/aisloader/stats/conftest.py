"""Runs that never were, for reports."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tests.unit.aisloader.stats.runs import info, totals_of

from aisloader.stats.failure import FailureKind
from aisloader.stats.result import ResultSink
from aisloader.stats.sample import Final, Sample, Span
from aisloader.stats.series import Series, Totals

MakeResult = Callable[..., str]


@pytest.fixture
def make_result(tmp_path: Path) -> MakeResult:
    """Writes a result file of `seconds` seconds with `rate` operations each, around `latency_ns`."""

    def make(
        name: str,
        *,
        seconds: int = 30,
        rate: int = 200,
        latency_ns: float = 1e6,
        seed: int = 1,
        failed: int = 0,
        started: float = 1_000_000.0,
        series: Series = Series.GET,
        loader: str = "0",
    ) -> str:
        path = str(tmp_path / name)
        sink = ResultSink(path)
        sink.start(
            info(
                started=started,
                params={"workload": {"seed": seed}, "loader": {"loaderid": loader}},
            )
        )
        generator = np.random.default_rng(seed)
        whole = Totals()
        for second in range(1, seconds + 1):
            count = int(rate * generator.uniform(0.9, 1.1))
            values = [int(v) + 1 for v in latency_ns * generator.lognormal(0, 0.3, count)]
            one = totals_of(values)
            whole = whole.merged(one)
            sink.second(
                Sample(
                    Span(started + second - 1, 10**9, {series: one}),
                    Span(started, second * 10**9, {series: whole}),
                )
            )
        if failed:
            whole = whole.merged(Totals(failures={FailureKind.SERVER: failed}))
        sink.finish(
            Final(
                run=Span(started, seconds * 10**9, {series: whole}),
                verdict={"loader_bound": False, "text": "fine"},
                ended_by="duration",
            )
        )
        return path

    return make
