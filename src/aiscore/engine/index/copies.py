"""Rows of copies: pieces with the same bytes as a live one, on other mountpaths.

They stay until the piece that they are copies of is reclaimed, so that a reader which holds that piece has them too.
"""

from collections.abc import Sequence

from aiscore.engine.index.database import Connection
from aiscore.engine.index.objects import ObjectRow, PieceRef, insert_pieces, manifest_of
from aiscore.engine.index.schema import PIECE_COPY, PIECE_GARBAGE, PIECE_LIVE

__all__ = ["copies_of", "insert_copies", "replace_places"]

Places = Sequence[PieceRef]
"""A piece where it lies: the one in the manifest first, then its copies."""


def copies_of(connection: Connection, row: ObjectRow) -> list[list[PieceRef]]:
    """For each piece of an object, in order, every place where it lies; the one in the manifest is the first."""
    pieces = manifest_of(connection, row)
    if row.copies == 1:
        return [[piece] for piece in pieces]
    if row.piece_count == 1:
        query = "SELECT piece_id, copy_id, mountpath_id FROM copies WHERE piece_id = ?"
    else:
        query = (
            "SELECT c.piece_id, c.copy_id, c.mountpath_id FROM manifests m "
            "JOIN copies c ON c.piece_id = m.piece_id WHERE m.manifest_id = ?"
        )
    places = {piece.piece_id: [piece] for piece in pieces}
    for piece_id, copy_id, mountpath_id in connection.rows(query, (row.piece_id,)):
        if piece_id in places:
            first = places[piece_id][0]
            places[piece_id].append(first._replace(piece_id=copy_id, mountpath_id=mountpath_id))
    return list(places.values())


def insert_copies(
    connection: Connection, pieces: Sequence[PieceRef], copies: Sequence[Sequence[PieceRef]]
) -> None:
    """Enter the new copies of each of `pieces`; no lists at all when there are none."""
    if not copies:
        return
    found = [
        (piece.piece_id, copy)
        for piece, of_piece in zip(pieces, copies, strict=True)
        for copy in of_piece
    ]
    insert_pieces(connection, [copy for _, copy in found], PIECE_COPY)
    connection.executemany(
        "INSERT INTO copies VALUES (?, ?, ?)",
        [(piece_id, copy.piece_id, copy.mountpath_id) for piece_id, copy in found],
    )


def replace_places(
    connection: Connection, row: ObjectRow, number: int, old: Places, new: Places
) -> None:
    """Let piece `number` (from 1) of an object lie elsewhere; what it leaves becomes garbage.

    Of the first piece the caller changes the object's row, and the id of the manifest.
    """
    before = {place.piece_id for place in old}
    fresh = [place for place in new if place.piece_id not in before]
    insert_pieces(connection, fresh, PIECE_COPY)
    left = before - {place.piece_id for place in new}
    connection.executemany(
        "UPDATE pieces SET state = ? WHERE id = ?", [(PIECE_GARBAGE, gone) for gone in left]
    )
    first = new[0]
    connection.execute("UPDATE pieces SET state = ? WHERE id = ?", (PIECE_LIVE, first.piece_id))
    connection.executemany(
        "UPDATE pieces SET state = ? WHERE id = ?",
        [(PIECE_COPY, copy.piece_id) for copy in new[1:]],
    )
    connection.execute("DELETE FROM copies WHERE piece_id = ?", (old[0].piece_id,))
    connection.executemany(
        "INSERT INTO copies VALUES (?, ?, ?)",
        [(first.piece_id, copy.piece_id, copy.mountpath_id) for copy in new[1:]],
    )
    if row.piece_count > 1 and first.piece_id != old[0].piece_id:
        connection.execute(
            "UPDATE manifests SET piece_id = ?, mountpath_id = ? WHERE manifest_id = ? AND number = ?",
            (first.piece_id, first.mountpath_id, row.piece_id, number),
        )
