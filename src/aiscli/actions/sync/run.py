"""`sync`: make a directory or a bucket have what another has.

First everything is compared and planned (`sync_plan`), then copied, and only when every copy
succeeded is deleted what the source does not have.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING

from aiscli.actions.between.stores import HERE, Place, Stores, open_stores
from aiscli.actions.buckets import DRY_RUN
from aiscli.actions.sync.apply import Attempt, BucketSide, DirectorySide, Route, make_route
from aiscli.actions.sync.plan import (
    COPY,
    DELETE,
    MARK,
    REFUSE,
    Plan,
    Rules,
    Step,
    build_plan,
    digest_of,
)
from aiscli.actions.sync.tree import Tree, clean_work_files, iter_objects
from aiscli.actions.transfers.filter import NameFilter
from aiscli.actions.transfers.parallel import Pace, Workers
from aiscli.actions.transfers.report import Report, Tally
from aiscli.exitcodes import ExitCode
from aiscli.output import Column
from aiscli.output.progress import progress
from aiscli.output.text import printable
from aiscli.uri import parse_target
from aiscore.errors import AisError, InvalidArgumentError
from aiscore.model.names import check_prefix

if TYPE_CHECKING:
    from aiscli.context import CliContext

__all__ = ["SyncRequest", "parse_side", "run_sync"]

Side = BucketSide | DirectorySide
_FIELDS = ("action", "source", "destination", "size", "reason", "status", "error")
_COLUMNS = [Column(name) for name in _FIELDS]
_PLAN_COLUMNS = [
    Column("action"),
    Column("size", is_size=True),
    Column("reason"),
    Column("destination"),
]
_NAMES_SHOWN = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncRequest:
    """What to bring where.

    Attributes:
        source: directory or bucket.
        target: likewise; one of the two is a bucket.
        names: patterns of what takes part; what they leave out is neither copied nor deleted.
        delete: remove from the target what the source does not have.
        delete_despite_errors: do so even if something could not be copied.
        checksum: compare content even where size and time are equal.
        workers: transfers at a time; None chooses.
        cont_on_err: go on after an item that fails.
        dry_run: show the plan, change nothing.
        assume_yes: delete without asking.
        show_progress: on a terminal.
        from_place: the store of a source that is a bucket.
        to_place: the store of a target that is a bucket.
    """

    source: Side
    target: Side
    names: NameFilter = field(default_factory=NameFilter)
    delete: bool = False
    delete_despite_errors: bool = False
    checksum: bool = False
    workers: int | None = None
    cont_on_err: bool = False
    dry_run: bool = False
    assume_yes: bool = False
    show_progress: bool = False
    from_place: Place = HERE
    to_place: Place = HERE

    def __post_init__(self) -> None:
        source, target = self.source, self.target
        if isinstance(source, DirectorySide) and isinstance(target, DirectorySide):
            raise InvalidArgumentError(
                "one of the two must be a bucket",
                hint=f"write a bucket as ais://NAME: is it ais://{target.root}?",
            )
        for side, place in ((source, self.from_place), (target, self.to_place)):
            if place.is_given and isinstance(side, DirectorySide):
                raise InvalidArgumentError(
                    f'{place.flag}-context and {place.flag}-endpoint are for a bucket, "{side.root}" is a '
                    "directory"
                )
        is_one_store = not (self.from_place.is_given or self.to_place.is_given)
        if is_one_store and isinstance(source, BucketSide) and isinstance(target, BucketSide):
            overlap = source.prefix.startswith(target.prefix) or target.prefix.startswith(
                source.prefix
            )
            if source.bucket == target.bucket and overlap:
                raise InvalidArgumentError(
                    f"{source.label('')} and {target.label('')} overlap: one lies in the other"
                )
        if self.delete_despite_errors and not self.delete:
            raise InvalidArgumentError("--delete-despite-errors needs --delete")


def parse_side(text: str) -> Side:
    """Read one side: `PROVIDER://BUCKET[/PREFIX]` is a bucket, anything else a directory.

    Raises:
        InvalidArgumentError: malformed.
    """
    if "://" not in text:
        if not text:
            raise InvalidArgumentError("empty directory name", hint='the current one is "."')
        return DirectorySide(os.path.expanduser(text))
    uri = parse_target(text)
    prefix = check_prefix(uri.name)
    return BucketSide(uri.bucket, f"{prefix}/" if prefix and prefix[-1] != "/" else prefix)


def run_sync(context: CliContext, request: SyncRequest) -> ExitCode:
    """Plan, ask, copy, delete."""
    stores = open_stores(context, request.from_place, request.to_place)
    _check_sides(stores, request)
    with Plan() as plan:
        trees = _fill(stores, request, plan)
        _warn(context, trees)
        if request.delete and not plan.sources and plan.counts[DELETE]:
            raise InvalidArgumentError(
                f"{request.source.label('')} has nothing to sync: refusing to delete everything "
                f"at {request.target.label('')}",
                hint="check the source; to delete, use: ais rm, or rm",
            )
        if request.dry_run:
            return _show(context, request, plan)
        _refuse(context, request, plan)
        if not _may_delete(context, request, plan):
            if not context.output.is_table:
                context.output.table(_COLUMNS, [])
            return ExitCode.OK
        if isinstance(request.target, DirectorySide):
            clean_work_files(trees[-1].work_files)
        return _Run(context, stores, request, plan).run()


def _check_sides(stores: Stores, request: SyncRequest) -> None:
    for side, transport in ((request.source, stores.source), (request.target, stores.target)):
        if isinstance(side, BucketSide):
            transport.head_bucket(side.bucket)
    source, target = request.source, request.target
    if isinstance(source, DirectorySide):
        os.stat(source.root)
        if not os.path.isdir(source.root):
            raise InvalidArgumentError(
                f'"{source.root}" is not a directory', hint="for one file use: ais put"
            )
    if (
        isinstance(target, DirectorySide)
        and os.path.lexists(target.root)
        and not os.path.isdir(target.root)
    ):
        raise InvalidArgumentError(f'"{target.root}" is not a directory')


def _fill(stores: Stores, request: SyncRequest, plan: Plan) -> list[Tree]:
    """Build the plan; the directories that took part."""
    source, target = request.source, request.target
    trees: list[Tree] = []
    sides = []
    for side, other in ((source, target), (target, source)):
        if isinstance(side, DirectorySide):
            trees.append(Tree(side.root, may_be_missing=side is target))
            sides.append(trees[-1].items())
        else:
            recorded_only = side is target and isinstance(other, DirectorySide)
            transport = stores.source if side is source else stores.target
            found = iter_objects(transport, side.bucket, side.prefix, recorded_only=recorded_only)
            sides.append(found)

    def read_both(name: str) -> bool:
        assert isinstance(source, BucketSide)
        assert isinstance(target, BucketSide)
        one = digest_of(stores.source, source.bucket, source.prefix + name)
        return one == digest_of(stores.target, target.bucket, target.prefix + name)

    rules = Rules(
        names=request.names,
        delete=request.delete,
        checksum=request.checksum,
        source_is_local=isinstance(source, DirectorySide),
        target_is_local=isinstance(target, DirectorySide),
        read_both=read_both,
        object_prefix=target.prefix if isinstance(target, BucketSide) else "",
    )
    build_plan(plan, sides[0], sides[1], rules)
    return trees


def _warn(context: CliContext, trees: list[Tree]) -> None:
    for tree in trees:
        if tree.links:
            context.output.warning(
                f"{tree.links:,} symbolic links to directories not followed in {tree.root}"
            )
        if tree.others:
            context.output.warning(
                f"{tree.others:,} files left out that are no regular files in {tree.root}"
            )


def _refuse(context: CliContext, request: SyncRequest, plan: Plan) -> None:
    """Without `--cont-on-err`, end before the first change if the plan has items that cannot be done."""
    count = plan.counts[REFUSE]
    if not count or request.cont_on_err:
        return
    for step in islice(plan.steps(REFUSE), _NAMES_SHOWN):
        label = request.source.label(step.name)
        context.output.error(step.reason if label in step.reason else f"{label}: {step.reason}")
    if not context.output.is_table:
        writer = _Attempts(request)
        with context.output.records(_COLUMNS) as records:
            records.page(writer.refusal(step).record() for step in plan.steps(REFUSE))
    raise AisError(
        f"{count:,} items cannot be synced: nothing was done",
        hint="leave them out with --exclude, or go on without them with --cont-on-err",
    )


def _may_delete(context: CliContext, request: SyncRequest, plan: Plan) -> bool:
    count = plan.counts[DELETE]
    if not count or request.assume_yes:
        return True
    names = [printable(step.name) for step in islice(plan.steps(DELETE), _NAMES_SHOWN)]
    more = ", ..." if count > len(names) else ""
    where = request.target.label("")
    return context.prompt.confirm(f"Delete {count:,} from {where} ({', '.join(names)}{more})?")


def _show(context: CliContext, request: SyncRequest, plan: Plan) -> ExitCode:
    """The plan as it is."""
    context.output.text(DRY_RUN)
    make = _Attempts(request)
    is_table = context.output.is_table
    with context.output.records(_PLAN_COLUMNS if is_table else _COLUMNS) as writer:
        writer.page(
            make.refusal(step).record() if step.kind == REFUSE else make.planned(step).record()
            for step in plan.steps(COPY, DELETE, REFUSE)
        )
    counts = plan.counts
    size = context.output.size(plan.copy_size)
    context.output.text(
        f"Would copy {counts[COPY]:,} ({size}), delete {counts[DELETE]:,}; "
        f"{plan.same:,} unchanged, {counts[REFUSE]:,} cannot be synced"
    )
    return ExitCode.PARTIAL if counts[REFUSE] else ExitCode.OK


class _Attempts:
    """Makes attempts, which name both sides, of steps."""

    def __init__(self, request: SyncRequest) -> None:
        self._source, self._target = request.source, request.target

    def planned(self, step: Step, status: str = "planned") -> Attempt:
        """A step that is not carried out."""
        return self._attempt(step, status)

    def refusal(self, step: Step) -> Attempt:
        """A step that cannot be."""
        error = InvalidArgumentError(step.reason)
        return self._attempt(step, "failed", error)

    def run(self, call: Callable[[Step], None], step: Step) -> Attempt:
        """Carry a step out."""
        try:
            call(step)
        except (AisError, OSError) as error:
            return self._attempt(step, "failed", error)
        return self._attempt(step, "done")

    def _attempt(self, step: Step, status: str, error: AisError | OSError | None = None) -> Attempt:
        action = COPY if step.kind == MARK else step.kind
        source = "" if step.kind == DELETE else self._source.label(step.name)
        return Attempt(step, action, source, self._target.label(step.name), status, error)


class _Run:
    """One sync that changes things."""

    def __init__(
        self, context: CliContext, stores: Stores, request: SyncRequest, plan: Plan
    ) -> None:
        self._context = context
        self._request = request
        self._plan = plan
        self._pace = Pace()
        self._make = _Attempts(request)
        self._workers = Workers(request.workers, stores.farther)
        self._route: Route = make_route(stores, request.source, request.target, self._pace)
        self._tally = Tally()
        self._deleted = 0
        self._withheld = 0

    def run(self) -> ExitCode:
        """Do the steps, and say what became of them."""
        report = Report(
            verb="sync",
            noun="items",
            columns=_COLUMNS,
            cont_on_err=self._request.cont_on_err,
            total=self._plan.counts[COPY] + self._plan.counts[DELETE] + self._plan.counts[REFUSE],
        )
        with progress(
            "sync", enabled=self._request.show_progress, total_size=self._plan.copy_size
        ) as advance:
            _, code = report.follow(
                self._context,
                self._attempts(),
                advance,
            )
        if self._withheld:
            self._context.output.warning(
                f"{self._withheld:,} not deleted because not everything was copied"
            )
        self._summarise()
        return code

    def _attempts(self) -> Iterator[Attempt]:
        failed = False
        for attempt in self._copies():
            failed = failed or attempt.error is not None
            if attempt.error is None:
                self._tally.done += 1
                self._tally.size += attempt.size
            yield attempt
        for attempt in self._deletions(withhold=failed):
            self._deleted += attempt.status == "done"
            yield attempt

    def _copies(self) -> Iterator[Attempt]:
        for step in self._plan.steps(REFUSE):
            yield self._make.refusal(step)
        for attempt in self._workers.map(
            self._do, self._plan.steps(COPY, MARK), self._pace, _weight
        ):
            if attempt.step.kind == COPY:
                yield attempt

    def _do(self, step: Step) -> Attempt:
        if step.kind == MARK:
            self._make.run(self._route.mark, step)  # worth a comparison next time, no more
            return self._make.planned(step)
        return self._make.run(self._route.copy, step)

    def _deletions(self, *, withhold: bool) -> Iterator[Attempt]:
        withhold = withhold and not self._request.delete_despite_errors
        for step in self._plan.steps(DELETE):
            if withhold:
                self._withheld += 1
            else:
                yield self._make.run(self._route.delete, step)

    def _summarise(self) -> None:
        plan, output = self._plan, self._context.output
        source, target = self._request.source.label(""), self._request.target.label("")
        deleted = f", {self._deleted:,} deleted" if self._request.delete else ""
        output.text(
            f"Synced {source} => {target}: {self._tally.done:,} copied "
            f"({output.size(self._tally.size)}){deleted}, {plan.same:,} unchanged"
        )


def _weight(step: Step) -> int:
    return step.size if step.kind == COPY else 0
