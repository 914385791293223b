"""The root of the typer application."""

# ruff: noqa: ANN401 -- see aiscli.lazy

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from aiscli.alias import effective_aliases
from aiscli.context import CliContext
from aiscli.lazy import CONTEXT_SETTINGS, LazyGroup
from aiscli.tree import ALIASES, ROOT
from aiscli.version import version_line

__all__ = ["run_app"]

_EPILOG = (
    "\n\n\b\nEnvironment:\n"
    "  AIS_ENDPOINT  file:///PATH, or nothing: embedded store in AIS_HOME\n"
    "  AIS_CONTEXT   name of a store, see 'ais config context'\n"
    "  AIS_HOME      directory of the embedded store\n"
    "  AIS_OUTPUT    default of --output; AIS_NO_INPUT=1 never asks\n"
    "\n\b\nExit codes:\n"
    "  0 success; 1 general or server error; 2 usage; 3 bucket, job or other\n"
    "  thing not found; 4 object or file not found; 5 some items failed;\n"
    "  6 access denied; 7 endpoint unreachable or busy; 8 conflict; 9 nothing\n"
    "  to do; 10 timeout; 11 integrity; 12 job failed; 130 interrupted;\n"
    "  141 closed pipe"
)


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
        epilog=_shortcuts(context) + _EPILOG,
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


def _shortcuts(context: CliContext) -> str:
    rows = effective_aliases(context.settings, ALIASES)
    width = max(8, *(len(name) + 2 for name in rows)) if rows else 8
    lines = (f"  {name:<{width}}{line}" for name, line in rows.items())
    return "\b\nShortcuts:\n" + "\n".join(line[:79] for line in lines)


def _root(
    ctx: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", "-v", help="Print the version.", is_eager=True)
    ] = False,
) -> None:
    if version:
        CliContext.of(ctx).output.plain(version_line())
        raise typer.Exit(0)
