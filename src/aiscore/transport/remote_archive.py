"""The output archive of a GetBatch over the network.

A tar is taken apart and put together again: so its results are known while it streams, and after a break it goes on
inside of the member where it stopped. The compressed formats are passed on as they come; a copy of a streaming one is
unpacked on the way, for its results. They cannot be gone on with, so a break fails them, with the error of the entry
that the server could not read if there is one. A ZIP says only at its end what it holds: it is asked for as a
buffered answer, which tells its results first.
"""

import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, Protocol, Self

import xxhash

from aiscore.errors import PreconditionFailedError, ProtocolError, TransportError, UnsupportedError
from aiscore.model.archive import ArchiveFormat
from aiscore.model.batch import BatchRequest, BatchResult
from aiscore.model.stream import BLOCK_SIZE
from aiscore.transport.answer import MalformedAnswerError
from aiscore.transport.remote_batch import BatchAnswer, Delivery, ask, has_ranges, match_member
from aiscore.transport.remote_entries import same_begin
from aiscore.transport.session import Session
from aiscore.transport.tarstream import BUFFER_SIZE, TAR_END, TarMember, TarStream

__all__ = ["RemoteArchive", "Source", "Unpacker", "open_archive"]

_BLOCK = 512
_GZIP = 31
"""Window bits of zlib that mean a gzip stream."""
_RAW_SIZE = 64 << 10
_ZEROS = bytes(_BLOCK)


def open_archive(
    session: Session, request: BatchRequest, is_ours: Callable[[], bool]
) -> "RemoteArchive":
    """Ask for the archive.

    Raises:
        AisError: the server refuses it, or fails before the first byte.
        UnsupportedError: ranges of entries, from a server that may ignore them.
    """
    if has_ranges(request) and not is_ours():
        raise UnsupportedError(
            f"cannot get an archive of ranges - {session.endpoint.url} may not support them",
            hint="take the entries one by one instead of the archive",
        )
    match request.output_format:
        case ArchiveFormat.TAR:
            return RemoteArchive(_Tar(session, request))
        case ArchiveFormat.ZIP:
            return RemoteArchive(_Whole(session, replace(request, streaming=False)))
        case _ if not request.streaming:
            return RemoteArchive(_Whole(session, request))
        case _:
            return RemoteArchive(_Packed(session, request))


class Source(Protocol):
    """One way to get the archive."""

    results: list[BatchResult]

    def blocks(self) -> Iterator[memoryview]:
        """The archive; each block is good until the next."""
        ...

    def close(self) -> None:
        """Let the connection go; safe to repeat."""
        ...


class RemoteArchive:
    """The archive (`transport.ArchiveStream`). Consumed once."""

    def __init__(self, source: Source) -> None:
        self._source = source

    @property
    def results(self) -> list[BatchResult]:
        """One result an entry, in request order."""
        return self._source.results

    def __iter__(self) -> Iterator[memoryview]:
        with self:
            yield from self._source.blocks()

    def close(self) -> None:
        """Let the connection go; safe to repeat."""
        self._source.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


class _Tar:
    """A tar, member by member."""

    def __init__(self, session: Session, request: BatchRequest) -> None:
        self._delivery = Delivery(session, request)
        self._is_told = self._delivery.results is not None
        self.results: list[BatchResult] = list(self._delivery.results or ())
        self._buffer = memoryview(bytearray(BUFFER_SIZE))

    def close(self) -> None:
        self._delivery.close()

    def blocks(self) -> Iterator[memoryview]:
        delivery, view, used = self._delivery, self._buffer, 0
        while (found := delivery.next()) is not None:
            result, member, _ = found
            end = len(member.header) + member.size
            needed = end + (-end % _BLOCK)
            if used and used + needed > len(view):
                yield view[:used]
                used = 0
            if needed > len(view):
                yield from self._large(result, member)
                continue
            header_end = used + len(member.header)
            view[used:header_end] = member.header
            try:
                delivery.tar.fill(view[header_end : header_end + member.size])
            except TransportError as exc:
                delivery.broken(exc)
                continue
            view[used + end : used + needed] = _ZEROS[: needed - end]
            used += needed
            self._add(result)
        if used:
            yield view[:used]
        yield memoryview(TAR_END)

    def _large(self, result: BatchResult, member: TarMember) -> Iterator[memoryview]:
        """A member that does not fit the buffer; its content goes on after a break if it is still the same."""
        delivery, view = self._delivery, self._buffer
        yield memoryview(member.header)
        digest = xxhash.xxh3_128()
        done, is_broken = 0, False
        while done < member.size:
            try:
                if is_broken:
                    self._go_on(result, member, done, digest.digest())
                    is_broken = False
                count = delivery.tar.readinto(view)
            except TransportError as exc:
                is_broken = True
                delivery.broken(exc)
                continue
            done += count
            digest.update(view[:count])
            delivery.progressed()
            yield view[:count]
        if member.size % _BLOCK:
            yield memoryview(_ZEROS)[: -member.size % _BLOCK]
        self._add(result)

    def _go_on(self, result: BatchResult, member: TarMember, done: int, digest: bytes) -> None:
        found = self._delivery.next()
        if (
            found is None
            or found[1].size != member.size
            or found[1].name != member.name
            or not same_begin(self._delivery.tar, done, digest)
        ):
            raise PreconditionFailedError(
                f"{result.bucket.object_cname(result.entry.name)} was replaced while the batch was read, "
                f"after {done} bytes",
                hint="ask for the batch again",
            )

    def _add(self, result: BatchResult) -> None:
        if not self._is_told:
            self.results.append(result)
        self._delivery.done(result)


class _Whole:
    """A buffered answer: results first, then the archive as it is."""

    def __init__(self, session: Session, request: BatchRequest) -> None:
        self._session = session
        self._request = request
        self._attempts = session.attempts()
        self._answer = self._ask()
        self.results: list[BatchResult] = list(self._answer.results or ())

    def close(self) -> None:
        self._answer.close()

    def blocks(self) -> Iterator[memoryview]:
        view = memoryview(bytearray(BLOCK_SIZE))
        is_begun = False
        while True:
            try:
                count = self._answer.readinto(view)
            except TransportError as exc:
                self._answer.close()
                if is_begun or not exc.retryable:
                    raise
                self._attempts.wait(exc)
                self._answer = self._ask()
                self.results[:] = self._answer.results or ()
                continue
            if not count:
                return
            is_begun = True
            yield view[:count]

    def _ask(self) -> BatchAnswer:
        answer = ask(self._session, self._request, self._attempts, 0)
        if answer.results is None:
            answer.close()
            raise MalformedAnswerError(
                f"{self._session.endpoint.url} gives no results of the batch"
            )
        return answer


class _Packed:
    """A compressed tar as it comes, and what its unpacked copy tells."""

    def __init__(self, session: Session, request: BatchRequest) -> None:
        self._session = session
        self._request = request
        self._answer = ask(session, request, session.attempts(), 0)
        self.results: list[BatchResult] = []
        self._pending: list[bytes] = []
        unpacker = _Gunzip() if request.output_format is ArchiveFormat.TGZ else _Unlz4()
        self._unpacked = _Unpacked(self._raw, unpacker)

    def close(self) -> None:
        self._answer.close()

    def blocks(self) -> Iterator[memoryview]:
        url = self._session.endpoint.url
        tar = TarStream(self._unpacked.readinto, url)
        entries = self._request.entries
        view = memoryview(bytearray(BUFFER_SIZE))
        try:
            for entry in entries:
                member = tar.next()
                if member is None:
                    raise MalformedAnswerError(
                        f"the batch from {url} has {len(self.results)} entries, {len(entries)} were asked for"
                    )
                result = match_member(self._request, entry, member, url)
                while tar.left:
                    tar.readinto(view)
                    yield from self._flush()
                self.results.append(result)
                yield from self._flush()
            if tar.next() is not None:
                raise MalformedAnswerError(
                    f"the batch from {url} has more entries than were asked for"
                )
        except TransportError as exc:
            self._answer.close()
            self._raise_reason(exc)
        yield from self._flush()

    def _raw(self) -> bytes:
        buffer = bytearray(_RAW_SIZE)
        count = self._answer.readinto(memoryview(buffer))
        block = bytes(memoryview(buffer)[:count])
        if block:
            self._pending.append(block)
        return block

    def _flush(self) -> Iterator[memoryview]:
        pending, self._pending = self._pending, []
        for block in pending:
            yield memoryview(block)

    def _raise_reason(self, error: TransportError) -> None:
        """A server that fails in the middle cuts the answer; the rest of the request tells why."""
        position = len(self.results)
        soft_errors = sum(result.error is not None for result in self.results)
        rest = replace(self._request, entries=self._request.entries[position:])
        if rest.entries:
            ask(self._session, rest, self._session.attempts(), soft_errors).close()
        raise error


class _Unpacked:
    """A compressed stream, read unpacked."""

    def __init__(self, raw: Callable[[], bytes], unpack: "Unpacker") -> None:
        self._raw = raw
        self._unpack = unpack
        self._rest = memoryview(b"")

    def readinto(self, buffer: memoryview) -> int:
        """Fill as much as one step gives; 0 at the end."""
        while not self._rest:
            data = self._unpack.step()
            if not data:
                block = self._raw()
                if not block:
                    self._unpack.check_end()
                    return 0
                self._unpack.feed(block)
                continue
            self._rest = memoryview(data)
        count = min(len(buffer), len(self._rest))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count


class Unpacker(Protocol):
    """Decompression in steps of bounded size, over any number of frames."""

    def feed(self, block: bytes) -> None:
        """Take more of the compressed stream; called only when `step` gave nothing."""
        ...

    def step(self) -> bytes:
        """Up to `BUFFER_SIZE` unpacked bytes; nothing when more input is needed.

        Raises:
            ProtocolError: malformed.
        """
        ...

    def check_end(self) -> None:
        """The stream has ended.

        Raises:
            ProtocolError: in the middle of a frame.
        """
        ...


class _Gunzip:
    def __init__(self) -> None:
        self._one = zlib.decompressobj(_GZIP)
        self._input = b""
        self._is_begun = False

    def feed(self, block: bytes) -> None:
        self._input = block

    def step(self) -> bytes:
        while self._input or self._is_begun:
            if self._one.eof:
                if not self._input:
                    return b""
                self._one = zlib.decompressobj(_GZIP)
            try:
                data = self._one.decompress(self._input, BUFFER_SIZE)
            except zlib.error as exc:
                raise MalformedAnswerError(f"malformed compressed batch: {exc}") from exc
            self._input = self._one.unused_data if self._one.eof else self._one.unconsumed_tail
            self._is_begun = bool(data)
            if data or not self._input:
                return data
        return b""

    def check_end(self) -> None:
        if not self._one.eof:
            raise ProtocolError("the compressed batch ended early")


class _Unlz4:
    def __init__(self) -> None:
        import lz4.frame

        self._new: Callable[[], Any] = lz4.frame.LZ4FrameDecompressor
        self._one = self._new()
        self._input = b""

    def feed(self, block: bytes) -> None:
        self._input = block

    def step(self) -> bytes:
        while True:
            if self._one.eof:
                if not self._input:
                    return b""
                self._one = self._new()
            elif not self._input and self._one.needs_input:
                return b""
            try:
                data: bytes = self._one.decompress(self._input, BUFFER_SIZE)
            except RuntimeError as exc:
                raise MalformedAnswerError(f"malformed compressed batch: {exc}") from exc
            self._input = (self._one.unused_data or b"") if self._one.eof else b""
            if data:
                return data

    def check_end(self) -> None:
        if not self._one.eof:
            raise ProtocolError("the compressed batch ended early")
