"""Bucket properties and their changes as JSON, in AIStore's tree."""

import json
from collections.abc import Mapping
from typing import Any

from aiscore.errors import InvalidArgumentError, ProtocolError
from aiscore.model.props import BucketProps, PropsChanges, parse_changes
from aiscore.model.sections import from_wire, leaves_of, to_wire

__all__ = [
    "decode_changes",
    "decode_props",
    "encode_changes",
    "encode_props",
    "nest",
    "props_to_json",
]


def encode_props(props: BucketProps) -> str:
    """The whole tree as one line of ASCII: the value of `H.BUCKET_PROPS`."""
    return json.dumps(to_wire(props), separators=(",", ":"))


def props_to_json(props: BucketProps) -> dict[str, object]:
    """The whole tree as JSON values: an element of the BMD."""
    return to_wire(props)


def decode_props(text: str | bytes) -> BucketProps:
    """Read the tree; what is missing has its default, what is unknown is ignored.

    Raises:
        ProtocolError: not a JSON object, or a value of the wrong type.
    """
    try:
        raw: object = json.loads(text)
        if not isinstance(raw, dict):
            raise ProtocolError("invalid bucket properties: expected a JSON object")
        return from_wire(BucketProps, raw)
    except (ValueError, RecursionError, InvalidArgumentError) as exc:
        raise ProtocolError(f"invalid bucket properties: {exc}") from exc


def encode_changes(changes: Mapping[str, str], *, force: bool = False) -> dict[str, object]:
    """Dotted changes as AIStore's BpropsToSet: nested, each value of the type that its property has.

    What cannot be read here goes out as text: the server refuses it, and says why.
    """
    try:
        parsed = parse_changes(changes)
        values, force = dict(parsed.values), force or parsed.force
    except InvalidArgumentError:
        values = dict(changes)
    typed = {name: _typed(name, value) for name, value in values.items()}
    if force:
        typed["force"] = True
    return nest(typed)


def decode_changes(raw: object) -> PropsChanges:
    """Read BpropsToSet, decoded JSON; null changes nothing.

    Raises:
        InvalidArgumentError: not an object, or a value that no property can have.
    """
    if raw is None:
        return PropsChanges(values={})
    if not isinstance(raw, Mapping):
        raise InvalidArgumentError("invalid bucket properties: expected a JSON object")
    return parse_changes(_without_nulls(raw))


def nest(dotted: Mapping[str, object]) -> dict[str, object]:
    """`{"a.b": 1}` as `{"a": {"b": 1}}`; a name that is a value and a section at once stays dotted."""
    tree: dict[str, object] = {}
    for name, value in dotted.items():
        *sections, leaf = name.split(".")
        at = tree
        for section in sections:
            below = at.setdefault(section, {})
            if not isinstance(below, dict):
                at, leaf = tree, name
                break
            at = below
        at[leaf] = value
    return tree


def _typed(name: str, value: str) -> object:
    spec = leaves_of(BucketProps).get(name.strip().lower())
    if spec is None:
        return value
    try:
        return spec.encode(spec.decode(name, value))
    except InvalidArgumentError:
        return value


def _without_nulls(raw: Mapping[str, Any]) -> dict[str, Any]:
    """Go's clients write null for each pointer that is not set."""
    return {
        key: _without_nulls(value) if isinstance(value, Mapping) else value
        for key, value in raw.items()
        if value is not None
    }
