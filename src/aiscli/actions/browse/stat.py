"""`stat`: the properties of a bucket, of an object, or of a file of a shard."""

from dataclasses import dataclass

from aiscli.actions.buckets import PropsRequest, run_show_props
from aiscli.actions.objects import ShowRequest, run_show
from aiscli.context import CliContext
from aiscli.exitcodes import ExitCode
from aiscore.errors import ArchpathNotFoundError, ObjectNotFoundError
from aiscore.model.archive import split_archpath
from aiscore.model.bucket import ObjectUri
from aiscore.model.objects import ListOptions

__all__ = ["StatRequest", "run_stat"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StatRequest:
    """A bucket, an object, or `SHARD/FILE`."""

    target: ObjectUri


def run_stat(context: CliContext, request: StatRequest) -> ExitCode:
    """Print all properties of what the URI names."""
    target = request.target
    if not target.name:
        return run_show_props(context, PropsRequest(bucket=target.bucket))
    try:
        return run_show(context, ShowRequest(object=target, props=("all",)))
    except ObjectNotFoundError as error:
        split = split_archpath(target.name)
        if split is not None:
            return _show_member(context, target, *split)
        error.hint = _directory_hint(context, target) or error.hint
        raise


def _show_member(context: CliContext, target: ObjectUri, shard: str, member: str) -> ExitCode:
    bucket = target.bucket
    for found in context.transport.list_members(bucket, shard):
        if found.name == member:
            record = {
                "bucket": bucket.cname,
                "name": target.name,
                "size": found.size,
                "shard": shard,
                "archpath": member,
            }
            size = context.output.size(found.size)
            shown = {"archpath": member, "name": target.name, "shard": shard, "size": size}
            context.output.properties(record, shown)
            return ExitCode.OK
    raise ArchpathNotFoundError(
        f'"{member}" not found in {bucket.object_cname(shard)}',
        hint=f"see its files: ais archive ls {bucket.object_cname(shard)}",
    )


def _directory_hint(context: CliContext, target: ObjectUri) -> str | None:
    """What to do with a name that is no object but begins the names of objects."""
    prefix = target.name if target.name.endswith("/") else f"{target.name}/"
    page = context.transport.list_page(target.bucket, ListOptions(prefix=prefix, page_size=1))
    if not page.entries:
        return None
    return f"it is a directory of objects: ais du {target.bucket.object_cname(prefix)}"
