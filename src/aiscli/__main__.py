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
_MISSING = " does not exist"


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
        return _report(_with_name_hint(error, args, context), context)
    except Exception as error:
        code = _report_usage(error, context.output)
        if code is None:
            return _report_bug(error, context)
        return code


def _dispatch(args: list[str], context: CliContext) -> int:
    from aiscli.fast import run_fast

    if context.settings.aliases or context.settings.removed_aliases:
        from aiscli.alias import expand

        args = expand(args, context.settings)
    provider = context.settings.get("default_provider").value
    if provider != "ais":
        from aiscli.uri import use_default_provider

        use_default_provider(provider)
    code = run_fast(args, context)
    if code is not None:
        return code
    from aiscli.app import run_app

    words = args or ["--help"]
    pager = context.settings.pager.value
    if pager and sys.stdout.isatty() and not context.settings.is_on("no_more"):
        from aiscli.pager import find_pager, is_help, run_paged

        if is_help(words) and (found := find_pager(pager)):
            return run_paged(lambda: run_app(words, context), found)
    return run_app(words, context)


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


def _report(error: Exception, context: CliContext) -> int:
    from aiscli.exitcodes import exit_code_of
    from aiscore.errors import AisError, InvalidArgumentError, TransportError

    output = context.output
    _traceback(output)
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        output.error(f"{where}{(error.strerror or str(error)).lower()}")
    else:
        assert isinstance(error, AisError)
        # Upstream puts the server's error type in front, and scripts look for it.
        label = "Error"
        if isinstance(error, TransportError):
            label = _NETWORK_LABEL
        elif not isinstance(error, InvalidArgumentError) and error.code:
            label = error.code
        from aiscli.hints import hint_of

        output.error(_quoted(error), label=label, hint=hint_of(error, context.settings))
    _details(error, context)
    return exit_code_of(error)


def _quoted(error: AisError) -> str:
    """The message; the name of a missing object in quotes, as scripts look for it."""
    from aiscore.errors import ObjectNotFoundError

    name, found, rest = error.message.rpartition(_MISSING)
    is_bare = found and not rest and "://" in name and '"' not in name
    return (
        f'"{name}"{_MISSING}'
        if is_bare and isinstance(error, ObjectNotFoundError)
        else error.message
    )


def _details(error: BaseException, context: CliContext) -> None:
    """With `verbose`: the class, what a client over the network would see, and the causes."""
    from aiscore.errors import AisError

    if context.settings.get("verbose").value != "true":
        return
    facts = [type(error).__name__]
    if isinstance(error, AisError):
        facts += [f"status {error.status}"] if error.status else []
        facts += [f"code {error.code}"] if error.code else []
        facts += ["a retry may help"] if error.retryable else []
    elif isinstance(error, OSError) and error.errno is not None:
        facts.append(f"errno {error.errno}")
    context.output.trace(f"Details: {', '.join(facts)}")
    seen = {id(error)}
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        context.output.trace(f"Caused by: {type(cause).__name__}: {cause}")
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)


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
    reason = _named(error, str(describe()).rstrip("."))
    output.error(f"incorrect '{path}' usage: {reason[:1].lower()}{reason[1:]}")
    if context is not None:
        output.trace(context.get_usage())
    output.trace(f"For more, run '{path} --help'")
    return 2


def _named(error: Exception, reason: str) -> str:
    """What the parser says of a text that is no number, with the text and without its technicalities."""
    errors = getattr(error.__cause__, "errors", None)
    found = errors()[0] if errors is not None else {}
    expected = {"int_parsing": "a whole number", "float_parsing": "a number"}.get(
        found.get("type", "")
    )
    if expected is None:
        return reason
    return reason.replace(found["msg"], f'"{found["input"]}" is not {expected}')


def _report_bug(error: Exception, context: CliContext) -> int:
    _traceback(context.output)
    context.output.error(
        f"internal error: {type(error).__name__}: {error}",
        hint="run again with AIS_DEBUG=1 and report the traceback",
    )
    _details(error, context)
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
