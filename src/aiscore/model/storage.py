"""Values that describe the disks of a home and what a scrub of them found."""

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["Fault", "FaultKind", "MountpathInfo", "MountpathState", "ValidateReport"]


class MountpathState(StrEnum):
    """What a mountpath is used for."""

    ENABLED = "enabled"
    DISABLED = "disabled"
    """Taken out of use by the operator: nothing is written to it, what lies on it is unavailable."""
    DRAINING = "draining"
    """Being removed: nothing is written to it, what still lies on it is read."""
    MISSING = "missing"
    """The directory, or its label, is not where the index says: a disk that is not mounted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MountpathInfo:
    """One mountpath: where it is, how full its disk is (bytes), and how many pieces lie on it."""

    path: str
    state: MountpathState
    disk_used: int = 0
    disk_total: int = 0
    piece_count: int = 0


class FaultKind(StrEnum):
    """What a scrub can find."""

    MISSING = "missing piece"
    SIZE = "wrong size"
    CHECKSUM = "checksum mismatch"
    UNREADABLE = "unreadable"
    ORPHAN = "orphan piece"
    COPIES = "missing copies"
    INDEX = "index"


@dataclass(frozen=True, slots=True)
class Fault:
    """One finding: kind, what it concerns (an object's cname, a piece's path), and the detail."""

    kind: FaultKind
    name: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidateReport:
    """Result of a scrub: what was read and what was found wrong."""

    objects: int
    pieces: int
    size: int
    faults: tuple[Fault, ...] = ()
