"""Jobs: shown, stopped, waited for. All commands of an embedded store run in their own process."""

import re
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

from aiscli.actions.browse.refresh import ONCE, Refresh, run_repeated
from aiscli.actions.cluster import TARGET, is_embedded
from aiscli.actions.records import iso_time
from aiscli.context import CliContext
from aiscli.exitcodes import ExitCode
from aiscli.output import Column
from aiscli.output.base import Record
from aiscli.uri import parse_target
from aiscore.errors import InvalidArgumentError
from aiscore.model.bucket import BucketRef
from aiscore.model.units import SECOND, format_duration
from aiscore.model.xaction import (
    KINDS,
    XactionFilter,
    XactionKind,
    XactionSnap,
    XactionState,
    is_xaction_id,
)

__all__ = [
    "JobQuery",
    "JobsRequest",
    "MirrorRequest",
    "RunJobRequest",
    "ShowJobsRequest",
    "WaitJobsRequest",
    "read_query",
    "run_forget_jobs",
    "run_job",
    "run_mirror",
    "run_show_jobs",
    "run_stop_jobs",
    "run_wait_jobs",
]

_SHORT = frozenset({"copy", "delete", "ec", "etl", "evict", "prefetch"})
"""Words that stand for all kinds whose names begin with them."""
_STATES = {
    XactionState.RUNNING: "Running",
    XactionState.FINISHED: "Finished",
    XactionState.FAILED: "Finished with errors",
    XactionState.ABORTED: "Aborted",
}
_POLL_FIRST_S, _POLL_MAX_S = 0.05, 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class JobQuery:
    """Which jobs.

    Attributes:
        label: the kind in a message, as the user wrote it.
        kinds: of one of these; None is any.
        id: this one; "" is any.
        bucket: that work on this bucket, or into it.
        regex: names of kinds that match it.
    """

    label: str = ""
    kinds: tuple[XactionKind, ...] | None = None
    id: str = ""
    bucket: BucketRef | None = None
    regex: re.Pattern[str] | None = None

    @property
    def quoted(self) -> str:
        """The label in a message, with a blank in front."""
        return f" '{self.label}'" if self.label else ""

    def find(self, context: CliContext, *, only_running: bool) -> list[XactionSnap]:
        """The jobs; one that is asked for by its id is found in any state.

        Raises:
            XactionNotFoundError: no job has the id.
        """
        if self.id:
            return [context.transport.find_xaction(self.id)]
        wanted = XactionFilter(bucket=self.bucket, only_running=only_running)
        return [snap for snap in context.transport.list_xactions(wanted) if self._takes(snap)]

    def _takes(self, snap: XactionSnap) -> bool:
        if self.kinds is not None and snap.kind not in self.kinds:
            return False
        return self.regex is None or self.regex.search(KINDS[snap.kind].display) is not None


def read_query(words: Iterable[str], regex: str | None = None) -> JobQuery:
    """Read names of kinds, an id, a node and a bucket, in any order.

    Raises:
        InvalidArgumentError: a word is none of these, or there are two of one.
    """
    label, kinds, job_id, bucket = "", None, "", None
    for word in words:
        if word == "job" or re.fullmatch(r"[pt]\[[^]]*\]", word):
            continue  # upstream's `wait job NAME`; nodes: there is one
        found = _read_kinds(word)
        if found is not None:
            if kinds is not None:
                raise InvalidArgumentError(f'two names of jobs: "{label}" and "{word}"')
            label, kinds = word, found
        elif "://" in word:
            bucket = _read_bucket(word)
        elif is_xaction_id(word):
            if job_id:
                raise InvalidArgumentError(f'two job ids: "{job_id}" and "{word}"')
            job_id = word
        else:
            shown = sorted({info.display for info in KINDS.values()} | _SHORT)
            raise InvalidArgumentError(
                f'"{word}" is neither the name nor the id of a job, nor a bucket',
                hint=f"names are: {', '.join(shown)}",
            )
    pattern = None
    if regex is not None:
        try:
            pattern = re.compile(regex)
        except re.error as error:
            raise InvalidArgumentError(f'invalid regular expression "{regex}": {error}') from None
    return JobQuery(label=label, kinds=kinds, id=job_id, bucket=bucket, regex=pattern)


def _read_bucket(word: str) -> BucketRef:
    uri = parse_target(word)
    if uri.name:
        raise InvalidArgumentError(f'"{word}" is not a bucket', hint=f"use: {uri.bucket.cname}")
    return uri.bucket


def _read_kinds(word: str) -> tuple[XactionKind, ...] | None:
    if word == "cp":
        raise InvalidArgumentError('"cp" may be copy-bucket or copy-objects', hint="use: copy")
    if word in _SHORT:
        return tuple(k for k, info in KINDS.items() if info.display.startswith(f"{word}-"))
    try:
        return (XactionKind.parse(word),)
    except InvalidArgumentError:
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class ShowJobsRequest:
    """Which jobs to show.

    Attributes:
        query: which ones.
        everything: finished jobs, too.
        top: the newest of them only; 0 is all.
        dates: times with the day.
        refresh: how often.
    """

    query: JobQuery
    everything: bool = False
    top: int = 0
    dates: bool = False
    refresh: Refresh = ONCE

    def __post_init__(self) -> None:
        if self.top < 0:
            raise InvalidArgumentError(f"--top must not be negative, not {self.top}")


def run_show_jobs(context: CliContext, request: ShowJobsRequest) -> ExitCode:
    """Print jobs, oldest first."""

    def show() -> ExitCode:
        snaps = request.query.find(context, only_running=not request.everything)
        if request.top:
            snaps = snaps[-request.top :]
        if snaps or not context.output.is_table:
            context.output.table(_columns(snaps, dates=request.dates), _records(context, snaps))
        elif request.everything:
            context.output.text(f"No{request.query.quoted} jobs.")
        else:
            context.output.text(
                f"No running{request.query.quoted} jobs. Use '--all' to show all, '--help' for "
                "details."
            )
        return ExitCode.OK

    return run_repeated(context, request.refresh, show)


def _columns(snaps: Iterable[XactionSnap], *, dates: bool) -> list[Column]:
    buckets = [Column("bucket")]
    if any(snap.target is not None for snap in snaps):
        buckets = [Column("bucket", "SRC BUCKET"), Column("target", "DST BUCKET")]
    return [
        Column("node"),
        Column("id"),
        Column("kind"),
        *buckets,
        Column("objects"),
        Column("size", "BYTES", is_size=True),
        Column("start", show=lambda record: _clock(record["start"], dates=dates)),
        Column("end", show=lambda record: _clock(record["end"], dates=dates)),
        Column("state", show=_state),
    ]


def _records(context: CliContext, snaps: Iterable[XactionSnap]) -> list[Record]:
    node = TARGET if is_embedded(context) else None
    return [
        {
            "node": node,
            "id": snap.id,
            "kind": KINDS[snap.kind].display,
            "bucket": None if snap.bucket is None else snap.bucket.cname,
            "target": None if snap.target is None else snap.target.cname,
            "objects": snap.objects,
            "size": snap.size,
            "start": iso_time(snap.started_ns),
            "end": iso_time(snap.ended_ns),
            "state": "idle" if snap.is_idle and not snap.is_finished else snap.state.value,
            "error": snap.error or None,
            "ext": dict(snap.ext),
        }
        for snap in snaps
    ]


def _clock(value: object, *, dates: bool) -> str:
    """The time of day where the reader is."""
    if not isinstance(value, str):
        return "-"
    moment = datetime.fromisoformat(value).astimezone()
    return moment.strftime("%m-%d %H:%M:%S" if dates else "%H:%M:%S")


def _state(record: Record) -> str:
    state = str(record["state"])
    shown = "Idle" if state == "idle" else _STATES[XactionState(state)]
    return f"{shown}: {record['error']}" if record["error"] else shown


@dataclass(frozen=True, slots=True, kw_only=True)
class JobsRequest:
    """Which jobs to stop, of those that run, or to forget, of those that have ended.

    Attributes:
        query: which ones.
        everything: all of them.
        assume_yes: do not ask.
    """

    query: JobQuery
    everything: bool = False
    assume_yes: bool = False

    def __post_init__(self) -> None:
        if self.query == JobQuery() and not self.everything:
            raise InvalidArgumentError("missing job: expected a name, an id, a bucket, or --all")


def run_stop_jobs(context: CliContext, request: JobsRequest) -> ExitCode:
    """Ask jobs to stop; they end between two objects, and what they did until then stays."""
    query = request.query
    snaps = query.find(context, only_running=True)
    running = [snap for snap in snaps if not snap.is_finished]
    if not running:
        if snaps:
            state = "is aborted" if snaps[0].is_aborted else "already finished"
            context.output.text(f"{_name(snaps[0])} {state}, nothing to do")
        else:
            context.output.text(f"No running{query.quoted} jobs, nothing to do")
    elif not query.id and not request.assume_yes:
        which = f"all{query.quoted} jobs" + (f" of {query.bucket.cname}" if query.bucket else "")
        if not context.prompt.confirm(f"Stop {which}?"):
            return ExitCode.OK
    stopped = []
    for snap in running:
        if context.transport.stop_xactions(XactionFilter(id=snap.id, only_running=True)):
            context.output.text(f"Stopped {_name(snap)}")
            stopped.append(snap)
    if not context.output.is_table:
        context.output.table(_columns([], dates=False), _records(context, stopped))
    return ExitCode.OK


def run_forget_jobs(context: CliContext, request: JobsRequest) -> ExitCode:
    """Forget jobs that have ended; running ones stay."""
    query = request.query
    snaps = query.find(context, only_running=False)
    ended = [snap for snap in snaps if snap.is_finished]
    if query.id and not ended:
        context.output.text(f"{_name(snaps[0])} is running, nothing to do")
    elif not ended:
        context.output.text(f"No finished{query.quoted} jobs, nothing to do")
    elif not query.id and not request.assume_yes:
        which = f"{len(ended)} finished{query.quoted} jobs"
        if not context.prompt.confirm(f"Forget {which}?"):
            return ExitCode.OK
    forgotten = []
    for snap in ended:
        if context.transport.forget_xactions(XactionFilter(id=snap.id)):
            kind = KINDS[snap.kind].display
            context.output.text(f'Removed finished {kind} job "{snap.id}"')
            forgotten.append(snap)
    if not context.output.is_table:
        context.output.table(_columns([], dates=False), _records(context, forgotten))
    return ExitCode.OK


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitJobsRequest:
    """Which running jobs to wait for.

    Attributes:
        query: which ones; those that begin later do not count.
        timeout_ns: how long at most; None is for ever.
    """

    query: JobQuery
    timeout_ns: int | None = None

    def __post_init__(self) -> None:
        if self.timeout_ns is not None and self.timeout_ns < 0:
            raise InvalidArgumentError("--timeout must not be negative")


def run_wait_jobs(
    context: CliContext,
    request: WaitJobsRequest,
    sleep: Callable[[float], None] = time.sleep,
) -> ExitCode:
    """Wait until they have ended; 12 if one has failed, 10 if it takes too long."""
    query = request.query
    # Jobs that stay for more work are no one's to wait for, unless by name.
    snaps = [
        snap
        for snap in query.find(context, only_running=True)
        if query.id or query.kinds is not None or not KINDS[snap.kind].is_on_demand
    ]
    if not snaps and context.output.is_table:
        context.output.text(f"No running{query.quoted} jobs, nothing to do")
        return ExitCode.OK
    try:
        for snap in snaps:
            if not snap.is_finished:
                context.output.text(f"Waiting for {_name(snap)} ...")
        context.output.flush()
        ended = _wait(context, snaps, request.timeout_ns, sleep)
    except KeyboardInterrupt:
        for snap in snaps:
            context.output.note(f"{_name(snap)} goes on; to wait again: ais wait {snap.id}")
        raise
    left = [snap for snap in ended if not _is_done(snap)]
    if not context.output.is_table:
        context.output.table(_columns(ended, dates=False), _records(context, ended))
    if left:
        context.output.error(
            f"{', '.join(_name(snap) for snap in left)} still running", hint="see: ais job show"
        )
        return ExitCode.TIMEOUT
    failed = [snap for snap in ended if snap.state in {XactionState.FAILED, XactionState.ABORTED}]
    for snap in failed:
        how = "was aborted" if snap.is_aborted else "finished with errors"
        context.output.error(f"{_name(snap)} {how}" + (f": {snap.error}" if snap.error else ""))
    if failed:
        return ExitCode.JOB_FAILED
    context.output.text("Done.")
    return ExitCode.OK


def _wait(
    context: CliContext,
    snaps: list[XactionSnap],
    timeout_ns: int | None,
    sleep: Callable[[float], None],
) -> list[XactionSnap]:
    """The jobs as they are when all have ended, or when the time is up."""
    started_ns = time.monotonic_ns()
    pause_s = _POLL_FIRST_S
    while not all(map(_is_done, snaps)):
        passed_ns = time.monotonic_ns() - started_ns
        if timeout_ns is not None and passed_ns >= timeout_ns:
            break
        left_s = pause_s if timeout_ns is None else (timeout_ns - passed_ns) / SECOND
        sleep(min(pause_s, left_s))
        pause_s = min(_POLL_MAX_S, pause_s * 1.5)
        snaps = [s if _is_done(s) else context.transport.find_xaction(s.id) for s in snaps]
    return snaps


def _is_done(snap: XactionSnap) -> bool:
    return snap.is_finished or snap.is_idle


def _name(snap: XactionSnap) -> str:
    return f"{KINDS[snap.kind].display}[{snap.id}]"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunJobRequest:
    """A maintenance job to run.

    Attributes:
        kind: what it does.
        bucket: in this bucket only; None is everywhere.
        force: see `Transport.run_job`.
        question: asked first; "" asks nothing.
        assume_yes: do not ask.
        wait: print `Done.`.
    """

    kind: XactionKind
    bucket: BucketRef | None = None
    force: bool = False
    question: str = ""
    assume_yes: bool = False
    wait: bool = False


def run_job(context: CliContext, request: RunJobRequest) -> ExitCode:
    """Run a job to its end, and print what it did."""
    if request.question and not request.assume_yes and not context.prompt.confirm(request.question):
        return ExitCode.OK
    snap = context.transport.run_job(request.kind, request.bucket, force=request.force)
    details = ", ".join(
        f"throttled: {format_duration(int(str(value)))}"
        if key == "throttled_ns"
        else f"{key}: {value}"
        for key, value in snap.ext.items()
        if value
    )
    text = f"{_name(snap)}: {snap.objects:,} objects ({context.output.size(snap.size)})"
    context.output.text(f"{text}; {details}" if details else text)
    if request.wait:
        context.output.text("Done.")
    if not context.output.is_table:
        context.output.table(_columns([snap], dates=False), _records(context, [snap]))
    return ExitCode.OK


@dataclass(frozen=True, slots=True, kw_only=True)
class MirrorRequest:
    """A bucket, and on how many disks its objects are to lie.

    Attributes:
        bucket: which one.
        copies: 1 or more.
        quiet: print nothing.
        wait: print `Done.`.
    """

    bucket: BucketRef
    copies: int
    quiet: bool = False
    wait: bool = False


def run_mirror(context: CliContext, request: MirrorRequest) -> ExitCode:
    """Mirror a bucket, or end that."""
    bucket, copies = request.bucket, request.copies
    before = context.transport.head_bucket(bucket).mirror
    is_same = before.copies == copies if before.enabled else copies == 1
    if not is_same:
        context.transport.mirror_bucket(bucket, copies)
        text = f"Configured {bucket.cname} " + (
            f"as {copies}-way mirror." if copies > 1 else "for single-replica (no redundancy)."
        )
    elif copies > 1:
        text = f"{bucket.cname} is already {copies}-way mirror, nothing to do"
    else:
        text = f"{bucket.cname} is already configured with no redundancy, nothing to do"
    record = {"bucket": bucket.cname, "copies": copies, "changed": not is_same}
    context.output.item(record, "" if request.quiet else text)
    if request.wait:
        context.output.text("Done.")
    return ExitCode.OK
