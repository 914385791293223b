"""Rechunk: lays out the objects of a bucket in chunks of another size, or in one piece.

Each object is a plan of its own: the sizes of its pieces against the policy tell whether there is something to do, so a
job that was stopped or killed goes on where it was by just running again. What is to be done is written beside the old
content and hashed on the way; then one transaction lets the row, as it is at that moment, point at the new pieces. It
does so only if the row still points at the content that was read: a write that came in between wins.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace

from aiscore.engine.content import ContentSource
from aiscore.engine.contentreader import ContentReader
from aiscore.engine.core import Core
from aiscore.engine.index.buckets import BucketRow
from aiscore.engine.index.copies import insert_copies
from aiscore.engine.index.objects import (
    ObjectRow,
    PieceRef,
    insert_manifest,
    insert_pieces,
    manifest_of,
    rows_after,
    select_for_write,
    select_object,
    swap_pieces,
)
from aiscore.engine.mirror import Copies, make_copies, mend
from aiscore.engine.read import find_or_raise, open_content
from aiscore.engine.verify import check_digest
from aiscore.engine.write import ContentWriter
from aiscore.engine.xaction.job import THROTTLED, Announce, Job, unannounced
from aiscore.engine.xaction.registry import AlreadyRunningError
from aiscore.errors import (
    BusyError,
    CorruptionError,
    ObjectNotFoundError,
    StorageError,
    XactionAbortedError,
)
from aiscore.model.access import Access
from aiscore.model.bucket import BucketRef
from aiscore.model.checksum import ChecksumType
from aiscore.model.chunks import (
    ChunkInfo,
    RechunkOptions,
    RechunkResult,
    chunk_size_for,
    conforms,
    is_chunked_at,
    policy_of,
)
from aiscore.model.names import check_object_name
from aiscore.model.policies import ChunksPolicy
from aiscore.model.xaction import XactionKind, XactionState

__all__ = ["list_chunks", "rechunk_bucket"]

_ATTEMPTS = 3
"""Rewrites of an object whose pieces are being moved to another mountpath at the same time."""
_SAVED_UP_S = 0.1
_POLL_S = 0.1
"""Between two looks at a job that another caller runs."""


def list_chunks(core: Core, bucket: BucketRef, name: str) -> list[ChunkInfo]:
    """Chunks of an object, in order."""
    check_object_name(name)
    row = find_or_raise(core, core.bucket(bucket, Access.HEAD_OBJECT), name)
    found, offset = [], 0
    for number, piece in enumerate(manifest_of(core.connection(), row), start=1):
        location = core.mountpaths.location(piece.mountpath_id)
        found.append(ChunkInfo(number=number, offset=offset, size=piece.size, location=location))
        offset += piece.size
    return found


def rechunk_bucket(
    core: Core, bucket: BucketRef, options: RechunkOptions, announce: Announce = unannounced
) -> RechunkResult:
    """Lay objects out anew. See `Transport.rechunk_bucket`."""
    row = core.bucket(bucket, Access.GET | Access.PUT)
    policy = policy_of(row.props.chunks, options)
    if options.dry_run:
        return _Rechunk(core, row, policy, options, None).run()
    control = _control_of(policy, options)
    try:
        job = core.xactions.start(XactionKind.RECHUNK, bucket, None, control, announce, alone=True)
    except AlreadyRunningError as exc:
        if exc.control != control:
            raise BusyError(
                f"{bucket} is being rechunked with other options: {exc.message}", hint=exc.hint
            ) from exc
        announce(exc.job_id)
        return _wait_for(core, exc.job_id)
    with job:
        core.admit_write()
        return _Rechunk(core, row, policy, options, job).run()


class _Rechunk:
    """One run over a bucket; without a job it only counts."""

    def __init__(
        self,
        core: Core,
        bucket: BucketRow,
        policy: ChunksPolicy,
        options: RechunkOptions,
        job: Job | None,
    ) -> None:
        self._core = core
        self._bucket = bucket
        self._policy = policy
        self._options = options
        self._job = job
        self._result = RechunkResult()
        self._damaged = 0
        self._first_damaged: CorruptionError | None = None
        self._throttle = _Throttle(options.bandwidth)

    def run(self) -> RechunkResult:
        """Look at every object, and do what is to be done."""
        rows = rows_after(self._core.connection(), self._bucket.id, self._options.prefix)
        for row in rows:
            try:
                self._visit(row)
            except ObjectNotFoundError:
                continue  # deleted since it was listed
            except CorruptionError as exc:
                self._damaged += 1
                self._first_damaged = self._first_damaged or exc
            finally:
                if self._job is not None:
                    self._job.ext.update(asdict(self._result))
        first = self._first_damaged
        if first is not None:
            raise CorruptionError(
                f"{self._damaged} of {self._result.objects} objects of {self._bucket.bucket} are damaged and "
                f"were left as they are, the first: {first.message}",
                hint=f"see: ais storage validate {self._bucket.bucket}",
            ) from first
        return self._result

    def _visit(self, row: ObjectRow) -> None:
        result = self._result
        self._result = replace(result, objects=result.objects + 1, size=result.size + row.size)
        if not self._is_laid_out(row):
            is_done = self._job is None or self._rewrite_or_mend(row)
            self._count(row.size, is_done=is_done)
        if self._job is not None:
            self._job.step(1, row.size)

    def _is_laid_out(self, row: ObjectRow) -> bool:
        if row.piece_count == 1:
            return conforms(self._policy, [row.size])
        pieces = manifest_of(self._core.connection(), row)
        return bool(pieces) and conforms(self._policy, [piece.size for piece in pieces])

    def _count(self, size: int, *, is_done: bool) -> None:
        result = self._result
        if not is_done:
            self._result = replace(result, overtaken=result.overtaken + 1)
        elif is_chunked_at(self._policy, size):
            self._result = replace(
                result, chunked=result.chunked + 1, chunked_size=result.chunked_size + size
            )
        else:
            self._result = replace(
                result, restored=result.restored + 1, restored_size=result.restored_size + size
            )

    def _rewrite_or_mend(self, row: ObjectRow) -> bool:
        try:
            return self._rewrite(row.name)
        except CorruptionError:
            if not mend(self._core, self._bucket, row, is_deep=True):
                raise
            return self._rewrite(row.name)

    def _rewrite(self, name: str) -> bool:
        """Give an object its layout; False when somebody else wrote or removed it meanwhile."""
        for _ in range(_ATTEMPTS):
            self._core.connection().fresh_cache()
            row, content = open_content(self._core, self._bucket, name)
            try:
                if conforms(self._policy, content.sizes):
                    return False  # written anew since it was listed
                current = self._copy_and_swap(row, content)
            finally:
                content.close()
            if current is not None:
                self._core.garbage.reclaim(current)
                return True
            now = select_object(self._core.connection(), self._bucket.id, name)
            if now is None or now.generation != row.generation:
                return False
        return False

    def _copy_and_swap(self, row: ObjectRow, content: ContentSource) -> ObjectRow | None:
        """The row that was replaced; None when it was not that which was read any more."""
        core = self._core
        cname = f"{self._bucket.cname}/{row.name}"
        kind = ChecksumType(row.checksum_type)
        sync = core.is_durable(self._bucket)
        is_chunked = is_chunked_at(self._policy, row.size)
        writer = ContentWriter(
            core,
            self._bucket.uname + row.name,
            cname,
            {kind},
            piece_size_max=chunk_size_for(self._policy, row.size),
            hash_pieces=is_chunked and kind is not ChecksumType.NONE,
            sync=sync,
        )
        try:
            self._copy(content, row, writer, cname)
            writer.finish()
            check_digest(row, writer.hasher.value(kind), cname)
            with make_copies(core, self._bucket, row.name, writer.pieces, sync=sync) as copies:
                current = self._swap(row, writer.pieces, copies, sync=sync)
                if current is None:
                    copies.abort()
        except BaseException:
            writer.abort()
            raise
        if current is None:
            writer.abort()
            return None
        writer.settle()
        return current

    def _swap(
        self, row: ObjectRow, pieces: Sequence[PieceRef], copies: Copies, *, sync: bool
    ) -> ObjectRow | None:
        core = self._core
        with core.database.write(sync=sync) as connection:
            before = select_for_write(connection, self._bucket.id, row.name, [*pieces, *copies.all])
            current = before.row
            if current is None or not before.has_mountpaths:
                return None
            if (current.piece_id, current.generation) != (row.piece_id, row.generation):
                return None
            insert_pieces(connection, pieces)
            insert_manifest(connection, pieces)
            insert_copies(connection, pieces, copies.of_pieces)
            swap_pieces(connection, current, pieces, copies.count)
            core.garbage.forget(connection)
        return current

    def _copy(
        self, content: ContentSource, row: ObjectRow, writer: ContentWriter, cname: str
    ) -> None:
        reader = ContentReader(content, 0, row.size, cname, owns=False)
        with writer.hashed_ahead(reader.readinto, row.size) as blocks:
            for block in blocks:
                writer.write_hashed(block)
                self._throttle.spent(len(block))
                if self._job is not None:
                    self._job.step()


class _Throttle:
    """Keeps the mean rate under a limit by sleeping."""

    def __init__(
        self,
        bandwidth: int,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._bandwidth = bandwidth
        self._clock = clock
        self._sleep = sleep
        self._due = clock()

    def spent(self, count: int) -> None:
        """So many bytes were written; returns when more may be."""
        if not self._bandwidth:
            return
        now = self._clock()
        # What was not used while there was nothing to write is not saved up, but for a moment.
        self._due = max(self._due, now - _SAVED_UP_S) + count / self._bandwidth
        if self._due > now:
            self._sleep(self._due - now)


def _control_of(policy: ChunksPolicy, options: RechunkOptions) -> str:
    """What a job was asked, for people and for comparison."""
    parts = [f"objsize-limit:{policy.objsize_limit}", f"chunk-size:{policy.chunk_size}"]
    if options.prefix:
        parts.append(f"prefix:{options.prefix}")
    return ", ".join(parts)


def _wait_for(core: Core, job_id: str) -> RechunkResult:
    """The result of a job that another caller runs."""
    while True:
        snap = core.xactions.find(job_id)
        if snap.is_finished:
            break
        time.sleep(_POLL_S)
    if snap.state is XactionState.ABORTED:
        raise XactionAbortedError(f"rechunk[{job_id}] was stopped: {snap.error}")
    if snap.state is XactionState.FAILED:
        error = CorruptionError if snap.error_code == CorruptionError.code else StorageError
        raise error(snap.error)
    counts = {key: int(str(value)) for key, value in snap.ext.items() if key != THROTTLED}
    return RechunkResult(**counts)
