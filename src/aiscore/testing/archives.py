"""Archives written and read by the standard library: the oracle for shards and batch output."""

import gzip
import io
import tarfile
import warnings
import zipfile
from collections.abc import Iterable

import lz4.frame

from aiscore.model.archive import ArchiveFormat

__all__ = ["FORMATS", "build", "build_tar", "member_info", "unpack"]

FORMATS = tuple(ArchiveFormat)

Members = Iterable[tuple[str, bytes]]


def build(kind: ArchiveFormat, members: Members) -> bytes:
    """An archive with these files, in this order; names may repeat."""
    if kind is ArchiveFormat.ZIP:
        return _build_zip(members)
    data = build_tar(members)
    if kind is ArchiveFormat.TGZ:
        return gzip.compress(data, compresslevel=1, mtime=0)
    if kind is ArchiveFormat.TAR_LZ4:
        return bytes(lz4.frame.compress(data))
    return data


def build_tar(
    members: Members, *, dialect: int = tarfile.GNU_FORMAT, others: Iterable[tarfile.TarInfo] = ()
) -> bytes:
    """A TAR in one of tarfile's dialects; `others` (directories, links) come first."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=dialect) as tar:
        for info in others:
            tar.addfile(info)
        for name, content in members:
            tar.addfile(member_info(name, len(content)), io.BytesIO(content))
    return out.getvalue()


def member_info(name: str, size: int) -> tarfile.TarInfo:
    """The header of a regular file."""
    info = tarfile.TarInfo(name)
    info.size = size
    return info


def unpack(kind: ArchiveFormat, data: bytes) -> list[tuple[str, bytes]]:
    """Files of an archive in order, with their names as stored."""
    if kind is ArchiveFormat.ZIP:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            assert archive.testzip() is None
            return [(info.filename, archive.read(info)) for info in archive.infolist()]
    if kind is ArchiveFormat.TGZ:
        data = gzip.decompress(data)
    elif kind is ArchiveFormat.TAR_LZ4:
        data = bytes(lz4.frame.decompress(data))
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as tar:
        return [(info.name, _content(tar, info)) for info in tar if info.isfile()]


def _content(tar: tarfile.TarFile, info: tarfile.TarInfo) -> bytes:
    file = tar.extractfile(info)
    assert file is not None
    return file.read()


def _build_zip(members: Members) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a name that repeats is what some tests want
        for name, content in members:
            archive.writestr(name, content)
    return out.getvalue()
