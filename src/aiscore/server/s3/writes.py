"""PUT, copy and DELETE of objects."""

import contextlib
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from functools import lru_cache, partial
from urllib.parse import unquote_to_bytes

from aiscore.engine.puts import SmallPut
from aiscore.errors import InvalidArgumentError, ObjectNotFoundError
from aiscore.model.bucket import BucketRef
from aiscore.model.objects import CopyTerms, ObjectProps, Precondition, PutOptions
from aiscore.server.changes import Changes
from aiscore.server.conditions import check_read
from aiscore.server.grouped import GROUPED_SIZE_MAX, GroupedPuts
from aiscore.server.http import BodySink, Request, Response, ServerContext
from aiscore.server.message import in_pool
from aiscore.server.objects_put import COLLECT_SIZE_MAX
from aiscore.server.s3 import checksums
from aiscore.server.s3.algorithms import Algorithm, ChecksumKind, new_digest
from aiscore.server.s3.bodies import Collected, CollectedBeside, Pushed
from aiscore.server.s3.body import CHECKSUM_KEY, Received
from aiscore.server.s3.call import Call, s3_etag, stored_etag, xml_response
from aiscore.server.s3.faults import S3Error
from aiscore.server.s3.metadata import TAGS_KEY, custom_of, refuse_unsupported
from aiscore.server.s3.names import bucket_named, name_of
from aiscore.server.s3.xml import XmlWriter
from aiscore.wire.conditions import precondition_of, quote_etag
from aiscore.wire.values import format_rfc3339

__all__ = ["Writes", "source_check", "source_of", "write_condition", "xml_time"]

HASHED_INLINE_MAX = 128 << 10
"""Bytes of a body whose MD5 is computed on the event loop: a quarter of a millisecond, some hops to the pool."""
_COPY, _REPLACE = "COPY", "REPLACE"
_SOURCE = "x-amz-copy-source"
_SOURCE_CONDITIONS = {
    "if-match": f"{_SOURCE}-if-match",
    "if-none-match": f"{_SOURCE}-if-none-match",
    "if-modified-since": f"{_SOURCE}-if-modified-since",
    "if-unmodified-since": f"{_SOURCE}-if-unmodified-since",
}


class Writes:
    """Answers writes. Belongs to one event loop."""

    def __init__(self, context: ServerContext) -> None:
        self._context = context
        self._store = context.node.store
        self._changes = Changes(context)
        self._grouped = GroupedPuts(context)

    def put(self, call: Call) -> BodySink:
        """PutObject."""
        request = call.request
        refuse_unsupported(request)
        length = checksums.content_length(request)
        options = PutOptions(
            size=length,
            checksum=checksums.content_md5(request),
            custom=custom_of(request),
            precondition=write_condition(request),
            skip_same=False,
            md5=True,
        )
        # A bucket that does not exist is told of before the body has been sent.
        is_durable = self._store.is_durable(call.bucket)
        if length is None or length > COLLECT_SIZE_MAX:
            writer = self._store.open_writer(call.bucket, call.name, options)

            def commit(received: Received) -> Response:
                return _stored(writer.commit(_custom_of(received)), received)

            inbound = Pushed(writer, commit, self._context)
            return checksums.body_sink(request, inbound, call.identity, compares_md5=False)

        def put_of(body: bytes, received: Received) -> SmallPut:
            extra = _custom_of(received)
            chosen = options
            if extra:
                chosen = replace(options, custom={**options.custom, **extra})
            return SmallPut(call.bucket, call.name, body, chosen)

        def store(body: bytes, received: Received) -> Response:
            return _stored(self._store.put(*put_of(body, received)), received)

        def take(body: bytes, received: Received) -> Response | Awaitable[Response]:
            if is_durable or len(body) > GROUPED_SIZE_MAX:
                return self._changes.run(is_durable, store, body, received)
            return self._grouped.put(put_of(body, received), lambda props: _stored(props, received))

        collected = (
            Collected(length, take)
            if length <= HASHED_INLINE_MAX
            else CollectedBeside(length, store, self._context)
        )
        return checksums.body_sink(request, collected, call.identity, compares_md5=False)

    def copy(self, call: Call) -> Awaitable[Response]:
        """CopyObject."""
        request = call.request
        refuse_unsupported(request)
        bucket, key = source_of(request)
        name = name_of(key)
        replaces = _directive(request, "x-amz-metadata-directive") == _REPLACE
        retags = _directive(request, "x-amz-tagging-directive") == _REPLACE
        algorithm = checksums.algorithm_asked(request)
        changes = replaces or retags or algorithm is not None
        changes = changes or request.header("x-amz-storage-class") is not None
        if (bucket, key) == (call.bucket, call.key) and not changes:
            raise S3Error(
                "InvalidRequest",
                "This copy request is illegal because it is trying to copy an object to itself without changing the "
                "object's metadata or its checksum",
            )
        given = custom_of(request)
        precondition = write_condition(request)
        check = source_check(request)

        def copy() -> Response:
            custom = None
            if replaces or retags:
                before = self._store.head(bucket, name).custom
                custom = _laid_over(before, given, replaces=replaces, retags=retags)
            terms = CopyTerms(
                custom=custom,
                precondition=precondition,
                check=check,
                derive=None if algorithm is None else partial(_checksum_with, algorithm),
            )
            props = self._store.copy(bucket, name, call.bucket, call.name, terms)
            writer = XmlWriter("CopyObjectResult")
            writer.text("LastModified", xml_time(props.mtime_ns))
            writer.text("ETag", quote_etag(s3_etag(props.etag)))
            for element, value in checksums.elements(props.custom):
                writer.text(element, value)
            return xml_response(writer)

        return in_pool(self._context, copy)

    def delete(self, call: Call) -> Response | Awaitable[Response]:
        """DeleteObject; what is not there is deleted already."""
        if call.request.query.get("versionId") not in {None, "", "null"}:
            raise S3Error("NoSuchVersion", "The specified version does not exist: none is kept")
        precondition = write_condition(call.request)

        def delete() -> Response:
            with contextlib.suppress(ObjectNotFoundError):
                self._store.delete(call.bucket, call.name, precondition)
            return Response(204)

        return self._changes.run(self._store.is_durable(call.bucket), delete)


def write_condition(request: Request) -> Precondition | None:
    """The condition of a PUT, copy, complete or DELETE.

    Raises:
        S3Error: `NotImplemented` for one that cannot be kept.
    """
    try:
        wanted = precondition_of(request.header)
    except InvalidArgumentError as exc:
        raise S3Error("NotImplemented", exc.message) from None
    if wanted is None or wanted.if_etag is None:
        return wanted
    return Precondition(if_etag=stored_etag(wanted.if_etag), if_version=wanted.if_version)


def source_of(request: Request) -> tuple[BucketRef, str]:
    """Bucket and key in `x-amz-copy-source`.

    Raises:
        S3Error: it is malformed, or names a version.
    """
    path, question, query = (request.header(_SOURCE) or "").partition("?")
    try:
        text = unquote_to_bytes(path).decode()
    except UnicodeDecodeError:
        raise S3Error("InvalidArgument", "x-amz-copy-source is not UTF-8") from None
    if question and query not in {"versionId=null", ""}:
        raise S3Error("NoSuchVersion", "The specified version does not exist: none is kept")
    bucket, _, key = text.removeprefix("/").partition("/")
    if not bucket or not key:
        raise S3Error("InvalidArgument", "Invalid copy source: expected /BUCKET/KEY")
    return bucket_named(bucket), key


def source_check(request: Request) -> Callable[[ObjectProps], None]:
    """What the conditions of a copy want of its source."""

    def header(name: str) -> str | None:
        return request.header(_SOURCE_CONDITIONS[name])

    def check(props: ObjectProps) -> None:
        if check_read(header, s3_etag(props.etag), props.mtime_ns) is not None:
            raise S3Error(
                "PreconditionFailed",
                "At least one of the pre-conditions you specified did not hold",
            )

    return check


def _checksum_with(
    algorithm: Algorithm, props: ObjectProps, content: Iterable[bytes]
) -> dict[str, str]:
    """The checksum that a copy is to have, when its source has it not."""
    if any(
        known is algorithm and kind is ChecksumKind.FULL_OBJECT
        for known, kind, _ in checksums.stored(props.custom)
    ):
        return {}
    digest = new_digest(algorithm)
    for block in content:
        digest.update(block)
    return {CHECKSUM_KEY: checksums.storable(algorithm, digest.digest())}


def xml_time(time_ns: int) -> str:
    """`2025-11-23T05:18:00.123Z`: S3's, in UTC, to the millisecond."""
    return f"{_seconds_text(time_ns // 10**9)}.{time_ns // 10**6 % 1000:03}Z"


@lru_cache(maxsize=1024)
def _seconds_text(seconds: int) -> str:
    # A thousand entries of a page share a few seconds.
    return format_rfc3339(seconds * 10**9)[:19]


def _directive(request: Request, header: str) -> str:
    value = request.header(header) or _COPY
    if value not in {_COPY, _REPLACE}:
        raise S3Error("InvalidArgument", f"Unknown metadata directive in {header}")
    return value


def _laid_over(
    before: "dict[str, str] | object", given: dict[str, str], *, replaces: bool, retags: bool
) -> dict[str, str]:
    assert isinstance(before, dict)
    custom = dict(given if replaces else before)
    custom.pop(TAGS_KEY, None)
    tags = (given if retags else before).get(TAGS_KEY)
    if tags:
        custom[TAGS_KEY] = tags
    return custom


def _custom_of(received: Received) -> dict[str, str]:
    return {CHECKSUM_KEY: received.checksum} if received.checksum else {}


def _stored(props: ObjectProps, received: Received) -> Response:
    return Response(200, [("ETag", quote_etag(s3_etag(props.etag))), *received.headers])
