import io
import json
import socket
from pathlib import Path

import pytest
from tests.unit.aisloader.stats.conftest import MakeResult
from tests.unit.aisloader.stats.runs import info, totals_of

from aiscore.errors import InvalidArgumentError
from aisloader.stats.csvsink import COLUMNS, CsvSink
from aisloader.stats.live import LiveSink, sparkline
from aisloader.stats.report import JsonSink, TextSink
from aisloader.stats.result import ResultSink, read_result
from aisloader.stats.sample import Final, Sample, Span
from aisloader.stats.series import Metric, Series, Totals
from aisloader.stats.statsd import StatsdSink, phases

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


def test_phases_are_told_while_tracing_is_on() -> None:
    first = totals_of([500_000] * 4)
    both = Totals(
        count=4,
        durations={
            Metric.SERVICE: totals_of([1_500_000] * 4).service,
            Metric.FIRST: first.service,
        },
    )
    (packet,) = phases("p", Span(0.0, 10**9, {Series.GET: both, Series.PUT: Totals()}))
    assert packet.splitlines() == [
        "p.get.latency.targetresponse:0.500|ms|@0.250000",
        "p.get.latency.posthttp:1.000|ms|@0.250000",
    ]


def test_a_statsd_server_that_is_not_there_does_not_stop_the_run() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        port = server.getsockname()[1]
    sink = StatsdSink("127.0.0.1", port, "p")
    for _ in range(3):
        sink.interval(SAMPLE)
    sink.close()


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


def test_binary_files_and_absent_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "b").write_bytes(b"\xff\xfe\x00")
    for name in ("b", "absent"):
        with pytest.raises(InvalidArgumentError):
            read_result(str(tmp_path / name))
