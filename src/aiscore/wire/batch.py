"""GetBatch on the wire: the request, the list of what came of it, and the multipart answer of buffered requests.

--BOUNDARY
Content-Disposition: form-data; name="metadata"

{"uuid": ..., "out": [...]}
--BOUNDARY
Content-Disposition: form-data; name="archive"; filename="get-batch[ID]"
Content-Type: application/octet-stream

ARCHIVE
--BOUNDARY--
"""

import binascii
import secrets
from collections.abc import Iterable, Iterator

import msgspec

from aiscore.errors import InvalidArgumentError, InvalidNameError, ProtocolError
from aiscore.model.archive import ArchiveFormat
from aiscore.model.batch import MISSING_PREFIX, BatchEntry, BatchRequest, BatchResult
from aiscore.model.bucket import BucketRef
from aiscore.wire.buckets import bucket_of, object_uname, parse_uname

__all__ = [
    "METADATA_MAX",
    "boundary_of",
    "decode_request",
    "decode_response",
    "encode_request",
    "encode_response",
    "member_name",
    "multipart_head",
    "multipart_tail",
    "multipart_type",
    "new_boundary",
    "split_multipart",
]

METADATA_MAX = 1 << 30
"""Bytes of the metadata part that are held; a million entries have a few hundred MiB at most."""
_HEAD_MAX = 16 << 10
"""Bytes of the headers of one part, and of what stands before the first."""


class _In(msgspec.Struct, omit_defaults=True, gc=False):
    objname: str
    bucket: str | None = None
    provider: str | None = None
    uname: str | None = None
    archpath: str | None = None
    opaque: str | None = None
    start: int | None = None
    length: int | None = None


class _Request(msgspec.Struct, rename={"entries": "in"}):
    entries: list[_In] | None = None
    mime: str | None = None
    coer: bool | None = None
    onob: bool | None = None
    strm: bool | None = None
    coloc: int | None = None


class _Out(msgspec.Struct, omit_defaults=True, gc=False):
    objname: str
    bucket: str
    provider: str
    size: int | str
    archpath: str | None = None
    err_msg: str | None = None
    opaque: str | None = None


class _Response(msgspec.Struct):
    uuid: str = ""
    out: list[_Out] | None = None


# the request


def encode_request(request: BatchRequest) -> bytes:
    """The body of a request (MossReq); the batch's own bucket goes into the path.

    Raises:
        InvalidNameError: a name is not valid Unicode.
    """
    entries = [_encode_entry(entry) for entry in request.entries]
    message = _Request(
        entries,
        request.output_format.value,
        request.cont_on_err,
        request.only_obj_name,
        request.streaming,
        0,
    )
    try:
        return msgspec.json.encode(message)
    except UnicodeEncodeError as exc:
        shown = exc.object.encode("ascii", "backslashreplace").decode()[:100]
        raise InvalidNameError(f'name "{shown}" is invalid: it is not valid Unicode') from exc


def decode_request(body: bytes | memoryview, bucket: BucketRef | None) -> BatchRequest:
    """Read the body of a request.

    Args:
        body: MossReq.
        bucket: of the path; entries that name none are in it.

    Raises:
        InvalidArgumentError: not a request, no entries or too many of them, an unknown format, or an entry whose
            bucket is invalid.
    """
    try:
        message = _decode_request(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as exc:
        raise InvalidArgumentError(f"invalid batch request: {exc}") from exc
    if message.coloc is not None and not 0 <= message.coloc <= 2:
        raise InvalidArgumentError(f"invalid colocation {message.coloc}: expected 0, 1 or 2")
    return BatchRequest(
        entries=[
            BatchEntry(entry.objname, None, entry.archpath or None)
            if entry.bucket is None
            and entry.uname is None
            and entry.opaque is None
            and entry.length is None
            and entry.start is None
            else _decode_entry(entry)
            for entry in message.entries or ()
        ],
        bucket=bucket,
        output_format=ArchiveFormat.parse(message.mime) if message.mime else ArchiveFormat.TAR,
        cont_on_err=bool(message.coer),
        only_obj_name=bool(message.onob),
        streaming=bool(message.strm),
    )


def _encode_entry(entry: BatchEntry) -> _In:
    name, bucket, archpath, opaque, start, length = entry
    encoded = _In(name, archpath=archpath)
    if bucket is not None:
        encoded.bucket = bucket.name
        encoded.provider = bucket.provider.value
        if not bucket.namespace.is_global:
            encoded.uname = object_uname(bucket, name)
    if opaque is not None:
        encoded.opaque = _base64(opaque)
    if start or length:
        encoded.start = start
        encoded.length = length
    return encoded


def _decode_entry(entry: _In) -> BatchEntry:
    bucket: BucketRef | None = None
    if entry.uname:
        bucket, _ = parse_uname(entry.uname)
    elif entry.bucket:
        # Without a provider it is ais, whatever the provider of the path's bucket.
        bucket = bucket_of(entry.bucket, {"provider": entry.provider or ""})
    opaque = None if entry.opaque is None else _unbase64(entry.opaque)
    return BatchEntry(
        entry.objname, bucket, entry.archpath or None, opaque, entry.start or 0, entry.length or 0
    )


# what came of it


def encode_response(uuid: str, results: Iterable[BatchResult]) -> bytes:
    """The metadata part (MossResp): one element an entry, in request order."""
    out = []
    for entry, bucket, _, size, error in results:
        item = _Out(entry.name, bucket.name, bucket.provider.value, size, entry.archpath, error)
        if entry.opaque is not None:
            item.opaque = _base64(entry.opaque)
        out.append(item)
    return msgspec.json.encode(_Response(uuid, out))


def decode_response(
    body: bytes | memoryview, request: BatchRequest
) -> tuple[str, list[BatchResult]]:
    """Job id and results out of the metadata part.

    Args:
        body: MossResp.
        request: what was asked; entries and buckets of the results are its own.

    Raises:
        ProtocolError: not a response, or not one element for each entry of the request.
    """
    try:
        message = _decode_response(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as exc:
        raise ProtocolError(f"invalid batch metadata: {exc}") from exc
    out = message.out or []
    if len(out) != len(request.entries):
        raise ProtocolError(
            f"the batch metadata has {len(out)} entries, expected {len(request.entries)}"
        )
    results = []
    for entry, item in zip(request.entries, out, strict=True):
        if item.objname != entry.name:
            raise ProtocolError(
                f'the batch metadata is out of order: "{item.objname}", expected "{entry.name}"'
            )
        bucket = entry.bucket or request.bucket
        if bucket is None:
            raise InvalidArgumentError(f'missing bucket specification for "{entry.name}"')
        error = item.err_msg or None
        name = member_name(
            entry, bucket, only_obj_name=request.only_obj_name, is_missing=error is not None
        )
        results.append(BatchResult(entry, bucket, name, int(item.size), error))
    return message.uuid, results


def member_name(
    entry: BatchEntry, bucket: BucketRef, *, only_obj_name: bool, is_missing: bool = False
) -> str:
    """Name of an entry in the output archive: `[__404__/][BUCKET/]OBJECT[/ARCHPATH]`."""
    name = entry.name if only_obj_name else f"{bucket.name}/{entry.name}"
    if entry.archpath is not None:
        name = f"{name}/{entry.archpath}"
    return f"{MISSING_PREFIX}{name}" if is_missing else name


# multipart


def new_boundary() -> str:
    """60 random hex digits, as Go's writer makes them: it does not occur in any content."""
    return secrets.token_hex(30)


def multipart_type(boundary: str) -> str:
    """The value of `Content-Type`."""
    return f"multipart/mixed; boundary={boundary}"


def multipart_head(boundary: str, metadata: bytes, filename: str) -> bytes:
    """Everything before the archive: the metadata part, and the headers of the archive's."""
    return b"".join(
        (
            f'--{boundary}\r\nContent-Disposition: form-data; name="metadata"\r\n\r\n'.encode(),
            metadata,
            f'\r\n--{boundary}\r\nContent-Disposition: form-data; name="archive"; '
            f'filename="{filename}"\r\nContent-Type: application/octet-stream\r\n\r\n'.encode(),
        )
    )


def multipart_tail(boundary: str) -> bytes:
    """Everything after the archive."""
    return f"\r\n--{boundary}--\r\n".encode()


def boundary_of(content_type: str) -> str:
    """The boundary in a `Content-Type`.

    Raises:
        ProtocolError: not multipart, or without a usable boundary.
    """
    kind, *parameters = content_type.split(";")
    if kind.strip().lower().startswith("multipart/"):
        for parameter in parameters:
            name, _, value = parameter.partition("=")
            boundary = value.strip().strip('"')
            if name.strip().lower() == "boundary" and 0 < len(boundary) <= 70:
                return boundary
    raise ProtocolError(f'unexpected answer of type "{content_type[:100]}" to a buffered batch')


def split_multipart(
    blocks: Iterable[bytes | memoryview], boundary: str
) -> tuple[bytes, Iterator[bytes]]:
    """Take an answer apart while it arrives.

    Args:
        blocks: the body, in blocks of any size.
        boundary: from `boundary_of`.

    Returns:
        The metadata part, and the archive in blocks; memory holds the metadata and a block.

    Raises:
        ProtocolError: the body is not what `multipart_head` and `multipart_tail` make; also while iterating.
    """
    scanner = _Scanner(iter(blocks), boundary)
    scanner.skip_part_head()
    metadata = b"".join(scanner.part(METADATA_MAX))
    scanner.skip_part_head()
    return metadata, scanner.part(None)


class _Scanner:
    """Reads parts up to the next delimiter; keeps back what could be the beginning of one."""

    def __init__(self, blocks: Iterator[bytes | memoryview], boundary: str) -> None:
        self._blocks = blocks
        self._delimiter = f"\r\n--{boundary}".encode()
        # The first delimiter has no line end before it.
        self._buffer = bytearray(b"\r\n")
        self._head_end = b"\r\n\r\n"
        self._find_first()

    def skip_part_head(self) -> None:
        """Go behind the empty line that ends a part's headers."""
        self._wait_for(self._head_end, "the headers of a part")

    def part(self, limit: int | None) -> Iterator[bytes]:
        """Content up to the delimiter, which is consumed."""
        delimiter = self._delimiter
        keep = len(delimiter) - 1
        total = 0
        while True:
            at = self._buffer.find(delimiter)
            cut = at if at >= 0 else len(self._buffer) - keep
            if cut > 0:
                total += cut
                if limit is not None and total > limit:
                    raise ProtocolError(f"a part of the answer has more than {limit} bytes")
                yield bytes(memoryview(self._buffer)[:cut])
                del self._buffer[: cut if at < 0 else at + len(delimiter)]
            elif at == 0:
                del self._buffer[: len(delimiter)]
            if at >= 0:
                return
            self._more("a part")

    def _find_first(self) -> None:
        self._wait_for(self._delimiter, "the first part")

    def _wait_for(self, wanted: bytes, what: str) -> None:
        while (at := self._buffer.find(wanted)) < 0:
            if len(self._buffer) > _HEAD_MAX:
                raise ProtocolError(f"{what} of the answer is longer than {_HEAD_MAX} bytes")
            self._more(what)
        del self._buffer[: at + len(wanted)]

    def _more(self, what: str) -> None:
        block = next(self._blocks, None)
        if block is None:
            raise ProtocolError(f"the answer ends inside of {what}")
        self._buffer += block


def _base64(value: bytes) -> str:
    return binascii.b2a_base64(value, newline=False).decode("ascii")


def _unbase64(text: str) -> bytes:
    """Standard and URL-safe base64: Go writes the one, the Python client the other."""
    standard = text.replace("-", "+").replace("_", "/")
    try:
        return binascii.a2b_base64(standard + "=" * (-len(standard) % 4), strict_mode=True)
    except (binascii.Error, ValueError) as exc:
        raise InvalidArgumentError(f'invalid opaque "{text[:64]}": expected base64') from exc


_decode_request = msgspec.json.Decoder(_Request).decode
_decode_response = msgspec.json.Decoder(_Response).decode
