"""Rows of objects and of their manifests."""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from aiscore.engine.index.database import Connection
from aiscore.engine.index.schema import PIECE_GARBAGE, PIECE_LIVE

__all__ = [
    "BeforeWrite",
    "ObjectRow",
    "PieceRef",
    "after_prefix",
    "delete_object",
    "find_object",
    "have_mountpaths",
    "insert_manifest",
    "insert_pieces",
    "manifest_of",
    "rows_after",
    "select_for_write",
    "select_object",
    "swap_pieces",
    "write_object",
]


class PieceRef(NamedTuple):
    """One stored piece: id, where it lies, bytes, and the hex value of its checksum (of the object's type)."""

    piece_id: int
    mountpath_id: int
    size: int
    checksum: str = ""


class ObjectRow(NamedTuple):
    """An object as the index holds it; `piece_id` is its first piece, and its manifest's id when there are more.

    `generation` is the id of the first piece the content was written to. It survives moves of the content to other
    pieces, is never reused, and so keys everything derived from the content: shard indexes, ETags.
    `copies` counts the pieces with the same bytes on different mountpaths, the one in the manifest included; it is the
    same for every piece of the object.
    """

    bucket_id: int
    name: str
    size: int
    version: int
    checksum_type: str
    checksum: str
    atime_ns: int
    mtime_ns: int
    custom: str | None
    generation: int
    mountpath_id: int
    piece_id: int
    piece_count: int
    piece_size_max: int
    copies: int


_COLUMNS = ", ".join(ObjectRow._fields)
_SELECT = f"SELECT {_COLUMNS} FROM objects WHERE bucket_id = ? AND name = ?"
_WRITE = f"INSERT OR REPLACE INTO objects ({_COLUMNS}) VALUES ({', '.join('?' * len(ObjectRow._fields))})"
_FROM = f"SELECT {_COLUMNS} FROM objects WHERE bucket_id = ? AND name >= ? AND name < ? ORDER BY name LIMIT ?"


def find_object(connection: Connection, bucket_id: int, name: str) -> ObjectRow | None:
    """The object, as of the begin of the operation (`Connection.fresh_cache`)."""
    cache = connection.cache
    key = (bucket_id, name)
    row: ObjectRow | None = cache.get(key)
    if row is None:
        row = select_object(connection, bucket_id, name)
        if row is not None:
            cache[key] = row
    return row


def select_object(connection: Connection, bucket_id: int, name: str) -> ObjectRow | None:
    """The object as it is now (inside a write transaction: as it will be)."""
    found = connection.execute(_SELECT, (bucket_id, name)).fetchone()
    return None if found is None else ObjectRow._make(found)


_NO_SHARD_INDEXES = "no shard indexes"
_SELECT_FOR_WRITE = (
    "SELECT EXISTS (SELECT 1 FROM mountpaths WHERE id = ?), "
    f"{', '.join(f'o.{name}' for name in ObjectRow._fields)} FROM buckets b LEFT JOIN objects o "
    "ON o.bucket_id = b.id AND o.name = ? WHERE b.id = ?"
)


class BeforeWrite(NamedTuple):
    """What a commit must know.

    Do the bucket (ids are never reused) and the mountpaths of the new pieces still exist, and what is the object now.
    """

    has_bucket: bool
    has_mountpaths: bool
    row: ObjectRow | None


def select_for_write(
    connection: Connection, bucket_id: int, name: str, pieces: Sequence[PieceRef]
) -> BeforeWrite:
    """Look up what the commit of `pieces` under `name` depends on; nearly always in one statement."""
    first = pieces[0].mountpath_id
    found = connection.execute(_SELECT_FOR_WRITE, (first, name, bucket_id)).fetchone()
    if found is None:
        return BeforeWrite(False, False, None)
    has_mountpaths = bool(found[0])
    for other in {piece.mountpath_id for piece in pieces[1:]} - {first}:
        query = "SELECT 1 FROM mountpaths WHERE id = ?"
        has_mountpaths &= connection.execute(query, (other,)).fetchone() is not None
    return BeforeWrite(
        True, has_mountpaths, None if found[1] is None else ObjectRow._make(found[1:])
    )


def have_mountpaths(connection: Connection, ids: Iterable[int]) -> bool:
    """Every one of these mountpaths is still part of the home; to be asked in the transaction that enters pieces."""
    known = {found[0] for found in connection.rows("SELECT id FROM mountpaths")}
    return known.issuperset(ids)


def write_object(connection: Connection, row: ObjectRow, old: ObjectRow | None) -> None:
    """Make the name point at `row`; the pieces of `old` become garbage unless the new row has them too."""
    connection.run(_WRITE, row)
    # What this connection wrote it may read from its cache; a roll-back empties the cache.
    connection.cache[(row.bucket_id, row.name)] = row
    if old is not None and old.piece_id != row.piece_id:
        _discard(connection, old)


def swap_pieces(
    connection: Connection, old: ObjectRow, pieces: Sequence[PieceRef], copies: int
) -> ObjectRow:
    """Let `old`, as it is now, point at other pieces with the same content; the row that it becomes.

    All that is known of the content stays: version, checksum, metadata, times, generation, shard index.
    """
    first = pieces[0]
    row = old._replace(
        mountpath_id=first.mountpath_id,
        piece_id=first.piece_id,
        piece_count=len(pieces),
        piece_size_max=max(piece.size for piece in pieces),
        copies=copies,
    )
    connection.execute(_WRITE, row)
    connection.cache[(row.bucket_id, row.name)] = row
    connection.execute("UPDATE pieces SET state = ? WHERE id = ?", (PIECE_GARBAGE, old.piece_id))
    return row


def delete_object(connection: Connection, row: ObjectRow) -> None:
    """Remove the name; its pieces become garbage."""
    connection.execute(
        "DELETE FROM objects WHERE bucket_id = ? AND name = ?", (row.bucket_id, row.name)
    )
    connection.cache.pop((row.bucket_id, row.name), None)
    _discard(connection, row)


def _discard(connection: Connection, row: ObjectRow) -> None:
    connection.run("UPDATE pieces SET state = ? WHERE id = ?", (PIECE_GARBAGE, row.piece_id))
    if _has_shard_indexes(connection):
        connection.run("DELETE FROM shard_indexes WHERE generation = ?", (row.generation,))


def _has_shard_indexes(connection: Connection) -> bool:
    """False when there are none in the whole home, as where no shards are read; inside a write transaction."""
    cache = connection.cache
    if _NO_SHARD_INDEXES in cache:
        return False
    found = connection.execute("SELECT EXISTS (SELECT 1 FROM shard_indexes)").fetchone()
    if not found[0]:
        cache[_NO_SHARD_INDEXES] = True
    return bool(found[0])


def insert_pieces(
    connection: Connection, pieces: Sequence[PieceRef], state: int = PIECE_LIVE
) -> None:
    """Enter new pieces."""
    if len(pieces) == 1:
        first = pieces[0]
        connection.run(
            "INSERT INTO pieces VALUES (?, ?, ?)", (first.piece_id, first.mountpath_id, state)
        )
        return
    connection.executemany(
        "INSERT INTO pieces VALUES (?, ?, ?)",
        [(piece.piece_id, piece.mountpath_id, state) for piece in pieces],
    )


def insert_manifest(connection: Connection, pieces: Sequence[PieceRef]) -> None:
    """Enter the order of the pieces of one object; a single one needs no manifest."""
    if len(pieces) == 1:
        return
    first = pieces[0].piece_id
    connection.executemany(
        "INSERT INTO manifests VALUES (?, ?, ?, ?, ?, ?)",
        [(first, number, *piece) for number, piece in enumerate(pieces, start=1)],
    )


def manifest_of(connection: Connection, row: ObjectRow) -> list[PieceRef]:
    """All pieces of an object in order; for one of a single piece nothing is read."""
    if row.piece_count == 1:
        return [PieceRef(row.piece_id, row.mountpath_id, row.size, row.checksum)]
    found = connection.rows(
        "SELECT piece_id, mountpath_id, size, checksum FROM manifests WHERE manifest_id = ? "
        "ORDER BY number",
        (row.piece_id,),
    )
    return [PieceRef._make(piece) for piece in found]


def after_prefix(prefix: str) -> str | None:
    """The smallest name greater than every name that starts with `prefix`; None when there is none.

    Names are ordered as UTF-8 bytes, which is the order of code points.
    """
    while prefix:
        last = ord(prefix[-1])
        if last < 0x10FFFF:
            following = 0xE000 if last == 0xD7FF else last + 1
            return prefix[:-1] + chr(following)
        prefix = prefix[:-1]
    return None


_BATCH = 1_000


def rows_after(
    connection: Connection, bucket_id: int, prefix: str = "", start: str = ""
) -> Iterator[ObjectRow]:
    """Objects with `prefix` and a name greater than `start`, in order; read a thousand at a time.

    No statement stays open between batches, so a writer is never held up; what is committed meanwhile ahead of the
    cursor is seen.
    """
    end = after_prefix(prefix)
    # "name\0" is the first string after "name": names have no NUL.
    low = max(prefix, f"{start}\0") if start else prefix
    while True:
        if end is None:
            found = connection.rows(
                f"SELECT {_COLUMNS} FROM objects WHERE bucket_id = ? AND name >= ? ORDER BY name LIMIT ?",
                (bucket_id, low, _BATCH),
            )
        else:
            found = connection.rows(_FROM, (bucket_id, low, end, _BATCH))
        yield from map(ObjectRow._make, found)
        if len(found) < _BATCH:
            return
        low = f"{found[-1][1]}\0"
