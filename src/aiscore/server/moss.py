"""`/v1/ml/moss`: GetBatch, streaming or buffered.

The batch is planned and read in the pool. A block of the archive is a view of the batch's own buffer, used again for
the next one: the protocol fetches a block when the one before has gone.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Iterator
from threading import Lock
from typing import TYPE_CHECKING

from aiscore.errors import AisError, InvalidArgumentError, ThrottledError
from aiscore.model.bucket import BucketRef
from aiscore.model.xaction import XactionKind
from aiscore.server.http import Outcome, Request, Response, ServerContext
from aiscore.server.message import in_pool, read_message
from aiscore.server.objectpath import bucket_and_rest
from aiscore.server.router import Router
from aiscore.wire.batch import (
    decode_request,
    encode_response,
    multipart_head,
    multipart_tail,
    multipart_type,
    new_boundary,
)
from aiscore.wire.names import H, Path

if TYPE_CHECKING:
    from aiscore.engine.batch.assemble import BatchArchive

__all__ = ["BATCHES_MAX", "Batches", "register"]

log = logging.getLogger(__name__)

BATCHES_MAX = 256
"""Batches that one worker serves at a time; upstream's limit of a node."""
USE_INTERVAL_S = 1.0
"""Between two notes that the get-batch job is in use: each is a transaction, and empties the row caches."""
USES_MAX = 1_024
"""Buckets whose job is remembered."""
_ROOT = f"{Path.MOSS}/"


def register(router: Router, context: ServerContext) -> None:
    """Answer `/v1/ml/moss` and `/v1/ml/moss/BUCKET`."""
    router.add(Path.MOSS, {"GET": Batches(context).get})


class Batches:
    """Answers GetBatch. Belongs to one event loop."""

    def __init__(self, context: ServerContext) -> None:
        self._context = context
        self._store = context.node.store
        self._open = 0
        self._uses: dict[BucketRef | None, _Use] = {}

    def get(self, request: Request) -> Outcome:
        """Read the message, then the entries."""
        bucket = None
        if request.path.rstrip("/") != Path.MOSS:
            bucket, _ = bucket_and_rest(request, _ROOT)
        if request.content_length == 0:
            raise InvalidArgumentError(
                "missing batch request", hint='send a JSON body: {"in": [{"objname": "..."}]}'
            )
        if self._open >= BATCHES_MAX:
            self._store.tally.add({"err.getbatch.n": 1})
            raise ThrottledError(
                f"too many GetBatch requests: {self._open} are being served, the limit is {BATCHES_MAX}",
                hint="try again later",
            )
        soft_errors = _soft_errors(request)
        return read_message(
            request, self._context, lambda body: self._begin(body, bucket, soft_errors)
        )

    async def _begin(self, body: bytes, bucket: BucketRef | None, soft_errors: int) -> Response:
        self._open += 1
        try:
            use = self._use_of(bucket)
            return await in_pool(self._context, self._start, body, bucket, soft_errors, use)
        except BaseException:
            self._open -= 1
            raise

    def _start(
        self, body: bytes, bucket: BucketRef | None, soft_errors: int, use: "_Use"
    ) -> Response:
        """In the pool: what is not streaming has been read whole when this returns."""
        if bucket is not None:
            self._store.head_bucket(bucket)
        request = decode_request(body, bucket)
        xid = use.begin()
        archive = self._store.get_batch_archive(request, soft_errors)
        if request.streaming:
            kind = request.output_format.content_type
            blocks: Iterator[bytes | memoryview] = iter(archive)
        else:
            boundary = new_boundary()
            kind = multipart_type(boundary)
            blocks = _multipart(archive, boundary, xid)

        def end() -> None:
            self._open -= 1
            use.add(len(archive.results), sum(result.size for result in archive.results))

        source = _ArchiveSource(archive, blocks, end)
        # Here and now, because a hop to the pool for each block costs as much as ten small objects.
        source.fetch()
        return Response(200, [(H.CONTENT_TYPE, kind)], source)

    def _use_of(self, bucket: BucketRef | None) -> "_Use":
        use = self._uses.get(bucket)
        if use is None:
            if len(self._uses) >= USES_MAX:
                self._uses.clear()
            use = self._uses[bucket] = _Use(self._context, bucket)
        return use


class _ArchiveSource:
    """The archive of a batch as blocks (`http.BlockSource`)."""

    length = None

    def __init__(
        self,
        archive: "BatchArchive",
        blocks: Iterator[bytes | memoryview],
        end: Callable[[], None],
    ) -> None:
        """Take over the archive; `end` is called once, on the event loop."""
        self._archive = archive
        self._blocks = blocks
        self._end: Callable[[], None] | None = end
        self._fetched: bytes | memoryview | None = None

    @property
    def is_at_hand(self) -> bool:
        """True when `next` gives what is there already, or ends."""
        return self._fetched is not None or self._archive.is_complete

    def fetch(self) -> None:
        """Read the first block ahead.

        Raises:
            AisError: as `next`; the source is to be dropped then.
        """
        try:
            self._fetched = next(self._blocks, None)
        except BaseException:
            self._archive.close()
            raise

    def next(self) -> bytes | memoryview | None:
        """The next block, a view of the batch's buffer; None at the end."""
        fetched, self._fetched = self._fetched, None
        return next(self._blocks, None) if fetched is None else fetched

    def close(self) -> None:
        """Give back the buffer and release files; safe to repeat."""
        end, self._end = self._end, None
        if end is not None:
            self._archive.close()
            end()


class _Use:
    """Tells the table of jobs, now and then, that get-batch is in use; its job is what clients look for and stop."""

    def __init__(self, context: ServerContext, bucket: BucketRef | None) -> None:
        self._context = context
        self._bucket = bucket
        self._loop = asyncio.get_running_loop()
        self._lock = Lock()
        self._xid = ""
        self._told_at = 0.0
        self._objects = 0
        self._size = 0
        self._is_due = False

    def begin(self) -> str:
        """The id of the job, which a batch that begins belongs to. Runs in the pool."""
        with self._lock:
            if not self._xid or time.monotonic() - self._told_at >= USE_INTERVAL_S:
                self._tell()
            return self._xid

    def add(self, objects: int, size: int) -> None:
        """Count a batch that has ended. Runs on the event loop."""
        self._objects += objects
        self._size += size
        if not self._is_due:
            self._is_due = True
            self._loop.call_later(USE_INTERVAL_S, self._tell_later)

    def _tell_later(self) -> None:
        self._is_due = False
        try:
            self._context.pool.submit(self._tell_counted)
        except RuntimeError:
            return  # the pool is shut down: the job ends with the server

    def _tell_counted(self) -> None:
        with self._lock:
            try:
                self._tell()
            except AisError as exc:
                log.warning("use of get-batch not recorded: reason=%s", exc)

    def _tell(self) -> None:
        objects, self._objects = self._objects, 0
        size, self._size = self._size, 0
        self._xid = self._context.node.store.record_use(
            XactionKind.GET_BATCH, self._bucket, objects, size
        )
        self._told_at = time.monotonic()


def _soft_errors(request: Request) -> int:
    """Soft errors that count already: a client that goes on after a broken connection gets no new budget."""
    text = request.header(H.SOFT_ERRORS.lower()) or "0"
    if not (text.isascii() and text.isdigit() and len(text) <= 9):
        raise InvalidArgumentError(f'invalid {H.SOFT_ERRORS} "{text[:32]}": expected a number')
    return int(text)


def _multipart(archive: "BatchArchive", boundary: str, xid: str) -> Iterator[bytes | memoryview]:
    metadata = encode_response(xid, archive.results)
    yield multipart_head(boundary, metadata, f"get-batch[{xid}]")
    yield from archive
    yield multipart_tail(boundary)
