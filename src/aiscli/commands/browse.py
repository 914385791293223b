"""`ais du`, `find`, `tree`, `diff`, `stat`, and `ais object concat`."""

import time
from typing import Annotated

import typer

from aiscli.actions.browse.diff import DiffRequest, run_diff
from aiscli.actions.browse.du import DuRequest, run_du
from aiscli.actions.browse.find import FindRequest, Kind, read_size_limit, read_time, run_find
from aiscli.actions.browse.stat import StatRequest, run_stat
from aiscli.actions.browse.tree_view import TreeRequest, run_tree
from aiscli.actions.transfers.concat import ConcatRequest, run_concat
from aiscli.commands.options import ProgressOption
from aiscli.context import CliContext
from aiscli.uri import parse_object, parse_target
from aiscore.errors import InvalidArgumentError

__all__ = ["concat", "diff", "du", "find", "stat", "tree"]

PrefixArgument = Annotated[
    str, typer.Argument(metavar="BUCKET[/PREFIX]", help="A bucket, or what names begin with.")
]


def du(
    ctx: typer.Context,
    targets: Annotated[
        list[str] | None,
        typer.Argument(metavar="BUCKET[/PREFIX]", help="Default: the total of every bucket."),
    ] = None,
    depth: Annotated[
        int, typer.Option("--depth", "-d", metavar="N", help="Levels of directories; 0 is totals.")
    ] = 1,
    everything: Annotated[bool, typer.Option("--all", "-a", help="All levels.")] = False,
    summarize: Annotated[
        bool, typer.Option("--summarize", "-s", help="Totals only, as --depth 0.")
    ] = False,
    by_size: Annotated[
        bool, typer.Option("--by-size", "-S", help="Largest first, instead of by name.")
    ] = False,
) -> int:
    """Sum up sizes by directory.

    A directory counts all that is below it, at any depth; the total comes last.

    Examples:
      ais du ais://images
      ais du ais://images/train/ --depth 2 --by-size
      ais du --summarize ais://images ais://shards
    """
    if summarize and everything:
        raise InvalidArgumentError("flags --summarize and --all are mutually exclusive")
    request = DuRequest(
        targets=tuple(parse_target(text) for text in targets or ()),
        depth=None if everything else 0 if summarize else depth,
        by_size=by_size,
    )
    return run_du(CliContext.of(ctx), request)


def find(
    ctx: typer.Context,
    target: PrefixArgument,
    names: Annotated[
        list[str] | None,
        typer.Option(
            "--name",
            metavar="GLOB",
            help='"*.jpg": the last part; with a "/" in it the whole name. May be repeated.',
        ),
    ] = None,
    ignore_case: Annotated[
        bool, typer.Option("--ignore-case", "-i", help="For --name and --regex.")
    ] = False,
    regex: Annotated[
        str | None, typer.Option("--regex", metavar="REGEX", help="Names that match it anywhere.")
    ] = None,
    sizes: Annotated[
        list[str] | None,
        typer.Option(
            "--size",
            metavar="[+|-]SIZE",
            help="+10MiB is larger, -1KiB is smaller. May be repeated.",
        ),
    ] = None,
    newer: Annotated[
        str | None,
        typer.Option("--newer", metavar="TIME", help="Written since: 90m, 2d, or a date (UTC)."),
    ] = None,
    older: Annotated[
        str | None, typer.Option("--older", metavar="TIME", help="Written before: as --newer.")
    ] = None,
    kind: Annotated[
        str | None,
        typer.Option("--type", metavar="TYPE", help="object, shard, or member (file of a shard)."),
    ] = None,
    archive: Annotated[
        bool, typer.Option("--archive", help="Look at the files of shards, too.")
    ] = False,
    limit: Annotated[
        int, typer.Option("--limit", metavar="N", help="Results at most; 0 is all.")
    ] = 0,
    long: Annotated[
        bool, typer.Option("--long", "-l", help="With size and time of writing.")
    ] = False,
    print0: Annotated[
        bool, typer.Option("--print0", "-0", help="End names by NUL: for xargs -0.")
    ] = False,
) -> int:
    """Find objects by name, size, age, or kind.

    All conditions hold together. Prints a URI a line, as found; nothing found is no error. Pipe
    --print0 rather than lines: a name may have a line end in it.

    Examples:
      ais find ais://images --name '*.jpg' --size +10MiB
      ais find ais://shards --type member --name '*.cls'
      ais find ais://logs --older 30d --print0 | xargs -0 -r ais rm
    """
    context = CliContext.of(ctx)
    now_ns = time.time_ns()
    units = context.output.options.units
    request = FindRequest(
        target=parse_target(target),
        names=tuple(names or ()),
        ignore_case=ignore_case,
        regex=regex,
        sizes=tuple(read_size_limit(text, units) for text in sizes or ()),
        newer_ns=None if newer is None else read_time(newer, "--newer", now_ns),
        older_ns=None if older is None else read_time(older, "--older", now_ns),
        kind=_read_kind(kind),
        archive=archive,
        limit=limit,
        long=long,
        print0=print0,
    )
    return run_find(context, request)


def tree(
    ctx: typer.Context,
    target: PrefixArgument,
    depth: Annotated[
        int | None, typer.Option("--depth", "-L", metavar="N", help="Levels; default: all.")
    ] = None,
    directories_only: Annotated[
        bool, typer.Option("--directories", "-d", help="Leave objects out.")
    ] = False,
    sizes: Annotated[bool, typer.Option("--size", "-s", help="Sizes of objects.")] = False,
) -> int:
    """Draw the objects of a bucket as a tree.

    The counts at the end are of what is drawn. In plain ASCII when it is piped.

    Examples:
      ais tree ais://images --depth 2
      ais tree ais://images/train/ --size
    """
    request = TreeRequest(
        target=parse_target(target), depth=depth, directories_only=directories_only, sizes=sizes
    )
    return run_tree(CliContext.of(ctx), request)


def diff(
    ctx: typer.Context,
    left: Annotated[
        str, typer.Argument(metavar="BUCKET[/DIR]|DIR", help="ais://b, ais://b/dir, or ./dir.")
    ],
    right: Annotated[str, typer.Argument(metavar="BUCKET[/DIR]|DIR", help="What to compare with.")],
    size_only: Annotated[
        bool, typer.Option("--size-only", help="Compare sizes only: reads no content.")
    ] = False,
    everything: Annotated[
        bool, typer.Option("--all", "-a", help="List what is the same, too.")
    ] = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Print nothing; the exit code tells.")
    ] = False,
) -> int:
    """Compare two buckets, or a directory and a bucket.

    Compared are sizes, then checksums; where the store has none of the same type, content is read.
    Exit 0 when all is the same, 11 when anything differs or is on one side only.

    Examples:
      ais diff ./data ais://images/train
      ais diff ais://images ais://backup -o jsonl
    """
    request = DiffRequest(
        left=left, right=right, size_only=size_only, everything=everything, quiet=quiet
    )
    return run_diff(CliContext.of(ctx), request)


def stat(
    ctx: typer.Context,
    target: Annotated[
        str, typer.Argument(metavar="BUCKET[/NAME]", help="Bucket, object, or SHARD/FILE.")
    ],
) -> int:
    """Show the properties of what a URI names.

    All of them; to choose: ais show bucket, ais show object.

    Examples:
      ais stat ais://images
      ais stat ais://images/cat.jpg
      ais stat ais://shards/train-000.tar/a/0.jpg
    """
    return run_stat(CliContext.of(ctx), StatRequest(target=parse_target(target)))


def concat(
    ctx: typer.Context,
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE|DIR[/PATTERN]... BUCKET/OBJECT", help="Files in order; the object last."
        ),
    ],
    recursive: Annotated[
        bool, typer.Option("--recursive", "-r", help="Descend into subdirectories.")
    ] = False,
    progress: ProgressOption = False,
) -> int:
    """Append files to an object, in order.

    The object is created if need be, and changes as a whole: when all files have arrived. Files of a
    directory come by name.

    Examples:
      ais object concat part1.txt part2.txt ais://texts/all.txt
      ais object concat ./parts ais://texts/all.txt
    """
    if len(words) < 2:
        raise InvalidArgumentError(
            "expected one or more files, then BUCKET/OBJECT",
            hint="as in: ais object concat a.txt b.txt ais://texts/all.txt",
        )
    request = ConcatRequest(
        sources=tuple(words[:-1]),
        target=parse_object(words[-1]),
        recursive=recursive,
        show_progress=progress,
    )
    return run_concat(CliContext.of(ctx), request)


def _read_kind(text: str | None) -> Kind | None:
    if text is None:
        return None
    try:
        return Kind(text.lower())
    except ValueError:
        raise InvalidArgumentError(
            f'invalid type "{text}"', hint=f"use one of: {', '.join(Kind)}"
        ) from None
