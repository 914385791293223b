"""The part of the one interface to a store that is about objects in parts and in chunks (see `base`)."""

from collections.abc import Sequence
from typing import Protocol

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

__all__ = [
    "DEFAULT_COMPLETE",
    "DEFAULT_PART",
    "DEFAULT_RECHUNK",
    "DEFAULT_UPLOAD",
    "UploadTransport",
]

DEFAULT_UPLOAD = UploadOptions()
DEFAULT_PART = PartOptions()
DEFAULT_COMPLETE = CompleteOptions()
DEFAULT_RECHUNK = RechunkOptions()


class UploadTransport(Protocol):
    """Multipart upload and rechunk, as every `Transport` has them."""

    # multipart upload

    def create_upload(
        self, bucket: BucketRef, name: str, options: UploadOptions = DEFAULT_UPLOAD
    ) -> str:
        """Begin to store an object in parts; the id of the upload, opaque.

        The id is good for every caller of the store, in any process and after a restart. There may be any number of
        uploads of one name, and the object of that name can be read and written all the while: what is completed, or
        put, last wins. An upload to which nothing is added for a week is dropped.

        Raises:
            InvalidArgumentError: custom metadata is malformed or too long.
        """
        ...

    def put_part(
        self,
        bucket: BucketRef,
        name: str,
        upload_id: str,
        number: int,
        body: Body,
        options: PartOptions = DEFAULT_PART,
    ) -> PartInfo:
        """Store a part: it counts when this returns, whatever happens to the process then; not at all when it raises.

        Parts come in any order, several at a time, from several processes. A part of a number that is there already
        replaces it, the last to finish wins. In a bucket with `Fsync-PUT` a part is on disk when this returns.

        Args:
            bucket: where the upload is.
            name: the object's name.
            upload_id: what `create_upload` returned.
            number: 1 to `PART_NUMBER_MAX`; only `CHUNK_COUNT_MAX` parts make an object, though.
            body: 1 byte at least, and not more than the bucket's `chunks.max_monolithic_size`. There is no other
                minimum: that of 5 MiB is S3's.
            options: size and checksum that the body must have.

        Raises:
            NotFoundError: there is no such upload, or no such bucket.
            InvalidArgumentError: number or size is out of bounds, or the size is not as announced.
            ChecksumMismatchError: the body does not have the checksum that came with it.
            CapacityExceededError: no space.
        """
        ...

    def list_uploads(
        self,
        bucket: BucketRef,
        prefix: str = "",
        after: tuple[str, str] | None = None,
        limit: int = UPLOADS_PAGE_MAX,
    ) -> list[MultipartUpload]:
        """Uploads that are neither completed nor aborted, by name (as UTF-8 bytes), then by age.

        A chunked PUT that was killed is among them, when the bucket's `chunks.checkpoint_every` made it write down its
        chunks: they are parts 1 to N, and what follows them can be sent as further parts.

        Args:
            bucket: where.
            prefix: only names that start with it.
            after: name and id of the last one of the page before.
            limit: entries at most, 1 to `UPLOADS_PAGE_MAX`; when there are as many, there may be more.
        """
        ...

    def list_parts(
        self,
        bucket: BucketRef,
        name: str,
        upload_id: str,
        after: int = 0,
        limit: int = UPLOADS_PAGE_MAX,
    ) -> list[PartInfo]:
        """Stored parts with numbers greater than `after`, in order; `limit` of them at most.

        Raises:
            NotFoundError: there is no such upload.
        """
        ...

    def complete_upload(
        self,
        bucket: BucketRef,
        name: str,
        upload_id: str,
        parts: Sequence[PartRef],
        options: CompleteOptions = DEFAULT_COMPLETE,
    ) -> ObjectProps:
        """Turn parts into the object, whole or not at all; the upload ends with success only.

        Each part becomes a chunk as it is, without a copy. All of them are read and compared with their checksums
        before the object becomes visible, which takes the time of reading it. Its checksum is of the type that the
        bucket had when the upload began; its ETag is S3's composite one in an upload with `md5`.

        Args:
            bucket: where the upload is.
            name: the object's name.
            upload_id: what `create_upload` returned.
            parts: all that were stored, as 1 to N, in any order; with `partial` some of them, in order. A number with
                the ETag or checksum of the part, or without.
            options: checksum of the whole, precondition, and `partial`.

        Raises:
            NotFoundError: there is no such upload: it may have been completed.
            InvalidArgumentError: the list is empty, too long, has gaps, or does not fit what was stored.
            ChecksumMismatchError: an ETag or a checksum is not that of what is stored.
            PreconditionFailedError: the precondition does not hold at commit.
            CorruptionError: a part is damaged; sent again it can be completed.
            BusyError: parts are being replaced at the same time.
        """
        ...

    def abort_upload(self, bucket: BucketRef, name: str, upload_id: str) -> None:
        """Drop an upload and its parts. A part that is on its way fails then.

        Raises:
            NotFoundError: there is no such upload.
        """
        ...

    # chunks

    def rechunk_bucket(
        self, bucket: BucketRef, options: RechunkOptions = DEFAULT_RECHUNK
    ) -> RechunkResult:
        """Lay objects out in chunks, or in one piece, as a job.

        Objects of `objsize_limit` bytes and more get chunks of `chunk_size`, others one piece; what is laid out so
        already is not touched. Each object is rewritten on its own: content, version, checksum, times, custom metadata
        and ETag stay, it can be read and written throughout, and a write that comes in between wins. A job that is
        stopped or killed leaves some objects done; the next one goes on from there. Checksums are verified on the
        way; damaged objects are left as they are.

        A second call with the same options while the job runs waits for it, and returns its result.

        Raises:
            InvalidArgumentError: a size is out of bounds.
            BusyError: a job with other options works on the bucket.
            CorruptionError: objects were damaged (all others are done).
            XactionAbortedError: somebody stopped the job.
        """
        ...
