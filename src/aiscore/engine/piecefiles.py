"""Files of pieces that no row names yet: the directories they are made in, and their removal."""

import logging
from collections.abc import Sequence
from contextlib import suppress

from aiscore.engine.core import Core
from aiscore.engine.index.database import abandon
from aiscore.errors import AisError

__all__ = ["discard_pieces", "make_directory"]

log = logging.getLogger(__name__)


def discard_pieces(core: Core, pieces: Sequence[tuple[int, str]]) -> None:
    """Remove piece files (id, path) that no row names, and settle their ids.

    The rows are asked, not the caller: an interrupt can arrive after the commit and before its caller knows of it.
    What cannot be removed, or asked, stays outstanding: the sweep after this process takes it.
    """
    try:
        connection = core.connection()
    except AisError as exc:
        log.warning("unfinished pieces left for the sweep: reason=%s", exc)
        return
    abandon(connection)
    query = "SELECT 1 FROM pieces WHERE id = ?"
    for piece_id, path in pieces:
        try:
            if connection.execute(query, (piece_id,)).fetchone() is None:
                with suppress(FileNotFoundError):
                    core.files.unlink(path)
        except (OSError, AisError) as exc:
            log.warning("unfinished piece left for the sweep: id=%016x reason=%s", piece_id, exc)
        else:
            core.sessions.settle(piece_id)


def make_directory(core: Core, mountpath_id: int, path: str) -> None:
    """Make a directory of pieces, for good: it is made once in the life of a mountpath, whatever is durable."""
    try:
        core.files.mkdir(path)
    except FileExistsError:
        return
    except FileNotFoundError:
        core.mountpaths.check_label(mountpath_id)
        raise
    core.files.fsync_dir(path.rpartition("/")[0])
