"""Writing one object in parts, which may come in any order and from several threads."""

import os
from typing import TYPE_CHECKING, Self

from aiscore.client.attributes import ObjectAttributes
from aiscore.client.errors import UsageError
from aiscore.model.bucket import BucketRef
from aiscore.model.multipart import PartInfo, PartOptions, PartRef
from aiscore.model.stream import Body

if TYPE_CHECKING:
    from aiscore.client.client import Client

__all__ = ["MultipartUpload", "PartWriter"]


class PartWriter:
    """Writes one part."""

    def __init__(self, upload: "MultipartUpload", part_number: int) -> None:
        self._upload = upload
        self._part_number = part_number

    def put_content(self, content: Body) -> PartInfo:
        """Store bytes, what an open file still has to read, or what an iterable of bytes gives; one byte at least.

        The part is stored whole when this returns, in place of one of its number, and not at all when it raises.
        """
        return self._upload.store(self._part_number, content, PartOptions())

    def put_file(self, path: str | os.PathLike[str]) -> PartInfo:
        """Store a local file as this part.

        Raises:
            UsageError: `path` is not a regular file.
        """
        if not os.path.isfile(path):
            raise UsageError(f'"{os.fspath(path)}" is not a file')
        with open(path, "rb", buffering=0) as file:
            options = PartOptions(size=os.fstat(file.fileno()).st_size)
            return self._upload.store(self._part_number, file, options)


class MultipartUpload:
    """An upload of one object; nothing of it is visible before `complete`.

    upload = obj.multipart_upload().create()
    upload.add_part(1).put_content(first)
    upload.add_part(2).put_content(second)
    upload.complete()
    """

    def __init__(
        self, client: "Client", bucket: BucketRef, name: str, upload_id: str | None = None
    ) -> None:
        self._client = client
        self._bucket = bucket
        self._name = name
        self._is_resumed = upload_id is not None
        self._etags: dict[int, str] = {}
        self.upload_id = upload_id
        self.parts: list[int] = []

    def create(self) -> Self:
        """Begin the upload; returns itself."""
        self.upload_id = self._client.transport.create_upload(self._bucket, self._name)
        self._is_resumed = False
        self.parts, self._etags = [], {}
        return self

    def add_part(self, part_number: int) -> PartWriter:
        """A writer of one part.

        Args:
            part_number: 1 to 10,000; the object is the parts in the order of their numbers.

        Raises:
            UsageError: the upload was not created, or the number is not positive.
        """
        self._id()
        if part_number <= 0:
            raise UsageError("part number must be a positive integer")
        if part_number not in self.parts:
            self.parts.append(part_number)
        return PartWriter(self, part_number)

    def list_parts(self) -> list[PartInfo]:
        """Parts that are stored, by number."""
        return self._client.transport.list_parts(self._bucket, self._name, self._id())

    def complete(self) -> ObjectAttributes:
        """Make the parts the object's content; its properties. The upload ends.

        All parts that were added here must be stored, and stored as they were sent from here; of an upload that was
        begun elsewhere, those that were stored elsewhere are taken as they are.
        """
        numbers = set(self.parts)
        if self._is_resumed:
            numbers.update(part.number for part in self.list_parts())
        refs = [
            PartRef(number=number, etag=self._etags.get(number, "")) for number in sorted(numbers)
        ]
        props = self._client.transport.complete_upload(self._bucket, self._name, self._id(), refs)
        return ObjectAttributes(self._bucket, props)

    def abort(self) -> None:
        """Drop the upload and its parts."""
        self._client.transport.abort_upload(self._bucket, self._name, self._id())

    def store(self, part_number: int, body: Body, options: PartOptions) -> PartInfo:
        """What the writers of parts call."""
        part = self._client.transport.put_part(
            self._bucket, self._name, self._id(), part_number, body, options
        )
        self._etags[part_number] = part.etag
        return part

    def _id(self) -> str:
        if self.upload_id is None:
            raise UsageError("the multipart upload was not created")
        return self.upload_id

    def __repr__(self) -> str:
        cname = self._bucket.object_cname(self._name)
        return f"MultipartUpload({cname!r}, {self.upload_id!r})"
