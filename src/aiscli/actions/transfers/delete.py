"""`rm`: one object, or what a list, a template, a prefix, wildcards and patterns choose."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice

from aiscli.actions.buckets import DRY_RUN
from aiscli.actions.transfers.filter import NameFilter
from aiscli.actions.transfers.select import Choice, choose, describe, iter_chosen, require_objects
from aiscli.context import CliContext
from aiscli.exitcodes import ExitCode
from aiscli.output import Column
from aiscli.output.text import printable
from aiscore.errors import InvalidArgumentError, ObjectNotFoundError
from aiscore.model.bucket import BucketRef, ObjectUri
from aiscore.model.objects import DeleteResult, Selection

__all__ = ["DeleteRequest", "run_delete"]

_BATCH = 500
"""Names in one request, where patterns have to be applied here."""
_NAMES_SHOWN = 5
_COLUMNS = [Column(key) for key in ("bucket", "deleted", "name", "missing")]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteRequest:
    """Objects to delete.

    Attributes:
        targets: `BUCKET/NAME`, or buckets alone together with `selection` or `names`.
        selection: list, template, prefix or everything.
        names: patterns that leave out some of many objects.
        exact: a name is one object, never a prefix or a pattern.
        assume_yes: do not ask.
        dry_run: name what would be deleted.
        ignore_missing: an object that does not exist is not an error.
    """

    targets: tuple[ObjectUri, ...]
    selection: Selection | None = None
    names: NameFilter = field(default_factory=NameFilter)
    exact: bool = False
    assume_yes: bool = False
    dry_run: bool = False
    ignore_missing: bool = False

    def __post_init__(self) -> None:
        for target in self.targets:
            require_objects(self.selection, target.name)
            if self.selection is None and not target.name and not self.names:
                raise InvalidArgumentError(
                    f'missing object name in "{target.cname}"',
                    hint="use --all, --prefix, --list, --template or --include for many objects",
                )


def run_delete(context: CliContext, request: DeleteRequest) -> ExitCode:
    """Delete objects; asks before everything of a bucket, patterns, and a prefix that was only guessed."""
    if request.dry_run:
        context.output.text(DRY_RUN)
    # What is asked for, and what cannot be, is known before the first deletion.
    transport = context.transport
    choices = [
        (
            target,
            choose(transport, target, request.selection, request.names, exact=request.exact),
        )
        for target in request.targets
    ]
    records: list[dict[str, object]] = []
    for target, choice in choices:
        if choice is None:
            records.append(_delete_one(context, target, request))
        elif request.dry_run:
            records.append(_list_victims(context, target.bucket, choice))
        elif _may_delete(context, request, target.bucket, choice):
            records.append(_delete_many(context, target.bucket, choice))
    if not context.output.is_table:
        context.output.table(_COLUMNS, records)
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


def _list_victims(context: CliContext, bucket: BucketRef, choice: Choice) -> dict[str, object]:
    count = 0
    for name, _ in iter_chosen(context.transport, bucket, choice):
        context.output.text(f'would delete "{name}" from {bucket.cname}')
        count += 1
    return {
        "bucket": bucket.cname,
        "name": _label(choice),
        "deleted": 0,
        "would_delete": count,
    }


def _may_delete(
    context: CliContext, request: DeleteRequest, bucket: BucketRef, choice: Choice
) -> bool:
    if request.assume_yes:
        return True
    selection = choice.selection
    if choice.is_guess:
        context.output.note(
            f'"{bucket.object_cname(selection.prefix or "")}" is no object: taking it for a prefix '
            "(use --exact to prevent that)"
        )
    if choice.accepts is not None:
        return _may_delete_matches(context, bucket, choice)
    # Where the user spelled the set out, scripts need no --yes; a person at a terminal is asked all
    # the same.
    if not (choice.is_guess or selection.everything or context.prompt.is_interactive):
        return True
    return context.prompt.confirm(f"Proceed to delete {describe(selection)} from {bucket.cname}?")


def _may_delete_matches(context: CliContext, bucket: BucketRef, choice: Choice) -> bool:
    """Ask with the count: a pattern says less than its author thinks."""
    names = iter_chosen(context.transport, bucket, choice)
    shown = [printable(name) for name, _ in islice(names, _NAMES_SHOWN)]
    count = len(shown) + sum(1 for _ in names)
    if not count:
        return True  # which then says so
    more = ", ..." if count > len(shown) else ""
    return context.prompt.confirm(
        f"Proceed to delete {count:,} objects ({', '.join(shown)}{more}) from {bucket.cname}?"
    )


def _delete_many(context: CliContext, bucket: BucketRef, choice: Choice) -> dict[str, object]:
    result = _delete_chosen(context, bucket, choice)
    context.output.text(f"Deleted {result.deleted:,} objects from {bucket.cname}")
    if result.missing:
        context.output.warning(f"{len(result.missing):,} objects do not exist in {bucket.cname}:")
        for name in result.missing:
            context.output.trace(printable(bucket.object_cname(name)))
    return {
        "bucket": bucket.cname,
        "name": _label(choice),
        "deleted": result.deleted,
        "missing": list(result.missing),
    }


def _label(choice: Choice) -> str:
    return describe(choice.selection) if choice.accepts is None else choice.label


def _delete_chosen(context: CliContext, bucket: BucketRef, choice: Choice) -> DeleteResult:
    transport = context.transport
    if choice.accepts is None:
        return transport.delete_many(bucket, choice.selection)
    is_list = choice.selection.names is not None
    deleted = 0
    missing: list[str] = []
    for batch in _batches(name for name, _ in iter_chosen(transport, bucket, choice)):
        result = transport.delete_many(bucket, Selection(names=tuple(batch)))
        deleted += result.deleted
        # What was listed and is gone by now was deleted by somebody else: no news.
        missing += result.missing if is_list else ()
    return DeleteResult(deleted=deleted, missing=tuple(missing))


def _batches(names: Iterator[str]) -> Iterator[list[str]]:
    while batch := list(islice(names, _BATCH)):
        yield batch
