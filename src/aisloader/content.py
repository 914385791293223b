"""Bodies of PUTs as a transport takes them, made before the clock is read.

What goes over a connection is put into one buffer of the worker: a body that is contiguous takes one system call to
begin and can be sent again after a redirect. Beyond `BUFFER_MAX` that would cost memory for each worker, so larger
bodies are views of the shared pool behind something that reads. The embedded engine takes the views as they are.
"""

import os
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING

from aiscore.model.checksum import Checksum, ChecksumType
from aiscore.model.stream import Body
from aiscore.transport.digest import digest_of
from aisloader.payload import Pool, build_shard, fresh_content
from aisloader.plan import Op

if TYPE_CHECKING:
    from aisloader.params import Params

__all__ = ["BUFFER_MAX", "Made", "ViewsReader", "WorkerContent"]

BUFFER_MAX = 16 << 20
"""Bytes of the buffer of one worker."""
_VIEWS_MIN = 64 << 10
"""Smaller contents are cheaper to copy than to take in pieces."""

View = bytes | memoryview


class ViewsReader:
    """Views one after the other as a file that can go back: what a transport can send twice."""

    def __init__(self, views: Sequence[View]) -> None:
        self._views = [memoryview(view) for view in views]
        self._starts = [0, *accumulate(len(view) for view in self._views)]
        self._at = 0
        self._index = 0

    def readinto(self, buffer: "bytearray | memoryview", /) -> int:
        """Fill as much as one view gives; 0 at the end."""
        while self._index < len(self._views):
            view = self._views[self._index][self._at - self._starts[self._index] :]
            if view:
                count = min(len(view), len(buffer))
                buffer[:count] = view[:count]
                self._at += count
                return count
            self._index += 1
        return 0

    def read(self, size: int = -1, /) -> bytes:
        """Up to `size` bytes; b"" at the end."""
        whole = bytearray(self._starts[-1] - self._at if size < 0 else size)
        filled = 0
        with memoryview(whole) as target:
            while filled < len(whole) and (count := self.readinto(target[filled:])):
                filled += count
        return bytes(whole[:filled])

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Go there; the new position."""
        base = (0, self._at, self._starts[-1])[whence]
        self._at = min(max(base + offset, 0), self._starts[-1])
        self._index = 0
        while self._index < len(self._views) and self._starts[self._index + 1] <= self._at:
            self._index += 1
        return self._at

    def tell(self) -> int:
        """The position."""
        return self._at


class Made:
    """One content: its pieces, and the forms in which it can be sent."""

    __slots__ = ("_is_embedded", "pieces", "size")

    def __init__(self, pieces: Sequence[View], *, is_embedded: bool) -> None:
        self.pieces = pieces
        self.size = sum(len(piece) for piece in pieces)
        self._is_embedded = is_embedded

    def body(self) -> Body:
        """The whole."""
        return self._body(self.pieces)

    def part(self, begin: int, end: int) -> Body:
        """Bytes `begin`..`end`-1."""
        return self._body(list(_cut(self.pieces, begin, end)))

    def checksum(self, kind: ChecksumType) -> Checksum | None:
        """Of the whole; None for `none`."""
        digest = digest_of(kind)
        if digest is None:
            return None
        for piece in self.pieces:
            digest.update(piece)
        return Checksum(kind, digest.hexdigest())

    def _body(self, pieces: Sequence[View]) -> Body:
        if len(pieces) == 1:
            return pieces[0]
        return pieces if self._is_embedded else ViewsReader(pieces)


class WorkerContent:
    """Makes the contents of one worker's PUTs; each is good until the next.

    Args:
        params: kind of content and of archives.
        pool: of random bytes.
        worker: number of the worker, for the name of its file.
    """

    def __init__(self, params: "Params", pool: Pool, worker: int) -> None:
        self._params = params
        self._pool = pool
        self._is_embedded = params.cluster.is_embedded
        self._is_fresh = params.workload.readertype == "rand"
        self._buffer = memoryview(bytearray(0))
        self._file: _ContentFile | None = None
        if params.workload.readertype == "file":
            self._file = _ContentFile(params.workload.tmpdir, worker)

    def close(self) -> None:
        """Remove the file, if there is one."""
        if self._file is not None:
            self._file.close()

    def plain(self, op: Op) -> Made:
        """`op.size` bytes that no other operation sends."""
        size = max(op.size, 0)
        if self._file is not None:
            return Made(
                [self._file.content(self._pool.content(size, op.key), size)],
                is_embedded=self._is_embedded,
            )
        pieces: Sequence[View]
        if self._is_fresh:
            pieces = list(fresh_content(size, op.key))
        else:
            pieces = self._pool.content(size, op.key)
        if size > BUFFER_MAX or (self._is_embedded and size >= _VIEWS_MIN):
            return Made(pieces, is_embedded=self._is_embedded)
        return Made([self._joined(pieces, size)], is_embedded=self._is_embedded)

    def shard(self, op: Op) -> Made:
        """An archive; its real size is what counts."""
        made = build_shard(self._params.arch, op.size, op.key, self._pool)
        return Made([made.data], is_embedded=self._is_embedded)

    def _joined(self, pieces: Sequence[View], size: int) -> memoryview:
        if len(self._buffer) < size:
            # Twice as much as needed now: sizes vary, and each growth costs page faults.
            self._buffer = memoryview(bytearray(min(max(2 * size, 1 << 16), BUFFER_MAX)))
        at = 0
        for piece in pieces:
            self._buffer[at : at + len(piece)] = piece
            at += len(piece)
        return self._buffer[:size]


class _ContentFile:
    """A file of one worker, written anew for each PUT and mapped: content that comes from a file system."""

    def __init__(self, directory: str, worker: int) -> None:
        os.makedirs(directory, exist_ok=True)
        self._path = os.path.join(directory, f"aisloader-{os.getpid()}-{worker}")
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
        self._fd = os.open(self._path, flags, 0o600)
        self._map: memoryview = memoryview(b"")

    def content(self, pieces: Sequence[View], size: int) -> memoryview:
        import mmap

        os.ftruncate(self._fd, size)
        at = 0
        for piece in pieces:
            at += os.pwrite(self._fd, piece, at)
        if not size:
            return memoryview(b"")
        self._map = memoryview(mmap.mmap(self._fd, size, access=mmap.ACCESS_READ))
        return self._map

    def close(self) -> None:
        os.close(self._fd)
        os.unlink(self._path)


def _cut(pieces: Sequence[View], begin: int, end: int) -> Iterator[View]:
    at = 0
    for piece in pieces:
        low, high = max(begin - at, 0), min(end - at, len(piece))
        if low < high:
            yield memoryview(piece)[low:high]
        at += len(piece)
