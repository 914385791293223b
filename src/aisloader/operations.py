"""What each kind of operation asks of the store, and what of it is measured.

The timed window of an operation holds requests and answers only: content and archives are made before it opens, sums
are compared after it has closed where the transport allows that. One object of this class belongs to one worker.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from time import perf_counter_ns
from typing import TYPE_CHECKING

from aiscore.errors import AisError, CorruptionError, UnsupportedError
from aiscore.model.archive import ArchiveFormat
from aiscore.model.batch import BatchEntry, BatchRequest
from aiscore.model.byterange import ByteRange
from aiscore.model.checksum import ChecksumType
from aiscore.model.objects import GetOptions, PutOptions
from aiscore.model.stream import BLOCK_SIZE
from aiscore.transport.base import DEFAULT_GET, Transport
from aiscore.transport.digest import digest_of
from aiscore.transport.drain import open_drain
from aisloader.content import Made, WorkerContent
from aisloader.plan import Op, OpKind
from aisloader.stats.failure import ShortBatchError
from aisloader.stats.recorder import Recorder
from aisloader.stats.series import Metric, Series
from aisloader.tracing import PhaseTracer

if TYPE_CHECKING:
    from aisloader.params import Params

__all__ = ["SERIES_OF", "Operations", "Outcome", "describe", "needed_series"]

SERIES_OF = {
    OpKind.PUT: Series.PUT,
    OpKind.MULTIPART: Series.MPU,
    OpKind.SHARD: Series.PUT,
    OpKind.GET: Series.GET,
    OpKind.UPDATE: Series.GET,
    OpKind.BATCH: Series.GBT,
    OpKind.STREAM: Series.MPD,
}
PART_THREADS_MAX = 16
"""Parts of one multipart upload that one worker has in flight."""

Outcome = tuple[int, int]
"""Begin and end of the timed window, ns."""


def needed_series(params: "Params") -> tuple[Series, ...]:
    """The operations that these parameters can give rise to, in order."""
    work = params.workload
    found = set()
    if work.pctput:
        if not params.multipart.is_enabled or params.multipart.pct < 100:
            found.add(Series.PUT)
        if params.multipart.is_enabled:
            found.add(Series.MPU)
    if work.pctput < 100:
        if params.read.get_batchsize:
            found.add(Series.GBT)
        else:
            if params.multipart.stream_pct < 100:
                found.add(Series.GET)
            if params.multipart.stream_pct:
                found.add(Series.MPD)
            if work.pctupdate:
                found.add(Series.PUT)
    return tuple(sorted(found))


class Operations:
    """Runs operations on a transport and counts what came of them.

    `run` raises what the store raised; nothing of a failed operation has been counted then but that it was started.
    `series` tells which operation was under way, and `begun_ns` since when.

    Attributes:
        buffer: where content goes that nobody looks at.
        drain: the short way of a GET; None when there is none.
    """

    def __init__(
        self,
        transport: Transport,
        params: "Params",
        content: WorkerContent,
        recorders: dict[Series, Recorder],
        tracer: PhaseTracer | None = None,
    ) -> None:
        self._transport = transport
        self._bucket = params.bucket.ref
        self._content = content
        self._recorders = recorders
        self._tracer = tracer
        self._params = params
        self.buffer = memoryview(bytearray(BLOCK_SIZE))
        self._checksum_type = ChecksumType(params.size_cksum.cksum_type)
        self._verifies = params.size_cksum.verifyhash
        self._is_embedded = params.cluster.is_embedded
        self._batch_format = ArchiveFormat.parse(params.read.batch_format)
        self._get_options = DEFAULT_GET
        if params.read.latest or params.etl.is_enabled:
            self._get_options = GetOptions(latest=params.read.latest, etl_name=params.etl.applied)
        # Content that nobody looks at, of plain reads, has a shorter way.
        is_plain = self._get_options is DEFAULT_GET and not (self._is_embedded or self._verifies)
        self.drain = open_drain(transport, self._bucket) if is_plain else None
        self._threads: ThreadPoolExecutor | None = None
        self.series = Series.GET
        self.begun_ns = 0
        self._by_kind: dict[OpKind, Callable[[Op], Outcome]] = {
            OpKind.PUT: self._put,
            OpKind.MULTIPART: self._put_parts,
            OpKind.SHARD: self._put_shard,
            OpKind.GET: self._get,
            OpKind.UPDATE: self._update,
            OpKind.BATCH: self._get_batch,
            OpKind.STREAM: self._get_stream,
        }

    def close(self) -> None:
        """End threads, if there are any, and remove files."""
        self._content.close()
        if self.drain is not None:
            self.drain.close()
        if self._threads is not None:
            self._threads.shutdown(cancel_futures=True)

    def run(self, op: Op) -> Outcome:
        """Do it; returns when the timed window began and ended.

        Raises:
            AisError: it failed.
        """
        return self._by_kind[op.kind](op)

    def _begin(self, series: Series) -> int:
        self.series = series
        self._recorders[series].started()
        if self._tracer is not None:
            self._tracer.start()
        self.begun_ns = begun = perf_counter_ns()
        return begun

    def _note_phases(self, series: Series, ended: int) -> None:
        if self._tracer is not None and (phases := self._tracer.end(ended)) is not None:
            self._recorders[series].phases(phases)

    # writes

    def _put(self, op: Op) -> Outcome:
        return self._write(op.name, self._content.plain(op))

    def _put_shard(self, op: Op) -> Outcome:
        return self._write(op.name, self._content.shard(op))

    def _write(self, name: str, made: Made) -> Outcome:
        # An equal object that exists is no reason to write less: `skip_same` would measure nothing.
        options = PutOptions(
            size=made.size, checksum=made.checksum(self._checksum_type), skip_same=False
        )
        body = made.body()
        begun = self._begin(Series.PUT)
        self._transport.put(self._bucket, name, body, options)
        ended = perf_counter_ns()
        self._recorders[Series.PUT].done(ended - begun, made.size)
        self._note_phases(Series.PUT, ended)
        return begun, ended

    def _put_parts(self, op: Op) -> Outcome:
        from aisloader.upload import put_in_parts

        made = self._content.plain(op)
        if not made.size:
            return self._write(op.name, made)  # there are no parts without bytes
        chunks = self._params.multipart.chunks
        pool = self._pool(chunks)
        begun = self._begin(Series.MPU)
        put_in_parts(self._transport, self._bucket, op.name, made, chunks, pool)
        ended = perf_counter_ns()
        self._recorders[Series.MPU].done(ended - begun, made.size)
        return begun, ended

    # reads

    def _get(self, op: Op) -> Outcome:
        drain = self.drain
        is_traced = self._tracer is not None and self._tracer.is_on
        if drain is None or op.length or op.archpath or is_traced:
            return self._get_slowly(op)
        begun = self._begin(Series.GET)
        first, size = drain.read(op.name, self.buffer)
        ended = perf_counter_ns()
        self._recorders[Series.GET].read(begun, first, ended, size)
        return begun, ended

    def settle(self, op: Op, begun: int, error: Exception | None) -> Outcome:
        """End a GET that was begun on `drain`, and whose answer is not the usual one.

        Raises:
            AisError: it failed.
        """
        assert self.drain is not None
        self.series, self.begun_ns = Series.GET, begun
        first, size = self.drain.settle(op.name, self.buffer, error)
        ended = perf_counter_ns()
        self._recorders[Series.GET].read(begun, first, ended, size)
        return begun, ended

    def _get_slowly(self, op: Op) -> Outcome:
        begun = self._begin(Series.GET)
        size = self._read(op, begun, Series.GET)
        ended = perf_counter_ns()
        self._recorders[Series.GET].done(ended - begun, size)
        self._note_phases(Series.GET, ended)
        return begun, ended

    def _update(self, op: Op) -> Outcome:
        """Two operations: when the second fails, the first has still succeeded."""
        begun = self._begin(Series.GET)
        size = self._read(op, begun, Series.GET)
        ended = perf_counter_ns()
        self._recorders[Series.GET].done(ended - begun, size)
        self._note_phases(Series.GET, ended)
        _, ended = self._write(op.name, self._content.plain(op._replace(size=size)))
        return begun, ended

    def _read(self, op: Op, begun: int, series: Series) -> int:
        """Read and drop the content; its size."""
        options = self._get_options
        if op.length or op.archpath:
            options = replace(
                options,
                byte_range=ByteRange(op.offset, op.length) if op.length else None,
                archpath=op.archpath or None,
            )
        if self._is_embedded and not self._verifies and 0 <= (op.length or op.size) <= BLOCK_SIZE:
            # The engine's short way; there is no first byte to wait for.
            return len(self._transport.read(self._bucket, op.name, options))
        if self._verifies:
            return self._read_verified(op, options, begun, series)
        size = 0
        buffer = self.buffer
        with self._transport.open(self._bucket, op.name, options) as reader:
            while count := reader.readinto(buffer):
                if not size:
                    self._recorders[series].duration(Metric.FIRST, perf_counter_ns() - begun)
                size += count
        return size

    def _read_verified(self, op: Op, options: GetOptions, begun: int, series: Series) -> int:
        size = 0
        buffer = self.buffer
        with self._transport.open(self._bucket, op.name, options) as reader:
            checksum = reader.props.checksum
            comparable = not op.length and not op.archpath and checksum is not None
            digest = digest_of(checksum.type) if comparable and checksum is not None else None
            if digest is None:
                self._recorders[series].unverified()
            while count := reader.readinto(buffer):
                if not size:
                    self._recorders[series].duration(Metric.FIRST, perf_counter_ns() - begun)
                size += count
                if digest is not None:
                    digest.update(buffer[:count])
        if digest is not None and checksum is not None and digest.hexdigest() != checksum.value:
            raise CorruptionError(
                f"{self._bucket.object_cname(op.name)} was received with checksum "
                f"{checksum.type}[{digest.hexdigest()}], expected {checksum}"
            )
        return size

    def _get_stream(self, op: Op) -> Outcome:
        """Read by parallel ranges; an object of one range at most is read at once."""
        begun = self._begin(Series.MPD)
        step = self._params.multipart.stream_chunk_size
        size = self._transport.head(self._bucket, op.name).size
        if size <= step:
            size = self._read(op._replace(offset=0, length=0), begun, Series.MPD)
        else:
            pool = self._pool(self._params.multipart.stream_workers)
            ranges = [ByteRange(at, min(step, size - at)) for at in range(0, size, step)]
            size = sum(pool.map(lambda part: self._read_range(op.name, part), ranges))
        ended = perf_counter_ns()
        self._recorders[Series.MPD].done(ended - begun, size)
        return begun, ended

    def _read_range(self, name: str, part: ByteRange) -> int:
        size = 0
        with self._transport.open(self._bucket, name, GetOptions(byte_range=part)) as reader:
            for block in reader:
                size += len(block)
        return size

    # GetBatch

    def _get_batch(self, op: Op) -> Outcome:
        entries = [BatchEntry(name, archpath=archpath or None) for name, archpath in op.names]
        request = BatchRequest(
            entries=entries,
            bucket=self._bucket,
            cont_on_err=self._params.read.cont_on_err,
            output_format=self._batch_format,
        )
        recorder = self._recorders[Series.GBT]
        begun = self._begin(Series.GBT)
        size = missing = 0
        last = begun
        delivered = 0
        for entry_size, is_missing in self._delivered(request):
            now = perf_counter_ns()
            recorder.duration(Metric.GAP if delivered else Metric.FIRST, now - last)
            last = now
            delivered += 1
            size += entry_size
            missing += is_missing
        ended = perf_counter_ns()
        if delivered != len(entries):
            raise ShortBatchError(
                f"a batch of {len(entries)} entries of {self._bucket} delivered {delivered}"
            )
        recorder.entries(delivered, missing)
        recorder.done(ended - begun, size)
        return begun, ended

    def _delivered(self, request: BatchRequest) -> Iterator[tuple[int, bool]]:
        """Size of each entry, and whether it is a placeholder; name and order are compared."""
        if self._batch_format is not ArchiveFormat.TAR:
            from aisloader.batcharchive import delivered_in_archive

            yield from delivered_in_archive(self._transport, request)
            return
        asked = iter(request.entries)
        with self._transport.get_batch(request) as stream:
            for result, data in stream:
                expected = next(asked, None)
                if expected is None or result.entry != expected:
                    raise ShortBatchError(
                        f"a batch of {self._bucket} delivered {result.member_name!r} out of turn"
                    )
                if len(data) != result.size:
                    raise ShortBatchError(
                        f"a batch of {self._bucket} delivered {len(data)} of {result.size} bytes "
                        f"of {result.member_name!r}"
                    )
                yield len(data), result.error is not None

    def _pool(self, threads: int) -> ThreadPoolExecutor:
        if self._threads is None:
            self._threads = ThreadPoolExecutor(min(max(threads, 1), PART_THREADS_MAX))
        return self._threads


def describe(error: BaseException) -> str:
    """One line for stderr."""
    if isinstance(error, UnsupportedError) and error.hint:
        return f"{error.message} ({error.hint})"
    return error.message if isinstance(error, AisError) else repr(error)
