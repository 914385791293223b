"""The help of a command, out of its description: text, arguments, options, fields, examples."""

# ruff: noqa: ANN401 -- see aiscli.lazy

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from aiscli.describe import Description, Parameter
from aiscli.output.fields import Records

__all__ = ["example_text", "fields_text", "write_help"]

_EXAMPLE_WIDTH = 76
"""Columns of an example; a longer one goes on in the next line, as the shell understands it."""


def write_help(description: Description, formatter: Any) -> None:
    """Write it with the parser's formatter, which knows the width of the terminal."""
    formatter.write_usage(description.path, description.usage)
    with formatter.indentation():
        for paragraph in (description.doc.summary, *description.doc.paragraphs):
            formatter.write_paragraph()
            # The formatter keeps lines as they are behind this mark.
            formatter.write_text(f"\b\n{paragraph}" if "\n  " in paragraph else paragraph)
    _write_list(formatter, "Arguments", description.arguments)
    _write_list(formatter, "Options", description.options)
    _write_list(formatter, "Common options", description.common)
    if description.records is not None:
        with formatter.section("Machine formats"):
            formatter.write_text(fields_text(description.records))
    if description.doc.examples:
        with formatter.section("Examples"):
            formatter.write_text("\b\n" + example_text(description.doc.examples))


def fields_text(records: Records) -> str:
    """What the machine formats hold, in a sentence."""
    if not records.fields:
        return f"{records.shape[:1].upper()}{records.shape[1:]}."
    names = ", ".join(field.name for field in records.fields)
    return f"{records.shape[:1].upper()}{records.shape[1:]}: {names}."


def example_text(examples: Sequence[str]) -> str:
    """The examples, a line each; a long one is continued at an option."""
    return "\n".join(_continued(example) for example in examples)


def _continued(line: str) -> str:
    if len(line) <= _EXAMPLE_WIDTH:
        return line
    end = line.rfind(" -", 0, _EXAMPLE_WIDTH - 2)
    return line if end < 0 else f"{line[:end]} \\\n    {_continued(line[end + 1 :])}"


def _write_list(formatter: Any, title: str, parameters: Sequence[Parameter]) -> None:
    if parameters:
        with formatter.section(title):
            formatter.write_dl([(parameter.label, parameter.text) for parameter in parameters])
