"""Which failure gives which exit code: scripts rely on the numbers."""

import pytest

from aiscli.exitcodes import ExitCode, exit_code_of
from aiscore import errors


@pytest.mark.parametrize(
    ("cls", "code"),
    [
        (errors.AisError, 1),
        (errors.StorageError, 1),
        (errors.UnsupportedError, 1),
        (errors.CapacityExceededError, 1),
        (errors.RangeNotSatisfiableError, 1),
        (errors.InvalidArgumentError, 2),
        (errors.InvalidNameError, 2),
        (errors.BucketNotFoundError, 3),
        (errors.MountpathNotFoundError, 3),
        (errors.XactionNotFoundError, 3),
        (errors.ObjectNotFoundError, 4),
        (errors.ArchpathNotFoundError, 4),
        (errors.AccessDeniedError, 6),
        (errors.UnauthenticatedError, 6),
        (errors.ConnectError, 7),
        (errors.TransportTimeoutError, 7),
        (errors.ThrottledError, 7),
        (errors.UnavailableError, 7),
        (errors.BucketAlreadyExistsError, 8),
        (errors.PreconditionFailedError, 8),
        (errors.BusyError, 8),
        (errors.ChecksumMismatchError, 11),
        (errors.CorruptionError, 11),
    ],
)
def test_the_class_decides(cls: type[errors.AisError], code: int) -> None:
    assert exit_code_of(cls("x")) == code


def test_every_error_class_has_a_code() -> None:
    for name in errors.__all__:
        assert exit_code_of(getattr(errors, name)("x")) in ExitCode


def test_a_missing_local_file_is_not_found() -> None:
    assert exit_code_of(FileNotFoundError()) == 4
    assert exit_code_of(PermissionError()) == 1


def test_the_numbers_are_a_contract() -> None:
    assert {code.name: code.value for code in ExitCode} == {
        "OK": 0,
        "ERROR": 1,
        "USAGE": 2,
        "NOT_FOUND": 3,
        "OBJECT_NOT_FOUND": 4,
        "PARTIAL": 5,
        "DENIED": 6,
        "UNREACHABLE": 7,
        "CONFLICT": 8,
        "NOTHING_TO_DO": 9,
        "TIMEOUT": 10,
        "INTEGRITY": 11,
        "JOB_FAILED": 12,
        "INTERRUPTED": 130,
        "BROKEN_PIPE": 141,
        "TERMINATED": 143,
    }
