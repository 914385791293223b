"""The root of the typer application."""

# ruff: noqa: ANN401 -- see aiscli.lazy

from __future__ import annotations

from collections.abc import Mapping, Sequence
from textwrap import wrap
from typing import Annotated, Any

import typer

from aiscli.alias import effective_aliases
from aiscli.context import CliContext
from aiscli.environment import ENVIRONMENT
from aiscli.exitcodes import EXIT_MEANINGS
from aiscli.lazy import CONTEXT_SETTINGS, LazyGroup
from aiscli.tree import ALIASES, ROOT
from aiscli.version import version_line

__all__ = ["run_app"]

_SHOWN_VARIABLES = ("AIS_ENDPOINT", "AIS_CONTEXT", "AIS_HOME", "AIS_OUTPUT", "AIS_NO_INPUT")
_WIDTH = 74
"""Columns of the exit codes; the help of the other blocks is one line each."""


class _RootGroup(LazyGroup):
    """The top of the command tree."""

    def __init__(self, **attrs: Any) -> None:
        super().__init__(branch=ROOT, **attrs)

    def list_commands(self, ctx: Any) -> list[str]:
        """Names of the children, without the shortcuts that the user has removed."""
        removed = CliContext.of(ctx).settings.removed_aliases & ALIASES.keys()
        return [name for name in super().list_commands(ctx) if name not in removed]


def run_app(args: Sequence[str], context: CliContext) -> int:
    """Run one command line; the exit code. Errors are raised, not printed."""
    app = typer.Typer(
        cls=_RootGroup,
        help=ROOT.help,
        epilog=_epilog(context),
        add_completion=False,
        no_args_is_help=True,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings=dict(CONTEXT_SETTINGS),
    )
    app.callback()(_root)
    command = typer.main.get_command(app)
    result = command.main(args=list(args), prog_name="ais", standalone_mode=False, obj=context)
    return result if isinstance(result, int) else 0


def _epilog(context: CliContext) -> str:
    codes = "; ".join(f"{code:d} {meaning}" for code, meaning in EXIT_MEANINGS.items())
    blocks = {
        "Shortcuts": _rows(_shortcuts(context)),
        "Environment": _rows({name: ENVIRONMENT[name] for name in _SHOWN_VARIABLES}),
        "Exit codes": [f"  {line}" for line in wrap(codes, _WIDTH)],
    }
    return "\n\n".join("\n".join([f"\b\n{title}:", *lines]) for title, lines in blocks.items())


def _shortcuts(context: CliContext) -> dict[str, str]:
    """All aliases, but for those of commands that do not work yet."""
    rows = effective_aliases(context.settings, ALIASES)
    pending = {name for name in ALIASES if ROOT.children[name].pending}
    return {
        name: line for name, line in rows.items() if not (name in pending and line == ALIASES[name])
    }


def _rows(table: Mapping[str, str]) -> list[str]:
    width = max(8, *(len(name) + 2 for name in table)) if table else 8
    return [f"  {name:<{width}}{text}"[:79] for name, text in table.items()]


def _root(
    ctx: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", "-v", help="Print the version.", is_eager=True)
    ] = False,
) -> None:
    if version:
        CliContext.of(ctx).output.plain(version_line())
        raise typer.Exit(0)
