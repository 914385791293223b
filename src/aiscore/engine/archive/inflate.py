"""Decompression in one forward pass, in bounded memory and with bounded results.

A compressed tar has no random access: a member is reached by decompressing all that precedes it.
`InflatedStream` gives the decompressed bytes by ascending offset and holds one chunk at a time.
Concatenated gzip members and lz4 frames are one stream, as their tools have it.

Limits against bombs: memory never depends on the data; the total is bounded by `DECOMPRESSED_MAX`;
and behind the first `RATIO_FREE` bytes the ratio is bounded by `RATIO_MAX`. Deflate reaches 1032:1
on zeros, lz4 255:1.
"""

import zlib
from collections.abc import Iterator
from typing import Protocol

from aiscore.engine.archive.source import BLOCK_SIZE, Source
from aiscore.errors import ArchiveError
from aiscore.model.archive import ArchiveFormat

try:
    from isal import isal_zlib as fast_zlib
except ImportError:  # an optional speed-up: three times zlib
    fast_zlib = zlib  # type: ignore[misc]

__all__ = [
    "DECOMPRESSED_MAX",
    "RATIO_FREE",
    "RATIO_MAX",
    "InflatedStream",
    "fast_zlib",
    "inflate_raw",
]

DECOMPRESSED_MAX = 1 << 40
"""Most bytes that one shard may decompress to."""

RATIO_FREE = 256 * 1024 * 1024
"""Decompressed bytes up to which any ratio is accepted: a shard of zeros is odd, not hostile."""

RATIO_MAX = 500
"""Most decompressed bytes for a compressed one, behind `RATIO_FREE`."""

_INPUT_SIZE = 64 * 1024
_GZIP, _RAW_DEFLATE = 31, -15
_ERRORS: tuple[type[Exception], ...] = (
    zlib.error,
    vars(fast_zlib)["error"],  # the stub of isal takes this class for an instance
    RuntimeError,
    EOFError,
)


class _Decompressor(Protocol):
    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes | None: ...
    def decompress(self, data: bytes, max_length: int) -> bytes: ...


class InflatedStream:
    """The decompressed bytes of a tgz or tar.lz4, by ascending offset."""

    def __init__(self, source: Source, archive_format: ArchiveFormat) -> None:
        self._chunks = _chunks(source, archive_format)
        self._chunk = b""
        self._start = 0

    def pread(self, count: int, offset: int, /) -> bytes:
        """Read up to `count` bytes at `offset`, as `Source.pread` does, but for not going back.

        Offsets ascend: bytes in front of the chunk that was read last are gone.

        Raises:
            ArchiveError: the stream is malformed, a limit is exceeded, or it ends before `offset`.
        """
        if not self._seek(offset):
            return b""
        at = offset - self._start
        data = self._chunk[at : at + count]
        while len(data) < count and self._advance():
            data += self._chunk[: count - len(data)]
        return data

    def blocks(self, offset: int, length: int) -> Iterator[bytes]:
        """Yield a byte range chunk by chunk.

        Raises:
            ArchiveError: as `pread`; also when the stream ends inside of the range.
        """
        end = offset + length
        while offset < end:
            if not self._seek(offset):
                raise ArchiveError(f"archive is truncated: ends at {offset}, expected {end}")
            at = offset - self._start
            data = self._chunk[at : at + end - offset]
            offset += len(data)
            yield data

    def drain(self) -> None:
        """Decompress the rest, so that its checksums are verified."""
        while self._advance():
            pass

    def _seek(self, offset: int) -> bool:
        """Make `offset` lie in the chunk; return False when the stream ends exactly there."""
        assert offset >= self._start, "a stream does not go back"
        while offset >= self._start + len(self._chunk):
            if not self._advance():
                if offset > self._start + len(self._chunk):
                    raise ArchiveError(
                        f"archive is truncated: ends at {self._start + len(self._chunk)} "
                        f"decompressed, expected at least {offset}"
                    )
                return False
        return True

    def _advance(self) -> bool:
        chunk = next(self._chunks, b"")
        if not chunk:
            return False
        self._start += len(self._chunk)
        self._chunk = chunk
        return True


def inflate_raw(blocks: Iterator[bytes], size: int) -> Iterator[bytes]:
    """Inflate a bare deflate stream, as zip stores it, to exactly `size` bytes, and yield no more.

    Raises:
        ArchiveError: malformed, or it holds more or fewer bytes than `size`.
    """
    inflater = _Inflater(_RAW_DEFLATE)
    produced = 0
    for data in blocks:
        for chunk in _pieces(inflater, data, min(BLOCK_SIZE, size + 1)):
            produced += len(chunk)
            if produced > size:
                raise ArchiveError(f"archived file inflates beyond its size, {size} bytes")
            yield chunk
        if inflater.eof:
            break
    if produced != size or not inflater.eof:
        raise ArchiveError(f"archived file is damaged: {produced} bytes inflated, expected {size}")


class _Inflater:
    """Zlib's decompressor, but one that keeps its own input, as the one of lz4 does."""

    def __init__(self, window_bits: int) -> None:
        self._inflater = fast_zlib.decompressobj(window_bits)

    @property
    def eof(self) -> bool:
        return self._inflater.eof

    @property
    def unused_data(self) -> bytes:
        return self._inflater.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        return self._inflater.decompress(self._inflater.unconsumed_tail + data, max_length)


def _new_decompressor(archive_format: ArchiveFormat) -> _Decompressor:
    if archive_format is ArchiveFormat.TGZ:
        return _Inflater(_GZIP)
    import lz4.frame  # a process that reads no such shard does without

    decompressor: _Decompressor = lz4.frame.LZ4FrameDecompressor()
    return decompressor


def _chunks(source: Source, archive_format: ArchiveFormat) -> Iterator[bytes]:
    """Decompress all of the source in chunks of at most `BLOCK_SIZE`."""
    decompressor = _new_decompressor(archive_format)
    is_between = False  # two gzip members or lz4 frames
    consumed = produced = 0
    while data := source.pread(_INPUT_SIZE, consumed):
        consumed += len(data)
        while data:
            if is_between and not data.strip(b"\0"):
                break  # padding that tapes leave, and that gzip ignores
            for chunk in _pieces(decompressor, data, BLOCK_SIZE):
                produced += len(chunk)
                _check_ratio(consumed, produced)
                yield chunk
            data = b""
            is_between = decompressor.eof
            if is_between:
                data = decompressor.unused_data or b""
                decompressor = _new_decompressor(archive_format)
    if not is_between:
        raise ArchiveError(f"archive is truncated: {archive_format} stream ends at {consumed}")


def _pieces(decompressor: _Decompressor, data: bytes, limit: int) -> Iterator[bytes]:
    """Feed `data` and yield what comes out, at most `limit` bytes each time."""
    while True:
        try:
            chunk = decompressor.decompress(data, limit)
        except _ERRORS as exc:
            raise ArchiveError(f"archive does not decompress: {exc}") from exc
        if chunk:
            yield chunk
        data = b""
        if decompressor.eof or not chunk:
            return


def _check_ratio(consumed: int, produced: int) -> None:
    if produced > DECOMPRESSED_MAX or (produced > RATIO_FREE and produced > RATIO_MAX * consumed):
        raise ArchiveError(
            f"archive expands too much: {consumed} bytes to {produced} so far, limits are "
            f"{RATIO_MAX} to 1 beyond {RATIO_FREE}, and {DECOMPRESSED_MAX}"
        )
