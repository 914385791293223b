"""A listing's request and its pages, as JSON and as MessagePack.

Ten thousand entries make a page, so entries are encoded by `msgspec` structs whose fields are the wire's keys, and the
page is put together without a step per field. AIStore's entries hold text where ours hold values (access time to the
minute, a checksum without its type, custom metadata as one string); when a client of ours asks for it, further keys
carry the values themselves (`H.EXTENDED`). Other clients do not ask, and would skip them.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from aiscore.errors import InvalidArgumentError, ProtocolError
from aiscore.model.checksum import Checksum, ChecksumType
from aiscore.model.objects import (
    LIST_PAGE_MAX,
    EntryFlag,
    ListEntry,
    ListOptions,
    ListPage,
    ListProp,
)
from aiscore.wire.names import MSGPACK_TYPE, Action, Ls
from aiscore.wire.values import decode_int, format_atime, format_rfc3339, parse_atime

__all__ = [
    "ListRequest",
    "decode_page",
    "decode_request",
    "encode_json",
    "encode_msgpack",
    "encode_request",
]

_DEFAULT_CACHED = (ListProp.NAME, ListProp.SIZE, ListProp.CHECKSUM, ListProp.ATIME)
_DEFAULT = (ListProp.NAME, ListProp.SIZE, ListProp.CACHED)


@dataclass(frozen=True, slots=True)
class ListRequest:
    """What a page is asked for.

    Attributes:
        options: what to list.
        uuid: of the listing, as the page before had it; "" at the beginning.
        flags: bits of `Ls`, all of them.
        time_format: Go layout of access times; "" is RFC 822.
        is_extended: our client, which wants exact values.
    """

    options: ListOptions
    uuid: str = ""
    flags: int = 0
    time_format: str = ""
    is_extended: bool = False


class _Entry(msgspec.Struct, omit_defaults=True, gc=False):
    """One entry in MessagePack; the keys after `f` are ours."""

    n: str
    s: int = 0
    f: int = 0
    cs: str = ""
    a: str = ""
    v: str = ""
    t: str = ""
    m: str = ""
    c: int = 0
    xc: str = ""
    xa: int = 0
    xm: int = 0
    xe: str = ""
    xd: dict[str, str] | None = None


class _Page(msgspec.Struct):
    # All keys are written, empty or not: the Python client has no defaults for them.
    UUID: str = ""
    ContinuationToken: str = ""
    Flags: int = 0
    Entries: list[_Entry] | None = None


class _JsonEntry(msgspec.Struct, omit_defaults=True, gc=False):
    """One entry in JSON, its fields in the order of `_Entry`; the keys after `copies` are ours."""

    name: str
    size: str | int = ""
    flags: int = 0
    checksum: str = ""
    atime: str = ""
    version: str = ""
    location: str = ""
    custom_md: str = msgspec.field(default="", name="custom-md")
    copies: int = 0
    xc: str = ""
    xa: int = 0
    xm: int = 0
    xe: str = ""
    xd: dict[str, str] | None = None


class _JsonPage(msgspec.Struct):
    uuid: str = ""
    continuation_token: str = ""
    entries: list[_JsonEntry] | None = None
    flags: int = 0


# requests


def encode_request(options: ListOptions, uuid: str = "") -> bytes:
    """The action message that asks for a page.

    Args:
        options: what to list.
        uuid: what the page before came with; "" for the first.
    """
    props = options.props | {ListProp.NAME}
    flags = 0
    if options.archive:
        flags |= Ls.ARCHIVE
    if options.cached:
        flags |= Ls.CACHED
    if options.delimiter:
        flags |= Ls.NO_RECURSION
        if not options.directories:
            flags |= Ls.NO_DIRS
    if props == {ListProp.NAME}:
        flags |= Ls.NAME_ONLY
    elif props == {ListProp.NAME, ListProp.SIZE}:
        flags |= Ls.NAME_SIZE
    value: dict[str, object] = {
        "uuid": uuid,
        "props": ",".join(prop.value for prop in ListProp if prop in props),
        "prefix": options.prefix,
        "continuation_token": options.token,
        "pagesize": options.page_size,
        "flags": str(flags),
        "target": "",
    }
    if options.start_after:
        value["start_after"] = options.start_after
    return msgspec.json.encode({"action": Action.LIST, "name": "", "value": value})


def decode_request(value: bytes | msgspec.Raw, *, is_extended: bool = False) -> ListRequest:
    """Read the `value` of a `list` message.

    Tolerant as AIStore is: keys in any case, numbers as strings, a page larger than the limit is cut to it, an unknown
    property is ignored, and a property counts when its name occurs in the text.

    Args:
        value: of the action message.
        is_extended: the request came with `H.EXTENDED`.

    Raises:
        InvalidArgumentError: not a JSON object, or a field of the wrong type.
    """
    fields = _fields(value)
    flags = decode_int(fields.get("flags") or 0, "flags")
    page_size = decode_int(fields.get("pagesize") or 0, "pagesize")
    if page_size < 0:
        raise InvalidArgumentError(f"invalid pagesize {page_size}: expected 0 or more")
    options = ListOptions(
        prefix=_string(fields, "prefix"),
        delimiter="/" if flags & Ls.NO_RECURSION else "",
        start_after=_string(fields, "start_after"),
        token=_string(fields, "continuation_token"),
        page_size=min(page_size, LIST_PAGE_MAX),
        props=_wanted(_string(fields, "props"), flags),
        archive=bool(flags & Ls.ARCHIVE),
        directories=not flags & Ls.NO_DIRS,
        cached=bool(flags & Ls.CACHED),
    )
    return ListRequest(
        options,
        uuid=_string(fields, "uuid"),
        flags=flags,
        time_format=_string(fields, "time_format"),
        is_extended=is_extended,
    )


def _fields(value: bytes | msgspec.Raw) -> dict[str, Any]:
    try:
        raw: object = msgspec.json.decode(value)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as exc:
        raise InvalidArgumentError(f"invalid list message: {exc}") from exc
    if raw is None:
        return {}
    if not isinstance(raw, dict):
        raise InvalidArgumentError("invalid list message: expected a JSON object")
    return {str(key).lower(): item for key, item in raw.items()}


def _string(fields: Mapping[str, Any], name: str) -> str:
    value = fields.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise InvalidArgumentError(f"invalid list message: expected a text as {name}")
    return value


def _wanted(text: str, flags: int) -> frozenset[ListProp]:
    if flags & Ls.NAME_ONLY:
        return frozenset({ListProp.NAME})
    if flags & Ls.NAME_SIZE:
        return frozenset({ListProp.NAME, ListProp.SIZE})
    if not text:
        return frozenset(_DEFAULT_CACHED if flags & Ls.CACHED else _DEFAULT)
    return frozenset(prop for prop in ListProp if prop.value in text)


# pages, out


def encode_msgpack(page: ListPage, request: ListRequest, uuid: str) -> bytes:
    """A page in MessagePack.

    Args:
        page: what the store gave.
        request: what was asked: it says whether exact values go along.
        uuid: of the listing; must not be empty, or published clients ask for ever.
    """
    if request.options.props <= _PLAIN_PROPS:
        packed = [_Entry(entry[0], entry[1], int(entry[10])) for entry in page.entries]
    else:
        packed = [_Entry(*fields) for fields in _packed(page.entries, request)]
    return msgspec.msgpack.encode(_Page(uuid, page.token, 0, packed))


def encode_json(page: ListPage, request: ListRequest, uuid: str) -> bytes:
    """A page in JSON, for those who do not accept MessagePack. Arguments as of `encode_msgpack`."""
    packed = [
        _JsonEntry(name, str(size) if size else "", *rest)
        for name, size, *rest in _packed(page.entries, request)
    ]
    return msgspec.json.encode(_JsonPage(uuid, page.token, packed, 0))


def _packed(entries: Iterable[ListEntry], request: ListRequest) -> Iterator[tuple[Any, ...]]:
    """The fields of `_Entry` for each entry."""
    is_exact = request.is_extended
    props = request.options.props
    has_copies = ListProp.COPIES in props
    formatted = _time_format(request.time_format)
    for entry in entries:
        name, size, checksum, version, atime_ns, mtime_ns, custom, location, copies, etag, flags = (
            entry
        )
        common = (name, size, int(flags), "" if checksum is None else checksum.value)
        copied = copies if has_copies and not flags & EntryFlag.DIRECTORY else 0
        if is_exact:
            kind = "" if checksum is None else checksum.type.value
            own = None if custom is None else dict(custom)
            yield (*common, "", version, location, "", copied, kind, atime_ns, mtime_ns, etag, own)
            continue
        atime = formatted(atime_ns) if atime_ns else ""
        text = _custom_text(custom, etag, mtime_ns) if custom or etag or mtime_ns else ""
        yield (*common, atime, version, location, text, copied)


def _time_format(layout: str) -> Callable[[int], str]:
    """Go's layouts begin with the year 2006 where they mean RFC 3339; everything else is given RFC 822."""
    return format_rfc3339 if layout.startswith("2006-01-02T15:04:05") else format_atime


def _custom_text(custom: Mapping[str, str] | None, etag: str, mtime_ns: int) -> str:
    """`[key:value key2:value2]`, AIStore's form."""
    pairs = dict(custom or {})
    if etag:
        pairs.setdefault("ETag", etag)
    if mtime_ns:
        pairs.setdefault("LastModified", format_rfc3339(mtime_ns))
    return "[" + " ".join(f"{key}:{value}" for key, value in pairs.items()) + "]"


# pages, in


def decode_page(body: bytes | memoryview, content_type: str) -> tuple[ListPage, str]:
    """Entries and token of an answer, and the uuid to send with the next request.

    Args:
        body: the whole answer.
        content_type: of the answer; anything but MessagePack is read as JSON.

    Raises:
        ProtocolError: the answer is neither.
    """
    try:
        if content_type.partition(";")[0].strip() == MSGPACK_TYPE:
            page = _decode_msgpack(body)
            entries = page.Entries or []
            return ListPage(
                [_listed(entry) for entry in entries], page.ContinuationToken
            ), page.UUID
        found = _decode_json(body)
        listed = [_listed(_of_json(entry)) for entry in found.entries or []]
        return ListPage(listed, found.continuation_token), found.uuid
    except (msgspec.MsgspecError, InvalidArgumentError, ValueError, RecursionError) as exc:
        raise ProtocolError(f"invalid page of a listing: {exc}") from exc


def _listed(entry: _Entry) -> ListEntry:
    flags = _FLAGS.get(entry.f)
    if flags is None:
        flags = EntryFlag(entry.f)
        if len(_FLAGS) < _FLAGS_MAX:
            _FLAGS[entry.f] = flags
    if not (
        entry.cs or entry.a or entry.v or entry.t or entry.m or entry.c or entry.xd is not None
    ):
        return _new_entry(
            ListEntry,
            (entry.n, entry.s, None, "", entry.xa, entry.xm, None, "", 1, entry.xe, flags),
        )
    custom: dict[str, str] | None = entry.xd
    etag, mtime_ns = entry.xe, entry.xm
    if custom is None and entry.m and not (etag or mtime_ns):
        custom = _parse_custom(entry.m)
        etag = custom.pop("ETag", "").strip('"')
        mtime_ns = parse_atime(custom.pop("LastModified", ""))
    return ListEntry(
        entry.n,
        entry.s,
        _checksum(entry.cs, entry.xc) if entry.cs else None,
        entry.v,
        entry.xa or (parse_atime(entry.a) if entry.a else 0),
        mtime_ns,
        custom,
        entry.t,
        entry.c or 1,
        etag,
        flags,
    )


def _of_json(entry: _JsonEntry) -> _Entry:
    return _Entry(
        entry.name,
        int(entry.size or 0),
        entry.flags,
        entry.checksum,
        entry.atime,
        entry.version,
        entry.location,
        entry.custom_md,
        entry.copies,
        entry.xc,
        entry.xa,
        entry.xm,
        entry.xe,
        entry.xd,
    )


def _checksum(value: str, kind: str) -> Checksum | None:
    """The checksum of an entry; a value that comes without its type has that of its length."""
    try:
        if kind:
            return Checksum(_TYPES[kind], value)
        guessed = _TYPE_OF_LENGTH.get(len(value))
        return None if guessed is None else Checksum.parse(guessed.value, value)
    except (KeyError, InvalidArgumentError):
        return None  # a backend's own


def _parse_custom(text: str) -> dict[str, str]:
    """Read `[key:value key2:value2]`; a word without a colon continues the value before it."""
    pairs: dict[str, str] = {}
    last = ""
    for word in text.removeprefix("[").removesuffix("]").split(" "):
        key, colon, value = word.partition(":")
        if colon and key:
            pairs[key] = value
            last = key
        elif last:
            pairs[last] += f" {word}"
    return pairs


_PLAIN_PROPS = frozenset(
    {ListProp.NAME, ListProp.SIZE, ListProp.CACHED, ListProp.CHUNKED, ListProp.STATUS}
)
_TYPES = {kind.value: kind for kind in ChecksumType}
_TYPE_OF_LENGTH = {
    8: ChecksumType.CRC32C,
    16: ChecksumType.XXHASH2,
    32: ChecksumType.MD5,
    64: ChecksumType.SHA256,
    128: ChecksumType.SHA512,
}
_FLAGS_MAX = 4096
_FLAGS: dict[int, EntryFlag] = {}
"""Flags by number: a member of an enumeration is dear to look up, and a page has few different ones."""
_new_entry = tuple.__new__
_decode_msgpack = msgspec.msgpack.Decoder(_Page).decode
_decode_json = msgspec.json.Decoder(_JsonPage, strict=False).decode
