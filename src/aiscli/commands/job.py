"""`ais job show`, `stop`, and `wait`."""

from typing import Annotated

import typer

from aiscli.actions.browse.refresh import read_refresh
from aiscli.actions.jobs import (
    ShowJobsRequest,
    StopJobsRequest,
    WaitJobsRequest,
    read_query,
    run_show_jobs,
    run_stop_jobs,
    run_wait_jobs,
)
from aiscli.commands.options import CountOption, RefreshOption, YesOption
from aiscli.context import CliContext
from aiscore.model.units import parse_duration

__all__ = ["show", "stop", "wait"]

JobsArgument = Annotated[
    list[str] | None,
    typer.Argument(metavar="[NAME] [JOB_ID] [NODE_ID] [BUCKET]", help="Jobs, in any order."),
]
RegexOption = Annotated[
    str | None, typer.Option("--regex", metavar="REGEX", help="Names of jobs that match it.")
]


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
    request = StopJobsRequest(
        query=read_query(words or (), regex), everything=everything, assume_yes=yes or force
    )
    return run_stop_jobs(CliContext.of(ctx), request)


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
