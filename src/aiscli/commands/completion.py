"""`ais completion`."""

from typing import Annotated

import typer

from aiscli.actions.settings.completion import (
    CompletionRequest,
    run_completion_install,
    run_completion_show,
)
from aiscli.context import CliContext

__all__ = ["install", "show"]

ShellArgument = Annotated[
    str, typer.Argument(metavar="SHELL", help="bash, zsh, or fish; without it, that of SHELL.")
]


def show(ctx: typer.Context, shell: ShellArgument = "") -> int:
    """Print the completion script of a shell.

    Examples:
      source <(ais completion show bash)
      ais completion show fish > ~/.config/fish/completions/ais.fish
    """
    return run_completion_show(CliContext.of(ctx), CompletionRequest(shell=shell))


def install(ctx: typer.Context, shell: ShellArgument = "") -> int:
    """Write the completion script to where the shell looks for it.

    Start files are not touched: where they need a line, it is printed.

    Examples:
      ais completion install
      ais completion install zsh
    """
    return run_completion_install(CliContext.of(ctx), CompletionRequest(shell=shell))
