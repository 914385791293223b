"""Multipart uploads and rechunk on the wire: AIStore's messages, and what ours add to them.

AIStore knows neither lists of uploads and parts, nor metadata or conditions of an upload. Ours travel in headers and
parameters that others ignore, and in answers that others do not ask for.
"""

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import msgspec

from aiscore.errors import InvalidArgumentError, ProtocolError
from aiscore.model.checksum import Checksum, ChecksumType
from aiscore.model.chunks import RechunkOptions, RechunkResult
from aiscore.model.multipart import (
    CompleteOptions,
    MultipartUpload,
    PartInfo,
    PartOptions,
    PartRef,
    UploadOptions,
)
from aiscore.model.objects import check_custom
from aiscore.model.xaction import XactionSnap
from aiscore.wire.conditions import precondition_headers, precondition_of, quote_etag
from aiscore.wire.messages import decode_json, decode_value
from aiscore.wire.names import H, Q
from aiscore.wire.objects import Header, HeaderAll, Headers, checksum_of, custom_headers, custom_of
from aiscore.wire.values import decode_int, query_bool

__all__ = [
    "complete_options",
    "complete_request",
    "decode_parts",
    "decode_rechunk_result",
    "decode_uploads",
    "encode_parts",
    "encode_rechunk_result",
    "encode_uploads",
    "part_from_headers",
    "part_headers",
    "part_number_of",
    "part_options",
    "part_request",
    "parts_msg",
    "parts_of",
    "rechunk_msg",
    "rechunk_options",
    "rechunk_result",
    "upload_options",
    "upload_request",
]

T = TypeVar("T")


# begin


def upload_request(options: UploadOptions) -> tuple[dict[str, str], Headers]:
    """Query parameters (beside the bucket's) and headers of the POST that begins an upload."""
    return {Q.MD5: Q.TRUE} if options.md5 else {}, custom_headers(options.custom)


def upload_options(query: Mapping[str, str], header_all: HeaderAll) -> UploadOptions:
    """Options of the POST that begins an upload.

    Raises:
        InvalidArgumentError: custom metadata that is none, or too much of it.
    """
    return UploadOptions(custom=check_custom(custom_of(header_all)), md5=query_bool(query, Q.MD5))


# parts


def part_request(
    upload_id: str, number: int, options: PartOptions
) -> tuple[dict[str, str], Headers]:
    """Query parameters (beside the bucket's) and headers of the PUT of a part."""
    query = {Q.UPLOAD_ID: upload_id, Q.PART_NUMBER: str(number)}
    return query, _checksum_headers(options.checksum)


def part_number_of(query: Mapping[str, str], what: str) -> int:
    """The number of a part; whether it is in bounds is for the store to say.

    Raises:
        InvalidArgumentError: it is missing, or no number.
    """
    text = query.get(Q.PART_NUMBER, "")
    try:
        return decode_int(text, Q.PART_NUMBER)
    except InvalidArgumentError:
        raise InvalidArgumentError(
            f'{what}: invalid part number "{text[:32]}" for {Q.UPLOAD_ID} "{query.get(Q.UPLOAD_ID, "")[:128]}"',
            hint=f"expected {Q.PART_NUMBER}=1 and above",
        ) from None


def part_options(header: Header, content_length: int | None) -> PartOptions:
    """Options of the PUT of a part.

    Raises:
        InvalidArgumentError: a checksum that is none.
    """
    return PartOptions(size=content_length, checksum=checksum_of(header))


def part_headers(part: PartInfo) -> Headers:
    """The answer to the PUT of a part."""
    headers = _checksum_headers(part.checksum)
    if part.etag:
        headers.append((H.ETAG, quote_etag(part.etag)))
    return [*headers, (H.MTIME, str(part.mtime_ns)), (H.SIZE, str(part.size))]


def part_from_headers(number: int, size: int, header: Header) -> PartInfo:
    """A part as an answer tells; AIStore's tells nothing, and the part has the `size` that was sent.

    Raises:
        ProtocolError: a header is there and not readable.
    """
    try:
        return PartInfo(
            number=number,
            size=decode_int(header("ais-size") or size, H.SIZE),
            checksum=checksum_of(header),
            etag=(header("etag") or "").strip('"'),
            mtime_ns=decode_int(header("ais-mtime") or 0, H.MTIME),
        )
    except InvalidArgumentError as exc:
        raise ProtocolError(
            f"invalid header in the answer about part {number}: {exc.message}"
        ) from exc


# completion


def complete_request(options: CompleteOptions) -> tuple[dict[str, str], Headers]:
    """Query parameters (beside the bucket's and the id) and headers of the POST that completes an upload."""
    headers = _checksum_headers(options.checksum) + precondition_headers(options.precondition)
    return {Q.PARTIAL: Q.TRUE} if options.partial else {}, headers


def complete_options(query: Mapping[str, str], header: Header) -> CompleteOptions:
    """Options of the POST that completes an upload.

    Raises:
        InvalidArgumentError: a checksum or a condition that is none.
    """
    return CompleteOptions(
        checksum=checksum_of(header),
        precondition=precondition_of(header),
        partial=query_bool(query, Q.PARTIAL),
    )


def parts_msg(parts: Sequence[PartRef]) -> list[dict[str, Any]]:
    """The list that completes an upload; checksums of parts are ours."""
    found = []
    for part in parts:
        raw: dict[str, Any] = {"part-number": part.number, "etag": part.etag}
        if part.checksum is not None:
            raw["checksum"] = {"type": part.checksum.type.value, "value": part.checksum.value}
        found.append(raw)
    return found


def parts_of(raw: bytes | memoryview | msgspec.Raw, what: str) -> list[PartRef]:
    """The reverse of `parts_msg`; `what` is completed is named in errors.

    Raises:
        InvalidArgumentError: there is no list, or something else in it.
    """
    value = decode_json(raw)
    if value is None:
        raise InvalidArgumentError(f"nil parts list to complete {what}")
    if not isinstance(value, list):
        raise InvalidArgumentError(f"invalid parts list to complete {what}: expected a JSON array")
    return [_part_of(item, what) for item in value]


def _part_of(item: object, what: str) -> PartRef:
    if not isinstance(item, Mapping):
        raise InvalidArgumentError(f"invalid part to complete {what}: expected a JSON object")
    fields = {str(key).lower(): value for key, value in item.items()}
    etag, checksum = fields.get("etag"), fields.get("checksum")
    if not isinstance(etag, str | None) or not isinstance(checksum, Mapping | None):
        raise InvalidArgumentError(f"invalid part to complete {what}: expected a text as its ETag")
    found = None
    if checksum:
        found = Checksum.parse(str(checksum.get("type", "")), str(checksum.get("value", "")))
    number = decode_int(fields.get("part-number"), "part-number")
    return PartRef(number=number, etag=etag or "", checksum=found)


# lists


class _Checksum(msgspec.Struct):
    type: str = ""
    value: str = ""


class _Part(msgspec.Struct):
    number: int
    size: int
    checksum: _Checksum | None = None
    etag: str = ""
    mtime_ns: int = 0


class _Parts(msgspec.Struct):
    parts: list[_Part]


class _Uploads(msgspec.Struct):
    uploads: list[MultipartUpload]


def encode_uploads(uploads: Sequence[MultipartUpload]) -> dict[str, Any]:
    """Answer to a list of uploads, as JSON values."""
    return {"uploads": [msgspec.to_builtins(upload) for upload in uploads]}


def decode_uploads(body: bytes | memoryview) -> list[MultipartUpload]:
    """The reverse of `encode_uploads`.

    Raises:
        ProtocolError: something else.
    """
    return _convert(body, _Uploads, "list of uploads").uploads


def encode_parts(parts: Sequence[PartInfo]) -> dict[str, Any]:
    """Answer to a list of parts, as JSON values."""
    return {"parts": [msgspec.to_builtins(part) for part in parts]}


def decode_parts(body: bytes | memoryview) -> list[PartInfo]:
    """The reverse of `encode_parts`.

    Raises:
        ProtocolError: something else.
    """
    found = _convert(body, _Parts, "list of parts").parts
    try:
        return [
            PartInfo(
                number=part.number,
                size=part.size,
                checksum=Checksum.parse(part.checksum.type, part.checksum.value)
                if part.checksum
                else None,
                etag=part.etag,
                mtime_ns=part.mtime_ns,
            )
            for part in found
        ]
    except InvalidArgumentError as exc:
        raise ProtocolError(f"invalid list of parts in the answer: {exc.message}") from exc


# rechunk


class _RechunkMsg(
    msgspec.Struct,
    rename={"objsize_limit": "ObjSizeLimit", "chunk_size": "ChunkSize", "prefix": "Prefix"},
):
    objsize_limit: int | None = None
    chunk_size: int | None = None
    prefix: str = ""
    bandwidth: int = 0


def rechunk_msg(options: RechunkOptions) -> dict[str, Any]:
    """A rechunk as message; both sizes must be there, and a dry run is not for this message."""
    assert options.chunk_size is not None
    assert not options.dry_run, "AIStore would rewrite the objects"
    value: dict[str, Any] = {
        "ObjSizeLimit": options.objsize_limit or 0,
        "ChunkSize": options.chunk_size,
        "Prefix": options.prefix,
    }
    if options.bandwidth:
        value["bandwidth"] = options.bandwidth
    return value


def rechunk_options(raw: bytes | memoryview | msgspec.Raw) -> RechunkOptions:
    """Options of a rechunk: a size that is missing is the bucket's, but a chunk size of zero is refused.

    Raises:
        InvalidArgumentError: not a message, or a size out of bounds.
    """
    message = decode_value(raw, _RechunkMsg)
    return RechunkOptions(
        objsize_limit=message.objsize_limit,
        chunk_size=message.chunk_size,
        prefix=message.prefix,
        bandwidth=message.bandwidth,
    )


def rechunk_result(snap: XactionSnap) -> RechunkResult:
    """What a job did; a cluster of AIStore counts all objects it looked at, and tells no more.

    Raises:
        ProtocolError: a count is none.
    """
    counts = {key: snap.ext[key] for key in _COUNTS if key in snap.ext}
    if not counts:
        return RechunkResult(objects=snap.objects, size=snap.size)
    try:
        return msgspec.convert(counts, RechunkResult, strict=False)
    except msgspec.ValidationError as exc:
        raise ProtocolError(f"invalid counts of job {snap.id}: {exc}") from exc


def encode_rechunk_result(result: RechunkResult) -> dict[str, int]:
    """Answer to a dry run, as JSON values."""
    return {name: getattr(result, name) for name in _COUNTS}


def decode_rechunk_result(body: bytes | memoryview) -> RechunkResult:
    """The reverse of `encode_rechunk_result`.

    Raises:
        ProtocolError: something else.
    """
    return _convert(body, RechunkResult, "result of a rechunk")


_COUNTS = (
    "objects",
    "size",
    "chunked",
    "chunked_size",
    "restored",
    "restored_size",
    "overtaken",
)


def _checksum_headers(checksum: Checksum | None) -> Headers:
    if checksum is None or checksum.type is ChecksumType.NONE:
        return []
    return [(H.CHECKSUM_TYPE, checksum.type.value), (H.CHECKSUM_VALUE, checksum.value)]


def _convert(body: bytes | memoryview, cls: type[T], what: str) -> T:
    try:
        return msgspec.json.decode(body, type=cls)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as exc:
        raise ProtocolError(f"invalid {what} in the answer: {exc}") from exc
