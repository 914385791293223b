"""How the C library keeps memory that was freed, in a process that does nothing but serve."""

import ctypes
from contextlib import suppress

__all__ = ["keep_freed_memory"]

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
KEPT_BYTES_MAX = 64 << 20
"""Freed memory at the end of the heap that stays with the process."""
MAPPED_FROM = 8 << 20
"""Bytes from which a block is mapped by itself, and given back when it is freed."""


def keep_freed_memory() -> None:
    """Let blocks of bodies be used again, which threads of the pool make and the event loop frees.

    Left alone, glibc gives each thread a heap of its own, and freed blocks back to the kernel at once: a read of a
    mebibyte in several threads then takes some two hundred page faults, several times as long as the copy itself. With
    another C library nothing happens. Call it before the first thread is started.
    """
    with suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_M_ARENA_MAX, 1)
        mallopt(_M_TRIM_THRESHOLD, KEPT_BYTES_MAX)
        mallopt(_M_MMAP_THRESHOLD, MAPPED_FROM)
