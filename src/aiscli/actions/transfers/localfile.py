"""Local destinations: written whole or not at all, never outside of where the user pointed."""

import contextlib
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import BinaryIO

from aiscore.errors import ProtocolError
from aiscore.model.stream import BLOCK_SIZE, ByteReader

__all__ = ["atomic_file", "confine", "copy_to", "unique_file"]

_MODE = 0o666
"""Permissions of a new file before the umask."""


def confine(root: str, name: str) -> str | None:
    """The path of `name` below `root`, or None when it would lie outside of it or is no file name.

    Object and member names come from others: `../x`, `/etc/x` and the like must not choose the
    place. Empty parts (`a//b`) collapse. Symbolic links below `root` are the user's own; nothing
    here creates one.
    """
    if not name or name[0] == "/" or name[-1] == "/" or "\0" in name:
        return None
    parts = [part for part in name.split("/") if part]
    if any(part in {".", ".."} for part in parts):
        return None
    return os.path.join(root, *parts)


@contextmanager
def atomic_file(path: str) -> Iterator[BinaryIO]:
    """A file that gets its name when the block ends well, and leaves nothing otherwise.

    Directories on the way are created. What is neither missing nor a regular file (a pipe, a
    device) is written
    directly: there is nothing to replace.
    """
    final = os.path.realpath(path)
    with contextlib.suppress(FileNotFoundError):
        mode = os.stat(final).st_mode
        if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
            with open(final, "wb", buffering=0) as direct:
                yield direct
            return
    directory = os.path.dirname(final)
    os.makedirs(directory, exist_ok=True)
    fd, work = unique_file(directory)
    try:
        with open(fd, "wb", buffering=0) as file:
            yield file
        os.replace(work, final)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(work)
        raise


def copy_to(
    reader: ByteReader,
    file: BinaryIO,
    size: int | None,
    cname: str,
    on_block: Callable[[int], None] | None = None,
    update: Callable[[memoryview], None] | None = None,
) -> int:
    """Copy a reader to its end, telling `on_block` the bytes of each step; the bytes copied.

    `update` gets each block as well: a checksum of what passes.

    Raises:
        ProtocolError: it ended before or after `size` bytes.
    """
    length = BLOCK_SIZE if size is None else min(max(size, 1), BLOCK_SIZE)
    buffer = memoryview(bytearray(length))
    copied = 0
    while count := reader.readinto(buffer):
        left = buffer[:count]
        if update is not None:
            update(left)
        while left:
            left = left[file.write(left) :]
        copied += count
        if on_block is not None:
            on_block(count)
    if size is not None and copied != size:
        raise ProtocolError(f"{cname}: received {copied} bytes, expected {size}")
    return copied


def unique_file(directory: str) -> tuple[int, str]:
    """A new file of a name of its own, open for reading and writing, with its path."""
    while True:
        path = os.path.join(directory, f".ais-{os.urandom(8).hex()}.part")
        with contextlib.suppress(FileExistsError):
            # The kernel applies the umask: asking for it would change it for all threads.
            return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _MODE), path
