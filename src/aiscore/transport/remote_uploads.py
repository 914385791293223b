"""Multipart upload and rechunk over HTTP: not yet."""

from collections.abc import Sequence

from aiscore.errors import UnsupportedError
from aiscore.model.bucket import BucketRef
from aiscore.model.chunks import RechunkOptions, RechunkResult
from aiscore.model.multipart import (
    UPLOADS_PAGE_MAX,
    CompleteOptions,
    MultipartUpload,
    PartInfo,
    PartOptions,
    PartRef,
    UploadOptions,
)
from aiscore.model.objects import ObjectProps
from aiscore.model.stream import Body
from aiscore.transport.base import (
    DEFAULT_COMPLETE,
    DEFAULT_PART,
    DEFAULT_RECHUNK,
    DEFAULT_UPLOAD,
)

__all__ = ["RemoteUploads"]


class RemoteUploads:
    """The part of a remote transport that is about uploads and chunks; see `Transport` for every method."""

    def create_upload(
        self, bucket: BucketRef, name: str, options: UploadOptions = DEFAULT_UPLOAD
    ) -> str:
        """Begin to store an object in parts."""
        raise _unsupported(bucket)

    def put_part(
        self,
        bucket: BucketRef,
        name: str,
        upload_id: str,
        number: int,
        body: Body,
        options: PartOptions = DEFAULT_PART,
    ) -> PartInfo:
        """Store a part."""
        raise _unsupported(bucket)

    def list_uploads(
        self,
        bucket: BucketRef,
        prefix: str = "",
        after: tuple[str, str] | None = None,
        limit: int = UPLOADS_PAGE_MAX,
    ) -> list[MultipartUpload]:
        """Uploads by name."""
        raise _unsupported(bucket)

    def list_parts(
        self,
        bucket: BucketRef,
        name: str,
        upload_id: str,
        after: int = 0,
        limit: int = UPLOADS_PAGE_MAX,
    ) -> list[PartInfo]:
        """Stored parts."""
        raise _unsupported(bucket)

    def complete_upload(
        self,
        bucket: BucketRef,
        name: str,
        upload_id: str,
        parts: Sequence[PartRef],
        options: CompleteOptions = DEFAULT_COMPLETE,
    ) -> ObjectProps:
        """Turn parts into the object."""
        raise _unsupported(bucket)

    def abort_upload(self, bucket: BucketRef, name: str, upload_id: str) -> None:
        """Drop an upload."""
        raise _unsupported(bucket)

    def rechunk_bucket(
        self, bucket: BucketRef, options: RechunkOptions = DEFAULT_RECHUNK
    ) -> RechunkResult:
        """Lay objects out anew."""
        raise _unsupported(bucket)


def _unsupported(bucket: BucketRef) -> UnsupportedError:
    return UnsupportedError(
        f"{bucket}: multipart upload and rechunk are not supported over HTTP yet",
        hint="use the store's own directory: --endpoint file:///PATH",
    )
