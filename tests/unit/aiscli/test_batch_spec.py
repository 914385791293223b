"""Which entries a get-batch command line stands for."""

import json

import pytest

from aiscli.actions.batches.batch_spec import parse_spec, plan_entries
from aiscore.errors import InvalidArgumentError
from aiscore.model.archive import ArchiveFormat
from aiscore.model.bucket import BucketRef, Provider


def pairs(*args: object, **kwargs: object) -> list[tuple[str, str | None]]:
    return [(e.name, e.archpath) for e in plan_entries(*args, **kwargs)]  # type: ignore[arg-type]


def test_one_archpath_applies_to_every_object() -> None:
    assert pairs(["a.tar", "b.tar"], ["x"]) == [("a.tar", "x"), ("b.tar", "x")]


def test_as_many_archpaths_as_objects_are_pairs_in_order() -> None:
    assert pairs(["a.tar", "b.tar"], ["x", "/y"]) == [("a.tar", "x"), ("b.tar", "y")]


def test_several_archpaths_with_one_object_are_files_of_it() -> None:
    assert pairs(["a.tar"], ["x", "y", "x"]) == [("a.tar", "x"), ("a.tar", "y"), ("a.tar", "x")]


def test_other_numbers_are_refused_and_stated() -> None:
    with pytest.raises(InvalidArgumentError, match="2 archpaths do not fit 3 objects"):
        plan_entries(["a", "b", "c"], ["x", "y"])


@pytest.mark.parametrize("archpaths", [[""], ["x", ""]])
def test_an_empty_archpath_is_refused(archpaths: list[str]) -> None:
    with pytest.raises(InvalidArgumentError, match="--archpath"):
        plan_entries(["a.tar"], archpaths)


def test_an_archpath_needs_an_object() -> None:
    with pytest.raises(InvalidArgumentError, match="at least one object"):
        plan_entries([], ["x"])


def test_a_file_of_a_shard_is_split_off_the_name() -> None:
    assert pairs(["d/a.tar/in/x.jpg", "b.tgz", "plain/x"]) == [
        ("d/a.tar", "in/x.jpg"),
        ("b.tgz", None),
        ("plain/x", None),
    ]


def test_splitting_can_be_switched_off() -> None:
    assert pairs(["a.tar/x"], split=False) == [("a.tar/x", None)]


def test_names_are_not_split_beside_an_archpath() -> None:
    assert pairs(["a.tar/b.tar"], ["x"]) == [("a.tar/b.tar", "x")]


def test_uris_bring_their_bucket() -> None:
    entries = plan_entries(["o", "s3://other/p.tar/m"])
    assert entries[0].bucket is None
    assert entries[1] == ("p.tar", BucketRef("other", Provider.AWS), "m", None, 0, 0)


def test_a_start_without_length_reads_to_the_end() -> None:
    assert plan_entries(["o"], start=5)[0][4:] == (5, -1)
    assert plan_entries(["o"], start=5, length=2)[0][4:] == (5, 2)


@pytest.mark.parametrize("name", ["../x", "", "/abs", "ais://b"])
def test_invalid_names_are_refused(name: str) -> None:
    with pytest.raises(InvalidArgumentError):
        plan_entries([name])


def test_a_spec_in_the_wire_form() -> None:
    spec = parse_spec(
        json.dumps(
            {
                "in": [
                    {"objname": "o", "start": 1, "length": 2, "opaque": "aGk="},
                    {"objname": "s.tar", "archpath": "m", "bucket": "c", "provider": "s3"},
                    {"uname": "ais/@#/d/p/q"},
                    {"objname": "t.tar/m2"},
                    "u.tar/m3",
                ],
                "mime": ".tgz",
                "coer": True,
                "onob": False,
            }
        )
    )
    assert [tuple(entry) for entry in spec.entries] == [
        ("o", None, None, b"hi", 1, 2),
        ("s.tar", BucketRef("c", Provider.AWS), "m", None, 0, 0),
        ("p/q", BucketRef("d"), None, None, 0, 0),
        ("t.tar", None, "m2", None, 0, 0),
        ("u.tar", None, "m3", None, 0, 0),
    ]
    assert spec.output_format is ArchiveFormat.TGZ
    assert (spec.cont_on_err, spec.only_obj_name, spec.streaming) == (True, False, None)


def test_a_spec_may_be_the_list_alone() -> None:
    assert parse_spec('["a", "b"]').entries[1].name == "b"


@pytest.mark.parametrize(
    "document",
    [
        "in:\n- objname: s.tar\n  archpath: m\n  start: 1\n  length: 2\n- t.tar/x\nmime: tgz\ncoer: true\n",
        "{in: [{objname: s.tar, archpath: m, start: 1, length: 2}, t.tar/x], mime: tgz, coer: yes}",
        (
            '{"in": [{"objname": "s.tar", "archpath": "m", "start": 1, "length": 2}, "t.tar/x"],'
            '"mime": "tgz", "coer": true}'
        ),
    ],
)
def test_yaml_says_the_same_as_json(document: str) -> None:
    spec = parse_spec(document)
    assert [tuple(entry) for entry in spec.entries] == [
        ("s.tar", None, "m", None, 1, 2),
        ("t.tar", None, "x", None, 0, 0),
    ]
    assert (spec.output_format, spec.cont_on_err) == (ArchiveFormat.TGZ, True)


def test_yaml_that_is_a_list() -> None:
    assert [entry.name for entry in parse_spec("- a\n- b\n").entries] == ["a", "b"]


@pytest.mark.parametrize(
    ("document", "hint"),
    [
        ("a: [", "while parsing"),
        ("in:\n- objname: 2026-01-01", "quote it"),
        ("!!python/object/apply:os.getcwd []", "could not determine a constructor"),
    ],
)
def test_what_is_wrong_with_yaml(document: str, hint: str) -> None:
    with pytest.raises(InvalidArgumentError) as raised:
        parse_spec(document)
    assert hint in str(raised.value.hint)


@pytest.mark.parametrize("document", ["- " * 100_000, "{a: " * 100_000, "[" * 100_000 + "a: b"])
def test_deep_nesting_is_refused(document: str) -> None:
    with pytest.raises(InvalidArgumentError, match="spec"):
        parse_spec(document)


@pytest.mark.parametrize(
    "document",
    [
        "3",
        '{"in": {}}',
        '{"in": [3]}',
        '{"in": [{}]}',
        '{"in": [{"objname": "a", "start": "1"}]}',
        '{"in": [{"objname": "a", "start": true}]}',
        '{"in": [{"objname": "a", "archpath": 1}]}',
        '{"in": [{"objname": "a", "opaque": "%"}]}',
        '{"in": [{"objname": "a", "bucket": 1}]}',
        '{"in": [{"objname": "a", "bucket": "b", "provider": "zz"}]}',
        '{"in": [{"objname": "../a"}]}',
        '{"in": [{"uname": "x"}]}',
        '{"in": ["a"], "coer": "yes"}',
        '{"in": ["a"], "mime": ".rar"}',
        "[" * 100_000,
    ],
)
def test_malformed_specs_are_refused(document: str) -> None:
    with pytest.raises(InvalidArgumentError):
        parse_spec(document)
