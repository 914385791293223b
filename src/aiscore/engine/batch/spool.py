"""Batches that must be known to succeed before anything of them is given out: read to the end into a nameless file."""

from collections.abc import Iterable, Iterator
from io import BufferedRandom
from typing import Self, TypeAlias

from aiscore.engine.batch.stream import EntryStream
from aiscore.engine.blocks import BlockReader
from aiscore.engine.core import Core
from aiscore.engine.fileio import storage_error
from aiscore.model.batch import BatchRequest, BatchResult
from aiscore.model.stream import BLOCK_SIZE, ByteReader

__all__ = ["SpoolFile", "SpooledEntries", "spool"]

SpoolFile: TypeAlias = BufferedRandom


def spool(directory: str, blocks: Iterable[bytes | memoryview]) -> SpoolFile:
    """Write blocks into a file without a name, which the caller closes; it is gone with the process in any case.

    Raises:
        CapacityExceededError: no space.
    """
    try:
        import tempfile

        file = tempfile.TemporaryFile(dir=directory)  # noqa: SIM115 - outlives this call
        try:
            for block in blocks:
                file.write(block)
            file.seek(0)
        except BaseException:
            _close(file)
            raise
    except OSError as exc:
        raise storage_error(exc, "the buffered batch") from exc
    return file


class SpooledEntries:
    """One GetBatch that is not streaming (`transport.BatchStream`): every entry has been read when this is made."""

    def __init__(self, core: Core, request: BatchRequest) -> None:
        """Read all entries.

        Raises:
            AisError: as `EntryStream` does while it is iterated over.
        """
        self._results: list[BatchResult] = []
        with EntryStream(core, request) as stream:
            self.uuid = stream.uuid
            self._file = spool(core.home, self._read(stream))

    def __iter__(self) -> Iterator[tuple[BatchResult, bytes]]:
        """Each entry with its content."""
        with self:
            for result in self._results:
                yield result, self._file.read(result.size)

    def streams(self) -> Iterator[tuple[BatchResult, ByteReader]]:
        """Each entry with a reader, good until the next step."""
        with self:
            position = 0
            for result in self._results:
                self._file.seek(position)
                yield result, BlockReader(self._blocks(result.size))
                position += result.size

    def close(self) -> None:
        """Release the file; safe to repeat."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _read(self, stream: EntryStream) -> Iterator[bytes]:
        for item in stream.items():
            if item.result.size <= BLOCK_SIZE:
                result, data = stream.read(item)
                yield data
            else:
                # What is larger is not held in memory, so a failure inside of it cannot become a placeholder.
                result = item.result
                yield from stream.reader(item)
            self._results.append(result)

    def _blocks(self, size: int) -> Iterator[bytes]:
        while size and (block := self._file.read(min(size, BLOCK_SIZE))):
            size -= len(block)
            yield block


def _close(file: SpoolFile) -> None:
    try:
        file.close()
    except OSError:
        return  # what it still held did not fit either: the first failure is told
