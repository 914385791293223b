"""What there is to say about a command, as values: the help, man pages and reference are made of it.

The text is the docstring of the command's function: a line, paragraphs, and a last block that is
headed `Examples:` and has one command line each, which the tests run. Arguments and options come from
the parser, fields of records from `aiscli.output.fields`.
"""

# ruff: noqa: ANN401 -- see aiscli.lazy

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from aiscli.output.fields import RECORDS, Records, key_of
from aiscli.tree import Leaf

__all__ = ["Description", "Doc", "Parameter", "describe", "read_doc"]

_EXAMPLES = "Examples:"


@dataclass(frozen=True, slots=True)
class Doc:
    """A docstring in parts.

    Attributes:
        summary: the first line.
        paragraphs: the text below; one with indented lines is to be kept as it is.
        examples: command lines.
    """

    summary: str
    paragraphs: tuple[str, ...] = ()
    examples: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Parameter:
    """An argument or an option.

    Attributes:
        label: how help shows it: `-o, --output FORMAT`, or the name of an argument.
        help: one line.
        default: what it is when not given; "" when that is nothing.
        is_required: the command fails without it.
    """

    label: str
    help: str
    default: str = ""
    is_required: bool = False

    @property
    def text(self) -> str:
        """The help, with the default."""
        notes = [f"default: {self.default}"] if self.default else []
        return "  ".join([self.help, *(f"[{note}]" for note in notes)])


@dataclass(frozen=True, slots=True)
class Description:
    """A command.

    Attributes:
        path: words of the command, from `ais` on.
        usage: the words after them.
        doc: the text.
        arguments: in order.
        options: its own, in order of declaration.
        common: options that every command has.
        records: what machine formats hold; None when it is not declared.
    """

    path: str
    usage: str
    doc: Doc
    arguments: tuple[Parameter, ...]
    options: tuple[Parameter, ...]
    common: tuple[Parameter, ...]
    records: Records | None


def read_doc(function: Callable[..., object]) -> Doc:
    """Take the docstring of a command apart."""
    summary, *rest = (inspect.getdoc(function) or "").split("\n\n")
    paragraphs = [text for text in rest if not text.startswith(_EXAMPLES)]
    examples = [
        line.strip()
        for text in rest
        if text.startswith(_EXAMPLES)
        for line in text.splitlines()[1:]
    ]
    return Doc(summary, tuple(paragraphs), tuple(examples))


def describe(command: Any, path: str) -> Description:
    """Describe a command that `build_command` made, under the name it is called by."""
    arguments = [p for p in command.params if p.param_type_name == "argument" and not p.hidden]
    options = [p for p in command.params if p.param_type_name == "option" and not p.hidden]
    own = [p for p in options if p.name not in command.common_names]
    common = [p for p in options if p.name in command.common_names]
    return Description(
        path=path,
        usage=" ".join(["[OPTIONS]", *(_usage(p) for p in arguments)]),
        doc=_doc(command),
        arguments=tuple(_argument(p) for p in arguments),
        options=tuple(_option(p) for p in own),
        common=(
            *(_option(p) for p in common),
            Parameter("-h, --help", "Show this text."),
        ),
        records=RECORDS.get(key_of(command.leaf.target)),
    )


def _doc(command: Any) -> Doc:
    leaf: Leaf = command.leaf
    if not leaf.pending:
        return read_doc(command.function)
    instead = leaf.instead
    return Doc(leaf.help, (f"{instead[:1].upper()}{instead[1:]}.",) if instead else ())


def _usage(parameter: Any) -> str:
    name = _metavar(parameter)
    word = f"{name}..." if parameter.nargs == -1 and "..." not in name else name
    return word if parameter.required or word.startswith("[") else f"[{word}]"


def _metavar(parameter: Any) -> str:
    return str(parameter.metavar or parameter.name.upper())


def _argument(parameter: Any) -> Parameter:
    return Parameter(
        _metavar(parameter), parameter.help or "", _default(parameter), parameter.required
    )


def _option(parameter: Any) -> Parameter:
    names = _in_order([*parameter.opts, *parameter.secondary_opts])
    label = ", ".join(names)
    if not (parameter.is_flag or parameter.count):
        label = f"{label} {parameter.metavar or 'VALUE'}"
    if parameter.is_flag:
        default = names[0] if parameter.secondary_opts and parameter.default is True else ""
    else:
        default = _default(parameter)
    return Parameter(label, parameter.help or "", default, parameter.required)


def _in_order(spellings: Collection[str]) -> list[str]:
    """One letter first. One dash before a long name works for every option, so it is not shown."""
    short = [name for name in spellings if len(name) == 2]
    return [*short, *(name for name in spellings if name.startswith("--"))]


def _default(parameter: Any) -> str:
    if isinstance(parameter.show_default, str):
        return parameter.show_default
    value = parameter.default
    if value is None or value == "" or value is False or callable(value):
        return ""
    return ",".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
