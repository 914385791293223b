"""Codecs of the wire: what is encoded comes back, and nothing that comes in makes a reader fail in its own way."""

import contextlib
import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiscore.errors import AisError, InvalidNameError, ProtocolError
from aiscore.model.archive import ArchiveFormat
from aiscore.model.batch import BatchEntry, BatchRequest, BatchResult
from aiscore.model.bucket import BucketRef, Namespace, Provider
from aiscore.model.byterange import ByteRange
from aiscore.model.checksum import Checksum, ChecksumType
from aiscore.model.names import check_object_name
from aiscore.model.objects import (
    EntryFlag,
    ListEntry,
    ListOptions,
    ListPage,
    ListProp,
    ObjectProps,
)
from aiscore.testing.strategies import bucket_names, object_names
from aiscore.wire.batch import (
    decode_request,
    decode_response,
    encode_request,
    encode_response,
    member_name,
    multipart_head,
    multipart_tail,
    split_multipart,
)
from aiscore.wire.buckets import (
    bucket_from_json,
    bucket_of,
    bucket_query,
    bucket_to_json,
    checked_path,
    object_path,
    object_uname,
    parse_uname,
    quote_path,
)
from aiscore.wire.errors import decode_error
from aiscore.wire.jobs import decode_snaps, filter_of
from aiscore.wire.listing import ListRequest, decode_page, encode_json, encode_msgpack
from aiscore.wire.listing import decode_request as decode_list_request
from aiscore.wire.messages import CopyObjectsMsg, decode_action, decode_value
from aiscore.wire.names import JSON_TYPE, MSGPACK_TYPE
from aiscore.wire.objects import custom_headers, custom_of, props_from_headers, props_headers
from aiscore.wire.ranges import parse_range, range_header
from aiscore.wire.values import format_rfc3339, parse_rfc3339

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
LINES = TEXTS.filter(lambda text: not {"\n", "\r", "\0"} & set(text))
KEYS = LINES.filter(lambda key: key != "" and "=" not in key and key.isprintable())
CUSTOM = st.dictionaries(KEYS, LINES, max_size=4)
TIMES = st.integers(1, 2**62)
SIZES = st.integers(0, 2**62)
PARTS = st.from_regex(r"[A-Za-z0-9_-]{0,8}", fullmatch=True)
BUCKETS = st.builds(
    BucketRef, bucket_names(), st.sampled_from(Provider), st.builds(Namespace, PARTS, PARTS)
)
CHECKSUMS = st.sampled_from([kind for kind in ChecksumType if kind.digits]).flatmap(
    lambda kind: st.builds(
        Checksum,
        st.just(kind),
        st.text("0123456789abcdef", min_size=kind.digits, max_size=kind.digits),
    )
)
ENTRIES = st.builds(
    ListEntry,
    object_names(),
    SIZES,
    st.none() | CHECKSUMS,
    LINES,
    TIMES,
    TIMES,
    st.none() | CUSTOM,
    LINES,
    st.integers(1, 9),
    LINES,
    st.integers(0, 65535).map(lambda bits: EntryFlag(bits & ~256)),
)
PROPS = st.builds(
    ObjectProps,
    name=object_names(),
    size=SIZES,
    checksum=st.none() | CHECKSUMS,
    version=PARTS,
    atime_ns=TIMES,
    mtime_ns=TIMES,
    custom=CUSTOM,
    location=PARTS,
    chunk_count=st.integers(2, 9),
    chunk_size_max=SIZES,
    etag=PARTS,
)
BATCH_ENTRIES = st.builds(
    BatchEntry,
    object_names(),
    st.none() | BUCKETS,
    st.none() | object_names(),
    st.none() | st.binary(max_size=9),
    SIZES,
    st.integers(-1, 2**62),
)
JUNK = st.binary(max_size=60) | st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXTS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            TEXTS | st.sampled_from(["in", "entries", "value", "kind", "bck", "flags", "name"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=8,
).map(lambda value: json.dumps(value).encode())


def headers_of(pairs: list[tuple[str, str]]) -> dict[str, list[str]]:
    """What a peer reads: bytes taken for Latin-1, blanks around a value lost."""
    found: dict[str, list[str]] = {}
    for name, value in pairs:
        raw = value.encode()
        assert not {10, 13, 0} & set(raw)
        found.setdefault(name.lower(), []).append(raw.decode("latin-1").strip(" \t"))
    return found


@given(BUCKETS, object_names())
def test_buckets(bucket: BucketRef, name: str) -> None:
    assert bucket_of(bucket.name, bucket_query(bucket)) == bucket
    assert bucket_from_json(bucket_to_json(bucket)) == bucket
    assert parse_uname(object_uname(bucket, name)) == (bucket, name)
    assert set(object_path(bucket, name)) <= set(
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~/%"
    )


@given(st.text("aZ0_.-/~%\0é \ud800", max_size=12) | object_names())
def test_a_name_is_checked_and_encoded_as_by_two(name: str) -> None:
    try:
        expected = quote_path(check_object_name(name))
    except InvalidNameError:
        with pytest.raises(InvalidNameError):
            checked_path(name)
    else:
        assert checked_path(name) == expected


@given(TIMES)
def test_times(time_ns: int) -> None:
    assert parse_rfc3339(format_rfc3339(time_ns)) == time_ns


@given(CUSTOM)
def test_custom_metadata(custom: dict[str, str]) -> None:
    found = headers_of(custom_headers(custom))
    assert custom_of(lambda name: found.get(name, [])) == custom


@given(PROPS)
def test_properties(props: ObjectProps) -> None:
    found = headers_of(props_headers(props, with_size=True))
    there = props_from_headers(
        props.name, lambda name: found.get(name, [None])[0], lambda name: found.get(name, [])
    )
    assert there == props


@given(st.integers(0, 2**62), st.none() | st.integers(1, 2**62))
def test_ranges(offset: int, length: int | None) -> None:
    byte_range = ByteRange(offset, length)
    assert parse_range(range_header(byte_range)) == byte_range


@given(st.lists(ENTRIES, max_size=5), TEXTS, PARTS)
def test_pages(entries: list[ListEntry], token: str, uuid: str) -> None:
    page = ListPage(entries, token)
    request = ListRequest(ListOptions(props=frozenset(ListProp)), is_extended=True)
    assert decode_page(encode_msgpack(page, request, uuid), MSGPACK_TYPE) == (page, uuid)
    assert decode_page(encode_json(page, request, uuid), JSON_TYPE) == (page, uuid)


@given(st.lists(BATCH_ENTRIES, min_size=1, max_size=5), BUCKETS, st.booleans(), st.data())
def test_batches(
    entries: list[BatchEntry], bucket: BucketRef, flag: bool, data: st.DataObject
) -> None:
    request = BatchRequest(
        entries=entries,
        bucket=bucket,
        output_format=data.draw(st.sampled_from(ArchiveFormat)),
        cont_on_err=flag,
        only_obj_name=not flag,
        streaming=flag,
    )
    assert decode_request(encode_request(request), bucket) == request
    results = []
    for entry in entries:
        error = data.draw(st.none() | TEXTS.filter(bool))
        where = entry.bucket or bucket
        name = member_name(entry, where, only_obj_name=not flag, is_missing=error is not None)
        results.append(BatchResult(entry, where, name, data.draw(SIZES), error))
    assert decode_response(encode_response("id", results), request) == ("id", results)


@given(st.binary(max_size=200), st.binary(max_size=200), st.integers(1, 50))
def test_multipart(metadata: bytes, content: bytes, step: int) -> None:
    boundary = "0123456789abcdef" * 3
    body = multipart_head(boundary, metadata, "f") + content + multipart_tail(boundary)
    blocks = [body[at : at + step] for at in range(0, len(body), step)]
    found, archive = split_multipart(blocks, boundary)
    assert (found, b"".join(archive)) == (metadata, content)


@given(JUNK)
def test_readers_of_requests_refuse_in_one_way(body: bytes) -> None:
    readers = (
        lambda: decode_list_request(body),
        lambda: decode_request(body, None),
        lambda: decode_action(body),
        lambda: decode_value(body, CopyObjectsMsg),
        lambda: filter_of(body),
    )
    for read in readers:
        try:
            read()
        except AisError as exc:
            assert exc.status == 400  # noqa: PT017  any class of it
    assert isinstance(decode_error(404, body, method="GET"), AisError)


@given(JUNK | st.recursive(st.none() | st.text(), st.lists).map(msgspec.msgpack.encode))
def test_readers_of_answers_refuse_in_one_way(body: bytes) -> None:
    readers = (
        lambda: decode_page(body, MSGPACK_TYPE),
        lambda: decode_page(body, JSON_TYPE),
        lambda: decode_snaps(body),
        lambda: split_multipart([body], "x"),
        lambda: decode_response(body, BatchRequest(entries=[BatchEntry("o", BucketRef("b"))])),
    )
    for read in readers:
        with contextlib.suppress(ProtocolError):
            read()
