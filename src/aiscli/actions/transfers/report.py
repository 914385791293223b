"""What became of many transfers: records as they end, failures counted, and where a run stopped."""

from __future__ import annotations

import contextlib
import errno
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, Self

from aiscli.actions.transfers.parallel import StoppedError
from aiscli.exitcodes import ExitCode
from aiscore.errors import (
    AccessDeniedError,
    AisError,
    BucketNotFoundError,
    CapacityExceededError,
    ProtocolError,
    TransportError,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aiscli.context import CliContext
    from aiscli.output import Column
    from aiscli.output.progress import Advance

__all__ = ["Outcome", "Report", "Tally", "is_fatal", "reason_of", "status_of"]

_SHOWN_MAX = 10
"""Failures that are told one by one; the machine formats have all of them."""
_FATAL_ERRNO = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS})


class Outcome(Protocol):
    """What became of one item."""

    @property
    def size(self) -> int:
        """Bytes transferred."""
        ...

    @property
    def is_skipped(self) -> bool:
        """True when nothing was to be done."""
        ...

    @property
    def label(self) -> str:
        """What the item is called on stderr."""
        ...

    @property
    def error(self) -> AisError | OSError | None:
        """Why it failed."""
        ...

    def record(self) -> dict[str, object]:
        """Its line of the machine formats."""
        ...


@dataclass(slots=True)
class Tally:
    """Sums of a run."""

    done: int = 0
    size: int = 0
    skipped: int = 0
    failed: int = 0
    causes: Counter[str] = field(default_factory=Counter)
    last: AisError | OSError | None = None

    def add(self, outcome: Outcome) -> None:
        """Count one more."""
        if outcome.error is not None:
            self.failed += 1
            self.causes[_class_of(outcome.error)] += 1
            self.last = outcome.error
        elif outcome.is_skipped:
            self.skipped += 1
        else:
            self.done += 1
            self.size += outcome.size

    def failures(self, verb: str, noun: str) -> str:
        """One line: how many failed, and why."""
        total = self.done + self.skipped + self.failed
        causes = ", ".join(f"{count:,} {cause}" for cause, count in self.causes.most_common())
        return f"failed to {verb} {self.failed:,} of {total:,} {noun}: {causes}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """How a run of many items is reported.

    Attributes:
        verb: `GET`, `PUT`; in messages.
        noun: `objects`, `files`.
        columns: of the machine formats.
        cont_on_err: go on after an item that fails, unless the next would fail alike.
        total: items in all, where that is known.
    """

    verb: str
    noun: str
    columns: Sequence[Column]
    cont_on_err: bool = False
    total: int | None = None

    def follow(
        self, context: CliContext, outcomes: Iterator[Outcome], advance: Advance
    ) -> tuple[Tally, ExitCode]:
        """Consume the outcomes; write their records and the summary of failures.

        Raises:
            AisError: the item that ended the run.
            OSError: likewise.
            KeyboardInterrupt: the user did. The records are complete in any case.
        """
        tally = Tally()
        ended: BaseException | None = None
        writer = _Silent() if context.output.is_table else context.output.records(self.columns)
        with writer:
            try:
                for outcome in outcomes:
                    tally.add(outcome)
                    writer.page([outcome.record()])
                    advance(0 if outcome.error else 1, 0 if outcome.error else outcome.size)
                    if outcome.error is not None:
                        if not self.cont_on_err or is_fatal(outcome.error):
                            ended = outcome.error
                            break
                        if tally.failed <= _SHOWN_MAX:
                            context.output.error(_told(outcome.label, reason_of(outcome.error)))
            except (AisError, OSError, KeyboardInterrupt, SystemExit) as error:
                if isinstance(error, BrokenPipeError):
                    raise
                ended = error
            finally:
                _close(outcomes)
        if ended is not None:
            self._stopped(context, tally, ended)
            raise ended
        if tally.failed:
            context.output.error(tally.failures(self.verb, self.noun))
            return tally, ExitCode.PARTIAL
        return tally, ExitCode.OK

    def _stopped(self, context: CliContext, tally: Tally, ended: BaseException) -> None:
        """Say what was not done; nothing where there was one item only."""
        done = tally.done + tally.skipped
        how = "stopped" if isinstance(ended, (AisError, OSError)) else "interrupted"
        if self.total in {0, 1} or (how == "stopped" and not done and not tally.failed):
            return  # the error says it all
        of_total = f" of {self.total:,}" if self.total is not None else ""
        hint = (
            "run it again to do the rest" if how == "interrupted" else "the rest was not attempted"
        )
        if how == "stopped" and not self.cont_on_err:
            hint += " (--cont-on-err goes on)"
        context.output.warning(
            f"{how} after {done:,}{of_total} {self.noun}, {tally.failed:,} failed: {hint}"
        )


def status_of(outcome: Outcome) -> str:
    """The field `status` of a record."""
    if outcome.error is not None:
        return "failed"
    return "unchanged" if outcome.is_skipped else "done"


def reason_of(error: AisError | OSError) -> str:
    """One line about a failure, without the label of its class."""
    if isinstance(error, AisError):
        return error.message
    where = f"{error.filename}: " if error.filename else ""
    return f"{where}{(error.strerror or str(error)).lower()}"


def _told(label: str, reason: str) -> str:
    return reason if label in reason else f"{label}: {reason}"


def is_fatal(error: AisError | OSError) -> bool:
    """True when the next item would fare no better."""
    if isinstance(error, OSError):
        return error.errno in _FATAL_ERRNO
    if isinstance(error, ProtocolError):
        return False  # what one name provokes; if the server is gone, the next one finds it so
    fatal = (BucketNotFoundError, TransportError, CapacityExceededError, AccessDeniedError)
    return isinstance(error, fatal)


def _class_of(error: AisError | OSError) -> str:
    if isinstance(error, AisError):
        return error.code or type(error).__name__
    return (error.strerror or type(error).__name__).lower()


def _close(outcomes: Iterator[Outcome]) -> None:
    """End a generator now, with what it started: an item that ends because of that is no news."""
    close = getattr(outcomes, "close", None)
    if close is not None:
        with contextlib.suppress(StoppedError):
            close()


class _Silent:
    """A record writer for table runs, which print a summary only."""

    def page(self, records: object) -> None:
        """Drop the records."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        pass
