"""The entry point, and the only place that ends the process.

Nothing heavy is imported here: `ais get URI -` in a shell loop pays for every module.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from types import FrameType

    from aiscli.context import CliContext
    from aiscli.output.base import Output
    from aiscore.errors import AisError

__all__ = ["main"]

_NETWORK_LABEL = "NetworkError"


def main(args: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit with its code."""
    signal.signal(signal.SIGTERM, _terminate)
    code = _run(sys.argv[1:] if args is None else list(args))
    sys.exit(code)


def _run(args: list[str]) -> int:
    from aiscli.config import load_settings
    from aiscli.context import CliContext
    from aiscli.exitcodes import PipeClosedError

    for stream in (sys.stdout, sys.stderr):
        # An object name may hold what the terminal's encoding has not; that must not fail the
        # listing.
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    try:
        with CliContext(load_settings()) as context:
            code = _guarded(args, context)
            context.output.flush()
            return code
    except (BrokenPipeError, PipeClosedError):
        return _broken_pipe()


def _guarded(args: list[str], context: CliContext) -> int:
    """Run, and turn whatever is raised into a message and an exit code."""
    from aiscli.exitcodes import PipeClosedError
    from aiscore.errors import AisError

    try:
        return _dispatch(args, context)
    except KeyboardInterrupt:
        return 130
    except (BrokenPipeError, PipeClosedError):
        raise
    except (AisError, OSError) as error:
        return _report(_with_name_hint(error, args, context), context.output)
    except Exception as error:
        code = _report_usage(error, context.output)
        if code is None:
            return _report_bug(error, context.output)
        return code


def _dispatch(args: list[str], context: CliContext) -> int:
    from aiscli.fast import run_fast

    if context.settings.aliases or context.settings.removed_aliases:
        from aiscli.alias import expand

        args = expand(args, context.settings)
    code = run_fast(args, context)
    if code is not None:
        return code
    from aiscli.app import run_app

    return run_app(args or ["--help"], context)


def _with_name_hint(
    error: AisError | OSError, args: list[str], context: CliContext
) -> AisError | OSError:
    """`error`; for a bucket or an object that does not exist, with the nearest name as hint."""
    from aiscore.errors import BucketNotFoundError, ObjectNotFoundError

    if isinstance(error, BucketNotFoundError | ObjectNotFoundError):
        from aiscli.actions.names import near_name

        near = near_name(error, args, context)
        if near is not None:
            error.hint = f'did you mean "{near}"?' + (f" Or {error.hint}" if error.hint else "")
    return error


def _report(error: Exception, output: Output) -> int:
    from aiscli.exitcodes import exit_code_of
    from aiscore.errors import AisError, InvalidArgumentError, TransportError

    _traceback(output)
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        output.error(f"{where}{(error.strerror or str(error)).lower()}")
        return exit_code_of(error)
    assert isinstance(error, AisError)
    # Upstream puts the server's error type in front, and scripts look for it.
    label = "Error"
    if isinstance(error, TransportError):
        label = _NETWORK_LABEL
    elif not isinstance(error, InvalidArgumentError) and error.code:
        label = error.code
    output.error(error.message, label=label, hint=error.hint)
    return exit_code_of(error)


def _report_usage(error: Exception, output: Output) -> int | None:
    """Print an error of the option parser; None when `error` is something else.

    The parser's classes have no public names; what they share is `format_message` and an exit code.
    """
    describe = getattr(error, "format_message", None)
    if describe is None:
        return None
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "ais"
    if type(error).__name__ == "NoArgsIsHelpError":
        output.trace(describe())
        return 2
    _traceback(output)
    reason = str(describe()).rstrip(".")
    output.error(f"incorrect '{path}' usage: {reason[:1].lower()}{reason[1:]}")
    if context is not None:
        output.trace(context.get_usage())
    output.trace(f"For more, run '{path} --help'")
    return 2


def _report_bug(error: Exception, output: Output) -> int:
    _traceback(output)
    output.error(
        f"internal error: {type(error).__name__}: {error}",
        hint="run again with AIS_DEBUG=1 and report the traceback",
    )
    return 1


def _traceback(output: Output) -> None:
    from aiscli.config import is_debug

    if is_debug():
        import traceback

        output.trace(traceback.format_exc())


def _broken_pipe() -> int:
    # The interpreter flushes stdout once more at exit and would complain.
    devnull = os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, sys.stdout.fileno())
    os.close(devnull)
    return 141


def _terminate(signum: int, frame: FrameType | None) -> None:
    # As an exception, so that temporary files are removed on the way out.
    raise SystemExit(128 + signum)


if __name__ == "__main__":
    main()
