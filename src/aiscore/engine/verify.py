"""Comparing content with what is recorded of it."""

from aiscore.engine.checksum import checksum_of, new_chunk_hasher, new_hasher
from aiscore.engine.content import ContentSource, ManifestContent
from aiscore.engine.contentreader import ContentReader, short_error
from aiscore.engine.index.objects import ObjectRow
from aiscore.errors import CorruptionError
from aiscore.model.checksum import ChecksumType
from aiscore.model.storage import FaultKind
from aiscore.model.stream import BLOCK_SIZE

__all__ = ["check_digest", "verify_bytes", "verify_content"]


def verify_content(row: ObjectRow, content: ContentSource, what: str) -> None:
    """Read all of it and compare with the recorded checksum.

    Raises:
        CorruptionError: it differs.
    """
    kind = ChecksumType(row.checksum_type)
    if kind is ChecksumType.NONE:
        return
    hasher = new_hasher(kind)
    buffer = memoryview(bytearray(min(BLOCK_SIZE, max(content.size, 1))))
    position = 0
    while position < content.size:
        count = content.pread_into(buffer[: content.size - position], position)
        if count == 0:
            raise short_error(what, position, content.size)
        hasher.update(buffer[:count])
        position += count
    actual = hasher.hexdigest()
    if actual != row.checksum and isinstance(content, ManifestContent):
        what = _name_damaged_chunk(content, what)
    check_digest(row, actual, what)


def _name_damaged_chunk(content: ManifestContent, what: str) -> str:
    """Find which chunk it is, by the checksums of their own: only asked when something is wrong."""
    offset = 0
    for number, piece in enumerate(content.pieces, start=1):
        if piece.checksum:
            hasher = new_chunk_hasher()
            reader = ContentReader(content, offset, piece.size, what, owns=False)
            for block in reader:
                hasher.update(block)
            if hasher.hexdigest() != piece.checksum:
                return f"chunk {number} of {what}"
        offset += piece.size
    return what


def verify_bytes(row: ObjectRow, data: bytes, what: str) -> None:
    """The same for content at hand."""
    check_digest(row, checksum_of(ChecksumType(row.checksum_type), data), what)


def check_digest(row: ObjectRow, actual: str, what: str) -> None:
    """Compare a computed value with the recorded one.

    Raises:
        CorruptionError: they differ.
    """
    if actual != row.checksum:
        raise CorruptionError(
            f"{what} is damaged: {row.checksum_type} is {actual}, recorded is {row.checksum}",
            hint="restore the object from its source",
            kind=FaultKind.CHECKSUM,
        )
