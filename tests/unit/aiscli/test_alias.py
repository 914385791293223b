"""Aliases in the words of a command line."""

import pytest

from aiscli.actions.settings.alias import SetAliasRequest
from aiscli.alias import effective_aliases, expand
from aiscli.config import Setting, Settings
from aiscli.tree import ALIASES
from aiscore.errors import InvalidArgumentError


def settings(removed: tuple[str, ...] = (), **aliases: str) -> Settings:
    unset = Setting("", "default")
    return Settings(
        endpoint=unset,
        output_format=unset,
        no_input=False,
        no_color=False,
        aliases=aliases,
        removed_aliases=frozenset(removed),
    )


def test_the_first_word_is_replaced_once() -> None:
    own = settings(lsl="ls --props 'a b'", ls="ls --json", config="ls")
    assert expand(["lsl", "lsl"], own) == ["ls", "--props", "a b", "lsl"]
    assert expand(["ls"], own) == ["ls", "--json"]
    assert expand(["get", "lsl"], own) == ["get", "lsl"]
    assert expand([], own) == []
    assert expand(["config", "reset"], own) == ["config", "reset"], "the way out stays open"


def test_a_removed_shortcut_is_unknown() -> None:
    with pytest.raises(InvalidArgumentError, match="ais ls") as raised:
        expand(["ls"], settings(removed=("ls",)))
    assert "bucket ls" in str(raised.value.hint)
    assert "ls" not in effective_aliases(settings(removed=("ls",)), ALIASES)


def test_an_open_quote_is_an_error() -> None:
    with pytest.raises(InvalidArgumentError, match="invalid alias command"):
        expand(["x"], settings(x="ls 'a"))


@pytest.mark.parametrize("name", ["", "1x", "a b", "-x", "a/b", "config", "alias"])
def test_names_that_cannot_be(name: str) -> None:
    with pytest.raises(InvalidArgumentError):
        SetAliasRequest(name=name, words=("ls",))


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("ls --props all",), "ls --props all"),
        (("bucket", "ls"), "bucket ls"),
        (("ls", "a b"), "ls 'a b'"),
    ],
)
def test_one_word_or_many(words: tuple[str, ...], line: str) -> None:
    assert SetAliasRequest(name="x", words=words).line == line


@pytest.mark.parametrize(
    ("line", "given", "expected"),
    [
        ("cat ais://b/s-$1.tar", ["7"], ["cat", "ais://b/s-7.tar"]),
        (
            "cat ais://b/s-$1.tar",
            ["7", "--offset", "1"],
            ["cat", "ais://b/s-7.tar", "--offset", "1"],
        ),
        ("cp ais://$2 ais://$1", ["a", "b"], ["cp", "ais://b", "ais://a"]),
        ("cp $1 $1", ["a"], ["cp", "a", "a"]),
        ("rm $@ --yes", ["a", "b c"], ["rm", "a", "b c", "--yes"]),
        ("rm $@", [], ["rm"]),
        ("find ais://b --name '*$@*'", ["a", "b"], ["find", "ais://b", "--name", "*a b*"]),
        ("ls $0 $x", ["a"], ["ls", "$0", "$x", "a"]),
        ("cat $1", ["$2"], ["cat", "$2"]),
    ],
)
def test_placeholders(line: str, given: list[str], expected: list[str]) -> None:
    assert expand(["x", *given], settings(x=line)) == expected


def test_a_missing_word_is_an_error_but_not_while_it_is_typed() -> None:
    own = settings(x="cp ais://$1 ais://$2 --dry-run")
    with pytest.raises(InvalidArgumentError, match="needs 2 arguments, found 1"):
        expand(["x", "a"], own)
    assert expand(["x", "a"], own, partial=True) == ["cp", "ais://a"]
