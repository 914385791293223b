"""YAML as the command prints it: safe, one style, and read back alike by every parser.

Parsers disagree on what an unquoted word is: `no`, `012`, `1e3`, `12:30` and `2026-11-23` are strings
for some of them and something else for others. Every string that any of them could take for
something else is quoted. There are no anchors, tags, or folded lines.
"""

# ruff: noqa: ANN401 -- the types of the library's dumpers have no names

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from itertools import islice
from typing import Any

from aiscli.output.text import is_steady

__all__ = ["dump_yaml", "iter_yaml"]

_BATCH_RECORDS = 500
"""Records dumped together: the emitter costs as much to set up as a record to write."""
_WIDTH = 2**30
"""Columns; never reached, so that no string is folded."""

_AMBIGUOUS = re.compile(
    r"""[-+.]?[0-9][-+0-9a-fA-FoOxXeEtTzZ_.,: ]*[0-9a-zA-Z.%]? # numbers, dates, times, versions
    |[-+]?\.(?:inf|nan)|[-+]?(?:inf|nan)|infinity
    |y|n|yes|no|on|off|true|false|null|none|nil|~|<<|=|""",
    re.VERBOSE | re.IGNORECASE,
)


def dump_yaml(value: object) -> str:
    """One document's content, without markers."""
    try:
        text = _dump(value, is_fast=True)
        is_whole = "\\U" not in text  # the fast emitter escapes characters that it could write
    except UnicodeEncodeError:
        is_whole = False  # a file name that is not UTF-8
    if not is_whole:
        text = _dump(value, is_fast=False)
    return _escape(text.removesuffix("...\n"))


def iter_yaml(records: Iterable[Mapping[str, object]]) -> Iterator[str]:
    """Pieces of one sequence, as the records come; nothing for no record."""
    rest = iter(records)
    while batch := list(islice(rest, _BATCH_RECORDS)):
        yield dump_yaml(batch)


def _escape(text: str) -> str:
    """Whatever could steer a terminal, as an escape: such strings stand in double quotes."""
    if is_steady(text):
        return text
    return "".join(c if c == "\n" or c.isprintable() else _escaped(c) for c in text)


def _escaped(char: str) -> str:
    code = ord(char)
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _dump(value: object, *, is_fast: bool) -> str:
    yaml, dumper = _dumper(is_fast)
    text: str = yaml.dump(
        value,
        Dumper=dumper,
        allow_unicode=True,
        sort_keys=False,
        default_flow_style=False,
        width=_WIDTH,
    )
    return text


@cache
def _dumper(is_fast: bool) -> tuple[Any, type]:
    """The library, and a safe dumper of it with our rules; imported on first use."""
    import yaml

    base: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper) if is_fast else yaml.SafeDumper

    class Dumper(base):  # type: ignore[misc] # one of two classes, known when it runs
        def ignore_aliases(self, data: object) -> bool:
            return True

        def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
            super().increase_indent(flow, False)  # only the Python emitter asks

    def text(dumper: Any, value: object) -> Any:
        word = str(value)
        style = None
        if not is_steady(word, lines=False):
            style = '"'
        elif _AMBIGUOUS.fullmatch(word):
            style = "'"
        return dumper.represent_scalar("tag:yaml.org,2002:str", word, style=style)

    Dumper.add_representer(str, text)
    Dumper.add_multi_representer(str, text)
    Dumper.add_multi_representer(
        Mapping, lambda dumper, value: dumper.represent_dict(value.items())
    )
    Dumper.add_multi_representer(object, text)
    return yaml, Dumper
