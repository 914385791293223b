"""`tree`: the objects of a bucket as a tree, directory by directory.

Each open directory holds one page of its listing and the entry that is next, which tells whether the
one before was the last.
"""

import sys
from collections.abc import Iterator
from dataclasses import dataclass

from aiscli.actions.transfers.select import iter_pages
from aiscli.context import CliContext
from aiscli.exitcodes import ExitCode
from aiscli.output import Column
from aiscore.errors import InvalidArgumentError
from aiscore.model.bucket import ObjectUri
from aiscore.model.objects import ListEntry, ListOptions

__all__ = ["Node", "TreeRequest", "run_tree"]

_BOXES = ("├── ", "└── ", "│   ", "    ")
_ASCII = ("|-- ", "`-- ", "|   ", "    ")


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeRequest:
    """What to draw.

    Attributes:
        target: bucket, and the prefix of names.
        depth: levels at most; None is all.
        directories_only: leave objects out.
        sizes: sizes in front of objects.
    """

    target: ObjectUri
    depth: int | None = None
    directories_only: bool = False
    sizes: bool = False

    def __post_init__(self) -> None:
        if self.depth is not None and self.depth < 1:
            raise InvalidArgumentError(f"--depth must be 1 or more, not {self.depth}")


@dataclass(frozen=True, slots=True)
class Node:
    """One line: the entry, its level from 1, and for each level down to it whether it is the last there."""

    entry: ListEntry
    depth: int
    is_last: tuple[bool, ...]


def run_tree(context: CliContext, request: TreeRequest) -> ExitCode:
    """Draw the tree; machine formats get the same entries as a list."""
    if not context.output.is_table:
        columns = [Column(key) for key in ("name", "directory", "size", "depth")]
        context.output.table(columns, (_record(node) for node in _nodes(context, request)))
        return ExitCode.OK
    parts = _BOXES if context.output.is_terminal and _can_draw() else _ASCII
    directories = objects = size = 0
    context.output.text(
        request.target.cname if request.target.name else request.target.bucket.cname
    )
    for node in _nodes(context, request):
        context.output.text(_line(context, request, node, parts))
        if node.entry.is_directory:
            directories += 1
        else:
            objects += 1
            size += node.entry.size
    counts = f"{directories:,} {'directory' if directories == 1 else 'directories'}"
    if not request.directories_only:
        noun = "object" if objects == 1 else "objects"
        counts += f", {objects:,} {noun} ({context.output.size(size)})"
    context.output.text()
    context.output.text(counts)
    return ExitCode.OK


def _nodes(context: CliContext, request: TreeRequest) -> Iterator[Node]:
    """Entries from the top down; a stack instead of recursion, because names can have any depth."""
    stack = [_Directory(context, request, request.target.name)]
    while stack:
        entry = stack[-1].take()
        if entry is None:
            stack.pop()
            continue
        yield Node(entry, len(stack), tuple(directory.is_done for directory in stack))
        if entry.is_directory and (request.depth is None or len(stack) < request.depth):
            stack.append(_Directory(context, request, entry.name))


class _Directory:
    """The entries of one directory, one ahead of what was taken."""

    def __init__(self, context: CliContext, request: TreeRequest, prefix: str) -> None:
        options = ListOptions(prefix=prefix, delimiter="/")
        self._entries = (
            entry
            for page in iter_pages(context.transport, request.target.bucket, options)
            for entry in page
            if entry.is_directory or not request.directories_only
        )
        self._ahead = next(self._entries, None)

    @property
    def is_done(self) -> bool:
        """True when what was taken was the last."""
        return self._ahead is None

    def take(self) -> ListEntry | None:
        """The next entry; None behind the last."""
        entry, self._ahead = self._ahead, next(self._entries, None)
        return entry


def _line(
    context: CliContext, request: TreeRequest, node: Node, parts: tuple[str, str, str, str]
) -> str:
    branch, last, bar, blank = parts
    head = "".join(blank if done else bar for done in node.is_last[:-1])
    head += last if node.is_last[-1] else branch
    size = ""
    if request.sizes and not node.entry.is_directory:
        size = f"[{context.output.size(node.entry.size):>10}]  "
    return f"{head}{size}{_base(node.entry.name)}"


def _base(name: str) -> str:
    """The last part of a name, with the slash of a directory."""
    return name[name.rfind("/", 0, -1) + 1 :]


def _record(node: Node) -> dict[str, object]:
    entry = node.entry
    return {
        "name": entry.name,
        "directory": entry.is_directory,
        "size": None if entry.is_directory else entry.size,
        "depth": node.depth,
    }


def _can_draw() -> bool:
    try:
        "".join(_BOXES).encode(sys.stdout.encoding or "ascii")
    except (LookupError, UnicodeEncodeError):
        return False
    return True
