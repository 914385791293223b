"""Moves pieces off a mountpath that is to be removed."""

from aiscore.engine.core import Core
from aiscore.engine.index.objects import PieceRef
from aiscore.engine.index.schema import PIECE_APPENDING, PIECE_GARBAGE, PIECE_LIVE
from aiscore.engine.layout import piece_path
from aiscore.engine.mountpath import Mountpath
from aiscore.engine.write import ContentWriter
from aiscore.errors import BusyError, CorruptionError, InvalidArgumentError
from aiscore.model.storage import MountpathState

__all__ = ["remove_mountpath"]

_ROUNDS = 5
"""Passes over the pieces: a write that chose the mountpath just before it was disabled may land in between."""


def remove_mountpath(core: Core, path: str) -> None:
    """Move what lies on a mountpath to the others, then forget it. See `Transport.remove_mountpath`.

    Each piece moves in a commit of its own, so a crash leaves some moved and the mountpath disabled.
    """
    mountpath = core.mountpaths.by_path(path)
    if mountpath.state is MountpathState.MISSING and _count(core, mountpath):
        raise InvalidArgumentError(
            f'mountpath "{path}" is missing and {_count(core, mountpath)} pieces lie on it',
            hint="mount the disk first",
        )
    core.mountpaths.set_state(path, MountpathState.DISABLED)
    for _ in range(_ROUNDS):
        core.garbage.reclaim_marked()
        rows = (
            core.connection()
            .execute(
                "SELECT id, state FROM pieces WHERE mountpath_id = ? AND state != ?",
                (mountpath.id, PIECE_GARBAGE),
            )
            .fetchall()
        )
        if not rows and not _count(core, mountpath):
            core.mountpaths.forget(mountpath)
            return
        for piece_id, state in rows:
            _move(core, mountpath, piece_id, state)
    raise BusyError(
        f'mountpath "{path}" is still in use: {_count(core, mountpath)} pieces', hint="try again"
    )


def _count(core: Core, mountpath: Mountpath) -> int:
    query = "SELECT count(*) FROM pieces WHERE mountpath_id = ?"
    return int(core.connection().execute(query, (mountpath.id,)).fetchone()[0])


def _move(core: Core, mountpath: Mountpath, piece_id: int, state: int) -> None:
    if state == PIECE_APPENDING:
        raise BusyError(
            f'an append on mountpath "{mountpath.path}" is not finished',
            hint="flush it, then try again",
        )
    source = piece_path(mountpath.path, piece_id)
    writer = ContentWriter(core, f"{piece_id:016x}", source, piece_size_max=1 << 62)
    try:
        try:
            fd = core.files.open(source)
        except FileNotFoundError as exc:
            raise CorruptionError(
                f"piece {source} is missing", hint="see: ais storage validate"
            ) from exc
        try:
            size = core.files.size(fd)
            if size:
                writer.copy_from(fd, size)
        finally:
            core.files.close(fd)
        writer.finish(sync=True)
        _switch(core, piece_id, writer.pieces[0])
    except BaseException:
        writer.abort()
        raise
    writer.settle()
    core.garbage.reclaim_marked()


def _switch(core: Core, old: int, new: PieceRef) -> None:
    """Let whatever names the old piece name the new one; nothing if the old one became garbage meanwhile."""
    with core.database.write(sync=True) as connection:
        state = connection.execute("SELECT state FROM pieces WHERE id = ?", (old,)).fetchone()
        if state is None or state[0] != PIECE_LIVE:
            connection.execute(
                "INSERT INTO pieces VALUES (?, ?, ?)",
                (new.piece_id, new.mountpath_id, PIECE_GARBAGE),
            )
            return
        connection.execute(
            "INSERT INTO pieces VALUES (?, ?, ?)", (new.piece_id, new.mountpath_id, PIECE_LIVE)
        )
        # A manifest is known by its first piece, so moving that piece renames the manifest.
        for table, column in (("objects", "piece_id"), ("manifests", "piece_id")):
            connection.execute(
                f"UPDATE {table} SET {column} = ?, mountpath_id = ? WHERE {column} = ?",
                (new.piece_id, new.mountpath_id, old),
            )
        connection.execute(
            "UPDATE manifests SET manifest_id = ? WHERE manifest_id = ?", (new.piece_id, old)
        )
        connection.execute("UPDATE pieces SET state = ? WHERE id = ?", (PIECE_GARBAGE, old))
        connection.cache.clear()
