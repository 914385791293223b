"""Writing one object: content, custom metadata, and the file that appends."""

import io
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

from aiscore.client.attributes import ObjectAttributes
from aiscore.client.errors import UsageError
from aiscore.model.bucket import BucketRef
from aiscore.model.objects import PutOptions
from aiscore.model.stream import BLOCK_SIZE, Body

if TYPE_CHECKING:
    from types import TracebackType

    from aiscore.client.client import Client

__all__ = ["ObjectFileWriter", "ObjectWriter"]


class ObjectWriter:
    """Writes one object."""

    def __init__(self, client: "Client", bucket: BucketRef, name: str) -> None:
        self._client = client
        self._bucket = bucket
        self._name = name

    def put_content(self, content: Body) -> ObjectAttributes:
        """Store bytes, what an open file still has to read, or what an iterable of bytes gives.

        The object is visible whole when this returns, and unchanged when it raises.
        """
        props = self._client.transport.put(self._bucket, self._name, content)
        return ObjectAttributes(self._bucket, props)

    def put_file(self, path: str | os.PathLike[str]) -> ObjectAttributes:
        """Store a local file.

        Raises:
            UsageError: `path` is not a regular file.
        """
        if not os.path.isfile(path):
            raise UsageError(f'"{os.fspath(path)}" is not a file')
        with open(path, "rb", buffering=0) as file:
            # The size makes a file that shrinks or grows meanwhile an error, and not a torn object.
            options = PutOptions(size=os.fstat(file.fileno()).st_size)
            props = self._client.transport.put(self._bucket, self._name, file, options)
        return ObjectAttributes(self._bucket, props)

    def append_content(self, content: Body, handle: str = "", flush: bool = False) -> str:
        """Add bytes to what a flush makes visible.

        Args:
            content: bytes to add; may be empty with `flush`.
            handle: what the call before returned; empty to start, from the object's content if
                there is any.
            flush: make everything added the object's content.

        Returns:
            The handle for the next call; empty after a flush.
        """
        transport = self._client.transport
        if not flush or content:
            handle = transport.append(self._bucket, self._name, content, handle)
        if flush:
            transport.flush_append(self._bucket, self._name, handle)
            return ""
        return handle

    def set_custom_props(
        self, custom_metadata: Mapping[str, str], replace_existing: bool = False
    ) -> ObjectAttributes:
        """Merge custom metadata, or replace all of it; an empty value removes its key."""
        props = self._client.transport.set_custom(
            self._bucket, self._name, custom_metadata, replace=replace_existing
        )
        return ObjectAttributes(self._bucket, props)

    def as_file(self, mode: str = "a") -> "ObjectFileWriter":
        """The object as a file to write.

        Args:
            mode: `w` empties the object at once and writes from its start; `a` adds to what it has.

        Raises:
            UsageError: the mode is neither.
        """
        if mode not in {"w", "a"}:
            raise UsageError(f'invalid mode "{mode}": expected "w" or "a"')
        return ObjectFileWriter(self, mode)


class ObjectFileWriter(io.BufferedIOBase):
    """A write-only file; `flush` and `close` make what was written the object's content.

    A `with` block that raises drops what it wrote since the last flush: half a file is no object.
    """

    def __init__(self, writer: ObjectWriter, mode: str) -> None:
        super().__init__()
        self._writer = writer
        self._handle = ""
        self._pending = bytearray()
        if mode == "w":
            writer.put_content(b"")

    def writable(self) -> bool:
        """True."""
        return True

    def write(self, buffer: bytes | bytearray | memoryview, /) -> int:  # type: ignore[override]  # typeshed: any buffer
        """Add bytes; they are sent in blocks."""
        if self.closed:
            raise ValueError("I/O operation on closed file")
        before = len(self._pending)
        self._pending += buffer
        count = len(self._pending) - before
        if len(self._pending) >= BLOCK_SIZE:
            self._send()
        return count

    def flush(self) -> None:
        """Make everything written so far the object's content."""
        if self.closed:
            raise ValueError("I/O operation on closed file")
        if self._pending:
            self._send()
        if self._handle:
            handle, self._handle = self._handle, ""
            self._writer.append_content(b"", handle, flush=True)

    def __exit__(
        self,
        kind: "type[BaseException] | None",
        error: BaseException | None,
        traceback: "TracebackType | None",
    ) -> None:
        if kind is not None:
            self._pending.clear()
            self._handle = ""  # the store forgets it after a while
        super().__exit__(kind, error, traceback)

    def _send(self) -> None:
        block, self._pending = self._pending, bytearray()
        self._handle = self._writer.append_content(block, self._handle)
