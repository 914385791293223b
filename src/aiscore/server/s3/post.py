"""PostObject: a browser sends a form with a file, and a policy that somebody signed for it."""

import binascii
import hmac
import json
from base64 import b64decode
from collections.abc import Awaitable, Mapping
from datetime import UTC, datetime
from time import time
from typing import Final
from urllib.parse import quote

from aiscore.model.bucket import BucketRef
from aiscore.model.objects import PutOptions
from aiscore.server.http import BodySink, Request, Response, ServerContext
from aiscore.server.s3 import sigv2
from aiscore.server.s3.bodies import Pushed
from aiscore.server.s3.body import Received
from aiscore.server.s3.call import Call, s3_etag, xml_response
from aiscore.server.s3.faults import S3Error
from aiscore.server.s3.forms import FormParser, boundary_of
from aiscore.server.s3.names import bucket_named, name_of
from aiscore.server.s3.sigv4 import ALGORITHM, Verifier, scope_of, signature_of
from aiscore.server.s3.xml import XmlWriter
from aiscore.wire.conditions import quote_etag

__all__ = ["Forms", "check_policy", "is_form", "post_object"]

_FREE: Final = frozenset(
    {"awsaccesskeyid", "file", "filename", "policy", "signature", "x-amz-signature"}
)
"""Fields that a policy does not have to mention; those that begin with `x-ignore-` as well."""
_SYSTEM: Final = {
    "cache-control": "Cache-Control",
    "content-disposition": "Content-Disposition",
    "content-encoding": "Content-Encoding",
    "content-type": "Content-Type",
    "expires": "Expires",
}
_META: Final = "x-amz-meta-"


def is_form(request: Request) -> bool:
    """True for a request whose body is a form: its signature is in there."""
    return request.method == "POST" and not request.query and boundary_of(request) is not None


class Forms:
    """Answers POST to a bucket that is none of the operations with a sub-resource, and no form."""

    def __init__(self, context: ServerContext) -> None:
        """Nothing of the context is needed."""

    def refuse(self, call: Call) -> Response:
        """PostObject, without a form."""
        raise S3Error(
            "PreconditionFailed", "Bucket POST must be of the enclosure-type multipart/form-data"
        )


def post_object(
    request: Request, bucket: str, verifier: Verifier, context: ServerContext
) -> BodySink:
    """Take a form; what its policy does not allow is not stored.

    Raises:
        S3Error: the bucket's name is not one.
    """
    boundary = boundary_of(request)
    assert boundary is not None
    return _FormSink(boundary, bucket, bucket_named(bucket), verifier, context)


class _FormSink:
    """A form on its way in (`http.BodySink`)."""

    def __init__(
        self,
        boundary: str,
        bucket_name: str,
        bucket: BucketRef,
        verifier: Verifier,
        context: ServerContext,
    ) -> None:
        self._parser = FormParser(boundary, self._open)
        self._bucket_name = bucket_name
        self._bucket = bucket
        self._verifier = verifier
        self._context = context
        self._inbound: Pushed | None = None
        self._sizes = (0, 5 << 30)
        self._size = 0

    def write(self, data: memoryview) -> Awaitable[None] | None:
        """Take a block of the form.

        Raises:
            S3Error: it is malformed, not allowed, or the file is too long.
        """
        content = self._parser.take(data)
        if content and self._inbound is not None:
            self._size += len(content)
            if self._size > self._sizes[1]:
                raise S3Error(
                    "EntityTooLarge", "Your proposed upload exceeds the maximum allowed size"
                )
            return self._inbound.write(memoryview(content))
        return None

    def finish(self) -> Awaitable[Response]:
        """The form has ended.

        Raises:
            S3Error: before its file did, or the file is too short.
        """
        if self._inbound is None or not self._parser.is_complete:
            raise S3Error(
                "MalformedPOSTRequest",
                "The body of your POST request is not well-formed multipart/form-data.",
            )
        if self._size < self._sizes[0]:
            raise S3Error(
                "EntityTooSmall",
                "Your proposed upload is smaller than the minimum allowed object size.",
            )
        return self._inbound.finish(Received)

    def abort(self) -> None:
        """Nothing of it stays."""
        if self._inbound is not None:
            self._inbound.abort()

    def _open(self, fields: dict[str, str]) -> None:
        """The fields are there, the file begins."""
        key = fields.get("key", "").replace("${filename}", fields.get("filename", ""))
        if not key:
            raise S3Error("InvalidArgument", "Bucket POST must contain a field named 'key'.")
        known = {**fields, "key": key, "bucket": self._bucket_name}
        if not self._verifier.is_open:
            _authorize(self._verifier, fields)
            self._sizes = check_policy(_policy_of(fields), known, time())
        elif "policy" in fields:
            self._sizes = check_policy(_policy_of(fields), known, time())
        custom = {name: fields[field] for field, name in _SYSTEM.items() if fields.get(field)}
        for field, value in fields.items():
            if field.startswith(_META) and value:
                custom[field[len(_META) :]] = value
        options = PutOptions(custom=custom, skip_same=False, md5=True)
        writer = self._context.node.store.open_writer(self._bucket, name_of(key), options)

        def commit(_: Received) -> Response:
            return _answer(fields, self._bucket_name, key, s3_etag(writer.commit().etag))

        self._inbound = Pushed(writer, commit, self._context)


def _authorize(verifier: Verifier, fields: Mapping[str, str]) -> None:
    """Whether the policy was signed by who is named."""
    if fields.get("awsaccesskeyid") and fields.get("signature") and fields.get("policy"):
        expected = sigv2.signature_of(
            verifier.secret_of(fields["awsaccesskeyid"]), fields["policy"]
        )
        _compare(expected, fields["signature"])
        return
    wanted = ("policy", "x-amz-algorithm", "x-amz-credential", "x-amz-date", "x-amz-signature")
    for name in wanted:
        if not fields.get(name):
            raise S3Error("AccessDenied", f"Access Denied: the form has no field named '{name}'")
    if fields["x-amz-algorithm"] != ALGORITHM:
        raise S3Error("InvalidArgument", f'x-amz-algorithm only supports "{ALGORITHM}"')
    scope = scope_of(fields["x-amz-credential"], "InvalidArgument")
    signature = signature_of(verifier.key_for(scope), fields["policy"])
    _compare(signature, fields["x-amz-signature"])


def _compare(expected: str, signature: str) -> None:
    if not hmac.compare_digest(expected.encode(), signature.encode()):
        raise S3Error(
            "SignatureDoesNotMatch",
            "The request signature we calculated does not match the signature you provided. "
            "Check your key and signing method.",
        )


def _policy_of(fields: Mapping[str, str]) -> object:
    try:
        policy: object = json.loads(b64decode(fields["policy"], validate=True))
    except (binascii.Error, ValueError, RecursionError):
        raise _invalid("it is not JSON in base64") from None
    return policy


def check_policy(policy: object, fields: Mapping[str, str], now_s: float) -> tuple[int, int]:
    """Whether a policy allows a form; sizes that the file may have.

    Args:
        policy: decoded.
        fields: of the form, and `bucket`.
        now_s: seconds since the epoch.

    Raises:
        S3Error: it does not, has expired, or is none.
    """
    if not isinstance(policy, dict) or not isinstance(policy.get("conditions"), list):
        raise _invalid("it has no list of conditions")
    if now_s > _expiration(policy.get("expiration")):
        raise S3Error("AccessDenied", "Invalid according to Policy: Policy expired.")
    sizes = (0, 5 << 30)
    covered = set()
    for condition in policy["conditions"]:
        if isinstance(condition, dict) and len(condition) == 1:
            ((name, wanted),) = condition.items()
            operation, field = "eq", f"${name}"
        elif isinstance(condition, list) and len(condition) == 3:
            operation, field, wanted = condition
        else:
            raise _invalid("a condition is neither {name: value} nor [operation, name, value]")
        if operation == "content-length-range":
            if not (isinstance(field, int) and isinstance(wanted, int) and 0 <= field <= wanted):
                raise _invalid("content-length-range needs two numbers")
            sizes = max(sizes[0], field), min(sizes[1], wanted)
            continue
        if not (isinstance(field, str) and field.startswith("$") and isinstance(wanted, str)):
            raise _invalid("a condition compares a $field with a text")
        name = field[1:].lower()
        covered.add(name)
        value = fields.get(name, "")
        if operation == "eq":
            holds = value == wanted
        elif operation == "starts-with":
            holds = value.startswith(wanted)
        else:
            raise _invalid("a condition is none of eq, starts-with, content-length-range")
        if not holds:
            raise S3Error(
                "AccessDenied",
                f"Invalid according to Policy: Policy Condition failed: {json.dumps(condition)[:200]}",
            )
    for name in fields.keys() - covered - _FREE - {"bucket"}:
        # The type of the file comes from its own head.
        if not name.startswith("x-ignore-") and name != "content-type":
            raise S3Error(
                "AccessDenied", f"Invalid according to Policy: Extra input fields: {name[:64]}"
            )
    return sizes


def _expiration(text: object) -> float:
    try:
        if isinstance(text, str):
            moment = datetime.fromisoformat(text)
            return moment.replace(tzinfo=moment.tzinfo or UTC).timestamp()
    except (ValueError, OverflowError):
        pass
    raise _invalid("it has no expiration")


def _invalid(what: str) -> S3Error:
    return S3Error("InvalidPolicyDocument", f"Invalid Policy: {what}")


def _answer(fields: Mapping[str, str], bucket: str, key: str, etag: str) -> Response:
    """204 unless the form wants another status; its page to go to next is not given: nothing here redirects."""
    location = f"/{quote(bucket)}/{quote(key)}"
    headers = [("ETag", quote_etag(etag)), ("Location", location)]
    wanted = fields.get("success_action_status", "")
    if wanted != "201":
        return Response(200 if wanted == "200" else 204, headers)
    writer = XmlWriter("PostResponse")
    for name, value in (("Location", location), ("Bucket", bucket), ("Key", key)):
        writer.text(name, value)
    writer.text("ETag", quote_etag(etag))
    return xml_response(writer, headers, 201)
