"""What S3 endpoints answer: XML within limits, and errors as their class."""

import re
from collections.abc import Iterator, Mapping, Sequence
from urllib.parse import unquote_plus
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape

from aiscore.errors import (
    AccessDeniedError,
    AisError,
    BucketNotFoundError,
    BusyError,
    ChecksumMismatchError,
    InvalidArgumentError,
    NotFoundError,
    ObjectNotFoundError,
    PreconditionFailedError,
    RangeNotSatisfiableError,
    ThrottledError,
    TransportError,
    UnavailableError,
    UnsupportedError,
)
from aiscore.model.objects import EntryFlag, ListEntry, ListPage
from aiscore.transport.answer import MalformedAnswerError, Response

__all__ = [
    "ANSWER_MAX",
    "NotAllowedError",
    "delete_body",
    "error_in",
    "error_of",
    "failed_names",
    "listing_of",
    "parse",
    "parts_body",
]

ANSWER_MAX = 16 << 20
"""Bytes of an answer in XML: a page of 1,000 of the longest names has 4 MiB."""
_ERROR_MAX = 64 << 10
_PRINTABLE = re.compile(r"[^\x20-\x7e\xa0-\U0010ffff]")


class NotAllowedError(AccessDeniedError):
    """The credentials are good, and not for this."""


_CLASS_OF_CODE: Mapping[str, type[AisError]] = {
    "AccessDenied": NotAllowedError,
    "NoSuchBucket": BucketNotFoundError,
    "NoSuchKey": ObjectNotFoundError,
    "NoSuchUpload": NotFoundError,
    "BadDigest": ChecksumMismatchError,
    "XAmzContentChecksumMismatch": ChecksumMismatchError,
    "SlowDown": ThrottledError,
    "TooManyRequests": ThrottledError,
    "RequestTimeTooSkewed": AccessDeniedError,
}
_CLASS_OF_STATUS: Mapping[int, type[AisError]] = {
    401: AccessDeniedError,
    403: AccessDeniedError,
    404: NotFoundError,
    409: BusyError,
    412: PreconditionFailedError,
    416: RangeNotSatisfiableError,
    429: ThrottledError,
    501: UnsupportedError,
    503: UnavailableError,
}


def parse(data: bytes, url: str, *roots: str) -> ET.Element:
    """A document whose root is one of `roots`, names without their namespace.

    Raises:
        MalformedAnswerError: it is something else, or declares entities.
    """
    try:
        if b"<!" in data:
            raise ValueError
        found = ET.fromstring(data)
    except (ET.ParseError, ValueError):
        raise MalformedAnswerError(
            f"{url} answers without the XML of S3",
            hint="check -s3endpoint: is that an S3 endpoint, and its path right?",
        ) from None
    for element in found.iter():
        element.tag = element.tag.rpartition("}")[2]
    if found.tag not in roots:
        raise MalformedAnswerError(f"{url} answers with {found.tag[:64]!a}, expected {roots[0]}")
    return found


def error_of(response: Response, what: str, *, is_bucket: bool) -> AisError:
    """The error that an answer stands for.

    Args:
        response: of status 300 or above; it is read and closed.
        what: the bucket or object that the request was for.
        is_bucket: it is a bucket: a 404 without a body is about it.
    """
    try:
        with response:
            body = response.read_all(_ERROR_MAX)
    except TransportError:
        body = b""
    fields = _fields(body)
    region = response.header("x-amz-bucket-region") or fields.get("Region", "")
    code = fields.get("Code", "")
    return _made(
        response.status, code, fields.get("Message", ""), what, region, is_bucket=is_bucket
    )


def error_in(body: bytes, what: str) -> AisError | None:
    """The error in an answer of status 200: S3 begins to answer before it knows how a completion ends."""
    fields = _fields(body) if b"<Error" in body else {}
    if not fields.get("Code"):
        return None
    return _made(500, fields["Code"], fields.get("Message", ""), what, "", is_bucket=False)


def listing_of(data: bytes, url: str) -> ListPage:
    """A page of `ListObjectsV2`."""
    # The second is what AIStore calls it.
    root = parse(data, url, "ListBucketResult", "ListObjectResult")
    is_encoded = root.findtext("EncodingType") == "url"
    entries = []
    for found in root.iterfind("Contents"):
        key, size = found.findtext("Key") or "", found.findtext("Size") or "0"
        if not key or not size.isdecimal():
            raise MalformedAnswerError(f"{url} lists an object without name or size")
        name = unquote_plus(key) if is_encoded else key
        flags = EntryFlag.DIRECTORY if name.endswith("/") and size == "0" else EntryFlag(0)
        entries.append(ListEntry(name, int(size[:19]), flags=flags))
    token = ""
    if root.findtext("IsTruncated") == "true":
        token = root.findtext("NextContinuationToken") or ""
        if not token:
            raise MalformedAnswerError(f"{url} lists a part, and does not say how to go on")
    return ListPage(entries, token)


def delete_body(names: Sequence[str]) -> bytes:
    """The request of `DeleteObjects`."""
    objects = "".join(f"<Object><Key>{_escaped(name)}</Key></Object>" for name in names)
    return f"<Delete><Quiet>true</Quiet>{objects}</Delete>".encode()


def failed_names(data: bytes, url: str) -> Iterator[tuple[str, str]]:
    """Name and reason of what `DeleteObjects` has not deleted."""
    for found in parse(data, url, "DeleteResult").iterfind("Error"):
        reason = f"{found.findtext('Code') or 'error'}: {found.findtext('Message') or ''}"
        yield found.findtext("Key") or "", _shown(reason)


def parts_body(parts: Sequence[tuple[int, str]]) -> bytes:
    """The request of `CompleteMultipartUpload`: numbers and ETags."""
    listed = "".join(
        f'<Part><PartNumber>{number}</PartNumber><ETag>"{_escaped(etag)}"</ETag></Part>'
        for number, etag in parts
    )
    return f"<CompleteMultipartUpload>{listed}</CompleteMultipartUpload>".encode()


def _escaped(text: str) -> str:
    # A carriage return would be read as a line feed.
    return escape(text, {"\r": "&#13;"})


def _fields(body: bytes) -> dict[str, str]:
    """Of an error's body; empty for anything else."""
    try:
        root = parse(body, "", "Error")
    except MalformedAnswerError:
        return {}
    return {element.tag: (element.text or "").strip() for element in root}


def _made(
    status: int, code: str, message: str, what: str, region: str, *, is_bucket: bool
) -> AisError:
    cls = _CLASS_OF_CODE.get(code) or _CLASS_OF_STATUS.get(status)
    if cls is None:
        cls = AisError if status >= 500 else InvalidArgumentError
    if cls is NotFoundError and code != "NoSuchUpload":
        cls = BucketNotFoundError if is_bucket else ObjectNotFoundError
    said = ": ".join(part for part in (code, message) if part)
    said = said or f"the endpoint answers with status {status}, and not as S3 does"
    hint = None
    if status in {301, 307} or code in {"PermanentRedirect", "AuthorizationHeaderMalformed"}:
        hint = f"the bucket is in {region}: set AWS_REGION={region}" if region else "set AWS_REGION"
    elif code == "SignatureDoesNotMatch":
        hint = "check the secret key, and AWS_REGION"
    elif code == "NoSuchBucket":
        hint = "create it with a client of S3: a run creates ais:// buckets only"
    elif code == "EntityTooSmall":
        hint = "S3's parts have 5 MiB or more: raise -minsize, or lower -multipart-chunks"
    return cls(f"{what}: {_shown(said)}", hint=hint)


def _shown(text: str) -> str:
    return _PRINTABLE.sub("?", text)[:500]
