import json

import msgspec
import pytest
from aistore.sdk.types import BucketList  # type: ignore[import-untyped]

from aiscore.errors import InvalidArgumentError, ProtocolError
from aiscore.model.checksum import Checksum, ChecksumType
from aiscore.model.objects import EntryFlag, ListEntry, ListOptions, ListPage, ListProp
from aiscore.wire.listing import (
    ListRequest,
    decode_page,
    decode_request,
    encode_json,
    encode_msgpack,
    encode_request,
)
from aiscore.wire.names import JSON_TYPE, MSGPACK_TYPE, Ls

ALL = ListOptions(props=frozenset(ListProp))
FULL = ListEntry(
    "d/o",
    5,
    Checksum(ChecksumType.XXHASH, "0123456789abcdef"),
    "2",
    1_763_875_080_000_000_000,
    1_763_875_080_123_456_789,
    {"k": "v w", "a:b": "c"},
    "t[n]:mp[/m]",
    1,
    "tag",
    EntryFlag.CACHED | EntryFlag.CHUNKED,
)
BARE = ListEntry("e", 0, custom={}, flags=EntryFlag.CACHED)
FOLDER = ListEntry("f/", flags=EntryFlag.DIRECTORY)
PAGE = ListPage([FULL, BARE, FOLDER], "f/\x003")


def asked(options: ListOptions, uuid: str = "") -> ListRequest:
    return decode_request(value_of(encode_request(options, uuid)), is_extended=True)


def value_of(message: bytes) -> bytes:
    return msgspec.json.encode(json.loads(message)["value"])


@pytest.mark.parametrize(
    "options",
    [
        ListOptions(),
        ALL,
        ListOptions(props=frozenset({ListProp.NAME})),
        ListOptions(prefix="a/", delimiter="/", start_after="a/b", token="t", page_size=7),
        ListOptions(delimiter="/", directories=False, archive=True),
        ListOptions(cached=True),
    ],
)
def test_requests_come_back(options: ListOptions) -> None:
    found = asked(options, "u1")
    assert found.options == options
    assert found.uuid == "u1"


def test_requests_of_others() -> None:
    found = decode_request(
        b'{"Prefix":"p","PAGESIZE":"20000","flags":"2056","props":"name,checksum,custom-x",'
        b'"time_format":"x","unknown":1}'
    )
    assert found.options.page_size == 10_000
    assert found.options.archive
    assert found.options.delimiter == "/"
    assert found.options.props == {ListProp.NAME, ListProp.CHECKSUM, ListProp.CUSTOM}
    assert not found.is_extended
    assert decode_request(b"null").options.props == {
        ListProp.NAME,
        ListProp.SIZE,
        ListProp.CACHED,
    }
    cached = decode_request(json.dumps({"flags": str(Ls.CACHED)}).encode())
    assert ListProp.ATIME in cached.options.props


@pytest.mark.parametrize("value", [b"[]", b"{", b'{"flags":"x"}', b'{"prefix":1}', b"\xff"])
def test_bad_requests(value: bytes) -> None:
    with pytest.raises(InvalidArgumentError):
        decode_request(value)


def test_pages_come_back() -> None:
    request = asked(ALL)
    assert decode_page(encode_msgpack(PAGE, request, "u"), MSGPACK_TYPE) == (PAGE, "u")
    assert decode_page(encode_json(PAGE, request, "u"), JSON_TYPE) == (PAGE, "u")
    few = ListPage([ListEntry("a", 1, flags=EntryFlag.CACHED), FOLDER])
    plain = asked(ListOptions())
    assert decode_page(encode_msgpack(few, plain, "u"), MSGPACK_TYPE) == (few, "u")
    assert decode_page(encode_json(few, plain, "u"), JSON_TYPE) == (few, "u")
    empty = ListPage([])
    assert decode_page(encode_msgpack(empty, plain, "u"), MSGPACK_TYPE) == (empty, "u")


def test_python_client_reads_our_page() -> None:
    for request in (asked(ALL), ListRequest(ALL)):
        found = msgspec.msgpack.decode(encode_msgpack(PAGE, request, "u"), type=BucketList)
        assert (found.uuid, found.continuation_token, found.flags) == ("u", PAGE.token, 0)
        first = found.entries[0]
        assert (first.name, first.size, first.version) == ("d/o", 5, "2")
        assert first.checksum == "0123456789abcdef"
        assert first.is_cached()
        assert found.entries[1].copies == 1
    assert (
        msgspec.msgpack.decode(
            encode_msgpack(ListPage([]), ListRequest(ALL), "u"), type=BucketList
        ).entries
        == []
    )


def test_others_get_texts_and_nothing_of_ours() -> None:
    packed = msgspec.msgpack.decode(encode_msgpack(PAGE, ListRequest(ALL), "u"))
    assert set(packed) == {"UUID", "ContinuationToken", "Flags", "Entries"}
    assert packed["Entries"][0] == {
        "n": "d/o",
        "s": 5,
        "f": 8256,
        "cs": "0123456789abcdef",
        "a": "23 Nov 25 05:18 UTC",
        "v": "2",
        "t": "t[n]:mp[/m]",
        "m": "[k:v w a:b:c ETag:tag LastModified:2025-11-23T05:18:00.123456789Z]",
        "c": 1,
    }
    assert packed["Entries"][2] == {"n": "f/", "f": 256}
    entry = json.loads(encode_json(PAGE, ListRequest(ALL), "u"))["entries"][0]
    assert entry["size"] == "5"
    assert entry["custom-md"].startswith("[k:v w")
    rfc3339 = ListRequest(ALL, time_format="2006-01-02T15:04:05Z07:00")
    assert json.loads(encode_json(PAGE, rfc3339, "u"))["entries"][0]["atime"].startswith("2025-")


def test_pages_of_others() -> None:
    body = encode_msgpack(PAGE, ListRequest(ALL), "u")
    (first, *_), _ = decode_page(body, MSGPACK_TYPE)[0].entries, None
    assert first.etag == "tag"
    assert first.mtime_ns == FULL.mtime_ns
    assert first.custom is not None
    assert first.custom["k"] == "v w"
    assert first.checksum == Checksum(ChecksumType.XXHASH2, "0123456789abcdef")
    assert first.atime_ns == FULL.atime_ns
    page, uuid = decode_page(
        b'{"uuid":"u","continuation_token":"","flags":0,"entries":[{"name":"a","size":"9"},'
        b'{"name":"b","checksum":"odd-etag","flags":2048}]}',
        JSON_TYPE,
    )
    assert uuid == "u"
    assert [entry.size for entry in page.entries] == [9, 0]
    assert page.entries[1].checksum is None
    assert decode_page(b'{"uuid":"u","entries":null}', JSON_TYPE)[0].entries == []


@pytest.mark.parametrize("body", [b"", b"\xc1", b"[]", b'{"entries":[{"size":1}]}', b"\x81"])
def test_bad_pages(body: bytes) -> None:
    for kind in (MSGPACK_TYPE, JSON_TYPE, ""):
        with pytest.raises(ProtocolError):
            decode_page(body, kind)
