"""Changes to a tree of settings as people and requests write them: words, or JSON."""

import json
from collections.abc import Iterator, Mapping, Sequence

from aiscore.errors import InvalidArgumentError
from aiscore.model.fieldspec import Kind
from aiscore.model.sections import Section, leaves_of

__all__ = ["ASSIGNMENT_COUNT_MAX", "parse_assignments"]

ASSIGNMENT_COUNT_MAX = 1000
"""Changes in one request; every tree has fewer leaves."""

_DEPTH_MAX = 8
"""Levels of a nested change; the deepest tree has four, and recursion has to end somewhere."""


def parse_assignments(
    cls: type[Section], args: Sequence[str] | Mapping[str, object], *, extra: tuple[str, ...] = ()
) -> dict[str, str]:
    """Read changes as people and requests write them.

    Args:
        cls: the tree they are meant for; its names tell a key from a value in `KEY VALUE`.
        args: words `KEY=VALUE` or pairs `KEY VALUE`, or one word with a JSON object, or the object
            itself.
        extra: top-level names that are let through although the tree does not have them.

    Returns:
        Dotted name to value as text, ready for `replace_path`; names are not checked here beyond
        `KEY VALUE`.

    Raises:
        InvalidArgumentError: not one of these forms, a key without a value, or a key given twice.
    """
    kinds = {name: spec.kind for name, spec in leaves_of(cls).items()}
    if isinstance(args, Mapping):
        pairs = _json_items(kinds, args, "")
    elif len(args) == 1 and args[0].lstrip().startswith("{"):
        pairs = _json_items(kinds, _load_object(args[0]), "")
    else:
        pairs = _word_items(args, {*kinds, *extra})
    changes: dict[str, str] = {}
    for key, value in pairs:
        if key in changes:
            raise InvalidArgumentError(f'property "{key}" is given twice')
        changes[key] = value
        if len(changes) > ASSIGNMENT_COUNT_MAX:
            raise InvalidArgumentError(f"more than {ASSIGNMENT_COUNT_MAX} properties at once")
    return changes


def _word_items(words: Sequence[str], known: set[str]) -> Iterator[tuple[str, str]]:
    rest = iter(words)
    for word in rest:
        key, equals, value = word.partition("=")
        name = key.strip().lower()
        if equals and name:
            yield name, value.strip()
            continue
        if name not in known or equals:
            raise InvalidArgumentError(
                f'invalid property "{word}"', hint="use KEY=VALUE, as in checksum.type=md5"
            )
        following = next(rest, None)
        if following is None:
            raise InvalidArgumentError(f'missing property "{name}" value', hint=f"use {name}=VALUE")
        yield name, following.strip()


def _json_items(
    kinds: Mapping[str, Kind], raw: Mapping[str, object], path: str
) -> Iterator[tuple[str, str]]:
    """Leaves of a nested object as dotted text; dotted keys inside of it work too."""
    if path.count(".") > _DEPTH_MAX:
        raise InvalidArgumentError(f"more than {_DEPTH_MAX} levels of nested properties")
    for key, value in raw.items():
        name = f"{path}.{key}".lower() if path else str(key).lower()
        if isinstance(value, Mapping):
            yield from _json_items(kinds, value, name)
        else:
            yield name, _json_text(kinds.get(name), name, value)


def _json_text(kind: Kind | None, name: str, value: object) -> str:
    """A JSON scalar as the text that means the same."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        # A bare integer in text is seconds, in JSON nanoseconds.
        return f"{value}ns" if kind is Kind.DURATION else str(value)
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return ",".join(value)
    raise InvalidArgumentError(f'property "{name}" has no usable value: {str(value)[:100]}')


def _load_object(document: str) -> Mapping[str, object]:
    try:
        loaded: object = json.loads(document)
    except (ValueError, RecursionError) as exc:
        raise InvalidArgumentError(f"invalid JSON: {exc}") from exc
    if not isinstance(loaded, dict):
        raise InvalidArgumentError("invalid JSON: expected an object")
    return loaded
