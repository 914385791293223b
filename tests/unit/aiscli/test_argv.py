"""Go-style words become words of the option parser."""

import pytest

from aiscli.argv import Flag, drop_accepted, normalise
from aiscore.errors import InvalidArgumentError

FLAGS = [
    Flag(("--archpath",), takes_value=True),
    Flag(("--limit",), takes_value=True),
    Flag(("--output", "-o"), takes_value=True),
    Flag(("--json", "-j")),
    Flag(("--non-recursive", "--nr", "-nr")),
    Flag(("--streaming",), ("--no-streaming",)),
    Flag(("--offset",), takes_value=True),
]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["b", "-archpath=x"], ["b", "--archpath=x"]),
        (["-archpath", "x", "b"], ["--archpath", "x", "b"]),
        (["-limit", "3"], ["--limit", "3"]),
        (["-nr", "b"], ["-nr", "b"]),
        (["-json"], ["--json"]),
        (["-j"], ["-j"]),
        (["-o=json"], ["-o", "json"]),
        (["-ojson"], ["-ojson"]),
        (["-jo", "-x", "b"], ["-jo", "-x", "b"]),
        (["--json=true"], ["--json"]),
        (["--json=false"], []),
        (["-nr=yes"], ["--non-recursive"]),
        (["--streaming=false"], ["--no-streaming"]),
        (["--no-streaming=false"], ["--streaming"]),
        (["-streaming=F"], ["--no-streaming"]),
        (["a", "-"], ["a", "-"]),
        (["--archpath", "--json"], ["--archpath", "--json"]),
        (["--offset", "-5"], ["--offset", "-5"]),
        (["--", "-archpath=x"], ["--", "-archpath=x"]),
        (["--unknown=1", "-zz"], ["--unknown=1", "-zz"]),
        (["b", "-1", "--json"], ["--json", "--", "b", "-1"]),
        (["b", "-1", "--", "-json"], ["--", "b", "-1", "-json"]),
        ([], []),
    ],
)
def test_words_are_rewritten(given: list[str], expected: list[str]) -> None:
    assert normalise(given, FLAGS) == expected


def test_a_boolean_with_a_value_that_is_none_is_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="--json"):
        normalise(["--json=maybe"], FLAGS)


def test_an_option_without_its_value_is_left_to_the_parser() -> None:
    assert normalise(["--limit"], FLAGS) == ["--limit"]


@pytest.mark.parametrize(
    ("words", "kept"),
    [
        (["a", "--wait", "b"], ["a", "b"]),
        (["-wait", "--timeout", "1m", "a"], ["a"]),
        (["--timeout=90s", "--refresh", "5", "--nv", "-nv", "-v"], []),
        (["--wait=false", "a"], ["a"]),
        (["--name", "--wait", "a"], ["--name", "--wait", "a"]),
        (["--", "--wait"], ["--", "--wait"]),
        (["--unknown", "--wait"], ["--unknown"]),
        (["--silent", "-x", "--verbose"], ["-x", "--verbose"]),
    ],
)
def test_flags_that_change_nothing_are_left_out(words: list[str], kept: list[str]) -> None:
    flags = [Flag(("--name",), takes_value=True), Flag(("-x",)), Flag(("--verbose",))]
    if "-v" in words:
        flags.pop()
    assert drop_accepted(words, flags) == kept


@pytest.mark.parametrize("words", [["--timeout", "soon"], ["--timeout"], ["--refresh=x"]])
def test_their_values_are_checked_all_the_same(words: list[str]) -> None:
    with pytest.raises(InvalidArgumentError, match=words[0].partition("=")[0]):
        drop_accepted(words, [])
