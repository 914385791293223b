"""Signatures: whatever botocore signs is accepted, and nothing else."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from unittest.mock import patch
from urllib.parse import quote

import pytest
from botocore.auth import HmacV1QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.server.s3.heads import ACCESS, HOST, SECRET, head, signed

from aiscore.errors import InvalidArgumentError
from aiscore.server.head import HttpRequest
from aiscore.server.s3.body import ANONYMOUS
from aiscore.server.s3.faults import S3Error
from aiscore.server.s3.sigv4 import (
    EXPIRES_MAX_S,
    SKEW_MAX_S,
    ChunkSigning,
    Verifier,
    load_keys,
)

AT = 1_790_000_000.0
VERIFIER = Verifier({ACCESS: SECRET, "OTHER": "another secret"})

texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)
paths = st.lists(texts, min_size=1, max_size=4).map(lambda words: "/" + quote("/".join(words)))
queries = st.lists(st.tuples(st.text("abcXYZ-", min_size=1, max_size=8), texts), max_size=4).map(
    lambda pairs: "&".join(f"{name}={quote(value, safe='-_.~')}" for name, value in pairs)
)
values = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=20)
metadata = st.dictionaries(
    st.text("abcdefgh-", min_size=1, max_size=8).map(lambda name: f"x-amz-meta-{name}"),
    st.lists(values, min_size=1, max_size=3).map("  ".join),
    max_size=3,
)
methods = st.sampled_from(["GET", "PUT", "HEAD", "DELETE", "POST"])


def refused(request: HttpRequest, now: float = AT, verifier: Verifier = VERIFIER) -> str:
    with pytest.raises(S3Error) as caught:
        verifier.authorize(request, now)
    return caught.value.s3_code


def retarget(request: HttpRequest, target: str, method: str = "") -> HttpRequest:
    """The same headers on another request line."""
    sent = {name: request.header(name) or "" for name in request.header_names("")}
    return head(method or request.method, target, sent)


@given(methods, paths, queries, metadata, st.binary(max_size=8))
def test_accepts_what_botocore_signs(
    method: str, path: str, query: str, headers: Mapping[str, str], body: bytes
) -> None:
    target = f"{path}?{query}" if query else path
    request = signed(method, target, headers, at=AT, body=body)
    identity = VERIFIER.authorize(request, AT)
    assert identity.access_key == ACCESS
    assert isinstance(identity.signing, ChunkSigning)


@given(methods, paths, queries, metadata, st.integers(1, EXPIRES_MAX_S))
def test_accepts_what_botocore_presigns(
    method: str, path: str, query: str, headers: Mapping[str, str], expires: int
) -> None:
    target = f"{path}?{query}" if query else path
    request = signed(method, target, headers, at=AT, expires=expires)
    assert VERIFIER.authorize(request, AT + expires - 1).access_key == ACCESS
    assert refused(request, AT + expires + 1) == "AccessDenied"


@given(paths, paths, queries, queries)
def test_refuses_another_target(path: str, other: str, query: str, changed: str) -> None:
    request = signed("GET", f"{path}?{query}", at=AT)
    if (path, sorted(query.split("&"))) != (other, sorted(changed.split("&"))):
        assert refused(retarget(request, f"{other}?{changed}")) == "SignatureDoesNotMatch"


@given(st.floats(-3 * SKEW_MAX_S, 3 * SKEW_MAX_S))
def test_tolerates_a_little_skew(skew: float) -> None:
    request = signed("GET", "/b/o", at=AT)
    if abs(skew) <= SKEW_MAX_S:
        assert VERIFIER.authorize(request, AT + skew).access_key == ACCESS
    else:
        assert refused(request, AT + skew) == "RequestTimeTooSkewed"


def test_a_presigned_url_is_not_valid_before_its_time() -> None:
    request = signed("GET", "/b/o", at=AT, expires=60)
    assert VERIFIER.authorize(request, AT - SKEW_MAX_S + 1).access_key == ACCESS
    assert refused(request, AT - SKEW_MAX_S - 1) == "AccessDenied"


@pytest.mark.parametrize("expires", [0, EXPIRES_MAX_S + 1])
def test_the_life_of_a_presigned_url_is_limited(expires: int) -> None:
    request = signed("GET", "/b/o", at=AT, expires=expires)
    assert refused(request) == "AuthorizationQueryParametersError"


@pytest.mark.parametrize("expires", [None, 600])
def test_refuses_other_keys(expires: int | None) -> None:
    stranger = signed("GET", "/b/o", at=AT, access="NOBODY", expires=expires)
    assert refused(stranger) == "InvalidAccessKeyId"
    forged = signed("GET", "/b/o", at=AT, secret="guessed", expires=expires)
    assert refused(forged) == "SignatureDoesNotMatch"
    borrowed = signed("GET", "/b/o", at=AT, access="OTHER", expires=expires)
    assert refused(borrowed) == "SignatureDoesNotMatch"


def test_refuses_another_method_header_or_body() -> None:
    request = signed("GET", "/b/o", {"x-amz-meta-a": "1"}, at=AT)
    assert refused(retarget(request, "/b/o", "DELETE")) == "SignatureDoesNotMatch"
    sent = {name: request.header(name) or "" for name in request.header_names("")}
    assert refused(head("GET", "/b/o", {**sent, "x-amz-meta-a": "2"})) == "SignatureDoesNotMatch"
    assert refused(head("GET", "/b/o", {**sent, "x-amz-meta-b": "2"})) == "AccessDenied"
    other = hashlib.sha256(b"other").hexdigest()
    changed = head("GET", "/b/o", {**sent, "x-amz-content-sha256": other})
    assert refused(changed) == "SignatureDoesNotMatch"
    assert refused(head("GET", "/b/o", {**sent, "host": "elsewhere"})) == "SignatureDoesNotMatch"


def test_a_presigned_url_does_not_lose_its_parameters() -> None:
    request = signed("GET", "/b/o", at=AT, expires=60)
    pairs = request.raw_query.split("&")
    for left_out in pairs:
        rest = "&".join(pair for pair in pairs if pair != left_out)
        assert refused(head("GET", f"/b/o?{rest}")) == "AuthorizationQueryParametersError"
    assert refused(head("GET", f"/b/o?{request.raw_query}&versionId=1")) == "SignatureDoesNotMatch"


def test_a_request_is_signed_in_one_way() -> None:
    presigned = signed("GET", "/b/o", at=AT, expires=60)
    plain = signed("GET", "/b/o", at=AT)
    both = retarget(plain, f"/b/o?{presigned.raw_query}")
    assert refused(both) == "InvalidArgument"


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({}, "AccessDenied"),
        ({"authorization": "AWS AKID:c2ln"}, "InvalidRequest"),
        ({"authorization": "Bearer x"}, "AccessDenied"),
        ({"authorization": "AWS4-HMAC-SHA256"}, "AuthorizationHeaderMalformed"),
        ({"authorization": "AWS4-HMAC-SHA256 Credential=x"}, "AuthorizationHeaderMalformed"),
        (
            {"authorization": "AWS4-HMAC-SHA256 Credential=a/b, SignedHeaders=host, Signature=0"},
            "AuthorizationHeaderMalformed",
        ),
        (
            {
                "authorization": "AWS4-HMAC-SHA256 Credential=a/20260101/us-east-1/ec2/aws4_request,"
                "SignedHeaders=host,Signature=0"
            },
            "AuthorizationHeaderMalformed",
        ),
        (
            {
                "authorization": f"AWS4-HMAC-SHA256 Credential={ACCESS}/20260921/us-east-1/s3/aws4_request,"
                "SignedHeaders=host,Signature=0"
            },
            "AccessDenied",
        ),
    ],
)
def test_refuses_what_is_no_signature(headers: Mapping[str, str], code: str) -> None:
    assert refused(head("GET", "/b/o", headers)) == code


def link(method: str, target: str, secret: str = SECRET) -> HttpRequest:
    """What `aws s3 presign` makes for an endpoint that is not AWS's; it expires at `AT`."""
    request = AWSRequest(
        method=method,
        url=f"http://{HOST}{target}",
        auth_path=target.removeprefix("/s3").partition("?")[0],
    )
    with patch("botocore.auth.time.time", lambda: AT - 60):
        HmacV1QueryAuth(Credentials(ACCESS, secret), expires=60).add_auth(request)
    return head(method, str(request.url).removeprefix(f"http://{HOST}"))


@given(
    methods,
    paths,
    st.sampled_from(["", "uploads", "tagging=", "partNumber=1&uploadId=x%20y", "a=b"]),
)
def test_accepts_links_of_version_2(method: str, path: str, query: str) -> None:
    target = f"/s3/b{path}?{query}" if query else f"/s3/b{path}"
    request = link(method, target)
    assert VERIFIER.authorize(request, AT).access_key == ACCESS
    assert refused(request, AT + 1) == "AccessDenied"
    assert refused(link(method, target, secret="guessed"), AT) == "SignatureDoesNotMatch"
    others = request.raw_query
    assert refused(head(method, f"/s3/b{path}x?{others}")) == "SignatureDoesNotMatch"
    assert refused(head("PATCH", f"/s3/b{path}?{others}")) == "SignatureDoesNotMatch"
    assert refused(head(method, f"/s3/b{path}?{others}&acl")) == "SignatureDoesNotMatch"


@pytest.mark.parametrize(
    ("target", "code"),
    [
        ("/b/o?Signature=x", "AccessDenied"),
        (f"/b/o?AWSAccessKeyId={ACCESS}&Expires=soon&Signature=x", "AccessDenied"),
        ("/b/o?AWSAccessKeyId=a&Expires=9999999999&Signature=x", "InvalidAccessKeyId"),
        (
            f"/b/o?AWSAccessKeyId={ACCESS}&Expires=9999999999&Signature=x&x-amz-acl=y",
            "InvalidArgument",
        ),
    ],
)
def test_refuses_what_is_no_link_of_version_2(target: str, code: str) -> None:
    assert refused(head("GET", target)) == code


def test_a_token_is_kept() -> None:
    request = signed("GET", "/b/o", at=AT, token="header.claims.signature")
    assert VERIFIER.authorize(request, AT).token == "header.claims.signature"
    request = signed("GET", "/b/o", at=AT, token="header.claims.signature", expires=60)
    assert VERIFIER.authorize(request, AT).token == "header.claims.signature"


def test_without_keys_everybody_is_anonymous() -> None:
    nobody = Verifier({})
    assert nobody.is_open
    assert nobody.authorize(head("GET", "/b/o")) is ANONYMOUS
    assert nobody.authorize(head("GET", "/b/o", {"authorization": "AWS4 nonsense"})) is ANONYMOUS
    assert nobody.authorize(signed("GET", "/b/o", at=0.0, expires=1)) is ANONYMOUS


# the file of key pairs


def test_keys_are_read(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    path.write_text("# team\nAK1:se:cret/+\n\n  AK2 : x\n".replace(" : ", ":"))
    assert load_keys(str(path)) == {"AK1": "se:cret/+", "AK2": "x"}
    assert load_keys("") == {}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "has no key"),
        ("# nothing\n", "has no key"),
        ("AK1\n", "line 1"),
        ("AK1:\n", "line 1"),
        ("A/K:topsecret\n", "line 1"),
        ("A:topsecret\nA:other\n", "line 2"),
    ],
)
def test_a_file_without_key_pairs_is_refused(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "keys"
    path.write_text(text)
    with pytest.raises(InvalidArgumentError, match=told) as caught:
        load_keys(str(path))
    assert "topsecret" not in str(caught.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgumentError, match="nowhere"):
        load_keys(str(tmp_path / "nowhere"))
