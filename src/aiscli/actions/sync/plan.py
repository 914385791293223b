"""What a sync would do, found out before anything is done.

Two ordered listings are merged; every name that needs work becomes a step. Steps go to a temporary
file: memory does not grow with their number, and an error of either listing ends the run before the
first change. When the content of two sides counts as the same:

- directory and bucket: same size, and the modification time of the file is the one that was recorded
  with the object (for a download: that, or else the object's own, which the file then gets). Where
  the times differ, or with `--checksum`, the file is read and compared with the object's checksum;
  where the store keeps none, the time decides alone;
- two buckets: same size and same checksum; without checksums of one type both objects are read.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Self

from aiscli.actions.sync.compare import Item, Relation, difference, merge
from aiscli.actions.sync.tree import BROKEN
from aiscli.actions.transfers.hashing import same_content
from aiscore.errors import AisError
from aiscore.model.checksum import ChecksumType
from aiscore.model.names import check_object_name

if TYPE_CHECKING:
    from aiscli.actions.transfers.filter import NameFilter
    from aiscore.model.bucket import BucketRef
    from aiscore.transport.base import Transport

__all__ = [
    "COPY",
    "DELETE",
    "MARK",
    "REFUSE",
    "Plan",
    "Rules",
    "Step",
    "build_plan",
    "digest_of",
]

COPY, DELETE, MARK, REFUSE = "copy", "delete", "mark", "refuse"
_SPOOL_IN_MEMORY_MAX = 4 << 20


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to do.

    Attributes:
        kind: copy, delete, mark (same content, record the time), or refuse (an error).
        name: relative to both sides.
        size: bytes of the source, or of what is deleted.
        reason: why; of a refusal what is wrong.
        mtime_ns: of the source for a copy, of the victim for a deletion.
        etag: of the object that is deleted or marked.
    """

    kind: str
    name: str
    size: int
    reason: str
    mtime_ns: int = 0
    etag: str = ""


class Plan:
    """Steps in byte order of names, on disk. A context manager."""

    def __init__(self) -> None:
        self._file = tempfile.SpooledTemporaryFile(_SPOOL_IN_MEMORY_MAX)  # noqa: SIM115
        self.counts = dict.fromkeys((COPY, DELETE, MARK, REFUSE), 0)
        self.copy_size = 0
        self.same = 0
        self.sources = 0

    def add(self, step: Step) -> None:
        """Append a step."""
        self.counts[step.kind] += 1
        if step.kind == COPY:
            self.copy_size += step.size
        self._file.write(json.dumps(list(asdict(step).values())).encode() + b"\n")

    def steps(self, *kinds: str) -> Iterator[Step]:
        """The steps of some kinds; one iteration at a time."""
        self._file.seek(0)
        for line in self._file:
            step = Step(*json.loads(line))
            if step.kind in kinds:
                yield step

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._file.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """How the plan is made.

    Attributes:
        names: patterns of what takes part, on both sides.
        delete: remove what the source does not have.
        checksum: compare content even where times are equal.
        source_is_local: the source is a directory.
        target_is_local: the target is a directory.
        read_both: tells whether two objects of the same name have the same bytes.
        object_prefix: what is put before a name to make it the target's object name.
        on_block: called while files are read; may raise to end it.
    """

    names: NameFilter
    delete: bool
    checksum: bool
    source_is_local: bool
    target_is_local: bool
    read_both: Callable[[str], bool]
    object_prefix: str = ""
    on_block: Callable[[], None] = lambda: None


def build_plan(plan: Plan, sources: Iterator[Item], targets: Iterator[Item], rules: Rules) -> None:
    """Fill the plan.

    Raises:
        AisError: a listing failed; the plan is worth nothing.
        OSError: likewise.
    """
    compare = _Comparison(rules)
    parents = _Parents()
    for pair in merge(_taken(sources, rules), _taken(targets, rules), compare.differ):
        source, target = pair.left, pair.right
        unreadable, compare.failed = compare.failed, ""
        if source is None:
            assert target is not None
            if rules.delete and target.origin != BROKEN:
                plan.add(_deletion(target))
            continue
        plan.sources += 1
        wrong = _what_is_wrong(source, rules)
        if wrong is None and rules.target_is_local:
            wrong = parents.conflict(source.name)
        wrong = wrong or unreadable or None
        if wrong is not None:
            plan.add(Step(REFUSE, source.name, source.size, wrong))
        elif pair.relation is Relation.SAME:
            plan.same += 1
            if compare.needs_mark:
                etag = "" if target is None else target.origin
                plan.add(Step(MARK, source.name, source.size, "", source.mtime_ns, etag))
        else:
            reason = pair.reason or "new"
            plan.add(Step(COPY, source.name, source.size, reason, source.mtime_ns))


def _taken(items: Iterator[Item], rules: Rules) -> Iterator[Item]:
    return (item for item in items if rules.names.accepts(item.name))


def _deletion(target: Item) -> Step:
    return Step(DELETE, target.name, target.size, "not in source", target.mtime_ns, target.origin)


def _what_is_wrong(source: Item, rules: Rules) -> str | None:
    """Why an item of the source cannot be taken; None if it can."""
    if source.origin == BROKEN:
        return "it cannot be looked at: a symbolic link to nothing, or no permission"
    if rules.target_is_local:
        return _why_no_file(source.name)
    try:
        check_object_name(rules.object_prefix + source.name)
    except AisError as error:
        return error.message
    return None


def _why_no_file(name: str) -> str | None:
    from aiscli.actions.transfers.download import is_work_file
    from aiscli.actions.transfers.localfile import confine

    base = name.rpartition("/")[2]
    if confine("/", name) is None or "//" in name:
        return "it is no name of a file below a directory"
    if is_work_file(base):
        return "its name is one of those that unfinished downloads have"
    if any(len(part.encode()) > 255 for part in name.split("/")):
        return "a part of its name is longer than the 255 bytes of a file name"
    return None


class _Parents:
    """Finds names that would have to be file and directory at once, in one pass over ordered names.

    Between `a` and `a/b` only names come that start with `a`: the names that each following one
    begins with are all that must be remembered.
    """

    def __init__(self) -> None:
        self._stack: list[str] = []

    def conflict(self, name: str) -> str | None:
        """What is wrong with `name` behind those that came before; None if nothing is."""
        stack = self._stack
        while stack and not name.startswith(stack[-1]):
            stack.pop()
        for shorter in stack:
            if name[len(shorter)] == "/":
                return f'"{shorter}" is an object, too: a file cannot be a directory as well'
        stack.append(name)
        return None


class _Comparison:
    """Says whether two items have the same content."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self.needs_mark = False
        self.failed = ""

    def differ(self, source: Item, target: Item) -> str:
        """What differs, "" for nothing; `needs_mark` then tells that only the times do."""
        self.needs_mark = False
        self.failed = ""
        if source.origin == BROKEN or target.origin == BROKEN:
            return "unreadable"
        if source.size != target.size:
            return "size"
        try:
            if self._rules.source_is_local:
                return self._differ_local(source.origin, source, target)
            if self._rules.target_is_local:
                return self._differ_local(target.origin, target, source)
            return self._differ_buckets(source, target)
        except OSError as error:
            self.failed = (error.strerror or str(error)).lower()
            return "unreadable"

    def _differ_local(self, path: str, file: Item, stored: Item) -> str:
        is_same_time = file.mtime_ns == stored.mtime_ns
        if is_same_time and not self._rules.checksum:
            return ""
        is_same = same_content(path, stored.checksum, self._rules.on_block)
        if is_same is None:
            return "" if is_same_time else "mtime"
        self.needs_mark = is_same and not is_same_time
        return "" if is_same else "checksum"

    def _differ_buckets(self, source: Item, target: Item) -> str:
        if _are_comparable(source, target):
            return difference(source, target)
        return "" if self._rules.read_both(source.name) else "content"


def _are_comparable(source: Item, target: Item) -> bool:
    one, other = source.checksum, target.checksum
    if one is None or other is None or ChecksumType.NONE in {one.type, other.type}:
        return False
    aliases = {ChecksumType.XXHASH, ChecksumType.XXHASH2}
    return one.type is other.type or {one.type, other.type} == aliases


def digest_of(transport: Transport, bucket: BucketRef, name: str) -> bytes:
    """A strong checksum of an object that is read for it."""
    digest = hashlib.sha256()
    with transport.open(bucket, name) as reader:
        for block in reader:
            digest.update(block)
    return digest.digest()
