"""What no client should send: S3's error, and nothing stored."""

from typing import TYPE_CHECKING

import pytest
from botocore.exceptions import ClientError
from tests.integration.server.process import Served, ais_serve

if TYPE_CHECKING:
    from pathlib import Path

    from mypy_boto3_s3.client import S3Client

BOMB = b"""<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaaaaaaaa">
<!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]><Delete><Object><Key>&b;</Key></Object></Delete>"""
EXTERNAL = b"""<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>
<Delete><Object><Key>&a;</Key></Object></Delete>"""


@pytest.mark.parametrize(
    "body",
    [
        b"<",
        b"no XML",
        b"<Delete>",
        b"<Delete/>",
        b"<Other><Object><Key>k</Key></Object></Other>",
        b"<Delete><Object/></Delete>",
        b"<Delete><Object><Key></Key></Object></Delete>",
        b"<Delete>" + b"<Object><Key>k</Key></Object>" * 1001 + b"</Delete>",
        b"<Delete>" + b"<a>" * 100_000 + b"</a>" * 100_000 + b"</Delete>",
        b'<?xml version="1.0" encoding="none-such"?><Delete/>',
        b"<Delete><Object><Key>\xff</Key></Object></Delete>",
        b"<Delete><Object><Key>&#0;</Key></Object></Delete>",
        BOMB,
        EXTERNAL,
    ],
)
def test_malformed_documents(s3: "S3Client", server: Served, bucket: str, body: bytes) -> None:
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    answer = server.call("POST", f"/s3/{bucket}?delete", body)
    assert (answer.status, b"<Code>MalformedXML</Code>" in answer.body) == (400, True), answer
    assert answer.headers["content-type"] == "application/xml"
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 1


def test_no_document_and_a_long_one(server: Served, bucket: str) -> None:
    answer = server.call("POST", f"/s3/{bucket}?delete", b"")
    assert b"<Code>MissingRequestBodyError</Code>" in answer.body
    answer = server.call("POST", f"/s3/{bucket}?delete", b" " * (5 << 20))
    assert b"<Code>MaxMessageLengthExceeded</Code>" in answer.body


@pytest.mark.parametrize(
    "key",
    [
        "..",
        ".",
        "a/../b",
        "a/./b",
        "a/..",
        "/a",
        "/",
        "//",
        "~/a",
        "a/%01",
        "a%00b",
        "%ff",
        "%2e%2e",
    ],
)
@pytest.mark.parametrize("size", [1, 2 << 20])
def test_keys_that_are_none(
    s3: "S3Client", server: Served, bucket: str, key: str, size: int
) -> None:
    for method, body in (("PUT", b"x" * size), ("GET", None), ("DELETE", None)):
        answer = server.call(method, f"/s3/{bucket}/{key}", body)
        assert (answer.status, b"<Code>InvalidArgument</Code>" in answer.body) == (400, True), (
            answer
        )
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0


def test_a_key_that_is_too_long(s3: "S3Client", server: Served, bucket: str) -> None:
    for key in ("k" * 1025, "%C3%A9" * 513):
        answer = server.call("PUT", f"/s3/{bucket}/{key}", b"x")
        assert (answer.status, b"<Code>KeyTooLongError</Code>" in answer.body) == (400, True)
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0


def test_paths_and_methods(server: Served, bucket: str) -> None:
    for method, path, code in (
        ("PUT", "/s3", "MethodNotAllowed"),
        ("POST", f"/s3/{bucket}/k", "MethodNotAllowed"),
        ("PATCH", f"/s3/{bucket}", "MethodNotAllowed"),
        ("PUT", "/s3/in%20valid", "InvalidBucketName"),
        ("PUT", "/s3/..", "InvalidBucketName"),
        ("DELETE", f"/s3/{bucket}?policy", "NotImplemented"),
        ("DELETE", f"/s3/{bucket}/k?acl", "NotImplemented"),
        ("PUT", f"/s3/{bucket}?uploads", "NotImplemented"),
        ("DELETE", f"/s3/{bucket}?delete", "NotImplemented"),
    ):
        answer = server.call(method, path)
        assert f"<Code>{code}</Code>".encode() in answer.body, (method, path, answer)
    assert server.call("HEAD", f"/s3/{bucket}").status == 200


def test_copies_of_nonsense(s3: "S3Client", server: Served, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    for source, code in (
        ("", "InvalidArgument"),
        ("k", "InvalidArgument"),
        (f"{bucket}/", "InvalidArgument"),
        (f"{bucket}/../k", "InvalidArgument"),
        (f"{bucket}/%ff", "InvalidArgument"),
        (f"{bucket}/k?versionId=7", "NoSuchVersion"),
        ("none-such/k", "NoSuchBucket"),
    ):
        answer = server.call("PUT", f"/s3/{bucket}/c", None, {"x-amz-copy-source": source})
        assert f"<Code>{code}</Code>".encode() in answer.body, (source, answer)
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 1


@pytest.mark.parametrize("key", ["/", "//", "a/../", "a\x02/../b"])
def test_errors_can_be_read_by_every_parser(s3: "S3Client", bucket: str, key: str) -> None:
    for call in (
        lambda: s3.put_object(Bucket=bucket, Key=key, Body=b"x"),
        lambda: s3.get_object(Bucket=bucket, Key=key),
        lambda: s3.delete_object(Bucket=bucket, Key=key),
    ):
        with pytest.raises(ClientError) as failed:
            call()
        error = failed.value.response["Error"]
        assert error["Code"] == "InvalidArgument"
        assert "object name" in error["Message"]
        assert "\x01" not in error["Message"]


def test_at_the_root_and_by_host(tmp_path: "Path") -> None:
    with ais_serve(tmp_path, "--set", "s3_domain=s3.test") as served:
        host = {"Host": "b.s3.test:80"}
        assert served.call("PUT", "/", None, host).status == 200
        assert served.call("PUT", "/v1/k", b"x", host).status == 200
        assert served.call("GET", "/s3/b/v1/k").body == b"x"
        assert served.call("GET", "/b/v1/k").status == 404
        message = {"features": str(1 << 3)}
        assert served.act("PUT", "/v1/cluster", "set-config", message).status == 200
        assert served.call("GET", "/b/v1/k").body == b"x"
        assert b"ListAllMyBucketsResult" in served.call("GET", "/").body
        assert served.call("GET", "/v1/health").status == 200
        assert b"<Code>NoSuchBucket</Code>" in served.call("GET", "/none-such/k").body
