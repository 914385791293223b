"""`ais archive`."""

from typing import Annotated

import typer

from aiscli.actions.archive import (
    ArchiveBucketRequest,
    ArchivePutRequest,
    GenShardsRequest,
    ListShardRequest,
    run_archive_bucket,
    run_archive_put,
    run_gen_shards,
    run_list_shard,
)
from aiscli.actions.batches.get_batch import read_names
from aiscli.actions.browse.listing import ListRequest, run_list
from aiscli.actions.transfers.get import GetRequest, run_get
from aiscli.actions.transfers.sources import SourceRequest
from aiscli.commands.options import (
    ArchmimeOption,
    ContinueOption,
    DryRunOption,
    ListOption,
    PrefixOption,
    TemplateOption,
    WorkersOption,
    YesOption,
    make_selection,
    read_archmime,
    read_archmode,
    read_size,
    split_list,
)
from aiscli.context import CliContext
from aiscli.uri import parse_object, parse_target
from aiscore.errors import InvalidArgumentError
from aiscore.model.archive import ArchiveFormat
from aiscore.model.objects import ArchiveOptions, ArchivePutMode, GetOptions

__all__ = ["bucket", "gen_shards", "get", "ls", "put"]

_TAR_FORMATS = frozenset({"UNKNOWN", "USTAR", "PAX", "GNU"})
ShardArgument = Annotated[
    str, typer.Argument(metavar="BUCKET/SHARD", help="Shard: .tar, .tgz, .tar.gz, .tar.lz4, .zip.")
]


def put(
    ctx: typer.Context,
    source: Annotated[
        str,
        typer.Argument(metavar="FILE|DIR[/PATTERN]|-", help="What to write; - is standard input."),
    ],
    shard: ShardArgument,
    archpath: Annotated[
        str,
        typer.Option(
            "--archpath", metavar="PATH", help="Name in the shard; for many files a prefix."
        ),
    ] = "",
    append: Annotated[
        bool, typer.Option("--append", help="Add to a shard, which must exist.")
    ] = False,
    append_or_put: Annotated[
        bool, typer.Option("--append-or-put", help="Add to a shard, or create it.")
    ] = False,
    recursive: Annotated[
        bool, typer.Option("--recursive", "-r", help="Descend into subdirectories.")
    ] = False,
    include_src_dir: Annotated[
        bool, typer.Option("--include-src-dir", help="Begin names with the directory's name.")
    ] = False,
    names: ListOption = None,
    template: TemplateOption = None,
    from_file: Annotated[
        str | None,
        typer.Option(
            "--from-file", "--list-from", metavar="FILE|-", help="Names of DIR, one a line."
        ),
    ] = None,
    archmime: ArchmimeOption = None,
    cont_on_err: ContinueOption = False,
    dry_run: DryRunOption = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", hidden=True)] = False,
    skip_vc: Annotated[bool, typer.Option("--skip-vc", hidden=True)] = False,
    wait: Annotated[bool, typer.Option("--wait", hidden=True)] = False,
    workers: Annotated[int | None, typer.Option("--num-workers", hidden=True)] = None,
) -> int:
    """Write files into a shard.

    All files go in with one operation: all of them, or none. Without --append the shard is
    replaced.

    Examples:
      ais archive put ./data ais://shards/train-000.tar --recursive
      ais archive put ./data ais://shards/some.tar --from-file names.txt
      ais archive put 0.jpg ais://shards/train-000.tar --archpath a/0.jpg --append
    """
    if append and append_or_put:
        raise InvalidArgumentError("flags --append and --append-or-put are mutually exclusive")
    if from_file is not None and names is not None:
        raise InvalidArgumentError("flags --list and --from-file are mutually exclusive")
    context = CliContext.of(ctx)
    chosen = None if names is None else split_list(names)
    if from_file is not None:
        chosen = read_names(context, from_file)
    mode = ArchivePutMode.CREATE
    if append or append_or_put:
        mode = ArchivePutMode.APPEND if append else ArchivePutMode.APPEND_OR_CREATE
    request = ArchivePutRequest(
        source=SourceRequest(
            path=source,
            names=chosen,
            template=template,
            recursive=recursive,
            include_source_dir=include_src_dir,
        ),
        shard=parse_object(shard),
        archpath=archpath,
        mode=mode,
        archmime=read_archmime(archmime),
        cont_on_err=cont_on_err,
        dry_run=dry_run,
    )
    return run_archive_put(context, request)


def get(
    ctx: typer.Context,
    shard: Annotated[
        str, typer.Argument(metavar="BUCKET/SHARD[/FILE]", help="Shard, or a file of it.")
    ],
    destination: Annotated[
        str, typer.Argument(metavar="FILE|DIR|-", help="Where to; - is standard output.")
    ] = "",
    archpath: Annotated[
        str | None, typer.Option("--archpath", metavar="PATH", help="One file of the shard.")
    ] = None,
    archregx: Annotated[
        str | None, typer.Option("--archregx", metavar="PATTERN", help="Files that match, as TAR.")
    ] = None,
    archmode: Annotated[
        str | None,
        typer.Option(
            "--archmode", metavar="MODE", help="regexp, prefix, suffix, substr, or wdskey."
        ),
    ] = None,
    archmime: ArchmimeOption = None,
    cont_on_err: ContinueOption = False,
    yes: YesOption = False,
) -> int:
    """Extract a shard, or files of it.

    Without --archpath or --archregx all files are written below DIR, by default a directory named
    after the shard.

    Examples:
      ais archive get ais://shards/train-000.tar ./out
      ais archive get ais://shards/train-000.tar/a/0.jpg
    """
    uri = parse_object(shard)
    whole = archpath is None and archregx is None and ArchiveFormat.of_name(uri.name) is not None
    request = GetRequest(
        source=uri,
        destination=destination,
        options=GetOptions(
            archpath=archpath,
            archregx=archregx,
            archmode=read_archmode(archmode),
            archmime=read_archmime(archmime),
        ),
        extract=whole or (archpath is None and archregx is None and archmime is not None),
        cont_on_err=cont_on_err,
        assume_yes=yes,
    )
    return run_get(CliContext.of(ctx), request)


def ls(
    ctx: typer.Context,
    target: Annotated[
        str,
        typer.Argument(metavar="BUCKET[/SHARD|PREFIX]", help="A shard, or where to look for some."),
    ],
    prefix: PrefixOption = None,
    limit: Annotated[
        int, typer.Option("--limit", metavar="N", help="Names at most; 0 is all.")
    ] = 0,
    archmime: ArchmimeOption = None,
    no_footers: Annotated[
        bool, typer.Option("--no-footers", "-F", help="Tables without totals.")
    ] = False,
) -> int:
    """List shards with the files in them.

    Examples:
      ais archive ls ais://shards/train-000.tar
      ais archive ls ais://shards --prefix train-
    """
    uri = parse_target(target)
    context = CliContext.of(ctx)
    is_shard = uri.name and (ArchiveFormat.of_name(uri.name) is not None or archmime is not None)
    if is_shard and prefix is None and not limit:
        return run_list_shard(
            context, ListShardRequest(shard=uri, archmime=read_archmime(archmime))
        )
    if prefix is not None and uri.name:
        raise InvalidArgumentError("--prefix cannot be combined with a name behind the bucket")
    return run_list(
        context,
        ListRequest(
            bucket=uri.bucket,
            prefix=prefix or uri.name,
            limit=limit,
            archive=True,
            footer=not no_footers,
        ),
    )


def bucket(
    ctx: typer.Context,
    source: Annotated[
        str,
        typer.Argument(metavar="SRC[/NAME]", help="Bucket; object, prefix or template behind it."),
    ],
    shard: ShardArgument,
    names: ListOption = None,
    template: TemplateOption = None,
    prefix: PrefixOption = None,
    append_or_put: Annotated[
        bool, typer.Option("--append-or-put", help="Add to a shard, or create it.")
    ] = False,
    include_src_bck: Annotated[
        bool, typer.Option("--include-src-bck", help="Begin names with the bucket's name.")
    ] = False,
    archmime: ArchmimeOption = None,
    cont_on_err: ContinueOption = False,
    dry_run: DryRunOption = False,
    wait: Annotated[
        bool, typer.Option("--wait", help="No effect: it always waits.", hidden=True)
    ] = False,
) -> int:
    """Pack objects of a bucket into one shard.

    Examples:
      ais archive bucket ais://images ais://shards/all.tar --prefix train/
    """
    request = ArchiveBucketRequest(
        source=parse_target(source),
        shard=parse_object(shard),
        selection=make_selection(names, template, prefix),
        options=ArchiveOptions(
            output_format=read_archmime(archmime),
            append=append_or_put,
            include_bucket=include_src_bck,
            cont_on_err=cont_on_err,
        ),
        dry_run=dry_run,
    )
    return run_archive_bucket(CliContext.of(ctx), request)


def gen_shards(
    ctx: typer.Context,
    target: Annotated[
        str, typer.Argument(metavar="BUCKET/TEMPLATE", help="ais://b/shard-{000..099}.tar, quoted.")
    ],
    fcount: Annotated[int, typer.Option("--fcount", metavar="N", help="Files in each shard.")] = 5,
    fsize: Annotated[
        str, typer.Option("--fsize", metavar="SIZE", help="Bytes of each file.")
    ] = "1024",
    fext: Annotated[
        str, typer.Option("--fext", metavar="LIST", help="Extensions, comma separated.")
    ] = ".test",
    seed: Annotated[int, typer.Option("--seed", metavar="N", help="Same seed, same bytes.")] = 0,
    workers: WorkersOption = None,
    cleanup: Annotated[
        bool, typer.Option("--cleanup", help="Destroy the bucket first, if it exists.")
    ] = False,
    yes: YesOption = False,
    tform: Annotated[
        str,
        typer.Option("--tform", metavar="FORMAT", help="Unknown, USTAR, PAX, or GNU; see below."),
    ] = "Unknown",
) -> int:
    """Write shards of random files, for tests.

    The bucket is created when it does not exist. --cleanup asks before it destroys a bucket that
    is not empty, unless there is --yes. --tform is accepted for AIStore's scripts: headers of tar
    are USTAR, which is PAX and GNU, too, for names as short as these.

    Examples:
      ais archive gen-shards 'ais://shards/s-{00..09}.tar' --fcount 100
    """
    context = CliContext.of(ctx)
    uri = parse_target(target)
    if not uri.name:
        raise InvalidArgumentError(f'missing shard name in "{target}"')
    if tform.upper() not in _TAR_FORMATS:
        raise InvalidArgumentError(
            f'invalid tar format "{tform}"', hint="use one of: Unknown, USTAR, PAX, GNU"
        )
    request = GenShardsRequest(
        bucket=uri.bucket,
        template=uri.name,
        file_count=fcount,
        file_size=read_size(fsize, "--fsize", context) or 0,
        extensions=split_list(fext),
        seed=seed,
        workers=workers,
        cleanup=cleanup,
        assume_yes=yes,
    )
    return run_gen_shards(context, request)
