"""One object of a bucket."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Protocol

from aiscore.client.attributes import ObjectAttributes
from aiscore.client.multipart import MultipartUpload
from aiscore.client.reader import ArchiveConfig, ObjectReader, parse_byte_range
from aiscore.client.writer import ObjectWriter
from aiscore.errors import ObjectNotFoundError
from aiscore.model.bucket import BucketRef, Provider
from aiscore.model.objects import GetOptions, PromoteOptions, PromoteResult
from aiscore.model.stream import BLOCK_SIZE

if TYPE_CHECKING:
    from aiscore.client.client import Client

__all__ = ["Object"]


class _Writer(Protocol):
    def writelines(self, lines: Iterable[bytes], /) -> None: ...


class Object:
    """Names one object; says nothing about whether it exists. Cheap to make, picklable."""

    __slots__ = ("_bucket", "_client", "_name", "_props")

    def __init__(
        self, client: "Client", bucket: BucketRef, name: str, props: ObjectAttributes | None = None
    ) -> None:
        self._client = client
        self._bucket = bucket
        self._name = name
        self._props = props

    @property
    def name(self) -> str:
        """Object name."""
        return self._name

    @property
    def bucket_ref(self) -> BucketRef:
        """Identity of the bucket."""
        return self._bucket

    @property
    def bucket_name(self) -> str:
        """Name of the bucket."""
        return self._bucket.name

    @property
    def bucket_provider(self) -> Provider:
        """Provider of the bucket."""
        return self._bucket.provider

    @property
    def uname(self) -> str:
        """Unique name: `ais/@#/bucket/object`."""
        return f"{self._bucket.uname}{self._name}"

    @property
    def props(self) -> ObjectAttributes:
        """Properties as of now: asks the store each time."""
        return self.head()

    @property
    def props_cached(self) -> ObjectAttributes | None:
        """Properties as of the last `head` or listing; None before."""
        return self._props

    def head(self) -> ObjectAttributes:
        """Ask for the properties.

        Raises:
            ObjectNotFoundError: there is no such object.
        """
        self._props = ObjectAttributes(
            self._bucket, self._client.transport.head(self._bucket, self._name)
        )
        return self._props

    def get_reader(
        self,
        archive_config: ArchiveConfig | None = None,
        *,
        chunk_size: int = BLOCK_SIZE,
        writer: _Writer | None = None,
        byte_range: str | None = None,
    ) -> ObjectReader:
        """A reader of the object, of a range, or of files in it.

        Args:
            archive_config: what to read out of a shard.
            chunk_size: bytes a step when the reader is iterated over.
            writer: an open file that gets the content before this returns; it stays open.
            byte_range: one range as in HTTP, e.g. `bytes=0-499`; of the member, with an `archpath`.
        """
        config = archive_config or ArchiveConfig()
        cname = self._bucket.object_cname(self._name)
        options = GetOptions(
            byte_range=parse_byte_range(byte_range, cname) if byte_range else None,
            archpath=config.archpath or None,
            archregx=config.regex or None,
            archmode=config.mode,
        )
        reader = ObjectReader(self._client, self._bucket, self._name, options, chunk_size)
        if writer is not None:
            writer.writelines(reader)
        return reader

    def get_writer(self) -> ObjectWriter:
        """A writer of the object's content and custom metadata."""
        return ObjectWriter(self._client, self._bucket, self._name)

    def multipart_upload(self, upload_id: str | None = None) -> MultipartUpload:
        """An upload of the object in parts.

        Args:
            upload_id: of one that was begun before, here or elsewhere, to go on with; None for a new one, which
                `create` begins.
        """
        return MultipartUpload(self._client, self._bucket, self._name, upload_id)

    def get_semantic_url(self) -> str:
        """`ais://bucket/object`."""
        return self._bucket.object_cname(self._name)

    def delete(self, *, missing_ok: bool = False) -> None:
        """Remove the object.

        Args:
            missing_ok: be content when there is no such object.
        """
        try:
            self._client.transport.delete(self._bucket, self._name)
        except ObjectNotFoundError:
            if not missing_ok:
                raise
        self._props = None

    def copy(self, to_obj: "Object") -> ObjectAttributes:
        """Copy with checksum and custom metadata to another name or bucket; its properties."""
        props = self._client.transport.copy(
            self._bucket, self._name, to_obj.bucket_ref, to_obj.name
        )
        return ObjectAttributes(to_obj.bucket_ref, props)

    def promote(
        self,
        path: str,
        *,
        recursive: bool = False,
        overwrite_dest: bool = False,
        delete_source: bool = False,
    ) -> PromoteResult:
        """Take a file, or the files of a directory, of the store's host into the bucket.

        Args:
            path: absolute path on the host of the store.
            recursive: descend into subdirectories.
            overwrite_dest: replace objects that exist.
            delete_source: remove each file once its object is stored.
        """
        options = PromoteOptions(
            recursive=recursive, overwrite=overwrite_dest, delete_source=delete_source
        )
        return self._client.transport.promote(self._bucket, path, self._name, options)

    def __repr__(self) -> str:
        return f"Object({self._bucket.object_cname(self._name)!r})"
