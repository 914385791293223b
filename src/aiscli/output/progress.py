"""Progress on a terminal; nothing at all anywhere else."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["Advance", "progress"]

Advance = Callable[[int, int], None]


@contextmanager
def progress(label: str, *, enabled: bool, total_size: int | None = None) -> Iterator[Advance]:
    """Show objects and bytes done; gives `advance(objects, size)`. No total: counters and rate."""
    if not enabled or not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
        yield _ignore
        return
    from rich.console import Console  # noqa: TID251
    from rich.progress import (  # noqa: TID251
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TransferSpeedColumn,
    )

    bar = Progress(
        TextColumn("{task.description} {task.fields[objects]}"),
        BarColumn(),
        DownloadColumn(binary_units=True),
        TransferSpeedColumn(),
        console=Console(stderr=True),
        transient=True,
    )
    with bar:
        task = bar.add_task(label, total=total_size, objects=0)
        done = 0

        def advance(objects: int, size: int) -> None:
            nonlocal done
            done += objects
            bar.update(task, advance=size, objects=done)

        yield advance


def _ignore(objects: int, size: int) -> None:
    pass
