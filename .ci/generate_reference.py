"""Writes what is documented from code: the man pages in `docs/man`, and the pages in `docs/reference`.

Run it after a change of commands, flags, records or exit codes; a test compares the files with what it makes.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from textwrap import fill, indent

from aiscli.describe import Description, Parameter, describe
from aiscli.environment import ENVIRONMENT
from aiscli.exitcodes import EXIT_MEANINGS
from aiscli.helptext import example_text, fields_text
from aiscli.lazy import build_command
from aiscli.output.fields import Field
from aiscli.tree import ALIASES, ROOT, Branch, Leaf, leaves
from aisloader.pages import man_page as loader_man_page
from aisloader.pages import reference_page

ROOT_DIRECTORY = Path(__file__).parent.parent
MAN = ROOT_DIRECTORY / "docs/man"
REFERENCE = ROOT_DIRECTORY / "docs/reference"
MARK = "<!-- Made by .ci/generate_reference.py; do not edit. -->\n"

FORMATS = {
    "table": (
        "aligned columns for people, without boxes. Nothing is cut: a line is as long as the names in it, "
        "on a terminal as in a pipe"
    ),
    "json": "one value: an object, or an array with a record a line",
    "jsonl": "a record a line; each can be read before the next one comes",
    "csv": "a header, then a record a line; what has structure is JSON in its cell",
    "yaml": "the same as json; every string that could be read as something else is quoted",
}
RULES = (
    (
        "Sizes are bytes, times are UTC in ISO 8601; `--units` is for tables only. Fields are added in later "
        "releases, never renamed; a reader should ignore those that it does not know."
    ),
    (
        "`--columns name,size` prints these fields only, in this order, in every format. In a table it also "
        "leaves out captions, totals and messages. A name that the command does not have is refused before "
        "anything is done. For a bucket's or the cluster's configuration these are the top-level keys of the "
        "tree, or `property` and `value`."
    ),
    (
        "Lists are written as they come, so that a listing of any length takes the same memory. When a command "
        "fails in the middle, what was written stays, and the output may end early: the exit code tells."
    ),
    (
        "Errors, warnings and notes are text on standard error in every format, and the exit code says what kind "
        "of failure it was. When the reader of a pipe goes away, the command ends silently with 141."
    ),
    (
        "In pipes, names are written byte for byte in `csv`; `json` and `yaml` write control and formatting "
        "characters as escapes, which their readers undo. Tables, and `csv` on a terminal, show them as escapes."
    ),
    (
        "Progress is shown on standard error, and only on a terminal. Colours are for terminals; `--no-color`, "
        "`NO_COLOR`, `TERM=dumb` and the setting `no_color` switch them off; `FORCE_COLOR` "
        "switches them on in pipes, unless one of these is set."
    ),
)


@dataclass(frozen=True)
class Command:
    """A command under its main name; `also` are the others."""

    path: str
    also: tuple[str, ...]
    leaf: Leaf

    @property
    def about(self) -> Description:
        """The description under its main name."""
        return described(self.leaf, self.path)


@cache
def described(leaf: Leaf, path: str) -> Description:
    """Describe a command as called by `path`."""
    return describe(build_command(path.split()[-1], leaf), f"ais {path}")


def commands() -> list[Command]:
    """Every command that works, once, in the order of the tree."""
    paths: dict[str, list[str]] = {}
    by_target: dict[str, Leaf] = {}
    for path, leaf in leaves(ROOT):
        if not (leaf.pending or leaf.hidden):
            paths.setdefault(leaf.target, []).append(path)
            by_target[leaf.target] = leaf
    found = []
    for target, names in paths.items():
        main = min(names, key=lambda name: (name.split()[0] in ALIASES, name.startswith("show ")))
        also = tuple(name for name in names if name != main)
        found.append(Command(main, also, by_target[target]))
    order = list(ROOT.children)
    return sorted(found, key=lambda command: order.index(command.path.split()[0]))


def pending() -> list[tuple[str, Leaf]]:
    """Commands that do not work yet, without their shortcuts."""
    return [(path, leaf) for path, leaf in leaves(ROOT) if leaf.pending and path not in ALIASES]


def files() -> dict[Path, str]:
    """Every generated file with its text."""
    pages = {
        REFERENCE / "ais.md": "".join(markdown_commands()),
        REFERENCE / "output.md": "".join(markdown_output()),
        REFERENCE / "aisloader.md": reference_page(MARK),
        MAN / "ais.1": man_root(),
        MAN / "aisloader.1": loader_man_page(MARK.strip("<>!- \n"), roff),
    }
    for name, node in ROOT.children.items():
        if not node.pending:
            pages[MAN / f"ais-{name}.1"] = man_page(name, node)
    return pages


def main() -> None:
    """Write the files, and remove those of commands that are gone."""
    pages = files()
    for folder in (MAN, REFERENCE):
        folder.mkdir(parents=True, exist_ok=True)
        for path in folder.iterdir():
            if path not in pages:
                path.unlink()
    for path, text in pages.items():
        path.write_text(text)


# Markdown


def md(text: str) -> str:
    """Prose; what is in backticks stays."""
    parts = re.split(r"(`[^`]*`)", text)
    return "".join(
        part if part.startswith("`") else re.sub(r"([\\*_<\[\]|])", r"\\\1", part) for part in parts
    )


def code(text: str) -> str:
    """Code in a cell of a table."""
    return "`" + text.replace("|", "\\|") + "`"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; the cells are Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines) + "\n"


def anchor(text: str) -> str:
    """Where a link to the heading `text` leads."""
    return re.sub(r"[^\w -]", "", text.lower()).replace(" ", "-")


def paragraphs(texts: Iterable[str]) -> str:
    """Prose, and blocks that are indented."""
    return "".join(
        f"```text\n{text}\n```\n\n" if "\n  " in text else f"{md(text)}\n\n" for text in texts
    )


def parameters(title: str, rows: Sequence[Parameter]) -> str:
    """A table of arguments or options; nothing for none."""
    if not rows:
        return ""
    return f"{title}\n\n" + table(
        ("Name", "Meaning", "Default"),
        (
            (
                code(row.label),
                md(row.help) + (" Required." if row.is_required else ""),
                code(row.default) if row.default else "",
            )
            for row in rows
        ),
    )


def markdown_commands() -> Iterator[str]:
    """The command reference."""
    every = commands()
    yield f"# Commands of `ais`\n\n{MARK}\n"
    yield "`ais COMMAND --help` and `man ais-COMMAND` have the same text. "
    yield "The fields of the machine formats are in [output.md](output.md).\n\n"
    yield table(
        ("Command", "What it does"),
        ((f"[`ais {c.path}`](#{anchor(f'ais {c.path}')})", md(c.leaf.help)) for c in every),
    )
    yield "## Options of every command\n\n"
    yield parameters("They may stand anywhere behind the command.", about_ls().common)
    yield (
        "Where a command has another option of the same name, its own counts; there `--output-format` is the "
        "format. A single dash before a long option, `-limit 3`, is understood, and `--headers=false`.\n\n"
    )
    group = ""
    for command in every:
        if command.path.split()[0] != group:
            group = command.path.split()[0]
            node = ROOT.children[group]
            if isinstance(node, Branch):
                yield f"## ais {group}: group\n\n{md(node.help)}\n\n"
        yield markdown_command(command)
    yield "## Shortcuts\n\n"
    works = {name: path for name, path in ALIASES.items() if not ROOT.children[name].pending}
    yield table(
        ("Shortcut", "Command"), ((f"`ais {n}`", f"`ais {path}`") for n, path in works.items())
    )
    yield "## Exit codes\n\n"
    yield table(("Code", "Meaning"), ((f"{c:d}", md(text)) for c, text in EXIT_MEANINGS.items()))
    yield "## Environment\n\n"
    yield table(("Variable", "Meaning"), ((f"`{n}`", md(t)) for n, t in ENVIRONMENT.items()))
    if waiting := pending():
        yield "## Not available yet\n\nThese are known, and answer so with exit code 1.\n\n"
        yield table(
            ("Command", "Instead"), ((f"`ais {p}`", md(leaf.instead)) for p, leaf in waiting)
        )[:-1]


def markdown_command(command: Command) -> str:
    """The section of a command."""
    about = command.about
    also = ", ".join(f"`ais {path}`" for path in command.also)
    records = about.records
    linked = (
        f"[Output](output.md#{anchor(about.path)}): " if records and records.fields else "Output: "
    )
    return "".join(
        (
            f"### {about.path}\n\n{md(about.doc.summary)}\n\n",
            f"```text\n{about.path} {about.usage}\n```\n\n",
            f"Also: {also}.\n\n" if also else "",
            paragraphs(about.doc.paragraphs),
            parameters("Arguments:", about.arguments),
            parameters("Options:", about.options),
            f"{linked}{md(fields_text(records))}\n\n" if records else "",
            f"Examples:\n\n```text\n{example_text(about.doc.examples)}\n```\n\n",
        )
    )


def markdown_output() -> Iterator[str]:
    """The reference of formats and fields."""
    yield f"# Output of `ais`\n\n{MARK}\n"
    yield "Every command takes `-o FORMAT` (`--json` is `-o json`, and `AIS_OUTPUT` is the default):\n\n"
    yield table(("Format", "What is written"), ((f"`{n}`", t) for n, t in FORMATS.items()))
    yield "".join(f"- {rule}\n" for rule in RULES)
    yield "\nA field marked \\* may be missing from a record. Every field may be given to `--columns`.\n\n"
    for command in commands():
        records = command.about.records
        if records is None:
            continue
        yield f"## {command.about.path}\n\n"
        also = ", ".join(f"`ais {path}`" for path in command.also)
        yield f"Also: {also}.\n\n" if also else ""
        yield f"{records.shape[:1].upper()}{records.shape[1:]}.\n\n"
        if records.fields:
            yield table(("Field", "Type", "Meaning"), (field_row(f) for f in records.fields))


def field_row(field: Field) -> tuple[str, str, str]:
    """The cells of a field."""
    mark = " \\*" if field.is_optional else ""
    return f"`{field.name}`{mark}", field.type, md(field.meaning)


# man pages


def roff(text: str) -> str:
    """Text of a man page: no line is a request, every dash is one that can be copied."""
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("`", "")
    return "\n".join(f"\\&{line}" if line[:1] in {".", "'"} else line for line in text.split("\n"))


def prose(text: str) -> str:
    """Text that the reader's program fills; short lines, as the format wants them."""
    return roff(fill(text, 70, break_long_words=False, break_on_hyphens=False))


def head(name: str) -> str:
    """What a page begins with: no date, which would change it with every build; no hyphenation."""
    page = f"ais-{name}" if name else "ais"
    return (
        '.\\" Made by .ci/generate_reference.py; do not edit.\n'
        f'.TH {roff(page.upper())} 1 "" aiscore ais\n.nh\n.ad l\n'
    )


def rows_of(rows: Iterable[tuple[str, str]]) -> str:
    """A list of labels, in roff, with texts."""
    return "".join(f".TP\n{label}\n{prose(text)}\n" for label, text in rows)


def listed(rows: Iterable[Parameter]) -> str:
    """Arguments or options."""
    return rows_of((bold_label(row.label), row.text) for row in rows)


def bold_label(label: str) -> str:
    """Options in bold, their values not."""
    words = re.split(r"(,? )", label)
    return "".join(
        f"\\fB{roff(w)}\\fR" if w.startswith("-") and w != "-" else roff(w) for w in words
    )


def codes() -> str:
    """The exit codes."""
    return rows_of((f"\\fB{code:d}\\fR", text) for code, text in EXIT_MEANINGS.items())


def text_of(texts: Iterable[str]) -> str:
    """Paragraphs, and blocks that are indented."""
    return "".join(
        f".PP\n.EX\n{roff(text)}\n.EE\n" if "\n  " in text else f".PP\n{prose(text)}\n"
        for text in texts
    )


def command_body(about: Description, level: str, *, shows_also: Sequence[str] = ()) -> str:
    """Synopsis, text, options, output and examples of a command."""
    also = ", ".join(f"ais {path}" for path in shows_also)
    records = about.records
    return "".join(
        (
            f"\\fB{roff(about.path)}\\fR {roff(about.usage)}\n",
            f".PP\n{prose(about.doc.summary)}\n",
            text_of(about.doc.paragraphs),
            f".PP\n{prose(f'Also: {also}.')}\n" if also else "",
            listed((*about.arguments, *about.options)),
            f".PP\n{prose(f'Output: {lower(fields_text(records))}')}\n" if records else "",
            f".PP\nExamples:\n.PP\n.EX\n{roff(indent(example_text(about.doc.examples), '  '))}\n.EE\n"
            if about.doc.examples
            else "",
        )
    )


def lower(text: str) -> str:
    """`text` for the middle of a sentence."""
    return f"{text[:1].lower()}{text[1:]}"


def man_page(name: str, node: Branch | Leaf) -> str:
    """The page of a group, a command, or a shortcut."""
    summary = node.help.rstrip(".")
    lines = [head(name), f".SH NAME\n{roff(f'ais-{name}')} \\- {roff(lower(summary))}\n"]
    if isinstance(node, Leaf):
        about = described(node, name)
        others = [
            path for path, leaf in leaves(ROOT) if leaf.target == node.target and path != name
        ]
        lines.append(".SH SYNOPSIS\n" + command_body(about, ".SH", shows_also=others))
    else:
        lines.append(group_body(name, node))
    lines.append(f".SH COMMON OPTIONS\n{listed(about_ls().common)}")
    lines.append(f".SH EXIT STATUS\n{codes()}")
    lines.append(".SH SEE ALSO\n.BR ais (1)\n")
    return "".join(lines)


def about_ls() -> Description:
    """A command that has every common option under its own name."""
    leaf = ROOT.children["ls"]
    assert isinstance(leaf, Leaf)
    return described(leaf, "ls")


def group_body(name: str, node: Branch) -> str:
    """The commands of a group; those that belong to another one in a line."""
    main = {command.leaf.target: command for command in commands()}
    lines = [
        f".SH SYNOPSIS\n\\fBais {roff(name)}\\fR COMMAND [OPTIONS] [ARGUMENTS]\n",
        ".SH COMMANDS\n",
    ]
    waiting = []
    for path, leaf in leaves(node, name):
        if leaf.pending:
            waiting.append((path, leaf))
            continue
        command = main.get(leaf.target)
        if command is None:
            continue
        lines.append(f".SS {roff(path)}\n")
        if command.path == path:
            lines.append(command_body(command.about, ".SS", shows_also=command.also))
        else:
            page = f"ais-{command.path.split()[0]}"
            lines.append(
                f"{prose(leaf.help)}\n.PP\nSame as ais {roff(command.path)}, see\n.BR {roff(page)} (1).\n"
            )
    if waiting:
        lines.append(".SH NOT AVAILABLE YET\n")
        lines.append(prose(", ".join(f"ais {path}" for path, _ in waiting) + ".") + "\n")
    return "".join(lines)


def man_root() -> str:
    """`ais.1`."""
    works = {name: path for name, path in ALIASES.items() if not ROOT.children[name].pending}
    tops = [(n, node) for n, node in ROOT.children.items() if n not in ALIASES and not node.pending]
    formats = ((f"\\fB{name}\\fR", text + ".") for name, text in FORMATS.items())
    variables = ((f"\\fB{name}\\fR", text) for name, text in ENVIRONMENT.items())
    return "".join(
        (
            head(""),
            f".SH NAME\nais \\- {roff(lower(ROOT.help.rstrip('.')))}\n",
            ".SH SYNOPSIS\n\\fBais\\fR COMMAND [SUBCOMMAND] [OPTIONS] [ARGUMENTS]\n.br\n",
            "\\fBais\\fR \\fB\\-\\-version\\fR\n",
            ".SH DESCRIPTION\n",
            prose(
                "Objects are named ais://BUCKET/NAME. Files of a shard, an object that is an archive, are named "
                "ais://BUCKET/SHARD/FILE. A dash stands for standard input or output."
            ),
            "\n",
            ".SH COMMANDS\n",
            rows_of((f"\\fB{roff(f'ais-{name}')}\\fR(1)", node.help) for name, node in tops),
            ".SH SHORTCUTS\n",
            rows_of(
                (f"\\fB{roff(f'ais {name}')}\\fR", f"ais {path}") for name, path in works.items()
            ),
            f".SH COMMON OPTIONS\n{listed(about_ls().common)}",
            f".SH OUTPUT FORMATS\n{rows_of(formats)}",
            text_of(RULES),
            f".SH EXIT STATUS\n{codes()}",
            f".SH ENVIRONMENT\n{rows_of(variables)}",
            ".SH FILES\n",
            rows_of(
                (
                    (roff("~/.config/ais/cli/cli.json"), "settings, see ais config cli"),
                    (
                        roff("~/.local/share/aiscore"),
                        "the embedded store, unless AIS_HOME or a context names another",
                    ),
                )
            ),
            ".SH SEE ALSO\n",
            ",\n".join(f".BR {roff(f'ais-{name}')} (1)" for name, _ in tops),
            "\n",
        )
    )


if __name__ == "__main__":
    main()
