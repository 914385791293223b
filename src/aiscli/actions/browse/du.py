"""`du`: sizes by directory, in one pass over the listing.

All names below a directory follow each other in a listing, so only the directories on the way to the
current name are held.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from operator import itemgetter

from aiscli.actions.transfers.select import iter_pages
from aiscli.context import CliContext
from aiscli.exitcodes import ExitCode
from aiscli.output import Column
from aiscore.errors import CapacityExceededError, InvalidArgumentError
from aiscore.model.bucket import ObjectUri
from aiscore.model.objects import ListEntry, ListOptions
from aiscore.model.units import INT64_MAX

__all__ = ["DuRequest", "Usage", "run_du", "usage_of"]

SORTED_MAX = 1_000_000
"""Directories that are sorted by size: these are held in memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DuRequest:
    """What to sum up.

    Attributes:
        targets: buckets, each with a prefix or none; empty is every bucket.
        depth: levels of directories that get a line of their own; 0 is totals only, None is all.
        by_size: largest first, instead of by name.
    """

    targets: tuple[ObjectUri, ...] = ()
    depth: int | None = 1
    by_size: bool = False

    def __post_init__(self) -> None:
        if self.depth is not None and self.depth < 0:
            raise InvalidArgumentError(f"--depth must not be negative, not {self.depth}")


@dataclass(slots=True)
class Usage:
    """Bytes and objects below one directory; depth 0 is what was asked for."""

    name: str
    depth: int
    size: int = 0
    objects: int = 0


def run_du(context: CliContext, request: DuRequest) -> ExitCode:
    """Print directories with sizes, and the total of each target behind them."""
    targets = request.targets
    depth = request.depth
    if not targets:
        targets = tuple(ObjectUri(bucket, "") for bucket in context.transport.list_buckets())
        depth = 0
    columns = [Column("size", is_size=True), Column("objects"), Column("name")]
    if not context.output.is_table:
        columns.append(Column("depth"))
    context.output.table(columns, _records(context, request, targets, depth))
    return ExitCode.OK


def _records(
    context: CliContext, request: DuRequest, targets: tuple[ObjectUri, ...], depth: int | None
) -> Iterator[dict[str, object]]:
    total = Usage("", 0)
    for target in targets:
        usages = _usages(context, target, depth)
        for usage in _by_size(usages) if request.by_size else usages:
            if not usage.depth:
                total.size += usage.size
                total.objects += usage.objects
            yield _record(target, usage)
    if context.output.is_table and len(targets) > 1:
        yield {"name": "total", "size": total.size, "objects": total.objects}


def _usages(context: CliContext, target: ObjectUri, depth: int | None) -> Iterator[Usage]:
    if depth == 0:  # the store counts faster than a listing
        summary = context.transport.summarize_bucket(target.bucket, target.name)
        return iter([Usage("", 0, summary.size, summary.object_count)])
    return usage_of(_entries(context, target), target.name, depth)


def usage_of(entries: Iterator[ListEntry], prefix: str, depth: int | None) -> Iterator[Usage]:
    """Each directory behind those in it, to `depth` levels; the total, without a name, last.

    Args:
        entries: objects whose names begin with `prefix`, in byte order.
        prefix: levels count from its last "/".
        depth: levels that are given out; None is all.
    """
    base = prefix.rfind("/") + 1
    levels = INT64_MAX if depth is None else depth
    open_usages = [Usage("", 0)]
    for entry in entries:
        name = entry.name
        while not name.startswith(open_usages[-1].name):
            yield _close(open_usages)
        slash = name.find("/", max(base, len(open_usages[-1].name)))
        while slash >= 0 and len(open_usages) <= levels:
            open_usages.append(Usage(name[: slash + 1], len(open_usages)))
            slash = name.find("/", slash + 1)
        open_usages[-1].size += entry.size
        open_usages[-1].objects += 1
    while open_usages:
        yield _close(open_usages)


def _close(open_usages: list[Usage]) -> Usage:
    """The innermost directory, its sums passed on to the one around it."""
    done = open_usages.pop()
    if open_usages:
        open_usages[-1].size += done.size
        open_usages[-1].objects += done.objects
    return done


def _entries(context: CliContext, target: ObjectUri) -> Iterator[ListEntry]:
    options = ListOptions(prefix=target.name)
    for page in iter_pages(context.transport, target.bucket, options):
        yield from page


def _by_size(usages: Iterator[Usage]) -> list[Usage]:
    """Largest first; the total stays last."""
    found: list[Usage] = []
    for usage in usages:
        if len(found) > SORTED_MAX:
            raise CapacityExceededError(
                f"more than {SORTED_MAX:,} directories to sort", hint="use a smaller --depth"
            )
        found.append(usage)
    keys = [((-usage.size, usage.name), usage) for usage in found[:-1]]
    return [*(usage for _, usage in sorted(keys, key=itemgetter(0))), *found[-1:]]


def _record(target: ObjectUri, usage: Usage) -> dict[str, object]:
    name = usage.name or target.name
    return {
        "name": target.bucket.object_cname(name) if name else target.bucket.cname,
        "size": usage.size,
        "objects": usage.objects,
        "depth": usage.depth,
    }
