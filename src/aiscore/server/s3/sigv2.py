"""AWS Signature Version 2 of links and forms: what botocore still makes where no version is asked for.

`aws s3 presign` does so for other endpoints than AWS's. That of a link covers method, path, sub-resources, expiry, and
the headers that begin with `x-amz-`. No client of today signs the requests with it that it sends itself: such are
refused.
"""

import hmac
import re
from base64 import b64encode
from collections.abc import Callable
from typing import Final
from urllib.parse import unquote

from aiscore.server.http import Request
from aiscore.server.s3.body import Identity
from aiscore.server.s3.faults import S3Error

__all__ = ["PARAMETERS", "signature_of", "verify_link"]

PARAMETERS: Final = ("AWSAccessKeyId", "Expires", "Signature")
_PREFIX = "/s3/"
"""In front of the bucket in our URLs, and no part of what is signed."""
_TOKEN = "x-amz-security-token"
_SIGNED: Final = frozenset(
    (
        *("accelerate", "acl", "analytics", "cors", "defaultObjectAcl", "delete", "inventory"),
        *("lifecycle", "location", "logging", "metrics", "notification", "object-lock"),
        *("partNumber", "policy", "replication", "requestPayment", "restore", "select"),
        *("select-type", "storageClass", "tagging", "torrent", "uploadId", "uploads"),
        *("versionId", "versioning", "versions", "website"),
        *("response-cache-control", "response-content-disposition", "response-content-encoding"),
        *("response-content-language", "response-content-type", "response-expires"),
    )
)
"""Parameters that the signature covers."""


def verify_link(request: Request, secret_of: Callable[[str], str], now_s: float) -> Identity:
    """Who made the link that `request` follows.

    Args:
        request: has one of `PARAMETERS` at least.
        secret_of: the secret of an access key; raises for one that is not known.
        now_s: seconds since the epoch.

    Raises:
        S3Error: it is incomplete, expired, or was not made by who is named.
    """
    query = request.query
    if any(not query.get(name) for name in PARAMETERS):
        raise S3Error("AccessDenied", f"a signed link must have {', '.join(PARAMETERS)}")
    expires = query["Expires"]
    if not re.fullmatch(r"[0-9]{1,12}", expires):
        raise S3Error("AccessDenied", "Expires must be in seconds since the epoch")
    access = query["AWSAccessKeyId"]
    secret = secret_of(access)
    if now_s > int(expires):
        raise S3Error("AccessDenied", "Request has expired")
    signature = signature_of(secret, _text(request, expires))
    if not hmac.compare_digest(signature.encode(), query["Signature"].encode()):
        raise S3Error(
            "SignatureDoesNotMatch",
            "The request signature we calculated does not match the signature you provided. "
            "Check your key and signing method.",
        )
    return Identity(access_key=access, token=query.get(_TOKEN) or request.header(_TOKEN) or "")


def signature_of(secret: str, text: str) -> str:
    """Sign a text, in base64."""
    return b64encode(hmac.digest(secret.encode(), text.encode(), "sha1")).decode()


def _text(request: Request, expires: str) -> str:
    """What was signed."""
    query = request.query
    custom = {name: request.header(name) or "" for name in request.header_names("x-amz-")}
    for name in query:
        if name.lower().startswith("x-amz-"):
            if name != _TOKEN:
                raise S3Error("InvalidArgument", f"{name[:64]} cannot be a parameter of this link")
            custom[name] = query[name]
    lines = [
        request.method,
        query.get("content-md5") or request.header("content-md5") or "",
        query.get("content-type") or request.header("content-type") or "",
        expires,
    ]
    lines += [f"{name}:{value.strip()}" for name, value in sorted(custom.items())]
    return "\n".join([*lines, _resource(request)])


def _resource(request: Request) -> str:
    path = request.raw_path
    if path.startswith(_PREFIX):
        path = path[len(_PREFIX) - 1 :]
    pairs = [pair.partition("=") for pair in request.raw_query.split("&")]
    signed = sorted(
        (name, f"{name}{equals}{unquote(value)}")
        for name, equals, value in pairs
        if name in _SIGNED
    )
    return f"{path}?{'&'.join(text for _, text in signed)}" if signed else path
