"""Errors on their way over the wire: AIStore's JSON, from which the same class comes back.

`tcode` is AIStore's name of the error where it has one. Ours travel beside it in fields that other clients ignore:
`code` (our class), `hint` and `kind`. An answer of a cluster that is not ours is sorted by type code, status and text.
"""

import json
import re
from collections.abc import Iterator

from aiscore.errors import (
    AccessDeniedError,
    AisError,
    AlreadyExistsError,
    ArchiveError,
    ArchpathNotFoundError,
    BatchAbortedError,
    BucketAlreadyExistsError,
    BucketNotFoundError,
    BusyError,
    CapacityExceededError,
    ChecksumMismatchError,
    CorruptionError,
    InvalidArgumentError,
    LimitedCoexistenceError,
    MountpathNotFoundError,
    NotFoundError,
    ObjectNotFoundError,
    PreconditionFailedError,
    RangeNotSatisfiableError,
    ThrottledError,
    TransportError,
    UnauthenticatedError,
    UnavailableError,
    UnsupportedError,
    XactionAbortedError,
    XactionNotFoundError,
)

__all__ = ["ERROR_BODY_MAX", "decode_error", "encode_error", "error_of_code"]

ERROR_BODY_MAX = 64 << 10
"""Bytes of an error's body that are looked at; AIStore's have a few hundred."""
_TEXT_MAX = 4096

# Subclasses before their bases: the first match decides.
_TCODES: tuple[tuple[type[AisError], str], ...] = (
    (BucketNotFoundError, "ErrBckNotFound"),
    (MountpathNotFoundError, "ErrMpathNotFound"),
    (XactionNotFoundError, "ErrXactNotFound"),
    (NotFoundError, "ErrNotFound"),
    (UnauthenticatedError, ""),
    (AccessDeniedError, "ErrBucketAccessDenied"),
    (BucketAlreadyExistsError, "ErrBucketAlreadyExists"),
    (AlreadyExistsError, "ErrAlreadyExists"),
    (LimitedCoexistenceError, "ErrLimitedCoexistence"),
    (BusyError, "ErrBusy"),
    (RangeNotSatisfiableError, "ErrRangeNotSatisfiable"),
    (UnsupportedError, "ErrUnsupp"),
    (CapacityExceededError, "ErrCapExceeded"),
    (ThrottledError, "ErrTooManyRequests"),
    (ChecksumMismatchError, "ErrInvalidCksum"),
    (XactionAbortedError, "ErrAborted"),
)
_CLASS_OF_TCODE: dict[str, type[AisError]] = {
    "ErrAborted": XactionAbortedError,
    "ErrAlreadyExists": AlreadyExistsError,
    "ErrBadCksum": ChecksumMismatchError,
    "ErrBckNotFound": BucketNotFoundError,
    "ErrBucketAccessDenied": AccessDeniedError,
    "ErrBucketAlreadyExists": BucketAlreadyExistsError,
    "ErrBusy": BusyError,
    "ErrCapExceeded": CapacityExceededError,
    "ErrInvalidCksum": ChecksumMismatchError,
    "ErrLimitedCoexistence": LimitedCoexistenceError,
    "ErrLmetaCorrupted": CorruptionError,
    "ErrMpathNotFound": MountpathNotFoundError,
    "ErrNotImpl": UnsupportedError,
    "ErrObjectAccessDenied": AccessDeniedError,
    "ErrRangeNotSatisfiable": RangeNotSatisfiableError,
    "ErrRateLimitFrontend": ThrottledError,
    "ErrRemoteBckNotFound": BucketNotFoundError,
    "ErrRemoteBucketOffline": UnavailableError,
    "ErrTooManyRequests": ThrottledError,
    "ErrUnsupp": UnsupportedError,
    "ErrXactNotFound": XactionNotFoundError,
}
_CLASS_OF_STATUS: dict[int, type[AisError]] = {
    400: InvalidArgumentError,
    401: UnauthenticatedError,
    403: AccessDeniedError,
    404: NotFoundError,
    405: UnsupportedError,
    408: UnavailableError,
    409: AlreadyExistsError,
    410: NotFoundError,
    411: InvalidArgumentError,
    412: PreconditionFailedError,
    413: InvalidArgumentError,
    414: InvalidArgumentError,
    416: RangeNotSatisfiableError,
    423: BusyError,
    429: ThrottledError,
    431: InvalidArgumentError,
    501: UnsupportedError,
    502: UnavailableError,
    503: UnavailableError,
    504: UnavailableError,
    507: CapacityExceededError,
}
_URI = r"(?:ais|aws|azure|gcp|oci|s3|gs|az|oc|ht)://(?:[@#][A-Za-z0-9@#_-]*/)?[A-Za-z0-9._-]+(/[^\s\"]*)?"


def encode_error(exc: AisError, *, method: str, path: str, peer: str, node: str) -> bytes:
    """The JSON body of an error, ASCII in one line, with a newline after it.

    For HEAD the same text without the newline is the value of `H.ERROR`.

    Args:
        exc: what happened; its class gives the status.
        method: of the request.
        path: URL path of the request, decoded.
        peer: `IP:PORT` of the client.
        node: `t[ID]` of who answers.
    """
    body: dict[str, object] = {}
    if tcode := _tcode_of(exc):
        body["tcode"] = tcode
    body |= {
        "message": exc.message,
        "method": method,
        "url_path": path,
        "remote_addr": peer,
        "caller": "",
        "node": node,
        "status": exc.status,
    }
    if exc.code:
        body["code"] = exc.code
    if exc.hint:
        body["hint"] = exc.hint
    if isinstance(exc, CorruptionError) and exc.kind:
        body["kind"] = exc.kind
    return json.dumps(body, separators=(",", ":")).encode() + b"\n"


def decode_error(status: int, body: bytes, *, method: str, target: str = "") -> AisError:
    """The error that an answer stands for; never raises.

    Args:
        status: HTTP status, 400 or above.
        body: the answer's body, or the value of `H.ERROR` for HEAD.
        method: of the request: a 409 of GET means "busy", of others "exists".
        target: of the request; names the object when the server's message does not.
    """
    fields = _parse(body[:ERROR_BODY_MAX])
    message = _text(fields, "message") or _default_message(status)
    hint = _text(fields, "hint") or None
    cls = _class_of(status, fields, message, method)
    if "code" not in fields and status < 500 and "://" not in message:
        message = _object_of(target) + message
    if cls is CorruptionError:
        return CorruptionError(message, hint=hint, kind=_text(fields, "kind"))
    return cls(message, hint=hint)


def error_of_code(code: str, message: str, *, hint: str | None = None, kind: str = "") -> AisError:
    """The error of a class named by `AisError.code`: how the error of a job comes back.

    Without a code, as AIStore's jobs have none, the text tells what is missing; `AisError` when nothing tells.
    """
    cls = _classes().get(code)
    if cls is None:
        cls = _not_found_class(message) if "does not exist" in message else AisError
    if cls is CorruptionError:
        return CorruptionError(message, hint=hint, kind=kind)
    return cls(message, hint=hint)


def _tcode_of(exc: AisError) -> str:
    """AIStore's name: what the class itself says, which only the server's own classes do, else that of its kind."""
    own = getattr(exc, "tcode", None)
    if isinstance(own, str):
        return own
    return next((tcode for cls, tcode in _TCODES if isinstance(exc, cls)), "")


def _class_of(status: int, fields: dict[str, object], message: str, method: str) -> type[AisError]:
    if found := _classes().get(_text(fields, "code")):
        return found
    tcode = _text(fields, "tcode")
    if found := _CLASS_OF_TCODE.get(tcode):
        return found
    lowered = message.lower()
    if status == 404:
        return _not_found_class(message)
    if status == 409:
        if method == "GET" or "busy" in lowered:
            return BusyError
        return _exists_class(message)
    if status == 400:
        # A rename onto a bucket that exists, and a checksum that does not match, come untyped.
        if "already exists" in lowered:
            return _exists_class(message)
        if "checksum" in lowered and ("bad" in lowered or "mismatch" in lowered):
            return ChecksumMismatchError
        if "unsupported file format" in lowered or "unknown filename extension" in lowered:
            return ArchiveError
        if "exceeded soft-errors limit" in lowered:
            return BatchAbortedError
    return _CLASS_OF_STATUS.get(status, AisError if status >= 500 else InvalidArgumentError)


def _not_found_class(message: str) -> type[AisError]:
    """404 without a type: the first URI in the text names what is missing, a bucket or an object."""
    if "mountpath" in message:
        return MountpathNotFoundError
    if "xaction" in message or message.startswith('"x-'):
        return XactionNotFoundError
    match = re.search(_URI, message)
    if match is None:
        return NotFoundError
    if match[1] is None or match[1] == "/":
        return BucketNotFoundError
    is_member = "in archive" in message or message[: match.start()].endswith(" in ")
    return ArchpathNotFoundError if is_member else ObjectNotFoundError


def _object_of(target: str) -> str:
    """The cname of the object that a request is about, with a colon behind it; nothing when there is none."""
    from urllib.parse import parse_qsl, unquote

    from aiscore.wire.buckets import bucket_of
    from aiscore.wire.names import Path

    path, _, query = target.partition("?")
    begin = f"{Path.OBJECTS}/"
    bucket, _, name = path.removeprefix(begin).partition("/")
    if not path.startswith(begin) or not name:
        return ""
    return f"{bucket_of(bucket, dict(parse_qsl(query))).object_cname(unquote(name))}: "


def _exists_class(message: str) -> type[AisError]:
    match = re.search(_URI, message)
    if match is not None and match[1] is None:
        return BucketAlreadyExistsError
    return AlreadyExistsError


def _parse(body: bytes) -> dict[str, object]:
    text = body.decode("utf-8", "replace").strip()
    if text.startswith("{"):
        try:
            parsed: object = json.loads(text)
        except (ValueError, RecursionError):
            parsed = None
        if isinstance(parsed, dict):
            return parsed
    return {"message": text}


def _text(fields: dict[str, object], name: str) -> str:
    value = fields.get(name)
    return value[:_TEXT_MAX] if isinstance(value, str) else ""


def _default_message(status: int) -> str:
    if status == 503:
        return "the cluster is starting up, or not ready"
    from http import HTTPStatus

    try:
        return f"the server answered {status} {HTTPStatus(status).phrase.lower()}"
    except ValueError:
        return f"the server answered {status}"


_by_code: dict[str, type[AisError]] = {}


def _classes() -> dict[str, type[AisError]]:
    """Class by code; transport errors are ours to raise, not the server's."""
    if not _by_code:
        for cls in _subclasses(AisError):
            if cls.code and not issubclass(cls, TransportError):
                # The first one, a base, wins: a server may have private variants under the same code.
                _by_code.setdefault(cls.code, cls)
    return _by_code


def _subclasses(cls: type[AisError]) -> Iterator[type[AisError]]:
    for below in cls.__subclasses__():
        yield below
        yield from _subclasses(below)
