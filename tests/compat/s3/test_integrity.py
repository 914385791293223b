"""Checksums through boto3: sent, verified, stored, given back, and gone when the content is another one."""

import base64
import hashlib
import os
import zlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError
from tests.integration.server.process import Served

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client
    from mypy_boto3_s3.literals import ChecksumAlgorithmType, ChecksumTypeType

MIB = 1 << 20
# boto3 itself computes the others only with a library of AWS's.
ALGORITHMS = ["CRC32", "SHA1", "SHA256"]


def code_of(caught: "pytest.ExceptionInfo[ClientError]") -> str:
    return caught.value.response["Error"]["Code"]


def crc32(data: bytes) -> str:
    return base64.b64encode(zlib.crc32(data).to_bytes(4, "big")).decode()


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("size", [0, 1000, 3 * MIB])
def test_what_was_sent_is_given_back(
    s3: "S3Client", bucket: str, algorithm: "ChecksumAlgorithmType", size: int
) -> None:
    data = os.urandom(size)
    put = s3.put_object(Bucket=bucket, Key="o", Body=data, ChecksumAlgorithm=algorithm)
    got: Any = s3.get_object(Bucket=bucket, Key="o", ChecksumMode="ENABLED")
    assert got["Body"].read() == data
    name = f"Checksum{algorithm}"
    assert got[name] == put[name]  # type: ignore[literal-required]
    assert got["ChecksumType"] == "FULL_OBJECT"
    attributes: Any = s3.get_object_attributes(
        Bucket=bucket, Key="o", ObjectAttributes=["Checksum", "ETag"]
    )
    assert attributes["Checksum"][name] == got[name]
    assert attributes["ETag"] == hashlib.md5(data).hexdigest()


def test_a_wrong_checksum_stores_nothing(s3: "S3Client", bucket: str) -> None:
    with pytest.raises(ClientError) as caught:
        s3.put_object(Bucket=bucket, Key="o", Body=b"content", ChecksumCRC32="AAAAAA==")
    assert code_of(caught) == "BadDigest"
    with pytest.raises(ClientError) as caught:
        s3.put_object(Bucket=bucket, Key="o", Body=b"content", ContentMD5="A" * 22 + "==")
    assert code_of(caught) == "BadDigest"
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0


def test_framing_does_not_end_inside_the_object(
    server: Served, s3: "S3Client", bucket: str
) -> None:
    for size in (0, 5, 2 * MIB + 7):
        data = os.urandom(size)
        framed = f"{size:x}\r\n".encode() + data + b"\r\n" if size else b""
        framed += f"0\r\nx-amz-checksum-crc32:{crc32(data)}\r\n\r\n".encode()
        headers = {
            "x-amz-content-sha256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
            "x-amz-trailer": "x-amz-checksum-crc32",
            "x-amz-decoded-content-length": str(size),
            "Content-Encoding": "aws-chunked",
        }
        path = f"/s3/{bucket}/framed"
        assert server.call("PUT", path, framed, headers).status == 200
        assert s3.get_object(Bucket=bucket, Key="framed")["Body"].read() == data
        assert server.call("GET", f"/v1/objects/{bucket}/framed").body == data
        answer = server.call("PUT", path, framed.replace(b"crc32:", b"crc32:AA"), headers)
        assert answer.status == 400
        answer = server.call("PUT", path, framed + b"more", headers)
        assert answer.status == 400
        assert server.call("GET", f"/v1/objects/{bucket}/framed").body == data


def test_what_aistore_writes_has_no_checksum_of_s3(
    server: Served, s3: "S3Client", bucket: str
) -> None:
    s3.put_object(Bucket=bucket, Key="o", Body=b"one", ChecksumAlgorithm="CRC32")
    assert server.call("PUT", f"/v1/objects/{bucket}/o", b"two").status == 200
    got = s3.get_object(Bucket=bucket, Key="o", ChecksumMode="ENABLED")
    assert got["Body"].read() == b"two"
    assert "ChecksumCRC32" not in got


@pytest.mark.parametrize(("algorithm", "kind"), [("CRC32", "FULL_OBJECT"), ("SHA256", "COMPOSITE")])
def test_parts_are_verified_when_an_upload_is_completed(
    s3: "S3Client", bucket: str, algorithm: "ChecksumAlgorithmType", kind: "ChecksumTypeType"
) -> None:
    parts = [os.urandom(5 * MIB), os.urandom(MIB)]
    name = f"Checksum{algorithm}"
    began = s3.create_multipart_upload(
        Bucket=bucket, Key="o", ChecksumAlgorithm=algorithm, ChecksumType=kind
    )
    assert began["ChecksumAlgorithm"] == algorithm
    assert began["ChecksumType"] == kind
    where: Any = {"Bucket": bucket, "Key": "o", "UploadId": began["UploadId"]}
    listed: list[Any] = []
    for number, data in enumerate(parts, 1):
        sent: Any = s3.upload_part(
            **where, PartNumber=number, Body=data, ChecksumAlgorithm=algorithm
        )
        listed.append({"PartNumber": number, "ETag": sent["ETag"], name: sent[name]})
    stored: Any = s3.list_parts(**where)
    assert (stored["ChecksumAlgorithm"], stored["ChecksumType"]) == (algorithm, kind)
    assert [part[name] for part in stored["Parts"]] == [part[name] for part in listed]
    (upload,) = s3.list_multipart_uploads(Bucket=bucket)["Uploads"]
    assert (upload["ChecksumAlgorithm"], upload["ChecksumType"]) == (algorithm, kind)
    wrong: Any = [listed[0], {**listed[1], name: listed[0][name]}]
    with pytest.raises(ClientError) as caught:
        s3.complete_multipart_upload(**where, MultipartUpload={"Parts": wrong})
    assert code_of(caught) == "InvalidPart"
    done: Any = s3.complete_multipart_upload(**where, MultipartUpload={"Parts": listed})
    if kind == "FULL_OBJECT":
        expected = crc32(b"".join(parts))
    else:
        digests = b"".join(hashlib.sha256(data).digest() for data in parts)
        expected = f"{base64.b64encode(hashlib.sha256(digests).digest()).decode()}-2"
    assert done[name] == expected
    got: Any = s3.get_object(Bucket=bucket, Key="o", ChecksumMode="ENABLED")
    assert got["Body"].read() == b"".join(parts)
    assert got[name] == expected
    assert got["ChecksumType"] == kind
    assert got["Metadata"] == {}
    found: list[Any] = []
    for page in attributes_pages(s3, bucket, "o"):
        assert page["TotalPartsCount"] == 2
        found += page["Parts"]
    assert [(part["PartNumber"], part["Size"], part[name]) for part in found] == [
        (number, len(data), listed[number - 1][name]) for number, data in enumerate(parts, 1)
    ]


def attributes_pages(s3: "S3Client", bucket: str, key: str) -> "Iterator[Any]":
    """One part a page."""
    marker = 0
    while True:
        got: Any = s3.get_object_attributes(
            Bucket=bucket,
            Key=key,
            ObjectAttributes=["ObjectParts"],
            MaxParts=1,
            PartNumberMarker=marker,
        )
        page = got["ObjectParts"]
        yield page
        if not page["IsTruncated"]:
            return
        marker = page["NextPartNumberMarker"]


def test_copied_parts_have_checksums(s3: "S3Client", bucket: str) -> None:
    data = os.urandom(7 * MIB)
    source: Any = {"Bucket": bucket, "Key": "source"}
    s3.put_object(**source, Body=data)
    began = s3.create_multipart_upload(Bucket=bucket, Key="o", ChecksumAlgorithm="SHA256")
    where: Any = {"Bucket": bucket, "Key": "o", "UploadId": began["UploadId"]}
    listed: list[Any] = []
    for number, (first, last) in enumerate(((0, 5 * MIB), (5 * MIB, 7 * MIB)), 1):
        span = f"bytes={first}-{last - 1}"
        done: Any = s3.upload_part_copy(
            **where, PartNumber=number, CopySource=source, CopySourceRange=span
        )["CopyPartResult"]
        digest = base64.b64encode(hashlib.sha256(data[first:last]).digest()).decode()
        assert done["ChecksumSHA256"] == digest
        listed.append({"PartNumber": number, "ETag": done["ETag"], "ChecksumSHA256": digest})
    s3.complete_multipart_upload(**where, MultipartUpload={"Parts": listed})
    assert s3.get_object(Bucket=bucket, Key="o")["Body"].read() == data
