"""`ais bucket`: and `ais ls`, `create`, `rmb`."""

from typing import Annotated

import typer

from aiscli.actions.browse.listing import (
    ListBucketsRequest,
    ListRequest,
    check_counts,
    read_props,
    run_list,
    run_list_buckets,
)
from aiscli.actions.browse.refresh import read_refresh, run_repeated
from aiscli.actions.buckets import (
    CreateRequest,
    DestroyRequest,
    PropsRequest,
    RenameRequest,
    SetPropsRequest,
    run_create,
    run_destroy,
    run_rename,
    run_reset_props,
    run_set_props,
    run_show_props,
    run_summary,
)
from aiscli.actions.lru import LruRequest, run_lru
from aiscli.commands.options import (
    BucketArgument,
    CountOption,
    DryRunOption,
    PrefixOption,
    RefreshOption,
    TemplateOption,
    YesOption,
)
from aiscli.context import CliContext
from aiscli.uri import BucketQuery, parse_bucket, parse_query, parse_target
from aiscore.errors import InvalidArgumentError
from aiscore.model.bucket import ObjectUri

__all__ = [
    "create",
    "lru",
    "ls",
    "mv",
    "props_reset",
    "props_set",
    "props_show",
    "rm",
    "summary",
]

WaitOption = Annotated[bool, typer.Option("--wait", help="Print `Done.`; commands always wait.")]


def ls(
    ctx: typer.Context,
    target: Annotated[
        str | None,
        typer.Argument(
            metavar="BUCKET[/PREFIX]", help="ais://b, ais://b/prefix, or a set: ais:, s3:."
        ),
    ] = None,
    prefix: PrefixOption = None,
    template: TemplateOption = None,
    regex: Annotated[
        str | None, typer.Option("--regex", metavar="REGEX", help="Names that match it anywhere.")
    ] = None,
    props: Annotated[
        str | None,
        typer.Option("--props", metavar="LIST", help="Columns, comma separated, or all."),
    ] = None,
    name_only: Annotated[bool, typer.Option("--name-only", help="Names only.")] = False,
    chunked: Annotated[
        bool, typer.Option("--chunked", help="Show which objects are chunked.")
    ] = False,
    limit: Annotated[
        int, typer.Option("--limit", metavar="N", help="Names at most; 0 is all.")
    ] = 0,
    start_after: Annotated[
        str, typer.Option("--start-after", metavar="NAME", help="Begin behind this name.")
    ] = "",
    page_size: Annotated[
        int, typer.Option("--page-size", metavar="N", help="Names a request; 0 is the maximum.")
    ] = 0,
    max_pages: Annotated[
        int, typer.Option("--max-pages", metavar="N", help="Pages at most; 0 is all.")
    ] = 0,
    paged: Annotated[bool, typer.Option("--paged", help="A footer for every page.")] = False,
    non_recursive: Annotated[
        bool, typer.Option("--non-recursive", "--nr", "-nr", help='Stop at "/"; show directories.')
    ] = False,
    no_dirs: Annotated[bool, typer.Option("--no-dirs", help="Leave directories out.")] = False,
    archive: Annotated[
        bool, typer.Option("--archive", help="List the files of shards, too.")
    ] = False,
    summarize: Annotated[
        bool, typer.Option("--summary", help="Buckets with counts and sizes.")
    ] = False,
    count_only: Annotated[
        bool, typer.Option("--count-only", help="Print the number of names.")
    ] = False,
    show_unmatched: Annotated[
        bool,
        typer.Option("--show-unmatched", help="List names outside of --template or --regex, too."),
    ] = False,
    no_footers: Annotated[
        bool, typer.Option("--no-footers", "-F", help="Tables without totals.")
    ] = False,
    refresh: RefreshOption = None,
    count: CountOption = None,
    cached: Annotated[
        bool, typer.Option("--cached", help="Only what the store has: all, of an ais:// bucket.")
    ] = False,
    not_cached: Annotated[
        bool, typer.Option("--not-cached", help="Only what it has not fetched from a backend.")
    ] = False,
    diff: Annotated[
        bool, typer.Option("--diff", help="Compare with the backend; ais:// buckets have none.")
    ] = False,
    everything: Annotated[
        bool, typer.Option("--all", help="Also what is not present; all is, here.", hidden=True)
    ] = False,
) -> int:
    """List buckets, or the objects of one.

    A name behind the bucket is an object if there is one, else a prefix.

    Examples:
      ais ls
      ais ls ais://images --prefix train/ --limit 20
      ais ls ais://shards --archive -o jsonl
    """
    context = CliContext.of(ctx)
    check_counts(limit, page_size, max_pages)
    query = BucketQuery() if target is None else parse_query(target)
    again = read_refresh(refresh, count)
    if query is not None:
        buckets = ListBucketsRequest(
            query=query, summary=summarize, regex=regex, footer=not no_footers
        )
        return run_repeated(context, again, lambda: run_list_buckets(context, buckets))
    assert target is not None
    uri = parse_target(target)
    if summarize:
        which = ObjectUri(uri.bucket, prefix or uri.name)
        return run_repeated(context, again, lambda: run_summary(context, which))
    request = ListRequest(
        bucket=uri.bucket,
        name=uri.name,
        prefix=prefix or "",
        template=template,
        regex=regex,
        props=read_props(
            props, name_only=name_only, chunked=chunked, columns=context.output.columns
        ),
        start_after=start_after,
        page_size=page_size,
        limit=limit,
        max_pages=max_pages,
        recursive=not non_recursive,
        directories=not no_dirs,
        archive=archive,
        count_only=count_only,
        footer=not no_footers,
        paged=paged,
        show_unmatched=show_unmatched,
        cached=cached,
        not_cached=not_cached,
        diff=diff,
    )
    return run_repeated(context, again, lambda: run_list(context, request))


def create(
    ctx: typer.Context,
    buckets: Annotated[
        list[str], typer.Argument(metavar="BUCKET", help="ais://NAME, or a bare name.")
    ],
    props: Annotated[
        str | None,
        typer.Option("--props", metavar="PROPS", help='"key=value key=value", or JSON.'),
    ] = None,
    ignore_error: Annotated[
        bool, typer.Option("--ignore-error", help="A bucket that exists is no error.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", "-f", hidden=True)] = False,
) -> int:
    """Create buckets.

    Examples:
      ais create ais://images
      ais create ais://a ais://b --props 'checksum.type=md5'
    """
    request = CreateRequest(
        buckets=tuple(parse_bucket(text) for text in buckets),
        changes=_read_changes(props),
        ignore_existing=ignore_error,
    )
    return run_create(CliContext.of(ctx), request)


def rm(
    ctx: typer.Context,
    buckets: Annotated[
        list[str] | None, typer.Argument(metavar="BUCKET", help="Buckets to destroy.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every ais:// bucket.")] = False,
    ignore_error: Annotated[
        bool, typer.Option("--ignore-error", help="A bucket that does not exist is no error.")
    ] = False,
    yes: YesOption = False,
    dry_run: DryRunOption = False,
) -> int:
    """Destroy buckets and all they hold.

    Asks before a bucket that is not empty; --all asks to type a word.

    Examples:
      ais rmb ais://images
      ais bucket rm ais://a ais://b --yes
    """
    request = DestroyRequest(
        buckets=tuple(parse_bucket(text) for text in buckets or ()),
        everything=everything,
        ignore_missing=ignore_error,
        assume_yes=yes,
        dry_run=dry_run,
    )
    return run_destroy(CliContext.of(ctx), request)


def mv(
    ctx: typer.Context,
    source: BucketArgument,
    target: Annotated[str, typer.Argument(metavar="NEW_BUCKET", help="The new name.")],
    wait: WaitOption = False,
) -> int:
    """Give a bucket another name.

    Examples:
      ais bucket mv ais://old ais://new
    """
    request = RenameRequest(source=parse_bucket(source), target=parse_bucket(target), wait=wait)
    return run_rename(CliContext.of(ctx), request)


def summary(
    ctx: typer.Context,
    target: Annotated[
        str | None, typer.Argument(metavar="BUCKET[/PREFIX]", help="A bucket, or a set: ais:.")
    ] = None,
    prefix: PrefixOption = None,
) -> int:
    """Count objects and bytes of buckets.

    Examples:
      ais bucket summary
      ais bucket summary ais://images --prefix train/
    """
    query = BucketQuery() if target is None else parse_query(target)
    if query is not None:
        if prefix is not None:
            raise InvalidArgumentError("--prefix needs a bucket")
        return run_summary(CliContext.of(ctx), query)
    assert target is not None
    uri = parse_target(target)
    if prefix is not None and uri.name:
        raise InvalidArgumentError("--prefix cannot be combined with a prefix behind the bucket")
    return run_summary(CliContext.of(ctx), ObjectUri(uri.bucket, prefix or uri.name))


def lru(
    ctx: typer.Context,
    bucket: BucketArgument,
    enable: Annotated[bool, typer.Option("--enable", help="Objects may be evicted.")] = False,
    disable: Annotated[bool, typer.Option("--disable", help="Keep all objects.")] = False,
) -> int:
    """Show the LRU properties of a bucket; switch LRU on or off.

    Examples:
      ais bucket lru ais://images
      ais bucket lru ais://images --disable
    """
    if enable and disable:
        raise InvalidArgumentError("flags --enable and --disable are mutually exclusive")
    wanted = enable if enable or disable else None
    return run_lru(CliContext.of(ctx), LruRequest(bucket=parse_bucket(bucket), enable=wanted))


def props_show(
    ctx: typer.Context,
    bucket: BucketArgument,
    prefix: Annotated[
        str, typer.Argument(metavar="PROPERTY", help="Properties that begin with it.")
    ] = "",
    compact: Annotated[bool, typer.Option("--compact", "-c", help="One line a section.")] = False,
) -> int:
    """Show the properties of a bucket.

    Examples:
      ais show bucket ais://images
      ais bucket props show ais://images checksum -o json
    """
    request = PropsRequest(bucket=parse_bucket(bucket), prefix=prefix, compact=compact)
    return run_show_props(CliContext.of(ctx), request)


def props_set(
    ctx: typer.Context,
    bucket: BucketArgument,
    words: Annotated[
        list[str],
        typer.Argument(metavar="KEY=VALUE", help="Or KEY VALUE pairs, or one JSON object."),
    ],
    force: Annotated[bool, typer.Option("--force", "-f", help="Override a safety check.")] = False,
) -> int:
    """Change properties of a bucket.

    All changes are applied, or none.

    Examples:
      ais bucket props set ais://images checksum.type=md5 versioning.enabled=true
    """
    request = SetPropsRequest(bucket=parse_bucket(bucket), words=tuple(words), force=force)
    return run_set_props(CliContext.of(ctx), request)


def props_reset(ctx: typer.Context, bucket: BucketArgument) -> int:
    """Reset the properties of a bucket to the defaults.

    Examples:
      ais bucket props reset ais://images
    """
    return run_reset_props(CliContext.of(ctx), parse_bucket(bucket))


def _read_changes(text: str | None) -> dict[str, str]:
    if text is None:
        return {}
    from aiscore.model.props import parse_changes

    words = [text] if text.lstrip().startswith("{") else text.split()
    return dict(parse_changes(words).values)
