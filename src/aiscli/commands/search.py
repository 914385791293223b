"""`ais search`."""

from typing import Annotated

import typer

from aiscli.actions.settings.search import SearchRequest, run_search
from aiscli.context import CliContext

__all__ = ["search"]


def search(
    ctx: typer.Context,
    words: Annotated[
        list[str] | None, typer.Argument(metavar="WORD", help="What it is about.")
    ] = None,
    regex: Annotated[
        str, typer.Option("--regex", metavar="REGEX", help="Match the words of the command.")
    ] = "",
) -> int:
    """Find commands by words, or by what others call them.

    With several words, all have to match. Exit 3 when nothing is found.

    Examples:
      ais search copy
      ais search --regex '^show'
    """
    return run_search(CliContext.of(ctx), SearchRequest(words=tuple(words or ()), regex=regex))
