"""`bucket rechunk`: lay objects out in chunks of another size, or in one piece."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

from aiscli.actions.buckets import DRY_RUN
from aiscli.context import CliContext
from aiscli.exitcodes import ExitCode
from aiscli.output.progress import Advance, progress
from aiscore.errors import AisError, InvalidArgumentError
from aiscore.model.bucket import BucketRef, ObjectUri
from aiscore.model.chunks import RechunkOptions, RechunkResult
from aiscore.model.xaction import XactionFilter, XactionKind, XactionSnap

__all__ = ["RechunkRequest", "run_rechunk"]

_POLL_S = 0.2
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class RechunkRequest:
    """A bucket, or a prefix of it, and how its objects are to be laid out.

    Attributes:
        target: the bucket, with a prefix or without.
        options: sizes that are None are the bucket's.
        assume_yes: do not ask.
        wait: print `Done.`.
        show_progress: on a terminal.
    """

    target: ObjectUri
    options: RechunkOptions
    assume_yes: bool = False
    wait: bool = False
    show_progress: bool = False

    def __post_init__(self) -> None:
        embedded, prefix = self.target.name, self.options.prefix
        if embedded and prefix and not prefix.startswith(embedded):
            raise InvalidArgumentError(
                f'--prefix "{prefix}" does not begin with "{embedded}", the prefix behind the bucket'
            )

    @property
    def prefix(self) -> str:
        """The longer of both prefixes."""
        return self.options.prefix or self.target.name


def run_rechunk(context: CliContext, request: RechunkRequest) -> ExitCode:
    """Rewrite what is laid out otherwise, and count; sizes that come from the bucket are shown and asked about."""
    bucket, given = request.target.bucket, request.options
    props = context.transport.head_bucket(bucket).chunks
    options = replace(
        given,
        prefix=request.prefix,
        objsize_limit=props.objsize_limit if given.objsize_limit is None else given.objsize_limit,
        chunk_size=props.chunk_size if given.chunk_size is None else given.chunk_size,
    )
    sizes = _sizes_text(context, options)
    if options.dry_run:
        result = context.transport.rechunk_bucket(bucket, options)
        _print(context, request, options, result, DRY_RUN)
        return ExitCode.OK
    is_asked = not request.assume_yes and (given.objsize_limit is None or given.chunk_size is None)
    if is_asked:
        context.output.text(f"{bucket.cname}: {sizes}, as its properties have it")
        if not context.prompt.confirm(f"Rechunk {request.target.cname}?"):
            return ExitCode.OK
    result = _run(context, request, options)
    _print(context, request, options, result)
    if request.wait:
        context.output.text("Done.")
    return ExitCode.OK


def _run(context: CliContext, request: RechunkRequest, options: RechunkOptions) -> RechunkResult:
    transport, bucket = context.transport, request.target.bucket
    total = None
    if request.show_progress:
        total = transport.rechunk_bucket(bucket, replace(options, dry_run=True)).size
    with progress("rechunk", enabled=request.show_progress, total_size=total) as advance:
        watch = _Watch(context, bucket, advance)
        try:
            return _apart(lambda: transport.rechunk_bucket(bucket, options), watch.look)
        except KeyboardInterrupt:
            watch.interrupted()
            raise


class _Watch:
    """Follows the job of this run from outside: how far it is, and what to do when the user has enough."""

    def __init__(self, context: CliContext, bucket: BucketRef, advance: Advance) -> None:
        self._context = context
        self._wanted = XactionFilter(kind=XactionKind.RECHUNK, bucket=bucket, only_running=True)
        self._advance = advance
        self._objects = self._size = 0

    def look(self) -> None:
        """Tell what was done since the last look."""
        snap = self._running()
        if snap is not None:
            self._advance(snap.objects - self._objects, snap.size - self._size)
            self._objects, self._size = snap.objects, snap.size

    def interrupted(self) -> None:
        """A job of this process ends with it; another goes on, and the user should know."""
        snap = self._running()
        if snap is None:
            return
        if self._context.transport.endpoint.startswith("file://"):
            self._context.transport.stop_xactions(XactionFilter(id=snap.id))
            return
        self._context.output.note(f"rechunk[{snap.id}] goes on; to stop it: ais stop {snap.id}")

    def _running(self) -> XactionSnap | None:
        try:
            found = self._context.transport.list_xactions(self._wanted)
        except AisError:
            return None  # it is for looks only
        return found[-1] if found else None


def _apart(work: Callable[[], T], look: Callable[[], None]) -> T:
    """Do `work` in a thread, and `look` while it lasts."""
    results: list[T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(work())
        except BaseException as error:
            errors.append(error)

    # A daemon: after Ctrl-C nobody waits for what a server does.
    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    while thread.is_alive():
        thread.join(_POLL_S)
        look()
    if errors:
        raise errors[0]
    return results[0]


def _sizes_text(context: CliContext, options: RechunkOptions) -> str:
    limit, chunk = options.objsize_limit or 0, options.chunk_size or 0
    disabled = "" if limit else " (chunking disabled)"
    return (
        f"objsize-limit: {context.output.size(limit)}{disabled}, "
        f"chunk-size: {context.output.size(chunk)}"
    )


def _print(
    context: CliContext,
    request: RechunkRequest,
    options: RechunkOptions,
    result: RechunkResult,
    *captions: str,
) -> None:
    output = context.output
    would = "would be " if options.dry_run else ""
    cname = f"{request.target.bucket.cname}/{options.prefix}".removesuffix("/")
    sizes = _sizes_text(context, options)
    lines = [
        f"rechunk {cname} ({sizes}): {result.objects:,} objects ({output.size(result.size)})",
        f"  {result.chunked:,} ({output.size(result.chunked_size)}) {would}written in chunks",
        f"  {result.restored:,} ({output.size(result.restored_size)}) {would}written in one piece",
        f"  {result.skipped:,} {would}left as they are",
    ]
    if result.overtaken:
        lines.append(f"  {result.overtaken:,} written or removed by others meanwhile")
    record = {
        "bucket": request.target.bucket.cname,
        "prefix": options.prefix,
        "objsize_limit": options.objsize_limit,
        "chunk_size": options.chunk_size,
        "objects": result.objects,
        "size": result.size,
        "chunked": result.chunked,
        "chunked_size": result.chunked_size,
        "restored": result.restored,
        "restored_size": result.restored_size,
        "skipped": result.skipped,
        "overtaken": result.overtaken,
        "dry_run": options.dry_run,
    }
    output.item(record, *captions, *lines)
