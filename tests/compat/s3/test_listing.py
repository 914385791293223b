"""Listings: every page together is what is there, in order, whatever folds it."""

import random
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError
from tests.integration.server.process import Served

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

Json = Any

ODD_KEYS = [
    "a",
    "a/",
    "a/!",
    "a/b",
    "a/b/",
    "a/b/c",
    "a//b",
    "a//b//c",
    "a b",
    "a+b",
    "a%2Fb",
    "a&<>\"'b",
    "aa",
    "ab--c",
    "ab--d--e",
    "b\tc",
    "b\nc",
    "b\x0bc",
    "ä/ö",
    "\U0001f600/x",
    "\uffff",
    "z/" * 200 + "z",
    "k" * 1024,
    "é" * 512,
]


@pytest.fixture(scope="module")
def odd(s3: "S3Client") -> str:
    """A bucket with keys that something could stumble over."""
    s3.create_bucket(Bucket="odd")
    for key in ODD_KEYS:
        s3.put_object(Bucket="odd", Key=key, Body=key.encode())
    return "odd"


def expected(keys: list[str], prefix: str, delimiter: str, after: str = "") -> list[str]:
    """Keys and common prefixes, in order, found the simple way."""
    found: dict[str, None] = {}
    for key in sorted(keys, key=str.encode):
        if key.startswith(prefix) and key.encode() > after.encode():
            at = key.find(delimiter, len(prefix)) if delimiter else -1
            found[key if at < 0 else key[: at + len(delimiter)]] = None
    return list(found)


def pages(s3: "S3Client", operation: str, **options: Json) -> list[str]:
    """Keys and common prefixes of all pages."""
    found: list[str] = []
    limit = options["PaginationConfig"]["PageSize"]
    for page in s3.get_paginator(operation).paginate(**options):  # type: ignore[call-overload]
        names = [entry["Key"] for entry in page.get("Contents", page.get("Versions", []))]
        names += [entry["Prefix"] for entry in page.get("CommonPrefixes", [])]
        assert len(names) <= limit
        if page["IsTruncated"]:
            assert len(names) == limit
        if operation == "list_objects_v2":
            assert page["KeyCount"] == len(names)
        found += sorted(names, key=str.encode)
    return found


def test_odd_keys_are_kept(s3: "S3Client", odd: str) -> None:
    for key in ODD_KEYS:
        assert s3.get_object(Bucket=odd, Key=key)["Body"].read() == key.encode()
        assert s3.head_object(Bucket=odd, Key=key)["ContentLength"] == len(key.encode())


@pytest.mark.parametrize("operation", ["list_objects", "list_objects_v2"])
@pytest.mark.parametrize("delimiter", ["", "/", "--", "b", "//", "ö"])
def test_pages_are_the_whole(s3: "S3Client", odd: str, operation: str, delimiter: str) -> None:
    for prefix in ("", "a", "a/", "a/b", "a//", "ä", "none", "/", "../"):
        for size in (1, 2, 3, 1000):
            options: dict[str, Any] = {"PaginationConfig": {"PageSize": size}}
            found = pages(s3, operation, Bucket=odd, Prefix=prefix, Delimiter=delimiter, **options)
            assert found == expected(ODD_KEYS, prefix, delimiter), (prefix, size)


def test_start_after(s3: "S3Client", odd: str) -> None:
    for after in ("", "a", "a/", "a/b", "a/zz", "m", "\U0010ffff"):
        for delimiter in ("", "/", "--"):
            page = s3.list_objects_v2(Bucket=odd, StartAfter=after, Delimiter=delimiter)
            names = [entry["Key"] for entry in page.get("Contents", [])]
            names += [entry["Prefix"] for entry in page.get("CommonPrefixes", [])]
            assert sorted(names, key=str.encode) == expected(ODD_KEYS, "", delimiter, after), after


def test_many_random_keys(s3: "S3Client") -> None:
    s3.create_bucket(Bucket="many")
    chosen = random.Random(1)
    keys = {"".join(chosen.choices("ab/-", k=chosen.randint(1, 9))) for _ in range(300)}
    keys = {key for key in keys if not key.startswith("/")}
    for key in keys:
        s3.put_object(Bucket="many", Key=key)
    for operation in ("list_objects", "list_objects_v2", "list_object_versions"):
        for delimiter in ("", "/", "a", "-/", "ab"):
            for prefix in ("", "a", "b/", "-"):
                options: dict[str, Any] = {"PaginationConfig": {"PageSize": 17}}
                found = pages(
                    s3, operation, Bucket="many", Prefix=prefix, Delimiter=delimiter, **options
                )
                assert found == expected(list(keys), prefix, delimiter), (delimiter, prefix)


def test_fields(s3: "S3Client", odd: str) -> None:
    page = s3.list_objects_v2(Bucket=odd, Prefix="a", MaxKeys=1, FetchOwner=True)
    entry = page["Contents"][0]
    head = s3.head_object(Bucket=odd, Key="a")
    assert (entry["ETag"], entry["Size"]) == (head["ETag"], 1)
    assert entry["LastModified"].replace(microsecond=0) == head["LastModified"]
    assert entry["StorageClass"] == "STANDARD"
    assert entry["Owner"]["ID"] == "ais"
    assert (page["MaxKeys"], page["IsTruncated"], page["Name"]) == (1, True, odd)
    assert s3.list_objects_v2(Bucket=odd, MaxKeys=0)["KeyCount"] == 0


def test_every_object_has_one_version(s3: "S3Client", odd: str) -> None:
    page = s3.list_object_versions(Bucket=odd, Prefix="a", MaxKeys=2)
    assert [entry["Key"] for entry in page["Versions"]] == expected(ODD_KEYS, "a", "")[:2]
    assert {(entry["VersionId"], entry["IsLatest"]) for entry in page["Versions"]} == {
        ("null", True)
    }
    assert page["Versions"][0]["ETag"] == s3.head_object(Bucket=odd, Key="a")["ETag"]
    assert "DeleteMarkers" not in page
    last = page["Versions"][1]["Key"]
    assert (page["NextKeyMarker"], page["NextVersionIdMarker"]) == (last, "null")
    for version in ({}, {"VersionIdMarker": "null"}):
        rest = s3.list_object_versions(Bucket=odd, Prefix="a", KeyMarker=last, **version)
        assert [entry["Key"] for entry in rest["Versions"]] == expected(ODD_KEYS, "a", "", last)
    chosen = page["Versions"][0]
    got = s3.get_object(Bucket=odd, Key=chosen["Key"], VersionId=chosen["VersionId"])
    assert got["Body"].read() == chosen["Key"].encode()


def test_what_is_wrong(s3: "S3Client", server: Served, odd: str) -> None:
    for query in (
        "max-keys=-1",
        "max-keys=x",
        "encoding-type=base64",
        "list-type=2&continuation-token=x",
        "list-type=2&continuation-token=eA%3D%3D",
        "versions&version-id-marker=null",
        "versions&key-marker=a&version-id-marker=7",
    ):
        answer = server.call("GET", f"/s3/{odd}?{query}")
        assert (answer.status, b"<Code>InvalidArgument</Code>" in answer.body) == (400, True), query
    with pytest.raises(ClientError) as failed:
        s3.list_objects_v2(Bucket="none-such")
    assert failed.value.response["Error"]["Code"] == "NoSuchBucket"
