"""boto3 against a server that wants signatures: links, forms, and what nobody may do without them."""

import urllib.request
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from tests.compat.s3.programs import ACCESS, REGION, SECRET
from tests.integration.server.process import Served, ais_serve

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

VERSIONS = ["default", "s3v4"]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    directory = tmp_path_factory.mktemp("signed")
    keys = directory / "keys"
    keys.write_text(f"# ours\n{ACCESS}:{SECRET}\n")
    keys.chmod(0o600)
    with ais_serve(directory, "--set", f"s3_keys={keys}") as served:
        client_of(served).create_bucket(Bucket="signed")
        yield served


def client_of(server: Served, version: str = "default", secret: str = SECRET) -> "S3Client":
    options: dict[str, Any] = {} if version == "default" else {"signature_version": version}
    return boto3.client(
        "s3",
        endpoint_url=f"{server.url}/s3",
        region_name=REGION,
        aws_access_key_id=ACCESS,
        aws_secret_access_key=secret,
        config=Config(retries={"max_attempts": 0}, **options),
    )


def fetch(
    url: str, method: str = "GET", body: bytes | None = None, headers: dict[str, str] | None = None
) -> tuple[int, bytes]:
    request = urllib.request.Request(url, body, headers or {}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=20) as response:
            return response.status, response.read()
    except HTTPError as exc:
        with exc:
            return exc.code, exc.read()


def post(url: str, fields: dict[str, str], content: bytes) -> tuple[int, bytes]:
    """What a browser sends."""
    mark = "----WebKitFormBoundary7MA4YWxkTrZu0gW"
    body = b"".join(
        f'--{mark}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in fields.items()
    )
    body += (
        f'--{mark}\r\nContent-Disposition: form-data; name="file"; filename="a b.txt"\r\n'
        "Content-Type: text/plain\r\n\r\n"
    ).encode()
    body += content + f"\r\n--{mark}--\r\n".encode()
    return fetch(url, "POST", body, {"Content-Type": f"multipart/form-data; boundary={mark}"})


@pytest.mark.parametrize("version", VERSIONS)
def test_links(server: Served, version: str) -> None:
    s3 = client_of(server, version)
    where = {"Bucket": "signed", "Key": f"links/ü +{version}"}
    put = s3.generate_presigned_url("put_object", Params=where, ExpiresIn=60)
    # urllib says a type of its own, which was not signed.
    assert fetch(put, "PUT", b"content", {"Content-Type": ""})[0] == 200
    get = s3.generate_presigned_url("get_object", Params=where, ExpiresIn=60)
    assert fetch(get) == (200, b"content")
    assert fetch(get, "DELETE")[0] == 403
    assert b"SignatureDoesNotMatch" in fetch(get.replace("links", "other"))[1]
    other = client_of(server, version, secret="guessed")
    forged = other.generate_presigned_url("get_object", Params=where)
    assert b"SignatureDoesNotMatch" in fetch(forged)[1]


@pytest.mark.parametrize("version", VERSIONS)
def test_forms(server: Served, version: str) -> None:
    s3 = client_of(server, version)
    form = s3.generate_presigned_post(
        "signed",
        f"forms/{version}/${{filename}}",
        Fields={"x-amz-meta-colour": "blue", "success_action_status": "201"},
        Conditions=[
            {"x-amz-meta-colour": "blue"},
            {"success_action_status": "201"},
            ["content-length-range", 2, 300_000],
        ],
    )
    content = b"\r\n--almost\r\n" * 20_000
    status, body = post(form["url"], form["fields"], content)
    assert status == 201, body
    key = f"forms/{version}/a b.txt"
    assert f"<Key>{key}</Key>".encode() in body
    stored = s3.get_object(Bucket="signed", Key=key)
    assert stored["Body"].read() == content
    assert stored["Metadata"] == {"colour": "blue"}
    for changes, sent, code in [
        ({}, b"x" * 300_001, b"EntityTooLarge"),
        ({}, b"x", b"EntityTooSmall"),
        ({"key": "elsewhere"}, b"xx", b"AccessDenied"),
        ({"x-amz-meta-colour": "red"}, b"xx", b"AccessDenied"),
        ({"x-amz-meta-other": "x"}, b"xx", b"AccessDenied"),
        ({"policy": form["fields"]["policy"][:-8]}, b"xx", b"SignatureDoesNotMatch"),
    ]:
        status, body = post(form["url"], {**form["fields"], **changes}, sent)
        assert status in {400, 403}
        assert code in body
    late = s3.generate_presigned_post("signed", "late", ExpiresIn=-1)
    assert b"expired" in post(late["url"], late["fields"], b"xx")[1]
    assert b"AccessDenied" in post(form["url"], {"key": "unsigned"}, b"xx")[1]
    listed = s3.list_objects_v2(Bucket="signed", Prefix=f"forms/{version}/")
    assert [found["Key"] for found in listed["Contents"]] == [key]


def test_nothing_goes_without_a_signature(server: Served) -> None:
    for method in ("GET", "PUT", "DELETE", "POST"):
        for path in ("", "/signed", "/signed/object", "/signed?delete", "/signed/object?uploads"):
            status, body = fetch(f"{server.url}/s3{path}", method, b"" if method == "PUT" else None)
            assert status == 403, (method, path, body)
            assert b"<Code>AccessDenied</Code>" in body
    with pytest.raises(ClientError) as caught:
        client_of(server, secret="guessed").list_buckets()
    assert caught.value.response["Error"]["Code"] == "SignatureDoesNotMatch"
