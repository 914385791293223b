"""Entries of one GetBatch over the network, whole or as readers."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Self

import xxhash

from aiscore.errors import AisError, PreconditionFailedError, TransportError
from aiscore.model.archive import ArchiveFormat
from aiscore.model.batch import BatchRequest, BatchResult
from aiscore.model.stream import BLOCK_SIZE, ByteReader
from aiscore.transport.remote_batch import Delivery, has_ranges
from aiscore.transport.session import Session
from aiscore.transport.tarstream import BUFFER_SIZE, TarStream

__all__ = ["BytesReader", "EntryReader", "RemoteBatch", "open_batch", "same_begin"]


def open_batch(
    session: Session, request: BatchRequest, is_ours: Callable[[], bool]
) -> "RemoteBatch":
    """Ask for the entries of a batch.

    Raises:
        AisError: the server refuses it, or fails before the first byte.
    """
    cuts = has_ranges(request) and not is_ours()
    request = replace(request, output_format=ArchiveFormat.TAR)
    return RemoteBatch(Delivery(session, request, cuts_ranges=cuts))


class RemoteBatch:
    """Entries of one GetBatch (`transport.BatchStream`). Consumed once."""

    def __init__(self, delivery: Delivery) -> None:
        self._delivery = delivery

    def __iter__(self) -> Iterator[tuple[BatchResult, bytes]]:
        """Each entry with its content."""
        delivery = self._delivery
        with self:
            while (found := delivery.next()) is not None:
                result, _, start = found
                try:
                    data = _content(delivery.tar, start, result.size)
                except TransportError as exc:
                    delivery.broken(exc)
                    continue
                delivery.done(result)
                yield result, data

    def streams(self) -> Iterator[tuple[BatchResult, ByteReader]]:
        """Each entry with a reader, good until the next step."""
        delivery = self._delivery
        with self:
            while (found := delivery.next()) is not None:
                result, _, start = found
                if result.size > BUFFER_SIZE:
                    reader = EntryReader(delivery, result, start)
                    yield result, reader
                    reader.finish()
                    continue
                try:
                    data = _content(delivery.tar, start, result.size)
                except TransportError as exc:
                    delivery.broken(exc)
                    continue
                delivery.done(result)
                yield result, BytesReader(data)

    def close(self) -> None:
        """Let the connection go; safe to repeat."""
        self._delivery.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


class EntryReader:
    """The content of one large entry, over as many answers as it takes (`model.stream.ByteReader`)."""

    def __init__(self, delivery: Delivery, result: BatchResult, start: int) -> None:
        self._delivery = delivery
        self._result = result
        self._begin = start
        self._done = 0
        self._hash = xxhash.xxh3_128()
        self._is_closed = self._is_finished = self._is_broken = False
        self._skip_begin()

    def readinto(self, buffer: bytearray | memoryview, /) -> int:
        """Fill as much of `buffer` as one step gives; 0 at the end.

        Raises:
            PreconditionFailedError: the connection broke, and the entry has another content since.
        """
        left = self._result.size - self._done
        if self._is_closed or not left or not len(buffer):
            return 0
        with memoryview(buffer) as whole, whole[: min(left, len(buffer))] as view:
            while True:
                try:
                    if self._is_broken:
                        self._go_on()
                    count = self._delivery.tar.readinto(view)
                    break
                except TransportError as exc:
                    self._is_broken = True
                    self._delivery.broken(exc)
            self._hash.update(view[:count])
        self._done += count
        self._delivery.progressed()
        return count

    def read(self, size: int = -1, /) -> bytes:
        """Up to `size` bytes, all that is left for a negative size; b"" at the end."""
        if size < 0:
            return b"".join(self)
        buffer = bytearray(max(min(size, BLOCK_SIZE, self._result.size - self._done), 0))
        return bytes(memoryview(buffer)[: self.readinto(buffer)])

    def __iter__(self) -> Iterator[bytes]:
        while block := self.read(BLOCK_SIZE):
            yield block

    def close(self) -> None:
        """Read no more."""
        self._is_closed = True

    def finish(self) -> None:
        """The next entry is wanted: what is left of this one is dropped."""
        self._is_closed = True
        if not self._is_finished:
            self._is_finished = True
            self._delivery.done(self._result)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _skip_begin(self) -> None:
        try:
            self._delivery.tar.skip(self._begin)
        except TransportError as exc:
            self._is_broken = True
            self._delivery.broken(exc)

    def _go_on(self) -> None:
        """Find the place in a new answer, whose first member this is."""
        try:
            found = self._delivery.next()
        except TransportError:
            raise
        except AisError as exc:
            raise type(exc)(
                f"{exc.message} (after {self._done} bytes of it)", hint=exc.hint
            ) from exc
        same = found is not None and found[0].size == self._result.size and not found[0].error
        if same:
            tar = self._delivery.tar
            tar.skip(found[2] if found is not None else 0)
            same = same_begin(tar, self._done, self._hash.digest())
        if not same:
            raise PreconditionFailedError(
                f"{self._result.bucket.object_cname(self._result.entry.name)} was replaced while the batch "
                f"was read, after {self._done} bytes",
                hint="ask for the batch again",
            )
        self._is_broken = False


def same_begin(tar: TarStream, count: int, digest: bytes) -> bool:
    """Read `count` bytes of the member; True if they are the ones of which this is the checksum."""
    found = xxhash.xxh3_128()
    buffer = memoryview(bytearray(min(max(count, 1), BUFFER_SIZE)))
    while count:
        step = tar.readinto(buffer[: min(count, len(buffer))])
        if not step:
            return False
        found.update(buffer[:step])
        count -= step
    return found.digest() == digest


def _content(tar: TarStream, start: int, size: int) -> bytes:
    """Content of an entry, in memory."""
    tar.skip(start)
    if size == tar.left:
        return tar.read()
    if not size:
        return b""
    out = bytearray(size)
    with memoryview(out) as view:
        tar.fill(view)
    return bytes(out)


class BytesReader:
    """Content at hand (`model.stream.ByteReader`)."""

    __slots__ = ("_rest",)

    def __init__(self, data: bytes) -> None:
        self._rest = memoryview(data)

    def read(self, size: int = -1, /) -> bytes:
        """Up to `size` bytes, all that is left for a negative size; b"" at the end."""
        size = len(self._rest) if size < 0 else size
        data, self._rest = bytes(self._rest[:size]), self._rest[size:]
        return data

    def readinto(self, buffer: bytearray | memoryview, /) -> int:
        """Fill as much of `buffer` as there is; 0 at the end."""
        count = min(len(buffer), len(self._rest))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count

    def __iter__(self) -> Iterator[bytes]:
        while block := self.read(BLOCK_SIZE):
            yield block

    def close(self) -> None:
        """Read no more."""
        self._rest = memoryview(b"")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
