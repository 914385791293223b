"""From the ordered stream to an archive: tar in place in one buffer, the others through their encoders.

A tar is put together where it will be sent from: header, content read straight behind it, padding, the next header.
Nothing is copied and nothing is joined; when the buffer is full it is handed out and used again.
"""

from collections.abc import Iterator
from typing import Self

from aiscore.engine.archive.encode import CompressedTarEncoder
from aiscore.engine.archive.names import check_member_name
from aiscore.engine.archive.tarwriter import TAR_EOF, tar_header
from aiscore.engine.archive.zipencode import ZipEncoder
from aiscore.engine.batch.plan import BatchBucket, Planner
from aiscore.engine.batch.spool import SpoolFile, spool
from aiscore.engine.batch.stream import EntryStream, Item
from aiscore.engine.core import Core
from aiscore.engine.index.objects import ObjectRow
from aiscore.engine.read import fill_from, read_piece_into
from aiscore.errors import AisError, CorruptionError
from aiscore.model.archive import ArchiveFormat
from aiscore.model.batch import BatchEntry, BatchRequest, BatchResult
from aiscore.model.stream import BLOCK_SIZE

__all__ = ["BatchArchive"]

_TAR_BLOCK = 512
_ZEROS = bytes(_TAR_BLOCK)


class BatchArchive:
    """The output archive of one GetBatch (`transport.ArchiveStream`). A context manager, consumed once.

    Attributes:
        results: of the entries in the blocks given so far.
        is_complete: nothing follows the block that was given last; known of a plain tar.
    """

    def __init__(self, core: Core, request: BatchRequest, soft_errors: int = 0) -> None:
        """Begin; a request that is not streaming is read to its end here, into a nameless file.

        Args:
            core: the engine.
            request: what is asked.
            soft_errors: those that count already, of an attempt that this one goes on from.

        Raises:
            AisError: as `EntryStream`.
        """
        self.results: list[BatchResult] = []
        self.is_complete = False
        self._stream = EntryStream(core, request, soft_errors)
        self._file: SpoolFile | None = None
        self._core = core
        self._used = 0
        self._buffers = core.buffers
        self._buffer = core.buffers.take()
        self.uuid = self._stream.uuid
        self._blocks = self._archive()
        if not request.streaming:
            try:
                self._blocks = self._buffered(core)
            except BaseException:
                self.close()
                raise

    def __iter__(self) -> Iterator[memoryview]:
        with self:
            yield from self._blocks

    def close(self) -> None:
        """Release what the batch holds; safe to repeat."""
        self._stream.close()
        if self._file is not None:
            self._file.close()
        buffer, self._buffer = self._buffer, memoryview(b"")
        self._buffers.give_back(buffer)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _buffered(self, core: Core) -> Iterator[memoryview]:
        self._file = spool(core.home, self._blocks)
        return _blocks_of(self._file, self._buffer)

    def _archive(self) -> Iterator[memoryview]:
        match self._stream.request.output_format:
            case ArchiveFormat.TAR:
                yield from self._tar(TAR_EOF)
            case ArchiveFormat.ZIP:
                yield from self._zip()
            case packed:
                encoder = CompressedTarEncoder(packed, self._stream.mtime)
                for piece in encoder.raw(self._tar()):
                    yield memoryview(piece)
                for piece in encoder.finish():
                    yield memoryview(piece)

    def _tar(self, ending: bytes = b"") -> Iterator[memoryview]:
        """The members, and `ending`; each block is good until the next step."""
        stream = self._stream
        add_result = self.results.append
        mtime = stream.mtime
        view = self._buffer
        try:
            for item in stream.items(self):
                used = self._used
                result = item.result
                header = tar_header(result.member_name, result.size, mtime)
                needed = len(header) + result.size + (-result.size % _TAR_BLOCK)
                if used + needed > len(view):
                    if used:
                        yield view[:used]
                        used = self._used = 0
                    if needed > len(view):
                        yield from self._large(item, header)
                        continue
                begin = used + len(header)
                end = begin + result.size
                view[used:begin] = header
                try:
                    stream.fill(item, view[begin:end])
                except AisError as exc:
                    result = stream.unreadable(item, exc).result
                    header = tar_header(result.member_name, 0, mtime)
                    needed = len(header)
                    view[used : used + needed] = header
                else:
                    view[end : used + needed] = _ZEROS[: used + needed - end]
                self._used = used + needed
                add_result(result)
        except AisError:
            # What is whole goes out first: who goes on from the failure has it already.
            if self._used:
                yield view[: self._used]
            raise
        used = self._used
        if used + len(ending) > len(view):
            yield view[:used]
            used = 0
        end = used + len(ending)
        if end:
            view[used:end] = ending
            # What is packed, or spooled, is followed by more.
            self.is_complete = bool(ending) and self._stream.request.streaming
            yield view[:end]

    def take(self, entry: BatchEntry, bucket: BatchBucket, planner: Planner) -> BatchResult | None:
        """Read a small entry straight behind its header (`Taker`); None when it does not fit, or cannot be read so."""
        name = bucket.prefix + entry.name
        row: ObjectRow | None = None
        fd = offset = 0
        if entry.archpath is None:
            row = planner.whole_of(entry, bucket)
            if row is None:
                return None
            size = row.size
        else:
            member = planner.member_of(entry, bucket)
            if member is None:
                return None
            fd, offset, size = member
            name = f"{name}/{entry.archpath}"
        header = tar_header(name, size, self._stream.mtime)
        used, view = self._used, self._buffer
        begin = used + len(header)
        end = begin + size
        after = end + (-size % _TAR_BLOCK)
        # Room for one byte more, by which it is seen that a piece has grown.
        if after >= len(view):
            return None
        if row is not None:
            is_read = read_piece_into(self._core, row, view[begin : end + 1])
        else:
            is_read = fill_from(self._core.files, fd, view[begin:end], offset)
        if not is_read:
            return None
        view[used:begin] = header
        view[end:after] = _ZEROS[: after - end]
        self._used = after
        result = BatchResult(entry, bucket.bucket, name, size, None)
        self.results.append(result)
        return result

    def _large(self, item: Item, header: bytes) -> Iterator[memoryview]:
        """A member that does not fit the buffer: what fails behind its header fails the batch."""
        yield memoryview(header)
        size = item.result.size
        reader = self._stream.reader(item)
        left = size
        while left:
            count = reader.readinto(self._buffer[:left])
            if not count:
                raise CorruptionError(f"{item.result.member_name} ends {left} bytes early")
            left -= count
            yield self._buffer[:count]
        if size % _TAR_BLOCK:
            yield memoryview(_ZEROS)[: -size % _TAR_BLOCK]
        self.results.append(item.result)

    def _zip(self) -> Iterator[memoryview]:
        stream = self._stream
        encoder = ZipEncoder(stream.mtime)
        for item in stream.items():
            result = item.result
            blocks: Iterator[bytes]
            if result.size <= BLOCK_SIZE:
                result, data = stream.read(item)
                blocks = iter((data,) if data else ())
            else:
                blocks = iter(stream.reader(item))
            for piece in encoder.member(check_member_name(result.member_name), result.size, blocks):
                yield memoryview(piece)
            self.results.append(result)
        for piece in encoder.finish():
            yield memoryview(piece)


def _blocks_of(file: SpoolFile, view: memoryview) -> Iterator[memoryview]:
    while count := file.readinto(view):
        yield view[:count]
