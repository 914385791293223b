"""From the ordered stream to an archive: tar in place in one buffer, the others through their encoders.

A tar is put together where it will be sent from: header, content read straight behind it, padding, the next header.
Nothing is copied and nothing is joined; when the buffer is full it is handed out and used again.
"""

import tempfile
from collections.abc import Iterator
from io import BufferedRandom
from typing import Self

from aiscore.engine.archive.encode import CompressedTarEncoder
from aiscore.engine.archive.names import check_member_name
from aiscore.engine.archive.tarwriter import TAR_EOF, tar_header
from aiscore.engine.archive.zipencode import ZipEncoder
from aiscore.engine.batch.stream import EntryStream, Item
from aiscore.engine.core import Core
from aiscore.engine.fileio import storage_error
from aiscore.errors import AisError
from aiscore.model.archive import ArchiveFormat
from aiscore.model.batch import BatchRequest, BatchResult
from aiscore.model.stream import BLOCK_SIZE

__all__ = ["BatchArchive"]

_TAR_BLOCK = 512
_ZEROS = bytes(_TAR_BLOCK)


class BatchArchive:
    """The output archive of one GetBatch (`transport.ArchiveStream`). A context manager, consumed once."""

    def __init__(self, core: Core, request: BatchRequest) -> None:
        """Begin; a request that is not streaming is read to its end here, into a nameless file.

        Raises:
            AisError: as `EntryStream`.
        """
        self.results: list[BatchResult] = []
        self._stream = EntryStream(core, request)
        self.uuid = self._stream.uuid
        self._blocks = self._archive()
        if not request.streaming:
            try:
                self._blocks = self._buffered(core)
            except BaseException:
                self._stream.close()
                raise

    def __iter__(self) -> Iterator[memoryview]:
        with self:
            yield from self._blocks

    def close(self) -> None:
        """Release what the batch holds; safe to repeat."""
        self._stream.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _buffered(self, core: Core) -> Iterator[memoryview]:
        try:
            file = tempfile.TemporaryFile(dir=core.home)  # noqa: SIM115 - outlives this call
            try:
                for block in self._blocks:
                    file.write(block)
                file.seek(0)
            except BaseException:
                file.close()
                raise
        except OSError as exc:
            raise storage_error(exc, "the buffered batch") from exc
        return _blocks_of(file)

    def _archive(self) -> Iterator[memoryview]:
        match self._stream.request.output_format:
            case ArchiveFormat.TAR:
                yield from self._tar()
                yield memoryview(TAR_EOF)
            case ArchiveFormat.ZIP:
                yield from self._zip()
            case packed:
                encoder = CompressedTarEncoder(packed, self._stream.mtime)
                for piece in encoder.raw(self._tar()):
                    yield memoryview(piece)
                for piece in encoder.finish():
                    yield memoryview(piece)

    def _tar(self) -> Iterator[memoryview]:
        """The members; each block is good until the next step."""
        stream = self._stream
        fill = stream.fill
        add_result = self.results.append
        mtime = stream.mtime
        view = memoryview(bytearray(BLOCK_SIZE))
        used = 0
        for item in stream.items():
            size = item.size
            header = tar_header(item.member_name, size, mtime)
            begin = used + len(header)
            end = begin + size
            following = end + (-size % _TAR_BLOCK)
            if following > BLOCK_SIZE:
                if used:
                    yield view[:used]
                begin = len(header)
                end = begin + size
                following = end + (-size % _TAR_BLOCK)
                used = 0
                if following > BLOCK_SIZE:
                    yield from self._large(item, header, view)
                    continue
            view[used:begin] = header
            try:
                fill(item, view[begin:end])
            except AisError as exc:
                missing = stream.failed(item.entry, item.bucket, item.member_name, exc)
                header = tar_header(missing.member_name, 0, mtime)
                view[used : used + len(header)] = header
                used += len(header)
                add_result(missing.result())
                continue
            if following > end:
                view[end:following] = _ZEROS[: following - end]
            used = following
            add_result(BatchResult(item.entry, item.bucket, item.member_name, size, item.error))
        if used:
            yield view[:used]

    def _large(self, item: Item, header: bytes, view: memoryview) -> Iterator[memoryview]:
        """A member that does not fit the buffer: what fails behind its header fails the batch."""
        yield memoryview(header)
        reader = self._stream.reader(item)
        left = item.size
        while left:
            count = reader.readinto(view[: min(left, BLOCK_SIZE)])
            left -= count
            yield view[:count]
        if item.size % _TAR_BLOCK:
            yield memoryview(_ZEROS)[: -item.size % _TAR_BLOCK]
        self.results.append(item.result())

    def _zip(self) -> Iterator[memoryview]:
        stream = self._stream
        encoder = ZipEncoder(stream.mtime)
        for planned in stream.items():
            item = planned
            if item.size <= BLOCK_SIZE:
                item, data = stream.read(planned)
                blocks: Iterator[bytes] = iter((data,) if data else ())
            else:
                blocks = iter(stream.reader(item))
            for piece in encoder.member(check_member_name(item.member_name), item.size, blocks):
                yield memoryview(piece)
            self.results.append(item.result())
        for piece in encoder.finish():
            yield memoryview(piece)


def _blocks_of(file: BufferedRandom) -> Iterator[memoryview]:
    with file:
        view = memoryview(bytearray(BLOCK_SIZE))
        while count := file.readinto(view):
            yield view[:count]
