"""GET and HEAD of objects, ranges and members of shards.

A small object is answered on the event loop, from one call of the engine and a head that was encoded before: that is
most of what a store is asked for. A file of a tar whose members are known is answered there, too. What has to open
several files, verify, unpack, or look through an archive goes to the pool.
"""

from collections.abc import Awaitable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from aiscore.errors import InvalidArgumentError, PreconditionFailedError, UnsupportedError
from aiscore.model.bucket import BucketRef
from aiscore.model.objects import GetOptions, ObjectProps
from aiscore.model.units import parse_query_bool
from aiscore.server.conditions import CONDITIONS, PRECONDITION_FAILED, check_read, keeps_range
from aiscore.server.http import Request, Response, ServerContext
from aiscore.server.message import in_pool
from aiscore.server.objectpath import object_of
from aiscore.server.sources import ReaderSource
from aiscore.wire.conditions import quote_etag
from aiscore.wire.names import OCTETS_TYPE, H, Q
from aiscore.wire.objects import Headers, get_options, head_headers, parse_wanted, props_headers
from aiscore.wire.ranges import content_range
from aiscore.wire.values import format_http_date, query_int

if TYPE_CHECKING:
    from aiscore.engine.index.objects import ObjectRow

__all__ = ["HEADS_MAX", "INLINE_SIZE_MAX", "ObjectReads", "encoded"]

INLINE_SIZE_MAX = 256 << 10
"""Bytes of an object that is read on the event loop: 40 µs from the page cache, what a hop to the pool costs."""
HEADS_MAX = 16_384
"""Encoded heads that are kept, of some 300 bytes each."""
EXISTS_OUTSIDE = 5
_NO_PROPS = frozenset({1, 3})
"""`presence` that asks only whether the object is there."""
_TAR_TYPE = "application/x-tar"
_WHOLE = GetOptions()
_BUCKET_QUERY = frozenset({Q.PROVIDER, Q.NAMESPACE})
_SPECIAL_HEADERS = frozenset(
    name.encode() for name in (*CONDITIONS, "if-range", "range", "ais-blob-download")
)
"""Without these, and without more of a query than the bucket's, a GET is for the whole object as it is."""


class ObjectReads:
    """Answers GET and HEAD. Belongs to one event loop."""

    def __init__(self, context: ServerContext) -> None:
        self._context = context
        self._store = context.node.store
        # By identity: a state is never the same object for two objects while it stands here.
        self._heads: dict[int, tuple[object, bytes]] = {}

    def get(self, request: Request) -> Response | Awaitable[Response]:
        """Content of an object, of a range of it, or of members of a shard."""
        bucket, name = object_of(request)
        if not request.has_any(_SPECIAL_HEADERS) and request.query.keys() <= _BUCKET_QUERY:
            glance = self._store.glance(bucket, name, INLINE_SIZE_MAX)
            if glance.data is not None:
                return Response(
                    200,
                    body=glance.data,
                    raw_headers=self._head(glance.state),
                    repeat=partial(self._store.read_again, glance.state)
                    if glance.is_cheap
                    else None,
                )
            if glance.is_cheap:
                return self._open_whole(bucket, name)
            options = _WHOLE
        else:
            _refuse_unsupported(request, bucket)
            options = get_options(request.query, request.header)
            glance = self._store.glance(bucket, name, 0)
        if self._store.is_quick(glance, options):
            return self._open(request, bucket, name, options)
        return in_pool(self._context, self._open, request, bucket, name, options)

    def head(self, request: Request) -> Response:
        """Properties of an object."""
        bucket, name = object_of(request)
        query = request.query
        presence = query_int(query, Q.PRESENCE)
        wanted = parse_wanted(query[Q.PROPS]) if Q.PROPS in query else None
        props = self._store.head(bucket, name)
        if presence == EXISTS_OUTSIDE:
            raise InvalidArgumentError(
                f"{bucket.object_cname(name)} is present in the cluster (presence {presence} asks for what is not)"
            )
        failed = self._check(request, props, bucket)
        if failed is not None:
            return failed
        if presence in _NO_PROPS:
            return Response(200, content_length=props.size)
        return Response(200, head_headers(props, bucket, wanted), content_length=props.size)

    def _open_whole(self, bucket: BucketRef, name: str) -> Response:
        reader = self._store.open(bucket, name, _WHOLE)
        try:
            return Response(200, body=ReaderSource(reader), raw_headers=self._head(reader.state))
        except BaseException:
            reader.close()
            raise

    def _open(
        self, request: Request, bucket: BucketRef, name: str, options: GetOptions
    ) -> Response:
        """Open, look at the conditions, and answer with what was opened: no write comes in between."""
        reader = self._store.open(bucket, name, options)
        try:
            props = reader.props
            failed = self._check(request, props, bucket)
            if failed is not None:
                reader.close()
                return failed
            if options.byte_range is not None and not keeps_range(
                request.header("if-range"), props.etag, props.mtime_ns
            ):
                reader.close()
                options = replace(options, byte_range=None)
                reader = self._store.open(bucket, name, options)
                props = reader.props
            is_part = options.byte_range is not None
            is_selection = reader.size is None
            headers: Headers = [
                (H.CONTENT_TYPE, _TAR_TYPE if is_selection else OCTETS_TYPE),
                *props_headers(props, with_size=is_part or reader.size != props.size),
                (H.LAST_MODIFIED, format_http_date(props.mtime_ns)),
            ]
            if not is_selection:
                headers.append((H.ACCEPT_RANGES, "bytes"))
            if is_part and reader.size is not None and reader.total is not None:
                span = content_range(reader.start, reader.size, reader.total)
                headers.append((H.CONTENT_RANGE, span))
            status = 206 if is_part else 200
            if reader.size is not None and reader.size <= INLINE_SIZE_MAX:
                with reader:
                    return Response(status, headers, reader.read())
            return Response(status, headers, ReaderSource(reader))
        except BaseException:
            reader.close()
            raise

    def _check(self, request: Request, props: ObjectProps, bucket: BucketRef) -> Response | None:
        """The answer that the request's conditions lead to instead of the object."""
        status = check_read(request.header, props.etag, props.mtime_ns)
        if status is None:
            return None
        if status == PRECONDITION_FAILED:
            raise PreconditionFailedError(
                f'{bucket.object_cname(props.name)} has etag "{props.etag}": a condition of the request does not hold'
            )
        validators: Headers = [
            (H.ETAG, quote_etag(props.etag)),
            (H.LAST_MODIFIED, format_http_date(props.mtime_ns)),
        ]
        return Response(status, validators)

    def _head(self, state: "ObjectRow") -> bytes:
        """The header lines of an object, encoded once for as long as it does not change."""
        found = self._heads.get(id(state))
        if found is not None and found[0] is state:
            return found[1]
        props = self._store.props_of(state)
        head = encoded(
            [
                (H.CONTENT_TYPE, OCTETS_TYPE),
                *props_headers(props),
                (H.LAST_MODIFIED, format_http_date(props.mtime_ns)),
                (H.ACCEPT_RANGES, "bytes"),
            ]
        )
        if len(self._heads) >= HEADS_MAX:
            self._heads.clear()
        self._heads[id(state)] = (state, head)
        return head


def encoded(headers: Headers) -> bytes:
    """Header lines as `Response.raw_headers` has them."""
    text = "".join([f"{name}: {value}\r\n" for name, value in headers])
    if text.count("\n") != len(headers) or text.count("\r") != len(headers) or "\0" in text:
        raise ValueError("header with a line end or a NUL")
    return text.encode("utf-8", "replace")


def _refuse_unsupported(request: Request, bucket: BucketRef) -> None:
    query = request.query
    name = query.get(Q.ETL_NAME) or query.get(Q.ETL_PIPELINE)
    if name:
        raise UnsupportedError(
            f'cannot transform with "{name[:100]}" - operation not supported',
            hint="read the object, and transform it in your own process",
        )
    if parse_query_bool(request.header("ais-blob-download") or ""):
        raise InvalidArgumentError(
            f"cannot blob-download from {bucket}: not a remote bucket",
            hint="read it without Ais-Blob-Download",
        )
