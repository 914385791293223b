"""The command's own settings: shown, changed, put back; and the contexts among them."""

import os
import re
from dataclasses import dataclass
from typing import cast
from urllib.parse import urlsplit

from aiscli.clifile import (
    DEFAULTS,
    UPSTREAM_ENDPOINTS,
    CliTree,
    edit_file,
    flatten,
    reset_file,
    with_defaults,
)
from aiscli.config import endpoint_of_context
from aiscli.connection import token_source
from aiscli.context import CliContext
from aiscli.exitcodes import ExitCode
from aiscli.output import Column
from aiscli.suggest import nearest
from aiscore.errors import InvalidArgumentError
from aiscore.model.bucket import Provider
from aiscore.model.units import parse_bool, parse_duration

__all__ = [
    "ContextRequest",
    "ShowCliRequest",
    "run_list_contexts",
    "run_remove_context",
    "run_reset_cli",
    "run_set_cli",
    "run_set_context",
    "run_show_cli",
    "run_use_context",
]

_CONTEXT_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_MASK = "********"
_DEFAULT_STORE = "embedded store in its default home"


@dataclass(frozen=True, slots=True, kw_only=True)
class ShowCliRequest:
    """What to show of the settings.

    Attributes:
        prefix: names that start with it.
        origin: with the origin of each value.
        path: the place of the file, nothing else.
    """

    prefix: str = ""
    origin: bool = False
    path: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ContextRequest:
    """A context and, for `set`, its endpoint."""

    name: str
    endpoint: str = ""

    def __post_init__(self) -> None:
        if not _CONTEXT_NAME.fullmatch(self.name):
            raise InvalidArgumentError(
                f'invalid context name "{self.name}"',
                hint="use letters, digits, and . _ - between them",
            )


def run_show_cli(context: CliContext, request: ShowCliRequest) -> ExitCode:
    """Print the settings that hold in this run."""
    settings = context.settings
    if request.path:
        context.output.item({"path": settings.path}, settings.path)
        return ExitCode.OK
    settings.check()
    rows = [row for row in _rows(context) if str(row["property"]).startswith(request.prefix)]
    if not rows:
        raise InvalidArgumentError(
            f'no setting "{request.prefix}"', hint="see all: ais config cli show"
        )
    columns = [Column("property"), Column("value")]
    if request.origin:
        columns.append(Column("origin"))
    fields = [column.field for column in columns]
    context.output.table(columns, ({field: row[field] for field in fields} for row in rows))
    return ExitCode.OK


def _rows(context: CliContext) -> list[dict[str, object]]:
    settings = context.settings
    rows: dict[str, tuple[object, str]] = {
        name: (value, "file") for name, value in flatten(settings.tree).items()
    }
    for name, default in DEFAULTS.items():
        setting = settings.get(name)
        value = settings.is_on(name) if isinstance(default, bool) else setting.value
        rows[name] = (value, setting.origin)
    token = token_source(settings)
    rows["auth.token"] = (_MASK if token.origin != "default" else "", token.origin)
    rows["pager"] = (settings.pager.value, settings.pager.origin)
    rows["no_color"] = _no_color(context)
    rows["no_input"] = (
        settings.no_input,
        "AIS_NO_INPUT" if os.environ.get("AIS_NO_INPUT") else "default",
    )
    rows["output"] = (settings.output_format.value or "table", settings.output_format.origin)
    # What all the rest comes to.
    rows["endpoint"] = (settings.endpoint.value or _DEFAULT_STORE, settings.endpoint.origin)
    return [
        {"property": name, "value": value, "origin": origin}
        for name, (value, origin) in sorted(rows.items())
    ]


def _no_color(context: CliContext) -> tuple[bool, str]:
    for name, is_set in (
        ("NO_COLOR", bool(os.environ.get("NO_COLOR"))),
        ("TERM", os.environ.get("TERM") == "dumb"),
    ):
        if is_set:
            return True, name
    return context.settings.no_color, context.settings.get("no_color").origin


def run_set_cli(context: CliContext, words: tuple[str, ...]) -> ExitCode:
    """Change settings: all, or none."""
    changes = dict(_assignment(word) for word in words)
    changed: dict[str, dict[str, object]] = {}

    def change(tree: CliTree) -> None:
        before = flatten(with_defaults(tree))
        for name, value in changes.items():
            section, dot, key = name.rpartition(".")
            place = tree.setdefault(section, {}) if dot else tree
            cast("CliTree", place)[key] = value
            if before[name] != value:
                changed[name] = {"value": value, "was": before[name]}

    edit_file(context.settings.path, change)
    lines = [
        f'"{name}" set to: "{_text(entry["value"])}" (was: "{_text(entry["was"])}")'
        for name, entry in changed.items()
    ]
    context.output.item({"changed": changed}, *lines)
    url = changes.get("cluster.url")
    if isinstance(url, str) and url and url.rstrip("/") in UPSTREAM_ENDPOINTS:
        context.output.note(
            f"{url} is what AIStore writes on its own, so cluster.url alone does not lead there; "
            f"name it: ais config context set NAME {url}"
        )
    elif changes.keys() & {"cluster.url", "cluster.default_ais_host"}:
        _note_what_wins(context, file_key="cluster.url")
    for name in changes.keys() & context.settings.overrides.keys():
        context.output.note(
            f"{context.settings.overrides[name].origin} is set and wins over {name}"
        )
    return ExitCode.OK


def _assignment(word: str) -> tuple[str, str | bool]:
    name, equals, text = word.partition("=")
    name = name.strip().lower()
    if not equals:
        raise InvalidArgumentError(
            f'invalid setting "{word}"', hint="use KEY=VALUE, as in cluster.url=http://host:8080"
        )
    if name not in DEFAULTS:
        raise InvalidArgumentError(f'unknown setting "{name}"', hint=_hint_for(name))
    value = text.strip()
    try:
        if isinstance(DEFAULTS[name], bool):
            return name, parse_bool(value)
        if name.startswith("timeout."):
            if parse_duration(value) < 0:
                raise InvalidArgumentError("expected 0 or more")
        elif name in {"cluster.url", "cluster.default_ais_host"} and value:
            _check_endpoint(value)
        elif name == "default_provider":
            value = Provider.parse(value).value
    except InvalidArgumentError as error:
        raise InvalidArgumentError(f"{name}: {error.message}", hint=error.hint) from None
    return name, value


def _hint_for(name: str) -> str:
    if name.startswith(("contexts", "current_context")):
        return "use: ais config context set|use NAME"
    if name.startswith("aliases"):
        return "use: ais alias set NAME COMMAND"
    near = nearest(name, DEFAULTS)
    return f'did you mean "{near}"' if near else "see all: ais config cli show"


def run_reset_cli(context: CliContext) -> ExitCode:
    """Go back to the defaults; the file is put aside, so nothing is lost."""
    aside = reset_file(context.settings.path)
    context.output.item(
        {"path": context.settings.path, "saved": aside},
        "CLI config successfully reset to all defaults",
    )
    if aside is not None:
        context.output.note(f"what it was is in {aside}")
    return ExitCode.OK


# contexts


def run_list_contexts(context: CliContext) -> ExitCode:
    """Print the contexts, the one in use marked."""
    settings = context.settings
    if settings.file_error is not None:
        raise settings.file_error
    contexts = cast("dict[str, dict[str, str]]", settings.tree.get("contexts") or {})
    rows = [
        {"name": name, "endpoint": entry["endpoint"], "current": name == settings.context.value}
        for name, entry in sorted(contexts.items())
    ]
    if not rows and context.output.is_table:
        context.output.text("No contexts. Make one: ais config context set NAME ENDPOINT")
        return ExitCode.OK
    mark = Column("current", show=lambda record: "*" if record["current"] else "")
    context.output.table([mark, Column("name"), Column("endpoint")], rows)
    return ExitCode.OK


def run_set_context(context: CliContext, request: ContextRequest) -> ExitCode:
    """Add a context, or give it another endpoint."""
    _check_endpoint(request.endpoint)
    was: list[str] = []

    def change(tree: CliTree) -> None:
        contexts = cast("dict[str, CliTree]", tree.get("contexts") or {})
        entry = contexts.setdefault(request.name, {})
        was.append(str(entry.get("endpoint", "")))
        entry["endpoint"] = request.endpoint  # what else is in it stays
        tree["contexts"] = contexts

    edit_file(context.settings.path, change)
    tail = f' (was: "{was[0]}")' if was[0] and was[0] != request.endpoint else ""
    context.output.item(
        {"name": request.name, "endpoint": request.endpoint, "was": was[0] or None},
        f'Context "{request.name}" set to: "{request.endpoint}"{tail}',
    )
    return ExitCode.OK


def run_use_context(context: CliContext, request: ContextRequest) -> ExitCode:
    """Make a context the one that is used when neither flag nor environment says otherwise."""
    endpoints: list[str] = []

    def change(tree: CliTree) -> None:
        endpoints.append(endpoint_of_context(tree, request.name))
        tree["current_context"] = request.name

    edit_file(context.settings.path, change)
    context.output.item(
        {"name": request.name, "endpoint": endpoints[0]},
        f'Now using context "{request.name}": {endpoints[0]}',
    )
    _note_what_wins(context, file_key="current_context")
    return ExitCode.OK


def run_remove_context(context: CliContext, request: ContextRequest) -> ExitCode:
    """Forget a context; what its store holds is not touched."""
    was_current: list[bool] = []

    def change(tree: CliTree) -> None:
        endpoint_of_context(tree, request.name)
        del cast("dict[str, object]", tree["contexts"])[request.name]
        was_current.append(tree.get("current_context") == request.name)
        if was_current[0]:
            del tree["current_context"]

    edit_file(context.settings.path, change)
    context.output.item(
        {"name": request.name, "was_current": was_current[0]}, f'Context "{request.name}" removed'
    )
    if was_current[0]:
        context.output.note("it was the current one; no context is in use now")
    return ExitCode.OK


def _check_endpoint(text: str) -> None:
    if os.path.isabs(text):
        return
    try:
        parts = urlsplit(text)
        is_url = parts.scheme in {"http", "https"} and bool(parts.hostname)
        if is_url and parts.port != 0:
            return
    except ValueError:
        parts = urlsplit("")
    if parts.scheme == "file" and parts.netloc in {"", "localhost"} and parts.path.startswith("/"):
        return
    raise InvalidArgumentError(
        f'invalid endpoint "{text}": expected http(s)://HOST[:PORT], file:///PATH or an absolute '
        "path"
    )


def _note_what_wins(context: CliContext, *, file_key: str) -> None:
    """Say so when the change has no effect here: something stronger names the store."""
    names = ["AIS_ENDPOINT", "AIS_CONTEXT", "AIS_HOME"]
    winner = next((name for name in names if os.environ.get(name)), None)
    if winner is None and file_key == "cluster.url" and context.settings.context.value:
        winner = f'the context "{context.settings.context.value}"'
    if winner is not None:
        context.output.note(f"{winner} is set and wins over it")


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
