"""Exit codes, and which error class gives which. Scripts rely on them: never renumber."""

from enum import IntEnum

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
)

__all__ = ["ExitCode", "PipeClosedError", "exit_code_of"]


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
