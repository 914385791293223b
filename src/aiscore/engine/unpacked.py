"""Compressed shards, unpacked once: the tar inside of a tgz or tar.lz4 as a nameless temporary file.

Random reads of members of a compressed shard would each decompress everything in front of the member. The first one
through GetBatch unpacks the shard into a file that has no name (it is gone with the process, however it ends) and the
process keeps the last few, up to a total size. A shard that does not fit is read by decompressing.
"""

import os

from aiscore.engine.archive.index import MemberIndex
from aiscore.engine.archive.inflate import InflatedStream
from aiscore.engine.content import ContentSource, FileContent
from aiscore.engine.core import Core
from aiscore.engine.fileio import storage_error, write_all
from aiscore.engine.index.objects import ObjectRow
from aiscore.engine.shardcache import UNPACKED_TOTAL_MAX
from aiscore.errors import CapacityExceededError

__all__ = ["unpacked_content"]


def unpacked_content(
    core: Core, row: ObjectRow, packed: ContentSource, index: MemberIndex, cname: str
) -> FileContent | None:
    """The unpacked shard as content, which the caller closes; None when it is too large or there is no room."""
    size = index.end
    if size > UNPACKED_TOTAL_MAX:
        return None
    borrowed = core.unpacked.borrow(row.generation)
    if borrowed is not None:
        return FileContent(core.files, *borrowed, cname)
    try:
        fd = _unpack(core, packed, index, size)
    except CapacityExceededError:
        return None
    core.unpacked.keep(row.generation, fd, size)
    return FileContent(core.files, fd, size, cname)


def _unpack(core: Core, packed: ContentSource, index: MemberIndex, size: int) -> int:
    try:
        import tempfile

        with tempfile.TemporaryFile(dir=core.home, buffering=0) as file:
            fd = os.dup(file.fileno())
    except OSError as exc:
        raise storage_error(exc, core.home) from exc
    try:
        for block in InflatedStream(packed, index.format).blocks(0, size):
            write_all(os.write, fd, block)
    except OSError as exc:
        os.close(fd)
        raise storage_error(exc, core.home) from exc
    except BaseException:
        os.close(fd)
        raise
    return fd
