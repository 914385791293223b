"""Conditional requests, case by case (RFC 9110, 13)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiscore.server.conditions import check_read, keeps_range

ETAG = "00ff"
SECOND = 10**9
WRITTEN = 1_700_000_000 * SECOND + 123
THEN = "Tue, 14 Nov 2023 22:13:20 GMT"
BEFORE = "Tue, 14 Nov 2023 22:13:19 GMT"
AFTER = "Tue, 14 Nov 2023 22:13:21 GMT"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, None),
        ({"if-none-match": '"00ff"'}, 304),
        ({"if-none-match": "00ff"}, 304),
        ({"if-none-match": 'W/"00ff"'}, 304),
        ({"if-none-match": '"a", "b,c" ,"00ff"'}, 304),
        ({"if-none-match": '"a,00ff"'}, None),
        ({"if-none-match": " * "}, 304),
        ({"if-none-match": ""}, None),
        ({"if-match": '"00ff"'}, None),
        ({"if-match": "*"}, None),
        ({"if-match": 'W/"00ff"'}, 412),
        ({"if-match": '"00FF"'}, 412),
        ({"if-match": ""}, 412),
        ({"if-modified-since": THEN}, 304),
        ({"if-modified-since": AFTER}, 304),
        ({"if-modified-since": BEFORE}, None),
        ({"if-modified-since": "junk"}, None),
        ({"if-unmodified-since": THEN}, None),
        ({"if-unmodified-since": AFTER}, None),
        ({"if-unmodified-since": BEFORE}, 412),
        ({"if-unmodified-since": "junk"}, None),
        # A tag counts more than a date, and what the client expects more than what it has.
        ({"if-match": '"00ff"', "if-unmodified-since": BEFORE}, None),
        ({"if-none-match": '"x"', "if-modified-since": AFTER}, None),
        ({"if-match": '"x"', "if-none-match": '"00ff"'}, 412),
        ({"if-match": '"00ff"', "if-none-match": '"00ff"'}, 304),
    ],
)
def test_conditions_of_reads(headers: dict[str, str], status: int | None) -> None:
    assert check_read(headers.get, ETAG, WRITTEN) == status


@pytest.mark.parametrize(
    ("if_range", "keeps"),
    [
        (None, True),
        ('"00ff"', True),
        ('W/"00ff"', False),
        ('"x"', False),
        (THEN, True),
        (AFTER, False),
        (BEFORE, False),
        ("junk", False),
    ],
)
def test_a_range_is_kept_for_the_same_content_only(if_range: str | None, keeps: bool) -> None:
    assert keeps_range(if_range, ETAG, WRITTEN) is keeps


@given(st.text(max_size=60))
def test_junk_is_never_more_than_a_condition_that_fails(text: str) -> None:
    assert check_read({"if-match": text}.get, ETAG, WRITTEN) in {None, 412}
    assert check_read({"if-none-match": text}.get, ETAG, WRITTEN) in {None, 304}
    assert check_read({"if-modified-since": text}.get, ETAG, WRITTEN) in {None, 304}
    keeps_range(text, ETAG, WRITTEN)


@given(st.lists(st.text(st.characters(exclude_characters='"', codec="latin-1"), max_size=8)))
def test_a_tag_is_found_in_every_list_that_holds_it(tags: list[str]) -> None:
    listed = ", ".join(f'"{tag}"' for tag in [*tags, ETAG])
    assert check_read({"if-none-match": listed}.get, ETAG, WRITTEN) == 304
    without = ", ".join(f'"{tag}"' for tag in tags if tag != ETAG) or '"none"'
    assert check_read({"if-match": without}.get, ETAG, WRITTEN) == 412
