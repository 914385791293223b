"""Commands by words: of their path, their help line, or what others call them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from aiscli.context import CliContext
from aiscli.exitcodes import ExitCode
from aiscli.output import Column
from aiscli.pending import MARK
from aiscli.suggest import SYNONYMS, nearest
from aiscli.tree import ROOT, Branch, Leaf
from aiscore.errors import InvalidArgumentError, NotFoundError

__all__ = ["SearchRequest", "run_search"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchRequest:
    """What to look for: words that all have to be there, or a regular expression over the path."""

    words: tuple[str, ...] = ()
    regex: str = ""

    def __post_init__(self) -> None:
        if bool(self.words) == bool(self.regex):
            raise InvalidArgumentError(
                "missing or ambiguous search: expected words, or --regex",
                hint="as in: ais search copy",
            )


def run_search(context: CliContext, request: SearchRequest) -> ExitCode:
    """Print the command lines that match."""
    if request.regex:
        found = _by_regex(request.regex)
    else:
        found = _by_words([word.lower() for word in request.words])
    rows = [{"command": f"ais {path}", "help": node.help} for path, node in found]
    if not rows:
        raise _nothing(request)
    if context.output.is_table:
        for row, (_, node) in zip(rows, found, strict=True):
            context.output.text(f"{row['command']}  {MARK}" if node.pending else row["command"])
    else:
        context.output.table([Column("command"), Column("help")], rows)
    return ExitCode.OK


def _by_regex(regex: str) -> list[tuple[str, Branch | Leaf]]:
    try:
        pattern = re.compile(regex)
    except re.error as exc:
        raise InvalidArgumentError(f'invalid regular expression "{regex}": {exc}') from exc
    return [(path, node) for path, node in _commands(ROOT) if pattern.search(path)]


def _by_words(words: list[str]) -> list[tuple[str, Branch | Leaf]]:
    """Commands called so, or so by others; if there is none, those that speak of it."""
    commands = list(_commands(ROOT))
    named = [(path, node) for path, node in commands if all(_names(path, word) for word in words)]
    if named:
        return named
    return [
        (path, node)
        for path, node in commands
        if all(word in f"{path} {node.help}".lower() for word in words)
    ]


def _names(path: str, word: str) -> bool:
    return any(
        word in name or word in {synonym.lower() for synonym in SYNONYMS.get(name, ())}
        for name in path.split()
    )


def _nothing(request: SearchRequest) -> NotFoundError:
    what = request.regex or " ".join(request.words)
    names = {name for path, _ in _commands(ROOT) for name in path.split()}
    names |= {synonym for name in names for synonym in SYNONYMS.get(name, ())}
    near = nearest(request.words[0].lower(), names) if request.words else None
    return NotFoundError(
        f'no command found for "{what}"',
        hint=f"try 'ais search {near}'" if near else "see all groups: ais --help",
    )


def _commands(branch: Branch, path: str = "") -> Iterator[tuple[str, Branch | Leaf]]:
    """Every command that can run, by path; groups only as the way to them."""
    for name, node in sorted(branch.children.items()):
        full = f"{path} {name}".lstrip()
        if node.hidden:
            continue
        if isinstance(node, Branch):
            yield from _commands(node, full)
        else:
            yield full, node
