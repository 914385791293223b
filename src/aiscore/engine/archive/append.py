"""Appending to an archive: the bytes of a new archive that holds the old members and the new ones.

Nothing is changed in place, because objects are immutable, and nothing is held in memory. A tar is
copied up to its end marker and continued. A compressed tar is decompressed up to there and
compressed again: gzip members could be put one after the other, but the end marker in the middle
would hide what follows. A zip keeps its entries as they are, and gets a merged central directory.

A name that exists already: in a tar the new member comes later, and later wins; in a zip it
replaces the old record.
"""

from collections.abc import Iterable, Iterator

from aiscore.engine.archive.encode import CompressedTarEncoder, Encoder, Piece, TarEncoder
from aiscore.engine.archive.index import MemberIndex
from aiscore.engine.archive.inflate import InflatedStream
from aiscore.engine.archive.names import check_member_name
from aiscore.engine.archive.reader import build_index
from aiscore.engine.archive.source import Source, read_blocks
from aiscore.engine.archive.zipencode import ZipEncoder
from aiscore.engine.archive.ziptable import find_directory, iter_records
from aiscore.model.archive import ArchiveFormat

__all__ = ["NewMember", "append_stream", "tar_append_point"]

NewMember = tuple[str, int, Iterable[Piece]]
"""Name, size in bytes, and the blocks that add up to it."""


def tar_append_point(source: Source) -> int:
    """Return where new members of a plain tar go: the offset of its end marker, a multiple of 512.

    Copy that many bytes and continue with `tar_header`. An index of the shard has it as `end`.

    Raises:
        ArchiveError: not a well-formed tar.
    """
    return build_index(source, ArchiveFormat.TAR).end


def append_stream(
    source: Source,
    archive_format: ArchiveFormat,
    new_members: Iterable[NewMember],
    *,
    index: MemberIndex | None = None,
    mtime: int = 0,
) -> Iterator[Piece]:
    """Yield the complete new archive, in bounded memory.

    Args:
        source: the old archive.
        archive_format: of both.
        new_members: pulled one by one, each consumed before the next; names are checked when their
            turn comes.
        index: of the old archive, which saves a pass over it; None if there is none.
        mtime: of the new members, in seconds since 1970.

    Raises:
        ArchiveError: the old archive is malformed, or a new member does not add up.
        InvalidNameError: see `check_member_name`.
    """
    if archive_format is ArchiveFormat.ZIP:
        yield from _append_zip(source, new_members, mtime)
        return
    end = (index or build_index(source, archive_format)).end
    encoder: Encoder
    if archive_format is ArchiveFormat.TAR:
        yield from read_blocks(source, 0, end)
        encoder = TarEncoder(mtime)
    else:
        packer = CompressedTarEncoder(archive_format, mtime)
        yield from packer.raw(InflatedStream(source, archive_format).blocks(0, end))
        encoder = packer
    for name, size, blocks in new_members:
        yield from encoder.member(check_member_name(name), size, blocks)
    yield from encoder.finish()


def _append_zip(source: Source, new_members: Iterable[NewMember], mtime: int) -> Iterator[Piece]:
    directory = find_directory(source)
    yield from read_blocks(source, 0, directory.offset)
    encoder = ZipEncoder(
        mtime,
        offset=directory.offset,
        base=directory.base,
        old=iter_records(source, directory),
        comment=directory.comment,
    )
    for name, size, blocks in new_members:
        yield from encoder.member(check_member_name(name), size, blocks)
    yield from encoder.finish()
