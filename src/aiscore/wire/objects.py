"""Properties and options of objects as headers and query parameters.

Headers are given as pairs, in the order they are sent; texts go out as UTF-8, as AIStore's do. Readers take two
functions of the request or answer: `header(lower_case_name)` and `header_all(lower_case_name)`.

What AIStore's headers cannot say goes into more of them, which others ignore: commit time in nanoseconds, the size
where `Content-Length` is that of a part, custom metadata to the byte, and preconditions on versions.
"""

import re
from collections.abc import Callable, Collection, Mapping

from aiscore.errors import InvalidArgumentError, ProtocolError, RangeNotSatisfiableError
from aiscore.model.archive import ArchiveFormat, ArchiveMode
from aiscore.model.bucket import BucketRef
from aiscore.model.checksum import Checksum, ChecksumType
from aiscore.model.objects import (
    ArchivePutMode,
    GetOptions,
    ObjectProps,
    PutOptions,
    check_custom,
)
from aiscore.wire.conditions import precondition_headers, precondition_of, quote_etag, unquote_etag
from aiscore.wire.names import H, Q
from aiscore.wire.ranges import parse_content_range, parse_range, range_header
from aiscore.wire.values import decode_int, format_http_date, header_text, query_bool

__all__ = [
    "HEAD_PROPS",
    "Header",
    "HeaderAll",
    "Headers",
    "archive_format_of",
    "checksum_of",
    "custom_headers",
    "custom_of",
    "get_options",
    "get_request",
    "head_headers",
    "parse_wanted",
    "pine_of",
    "props_from_headers",
    "props_headers",
    "put_mode_of",
    "put_options",
    "put_request",
]

Header = Callable[[str], str | None]
"""A header by lower-case name."""
HeaderAll = Callable[[str], list[str]]
"""Every value of a header that may repeat, by lower-case name."""
Headers = list[tuple[str, str]]

HEAD_PROPS = frozenset(
    {
        "atime",
        "checksum",
        "chunked",
        "copies",
        "custom",
        "ec",
        "etag",
        "last-modified",
        "location",
        "name",
        "size",
        "version",
    }
)
"""What `props=` of HEAD can ask for."""

_PINE = {
    ArchivePutMode.CREATE: 0,
    ArchivePutMode.APPEND: 1,
    ArchivePutMode.APPEND_OR_CREATE: 2,
}
_LOCATION = r"t\[[^\]]*\]:mp\[(.*)\]"


# properties


def props_headers(props: ObjectProps, *, with_size: bool = False) -> Headers:
    """What every answer about an object carries: GET, HEAD and PUT.

    Args:
        props: of the whole object.
        with_size: say the object's size too: where `Content-Length` is not it.
    """
    headers: Headers = []
    add = headers.append
    if props.checksum is not None:
        add((H.CHECKSUM_TYPE, props.checksum.type.value))
        add((H.CHECKSUM_VALUE, props.checksum.value))
    if props.atime_ns:
        add((H.ATIME, str(props.atime_ns)))
    if props.version:
        add((H.VERSION, header_text(props.version)))
    if props.custom:
        headers += custom_headers(props.custom)
    if props.etag:
        add((H.ETAG, quote_etag(props.etag)))
    if props.mtime_ns:
        add((H.MTIME, str(props.mtime_ns)))
    if props.location:
        add((H.OBJECT_LOCATION, header_text(props.location)))
    if props.chunk_count > 1:
        headers += _chunks_headers(props)
    if with_size:
        add((H.SIZE, str(props.size)))
    return headers


def head_headers(
    props: ObjectProps, bucket: BucketRef, wanted: Collection[str] | None = None
) -> Headers:
    """Answer of HEAD, without `Content-Length`.

    Args:
        props: of the object.
        bucket: where it is.
        wanted: what `props=` asked for (`parse_wanted`); None is the first version of the call, which has all.
    """
    if wanted is None:
        return [
            *props_headers(props),
            *_name_headers(props, bucket),
            *_copies_headers(props),
            (H.LAST_MODIFIED, format_http_date(props.mtime_ns)),
            (H.PRESENT, "true"),
        ]
    headers: Headers = [(H.PRESENT, "true")]
    if "name" in wanted:
        headers += _name_headers(props, bucket)
    if "checksum" in wanted and props.checksum is not None:
        headers.append((H.CHECKSUM_TYPE, props.checksum.type.value))
        headers.append((H.CHECKSUM_VALUE, props.checksum.value))
    if "atime" in wanted and props.atime_ns:
        headers.append((H.ATIME, str(props.atime_ns)))
    if "version" in wanted and props.version:
        headers.append((H.VERSION, header_text(props.version)))
    if "custom" in wanted:
        headers += custom_headers(props.custom)
    if "location" in wanted:
        headers += _location_headers(props)
    if "copies" in wanted:
        headers += _copies_headers(props)
    if "chunked" in wanted:
        headers += _chunks_headers(props)
    if "last-modified" in wanted:
        headers.append((H.LAST_MODIFIED, format_http_date(props.mtime_ns)))
        headers.append((H.MTIME, str(props.mtime_ns)))
    if "etag" in wanted and props.etag:
        headers.append((H.ETAG, quote_etag(props.etag)))
    return headers


def parse_wanted(text: str) -> frozenset[str]:
    """The names in `props=` of HEAD.

    Raises:
        InvalidArgumentError: one of them is not in `HEAD_PROPS`.
    """
    names = frozenset(word for part in text.split(",") if (word := part.strip()))
    if unknown := names - HEAD_PROPS:
        raise InvalidArgumentError(
            f'invalid object property "{min(unknown)[:64]}"',
            hint=f"use one of: {', '.join(sorted(HEAD_PROPS))}",
        )
    return names


def props_from_headers(name: str, header: Header, header_all: HeaderAll) -> ObjectProps:
    """Properties out of an answer to GET, HEAD or PUT; what is not said has its default.

    Raises:
        ProtocolError: a header is there and not readable.
    """
    try:
        checksum = None
        type_name = header("ais-checksum-type")
        if type_name and type_name != ChecksumType.NONE:
            checksum = Checksum.parse(type_name, header("ais-checksum-value") or "")
        size = _size_of(header)
        return ObjectProps(
            name=name,
            size=size,
            checksum=checksum,
            version=header("ais-version") or "",
            atime_ns=_int_of(header, "ais-atime"),
            mtime_ns=_int_of(header, "ais-mtime"),
            custom=custom_of(header_all),
            location=_utf8(header("ais-location") or ""),
            copies=_int_of(header, "ais-mirror-copies", 1),
            mirror_paths=_mirror_paths(header),
            chunk_count=_int_of(header, "ais-chunks-count", 1),
            chunk_size_max=_int_of(header, "ais-chunks-max-chunk-size", size),
            etag=unquote_etag(header("etag") or ""),
        )
    except InvalidArgumentError as exc:
        raise ProtocolError(f'invalid header in the answer about "{name}": {exc.message}') from exc


# custom metadata


def custom_headers(custom: Mapping[str, str]) -> Headers:
    """One header a pair; a pair that a header may change on its way is percent-encoded in one of ours beside it."""
    headers: Headers = []
    for key, value in custom.items():
        pair = f"{key}={value}"
        if pair.isprintable() and pair.strip() == pair:
            headers.append((H.CUSTOM, pair))
            if pair.isascii():
                continue
        from urllib.parse import quote

        headers.append((H.CUSTOM_EXACT, f"{quote(key, safe='')}={quote(value, safe='')}"))
    return headers


def custom_of(header_all: HeaderAll) -> dict[str, str]:
    """Custom metadata of a request or an answer.

    Raises:
        InvalidArgumentError: a value is not `key=value`.
    """
    plain = header_all("ais-custom-md")
    exact = header_all("ais-custom-exact")
    if not plain and not exact:
        return {}
    custom: dict[str, str] = {}
    for pair in plain:
        if exact and not pair.isascii():
            continue  # repeated in the exact form
        key, equals, value = _utf8(pair).partition("=")
        if not equals or not key:
            raise InvalidArgumentError(
                f'invalid custom metadata "{pair[:100]}": expected KEY=VALUE'
            )
        custom[key] = value
    if exact:
        from urllib.parse import unquote

        for pair in exact:
            key, equals, value = pair.partition("=")
            if not equals or not key:
                raise InvalidArgumentError(
                    f'invalid custom metadata "{pair[:100]}": expected KEY=VALUE'
                )
            custom[unquote(key)] = unquote(value)
    return custom


# options


def get_request(options: GetOptions) -> tuple[dict[str, str], Headers]:
    """Query parameters (beside the bucket's) and headers of a GET."""
    query: dict[str, str] = {}
    if options.archpath is not None:
        query[Q.ARCHPATH] = options.archpath
    if options.archregx is not None and options.archmode is not None:
        query[Q.ARCHREGX] = options.archregx
        query[Q.ARCHMODE] = options.archmode.value
    if options.archmime is not None:
        query[Q.ARCHMIME] = options.archmime.value
    if options.verify_checksum:
        query[Q.VALIDATE_CHECKSUM] = Q.TRUE
    if options.latest:
        query[Q.LATEST_VERSION] = Q.TRUE
    if options.etl_name:
        query[Q.ETL_NAME] = options.etl_name
    if options.byte_range is None:
        return query, []
    return query, [(H.RANGE, range_header(options.byte_range))]


def get_options(query: Mapping[str, str], header: Header) -> GetOptions:
    """Options of a GET.

    As AIStore has it: `archregx` counts only beside an `archmode` parameter, an empty one of which means prefix.
    A range together with `archpath` is a part of the member, which AIStore refuses.

    Raises:
        InvalidArgumentError: an unknown mode or format, or options that exclude each other.
        RangeNotSatisfiableError: a range that is malformed, or more than one.
    """
    text = header("range")
    byte_range = None if text is None else parse_range(text)
    if query.keys() <= _BUCKET_QUERY:
        return _PLAIN_GET if byte_range is None else GetOptions(byte_range=byte_range)
    archpath = query.get(Q.ARCHPATH) or None
    mode = query.get(Q.ARCHMODE)
    archregx = query.get(Q.ARCHREGX, "") if mode is not None else None
    if archregx is not None and byte_range is not None:
        raise RangeNotSatisfiableError("a range cannot be combined with archregx")
    return GetOptions(
        byte_range=byte_range,
        archpath=archpath,
        archregx=archregx,
        archmode=None if mode is None else _archive_mode(mode),
        archmime=archive_format_of(query),
        verify_checksum=query_bool(query, Q.VALIDATE_CHECKSUM),
        latest=query_bool(query, Q.LATEST_VERSION),
        etl_name=query.get(Q.ETL_NAME, ""),
    )


def archive_format_of(query: Mapping[str, str]) -> ArchiveFormat | None:
    """The `archmime` parameter; None when absent or empty.

    Raises:
        InvalidArgumentError: not a format.
    """
    mime = query.get(Q.ARCHMIME)
    return ArchiveFormat.parse(mime) if mime else None


def put_request(options: PutOptions) -> tuple[dict[str, str], Headers]:
    """Query parameters (beside the bucket's) and headers of a PUT; the size is `Content-Length`'s business."""
    query = {} if options.skip_same else {Q.SKIP_VERSION_CHECK: Q.TRUE}
    headers: Headers = []
    if options.checksum is not None:
        headers.append((H.CHECKSUM_TYPE, options.checksum.type.value))
        headers.append((H.CHECKSUM_VALUE, options.checksum.value))
    if options.compute is not None:
        headers.append((H.CHECKSUM_COMPUTE, options.compute.value))
    if options.custom:
        headers += custom_headers(options.custom)
    if options.precondition is not None:
        headers += precondition_headers(options.precondition)
    return query, headers


def put_options(
    query: Mapping[str, str],
    header: Header,
    header_all: HeaderAll,
    content_length: int | None,
) -> PutOptions:
    """Options of a PUT.

    Args:
        query: of the request.
        header: of the request.
        header_all: of the request.
        content_length: bytes that were announced; None for a chunked body.

    Raises:
        InvalidArgumentError: a checksum, custom metadata or condition that is none, or too much metadata.
    """
    custom = custom_of(header_all)
    return PutOptions(
        size=content_length,
        checksum=checksum_of(header),
        compute=_compute_of(header),
        custom=check_custom(custom) if custom else custom,
        precondition=precondition_of(header),
        skip_same=not query_bool(query, Q.SKIP_VERSION_CHECK),
    )


def checksum_of(header: Header) -> Checksum | None:
    """The checksum that came with a body; None without one, and for type `none`.

    Raises:
        InvalidArgumentError: type or value is none.
    """
    type_name = header("ais-checksum-type")
    value = header("ais-checksum-value")
    if not type_name or not value or type_name == ChecksumType.NONE:
        return None
    return Checksum.parse(type_name, value)


def pine_of(mode: ArchivePutMode) -> int:
    """The value of `H.PINE`: 0 creates, 1 appends, 2 appends or creates."""
    return _PINE[mode]


def put_mode_of(header: Header) -> ArchivePutMode:
    """What `H.PINE` asks for; absent or empty creates.

    Raises:
        InvalidArgumentError: another number.
    """
    text = header("ais-pine") or "0"
    for mode, flag in _PINE.items():
        if text.strip() == str(flag):
            return mode
    raise InvalidArgumentError(f'invalid {H.PINE} "{text[:32]}": expected 0, 1 or 2')


# parts


def _name_headers(props: ObjectProps, bucket: BucketRef) -> Headers:
    return [
        (H.OBJECT_NAME, header_text(props.name)),
        (H.BUCKET_NAME, bucket.name),
        (H.BUCKET_PROVIDER, bucket.provider.value),
    ]


def _location_headers(props: ObjectProps) -> Headers:
    return [(H.OBJECT_LOCATION, header_text(props.location))] if props.location else []


def _mirror_paths(header: Callable[[str], str | None]) -> tuple[str, ...]:
    paths = _utf8(header("ais-mirror-paths") or "").strip("[]").split(",")
    return tuple(paths) if len(paths) > 1 else ()


def _copies_headers(props: ObjectProps) -> Headers:
    paths = props.mirror_paths
    if not paths:
        match = re.fullmatch(_LOCATION, props.location)
        paths = (match[1],) if match else ()
    text = ",".join(map(header_text, paths))
    return [(H.MIRROR_COPIES, str(props.copies)), (H.MIRROR_PATHS, f"[{text}]")]


def _chunks_headers(props: ObjectProps) -> Headers:
    if not props.is_chunked:
        return []
    return [
        (H.CHUNKS_COUNT, str(props.chunk_count)),
        (H.CHUNKS_MAX_CHUNK_SIZE, str(props.chunk_size_max)),
    ]


def _size_of(header: Header) -> int:
    if text := header("ais-size"):
        return decode_int(text, H.SIZE)
    if text := header("content-range"):
        size = parse_content_range(text)[2]
        if size is not None:
            return size
    return _int_of(header, "content-length")


def _int_of(header: Header, name: str, default: int = 0) -> int:
    text = header(name)
    return decode_int(text, name) if text else default


def _utf8(text: str) -> str:
    """Undo a reader that took UTF-8 for Latin-1, as HTTP libraries do."""
    if text.isascii():
        return text
    try:
        return text.encode("latin-1").decode()
    except UnicodeError:
        return text


def _archive_mode(text: str) -> ArchiveMode:
    try:
        return ArchiveMode(text) if text else ArchiveMode.PREFIX
    except ValueError:
        raise InvalidArgumentError(
            f'invalid archmode "{text[:64]}"', hint=f"use one of: {', '.join(ArchiveMode)}"
        ) from None


def _compute_of(header: Header) -> ChecksumType | None:
    text = header("ais-checksum-compute")
    if not text:
        return None
    try:
        return ChecksumType(text)
    except ValueError:
        raise InvalidArgumentError(
            f'invalid checksum type "{text[:32]}"', hint=f"use one of: {', '.join(ChecksumType)}"
        ) from None


_PLAIN_GET = GetOptions()
_BUCKET_QUERY = frozenset({Q.PROVIDER, Q.NAMESPACE})
