"""Aliases: a first word that stands for the beginning of a command line.

The built-in shortcuts are part of the command tree. The file holds what the user has added or
changed, and the names of the shortcuts that were removed. An alias is replaced once, in the words
of the command line, before anything looks at them: so it has the options, the help and the
completion of its command, and never leads to another alias.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from aiscore.errors import InvalidArgumentError

if TYPE_CHECKING:
    from aiscli.config import Settings

__all__ = ["RESERVED", "effective_aliases", "expand", "split_command", "user_aliases"]

RESERVED = frozenset({"alias", "config", "doctor", "help", "search", "version"})
"""Never an alias: what leads out of a bad configuration."""


_PLACEHOLDER = r"\$([1-9@])"


def expand(args: Sequence[str], settings: Settings, *, partial: bool = False) -> list[str]:
    """`args` with the alias in front replaced by what it stands for.

    In the command of an alias `$1` to `$9` stand for the words behind the alias and `$@` for all of
    them; those that no placeholder takes go to the end.

    Args:
        args: words of the command line.
        settings: with the aliases.
        partial: the line is not complete yet: cut it where a word is missing.

    Raises:
        InvalidArgumentError: a built-in shortcut that was removed, or too few words.
    """
    words = list(args)
    if not words:
        return words
    command = user_aliases(settings).get(words[0])
    if command is not None:
        if "$" not in command:
            return [*split_command(command), *words[1:]]
        return _fill(words[0], command, words[1:], partial=partial)
    if words[0] in settings.removed_aliases:
        from aiscli.tree import ALIASES

        if words[0] in ALIASES:
            raise InvalidArgumentError(
                f"unknown command 'ais {words[0]}' - the alias was removed",
                hint=f"use 'ais {ALIASES[words[0]]}', or bring all back: ais alias reset",
            )
    return words


def _fill(name: str, command: str, given: list[str], *, partial: bool) -> list[str]:
    """The words of a command with placeholders, and the rest of `given`."""
    words = split_command(command)
    used = {int(found) for word in words for found in re.findall(r"\$([1-9])", word)}
    if used and max(used) > len(given) and not partial:
        raise InvalidArgumentError(
            f'alias "{name}" needs {max(used)} arguments, found {len(given)}',
            hint=f"it stands for: ais {command}",
        )
    filled: list[str] = []
    for word in words:
        needed = [int(found) for found in re.findall(r"\$([1-9])", word)]
        if needed and max(needed) > len(given):
            return filled
        if word == "$@":
            filled += given
            continue
        filled.append(
            re.sub(
                _PLACEHOLDER,
                lambda m: " ".join(given) if m[1] == "@" else given[int(m[1]) - 1],
                word,
            )
        )
    if any("$@" in word for word in words):
        return filled
    return [*filled, *(word for at, word in enumerate(given, 1) if at not in used)]


def user_aliases(settings: Settings) -> dict[str, str]:
    """Aliases of the file that count; those of reserved names do not."""
    return {name: line for name, line in settings.aliases.items() if name not in RESERVED}


def effective_aliases(settings: Settings, builtin: Mapping[str, str]) -> dict[str, str]:
    """All aliases by name: built in, less the removed ones, and the user's."""
    kept = {name: line for name, line in builtin.items() if name not in settings.removed_aliases}
    return dict(sorted({**kept, **user_aliases(settings)}.items()))


def split_command(line: str) -> list[str]:
    """The words of a command line, quotes as in a shell.

    Raises:
        InvalidArgumentError: a quote is not closed.
    """
    try:
        return shlex.split(line)
    except ValueError as exc:
        raise InvalidArgumentError(
            f'invalid alias command "{line}": {str(exc).lower()}',
            hint="see all: ais alias show",
        ) from None
