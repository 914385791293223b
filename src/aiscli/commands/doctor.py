"""`ais doctor`."""

import typer

from aiscli.actions.settings.doctor import run_doctor
from aiscli.context import CliContext

__all__ = ["doctor"]


def doctor(ctx: typer.Context) -> int:
    """Check the installation, the settings and the store.

    Versions, the ais that PATH leads to, the endpoint and where it comes from, whether a store on
    the network answers and has the same time, the token, home and mountpaths, free space, clock,
    and the limit of open files. Nothing is changed or created. Exit 1 when something is wrong;
    warnings are none.

    Examples:
      ais doctor
      ais doctor --endpoint file:///mnt/scratch/ais
    """
    return run_doctor(CliContext.of(ctx))
