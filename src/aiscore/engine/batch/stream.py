"""The ordered stream: entries one after the other, errors counted against the budget, cold data asked for ahead."""

import os
import secrets
import time
from collections.abc import Iterator
from resource import RUSAGE_THREAD, getrusage
from time import perf_counter_ns
from typing import NamedTuple, Protocol, Self

from aiscore.engine.batch.plan import OPEN_TARGETS_MAX, BatchBucket, Place, Planner
from aiscore.engine.blocks import BlockReader
from aiscore.engine.content import FileContent
from aiscore.engine.contentreader import ContentReader, fill_exact, read_exact
from aiscore.engine.core import Core
from aiscore.errors import AisError, BatchAbortedError, CorruptionError, NotFoundError
from aiscore.model.batch import MISSING_PREFIX, BatchEntry, BatchRequest, BatchResult
from aiscore.model.stream import ByteReader

__all__ = ["EntryStream", "Item", "Taker"]

READ_AHEAD_ENTRIES = 16
"""Entries asked for ahead by each warm-up worker of the configuration."""
READ_AHEAD_SIZE_MAX = 1 << 20
"""Bytes of an entry that are asked for ahead; upstream's warm-up reads as much."""
SLOW_READ_NS = 200_000
"""A read that takes longer than this, and half a nanosecond a byte, may not have come from the page cache."""


class Item(NamedTuple):
    """One entry on its way out; `place` is None when it is missing, and `result` says why."""

    result: BatchResult
    place: Place | None


class Taker(Protocol):
    """Who puts small entries where they belong, without a place, an item and a reader for each."""

    def take(self, entry: BatchEntry, bucket: BatchBucket, planner: Planner) -> BatchResult | None:
        """Take the entry; None when it must go the long way, where whatever fails is told."""
        ...


class EntryStream:
    """One GetBatch: entries in request order. Consumed once; a context manager (`transport.BatchStream`)."""

    def __init__(self, core: Core, request: BatchRequest, soft_errors: int = 0) -> None:
        """Look up the buckets; `soft_errors` count already, for a batch that goes on after a broken connection."""
        core.batch_gate.admit()
        self._core = core
        self.request = request
        self.uuid = f"gbt-{secrets.token_hex(5)}"
        self.mtime = int(time.time())
        config = core.config().get_batch
        self._budget = config.max_soft_errs
        self._soft_errors = soft_errors
        self._missing = soft_errors
        self._position = 0
        self._ahead = min(READ_AHEAD_ENTRIES * config.warmup_worker_count, OPEN_TARGETS_MAX // 2)
        self._advised = 0
        self._blocks_read = _blocks_read()
        self._object_count = self._object_size = self._file_count = self._file_size = 0
        self._is_closed = False
        core.count(getbatch_n=1)
        try:
            self._planner = Planner(core, request)
        except BaseException:
            core.count(err_getbatch_n=1)
            raise

    def items(self, taker: "Taker | None" = None) -> Iterator[Item]:
        """Each entry with its place; a place is good until the next step.

        Args:
            taker: is offered what most batches are made of, and what it takes is not given here.

        Raises:
            AisError: the first entry that cannot be read, without `cont_on_err`.
            BatchAbortedError: with it, when the soft-error budget is spent.
        """
        planner = self._planner
        place_of = planner.place
        for number, entry in enumerate(self.request.entries):
            self._position = number
            bucket = planner.bucket_of(entry.bucket)
            if taker is not None:
                started = perf_counter_ns()
                result = taker.take(entry, bucket, planner)
                if result is not None:
                    self._count(result, perf_counter_ns() - started)
                    continue
            try:
                place = place_of(entry, bucket)
            except AisError as exc:
                yield self._failed(entry, bucket, exc)
                continue
            name = _member_name(entry, bucket)
            yield Item(BatchResult(entry, bucket.bucket, name, place.size, None), place)

    def __iter__(self) -> Iterator[tuple[BatchResult, bytes]]:
        """Each entry with its content.

        What most batches are made of, whole members of plain shards, is served in this frame: for 10 KiB members a
        call or two an entry more would cost as much as reading them.
        """
        planner = self._planner
        default = planner.default
        pread = self._core.files.pread
        new_result = tuple.__new__
        with self:
            for number, entry in enumerate(self.request.entries):
                name, ref, archpath, _, start, length = entry
                bucket = default if ref is None or default is None else planner.bucket_of(ref)
                if bucket is not None and archpath is not None and not (start or length):
                    target = bucket.targets.get(name)
                    if target is not None and target.plain_fd >= 0:
                        position = target.positions.get(archpath)
                        index = target.index
                        if position is not None and index is not None:
                            size = index.sizes[position]
                            started = perf_counter_ns()
                            try:
                                data = pread(target.plain_fd, size, index.offsets[position])
                            except OSError:
                                data = b""  # told in full by the long way below
                            if len(data) == size:
                                self._file_count += 1
                                self._file_size += size
                                elapsed = perf_counter_ns() - started
                                if elapsed > SLOW_READ_NS:
                                    self._position = number
                                    self._read_slowly(elapsed, size)
                                member = f"{bucket.prefix}{name}/{archpath}"
                                yield (
                                    new_result(
                                        BatchResult, (entry, bucket.bucket, member, size, None)
                                    ),
                                    data,
                                )
                                continue
                self._position = number
                yield self._fetch(entry, planner.bucket_of(ref))

    def streams(self) -> Iterator[tuple[BatchResult, ByteReader]]:
        """Each entry with a reader, good until the next step."""
        with self:
            for item in self.items():
                yield item.result, self.reader(item)

    def read(self, item: Item) -> tuple[BatchResult, bytes]:
        """The item's content in memory; a placeholder and nothing when it turns out to be unreadable."""
        place = item.place
        if place is None:
            return item.result, b""
        started = perf_counter_ns()
        try:
            if place.reader is None:
                name = item.result.member_name
                data = read_exact(place.content, place.size, place.offset, name)
            else:
                data = _read_all(item.result, place)
        except AisError as exc:
            return self.unreadable(item, exc).result, b""
        self._count(item.result, perf_counter_ns() - started)
        return item.result, data

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
            fill_exact(place.content, buffer, place.offset, item.result.member_name)
        else:
            buffer[:] = _read_all(item.result, place)
        self._count(item.result, perf_counter_ns() - started)

    def reader(self, item: Item) -> ByteReader:
        """The item's content as a stream, good until the next item."""
        place = item.place
        if place is None:
            return BlockReader(iter(()))
        self._count(item.result, 0)
        if place.reader is not None:
            return BlockReader(iter(place.reader))
        name = item.result.member_name
        return ContentReader(place.content, place.offset, place.size, name, owns=False)

    def unreadable(self, item: Item, exc: AisError) -> Item:
        """The placeholder of an item that could not be read after all; raises as `items` does."""
        entry = item.result.entry
        return self._failed(entry, self._planner.bucket_of(entry.bucket), exc)

    def close(self) -> None:
        """Close files and post the counters; safe to repeat."""
        if self._is_closed:
            return
        self._is_closed = True
        self._planner.close()
        self._core.count(
            getbatch_obj_n=self._object_count,
            getbatch_obj_size=self._object_size,
            getbatch_file_n=self._file_count,
            getbatch_file_size=self._file_size,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _fetch(self, entry: BatchEntry, bucket: BatchBucket) -> tuple[BatchResult, bytes]:
        """One entry by the long way: any kind, any failure."""
        try:
            place = self._planner.place(entry, bucket)
        except AisError as exc:
            return self._failed(entry, bucket, exc).result, b""
        name = _member_name(entry, bucket)
        return self.read(Item(BatchResult(entry, bucket.bucket, name, place.size, None), place))

    def _failed(self, entry: BatchEntry, bucket: BatchBucket, exc: AisError) -> Item:
        """Count an entry that cannot be read, and give its placeholder.

        Raises:
            AisError: `exc`, without `cont_on_err`.
            BatchAbortedError: the budget is spent.
        """
        core = self._core
        if not self.request.cont_on_err:
            core.count(err_getbatch_n=1)
            raise exc
        self._soft_errors += 1
        self._missing += isinstance(exc, NotFoundError)
        core.count(err_soft_getbatch_n=1)
        if self._soft_errors > self._budget:
            core.count(err_getbatch_n=1)
            raise BatchAbortedError(
                f"the batch has more than {self._budget} soft errors ({self._missing} missing, "
                f"{self._soft_errors - self._missing} transient); the last: {exc.message}",
                hint="raise get_batch.max_soft_errs, or leave out what does not exist",
            ) from exc
        name = MISSING_PREFIX + _member_name(entry, bucket)
        return Item(BatchResult(entry, bucket.bucket, name, 0, exc.message), None)

    def _count(self, result: BatchResult, elapsed_ns: int) -> None:
        size = result.size
        if result.entry.archpath is None:
            self._object_count += 1
            self._object_size += size
        else:
            self._file_count += 1
            self._file_size += size
        if elapsed_ns > SLOW_READ_NS:
            self._read_slowly(elapsed_ns, size)

    def _read_slowly(self, elapsed_ns: int, size: int) -> None:
        """The disk was waited for: ask the kernel for what comes next, so that it waits for many at once."""
        if elapsed_ns <= SLOW_READ_NS + size // 2 or not self._ahead:
            return
        blocks = _blocks_read()
        if blocks == self._blocks_read:
            return  # the CPU was busy, not the disk
        self._blocks_read = blocks
        entries = self.request.entries
        first = max(self._position + 1, self._advised)
        last = min(self._position + 1 + self._ahead, len(entries))
        for number in range(first, last):
            entry = entries[number]
            try:
                place = self._planner.place(entry, self._planner.bucket_of(entry.bucket))
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


def _blocks_read() -> int:
    """What this thread had to read from disks so far."""
    return getrusage(RUSAGE_THREAD).ru_inblock


def _member_name(entry: BatchEntry, bucket: BatchBucket) -> str:
    name = bucket.prefix + entry.name
    return name if entry.archpath is None else f"{name}/{entry.archpath.lstrip('/')}"


def _read_all(result: BatchResult, place: Place) -> bytes:
    assert place.reader is not None
    data = place.reader.read()
    if len(data) != place.size:
        raise CorruptionError(
            f"{result.member_name} has {len(data)} bytes, its archive says {place.size}"
        )
    return data
