"""One store, two faces: what S3's clients write is what AIStore's read, and the reverse."""

import hashlib
import io
import os
from typing import TYPE_CHECKING

from tests.integration.server.process import Served

from aiscore.model.batch import BatchEntry, BatchRequest
from aiscore.model.bucket import BucketRef
from aiscore.model.multipart import PartRef, UploadOptions
from aiscore.model.objects import PutOptions
from aiscore.transport import open_transport

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

MIB = 1 << 20


def test_get_batch_reads_what_s3_wrote(s3: "S3Client", server: Served, bucket: str) -> None:
    contents = {"a": b"x", "dir/b": os.urandom(2 * MIB), "c": os.urandom(20 * MIB)}
    for key, data in contents.items():
        s3.upload_fileobj(io.BytesIO(data), bucket, key)
    ref = BucketRef(bucket)
    with open_transport(server.url) as transport:
        entries = tuple(BatchEntry(key, ref) for key in contents)
        with transport.get_batch(BatchRequest(entries=entries)) as batch:
            assert [data for _, data in batch] == list(contents.values())
        report = transport.validate(ref)
        assert not report.faults


def test_s3_reads_what_aistore_wrote(s3: "S3Client", server: Served, bucket: str) -> None:
    ref = BucketRef(bucket)
    data = os.urandom(6 * MIB)
    with open_transport(server.url) as transport:
        transport.put(ref, "k", data, PutOptions(custom={"color": "blue", "Ü": "not for a header"}))
        upload = transport.create_upload(ref, "m", UploadOptions(custom={"a": "1"}))
        transport.put_part(ref, "m", upload, 1, data)
        transport.complete_upload(ref, "m", upload, [PartRef(number=1)])
        transport.append(ref, "k2", b"x")
    for key, metadata in (("k", {"color": "blue"}), ("m", {"a": "1"})):
        got = s3.get_object(Bucket=bucket, Key=key)
        assert got["Body"].read() == data
        assert got["Metadata"] == metadata
    assert s3.head_object(Bucket=bucket, Key="k")["MissingMeta"] == 1
    listed = s3.list_objects_v2(Bucket=bucket)["Contents"]
    assert [(entry["Key"], entry["Size"]) for entry in listed] == [("k", 6 * MIB), ("m", 6 * MIB)]


def test_a_bucket_with_md5(s3: "S3Client", server: Served, bucket: str) -> None:
    ref = BucketRef(bucket)
    with open_transport(server.url) as transport:
        transport.set_bucket_props(ref, {"checksum.type": "md5"})
        transport.put(ref, "k", b"x")
        etag = hashlib.md5(b"x").hexdigest()
        assert s3.head_object(Bucket=bucket, Key="k")["ETag"] == f'"{etag}"'
        assert transport.head(ref, "k").etag == etag
        s3.put_object(Bucket=bucket, Key="s", Body=b"yy")
        checksum = transport.head(ref, "s").checksum
        assert checksum is not None
        assert checksum.value == hashlib.md5(b"yy").hexdigest()


def test_markers_of_directories(s3: "S3Client", server: Served, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="a/")
    with open_transport(server.url) as transport:
        page = transport.list_page(BucketRef(bucket))
        assert [entry.name for entry in page.entries] == ["a/\x01"]
    assert s3.head_object(Bucket=bucket, Key="a/")["ContentLength"] == 0
    s3.delete_object(Bucket=bucket, Key="a/")
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0
