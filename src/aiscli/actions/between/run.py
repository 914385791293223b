"""Copying between stores: choose, compare, carry over, report."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from aiscli.actions.between.ferry import Ferry
from aiscli.actions.between.like import ensure_bucket, exists
from aiscli.actions.between.pick import End, Verdict, Work, pick
from aiscli.actions.between.stores import HERE, Place, Stores, open_stores
from aiscli.actions.buckets import DRY_RUN
from aiscli.actions.transfers.filter import NameFilter
from aiscli.actions.transfers.parallel import Pace, Workers
from aiscli.actions.transfers.report import Report, Tally, reason_of, status_of
from aiscli.actions.transfers.select import Choice, choose, describe, require_objects
from aiscli.exitcodes import ExitCode
from aiscli.output import Column
from aiscli.output.progress import progress
from aiscore.errors import AisError, InvalidArgumentError, ObjectNotFoundError
from aiscore.model.names import check_object_name, check_prefix
from aiscore.model.objects import Selection

if TYPE_CHECKING:
    from aiscli.context import CliContext
    from aiscore.model.bucket import ObjectUri

__all__ = ["BetweenRequest", "run_between"]

_COLUMNS = [Column(key) for key in ("source", "target", "size", "reason", "status", "error")]


@dataclass(frozen=True, slots=True, kw_only=True)
class BetweenRequest:
    """What to copy, and between which stores.

    Attributes:
        source: bucket, with an object name, a prefix, a template or a pattern behind it.
        target: bucket; with a name only when one object is copied.
        from_place: the store of the source.
        to_place: the store of the target.
        selection: list, template or prefix given by flags.
        names: patterns that leave names out.
        prepend: put before each new name.
        workers: transfers at a time; None chooses.
        cont_on_err: go on after an object that cannot be copied.
        dry_run: show what would be copied, change nothing.
        show_progress: on a terminal.
    """

    source: ObjectUri
    target: ObjectUri
    from_place: Place = HERE
    to_place: Place = HERE
    selection: Selection | None = None
    names: NameFilter = field(default_factory=NameFilter)
    prepend: str = ""
    workers: int | None = None
    cont_on_err: bool = False
    dry_run: bool = False
    show_progress: bool = False


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What became of one name."""

    work: Work
    source: str
    target: str
    is_skipped: bool = False
    is_planned: bool = False
    error: AisError | OSError | None = None

    @property
    def size(self) -> int:
        return 0 if self.work.reason == Verdict.METADATA else self.work.size

    @property
    def label(self) -> str:
        return self.source

    def record(self) -> dict[str, object]:
        return {
            "source": self.source,
            "target": self.target,
            "size": self.work.size,
            "reason": self.work.reason or None,
            "status": "planned" if self.is_planned else status_of(self),
            "error": None if self.error is None else reason_of(self.error),
        }


def run_between(context: CliContext, request: BetweenRequest) -> ExitCode:
    """Copy one object, some, or a bucket to another store.

    What the target has already is left alone, so a run that ended early is simply repeated.
    """
    check_prefix(request.prepend)
    require_objects(request.selection, request.source.name)
    stores = open_stores(context, request.from_place, request.to_place)
    source = End(stores.source, request.source.bucket)
    target = End(stores.target, request.target.bucket)
    source.transport.head_bucket(source.bucket)
    choice, rename = _choose(source, request)
    _check_overlap(stores, source, target, rename)
    if request.dry_run:
        is_new = not exists(target)
    else:
        is_new = ensure_bucket(source, target, context.output)
    works = pick(source, target, choice, rename, is_new=is_new)
    run = _Run(stores, source, target, request, is_list=choice.selection.names is not None)
    if request.dry_run:
        return run.show(context, works)
    return run.carry(context, works, choice)


@dataclass(frozen=True, slots=True)
class _Rename:
    """The name in the target: `new_name` of the only object, else the same with `prepend` before it."""

    prepend: str
    new_name: str = ""

    def __call__(self, name: str) -> str:
        return self.new_name or self.prepend + name


def _choose(source: End, request: BetweenRequest) -> tuple[Choice, _Rename]:
    uri, target = request.source, request.target
    choice = choose(source.transport, uri, request.selection, request.names)
    if choice is None and uri.name:
        source.transport.head(uri.bucket, uri.name)  # before a bucket is made for it
        selection = Selection(names=(uri.name,))
        new_name = target.name
        if new_name.endswith("/"):
            new_name += uri.name.rpartition("/")[2]
        new_name = check_object_name(new_name or request.prepend + uri.name)
        return Choice(selection, describe(selection)), _Rename("", new_name)
    if target.name:
        raise InvalidArgumentError(
            f'cannot copy many objects to one name "{target.cname}"',
            hint=f"use --prepend {target.name} for a prefix",
        )
    if choice is None:
        choice = Choice(Selection(everything=True), "all objects")
    return choice, _Rename(request.prepend)


def _check_overlap(stores: Stores, source: End, target: End, rename: _Rename) -> None:
    if stores.are_one and source.bucket == target.bucket and not rename.new_name:
        # With a prefix, too: what is copied would be listed, and copied again.
        raise InvalidArgumentError(
            f"cannot copy objects of {source.bucket} into the same bucket by patterns",
            hint="give another bucket, or --prefix and --prepend without patterns",
        )


class _Run:
    """The work of one command."""

    def __init__(
        self, stores: Stores, source: End, target: End, request: BetweenRequest, *, is_list: bool
    ) -> None:
        self._stores = stores
        self._source = source
        self._target = target
        self._request = request
        self._is_list = is_list
        self._pace = Pace()
        self._missing = 0

    def carry(self, context: CliContext, works: Iterator[Work], choice: Choice) -> ExitCode:
        """Copy, and report."""
        request = self._request
        workers = Workers(request.workers, self._stores.farther)
        ferry = Ferry(self._source, self._target, self._pace.check)
        total = len(choice.selection.names) if choice.selection.names is not None else None
        report = Report(
            verb="copy",
            noun="objects",
            columns=_COLUMNS,
            cont_on_err=request.cont_on_err,
            total=total,
        )

        def do(work: Work) -> _Outcome:
            return self._outcome(ferry, work)

        with progress("copy", enabled=request.show_progress) as advance:
            outcomes = workers.map(do, self._present(works), self._pace, _weight)
            tally, code = report.follow(context, outcomes, advance)
        self._summarise(context, tally, "Copied")
        return code

    def show(self, context: CliContext, works: Iterator[Work]) -> ExitCode:
        """What would be copied."""
        context.output.text(DRY_RUN)
        tally = Tally()

        def planned() -> Iterator[_Outcome]:
            for work in self._present(works):
                outcome = self._planned(work)
                tally.add(outcome)
                if outcome.is_planned:
                    context.output.text(f"COPY {outcome.source} => {outcome.target}")
                yield outcome

        if context.output.is_table:
            for _ in planned():
                pass
        else:
            with context.output.records(_COLUMNS) as writer:
                writer.page(outcome.record() for outcome in planned())
        self._summarise(context, tally, "Would copy")
        return ExitCode.PARTIAL if tally.failed else ExitCode.OK

    def _present(self, works: Iterator[Work]) -> Iterator[Work]:
        """Without the names of a template that do not exist: it stands for what there is of it."""
        for work in works:
            if work.reason == Verdict.MISSING and not self._is_list:
                self._missing += 1
            else:
                yield work

    def _outcome(self, ferry: Ferry, work: Work) -> _Outcome:
        labels = self._labels(work)
        if work.reason == Verdict.SAME:
            return _Outcome(work, *labels, is_skipped=True)
        try:
            if work.reason == Verdict.MISSING:
                raise _missing(labels[0])
            check_object_name(work.new_name)
            is_done = ferry.do(work)
        except (AisError, OSError) as error:
            return _Outcome(work, *labels, error=error)
        return _Outcome(work, *labels, is_skipped=not is_done)

    def _planned(self, work: Work) -> _Outcome:
        labels = self._labels(work)
        if work.reason == Verdict.MISSING:
            return _Outcome(work, *labels, error=_missing(labels[0]))
        is_same = work.reason == Verdict.SAME
        return _Outcome(work, *labels, is_skipped=is_same, is_planned=not is_same)

    def _labels(self, work: Work) -> tuple[str, str]:
        return (
            self._source.bucket.object_cname(work.name),
            self._target.bucket.object_cname(work.new_name),
        )

    def _summarise(self, context: CliContext, tally: Tally, verb: str) -> None:
        source, target = self._source, self._target
        if self._missing:
            context.output.note(
                f"{self._missing:,} names of the template do not exist in {source.bucket.cname}"
            )
        same = f", {tally.skipped:,} were there already" if tally.skipped else ""
        context.output.text(
            f"{verb} {source.bucket.cname} ({source.transport.endpoint}) => {target.bucket.cname} "
            f"({target.transport.endpoint}): {tally.done:,} objects "
            f"({context.output.size(tally.size)}){same}"
        )


def _missing(cname: str) -> ObjectNotFoundError:
    return ObjectNotFoundError(f"{cname} does not exist")


def _weight(work: Work) -> int:
    return 0 if work.reason in {Verdict.SAME, Verdict.METADATA, Verdict.MISSING} else work.size
