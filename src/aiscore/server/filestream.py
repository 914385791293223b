"""Sends a body that lies plainly in one file: the kernel takes it from its cache, and nothing is copied here.

Only what is in the cache already, because the event loop must not wait for a disk, and only bodies up to
`SENDFILE_MAX`: of longer ones a client on the same machine takes half again as long to copy pages that no processor's
cache holds as it does for a buffer that was written just before. The rest goes block by block, as every other body.
"""

import asyncio
import os
from collections.abc import Sequence
from concurrent.futures import Executor
from typing import Protocol

from aiscore.server.http import BlockSource
from aiscore.server.stream import BodyStream, StreamOwner

__all__ = [
    "SENDFILE_MAX",
    "SENDFILE_MIN",
    "FileOwner",
    "FileSource",
    "FileStream",
    "is_cached",
]

SENDFILE_MIN = 256 << 10
"""Bytes up to which a body is one write together with its head, which costs no more."""
SENDFILE_MAX = 4 << 20
_PROBE_STEP = 1 << 20
"""Bytes between places that are looked at: what is read and written in order is in the cache as a whole, mostly."""


class FileSource(BlockSource, Protocol):
    """What a source of blocks offers besides, when it is a part of one file."""

    def place(self) -> tuple[int, int] | None:
        """Descriptor and position of the next byte; None when it is read otherwise."""
        ...

    def skip(self, count: int) -> None:
        """So many bytes were sent from there."""
        ...


class FileOwner(StreamOwner, Protocol):
    """A connection without encryption."""

    def socket_fd(self) -> int:
        """The descriptor to send on; -1 when something else is to be sent before, or nothing can be sent."""
        ...

    def wait_for_room(self) -> None:
        """Call `proceed` when the client has read enough."""
        ...


class FileStream(BodyStream):
    """One body on its way out, from a file."""

    __slots__ = ("_file", "_file_owner", "_in_blocks")

    def __init__(
        self,
        source: FileSource,
        owner: FileOwner,
        *,
        loop: asyncio.AbstractEventLoop,
        pool: Executor,
    ) -> None:
        super().__init__(source, owner, is_chunked=False, loop=loop, pool=pool)
        self._file = source
        self._file_owner = owner
        place = source.place()
        self._in_blocks = place is None or not is_cached(*place, source.length or 0)

    def proceed(self) -> None:
        """Send as much as the socket takes; called again when there is room."""
        if not self._in_blocks and not self._is_closed:
            if not self._has_head:
                self._send_head()
            while not self._in_blocks and not self._is_closed and self._owner.can_write:
                self._send_some()
        if self._in_blocks:
            super().proceed()

    def _send_head(self) -> None:
        head = self._owner.stream_started(None)
        if head is None:
            self.cancel()
            return
        self._has_head = True
        self._owner.write(head)

    def _send_some(self) -> None:
        assert self._left is not None
        place, out = self._file.place(), self._file_owner.socket_fd()
        if place is None or out < 0:
            self._in_blocks = True
            return
        fd, position = place
        try:
            count = os.sendfile(out, fd, position, self._left)
        except BlockingIOError:
            self._file_owner.wait_for_room()
            return
        except OSError:
            count = 0
        if not count:
            self._in_blocks = (
                True  # reading will tell what is wrong, with the connection or with the file
            )
            return
        self._file.skip(count)
        self._left -= count
        self.sent += count
        if not self._left:
            self._end(is_whole=True)


def is_cached(fd: int, position: int, size: int) -> bool:
    """True when a part of a file seems to be in the kernel's cache; nothing is read from a disk."""
    end = position + size
    byte: Sequence[bytearray] = (bytearray(1),)
    try:
        for place in (*range(position, end - 1, _PROBE_STEP), end - 1):
            if os.preadv(fd, byte, place, os.RWF_NOWAIT) != 1:
                return False
    except OSError:
        return False  # not in it, or a file system that cannot tell
    return True
