"""Names, URIs and ranges: what is accepted, what is refused, and that one and the same text comes back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiscore.errors import InvalidArgumentError, InvalidNameError, RangeNotSatisfiableError
from aiscore.model import (
    BucketRef,
    ByteRange,
    Checksum,
    ChecksumType,
    Namespace,
    ObjectUri,
    Provider,
)
from aiscore.model.names import OBJECT_NAME_MAX, check_bucket_name, check_object_name, check_prefix

GOOD_NAMES = (
    "a",
    "a/b",
    "a.b/c..d",
    "ä/ö",
    "..a",
    "a..",
    "a/.b",
    "~a",
    "a//b",
    "a b",
    "x" * OBJECT_NAME_MAX,
)
BAD_NAMES = (
    "",
    "a/",
    "/a",
    ".",
    "..",
    "a/..",
    "../a",
    "a/./b",
    "~/a",
    "a\0b",
    "x" * (OBJECT_NAME_MAX + 1),
)


@pytest.mark.parametrize("name", GOOD_NAMES)
def test_object_names_that_are_accepted(name: str) -> None:
    assert check_object_name(name) == name
    assert all(check_prefix(name[:end]) == name[:end] for end in range(min(len(name), 9)))


@pytest.mark.parametrize("name", [*BAD_NAMES, "\ud800", "é" * OBJECT_NAME_MAX])
def test_object_names_that_are_refused(name: str) -> None:
    with pytest.raises(InvalidNameError, match="is invalid"):
        check_object_name(name)


@given(st.text())
def test_an_accepted_name_never_leaves_its_directory(name: str) -> None:
    try:
        check_object_name(name)
    except InvalidNameError:
        return
    parts = name.split("/")
    assert ".." not in parts
    assert "." not in parts
    assert parts[0] != ""
    assert parts[-1] != ""
    assert len(name.encode()) <= OBJECT_NAME_MAX


@pytest.mark.parametrize("name", ["a", "A-b_c.d", "x" * 64, ".sys-inventory"])
def test_bucket_names_that_are_accepted(name: str) -> None:
    assert check_bucket_name(name) == name


@pytest.mark.parametrize("name", ["", "a/b", "a..b", "x" * 65, "a b", "ä", "a\n"])
def test_bucket_names_that_are_refused(name: str) -> None:
    with pytest.raises(InvalidNameError):
        check_bucket_name(name)


@pytest.mark.parametrize(
    ("uri", "cname", "uname"),
    [
        ("ais://b", "ais://b", "ais/@#/b/"),
        ("ais://b/", "ais://b", "ais/@#/b/"),
        ("s3://b", "s3://b", "aws/@#/b/"),
        ("gcp://b", "gs://b", "gcp/@#/b/"),
        ("ais://#ns/b", "ais://#ns/b", "ais/@#ns/b/"),
        ("ais://@uuid#ns/b", "ais://@uuid#ns/b", "ais/@uuid#ns/b/"),
        ("ais://@uuid/b", "ais://@uuid/b", "ais/@uuid#/b/"),
    ],
)
def test_bucket_uris(uri: str, cname: str, uname: str) -> None:
    bucket = BucketRef.parse(uri)
    assert (bucket.cname, bucket.uname) == (cname, uname)
    assert BucketRef.parse(bucket.cname) == bucket


@given(
    st.sampled_from(list(Provider)),
    st.from_regex(r"[A-Za-z0-9_-]{0,8}", fullmatch=True),
    st.from_regex(r"[A-Za-z0-9_-]{0,8}", fullmatch=True),
    st.from_regex(r"[A-Za-z0-9_-]{1,64}", fullmatch=True),
)
def test_a_cname_reads_back_as_the_bucket_it_names(
    provider: Provider, uuid: str, namespace: str, name: str
) -> None:
    bucket = BucketRef(name, provider, Namespace(uuid, namespace))
    assert BucketRef.parse(bucket.cname) == bucket
    assert ObjectUri.parse(bucket.object_cname("o/p")) == ObjectUri(bucket, "o/p")
    assert hash(BucketRef.parse(bucket.cname)) == hash(bucket)


@pytest.mark.parametrize(
    ("uri", "part"),
    [
        ("b", 'did you mean "ais://b"'),
        ("ais:/b", 'did you mean "ais://b"'),
        ("ais://", "missing bucket name"),
        ("nope://b", "invalid backend provider"),
        ("ais://b/o", "names an object"),
        ("ais://#n s/b", "namespace"),
        ("/b", "expected PROVIDER://BUCKET"),
    ],
)
def test_bucket_uris_that_are_refused(uri: str, part: str) -> None:
    with pytest.raises(InvalidArgumentError) as info:
        BucketRef.parse(uri)
    assert part in f"{info.value.message} {info.value.hint}"


def test_object_uri_takes_the_rest_as_it_is() -> None:
    found = ObjectUri.parse("ais://b/a/b c#d@e")
    assert found.name == "a/b c#d@e"
    assert found.cname == "ais://b/a/b c#d@e"
    with pytest.raises(InvalidArgumentError, match="missing object name"):
        ObjectUri.parse("ais://b", require_name=True)
    assert ObjectUri.parse("b/o", default_provider=Provider.AIS).bucket == BucketRef("b")


@given(st.integers(0, 50), st.integers(-60, 60), st.none() | st.integers(1, 60))
def test_a_range_is_the_slice_that_python_takes(size: int, offset: int, length: int | None) -> None:
    if offset < 0 and length is not None:
        with pytest.raises(InvalidArgumentError):
            ByteRange(offset, length)
        return
    content = bytes(range(size))
    byte_range = ByteRange(offset, length)
    expected = content[offset:] if length is None else content[offset : offset + length]
    if not expected:
        with pytest.raises(RangeNotSatisfiableError, match="ais://b/o"):
            byte_range.resolve(size, "ais://b/o")
        return
    start, count = byte_range.resolve(size, "ais://b/o")
    assert content[start : start + count] == expected


def test_checksums_from_outside_are_checked() -> None:
    assert (
        Checksum.parse("MD5", " D41D8CD98F00B204E9800998ECF8427E ").value
        == "d41d8cd98f00b204e9800998ecf8427e"
    )
    for kind, value in (("md5", "00"), ("crc32c", "xyzxyzxy"), ("sha1", "00"), ("md5", "g" * 32)):
        with pytest.raises(InvalidArgumentError, match="invalid"):
            Checksum.parse(kind, value)
    assert str(Checksum(ChecksumType.CRC32C, "00000000")) == "crc32c[00000000]"
