"""The reference and the man page of `aisloader`, made from the same flags as its usage."""

import textwrap
from collections.abc import Callable

from aisloader.commands import SUBCOMMANDS
from aisloader.params.option import Kind, Option, show_value
from aisloader.params.sections import SECTIONS, section_options
from aisloader.usage import EXAMPLES, folded, limits_of

__all__ = ["man_page", "reference_page"]

_ABOUT = (
    "Flags take one dash or two; values follow = or a blank, booleans need none. Sizes are 4KiB, 1.5M (every suffix is "
    "a power of 1024) or bytes; durations are 90s, 1h30m. A word that is no flag is an error."
)
_EXITS = (
    (0, "the run did what it was asked to"),
    (1, "a rule is broken, the run could not start, or more operations failed than -max-errors"),
    (2, "the command line is malformed"),
    (130, "interrupted"),
)


def reference_page(mark: str) -> str:
    """Markdown; `mark` says who made it."""
    lines = ["# Flags of `aisloader`", "", mark, _ABOUT, ""]
    lines += ["| Command | What it does |", "| --- | --- |"]
    lines += [f"| `aisloader {name}` | {_cell(text)} |" for name, text in SUBCOMMANDS.items()]
    for section, what in SECTIONS.items():
        lines += ["", f"## {what.title}", ""]
        lines += ["| Flag | Value | Default | Meaning |", "| --- | --- | --- | --- |"]
        lines += [_row(each) for each in section_options(section)]
    lines += ["", "## Examples", ""]
    for text, command in EXAMPLES:
        lines += [text, "", "```sh", command, "```", ""]
    lines += ["## Exit codes", "", "| Code | Meaning |", "| --- | --- |"]
    lines += [f"| {code} | {meaning} |" for code, meaning in _EXITS]
    return "\n".join([*lines, ""])


def man_page(mark: str, roff: Callable[[str], str]) -> str:
    """`aisloader.1`; `mark` says who made it, `roff` makes text safe for a man page."""
    lines = [
        f'.\\" {mark}',
        '.TH AISLOADER 1 "" aiscore ais',
        ".nh",
        ".ad l",
        ".SH NAME",
        f"aisloader \\- {roff('generate load for an object store, and measure it')}",
        ".SH SYNOPSIS",
        f"\\fBaisloader\\fR {roff('[COMMAND] -FLAG[=VALUE] ...')}",
        ".SH DESCRIPTION",
        _prose(roff(_ABOUT)),
        ".SH COMMANDS",
    ]
    for name, text in SUBCOMMANDS.items():
        lines += [".TP", f"\\fB{roff(name)}\\fR", _prose(roff(text))]
    for section, what in SECTIONS.items():
        lines.append(f".SH {roff(what.title).upper()}")
        for each in section_options(section):
            value = "" if each.kind is Kind.BOOL else f" \\fI{roff(each.kind.value)}\\fR"
            names = ", ".join(f"\\fB{roff(f'-{name}')}\\fR" for name in each.spellings)
            details = [*limits_of(each), *(f"default {text}" for text in _default(each))]
            tail = f" ({'; '.join(details)})" if details else ""
            lines += [".TP", f"{names}{value}", _prose(roff(f"{each.help}{tail}"))]
    lines.append(".SH EXAMPLES")
    for number, (text, command) in enumerate(EXAMPLES):
        shown = [part for line in command.split("\n") for part in folded(line, 68, "")]
        lines += [
            *[".PP"] * (number > 0),
            _prose(roff(text)),
            ".PP",
            ".nf",
            ".RS 4",
            roff("\n".join(shown)),
            ".RE",
            ".fi",
        ]
    lines.append(".SH EXIT STATUS")
    for code, meaning in _EXITS:
        lines += [".TP", f"\\fB{code}\\fR", _prose(roff(meaning))]
    return "\n".join([*lines, ""])


def _prose(text: str) -> str:
    """In lines that tools for man pages are content with; none begins as a request would."""
    lines = textwrap.wrap(text, 72, break_long_words=False, break_on_hyphens=False)
    return "\n".join(f"\\&{line}" if line[:1] in {".", "'"} else line for line in lines)


def _row(each: Option) -> str:
    names = ", ".join(f"`-{name}`" for name in each.spellings)
    limits = limits_of(each)
    meaning = f"{each.help} ({'; '.join(limits)})" if limits else each.help
    default = "".join(f"`{text}`" for text in _default(each))
    return f"| {names} | {_cell(each.kind.value)} | {default} | {_cell(meaning)} |"


def _default(each: Option) -> list[str]:
    """The default as one would type it; empty for nothing."""
    text = each.shown_default or show_value(each.kind, each.default)
    return [] if text in {"", "-"} else [text]


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")
