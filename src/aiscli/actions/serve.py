"""Running a server in the foreground."""

import logging
import os
import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field

from aiscli.context import CliContext
from aiscli.exitcodes import ExitCode
from aiscli.output.text import printable
from aiscore.errors import InvalidArgumentError, StorageError
from aiscore.serve import ServerSettings, is_loopback, load_settings, serve
from aiscore.transport import default_home

__all__ = ["LOG_LEVELS", "ServeRequest", "run_serve"]

LOG_LEVELS = ("error", "warning", "info", "debug")


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeRequest:
    """How to serve.

    Attributes:
        flags: settings given as flags, by name.
        assignments: `NAME=VALUE` of `--set`.
        config: path of a TOML file, "" for none.
        log_level: least severe messages that are logged.
    """

    flags: Mapping[str, str | int] = field(default_factory=dict)
    assignments: tuple[str, ...] = ()
    config: str = ""
    log_level: str = "warning"


def run_serve(context: CliContext, request: ServeRequest) -> ExitCode:
    """Serve until SIGTERM or Ctrl-C.

    Raises:
        AisError: a setting is invalid; the address or the store cannot be used.
    """
    settings = load_settings(
        {**_assigned(request.assignments), **request.flags},
        home=_home_of(context),
        environ=os.environ,
        config=request.config,
    )
    _log_to_stderr(request.log_level)
    try:
        serve(settings, lambda url: _announce(context, settings, url))
    except StorageError as error:
        if error.hint is None:
            error.hint = (
                "choose another directory with --home, or see what is wrong with this one:"
                f" AIS_HOME={shlex.quote(settings.home)} ais doctor"
            )
        raise
    return ExitCode.OK


def _announce(context: CliContext, settings: ServerSettings, url: str) -> None:
    if not is_loopback(settings.host):
        context.output.warning(
            f"{settings.host} can be reached from other machines, and authentication is off:"
            " everybody who can connect may read, change and delete everything"
        )
    context.output.item(
        {"url": url, "home": settings.home, "workers": settings.workers, "pid": os.getpid()},
        f"serving {settings.home} at {url}",
    )
    context.output.flush()


def _assigned(assignments: tuple[str, ...]) -> dict[str, str]:
    values: dict[str, str] = {}
    for assignment in assignments:
        name, separator, value = assignment.partition("=")
        if not separator:
            raise InvalidArgumentError(
                f'invalid setting "{assignment}"', hint="expected --set NAME=VALUE"
            )
        values[name.strip()] = value
    return values


def _home_of(context: CliContext) -> str:
    """The embedded store of this command; a remote endpoint is where clients go, not what is served."""
    endpoint = context.settings.endpoint.value
    if endpoint.startswith("file://"):
        from urllib.parse import unquote, urlsplit

        return os.path.normpath(unquote(urlsplit(endpoint).path))
    return endpoint if os.path.isabs(endpoint) else default_home()


class _Formatter(logging.Formatter):
    """Names of objects get into tracebacks, and must not steer the terminal."""

    def format(self, record: logging.LogRecord) -> str:
        return "\n".join(map(printable, super().format(record).split("\n")))


def _log_to_stderr(level: str) -> None:
    if level not in LOG_LEVELS:
        raise InvalidArgumentError(
            f'invalid log level "{level}"', hint=f"use one of: {', '.join(LOG_LEVELS)}"
        )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Formatter("%(asctime)s %(levelname)s %(name)s[%(process)d]: %(message)s"))
    logging.basicConfig(level=level.upper(), handlers=[handler])
