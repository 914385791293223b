from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiscore.errors import InvalidArgumentError
from aiscore.model.template import NAME_COUNT_MAX, parse_template


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("prefix-{0010..0013..2}-suffix", ["prefix-0010-suffix", "prefix-0012-suffix"]),
        ("{0010..0013..2}-gap-{1..2}", ["0010-gap-1", "0010-gap-2", "0012-gap-1", "0012-gap-2"]),
        ("a{1..2..3}", ["a1"]),
        ("{8..11}", ["8", "9", "10", "11"]),
        ("{1..02}", ["1", "2"]),
        ("{001..2}", ["1", "2"]),
        ("{08..10}", ["08", "09", "10"]),
        ("{1..2}}", ["1}", "2}"]),
        ("pre@02", ["pre00", "pre01", "pre02"]),
        ("@1-@1.tar", ["0-0.tar", "0-1.tar", "1-0.tar", "1-1.tar"]),
    ],
)
def test_names_in_order(text: str, names: list[str]) -> None:
    template = parse_template(text)
    assert list(template) == names
    assert template.count == len(names)
    assert not template.is_prefix
    assert not template.is_all
    assert all(template.matches(name) for name in names)


def test_padding_is_that_of_the_shorter_bound() -> None:
    assert next(iter(parse_template("{0..100}"))) == "0"
    assert next(iter(parse_template("{001..100}"))) == "001"


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("pre-%06d-suf", ["pre-000000-suf", "pre-000001-suf"]),
        ("%d", ["0", "1"]),
        ("p-%00d", ["p-0", "p-1"]),
    ],
)
def test_counter_without_end(text: str, first: list[str]) -> None:
    template = parse_template(text)
    assert list(islice(template, 2)) == first
    assert template.count is None


@pytest.mark.parametrize(
    ("text", "prefix"),
    [
        ("logs/2025/", "logs/2025/"),
        ("a*", "a"),
        ("a**", "a*"),
        ("a%06d%d", "a%06d%d"),
        ("a}b", "a}b"),
    ],
)
def test_anything_else_is_a_prefix(text: str, prefix: str) -> None:
    template = parse_template(text)
    assert template.is_prefix
    assert not template.is_all
    assert template.prefix == prefix
    assert template.count is None
    assert template.matches(prefix + "x")
    assert not template.matches("z" + prefix)
    with pytest.raises(InvalidArgumentError, match="prefix-only"):
        iter(template)


@pytest.mark.parametrize("text", ["", "*"])
def test_empty_and_star_are_all(text: str) -> None:
    template = parse_template(text)
    assert template.is_all
    assert template.is_prefix
    assert template.prefix == ""
    assert template.matches("anything")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("p-{001..009", "not closed"),
        ("}{1..2}", "comes before"),
        ("{1..2}}-{3..4}", "comes before"),
        ("{002..001}", "starts after its end"),
        ("{-1..9}", "not a range"),
        ("{1..9..-1}", "not a range"),
        ("{1..9..0}", "step 0"),
        ("{1..9..2s}", "not a range"),
        ("{00..10..0111..2}", "not a range"),
        ("{010..}", "not a range"),
        ("{..}", "not a range"),
        ("{}", "not a range"),
        ("{{1..2}}", "not a range"),
        ("{1..2{3..4}}", "not a range"),
        ("{٣..٤}", "not a range"),
        ("{a..z}", "not a range"),
        ("a@-1", "not followed by a number"),
        ("a@@1", "not followed by a number"),
        ("me@home", "not followed by a number"),
        ("p-%6d", "not followed by d"),
        ("p-%0d", "not followed by d"),
        ("p-%06", "not followed by d"),
        ("p-%0-6d", "not followed by d"),
        ("p-%0999d", "width"),
        ("{0..10000000}", "stands for 10000001 names"),
        ("{1..10000}{1..10000}", "stands for 100000000 names"),
        ("@99999999999", "names, the limit"),
        ("{0..9999999999999999999}", "more than 9223372036854775807"),
        ("{0.." + "9" * 300 + "}", "more than 255 digits"),
        ("@1" * 33, "more than 32 ranges"),
        ("x" * 5000, "5000 characters"),
    ],
)
def test_syntax_errors_say_what_is_wrong(text: str, why: str) -> None:
    with pytest.raises(InvalidArgumentError, match=why):
        parse_template(text)


def test_ten_million_names_are_still_lazy() -> None:
    template = parse_template("x{1..10000000}")
    assert template.count == NAME_COUNT_MAX
    assert next(iter(template)) == "x1"


@pytest.mark.parametrize(
    ("text", "name", "expected"),
    [
        ("{8..12}", "10", True),
        ("{8..12}", "010", False),
        ("{8..12}", "7", False),
        ("{08..12}", "8", False),
        ("{0..10..5}", "6", False),
        ("{1..12}{1..3}", "121", True),
        ("{1..12}{1..3}", "14", False),
        ("a%03d.tar", "a1234.tar", True),
        ("a%03d.tar", "a01234.tar", False),
        ("a%03d.tar", "a12.tar", False),
        ("a{1..2}", "a1b", False),
        ("a{1..2}", "a٣", False),
        ("a{1..2}", "b1", False),
    ],
)
def test_matches(text: str, name: str, expected: bool) -> None:
    assert parse_template(text).matches(name) is expected


ranges = st.tuples(
    st.integers(0, 30), st.integers(0, 30), st.integers(1, 5), st.integers(1, 3)
).map(lambda t: f"{{{min(t[:2]):0{t[3]}d}..{max(t[:2]):0{t[3]}d}..{t[2]}}}")
gaps = st.text("ab0.-", max_size=2)
templates = st.lists(st.tuples(gaps, ranges), min_size=1, max_size=2).map(
    lambda parts: "".join(gap + one for gap, one in parts)
)


@given(templates, gaps, st.text("ab0123.-", max_size=6))
def test_matching_is_membership_in_the_expansion(body: str, tail: str, other: str) -> None:
    template = parse_template(body + tail)
    names = list(template)
    assert len(names) == template.count
    assert all(template.matches(name) for name in names)
    assert template.matches(other) is (other in set(names))


@given(st.text(st.sampled_from("{}.@%*0123456789dab-"), max_size=25) | st.text(max_size=25))
def test_parser_never_crashes(text: str) -> None:
    try:
        template = parse_template(text)
    except InvalidArgumentError:
        return
    if not template.is_prefix:
        for name in islice(template, 3):
            assert template.matches(name)
    template.matches(text)
