"""`ais help`."""

from typing import Annotated

import typer

from aiscli.context import CliContext

__all__ = ["help_command"]


def help_command(
    ctx: typer.Context,
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[COMMAND...]", help="Words of a command; without any, all of them."
        ),
    ] = None,
) -> int:
    """Show the help of a command: the same as --help behind it.

    Examples:
      ais help
      ais help bucket create
    """
    from aiscli.alias import expand
    from aiscli.app import run_app

    context = CliContext.of(ctx)
    return run_app([*expand(words or (), context.settings), "--help"], context)
