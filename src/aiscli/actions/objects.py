"""Single objects: show, rename, custom metadata, promote."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from aiscli.actions.records import object_record
from aiscli.context import CliContext
from aiscli.exitcodes import ExitCode
from aiscore.errors import InvalidArgumentError, ObjectNotFoundError
from aiscore.model.bucket import BucketRef, ObjectUri
from aiscore.model.objects import ObjectProps, PromoteOptions

__all__ = [
    "SHOW_PROPS",
    "PromoteRequest",
    "RenameObjectRequest",
    "SetCustomRequest",
    "ShowRequest",
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
    shown = {key: _shown(context, bucket, props, key) for key in sorted(chosen)}
    context.output.properties(object_record(bucket, props), shown)
    return ExitCode.OK


def _shown(context: CliContext, bucket: BucketRef, props: ObjectProps, key: str) -> str:
    match key:
        case "name":
            return bucket.object_cname(props.name)
        case "size":
            return context.output.size(props.size)
        case "checksum":
            return "" if props.checksum is None else str(props.checksum)
        case "atime":
            return _rfc822(props.atime_ns)
        case "last-modified":
            return _rfc822(props.mtime_ns)
        case "chunked":
            return f"{props.chunk_count} chunks" if props.is_chunked else "-"
        case "copies":
            where = f" [{' '.join(props.mirror_paths)}]" if props.mirror_paths else ""
            return f"{props.copies}{where}"
        case "custom":
            custom = ", ".join(f"{k}={v}" for k, v in sorted(props.custom.items()))
            return f"[{custom}]" if custom else "-"
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
