"""Listings of objects, v1 and v2, and of their versions: any delimiter, in byte order, at the price of the page.

The store folds at "/" itself. For another delimiter the keys are read in order, and behind each common prefix the
listing seeks to its end, so that what lies below costs little.
"""

import base64
import binascii
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from aiscore.errors import InvalidNameError
from aiscore.model.bucket import BucketRef
from aiscore.model.names import OBJECT_NAME_MAX
from aiscore.model.objects import ListEntry, ListOptions, ListProp
from aiscore.server.http import Response, ServerContext
from aiscore.server.message import in_pool
from aiscore.server.s3.buckets import OWNER
from aiscore.server.s3.call import Call, s3_etag, xml_response
from aiscore.server.s3.faults import S3Error
from aiscore.server.s3.names import KEY_BYTES_MAX, key_of
from aiscore.server.s3.writes import xml_time
from aiscore.server.s3.xml import XmlWriter, escape

__all__ = ["KEYS_MAX", "Listings", "encoding_of"]

KEYS_MAX: Final = 1_000
Encode = Callable[[str], str]

_SLASH = "/"
_PROPS: Final = frozenset({ListProp.NAME, ListProp.SIZE, ListProp.ETAG, ListProp.LAST_MODIFIED})
_LAST: Final = chr(0x10FFFF)
_MD5_DIGITS: Final = 32
_PLAIN = re.compile(r"[A-Za-z0-9/._~*-]*")
_VERSION_XML = "<VersionId>null</VersionId><IsLatest>true</IsLatest>"
_OWNER_XML = f"<Owner><ID>{OWNER}</ID><DisplayName>{OWNER}</DisplayName></Owner>"


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What to list.

    Attributes:
        prefix: of keys.
        delimiter: that folds; "" for none.
        after: key, or common prefix, that the page comes after.
        is_folded: `after` is a common prefix: nothing below it is listed again.
        limit: keys and common prefixes at most.
    """

    prefix: str
    delimiter: str
    after: str
    is_folded: bool
    limit: int


@dataclass(frozen=True, slots=True)
class _Page:
    """Objects and common prefixes, in order each; and the last of them when there are more."""

    entries: list[ListEntry]
    prefixes: list[str]
    last: str
    is_folded: bool
    is_truncated: bool


class Listings:
    """Answers ListObjects."""

    def __init__(self, context: ServerContext) -> None:
        self._context = context
        self._store = context.node.store

    def list_v1(self, call: Call) -> Awaitable[Response]:
        """ListObjects."""
        query = call.request.query
        prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
        marker = query.get("marker", "")
        limit = call.number("max-keys", KEYS_MAX, KEYS_MAX)
        encode = encoding_of(call)
        wanted = _after_marker(prefix, delimiter, marker, limit)

        def answer() -> Response:
            page = self._page(call.bucket, wanted)
            writer = XmlWriter("ListBucketResult")
            writer.text("Name", call.bucket.name)
            writer.text("Prefix", encode(prefix))
            writer.text("Marker", encode(marker))
            if page.is_truncated:
                writer.text("NextMarker", encode(page.last))
            _write_common(writer, wanted, page, encode, call)
            _write_entries(writer, page, encode, with_owner=True)
            return xml_response(writer)

        return in_pool(self._context, answer)

    def list_v2(self, call: Call) -> Awaitable[Response]:
        """ListObjectsV2."""
        query = call.request.query
        prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
        start_after = query.get("start-after", "")
        token = query.get("continuation-token")
        limit = call.number("max-keys", KEYS_MAX, KEYS_MAX)
        encode = encoding_of(call)
        after, is_folded = (start_after, False) if token is None else _read_token(token)
        wanted = _Wanted(prefix, delimiter, after, is_folded, limit)

        def answer() -> Response:
            page = self._page(call.bucket, wanted)
            writer = XmlWriter("ListBucketResult")
            writer.text("Name", call.bucket.name)
            writer.text("Prefix", encode(prefix))
            if start_after:
                writer.text("StartAfter", encode(start_after))
            if token is not None:
                writer.text("ContinuationToken", token)
            if page.is_truncated:
                writer.text("NextContinuationToken", _token(page))
            writer.text("KeyCount", len(page.entries) + len(page.prefixes))
            _write_common(writer, wanted, page, encode, call)
            _write_entries(writer, page, encode, with_owner=query.get("fetch-owner") == "true")
            return xml_response(writer)

        return in_pool(self._context, answer)

    def list_versions(self, call: Call) -> Awaitable[Response]:
        """ListObjectVersions, of a bucket without versioning: every object has the version `null`."""
        query = call.request.query
        prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
        marker, version = query.get("key-marker", ""), query.get("version-id-marker", "")
        if version and not marker:
            raise S3Error(
                "InvalidArgument",
                "A version-id marker cannot be specified without a key marker.",
            )
        if version not in {"", "null"}:
            raise S3Error("InvalidArgument", "Invalid version id specified")
        limit = call.number("max-keys", KEYS_MAX, KEYS_MAX)
        encode = encoding_of(call)
        wanted = _after_marker(prefix, delimiter, marker, limit)

        def answer() -> Response:
            page = self._page(call.bucket, wanted)
            writer = XmlWriter("ListVersionsResult")
            writer.text("Name", call.bucket.name)
            writer.text("Prefix", encode(prefix))
            writer.text("KeyMarker", encode(marker))
            writer.text("VersionIdMarker", version)
            if page.is_truncated:
                writer.text("NextKeyMarker", encode(page.last))
                if not page.is_folded:
                    writer.text("NextVersionIdMarker", "null")
            _write_common(writer, wanted, page, encode, call)
            _write_entries(writer, page, encode, with_owner=True, element="Version")
            return xml_response(writer)

        return in_pool(self._context, answer)

    def _page(self, bucket: BucketRef, wanted: _Wanted) -> _Page:
        """Read until the page is full; one entry more than fits tells that there is another page."""
        limit, prefix = wanted.limit, wanted.prefix
        entries: list[ListEntry] = []
        prefixes: list[str] = []
        if not limit:
            self._store.head_bucket(bucket)
            return _Page(entries, prefixes, "", is_folded=False, is_truncated=False)
        by_store = wanted.delimiter == _SLASH
        delimiter = "" if by_store else wanted.delimiter
        after = _begin_after(wanted)
        folded = ""
        last: ListEntry | None = None
        while True:
            try:
                options = ListOptions(
                    prefix=prefix,
                    delimiter=_SLASH if by_store else "",
                    start_after=after,
                    page_size=limit + 1,
                    props=_PROPS,
                )
            except InvalidNameError:
                self._store.head_bucket(bucket)
                break  # no key begins like this
            page = self._store.list_page(bucket, options)
            for entry in page.entries:
                if folded and entry.name.startswith(folded):
                    continue
                if len(entries) + len(prefixes) == limit:
                    return _page_until(last, folded, entries, prefixes)
                last, folded = entry, ""
                if delimiter:
                    folded = _folded(key_of(entry.name), prefix, delimiter)
                if folded:
                    prefixes.append(folded)
                elif by_store and entry.is_directory:
                    prefixes.append(entry.name)
                else:
                    entries.append(entry)
            if not page.token:
                break
            after = folded + _beyond(folded) if folded else _after(page.entries[-1])
        return _Page(entries, prefixes, "", is_folded=False, is_truncated=False)


def _begin_after(wanted: _Wanted) -> str:
    """The name that the first entry comes after."""
    after = wanted.after
    if wanted.is_folded:
        return after + _beyond(after)
    # A marker of a directory has been listed itself.
    return f"{after}\x01" if after.endswith(_SLASH) else after


def _after(entry: ListEntry) -> str:
    return entry.name + _beyond(entry.name) if entry.is_directory else entry.name


def _page_until(
    last: ListEntry | None, folded: str, entries: list[ListEntry], prefixes: list[str]
) -> _Page:
    """A page that another follows, which begins behind `last`, or behind the prefix that it was folded into."""
    assert last is not None
    if folded or last.is_directory:
        return _Page(entries, prefixes, folded or last.name, is_folded=True, is_truncated=True)
    return _Page(entries, prefixes, key_of(last.name), is_folded=False, is_truncated=True)


def encoding_of(call: Call) -> Encode:
    """How keys are written: as they are, or percent-encoded.

    Raises:
        S3Error: it is asked for another way.
    """
    kind = call.request.query.get("encoding-type")
    if not kind:
        return _as_it_is
    if kind != "url":
        raise S3Error("InvalidArgument", "Invalid Encoding Method specified in Request")
    return _quoted


def _as_it_is(text: str) -> str:
    return text


def _quoted(text: str) -> str:
    return text if _PLAIN.fullmatch(text) else quote(text, safe="/-._~*")


def _after_marker(prefix: str, delimiter: str, marker: str, limit: int) -> _Wanted:
    # A marker that is a common prefix is what the page before ended with.
    is_folded = bool(delimiter) and _folded(marker, prefix, delimiter) == marker != ""
    return _Wanted(prefix, delimiter, marker, is_folded, limit)


def _folded(key: str, prefix: str, delimiter: str) -> str:
    """The common prefix that a key is folded into; "" for none."""
    if not delimiter or not key.startswith(prefix):
        return ""
    at = key.find(delimiter, len(prefix))
    return "" if at < 0 else key[: at + len(delimiter)]


def _beyond(prefix: str) -> str:
    """What makes of a prefix a name that comes after all that begin with it."""
    return _LAST * ((OBJECT_NAME_MAX - len(prefix.encode())) // 4 + 1)


def _token(page: _Page) -> str:
    kind = "p" if page.is_folded else "k"
    return base64.urlsafe_b64encode(f"{kind}{page.last}".encode()).decode()


def _read_token(token: str) -> tuple[str, bool]:
    try:
        text = base64.b64decode(token, altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        text = ""
    if text[:1] not in {"p", "k"} or len(text) > KEY_BYTES_MAX * 4:
        raise S3Error("InvalidArgument", "The continuation token provided is incorrect")
    return text[1:], text[0] == "p"


def _write_common(
    writer: XmlWriter, wanted: _Wanted, page: _Page, encode: Encode, call: Call
) -> None:
    writer.text("MaxKeys", wanted.limit)
    if wanted.delimiter:
        writer.text("Delimiter", encode(wanted.delimiter))
    if "encoding-type" in call.request.query:
        writer.text("EncodingType", "url")
    writer.text("IsTruncated", "true" if page.is_truncated else "false")


def _write_entries(
    writer: XmlWriter,
    page: _Page,
    encode: Encode,
    *,
    with_owner: bool,
    element: str = "Contents",
) -> None:
    owner = _OWNER_XML if with_owner else ""
    version = _VERSION_XML if element == "Version" else ""
    # What is percent-encoded has nothing left to escape.
    in_xml = encode if encode is _quoted else escape
    tail = f"{owner}<StorageClass>STANDARD</StorageClass></{element}>"
    for entry in page.entries:
        etag = entry.etag
        if len(etag) != _MD5_DIGITS or not etag.isalnum():
            etag = escape(s3_etag(etag))
        writer.raw(
            f"<{element}><Key>{in_xml(key_of(entry.name))}</Key>{version}"
            f"<LastModified>{xml_time(entry.mtime_ns)}</LastModified>"
            f"<ETag>&quot;{etag}&quot;</ETag><Size>{entry.size}</Size>{tail}"
        )
    for prefix in page.prefixes:
        writer.raw(f"<CommonPrefixes><Prefix>{in_xml(prefix)}</Prefix></CommonPrefixes>")
