"""PUT of objects: whole ones, parts of uploads, members of shards, pieces to append, and copies.

A body of up to `COLLECT_SIZE_MAX` bytes is collected and stored by one call. A longer one goes straight from the
receive buffer into the object's file. What the engine wants to pull (members, appends) waits in a file without a name
until it is whole: a client that dawdles holds neither a thread nor a lock of the store.
"""

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from aiscore.engine.puts import SmallPut
from aiscore.errors import InvalidArgumentError, UnsupportedError
from aiscore.model.bucket import BucketRef
from aiscore.model.objects import ObjectProps, PutOptions
from aiscore.model.stream import Body
from aiscore.server.changes import Changes
from aiscore.server.grouped import GROUPED_SIZE_MAX, GroupedPuts
from aiscore.server.http import BodySink, Outcome, Request, Response, ServerContext
from aiscore.server.identity import identity_of, public_url
from aiscore.server.message import in_pool, push
from aiscore.server.objectpath import object_of
from aiscore.server.shardwrites import put_members
from aiscore.wire.buckets import parse_uname
from aiscore.wire.names import H, Q
from aiscore.wire.objects import (
    archive_format_of,
    checksum_of,
    props_headers,
    put_mode_of,
    put_options,
)
from aiscore.wire.uploads import part_headers, part_number_of, part_options

if TYPE_CHECKING:
    from aiscore.engine.bodyspool import BodySpool
    from aiscore.engine.objectwriter import ObjectWriter
    from aiscore.engine.partwriter import PartWriter

__all__ = ["COLLECT_SIZE_MAX", "Member", "ObjectWrites", "SpoolSink"]

COLLECT_SIZE_MAX = 1 << 20
"""Bytes of a body that is held in memory: one call of the engine is cheaper than a file that grows."""
_PUT_HEADERS = frozenset(
    {
        b"ais-checksum-compute",
        b"ais-checksum-type",
        b"ais-checksum-value",
        b"ais-custom-exact",
        b"ais-custom-md",
        b"ais-if-version",
        b"if-match",
        b"if-none-match",
    }
)
"""What `put_options` looks at."""
_PYTHON_CLIENT = "ais/python"
_BASE36 = "0123456789abcdefghijklmnopqrstuvwxyz"

Answer = Response | Awaitable[Response]


@dataclass(frozen=True, slots=True)
class Member:
    """A file on its way into a shard."""

    name: str
    size: int
    body: Body


class ObjectWrites:
    """Answers PUT. Belongs to one event loop."""

    def __init__(self, context: ServerContext, changes: Changes) -> None:
        self._context = context
        self._store = context.node.store
        self._changes = changes
        self._grouped = GroupedPuts(context)

    def put(self, request: Request) -> Outcome:
        """Choose what kind of PUT this is, and take its body."""
        bucket, name = object_of(request)
        query = request.query
        if request.is_tls and (elsewhere := _redirect(request, self._context)) is not None:
            return elsewhere
        if query:
            for parameter in (Q.ETL_NAME, Q.ETL_PIPELINE):
                if query.get(parameter):
                    raise UnsupportedError(
                        f"cannot PUT {bucket.object_cname(name)} with {parameter} - operation not supported"
                    )
            if query.get(Q.UPLOAD_ID):
                return self._put_part(request, bucket, name)
            if query.get(Q.OBJECT_TO):
                return self._copy(bucket, name, query[Q.OBJECT_TO])
            if query.get(Q.ARCHPATH):
                return self._put_member(request, bucket, name)
            if query.get(Q.APPEND_TYPE):
                return self._append(request, bucket, name)
        return self._put_object(request, bucket, name)

    def _put_object(self, request: Request, bucket: BucketRef, name: str) -> Outcome:
        length = request.content_length
        is_plain = Q.SKIP_VERSION_CHECK not in request.query and not request.has_any(_PUT_HEADERS)
        if is_plain and length is not None:
            options = _plain_options(length)
        else:
            options = put_options(request.query, request.header, request.header_all, length)
        if length is None or length > COLLECT_SIZE_MAX:
            writer = self._store.open_writer(bucket, name, options)
            return _WriterSink(writer, lambda: _stored(writer.commit()), self._context)
        # A bucket that does not exist is told of before the body has been sent.
        is_durable = self._store.is_durable(bucket)

        if length <= GROUPED_SIZE_MAX and not is_durable:
            return _Collector(
                length,
                lambda body: self._grouped.put(SmallPut(bucket, name, body, options), _stored),
            )

        def store(body: bytes) -> Response:
            return _stored(self._store.put(bucket, name, body, options))

        return _Collector(length, lambda body: self._changes.run(is_durable, store, body))

    def _put_part(self, request: Request, bucket: BucketRef, name: str) -> Outcome:
        """Take a part: straight into the piece that will be a chunk of the object."""
        cname = bucket.object_cname(name)
        number = part_number_of(request.query, cname)
        length = request.content_length
        options = part_options(request.header, length)
        upload = request.query[Q.UPLOAD_ID]
        writer = self._store.open_part_writer(bucket, name, upload, number, options)

        def commit() -> Response:
            return Response(200, part_headers(writer.commit()))

        return _WriterSink(writer, commit, self._context)

    def _copy(self, bucket: BucketRef, name: str, uname: str) -> Outcome:
        target, target_name = parse_uname(uname)
        if not target_name:
            raise InvalidArgumentError(
                f'missing object name in "{uname[:200]}"',
                hint="expected PROVIDER/@UUID#NAMESPACE/BUCKET/OBJECT",
            )

        def copy() -> Response:
            return _stored(self._store.copy(bucket, name, target, target_name))

        return in_pool(self._context, copy)

    def _put_member(self, request: Request, bucket: BucketRef, name: str) -> Outcome:
        query = request.query
        archpath = query[Q.ARCHPATH].lstrip("/").removeprefix(f"{name}/")
        mode = put_mode_of(request.header)
        archmime = archive_format_of(query)
        if request.content_length == 0:
            raise _no_content(bucket.object_cname(name))
        self._store.head_bucket(bucket)

        def put(body: Body, size: int) -> Response:
            if not size:
                raise _no_content(bucket.object_cname(name))

            def members() -> list[Member]:
                return [Member(archpath, size, body)]

            return _stored(put_members(self._context, bucket, name, body, members, mode, archmime))

        return self._whole(request, f"{bucket.object_cname(name)}/{archpath}", put)

    def _append(self, request: Request, bucket: BucketRef, name: str) -> Outcome:
        query = request.query
        handle = query.get(Q.APPEND_HANDLE, "")
        kind = query[Q.APPEND_TYPE]
        if kind == Q.FLUSH:
            if not handle:
                raise InvalidArgumentError(
                    f"cannot flush {bucket.object_cname(name)}: missing {Q.APPEND_HANDLE}"
                )
            checksum = checksum_of(request.header)

            def flush() -> Response:
                return _stored(self._store.flush_append(bucket, name, handle, checksum))

            return in_pool(self._context, flush)
        if kind != Q.APPEND:
            raise InvalidArgumentError(
                f'invalid {Q.APPEND_TYPE} "{kind[:64]}"', hint=f"use {Q.APPEND} or {Q.FLUSH}"
            )
        self._store.head_bucket(bucket)

        def append(body: Body, _: int) -> Response:
            grown = self._store.append(bucket, name, body, handle)
            return Response(200, [(H.APPEND_HANDLE, grown)])

        return self._whole(request, bucket.object_cname(name), append)

    def _whole(self, request: Request, what: str, use: Callable[[Body, int], Response]) -> BodySink:
        """Take a body whole, then `use` it in the pool; `what` it is for is named in errors."""
        length = request.content_length
        if length is not None and length <= COLLECT_SIZE_MAX:
            context = self._context
            return _Collector(length, lambda body: in_pool(context, use, body, len(body)))
        return SpoolSink(self._store.open_spool(what), use, self._context)


class _Collector:
    """A body in memory, of a length that is known (`http.BodySink`)."""

    __slots__ = ("_data", "_length", "_then", "_whole")

    def __init__(self, length: int, then: Callable[[bytes], Answer]) -> None:
        self._length = length
        self._then = then
        self._whole = b""
        self._data: bytearray | None = None

    def write(self, data: memoryview) -> None:
        """Take a block; most bodies are one, and copied once."""
        if len(data) == self._length:
            self._whole = bytes(data)
            return
        if self._data is None:
            self._data = bytearray()
        self._data += data

    def finish(self) -> Answer:
        """Use it."""
        body = self._whole if self._data is None else bytes(self._data)
        self._data = None
        return self._then(body)

    def abort(self) -> None:
        """Forget it."""
        self._data = None
        self._whole = b""


class _WriterSink:
    """A body that goes straight into the file of its object, or of its part (`http.BodySink`)."""

    __slots__ = ("_commit", "_context", "_writer")

    def __init__(
        self,
        writer: "ObjectWriter | PartWriter",
        commit: Callable[[], Response],
        context: ServerContext,
    ) -> None:
        self._writer = writer
        self._commit = commit
        self._context = context

    def write(self, data: memoryview) -> Awaitable[None] | None:
        """Write a block to the file."""
        return push(self._writer, data, self._context)

    def finish(self) -> Awaitable[Response]:
        """Commit: closes a large file, may wait for the disk, and reclaims what was there before."""
        return in_pool(self._context, self._commit)

    def abort(self) -> None:
        """Remove the file; to remove a large one takes its time."""
        try:
            self._context.pool.submit(self._writer.abort)
        except RuntimeError:  # the pool is shut down
            self._writer.abort()


class SpoolSink:
    """A body that waits in a file until it is whole (`http.BodySink`)."""

    __slots__ = ("_context", "_spool", "_use")

    def __init__(
        self, spool: "BodySpool", use: Callable[[Body, int], Response], context: ServerContext
    ) -> None:
        self._spool = spool
        self._use = use
        self._context = context

    def write(self, data: memoryview) -> None:
        """Write a block to the file."""
        self._spool.write(data)

    def finish(self) -> Awaitable[Response]:
        """Use it."""
        return in_pool(self._context, self._run)

    def abort(self) -> None:
        """Forget it."""
        self._spool.close()

    def _run(self) -> Response:
        try:
            self._spool.rewind()
            return self._use(self._spool, self._spool.size)
        finally:
            self._spool.close()


@lru_cache(maxsize=1_024)
def _plain_options(length: int) -> PutOptions:
    return PutOptions(size=length)


def _stored(props: ObjectProps) -> Response:
    return Response(200, props_headers(props, with_size=True))


def _redirect(request: Request, context: ServerContext) -> Response | None:
    """Send the Python SDK to where it will really send its data.

    Over TLS its first request has the headers of the PUT, `Connection: close`, and no body; whatever is not a
    redirect counts as the answer, so that the data would be lost. The second request has the marker parameters. Other
    clients send the body at once and are answered at once.
    """
    query = request.query
    if Q.UNIX_TIME in query or Q.PROXY_ID in query:
        return None
    closes = (request.header("connection") or "").strip().lower() == "close"
    if not closes or not (request.header("user-agent") or "").startswith(_PYTHON_CLIENT):
        return None
    marks = f"{Q.PROXY_ID}={identity_of(context.node.home_id).proxy_id}&{Q.UNIX_TIME}={_base36(time.time_ns())}"
    separator = "&" if request.raw_query else ""
    location = (
        f"{public_url(request, context)}{request.raw_path}?{request.raw_query}{separator}{marks}"
    )
    return Response(307, [(H.LOCATION, location)])


def _base36(number: int) -> str:
    digits = ""
    while number:
        number, digit = divmod(number, 36)
        digits = _BASE36[digit] + digits
    return digits


def _no_content(cname: str) -> InvalidArgumentError:
    return InvalidArgumentError(
        f'failed to archive {cname}: missing "Content-Length" in the request',
        hint="send the member's content as the body",
    )
