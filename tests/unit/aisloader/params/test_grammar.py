"""The text of flags: sizes, durations, integers, booleans, rates."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiscore.errors import InvalidArgumentError
from aisloader.params.option import Kind, Option, parse_value, show_value


def flag(kind: Kind) -> Option:
    return Option("x", "x", kind, "", (), (), None, None, None, "")


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("1", 1),
        ("1MB", 1 << 20),
        ("1mib", 1 << 20),
        ("1.5M", 1_572_864),
        (" 10KiB ", 10_240),
        ("3Gi", 3 << 30),
        ("2T", 2 << 40),
        ("7B", 7),
    ],
)
def test_sizes_are_powers_of_1024_whatever_the_suffix(text: str, size: int) -> None:
    assert parse_value(flag(Kind.SIZE), text) == size


@pytest.mark.parametrize("text", ["1 MiB", "1PiB", "-1", "1.5", "MiB", "1e3", "0x10", "1MiBB"])
def test_what_is_no_size_is_refused_by_the_flags_name(text: str) -> None:
    with pytest.raises(InvalidArgumentError, match="-x"):
        parse_value(flag(Kind.SIZE), text)


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        ("0", 0),
        ("1s", 10**9),
        ("1h30m", 5400 * 10**9),
        ("1.5s", 1_500_000_000),
        ("250ms", 250_000_000),
        ("3us", 3_000),
        ("3µs", 3_000),
    ],
)
def test_durations_are_those_of_go(text: str, duration: int) -> None:
    assert parse_value(flag(Kind.DURATION), text) == duration


@pytest.mark.parametrize("text", ["5", "-1s", "1d", "", "s", "1 s", "1.5"])
def test_a_duration_needs_a_unit_and_no_minus(text: str) -> None:
    with pytest.raises(InvalidArgumentError, match="-x"):
        parse_value(flag(Kind.DURATION), text)


def test_a_duration_without_unit_says_how_to_write_seconds() -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        parse_value(flag(Kind.DURATION), "5")
    assert caught.value.hint == 'write "5s" for seconds'


def test_an_interval_may_be_bare_seconds() -> None:
    assert parse_value(flag(Kind.INTERVAL), "10") == 10 * 10**9
    assert parse_value(flag(Kind.INTERVAL), "250ms") == 250_000_000


@pytest.mark.parametrize(
    ("text", "value"),
    [("0x10", 16), ("0o17", 15), ("0b11", 3), ("1_000", 1000), ("-7", -7), ("+7", 7)],
)
def test_integers_are_gos_literals(text: str, value: int) -> None:
    assert parse_value(flag(Kind.INT), text) == value


@pytest.mark.parametrize("text", ["", "1.0", "ten", "1__0", " 1", "0x", "9223372036854775808", "٣"])
def test_what_is_no_integer_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgumentError, match="-x"):
        parse_value(flag(Kind.INT), text)


def test_an_unsigned_flag_refuses_a_minus_and_takes_64_bits() -> None:
    assert parse_value(flag(Kind.UINT), str(2**64 - 1)) == 2**64 - 1
    for text in ("-1", "-0", str(2**64)):
        with pytest.raises(InvalidArgumentError, match="-x"):
            parse_value(flag(Kind.UINT), text)


@pytest.mark.parametrize("text", ["1", "t", "T", "true", "TRUE", "True", "y", "yes", "on", ""])
def test_words_for_true(text: str) -> None:
    assert parse_value(flag(Kind.BOOL), text) is True


@pytest.mark.parametrize("text", ["0", "f", "F", "false", "FALSE", "False", "n", "no", "off"])
def test_words_for_false(text: str) -> None:
    assert parse_value(flag(Kind.BOOL), text) is False


@pytest.mark.parametrize(
    ("text", "rate"), [("500", 500.0), ("500/s", 500.0), ("3000/m", 50.0), ("2.5/s", 2.5)]
)
def test_rates(text: str, rate: float) -> None:
    assert parse_value(flag(Kind.RATE), text) == rate


@pytest.mark.parametrize("text", ["-1", "inf", "nan", "5/d", "fast", "5 /s", ""])
def test_what_is_no_rate_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgumentError, match="-x"):
        parse_value(flag(Kind.RATE), text)


@pytest.mark.parametrize("text", ["-1", "1.5", "101%", "x%", "", "nan", "inf"])
def test_an_error_limit_is_a_count_or_a_percentage(text: str) -> None:
    with pytest.raises(InvalidArgumentError, match="-x"):
        parse_value(flag(Kind.PERCENT), text)


@given(st.sampled_from([Kind.SIZE, Kind.UINT, Kind.DURATION]), st.integers(0, 2**62))
def test_what_is_shown_reads_back(kind: Kind, value: int) -> None:
    assert parse_value(flag(kind), show_value(kind, value)) == value


@given(st.sampled_from(list(Kind)), st.text())
def test_no_text_crashes_a_parser(kind: Kind, text: str) -> None:
    with suppress(InvalidArgumentError):
        parse_value(flag(kind), text)
