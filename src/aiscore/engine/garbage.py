"""Reclaims pieces that no name points at any more.

A commit that takes a name away from a piece marks the piece's row as garbage in the same transaction; only then is
the file unlinked, and last the row removed (in bulk, with some later transaction). A crash between the steps leaves
a marked row, which the next open finds: unlinking twice is harmless because ids are never reused.

Readers: one of a single piece holds its open file, which outlives the unlink. One of several pieces opens them as it
goes, so it holds a shared flock(2) on the first piece, or on the copy of it that it reads; the reclaimer needs all of
these exclusively and otherwise leaves the whole manifest for later.

Copies of a piece (see `mirror`) go with it.
"""

import fcntl
import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager

from aiscore.engine.fileio import Files, close_quietly
from aiscore.engine.index.database import Connection, Database
from aiscore.engine.index.objects import ObjectRow, PieceRef
from aiscore.engine.index.schema import PIECE_GARBAGE
from aiscore.engine.layout import piece_path
from aiscore.engine.mountpath import Mountpaths
from aiscore.errors import AisError
from aiscore.model.storage import MountpathState

__all__ = ["Garbage"]

log = logging.getLogger(__name__)

_FORGET_BATCH = 64


class Garbage:
    """The reclaimer of one process."""

    def __init__(
        self,
        database: Database,
        mountpaths: Mountpaths,
        files: Files,
        on_removal: Callable[[int], None],
    ) -> None:
        """`on_removal` is told the generation of content before its files go."""
        self._database = database
        self._mountpaths = mountpaths
        self._files = files
        self._lock = threading.Lock()
        self._gone: list[int] = []
        self._on_removal = on_removal

    def reclaim(self, row: ObjectRow) -> None:
        """Remove the files of an object row that was replaced or deleted; the transaction must be committed.

        Never fails: the commit is done, and what cannot be removed now is marked and comes up at the next open.
        """
        self._on_removal(row.generation)
        try:
            is_single = row.piece_count == 1 and row.copies == 1
            self._reclaim(row.piece_id, row.mountpath_id, is_single=is_single)
        except AisError as exc:
            log.warning("piece not reclaimed: id=%016x reason=%s", row.piece_id, exc)

    def forget(self, connection: Connection, *, at_least: int = _FORGET_BATCH) -> None:
        """Within a write transaction: remove the rows of pieces whose files are gone, if there are many."""
        if len(self._gone) < at_least:
            return
        with self._lock:
            gone, self._gone = self._gone, []
        connection.executemany(
            f"DELETE FROM pieces WHERE id = ? AND state = {PIECE_GARBAGE}", [(i,) for i in gone]
        )

    def reclaim_marked(self, limit: int = 100_000) -> None:
        """Reclaim up to `limit` marked pieces, whoever left them; what is held or away stays."""
        connection = self._database.connection()
        rows = connection.execute(
            "SELECT p.id, p.mountpath_id, EXISTS (SELECT 1 FROM manifests m WHERE m.manifest_id = p.id) "
            "OR EXISTS (SELECT 1 FROM copies c WHERE c.piece_id = p.id) FROM pieces p WHERE p.state = 1 LIMIT ?",
            (limit,),
        ).fetchall()
        for piece_id, mountpath_id, has_more in rows:
            self._reclaim(piece_id, mountpath_id, is_single=not has_more)
        self.flush()

    def reclaim_pieces(self, pieces: Sequence[PieceRef]) -> None:
        """Remove the files of single pieces that are marked, whatever they were part of."""
        for piece in pieces:
            if self._unlink(piece.piece_id, piece.mountpath_id):
                self._gone.append(piece.piece_id)

    @contextmanager
    def held(self, places: Sequence[PieceRef]) -> Iterator[bool]:
        """The exclusive lock on a piece in all its places; False when a reader has one of them."""
        with ExitStack() as stack:
            yield all(self._hold(place, stack) for place in places)

    def _hold(self, place: PieceRef, stack: ExitStack) -> bool:
        path = self._path(place.piece_id, place.mountpath_id)
        if path is None:
            return True  # nobody reads what is away
        try:
            fd = self._files.open(path)
        except FileNotFoundError:
            return True
        except OSError:
            return False
        stack.callback(close_quietly, self._files, fd)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True

    def flush(self) -> None:
        """Remove the rows of all pieces whose files are gone."""
        if self._gone:
            with self._database.write() as connection:
                self.forget(connection, at_least=1)

    def let_go(self, manifest_id: int, mountpath_id: int) -> None:
        """A reader of many pieces is done: reclaim them, if they became garbage while it held them."""
        row = (
            self._database.connection()
            .execute("SELECT state FROM pieces WHERE id = ?", (manifest_id,))
            .fetchone()
        )
        if row is not None and row[0] == PIECE_GARBAGE:
            try:
                self._reclaim_manifest(manifest_id, mountpath_id)
            except AisError as exc:
                log.warning("manifest not reclaimed: id=%016x reason=%s", manifest_id, exc)

    def reset_after_fork(self) -> None:
        """Rows whose files are gone are the parent's to remove."""
        self._lock = threading.Lock()
        self._gone = []

    def _reclaim(self, piece_id: int, mountpath_id: int, *, is_single: bool) -> None:
        if is_single:
            if self._unlink(piece_id, mountpath_id):
                self._gone.append(piece_id)
            return
        self._reclaim_manifest(piece_id, mountpath_id)

    def _reclaim_manifest(self, manifest_id: int, mountpath_id: int) -> None:
        first = PieceRef(manifest_id, mountpath_id, 0)
        if self._path(manifest_id, mountpath_id) is None:
            return
        # What is not there any more was unlinked before a crash: nobody can begin to read it.
        with self.held([first, *self._copies_of([first])]) as is_held:
            if is_held:  # else the last reader to let go comes back to it
                self._remove_manifest(first)

    def _remove_manifest(self, first: PieceRef) -> None:
        rows = self._database.connection().rows(
            "SELECT piece_id, mountpath_id, size FROM manifests WHERE manifest_id = ? ORDER BY number",
            (first.piece_id,),
        )
        if not rows and not self._has_row(first.piece_id):
            return  # its last reader came before
        pieces = [PieceRef(*row) for row in rows] or [first]
        copies = self._copies_of(pieces)
        unlinked = [self._unlink(p.piece_id, p.mountpath_id) for p in (*pieces, *copies)]
        if not all(unlinked):
            return
        with self._database.write() as connection:
            connection.executemany(
                "DELETE FROM pieces WHERE id = ?", [(p.piece_id,) for p in (*pieces, *copies)]
            )
            connection.execute("DELETE FROM manifests WHERE manifest_id = ?", (first.piece_id,))
            if copies:
                connection.executemany(
                    "DELETE FROM copies WHERE piece_id = ?", [(p.piece_id,) for p in pieces]
                )

    def _has_row(self, piece_id: int) -> bool:
        query = "SELECT 1 FROM pieces WHERE id = ?"
        return bool(self._database.connection().rows(query, (piece_id,)))

    def _copies_of(self, pieces: Sequence[PieceRef]) -> list[PieceRef]:
        connection = self._database.connection()
        query = "SELECT copy_id, mountpath_id FROM copies WHERE piece_id = ?"
        return [
            PieceRef(copy_id, mountpath_id, 0)
            for piece in pieces
            for copy_id, mountpath_id in connection.rows(query, (piece.piece_id,))
        ]

    def _unlink(self, piece_id: int, mountpath_id: int) -> bool:
        path = self._path(piece_id, mountpath_id)
        if path is None:
            return False
        try:
            self._files.unlink(path)
        except FileNotFoundError:
            return True
        except OSError:
            return False
        return True

    def _path(self, piece_id: int, mountpath_id: int) -> str | None:
        found = self._mountpaths.known(mountpath_id)
        if found is None or found.state is MountpathState.MISSING:
            return None
        return piece_path(found.path, piece_id)
