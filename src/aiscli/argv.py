"""Go-style flags in words that the option parser understands. Pure: words in, words out.

Upstream's users write `-archpath=x`, `-limit 3` and `--headers=false`. One dash in front of a long
option becomes two; a boolean with a value becomes the plain flag, its negation, or nothing; a word
that only looks like an option because it is a negative number stays a positional argument.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from aiscore.errors import InvalidArgumentError
from aiscore.model.units import parse_bool, parse_duration

__all__ = ["ACCEPTED", "Flag", "drop_accepted", "normalise"]

_NEGATIVE_NUMBER = re.compile(r"-\d[\w.]*")


@dataclass(frozen=True, slots=True)
class Flag:
    """One option as declared.

    Attributes:
        names: every spelling with its dashes, e.g. ("--non-recursive", "--nr", "-nr").
        negations: spellings that switch it off, e.g. ("--no-streaming",).
        takes_value: False for a boolean.
    """

    names: tuple[str, ...]
    negations: tuple[str, ...] = ()
    takes_value: bool = False


ACCEPTED: tuple[Flag, ...] = (
    Flag(("--wait",)),
    Flag(("--timeout",), takes_value=True),
    Flag(("--refresh",), takes_value=True),
    Flag(("--verbose", "-v")),
    Flag(("--non-verbose", "--nv", "-nv")),
    Flag(("--silent",)),
    Flag(("--skip-lookup",)),
    Flag(("--encode-objname",)),
)
"""Flags that AIStore's commands on buckets and objects have and scripts pass, and that ask for what
happens here anyway: an operation is complete when its command ends."""


def drop_accepted(args: Sequence[str], flags: Sequence[Flag]) -> list[str]:
    """Normalise the words, and leave out flags of `ACCEPTED` that the command does not have itself.

    Raises:
        InvalidArgumentError: a value is not a duration, or see `normalise`.
    """
    declared = {name for flag in flags for name in flag.names}
    accepted = [flag for flag in ACCEPTED if declared.isdisjoint(flag.names)]
    words = normalise(args, [*flags, *accepted])
    table = {name: flag for flag in (*flags, *accepted) for name in (*flag.names, *flag.negations)}
    dropped = {name for flag in accepted for name in flag.names}
    kept: list[str] = []
    index = 0
    while index < len(words):
        word = words[index]
        if word == "--":
            return kept + words[index:]
        end = index + 1 + _wants_next(word, table)
        name, equals, value = word.partition("=")
        if name not in dropped:
            kept += words[index:end]
        elif table[name].takes_value:
            given = [value] if equals else words[index + 1 : end]
            try:
                parse_duration(given[0] if given else "")
            except InvalidArgumentError as error:
                raise InvalidArgumentError(f"{name}: {error.message}", hint=error.hint) from None
        index = end
    return kept


def normalise(args: Sequence[str], flags: Iterable[Flag]) -> list[str]:
    """Rewrite the words of one command, given its options.

    Words after `--` and values of options are never touched.

    Raises:
        InvalidArgumentError: a boolean option has a value that is not a boolean.
    """
    table = {name: flag for flag in flags for name in (*flag.names, *flag.negations)}
    options: list[str] = []
    positionals: list[str] = []
    in_order: list[str] = []
    needs_separator = False
    words = iter(args)
    for word in words:
        if word == "--":
            rest = list(words)
            positionals += rest
            in_order += [word, *rest]
            break
        if word == "-" or not word.startswith("-"):
            positionals.append(word)
            in_order.append(word)
            continue
        if _NEGATIVE_NUMBER.fullmatch(word) and word not in table:
            needs_separator = True
            positionals.append(word)
            in_order.append(word)
            continue
        rewritten = _rewrite(word, table)
        if rewritten and _wants_next(rewritten[-1], table):
            rewritten += [value for value in [next(words, None)] if value is not None]
        options += rewritten
        in_order += rewritten
    return [*options, "--", *positionals] if needs_separator else in_order


def _rewrite(word: str, table: dict[str, Flag]) -> list[str]:
    name, equals, value = word.partition("=")
    if name not in table and not name.startswith("--") and f"-{name}" in table:
        name = f"-{name}"
    flag = table.get(name)
    if flag is None:
        return [word]
    if not equals:
        return [name]
    if flag.takes_value:
        return [f"{name}={value}"] if name.startswith("--") else [name, value]
    try:
        is_on = parse_bool(value)
    except InvalidArgumentError:
        raise InvalidArgumentError(f'invalid boolean value "{value}" of {name}') from None
    if name in flag.negations:
        is_on = not is_on
    if is_on:
        return [flag.names[0]]
    return [flag.negations[0]] if flag.negations else []


def _wants_next(word: str, table: dict[str, Flag]) -> bool:
    """True when the value of the option `word` is the next word."""
    flag = table.get(word)
    if flag is not None:
        return flag.takes_value
    if word.startswith("--") or len(word) < 3:
        return False
    for position, letter in enumerate(word[1:], 2):  # a cluster of one-letter options: -jHo json
        flag = table.get(f"-{letter}")
        if flag is None:
            return False
        if flag.takes_value:
            return position == len(word)
    return False
