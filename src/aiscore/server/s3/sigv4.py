"""AWS Signature Version 4: who signed a request, and with what the chunks of its body are signed.

A signature covers method, path, query, the signed headers and the digest of the body. The path is compared as S3's
clients encode it, and as it was sent: both decode to the same name, so either is proof.

Without configured key pairs everybody is anonymous, and signatures are not looked at: clients that insist on signing
work all the same. With them every request must be signed; a request that has any part of a signature is never
treated as one without.
"""

import hashlib
import hmac
import logging
import os
import re
import stat
from calendar import timegm
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from functools import lru_cache
from time import strptime, time
from typing import Final
from urllib.parse import quote, unquote_to_bytes

from aiscore.errors import InvalidArgumentError
from aiscore.server.http import Request
from aiscore.server.s3 import sigv2
from aiscore.server.s3.body import ANONYMOUS, Identity
from aiscore.server.s3.faults import S3Error

__all__ = [
    "ALGORITHM",
    "EXPIRES_MAX_S",
    "SKEW_MAX_S",
    "UNSIGNED",
    "ChunkSigning",
    "Scope",
    "Verifier",
    "load_keys",
    "scope_of",
    "signature_of",
    "signing_key",
]

log = logging.getLogger(__name__)

ALGORITHM: Final = "AWS4-HMAC-SHA256"
SKEW_MAX_S: Final = 15 * 60
"""Difference of the two clocks that is tolerated; S3's."""
EXPIRES_MAX_S: Final = 7 * 24 * 3600
"""Longest life of a presigned URL; S3's."""
UNSIGNED: Final = "UNSIGNED-PAYLOAD"
_EMPTY_SHA256: Final = hashlib.sha256().hexdigest()
_KEYS_BYTES_MAX = 1 << 20
_SCOPE = re.compile(r"[\x21-\x2e\x30-\x7e]+/\d{8}/[A-Za-z0-9_-]{0,64}/s3/aws4_request")
_QUERY_FIELDS: Final = (
    "X-Amz-Algorithm",
    "X-Amz-Credential",
    "X-Amz-Date",
    "X-Amz-Expires",
    "X-Amz-SignedHeaders",
    "X-Amz-Signature",
)
_UNRESERVED = "-_.~"


@dataclass(frozen=True, slots=True)
class Scope:
    """What a signing key is good for, and whose it is."""

    access_key: str
    date: str
    region: str

    @property
    def text(self) -> str:
        """As it is signed."""
        return f"{self.date}/{self.region}/s3/aws4_request"


@dataclass(frozen=True, slots=True)
class ChunkSigning:
    """What the signatures of the chunks of a body are computed with.

    Attributes:
        key: signing key.
        timestamp: `20260131T235959Z`.
        scope: `Scope.text`.
        seed: signature of the head, which the first chunk continues.
    """

    key: bytes
    timestamp: str
    scope: str
    seed: str


@dataclass(frozen=True, slots=True)
class _Claim:
    """What a request says about its signature."""

    scope: Scope
    timestamp: str
    signed_headers: tuple[str, ...]
    signature: str
    payload: str
    is_presigned: bool


class Verifier:
    """Finds out who sends a request."""

    def __init__(self, keys: Mapping[str, str]) -> None:
        """Take key pairs: access key -> secret; none lets everybody in."""
        self._keys = dict(keys)

    @property
    def is_open(self) -> bool:
        """True when nobody needs a key."""
        return not self._keys

    def authorize(self, request: Request, now_s: float | None = None) -> Identity:
        """Who sends `request`.

        Args:
            request: as it came; a path that was rewritten since does not matter.
            now_s: seconds since the epoch; None asks the clock.

        Raises:
            S3Error: not signed, or not rightly, or not now.
        """
        if not self._keys:
            return ANONYMOUS
        now = time() if now_s is None else now_s
        header = request.header("authorization")
        is_presigned = any(name in request.query for name in (*_QUERY_FIELDS, *sigv2.PARAMETERS))
        if header is not None and is_presigned:
            raise S3Error(
                "InvalidArgument",
                "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature query string "
                "parameter or the Authorization header should be specified",
            )
        if is_presigned and not any(name in request.query for name in _QUERY_FIELDS):
            return sigv2.verify_link(request, self.secret_of, now)
        if is_presigned:
            claim = _claim_of_query(request, now)
        elif header is not None:
            claim = _claim_of_header(request, header, now)
        else:
            raise S3Error("AccessDenied", "Access Denied: the request is not signed")
        return self._verify(request, claim)

    def key_for(self, scope: Scope) -> bytes:
        """The signing key of a scope.

        Raises:
            S3Error: no such access key.
        """
        return signing_key(self.secret_of(scope.access_key), scope.date, scope.region)

    def secret_of(self, access_key: str) -> str:
        """The secret of an access key.

        Raises:
            S3Error: no such access key.
        """
        secret = self._keys.get(access_key)
        if secret is None:
            raise S3Error(
                "InvalidAccessKeyId",
                "The AWS Access Key Id you provided does not exist in our records.",
            )
        return secret

    def _verify(self, request: Request, claim: _Claim) -> Identity:
        key = self.key_for(claim.scope)
        signed = claim.signed_headers
        if "host" not in signed:
            raise S3Error("AccessDenied", "the Host header must be signed")
        for name in request.header_names("x-amz-"):
            if name not in signed:
                unchecked = claim.is_presigned and name == "x-amz-content-sha256"
                if not unchecked:
                    raise S3Error(
                        "AccessDenied",
                        f"There were headers present in the request which were not signed: {name}",
                    )
        if not any(
            hmac.compare_digest(
                _signature(request, claim, path, key).encode(), claim.signature.encode()
            )
            for path in _paths_of(request.raw_path)
        ):
            raise S3Error(
                "SignatureDoesNotMatch",
                "The request signature we calculated does not match the signature you provided. "
                "Check your key and signing method.",
            )
        token = request.header("x-amz-security-token") or request.query.get("X-Amz-Security-Token")
        return Identity(
            access_key=claim.scope.access_key,
            token=token or "",
            signing=ChunkSigning(key, claim.timestamp, claim.scope.text, claim.signature),
        )


def load_keys(path: str) -> dict[str, str]:
    """Read a file of key pairs: `ACCESS:SECRET` a line; empty lines and those that begin with `#` do not count.

    Args:
        path: "" for no file, and no key.

    Raises:
        InvalidArgumentError: it cannot be read, or a line is none of the above. Secrets are
            not repeated.
    """
    if not path:
        return {}
    try:
        with open(path, "rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            data = file.read(_KEYS_BYTES_MAX + 1)
        text = data.decode()
    except OSError as exc:
        reason = (exc.strerror or str(exc)).lower()
        raise InvalidArgumentError(
            f's3_keys "{path}" cannot be read: {reason}',
            hint="give a file with ACCESS:SECRET lines",
        ) from exc
    except UnicodeDecodeError as exc:
        raise InvalidArgumentError(f's3_keys "{path}" is not text') from exc
    if stat.S_ISREG(mode) and mode & stat.S_IROTH:
        log.warning("secrets can be read by everybody: s3_keys=%s", path)
    if len(data) > _KEYS_BYTES_MAX:
        raise InvalidArgumentError(f's3_keys "{path}" is longer than {_KEYS_BYTES_MAX} bytes')
    keys: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        access, _, secret = line.partition(":")
        if not re.fullmatch(r"[\x21-\x2e\x30-\x39\x3b-\x7e]{1,128}", access) or not secret.strip():
            raise InvalidArgumentError(
                f's3_keys "{path}", line {number}: expected ACCESS:SECRET, the first without "/" and space'
            )
        if access in keys:
            raise InvalidArgumentError(
                f's3_keys "{path}", line {number}: access key "{access}" is there twice'
            )
        keys[access] = secret.strip()
    if not keys:
        raise InvalidArgumentError(
            f's3_keys "{path}" has no key: nobody could sign a request',
            hint="add ACCESS:SECRET lines, or leave the setting out to let everybody in",
        )
    return keys


@lru_cache(maxsize=256)
def signing_key(secret: str, date: str, region: str) -> bytes:
    """The key of one day and region."""
    key = f"AWS4{secret}".encode()
    for word in (date, region, "s3", "aws4_request"):
        key = hmac.digest(key, word.encode(), "sha256")
    return key


def signature_of(key: bytes, text: str) -> str:
    """Sign a text, in hex."""
    return hmac.digest(key, text.encode(), "sha256").hex()


# what the client claims


def _claim_of_header(request: Request, header: str, now: float) -> _Claim:
    words = header.split(None, 1)
    if words[:1] != [ALGORITHM]:
        if words[:1] and words[0].startswith("AWS"):
            raise S3Error(
                "InvalidRequest",
                f"The authorization mechanism you have provided is not supported. Please use {ALGORITHM}.",
            )
        raise S3Error("AccessDenied", "Access Denied: the request has no signature")
    fields: dict[str, str] = {}
    for part in words[1].split(",") if len(words) == 2 else ():
        name, separator, value = part.strip().partition("=")
        if not separator or name in fields:
            raise _malformed("expected Credential=, SignedHeaders= and Signature=")
        fields[name] = value.strip()
    if not fields.keys() >= {"Credential", "SignedHeaders", "Signature"}:
        raise _malformed("expected Credential=, SignedHeaders= and Signature=")
    scope = scope_of(fields["Credential"], "AuthorizationHeaderMalformed")
    timestamp, at = _time_of(request)
    if abs(now - at) > SKEW_MAX_S:
        raise S3Error(
            "RequestTimeTooSkewed",
            "The difference between the request time and the current time is too large.",
        )
    if timestamp[:8] != scope.date:
        raise _malformed(f'the date of the credential "{scope.date}" is not that of the request')
    payload = request.header("x-amz-content-sha256")
    if payload is None:
        if request.content_length != 0:
            raise S3Error(
                "InvalidRequest", "Missing required header for this request: x-amz-content-sha256"
            )
        payload = _EMPTY_SHA256
    return _Claim(
        scope, timestamp, _headers_of(fields["SignedHeaders"]), fields["Signature"], payload, False
    )


def _claim_of_query(request: Request, now: float) -> _Claim:
    query = request.query
    if any(not query.get(name) for name in _QUERY_FIELDS):
        raise _bad_query(f"a presigned URL must have {', '.join(_QUERY_FIELDS)}")
    if query["X-Amz-Algorithm"] != ALGORITHM:
        raise _bad_query(f'X-Amz-Algorithm only supports "{ALGORITHM}"')
    scope = scope_of(query["X-Amz-Credential"], "AuthorizationQueryParametersError")
    timestamp = query["X-Amz-Date"]
    at = _parse_timestamp(timestamp)
    if at is None:
        raise _bad_query("X-Amz-Date must be in the ISO8601 format \"yyyyMMdd'T'HHmmss'Z'\"")
    if timestamp[:8] != scope.date:
        raise _bad_query(f'the date of the credential "{scope.date}" is not that of X-Amz-Date')
    text = query["X-Amz-Expires"]
    if not re.fullmatch(r"[0-9]{1,10}", text) or not 1 <= int(text) <= EXPIRES_MAX_S:
        raise _bad_query(f"X-Amz-Expires must be from 1 to {EXPIRES_MAX_S} seconds")
    if now > at + int(text):
        raise S3Error("AccessDenied", "Request has expired")
    if at > now + SKEW_MAX_S:
        raise S3Error("AccessDenied", "Request is not valid yet")
    payload = request.header("x-amz-content-sha256") or UNSIGNED
    names = _headers_of(query["X-Amz-SignedHeaders"])
    if "x-amz-content-sha256" not in names:
        payload = query.get("X-Amz-Content-Sha256") or UNSIGNED
    return _Claim(scope, timestamp, names, query["X-Amz-Signature"], payload, True)


def scope_of(credential: str, code: str) -> Scope:
    """Read a credential.

    Raises:
        S3Error: `code`, when it is none.
    """
    if not _SCOPE.fullmatch(credential):
        raise S3Error(
            code, "the credential must have the form ACCESS_KEY/YYYYMMDD/REGION/s3/aws4_request"
        )
    access, date, region, _, _ = credential.split("/")
    return Scope(access, date, region)


def _headers_of(text: str) -> tuple[str, ...]:
    return tuple(text.lower().split(";"))


def _time_of(request: Request) -> tuple[str, float]:
    """When a request was signed: as it is in the text that was signed, and in seconds."""
    text = request.header("x-amz-date")
    if text is not None:
        at = _parse_timestamp(text)
        if at is not None:
            return text, at
    else:
        text = request.header("date") or ""
        at = _parse_timestamp(text)
        if at is not None:
            return text, at
        try:
            moment = parsedate_to_datetime(text)
            return moment.strftime("%Y%m%dT%H%M%SZ"), moment.timestamp()
        except (ValueError, OverflowError):
            pass
    raise S3Error("AccessDenied", "AWS authentication requires a valid Date or x-amz-date header")


def _parse_timestamp(text: str) -> float | None:
    if not re.fullmatch(r"[0-9]{8}T[0-9]{6}Z", text):
        return None
    try:
        return float(timegm(strptime(text, "%Y%m%dT%H%M%SZ")))
    except ValueError:
        return None


# what it must be


def _signature(request: Request, claim: _Claim, path: str, key: bytes) -> str:
    lines = "".join(
        f"{name}:{','.join(' '.join(value.split()) for value in request.header_all(name))}\n"
        for name in claim.signed_headers
    )
    canonical = "\n".join(
        (
            request.method,
            path,
            _canonical_query(request.raw_query),
            lines,
            ";".join(claim.signed_headers),
            claim.payload,
        )
    )
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    text = f"{ALGORITHM}\n{claim.timestamp}\n{claim.scope.text}\n{digest}"
    return signature_of(key, text)


def _paths_of(raw_path: str) -> list[str]:
    plain = quote(unquote_to_bytes(raw_path), safe="/" + _UNRESERVED)
    return [plain] if plain == raw_path else [plain, raw_path]


def _canonical_query(raw_query: str) -> str:
    pairs = []
    for pair in raw_query.split("&"):
        if pair:
            name, _, value = pair.partition("=")
            encoded = _encoded(name)
            if encoded != "X-Amz-Signature":
                pairs.append((encoded, _encoded(value)))
    return "&".join(f"{name}={value}" for name, value in sorted(pairs))


def _encoded(text: str) -> str:
    return quote(unquote_to_bytes(text.replace("+", " ")), safe=_UNRESERVED)


def _malformed(what: str) -> S3Error:
    return S3Error("AuthorizationHeaderMalformed", f"The authorization header is malformed; {what}")


def _bad_query(what: str) -> S3Error:
    return S3Error("AuthorizationQueryParametersError", what)
