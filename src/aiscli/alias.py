"""Aliases: a first word that stands for the beginning of a command line.

The built-in shortcuts are part of the command tree. The file holds what the user has added or
changed, and the names of the shortcuts that were removed. An alias is replaced once, in the words
of the command line, before anything looks at them: so it has the options, the help and the
completion of its command, and never leads to another alias.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from aiscore.errors import InvalidArgumentError

if TYPE_CHECKING:
    from aiscli.config import Settings

__all__ = ["RESERVED", "effective_aliases", "expand", "split_command", "user_aliases"]

RESERVED = frozenset({"alias", "config", "doctor", "help", "search", "version"})
"""Never an alias: what leads out of a bad configuration."""


def expand(args: Sequence[str], settings: Settings) -> list[str]:
    """`args` with the alias in front replaced by what it stands for.

    Raises:
        InvalidArgumentError: a built-in shortcut that was removed.
    """
    words = list(args)
    if not words:
        return words
    command = user_aliases(settings).get(words[0])
    if command is not None:
        return [*split_command(command), *words[1:]]
    if words[0] in settings.removed_aliases:
        from aiscli.tree import ALIASES

        if words[0] in ALIASES:
            raise InvalidArgumentError(
                f"unknown command 'ais {words[0]}' - the alias was removed",
                hint=f"use 'ais {ALIASES[words[0]]}', or bring all back: ais alias reset",
            )
    return words


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
