"""Cleaning up, stopping, and what counts as a failed run."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aisloader.params.option import Kind, check_section, option

__all__ = ["MiscParams", "resolve"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MiscParams:
    """Cleaning up, stopping, and what counts as a failed run.

    Attributes:
        cleanup: destroy the bucket (or empty it, when it is remote) at the end; never without being asked.
        max_errors: failed operations that a run may have and still exit with 0: a count, or a percentage of all
            operations as text with `%`.
        retries: how often one operation is repeated after a failure that may pass; counted apart.
    """

    cleanup: bool = option(
        False, "cleanup", Kind.BOOL, "destroy the bucket (empty a remote one) at the end"
    )
    stoppable: bool = option(
        False, "stoppable", Kind.BOOL, "let Ctrl-C and SIGTERM end an unlimited run"
    )
    dry_run: bool = option(
        False, "dry-run", Kind.BOOL, "show what would run, without touching anything"
    )
    trace_http: bool = option(
        False, "trace-http", Kind.BOOL, "trace the phases of requests; SIGHUP switches"
    )
    quiet: bool = option(False, "quiet", Kind.BOOL, "do not list the parameters at the start")
    max_errors: str = option(
        "0", "max-errors", Kind.PERCENT, 'failures before the exit code says so: "100" or "0.1%"'
    )
    retries: int = option(
        0, "retries", Kind.UINT, "repetitions of one operation after a passing failure", high=100
    )

    def allows(self, errors: int, operations: int) -> bool:
        """True when `errors` failed ones among `operations` do not make the run a failure."""
        if self.max_errors.endswith("%"):
            return errors * 100 <= float(self.max_errors[:-1]) * operations
        return errors <= int(float(self.max_errors))

    def validate(self) -> None:
        """Check the values; raises `InvalidArgumentError`."""
        check_section(self)


def resolve(
    values: dict[str, Any], given: frozenset[str], environ: Mapping[str, str], notes: list[str]
) -> None:
    """Nothing here depends on anything else."""
    del values, given, environ, notes
