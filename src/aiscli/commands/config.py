"""`ais config`."""

from typing import Annotated

import typer

from aiscli.actions.config import ConfigRequest, run_config
from aiscli.context import CliContext

__all__ = ["cluster"]


def cluster(
    ctx: typer.Context,
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="SECTION|KEY=VALUE", help="What to show, or to change."),
    ] = None,
) -> int:
    """Show the cluster configuration, or change it.

    All changes are applied, or none. New buckets take their properties from here.

    JSON has the configuration tree with AIStore's names; a change prints changed {property: {value,
    was}}.

    Examples:
      ais config cluster checksum
      ais config cluster checksum.type=md5
    """
    return run_config(CliContext.of(ctx), ConfigRequest(words=tuple(words or ())))
