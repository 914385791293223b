"""`diff`: two buckets, or a directory and a bucket, name by name.

Sizes first; then the checksums that are known; where there are none to compare (a local file, two
checksum types), the content is read. Nothing is held but one name of each side.
"""

import os
import stat
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Protocol

from aiscli.actions.sync.compare import Item, Pair, Relation, difference, merge
from aiscli.actions.transfers.hashing import hash_file, new_hash
from aiscli.actions.transfers.select import iter_pages
from aiscli.context import CliContext
from aiscli.exitcodes import ExitCode
from aiscli.output import Column
from aiscli.uri import parse_target
from aiscore.errors import InvalidArgumentError
from aiscore.model.bucket import BucketRef
from aiscore.model.checksum import Checksum, ChecksumType
from aiscore.model.objects import ListOptions, ListProp
from aiscore.model.stream import BLOCK_SIZE

__all__ = ["DiffRequest", "run_diff", "walk"]

_COLUMNS = (
    Column("status"),
    Column("size_left", "LEFT", is_size=True),
    Column("size_right", "RIGHT", is_size=True),
    Column("reason"),
    Column("name"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DiffRequest:
    """Two places to compare, each `BUCKET[/DIRECTORY]` with its scheme, or a local directory.

    Attributes:
        left: the one.
        right: the other.
        size_only: do not look at checksums, nor at content.
        everything: list what is the same, too.
        quiet: print nothing; the exit code tells.
    """

    left: str
    right: str
    size_only: bool = False
    everything: bool = False
    quiet: bool = False


class _Side(Protocol):
    """One of the two places."""

    @property
    def label(self) -> str:
        """What messages call it."""
        ...

    def items(self) -> Iterator[Item]:
        """Its names, in byte order, relative to the place."""
        ...

    def digest(self, item: Item, kind: ChecksumType) -> Checksum:
        """The checksum of the content, read for it."""
        ...


def run_diff(context: CliContext, request: DiffRequest) -> ExitCode:
    """Print what differs; 11 if anything does."""
    left, right = _side(context, request.left), _side(context, request.right)
    differ = _by_size if request.size_only else _by_content(left, right)
    pairs = merge(left.items(), right.items(), differ)
    counts: Counter[Relation] = Counter()
    if request.quiet:
        found = any(pair.relation is not Relation.SAME for pair in pairs)
        return ExitCode.INTEGRITY if found else ExitCode.OK
    records = _records(pairs, counts, everything=request.everything)
    first = next(records, None)
    if first is not None or not context.output.is_table:  # no header over an empty table
        context.output.table(_COLUMNS, records if first is None else chain([first], records))
    same = counts[Relation.SAME]
    if counts.total() == same:
        context.output.text(f"No differences: {same:,} names in both")
        return ExitCode.OK
    context.output.text(
        f"{counts[Relation.DIFFERENT]:,} different, {counts[Relation.LEFT_ONLY]:,} only in "
        f"{left.label}, {counts[Relation.RIGHT_ONLY]:,} only in {right.label}, {same:,} the same"
    )
    return ExitCode.INTEGRITY


def _records(
    pairs: Iterator[Pair], counts: Counter[Relation], *, everything: bool
) -> Iterator[dict[str, object]]:
    """Records of what differs, or of everything; `counts` has all that passed."""
    for pair in pairs:
        counts[pair.relation] += 1
        if everything or pair.relation is not Relation.SAME:
            yield _record(pair)


def _record(pair: Pair) -> dict[str, object]:
    return {
        "name": pair.name,
        "status": pair.relation.value,
        "reason": pair.reason or None,
        "size_left": None if pair.left is None else pair.left.size,
        "size_right": None if pair.right is None else pair.right.size,
    }


def _by_size(left: Item, right: Item) -> str:
    return "size" if left.size != right.size else ""


def _by_content(left: _Side, right: _Side) -> Callable[[Item, Item], str]:
    """Compares checksums, and makes those that are missing."""

    def differ(one: Item, other: Item) -> str:
        if one.size != other.size or not one.size:
            return difference(one, other)
        kind = _common_kind(one.checksum, other.checksum)
        if one.checksum is None or one.checksum.type is not kind:
            one = one._replace(checksum=left.digest(one, kind))
        if other.checksum is None or other.checksum.type is not kind:
            other = other._replace(checksum=right.digest(other, kind))
        return difference(one, other)

    return differ


def _common_kind(one: Checksum | None, other: Checksum | None) -> ChecksumType:
    """The type that both sides are compared by: one that is known already, if there is one."""
    for checksum in (one, other):
        if checksum is not None and checksum.type is not ChecksumType.NONE:
            return checksum.type
    return ChecksumType.XXHASH2


def _side(context: CliContext, text: str) -> _Side:
    if "://" in text:
        uri = parse_target(text)
        prefix = uri.name
        if prefix and not prefix.endswith("/"):
            prefix += "/"
        return _BucketSide(context, uri.bucket, prefix)
    path = os.path.expanduser(text)
    if not os.path.isdir(path):
        raise InvalidArgumentError(
            f'"{text}" is not a directory', hint="a bucket has a scheme, as in ais://BUCKET"
        )
    return _LocalSide(path)


class _BucketSide:
    """The objects of a bucket below a directory."""

    def __init__(self, context: CliContext, bucket: BucketRef, prefix: str) -> None:
        self._transport = context.transport
        self._bucket = bucket
        self._prefix = prefix
        self.label = bucket.object_cname(prefix) if prefix else bucket.cname
        self._transport.head_bucket(bucket)

    def items(self) -> Iterator[Item]:
        props = frozenset({ListProp.NAME, ListProp.SIZE, ListProp.CHECKSUM})
        options = ListOptions(prefix=self._prefix, props=props)
        start = len(self._prefix)
        for page in iter_pages(self._transport, self._bucket, options):
            for entry in page:
                yield Item(entry.name[start:], entry.size, entry.checksum, origin=entry.name)

    def digest(self, item: Item, kind: ChecksumType) -> Checksum:
        state = new_hash(kind)
        buffer = memoryview(bytearray(BLOCK_SIZE))
        with self._transport.open(self._bucket, item.origin) as reader:
            while count := reader.readinto(buffer):
                state.update(buffer[:count])
        return Checksum(kind, state.hexdigest())


class _LocalSide:
    """The files below a local directory."""

    def __init__(self, root: str) -> None:
        self.label = root
        self._root = root

    def items(self) -> Iterator[Item]:
        return walk(self._root)

    def digest(self, item: Item, kind: ChecksumType) -> Checksum:
        return hash_file(item.origin, kind)


def walk(root: str) -> Iterator[Item]:
    """Regular files below `root`, in byte order of their whole relative names.

    Symbolic links to files are followed; those to directories and to nothing are left out. Holds
    the names of the directories on the way to the current file.

    Raises:
        OSError: a directory cannot be read: an incomplete listing is none.
    """
    stack = [_scan(root, "")]
    while stack:
        entry = next(stack[-1], None)
        if entry is None:
            stack.pop()
            continue
        name, path = entry
        if name.endswith("/"):
            stack.append(_scan(path, name))
            continue
        try:
            found = os.stat(path)
        except FileNotFoundError:  # removed meanwhile
            continue
        yield Item(name, found.st_size, mtime_ns=found.st_mtime_ns, origin=path)


def _scan(directory: str, prefix: str) -> Iterator[tuple[str, str]]:
    """Names and paths of one directory; names of directories end with "/", and sort so."""
    names: list[str] = []
    with os.scandir(directory) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                names.append(f"{entry.name}/")
            elif _is_file(entry):
                names.append(entry.name)
    names.sort()
    return ((prefix + name, os.path.join(directory, name.rstrip("/"))) for name in names)


def _is_file(entry: "os.DirEntry[str]") -> bool:
    try:
        return stat.S_ISREG(entry.stat().st_mode)
    except FileNotFoundError:  # a link to nothing, or removed meanwhile
        return False
