"""Tables of the index, and the way from one format version to the next."""

import sqlite3

from aiscore.engine.layout import APPLICATION_ID, FORMAT_VERSION, check_format
from aiscore.errors import FormatVersionError

__all__ = [
    "PIECE_APPENDING",
    "PIECE_COPY",
    "PIECE_GARBAGE",
    "PIECE_LIVE",
    "PIECE_PART",
    "check_identity",
    "migrate",
]

PIECE_LIVE = 0
"""Named by an object or by a row of `manifests`."""
PIECE_GARBAGE = 1
"""No name points at it (nor at the manifest that starts with it): the file goes when no reader holds it."""
PIECE_APPENDING = 2
"""Held by a row of `appends`: still growing, not yet visible."""
PIECE_PART = 3
"""Held by a row of `parts`: finished, not yet visible."""
PIECE_COPY = 4
"""Held by a row of `copies`: the same bytes as a live piece, on another mountpath."""

_TABLES = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;

CREATE TABLE mountpaths (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  label TEXT NOT NULL UNIQUE,
  path TEXT NOT NULL UNIQUE,
  state TEXT NOT NULL);

CREATE TABLE sessions (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  pid INTEGER NOT NULL,
  started_ns INTEGER NOT NULL,
  settled INTEGER NOT NULL,
  reserved INTEGER NOT NULL);

CREATE TABLE buckets (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  provider TEXT NOT NULL,
  ns_uuid TEXT NOT NULL,
  ns_name TEXT NOT NULL,
  name TEXT NOT NULL,
  props TEXT NOT NULL,
  UNIQUE (provider, ns_uuid, ns_name, name));

CREATE TABLE doomed_buckets (id INTEGER PRIMARY KEY);

CREATE TABLE objects (
  bucket_id INTEGER NOT NULL,
  name TEXT NOT NULL,
  size INTEGER NOT NULL,
  version INTEGER NOT NULL,
  checksum_type TEXT NOT NULL,
  checksum TEXT NOT NULL,
  atime_ns INTEGER NOT NULL,
  mtime_ns INTEGER NOT NULL,
  custom TEXT,
  generation INTEGER NOT NULL,
  mountpath_id INTEGER NOT NULL,
  piece_id INTEGER NOT NULL,
  piece_count INTEGER NOT NULL,
  piece_size_max INTEGER NOT NULL,
  copies INTEGER NOT NULL,
  PRIMARY KEY (bucket_id, name)) WITHOUT ROWID;

CREATE TABLE manifests (
  manifest_id INTEGER NOT NULL,
  number INTEGER NOT NULL,
  piece_id INTEGER NOT NULL,
  mountpath_id INTEGER NOT NULL,
  size INTEGER NOT NULL,
  checksum TEXT NOT NULL,
  PRIMARY KEY (manifest_id, number)) WITHOUT ROWID;

CREATE TABLE copies (
  piece_id INTEGER NOT NULL,
  copy_id INTEGER NOT NULL,
  mountpath_id INTEGER NOT NULL,
  PRIMARY KEY (piece_id, copy_id)) WITHOUT ROWID;

CREATE TABLE pieces (
  id INTEGER PRIMARY KEY,
  mountpath_id INTEGER NOT NULL,
  state INTEGER NOT NULL);
CREATE INDEX pieces_garbage ON pieces (id) WHERE state = 1;

CREATE TABLE appends (
  handle TEXT PRIMARY KEY,
  bucket_id INTEGER NOT NULL,
  name TEXT NOT NULL,
  mountpath_id INTEGER NOT NULL,
  piece_id INTEGER NOT NULL,
  size INTEGER NOT NULL,
  used_ns INTEGER NOT NULL) WITHOUT ROWID;

CREATE TABLE uploads (
  id TEXT PRIMARY KEY,
  bucket_id INTEGER NOT NULL,
  name TEXT NOT NULL,
  custom TEXT,
  checksum_type TEXT NOT NULL,
  has_md5 INTEGER NOT NULL,
  session_id INTEGER NOT NULL,
  created_ns INTEGER NOT NULL,
  used_ns INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX uploads_named ON uploads (bucket_id, name, id);

CREATE TABLE parts (
  upload_id TEXT NOT NULL,
  number INTEGER NOT NULL,
  piece_id INTEGER NOT NULL,
  mountpath_id INTEGER NOT NULL,
  size INTEGER NOT NULL,
  checksum TEXT NOT NULL,
  chunk_checksum TEXT NOT NULL,
  md5 TEXT NOT NULL,
  generation INTEGER NOT NULL,
  mtime_ns INTEGER NOT NULL,
  note TEXT NOT NULL,
  PRIMARY KEY (upload_id, number)) WITHOUT ROWID;

CREATE TABLE shard_indexes (
  generation INTEGER PRIMARY KEY,
  format TEXT NOT NULL,
  members BLOB NOT NULL);

CREATE TABLE xactions (
  id TEXT PRIMARY KEY,
  kind TEXT NOT NULL,
  state TEXT NOT NULL,
  bucket TEXT NOT NULL,
  target TEXT NOT NULL,
  session_id INTEGER NOT NULL,
  started_ns INTEGER NOT NULL,
  ended_ns INTEGER NOT NULL,
  updated_ns INTEGER NOT NULL,
  stop INTEGER NOT NULL DEFAULT 0,
  objects INTEGER NOT NULL,
  size INTEGER NOT NULL,
  control TEXT NOT NULL,
  error TEXT NOT NULL,
  error_code TEXT NOT NULL,
  ext TEXT NOT NULL) WITHOUT ROWID;
CREATE INDEX xactions_ended ON xactions (ended_ns);
"""

_UPGRADES: dict[int, str] = {}
"""Statements that turn format N into N + 1, by N; each runs inside the transaction that raises the version."""


def migrate(connection: sqlite3.Connection, home: str) -> bool:
    """Create the tables of a new index, or bring an old one up to date; True when it was new.

    Several processes may call this at once on one home: the work is done inside one exclusive transaction.

    Raises:
        FormatVersionError: a newer release wrote the index, or it is not ours.
    """
    if check_identity(connection, home) == FORMAT_VERSION:
        return False
    connection.execute("BEGIN IMMEDIATE")
    try:
        version = check_identity(connection, home)
        if version:
            for step in range(version, FORMAT_VERSION):
                _run(connection, _UPGRADES[step])
        else:
            _run(connection, _TABLES)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {FORMAT_VERSION}")
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    return not version


def check_identity(connection: sqlite3.Connection, home: str) -> int:
    """The format version of an index, 0 for a file without content; nothing is changed.

    Raises:
        FormatVersionError: a newer release wrote it, or another program.
    """
    application, version, tables = _read_identity(connection)
    if application != APPLICATION_ID:
        if application or version or tables:
            raise FormatVersionError(
                f"{home}/index.db is a database of another program", hint="choose another home"
            )
        return 0
    check_format(version, home)
    return version


def _read_identity(connection: sqlite3.Connection) -> tuple[int, int, int]:
    """Application id, version and number of tables, all as of one moment: another process may be making the index."""
    is_own = not connection.in_transaction
    if is_own:
        connection.execute("BEGIN")
    try:
        tables = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
        application = connection.execute("PRAGMA application_id").fetchone()[0]
        version = connection.execute("PRAGMA user_version").fetchone()[0]
    finally:
        if is_own:
            connection.execute("ROLLBACK")
    return int(application), int(version), int(tables)


def _run(connection: sqlite3.Connection, script: str) -> None:
    # Not executescript: that commits the transaction it finds open.
    for statement in script.split(";"):
        if statement.strip():
            connection.execute(statement)
