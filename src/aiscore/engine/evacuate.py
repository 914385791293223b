"""Moves pieces off a mountpath that is to be removed.

The unit is what a reader holds: a single piece, or all pieces of one manifest that lie there. A manifest is moved under
the exclusive lock on its first piece (see `garbage`), so not while it is being read. Objects that have copies are not
moved but arranged (see `mirror`): so a disk that is broken can go, if all that lay on it lies elsewhere too.
"""

import fcntl
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from typing import NamedTuple

from aiscore.engine.core import Core
from aiscore.engine.fileio import close_quietly, storage_error
from aiscore.engine.index.buckets import bucket_by_id
from aiscore.engine.index.database import Connection
from aiscore.engine.index.objects import PieceRef, have_mountpaths, select_object
from aiscore.engine.index.schema import PIECE_APPENDING, PIECE_COPY, PIECE_GARBAGE, PIECE_PART
from aiscore.engine.layout import piece_path
from aiscore.engine.mirror import Arranged, arrange
from aiscore.engine.mountpath import Mountpath
from aiscore.engine.write import ContentWriter
from aiscore.engine.xaction.job import Job
from aiscore.errors import BusyError, CorruptionError, InvalidArgumentError, StorageError
from aiscore.model.storage import FaultKind, MountpathState
from aiscore.model.xaction import XactionKind

__all__ = ["remove_mountpath"]

PATIENCE_S = 10.0
"""How long the removal waits for readers, appends and writes in flight before it gives up with `BusyError`."""
_PAUSE_S = 0.02
_SIZE_UNLIMITED = 1 << 62


class _Piece(NamedTuple):
    """A piece, the manifest it is in (of several pieces), the object that names it (as its first piece), its upload."""

    piece_id: int
    state: int
    manifest_id: int | None
    bucket_id: int | None
    name: str | None
    upload_id: str | None


class _ChangedError(Exception):
    """What was copied is not what the names point at any more; ends the transaction."""


def remove_mountpath(core: Core, path: str) -> None:
    """Move what lies on a mountpath to the others, then forget it. See `Transport.remove_mountpath`.

    Each object moves in a commit of its own, so a crash leaves some moved, and the mountpath draining.
    """
    core.mountpaths.look_again()
    mountpath = core.mountpaths.by_path(path)
    if mountpath.state is MountpathState.MISSING:
        only_there = sum(map(len, _units(core, mountpath)))
        if only_there:
            raise InvalidArgumentError(
                f'mountpath "{path}" is missing and {only_there} pieces lie on it',
                hint="mount the disk first",
            )
    core.mountpaths.set_state(path, MountpathState.DRAINING)
    with core.xactions.start(XactionKind.RESILVER, None, None, f"detach {path}") as job:
        _drain(core, mountpath, path, job)


def _drain(core: Core, mountpath: Mountpath, path: str, job: Job) -> None:
    """Move everything; one that is stopped leaves the mountpath draining, and the next goes on."""
    deadline = time.monotonic() + PATIENCE_S
    core.remove_doomed()  # objects with copies are arranged as their bucket says
    while True:
        core.garbage.reclaim_marked()
        moved = 0
        for bucket_id, name in _mirrored(core, mountpath):
            is_moved = _arrange(core, mountpath, bucket_id, name)
            moved += is_moved
            job.step(int(is_moved))
        for unit in _units(core, mountpath):
            is_moved = _move(core, mountpath, unit)
            moved += is_moved
            job.step(int(is_moved))
        core.garbage.reclaim_marked()
        if mountpath.state is MountpathState.MISSING:
            _write_off(core, mountpath)
        if core.mountpaths.forget(mountpath):
            return
        if time.monotonic() > deadline:
            raise BusyError(
                f'mountpath "{path}" is still in use: {_count(core, mountpath)} pieces',
                hint="try again, or enable it to keep it",
            )
        if not moved:
            time.sleep(_PAUSE_S)  # a reader, an append or a write in flight holds what is left


def _count(core: Core, mountpath: Mountpath) -> int:
    query = "SELECT count(*) FROM pieces WHERE mountpath_id = ?"
    return int(core.connection().execute(query, (mountpath.id,)).fetchone()[0])


def _units(core: Core, mountpath: Mountpath) -> list[list[_Piece]]:
    """Pieces on the mountpath that have no copies, those of one manifest together."""
    # One scan finds the owners of all pieces: there is no index from pieces to objects, which no other operation needs.
    rows = core.connection().execute(
        "SELECT p.id, p.state, m.manifest_id, o.bucket_id, o.name, u.upload_id FROM pieces p "
        "LEFT JOIN manifests m ON m.piece_id = p.id LEFT JOIN objects o ON o.piece_id = p.id "
        "LEFT JOIN parts u ON u.piece_id = p.id "
        f"WHERE p.mountpath_id = ? AND p.state != {PIECE_COPY} "
        "AND NOT EXISTS (SELECT 1 FROM copies c WHERE c.piece_id = p.id) ORDER BY coalesce(m.manifest_id, p.id), p.id",
        (mountpath.id,),
    )
    pieces = [_Piece._make(row) for row in rows.fetchall()]
    return [list(unit) for _, unit in groupby(pieces, lambda p: p.manifest_id or p.piece_id)]


def _mirrored(core: Core, mountpath: Mountpath) -> list[tuple[int, str]]:
    """Objects with copies of which something lies on the mountpath: bucket and name."""
    # What lies there: pieces themselves, and copies, of which the piece is looked up.
    rows = core.connection().rows(
        "WITH there (id) AS (SELECT coalesce(c.piece_id, p.id) FROM pieces p LEFT JOIN copies c ON c.copy_id = p.id "
        f"WHERE p.mountpath_id = ? AND p.state != {PIECE_GARBAGE}) "
        "SELECT DISTINCT o.bucket_id, o.name FROM there LEFT JOIN manifests m ON m.piece_id = there.id "
        "JOIN objects o ON o.piece_id = coalesce(m.manifest_id, there.id) WHERE o.copies > 1",
        (mountpath.id,),
    )
    return [(bucket_id, name) for bucket_id, name in rows]


def _arrange(core: Core, mountpath: Mountpath, bucket_id: int, name: str) -> bool:
    """Take an object with copies off the mountpath; False when it is in use, or gone meanwhile."""
    connection = core.connection()
    connection.fresh_cache()
    bucket = bucket_by_id(connection, bucket_id)
    row = select_object(connection, bucket_id, name)
    if bucket is None or row is None:
        return False
    return arrange(core, bucket, row, row.copies, leaving=mountpath.id) is Arranged.CHANGED


def _write_off(core: Core, mountpath: Mountpath) -> None:
    """Forget garbage on a disk that is not there: nobody can remove its files."""
    with core.database.write() as connection:
        connection.execute(
            f"DELETE FROM pieces WHERE mountpath_id = ? AND state = {PIECE_GARBAGE} "
            "AND id NOT IN (SELECT manifest_id FROM manifests) AND id NOT IN (SELECT piece_id FROM copies)",
            (mountpath.id,),
        )


def _move(core: Core, mountpath: Mountpath, unit: Sequence[_Piece]) -> bool:
    """Move one unit; False when it is in use, or gone meanwhile."""
    if any(piece.state == PIECE_GARBAGE for piece in unit):
        return False
    if unit[0].state == PIECE_APPENDING:
        with _locked(core, mountpath.id, unit[0].piece_id) as is_held:
            return is_held and _copy_and_switch(core, mountpath, unit)
    manifest_id = unit[0].manifest_id
    if manifest_id is None:
        return _copy_and_switch(core, mountpath, unit)
    row = (
        core.connection()
        .execute("SELECT mountpath_id FROM pieces WHERE id = ?", (manifest_id,))
        .fetchone()
    )
    if row is None:
        return False
    with _locked(core, row[0], manifest_id) as is_held:
        return is_held and _copy_and_switch(core, mountpath, unit)


@contextmanager
def _locked(core: Core, mountpath_id: int, piece_id: int) -> Iterator[bool]:
    """The exclusive lock on a piece; False when a reader or an append has it, or it is gone."""
    try:
        fd = core.files.open(piece_path(core.mountpaths.readable(mountpath_id), piece_id))
    except FileNotFoundError:
        yield False
        return
    except OSError as exc:
        raise storage_error(exc, f"piece {piece_id:016x}") from exc
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
            return
        yield True
    finally:
        close_quietly(core.files, fd)


def _copy_and_switch(core: Core, mountpath: Mountpath, unit: Sequence[_Piece]) -> bool:
    writers: list[ContentWriter] = []
    try:
        for piece in unit:
            writers.append(_copy(core, mountpath, piece))  # noqa: PERF401 - aborted one by one
        with core.database.write(sync=True) as connection:
            # The disks that were chosen may have been taken out while the pieces were copied to them.
            if not have_mountpaths(connection, [w.pieces[0].mountpath_id for w in writers]):
                raise _ChangedError
            # The first piece of a manifest last: moving it renames the manifest.
            for piece, writer in reversed(list(zip(unit, writers, strict=True))):
                _switch(connection, piece, writer.pieces[0])
            connection.cache.clear()
    except BaseException as exc:
        for writer in writers:
            writer.abort()
        if isinstance(exc, _ChangedError):
            return False
        raise
    for writer in writers:
        writer.settle()
    return True


def _copy(core: Core, mountpath: Mountpath, piece: _Piece) -> ContentWriter:
    """The piece on another mountpath."""
    source = piece_path(mountpath.path, piece.piece_id)
    known = set(core.mountpaths.all())
    try:
        fd = core.files.open(source)
    except FileNotFoundError as exc:
        query = "SELECT state FROM pieces WHERE id = ?"
        row = core.connection().execute(query, (piece.piece_id,)).fetchone()
        if row is None or row[0] == PIECE_GARBAGE:
            raise _ChangedError from exc
        raise CorruptionError(
            f"piece {source} is missing", hint="see: ais storage validate", kind=FaultKind.MISSING
        ) from exc
    except OSError as exc:
        raise storage_error(exc, source) from exc
    writer = ContentWriter(
        core, f"{piece.piece_id:016x}", source, piece_size_max=_SIZE_UNLIMITED, sync=True
    )
    try:
        size = core.files.size(fd)
        if size:
            writer.copy_from(fd, size)
        writer.finish()
    except BaseException as exc:
        writer.abort()
        if isinstance(exc, StorageError) and not known <= core.mountpaths.all().keys():
            raise _ChangedError from exc  # a disk was taken out, and its directories with it
        if isinstance(exc, OSError):
            raise storage_error(exc, source) from exc
        raise
    finally:
        close_quietly(core.files, fd)
    return writer


def _switch(connection: Connection, piece: _Piece, new: PieceRef) -> None:
    """Let whatever names the old piece name the new one."""
    old = piece.piece_id
    row = connection.execute("SELECT state FROM pieces WHERE id = ?", (old,)).fetchone()
    if row is None or row[0] != piece.state:
        raise _ChangedError
    connection.execute(
        "INSERT INTO pieces VALUES (?, ?, ?)", (new.piece_id, new.mountpath_id, piece.state)
    )
    updated = 0
    if piece.state == PIECE_APPENDING:
        updated += connection.execute(
            "UPDATE appends SET piece_id = ?, mountpath_id = ? WHERE piece_id = ?",
            (new.piece_id, new.mountpath_id, old),
        ).rowcount
    if piece.state == PIECE_PART:
        updated += connection.execute(
            "UPDATE parts SET piece_id = ?, mountpath_id = ? WHERE upload_id = ? AND piece_id = ?",
            (new.piece_id, new.mountpath_id, piece.upload_id, old),
        ).rowcount
    if piece.name is not None:
        updated += connection.execute(
            "UPDATE objects SET piece_id = ?, mountpath_id = ? "
            "WHERE bucket_id = ? AND name = ? AND piece_id = ?",
            (new.piece_id, new.mountpath_id, piece.bucket_id, piece.name, old),
        ).rowcount
    if piece.manifest_id is not None:
        updated += connection.execute(
            "UPDATE manifests SET piece_id = ?, mountpath_id = ? "
            "WHERE manifest_id = ? AND piece_id = ?",
            (new.piece_id, new.mountpath_id, piece.manifest_id, old),
        ).rowcount
    if not updated:
        raise _ChangedError  # renamed since its owner was looked up
    connection.execute("UPDATE pieces SET state = ? WHERE id = ?", (PIECE_GARBAGE, old))
    if piece.manifest_id == old:
        connection.execute(
            "UPDATE manifests SET manifest_id = ? WHERE manifest_id = ?", (new.piece_id, old)
        )
