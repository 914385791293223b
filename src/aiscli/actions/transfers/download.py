"""One object into one local file: whole, verified, and under its name only then.

Content goes into a work file beside the destination, called after a hash of the destination's name,
so that a later run finds what an earlier one left, whatever ended it. A work file is locked while it
is written; who finds it locked takes a name of its own. From `RESUME_SIZE_MIN` on a note beside the
work file says which content it is the beginning of (size and checksum). A later run goes on from
there when the object still has both, and begins anew otherwise. In either case the checksum of the
whole file decides whether it gets its name.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Self

from aiscli.actions.transfers.hashing import Hash, check_content, new_hash
from aiscli.actions.transfers.localfile import copy_to, unique_file
from aiscore.errors import CorruptionError
from aiscore.model.checksum import Checksum, ChecksumType
from aiscore.model.stream import BLOCK_SIZE

if TYPE_CHECKING:
    from aiscore.transport.base import ObjectReader

__all__ = ["RESUME_SIZE_MIN", "Saving", "is_work_file", "save"]

RESUME_SIZE_MIN = 8 << 20
"""Bytes of an object from which what arrived is kept: less is sent again sooner than it is checked."""
_PREFIX, _WORK, _NOTE = ".ais-", ".part", ".note"
_NOTE_SIZE_MAX = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Saving:
    """How to save one object.

    Attributes:
        cname: what it is called in messages.
        verify: compare the content with the stored checksum; only for the whole of an object.
        reopen: opens the same object from an offset; None never goes on from earlier work.
        mtime_ns: modification time of the file; None is now.
        on_block: told the bytes of each step; may raise to end the transfer.
        on_resume: told the bytes that were there already.
        follow: a destination that is a symbolic link is written through, not replaced.
    """

    cname: str
    verify: bool = True
    reopen: Callable[[int], ObjectReader] | None = None
    mtime_ns: int | None = None
    on_block: Callable[[int], None] | None = None
    on_resume: Callable[[int], None] | None = None
    follow: bool = True


def is_work_file(name: str) -> bool:
    """True for the base name of a file that a download, running or ended, keeps beside others."""
    return name.startswith(_PREFIX) and name.endswith((_WORK, _NOTE))


def save(reader: ObjectReader, path: str, saving: Saving) -> int:
    """Write what `reader` gives to `path`; the size of the file in bytes.

    The directory must exist. What is neither missing nor a regular file (a pipe, a device) is
    written directly: there is nothing to replace.

    Raises:
        CorruptionError: the content does not have the checksum that the store keeps.
        ProtocolError: fewer or more bytes than the object has.
        IsADirectoryError: `path` is one.
    """
    final = os.path.realpath(path) if saving.follow else path
    checksum = reader.props.checksum if saving.verify else None
    if checksum is not None and checksum.type is ChecksumType.NONE:
        checksum = None
    with contextlib.suppress(FileNotFoundError):
        mode = (os.stat if saving.follow else os.lstat)(final).st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(21, "is a directory", path)
        if saving.follow and not stat.S_ISREG(mode):
            with open(final, "wb", buffering=0) as direct:
                return _receive(reader, direct, saving, checksum, _digest(checksum), 0)
    with _Work(final) as work:
        try:
            size = _fill(reader, work, saving, checksum)
            work.publish(saving.mtime_ns)
        except (CorruptionError, OSError) as error:
            # What is wrong must not be gone on from, and what fills the disk must not stay.
            work.discard()
            if isinstance(error, OSError) and error.filename is None:
                error.filename = path
            raise
        except BaseException:
            if not work.is_noted:
                work.discard()
            raise
    return size


def _fill(reader: ObjectReader, work: _Work, saving: Saving, checksum: Checksum | None) -> int:
    """Bring the work file to the whole content, from what is there already where that is possible."""
    props = reader.props
    if saving.reopen is None or checksum is None or props.size < RESUME_SIZE_MIN:
        work.begin()
        return _receive(reader, work.file, saving, checksum, _digest(checksum), 0)
    note = {"size": props.size, "checksum": str(checksum), "object": saving.cname}
    have = work.length_of(note)
    if not have:
        work.begin(note)
        return _receive(reader, work.file, saving, checksum, _digest(checksum), 0)
    reader.close()
    if saving.on_resume is not None:
        saving.on_resume(have)
    try:
        return _go_on(work, saving, checksum, props.size, have)
    except CorruptionError:
        # The beginning may be to blame (a power cut leaves holes): once more, from nothing.
        work.begin(note)
        with saving.reopen(0) as anew:
            return _receive(anew, work.file, saving, checksum, _digest(checksum), 0)


def _go_on(work: _Work, saving: Saving, checksum: Checksum, size: int, have: int) -> int:
    assert saving.reopen is not None
    digest = new_hash(checksum.type)
    buffer = memoryview(bytearray(BLOCK_SIZE))
    done = 0
    work.file.seek(0)
    while done < have:
        count = work.file.readinto(buffer[: min(BLOCK_SIZE, have - done)])  # type: ignore[attr-defined]
        if not count:
            raise CorruptionError(f"{saving.cname}: the work file became shorter")
        digest.update(buffer[:count])
        done += count
        if saving.on_block is not None:
            saving.on_block(count)
    if have == size:
        check_content(digest, checksum, saving.cname)
        return size
    with saving.reopen(have) as rest:
        if rest.props.size != size or rest.props.checksum != checksum:
            raise CorruptionError(f"{saving.cname} was replaced meanwhile")
        return _receive(rest, work.file, saving, checksum, digest, have)


def _receive(
    reader: ObjectReader,
    file: BinaryIO,
    saving: Saving,
    checksum: Checksum | None,
    digest: Hash | None,
    have: int,
) -> int:
    update = None if digest is None else digest.update
    copied = copy_to(reader, file, reader.size, saving.cname, saving.on_block, update)
    if digest is not None and checksum is not None:
        check_content(digest, checksum, saving.cname)
    return have + copied


def _digest(checksum: Checksum | None) -> Hash | None:
    return None if checksum is None else new_hash(checksum.type)


class _Work:
    """The work file of one destination, locked. A context manager.

    Raises:
        OSError: the directory is missing or may not be written.
    """

    def __init__(self, final: str) -> None:
        directory, base = os.path.split(final)
        tag = hashlib.blake2b(os.fsencode(base), digest_size=8).hexdigest()
        stem = os.path.join(directory, f"{_PREFIX}{tag}")
        self._final = final
        self._path, self._note = f"{stem}{_WORK}", f"{stem}{_NOTE}"
        self._is_shared_name = True
        self.is_noted = False
        descriptor = _open_locked(self._path)
        if descriptor is None:
            descriptor, self._path = unique_file(directory)
            self._is_shared_name = False
        self.file: BinaryIO = open(descriptor, "r+b", buffering=0)  # noqa: SIM115
        self._had = os.fstat(descriptor).st_size

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.file.close()

    def length_of(self, note: dict[str, object]) -> int:
        """Bytes at hand of the content that `note` describes; 0 for other content or none."""
        size = note["size"]
        assert isinstance(size, int)
        have = self._had
        if not self._is_shared_name or not 0 < have <= size:
            return 0
        try:
            with open(self._note, "rb") as file:
                found = json.loads(file.read(_NOTE_SIZE_MAX))
        except (OSError, ValueError):
            return 0
        keys = ("size", "checksum")
        if not isinstance(found, dict) or any(found.get(key) != note[key] for key in keys):
            return 0
        self.is_noted = True
        return have

    def begin(self, note: dict[str, object] | None = None) -> None:
        """Empty the file; with a note, say first what will be in it."""
        if self._had or self.file.tell():
            self.file.seek(0)
            self.file.truncate()
            self._drop_note()
        self.is_noted = False
        if note is not None and self._is_shared_name:
            with contextlib.suppress(OSError):  # without it the next run begins anew, no more
                with open(self._note, "w", encoding="utf-8") as file:
                    json.dump(note, file)
                self.is_noted = True

    def publish(self, mtime_ns: int | None) -> None:
        """Give the file its name."""
        descriptor = self.file.fileno()
        if mtime_ns is not None:
            os.utime(descriptor, ns=(mtime_ns, mtime_ns))
        os.replace(self._path, self._final)
        if self.is_noted:
            self._drop_note()

    def discard(self) -> None:
        """Leave nothing."""
        with contextlib.suppress(OSError):
            os.unlink(self._path)
        self._drop_note()

    def _drop_note(self) -> None:
        if self._is_shared_name:
            with contextlib.suppress(OSError):
                os.unlink(self._note)


def _open_locked(path: str) -> int | None:
    """A descriptor of the file, made if need be, that holds its lock; None when another has it."""
    for _ in range(8):
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
        except IsADirectoryError:
            return None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            opened, named = os.fstat(descriptor), os.stat(path, follow_symlinks=False)
            if (opened.st_dev, opened.st_ino) == (named.st_dev, named.st_ino):
                return descriptor
        except BlockingIOError:
            os.close(descriptor)
            return None
        except FileNotFoundError:
            pass  # its owner has just given it the final name: make another
        except OSError:
            os.close(descriptor)
            return None  # no locks on this filesystem
        os.close(descriptor)
    return None
