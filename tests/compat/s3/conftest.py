"""A server, and boto3 with its current defaults in front of it."""

import uuid
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.config import Config
from tests.integration.server.process import Served, ais_serve

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client


def client_of(url: str, **options: object) -> "S3Client":
    """boto3's client of one endpoint."""
    config: Any = Config(retries={"max_attempts": 0}, **options)  # type: ignore[arg-type]
    made: S3Client = boto3.client(
        "s3",
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id="key",
        aws_secret_access_key="secret",
        config=config,
    )
    return made


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with ais_serve(tmp_path_factory.mktemp("s3")) as served:
        yield served


@pytest.fixture(scope="module")
def s3(server: Served) -> "Iterator[S3Client]":
    client = client_of(f"{server.url}/s3")
    yield client
    client.close()


@pytest.fixture
def bucket(s3: "S3Client") -> str:
    """A bucket of the test's own."""
    name = f"b-{uuid.uuid4().hex[:12]}"
    s3.create_bucket(Bucket=name)
    return name
