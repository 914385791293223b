from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiscore.errors import InvalidArgumentError
from aiscore.model.units import (
    GIB,
    HOUR,
    INT64_MAX,
    KIB,
    MIB,
    MINUTE,
    SECOND,
    Units,
    format_duration,
    format_go_duration,
    format_size,
    format_size_exact,
    parse_bool,
    parse_duration,
    parse_query_bool,
    parse_size,
)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("11B", 11),
        ("1048576", 1048576),
        ("4mb", 4_000_000),
        ("128k", 128_000),
        ("1MiB", MIB),
        ("32Ki", 32 * KIB),
        ("1.5GiB", 3 * GIB // 2),
        (" 1GB ", 1_000_000_000),
        ("0.0000000001k", 0),
    ],
)
def test_suffix_decides_between_1000_and_1024(text: str, size: int) -> None:
    assert parse_size(text) == size


def test_forced_iec_makes_every_suffix_binary() -> None:
    assert parse_size("32kb", Units.IEC) == 32 * KIB
    assert parse_size("10MiB", Units.IEC) == 10 * MIB


@pytest.mark.parametrize(
    ("text", "units"), [("1KiB", Units.SI), ("1k", Units.RAW), ("1KiB", Units.RAW)]
)
def test_suffix_that_contradicts_the_units_is_an_error(text: str, units: Units) -> None:
    with pytest.raises(InvalidArgumentError, match="contradicts"):
        parse_size(text, units)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "B",
        "k",
        "-1",
        "1.5",
        "1e3",
        "1 KiB",
        "1iB",
        "1XB",
        "0x10",
        "1_000",
        "٣",
        "nan",
        "1" * 5000,
    ],
)
def test_what_is_not_a_size_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(InvalidArgumentError, match="64MiB"):
        parse_size(text)


def test_size_that_does_not_fit_64_bits_is_refused() -> None:
    assert parse_size(str(INT64_MAX)) == INT64_MAX
    with pytest.raises(InvalidArgumentError, match="more than"):
        parse_size("9223372036854775808")
    with pytest.raises(InvalidArgumentError, match="more than"):
        parse_size("8388608TiB")


@pytest.mark.parametrize(
    ("size", "exact"),
    [
        (0, "0B"),
        (10 * KIB, "10KiB"),
        (GIB, "1GiB"),
        (3 * GIB // 2, "1536MiB"),
        (1000, "1000B"),
        (-1, "-1B"),
        (5000 * GIB * 1024, "5000TiB"),
    ],
)
def test_exact_form(size: int, exact: str) -> None:
    assert format_size_exact(size) == exact


@given(st.integers(-INT64_MAX, INT64_MAX))
def test_exact_form_round_trips(size: int) -> None:
    text = format_size_exact(size)
    assert parse_size(text, allow_negative=True) == size
    assert parse_size(text, Units.IEC, allow_negative=True) == size


def test_human_form() -> None:
    assert format_size(11) == "11B"
    assert format_size(2560) == "2.50KiB"
    assert format_size(int(30.49 * MIB)) == "30.49MiB"
    assert format_size(1500, Units.SI) == "1.50KB"
    assert format_size(1500, Units.RAW) == "1500"
    assert format_size(5 * GIB, digits=0) == "5GiB"


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        ("1m30s", 90 * SECOND),
        ("2h", 2 * HOUR),
        ("500ms", SECOND // 2),
        ("30", 30 * SECOND),
        ("1.5h", 90 * MINUTE),
        ("-1s", -SECOND),
        ("0", 0),
        ("7us", 7000),
        ("7µs", 7000),
        ("120m", 2 * HOUR),
        ("1h1ns", HOUR + 1),
    ],
)
def test_parse_duration(text: str, duration: int) -> None:
    assert parse_duration(text) == duration


@pytest.mark.parametrize(
    "text", ["", "s", "1.5", "1d", "1m 30s", "1s-1s", "٣s", "999999h999999h999999999h", "1s" * 99]
)
def test_what_is_not_a_duration_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgumentError, match="invalid duration"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("duration", "config", "go"),
    [
        (0, "0s", "0s"),
        (2 * HOUR, "2h0m", "2h0m0s"),
        (HOUR + 30 * MINUTE, "1h30m", "1h30m0s"),
        (2 * MINUTE, "2m", "2m0s"),
        (90 * SECOND, "1m30s", "1m30s"),
        (30 * SECOND, "30s", "30s"),
        (HOUR + SECOND, "1h0m1s", "1h0m1s"),
        (1_500_000_000, "1.5s", "1.5s"),
        (100_000_000, "100ms", "100ms"),
        (1_500, "1.5µs", "1.5µs"),
        (1, "1ns", "1ns"),
        (-SECOND, "-1s", "-1s"),
        (60_000_000_001, "1m0.000000001s", "1m0.000000001s"),
    ],
)
def test_durations_print_as_go_and_aistore_do(duration: int, config: str, go: str) -> None:
    assert format_duration(duration) == config
    assert format_go_duration(duration) == go


@given(st.integers(-INT64_MAX, INT64_MAX))
def test_durations_round_trip(duration: int) -> None:
    assert parse_duration(format_duration(duration)) == duration
    assert parse_duration(format_go_duration(duration)) == duration


def test_booleans() -> None:
    assert all(parse_bool(word) for word in ("1", "t", "TRUE", "Yes", "y", "on"))
    assert not any(parse_bool(word) for word in ("0", "f", "False", "no", "N", "off"))
    with pytest.raises(InvalidArgumentError, match='"maybe"'):
        parse_bool("maybe")


def test_query_booleans_take_junk_as_false() -> None:
    assert all(
        parse_query_bool(word) for word in ("1", "t", "T", "true", "True", "TRUE", "y", "yes", "on")
    )
    assert not any(parse_query_bool(word) for word in ("", "0", "YES", "On", "junk", " true"))


@given(st.text(max_size=40))
def test_parsers_never_crash(text: str) -> None:
    for parse in (parse_size, parse_duration, parse_bool):
        with suppress(InvalidArgumentError):
            parse(text)
