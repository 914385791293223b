"""Consistency of a home: what the index says against what the disks hold.

Two questions. *Content*: is every piece of every object there, of the recorded size, with the recorded checksum, and so
is each of its copies? Nothing is mended here, so that a report says what was found.
*Structure*: does every row refer to something, is every file known? The second is asked of the whole home only; files
of pieces that other processes are writing at this moment are told from orphans by their sessions.
"""

import os
from collections.abc import Iterator, Sequence

from aiscore.engine.content import ManifestContent
from aiscore.engine.core import Core
from aiscore.engine.fileio import storage_error
from aiscore.engine.index import buckets as bucket_index
from aiscore.engine.index.buckets import BucketRow
from aiscore.engine.index.copies import copies_of
from aiscore.engine.index.objects import ObjectRow, PieceRef, rows_after, select_object
from aiscore.engine.index.schema import PIECE_APPENDING, PIECE_COPY, PIECE_LIVE, PIECE_PART
from aiscore.engine.layout import piece_path, pieces_root
from aiscore.engine.mirror import wanted_copies
from aiscore.engine.read import open_content
from aiscore.engine.session import COUNTER_BITS
from aiscore.engine.verify import verify_content
from aiscore.errors import AisError, CorruptionError, NotFoundError
from aiscore.model.access import Access
from aiscore.model.bucket import BucketRef
from aiscore.model.names import check_prefix
from aiscore.model.storage import Fault, FaultKind, MountpathState, ValidateReport

__all__ = ["may_be_unfinished", "piece_files", "validate"]


def validate(core: Core, bucket: BucketRef | None, prefix: str) -> ValidateReport:
    """Read everything asked for and report what is wrong. See `Transport.validate`."""
    check_prefix(prefix)
    if bucket is not None:
        rows = [core.bucket(bucket, Access.GET)]
    else:
        connection = core.connection()
        connection.fresh_cache()
        names = bucket_index.list_buckets(connection, None, None)
        found_rows = [bucket_index.select_bucket(connection, name) for name in names]
        rows = [row for row in found_rows if row is not None]
    objects = pieces = size = 0
    faults: list[Fault] = []
    for row in rows:
        for found in rows_after(core.connection(), row.id, prefix):
            objects += 1
            pieces += found.piece_count * found.copies
            size += found.size
            faults.extend(_check_object(core, row, found))
    if bucket is None:
        faults.extend(_check_structure(core))
    return ValidateReport(objects=objects, pieces=pieces, size=size, faults=tuple(faults))


def _check_object(core: Core, bucket: BucketRow, row: ObjectRow) -> Iterator[Fault]:
    cname = bucket.bucket.object_cname(row.name)
    if row.copies < wanted_copies(bucket):
        detail = f"{row.copies} of {wanted_copies(bucket)} copies"
        yield Fault(FaultKind.COPIES, cname, detail)
    if row.copies > 1:
        yield from _check_copies(core, row, cname)
        return
    try:
        current, content = open_content(core, bucket, row.name)
        try:
            verify_content(current, content, cname)
        finally:
            content.close()
    except NotFoundError:
        return  # deleted since it was listed
    except CorruptionError as exc:
        yield Fault(FaultKind(exc.kind) if exc.kind else FaultKind.UNREADABLE, cname, exc.message)
    except AisError as exc:
        yield Fault(FaultKind.UNREADABLE, cname, exc.message)


def _check_copies(core: Core, row: ObjectRow, cname: str) -> Iterator[Fault]:
    """Each copy for itself: a read would take the next one."""
    places = copies_of(core.connection(), row)
    if _lacks(places, row):
        # Written or arranged since it was listed; otherwise what the index says of it is at odds with itself.
        again = select_object(core.connection(), row.bucket_id, row.name)
        if again is not None and _lacks(copies_of(core.connection(), again), again):
            last = select_object(core.connection(), row.bucket_id, row.name)
            if last == again:
                yield Fault(FaultKind.MISSING, cname, f"{cname} is to have {row.copies} copies")
        return
    for number in range(row.copies):
        what = cname if number == 0 else f"copy {number + 1} of {cname}"
        try:
            _read_copy(core, row, [of_piece[number] for of_piece in places], what)
        except AisError as exc:
            current = select_object(core.connection(), row.bucket_id, row.name)
            if current is None or copies_of(core.connection(), current) != places:
                return  # written or moved since it was listed
            kind = exc.kind if isinstance(exc, CorruptionError) else None
            yield Fault(FaultKind(kind) if kind else FaultKind.UNREADABLE, cname, exc.message)


def _lacks(places: Sequence[Sequence[PieceRef]], row: ObjectRow) -> bool:
    return not places or any(len(of_piece) < row.copies for of_piece in places)


def _read_copy(core: Core, row: ObjectRow, pieces: list[PieceRef], what: str) -> None:
    def path_of(piece: PieceRef) -> str:
        return piece_path(core.mountpaths.readable(piece.mountpath_id), piece.piece_id)

    path = path_of(pieces[0])
    try:
        fd = core.files.open(path)
    except FileNotFoundError as exc:
        raise CorruptionError(f"{what} is missing: {path}", kind=FaultKind.MISSING) from exc
    except OSError as exc:
        raise storage_error(exc, what) from exc
    single = [[piece] for piece in pieces]
    content = ManifestContent(core.files, path_of, single, fd, what, lambda: None)
    try:
        content.check()
        verify_content(row, content, what)
    finally:
        content.close()


def _check_structure(core: Core) -> Iterator[Fault]:
    connection = core.connection()
    damage = connection.execute("PRAGMA quick_check").fetchone()[0]
    if damage != "ok":
        yield Fault(FaultKind.INDEX, core.home, str(damage))
    yield from _check_rows(core)
    yield from _check_files(core)


def _check_rows(core: Core) -> Iterator[Fault]:
    """Every object has its piece rows, and every live or growing piece row has an owner."""
    connection = core.connection()
    for bucket_id, name, piece_id in connection.rows(
        "SELECT o.bucket_id, o.name, o.piece_id FROM objects o LEFT JOIN pieces p ON p.id = o.piece_id "
        f"WHERE p.id IS NULL OR p.state != {PIECE_LIVE}"
    ):
        yield Fault(
            FaultKind.INDEX,
            name,
            f"object of bucket {bucket_id} names unknown piece {piece_id:016x}",
        )
    for piece_id, state in connection.rows(
        "SELECT id, state FROM pieces p WHERE "
        f"(state = {PIECE_LIVE} AND id NOT IN (SELECT piece_id FROM objects) "
        "AND id NOT IN (SELECT piece_id FROM manifests)) OR "
        f"(state = {PIECE_APPENDING} AND id NOT IN (SELECT piece_id FROM appends)) OR "
        f"(state = {PIECE_PART} AND id NOT IN (SELECT piece_id FROM parts)) OR "
        f"(state = {PIECE_COPY} AND id NOT IN (SELECT copy_id FROM copies))"
    ):
        yield Fault(FaultKind.INDEX, f"{piece_id:016x}", f"piece in state {state} has no owner")
    yield from _check_manifests(core)
    yield from _check_copy_rows(core)
    yield from _check_parts(core)
    for (generation,) in connection.rows(
        "SELECT generation FROM shard_indexes WHERE generation NOT IN (SELECT generation FROM objects)"
    ):
        yield Fault(FaultKind.INDEX, f"{generation:016x}", "shard index has no shard")


def _check_manifests(core: Core) -> Iterator[Fault]:
    """Every manifest is that of an object, or of one that is being reclaimed, and each of its pieces has a row."""
    for manifest_id, number in core.connection().rows(
        "SELECT m.manifest_id, m.number FROM manifests m LEFT JOIN pieces p ON p.id = m.piece_id "
        "WHERE p.id IS NULL OR p.mountpath_id != m.mountpath_id"
    ):
        name = f"{manifest_id:016x}"
        yield Fault(FaultKind.INDEX, name, f"chunk {number} of this manifest has no piece")


def _check_copy_rows(core: Core) -> Iterator[Fault]:
    """Every copy has its piece rows, and every piece of an object has as many as the object says."""
    connection = core.connection()
    for (copy_id,) in connection.rows(
        "SELECT c.copy_id FROM copies c LEFT JOIN pieces p ON p.id = c.copy_id AND p.mountpath_id = c.mountpath_id "
        f"WHERE p.id IS NULL OR p.state != {PIECE_COPY} OR c.piece_id NOT IN (SELECT id FROM pieces)"
    ):
        yield Fault(FaultKind.INDEX, f"{copy_id:016x}", "copy has no piece")
    for bucket_id, name in connection.rows(
        "SELECT o.bucket_id, o.name FROM objects o LEFT JOIN manifests m ON m.manifest_id = o.piece_id "
        "WHERE o.copies - 1 != "
        "(SELECT count(*) FROM copies c WHERE c.piece_id = coalesce(m.piece_id, o.piece_id))"
    ):
        yield Fault(
            FaultKind.INDEX, name, f"object of bucket {bucket_id} has not the copies that it says"
        )


def _check_parts(core: Core) -> Iterator[Fault]:
    """Every part of an upload has its upload, its piece row, and a file of its size."""
    connection = core.connection()
    for upload_id, number, bucket, name, piece_id, mountpath_id, size, state in connection.rows(
        "SELECT p.upload_id, p.number, u.bucket_id, u.name, p.piece_id, p.mountpath_id, p.size, q.state FROM parts p "
        "LEFT JOIN uploads u ON u.id = p.upload_id LEFT JOIN pieces q ON q.id = p.piece_id "
        "AND q.mountpath_id = p.mountpath_id"
    ):
        what = f"part {number} of an upload of {name!r} in bucket {bucket}"
        if bucket is None or state != PIECE_PART:
            yield Fault(FaultKind.INDEX, upload_id, f"{what} has no upload, or no piece")
            continue
        found = core.mountpaths.all().get(mountpath_id)
        if found is None or found.state is MountpathState.MISSING:
            continue  # reported as such
        try:
            actual = core.files.size_of(piece_path(found.path, piece_id))
        except FileNotFoundError:
            if _still_has(core, upload_id, number, piece_id):
                yield Fault(FaultKind.MISSING, upload_id, f"{what} is missing")
        except OSError as exc:
            yield Fault(FaultKind.UNREADABLE, upload_id, f"{what}: {exc.strerror}")
        else:
            if actual != size:
                yield Fault(
                    FaultKind.SIZE, upload_id, f"{what} has {actual} bytes, recorded are {size}"
                )


def _still_has(core: Core, upload_id: str, number: int, piece_id: int) -> bool:
    query = "SELECT 1 FROM parts WHERE upload_id = ? AND number = ? AND piece_id = ?"
    row = core.connection().execute(query, (upload_id, number, piece_id)).fetchone()
    return row is not None


def _check_files(core: Core) -> Iterator[Fault]:
    """Every file under a mountpath has a row, or belongs to a session that is alive."""
    for mountpath in core.mountpaths.all().values():
        if mountpath.state is MountpathState.MISSING:
            yield Fault(FaultKind.UNREADABLE, mountpath.path, "mountpath is missing")
            continue
        query = "SELECT id FROM pieces WHERE mountpath_id = ?"
        known = {row[0] for row in core.connection().rows(query, (mountpath.id,))}
        for path, piece_id in piece_files(mountpath.path):
            if (
                piece_id not in known
                and not may_be_unfinished(core, piece_id)
                and os.path.exists(path)  # not removed since it was listed
            ):
                yield Fault(FaultKind.ORPHAN, path, "no row names this file")


def piece_files(mountpath: str) -> Iterator[tuple[str, int | None]]:
    """Every file where the pieces of a mountpath lie, with the piece id that place and name say; None for others."""
    root = pieces_root(mountpath)
    try:
        for directory in sorted(os.listdir(root)):
            if not os.path.isdir(f"{root}/{directory}"):
                yield f"{root}/{directory}", None
                continue
            for name in os.listdir(f"{root}/{directory}"):
                path = f"{root}/{directory}/{name}"
                try:
                    piece_id = int(name, 16)
                except ValueError:
                    yield path, None
                    continue
                yield path, piece_id if piece_path(mountpath, piece_id) == path else None
    except OSError as exc:
        raise storage_error(exc, root) from exc


def may_be_unfinished(core: Core, piece_id: int | None) -> bool:
    """True for a piece that a session may be writing now, or that has a row since we looked.

    In this order: a piece that is not being written any more has its row by the time the row is looked for.
    """
    if piece_id is None:
        return False
    connection = core.connection()
    session, counter = piece_id >> COUNTER_BITS, piece_id & ((1 << COUNTER_BITS) - 1)
    row = connection.execute(
        "SELECT settled, reserved FROM sessions WHERE id = ?", (session,)
    ).fetchone()
    is_settled = core.sessions.is_settled(piece_id)
    if row is not None and row[0] <= counter < row[1] and not is_settled:
        return True
    query = "SELECT 1 FROM pieces WHERE id = ?"
    return connection.execute(query, (piece_id,)).fetchone() is not None
