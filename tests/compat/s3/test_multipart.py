"""Uploads in parts."""

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError
from tests.integration.server.process import Served

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

Json = Any
Part = Any

MIB = 1 << 20
PART = 5 * MIB


class Upload:
    """One upload of a test."""

    def __init__(self, s3: "S3Client", bucket: str, key: str = "k", **options: Json) -> None:
        self._s3 = s3
        self.where: Json = {"Bucket": bucket, "Key": key}
        created = s3.create_multipart_upload(**self.where, **options)
        self.where["UploadId"] = created["UploadId"]

    def put(self, number: int, data: bytes) -> Part:
        part = self._s3.upload_part(**self.where, PartNumber=number, Body=data)
        return {"PartNumber": number, "ETag": part["ETag"]}

    def complete(self, parts: list[Part], **options: Json) -> Json:
        return self._s3.complete_multipart_upload(
            **self.where, MultipartUpload={"Parts": parts}, **options
        )

    def refused(self, parts: list[Part], **options: Json) -> str:
        with pytest.raises(ClientError) as failed:
            self.complete(parts, **options)
        return failed.value.response["Error"]["Code"]


def composite(*parts: bytes) -> str:
    digests = b"".join(hashlib.md5(part).digest() for part in parts)
    return f'"{hashlib.md5(digests).hexdigest()}-{len(parts)}"'


def test_parts_become_an_object(s3: "S3Client", server: Served, bucket: str) -> None:
    upload = Upload(s3, bucket, Metadata={"a": "1"}, ContentType="a/b")
    data = [os.urandom(PART), os.urandom(PART + 3), os.urandom(7)]
    with ThreadPoolExecutor(3) as pool:
        parts = list(pool.map(upload.put, (1, 2, 7), data))
    done = upload.complete(parts)
    assert done["ETag"] == composite(*data)
    got = s3.get_object(Bucket=bucket, Key="k")
    assert got["Body"].read() == b"".join(data)
    assert (got["ETag"], got["Metadata"], got["ContentType"]) == (
        composite(*data),
        {"a": "1"},
        "a/b",
    )
    assert s3.list_objects_v2(Bucket=bucket)["Contents"][0]["ETag"] == composite(*data)
    for number, part in enumerate(data, start=1):
        got = s3.get_object(Bucket=bucket, Key="k", PartNumber=number)
        assert got["Body"].read() == part
        assert got["PartsCount"] == 3
    with pytest.raises(ClientError) as failed:
        s3.head_object(Bucket=bucket, Key="k", PartNumber=4)
    assert failed.value.response["ResponseMetadata"]["HTTPStatusCode"] == 416
    seen = server.call("GET", f"/v1/objects/{bucket}/k?provider=ais&validate-checksum=true")
    assert seen.body == b"".join(data)
    attributes = s3.get_object_attributes(Bucket=bucket, Key="k", ObjectAttributes=["ObjectParts"])
    assert attributes["ObjectParts"]["TotalPartsCount"] == 3
    # The answer may have been lost: the same once more is answered the same.
    assert upload.complete(parts)["ETag"] == composite(*data)
    assert upload.refused(parts[:2]) == "NoSuchUpload"


def test_what_is_listed(s3: "S3Client", bucket: str) -> None:
    uploads = [Upload(s3, bucket, key) for key in ("a/1", "a/2", "b", "b")]
    for number in (1, 3, 5):
        uploads[0].put(number, b"x" * number)
    page = s3.list_parts(**uploads[0].where, MaxParts=2)
    assert [part["PartNumber"] for part in page["Parts"]] == [1, 3]
    assert page["IsTruncated"]
    page = s3.list_parts(**uploads[0].where, PartNumberMarker=page["NextPartNumberMarker"])
    assert [(part["PartNumber"], part["Size"]) for part in page["Parts"]] == [(5, 5)]
    assert not page["IsTruncated"]
    ids: list[str] = []
    options: Json = {"PaginationConfig": {"PageSize": 1}}
    for found in s3.get_paginator("list_multipart_uploads").paginate(Bucket=bucket, **options):
        ids += [entry["UploadId"] for entry in found.get("Uploads", [])]
    assert sorted(ids) == sorted(upload.where["UploadId"] for upload in uploads)
    folded = s3.list_multipart_uploads(Bucket=bucket, Delimiter="/")
    assert [entry["Key"] for entry in folded["Uploads"]] == ["b", "b"]
    assert folded["CommonPrefixes"] == [{"Prefix": "a/"}]
    for upload in uploads:
        s3.abort_multipart_upload(**upload.where)
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=bucket)
    with pytest.raises(ClientError) as failed:
        s3.list_parts(**uploads[0].where)
    assert failed.value.response["Error"]["Code"] == "NoSuchUpload"


def test_what_cannot_be_completed(s3: "S3Client", bucket: str) -> None:
    upload = Upload(s3, bucket)
    one, two = upload.put(1, os.urandom(PART)), upload.put(2, b"x")
    small = upload.put(3, b"y")
    assert upload.refused([two, one]) == "InvalidPartOrder"
    assert upload.refused([one, one]) == "InvalidPartOrder"
    assert upload.refused([one, {**two, "ETag": '"0123"'}]) == "InvalidPart"
    assert upload.refused([one, {**two, "PartNumber": 9}]) == "InvalidPart"
    assert upload.refused([one, two, small]) == "EntityTooSmall"
    assert upload.refused([]) == "MalformedXML"
    many = [{"PartNumber": number, "ETag": one["ETag"]} for number in range(1, 10_002)]
    assert upload.refused(many) == "MalformedXML"
    assert upload.refused([one], IfMatch='"other"') == "PreconditionFailed"
    with pytest.raises(ClientError) as failed:
        s3.head_object(Bucket=bucket, Key="k")
    assert failed.value.response["ResponseMetadata"]["HTTPStatusCode"] == 404
    s3.put_object(Bucket=bucket, Key="k", Body=b"old")
    assert upload.refused([one, two], IfNoneMatch="*") == "PreconditionFailed"
    assert upload.complete([one, two])["ETag"].endswith('-2"')


def test_parts_that_are_none(s3: "S3Client", server: Served, bucket: str) -> None:
    upload = Upload(s3, bucket)
    for number in ("0", "10001", "-1", "x"):
        where = f"uploadId={upload.where['UploadId']}&partNumber={number}"
        answer = server.call("PUT", f"/s3/{bucket}/k?{where}", b"x")
        assert (answer.status, b"<Code>InvalidArgument</Code>" in answer.body) == (400, True)
    for query in ("partNumber=1", f"uploadId={upload.where['UploadId']}"):
        answer = server.call("PUT", f"/s3/{bucket}/k?{query}", b"x")
        assert (answer.status, b"<Code>InvalidArgument</Code>" in answer.body) == (400, True)
    for wrong in ("nosuchupload", "../../../etc", "x"):
        answer = server.call("PUT", f"/s3/{bucket}/k?partNumber=1&uploadId={wrong}", b"x")
        assert (answer.status, b"<Code>NoSuchUpload</Code>" in answer.body) == (404, True)
    assert "Parts" not in s3.list_parts(**upload.where)
    assert server.call("GET", f"/s3/{bucket}/k").status == 404


def test_copies_of_parts(s3: "S3Client", bucket: str) -> None:
    data = os.urandom(12 * MIB)
    source: Json = {"Bucket": bucket, "Key": "source"}
    etag = s3.put_object(**source, Body=data)["ETag"]
    upload = Upload(s3, bucket)

    def copy(number: int, text: str, **options: Json) -> Part:
        done = s3.upload_part_copy(
            **upload.where,
            PartNumber=number,
            CopySource=source,
            CopySourceRange=text,
            **options,
        )
        return {"PartNumber": number, "ETag": done["CopyPartResult"]["ETag"]}

    parts = [
        copy(1, f"bytes=0-{PART - 1}", CopySourceIfMatch=etag),
        copy(2, f"bytes={PART}-{12 * MIB - 1}"),
    ]
    for text, options, code in (
        (f"bytes=0-{12 * MIB}", {}, "InvalidArgument"),
        ("bytes=5-", {}, "InvalidArgument"),
        ("bytes=0-1", {"CopySourceIfMatch": '"other"'}, "PreconditionFailed"),
    ):
        with pytest.raises(ClientError) as failed:
            copy(3, text, **options)
        assert failed.value.response["Error"]["Code"] == code
    assert upload.complete(parts)["ETag"] == composite(data[:PART], data[PART:])
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == data
