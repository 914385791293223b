"""Listing: pages of names in byte order, at the price of the page and not of the bucket.

A page is a range scan that starts where the token says. With a delimiter the scan jumps over each directory it has
named, so a directory costs one seek however much lies in it. With `archive`, the members of a shard follow the
shard; a page may end between them, so the token then carries the shard and the number of members given.
"""

import json
from collections.abc import Iterator

from aiscore.engine.commit import etag_of
from aiscore.engine.core import Core
from aiscore.engine.index.buckets import BucketRow
from aiscore.engine.index.database import Connection
from aiscore.engine.index.objects import ObjectRow, after_prefix
from aiscore.engine.members import members_of
from aiscore.engine.read import checksum_in
from aiscore.errors import AisError, InvalidArgumentError
from aiscore.model.access import Access
from aiscore.model.archive import ArchiveFormat, split_archpath
from aiscore.model.bucket import BucketRef
from aiscore.model.objects import (
    LIST_PAGE_MAX,
    EntryFlag,
    ListEntry,
    ListOptions,
    ListPage,
    ListProp,
)

__all__ = ["list_page"]

_COLUMNS = ", ".join(ObjectRow._fields)
_SEPARATOR = "\0"
"""Between shard and member count in a token: no name has a NUL."""
_SCAN_BATCH_MAX = 1_001
"""A page of S3's, and the entry that tells whether there is another."""
_SCAN_BATCH_MIN = 4


def list_page(core: Core, bucket: BucketRef, options: ListOptions) -> ListPage:
    """One page. See `Transport.list_page`."""
    row = core.bucket(bucket, Access.LIST_OBJECTS)
    limit = options.page_size or LIST_PAGE_MAX
    token_name, _, skipped = options.token.partition(_SEPARATOR)
    if skipped and not skipped.isdigit():
        raise InvalidArgumentError("invalid continuation token", hint="start the listing anew")
    prefix, member_prefix = _split_prefix(options)
    scan = _Scan(core, row.id, prefix, options, token_name, resume_inside=bool(skipped))
    entries: list[ListEntry] = []
    entry_of = _Entries(core, options).entry
    if not options.archive and not options.delimiter:
        for rows in scan.batches(limit):
            entries += map(entry_of, rows)
            if len(entries) >= limit:
                return ListPage(entries, entries[-1].name)
        return ListPage(entries)
    for found in scan.entries(limit):
        if isinstance(found, str):
            entries.append(ListEntry(name=found, flags=EntryFlag.DIRECTORY))
            token = found
        else:
            entry = entry_of(found)
            token = found.name
            done = 0
            if options.archive and ArchiveFormat.of_name(found.name) is not None:
                if found.name == token_name and skipped:
                    done = int(skipped)
                elif found.name.startswith(options.prefix):
                    entries.append(entry)
                elif found.name != prefix:
                    continue  # the prefix reaches into another shard, whose name this one's begins with
                taken = _add_members(core, row, found, entries, done, limit, member_prefix, options)
                if taken is not None:
                    return ListPage(entries, f"{found.name}{_SEPARATOR}{taken}")
            elif found.name.startswith(options.prefix):
                entries.append(entry)
        if len(entries) >= limit:
            return ListPage(entries, token)
    return ListPage(entries)


def _split_prefix(options: ListOptions) -> tuple[str, str]:
    """Prefix of object names, and of members when the prefix reaches into a shard."""
    if options.archive:
        reached = split_archpath(options.prefix)
        if reached is not None:
            return reached
    return options.prefix, ""


class _Scan:
    """Rows and virtual directories of one bucket in order."""

    def __init__(
        self,
        core: Core,
        bucket_id: int,
        prefix: str,
        options: ListOptions,
        token: str,
        *,
        resume_inside: bool,
    ) -> None:
        self._connection: Connection = core.connection()
        self._bucket_id = bucket_id
        self._prefix = prefix
        self._end = after_prefix(prefix)
        self._delimiter = options.delimiter
        self._directories = options.directories
        after = max(token, options.start_after)
        if resume_inside:
            self._low = max(prefix, token)
        elif not after:
            self._low = prefix
        elif self._delimiter and after.endswith(self._delimiter) and after == token:
            self._low = max(prefix, after_prefix(after) or after)
        else:
            self._low = max(prefix, f"{after}{_SEPARATOR}")

    def batches(self, limit: int) -> Iterator[list[ObjectRow]]:
        """Rows, up to `limit` of them, without a look at what is in between."""
        while limit > 0:
            rows = self._fetch(min(limit, _SCAN_BATCH_MAX))
            yield rows
            if len(rows) < min(limit, _SCAN_BATCH_MAX):
                return
            self._low = f"{rows[-1].name}{_SEPARATOR}"
            limit -= len(rows)

    def entries(self, limit: int) -> Iterator[ObjectRow | str]:
        """Rows, and names of directories when there is a delimiter; as many as are asked for."""
        batch = min(limit, _SCAN_BATCH_MAX)
        while True:
            rows = self._fetch(batch)
            jumped = False
            for row in rows:
                directory = self._directory_of(row.name)
                if directory is None:
                    yield row
                    continue
                if self._directories:
                    yield directory
                following = after_prefix(directory)
                if following is None:
                    return
                self._low = following
                jumped = True
                break
            if jumped:
                # Directories come in runs: fetching a full batch for each would read what the next jump skips.
                batch = _SCAN_BATCH_MIN
                continue
            if len(rows) < batch:
                return
            self._low = f"{rows[-1].name}{_SEPARATOR}"
            batch = min(batch * 4, _SCAN_BATCH_MAX)

    def _directory_of(self, name: str) -> str | None:
        if not self._delimiter:
            return None
        cut = name.find(self._delimiter, len(self._prefix))
        return None if cut < 0 else name[: cut + 1]

    def _fetch(self, count: int) -> list[ObjectRow]:
        bound, arguments = "", [self._bucket_id, self._low]
        if self._end is not None:
            bound = " AND name < ?"
            arguments.append(self._end)
        found = self._connection.rows(
            f"SELECT {_COLUMNS} FROM objects WHERE bucket_id = ? AND name >= ?{bound} "
            "ORDER BY name LIMIT ?",
            (*arguments, count),
        )
        return [ObjectRow._make(row) for row in found]


def _add_members(
    core: Core,
    bucket: BucketRow,
    row: ObjectRow,
    entries: list[ListEntry],
    done: int,
    limit: int,
    member_prefix: str,
    options: ListOptions,
) -> int | None:
    """Append members from number `done` on; the number reached when the page is full before the last one."""
    try:
        members = members_of(core, bucket, row.name)
    except AisError:
        return None  # named like an archive, but is none: listed as the object it is
    for number, member in enumerate(members):
        if number < done or not member.name.startswith(member_prefix):
            continue
        if len(entries) >= limit:
            return number
        entries.append(
            ListEntry(
                name=f"{row.name}/{member.name}",
                size=member.size if ListProp.SIZE in options.props else 0,
                flags=EntryFlag.IN_ARCHIVE,
            )
        )
    return None


class _Entries:
    """Makes entries with the properties of one request."""

    def __init__(self, core: Core, options: ListOptions) -> None:
        props = options.props
        self._location = core.mountpaths.location
        self._is_cheap = props <= _CHEAP_PROPS
        self._marks_archives = options.archive
        # Asked once, and not for each of ten thousand entries.
        self._has_size = ListProp.SIZE in props
        self._has_checksum = ListProp.CHECKSUM in props
        self._has_version = ListProp.VERSION in props
        self._has_atime = ListProp.ATIME in props
        self._has_mtime = ListProp.LAST_MODIFIED in props
        self._has_custom = ListProp.CUSTOM in props
        self._has_location = ListProp.LOCATION in props
        self._has_copies = ListProp.COPIES in props
        self._has_etag = ListProp.ETAG in props

    def entry(self, row: ObjectRow) -> ListEntry:
        """One object."""
        flags = _CACHED
        if row.piece_count > 1 or self._marks_archives:
            flags = self._flags(row)
        size = row.size if self._has_size else 0
        if self._is_cheap:
            return ListEntry(row.name, size, flags=flags)
        custom = None
        if self._has_custom:
            custom = json.loads(row.custom) if row.custom else {}
        # By position: names cost half as much again.
        return ListEntry(
            row.name,
            size,
            checksum_in(row) if self._has_checksum else None,
            str(row.version) if self._has_version and row.version else "",
            row.atime_ns if self._has_atime else 0,
            row.mtime_ns if self._has_mtime else 0,
            custom,
            self._location(row.mountpath_id) if self._has_location else "",
            row.copies if self._has_copies else 1,
            etag_of(row) if self._has_etag else "",
            flags,
        )

    def _flags(self, row: ObjectRow) -> EntryFlag:
        flags = EntryFlag.CACHED
        if row.piece_count > 1:
            flags |= EntryFlag.CHUNKED
        if self._marks_archives and ArchiveFormat.of_name(row.name) is not None:
            flags |= EntryFlag.ARCHIVE
        return flags


_CACHED = EntryFlag.CACHED
_CHEAP_PROPS = frozenset(
    {ListProp.NAME, ListProp.SIZE, ListProp.CACHED, ListProp.CHUNKED, ListProp.STATUS}
)
