"""The names that a run reads.

They live in files that every worker process opens: a hundred million of them would be nine gigabytes as Python strings,
in each process.
"""

import contextlib
import mmap
import os
import sys
from array import array
from typing import IO, Protocol, Self

from aiscore.errors import InvalidArgumentError

__all__ = [
    "FileNames",
    "NameSource",
    "NamesWriter",
    "TemplateNames",
    "split_member",
]

MAPPED_MAX = 256 << 20
"""Bytes of names up to which the files are mapped; beyond, each name is read by itself and memory stays flat."""

_WRITE_BLOCK = 1 << 20
_SHARD_EXTENSIONS = (".tar", ".tgz", ".tar.gz", ".zip", ".tar.lz4")


class NameSource(Protocol):
    """The names there are to read, by index. Safe to share between threads; picklable."""

    def __len__(self) -> int: ...

    def entry(self, index: int) -> tuple[str, str]:
        """Object name, and the path of an archived file or ""."""
        ...

    def size(self, index: int) -> int:
        """Bytes as the listing gave them, -1 when unknown."""
        ...


class TemplateNames:
    """Names that a template stands for, in its order; they take no memory.

    Args:
        text: a template, e.g. `shard-{0000..9999}.tar` or `shard-%08d.tar`.
        count: how many of its names; 0 all.

    Raises:
        InvalidArgumentError: not a template, or it has no end and `count` is 0.
    """

    def __init__(self, text: str, count: int = 0) -> None:
        from aiscore.model.template import parse_template

        template = parse_template(text)
        known = template.count
        if known is None and not count:
            raise InvalidArgumentError(f'template "{text}" has no end')
        self._text = text
        self._asked = count
        self._ranges = template.ranges
        self._prefix = template.prefix
        self._count = known if known is not None and not count else count
        self._first = self._step = 0
        self._form: str | None = None
        if len(template.ranges) == 1:  # the usual template: one number
            part = template.ranges[0]
            self._first, self._step = part.start, part.step
            before, after = (text.replace("%", "%%") for text in (template.prefix, part.gap))
            self._form = f"{before}%0{part.width}d{after}"

    def __reduce__(self) -> tuple[type, tuple[str, int]]:
        return type(self), (self._text, self._asked)

    def __len__(self) -> int:
        return self._count

    def entry(self, index: int) -> tuple[str, str]:
        """Digits of a mixed-radix number, the rightmost range fastest."""
        if not 0 <= index < self._count:
            raise IndexError(index)
        if self._form is not None:
            return self._form % (self._first + index * self._step), ""
        parts: list[str] = []
        for part in reversed(self._ranges):
            radix = part.count
            if radix is None:
                digit, index = index, 0
            else:
                index, digit = divmod(index, radix)
            parts.append(f"{part.start + digit * part.step:0{part.width}d}{part.gap}")
        parts.append(self._prefix)
        parts.reverse()
        return "".join(parts), ""

    def size(self, index: int) -> int:
        """Unknown: nothing was listed."""
        del index
        return -1


class NamesWriter:
    """Writes a name source, page by page, in bounded memory.

    Args:
        path: of the files to make: `path.names`, `path.offsets` and, when a size is known, `path.sizes`.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._count = 0
        self._end = 0
        self._has_sizes = False
        self._blob = bytearray()
        self._offsets = array("Q", [0])
        self._sizes = array("q")
        with contextlib.ExitStack() as stack:
            self._files: dict[str, IO[bytes]] = {
                suffix: stack.enter_context(open(f"{path}.{suffix}", "wb"))
                for suffix in ("names", "offsets", "sizes")
            }
            self._stack = stack.pop_all()

    def __len__(self) -> int:
        return self._count

    def add(self, name: str, archpath: str = "", size: int = -1) -> None:
        """Append one name; `archpath` is a file inside it."""
        raw = f"{name}\0{archpath}".encode() if archpath else name.encode()
        self._blob += raw
        self._end += len(raw)
        self._offsets.append(self._end)
        self._sizes.append(size)
        self._has_sizes |= size >= 0
        self._count += 1
        if len(self._blob) >= _WRITE_BLOCK:
            self._flush()

    def close(self) -> "FileNames":
        """Finish the files and open them."""
        self._flush()
        self._stack.close()
        if not self._has_sizes:
            os.unlink(f"{self._path}.sizes")
        return FileNames(self._path)

    def abort(self) -> None:
        """Remove what was written."""
        self._stack.close()
        for suffix in self._files:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(f"{self._path}.{suffix}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *exc: object) -> None:
        if kind is not None:
            self.abort()

    def _flush(self) -> None:
        self._files["names"].write(self._blob)
        self._files["offsets"].write(self._offsets)
        self._files["sizes"].write(self._sizes)
        self._blob.clear()
        self._offsets = array("Q")
        self._sizes = array("q")


class _Bytes:
    """Bytes of a file by position: mapped when small, read one by one when large."""

    def __init__(self, path: str) -> None:
        self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self.size = os.fstat(self._fd).st_size
        self._map: mmap.mmap | None = None
        if 0 < self.size <= MAPPED_MAX:
            self._map = mmap.mmap(self._fd, self.size, access=mmap.ACCESS_READ)

    def read(self, start: int, length: int) -> bytes:
        if self._map is not None:
            return self._map[start : start + length]
        return os.pread(self._fd, length, start)

    def close(self) -> None:
        if self._map is not None:
            self._map.close()
        os.close(self._fd)


class FileNames:
    """Names in the files that a `NamesWriter` made. Travels between processes as its path.

    Whoever made the files calls `remove`, after the last process is done.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._names = _Bytes(f"{path}.names")
        self._offsets = _Bytes(f"{path}.offsets")
        self._count = self._offsets.size // 8 - 1
        self._sizes: _Bytes | None = None
        if os.path.exists(f"{path}.sizes"):
            self._sizes = _Bytes(f"{path}.sizes")

    def __reduce__(self) -> tuple[type, tuple[str]]:
        return type(self), (self._path,)

    def __len__(self) -> int:
        return self._count

    def entry(self, index: int) -> tuple[str, str]:
        """Object name, and the path of an archived file or ""."""
        if not 0 <= index < self._count:
            raise IndexError(index)
        ends = self._offsets.read(index * 8, 16)
        start = int.from_bytes(ends[:8], _ORDER)
        raw = self._names.read(start, int.from_bytes(ends[8:], _ORDER) - start)
        name, _, archpath = raw.decode().partition("\0")
        return name, archpath

    def size(self, index: int) -> int:
        """Bytes as the listing gave them, -1 when unknown."""
        if self._sizes is None:
            return -1
        return int.from_bytes(self._sizes.read(index * 8, 8), _ORDER, signed=True)

    def close(self) -> None:
        """Close the files; the object is of no use afterwards."""
        for each in (self._names, self._offsets, self._sizes):
            if each is not None:
                each.close()

    def remove(self) -> None:
        """Delete the files; processes that have them open go on."""
        for suffix in ("names", "offsets", "sizes"):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(f"{self._path}.{suffix}")


_ORDER = sys.byteorder


def split_member(name: str) -> tuple[str, str]:
    """`shard.tar/dir/file` as an archive-aware listing gives it -> shard and member; "" for a plain object."""
    best = -1
    for extension in _SHARD_EXTENSIONS:
        at = name.find(f"{extension}/")
        if at >= 0 and (best < 0 or at + len(extension) < best):
            best = at + len(extension)
    return (name, "") if best < 0 else (name[:best], name[best + 1 :])
