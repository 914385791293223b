import pytest
from aistore.sdk.types import BucketModel  # type: ignore[import-untyped]

from aiscore.errors import InvalidArgumentError, InvalidNameError
from aiscore.model.bucket import BucketRef, Namespace, Provider
from aiscore.wire.buckets import (
    bucket_from_json,
    bucket_of,
    bucket_query,
    bucket_to_json,
    object_path,
    object_uname,
    parse_uname,
)
from aiscore.wire.values import (
    TIME_UNSET,
    decode_duration,
    decode_int,
    format_atime,
    format_http_date,
    format_rfc3339,
    header_text,
    parse_atime,
    parse_http_date,
    parse_rfc3339,
    query_bool,
    query_int,
)

NS = 1_763_875_080_123_456_789
PLAIN = BucketRef("b")
FAR = BucketRef("b", Provider.AIS, Namespace("uuid1", "ns"))


def test_times_are_what_go_writes() -> None:
    assert format_rfc3339(NS) == "2025-11-23T05:18:00.123456789Z"
    assert format_rfc3339(NS - 456_789) == "2025-11-23T05:18:00.123Z"
    assert format_rfc3339(0) == TIME_UNSET
    assert format_atime(NS) == "23 Nov 25 05:18 UTC"
    assert format_http_date(NS) == "Sun, 23 Nov 2025 05:18:00 GMT"


def test_times_come_back() -> None:
    assert parse_rfc3339(format_rfc3339(NS)) == NS
    assert parse_rfc3339("2025-11-23T06:18:00.123456789+01:00") == NS
    assert parse_rfc3339(TIME_UNSET) == parse_rfc3339("") == 0
    assert parse_atime(format_atime(NS)) == NS // 60_000_000_000 * 60_000_000_000
    assert parse_atime("yesterday") == 0
    assert parse_http_date(format_http_date(NS)) == NS // 10**9 * 10**9
    assert parse_http_date("Sun, 99 Nov 2025 05:18:00 GMT") is None
    with pytest.raises(InvalidArgumentError):
        parse_rfc3339("2025-13-40T05:18:00Z")


def test_numbers_come_as_text_too() -> None:
    assert decode_int("18446744073709551615", "x") == decode_int(2**64 - 1, "x")
    assert decode_duration("1m30s", "x") == decode_duration(90_000_000_000, "x")
    assert decode_duration("500", "x") == 500, "a number in text is still nanoseconds"
    for junk in ("1e3", "", "0x1", True, None, 1.5, 2**64):
        with pytest.raises(InvalidArgumentError):
            decode_int(junk, "x")


def test_query_values() -> None:
    assert query_bool({"a": "True"}, "a")
    assert not query_bool({"a": "junk"}, "a")
    assert query_int({"a": "7"}, "a") == 7
    assert query_int({"a": ""}, "a", 3) == 3


def test_header_text_cannot_start_a_header() -> None:
    assert header_text("a\r\nSet-Cookie: x\0\x7f") == "a%0D%0ASet-Cookie: x%00%7F"
    assert header_text("caf\u00e9") == "caf\u00e9"


@pytest.mark.parametrize("bucket", [PLAIN, FAR, BucketRef("b", Provider.AWS)])
def test_buckets_come_back(bucket: BucketRef) -> None:
    assert bucket_of(bucket.name, bucket_query(bucket)) == bucket
    assert bucket_from_json(bucket_to_json(bucket)) == bucket
    assert parse_uname(object_uname(bucket, "a/b")) == (bucket, "a/b")
    assert parse_uname(bucket.uname) == (bucket, "")


def test_python_client_reads_our_bucket() -> None:
    for bucket in (PLAIN, FAR):
        model = BucketModel.model_validate(bucket_to_json(bucket))
        assert model.get_path() == bucket.uname


def test_bucket_spellings() -> None:
    assert bucket_query(PLAIN) == {"provider": "ais"}
    assert bucket_query(FAR) == {"provider": "ais", "namespace": "@uuid1#ns"}
    assert bucket_of("b", {"provider": "s3"}).provider is Provider.AWS
    assert bucket_of("b", {"namespace": "@#"}) == PLAIN
    assert bucket_from_json({"NAME": "b", "Provider": "", "namespace": None}) == PLAIN
    assert bucket_from_json({"name": ""}) is None
    with pytest.raises(InvalidArgumentError):
        bucket_of("b", {"provider": "ftp"})
    with pytest.raises(InvalidNameError):
        bucket_of("a/b", {})


@pytest.mark.parametrize("text", ["", "b", "ais/@#/", "ais//b/o", "ais/#/b/o", "x/@#/b/o"])
def test_bad_uname(text: str) -> None:
    with pytest.raises(InvalidArgumentError):
        parse_uname(text)


def test_paths_are_encoded_once() -> None:
    assert object_path(PLAIN, "a/b c%20?#\u00e9") == "/v1/objects/b/a/b%20c%2520%3F%23%C3%A9"
    with pytest.raises(InvalidNameError):
        object_path(PLAIN, "a\ud800")
