"""GetObjectAttributes: what is known of an object, and of the parts that it was uploaded in.

Checksums of the parts are not kept: they are computed from the content when somebody asks, which costs what a GET of
these parts does. So a page ends early where it would have to read too much.
"""

from collections.abc import Awaitable
from typing import Final

from aiscore.model.byterange import ByteRange
from aiscore.model.objects import GetOptions, ObjectProps
from aiscore.model.stream import BLOCK_SIZE
from aiscore.server.http import Response, ServerContext
from aiscore.server.message import in_pool
from aiscore.server.s3 import checksums
from aiscore.server.s3.algorithms import Algorithm, encode, new_digest
from aiscore.server.s3.call import Call, s3_etag, xml_response
from aiscore.server.s3.faults import S3Error
from aiscore.server.s3.objects import check, check_version, part_count
from aiscore.server.s3.xml import XmlWriter
from aiscore.wire.values import format_http_date

__all__ = ["Attributes"]

_ATTRIBUTES: Final = frozenset({"ETag", "Checksum", "ObjectParts", "StorageClass", "ObjectSize"})
_PARTS_MAX = 1_000
_READ_BYTES_MAX = 1 << 30
"""Of the parts of one page, after the first."""


class Attributes:
    """Answers GetObjectAttributes."""

    def __init__(self, context: ServerContext) -> None:
        self._context = context
        self._store = context.node.store

    def get(self, call: Call) -> Awaitable[Response]:
        """GetObjectAttributes."""
        request = call.request
        wanted = {
            word.strip()
            for text in request.header_all("x-amz-object-attributes")
            for word in text.split(",")
        } - {""}
        if not wanted or wanted - _ATTRIBUTES:
            raise S3Error("InvalidArgument", "invalid x-amz-object-attributes")
        check_version(request)
        after = _number(call, "x-amz-part-number-marker", 0)
        limit = min(_number(call, "x-amz-max-parts", _PARTS_MAX), _PARTS_MAX)

        def answer() -> Response:
            props = self._store.head(call.bucket, call.name)
            failed = check(request, props)
            if failed is not None:
                return failed
            writer = XmlWriter("GetObjectAttributesResponse")
            if "ETag" in wanted:
                writer.text("ETag", s3_etag(props.etag))
            found = checksums.elements(props.custom)
            if "Checksum" in wanted and found:
                writer.start("Checksum")
                for name, value in found:
                    writer.text(name, value)
                writer.end()
            if "ObjectParts" in wanted and part_count(props):
                parts = self._parts(call, props, after, limit)
                if parts is None:
                    return answer()
                _write_parts(writer, parts, part_count(props), after, limit)
            if "StorageClass" in wanted:
                writer.text("StorageClass", "STANDARD")
            if "ObjectSize" in wanted:
                writer.text("ObjectSize", props.size)
            return xml_response(writer, [("Last-Modified", format_http_date(props.mtime_ns))])

        return in_pool(self._context, answer)

    def _parts(
        self, call: Call, props: ObjectProps, after: int, limit: int
    ) -> list[tuple[int, int, list[tuple[Algorithm, str]]]] | None:
        """Number, size and checksums of parts; None when the object is another one by now."""
        chunks = self._store.list_chunks(call.bucket, call.name)
        algorithms = [algorithm for algorithm, _, _ in checksums.stored(props.custom)]
        chosen: list[tuple[int, int]] = []
        total = 0
        for number, chunk in enumerate(chunks[after : after + limit], start=after + 1):
            total += chunk.size
            if algorithms and chosen and total > _READ_BYTES_MAX:
                break
            chosen.append((number, chunk.size))
        if not chosen:
            return []
        if not algorithms:
            return [(number, size, []) for number, size in chosen]
        start = sum(chunk.size for chunk in chunks[:after])
        span = ByteRange(start, sum(size for _, size in chosen))
        found = []
        with self._store.open(call.bucket, call.name, GetOptions(byte_range=span)) as reader:
            if reader.props.etag != props.etag:
                return None
            for number, size in chosen:
                digests = [new_digest(algorithm) for algorithm in algorithms]
                left = size
                while left:
                    block = reader.read(min(left, BLOCK_SIZE))
                    if not block:
                        return None
                    left -= len(block)
                    for digest in digests:
                        digest.update(block)
                values = [encode(digest.digest()) for digest in digests]
                found.append((number, size, list(zip(algorithms, values, strict=True))))
        return found


def _write_parts(
    writer: XmlWriter,
    parts: list[tuple[int, int, list[tuple[Algorithm, str]]]],
    count: int,
    after: int,
    limit: int,
) -> None:
    last = parts[-1][0] if parts else after
    writer.start("ObjectParts")
    writer.text("PartsCount", count)
    writer.text("PartNumberMarker", after)
    writer.text("NextPartNumberMarker", last)
    writer.text("MaxParts", limit)
    writer.text("IsTruncated", "true" if limit and last < count else "false")
    for number, size, values in parts:
        writer.start("Part")
        writer.text("PartNumber", number)
        writer.text("Size", size)
        for algorithm, value in values:
            writer.text(algorithm.element, value)
        writer.end()
    writer.end()


def _number(call: Call, header: str, default: int) -> int:
    text = call.request.header(header)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit()) or len(text) > 9:
        raise S3Error("InvalidArgument", f"{header} must be a number")
    return int(text)
