"""What has to be copied: the names of a choice, compared with what the target has of them.

A prefix is listed on both sides, page by page, and merged in one pass; names of a list or a template
are looked up. Two objects are the same if they have the same size and the same checksum.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from aiscli.actions.transfers.select import iter_pages, iter_selected
from aiscore.errors import ObjectNotFoundError
from aiscore.model.bucket import Provider
from aiscore.model.checksum import Checksum, ChecksumType
from aiscore.model.names import check_prefix
from aiscore.model.objects import ListEntry, ListOptions, ListProp, ObjectProps
from aiscore.model.template import parse_template

if TYPE_CHECKING:
    from aiscli.actions.transfers.select import Choice
    from aiscore.model.bucket import BucketRef
    from aiscore.transport.base import Transport

__all__ = ["End", "Known", "Verdict", "Work", "carried_custom", "judge", "pick"]

_PROPS = frozenset({ListProp.NAME, ListProp.SIZE, ListProp.CHECKSUM, ListProp.CUSTOM})
_OF_BACKEND = frozenset(
    {"source", "version", "ETag", "md5", "crc32c", "LastModified", "orig_url", "remote-type"}
)
"""Custom metadata that a cluster keeps of an object of another provider: of no meaning elsewhere."""


class End(NamedTuple):
    """One side of a copy."""

    transport: Transport
    bucket: BucketRef


class Verdict:
    """Why something is to be done: the field `reason` of a record."""

    NEW = "new"
    SIZE = "size"
    CHECKSUM = "checksum"
    UNKNOWN = "unknown"
    """The sizes are equal, and the checksums cannot be compared: only reading tells."""
    METADATA = "metadata"
    """The content is the same, custom metadata is not."""
    SAME = ""
    MISSING = "missing"
    """A name that the source does not have."""


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of an object without reading it."""

    name: str
    size: int
    checksum: Checksum | None
    custom: Mapping[str, str]

    @classmethod
    def of(cls, found: ListEntry | ObjectProps) -> Known:
        """Out of a listing, or of a lookup."""
        return cls(found.name, found.size, found.checksum, found.custom or {})


@dataclass(frozen=True, slots=True)
class Work:
    """One name of the choice.

    Attributes:
        name: in the source.
        new_name: in the target.
        size: bytes of the source; 0 for one that is missing.
        reason: see `Verdict`.
        checksum: that the object of the target has; None where there is none.
    """

    name: str
    new_name: str
    size: int
    reason: str
    checksum: Checksum | None = None


def pick(
    source: End, target: End, choice: Choice, rename: Callable[[str], str], *, is_new: bool
) -> Iterator[Work]:
    """Every name of the choice, in order, with what is to be done about it.

    Args:
        source: where the names are looked for.
        target: what they are compared with.
        choice: which names.
        rename: gives the name in the target; keeps the order.
        is_new: the bucket of the target does not exist, or was just made.

    Raises:
        AisError: one of the two cannot be listed, or a pattern matches nothing.
    """
    template = choice.selection.template
    is_lookup = choice.selection.names is not None or (
        template is not None and parse_template(template).count is not None
    )
    if is_lookup:
        yield from _look_up(source, target, choice, rename, is_new=is_new)
        return
    prefix = choice.selection.prefix or ""
    if template is not None:
        prefix = parse_template(template).prefix
    wanted = _chosen(source, choice, prefix)
    present = iter(()) if is_new else _list(target, check_prefix(rename(prefix)))
    other = next(present, None)
    is_empty = True
    for found in wanted:
        is_empty = False
        new_name = rename(found.name)
        while other is not None and other.name < new_name:
            other = next(present, None)
        has_it = other is not None and other.name == new_name
        yield judge(source, found, new_name, other if has_it else None)
    if is_empty and choice.is_pattern:
        raise ObjectNotFoundError(
            f"no object of {source.bucket.cname} matches {choice.label}",
            hint=f"* stops at a slash, ** does not; see what there is: ais ls {source.bucket.cname}",
        )


def judge(source: End, found: Known, new_name: str, other: Known | None) -> Work:
    """What is to be done about an object, given what the target has of its name."""
    if other is None:
        return Work(found.name, new_name, found.size, Verdict.NEW)
    reason = _compare(found, other)
    if reason == Verdict.SAME and carried_custom(source.bucket, found.custom) != other.custom:
        reason = Verdict.METADATA
    return Work(found.name, new_name, found.size, reason, other.checksum)


def carried_custom(bucket: BucketRef, custom: Mapping[str, str]) -> dict[str, str]:
    """The custom metadata that goes along: all of it, but for what describes a copy of a remote object."""
    if bucket.provider is Provider.AIS:
        return dict(custom)
    return {key: value for key, value in custom.items() if key not in _OF_BACKEND}


def _compare(one: Known, other: Known) -> str:
    if one.size != other.size:
        return Verdict.SIZE
    kinds = [
        ChecksumType.NONE if known.checksum is None else known.checksum.type
        for known in (one, other)
    ]
    aliases = {ChecksumType.XXHASH, ChecksumType.XXHASH2}
    if ChecksumType.NONE in kinds or (kinds[0] is not kinds[1] and set(kinds) != aliases):
        return Verdict.UNKNOWN
    assert one.checksum is not None
    assert other.checksum is not None
    return Verdict.SAME if one.checksum.value == other.checksum.value else Verdict.CHECKSUM


def _list(end: End, prefix: str) -> Iterator[Known]:
    options = ListOptions(prefix=prefix, props=_PROPS)
    for page in iter_pages(end.transport, end.bucket, options):
        yield from (Known.of(entry) for entry in page if not entry.is_directory)


def _chosen(source: End, choice: Choice, prefix: str) -> Iterator[Known]:
    template = choice.selection.template
    matches = None if template is None else parse_template(template).matches
    for found in _list(source, prefix):
        if matches is not None and not matches(found.name):
            continue
        if choice.accepts is None or choice.accepts(found.name):
            yield found


def _look_up(
    source: End, target: End, choice: Choice, rename: Callable[[str], str], *, is_new: bool
) -> Iterator[Work]:
    for name, _ in iter_selected(source.transport, source.bucket, choice.selection):
        if choice.accepts is not None and not choice.accepts(name):
            continue
        new_name = rename(name)
        found = _head(source, name)
        if found is None:
            yield Work(name, new_name, 0, Verdict.MISSING)
        else:
            other = None if is_new else _head(target, new_name)
            yield judge(source, found, new_name, other)


def _head(end: End, name: str) -> Known | None:
    try:
        return Known.of(end.transport.head(end.bucket, name))
    except ObjectNotFoundError:
        return None
