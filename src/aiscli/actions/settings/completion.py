"""Shell completion scripts: shown, and put where the shell looks for them."""

import os
from dataclasses import dataclass

from aiscli.actions.transfers.localfile import atomic_file
from aiscli.context import CliContext
from aiscli.exitcodes import ExitCode
from aiscli.shells import SCRIPTS, install_path, start_line
from aiscore.errors import InvalidArgumentError

__all__ = ["CompletionRequest", "run_completion_install", "run_completion_show"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CompletionRequest:
    """bash, zsh or fish; "" is the shell of the user (`SHELL`)."""

    shell: str = ""

    def resolve(self) -> str:
        """The shell.

        Raises:
            InvalidArgumentError: there is no completion for it.
        """
        name = self.shell or os.path.basename(os.environ.get("SHELL", ""))
        if name not in SCRIPTS:
            what = f'no completion for shell "{name}"' if name else "SHELL is not set"
            raise InvalidArgumentError(what, hint=f"name one of: {', '.join(SCRIPTS)}")
        return name


def run_completion_show(context: CliContext, request: CompletionRequest) -> ExitCode:
    """Print the script."""
    shell = request.resolve()
    if context.output.is_table:
        context.output.plain(SCRIPTS[shell])
    else:
        context.output.item({"shell": shell, "script": SCRIPTS[shell]})
    return ExitCode.OK


def run_completion_install(context: CliContext, request: CompletionRequest) -> ExitCode:
    """Write the script for this user; start files of the shell are left alone."""
    shell = request.resolve()
    path = install_path(shell, os.environ)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with atomic_file(path) as file:
        file.write(SCRIPTS[shell].encode())
    line = start_line(shell, path)
    texts = [f"Completion for {shell} written to {path}"]
    if line:
        texts.append(f"Add to {line}")
    context.output.item({"shell": shell, "file": path}, *texts)
    return ExitCode.OK
