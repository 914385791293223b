"""The text of `aisloader usage`: every flag in its group, and examples that run."""

import difflib
import shutil
import textwrap
from collections.abc import Sequence

from aiscore.model.units import INT64_MAX, UINT64_MAX
from aisloader.commands import SUBCOMMANDS
from aisloader.params.option import Kind, Option, show_value
from aisloader.params.parser import META_FLAGS, UsageError
from aisloader.params.sections import SECTIONS, section_options

__all__ = ["EXAMPLES", "folded", "limits_of", "usage_text"]

_INDENT = "  "
_HELP_COLUMN = 32
_WIDTH_MIN = 60
_WIDTH_MAX = 110

EXAMPLES: Sequence[tuple[str, str]] = (
    (
        "Fill a bucket of the embedded engine with 1 GiB of objects, 1 to 64 KiB each:",
        "aisloader -bucket=ais://b -pctput=100 -minsize=1KiB -maxsize=64KiB -totalputsize=1GiB",
    ),
    (
        "Read every object three times, 64 in one GetBatch:",
        "aisloader -bucket=ais://b -get-batchsize=64 -epochs=3",
    ),
    (
        "A mix of 10% PUT and 90% GET on a server for ten minutes, statistics as JSON:",
        "aisloader -endpoint=http://localhost:8080 -bucket=ais://b -pctput=10 -duration=10m -json",
    ),
    (
        "500 requests a second, Poisson arrivals, after 10 seconds of warm-up; keep the result:",
        (
            "aisloader -bucket=ais://b -rate=500/s -arrival=poisson -warmup=10s -duration=1m10s "
            "-result=run.json"
        ),
    ),
    (
        "Write shards of 100 files, then read single files out of them:",
        (
            "aisloader -bucket=ais://s -pctput=100 -arch.pct=100 -arch.num-files=100 "
            "-arch.minsize=1KiB -arch.maxsize=10KiB -minsize=1MiB -maxsize=8MiB -maxputs=100\n"
            "aisloader -bucket=ais://s -arch.list -duration=30s"
        ),
    ),
    (
        "Every run prints its seed; with the same one it does the same things again:",
        "aisloader -bucket=ais://b -seed=42 -epochs=1 -dry-run",
    ),
    ("Destroy the bucket and do nothing else:", "aisloader -bucket=ais://b -duration=0 -cleanup"),
)


def usage_text(words: Sequence[str] = ()) -> str:
    """The usage; with the name of a section or of a flag, only that.

    Raises:
        UsageError: a word is neither.
    """
    width = max(_WIDTH_MIN, min(_WIDTH_MAX, shutil.get_terminal_size((80, 24)).columns)) - 1
    if words:
        return "\n\n".join(_part(word, width) for word in words)
    return "\n".join([*_head(width), *_groups(width), *_meta(width), *_examples(width)])


def _head(width: int) -> list[str]:
    lines = [
        "Usage: aisloader [COMMAND] -FLAG[=VALUE] ...",
        "",
        *textwrap.wrap(
            "Generates load for an object store: the embedded engine, an AIStore server, or an S3 "
            "endpoint. Flags take one dash or two; values follow = or a blank. Sizes are 4KiB, "
            "1.5M (always powers of 1024) or bytes, durations 90s, 1h30m.",
            width,
        ),
        "",
        "Commands:",
    ]
    for name, text in SUBCOMMANDS.items():
        lines += _row(f"{_INDENT}{name}", text, width)
    return lines


def _groups(width: int) -> list[str]:
    lines: list[str] = []
    for section, what in SECTIONS.items():
        lines += ["", f"{what.title} ({section}):"]
        for each in section_options(section):
            lines += _flag(each, width)
    return lines


def _meta(width: int) -> list[str]:
    lines = ["", "Help:"]
    for name, text in META_FLAGS.items():
        lines += _row(f"{_INDENT}-{name}", text, width)
    return lines


def _examples(width: int) -> list[str]:
    lines = ["", "Examples:"]
    for text, command in EXAMPLES:
        lines += [
            "",
            *textwrap.wrap(text, width, initial_indent=_INDENT, subsequent_indent=_INDENT),
        ]
        for line in command.split("\n"):
            lines += folded(line, width, _INDENT * 2)
    return lines


def folded(command: str, width: int, indent: str) -> list[str]:
    """A command line on as many lines as it needs; a shell takes them as one."""
    lines = textwrap.wrap(
        command,
        width - 2,
        initial_indent=indent,
        subsequent_indent=f"{indent}  ",
        break_long_words=False,
        break_on_hyphens=False,
    )
    return [*(f"{line} \\" for line in lines[:-1]), lines[-1]]


def _part(word: str, width: int) -> str:
    name = word.lstrip("-")
    for section, what in SECTIONS.items():
        flags = section_options(section)
        if name == section:
            lines = [f"{what.title} ({section}):"]
            for each in flags:
                lines += _flag(each, width)
            return "\n".join(lines)
        for each in flags:
            if name in each.spellings:
                return "\n".join(_flag(each, width))
    known = [
        *SECTIONS,
        *(spelling for s in SECTIONS for each in section_options(s) for spelling in each.spellings),
    ]
    near = difflib.get_close_matches(name, known, 1)
    raise UsageError(
        f'"{ascii(word)[1:-1]}" is neither a group nor a flag',
        hint=f"did you mean {near[0]}?" if near else f"groups: {', '.join(SECTIONS)}",
    )


def _flag(each: Option, width: int) -> list[str]:
    left = f"{_INDENT}-{each.name}"
    if each.kind is not Kind.BOOL:
        left += f" {each.kind.value}"
    details = limits_of(each)
    default = each.shown_default or show_value(each.kind, each.default)
    if default not in {"", "0", "0.0", "false", "-", "0s"}:
        details.append(f"default {default}")
    if each.aliases:
        details.append(f"also -{', -'.join(each.aliases)}")
    text = f"{each.help} ({'; '.join(details)})" if details else each.help
    return _row(left, text, width)


def limits_of(each: Option) -> list[str]:
    """The range of a flag in words, where its help or its kind does not tell; at most one entry."""
    if each.low is not None and each.high is not None and each.high < INT64_MAX:
        is_percentage = each.low == 0 and each.high == 100
        if each.kind is Kind.SIZE or is_percentage:
            return []
        return [f"{show_value(each.kind, each.low)} to {show_value(each.kind, each.high)}"]
    if each.high is not None and each.high not in {INT64_MAX, UINT64_MAX}:
        return [f"at most {show_value(each.kind, each.high)}"]
    return []


def _row(left: str, text: str, width: int) -> list[str]:
    """Two columns; a long left one has a line of its own."""
    wrapped = textwrap.wrap(text, width - _HELP_COLUMN, break_on_hyphens=False)
    pad = " " * _HELP_COLUMN
    first = [f"{left:<{_HELP_COLUMN}}{wrapped[0]}"]
    if len(left) >= _HELP_COLUMN:
        first = [left, f"{pad}{wrapped[0]}"]
    return [*first, *(f"{pad}{line}" for line in wrapped[1:])]
