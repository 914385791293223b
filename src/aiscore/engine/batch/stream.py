"""The ordered stream: entries one after the other, errors counted against the budget, cold data asked for ahead."""

import os
import secrets
import time
from collections.abc import Iterator
from time import perf_counter_ns
from typing import NamedTuple, Self

from aiscore.engine.batch.plan import OPEN_TARGETS_MAX, Place, Planner
from aiscore.engine.blocks import BlockReader
from aiscore.engine.core import Core
from aiscore.engine.read import ContentReader, FileContent, fill_exact, read_exact
from aiscore.errors import AisError, BatchAbortedError, CorruptionError, NotFoundError
from aiscore.model.batch import MISSING_PREFIX, BatchEntry, BatchRequest, BatchResult
from aiscore.model.bucket import BucketRef
from aiscore.model.stream import ByteReader

__all__ = ["EntryStream", "Item"]

READ_AHEAD_ENTRIES = 16
"""Entries asked for ahead by each warm-up worker of the configuration."""
READ_AHEAD_SIZE_MAX = 1 << 20
"""Bytes of an entry that are asked for ahead; upstream's warm-up reads as much."""
SLOW_READ_NS = 200_000
"""A read that takes longer than this, and half a nanosecond a byte, did not come from the page cache."""


class Item(NamedTuple):
    """One entry on its way out; `place` is None when it is missing, and `error` says why."""

    entry: BatchEntry
    bucket: BucketRef
    member_name: str
    size: int
    place: Place | None
    error: str | None = None

    def result(self) -> BatchResult:
        """What the caller is told of it."""
        return BatchResult(self.entry, self.bucket, self.member_name, self.size, self.error)


class EntryStream:
    """One GetBatch: entries in request order. Consumed once; a context manager (`transport.BatchStream`)."""

    def __init__(self, core: Core, request: BatchRequest) -> None:
        self._core = core
        self.request = request
        self.uuid = f"gbt-{secrets.token_hex(5)}"
        self.mtime = int(time.time())
        config = core.config().get_batch
        self._budget = config.max_soft_errs
        self._soft_errors = 0
        self._missing = 0
        self._position = 0
        self._ahead = min(READ_AHEAD_ENTRIES * config.warmup_worker_count, OPEN_TARGETS_MAX // 2)
        self._advised = 0
        self._counts = [0, 0, 0, 0]
        self._is_closed = False
        core.counters["getbatch.n"] += 1
        try:
            self._planner = Planner(core, request)
        except BaseException:
            core.counters["err.getbatch.n"] += 1
            raise

    def items(self) -> Iterator[Item]:
        """Each entry with its place; a place is good until the next step.

        Raises:
            AisError: the first entry that cannot be read, without `cont_on_err`.
            BatchAbortedError: with it, when the soft-error budget is spent.
        """
        planner = self._planner
        bucket_of = planner.bucket_of
        place_of = planner.place
        only_name = self.request.only_obj_name
        for number, entry in enumerate(self.request.entries):
            self._position = number
            bucket = bucket_of(entry)
            name = entry.name if only_name else f"{bucket.name}/{entry.name}"
            if entry.archpath is not None:
                name = f"{name}/{entry.archpath.lstrip('/')}"
            try:
                place = place_of(entry, bucket)
            except AisError as exc:
                yield self.failed(entry, bucket, name, exc)
                continue
            yield Item(entry, bucket, name, place.size, place)

    def failed(self, entry: BatchEntry, bucket: BucketRef, name: str, exc: AisError) -> Item:
        """Count an entry that cannot be read, and give its placeholder.

        Raises:
            AisError: `exc`, without `cont_on_err`.
            BatchAbortedError: the budget is spent.
        """
        if not self.request.cont_on_err:
            self._core.counters["err.getbatch.n"] += 1
            raise exc
        self._soft_errors += 1
        self._missing += isinstance(exc, NotFoundError)
        self._core.counters["err.soft.getbatch.n"] += 1
        if self._soft_errors > self._budget:
            self._core.counters["err.getbatch.n"] += 1
            raise BatchAbortedError(
                f"the batch has more than {self._budget} soft errors ({self._missing} missing, "
                f"{self._soft_errors - self._missing} transient); the last: {exc.message}",
                hint="raise get_batch.max_soft_errs, or leave out what does not exist",
            ) from exc
        return Item(entry, bucket, MISSING_PREFIX + name, 0, None, exc.message)

    def read(self, item: Item) -> tuple[Item, bytes]:
        """The item's content in memory; a placeholder and nothing when it turns out to be unreadable."""
        place = item.place
        if place is None:
            return item, b""
        started = perf_counter_ns()
        try:
            if place.reader is None:
                data = read_exact(place.content, place.size, place.offset, item.member_name)
            else:
                data = _read_all(item, place)
        except AisError as exc:
            return self.failed(item.entry, item.bucket, item.member_name, exc), b""
        self._done(item, perf_counter_ns() - started)
        return item, data

    def fill(self, item: Item, buffer: memoryview) -> None:
        """Read the item's content into a buffer of exactly its size.

        Raises:
            CorruptionError: there is less than recorded.
        """
        place = item.place
        if place is None:
            return
        started = perf_counter_ns()
        if place.reader is None:
            fill_exact(place.content, buffer, place.offset, item.member_name)
        else:
            buffer[:] = _read_all(item, place)
        self._done(item, perf_counter_ns() - started)

    def reader(self, item: Item) -> ByteReader:
        """The item's content as a stream, good until the next item."""
        place = item.place
        if place is None:
            return EMPTY
        self._done(item, 0)
        if place.reader is not None:
            return BlockReader(iter(place.reader))
        return ContentReader(place.content, place.offset, place.size, item.member_name, owns=False)

    def __iter__(self) -> Iterator[tuple[BatchResult, bytes]]:
        with self:
            read = self.read
            for item in self.items():
                done, data = read(item)
                yield (
                    BatchResult(done.entry, done.bucket, done.member_name, done.size, done.error),
                    data,
                )

    def streams(self) -> Iterator[tuple[BatchResult, ByteReader]]:
        """Each entry with a reader, good until the next step."""
        with self:
            for item in self.items():
                yield item.result(), self.reader(item)

    def close(self) -> None:
        """Close files and post the counters; safe to repeat."""
        if self._is_closed:
            return
        self._is_closed = True
        self._planner.close()
        names = ("obj.n", "obj.size", "file.n", "file.size")
        for name, value in zip(names, self._counts, strict=True):
            self._core.counters[f"getbatch.{name}"] += value

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _done(self, item: Item, elapsed_ns: int) -> None:
        counts = self._counts
        kind = 0 if item.entry.archpath is None else 2
        counts[kind] += 1
        counts[kind + 1] += item.size
        if elapsed_ns > SLOW_READ_NS + item.size // 2 and self._ahead:
            self._read_ahead()

    def _read_ahead(self) -> None:
        """The disk was waited for: ask the kernel for what comes next, so that it waits for many at once."""
        entries = self.request.entries
        first = max(self._position + 1, self._advised)
        last = min(self._position + 1 + self._ahead, len(entries))
        for number in range(first, last):
            entry = entries[number]
            try:
                place = self._planner.place(entry, self._planner.bucket_of(entry))
            except AisError:
                continue  # its own turn will tell
            if place.reader is None and isinstance(place.content, FileContent):
                os.posix_fadvise(
                    place.content.fd,
                    place.offset,
                    min(place.size, READ_AHEAD_SIZE_MAX),
                    os.POSIX_FADV_WILLNEED,
                )
        self._advised = max(self._advised, last)


def _read_all(item: Item, place: Place) -> bytes:
    assert place.reader is not None
    data = place.reader.read()
    if len(data) != place.size:
        raise CorruptionError(
            f"{item.member_name} has {len(data)} bytes, its archive says {place.size}"
        )
    return data


class _Empty:
    """The content of a missing entry."""

    def read(self, size: int = -1, /) -> bytes:
        return b""

    def readinto(self, buffer: bytearray | memoryview, /) -> int:
        return 0

    def __iter__(self) -> Iterator[bytes]:
        return iter(())

    def close(self) -> None:
        return

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        return


EMPTY = _Empty()
