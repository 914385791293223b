"""Single objects: show, rename, custom metadata, promote; and deletion of one or many."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from aiscli.actions.buckets import DRY_RUN
from aiscli.actions.records import object_record
from aiscli.actions.select import describe, iter_selected, require_objects, resolve_name
from aiscli.context import CliContext
from aiscli.exitcodes import ExitCode
from aiscore.errors import InvalidArgumentError, ObjectNotFoundError
from aiscore.model.bucket import BucketRef, ObjectUri
from aiscore.model.objects import ObjectProps, PromoteOptions, Selection

__all__ = [
    "SHOW_PROPS",
    "DeleteRequest",
    "PromoteRequest",
    "RenameObjectRequest",
    "SetCustomRequest",
    "ShowRequest",
    "run_delete",
    "run_promote",
    "run_rename_object",
    "run_set_custom",
    "run_show",
]

SHOW_PROPS = (
    "atime",
    "checksum",
    "chunked",
    "copies",
    "custom",
    "ec",
    "etag",
    "last-modified",
    "location",
    "name",
    "size",
    "version",
)
"""What `show object --props all` shows, sorted."""
_DEFAULT_PROPS = ("name", "size", "checksum", "atime")
_DEFAULT_PROPS_REMOTE = ("name", "size", "checksum", "version", "custom", "last-modified", "etag")


@dataclass(frozen=True, slots=True, kw_only=True)
class ShowRequest:
    """An object and the properties wanted; None is the default of its provider."""

    object: ObjectUri
    props: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        for name in self.props or ():
            if name != "all" and name not in SHOW_PROPS:
                raise InvalidArgumentError(
                    f'invalid property "{name}"', hint=f"use: all, {', '.join(SHOW_PROPS)}"
                )


def run_show(context: CliContext, request: ShowRequest) -> ExitCode:
    """Print the properties of an object."""
    bucket, name = request.object.bucket, request.object.name
    try:
        props = context.transport.head(bucket, name)
    except ObjectNotFoundError as error:
        raise ObjectNotFoundError(
            f'"{name}" not found in {bucket.cname}', hint=error.hint
        ) from error
    chosen = request.props or (_DEFAULT_PROPS_REMOTE if bucket.is_remote else _DEFAULT_PROPS)
    if "all" in chosen:
        chosen = SHOW_PROPS
    shown = {key: _shown(context, props, key) for key in sorted(chosen)}
    context.output.properties(object_record(bucket, props), shown)
    return ExitCode.OK


def _shown(context: CliContext, props: ObjectProps, key: str) -> str:
    match key:
        case "name":
            return props.name
        case "size":
            return context.output.size(props.size)
        case "checksum":
            return "" if props.checksum is None else str(props.checksum)
        case "atime":
            return _rfc822(props.atime_ns)
        case "last-modified":
            return _rfc822(props.mtime_ns)
        case "chunked":
            return f"{props.chunk_count} chunks" if props.is_chunked else "no"
        case "copies":
            return str(props.copies)
        case "custom":
            return ", ".join(f"{k}={v}" for k, v in sorted(props.custom.items()))
        case "etag":
            return props.etag
        case "location":
            return props.location
        case "version":
            return props.version
        case _:
            return "-"


def _rfc822(time_ns: int) -> str:
    from datetime import UTC, datetime

    if not time_ns:
        return "-"
    return datetime.fromtimestamp(time_ns // 1_000_000_000, UTC).strftime("%d %b %y %H:%M UTC")


@dataclass(frozen=True, slots=True, kw_only=True)
class RenameObjectRequest:
    """An object and its new name in the same bucket."""

    object: ObjectUri
    new_name: str


def run_rename_object(context: CliContext, request: RenameObjectRequest) -> ExitCode:
    """Rename an object."""
    bucket, name = request.object.bucket, request.object.name
    if name == request.new_name:
        raise InvalidArgumentError(f'cannot rename "{request.object.cname}" to itself')
    context.transport.rename(bucket, name, request.new_name)
    context.output.item(
        {"bucket": bucket.cname, "name": name, "new_name": request.new_name},
        f'"{name}" moved to "{request.new_name}"',
    )
    return ExitCode.OK


@dataclass(frozen=True, slots=True, kw_only=True)
class SetCustomRequest:
    """Custom metadata to merge; an empty value removes its key; `replace` drops all other keys."""

    object: ObjectUri
    custom: Mapping[str, str] = field(default_factory=dict)
    replace: bool = False


def run_set_custom(context: CliContext, request: SetCustomRequest) -> ExitCode:
    """Set custom metadata."""
    bucket, name = request.object.bucket, request.object.name
    props = context.transport.set_custom(bucket, name, request.custom, replace=request.replace)
    context.output.item(
        {"bucket": bucket.cname, "name": name, "custom": dict(props.custom)},
        "Custom props successfully updated (to show updates, "
        f"run 'ais show object {request.object.cname} --props=all').",
    )
    return ExitCode.OK


@dataclass(frozen=True, slots=True, kw_only=True)
class PromoteRequest:
    """A path on the store's host, and where it goes."""

    path: str
    target: ObjectUri
    options: PromoteOptions = field(default_factory=PromoteOptions)
    assume_yes: bool = False


def run_promote(context: CliContext, request: PromoteRequest) -> ExitCode:
    """Take files of the store's host into a bucket."""
    options = request.options
    if (
        options.delete_source
        and not request.assume_yes
        and not context.prompt.confirm(f'Remove "{request.path}" after promoting it?')
    ):
        return ExitCode.OK
    bucket = request.target.bucket
    result = context.transport.promote(bucket, request.path, request.target.name, options)
    head = "recursively promoted" if options.recursive else "promoted"
    skipped = f" ({result.skipped:,} existing objects kept)" if result.skipped else ""
    context.output.item(
        {
            "source": request.path,
            "bucket": bucket.cname,
            "objects": result.objects,
            "size": result.size,
            "skipped": result.skipped,
        },
        f'{head} "{request.path}" => {bucket.cname}{skipped}',
        "",
    )
    return ExitCode.OK


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteRequest:
    """Objects to delete.

    Attributes:
        targets: `BUCKET/NAME`, or buckets alone together with `selection`.
        selection: list, template, prefix or everything.
        exact: a name is one object, never a prefix.
        assume_yes: do not ask.
        dry_run: name what would be deleted.
        ignore_missing: an object that does not exist is not an error.
    """

    targets: tuple[ObjectUri, ...]
    selection: Selection | None = None
    exact: bool = False
    assume_yes: bool = False
    dry_run: bool = False
    ignore_missing: bool = False

    def __post_init__(self) -> None:
        for target in self.targets:
            require_objects(self.selection, target.name)
            if self.selection is None and not target.name:
                raise InvalidArgumentError(
                    f'missing object name in "{target.cname}"',
                    hint="use --all, --prefix, --list or --template for many objects",
                )


def run_delete(context: CliContext, request: DeleteRequest) -> ExitCode:
    """Delete objects; asks before everything of a bucket, and before a prefix that was only guessed."""
    if request.dry_run:
        context.output.text(DRY_RUN)
    records: list[dict[str, object]] = []
    for target in request.targets:
        selection = request.selection
        is_guess = False
        if selection is None and not request.exact:
            selection = resolve_name(context.transport, target.bucket, target.name)
            is_guess = selection is not None and selection.prefix is not None
        if selection is None:
            records.append(_delete_one(context, target, request))
        elif request.dry_run:
            records += _list_victims(context, target.bucket, selection)
        elif _may_delete(context, request, target.bucket, selection, is_guess=is_guess):
            records.append(_delete_many(context, target.bucket, selection))
    if not context.output.is_table:
        from aiscli.output import Column

        keys = ["bucket", "deleted", "name", "missing"]
        context.output.table([Column(key) for key in keys], records)
    return ExitCode.PARTIAL if any(record.get("missing") for record in records) else ExitCode.OK


def _delete_one(
    context: CliContext, target: ObjectUri, request: DeleteRequest
) -> dict[str, object]:
    deleted = 0
    try:
        if request.dry_run:
            context.transport.head(target.bucket, target.name)
            context.output.text(f'would delete "{target.name}" from {target.bucket.cname}')
        else:
            context.transport.delete(target.bucket, target.name)
            context.output.text(f'deleted "{target.name}" from {target.bucket.cname}')
            deleted = 1
    except ObjectNotFoundError as error:
        if not request.ignore_missing:
            raise
        context.output.warning(error.message)
    return {"bucket": target.bucket.cname, "name": target.name, "deleted": deleted}


def _list_victims(
    context: CliContext, bucket: BucketRef, selection: Selection
) -> list[dict[str, object]]:
    records: list[dict[str, object]] = []
    count = 0
    for name, _ in iter_selected(context.transport, bucket, selection):
        context.output.text(f'would delete "{name}" from {bucket.cname}')
        count += 1
    records.append(
        {"bucket": bucket.cname, "name": describe(selection), "deleted": 0, "would_delete": count}
    )
    return records


def _may_delete(
    context: CliContext,
    request: DeleteRequest,
    bucket: BucketRef,
    selection: Selection,
    *,
    is_guess: bool,
) -> bool:
    if request.assume_yes:
        return True
    if is_guess:
        context.output.note(
            f'"{bucket.object_cname(selection.prefix or "")}" is no object: taking it for a prefix '
            "(use --exact to prevent that)"
        )
    # Where the user spelled the set out, scripts need no --yes; a person at a terminal is asked all
    # the same.
    if not (is_guess or selection.everything or context.prompt.is_interactive):
        return True
    return context.prompt.confirm(f"Proceed to delete {describe(selection)} from {bucket.cname}?")


def _delete_many(context: CliContext, bucket: BucketRef, selection: Selection) -> dict[str, object]:
    result = context.transport.delete_many(bucket, selection)
    context.output.text(f"Deleted {result.deleted:,} objects from {bucket.cname}")
    if result.missing:
        context.output.warning(f"{len(result.missing):,} objects do not exist in {bucket.cname}:")
        for name in result.missing:
            context.output.trace(bucket.object_cname(name))
    return {
        "bucket": bucket.cname,
        "name": describe(selection),
        "deleted": result.deleted,
        "missing": list(result.missing),
    }
