"""`ais job show`, `stop`, `wait`, and what `ais job start` starts that has no command of its own."""

from typing import Annotated

import typer

from aiscli.actions.browse.refresh import read_refresh
from aiscli.actions.jobs import (
    JobsRequest,
    MirrorRequest,
    RunJobRequest,
    ShowJobsRequest,
    WaitJobsRequest,
    read_query,
    run_forget_jobs,
    run_job,
    run_mirror,
    run_show_jobs,
    run_stop_jobs,
    run_wait_jobs,
)
from aiscli.commands.options import BucketArgument, CountOption, RefreshOption, YesOption
from aiscli.context import CliContext
from aiscli.uri import parse_bucket
from aiscore.model.units import parse_duration
from aiscore.model.xaction import XactionKind

__all__ = [
    "cleanup",
    "lru",
    "mirror",
    "resilver",
    "rm",
    "shard_index",
    "show",
    "stop",
    "wait",
    "warm_up",
]

JobsArgument = Annotated[
    list[str] | None,
    typer.Argument(metavar="[NAME] [JOB_ID] [NODE_ID] [BUCKET]", help="Jobs, in any order."),
]
RegexOption = Annotated[
    str | None, typer.Option("--regex", metavar="REGEX", help="Names of jobs that match it.")
]

WaitOption = Annotated[bool, typer.Option("--wait", help="Print `Done.`; commands always wait.")]


def show(
    ctx: typer.Context,
    words: JobsArgument = None,
    everything: Annotated[bool, typer.Option("--all", help="Finished jobs, too.")] = False,
    regex: RegexOption = None,
    top: Annotated[int, typer.Option("--top", metavar="N", help="The newest only; 0 is all.")] = 0,
    dates: Annotated[bool, typer.Option("--date-time", help="Times with the day.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", hidden=True)] = False,
    refresh: RefreshOption = None,
    count: CountOption = None,
) -> int:
    """Show jobs.

    Those that run, of every process that uses the store; a job that is asked for by its id, in any
    state.

    Examples:
      ais show job
      ais job show copy-bucket --all
      ais jobs ais://images --all --top 10 -o json
    """
    request = ShowJobsRequest(
        query=read_query(words or (), regex),
        everything=everything,
        top=top,
        dates=dates,
        refresh=read_refresh(refresh, count),
    )
    return run_show_jobs(CliContext.of(ctx), request)


def stop(
    ctx: typer.Context,
    words: JobsArgument = None,
    everything: Annotated[bool, typer.Option("--all", help="All running jobs.")] = False,
    regex: RegexOption = None,
    force: Annotated[bool, typer.Option("--force", "-f", hidden=True)] = False,
    yes: YesOption = False,
) -> int:
    """Stop jobs.

    A job ends between two objects; what it has done until then stays. Asks, unless a job is named by
    its id.

    Examples:
      ais job stop --all --yes
      ais stop copy-bucket --yes
    """
    request = JobsRequest(
        query=read_query(words or (), regex), everything=everything, assume_yes=yes or force
    )
    return run_stop_jobs(CliContext.of(ctx), request)


def rm(
    ctx: typer.Context,
    words: JobsArgument = None,
    everything: Annotated[bool, typer.Option("--all", help="All jobs that have ended.")] = False,
    regex: RegexOption = None,
    yes: YesOption = False,
) -> int:
    """Forget jobs that have ended.

    They are shown no more; running ones stay. By themselves they are forgotten an hour after their end,
    but for the last thousand. Asks, unless a job is named by its id.

    Examples:
      ais job rm --all --yes
      ais job rm copy-bucket --yes
    """
    request = JobsRequest(
        query=read_query(words or (), regex), everything=everything, assume_yes=yes
    )
    return run_forget_jobs(CliContext.of(ctx), request)


def wait(
    ctx: typer.Context,
    words: JobsArgument = None,
    timeout: Annotated[
        str | None, typer.Option("--timeout", metavar="DURATION", help="Wait no longer (exit 10).")
    ] = None,
    refresh: Annotated[
        str | None, typer.Option("--refresh", metavar="DURATION", hidden=True)
    ] = None,
    progress: Annotated[bool, typer.Option("--progress", hidden=True)] = False,
) -> int:
    """Wait for jobs.

    Until those that run now have ended. Exit 12 if one has failed or was stopped.

    Examples:
      ais job wait
      ais wait copy-bucket ais://images --timeout 1m
    """
    request = WaitJobsRequest(
        query=read_query(words or ()),
        timeout_ns=None if timeout is None else parse_duration(timeout),
    )
    return run_wait_jobs(CliContext.of(ctx), request)


def cleanup(
    ctx: typer.Context,
    bucket: Annotated[
        str | None, typer.Argument(metavar="[BUCKET]", help="Accepted; all of it is cleaned up.")
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", "-f", help="Young files without a name, too.")
    ] = False,
    wait: WaitOption = False,
) -> int:
    """Remove what no name leads to.

    What killed processes and destroyed buckets left; uploads and appends that nobody came back to;
    files that no object has and that are older than space.dont_cleanup_time of the configuration.

    Examples:
      ais storage cleanup
      ais job start cleanup -o json
    """
    request = RunJobRequest(
        kind=XactionKind.CLEANUP,
        bucket=None if bucket is None else parse_bucket(bucket),
        force=force,
        wait=wait,
    )
    return run_job(CliContext.of(ctx), request)


def lru(
    ctx: typer.Context,
    bucket: Annotated[
        str | None, typer.Argument(metavar="[BUCKET]", help="Only objects of this bucket.")
    ] = None,
    buckets: Annotated[str | None, typer.Option("--buckets", metavar="BUCKET", hidden=True)] = None,
    force: Annotated[
        bool, typer.Option("--force", "-f", help="Of buckets with lru.enabled off, too; asks.")
    ] = False,
    yes: YesOption = False,
    wait: WaitOption = False,
) -> int:
    """Drop what was not used for longest, while disks are too full.

    Of buckets that have a backend and whose lru.enabled is on, when a disk is fuller than
    space.highwm of the configuration, until it is down to space.lowwm; never what was used within
    lru.dont_evict_time of its bucket. Objects without a backend stay: each is the only copy.

    Examples:
      ais job start lru
      ais job start lru ais://images -o json
    """
    named = bucket or buckets
    where = f"the objects of {named}" if named else "objects of all buckets"
    request = RunJobRequest(
        kind=XactionKind.LRU,
        bucket=None if named is None else parse_bucket(named),
        force=force,
        question=f"Drop {where} even where lru.enabled is off?" if force else "",
        assume_yes=yes,
        wait=wait,
    )
    return run_job(CliContext.of(ctx), request)


def mirror(
    ctx: typer.Context,
    bucket: BucketArgument,
    copies: Annotated[
        int,
        typer.Option("--copies", metavar="N", help="Disks that each object lies on; 1 is no copy."),
    ],
    quiet: Annotated[
        bool, typer.Option("--non-verbose", "--nv", hidden=True, help="Print nothing.")
    ] = False,
    wait: WaitOption = False,
) -> int:
    """Keep the objects of a bucket on several disks.

    Those that it has, and from now on every new one: a write is acknowledged when its copies are made.
    Reading takes a good copy where one is damaged, or its disk is away, and mends it.

    Examples:
      ais job start mirror ais://images --copies 2
      ais start mirror ais://images --copies 1
    """
    request = MirrorRequest(bucket=parse_bucket(bucket), copies=copies, quiet=quiet, wait=wait)
    return run_mirror(CliContext.of(ctx), request)


def resilver(
    ctx: typer.Context,
    target: Annotated[
        str | None, typer.Argument(metavar="[TARGET]", help="Accepted; there is one.")
    ] = None,
    wait: WaitOption = False,
) -> int:
    """Restore copies, and spread objects, after disks have come or gone.

    Of all buckets that are mirrored: what is missing or too short is replaced by a good copy. This runs by
    itself when a disk is attached, enabled, or detached. Then, of all buckets: what belongs on another disk
    by its name moves there, so that one that was attached gets its share.

    Examples:
      ais job start resilver
    """
    return run_job(CliContext.of(ctx), RunJobRequest(kind=XactionKind.RESILVER, wait=wait))


def warm_up(ctx: typer.Context, bucket: BucketArgument, wait: WaitOption = False) -> int:
    """Read metadata of a bucket ahead of use.

    Examples:
      ais job start warm-up-metadata ais://images
    """
    request = RunJobRequest(kind=XactionKind.WARM_UP, bucket=parse_bucket(bucket), wait=wait)
    return run_job(CliContext.of(ctx), request)


def shard_index(ctx: typer.Context, bucket: BucketArgument, wait: WaitOption = False) -> int:
    """Index the shards of a bucket.

    The first read of a file in a shard has to walk the shard's headers, unless they are indexed.

    Examples:
      ais bucket shard-index build ais://shards
    """
    request = RunJobRequest(kind=XactionKind.SHARD_INDEX, bucket=parse_bucket(bucket), wait=wait)
    return run_job(CliContext.of(ctx), request)
