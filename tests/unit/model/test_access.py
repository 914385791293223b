from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiscore.errors import InvalidArgumentError
from aiscore.model.access import ACCESS_NAMES, Access, allows, format_access, parse_access
from aiscore.model.units import UINT64_MAX


def test_bits_are_those_of_the_wire() -> None:
    names = ACCESS_NAMES.names
    assert len(names) == 18
    for bit, name in enumerate(names):
        assert getattr(Access, name.replace("-", "_")) == 1 << bit
    assert Access.RO == Access.GET | Access.HEAD_OBJECT | Access.HEAD_BUCKET | Access.LIST_OBJECTS
    assert Access.RW == 831
    assert Access.CLUSTER_RW == (1 << 17) - (1 << 12)


@pytest.mark.parametrize(
    ("text", "mask"),
    [
        ("GET,PUT", 5),
        ("get, head-object", 3),
        ("ro", 771),
        ("rw", 831),
        ("su", UINT64_MAX),
        ("0x342", 0x342),
        ("18446744073709551615", UINT64_MAX),
        ("ro,PUT", 775),
        ("none", 0),
        ("", 0),
    ],
)
def test_permissions_parse_from_names_groups_and_numbers(text: str, mask: int) -> None:
    assert parse_access(text) == mask


def test_unknown_permission_names_the_nearest() -> None:
    with pytest.raises(
        InvalidArgumentError, match='unknown access permission "HEAD-OBJET"'
    ) as info:
        parse_access("HEAD-OBJET")
    assert info.value.hint == 'did you mean "HEAD-OBJECT"'
    with pytest.raises(InvalidArgumentError, match="64 bits"):
        parse_access("18446744073709551616")


def test_all_permissions_are_shown_by_name() -> None:
    assert format_access(Access.ALL) == ",".join(ACCESS_NAMES.names)
    assert format_access(0) == "none"
    assert format_access(1 << 40) == "0x10000000000"


def test_allows_wants_every_bit() -> None:
    assert allows(Access.RO, Access.GET | Access.LIST_OBJECTS)
    assert not allows(Access.RO, Access.GET | Access.PUT)


@given(st.integers(0, (1 << 18) - 1))
def test_masks_round_trip(mask: int) -> None:
    assert parse_access(format_access(mask)) == mask
    assert parse_access(hex(mask)) == mask == parse_access(str(mask))


@given(st.text(max_size=80))
def test_parser_never_crashes(text: str) -> None:
    with suppress(InvalidArgumentError):
        assert 0 <= parse_access(text) <= UINT64_MAX
