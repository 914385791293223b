"""Metadata of objects: S3's headers and custom metadata, which is one and the same for AIStore's clients.

`x-amz-meta-color: blue` is `color=blue`. Headers that S3 keeps with an object (`Content-Type` and its like), tags and
checksums have keys of their own, with a capital letter, which no key of user metadata has: S3 knows them in lower case.
"""

from collections.abc import Iterable, Mapping
from typing import Final
from urllib.parse import parse_qsl, urlencode

from aiscore.model.objects import CUSTOM_METADATA_MAX
from aiscore.server.http import Request
from aiscore.server.s3 import checksums
from aiscore.server.s3.faults import S3Error
from aiscore.wire.values import header_text

__all__ = [
    "TAGS_KEY",
    "custom_of",
    "format_tags",
    "metadata_headers",
    "parse_tags",
    "refuse_unsupported",
]

Headers = list[tuple[str, str]]

TAGS_KEY: Final = "S3-Tagging"
"""Custom metadata that holds the tags, URL-encoded."""
_PREFIX = "x-amz-meta-"
_KEPT: Final = {
    "cache-control": "Cache-Control",
    "content-disposition": "Content-Disposition",
    "content-language": "Content-Language",
    "content-type": "Content-Type",
    "expires": "Expires",
}
_SYSTEM: Final = frozenset({*_KEPT.values(), "Content-Encoding"})
_RESERVED_START = ("S3-", "ETag")
_METADATA_MAX: Final = CUSTOM_METADATA_MAX - 256
"""Bytes of what a client may bring; the rest is for checksums and the ETag."""
_TYPE_DEFAULT = "binary/octet-stream"
_TAGS_MAX = 10
_TAG_KEY_MAX, _TAG_VALUE_MAX = 128, 256
_TOKEN = frozenset("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
_UNSUPPORTED: Final = (
    "x-amz-server-side-encryption",
    "x-amz-object-lock",
    "x-amz-website-redirect-location",
    "x-amz-grant-",
    "x-amz-write-offset-bytes",
)
"""Promises that would not be kept."""


def refuse_unsupported(request: Request) -> None:
    """Refuse a write that wants more than it would get.

    Raises:
        S3Error: `NotImplemented`.
    """
    for start in _UNSUPPORTED:
        for name in request.header_names(start):
            raise S3Error("NotImplemented", f"a header you provided is not supported: {name[:64]}")


def custom_of(request: Request) -> dict[str, str]:
    """Custom metadata of the object that a request writes.

    Raises:
        S3Error: `MetadataTooLarge`, `InvalidArgument` or `InvalidTag`.
    """
    custom: dict[str, str] = {}
    for header, key in _KEPT.items():
        value = request.header(header)
        if value:
            custom[key] = value
    encoding = checksums.content_encoding(request)
    if encoding:
        custom["Content-Encoding"] = encoding
    for name in request.header_names(_PREFIX):
        key = name[len(_PREFIX) :]
        if not key or "=" in key:
            raise S3Error("InvalidArgument", f"invalid name of user metadata: {name[:64]!a}")
        value = request.header(name) or ""
        if value:
            custom[key] = value
    tags = request.header("x-amz-tagging")
    if tags:
        custom[TAGS_KEY] = format_tags(parse_tags(tags))
    total = sum(len(key.encode()) + len(value.encode()) for key, value in custom.items())
    if total > _METADATA_MAX:
        raise S3Error(
            "MetadataTooLarge", f"metadata has {total} bytes, the limit is {_METADATA_MAX}"
        )
    return custom


def metadata_headers(custom: Mapping[str, str]) -> Headers:
    """What an answer to GET or HEAD tells of an object's metadata."""
    headers: Headers = [("Content-Type", header_text(custom.get("Content-Type", _TYPE_DEFAULT)))]
    missing = 0
    for key, value in custom.items():
        if key in _SYSTEM:
            if key != "Content-Type":
                headers.append((key, header_text(value)))
        elif key.startswith(_RESERVED_START):
            continue
        elif _TOKEN.issuperset(key):
            headers.append((f"{_PREFIX}{key}", header_text(value)))
        else:
            missing += 1  # what AIStore's clients wrote, and no header can hold
    tags = custom.get(TAGS_KEY)
    if tags:
        headers.append(("x-amz-tagging-count", str(tags.count("&") + 1)))
    if missing:
        headers.append(("x-amz-missing-meta", str(missing)))
    return headers


def parse_tags(text: str) -> list[tuple[str, str]]:
    """Tags of the header, and as they are stored.

    Raises:
        S3Error: `InvalidArgument` or `InvalidTag`.
    """
    try:
        pairs = parse_qsl(text, keep_blank_values=True, strict_parsing=bool(text), errors="strict")
    except ValueError:
        raise S3Error("InvalidArgument", "x-amz-tagging must be URL query parameters") from None
    return pairs


def format_tags(tags: Iterable[tuple[str, str]]) -> str:
    """Tags as they are stored.

    Raises:
        S3Error: `InvalidTag`: too many, too long, or one twice.
    """
    pairs = list(tags)
    if len(pairs) > _TAGS_MAX:
        raise S3Error("InvalidTag", f"{len(pairs)} tags, the limit is {_TAGS_MAX}")
    if len({key for key, _ in pairs}) < len(pairs):
        raise S3Error("InvalidTag", "a tag has been given twice")
    for key, value in pairs:
        if not 0 < len(key) <= _TAG_KEY_MAX or len(value) > _TAG_VALUE_MAX:
            raise S3Error(
                "InvalidTag",
                f"a tag has a key of 1 to {_TAG_KEY_MAX} characters and a "
                f"value of up to {_TAG_VALUE_MAX}",
            )
    return urlencode(pairs)
