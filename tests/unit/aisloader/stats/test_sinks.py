import io
import json
import socket
from dataclasses import replace
from pathlib import Path

import pytest
from tests.unit.aisloader.stats.conftest import MakeResult
from tests.unit.aisloader.stats.runs import info, totals_of

from aiscore.errors import InvalidArgumentError
from aisloader.stats.csvsink import COLUMNS, CsvSink
from aisloader.stats.guarded import GuardedSink
from aisloader.stats.live import LiveSink, sparkline
from aisloader.stats.outage import OUTAGE_S, OutageSink
from aisloader.stats.report import JsonSink, TextSink
from aisloader.stats.result import ResultSink, read_result
from aisloader.stats.sample import Final, Sample, Span
from aisloader.stats.series import Metric, Series, Totals
from aisloader.stats.statsd import StatsdSink, packets, phases

ONE = Span(1000.0, 10**9, {Series.GET: totals_of([1_500_000] * 4), Series.GBT: Totals()})
SAMPLE = Sample(ONE, ONE)
FINAL = Final(run=ONE, verdict={"text": "The loader was not the limit"}, ended_by="duration")


class Memory(io.StringIO):
    """A file whose text can be read after it was closed."""

    text = ""

    def close(self) -> None:
        if not self.closed:
            self.text = self.getvalue()
        super().close()


def test_json_is_an_array_whose_last_element_is_the_run() -> None:
    out = Memory()
    sink = JsonSink(out)
    sink.start(info())
    sink.interval(SAMPLE)
    sink.interval(SAMPLE)
    sink.finish(FINAL)
    sink.close()
    elements = json.loads(out.text)
    assert len(elements) == 3
    get = elements[-1]["get"]
    assert (get["count"], get["bytes"], get["throughput"]) == ("4", "4000", "4000")
    assert (get["errors"], get["latency"], get["duration"]) == (0, 1_500_000, 10**9)
    assert (get["min_latency"], get["max_latency"]) == (1_500_000, 1_500_000)
    assert get["percentiles"]["p99.9"] == 1_500_000
    assert get["start_time"].count(":") >= 2
    assert {"get", "put", "get_batch"} <= set(elements[0])
    assert elements[-1]["put"]["count"] == "0"


def test_json_of_a_run_that_broke_down_is_json() -> None:
    out = Memory()
    sink = JsonSink(out)
    sink.start(info())
    sink.interval(SAMPLE)
    sink.close()
    assert json.loads(out.text)[-1] is None


def test_text_ends_with_the_whole_run_and_the_verdict() -> None:
    out = Memory()
    sink = TextSink(out)
    sink.start(info())
    sink.interval(SAMPLE)
    failed = Span(1000.0, 10**9, {Series.GET: totals_of([1_500_000] * 4, failed=3)})
    sink.finish(Final(run=failed, verdict=FINAL.verdict, ended_by="duration"))
    sink.close()
    assert out.text.count("Latency (min, avg, max)") == 2
    assert "GET failures: server 3" in out.text
    assert "The loader was not the limit" in out.text
    assert (
        json.loads(out.text[out.text.index("{") : out.text.index("}") + 1])["bucket"] == "ais://b"
    )


def test_every_operation_is_in_every_report() -> None:
    every = Span(1000.0, 10**9, {series: totals_of([1_500_000] * 4) for series in Series})
    final = Final(run=every, verdict={}, ended_by="duration")
    texts = {}
    for make in (JsonSink, TextSink):
        out = Memory()
        sink = make(out)
        sink.start(info())
        sink.interval(Sample(every, every))
        sink.finish(final)
        sink.close()
        texts[make] = out.text
    for element in json.loads(texts[JsonSink]):
        assert set(element) == {series.key for series in Series}
        assert {one["count"] for one in element.values()} == {"4"}
    table = texts[TextSink][texts[TextSink].rindex("Time      OP") :].split("\n\n")[0]
    assert [line.split()[1] for line in table.splitlines()[1:]] == [s.label for s in Series]
    sent = {packet.split(".")[1] for packet in packets("p", every, every)}
    assert sent == {series.statsd for series in Series}
    assert len(sent) == len(Series)


def test_reads_without_a_checksum_are_told_and_not_taken_for_verified() -> None:
    out = Memory()
    sink = TextSink(out)
    sink.start(info())
    totals = replace(totals_of([5] * 4), unverified=3)
    sink.finish(replace(FINAL, run=Span(0.0, 10**9, {Series.GET: totals})))
    sink.close()
    assert "GET not verified: 3 (no checksum to compare with)" in out.text


def test_statsd_reaches_a_real_listener() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(10)
        sink = StatsdSink("127.0.0.1", server.getsockname()[1], "aisloader.h-0", probe=True)
        sink.interval(SAMPLE)
        sink.finish(FINAL)
        sink.close()
        lines: list[str] = []
        while not any(line.startswith("aisloader.h-0.getbatch.pending") for line in lines):
            lines += server.recv(65536).decode().splitlines()
    assert "aisloader.h-0.probe.counter:10|c" in lines
    assert "aisloader.h-0.get.count:4|c" in lines
    assert "aisloader.h-0.getbatch.count:0|c" in lines
    assert "aisloader.h-0.get.latency:1.500|ms|@0.250000" in lines
    assert "aisloader.h-0.get.minlatency:1.500|ms|@0.250000" in lines
    assert "aisloader.h-0.get.throughput:4000|g|@0.250000" in lines
    assert lines[-4:] == [
        "aisloader.h-0.get.throughput:0|g",
        "aisloader.h-0.get.pending:0|g",
        "aisloader.h-0.getbatch.throughput:0|g",
        "aisloader.h-0.getbatch.pending:0|g",
    ]


def test_phases_are_told_of_what_was_traced() -> None:
    earlier = Totals(count=3, phases={"targetconn": (2, 10), "target": (2, 1_000)})
    later = Totals(
        count=9,
        phases={"proxy": (1, 7_000), "targetconn": (2, 10), "target": (6, 4_001_000)},
    )
    both = later.since(earlier)
    assert both.phases == {"proxy": (1, 7_000), "target": (4, 4_000_000)}
    assert earlier.merged(both).phases == later.phases
    assert Totals.from_json(json.loads(json.dumps(later.to_json()))) == later
    (packet,) = phases("p", Span(0.0, 10**9, {Series.GET: both, Series.PUT: Totals()}))
    assert packet.splitlines() == [
        "p.get.latency.proxy:0.007|ms",
        "p.get.latency.target:1.000|ms|@0.250000",
    ]
    out = Memory()
    TextSink(out).finish(
        Final(run=Span(0.0, 10**9, {Series.GET: both}), verdict={}, ended_by="limit")
    )
    assert "GET phases of 4 requests, mean: proxy 7µs, target 1ms" in out.getvalue()


def test_a_statsd_server_that_is_not_there_does_not_stop_the_run() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        port = server.getsockname()[1]
    sink = StatsdSink("127.0.0.1", port, "p")
    for _ in range(3):
        sink.interval(SAMPLE)
    sink.close()


def test_an_outage_is_told_once_and_so_is_its_end() -> None:
    told: list[str] = []
    sink = OutageSink(told.append, "trying on")

    def second(count: int, failed: int) -> None:
        one = Span(0.0, 10**9, {Series.GET: totals_of([5] * count, failed=failed)})
        sink.second(Sample(one, one))

    second(3, 9)
    for _ in range(20):
        second(0, 0)  # slow is not down
    assert not told
    for _ in range(OUTAGE_S - 1):
        second(0, 2)
    assert not told
    second(0, 0)
    second(0, 2)
    assert told == [
        f"nothing has succeeded for {OUTAGE_S} s ({2 * (OUTAGE_S - 1)} failures): trying on"
    ]
    second(1, 0)
    second(1, 0)
    assert told[1:] == [f"operations succeed again, after {OUTAGE_S + 1} s"]


def test_csv_has_a_line_a_second_for_each_operation() -> None:
    out = Memory()
    sink = CsvSink(out)
    sink.start(info())
    sink.second(SAMPLE)
    sink.close()
    rows = [line.split(",") for line in out.text.splitlines()]
    assert tuple(rows[0]) == COLUMNS
    assert [row[2] for row in rows[1:]] == ["GET", "GBT"]
    assert rows[1][3:7] == ["4", "4000", "0", "1500000"]


def test_the_live_view_wipes_what_it_drew() -> None:
    out = Memory()
    sink = LiveSink(out)
    sink.start(info(params={"workload": {"duration_ns": 10**10}}))
    sink.second(SAMPLE)
    drawn = out.getvalue()
    assert drawn.count("\n") == 3
    assert "GET  4/s" in drawn
    assert "p99 1.5ms" in drawn
    sink.interval(SAMPLE)
    assert out.getvalue().endswith("\x1b[3F\x1b[J")
    sink.close()
    assert out.getvalue().count("\x1b[J") == 1


def test_a_sparkline() -> None:
    assert sparkline([]) == sparkline([0, 0]) == ""
    assert sparkline([0, 50, 100]) == "▁▄█"


def test_a_result_file_keeps_the_run(make_result: MakeResult) -> None:
    result = read_result(make_result("r", seconds=5, failed=2))
    assert result.config["bucket"] == "ais://b"
    assert result.elapsed_ns == 5 * 10**9
    assert len(result.seconds[Series.GET]) == 5
    totals = result.totals[Series.GET]
    assert totals.count == sum(second.count for second in result.seconds[Series.GET])
    assert totals.errors == 2
    merged = result.seconds[Series.GET][0].histogram
    for second in result.seconds[Series.GET][1:]:
        merged = merged.merged(second.histogram)
    assert (merged.counts == totals.of(Metric.SERVICE).counts).all()


def test_a_result_that_was_not_finished_leaves_nothing(tmp_path: Path) -> None:
    sink = ResultSink(str(tmp_path / "r"))
    sink.start(info())
    sink.second(SAMPLE)
    assert [path.name for path in tmp_path.iterdir()] == ["r.partial"]
    sink.close()
    assert not list(tmp_path.iterdir())


def test_warm_up_is_left_out_of_a_result(tmp_path: Path) -> None:
    sink = ResultSink(str(tmp_path / "r"), warmup_ns=10**9)
    sink.start(info())
    sink.second(SAMPLE)
    sink.second(Sample(ONE, Span(1000.0, 2 * 10**9, ONE.totals)))
    sink.finish(FINAL)
    assert len(read_result(str(tmp_path / "r")).seconds[Series.GET]) == 1


def test_a_result_that_cannot_be_written_is_an_early_error(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgumentError, match="cannot write -result"):
        ResultSink(str(tmp_path / "no" / "r"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not a complete result"),
        ("{}\n", "no result file"),
        ("garbage\n", "line 1"),
        ('{"format":"aisloader-result","version":9}\n', "version 9"),
        ('{"format":"aisloader-result","version":1}\n', "not a complete result"),
        ('{"format":"aisloader-result","version":1}\n{"final":{}}\n', "malformed"),
        ('{"format":"aisloader-result","version":1}\n{"second":1,"ops":{"get":[]}}\n', "line 2"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "r"
    path.write_text(text)
    with pytest.raises(InvalidArgumentError, match=message):
        read_result(str(path))


def test_a_report_whose_disk_is_full_is_lost_and_ends_nothing() -> None:
    told: list[str] = []
    sink = GuardedSink(CsvSink(open("/dev/full", "w", encoding="utf-8")), "r.csv", told.append)  # noqa: SIM115
    sink.start(info())
    sink.second(SAMPLE)
    sink.finish(FINAL)
    assert sink.is_lost
    sink.close()
    assert told == ["cannot write r.csv: No space left on device; the run goes on without it"]


def test_binary_files_and_absent_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "b").write_bytes(b"\xff\xfe\x00")
    for name in ("b", "absent"):
        with pytest.raises(InvalidArgumentError):
            read_result(str(tmp_path / name))
