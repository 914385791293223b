"""Scrub, and the disks of the store."""

from collections.abc import Callable
from dataclasses import dataclass

from aiscli.context import CliContext
from aiscli.exitcodes import ExitCode
from aiscli.output import Column
from aiscore.errors import AisError, InvalidArgumentError
from aiscore.model.bucket import ObjectUri
from aiscore.model.storage import MountpathInfo

__all__ = [
    "MountpathAction",
    "MountpathRequest",
    "ValidateRequest",
    "run_mountpath",
    "run_show_mountpaths",
    "run_validate",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidateRequest:
    """What to read: everything, a bucket, or a prefix of one."""

    target: ObjectUri | None = None
    prefix: str = ""

    def __post_init__(self) -> None:
        if self.prefix and (self.target is None or self.target.name):
            raise InvalidArgumentError("--prefix needs a bucket without a prefix of its own")


def run_validate(context: CliContext, request: ValidateRequest) -> ExitCode:
    """Read everything, and list what is wrong by name."""
    bucket = request.target.bucket if request.target is not None else None
    prefix = request.prefix or (request.target.name if request.target is not None else "")
    report = context.transport.validate(bucket, prefix)
    faults = [{"kind": f.kind.value, "name": f.name, "detail": f.detail} for f in report.faults]
    output = context.output
    if output.is_table and faults:
        output.table([Column("kind", "FAULT"), Column("name"), Column("detail")], faults)
    what = f"{report.objects:,} objects, {report.pieces:,} pieces ({output.size(report.size)})"
    found = f"{len(faults):,} faults found" if faults else "no faults found"
    output.item(
        {
            "bucket": None if bucket is None else bucket.cname,
            "prefix": prefix,
            "objects": report.objects,
            "pieces": report.pieces,
            "size": report.size,
            "faults": faults,
        },
        f"Validated {what}: {found}",
    )
    return ExitCode.INTEGRITY if faults else ExitCode.OK


def run_show_mountpaths(context: CliContext) -> ExitCode:
    """Print the disks of the store."""
    columns = [
        Column("path", "MOUNTPATH"),
        Column("used_percent", "USED(%)", show=lambda record: f"{record['used_percent']}%"),
        Column("available", "AVAIL", is_size=True),
        Column("total", "SIZE", is_size=True),
        Column("pieces"),
        Column("state", "STATUS"),
    ]
    context.output.table(
        columns, (_mountpath_record(info) for info in context.transport.mountpaths())
    )
    return ExitCode.OK


def _mountpath_record(info: MountpathInfo) -> dict[str, object]:
    return {
        "path": info.path,
        "used_percent": round(100 * info.disk_used / info.disk_total) if info.disk_total else 0,
        "used": info.disk_used,
        "available": info.disk_total - info.disk_used,
        "total": info.disk_total,
        "pieces": info.piece_count,
        "state": info.state.value,
    }


@dataclass(frozen=True, slots=True)
class MountpathAction:
    """What to do with a mountpath, and how the result reads.

    Attributes:
        call: the transport's method.
        done: past participle of the message.
        question: asked before; "" asks nothing.
    """

    call: Callable[[str], None]
    done: str
    question: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class MountpathRequest:
    """Mountpaths, each a path or `NODE=PATH`."""

    paths: tuple[str, ...]
    assume_yes: bool = False


def run_mountpath(
    context: CliContext, request: MountpathRequest, action: MountpathAction
) -> ExitCode:
    """Attach, detach, enable or disable mountpaths; stops at the first failure."""
    records: list[dict[str, object]] = []
    for word in request.paths:
        node, path = _split_node(word)
        asks = action.question and not request.assume_yes
        if asks and not context.prompt.confirm(action.question.format(path=path)):
            return ExitCode.OK
        try:
            action.call(path)
        except AisError:
            if records:
                context.output.note(f"{len(records)} mountpath(s) before it were {action.done}")
            raise
        head = f"{node}: " if node else ""
        context.output.text(f'{head}mountpath "{path}" is now {action.done}')
        records.append({"path": path, "action": action.done})
    if not context.output.is_table:
        context.output.table([Column("path"), Column("action")], records)
    return ExitCode.OK


def _split_node(word: str) -> tuple[str, str]:
    """`NODE=PATH`, or a path alone."""
    node, equals, path = word.partition("=")
    if equals and not node.startswith("/"):
        return node, path
    return "", word
