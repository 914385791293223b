"""Go-style words become words of the option parser."""

import pytest

from aiscli.argv import Flag, normalise
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
