"""Archives that are PUT as objects.

How many members a shard has: `-arch.num-files` of them when objects have no size of their own (`-maxsize=0`); otherwise
as many as the object's size holds, at most `-arch.num-files` when that is given. The size bounds the sum of the
members' sizes; the archive around them is somewhat larger, and statistics count what was sent.
"""

import gzip
import io
import tarfile
import zipfile
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from aiscore.model.archive import ArchiveFormat
from aisloader.payload.content import Pool
from aisloader.streams import Stream, derive_key

if TYPE_CHECKING:
    from aisloader.params.arch import ArchParams

__all__ = ["Shard", "build_shard", "member_sizes"]

_BLOCK = 512
_MEMBERS_MAX = 10_000
_GZIP_LEVEL = 1
"""The content is random: no level makes it smaller, and the others only take longer."""


class Shard(NamedTuple):
    """An archive.

    Attributes:
        data: its bytes.
        names: of its members, in order.
        sizes: of its members, bytes.
    """

    data: bytes
    names: list[str]
    sizes: list[int]


def build_shard(arch: "ArchParams", size: int, key: int, pool: Pool) -> Shard:
    """Make one shard; a pure function of its arguments.

    Args:
        arch: format, prefix, and the members' number and sizes.
        size: bytes that the members may hold together; 0 for no bound.
        key: of this shard alone.
        pool: where the members' bytes come from.
    """
    sizes = member_sizes(arch, size, key)
    names = [f"{arch.prefix}obj-{number:06d}.txt" for number in range(len(sizes))]
    members = [
        (name, length, pool.content(length, derive_key(key, number)))
        for number, (name, length) in enumerate(zip(names, sizes, strict=True))
    ]
    return Shard(_pack(arch.archive_format, members), names, sizes)


def member_sizes(arch: "ArchParams", size: int, key: int) -> list[int]:
    """Sizes of the members of one shard; at least one, whatever the bound."""
    limit = arch.num_files or _MEMBERS_MAX
    high = min(arch.maxsize, size) if size else arch.maxsize
    low = min(arch.minsize, high)
    stream = Stream(key, 0x736861)
    sizes: list[int] = []
    total = 0
    while len(sizes) < limit:
        for drawn in stream.below(
            high - low + 1, len(sizes), min(256, limit - len(sizes))
        ).tolist():
            length = low + drawn
            if size and sizes and total + length > size:
                return sizes
            sizes.append(length)
            total += length
    return sizes


Member = tuple[str, int, list[memoryview]]


def _pack(kind: ArchiveFormat, members: Sequence[Member]) -> bytes:
    if kind is ArchiveFormat.ZIP:
        return _zip(members)
    data = _tar(members)
    if kind is ArchiveFormat.TGZ:
        return gzip.compress(data, _GZIP_LEVEL, mtime=0)
    if kind is ArchiveFormat.TAR_LZ4:
        import lz4.frame

        packed: bytes = lz4.frame.compress(data)
        return packed
    return data


def _tar(members: Sequence[Member]) -> bytes:
    pieces: list[bytes | memoryview] = []
    for name, size, views in members:
        info = tarfile.TarInfo(name)
        info.size = size
        pieces.append(info.tobuf(tarfile.GNU_FORMAT))
        pieces += views
        pieces.append(bytes(-size % _BLOCK))
    pieces.append(bytes(2 * _BLOCK))
    return b"".join(pieces)


def _zip(members: Sequence[Member]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for name, _, views in members:
            # A fixed date: the same run makes the same bytes.
            archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), b"".join(views))
    return out.getvalue()
