"""`ls`: buckets, objects, and what is inside of shards. Prints page by page."""

import re
import time
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby

from aiscli.actions.objects import ShowRequest, run_show
from aiscli.actions.records import bucket_record, entry_record, summary_record
from aiscli.actions.transfers.select import iter_pages
from aiscli.context import CliContext
from aiscli.exitcodes import ExitCode
from aiscli.output import Column
from aiscli.output.base import Record
from aiscli.uri import BucketQuery
from aiscore.errors import InvalidArgumentError, NotFoundError, ObjectNotFoundError
from aiscore.model.bucket import BucketRef, ObjectUri
from aiscore.model.objects import EntryFlag, ListEntry, ListOptions, ListProp
from aiscore.model.template import parse_template

__all__ = [
    "LIST_PROPS",
    "ListBucketsRequest",
    "ListRequest",
    "check_counts",
    "read_props",
    "run_list",
    "run_list_buckets",
]

FOOTER_ENTRIES_MIN = 10
"""A footer is printed for more entries than this, as upstream."""
MEMBER_INDENT = "    "

LIST_PROPS = (
    ListProp.NAME,
    ListProp.SIZE,
    ListProp.CHECKSUM,
    ListProp.ATIME,
    ListProp.VERSION,
    ListProp.COPIES,
    ListProp.CUSTOM,
    ListProp.LOCATION,
    ListProp.CHUNKED,
    ListProp.STATUS,
)
"""What `--props all` shows of an `ais://` bucket, in this order."""
_DEFAULT_PROPS = (ListProp.NAME, ListProp.SIZE)


@dataclass(frozen=True, slots=True, kw_only=True)
class ListBucketsRequest:
    """Which buckets to list; `summary` counts what they hold, `regex` matches names."""

    query: BucketQuery
    summary: bool = False
    regex: str | None = None
    footer: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class ListRequest:
    """Which objects of a bucket to list, and what of them.

    Attributes:
        bucket: the bucket.
        name: what stood behind the bucket: an object, or a prefix.
        prefix: only names that begin with it.
        template: only names it expands to.
        regex: only names that match.
        props: columns, in order.
        start_after: exclusive lower bound of names.
        page_size: names a request; 0 is the most there may be.
        limit: names in all; 0 is no limit.
        max_pages: pages in all; 0 is no limit.
        recursive: False stops at "/" and shows virtual directories.
        directories: show virtual directories.
        archive: list the files of shards, too.
        count_only: print the footer only.
        footer: print the footer.
        paged: a footer for every page.
        show_unmatched: with a template, list the names that do not match afterwards.
        cached: only what the store has.
        not_cached: only what it has not fetched from the backend.
        diff: compare with the backend.
    """

    bucket: BucketRef
    name: str = ""
    prefix: str = ""
    template: str | None = None
    regex: str | None = None
    props: tuple[ListProp, ...] = _DEFAULT_PROPS
    start_after: str = ""
    page_size: int = 0
    limit: int = 0
    max_pages: int = 0
    recursive: bool = True
    directories: bool = True
    archive: bool = False
    count_only: bool = False
    footer: bool = True
    paged: bool = False
    show_unmatched: bool = False
    cached: bool = False
    not_cached: bool = False
    diff: bool = False

    def __post_init__(self) -> None:
        if self.not_cached and (self.cached or self.diff):
            other = "--cached" if self.cached else "--diff"
            raise InvalidArgumentError(f"flags {other} and --not-cached are mutually exclusive")
        if self.diff and not self.bucket.is_remote:
            raise InvalidArgumentError(
                f"flag --diff requires remote bucket (have: {self.bucket.cname})",
                hint="compare two buckets with: ais diff",
            )
        given = [bool(self.name), bool(self.prefix), self.template is not None]
        if sum(given) > 1:
            raise InvalidArgumentError("a name, --prefix and --template are mutually exclusive")
        check_counts(self.limit, self.page_size, self.max_pages)


def check_counts(limit: int, page_size: int, max_pages: int) -> None:
    """Refuse negative ones, also where they say nothing: in a list of buckets."""
    if min(limit, page_size, max_pages) < 0:
        raise InvalidArgumentError("--limit, --page-size and --max-pages must not be negative")


def read_props(
    text: str | None,
    *,
    name_only: bool = False,
    chunked: bool = False,
    columns: Collection[str] = (),
) -> tuple[ListProp, ...]:
    """Read `--props`: names separated by commas, or `all`; without it, what `columns` need.

    Raises:
        InvalidArgumentError: unknown property.
    """
    if name_only:
        return (ListProp.NAME,)
    if text is None and columns:
        needed = [prop for prop in ListProp if prop.value.replace("-", "_") in columns]
        return tuple(dict.fromkeys((ListProp.NAME, *needed)))
    if text is None:
        return (*_DEFAULT_PROPS, ListProp.CHUNKED) if chunked else _DEFAULT_PROPS
    if text.strip().lower() == "all":
        return LIST_PROPS
    chosen = [ListProp.NAME]
    for word in text.lower().split(","):
        try:
            prop = ListProp(word.strip().replace("_", "-"))
        except ValueError:
            raise InvalidArgumentError(
                f'invalid property "{word.strip()}"', hint=f"use: all, {', '.join(ListProp)}"
            ) from None
        if prop not in chosen:
            chosen.append(prop)
    return tuple(chosen)


def run_list_buckets(context: CliContext, request: ListBucketsRequest) -> ExitCode:
    """Print buckets, a block a provider."""
    buckets = context.transport.list_buckets(request.query.provider, request.query.namespace)
    if request.regex is not None:
        matches = _compile(request.regex)
        buckets = [bucket for bucket in buckets if matches.search(bucket.name)]
    output = context.output
    columns = _summary_columns(context) if request.summary else [Column("name"), Column("present")]
    if not output.is_table:
        output.table(columns, (_bucket_record(context, bucket, request) for bucket in buckets))
        return ExitCode.OK
    if not buckets:
        _check_cluster(request.query)
        provider = request.query.provider
        scheme = "" if provider is None else f'"{provider.scheme}://" '
        output.text(
            f"No {scheme}buckets in the cluster." if scheme else "No buckets in the cluster."
        )
        return ExitCode.OK
    for provider, group in groupby(buckets, key=lambda bucket: bucket.provider):
        block = list(group)
        output.table(columns, (_bucket_record(context, bucket, request) for bucket in block))
        if request.footer:
            present = "" if not block[0].is_remote else f" ({len(block)} present)"
            output.text(
                f"Total: [{provider.scheme.upper()} buckets: {len(block)}{present}] ========"
            )
    return ExitCode.OK


def _check_cluster(query: BucketQuery) -> None:
    """No bucket is not the same as no cluster."""
    uuid = query.namespace.uuid if query.namespace is not None else ""
    if uuid:
        raise NotFoundError(
            f'remote cluster "{uuid}" is not attached', hint="see those that are: ais ls ais://@"
        )


def run_list(context: CliContext, request: ListRequest) -> ExitCode:
    """Print the objects of a bucket."""
    transport = context.transport
    prefix = request.prefix
    if request.name:
        shown = _show_exact(context, request)
        if shown is not None:
            return shown
        prefix = request.name
    if request.template is not None and not request.show_unmatched:
        prefix = parse_template(request.template).prefix
    options = ListOptions(
        prefix=prefix,
        delimiter="" if request.recursive else "/",
        start_after=request.start_after,
        page_size=request.page_size,
        props=frozenset(request.props),
        archive=request.archive,
        directories=request.directories and not request.recursive,
    )
    started = time.monotonic()
    lister = _Lister(request)
    if request.count_only:
        for page in lister.pages(iter_pages(transport, request.bucket, options)):
            lister.count += len(page)
        seconds = time.monotonic() - started
        context.output.item(
            {"bucket": request.bucket.cname, "count": lister.count, "seconds": round(seconds, 3)},
            f"Listed {lister.count:,} names in {seconds:.3f}s",
        )
        return ExitCode.OK
    pages = lister.pages(iter_pages(transport, request.bucket, options))
    first = next(pages, None)
    if first is None and context.output.is_table:
        context.output.text(_nothing(request, prefix))
        return ExitCode.OK
    _print_pages(context, request, lister, _chain(first, pages))
    return ExitCode.OK


class _Lister:
    """Filters pages and counts names; holds one page."""

    def __init__(self, request: ListRequest) -> None:
        self._request = request
        self._regex = None if request.regex is None else _compile(request.regex)
        self._template = None if request.template is None else parse_template(request.template)
        self.count = 0
        self.unmatched: list[ListEntry] = []

    def pages(self, raw: Iterable[list[ListEntry]]) -> Iterator[list[ListEntry]]:
        """Pages with what was asked for; empty ones are left out."""
        request = self._request
        left = request.limit or None
        for number, page in enumerate(raw, 1):
            kept = [entry for entry in page if self._wants(entry)]
            if left is not None:
                kept = kept[:left]
                left -= len(kept)
            if kept:
                yield kept
            if left == 0 or number == request.max_pages:
                return

    def _wants(self, entry: ListEntry) -> bool:
        request = self._request
        if request.cached or request.not_cached:
            # All that an ais:// bucket has is here.
            is_cached = not request.bucket.is_remote or EntryFlag.CACHED in entry.flags
            if is_cached is request.not_cached:
                return False
        matches = True
        if self._regex is not None:
            matches = self._regex.search(entry.name) is not None
        if matches and self._template is not None:
            matches = self._template.matches(entry.name)
        if not matches and self._request.show_unmatched:
            self.unmatched.append(entry)
        return matches


def _print_pages(
    context: CliContext, request: ListRequest, lister: _Lister, pages: Iterable[list[ListEntry]]
) -> None:
    output = context.output
    wanted = frozenset(request.props)
    columns = [_column(prop) for prop in request.props]
    with output.records(columns) as writer:
        for number, page in enumerate(pages, 1):
            writer.page(entry_record(entry, wanted) for entry in page)
            lister.count += len(page)
            if request.paged and request.footer:
                output.text(f"Page {number:,}: {len(page):,} names")
    if request.footer and lister.count > FOOTER_ENTRIES_MIN:
        output.text(f"Listed {lister.count:,} names")
    if lister.unmatched and output.is_table:
        output.text("Names that do not match:")
        output.table(columns, (entry_record(entry, wanted) for entry in lister.unmatched))


def _show_exact(context: CliContext, request: ListRequest) -> ExitCode | None:
    """`ls BUCKET/NAME` of an object that exists; None when the name is to be taken for a prefix."""
    if request.name.endswith("/") or request.archive:
        return None
    try:
        props = context.transport.head(request.bucket, request.name)
    except ObjectNotFoundError:
        return None
    if context.output.is_table:
        return run_show(context, ShowRequest(object=ObjectUri(request.bucket, request.name)))
    entry = ListEntry(
        name=props.name,
        size=props.size,
        checksum=props.checksum,
        version=props.version,
        atime_ns=props.atime_ns,
        mtime_ns=props.mtime_ns,
        custom=props.custom,
        location=props.location,
        copies=props.copies,
        etag=props.etag,
    )
    columns = [_column(prop) for prop in request.props]
    context.output.table(columns, [entry_record(entry, frozenset(request.props))])
    return ExitCode.OK


def _column(prop: ListProp) -> Column:
    field = prop.value.replace("-", "_")
    title = prop.value.upper()
    if prop is ListProp.NAME:
        return Column(field, title, show=_shown_name)
    if prop is ListProp.SIZE:
        return Column(field, title, is_size=True)
    if prop is ListProp.CHECKSUM:
        return Column(field, title, show=_shown_checksum)
    if prop is ListProp.CUSTOM:
        return Column(field, title, show=_shown_custom)
    return Column(field, title)


def _shown_name(record: Record) -> str:
    name = str(record["name"])
    return f"{MEMBER_INDENT}{name}" if record.get("archived") else name


def _shown_checksum(record: Record) -> str:
    checksum = record.get("checksum")
    return f"{checksum['type']}[{checksum['value']}]" if isinstance(checksum, dict) else "-"


def _shown_custom(record: Record) -> str:
    custom = record.get("custom")
    return (
        ",".join(f"{key}={value}" for key, value in custom.items())
        if isinstance(custom, dict) and custom
        else "-"
    )


def _nothing(request: ListRequest, prefix: str) -> str:
    if request.template is not None or request.regex is not None:
        return f"No matching objects in {request.bucket.cname}"
    if request.not_cached:
        return f"No objects in {request.bucket.cname} that are not cached"
    behind = f' with prefix "{prefix}"' if prefix else ""
    return f"No objects in {request.bucket.cname}{behind}"


def _bucket_record(
    context: CliContext, bucket: BucketRef, request: ListBucketsRequest
) -> dict[str, object]:
    record = bucket_record(bucket)
    if request.summary:
        record |= summary_record(context.transport.summarize_bucket(bucket))
    return record


def _summary_columns(context: CliContext) -> list[Column]:
    size = context.output.size

    def sizes(record: Record) -> str:
        on_disk, total = record["size_on_disk"], record["size"]
        assert isinstance(on_disk, int)
        assert isinstance(total, int)
        return f"{size(on_disk)} {size(total)} 0B"

    return [
        Column("name"),
        Column("present"),
        Column("objects", "OBJECTS"),
        Column("size", "SIZE (apparent, objects, remote)", show=sizes),
        Column("usage_percent", "USAGE(%)", show=lambda record: f"{record['usage_percent']:.0f}%"),
    ]


def _compile(pattern: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern)
    except re.error as error:
        raise InvalidArgumentError(f'invalid regular expression "{pattern}": {error}') from None


def _chain(
    first: list[ListEntry] | None, rest: Iterable[list[ListEntry]]
) -> Iterator[list[ListEntry]]:
    if first is not None:
        yield first
    yield from rest
