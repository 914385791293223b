"""Commands that are served before typer is imported.

A fast command is a function of the words after `ais`: it returns the exit code, or None when the
line needs the full parser. It builds the same request value and calls the same `run_*` as the typer
command, so both behave alike.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aiscli.context import CliContext

__all__ = ["run_fast"]


def run_fast(args: Sequence[str], context: CliContext) -> int | None:
    """Run `args` if it is a line that a fast command takes as it is."""
    command = _FAST.get(args[0]) if args else None
    return command(args[1:], context) if command is not None else None


def _version(args: Sequence[str], context: CliContext) -> int | None:
    if args:
        return None
    from aiscli.version import version_line

    context.output.plain(version_line())
    return 0


_FAST: Mapping[str, Callable[[Sequence[str], CliContext], int | None]] = {
    "version": _version,
    "--version": _version,
    "-v": _version,
}
