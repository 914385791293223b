"""Buckets named by the host: boto3 in virtual-host style against a server that wants signatures."""

import io
import os
import socket
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from tests.compat.s3.programs import ACCESS, REGION, SECRET
from tests.integration.server.process import Served, ais_serve

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

Json = Any

DOMAIN = "s3.test"
MIB = 1 << 20


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    """A server of a domain, which this process resolves as a DNS server with a wildcard would."""
    look_up: Json = socket.getaddrinfo

    def resolve(host: str | bytes | None, *args: Json, **options: Json) -> Json:
        name = host.decode() if isinstance(host, bytes) else host
        if name is not None and (name == DOMAIN or name.endswith(f".{DOMAIN}")):
            host = "127.0.0.1"
        return look_up(host, *args, **options)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    keys = tmp_path / "keys"
    keys.write_text(f"{ACCESS}:{SECRET}\n")
    keys.chmod(0o600)
    with ais_serve(tmp_path, "--set", f"s3_keys={keys}", "--set", f"s3_domain={DOMAIN}") as served:
        yield served


def test_everything_goes_by_host(server: Served) -> None:
    s3: S3Client = boto3.client(
        "s3",
        endpoint_url=f"http://{DOMAIN}:{server.port}",
        region_name=REGION,
        aws_access_key_id=ACCESS,
        aws_secret_access_key=SECRET,
        config=Config(
            retries={"max_attempts": 0},
            signature_version="s3v4",
            s3={"addressing_style": "virtual"},
        ),
    )
    s3.create_bucket(Bucket="by-host")
    assert [found["Name"] for found in s3.list_buckets()["Buckets"]] == ["by-host"]
    # Paths of AIStore's own API are keys here.
    for key in ("a b/ü+&.txt", "v1/health", "s3/by-host/k", "a//b/"):
        s3.put_object(Bucket="by-host", Key=key, Body=key.encode())
        assert s3.get_object(Bucket="by-host", Key=key)["Body"].read() == key.encode()
        link = s3.generate_presigned_url("get_object", {"Bucket": "by-host", "Key": key})
        assert link.startswith(f"http://by-host.{DOMAIN}:{server.port}/")
        assert urllib.request.urlopen(link, timeout=20).read() == key.encode()
    s3.copy_object(Bucket="by-host", Key="copy", CopySource="by-host/v1/health")
    listed = s3.list_objects_v2(Bucket="by-host", Prefix="v1/")
    assert [entry["Key"] for entry in listed["Contents"]] == ["v1/health"]
    data = os.urandom(12 * MIB)
    s3.upload_fileobj(io.BytesIO(data), "by-host", "big")
    assert s3.get_object(Bucket="by-host", Key="big")["Body"].read() == data
    with pytest.raises(ClientError) as failed:
        s3.head_bucket(Bucket="none-such")
    assert failed.value.response["ResponseMetadata"]["HTTPStatusCode"] == 404
    s3.close()
    assert server.call("GET", "/v1/health").status == 200
    assert server.call("GET", "/by-host/copy").status == 404
