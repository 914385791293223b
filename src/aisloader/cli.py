"""The command line of `aisloader`: which subcommand, usage, version, and how errors end the process."""

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import NoReturn

from aiscore.errors import AisError
from aisloader.commands import SUBCOMMANDS
from aisloader.version import version_line

__all__ = ["main", "run_command"]

_TOOLS = frozenset({"report", "compare", "merge", "calibrate"})

_ERROR = 1
_USAGE = 2
_INTERRUPTED = 130
_BROKEN_PIPE = 141


def main() -> NoReturn:
    """Run the command line of this process and exit with its code."""
    for stream in (sys.stdout, sys.stderr):
        # A name may hold what the terminal's encoding has not; that must not end a run.
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    try:
        code = run_command(sys.argv[1:], os.environ)
        sys.stdout.flush()
    except OSError as exc:
        if not isinstance(exc, BrokenPipeError):
            _note(f"cannot write to {exc.filename or 'stdout'}: {exc.strerror}")
        # Python flushes stdout once more at exit; give it somewhere to go.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = _BROKEN_PIPE if isinstance(exc, BrokenPipeError) else _ERROR
    sys.exit(code)


def run_command(argv: Sequence[str], environ: Mapping[str, str]) -> int:
    """Run one command line, without the program's name; errors become messages on stderr.

    Returns:
        The exit code: 0; 2 for a malformed command line; 1 for a rule that is broken, a run that could not start, or
        one with more failures than allowed; 130 after Ctrl-C.
    """
    from aisloader.params.parser import UsageError

    try:
        return _dispatch(list(argv), environ)
    except UsageError as error:
        return _complain(error, _USAGE)
    except AisError as error:
        return _complain(error, _ERROR)
    except KeyboardInterrupt:
        return _INTERRUPTED


def _dispatch(argv: list[str], environ: Mapping[str, str]) -> int:
    from aisloader.params.parser import UsageError, scan

    if not argv:
        return _usage([])
    word = argv[0]
    if not word.startswith("-"):
        if word in {"usage", "help"}:
            return _usage(argv[1:])
        if word == "version":
            return _say(version_line())
        if word == "completion":
            return _completion(argv[1:])
        if word in _TOOLS:
            return _tool(word)(argv[1:])
        if word != "run":
            raise UsageError(
                f'unknown command "{_printable(word)}"',
                hint=f"use one of: {', '.join(SUBCOMMANDS)}; parameters are flags, as in -bucket=NAME",
            )
        argv = argv[1:]
    line = scan(argv)
    if line.meta & {"usage", "help", "h"}:
        return _usage([])
    if "version" in line.meta:
        return _say(version_line())
    return _run(argv, environ)


def _run(argv: list[str], environ: Mapping[str, str]) -> int:
    from aisloader.params import parse

    params = parse(argv, environ)
    if params.loader.getloaderid:
        if params.naming.randomname:
            _note("loader id is not part of object names: they are random, see -randomname")
        return _say(f"{params.loader.number:#x}")
    for note in params.notes:
        _note(note)
    from aisloader.run import run

    return run(params)


def _tool(name: str) -> Callable[[list[str]], int]:
    from aisloader import tools

    found: Callable[[list[str]], int] = getattr(tools, name)
    return found


def _completion(words: list[str]) -> int:
    from aisloader.params.parser import UsageError
    from aisloader.shells import FILE_NAMES, completion_script

    if len(words) != 1 or words[0] not in FILE_NAMES:
        raise UsageError(
            "aisloader completion needs the name of a shell",
            hint=f"one of: {', '.join(FILE_NAMES)}",
        )
    sys.stdout.write(completion_script(words[0]))
    return 0


def _usage(words: list[str]) -> int:
    from aisloader.usage import usage_text

    return _say(usage_text(words))


def _say(text: str) -> int:
    sys.stdout.write(f"{text}\n")
    return 0


def _note(text: str) -> None:
    sys.stderr.write(f"aisloader: {_printable(text)}\n")


def _complain(error: AisError, code: int) -> int:
    sys.stderr.write(f"aisloader: {_printable(error.message)}\n")
    if error.hint:
        sys.stderr.write(f"hint: {_printable(error.hint)}\n")
    return code


def _printable(text: str) -> str:
    """Without control characters: names come from outside and must not steer the terminal."""
    return "".join(
        char if char.isprintable() or char == "\n" else ascii(char)[1:-1] for char in text
    )
