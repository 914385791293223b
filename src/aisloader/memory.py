"""Memory that the processes of a run share.

It has no name: nothing is left of it when the processes are gone, whatever ended them, and it does not count against
the size of `/dev/shm`, which containers keep small. Worker processes reach it through the coordinator's descriptor.
"""

import mmap
import os
from contextlib import suppress
from typing import Self

__all__ = ["SharedBlock"]


class SharedBlock:
    """Zeroed bytes. Pages that nobody touches take no memory.

    Attributes:
        view: the bytes.
    """

    def __init__(self, descriptor: int) -> None:
        """Map the whole of an open file, which is taken over."""
        self._descriptor = descriptor
        try:
            self._map = mmap.mmap(descriptor, os.fstat(descriptor).st_size)
        except BaseException:
            os.close(descriptor)
            raise
        self.view = memoryview(self._map)

    @classmethod
    def create(cls, size: int) -> Self:
        """New memory of `size` bytes, above 0."""
        descriptor = os.memfd_create("aisloader", os.MFD_CLOEXEC)
        os.ftruncate(descriptor, size)
        return cls(descriptor)

    @classmethod
    def attach(cls, path: str) -> Self:
        """The memory of another process, by its `path`.

        Raises:
            OSError: that process is gone.
        """
        return cls(os.open(path, os.O_RDWR | os.O_CLOEXEC))

    @property
    def path(self) -> str:
        """Where a child process opens it, as long as this process has it open."""
        return f"/proc/{os.getpid()}/fd/{self._descriptor}"

    def close(self) -> None:
        """Let go; safe to repeat. What still looks at the bytes keeps them."""
        if self._descriptor >= 0:
            with suppress(BufferError):
                self.view.release()
                self._map.close()
            os.close(self._descriptor)
            self._descriptor = -1
