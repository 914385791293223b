"""Rows of multipart uploads and of their parts."""

import time
from collections.abc import Sequence
from typing import NamedTuple

from aiscore.engine.index.database import Connection
from aiscore.engine.index.objects import PieceRef, insert_pieces
from aiscore.engine.index.schema import PIECE_GARBAGE, PIECE_LIVE, PIECE_PART

__all__ = [
    "PartRow",
    "UploadRow",
    "delete_upload",
    "delete_uploads_of",
    "insert_upload",
    "list_parts",
    "list_uploads",
    "select_upload",
    "take_parts",
    "totals_of",
    "write_parts",
]


class UploadRow(NamedTuple):
    """An upload as the index holds it; `session_id` is that of the PUT that is writing it, 0 for a client's upload."""

    id: str
    bucket_id: int
    name: str
    custom: str | None
    checksum_type: str
    has_md5: int
    session_id: int
    created_ns: int
    used_ns: int


class PartRow(NamedTuple):
    """A part as the index holds it; `generation` is its first piece id, which survives moves.

    `checksum` is what clients see, `chunk_checksum` that of the chunk which it will be.
    """

    number: int
    piece_id: int
    mountpath_id: int
    size: int
    checksum: str
    chunk_checksum: str
    md5: str
    generation: int
    mtime_ns: int
    note: str

    @property
    def piece(self) -> PieceRef:
        """What it will be in a manifest."""
        return PieceRef(self.piece_id, self.mountpath_id, self.size, self.chunk_checksum)


_UPLOAD = ", ".join(UploadRow._fields)
_PART = ", ".join(PartRow._fields)


def insert_upload(connection: Connection, row: UploadRow) -> None:
    """Enter a new upload."""
    connection.execute(f"INSERT INTO uploads VALUES ({', '.join('?' * len(row))})", row)


def select_upload(
    connection: Connection, bucket_id: int, name: str, upload_id: str
) -> UploadRow | None:
    """The upload of this name, as it is now."""
    found = connection.execute(
        f"SELECT {_UPLOAD} FROM uploads WHERE id = ? AND bucket_id = ? AND name = ?",
        (upload_id, bucket_id, name),
    ).fetchone()
    return None if found is None else UploadRow._make(found)


def list_uploads(
    connection: Connection, bucket_id: int, low: tuple[str, str], end: str | None, limit: int
) -> list[UploadRow]:
    """Uploads by name, then id, greater than `low`, with names less than `end`."""
    bound = "" if end is None else "AND name < ? "
    values = (bucket_id, *low, limit) if end is None else (bucket_id, *low, end, limit)
    found = connection.execute(
        f"SELECT {_UPLOAD} FROM uploads WHERE bucket_id = ? AND (name, id) > (?, ?) {bound}"
        "ORDER BY name, id LIMIT ?",
        values,
    )
    return [UploadRow._make(row) for row in found.fetchall()]


def totals_of(connection: Connection, upload_id: str) -> tuple[int, int]:
    """Parts of an upload, and their bytes."""
    count, size = connection.execute(
        "SELECT count(*), coalesce(sum(size), 0) FROM parts WHERE upload_id = ?", (upload_id,)
    ).fetchone()
    return int(count), int(size)


def list_parts(
    connection: Connection, upload_id: str, after: int = 0, limit: int = -1
) -> list[PartRow]:
    """Parts by number, greater than `after`."""
    found = connection.execute(
        f"SELECT {_PART} FROM parts WHERE upload_id = ? AND number > ? ORDER BY number LIMIT ?",
        (upload_id, after, limit),
    )
    return [PartRow._make(row) for row in found.fetchall()]


def write_parts(connection: Connection, upload_id: str, rows: Sequence[PartRow]) -> int | None:
    """Enter parts whose pieces have no rows yet; the pieces of parts that they replace become garbage.

    How many were replaced; None when there is no such upload (any more): then nothing is changed.
    """
    updated = connection.execute(
        "UPDATE uploads SET used_ns = ? WHERE id = ?", (time.time_ns(), upload_id)
    ).rowcount
    if not updated:
        return None
    replaced = 0
    for row in rows:
        replaced += connection.execute(
            "UPDATE pieces SET state = ? WHERE id = "
            "(SELECT piece_id FROM parts WHERE upload_id = ? AND number = ?)",
            (PIECE_GARBAGE, upload_id, row.number),
        ).rowcount
    insert_pieces(connection, [row.piece for row in rows], PIECE_PART)
    connection.executemany(
        f"INSERT OR REPLACE INTO parts VALUES (?, {', '.join('?' * len(PartRow._fields))})",
        [(upload_id, *row) for row in rows],
    )
    return replaced


def take_parts(connection: Connection, upload_id: str, pieces: Sequence[PieceRef]) -> bool:
    """End an upload whose pieces go to an object: these become live, those of other parts garbage.

    False when the upload, or one of the pieces, is not there any more: then the transaction must be given up.
    """
    ids = {piece.piece_id for piece in pieces}
    held = connection.execute("SELECT piece_id FROM parts WHERE upload_id = ?", (upload_id,))
    if not ids <= {row[0] for row in held.fetchall()}:
        return False
    delete_upload(connection, upload_id)
    connection.executemany(
        "UPDATE pieces SET state = ? WHERE id = ?", [(PIECE_LIVE, piece_id) for piece_id in ids]
    )
    return True


def delete_upload(connection: Connection, upload_id: str) -> bool:
    """Forget an upload, its pieces become garbage; False when it is not there (any more)."""
    connection.execute(
        "UPDATE pieces SET state = ? WHERE id IN (SELECT piece_id FROM parts WHERE upload_id = ?)",
        (PIECE_GARBAGE, upload_id),
    )
    connection.execute("DELETE FROM parts WHERE upload_id = ?", (upload_id,))
    return bool(connection.execute("DELETE FROM uploads WHERE id = ?", (upload_id,)).rowcount)


def delete_uploads_of(connection: Connection, bucket_id: int) -> None:
    """The same for every upload of a bucket that goes."""
    uploads = "(SELECT id FROM uploads WHERE bucket_id = ?)"
    connection.execute(
        "UPDATE pieces SET state = ? WHERE id IN "
        f"(SELECT piece_id FROM parts WHERE upload_id IN {uploads})",
        (PIECE_GARBAGE, bucket_id),
    )
    connection.execute(f"DELETE FROM parts WHERE upload_id IN {uploads}", (bucket_id,))
    connection.execute("DELETE FROM uploads WHERE bucket_id = ?", (bucket_id,))
