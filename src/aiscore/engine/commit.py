"""The commit: one transaction makes a name point at finished pieces."""

import json
import time
from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from aiscore.engine.core import Core
from aiscore.engine.index.buckets import BucketRow
from aiscore.engine.index.copies import insert_copies
from aiscore.engine.index.database import Connection
from aiscore.engine.index.objects import (
    BeforeWrite,
    ObjectRow,
    PieceRef,
    insert_manifest,
    insert_pieces,
    select_for_write,
    write_object,
)
from aiscore.engine.index.schema import PIECE_LIVE
from aiscore.engine.index.uploads import take_parts
from aiscore.engine.mirror import make_copies
from aiscore.errors import (
    BucketNotFoundError,
    BusyError,
    NotFoundError,
    PreconditionFailedError,
)
from aiscore.model.checksum import Checksum, ChecksumType
from aiscore.model.objects import CHECKSUM_KEY, Precondition

__all__ = [
    "CONTENT_KEYS",
    "ETAG_KEY",
    "Content",
    "FromUpload",
    "PartsChangedError",
    "SmallCommit",
    "check_precondition",
    "commit_content",
    "commit_group",
    "etag_of",
]

ETAG_KEY = "ETag"
"""Custom metadata that holds an ETag other than the generation; it belongs to the content, and goes with it."""
_MD5 = ChecksumType.MD5.value
_ETAG_START = f'"{ETAG_KEY}":"'
CONTENT_KEYS = frozenset({ETAG_KEY, CHECKSUM_KEY})
"""Custom metadata that tells of the content, not of what it is for: other content does not inherit it."""


class PartsChangedError(BusyError):
    """The parts of an upload are not those any more that a commit was prepared with."""


class FromUpload(NamedTuple):
    """The upload whose parts (some of) the pieces of a commit are."""

    upload_id: str
    pieces: Sequence[PieceRef]


class Content(Protocol):
    """Finished pieces that wait for their commit."""

    @property
    def pieces(self) -> Sequence[PieceRef]:
        """At least one, in order."""
        ...

    @property
    def size(self) -> int:
        """Bytes of all of them."""
        ...

    def settle(self) -> None:
        """Called after the commit: the pieces have rows."""
        ...


def commit_content(
    core: Core,
    bucket: BucketRow,
    name: str,
    content: Content,
    *,
    checksum: Checksum | None,
    custom: Mapping[str, str] | None,
    precondition: Precondition | None = None,
    expected_generation: int | None = None,
    append_handle: str | None = None,
    upload: FromUpload | None = None,
    sync: bool = False,
) -> ObjectRow:
    """Make `name` point at the finished pieces of `content`, and reclaim what it pointed at before.

    Args:
        core: the home.
        bucket: where; it must still exist at the commit.
        name: checked object name.
        content: finished; it is settled here on success, and aborted by the caller on failure.
        checksum: of the whole.
        custom: checked metadata; None keeps what the object has at the commit.
        precondition: checked inside the transaction.
        expected_generation: the object must still have this content, 0 for none (an append that started from it).
        append_handle: the pieces have rows already, held by this handle, which ends here.
        upload: some of the pieces have rows already, held by this upload, which ends here.
        sync: the commit is on disk on return.

    Raises:
        PreconditionFailedError: `precondition` does not hold.
        BusyError: the object does not have the expected content any more, or a mountpath was removed meanwhile.
        PartsChangedError: the upload does not hold its pieces any more.
    """
    copies = make_copies(core, bucket, name, content.pieces, sync=sync)
    now = time.time_ns()
    with copies, core.database.write(sync=sync) as connection:
        before = _before_write(core, connection, bucket, name, [*content.pieces, *copies.all])
        old = before.row
        _check(before, bucket, name, precondition)
        if expected_generation is not None:
            generation = 0 if old is None else old.generation
            if generation != expected_generation:
                raise BusyError(f"{bucket.cname}/{name} was changed meanwhile", hint="try again")
        row = _row(bucket, name, content, checksum, _encode_custom(custom, old), old, now)
        if copies.count > 1:
            row = row._replace(copies=copies.count)
        if append_handle is not None:
            _take_over(connection, append_handle, content.pieces[0].piece_id)
        elif upload is not None:
            _take_from(connection, upload, content, f"{bucket.cname}/{name}")
        else:
            insert_pieces(connection, content.pieces)
            insert_manifest(connection, content.pieces)
        insert_copies(connection, content.pieces, copies.of_pieces)
        write_object(connection, row, old)
        core.garbage.forget(connection)
    content.settle()
    if old is not None:
        core.garbage.reclaim(old)
    return row


class SmallCommit(NamedTuple):
    """A commit of one piece without copies, as `commit_content` describes its parts."""

    bucket: BucketRow
    name: str
    content: Content
    checksum: Checksum | None
    custom: Mapping[str, str] | None
    precondition: Precondition | None
    sync: bool


def commit_group(core: Core, commits: Sequence[SmallCommit]) -> list[ObjectRow]:
    """Make several commits in one transaction, in order: all of them, or none.

    Of each it does what `commit_content` does. Names may be among them twice: the later one replaces the earlier one.

    Raises:
        AisError: one of them cannot be made, as `commit_content` says; which one is not told.
    """
    done: list[tuple[ObjectRow, ObjectRow | None]] = []
    now = time.time_ns()
    with core.database.write(sync=any(commit.sync for commit in commits)) as connection:
        for bucket, name, content, checksum, custom, precondition, _ in commits:
            before = _before_write(core, connection, bucket, name, content.pieces)
            _check(before, bucket, name, precondition)
            old = before.row
            row = _row(bucket, name, content, checksum, _encode_custom(custom, old), old, now)
            insert_pieces(connection, content.pieces)
            write_object(connection, row, old)
            done.append((row, old))
        core.garbage.forget(connection)
    for commit in commits:
        commit.content.settle()
    for _, old in done:
        if old is not None:
            core.garbage.reclaim(old)
    return [row for row, _ in done]


def _check(
    before: BeforeWrite, bucket: BucketRow, name: str, precondition: Precondition | None
) -> None:
    if not before.has_bucket:
        raise BucketNotFoundError(f'bucket "{bucket.bucket}" does not exist')
    if precondition is not None:
        check_precondition(precondition, before.row, bucket.bucket.object_cname(name))
    if not before.has_mountpaths:
        raise BusyError(
            f"the mountpath of {bucket.cname}/{name} was removed meanwhile", hint="try again"
        )


def _row(
    bucket: BucketRow,
    name: str,
    content: Content,
    checksum: Checksum | None,
    custom: str | None,
    old: ObjectRow | None,
    now: int,
) -> ObjectRow:
    """What the object becomes."""
    pieces = content.pieces
    first = pieces[0]
    version = 0
    if bucket.props.versioning.enabled:
        version = old.version + 1 if old is not None else 1
    return ObjectRow(
        bucket.id,
        name,
        content.size,
        version,
        checksum.type.value if checksum is not None else ChecksumType.NONE.value,
        checksum.value if checksum is not None else "",
        now,
        now,
        custom,
        first.piece_id,
        first.mountpath_id,
        first.piece_id,
        len(pieces),
        first.size if len(pieces) == 1 else max(piece.size for piece in pieces),
        1,
    )


def _before_write(
    core: Core, connection: Connection, bucket: BucketRow, name: str, pieces: Sequence[PieceRef]
) -> BeforeWrite:
    """What the commit must know, inside its transaction; nearly always it is cached."""
    cache = connection.cache
    row = cache.get((bucket.id, name))
    if (
        row is not None
        and cache.get(bucket.bucket) is bucket
        and all(core.mountpaths.known(each) for each in {piece.mountpath_id for piece in pieces})
    ):
        return BeforeWrite(True, True, row)
    return select_for_write(connection, bucket.id, name, pieces)


def _take_from(connection: Connection, upload: FromUpload, content: Content, cname: str) -> None:
    if not take_parts(connection, upload.upload_id, upload.pieces):
        raise PartsChangedError(
            f'upload "{upload.upload_id}" of {cname} was changed meanwhile', hint="try again"
        )
    known = {piece.piece_id for piece in upload.pieces}
    fresh = [piece for piece in content.pieces if piece.piece_id not in known]
    if fresh:
        insert_pieces(connection, fresh)
    insert_manifest(connection, content.pieces)


def _encode_custom(custom: Mapping[str, str] | None, old: ObjectRow | None) -> str | None:
    if custom is None:
        if old is None or old.custom is None or not any(key in old.custom for key in CONTENT_KEYS):
            return None if old is None else old.custom
        kept = json.loads(old.custom)
        custom = {key: value for key, value in kept.items() if key not in CONTENT_KEYS}
    return json.dumps(dict(custom), separators=(",", ":")) if custom else None


def _take_over(connection: Connection, handle: str, piece_id: int) -> None:
    ended = connection.execute("DELETE FROM appends WHERE handle = ?", (handle,)).rowcount
    if not ended:
        raise NotFoundError(f'append handle "{handle}" does not exist')
    connection.execute("UPDATE pieces SET state = ? WHERE id = ?", (PIECE_LIVE, piece_id))


def etag_of(row: ObjectRow) -> str:
    """Strong validator of the content: the backend's or S3's own when it is known, its MD5, or the generation."""
    custom = row.custom
    if custom is not None and _ETAG_START in custom:
        # A listing asks this a thousand times, and a tag needs no JSON parser: quotes in texts are escaped.
        before, _, rest = custom.partition(_ETAG_START)
        etag = rest[: rest.find('"')]
        if before[-1:] not in {"{", ","} or "\\" in etag:
            etag = str(json.loads(custom).get(ETAG_KEY, "")).strip('"')
        if etag:
            return etag
    return f"{row.generation:016x}" if row.checksum_type != _MD5 else row.checksum


def check_precondition(wanted: Precondition, row: ObjectRow | None, cname: str) -> None:
    """Compare a precondition with the object as it is.

    Raises:
        PreconditionFailedError: it does not hold.
    """
    if wanted.if_absent:
        if row is not None:
            raise PreconditionFailedError(
                f"{cname} already exists", hint="drop the condition to replace it"
            )
        return
    for what, value, actual in (
        ("etag", wanted.if_etag, etag_of(row) if row is not None else ""),
        ("version", wanted.if_version, str(row.version) if row is not None else ""),
    ):
        if value is None:
            continue
        if row is None:
            raise PreconditionFailedError(f"{cname} does not exist, expected {what} {value}")
        if value != actual:
            raise PreconditionFailedError(f"{cname} has {what} {actual}, expected {value}")
