"""Jobs on the wire: snapshots, statuses, and the questions about them.

A snapshot's `ext` carries what AIStore's has no place for: the class of an error, and what one kind alone has to say.
"""

from collections.abc import Mapping
from typing import Any

from aiscore.errors import AisError, InvalidArgumentError, ProtocolError
from aiscore.model.bucket import BucketRef
from aiscore.model.xaction import XactionFilter, XactionKind, XactionSnap, XactionState
from aiscore.wire.buckets import bucket_from_json, bucket_to_json
from aiscore.wire.errors import error_of_code
from aiscore.wire.messages import decode_json
from aiscore.wire.values import decode_int, format_rfc3339, parse_rfc3339

__all__ = [
    "decode_snap",
    "decode_snaps",
    "decode_status",
    "encode_filter",
    "encode_snap",
    "encode_status",
    "error_of_snap",
    "filter_of",
    "force_of",
    "running_name",
]

_ABORTED = "ErrAborted"


def encode_snap(snap: XactionSnap) -> dict[str, Any]:
    """AIStore's Snap as JSON values."""
    is_aborted = snap.is_aborted
    ext: dict[str, Any] = dict(snap.ext)
    if snap.error_code:
        ext["code"] = snap.error_code
    objects, size = str(snap.objects), str(snap.size)
    encoded: dict[str, Any] = {
        "ext": ext or None,
        "start-time": format_rfc3339(snap.started_ns),
        "end-time": format_rfc3339(snap.ended_ns),
        "bck": bucket_to_json(snap.bucket),
        "src-bck": bucket_to_json(snap.bucket if snap.target else None),
        "dst-bck": bucket_to_json(snap.target),
        "id": snap.id,
        "kind": snap.kind.value,
        "abort-err": (snap.error or _ABORTED) if is_aborted else "",
        "err": "" if is_aborted else snap.error,
        "glob.id": "0",
        "stats": {
            "loc-objs": objects,
            "loc-bytes": size,
            "out-objs": "0",
            "out-bytes": "0",
            "in-objs": "0",
            "in-bytes": "0",
        },
        "aborted": is_aborted,
        # Clients wait for some kinds until they are idle, and what has ended is.
        "is_idle": snap.is_idle or snap.is_finished,
    }
    if snap.control:
        encoded["ctlmsg"] = snap.control
    return encoded


def decode_snap(raw: object) -> XactionSnap:
    """A job out of a Snap.

    Raises:
        ProtocolError: not a Snap, or of a kind that is unknown here.
    """
    if not isinstance(raw, Mapping):
        raise ProtocolError("invalid snapshot of a job: expected a JSON object")
    try:
        ext = dict(raw.get("ext") or {})
        code = ext.pop("code", "")
        error = str(raw.get("abort-err") or raw.get("err") or "")
        stats = raw.get("stats") or {}
        bucket = bucket_from_json(raw.get("bck")) or bucket_from_json(raw.get("src-bck"))
        ended_ns = parse_rfc3339(str(raw.get("end-time") or ""))
        return XactionSnap(
            id=str(raw.get("id") or ""),
            kind=XactionKind.parse(str(raw.get("kind") or "")),
            state=_state(ended_ns, error, is_aborted=bool(raw.get("aborted"))),
            is_idle=bool(raw.get("is_idle")) and not ended_ns,
            bucket=bucket,
            target=bucket_from_json(raw.get("dst-bck")),
            started_ns=parse_rfc3339(str(raw.get("start-time") or "")),
            ended_ns=ended_ns,
            objects=decode_int(stats.get("loc-objs") or 0, "loc-objs"),
            size=decode_int(stats.get("loc-bytes") or 0, "loc-bytes"),
            control=str(raw.get("ctlmsg") or ""),
            error=error,
            error_code=str(code),
            ext=ext,
        )
    except (InvalidArgumentError, AttributeError, TypeError, ValueError) as exc:
        raise ProtocolError(f"invalid snapshot of a job: {exc}") from exc


def decode_snaps(body: bytes | memoryview) -> list[XactionSnap]:
    """Jobs out of an answer to `qryxstats`, `{target: [Snap, ...]}`; kinds that are unknown here are left out.

    Raises:
        ProtocolError: the answer is something else.
    """
    try:
        value = decode_json(body)
    except InvalidArgumentError as exc:
        raise ProtocolError(f"invalid answer about jobs: {exc}") from exc
    if not isinstance(value, Mapping):
        raise ProtocolError("invalid answer about jobs: expected a JSON object")
    found: list[object] = []
    for of_target in value.values():
        if of_target is None:
            continue
        if not isinstance(of_target, list):
            raise ProtocolError("invalid answer about jobs: expected lists of snapshots")
        found += of_target
    return [decode_snap(raw) for raw in found if _is_known(raw)]


def encode_status(snap: XactionSnap) -> dict[str, Any]:
    """AIStore's nl.Status: it is finished when it has an end."""
    return {
        "kind": snap.kind.value,
        "uuid": snap.id,
        "err": snap.error,
        "end_time": snap.ended_ns,
        "aborted": snap.is_aborted,
        "is_idle": snap.is_idle,
    }


def decode_status(raw: object) -> XactionSnap:
    """A job out of an nl.Status, which knows neither bucket nor counts.

    Raises:
        ProtocolError: not a status, or of a kind that is unknown here.
    """
    if not isinstance(raw, Mapping):
        raise ProtocolError("invalid status of a job: expected a JSON object")
    try:
        ended_ns = decode_int(raw.get("end_time") or 0, "end_time")
        error = str(raw.get("err") or "")
        return XactionSnap(
            id=str(raw.get("uuid") or ""),
            kind=XactionKind.parse(str(raw.get("kind") or "")),
            state=_state(ended_ns, error, is_aborted=bool(raw.get("aborted"))),
            is_idle=bool(raw.get("is_idle")),
            ended_ns=ended_ns,
            error=error,
        )
    except InvalidArgumentError as exc:
        raise ProtocolError(f"invalid status of a job: {exc}") from exc


def error_of_snap(snap: XactionSnap) -> AisError | None:
    """The error that a job ended with, of its own class; None while it runs and when it succeeded."""
    if snap.state in {XactionState.RUNNING, XactionState.FINISHED}:
        return None
    code = snap.error_code or (_ABORTED if snap.is_aborted else "")
    return error_of_code(code, snap.error or f"job {snap.kind}[{snap.id}] was aborted")


def encode_filter(wanted: XactionFilter) -> dict[str, Any]:
    """A question about jobs (QueryMsg), or the jobs to stop (the same under the other spelling of its keys)."""
    bucket = None if wanted.bucket is None else bucket_to_json(wanted.bucket)
    kind = "" if wanted.kind is None else wanted.kind.value
    query: dict[str, Any] = {"id": wanted.id, "kind": kind, "node": ""}
    if bucket is not None:
        query["bck"] = bucket
    if wanted.only_running:
        query["show_active"] = True
        query["OnlyRunning"] = True
    return query


def filter_of(raw: bytes | memoryview) -> XactionFilter:
    """The jobs that a QueryMsg or an ArgsMsg means: keys in any case, kinds by either name, nothing is all.

    Raises:
        InvalidArgumentError: not a message, or an unknown kind.
    """
    value = decode_json(raw)
    if value is None:
        return XactionFilter()
    if not isinstance(value, dict):
        raise InvalidArgumentError("invalid job query: expected a JSON object")
    fields = {str(key).lower(): item for key, item in value.items() if item is not None}
    job_id, kind = fields.get("id", ""), fields.get("kind", "")
    if not isinstance(job_id, str) or not isinstance(kind, str):
        raise InvalidArgumentError("invalid job query: expected texts as id and kind")
    running = fields.get("show_active") is True or fields.get("onlyrunning") is True
    return XactionFilter(
        id=job_id,
        kind=XactionKind.parse(kind) if kind else None,
        bucket=_bucket_in(fields),
        only_running=running,
    )


def force_of(raw: bytes | memoryview) -> bool:
    """The `Force` of an ArgsMsg that `filter_of` has read."""
    value = decode_json(raw)
    fields = value if isinstance(value, dict) else {}
    return any(str(key).lower() == "force" and item is True for key, item in fields.items())


def running_name(snap: XactionSnap) -> str:
    """`kind[id]`, the element of `running_all`."""
    return f"{snap.kind.value}[{snap.id}]"


def _bucket_in(fields: Mapping[str, Any]) -> BucketRef | None:
    found = bucket_from_json(fields.get("bck"))
    buckets = fields.get("buckets")
    if found is None and isinstance(buckets, list) and len(buckets) == 1:
        found = bucket_from_json(buckets[0])
    return found


def _state(ended_ns: int, error: str, *, is_aborted: bool) -> XactionState:
    if is_aborted:
        return XactionState.ABORTED
    if not ended_ns:
        return XactionState.RUNNING
    return XactionState.FAILED if error else XactionState.FINISHED


def _is_known(raw: object) -> bool:
    if not isinstance(raw, Mapping):
        return True  # refused by `decode_snap`
    try:
        XactionKind.parse(str(raw.get("kind") or ""))
    except InvalidArgumentError:
        return False
    return True
