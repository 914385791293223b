"""Trees of settings: bucket properties and configuration, over one mechanism.

A section is a class decorated with `settings`, a frozen dataclass whose fields are declared with
the functions of `fields`, or are sections themselves (`section`). From those declarations this
module derives what every tree needs:

- `to_wire` and `from_wire`: JSON with AIStore's names and encodings, for requests and for what is
  stored;
- `flatten`: dotted names with values as people read them;
- `replace_path`: a new tree from dotted changes, checked as a whole: all of them apply, or none.

Names match in any case, because AIStore's own server does that and published clients rely on it.
"""

import dataclasses
import difflib
from collections.abc import Callable, Iterator, Mapping
from typing import ClassVar, TypeVar, dataclass_transform

from aiscore.errors import InvalidArgumentError
from aiscore.model.fieldspec import CENSORED, SPEC, FieldSpec, Kind

__all__ = [
    "Section",
    "apply_changes",
    "flatten",
    "from_wire",
    "leaves_of",
    "property_names",
    "replace_path",
    "section",
    "settings",
    "specs_of",
    "to_wire",
]

_NAME_SHOWN_MAX = 100
"""Characters of an unknown name that are compared with the known ones, and repeated."""

C = TypeVar("C")
S = TypeVar("S", bound="Section")


@dataclass_transform(kw_only_default=True, frozen_default=True)
def settings(cls: type[C]) -> type[C]:
    """Class decorator of every section: a frozen, slotted dataclass with keyword-only fields.

    `Section` has one initializer, comparison and so on for all of them, because generating code for
    each of the forty classes would take longer than everything else that a short command imports.
    """
    make = dataclasses.dataclass(
        init=False, repr=False, eq=False, match_args=False, kw_only=True, slots=True
    )
    return make(cls)


class Section:
    """Base of every section: a value that checks its fields, then the rules between them.

    A zero that stands for a default is replaced on construction, so readers never see it. Equal
    values are equal sections, `dataclasses.replace` makes changed copies, and `repr` censors
    secrets.
    """

    __slots__ = ()
    __dataclass_fields__: ClassVar[dict[str, dataclasses.Field[object]]]

    def __init__(self, **values: object) -> None:
        layout = _layout(type(self))
        for attribute, default in layout.defaults:
            value = values.pop(attribute, default)
            if value == 0 and attribute in layout.zero_meanings:
                value = layout.zero_meanings[attribute]
            object.__setattr__(self, attribute, value)
        if values:
            raise TypeError(f"{type(self).__name__} has no {', '.join(sorted(values))}")

    def __setattr__(self, name: str, value: object) -> None:
        raise dataclasses.FrozenInstanceError(f"cannot assign to field {name!r}")

    def __delattr__(self, name: str) -> None:
        raise dataclasses.FrozenInstanceError(f"cannot delete field {name!r}")

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Section) or type(self) is not type(other):
            return NotImplemented
        return _values(self) == _values(other)

    def __hash__(self) -> int:
        return hash((type(self), *_values(self).values()))

    def __repr__(self) -> str:
        shown = (
            f"{spec.attribute}={CENSORED if spec.secret else repr(getattr(self, spec.attribute))}"
            for spec in specs_of(type(self))
        )
        return f"{type(self).__name__}({', '.join(shown)})"

    def __reduce__(self) -> tuple[object, ...]:
        return _construct, (type(self), _values(self))

    def validate(self, path: str = "") -> None:
        """Check this section and those below it.

        Args:
            path: dotted name of the section, for messages; empty at the root of a tree.

        Raises:
            InvalidArgumentError: the first fault found, with the dotted key, the value, and what is
                expected.
        """
        for spec in specs_of(type(self)):
            value = getattr(self, spec.attribute)
            if isinstance(value, Section):
                value.validate(_join(path, spec.name))
            else:
                spec.check(_join(path, spec.name), value)
        self.check_rules(path)

    def check_rules(self, path: str) -> None:
        """Check what one field alone cannot tell; every field has passed its own check before."""


def section(cls: type[S]) -> S:
    """Declare a nested section that starts with its defaults."""
    spec = FieldSpec(kind=Kind.SECTION, section=cls)
    factory: Callable[[], S] = cls
    return dataclasses.field(default_factory=factory, metadata={SPEC: spec})


def specs_of(cls: type[Section]) -> tuple[FieldSpec, ...]:
    """The declared fields of a section, in order, with their names filled in."""
    return _layout(cls).specs


def to_wire(tree: Section, *, reveal: bool = False) -> dict[str, object]:
    """The tree as JSON values, in AIStore's names and encodings.

    Args:
        tree: any section.
        reveal: write secrets as they are; for the store's own files, never for an answer.
    """
    wire: dict[str, object] = {}
    for spec in specs_of(type(tree)):
        value = getattr(tree, spec.attribute)
        if isinstance(value, Section):
            wire[spec.name] = to_wire(value, reveal=reveal)
        elif value or not spec.omit_empty:
            wire[spec.name] = (
                CENSORED if spec.secret and value and not reveal else spec.encode(value)
            )
    return wire


def from_wire(cls: type[S], raw: Mapping[str, object], path: str = "") -> S:
    """Build a tree from JSON values.

    Tolerant, because the JSON may come from another release: unknown names are ignored, a missing
    one or null takes the default, numbers may be strings and the other way round. Bounds are not
    checked: call `validate`.

    Raises:
        InvalidArgumentError: a value has the wrong type; the message starts with its dotted key.
    """
    lowered = {key.lower(): value for key, value in raw.items()}
    values: dict[str, object] = {}
    for spec in specs_of(cls):
        given = raw.get(spec.name, lowered.get(spec.name.lower()))
        if given is None:
            continue
        key = _join(path, spec.name)
        nested = _section_class(spec)
        if nested is None:
            values[spec.attribute] = spec.decode(key, given)
        elif isinstance(given, Mapping):
            values[spec.attribute] = from_wire(nested, given, key)
        else:
            raise InvalidArgumentError(f"{key}: expected a JSON object")
    return _construct(cls, values)


def flatten(tree: Section) -> dict[str, str]:
    """Dotted name to value as shown, sorted; hidden fields and empty optional ones are left out."""
    return dict(sorted(_flat_items(tree, "")))


def property_names(cls: type[Section]) -> tuple[str, ...]:
    """Dotted names of every listed leaf, sorted: what completion offers and hints choose from."""
    return tuple(sorted(name for name, (_, spec) in _layout(cls).leaves.items() if not spec.hidden))


def leaves_of(cls: type[Section]) -> Mapping[str, FieldSpec]:
    """Lower-case dotted name of every leaf, hidden and read-only ones too, to its declaration."""
    return {name: spec for name, (_, spec) in _layout(cls).leaves.items()}


def apply_changes(tree: S, changes: Mapping[str, object]) -> S:
    """Like `replace_path`, for callers that adjust the result before they validate it."""
    nested: dict[str, object] = {}
    for key, raw in changes.items():
        attributes, spec = _find_leaf(type(tree), key)
        dotted = key.strip().lower()
        if spec.readonly:
            raise InvalidArgumentError(f'property "{dotted}" is readonly')
        at = nested
        for attribute in attributes[:-1]:
            below = at.setdefault(attribute, {})
            assert isinstance(below, dict)
            at = below
        at[attributes[-1]] = spec.decode(dotted, raw)
    return _rebuild(tree, nested)


def replace_path(tree: S, changes: Mapping[str, object]) -> S:
    """A new tree with `changes` applied, checked as a whole.

    Args:
        tree: where to start from; it stays as it is.
        changes: dotted name to new value, text or a JSON scalar, e.g. `{"checksum.type": "md5"}`.

    Raises:
        InvalidArgumentError: an unknown or read-only name, a bad value, or a rule that the new tree
            breaks.
    """
    changed = apply_changes(tree, changes)
    changed.validate()
    return changed


def _flat_items(tree: Section, path: str) -> Iterator[tuple[str, str]]:
    for spec in specs_of(type(tree)):
        value = getattr(tree, spec.attribute)
        key = _join(path, spec.name)
        if isinstance(value, Section):
            yield from _flat_items(value, key)
        elif not spec.hidden and (value or not spec.omit_empty):
            yield key, spec.show(value)


@dataclasses.dataclass(frozen=True, slots=True)
class _Layout:
    """What the declarations of one section class amount to.

    Attributes:
        specs: its fields, in order.
        defaults: attribute and default of each; sections are values, so one default serves all.
        zero_meanings: attribute to what a zero in it is replaced with.
        leaves: lower-case dotted name of every leaf below, to the attributes that lead to it.
    """

    specs: tuple[FieldSpec, ...]
    defaults: tuple[tuple[str, object], ...]
    zero_meanings: Mapping[str, int]
    leaves: Mapping[str, tuple[tuple[str, ...], FieldSpec]]


_LAYOUTS: dict[type, _Layout] = {}


def _layout(cls: type[Section]) -> _Layout:
    """The layout of a class, worked out on first use: importing a tree costs nothing here."""
    found = _LAYOUTS.get(cls)
    if found is None:
        found = _LAYOUTS[cls] = _make_layout(cls)
    return found


def _make_layout(cls: type[Section]) -> _Layout:
    specs: list[FieldSpec] = []
    defaults: list[tuple[str, object]] = []
    leaves: dict[str, tuple[tuple[str, ...], FieldSpec]] = {}
    for item in dataclasses.fields(cls):
        declared = item.metadata[SPEC]
        assert isinstance(declared, FieldSpec)
        name = item.name.removesuffix("_ns") if declared.kind is Kind.DURATION else item.name
        name = declared.name or name
        spec = dataclasses.replace(declared, attribute=item.name, name=name)
        specs.append(spec)
        nested = _section_class(spec)
        if nested is None:
            leaves[name.lower()] = ((item.name,), spec)
            defaults.append((item.name, item.default))
            continue
        for below, (attributes, leaf) in _layout(nested).leaves.items():
            leaves[f"{name.lower()}.{below}"] = ((item.name, *attributes), leaf)
        defaults.append((item.name, nested()))
    zeros = {s.attribute: s.zero_means for s in specs if s.zero_means is not None}
    return _Layout(tuple(specs), tuple(defaults), zeros, leaves)


def _find_leaf(cls: type[Section], key: str) -> tuple[tuple[str, ...], FieldSpec]:
    leaves = _layout(cls).leaves
    wanted = key.strip().lower()
    if found := leaves.get(wanted):
        return found
    names = property_names(cls)
    below = [name for name in names if name.startswith(f"{wanted}.")]
    if below:
        hint = f'"{wanted}" is a section; set one of: {", ".join(below)}'
    elif near := difflib.get_close_matches(wanted[:_NAME_SHOWN_MAX], names, n=1):
        hint = f'did you mean "{near[0]}"'
    else:
        hint = f"sections: {', '.join(sorted({name.partition('.')[0] for name in names}))}"
    raise InvalidArgumentError(f'unknown property "{key[:_NAME_SHOWN_MAX]}"', hint=hint)


def _rebuild(tree: S, nested: Mapping[str, object]) -> S:
    """A copy of the tree with some leaves replaced."""
    values = _values(tree)
    for attribute, given in nested.items():
        present = values[attribute]
        if isinstance(present, Section) and isinstance(given, Mapping):
            values[attribute] = _rebuild(present, given)
        else:
            values[attribute] = given
    return _construct(type(tree), values)


def _values(tree: Section) -> dict[str, object]:
    return {spec.attribute: getattr(tree, spec.attribute) for spec in specs_of(type(tree))}


def _construct(cls: type[S], values: Mapping[str, object]) -> S:
    build: Callable[..., S] = cls
    return build(**values)


def _section_class(spec: FieldSpec) -> type[Section] | None:
    cls = spec.section
    return cls if cls is not None and issubclass(cls, Section) else None


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
