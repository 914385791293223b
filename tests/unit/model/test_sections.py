"""The mechanism under every tree, on a small tree of its own."""

import dataclasses
import json
import pickle
from enum import StrEnum

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiscore.errors import InvalidArgumentError
from aiscore.model.assignments import parse_assignments
from aiscore.model.bitmask import BitNames
from aiscore.model.fields import (
    bitmask,
    duration,
    enum,
    flag,
    integer,
    real,
    size,
    text,
    timestamp,
)
from aiscore.model.fieldspec import CENSORED
from aiscore.model.sections import (
    Section,
    flatten,
    from_wire,
    property_names,
    replace_path,
    section,
    settings,
    to_wire,
)
from aiscore.model.units import GIB, INT64_MAX, KIB, MINUTE, SECOND, UINT64_MAX

BITS = BitNames("bit", ("one", "two", "four"), {"all": 7})


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


@settings
class Inner(Section):
    limit: int = size(GIB, minimum=KIB, maximum=5 * GIB, zero_means=GIB, also=(-1,))
    wait_ns: int = duration(MINUTE, minimum=SECOND)
    ratio: float = real(0.5, minimum=0, maximum=1)
    colour: Colour = enum(Colour.RED, blank=Colour.RED)
    plain: int = size(256 * KIB, unquoted=True)


@settings
class Tree(Section):
    inner: Inner = section(Inner)
    name: str = text("tree", readonly=True)
    note: str = text(omit_empty=True)
    key: str = text(secret=True)
    mask: int = bitmask(0, BITS)
    serial: int = integer(7, maximum=UINT64_MAX, quoted=True, readonly=True, hidden=True)
    born: int = timestamp()
    on: bool = flag(False)
    off: bool = flag(True)

    def check_rules(self, path: str) -> None:
        if self.on and not self.off:
            raise InvalidArgumentError("on needs off")


trees = st.builds(
    Tree,
    inner=st.builds(
        Inner,
        limit=st.integers(KIB, 5 * GIB) | st.just(-1),
        wait_ns=st.integers(SECOND, INT64_MAX),
        ratio=st.floats(0, 1),
        colour=st.sampled_from(Colour),
        plain=st.integers(0, INT64_MAX),
    ),
    note=st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=20),
    key=st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=20).filter(
        lambda value: value != CENSORED
    ),
    mask=st.integers(0, 7),
    serial=st.integers(0, UINT64_MAX),
    born=st.integers(0, INT64_MAX),
    on=st.booleans(),
)


def test_wire_encodings() -> None:
    assert to_wire(Tree(mask=5)) == {
        "inner": {"limit": "1GiB", "wait": "1m", "ratio": 0.5, "colour": "red", "plain": 262144},
        "name": "tree",
        "key": "",
        "mask": "5",
        "serial": "7",
        "born": "0",
        "on": False,
        "off": True,
    }


@given(trees)
def test_wire_round_trips_through_json(tree: Tree) -> None:
    tree.validate()
    again = from_wire(Tree, json.loads(json.dumps(to_wire(tree, reveal=True))))
    assert again == tree
    assert hash(again) == hash(tree)


@given(trees)
def test_what_is_shown_can_be_set_again(tree: Tree) -> None:
    shown = flatten(tree)
    assert shown["key"] == (CENSORED if tree.key else "")
    settable = {key: value for key, value in shown.items() if key not in {"name", "born", "key"}}
    again = replace_path(Tree(), settable)
    assert again == dataclasses.replace(tree, serial=7, born=0, key="")


def test_reading_is_tolerant_about_case_type_and_strangers() -> None:
    tree = from_wire(
        Tree,
        {
            "INNER": {
                "Limit": 2048,
                "wait": 5 * SECOND,
                "plain": "1KiB",
                "colour": "",
                "ratio": "1",
            },
            "mask": 3,
            "serial": 18446744073709551615,
            "on": "yes",
            "off": None,
            "unheard": [1],
        },
    )
    assert tree.inner == Inner(limit=2048, wait_ns=5 * SECOND, plain=1024, ratio=1.0)
    assert (tree.mask, tree.serial, tree.on, tree.off) == (3, UINT64_MAX, True, True)


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ({"inner": 5}, "inner: expected a JSON object"),
        ({"inner": {"limit": True}}, "inner.limit: invalid value"),
        ({"inner": {"colour": "green"}}, "inner.colour: invalid value .* one of: red, blue"),
        ({"inner": {"ratio": "nan"}}, "inner.ratio: invalid value"),
        ({"on": 2}, "on: invalid value"),
        ({"note": 5}, "note: invalid value"),
        ({"mask": "eight"}, "mask: unknown bit"),
        ({"inner": {"wait": 1.5}}, "inner.wait: invalid value"),
        ({"born": 10**30}, "born: invalid value .* nanoseconds"),
    ],
)
def test_wrong_types_name_the_key(raw: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        from_wire(Tree, raw)


def test_flatten_is_sorted_and_leaves_out_what_is_hidden_or_empty() -> None:
    shown = flatten(Tree(inner=Inner(limit=-1), mask=6, on=True, born=1_700_000_000 * SECOND))
    assert shown == {
        "born": "2023-11-14T22:13:20Z",
        "inner.colour": "red",
        "inner.limit": "-1B",
        "inner.plain": "262144",
        "inner.ratio": "0.5",
        "inner.wait": "1m",
        "key": "",
        "mask": "two,four",
        "name": "tree",
        "off": "true",
        "on": "true",
    }
    assert list(shown) == sorted(shown)
    assert "serial" not in property_names(Tree)
    assert "note" in property_names(Tree)


def test_replace_changes_only_what_is_named() -> None:
    before = Tree()
    after = replace_path(before, {"Inner.Limit": "10mb", "mask": "one,two"})
    assert after == Tree(inner=Inner(limit=10 << 20), mask=3)
    assert before == Tree()
    assert replace_path(before, {}) == before


def test_zero_takes_its_meaning() -> None:
    assert Inner(limit=0).limit == GIB
    assert replace_path(Tree(), {"inner.limit": "0"}).inner.limit == GIB


@pytest.mark.parametrize(
    ("changes", "message", "hint"),
    [
        ({"inner.limt": "1"}, 'unknown property "inner.limt"', 'did you mean "inner.limit"'),
        ({"xyzzy": "1"}, 'unknown property "xyzzy"', "sections: born, inner,"),
        ({"inner": "1"}, 'unknown property "inner"', "is a section; set one of: inner.colour"),
        ({"inner.limit.x": "1"}, 'unknown property "inner.limit.x"', "inner.limit"),
        ({"name": "tree"}, 'property "name" is readonly', None),
        ({"serial": "1"}, 'property "serial" is readonly', None),
    ],
)
def test_wrong_names_are_refused(changes: dict[str, str], message: str, hint: str | None) -> None:
    with pytest.raises(InvalidArgumentError, match=message) as info:
        replace_path(Tree(), changes)
    assert (hint is None) == (info.value.hint is None)
    assert hint is None or hint in str(info.value.hint)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"inner.limit": "1"}, r"invalid inner.limit=1B \(expected range \[1KiB, 5GiB\] or -1B\)"),
        ({"inner.wait": "0.1s"}, "inner.wait: invalid duration|expected >= 1s"),
        ({"inner.wait": "100ms"}, r"invalid inner.wait=100ms \(expected >= 1s\)"),
        ({"inner.ratio": "2"}, r"invalid inner.ratio=2.0 \(expected range \[0, 1\]\)"),
        ({"inner.limit": "lots"}, 'inner.limit: invalid size "lots"'),
        ({"note": "a\x00b"}, "printable"),
        ({"note": "x" * 2000}, "at most 1024"),
        ({"on": "true", "off": "false"}, "on needs off"),
    ],
)
def test_bad_values_name_key_value_and_expectation(changes: dict[str, str], message: str) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        replace_path(Tree(), changes)


def test_secrets_stay_secret() -> None:
    tree = Tree(key="hunter2")
    assert "hunter2" not in repr(tree) + str(flatten(tree)) + str(to_wire(tree))
    assert to_wire(tree, reveal=True)["key"] == "hunter2"
    with pytest.raises(InvalidArgumentError, match="key: ") as info:
        replace_path(tree, {"key": CENSORED})
    assert "hunter2" not in info.value.message
    with pytest.raises(InvalidArgumentError) as info:
        replace_path(tree, {"key": "hunter3\n"})
    assert "hunter3" not in info.value.message


def test_sections_are_frozen_values() -> None:
    tree = Tree()
    with pytest.raises(dataclasses.FrozenInstanceError):
        tree.mask = 1  # type: ignore[misc]
    with pytest.raises(dataclasses.FrozenInstanceError):
        del tree.mask
    with pytest.raises(TypeError, match="nonsense"):
        dataclasses.replace(tree, nonsense=1)  # type: ignore[call-arg]
    assert pickle.loads(pickle.dumps(tree)) == tree
    assert tree != Inner()
    assert not hasattr(tree, "__dict__")


@pytest.mark.parametrize(
    ("args", "changes"),
    [
        (["mask=one", "on = true"], {"mask": "one", "on": "true"}),
        (["inner.limit", "1KiB", "Mask=two"], {"inner.limit": "1KiB", "mask": "two"}),
        (["note="], {"note": ""}),
        (["note=a=b"], {"note": "a=b"}),
        (
            ['{"inner": {"wait": 5, "limit": 7, "ratio": 0.5}, "on": true}'],
            {"inner.wait": "5ns", "inner.limit": "7", "inner.ratio": "0.5", "on": "true"},
        ),
        ([' {"mask": ["one", "two"]} '], {"mask": "one,two"}),
        (
            {"inner": {"colour": "blue"}, "inner.limit": 9},
            {"inner.colour": "blue", "inner.limit": "9"},
        ),
        ([], {}),
    ],
)
def test_assignments(args: list[str] | dict[str, object], changes: dict[str, str]) -> None:
    assert parse_assignments(Tree, args) == changes


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["unknown.field"], 'invalid property "unknown.field"'),
        (["=1"], 'invalid property "=1"'),
        (["mask"], 'missing property "mask" value'),
        (["mask=1", "MASK=2"], 'property "mask" is given twice'),
        (['{"a": '], "invalid JSON"),
        (["{" * 5000], "invalid JSON"),
        (['{"a":' * 400 + "1" + "}" * 400], "more than 8 levels"),
        (['{"mask": {"x": null}}'], 'property "mask.x" has no usable value'),
        (['{"mask": [1]}'], 'property "mask" has no usable value'),
    ],
)
def test_malformed_assignments(args: list[str], message: str) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        parse_assignments(Tree, args)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_any_json_is_read_or_refused(raw: object) -> None:
    for candidate in (raw, {"inner": raw}, {"mask": raw}, {"inner": {"wait": raw}}):
        if isinstance(candidate, dict):
            try:
                from_wire(Tree, candidate)
                replace_path(Tree(), parse_assignments(Tree, candidate))
            except InvalidArgumentError:
                continue
