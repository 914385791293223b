"""One local file into one object, unless the file changes meanwhile."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from aiscli.actions.transfers.hashing import hash_file, same_content
from aiscore.errors import BusyError, ObjectNotFoundError
from aiscore.model.bucket import BucketRef, ObjectUri
from aiscore.model.checksum import Checksum, ChecksumType
from aiscore.model.objects import ObjectProps, PutOptions
from aiscore.model.stream import BLOCK_SIZE
from aiscore.transport.base import Transport

__all__ = ["SteadyFile", "Upload", "changed", "is_stored", "open_steady", "upload"]


def _nothing() -> None:
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """How to send one file.

    Attributes:
        checksum: that the content must have.
        compute_checksum: checksum the file first, so that the transfer is protected end to end.
        skip_same: leave an object alone that already has the checksum.
        custom: metadata of the object.
        mtime_ns: that the file must have when it is opened; None is any.
        chunk_size: longer files go as multipart uploads of parts of so many bytes, one after the other; None is none.
        on_block: called between blocks; may raise to end the transfer.
    """

    checksum: Checksum | None = None
    compute_checksum: bool = False
    skip_same: bool = True
    custom: Mapping[str, str] = field(default_factory=dict)
    mtime_ns: int | None = None
    on_block: Callable[[], None] = _nothing
    chunk_size: int | None = None


class SteadyFile:
    """A file as a body: reading it to the end fails if it is not the file it was at the beginning.

    A context manager. Files that the kernel makes up (`/proc/mounts`) say that they are empty and
    have content: their `size` is None.
    """

    def __init__(self, path: str, on_block: Callable[[], None] = _nothing) -> None:
        self._path = path
        self._on_block = on_block
        self._file = open(path, "rb", buffering=0)  # noqa: SIM115
        found = os.fstat(self._file.fileno())
        self.size = found.st_size or None
        self.mtime_ns = found.st_mtime_ns
        self._read = 0

    def readinto(self, buffer: bytearray | memoryview, /) -> int:
        """Fill as much of `buffer` as one step gives; 0 at the end.

        Raises:
            BusyError: the file has changed since it was opened.
        """
        self._on_block()
        count = self._file.readinto(buffer) or 0
        self._read += count
        if not count or (self.size is not None and self._read > self.size):
            self._check()
        return count

    def read(self, size: int = -1, /) -> bytes:
        """Up to `size` bytes, all that is left for a negative size; b"" at the end.

        Raises:
            BusyError: the file has changed since it was opened.
        """
        self._on_block()
        block = self._file.read(size)
        self._read += len(block)
        if size < 0 or not block or (self.size is not None and self._read > self.size):
            self._check()
        return block

    def close(self) -> None:
        """Close the file; safe to repeat."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _check(self) -> None:
        found = os.fstat(self._file.fileno())
        if self.size is None:
            is_same = not found.st_size
        else:
            is_same = (found.st_size, found.st_mtime_ns, self._read) == (
                self.size,
                self.mtime_ns,
                self.size,
            )
        if not is_same:
            raise changed(self._path)


def changed(path: str) -> BusyError:
    """The error for a file that somebody writes."""
    return BusyError(
        f'"{path}" changed while it was being sent: nothing is stored',
        hint="run it again when nothing writes the file",
    )


def open_steady(path: str, on_block: Callable[[], None] = _nothing) -> SteadyFile:
    """Open a file to be sent.

    Raises:
        OSError: it cannot be opened.
    """
    return SteadyFile(path, on_block)


def upload(
    transport: Transport, bucket: BucketRef, name: str, path: str, how: Upload
) -> ObjectProps:
    """Store the content of a file; the old object stays unless the new one is whole.

    Raises:
        BusyError: the file changed while it was read.
        OSError: the file cannot be read.
    """
    checksum = how.checksum
    if how.compute_checksum:
        kind = ChecksumType(transport.head_bucket(bucket).checksum.type)
        checksum = None if kind is ChecksumType.NONE else hash_file(path, kind, how.on_block)
    with SteadyFile(path, how.on_block) as body:
        if how.mtime_ns is not None and body.mtime_ns != how.mtime_ns:
            raise changed(path)
        if how.chunk_size is not None and body.size is not None and body.size > how.chunk_size:
            from aiscli.actions.transfers.in_turn import upload_in_turn

            return upload_in_turn(transport, ObjectUri(bucket, name), path, how, checksum)
        options = PutOptions(
            size=body.size, checksum=checksum, custom=how.custom, skip_same=how.skip_same
        )
        if body.size is not None and body.size <= BLOCK_SIZE:
            # At hand as a whole it takes the store's short way for small objects.
            return transport.put(bucket, name, body.read(), options)
        return transport.put(bucket, name, body, options)


def is_stored(
    transport: Transport,
    bucket: BucketRef,
    name: str,
    path: str,
    on_block: Callable[[], None] = _nothing,
) -> bool:
    """True when the object exists with the size and the checksum of the file.

    Where the store keeps no checksum, the answer is no.
    """
    try:
        props = transport.head(bucket, name)
    except ObjectNotFoundError:
        return False
    if props.size != os.stat(path).st_size:
        return False
    return same_content(path, props.checksum, on_block) is True
