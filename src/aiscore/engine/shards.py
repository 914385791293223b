"""Shards: where the archive codecs meet objects and the index of the home.

The member index of a shard is built when the shard is first touched, and kept twice, keyed by the object's
generation: in the home, for every process, and in a bounded cache of this process. So the first read of a member
walks the headers and every later one is a seek.
"""

import logging

from aiscore.engine.archive.formats import detect_format
from aiscore.engine.archive.index import MemberIndex
from aiscore.engine.archive.reader import build_index
from aiscore.engine.archive.source import Source
from aiscore.engine.content import ContentSource
from aiscore.engine.core import Core
from aiscore.engine.fileio import storage_error
from aiscore.engine.index.objects import ObjectRow
from aiscore.errors import ArchiveError
from aiscore.model.archive import ArchiveFormat

__all__ = ["detect", "index_of", "is_seekable"]

log = logging.getLogger(__name__)


def detect(source: Source, name: str, archmime: ArchiveFormat | None, cname: str) -> ArchiveFormat:
    """The format of a shard: what the caller says, then its extension, then its first bytes.

    Raises:
        ArchiveError: nothing tells.
    """
    if archmime is not None:
        return archmime
    try:
        return detect_format(source, name)
    except ArchiveError as exc:
        raise ArchiveError(f"{cname}: {exc.message}", hint=exc.hint) from exc


def index_of(
    core: Core,
    row: ObjectRow,
    source: ContentSource,
    cname: str,
    archmime: ArchiveFormat | None = None,
) -> MemberIndex:
    """The member index of a shard: from the cache, from the home, or built now.

    Args:
        core: the home.
        row: of the shard.
        source: its content, as of `row`.
        cname: names it in errors.
        archmime: format when name and magic do not tell.

    Raises:
        ArchiveError: not an archive, or a malformed one.
    """
    archive_format = detect(source, row.name, archmime, cname)
    key = (row.generation, archive_format)
    index = core.shard_indexes.get(key)
    if index is not None:
        return index
    index = _stored(core, row, archive_format)
    if index is None:
        try:
            index = build_index(source.unguarded(), archive_format)
        except ArchiveError as exc:
            raise ArchiveError(f"{cname}: {exc.message}", hint=exc.hint) from exc
        except OSError as exc:
            raise storage_error(exc, cname) from exc
        core.remember_index(row, index)
    core.shard_indexes.put(key, index)
    return index


def is_seekable(core: Core, row: ObjectRow, archmime: ArchiveFormat | None) -> bool:
    """True when a member of the shard is found in microseconds, and lies in it as it is: reading one is a seek."""
    if (archmime or ArchiveFormat.of_name(row.name)) is not ArchiveFormat.TAR:
        return False
    index = core.shard_indexes.get((row.generation, ArchiveFormat.TAR))
    return index is not None and index.is_quick


def _stored(core: Core, row: ObjectRow, archive_format: ArchiveFormat) -> MemberIndex | None:
    found = (
        core.connection()
        .execute(
            "SELECT members FROM shard_indexes WHERE generation = ? AND format = ?",
            (row.generation, archive_format.value),
        )
        .fetchone()
    )
    if found is None:
        return None
    try:
        return MemberIndex.from_bytes(found[0])
    except ArchiveError as exc:
        log.warning(
            "stored member index is unusable, building it anew: shard=%s reason=%s", row.name, exc
        )
        return None
