"""Exit codes, and which error class gives which. Scripts rely on them: never renumber."""

from collections.abc import Mapping
from enum import IntEnum
from types import MappingProxyType

from aiscore.errors import (
    AccessDeniedError,
    AisError,
    AlreadyExistsError,
    BusyError,
    ChecksumMismatchError,
    CorruptionError,
    InvalidArgumentError,
    NotFoundError,
    ObjectNotFoundError,
    PreconditionFailedError,
    ThrottledError,
    TransportError,
    UnavailableError,
    XactionAbortedError,
)

__all__ = ["EXIT_MEANINGS", "ExitCode", "PipeClosedError", "exit_code_of"]


class PipeClosedError(Exception):
    """The reader of stdout has gone; the run ends silently."""


class ExitCode(IntEnum):
    """What the shell sees."""

    OK = 0
    ERROR = 1
    USAGE = 2
    NOT_FOUND = 3
    """A bucket, job, mountpath or anything else that is not an object."""
    OBJECT_NOT_FOUND = 4
    """An object, a file of a shard, or a local file."""
    PARTIAL = 5
    """Some items failed; the counts are on stderr."""
    DENIED = 6
    UNREACHABLE = 7
    CONFLICT = 8
    NOTHING_TO_DO = 9
    """Only with `--error-on-nothing`."""
    TIMEOUT = 10
    INTEGRITY = 11
    JOB_FAILED = 12
    INTERRUPTED = 130
    BROKEN_PIPE = 141
    TERMINATED = 143


EXIT_MEANINGS: Mapping[ExitCode, str] = MappingProxyType(
    {
        ExitCode.OK: "success",
        ExitCode.ERROR: "general or server error",
        ExitCode.USAGE: "usage",
        ExitCode.NOT_FOUND: "bucket, job or other thing not found",
        ExitCode.OBJECT_NOT_FOUND: "object or file not found",
        ExitCode.PARTIAL: "some items failed",
        ExitCode.DENIED: "access denied",
        ExitCode.UNREACHABLE: "endpoint unreachable or busy",
        ExitCode.CONFLICT: "conflict",
        ExitCode.NOTHING_TO_DO: "nothing to do",
        ExitCode.TIMEOUT: "timeout",
        ExitCode.INTEGRITY: "integrity, or differences found",
        ExitCode.JOB_FAILED: "job failed",
        ExitCode.INTERRUPTED: "interrupted",
        ExitCode.BROKEN_PIPE: "closed pipe",
        ExitCode.TERMINATED: "terminated",
    }
)
"""What each code means, for the help, the man page and the reference."""

_BY_CLASS: dict[type, ExitCode] = {
    AisError: ExitCode.ERROR,
    InvalidArgumentError: ExitCode.USAGE,
    NotFoundError: ExitCode.NOT_FOUND,
    ObjectNotFoundError: ExitCode.OBJECT_NOT_FOUND,
    AccessDeniedError: ExitCode.DENIED,
    AlreadyExistsError: ExitCode.CONFLICT,
    PreconditionFailedError: ExitCode.CONFLICT,
    BusyError: ExitCode.CONFLICT,
    ThrottledError: ExitCode.UNREACHABLE,
    UnavailableError: ExitCode.UNREACHABLE,
    TransportError: ExitCode.UNREACHABLE,
    ChecksumMismatchError: ExitCode.INTEGRITY,
    CorruptionError: ExitCode.INTEGRITY,
    XactionAbortedError: ExitCode.JOB_FAILED,
}


def exit_code_of(error: BaseException) -> ExitCode:
    """The exit code of the nearest class of `error` that has one; 1 for anything else."""
    if isinstance(error, FileNotFoundError):
        return ExitCode.OBJECT_NOT_FOUND
    for cls in type(error).__mro__:
        code = _BY_CLASS.get(cls)
        if code is not None:
            return code
    return ExitCode.ERROR
