from collections.abc import Callable

import pytest
from aistore.sdk.obj.object_attributes import ObjectAttributes  # type: ignore[import-untyped]
from requests.structures import CaseInsensitiveDict

from aiscore.errors import InvalidArgumentError, ProtocolError, RangeNotSatisfiableError
from aiscore.model.archive import ArchiveFormat, ArchiveMode
from aiscore.model.bucket import BucketRef
from aiscore.model.byterange import ByteRange
from aiscore.model.checksum import Checksum, ChecksumType
from aiscore.model.objects import (
    ArchivePutMode,
    GetOptions,
    ObjectProps,
    Precondition,
    PutOptions,
)
from aiscore.wire.conditions import precondition_of
from aiscore.wire.objects import (
    Headers,
    get_options,
    get_request,
    head_headers,
    parse_wanted,
    pine_of,
    props_from_headers,
    props_headers,
    put_mode_of,
    put_options,
    put_request,
)
from aiscore.wire.ranges import content_range, parse_content_range, parse_range, range_header

BUCKET = BucketRef("b")
PROPS = ObjectProps(
    name="a/\u00e9\nb",
    size=10,
    checksum=Checksum(ChecksumType.CRC32C, "0a0b0c0d"),
    version="3",
    atime_ns=1_763_875_080_000_000_000,
    mtime_ns=1_763_875_080_123_456_789,
    custom={"k": "v=w, x", "caf\u00e9": " edge ", "tab": "a\tb", "empty": ""},
    location="t[n]:mp[/mp 1]",
    chunk_count=3,
    chunk_size_max=4,
    etag='x"y',
)


def reader(headers: Headers) -> tuple[Callable[[str], str | None], Callable[[str], list[str]]]:
    """Headers as a request or an answer gives them, after their way through bytes."""
    sent: dict[str, list[str]] = {}
    for name, value in headers:
        raw = value.encode()
        assert b"\n" not in raw
        assert b"\r" not in raw
        sent.setdefault(name.lower(), []).append(raw.decode("latin-1").strip())

    def header(name: str) -> str | None:
        values = sent.get(name)
        return None if values is None else ", ".join(values)

    return header, lambda name: sent.get(name, [])


def test_props_come_back() -> None:
    expected = ObjectProps(**{f: getattr(PROPS, f) for f in PROPS.__slots__} | {"etag": "x%22y"})
    assert props_from_headers(PROPS.name, *reader(props_headers(PROPS, with_size=True))) == expected
    head = [*head_headers(PROPS, BUCKET), ("Content-Length", "10")]
    assert props_from_headers(PROPS.name, *reader(head)) == expected


def test_size_of_the_whole_beside_a_part() -> None:
    part = [("Content-Range", "bytes 2-3/10"), ("Content-Length", "2")]
    assert props_from_headers("o", *reader(part)).size == 10
    member = [*props_headers(PROPS, with_size=True), ("Content-Length", "2")]
    assert props_from_headers("o", *reader(member)).size == 10


def test_python_client_reads_our_head() -> None:
    pairs = dict(head_headers(PROPS, BUCKET)) | {"Content-Length": "10"}
    attributes = ObjectAttributes(CaseInsensitiveDict(pairs))
    assert attributes.size == 10
    assert attributes.present
    assert attributes.checksum_value == "0a0b0c0d"
    assert attributes.mirror_paths == ["/mp 1"]
    assert attributes.mirror_copies == 1
    assert attributes.chunks is not None
    assert attributes.chunks.chunk_count == 3
    assert pairs["Ais-Name"] == "a/\u00e9%0Ab"


def test_second_head_gives_what_is_asked() -> None:
    names = [name for name, _ in head_headers(PROPS, BUCKET, parse_wanted("size, version,"))]
    assert names == ["Ais-Present", "Ais-Version"]
    with pytest.raises(InvalidArgumentError):
        parse_wanted("name,cached")


def test_bad_answer_is_a_protocol_error() -> None:
    for headers in ([("Ais-Atime", "soon")], [("Ais-Checksum-Type", "md5")]):
        with pytest.raises(ProtocolError):
            props_from_headers("o", *reader(headers))


@pytest.mark.parametrize(
    "options",
    [
        GetOptions(),
        GetOptions(byte_range=ByteRange(5)),
        GetOptions(byte_range=ByteRange(0, 1), verify_checksum=True),
        GetOptions(latest=True, etl_name="transformer-md5"),
        GetOptions(byte_range=ByteRange(-5)),
        GetOptions(archpath="a/b", archmime=ArchiveFormat.TGZ, byte_range=ByteRange(1, 2)),
        GetOptions(archregx="", archmode=ArchiveMode.SUFFIX),
    ],
)
def test_get_options_come_back(options: GetOptions) -> None:
    query, headers = get_request(options)
    assert get_options({"provider": "ais", **query}, reader(headers)[0]) == options


def test_archregx_needs_its_mode_as_upstream() -> None:
    header = reader([])[0]
    assert get_options({"provider": "ais", "archregx": "x"}, header) == GetOptions()
    found = get_options({"archregx": "x", "archmode": ""}, header)
    assert found == GetOptions(archregx="x", archmode=ArchiveMode.PREFIX)
    with pytest.raises(InvalidArgumentError):
        get_options({"archregx": "x", "archmode": "best"}, header)


@pytest.mark.parametrize(
    "options",
    [
        PutOptions(size=4),
        PutOptions(
            size=0,
            checksum=Checksum(ChecksumType.MD5, "0" * 32),
            compute=ChecksumType.SHA256,
            custom=PROPS.custom,
            precondition=Precondition(if_etag="e1", if_version="7"),
            skip_same=False,
        ),
        PutOptions(precondition=Precondition(if_absent=True)),
    ],
)
def test_put_options_come_back(options: PutOptions) -> None:
    query, headers = put_request(options)
    assert put_options(query, *reader(headers), options.size) == options


def test_conditions_that_cannot_be_kept_are_refused() -> None:
    for name, value in [("If-Match", "*"), ("If-Match", '"a", "b"'), ("If-None-Match", '"a"')]:
        with pytest.raises(InvalidArgumentError):
            precondition_of(reader([(name, value)])[0])


@pytest.mark.parametrize(
    "text",
    ["bytes=", "bytes=-", "bytes=5-4", "bytes=0-1,3-4", "bytes=-0", "lines=0-1", "bytes=a-b", ""],
)
def test_bad_ranges(text: str) -> None:
    with pytest.raises(RangeNotSatisfiableError):
        parse_range(text)


def test_ranges() -> None:
    for byte_range in (ByteRange(0), ByteRange(3, 1), ByteRange(-7)):
        assert parse_range(range_header(byte_range)) == byte_range
    assert content_range(2, 3, 10) == "bytes 2-4/10"
    assert parse_content_range("bytes 2-4/10") == (2, 3, 10)
    assert parse_content_range("bytes 2-4/*") == (2, 3, None)
    for text in ("bytes 4-2/10", "bytes 2-10/10", "bytes */10", ""):
        with pytest.raises(ProtocolError):
            parse_content_range(text)


def test_put_modes() -> None:
    for mode in ArchivePutMode:
        assert put_mode_of(reader([("Ais-Pine", str(pine_of(mode)))])[0]) is mode
    assert put_mode_of(reader([])[0]) is ArchivePutMode.CREATE
    with pytest.raises(InvalidArgumentError):
        put_mode_of(reader([("Ais-Pine", "3")])[0])
