"""Archive encoders: members in, archive bytes out.

They are generators, so that whoever pulls bounds the memory. `writer` pushes what they yield into
an output; `append` puts it behind the bytes of an old archive. A member arrives as a name, a size
and blocks of bytes. Names are checked by the caller.
"""

import zlib
from collections.abc import Iterable, Iterator
from typing import Protocol

from aiscore.engine.archive.inflate import fast_zlib
from aiscore.engine.archive.names import show_name
from aiscore.engine.archive.tarwriter import TAR_EOF, padding, tar_header
from aiscore.errors import ArchiveError
from aiscore.model.archive import ArchiveFormat

__all__ = ["CompressedTarEncoder", "Compressor", "Encoder", "Piece", "TarEncoder", "exactly"]

Piece = bytes | bytearray | memoryview
"""Bytes of a member or of an archive; copy what you keep, a producer may reuse its buffer."""

_GZIP = 31
_LEVEL = 1  # of speed and size, the best for media; igzip has 0 to 3


class Compressor(Protocol):
    """What zlib's compressors do."""

    def compress(self, data: Piece, /) -> bytes:
        """Take data, and return what is ready."""

    def flush(self) -> bytes:
        """Return the rest, and end."""


class Encoder(Protocol):
    """Turns members into the bytes of one archive, in one pass; an error spends it."""

    def member(self, raw: bytes, size: int, blocks: Iterable[Piece]) -> Iterator[Piece]:
        """Yield the bytes that add one member of `size` bytes."""

    def finish(self) -> Iterator[Piece]:
        """Yield the bytes that end the archive."""


class TarEncoder:
    """Plain tar."""

    def __init__(self, mtime: int) -> None:
        self._mtime = mtime

    def member(self, raw: bytes, size: int, blocks: Iterable[Piece]) -> Iterator[Piece]:
        """Yield a header, the blocks as they are, and the padding."""
        yield tar_header(raw, size, self._mtime)
        yield from exactly(blocks, size, raw)
        if size % 512:
            yield padding(size)

    def finish(self) -> Iterator[Piece]:
        """Yield the end marker."""
        yield TAR_EOF


class CompressedTarEncoder:
    """Tar inside of one gzip member or lz4 frame."""

    def __init__(self, archive_format: ArchiveFormat, mtime: int) -> None:
        self._tar = TarEncoder(mtime)
        self._compressor = _new_compressor(archive_format)

    def raw(self, pieces: Iterable[Piece]) -> Iterator[Piece]:
        """Compress bytes that are tar already."""
        compress = self._compressor.compress
        for piece in pieces:
            out = compress(piece)
            if out:
                yield out

    def member(self, raw: bytes, size: int, blocks: Iterable[Piece]) -> Iterator[Piece]:
        """Yield what the compressor has ready after this member, perhaps nothing."""
        return self.raw(self._tar.member(raw, size, blocks))

    def finish(self) -> Iterator[Piece]:
        """Yield the end marker and whatever the compressor holds."""
        yield from self.raw(self._tar.finish())
        yield self._compressor.flush()


def exactly(blocks: Iterable[Piece], size: int, raw: bytes) -> Iterator[Piece]:
    """Pass blocks through as long as they fit.

    Raises:
        ArchiveError: they are more or fewer than `size` bytes.
    """
    found = 0
    for block in blocks:
        found += len(block)
        if found > size:
            break
        yield block
    if found != size:
        raise ArchiveError(
            f'"{show_name(raw)}" was declared with {size} bytes, found '
            f"{'at least ' if found > size else ''}{found}"
        )


class _Lz4Compressor:
    """Lz4's compressor, but one that writes the frame header by itself."""

    def __init__(self) -> None:
        import lz4.frame  # a process that writes no such shard does without

        self._lz4 = lz4.frame.LZ4FrameCompressor(
            block_size=lz4.frame.BLOCKSIZE_MAX256KB, content_checksum=True
        )
        self._begun: bytes = self._lz4.begin()

    def compress(self, data: Piece, /) -> bytes:
        begun, self._begun = self._begun, b""
        out: bytes = self._lz4.compress(data)
        return begun + out

    def flush(self) -> bytes:
        begun, self._begun = self._begun, b""
        out: bytes = self._lz4.flush()
        return begun + out


def _new_compressor(archive_format: ArchiveFormat) -> Compressor:
    if archive_format is ArchiveFormat.TAR_LZ4:
        return _Lz4Compressor()
    # The gzip header has no time and no name, so the same members make the same bytes.
    return fast_zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP)
