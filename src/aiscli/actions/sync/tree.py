"""Both sides of a sync as items in byte order of their names: a directory, and a prefix of a bucket.

A directory gives its regular files, and symbolic links to files as what they point at. Symbolic
links to directories are not followed: nothing outside of the tree is reached, no loop is walked.
What is neither (a socket, a device) is counted and left out. A directory that cannot be read ends the
walk with an error, because what lies in it would look deleted.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from aiscli.actions.sync.compare import Item
from aiscli.actions.transfers.download import is_work_file
from aiscli.actions.transfers.select import iter_pages
from aiscore.model.bucket import BucketRef
from aiscore.model.objects import ListEntry, ListOptions, ListProp

if TYPE_CHECKING:
    from aiscore.transport.base import Transport

__all__ = ["BROKEN", "MTIME_KEY", "Tree", "clean_work_files", "iter_objects", "recorded_mtime"]

MTIME_KEY = "source-mtime-ns"
"""Custom metadata: modification time of the file that an object was made of, ns since the epoch."""
BROKEN = "broken"
"""Origin of an item whose file cannot be looked at: it exists, and must not look deleted."""
_PROPS = frozenset(
    {
        ListProp.NAME,
        ListProp.SIZE,
        ListProp.CHECKSUM,
        ListProp.CUSTOM,
        ListProp.LAST_MODIFIED,
        ListProp.ETAG,
    }
)


@dataclass(slots=True)
class Tree:
    """A directory of this machine.

    Attributes:
        root: its path; one that does not exist is empty if `may_be_missing`.
        work_files: paths of what downloads that did not end have left in it.
        links: symbolic links to directories that were not followed.
        others: what is neither a file nor a directory.
    """

    root: str
    may_be_missing: bool = False
    work_files: list[str] = field(default_factory=list)
    links: int = 0
    others: int = 0

    def items(self) -> Iterator[Item]:
        """Files by name, `origin` is the path. Holds the names of one directory a level.

        Raises:
            OSError: a directory cannot be read.
        """
        if self.may_be_missing and not os.path.lexists(self.root):
            return
        yield from self._walk("")

    def _walk(self, below: str) -> Iterator[Item]:
        entries: list[tuple[str, bool]] = []
        with os.scandir(os.path.join(self.root, below)) as found:
            for entry in found:
                if is_work_file(entry.name):
                    self.work_files.append(entry.path)
                elif entry.is_dir(follow_symlinks=False):
                    entries.append((f"{entry.name}/", True))
                else:
                    entries.append((entry.name, False))
        # With the slash, the order of a directory's names is that of all the paths below it.
        for name, is_directory in sorted(entries):
            if is_directory:
                yield from self._walk(below + name)
            else:
                item = self._item(below + name)
                if item is not None:
                    yield item

    def _item(self, name: str) -> Item | None:
        path = os.path.join(self.root, name)
        try:
            found = os.stat(path)
        except FileNotFoundError:
            return Item(name, 0, origin=BROKEN) if os.path.islink(path) else None
        except OSError:
            return Item(name, 0, origin=BROKEN)
        if stat.S_ISREG(found.st_mode):
            return Item(name, found.st_size, mtime_ns=found.st_mtime_ns, origin=path)
        if stat.S_ISDIR(found.st_mode):
            self.links += 1
        else:
            self.others += 1
        return None


def iter_objects(
    transport: Transport, bucket: BucketRef, prefix: str, *, recorded_only: bool
) -> Iterator[Item]:
    """Objects below a prefix, named by the rest; `origin` is the etag.

    Args:
        transport: the store.
        bucket: the bucket.
        prefix: "" or what ends with a slash.
        recorded_only: `mtime_ns` is that of the file the object was made of, 0 where the object
            does not tell; otherwise the time of the object's commit takes its place.
    """
    options = ListOptions(prefix=prefix, props=_PROPS)
    for page in iter_pages(transport, bucket, options):
        for entry in page:
            if entry.is_directory or entry.name == prefix:
                continue
            mtime_ns = recorded_mtime(entry) or (0 if recorded_only else entry.mtime_ns)
            yield Item(entry.name[len(prefix) :], entry.size, entry.checksum, mtime_ns, entry.etag)


def recorded_mtime(entry: ListEntry) -> int:
    """The time that was recorded with an object; 0 for none."""
    text = (entry.custom or {}).get(MTIME_KEY, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else 0


def clean_work_files(paths: list[str]) -> None:
    """Remove what ended downloads have left; the work files of running ones are locked and stay."""
    import fcntl

    for path in paths:
        with contextlib.suppress(OSError):
            descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                os.unlink(path)
            finally:
                os.close(descriptor)
