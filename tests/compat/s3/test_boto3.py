"""boto3 and its transfer manager, with their current defaults."""

import base64
import hashlib
import io
import os
import time
import urllib.request
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from boto3.s3.transfer import TransferConfig
from botocore.exceptions import ClientError
from tests.integration.server.process import Served

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

Json = Any

MIB = 1 << 20


def code_of(failed: "pytest.ExceptionInfo[ClientError]") -> tuple[str, int]:
    answer = failed.value.response
    return answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"]


def quoted_md5(data: bytes) -> str:
    return f'"{hashlib.md5(data).hexdigest()}"'


CREATED_WITHIN_S = 600
"""Age that a bucket of a test can have: far below that of a date that is made up."""


def whole(s3: "S3Client", bucket: str, key: str, **options: Json) -> Json:
    """An answer to GetObject, with its body read to the end: otherwise the connection is left behind."""
    got = s3.get_object(Bucket=bucket, Key=key, **options)
    got["Body"].read()
    return got


# buckets


def test_buckets_come_and_go(s3: "S3Client", bucket: str) -> None:
    created = {found["Name"]: found["CreationDate"] for found in s3.list_buckets()["Buckets"]}
    assert abs(created[bucket].timestamp() - time.time()) < CREATED_WITHIN_S
    head = s3.head_bucket(Bucket=bucket)
    assert head["BucketRegion"] == "ais"
    with pytest.raises(ClientError) as failed:
        s3.create_bucket(Bucket=bucket)
    assert code_of(failed) == ("BucketAlreadyOwnedByYou", 409)
    s3.put_object(Bucket=bucket, Key="k")
    with pytest.raises(ClientError) as failed:
        s3.delete_bucket(Bucket=bucket)
    assert code_of(failed) == ("BucketNotEmpty", 409)
    s3.delete_object(Bucket=bucket, Key="k")
    s3.delete_bucket(Bucket=bucket)
    with pytest.raises(ClientError) as failed:
        s3.head_bucket(Bucket=bucket)
    assert code_of(failed) == ("404", 404)
    with pytest.raises(ClientError) as failed:
        s3.delete_bucket(Bucket=bucket)
    assert code_of(failed) == ("NoSuchBucket", 404)


def test_a_bucket_in_a_region(s3: "S3Client", bucket: str) -> None:
    name = f"{bucket}-eu"
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    assert s3.get_bucket_location(Bucket=name)["LocationConstraint"] is None
    assert "Status" not in s3.get_bucket_versioning(Bucket=name)


# objects


@pytest.mark.parametrize("size", [0, 1, 5, MIB, MIB + 1, 3 * MIB])
def test_put_and_get(s3: "S3Client", bucket: str, size: int) -> None:
    data = os.urandom(size)
    before = datetime.now(UTC) - timedelta(seconds=2)
    assert s3.put_object(Bucket=bucket, Key="k", Body=data)["ETag"] == quoted_md5(data)
    got = s3.get_object(Bucket=bucket, Key="k")
    assert got["Body"].read() == data
    assert got["ETag"] == quoted_md5(data)
    assert got["ContentLength"] == size
    assert before <= got["LastModified"] <= datetime.now(UTC)
    head = s3.head_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED")
    assert head["ContentLength"] == size
    assert head["ChecksumType"] == "FULL_OBJECT"


def test_what_is_not_there(s3: "S3Client", bucket: str) -> None:
    with pytest.raises(ClientError) as failed:
        s3.get_object(Bucket=bucket, Key="k")
    assert code_of(failed) == ("NoSuchKey", 404)
    with pytest.raises(ClientError) as failed:
        s3.get_object(Bucket="none-such", Key="k")
    assert code_of(failed) == ("NoSuchBucket", 404)
    with pytest.raises(ClientError) as failed:
        s3.put_object(Bucket="none-such", Key="k", Body=b"x" * 2 * MIB)
    assert code_of(failed) == ("NoSuchBucket", 404)
    with pytest.raises(ClientError) as failed:
        s3.head_object(Bucket=bucket, Key="k")
    assert code_of(failed) == ("404", 404)
    assert s3.delete_object(Bucket=bucket, Key="k")["ResponseMetadata"]["HTTPStatusCode"] == 204


def test_metadata(s3: "S3Client", server: Served, bucket: str) -> None:
    expires = datetime(2030, 1, 2, tzinfo=UTC)
    s3.put_object(
        Bucket=bucket,
        Key="k",
        Body=b"x",
        Metadata={"Color": "blue", "mtime": "1700000000.5"},
        ContentType="text/plain; charset=utf-8",
        CacheControl="no-cache",
        ContentDisposition='attachment; filename="a.txt"',
        ContentEncoding="gzip",
        ContentLanguage="de",
        Expires=expires,
    )
    for got in (s3.head_object(Bucket=bucket, Key="k"), whole(s3, bucket, "k")):
        assert got["Metadata"] == {"color": "blue", "mtime": "1700000000.5"}
        assert got["ContentType"] == "text/plain; charset=utf-8"
        assert got["CacheControl"] == "no-cache"
        assert got["ContentDisposition"] == 'attachment; filename="a.txt"'
        assert got["ContentEncoding"] == "gzip"
        assert got["ContentLanguage"] == "de"
        assert got["ResponseMetadata"]["HTTPHeaders"]["expires"] == "Wed, 02 Jan 2030 00:00:00 GMT"
    seen = server.call("HEAD", f"/v1/objects/{bucket}/k?provider=ais")
    assert "color=blue" in seen.repeated["ais-custom-md"]
    got = whole(s3, bucket, "k", ResponseContentType="a/b", ResponseCacheControl="max-age=1")
    assert (got["ContentType"], got["CacheControl"]) == ("a/b", "max-age=1")
    with pytest.raises(ClientError) as failed:
        s3.put_object(Bucket=bucket, Key="k", Metadata={"k": "v" * 2000})
    assert code_of(failed) == ("MetadataTooLarge", 400)
    assert s3.head_object(Bucket=bucket, Key="k")["ContentLength"] == 1


@pytest.mark.parametrize("size", [100, 2 * MIB])
def test_ranges(s3: "S3Client", bucket: str, size: int) -> None:
    data = os.urandom(size)
    s3.put_object(Bucket=bucket, Key="k", Body=data)
    for text, part in (
        ("bytes=0-9", data[:10]),
        ("bytes=5-", data[5:]),
        ("bytes=-7", data[-7:]),
        (f"bytes=10-{size * 2}", data[10:]),
        (f"bytes=-{size * 2}", data),
    ):
        got = s3.get_object(Bucket=bucket, Key="k", Range=text)
        assert got["Body"].read() == part
        assert got["ResponseMetadata"]["HTTPStatusCode"] == 206
        assert got["ContentRange"].endswith(f"/{size}")
        assert s3.head_object(Bucket=bucket, Key="k", Range=text)["ContentLength"] == len(part)
    for text in ("bytes=9-5", "bytes=0-1,3-4", "lines=1-2", "bytes=x"):
        assert s3.get_object(Bucket=bucket, Key="k", Range=text)["Body"].read() == data
    with pytest.raises(ClientError) as failed:
        s3.get_object(Bucket=bucket, Key="k", Range=f"bytes={size}-")
    assert code_of(failed) == ("InvalidRange", 416)


def test_conditions_of_reads(s3: "S3Client", bucket: str) -> None:
    etag = s3.put_object(Bucket=bucket, Key="k", Body=b"x")["ETag"]
    now = datetime.now(UTC)
    past = now - timedelta(days=1)
    whole(s3, bucket, "k", IfMatch=etag, IfModifiedSince=past)
    whole(s3, bucket, "k", IfNoneMatch='"other"', IfUnmodifiedSince=now)
    read: Any
    for read in (s3.get_object, s3.head_object):
        for condition, status in (
            ({"IfMatch": '"other"'}, 412),
            ({"IfUnmodifiedSince": past}, 412),
            ({"IfNoneMatch": etag}, 304),
            ({"IfModifiedSince": now + timedelta(seconds=1)}, 304),
        ):
            with pytest.raises(ClientError) as failed:
                read(Bucket=bucket, Key="k", **condition)
            assert code_of(failed)[1] == status


@pytest.mark.parametrize("size", [5, 2 * MIB])
def test_conditions_of_writes(s3: "S3Client", bucket: str, size: int) -> None:
    data = os.urandom(size)
    etag = s3.put_object(Bucket=bucket, Key="k", Body=data, IfNoneMatch="*")["ETag"]
    with pytest.raises(ClientError) as failed:
        s3.put_object(Bucket=bucket, Key="k", Body=b"y" * size, IfNoneMatch="*")
    assert code_of(failed) == ("PreconditionFailed", 412)
    with pytest.raises(ClientError) as failed:
        s3.put_object(Bucket=bucket, Key="k", Body=b"y" * size, IfMatch='"other"')
    assert code_of(failed) == ("PreconditionFailed", 412)
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == data
    with pytest.raises(ClientError) as failed:
        s3.delete_object(Bucket=bucket, Key="k", IfMatch='"other"')
    assert code_of(failed) == ("PreconditionFailed", 412)
    s3.put_object(Bucket=bucket, Key="k", Body=b"z", IfMatch=etag)
    s3.delete_object(Bucket=bucket, Key="k", IfMatch=quoted_md5(b"z"))


def test_what_aistore_wrote(s3: "S3Client", server: Served, bucket: str) -> None:
    headers = {"Ais-Custom-Md": "color=blue"}
    assert server.call("PUT", f"/v1/objects/{bucket}/k?provider=ais", b"x", headers).status == 200
    got = s3.get_object(Bucket=bucket, Key="k")
    assert got["Body"].read() == b"x"
    assert got["Metadata"] == {"color": "blue"}
    etag = got["ETag"]
    assert len(etag.strip('"')) != 32
    assert s3.list_objects_v2(Bucket=bucket)["Contents"][0]["ETag"] == etag
    assert s3.head_object(Bucket=bucket, Key="k", IfMatch=etag)["ETag"] == etag
    s3.put_object(Bucket=bucket, Key="k", Body=b"y", IfMatch=etag)


def test_what_aistore_reads(s3: "S3Client", server: Served, bucket: str) -> None:
    data = os.urandom(2 * MIB)
    s3.put_object(Bucket=bucket, Key="a/k", Body=data)
    got = server.call("GET", f"/v1/objects/{bucket}/a/k?provider=ais&validate-checksum=true")
    assert got.body == data
    assert got.headers["ais-checksum-type"] == "xxhash2"
    # Overwritten by an AIStore client it has neither the old MD5 nor the old checksum.
    assert server.call("PUT", f"/v1/objects/{bucket}/a/k?provider=ais", b"new").status == 200
    head = s3.head_object(Bucket=bucket, Key="a/k", ChecksumMode="ENABLED")
    assert "ChecksumType" not in head
    assert head["ETag"] != quoted_md5(data)


# copies


def test_copies(s3: "S3Client", bucket: str) -> None:
    etag = s3.put_object(
        Bucket=bucket, Key="a b+ü", Body=b"x", Metadata={"k": "1"}, ContentType="a/b", Tagging="t=1"
    )["ETag"]
    source: Any = {"Bucket": bucket, "Key": "a b+ü"}
    assert (
        s3.copy_object(Bucket=bucket, Key="c", CopySource=source)["CopyObjectResult"]["ETag"]
        == etag
    )
    head = s3.head_object(Bucket=bucket, Key="c")
    assert (head["Metadata"], head["ContentType"], head["ETag"]) == ({"k": "1"}, "a/b", etag)
    s3.copy_object(
        Bucket=bucket, Key="c", CopySource=source, Metadata={"k": "2"}, MetadataDirective="REPLACE"
    )
    head = s3.head_object(Bucket=bucket, Key="c", ChecksumMode="ENABLED")
    assert (head["Metadata"], head["ContentType"], head["ETag"]) == (
        {"k": "2"},
        "binary/octet-stream",
        etag,
    )
    assert head["ChecksumType"] == "FULL_OBJECT"
    assert s3.get_object_tagging(Bucket=bucket, Key="c")["TagSet"] == [{"Key": "t", "Value": "1"}]
    # Onto itself, to change its metadata only.
    with pytest.raises(ClientError) as failed:
        s3.copy_object(Bucket=bucket, Key="a b+ü", CopySource=source)
    assert code_of(failed) == ("InvalidRequest", 400)
    s3.copy_object(
        Bucket=bucket,
        Key="a b+ü",
        CopySource=source,
        Metadata={"k": "3"},
        MetadataDirective="REPLACE",
    )
    s3.copy_object(Bucket=bucket, Key="a b+ü", CopySource=source, StorageClass="STANDARD_IA")
    assert s3.head_object(Bucket=bucket, Key="a b+ü")["Metadata"] == {"k": "3"}
    assert s3.get_object(Bucket=bucket, Key="a b+ü")["Body"].read() == b"x"


@pytest.mark.parametrize("size", [5, 3 << 20])
def test_a_copy_has_the_checksum_that_was_asked_for(s3: "S3Client", bucket: str, size: int) -> None:
    data = bytes(range(251)) * (size // 251 + 1)
    etag = s3.put_object(Bucket=bucket, Key="a", Body=data, ChecksumAlgorithm="CRC32")["ETag"]
    source: Any = {"Bucket": bucket, "Key": "a"}
    digest = base64.b64encode(hashlib.sha256(data).digest()).decode()
    for key in ("c", "a"):  # and in its own place
        done = s3.copy_object(
            Bucket=bucket, Key=key, CopySource=source, ChecksumAlgorithm="SHA256"
        )["CopyObjectResult"]
        assert (done["ETag"], done["ChecksumSHA256"]) == (etag, digest)
        assert done["ChecksumType"] == "FULL_OBJECT"
        head = s3.head_object(Bucket=bucket, Key=key, ChecksumMode="ENABLED")
        assert head["ChecksumSHA256"] == digest
        assert "ChecksumCRC32" not in head
    assert s3.get_object(Bucket=bucket, Key="c", ChecksumMode="ENABLED")["Body"].read() == data
    with pytest.raises(ClientError) as failed:
        s3.copy_object(Bucket=bucket, Key="d", CopySource=source, ChecksumAlgorithm="CRC99")  # type: ignore[arg-type]
    assert code_of(failed) == ("InvalidRequest", 400)


def test_conditions_of_copies(s3: "S3Client", bucket: str) -> None:
    etag = s3.put_object(Bucket=bucket, Key="a", Body=b"x")["ETag"]
    source: Any = {"Bucket": bucket, "Key": "a"}
    s3.copy_object(Bucket=bucket, Key="c", CopySource=source, CopySourceIfMatch=etag)
    for condition in (
        {"CopySourceIfMatch": '"other"'},
        {"CopySourceIfNoneMatch": etag},
        {"CopySourceIfUnmodifiedSince": datetime(2020, 1, 1, tzinfo=UTC)},
        {"CopySourceIfModifiedSince": datetime.now(UTC) + timedelta(hours=1)},
        {"IfNoneMatch": "*"},
    ):
        with pytest.raises(ClientError) as failed:
            s3.copy_object(Bucket=bucket, Key="c", CopySource=source, **condition)
        assert code_of(failed) == ("PreconditionFailed", 412)
    with pytest.raises(ClientError) as failed:
        s3.copy_object(Bucket=bucket, Key="c", CopySource=f"{bucket}/none")
    assert code_of(failed) == ("NoSuchKey", 404)


# tags and attributes


def test_tags(s3: "S3Client", bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", Tagging="a=1&b%20c=%26")
    got = s3.get_object_tagging(Bucket=bucket, Key="k")["TagSet"]
    assert got == [{"Key": "a", "Value": "1"}, {"Key": "b c", "Value": "&"}]
    assert s3.head_object(Bucket=bucket, Key="k")["TagCount"] == 2
    s3.put_object_tagging(Bucket=bucket, Key="k", Tagging={"TagSet": [{"Key": "ü", "Value": ""}]})
    assert s3.get_object_tagging(Bucket=bucket, Key="k")["TagSet"] == [{"Key": "ü", "Value": ""}]
    tags: Any = [{"Key": str(number), "Value": ""} for number in range(11)]
    with pytest.raises(ClientError) as failed:
        s3.put_object_tagging(Bucket=bucket, Key="k", Tagging={"TagSet": tags})
    assert code_of(failed) == ("InvalidTag", 400)
    s3.delete_object_tagging(Bucket=bucket, Key="k")
    assert s3.get_object_tagging(Bucket=bucket, Key="k")["TagSet"] == []
    assert s3.head_object(Bucket=bucket, Key="k")["ETag"] == quoted_md5(b"x")


def test_attributes(s3: "S3Client", bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    got = s3.get_object_attributes(
        Bucket=bucket,
        Key="k",
        ObjectAttributes=["ETag", "Checksum", "ObjectParts", "StorageClass", "ObjectSize"],
    )
    assert got["ETag"] == quoted_md5(b"x").strip('"')
    assert got["ObjectSize"] == 1
    assert got["Checksum"]["ChecksumType"] == "FULL_OBJECT"
    assert "ObjectParts" not in got


# what is not supported


def test_what_is_not_supported(s3: "S3Client", bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    call: Any
    for call, args in (
        (s3.get_bucket_analytics_configuration, {"Id": "1"}),
        (s3.put_bucket_policy, {"Policy": "{}"}),
        (s3.delete_bucket_policy, {}),
        (s3.delete_bucket_cors, {}),
        (s3.get_object_retention, {"Key": "k"}),
        (s3.put_object, {"Key": "k", "Body": b"", "ServerSideEncryption": "AES256"}),
    ):
        with pytest.raises(ClientError) as failed:
            call(Bucket=bucket, **args)
        assert code_of(failed) == ("NotImplemented", 501), call
    with pytest.raises(ClientError) as failed:
        s3.get_object(Bucket=bucket, Key="k", VersionId="7")
    assert code_of(failed) == ("NoSuchVersion", 404)
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"x"


def test_what_is_never_configured(s3: "S3Client", bucket: str) -> None:
    call: Any
    for call, code in (
        (s3.get_bucket_cors, "NoSuchCORSConfiguration"),
        (s3.get_bucket_encryption, "ServerSideEncryptionConfigurationNotFoundError"),
        (s3.get_bucket_lifecycle_configuration, "NoSuchLifecycleConfiguration"),
        (s3.get_bucket_ownership_controls, "OwnershipControlsNotFoundError"),
        (s3.get_bucket_policy, "NoSuchBucketPolicy"),
        (s3.get_bucket_replication, "ReplicationConfigurationNotFoundError"),
        (s3.get_bucket_tagging, "NoSuchTagSet"),
        (s3.get_bucket_website, "NoSuchWebsiteConfiguration"),
        (s3.get_object_lock_configuration, "ObjectLockConfigurationNotFoundError"),
        (s3.get_public_access_block, "NoSuchPublicAccessBlockConfiguration"),
    ):
        with pytest.raises(ClientError) as failed:
            call(Bucket=bucket)
        assert code_of(failed) == (code, 404), call
        with pytest.raises(ClientError) as failed:
            call(Bucket="none-such")
        assert code_of(failed) == ("NoSuchBucket", 404), call
    assert s3.get_bucket_request_payment(Bucket=bucket)["Payer"] == "BucketOwner"
    assert "LoggingEnabled" not in s3.get_bucket_logging(Bucket=bucket)
    assert "Status" not in s3.get_bucket_accelerate_configuration(Bucket=bucket)
    assert "QueueConfigurations" not in s3.get_bucket_notification_configuration(Bucket=bucket)


def test_access_control_lists(s3: "S3Client", bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", ACL="private")
    call: Any
    for call, put, where in (
        (s3.get_bucket_acl, s3.put_bucket_acl, {"Bucket": bucket}),
        (s3.get_object_acl, s3.put_object_acl, {"Bucket": bucket, "Key": "k"}),
    ):
        (grant,) = call(**where)["Grants"]
        assert grant["Permission"] == "FULL_CONTROL"
        assert grant["Grantee"]["ID"] == call(**where)["Owner"]["ID"]
        write: Any = put
        write(**where, ACL="private")
        policy = {"Grants": [grant], "Owner": {"ID": grant["Grantee"]["ID"]}}
        write(**where, AccessControlPolicy=policy)
        everybody = {"Type": "Group", "URI": "http://acs.amazonaws.com/groups/global/AllUsers"}
        shared = {**policy, "Grants": [{"Grantee": everybody, "Permission": "READ"}]}
        for wrong in (
            {"ACL": "public-read"},
            {"GrantRead": "id=someone"},
            {"AccessControlPolicy": shared},
        ):
            with pytest.raises(ClientError) as failed:
                write(**where, **wrong)
            assert code_of(failed) == ("AccessControlListNotSupported", 400), wrong
    with pytest.raises(ClientError) as failed:
        s3.get_object_acl(Bucket=bucket, Key="none")
    assert code_of(failed) == ("NoSuchKey", 404)


def test_presigned(s3: "S3Client", bucket: str) -> None:
    data = os.urandom(2 * MIB)
    put = s3.generate_presigned_url("put_object", {"Bucket": bucket, "Key": "a b/ü"})
    request = urllib.request.Request(put, data, method="PUT")
    assert urllib.request.urlopen(request).status == 200
    get = s3.generate_presigned_url("get_object", {"Bucket": bucket, "Key": "a b/ü"})
    assert urllib.request.urlopen(get).read() == data


def test_the_transfer_manager(s3: "S3Client", bucket: str) -> None:
    data = os.urandom(40 * MIB)
    s3.upload_fileobj(io.BytesIO(data), bucket, "k", ExtraArgs={"Metadata": {"a": "1"}})
    out = io.BytesIO()
    s3.download_fileobj(bucket, "k", out)
    assert out.getvalue() == data
    source: Any = {"Bucket": bucket, "Key": "k"}
    s3.copy(source, bucket, "c", Config=TransferConfig(multipart_threshold=16 * MIB))
    assert s3.get_object(Bucket=bucket, Key="c")["Body"].read() == data
    assert s3.head_object(Bucket=bucket, Key="k")["Metadata"] == {"a": "1"}
