"""Shell completion: the words of a line in, candidates for the last one out.

`ais __complete WORD...` prints a candidate a line, with a description behind a tab where there is one; a candidate
that ends with `/` or `=` can be continued. `:files` instead asks the shell for its own completion of file names.
`ais __complete --bash BREAKS LINE` reads a line as bash has it, and prints replies for `COMPREPLY`.

It runs at every TAB: typer stays out (the commands' options come from the generated `aiscli._table`), a store that is
not there is not made, one page of names is read, and no error is ever shown.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from aiscli._table import COMMANDS, OPTIONS
from aiscli.tree import ALIASES, ROOT, Branch, Leaf

if TYPE_CHECKING:
    from aiscli.context import CliContext
    from aiscore.model.bucket import BucketRef

__all__ = ["FILES", "Candidate", "bash_replies", "candidates", "run_complete"]

FILES = ":files"
"""Stands for the files of this machine; the shell completes these better."""

NAMES_MAX = 200
"""Names of one answer."""

_FORMATS = ("tar", "tgz", "tar.lz4", "zip")
_VALUES = {
    "--archmime": _FORMATS,
    "--archmode": ("regexp", "prefix", "suffix", "substr", "wdskey"),
    "--format": _FORMATS,
    "--output": ("table", "json", "jsonl", "csv"),
    "--units": ("iec", "si", "raw"),
}
_HAVE_KEYS = frozenset({"bucket:props_set", "bucket:props_show", "config:cluster"})
_CLI_NAMES = frozenset(
    {
        "alias:alias_rm",
        "config:cli_set",
        "config:cli_show",
        "config:context_rm",
        "config:context_set",
        "config:context_use",
    }
)
_STORES = frozenset(
    f"--{side}{kind}" for side in ("", "from-", "to-") for kind in ("endpoint", "context")
)
"""Options that name a store."""
_SEVERITIES = ("info", "warning", "error")
_SHELLS = ("bash", "fish", "zsh")
_BOOLEANS = ("true", "false")


class Candidate(NamedTuple):
    """What may stand in the place of the last word."""

    value: str
    description: str = ""


def run_complete(args: Sequence[str], context: CliContext) -> int:
    """Print the candidates; 0 whatever happens."""
    context.is_hurried = True
    try:
        if args[:1] == ["--bash"]:
            lines = bash_replies(args[2], args[1], context)
        else:
            lines = ["\t".join(c).rstrip("\t") for c in candidates(args, context)]
    except Exception:
        return 0
    for line in lines:
        context.output.plain(line)
    return 0


def candidates(words: Sequence[str], context: CliContext) -> list[Candidate]:
    """Candidates for the last of the words behind `ais`."""
    *before, word = words or [""]
    aliases: Mapping[str, str] = {}
    if context.settings.aliases or context.settings.removed_aliases:
        from aiscli.alias import expand, user_aliases

        aliases = user_aliases(context.settings)
        before = expand(before, context.settings, partial=True)
    node: Branch | Leaf = ROOT
    depth = 0
    for name in before:
        if not isinstance(node, Branch) or name not in node.children:
            break
        node = node.children[name]
        depth += 1
    rest = before[depth:]
    found: list[Candidate] = []
    if isinstance(node, Branch) and not rest:
        found = [
            Candidate(name, child.help)
            for name, child in sorted(node.children.items())
            if name.startswith(word)
            and not (child.hidden or child.pending)
            and (node is not ROOT or name not in aliases)
        ]
        if node is ROOT:
            found += [
                Candidate(alias, f"ais {line}")
                for alias, line in aliases.items()
                if alias.startswith(word) and not _is_pending(line)
            ]
    while isinstance(node, Branch):
        if node.default is None:
            return found
        node = node.children[node.default]
    return found + [c for c in _Line(node, rest, word, context).candidates() if _is_safe(c)]


def _is_pending(line: str) -> bool:
    """True when a command line begins with a command that does not work yet."""
    node: Branch | Leaf | None = ROOT
    for word in line.split():
        if not isinstance(node, Branch):
            break
        node = node.children.get(word)
    return node is not None and node.pending


def _is_safe(candidate: Candidate) -> bool:
    # The protocol has lines and tabs, and a name must not steer the terminal.
    return candidate.value.isprintable()


class _Line:
    """A command, the words behind it, and the one that is being typed."""

    def __init__(self, leaf: Leaf, words: Sequence[str], word: str, context: CliContext) -> None:
        self._command = leaf.target.removeprefix("aiscli.commands.")
        self._metavars, self._repeats, indexes = COMMANDS.get(self._command, ((), False, ()))
        self._options = [OPTIONS[index] for index in indexes]
        self._by_name = {name: option for option in self._options for name in option[0]}
        self._word = word
        self._context = context
        self._arguments: list[str] = []
        self._pending = ""  # long spelling of the option whose value is being typed
        self._only_arguments = False
        self._read(words)

    def _read(self, words: Sequence[str]) -> None:
        stores: dict[str, str] = {}
        for word in words:
            if self._pending:
                if self._pending in _STORES:
                    stores[self._pending] = word
                self._pending = ""
            elif self._only_arguments or word == "-" or not word.startswith("-"):
                self._arguments.append(word)
            elif word == "--":
                self._only_arguments = True
            elif (option := self._find(word)) and option[1]:
                self._pending = option[0][0]
            elif word.partition("=")[0] in _STORES:
                stores[word.partition("=")[0]] = word.partition("=")[2]
        # SRC and DST of a copy may be in other stores than that of the rest.
        side = "--from" if not self._arguments else "--to"
        endpoint = stores.get(f"{side}-endpoint") or stores.get("--endpoint")
        context_name = stores.get(f"{side}-context") or stores.get("--context")
        if endpoint or context_name:
            self._context.configure(endpoint=endpoint, context_name=context_name)

    def _find(self, word: str) -> tuple[tuple[str, ...], str, str] | None:
        return self._by_name.get(word) or self._by_name.get(f"-{word}")

    def candidates(self) -> Iterator[Candidate]:
        """Candidates for the word."""
        word = self._word
        if self._pending:
            yield from self._values(self._pending, word)
        elif word.startswith("-") and word != "-" and not self._only_arguments:
            name, equals, value = word.partition("=")
            if not equals:
                yield from self._flags()
            elif option := self._find(name):
                for item in self._values(option[0][0], value):
                    if item.value != FILES:
                        yield Candidate(f"{name}={item.value}", item.description)
        elif word == "-" and not self._only_arguments:
            yield from self._flags()
        else:
            yield from self._argument()

    def _flags(self) -> Iterator[Candidate]:
        for spellings, _, line in self._options:
            names = [name for name in spellings if name.startswith(self._word)]
            if names and not (self._word in {"-", "--"} and not names[0].startswith("--")):
                yield Candidate(names[0], line)

    def _values(self, flag: str, word: str) -> Iterator[Candidate]:
        metavar = self._by_name[flag][1]
        if (flag in _VALUES and metavar == "FORMAT") or flag in {"--units", "--archmode"}:
            yield from (Candidate(v) for v in _VALUES[flag] if v.startswith(word))
        elif flag == "--severity":
            yield from (Candidate(v) for v in _SEVERITIES if v.startswith(word))
        elif flag in _STORES and flag.endswith("context"):
            yield from (Candidate(n) for n in self._contexts() if n.startswith(word))
        elif flag == "--archpath" and self._arguments and self._has_shards:
            for item in self._names(f"{self._arguments[0]}/{word}", members_only=True):
                yield Candidate(item.value[len(self._arguments[0]) + 1 :], item.description)
        elif "FILE" in metavar or metavar in {"SPEC", "DIR"}:
            yield Candidate(FILES)

    @property
    def _has_shards(self) -> bool:
        return self._command in {"archive:get", "object:cat", "object:get"}

    def _argument(self) -> Iterator[Candidate]:
        index = len(self._arguments)
        if self._repeats:
            index = min(index, len(self._metavars) - 1)
        if not 0 <= index < len(self._metavars):
            return
        metavar = self._metavars[index]
        if metavar == "SHELL":
            yield from (Candidate(shell) for shell in _SHELLS if shell.startswith(self._word))
        elif self._command in _CLI_NAMES:
            yield from self._cli_names(index)
        elif self._command in _HAVE_KEYS and metavar in {
            "KEY=VALUE",
            "PROPERTY",
            "SECTION|KEY=VALUE",
        }:
            yield from self._keys(assigns=metavar != "PROPERTY")
        elif metavar.startswith(("FILE", "DIR", "[NODE=]PATH")):
            yield Candidate(FILES)
        elif metavar in {"NODE_ID", "TARGET"}:
            yield from (Candidate(n) for n in self._nodes() if n.startswith(self._word))
        elif metavar in {"BUCKET", "NEW_BUCKET"}:
            yield from self._buckets("")
        elif metavar == "BUCKET [OBJECT...]" and self._arguments:
            head = f"{self._arguments[0]}/"
            for item in self._names(head + self._word):
                yield Candidate(item.value[len(head) :], item.description)
        elif metavar.startswith(("BUCKET", "SRC", "DST", "NEW_NAME", "[BUCKET")):
            yield from self._names(self._word)
            yield from self._buckets("" if metavar.startswith("BUCKET [") else "/")

    # names of the store

    def _listed(self) -> list[BucketRef]:
        if self._is_remote:
            return self._context.transport.list_buckets()
        from aiscore.transport import default_home

        home = self._context.settings.endpoint.value or default_home()
        if not os.path.isdir(home.removeprefix("file://")):
            return []  # opening would make it
        return self._context.transport.list_buckets()

    @property
    def _is_remote(self) -> bool:
        return self._context.settings.store.lower().startswith(("http://", "https://"))

    def _nodes(self) -> list[str]:
        """Roles and ids of nodes; those of an embedded store have no ids of their own."""
        if not self._is_remote:
            return ["proxy", "target"]
        nodes = self._context.transport.cluster_info().nodes
        return ["proxy", "target", *(node.id for node in nodes)]

    def _buckets(self, end: str) -> Iterator[Candidate]:
        for bucket in self._listed():
            for name in _spellings(bucket):
                if name.startswith(self._word):
                    yield Candidate(name + end)
                    break

    def _names(self, word: str, *, members_only: bool = False) -> Iterator[Candidate]:
        """Objects one level below what is typed, directories first; or files of a shard."""
        if "/" not in word:
            return
        for bucket in self._listed():
            for name in _spellings(bucket):
                if word.startswith(f"{name}/"):
                    prefix = word[len(name) + 1 :]
                    found = [] if members_only else self._objects(bucket, prefix)
                    if not found and self._has_shards:
                        found = self._members(bucket, prefix)
                    yield from (Candidate(f"{name}/{c.value}", c.description) for c in found)
                    return

    def _objects(self, bucket: BucketRef, prefix: str) -> list[Candidate]:
        from aiscore.model.objects import ListOptions
        from aiscore.model.units import Units, format_size

        options = ListOptions(prefix=prefix, delimiter="/", page_size=NAMES_MAX)
        entries = self._context.transport.list_page(bucket, options).entries
        entries.sort(key=lambda entry: not entry.is_directory)
        return [
            Candidate(e.name, "" if e.is_directory else format_size(e.size, Units.IEC))
            for e in entries
        ]

    def _members(self, bucket: BucketRef, name: str) -> list[Candidate]:
        from aiscore.model.archive import split_archpath

        # A member named "*" stands for what is not typed yet.
        split = split_archpath(f"{name}*" if name.endswith("/") else name)
        if split is None:
            return []
        shard = split[0]
        prefix = name[len(shard) :].lstrip("/")
        directories: dict[str, None] = {}
        files: dict[str, None] = {}
        for member in self._context.transport.list_members(bucket, shard):
            if member.name.startswith(prefix):
                head, slash, _ = member.name[len(prefix) :].partition("/")
                (directories if slash else files)[prefix + head + slash] = None
                if len(directories) + len(files) >= NAMES_MAX:
                    break
        return [Candidate(f"{shard}/{path}") for path in (*directories, *files)]

    # properties and configuration

    def _cli_names(self, index: int) -> Iterator[Candidate]:
        from aiscli.clifile import DEFAULTS

        names: Iterable[str] = ()
        end = ""
        if self._command == "config:cli_set":
            names, end = DEFAULTS, "="
        elif self._command == "config:cli_show":
            names = DEFAULTS
        elif index == 0 and self._command == "alias:alias_rm":
            names = {*ALIASES, *self._context.settings.aliases}
        elif index == 0:
            names = self._contexts()
        yield from (Candidate(n + end) for n in sorted(names) if n.startswith(self._word))

    def _contexts(self) -> list[str]:
        contexts = self._context.settings.tree.get("contexts")
        return sorted(contexts) if isinstance(contexts, dict) else []

    def _keys(self, *, assigns: bool) -> Iterator[Candidate]:
        from aiscore.model.config import ClusterConfig
        from aiscore.model.props import BucketProps
        from aiscore.model.sections import leaves_of, property_names

        tree = ClusterConfig if self._command == "config:cluster" else BucketProps
        leaves = leaves_of(tree)
        key, equals, value = self._word.partition("=")
        if equals and assigns:
            spec = leaves.get(key.lower())
            choices: Sequence[str] = ()
            if spec is not None:
                choices = _BOOLEANS if spec.kind.name == "BOOL" else tuple(map(str, spec.choices))
            yield from (Candidate(f"{key}={c}") for c in choices if c.startswith(value))
            return
        for name in property_names(tree):
            if name.startswith(key) and not (assigns and leaves[name.lower()].readonly):
                yield Candidate(f"{name}=" if assigns else name)


def _spellings(bucket: BucketRef) -> tuple[str, ...]:
    """How a user may write a bucket: whole, or, where it is unambiguous, by its name alone."""
    whole = bucket.cname
    return (whole, bucket.name) if whole == f"ais://{bucket.name}" else (whole,)


# bash


class _Typed(NamedTuple):
    """The last word of a line.

    Attributes:
        text: without quotes and backslashes.
        quote: the quote that is open at its end, or "".
        kept: how much of `text` lies before the place from which bash replaces.
    """

    text: str
    quote: str
    kept: int


def bash_replies(line: str, breaks: str, context: CliContext) -> list[str]:
    """Replies for `COMPREPLY`: what bash is to put in place of its idea of the last word.

    Args:
        line: what is typed, up to the cursor.
        breaks: `COMP_WORDBREAKS`; bash replaces from behind the last of these outside of quotes.
        context: of the run.
    """
    words, typed = _split(line, breaks)
    found = candidates([*words[1:], typed.text], context)
    if [c.value for c in found] == [FILES]:
        return [FILES]
    return [
        _quote(c.value[typed.kept :], typed.quote)
        for c in found
        if c.value.startswith(typed.text[: typed.kept])
    ]


def _split(line: str, breaks: str) -> tuple[list[str], _Typed]:
    words: list[str] = []
    text, quote, kept = "", "", 0
    is_word = False
    characters = iter(line)
    for c in characters:
        if quote:
            if c == quote:
                quote = ""
            elif c == "\\" and quote == '"':
                following = next(characters, "")
                text += following if following in '"\\$`' else c + following
            else:
                text += c
        elif c in " \t\n":
            if is_word:
                words.append(text)
            text, kept, is_word = "", 0, False
        elif c in ";|&":  # another command begins
            words, text, kept, is_word = [], "", 0, False
        elif c in "\"'":
            quote, is_word, kept = c, True, len(text)
        elif c == "\\":
            text += next(characters, "")
            is_word = True
        else:
            text += c
            is_word = True
            if c in breaks:
                kept = len(text)
    return words, _Typed(text, quote, kept)


def _quote(text: str, quote: str) -> str:
    if quote == "'":
        return text.replace("'", "'\\''")
    special = '"\\$`' if quote else " !\"#$&'()*;<>?[\\]^`{|}~"
    return "".join(f"\\{c}" if c in special else c for c in text)
