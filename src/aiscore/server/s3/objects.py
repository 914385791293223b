"""GET and HEAD of objects, and of ranges and parts of them."""

from collections.abc import Awaitable
from typing import TYPE_CHECKING

from aiscore.errors import RangeNotSatisfiableError
from aiscore.model.byterange import ByteRange
from aiscore.model.objects import GetOptions, ObjectProps
from aiscore.server.conditions import CONDITIONS, PRECONDITION_FAILED, check_read, keeps_range
from aiscore.server.http import Request, Response, ServerContext
from aiscore.server.message import in_pool
from aiscore.server.objects_get import HEADS_MAX, INLINE_SIZE_MAX, encoded
from aiscore.server.s3 import checksums
from aiscore.server.s3.call import Call, s3_etag
from aiscore.server.s3.faults import S3Error
from aiscore.server.s3.metadata import metadata_headers
from aiscore.server.sources import ReaderSource
from aiscore.wire.conditions import quote_etag
from aiscore.wire.ranges import content_range, parse_range
from aiscore.wire.values import format_http_date, header_text

if TYPE_CHECKING:
    from aiscore.engine.opened import Glance

__all__ = ["Objects", "check", "check_version", "part_count"]

Headers = list[tuple[str, str]]

_SPECIAL_HEADERS = frozenset(
    name.encode() for name in (*CONDITIONS, "if-range", "range", "x-amz-checksum-mode")
)
_SPECIAL_QUERY = frozenset(
    {
        "partNumber",
        "versionId",
        "response-cache-control",
        "response-content-disposition",
        "response-content-encoding",
        "response-content-language",
        "response-content-type",
        "response-expires",
    }
)
_RESPONSE = "response-"
_WHOLE = GetOptions()


class Objects:
    """Answers reads. Belongs to one event loop."""

    def __init__(self, context: ServerContext) -> None:
        self._context = context
        self._store = context.node.store
        # By identity, as in `objects_get`: of objects that are asked for again and again.
        self._heads: dict[int, tuple[object, bytes]] = {}

    def get(self, call: Call) -> Response | Awaitable[Response]:
        """GetObject."""
        request = call.request
        is_plain = not request.has_any(_SPECIAL_HEADERS) and _SPECIAL_QUERY.isdisjoint(
            request.query
        )
        if is_plain:
            glance = self._store.glance(call.bucket, call.name, INLINE_SIZE_MAX)
            if glance.data is not None:
                return Response(200, body=glance.data, raw_headers=self._head(request, glance))
        else:
            glance = self._store.glance(call.bucket, call.name, 0)
        if glance.is_cheap:
            return self._open(call)
        return in_pool(self._context, self._open, call)

    def head(self, call: Call) -> Response:
        """HeadObject."""
        request = call.request
        check_version(request)
        props = self._store.head(call.bucket, call.name)
        failed = check(request, props)
        if failed is not None:
            return failed
        wanted, extra = self._wanted(call, props)
        if wanted is None:
            headers = self._headers(request, props)
            return Response(200, headers, content_length=props.size)
        start, length = wanted.resolve(props.size, call.bucket.object_cname(call.key))
        headers = self._headers(request, props, is_whole=False)
        headers += [("Content-Range", content_range(start, length, props.size)), *extra]
        return Response(206, headers, content_length=length)

    def _open(self, call: Call) -> Response:
        """Open, look at the conditions, and answer with what was opened: no write comes in between."""
        request = call.request
        check_version(request)
        reader = self._store.open(call.bucket, call.name, _WHOLE)
        try:
            props = reader.props
            failed = check(request, props)
            if failed is not None:
                reader.close()
                return failed
            wanted, extra = self._wanted(call, props)
            if wanted is not None:
                reader.close()
                reader = self._store.open(call.bucket, call.name, GetOptions(byte_range=wanted))
                if reader.props.etag != props.etag:
                    # Overwritten just now: what was found out above is of another object.
                    reader.close()
                    return self._open(call)
            headers = self._headers(request, props, is_whole=wanted is None)
            status = 200
            if wanted is not None and reader.size is not None and reader.total is not None:
                status = 206
                span = content_range(reader.start, reader.size, reader.total)
                headers += [("Content-Range", span), *extra]
            if reader.size is not None and reader.size <= INLINE_SIZE_MAX:
                with reader:
                    return Response(status, headers, reader.read())
            return Response(status, headers, ReaderSource(reader))
        except BaseException:
            reader.close()
            raise

    def _wanted(self, call: Call, props: ObjectProps) -> tuple[ByteRange | None, Headers]:
        """The part of the object that is asked for, None for all of it; and headers that tell of it."""
        request = call.request
        number = request.query.get("partNumber")
        text = request.header("range")
        if number is not None:
            if text is not None:
                raise S3Error("InvalidRequest", "cannot specify both Range and partNumber")
            return self._part(call, props, number)
        if text is None or not keeps_range(
            request.header("if-range"), s3_etag(props.etag), props.mtime_ns
        ):
            return None, []
        if not text.strip().lower().startswith("bytes=") or "," in text:
            return None, []  # as S3 has it: not understood, so not there
        if text.strip() == "bytes=-0":
            raise RangeNotSatisfiableError(
                "The requested range is not satisfiable", size=props.size
            )
        try:
            return parse_range(text), []
        except RangeNotSatisfiableError:
            return None, []

    def _part(
        self, call: Call, props: ObjectProps, number: str
    ) -> tuple[ByteRange | None, Headers]:
        """The range that a part of the upload became."""
        if not (number.isascii() and number.isdigit() and 1 <= int(number[:9]) <= 10_000):
            raise S3Error("InvalidArgument", "partNumber must be an integer between 1 and 10000")
        count = part_count(props)
        if int(number) > max(1, count):
            raise S3Error("InvalidPartNumber", "The requested partnumber is not satisfiable")
        if not count:
            return (ByteRange(0, props.size) if props.size else None), []
        extra = [("x-amz-mp-parts-count", str(count))]
        chunks = self._store.list_chunks(call.bucket, call.name)
        start = sum(chunk.size for chunk in chunks[: int(number) - 1])
        return ByteRange(start, chunks[int(number) - 1].size), extra

    def _head(self, request: Request, glance: "Glance") -> bytes:
        """The header lines of a whole object, encoded once for as long as it does not change."""
        state = glance.state
        found = self._heads.get(id(state))
        if found is not None and found[0] is state:
            return found[1]
        head = encoded(self._headers(request, self._store.props_of(state)))
        if len(self._heads) >= HEADS_MAX:
            self._heads.clear()
        self._heads[id(state)] = (state, head)
        return head

    def _headers(self, request: Request, props: ObjectProps, *, is_whole: bool = True) -> Headers:
        headers = metadata_headers(props.custom)
        query = request.query
        if query and not _SPECIAL_QUERY.isdisjoint(query):
            headers = _overridden(headers, request)
        headers += [
            ("ETag", quote_etag(s3_etag(props.etag))),
            ("Last-Modified", format_http_date(props.mtime_ns)),
            ("Accept-Ranges", "bytes"),
        ]
        if is_whole:
            headers += checksums.stored_headers(props.custom, request)
        return headers


def _overridden(headers: Headers, request: Request) -> Headers:
    """Headers with what `response-content-type` and its like say instead."""
    given = {
        name.removeprefix(_RESPONSE): value
        for name, value in request.query.items()
        if name.startswith(_RESPONSE) and name in _SPECIAL_QUERY
    }
    kept = [(name, value) for name, value in headers if name.lower() not in given]
    return kept + [(name.title(), header_text(value)) for name, value in given.items()]


def check(request: Request, props: ObjectProps) -> Response | None:
    """The answer that the request's conditions lead to instead of the object."""
    etag = s3_etag(props.etag)
    status = check_read(request.header, etag, props.mtime_ns)
    if status is None:
        return None
    if status == PRECONDITION_FAILED:
        raise S3Error(
            "PreconditionFailed", "At least one of the pre-conditions you specified did not hold"
        )
    return Response(
        status,
        [("ETag", quote_etag(etag)), ("Last-Modified", format_http_date(props.mtime_ns))],
    )


def check_version(request: Request) -> None:
    """Refuse to answer for a version.

    Raises:
        S3Error: the request names one.
    """
    version = request.query.get("versionId")
    if version not in {None, "", "null"}:
        raise S3Error("NoSuchVersion", "The specified version does not exist: none is kept")


def part_count(props: ObjectProps) -> int:
    """Parts that the object was uploaded in, if they can still be told apart; else 0."""
    _, dash, count = props.etag.partition("-")
    if dash and count.isdigit() and len(props.etag) > 32 and int(count) == props.chunk_count:
        return props.chunk_count
    return 0
