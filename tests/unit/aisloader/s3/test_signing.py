"""Requests are signed as botocore signs them, with the credentials and for the region that AWS's rules name."""

import time
from pathlib import Path

import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from aiscore.errors import AccessDeniedError
from aisloader.s3.place import quote_key, quote_value
from aisloader.s3.signing import Signer, region_of

HOST = "bkt.s3.example.com:9000"


def fields_of(head: bytes) -> dict[str, str]:
    lines = head.decode().split("\r\n")
    assert lines[-1] == ""
    return {
        name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:-1])
    }


def signed_by_botocore(
    method: str, target: str, headers: dict[str, str], credentials: Credentials, date: str
) -> str:
    request = AWSRequest(method, f"http://{HOST}{target}", headers={"Host": HOST, **headers})
    request.context["payload_signing_enabled"] = False
    request.context["timestamp"] = date
    signer = S3SigV4Auth(credentials, "s3", "eu-west-2")
    request.headers["X-Amz-Content-SHA256"] = "UNSIGNED-PAYLOAD"
    request.headers["X-Amz-Date"] = date
    if credentials.token:
        request.headers["X-Amz-Security-Token"] = credentials.token
    canonical = signer.canonical_request(request)
    return signer.signature(signer.string_to_sign(request, canonical), request)


@pytest.mark.parametrize("token", ["", "a/session+token=="])
@pytest.mark.parametrize(
    ("method", "target", "headers"),
    [
        ("GET", "/o", {}),
        ("GET", f"/{quote_key('a b/c+d%20é~*')}", {"range": "bytes=0-9"}),
        ("GET", f"/bkt?list-type=2&prefix={quote_value('x y/+&=é')}&max-keys=3", {}),
        ("POST", "/o?uploads=", {}),
        ("PUT", "/a//b/", {"content-md5": "1B2M2Y8AsgTpgAmY7PhCfg=="}),
        ("PUT", "/o?partNumber=3&uploadId=a~b%2F", {}),
    ],
)
def test_the_signature_is_that_of_botocore(
    method: str,
    target: str,
    headers: dict[str, str],
    token: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wJalr/K7MDENG+secret")
    monkeypatch.setenv("AWS_SESSION_TOKEN", token)
    head = Signer("", "eu-west-2").head(method, HOST, target, list(headers.items()))
    assert head.startswith(f"{method} {target} HTTP/1.1\r\n".encode())
    fields = fields_of(head)
    credentials = Credentials("AKIDEXAMPLE", "wJalr/K7MDENG+secret", token or None)
    expected = signed_by_botocore(method, target, headers, credentials, fields["x-amz-date"])
    assert fields["authorization"].endswith(f"Signature={expected}")
    assert fields["host"] == HOST
    assert fields.get("x-amz-security-token", "") == token
    for name, value in headers.items():
        assert fields[name] == value
        assert name in fields["authorization"]


def test_a_request_is_signed_as_of_now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s")
    signer = Signer("", "r")
    for moment in (1_000_000_000, 1_000_000_001):
        monkeypatch.setattr(time, "time", lambda moment=moment: moment + 0.5)
        date = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(moment))
        assert fields_of(signer.head("GET", HOST, "/o"))["x-amz-date"] == date


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    return tmp_path


def access_key_of(signer: Signer) -> str:
    return fields_of(signer.head("GET", HOST, "/o"))["authorization"].split("=")[1].split("/")[0]


def test_credentials_come_from_profiles_and_the_environment(
    files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (files / "credentials").write_text(
        "[default]\naws_access_key_id = DEF\naws_secret_access_key = s\n"
        "[prod]\naws_access_key_id = PROD\naws_secret_access_key = s\n"
    )
    printed = '{"Version": 1, "AccessKeyId": "PROC", "SecretAccessKey": "s"}'
    (files / "config").write_text(f"[profile proc]\ncredential_process = echo '{printed}'\n")
    assert access_key_of(Signer("", "r")) == "DEF"
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "ENV")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s")
    assert access_key_of(Signer("", "r")) == "ENV"
    assert access_key_of(Signer("prod", "r")) == "PROD"
    assert access_key_of(Signer("proc", "r")) == "PROC"
    with pytest.raises(AccessDeniedError, match='no credentials in the profile "absent"'):
        Signer("absent", "r")


def test_no_credentials_are_an_error_that_says_what_to_do(files: Path) -> None:
    for profile in ("", "prod"):
        with pytest.raises(AccessDeniedError) as caught:
            Signer(profile, "r")
        assert "AWS_ACCESS_KEY_ID" in str(caught.value.hint)


def test_the_region_is_of_the_environment_then_of_the_profile(tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.write_text("[default]\nregion = d-1\n[profile prod]\nregion= p-1\n[profile none]\n")
    files = {"AWS_CONFIG_FILE": str(config)}
    assert region_of("", {**files, "AWS_REGION": "e-1", "AWS_DEFAULT_REGION": "e-2"}) == "e-1"
    assert region_of("", {**files, "AWS_DEFAULT_REGION": "e-2"}) == "e-2"
    assert region_of("", files) == "d-1"
    assert region_of("prod", files) == "p-1"
    assert region_of("", {**files, "AWS_PROFILE": "prod"}) == "p-1"
    assert region_of("none", files) == "us-east-1"
    config.write_bytes(b"\xff\x00[")
    assert region_of("", files) == "us-east-1"
