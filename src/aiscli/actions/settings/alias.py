"""Aliases: shown, set, removed, put back."""

import re
import shlex
from dataclasses import dataclass
from typing import cast

from aiscli.alias import RESERVED, effective_aliases, split_command
from aiscli.clifile import CliTree, edit_file
from aiscli.context import CliContext
from aiscli.exitcodes import ExitCode
from aiscli.output import Column
from aiscli.tree import ALIASES, ROOT, Branch, Leaf
from aiscore.errors import AlreadyExistsError, InvalidArgumentError, NotFoundError

__all__ = [
    "SetAliasRequest",
    "run_remove_alias",
    "run_reset_aliases",
    "run_set_alias",
    "run_show_aliases",
]

_NAME = re.compile(r"[a-zA-Z][a-zA-Z0-9_-]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class SetAliasRequest:
    """An alias and the words of its command; one word may be a whole line.

    Attributes:
        name: the new first word.
        words: a command, and options or arguments behind it.
        force: the name may be that of a command.
    """

    name: str
    words: tuple[str, ...]
    force: bool = False

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise InvalidArgumentError(
                f'invalid alias name "{self.name}"',
                hint="begin with a letter, go on with letters, digits, _ or -",
            )
        if self.name in RESERVED:
            raise InvalidArgumentError(f'"{self.name}" cannot be an alias')

    @property
    def line(self) -> str:
        """The command as one line."""
        words = split_command(self.words[0]) if len(self.words) == 1 else list(self.words)
        return shlex.join(words)


def run_show_aliases(context: CliContext) -> ExitCode:
    """Print every alias; those of commands that do not exist here are only counted."""
    _check_file(context)
    _print(context, effective_aliases(context.settings, ALIASES))
    return ExitCode.OK


def run_set_alias(context: CliContext, request: SetAliasRequest) -> ExitCode:
    """Add an alias, or change one."""
    _check_file(context)
    before = effective_aliases(context.settings, ALIASES)
    words = split_command(request.line)
    if words and words[0] not in ROOT.children and words[0] in before:
        words = [*split_command(before[words[0]]), *words[1:]]  # now: an alias is replaced once
    if not _is_command(words):
        raise InvalidArgumentError(
            f'"{request.line}" is not a command', hint="see the commands: ais --help"
        )
    is_real = request.name in ROOT.children and request.name not in ALIASES
    if is_real and request.name not in before and not request.force:
        raise AlreadyExistsError(
            f'"{request.name}" is a command', hint="use another name, or hide it with --force"
        )
    line = shlex.join(words)

    def change(tree: CliTree) -> None:
        table = cast("dict[str, str]", tree.get("aliases") or {})
        table[request.name] = line
        tree["aliases"] = table
        _take_back(tree, request.name)

    edit_file(context.settings.path, change)
    was = before.get(request.name)
    text = (
        f'Aliased "{line}" = "{request.name}"'
        if was is None
        else f'Alias "{request.name}" new command "{line}" (was: "{was}")'
    )
    context.output.item({"alias": request.name, "command": line, "was": was}, text)
    return ExitCode.OK


def run_remove_alias(context: CliContext, name: str) -> ExitCode:
    """Remove an alias, also a built-in one; the command itself stays."""
    _check_file(context)
    was = effective_aliases(context.settings, ALIASES).get(name)
    if was is None:
        raise NotFoundError(f'alias "{name}" does not exist', hint="see all: ais alias show")

    def change(tree: CliTree) -> None:
        table = cast("dict[str, str]", tree.get("aliases") or {})
        table.pop(name, None)
        if name in ALIASES:
            removed = cast("list[str]", tree.setdefault("removed_aliases", []))
            removed.append(name)

    edit_file(context.settings.path, change)
    context.output.item({"alias": name, "was": was})
    return ExitCode.OK


def run_reset_aliases(context: CliContext) -> ExitCode:
    """Go back to the built-in aliases."""

    def change(tree: CliTree) -> None:
        tree.pop("aliases", None)
        tree.pop("removed_aliases", None)

    edit_file(context.settings.path, change)
    context.output.text("Command aliases reset to all defaults:")
    _print(context, dict(sorted(ALIASES.items())))
    return ExitCode.OK


def _print(context: CliContext, aliases: dict[str, str]) -> None:
    rows = [
        {"alias": name, "command": line}
        for name, line in aliases.items()
        if _is_command(split_command(line))
    ]
    columns = [Column("alias"), Column("command")]
    if context.output.is_table and context.output.options.headers:
        underline = {"alias": "=====", "command": "======="}
        context.output.table(columns, [underline, *rows])
    else:
        context.output.table(columns, rows)
    gone = aliases.keys() - {row["alias"] for row in rows}
    if gone:
        context.output.note(
            f"the file has aliases of commands that do not exist here: {', '.join(sorted(gone))}"
        )


def _is_command(words: list[str]) -> bool:
    """True when the words begin with a command, or are those of a group."""
    node: Branch | Leaf = ROOT
    for word in words:
        if isinstance(node, Leaf):
            return True
        child = node.children.get(word)
        if child is None:
            break
        node = child
    return node is not ROOT


def _take_back(tree: CliTree, name: str) -> None:
    removed = [
        other for other in cast("list[str]", tree.get("removed_aliases", [])) if other != name
    ]
    if removed:
        tree["removed_aliases"] = removed
    else:
        tree.pop("removed_aliases", None)


def _check_file(context: CliContext) -> None:
    if context.settings.file_error is not None:
        raise context.settings.file_error
