"""`ais version`."""

import typer

from aiscli.context import CliContext
from aiscli.exitcodes import ExitCode
from aiscli.version import version_line
from aiscore._version import __version__

__all__ = ["version"]


def version(ctx: typer.Context) -> int:
    """Print the version.

    Examples:
      ais version
      ais version -o json
    """
    CliContext.of(ctx).output.item({"version": __version__}, version_line())
    return ExitCode.OK
