"""System calls of the engine behind one Protocol.

Everything the engine does to a payload file goes through a `Files` value, so that a test can fail, shorten or kill at
the k-th call. The real one is a bundle of functions of `os`, bound directly: the seam costs an attribute lookup.
"""

import errno
import os
from collections.abc import Callable
from typing import Protocol

from aiscore.errors import AisError, CapacityExceededError, StorageError

__all__ = ["Files", "OsFiles", "close_quietly", "copy_all", "storage_error", "write_all"]


class Files(Protocol):
    """The calls the engine makes; each has the meaning and the errors of its `os` namesake."""

    def create(self, path: str) -> int:
        """Open a new file for reading and writing; it must not exist."""
        ...

    def open(self, path: str) -> int:
        """Open for reading."""
        ...

    def open_write(self, path: str) -> int:
        """Open an existing file for reading and writing."""
        ...

    def close(self, fd: int) -> None: ...

    def write(self, fd: int, data: bytes | bytearray | memoryview) -> int:
        """May write less than asked."""
        ...

    def pread(self, fd: int, count: int, offset: int) -> bytes: ...

    def preadv(self, fd: int, buffers: list[memoryview], offset: int, flags: int = 0) -> int: ...

    def size(self, fd: int) -> int: ...

    def size_of(self, path: str) -> int: ...

    def truncate(self, fd: int, size: int) -> None: ...

    def seek(self, fd: int, offset: int) -> None:
        """Set the position of the next `write`."""
        ...

    def fsync(self, fd: int) -> None: ...

    def fsync_dir(self, path: str) -> None: ...

    def unlink(self, path: str) -> None: ...

    def link(self, source: str, target: str) -> None: ...

    def mkdir(self, path: str) -> None: ...

    def copy_range(self, source: int, target: int, count: int, offset: int) -> int:
        """Copy within the kernel from `offset` of one file to the position of another; may copy less than asked."""
        ...


class OsFiles:
    """The real system calls."""

    close = staticmethod(os.close)
    write = staticmethod(os.write)
    pread = staticmethod(os.pread)
    preadv = staticmethod(os.preadv)
    truncate = staticmethod(os.ftruncate)
    fsync = staticmethod(os.fsync)
    unlink = staticmethod(os.unlink)
    link = staticmethod(os.link)

    @staticmethod
    def create(path: str) -> int:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)

    @staticmethod
    def open(path: str) -> int:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)

    @staticmethod
    def open_write(path: str) -> int:
        return os.open(path, os.O_RDWR | os.O_CLOEXEC)

    @staticmethod
    def size(fd: int) -> int:
        return os.fstat(fd).st_size

    @staticmethod
    def size_of(path: str) -> int:
        return os.stat(path).st_size

    @staticmethod
    def seek(fd: int, offset: int) -> None:
        os.lseek(fd, offset, os.SEEK_SET)

    @staticmethod
    def mkdir(path: str) -> None:
        os.mkdir(path, 0o700)

    @staticmethod
    def fsync_dir(path: str) -> None:
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    @staticmethod
    def copy_range(source: int, target: int, count: int, offset: int) -> int:
        return os.copy_file_range(source, target, count, offset)


def write_all(
    write: Callable[[int, bytes | bytearray | memoryview], int],
    fd: int,
    data: bytes | bytearray | memoryview,
) -> None:
    """Write every byte of `data`, however short the single writes are."""
    done = write(fd, data)
    size = len(data)
    if done == size:
        return
    view = memoryview(data)
    while done < size:
        count = write(fd, view[done:])
        if count == 0:
            raise OSError(errno.EIO, "write returned 0")
        done += count


_CANNOT_COPY = {errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP}
_COPY_BLOCK = 1 << 20


def copy_all(files: Files, source: int, target: int, count: int) -> None:
    """Copy the first `count` bytes of a file to the position of another, inside the kernel where it can."""
    done = 0
    try:
        while done < count:
            copied = files.copy_range(source, target, count - done, done)
            if not copied:
                raise OSError(errno.EIO, f"the source ended at {done} of {count}")
            done += copied
    except OSError as exc:
        if exc.errno not in _CANNOT_COPY:
            raise
    while done < count:  # between two file systems
        block = files.pread(source, min(count - done, _COPY_BLOCK), done)
        if not block:
            raise OSError(errno.EIO, f"the source ended at {done} of {count}")
        write_all(files.write, target, block)
        done += len(block)


def close_quietly(files: Files, fd: int) -> None:
    """Close a descriptor that was only read from, or whose file is given up: nothing can be lost by it."""
    try:
        files.close(fd)
    except OSError:
        return


def storage_error(exc: OSError, what: str) -> AisError:
    """The typed error for a system call that failed while handling `what` (a cname or a path)."""
    reason = exc.strerror or str(exc)
    if exc.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
        return CapacityExceededError(
            f"no space left to store {what}: {reason}", hint="free space or add a mountpath"
        )
    if exc.errno in {errno.EMFILE, errno.ENFILE}:
        return StorageError(
            f"too many open files while handling {what}", hint="raise the limit: ulimit -n"
        )
    return StorageError(f"storage failed for {what}: {reason}")
