"""Which format a shard has: what the caller says, then its extension, then its first bytes."""

from aiscore.engine.archive.source import Source
from aiscore.errors import ArchiveError
from aiscore.model.archive import ArchiveFormat

__all__ = ["detect_format"]

_MAGIC_OFFSET_TAR = 257
_MAGIC_TAR = b"ustar"
_MAGICS = {
    b"\x1f\x8b": ArchiveFormat.TGZ,
    b"\x04\x22\x4d\x18": ArchiveFormat.TAR_LZ4,
    b"PK\x03\x04": ArchiveFormat.ZIP,
    b"PK\x05\x06": ArchiveFormat.ZIP,  # empty
}


def detect_format(source: Source, object_name: str, mime: str = "") -> ArchiveFormat:
    """Find out the format of a shard.

    Args:
        source: the shard; at most 262 bytes of it are read, and only when nothing else tells.
        object_name: its extension counts before its content.
        mime: a MIME string or extension that overrides both; empty for none.

    Raises:
        InvalidArgumentError: `mime` names no supported format.
        ArchiveError: neither the extension nor the content is that of an archive.
    """
    if mime:
        return ArchiveFormat.parse(mime)
    by_name = ArchiveFormat.of_name(object_name)
    if by_name is not None:
        return by_name
    head = source.pread(_MAGIC_OFFSET_TAR + len(_MAGIC_TAR), 0)
    for magic, archive_format in _MAGICS.items():
        if head.startswith(magic):
            return archive_format
    if head.startswith(_MAGIC_TAR, _MAGIC_OFFSET_TAR):
        return ArchiveFormat.TAR
    raise ArchiveError(
        f'"{object_name}" is not an archive: no extension of {", ".join(ArchiveFormat)}, '
        f"and its content begins with {head[:4].hex() or 'nothing'}"
    )
