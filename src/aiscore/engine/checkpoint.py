"""Partial manifests: chunks of a PUT that is still running are written down, so that a kill does not lose them.

They are parts of an upload that belongs to the session of the process that writes. While that lives nobody else works
with the upload; after its death it is an upload like others, which can be completed with the parts that are missing, or
aborted, and which expires.
"""

import json
import logging
import secrets
import time
from collections.abc import Mapping, Sequence

from aiscore.engine.commit import FromUpload
from aiscore.engine.core import Core
from aiscore.engine.fileio import storage_error
from aiscore.engine.index.buckets import BucketRow
from aiscore.engine.index.objects import PieceRef, have_mountpaths
from aiscore.engine.index.uploads import (
    PartRow,
    UploadRow,
    delete_upload,
    insert_upload,
    write_parts,
)
from aiscore.engine.layout import piece_directory
from aiscore.errors import AisError, BucketNotFoundError, BusyError
from aiscore.model.checksum import ChecksumType

__all__ = ["Checkpoints", "new_upload_id"]

log = logging.getLogger(__name__)


def new_upload_id(now_ns: int) -> str:
    """An id that nobody guesses; those made later are greater."""
    return f"{now_ns:016x}{secrets.token_hex(8)}"


class Checkpoints:
    """Writes down the chunks of one PUT, `every` so many."""

    def __init__(
        self,
        core: Core,
        bucket: BucketRow,
        name: str,
        custom: Mapping[str, str],
        kind: ChecksumType,
        *,
        every: int,
        sync: bool,
    ) -> None:
        """Nothing is written before the first `record`."""
        self._core = core
        self._bucket = bucket
        self._name = name
        self._custom = custom
        self._kind = kind
        self._every = every
        self._sync = sync
        self._upload_id = ""
        self._recorded: list[PieceRef] = []

    @property
    def upload(self) -> FromUpload | None:
        """What has been written down; None before the first time."""
        return FromUpload(self._upload_id, self._recorded) if self._upload_id else None

    def is_due(self, piece_count: int) -> bool:
        """True when so many pieces are finished that they should be recorded."""
        return piece_count - len(self._recorded) >= self._every

    def record(self, pieces: Sequence[PieceRef]) -> None:
        """Write down those of the finished pieces that are not yet.

        Raises:
            BucketNotFoundError: the bucket was removed meanwhile.
            CapacityExceededError: no space for the index.
        """
        fresh = pieces[len(self._recorded) :]
        if self._sync:
            self._sync_directories(fresh)
        now = time.time_ns()
        first = len(self._recorded) + 1
        rows = [
            PartRow(
                number,
                piece.piece_id,
                piece.mountpath_id,
                piece.size,
                "",
                piece.checksum,
                "",
                piece.piece_id,
                now,
                "",
            )
            for number, piece in enumerate(fresh, start=first)
        ]
        session = self._core.sessions.current()
        upload_id = self._upload_id or new_upload_id(now)
        with self._core.database.write(sync=self._sync) as connection:
            query = "SELECT 1 FROM buckets WHERE id = ?"
            if connection.execute(query, (self._bucket.id,)).fetchone() is None:
                raise BucketNotFoundError(f'bucket "{self._bucket.bucket}" does not exist')
            if not have_mountpaths(connection, {piece.mountpath_id for piece in fresh}):
                raise BusyError(
                    f"a mountpath of {self._bucket.cname}/{self._name} was removed meanwhile",
                    hint="try again",
                )
            if not self._upload_id:
                custom = json.dumps(dict(self._custom), separators=(",", ":"))
                row = UploadRow(
                    upload_id,
                    self._bucket.id,
                    self._name,
                    custom if self._custom else None,
                    self._kind.value,
                    0,
                    session,
                    now,
                    now,
                )
                insert_upload(connection, row)
            write_parts(connection, upload_id, rows)
        self._upload_id = upload_id
        self._recorded.extend(fresh)
        for piece in fresh:
            self._core.sessions.settle(piece.piece_id)

    def abort(self) -> None:
        """Drop what was written down; safe to repeat, and after the commit. What fails here expires."""
        if not self._upload_id:
            return
        upload_id, self._upload_id = self._upload_id, ""
        self._recorded = []
        try:
            if self._core.freeing(lambda: self._delete(upload_id)):
                self._core.garbage.reclaim_marked()
        except AisError as exc:
            log.warning("checkpoints not dropped: upload=%s reason=%s", upload_id, exc)

    def _delete(self, upload_id: str) -> bool:
        with self._core.database.write() as connection:
            return delete_upload(connection, upload_id)

    def _sync_directories(self, pieces: Sequence[PieceRef]) -> None:
        mountpaths = self._core.mountpaths
        try:
            for directory in {
                piece_directory(mountpaths.readable(piece.mountpath_id), piece.piece_id)
                for piece in pieces
            }:
                self._core.files.fsync_dir(directory)
        except OSError as exc:
            raise storage_error(exc, f"{self._bucket.cname}/{self._name}") from exc
