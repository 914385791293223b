"""`find`: objects by name, size, age and kind, page by page."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from fnmatch import translate
from typing import NamedTuple

from aiscli.actions.records import iso_time
from aiscli.actions.transfers.select import iter_pages
from aiscli.context import CliContext
from aiscli.exitcodes import ExitCode
from aiscli.output import Column
from aiscore.errors import InvalidArgumentError
from aiscore.model.archive import ArchiveFormat
from aiscore.model.bucket import ObjectUri
from aiscore.model.objects import ListEntry, ListOptions, ListProp
from aiscore.model.units import HOUR, SECOND, Units, parse_duration, parse_size

__all__ = ["FindRequest", "Kind", "SizeLimit", "read_size_limit", "read_time", "run_find"]

_DAYS = re.compile(r"([0-9]{1,6})([dw])(.*)", re.ASCII | re.DOTALL)
_LONG_UNITS = {"d": 24 * HOUR, "w": 7 * 24 * HOUR}


class Kind(StrEnum):
    """What is found."""

    OBJECT = "object"
    SHARD = "shard"
    MEMBER = "member"


class SizeLimit(NamedTuple):
    """Sizes in bytes, both bounds included; None is no bound."""

    low: int | None
    high: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FindRequest:
    """What to look for; all conditions hold together.

    Attributes:
        target: bucket, and the prefix of names.
        names: patterns with `*`, `?` and `[...]`, one of which must match: the last part of the
            name, or all of it if there is a "/" in the pattern.
        ignore_case: for `names` and `regex`.
        regex: found anywhere in the name.
        sizes: limits of the size, all of which must hold.
        newer_ns: written at or after this time, ns since the epoch.
        older_ns: written before this time.
        kind: only this kind; None is any.
        archive: look at the files of shards, too; they are as old as their shard.
        limit: results at most; 0 is no limit.
        long: a table with size and time, instead of the URI alone.
        print0: URIs as they are, each ended by a NUL byte.
    """

    target: ObjectUri
    names: tuple[str, ...] = ()
    ignore_case: bool = False
    regex: str | None = None
    sizes: tuple[SizeLimit, ...] = ()
    newer_ns: int | None = None
    older_ns: int | None = None
    kind: Kind | None = None
    archive: bool = False
    limit: int = 0
    long: bool = False
    print0: bool = False

    def __post_init__(self) -> None:
        if self.limit < 0:
            raise InvalidArgumentError(f"--limit must not be negative, not {self.limit}")
        if self.long and self.print0:
            raise InvalidArgumentError("flags --long and --print0 are mutually exclusive")


def read_size_limit(text: str, units: Units | None = None) -> SizeLimit:
    """Read `--size`: `+10MiB` is larger, `-1KiB` smaller, `4096` exactly that.

    Raises:
        InvalidArgumentError: not a size.
    """
    sign = text[:1]
    try:
        size = parse_size(text[1:] if sign in {"+", "-"} else text, units)
    except InvalidArgumentError as error:
        raise InvalidArgumentError(
            f"--size: {error.message}", hint="as in +10MiB (larger), -1KiB (smaller), 4096"
        ) from None
    if sign == "+":
        return SizeLimit(size + 1, None)
    return SizeLimit(None, size - 1) if sign == "-" else SizeLimit(size, size)


def read_time(text: str, flag: str, now_ns: int) -> int:
    """Read a point in time: how long ago (`90m`, `2d`, `1w12h`), or a date (UTC unless it says).

    Returns:
        Nanoseconds since the epoch.

    Raises:
        InvalidArgumentError: neither.
    """
    value = text.strip()
    try:
        if match := _DAYS.fullmatch(value):
            rest = parse_duration(match[3]) if match[3] else 0
            return now_ns - int(match[1]) * _LONG_UNITS[match[2]] - rest
        moment = datetime.fromisoformat(value) if "-" in value else None
        if moment is None:
            return now_ns - parse_duration(value)
    except (InvalidArgumentError, ValueError):
        raise InvalidArgumentError(
            f'{flag}: invalid time "{text[:64]}"',
            hint="use how long ago, as in 90m, 2d, 1w; or a date, as in 2026-01-31T12:00",
        ) from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return round(moment.timestamp()) * SECOND


def run_find(context: CliContext, request: FindRequest) -> ExitCode:
    """Print what is found, as it is found."""
    output = context.output
    bucket = request.target.bucket
    found = _found(context, request)
    if request.print0:
        for entry, _ in found:
            output.binary.write(bucket.object_cname(entry.name).encode() + b"\0")
        output.binary.flush()
        return ExitCode.OK
    if output.is_table and not request.long:
        for entry, _ in found:
            output.text(bucket.object_cname(entry.name))
        return ExitCode.OK
    columns = [
        Column("size", is_size=True),
        Column("last_modified", "MODIFIED"),
        Column("name", show=lambda record: bucket.object_cname(str(record["name"]))),
    ]
    if not output.is_table:
        columns = [Column(key) for key in ("bucket", "name", "size", "last_modified", "kind")]
    records: Iterator[dict[str, object]] = (
        {
            "bucket": bucket.cname,
            "name": entry.name,
            "size": entry.size,
            "last_modified": iso_time(mtime_ns),
            "kind": _kind(entry).value,
        }
        for entry, mtime_ns in found
    )
    output.table(columns, records)
    return ExitCode.OK


def _found(context: CliContext, request: FindRequest) -> Iterator[tuple[ListEntry, int]]:
    """Entries that match, each with the time it was written."""
    is_wanted = _NameTest(request)
    options = ListOptions(
        prefix=request.target.name,
        props=frozenset({ListProp.NAME, ListProp.SIZE, ListProp.LAST_MODIFIED}),
        archive=request.archive or request.kind is Kind.MEMBER,
    )
    count = 0
    shard_ns = 0
    for page in iter_pages(context.transport, request.target.bucket, options):
        for entry in page:
            if not entry.in_archive:
                shard_ns = entry.mtime_ns
            mtime_ns = entry.mtime_ns or shard_ns
            if _fits(request, entry, mtime_ns) and is_wanted(entry.name):
                yield entry, mtime_ns
                count += 1
                if count == request.limit:
                    return


def _fits(request: FindRequest, entry: ListEntry, mtime_ns: int) -> bool:
    if request.kind is not None and not _is_kind(entry, request.kind):
        return False
    for low, high in request.sizes:
        if (low is not None and entry.size < low) or (high is not None and entry.size > high):
            return False
    if request.newer_ns is not None and mtime_ns < request.newer_ns:
        return False
    return request.older_ns is None or mtime_ns < request.older_ns


def _is_kind(entry: ListEntry, kind: Kind) -> bool:
    found = _kind(entry)
    return found is kind or (kind is Kind.OBJECT and found is Kind.SHARD)


def _kind(entry: ListEntry) -> Kind:
    if entry.in_archive:
        return Kind.MEMBER
    return Kind.OBJECT if ArchiveFormat.of_name(entry.name) is None else Kind.SHARD


class _NameTest:
    """True for names that one of the patterns matches, and the regular expression, too."""

    def __init__(self, request: FindRequest) -> None:
        flags = re.IGNORECASE if request.ignore_case else re.NOFLAG
        self._parts = [_glob(name, flags) for name in request.names if "/" not in name]
        self._wholes = [_glob(name, flags) for name in request.names if "/" in name]
        self._regex = None
        if request.regex is not None:
            try:
                self._regex = re.compile(request.regex, flags)
            except re.error as error:
                raise InvalidArgumentError(
                    f'invalid regular expression "{request.regex}": {error}'
                ) from None

    def __call__(self, name: str) -> bool:
        if self._regex is not None and self._regex.search(name) is None:
            return False
        if not (self._parts or self._wholes):
            return True
        last = name.rpartition("/")[2]
        return any(p.match(last) for p in self._parts) or any(p.match(name) for p in self._wholes)


def _glob(pattern: str, flags: re.RegexFlag) -> re.Pattern[str]:
    return re.compile(translate(pattern), flags)
