import pytest
from tests.unit.aisloader.stats.runs import totals_of

from aisloader.stats.report import clean
from aisloader.stats.sample import Sample, Span
from aisloader.stats.series import Metric, Series, Totals
from aisloader.stats.text import (
    final_rows,
    header,
    interval_rows,
    pretty_duration,
    pretty_number,
    pretty_size,
    pretty_speed,
)

NOW = 1_700_000_000.0


def cells(row: str) -> list[str]:
    return row.split()


def test_the_header_has_upstreams_columns_and_then_percentiles() -> None:
    expected = (
        "Time OP Count Size (Total) Latency (min, avg, max) Throughput (Avg) Errors (Total) "
        "p50 p90 p99 p99.9"
    )
    assert " ".join(header().split()) == expected
    assert header().startswith("Time      OP    Count                 \tSize (Total)          \t")
    assert header(has_rate=True).endswith("resp p50   resp p90   resp p99   resp p99.9")


def test_a_final_row() -> None:
    run = Span(0.0, 2 * 10**9, {Series.PUT: totals_of([1_000_000] * 1000, 1 << 20)})
    (row,) = final_rows(run, NOW)
    assert cells(row)[1:] == [
        "PUT", "1,000", "1000.0MiB", "1ms", "1ms", "1ms", "500.00MiB/s", "0", *["1ms"] * 3, "-",
    ]  # fmt: skip


def test_an_interval_row_has_interval_and_total() -> None:
    one, whole = totals_of([1500], 1 << 20), totals_of([1500] * 3, 1 << 20, failed=1)
    sample = Sample(Span(0.0, 10**9, {Series.GET: one}), Span(0.0, 2 * 10**9, {Series.GET: whole}))
    (row,) = interval_rows(sample, NOW)
    text = " ".join(cells(row))
    assert "GET 1 (3 0 0) 1.0MiB (3.0MiB) 1.5µs 1.5µs 1.5µs 1.00MiB/s (1.50MiB/s) 0 (1)" in text


def test_an_interval_in_which_everything_failed_has_its_row() -> None:
    bad = totals_of([], failed=5)
    sample = Sample(Span(0.0, 10**9, {Series.GET: bad}), Span(0.0, 10**9, {Series.GET: bad}))
    (row,) = interval_rows(sample, NOW)
    assert "5 (5)" in row
    assert list(final_rows(sample.run, NOW))


def test_operations_that_did_not_happen_have_no_row() -> None:
    run = Span(0.0, 10**9, {Series.PUT: Totals(), Series.GBT: totals_of([5])})
    assert [cells(row)[1] for row in final_rows(run, NOW)] == ["GBT"]


def test_a_percentile_of_too_few_samples_is_not_shown() -> None:
    few = Span(0.0, 10**9, {Series.GET: totals_of([1000] * 50)})
    many = Span(0.0, 10**9, {Series.GET: totals_of([1000] * 20_000)})
    assert cells(next(iter(final_rows(few, NOW))))[-4:] == ["1µs", "-", "-", "-"]
    assert cells(next(iter(final_rows(many, NOW))))[-4:] == ["1µs"] * 4


def test_with_a_rate_percentiles_are_of_response_times() -> None:
    service, response = totals_of([1000] * 200), totals_of([5_000_000] * 200)
    both = Totals(
        count=200,
        durations={
            Metric.SERVICE: service.service,
            Metric.RESPONSE: response.service,
        },
    )
    (row,) = final_rows(Span(0.0, 10**9, {Series.GET: both}), NOW, has_rate=True)
    assert cells(row)[-4:] == ["5ms", "5ms", "-", "-"]
    assert "1µs" in row


@pytest.mark.parametrize(
    ("duration", "shown"),
    [
        (0, "0s"),
        (999, "999ns"),
        (1500, "1.5µs"),
        (1_234_567, "1.234ms"),
        (61_999_999_999, "1m1.999s"),
    ],
)
def test_durations_are_written_as_go_does_with_three_decimals(duration: int, shown: str) -> None:
    assert pretty_duration(duration) == shown


def test_numbers_sizes_and_speeds() -> None:
    assert pretty_number(1234567) == "1,234,567"
    assert (pretty_size(0), pretty_size(1536)) == ("-", "1.5KiB")
    assert (pretty_speed(0), pretty_speed(1536)) == ("-", "1.50KiB/s")


def test_errors_cannot_steer_the_terminal() -> None:
    assert clean("a\x1b[2Jb\nc") == "a\\x1b[2Jb\\x0ac"
    assert len(clean("x" * 10_000)) < 600
