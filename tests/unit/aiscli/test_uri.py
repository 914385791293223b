"""What the user may write for buckets and objects."""

import pytest

from aiscli.uri import BucketQuery, parse_bucket, parse_object, parse_query, parse_target
from aiscore.errors import InvalidArgumentError
from aiscore.model.bucket import BucketRef, Namespace, Provider


def test_a_bare_name_is_an_ais_bucket() -> None:
    assert parse_bucket("b") == BucketRef("b")
    assert parse_object("b/o/p").cname == "ais://b/o/p"


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("ais:", BucketQuery(Provider.AIS)),
        ("ais://", BucketQuery(Provider.AIS)),
        ("s3:", BucketQuery(Provider.AWS)),
        ("gs://", BucketQuery(Provider.GCP)),
        ("ais://#ns", BucketQuery(Provider.AIS, Namespace(name="ns"))),
        ("ais://@u#ns/", BucketQuery(Provider.AIS, Namespace("u", "ns"))),
        ("b", None),
        ("ais://b", None),
        ("ais://#ns/b", None),
        ("b/with:colon", None),
    ],
)
def test_sets_of_buckets(text: str, query: BucketQuery | None) -> None:
    assert parse_query(text) == query


@pytest.mark.parametrize("text", ["ais:/b", "s3:b", "", "ais://", "zz://b", "/tmp/x", "ais://b/o"])
def test_what_is_no_bucket_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgumentError):
        parse_bucket(text)


def test_a_typing_error_is_corrected_in_the_hint() -> None:
    with pytest.raises(InvalidArgumentError) as raised:
        parse_bucket("ais:/b")
    assert raised.value.hint == 'did you mean "ais://b"'


def test_colons_in_object_names_are_fine() -> None:
    assert parse_target("b/a:b").name == "a:b"
