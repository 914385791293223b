"""Operations that the server answers with the id of a job: wait for it, and take the outcome from it."""

import time
from collections.abc import Callable
from dataclasses import replace

from aiscore.errors import InvalidArgumentError, ProtocolError, XactionNotFoundError
from aiscore.model.bucket import BucketRef
from aiscore.model.xaction import XactionFilter, XactionKind, XactionSnap, XactionState
from aiscore.transport.body import BytesPayload
from aiscore.transport.control import ControlClient
from aiscore.transport.session import Answer, Call, Session, query_text
from aiscore.wire.buckets import bucket_path, bucket_query
from aiscore.wire.jobs import decode_snaps, decode_status, encode_filter, error_of_snap
from aiscore.wire.messages import decode_json, encode_action, encode_json
from aiscore.wire.names import JSON_TYPE, Action, H, Path, Q, What

__all__ = ["Jobs"]

POLL_FIRST_S = 0.002
"""First wait: many jobs of one node end at once."""
POLL_MAX_S = 1.0
IDLE_POLLS = 2
"""A job that waits for more work is done when it was idle as many times in a row."""
UNKNOWN_MAX_S = 10.0
"""How long a job that was just started may be unknown: the nodes of a cluster learn of it one after the other."""

_TABLED = frozenset(
    {
        XactionKind.CLEANUP,
        XactionKind.COPY_BUCKET,
        XactionKind.DELETE_OBJECTS,
        XactionKind.LRU,
        XactionKind.MIRROR,
        XactionKind.PROMOTE,
        XactionKind.RECHUNK,
        XactionKind.RENAME_BUCKET,
    }
)
"""Kinds of which a cluster keeps one status for all of its nodes."""


class Jobs:
    """Questions about jobs, and waiting for them."""

    def __init__(
        self,
        session: Session,
        is_ours: Callable[[], bool],
        *,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Ask through `session`; `is_ours` tells whether the store is one node that knows every job at once."""
        self._session = session
        self._is_ours = is_ours
        self._sleep = sleep
        self._clock = clock

    def list(self, wanted: XactionFilter) -> list[XactionSnap]:
        """Jobs, oldest first; none for an unknown id."""
        try:
            answer = self._ask(What.XACTION_STATS, wanted)
        except XactionNotFoundError:
            return []
        return sorted(decode_snaps(answer.body), key=lambda snap: snap.started_ns)

    def find(self, job_id: str) -> XactionSnap:
        """One job.

        Raises:
            XactionNotFoundError: no job has this id.
        """
        try:
            found = decode_snaps(self._ask(What.XACTION_STATS, XactionFilter(id=job_id)).body)
        except XactionNotFoundError:
            found = []
        if not found:
            raise XactionNotFoundError(
                f'job "{job_id}" does not exist', hint="see: ais show job --all"
            )
        return _merged(found)

    def stop(self, wanted: XactionFilter, control: ControlClient) -> int:
        """Ask running jobs to stop; how many there were."""
        running = self.list(replace(wanted, only_running=True))
        for snap in running:
            body = encode_action(
                Action.STOP, "", encode_filter(XactionFilter(id=snap.id, kind=snap.kind))
            )
            control.call("PUT", Path.CLUSTER, body)
        return len(running)

    def forget(self, wanted: XactionFilter, control: ControlClient) -> int:
        """Remove jobs that have ended; how many there were."""
        answer = control.call("POST", Path.XACTIONS, encode_json(encode_filter(wanted)))
        count = _json(answer)
        if not isinstance(count, int):
            raise ProtocolError("malformed answer about jobs: expected a number")
        return count

    def run(
        self, kind: XactionKind, bucket: BucketRef | None, control: ControlClient, *, force: bool
    ) -> XactionSnap:
        """Start a job, and wait for it."""
        value = encode_filter(XactionFilter(kind=kind, bucket=bucket))
        args: dict[str, object] = {"Kind": kind.value, "Force": force}
        if "bck" in value:
            args["Bck"] = value["bck"]
        query = {Q.FORCE: Q.TRUE} if force else {}
        if kind is XactionKind.SHARD_INDEX and bucket is not None:
            target = bucket_path(bucket) + query_text(bucket_query(bucket))
            answer = control.call("POST", target, encode_action(Action.INDEX_SHARD, "", None))
        else:
            target = Path.CLUSTER + query_text(query)
            answer = control.call("PUT", target, encode_action(Action.START, "", args))
        snap = self.wait(kind, answer)
        return XactionSnap(id="", kind=kind, state=XactionState.FINISHED) if snap is None else snap

    def wait(self, kind: XactionKind, answer: Answer) -> XactionSnap | None:
        """Wait until the jobs that an answer names have ended; what they did together.

        Args:
            kind: of the jobs.
            answer: its body is one id, several with commas, or nothing when there was nothing to do.

        Raises:
            AisError: the error of the job, of its own class.
        """
        ids = [
            part for part in answer.body.decode("ascii", "replace").strip(' "\n').split(",") if part
        ]
        if not ids:
            return None
        snap = _merged([self._wait_for(kind, job_id) for job_id in ids])
        error = error_of_snap(snap)
        if error is not None:
            raise error
        return snap

    def _wait_for(self, kind: XactionKind, job_id: str) -> XactionSnap:
        delay, idle = POLL_FIRST_S, 0
        begin = self._clock()
        while True:
            snap = self._look(kind, job_id, begin)
            if snap is not None:
                if snap.is_finished:
                    return snap
                # More kinds wait idle in AIStore than here: packing and copying of selected objects do.
                idle = idle + 1 if snap.is_idle else 0
                if idle >= IDLE_POLLS or (idle and self._is_ours()):
                    return replace(snap, state=XactionState.FINISHED)
            self._sleep(delay)
            delay = min(delay * 1.5, POLL_MAX_S)

    def _look(self, kind: XactionKind, job_id: str, begin: float) -> XactionSnap | None:
        """The job now; None while it is not known yet."""
        wanted = XactionFilter(id=job_id)
        try:
            if kind in _TABLED and not self._is_ours():
                status = decode_status(_json(self._ask(What.ONE_XACTION, wanted)))
                if not status.is_finished:
                    return status
                found = self.list(wanted)
                return _merged(found) if found else status
            return self.find(job_id)
        except XactionNotFoundError:
            if self._is_ours() or self._clock() - begin > UNKNOWN_MAX_S:
                raise
            return None

    def _ask(self, what: str, wanted: XactionFilter) -> Answer:
        return self._session.call(
            Call(
                "GET",
                Path.CLUSTER + query_text({Q.WHAT: what}),
                ((H.CONTENT_TYPE, JSON_TYPE),),
                BytesPayload(encode_json(encode_filter(wanted))),
            )
        )


def _json(answer: Answer) -> object:
    try:
        return decode_json(answer.body)
    except InvalidArgumentError as exc:
        raise ProtocolError(f"malformed answer about a job: {exc.message}") from exc


def _merged(snaps: list[XactionSnap]) -> XactionSnap:
    """Snapshots of one job from several nodes as one: it has ended when all have, and failed when one has."""
    if len(snaps) == 1:
        return snaps[0]
    bad = next((snap for snap in snaps if snap.error), snaps[0])
    running = [snap for snap in snaps if not snap.is_finished]
    ext: dict[str, object] = {}
    for snap in snaps:
        ext |= snap.ext
    return replace(
        bad,
        state=XactionState.RUNNING if running else bad.state,
        is_idle=bool(running) and all(snap.is_idle for snap in running),
        started_ns=min(snap.started_ns for snap in snaps),
        ended_ns=0 if running else max(snap.ended_ns for snap in snaps),
        objects=sum(snap.objects for snap in snaps),
        size=sum(snap.size for snap in snaps),
        ext=ext,
    )
