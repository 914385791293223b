"""Patterns of names: wildcards behind a bucket, and `--include` and `--exclude`."""

import pytest

from aiscli.actions.transfers.filter import Glob, NameFilter
from aiscore.errors import InvalidArgumentError


@pytest.mark.parametrize(
    ("pattern", "yes", "no"),
    [
        ("*.jpg", ["a.jpg", ".jpg"], ["a/b.jpg", "a.jpg.tmp", "ajpg"]),
        ("a/*.jpg", ["a/b.jpg"], ["a/b/c.jpg", "a.jpg", "xa/b.jpg"]),
        ("a/**", ["a/b", "a/b/c"], ["a", "ab/c"]),
        ("a/**/z", ["a/z", "a/b/z", "a/b/c/z"], ["az", "a/bz"]),
        ("**.jpg", ["a.jpg", "a/b.jpg"], ["a.png"]),
        ("a?c", ["abc", "a c"], ["ac", "a/c", "abbc"]),
        ("[a-c]x", ["ax", "bx"], ["dx", "-x", "/x"]),
        ("[!a-c]x", ["dx", "^x"], ["ax", "/x"]),
        ("[]x]", ["]", "x"], ["[", "a"]),
        ("[a^&~|]", ["^", "&", "~", "|", "a"], ["b", "!"]),
        (r"\*", ["*"], ["a", r"\*"]),
        ("a.b", ["a.b"], ["axb"]),
        ("é*\n", ["éa\n"], ["éa"]),
    ],
)
def test_a_glob_matches_whole_names(pattern: str, yes: list[str], no: list[str]) -> None:
    glob = Glob.parse(pattern)
    assert [name for name in yes + no if glob.matches(name)] == yes
    assert all(name.startswith(glob.prefix) for name in yes)


@pytest.mark.parametrize(
    ("pattern", "yes", "no"),
    [
        ("*.tmp", ["a.tmp", "d/a.tmp", "d.tmp/x"], ["tmp", "a.tmpx"]),
        ("core", ["core", "a/core", "core/a", "a/core/b"], ["cored", "a/score"]),
        ("core/", ["core/a", "a/core/b"], ["core", "a/core"]),
        ("/core", ["core", "core/a"], ["a/core"]),
        ("a/b", ["a/b", "a/b/c"], ["x/a/b"]),
        ("a/b/", ["a/b/c"], ["a/b", "x/a/b/c"]),
    ],
)
def test_an_excluded_pattern_is_gitignores(pattern: str, yes: list[str], no: list[str]) -> None:
    names = NameFilter(excludes=[pattern])
    assert [name for name in yes + no if not names.accepts(name)] == yes


def test_exclude_wins_over_include() -> None:
    names = NameFilter(["*.jpg", "*.png"], ["tmp*"])
    assert names.accepts("a/b.png")
    assert not names.accepts("a/tmp.png")
    assert not names.accepts("a/b.gif")
    assert not NameFilter()
    assert NameFilter().accepts("anything")


@pytest.mark.parametrize("pattern", ["[ab", "a[", "", "/", "[z-a]", "x" * 4000])
def test_malformed_patterns_are_refused(pattern: str) -> None:
    with pytest.raises(InvalidArgumentError, match="pattern"):
        NameFilter(excludes=[pattern])


def test_a_hostile_pattern_does_not_hang() -> None:
    assert not Glob.parse("*a" * 12 + "b").matches("a" * 60)
