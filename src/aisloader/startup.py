"""What a run says before it starts: its parameters, and where it runs."""

import os
import platform
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from aiscore._version import __version__
from aisloader.params.describe import listing

if TYPE_CHECKING:
    from aisloader.params import Params

__all__ = ["environment", "parameter_lines"]


def parameter_lines(params: "Params") -> Iterator[str]:
    """Every parameter: those with their default value, then those that were set; aligned."""
    defaults, custom = listing(params)
    width = max((len(name) for name, _ in (*defaults, *custom)), default=0) + 1
    for title, rows in (("Defaults", defaults), ("Set for this run", custom)):
        if rows:
            yield f"{title}:"
            for name, shown in sorted(rows):
                yield f"  {f'{name}:':<{width}} {shown or '-'}"
    yield ""


def environment(endpoint: str) -> dict[str, Any]:
    """Machine and versions."""
    return {
        "host": platform.node(),
        "kernel": f"{platform.system()} {platform.release()}",
        "cpus": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        "aisloader": __version__,
        "endpoint": endpoint,
        "argv": sys.argv[1:],
    }
