"""The only place that builds an on-disk path. The format is described in `docs/format.md`.

```
HOME/
  index.db            SQLite: names, metadata, manifests, sessions (WAL: index.db-wal, index.db-shm beside it)
  run/SESSION.lock    held with flock(2) by the process that owns the session
  reserve             space given up when a delete finds the disk full
  mp/                 the first mountpath
MOUNTPATH/
  .aiscore.json       label: home and mountpath ids
  pieces/XX/ID        one payload piece; ID is 16 hex digits, XX follows from it (`piece_directory`)
```
"""

from aiscore.errors import FormatVersionError

__all__ = [
    "APPLICATION_ID",
    "FORMAT_VERSION",
    "LABEL_NAME",
    "check_format",
    "default_mountpath",
    "index_path",
    "label_path",
    "piece_directory",
    "piece_path",
    "pieces_root",
    "reserve_path",
    "run_directory",
    "session_lock_path",
]

APPLICATION_ID = 0x41495343
"""`AISC`, in the SQLite header: tells our index from any other database."""
FORMAT_VERSION = 1
"""In `PRAGMA user_version`; raised with every change that an older release cannot read."""
LABEL_NAME = ".aiscore.json"


def index_path(home: str) -> str:
    """The SQLite file."""
    return f"{home}/index.db"


def run_directory(home: str) -> str:
    """Where lock files of sessions stand."""
    return f"{home}/run"


def session_lock_path(home: str, session: int) -> str:
    """Lock file of one session."""
    return f"{home}/run/{session}.lock"


def reserve_path(home: str) -> str:
    """Space given up when a delete finds the disk full."""
    return f"{home}/reserve"


def default_mountpath(home: str) -> str:
    """The mountpath that every home starts with."""
    return f"{home}/mp"


def label_path(mountpath: str) -> str:
    """The file that says whose mountpath this is."""
    return f"{mountpath}/{LABEL_NAME}"


def pieces_root(mountpath: str) -> str:
    """Directory of all pieces of a mountpath."""
    return f"{mountpath}/pieces"


def piece_directory(mountpath: str, piece_id: int) -> str:
    """Directory that holds a piece: one of 256, which keeps each small enough to list.

    256 pieces in a row share one (creating each in another directory costs several times as much), and each session
    begins with another one.
    """
    return f"{mountpath}/pieces/{(piece_id >> 8 ^ piece_id >> 32) & 0xFF:02x}"


def piece_path(mountpath: str, piece_id: int) -> str:
    """Path of a piece."""
    return f"{mountpath}/pieces/{(piece_id >> 8 ^ piece_id >> 32) & 0xFF:02x}/{piece_id:016x}"


def check_format(version: int, home: str) -> None:
    """Refuse a home that a newer release wrote.

    Raises:
        FormatVersionError: `version` is newer than `FORMAT_VERSION`.
    """
    if version > FORMAT_VERSION:
        raise FormatVersionError(
            f"{home} has on-disk format {version}, this release reads up to {FORMAT_VERSION}",
            hint="install the release that wrote it, or a newer one",
        )
