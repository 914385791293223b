"""Buckets: create, destroy, rename, copy, summarize, and their properties."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from aiscli.actions.records import summary_record
from aiscli.actions.transfers.select import iter_selected, require_objects, resolve_name
from aiscli.context import CliContext
from aiscli.exitcodes import ExitCode, exit_code_of
from aiscli.output import Column
from aiscli.uri import BucketQuery
from aiscore.errors import (
    AisError,
    BucketAlreadyExistsError,
    BucketNotFoundError,
    InvalidArgumentError,
    ObjectNotFoundError,
    UnsupportedError,
)
from aiscore.model.bucket import BucketRef, ObjectUri, Provider
from aiscore.model.objects import CopyOptions, ListOptions, Selection

__all__ = [
    "CopyRequest",
    "CreateRequest",
    "DestroyRequest",
    "PropsRequest",
    "RenameRequest",
    "SetPropsRequest",
    "run_copy",
    "run_create",
    "run_destroy",
    "run_rename",
    "run_reset_props",
    "run_set_props",
    "run_show_props",
    "run_summary",
]

DRY_RUN = "[DRY RUN] with no modifications to the cluster"


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateRequest:
    """Buckets to create, all with the same property changes."""

    buckets: tuple[BucketRef, ...]
    changes: Mapping[str, str] = field(default_factory=dict)
    ignore_existing: bool = False


def run_create(context: CliContext, request: CreateRequest) -> ExitCode:
    """Create buckets; goes on after one that fails and returns the code of the first failure."""
    code = ExitCode.OK
    records: list[dict[str, object]] = []
    for bucket in request.buckets:
        created = True
        try:
            context.transport.create_bucket(bucket, request.changes)
        except BucketAlreadyExistsError as error:
            message = f'Bucket "{bucket.cname}" already exists'
            if not request.ignore_existing:
                if len(request.buckets) == 1:
                    raise
                context.output.error(error.message, label=error.code)
                code = code or exit_code_of(error)
                continue
            created = False
            context.output.text(message)
        if created:
            context.output.text(f'"{bucket.cname}" created')
        records.append({"bucket": bucket.cname, "created": created})
    _list_records(context, records)
    return code


@dataclass(frozen=True, slots=True, kw_only=True)
class DestroyRequest:
    """Buckets to destroy; `everything` is every `ais://` bucket."""

    buckets: tuple[BucketRef, ...] = ()
    everything: bool = False
    ignore_missing: bool = False
    assume_yes: bool = False
    dry_run: bool = False

    def __post_init__(self) -> None:
        if self.everything and self.buckets:
            raise InvalidArgumentError("cannot specify bucket name(s) with --all flag")
        if not self.everything and not self.buckets:
            raise InvalidArgumentError(
                'missing "BUCKET" argument', hint="name a bucket, or use --all"
            )


def run_destroy(context: CliContext, request: DestroyRequest) -> ExitCode:
    """Destroy buckets; asks before one that is not empty."""
    buckets: Sequence[BucketRef] = request.buckets
    if request.everything:
        buckets = context.transport.list_buckets(Provider.AIS)
        if not buckets:
            context.output.item({"destroyed": []}, "No AIS buckets to remove")
            return ExitCode.OK
        context.output.text(f"Found {len(buckets)} AIS bucket(s) to remove:")
        for bucket in buckets:
            context.output.text(f"  - {bucket.cname}")
        if request.assume_yes:
            context.output.warning("flag --yes has no effect together with --all")
        if not request.dry_run and not context.prompt.phrase("DELETE"):
            return ExitCode.OK
    if request.dry_run:
        context.output.text(DRY_RUN)
    records: list[dict[str, object]] = []
    for bucket in buckets:
        destroyed = _destroy_one(context, bucket, request)
        records.append({"bucket": bucket.cname, "destroyed": destroyed})
    _list_records(context, records)
    return ExitCode.OK


def _destroy_one(context: CliContext, bucket: BucketRef, request: DestroyRequest) -> bool:
    if bucket.is_remote:
        raise UnsupportedError(
            f"cannot destroy the remote bucket {bucket.cname}", hint="evict it instead"
        )
    transport = context.transport
    try:
        is_empty = not transport.list_page(bucket, ListOptions(page_size=1)).entries
        if request.dry_run:
            context.output.text(
                f'"{bucket.cname}" would be destroyed{"" if is_empty else " (not empty)"}'
            )
            return False
        if not (
            is_empty or request.assume_yes or request.everything
        ) and not context.prompt.confirm(f"Proceed to destroy {bucket.cname}?"):
            return False
        transport.destroy_bucket(bucket)
    except BucketNotFoundError as error:
        if not request.ignore_missing:
            raise
        context.output.warning(error.message)
        return False
    context.output.text(f'"{bucket.cname}" destroyed')
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class RenameRequest:
    """A bucket and its new name."""

    source: BucketRef
    target: BucketRef
    wait: bool = False


def run_rename(context: CliContext, request: RenameRequest) -> ExitCode:
    """Rename a bucket; done when this returns."""
    if request.source == request.target:
        raise InvalidArgumentError(f'cannot mv bucket "{request.source.cname}" onto itself')
    context.transport.rename_bucket(request.source, request.target)
    context.output.item(
        {"source": request.source.cname, "target": request.target.cname, "done": True},
        f"rename-bucket {request.source.cname} => {request.target.cname}",
        *(["Done."] if request.wait else []),
    )
    return ExitCode.OK


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyRequest:
    """What to copy where.

    Attributes:
        source: bucket, with an object name, a prefix or a template behind it.
        target: bucket; with a name only when one object is copied.
        selection: list, template or prefix given by flags.
        options: see `CopyOptions`; the prefix is filled in from the selection.
        cont_on_err: go on after an object that cannot be copied.
        wait: say `Done.` as upstream does; the copy is complete either way.
    """

    source: ObjectUri
    target: ObjectUri
    selection: Selection | None = None
    options: CopyOptions = field(default_factory=CopyOptions)
    cont_on_err: bool = False
    wait: bool = False


def run_copy(context: CliContext, request: CopyRequest) -> ExitCode:
    """Copy one object, some, or a bucket."""
    source, target = request.source, request.target
    selection = request.selection
    require_objects(selection, source.name)
    if source.name:
        selection = resolve_name(context.transport, source.bucket, source.name)
        if selection is None:
            return _copy_one(context, request)
    if target.name:
        raise InvalidArgumentError(
            f'cannot copy many objects to one name "{target.cname}"',
            hint="use --prepend for a prefix",
        )
    if selection is not None and selection.prefix is None and not selection.everything:
        return _copy_named(context, request, selection)
    prefix = (selection.prefix or "") if selection is not None else ""
    options = CopyOptions(
        prefix=prefix,
        prepend=request.options.prepend,
        dry_run=request.options.dry_run,
        synchronize=request.options.synchronize,
    )
    if options.dry_run:
        context.output.text(DRY_RUN)
    result = context.transport.copy_bucket(source.bucket, target.bucket, options)
    removed = f", deleted {result.deleted}" if result.deleted else ""
    counted = f"{result.objects:,} objects ({context.output.size(result.size)}){removed}"
    verb = "Would copy" if options.dry_run else "Copied"
    context.output.item(
        {
            "source": source.bucket.cname,
            "target": target.bucket.cname,
            "objects": result.objects,
            "size": result.size,
            "deleted": result.deleted,
            "dry_run": options.dry_run,
        },
        f"{verb} {source.bucket.cname} => {target.bucket.cname}: {counted}",
        *(["Done."] if request.wait else []),
    )
    return ExitCode.OK


def _copy_one(context: CliContext, request: CopyRequest) -> ExitCode:
    source, target = request.source, request.target
    if target.name.endswith("/"):
        target = ObjectUri(target.bucket, target.name + source.name.rpartition("/")[2])
    name = target.name or request.options.prepend + source.name
    cname = target.bucket.object_cname(name)
    size = 0
    if request.options.dry_run:
        context.output.text(DRY_RUN)
    else:
        size = context.transport.copy(source.bucket, source.name, target.bucket, name).size
    context.output.item(
        {
            "source": source.cname,
            "target": cname,
            "objects": 1,
            "size": size,
            "dry_run": request.options.dry_run,
        },
        f"COPY {source.cname} => {cname}",
    )
    return ExitCode.OK


def _copy_named(context: CliContext, request: CopyRequest, selection: Selection) -> ExitCode:
    source, target = request.source.bucket, request.target.bucket
    failures: list[str] = []
    objects = size = missing = deleted = 0
    if request.options.dry_run:
        context.output.text(DRY_RUN)
    for name, _ in iter_selected(context.transport, source, selection):
        new_name = request.options.prepend + name
        if request.options.dry_run:
            context.output.text(
                f"COPY {source.object_cname(name)} => {target.object_cname(new_name)}"
            )
            objects += 1
            continue
        try:
            size += context.transport.copy(source, name, target, new_name).size
            objects += 1
        except AisError as error:
            # A list names what is meant; a template stands for what there is of it.
            if isinstance(error, ObjectNotFoundError) and selection.template is not None:
                missing += 1
                if request.options.synchronize:
                    deleted += _delete_if_any(context, target, new_name)
                continue
            if not request.cont_on_err or isinstance(error, BucketNotFoundError):
                raise
            context.output.error(error.message, label=error.code)
            failures.append(name)
    removed = f", deleted {deleted:,}" if deleted else ""
    counted = f"{objects:,} objects ({context.output.size(size)}){removed}"
    if missing:
        context.output.note(f"{missing:,} names of the template do not exist in {source.cname}")
    verb = "Would copy" if request.options.dry_run else "Copied"
    context.output.item(
        {
            "source": source.cname,
            "target": target.cname,
            "objects": objects,
            "size": size,
            "missing": missing,
            "deleted": deleted,
            "failed": failures,
            "dry_run": request.options.dry_run,
        },
        f"{verb} {source.cname} => {target.cname}: {counted}",
        *(["Done."] if request.wait else []),
    )
    if failures:
        context.output.error(f"failed to copy {len(failures):,} objects")
        return ExitCode.PARTIAL
    return ExitCode.OK


def _delete_if_any(context: CliContext, bucket: BucketRef, name: str) -> bool:
    try:
        context.transport.delete(bucket, name)
    except ObjectNotFoundError:
        return False
    return True


def run_summary(context: CliContext, query: BucketQuery | ObjectUri) -> ExitCode:
    """Print counts of the buckets of a query, or of one bucket (and a prefix of it)."""
    if isinstance(query, ObjectUri):
        targets = [(query.bucket, query.name)]
    else:
        found = context.transport.list_buckets(query.provider, query.namespace)
        targets = [(bucket, "") for bucket in found]
        if not targets:
            context.output.text("No buckets in the cluster.")
    size = context.output.size
    columns = [
        Column("name"),
        Column("objects", "OBJECTS (cached, remote)", show=lambda r: f"{r['objects']} 0"),
        Column(
            "size_avg",
            "OBJECT SIZES (min, avg, max)",
            show=lambda r: "  ".join(
                size(_int(r[k])) for k in ("size_min", "size_avg", "size_max")
            ),
        ),
        Column(
            "size",
            "TOTAL OBJECT SIZE (cached, remote)",
            show=lambda r: f"{size(_int(r['size']))} 0B",
        ),
        Column("usage_percent", "USAGE(%)", show=lambda r: f"{r['usage_percent']:.0f}%"),
    ]
    if targets or not context.output.is_table:
        context.output.table(
            columns,
            (
                summary_record(context.transport.summarize_bucket(b, prefix))
                for b, prefix in targets
            ),
        )
    return ExitCode.OK


@dataclass(frozen=True, slots=True, kw_only=True)
class PropsRequest:
    """Properties of a bucket that begin with `prefix`; `compact` is one line a section."""

    bucket: BucketRef
    prefix: str = ""
    compact: bool = False


def run_show_props(context: CliContext, request: PropsRequest) -> ExitCode:
    """Print bucket properties; JSON has the tree as on the wire."""
    from aiscore.model.sections import flatten, to_wire

    props = context.transport.head_bucket(request.bucket)
    prefix = request.prefix.lower()
    shown = flatten(props)
    if not props.backend_bck.is_set:
        # The keys are there for scripts that cut them out; as in AIStore, nothing is behind them.
        shown = {k: v for k, v in shown.items() if not k.startswith("backend_bck.namespace.")}
        shown |= {"backend_bck.name": " ", "backend_bck.provider": " "}
    if request.compact:
        from aiscli.actions.browse.compact import compact_props

        shown = compact_props(props, shown)
    shown = {key: value for key, value in shown.items() if key.lower().startswith(prefix)}
    if not shown:
        raise InvalidArgumentError(
            f'no property of {request.bucket.cname} begins with "{request.prefix}"'
        )
    tree: dict[str, object] = to_wire(props)
    if prefix:
        tree = {
            key: value
            for key, value in tree.items()
            if key.lower().startswith(prefix.partition(".")[0])
        }
    if context.output.options.format in {"csv", "jsonl"}:
        context.output.table(
            [Column("property"), Column("value")],
            ({"property": key, "value": value} for key, value in shown.items()),
        )
    else:
        context.output.properties(tree, shown)
    return ExitCode.OK


@dataclass(frozen=True, slots=True, kw_only=True)
class SetPropsRequest:
    """Property changes of a bucket: words as typed."""

    bucket: BucketRef
    words: tuple[str, ...]
    force: bool = False


def run_set_props(context: CliContext, request: SetPropsRequest) -> ExitCode:
    """Change properties as a whole or not at all, and print what changed."""
    from aiscore.model.props import parse_changes
    from aiscore.model.sections import flatten

    changes = parse_changes(request.words)
    before = flatten(context.transport.head_bucket(request.bucket))
    props = context.transport.set_bucket_props(
        request.bucket, changes.values, force=request.force or changes.force
    )
    return _report_changes(
        context, request.bucket, before, flatten(props), "Bucket props successfully updated."
    )


def run_reset_props(context: CliContext, bucket: BucketRef) -> ExitCode:
    """Reset properties to the cluster's defaults."""
    from aiscore.model.sections import flatten

    before = flatten(context.transport.head_bucket(bucket))
    after = flatten(context.transport.reset_bucket_props(bucket))
    changed = _changed(before, after)
    context.output.item(
        {"bucket": bucket.cname, "changed": changed},
        "Bucket props successfully reset to cluster defaults",
    )
    return ExitCode.OK


def _report_changes(
    context: CliContext, bucket: BucketRef, before: dict[str, str], after: dict[str, str], done: str
) -> ExitCode:
    changed = _changed(before, after)
    if not changed:
        context.output.item(
            {"bucket": bucket.cname, "changed": {}},
            f'Bucket "{bucket.cname}" already has the same values of props, nothing to do',
        )
        return ExitCode.OK
    lines = [f'"{key}" set to: "{c["value"]}" (was: "{c["was"]}")' for key, c in changed.items()]
    context.output.item({"bucket": bucket.cname, "changed": changed}, *lines, "", done)
    return ExitCode.OK


def _changed(before: dict[str, str], after: dict[str, str]) -> dict[str, dict[str, str]]:
    keys = sorted({*before, *after})
    return {
        key: {"value": after.get(key, ""), "was": before.get(key, "")}
        for key in keys
        if after.get(key) != before.get(key)
    }


def _list_records(context: CliContext, records: list[dict[str, object]]) -> None:
    if not context.output.is_table:
        context.output.table([Column(key) for key in (records[0] if records else ())], records)


def _int(value: object) -> int:
    assert isinstance(value, int)
    return value
