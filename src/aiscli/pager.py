"""Long help on a terminal goes through the user's pager, if there is one; else it is printed."""

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from io import StringIO

__all__ = ["find_pager", "is_help", "run_paged"]


def is_help(args: Sequence[str]) -> bool:
    """Does this line ask for help?"""
    before = args[: args.index("--")] if "--" in args else args
    return "--help" in before or "-h" in before


def find_pager(command: str) -> list[str]:
    """The words of a pager that can be run; none when it is not installed, or is malformed."""
    try:
        words = shlex.split(command)
    except ValueError:
        return []
    return words if words and shutil.which(words[0]) else []


def run_paged(run: Callable[[], int], pager: Sequence[str]) -> int:
    """Call `run`, and page what it prints if that is more than fits on the terminal."""
    with redirect_stdout(StringIO()) as printed:
        code = run()
    text = printed.getvalue()
    if text.count("\n") < shutil.get_terminal_size().lines or not _page(text, pager):
        sys.stdout.write(text)
        sys.stdout.flush()
    return code


def _page(text: str, pager: Sequence[str]) -> bool:
    # less: stay only if it does not fit, keep colours and the screen.
    environment = {"LESS": "FRX", **os.environ}
    try:
        subprocess.run(pager, input=text.encode(), env=environment, check=False)
    except OSError:
        return False
    return True
