"""What `find` reads from its flags."""

from datetime import UTC, datetime

import pytest

from aiscli.actions.browse.find import SizeLimit, read_size_limit, read_time
from aiscore.errors import InvalidArgumentError
from aiscore.model.units import HOUR, MINUTE, SECOND, Units

NOW = 1_800_000_000 * SECOND


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        ("+10", SizeLimit(11, None)),
        ("-10", SizeLimit(None, 9)),
        ("10", SizeLimit(10, 10)),
        ("+1KiB", SizeLimit(1025, None)),
        ("-1k", SizeLimit(None, 999)),
    ],
)
def test_sizes(text: str, limit: SizeLimit) -> None:
    assert read_size_limit(text) == limit


def test_sizes_in_units() -> None:
    assert read_size_limit("1k", Units.IEC) == SizeLimit(1024, 1024)


@pytest.mark.parametrize("text", ["", "+", "x", "--1", "+-1", "1.5"])
def test_no_size(text: str) -> None:
    with pytest.raises(InvalidArgumentError, match="--size"):
        read_size_limit(text)


@pytest.mark.parametrize(
    ("text", "ago_ns"),
    [
        ("90m", 90 * MINUTE),
        ("30", 30 * SECOND),
        ("2d", 48 * HOUR),
        ("1w", 7 * 24 * HOUR),
        ("1w12h", 180 * HOUR),
        ("1d30m", 24 * HOUR + 30 * MINUTE),
    ],
)
def test_how_long_ago(text: str, ago_ns: int) -> None:
    assert read_time(text, "--newer", NOW) == NOW - ago_ns


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-01-31", datetime(2026, 1, 31, tzinfo=UTC)),
        ("2026-01-31T12:30", datetime(2026, 1, 31, 12, 30, tzinfo=UTC)),
        ("2026-01-31T12:30:00+02:00", datetime(2026, 1, 31, 10, 30, tzinfo=UTC)),
        ("2026-01-31T12:30:00Z", datetime(2026, 1, 31, 12, 30, tzinfo=UTC)),
    ],
)
def test_dates(text: str, moment: datetime) -> None:
    assert read_time(text, "--older", NOW) == int(moment.timestamp()) * SECOND


@pytest.mark.parametrize(
    "text", ["", "x", "2026-13-01", "1y", "d", "99999999999999d", "2d2026-01-01"]
)
def test_no_time(text: str) -> None:
    with pytest.raises(InvalidArgumentError, match="--older: invalid time"):
        read_time(text, "--older", NOW)
