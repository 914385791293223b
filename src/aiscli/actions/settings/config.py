"""The configuration of the store."""

from collections.abc import Mapping
from dataclasses import dataclass

from aiscli.context import CliContext
from aiscli.exitcodes import ExitCode
from aiscli.output import Column
from aiscore.errors import InvalidArgumentError

__all__ = ["ConfigRequest", "run_config", "run_reset_config"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigRequest:
    """A section to show, or changes: words as typed."""

    words: tuple[str, ...] = ()


def run_config(context: CliContext, request: ConfigRequest) -> ExitCode:
    """Show the configuration or a section; with `KEY=VALUE` change it, as a whole or not at all."""
    words = request.words
    if not words:
        return _show(context, "")
    if len(words) == 1 and "=" not in words[0] and not words[0].lstrip().startswith("{"):
        return _show(context, words[0])
    return _set(context, words)


def run_reset_config(context: CliContext) -> ExitCode:
    """Every setting of the store back to its default."""
    from aiscore.model.sections import flatten

    before = flatten(context.transport.config())
    after = flatten(context.transport.reset_config())
    done = "Config globally reset: all nodes reverted to cluster-wide defaults"
    _report(context, before, after, done=done, nothing=done)
    return ExitCode.OK


def _show(context: CliContext, section: str) -> ExitCode:
    from aiscore.model.sections import flatten, to_wire

    config = context.transport.config()
    wanted = section.lower()
    shown = {key: value for key, value in flatten(config).items() if key.lower().startswith(wanted)}
    if not shown:
        heads = sorted({key.partition(".")[0] for key in flatten(config)})
        raise InvalidArgumentError(
            f'no configuration section "{section}"', hint=f"use one of: {', '.join(heads)}"
        )
    tree: dict[str, object] = to_wire(config)
    if wanted:
        tree = {
            key: value
            for key, value in tree.items()
            if key.lower().startswith(wanted.partition(".")[0])
        }
    if context.output.options.format in {"csv", "jsonl"}:
        rows = ({"property": key, "value": value} for key, value in shown.items())
        context.output.table([Column("property"), Column("value")], rows)
    else:
        context.output.properties(tree, shown)
    return ExitCode.OK


_KEPT_BY_THE_STORE = frozenset({"config_version", "lastupdate_time", "uuid"})
"""Change with every update; nobody asked for them."""


def _set(context: CliContext, words: tuple[str, ...]) -> ExitCode:
    from aiscore.model.assignments import parse_assignments
    from aiscore.model.config import ClusterConfig
    from aiscore.model.sections import flatten

    changes = parse_assignments(ClusterConfig, words)
    before = flatten(context.transport.config())
    after = flatten(context.transport.set_config(changes))
    _report(
        context,
        before,
        after,
        done="Cluster config updated",
        nothing="Cluster config has these values already, nothing to do",
    )
    return ExitCode.OK


def _report(
    context: CliContext,
    before: Mapping[str, str],
    after: Mapping[str, str],
    *,
    done: str,
    nothing: str,
) -> None:
    changed = {
        key: {"value": value, "was": before.get(key, "")}
        for key, value in after.items()
        if before.get(key) != value and key not in _KEPT_BY_THE_STORE
    }
    lines = [
        f'"{key}" set to: "{change["value"]}" (was: "{change["was"]}")'
        for key, change in changed.items()
    ]
    text = done if changed else nothing
    context.output.item({"changed": changed}, *lines, *([""] if lines else []), text)
