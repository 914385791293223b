"""The one interface to a store, wherever it is.

A `Transport` is what the CLI, the loader and the Python client call. Every implementation passes
`aiscore.testing.TransportSuite`: same values, same errors.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, Self

from aiscore.model.archive import ArchiveFormat
from aiscore.model.batch import BatchRequest, BatchResult
from aiscore.model.bucket import BucketRef, Namespace, Provider
from aiscore.model.checksum import Checksum
from aiscore.model.chunks import RechunkOptions, RechunkResult
from aiscore.model.cluster import ClusterInfo
from aiscore.model.config import ClusterConfig
from aiscore.model.multipart import (
    UPLOADS_PAGE_MAX,
    CompleteOptions,
    MultipartUpload,
    PartInfo,
    PartOptions,
    PartRef,
    UploadOptions,
)
from aiscore.model.objects import (
    ArchiveMember,
    ArchiveOptions,
    ArchivePutMode,
    BucketSummary,
    CopyOptions,
    CopyResult,
    DeleteResult,
    GetOptions,
    ListOptions,
    ListPage,
    ObjectProps,
    Precondition,
    PromoteOptions,
    PromoteResult,
    PutOptions,
    Selection,
)
from aiscore.model.props import BucketProps
from aiscore.model.storage import MountpathInfo, ValidateReport
from aiscore.model.stream import Body, ByteReader
from aiscore.model.xaction import XactionFilter, XactionSnap

__all__ = [
    "ALL_XACTIONS",
    "DEFAULT_ARCHIVE",
    "DEFAULT_COMPLETE",
    "DEFAULT_COPY",
    "DEFAULT_GET",
    "DEFAULT_LIST",
    "DEFAULT_PART",
    "DEFAULT_PROMOTE",
    "DEFAULT_PUT",
    "DEFAULT_RECHUNK",
    "DEFAULT_UPLOAD",
    "ArchiveStream",
    "BatchStream",
    "MemberInput",
    "ObjectReader",
    "Transport",
]

DEFAULT_GET = GetOptions()
DEFAULT_PUT = PutOptions()
DEFAULT_LIST = ListOptions()
DEFAULT_COPY = CopyOptions()
DEFAULT_PROMOTE = PromoteOptions()
DEFAULT_ARCHIVE = ArchiveOptions()
DEFAULT_UPLOAD = UploadOptions()
DEFAULT_PART = PartOptions()
DEFAULT_COMPLETE = CompleteOptions()
DEFAULT_RECHUNK = RechunkOptions()
ALL_XACTIONS = XactionFilter()


class ObjectReader(ByteReader, Protocol):
    """An open object, range or member: properties first, then bytes. A context manager; iterates over blocks.

    The content is the one the object had at `open`, whatever is written meanwhile.
    """

    @property
    def props(self) -> ObjectProps:
        """Properties of the object (of the shard, for a member)."""
        ...

    @property
    def size(self) -> int | None:
        """Bytes this reader delivers; None when only reading tells (`archregx`)."""
        ...


class BatchStream(Protocol):
    """Entries of one GetBatch in request order. A context manager; consumed once, by one of the two iterations.

    Both raise in the middle when the request fails there: without `cont_on_err` at the first entry that cannot be
    read, with it when the soft-error budget is spent (`BatchAbortedError`).
    """

    def __iter__(self) -> Iterator[tuple[BatchResult, bytes]]:
        """Each entry with its whole content in memory."""
        ...

    def streams(self) -> Iterator[tuple[BatchResult, ByteReader]]:
        """Each entry with a reader, valid until the next step; memory is bounded whatever the entry's size."""
        ...

    def close(self) -> None:
        """Release what the batch holds; safe to repeat."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *exc: object) -> None: ...


class ArchiveStream(Protocol):
    """The output archive of one GetBatch as bytes. A context manager.

    Iterating gives memoryviews that are valid until the next step. For a streaming request `results` grows while the
    archive is read; for a buffered one it is complete before the first byte.
    """

    @property
    def results(self) -> list[BatchResult]:
        """One result an entry, in request order."""
        ...

    def __iter__(self) -> Iterator[memoryview]: ...

    def close(self) -> None:
        """Release what the batch holds; safe to repeat."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *exc: object) -> None: ...


@dataclass(frozen=True, slots=True)
class MemberInput:
    """A file on its way into a shard: path inside it, size in bytes, and content of exactly that size."""

    name: str
    size: int
    body: Body


class Transport(Protocol):
    """How a caller reaches a store. Every method raises `AisError` subclasses only.

    A transport may be shared by threads; what it hands out (readers, streams) belongs to one thread at a time.

    Not found errors are common to all: `BucketNotFoundError` for the bucket, `ObjectNotFoundError` for the object.
    Names are checked before anything is touched: `InvalidNameError`.
    """

    @property
    def endpoint(self) -> str:
        """Where the store is, as a URL."""
        ...

    def close(self) -> None:
        """Release connections and files; safe to repeat."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *exc: object) -> None: ...

    # buckets

    def create_bucket(self, bucket: BucketRef, changes: Mapping[str, str] | None = None) -> None:
        """Create an empty bucket with the cluster's default properties and `changes` ("checksum.type" -> "md5").

        Raises:
            BucketAlreadyExistsError: the name is taken.
            UnsupportedError: the provider is not available here.
        """
        ...

    def list_buckets(
        self, provider: Provider | None = None, namespace: Namespace | None = None
    ) -> list[BucketRef]:
        """Buckets sorted by provider, namespace, name; None is any."""
        ...

    def head_bucket(self, bucket: BucketRef) -> BucketProps:
        """Properties of the bucket."""
        ...

    def set_bucket_props(
        self, bucket: BucketRef, changes: Mapping[str, str], *, force: bool = False
    ) -> BucketProps:
        """Apply dotted property changes as a whole or not at all; the new properties."""
        ...

    def reset_bucket_props(self, bucket: BucketRef) -> BucketProps:
        """Back to the cluster's defaults."""
        ...

    def rename_bucket(self, source: BucketRef, target: BucketRef) -> None:
        """Give the bucket another name; objects, versions and checksums stay.

        Raises:
            BucketAlreadyExistsError: `target` is taken.
        """
        ...

    def copy_bucket(
        self, source: BucketRef, target: BucketRef, options: CopyOptions = DEFAULT_COPY
    ) -> CopyResult:
        """Copy objects; a missing target is created with the source's properties. Each object appears whole."""
        ...

    def copy_objects(
        self,
        source: BucketRef,
        selection: Selection,
        target: BucketRef,
        options: CopyOptions = DEFAULT_COPY,
    ) -> CopyResult:
        """Copy the objects of a selection; a missing target is created with the source's properties.

        `options.prefix` and `options.synchronize` are for whole buckets.

        Raises:
            ObjectNotFoundError: a named object does not exist, without `cont_on_err`.
        """
        ...

    def destroy_bucket(self, bucket: BucketRef) -> None:
        """Remove the bucket and all it holds; from the first moment no reader sees any of it."""
        ...

    def summarize_bucket(self, bucket: BucketRef, prefix: str = "") -> BucketSummary:
        """Count objects and bytes."""
        ...

    # objects

    def put(
        self, bucket: BucketRef, name: str, body: Body, options: PutOptions = DEFAULT_PUT
    ) -> ObjectProps:
        """Store an object: visible whole when this returns, not at all when it raises.

        Raises:
            ChecksumMismatchError: the body does not have the checksum that came with it.
            InvalidArgumentError: the body is longer or shorter than `options.size`.
            PreconditionFailedError: the precondition does not hold at commit.
            CapacityExceededError: no space.
        """
        ...

    def open(self, bucket: BucketRef, name: str, options: GetOptions = DEFAULT_GET) -> ObjectReader:
        """Open an object, a range, a member, or a selection of members.

        Raises:
            RangeNotSatisfiableError: the range starts at or after the end.
            ArchpathNotFoundError: no such member, or no match.
            CorruptionError: a piece is missing, short, or (with `verify_checksum`) wrong.
        """
        ...

    def read(self, bucket: BucketRef, name: str, options: GetOptions = DEFAULT_GET) -> bytes:
        """The whole answer of `open` in memory: for small objects, ranges and members."""
        ...

    def head(self, bucket: BucketRef, name: str) -> ObjectProps:
        """Properties of an object."""
        ...

    def delete(
        self, bucket: BucketRef, name: str, precondition: Precondition | None = None
    ) -> None:
        """Remove an object."""
        ...

    def delete_many(self, bucket: BucketRef, selection: Selection) -> DeleteResult:
        """Remove every object of the selection; names that do not exist are reported, not an error."""
        ...

    def rename(self, bucket: BucketRef, name: str, new_name: str) -> None:
        """Give an object another name in its bucket; replaces an object of that name."""
        ...

    def copy(
        self, bucket: BucketRef, name: str, target: BucketRef, target_name: str
    ) -> ObjectProps:
        """Copy one object; checksum and custom metadata go along, the version starts anew or counts on."""
        ...

    def append(self, bucket: BucketRef, name: str, body: Body, handle: str = "") -> str:
        """Add bytes to what a later `flush_append` makes visible; returns the handle for the next call.

        Without a handle it starts from the object's content, or from nothing. The handle is opaque, is good in any
        process that opens the store, and dies after `APPEND_IDLE_MAX_S` unused.
        """
        ...

    def flush_append(
        self, bucket: BucketRef, name: str, handle: str, checksum: Checksum | None = None
    ) -> ObjectProps:
        """Make what was appended the object's content; ends the handle."""
        ...

    def promote(
        self,
        bucket: BucketRef,
        path: str,
        name: str = "",
        options: PromoteOptions = DEFAULT_PROMOTE,
    ) -> PromoteResult:
        """Take a file, or the files of a directory, of the store's host into the bucket.

        Args:
            bucket: destination.
            path: absolute path on the host of the store.
            name: object name for a file; for a directory, what is put before the relative paths (a "/" between).
            options: recursion, overwriting, removal of the source.
        """
        ...

    def set_custom(
        self, bucket: BucketRef, name: str, custom: Mapping[str, str], *, replace: bool = False
    ) -> ObjectProps:
        """Merge custom metadata (an empty value removes the key), or replace all of it."""
        ...

    def list_page(self, bucket: BucketRef, options: ListOptions = DEFAULT_LIST) -> ListPage:
        """One page of a listing, in byte order of names."""
        ...

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

    # shards

    def list_members(
        self, bucket: BucketRef, shard: str, archmime: ArchiveFormat | None = None
    ) -> list[ArchiveMember]:
        """Files of a shard in archive order.

        Raises:
            ArchiveError: the object is not an archive, or a malformed one.
        """
        ...

    def put_members(
        self,
        bucket: BucketRef,
        shard: str,
        members: Iterable[MemberInput],
        mode: ArchivePutMode = ArchivePutMode.CREATE,
        archmime: ArchiveFormat | None = None,
    ) -> ObjectProps:
        """Write files into a shard, all of them or none; the format is the shard's extension unless given."""
        ...

    def archive_objects(
        self,
        bucket: BucketRef,
        selection: Selection,
        target: BucketRef,
        shard: str,
        options: ArchiveOptions = DEFAULT_ARCHIVE,
    ) -> ObjectProps:
        """Pack objects of a bucket into one shard."""
        ...

    # GetBatch

    def get_batch(self, request: BatchRequest) -> BatchStream:
        """Fetch entries in order.

        A failure of the request is raised here or while the stream is consumed; for a request that is not streaming,
        in any case before the first entry is given out.
        """
        ...

    def get_batch_archive(self, request: BatchRequest) -> ArchiveStream:
        """Fetch entries in order, as one archive in `request.output_format`; raises as `get_batch` does."""
        ...

    # the store itself

    def mountpaths(self) -> list[MountpathInfo]:
        """Disks of the store."""
        ...

    def add_mountpath(self, path: str) -> None:
        """Begin to use a directory; it must be absolute, exist, be empty and not nest with another."""
        ...

    def remove_mountpath(self, path: str) -> None:
        """Move what lies on it to the others, then forget it.

        Raises:
            CapacityExceededError: the others have no room.
            InvalidArgumentError: it is the last one.
        """
        ...

    def enable_mountpath(self, path: str) -> None:
        """Use it again."""
        ...

    def disable_mountpath(self, path: str) -> None:
        """Neither read nor write it until it is enabled."""
        ...

    def validate(self, bucket: BucketRef | None = None, prefix: str = "") -> ValidateReport:
        """Read everything, or one bucket, or one prefix of it, and report what is wrong by name.

        Without a bucket the index and the mountpaths are checked against each other too.
        """
        ...

    def config(self) -> ClusterConfig:
        """The store's configuration."""
        ...

    def set_config(self, changes: Mapping[str, str]) -> ClusterConfig:
        """Apply dotted changes as a whole or not at all; takes effect in every process at its next operation."""
        ...

    def reset_config(self) -> ClusterConfig:
        """Every setting back to its default."""
        ...

    def cluster_info(self) -> ClusterInfo:
        """The nodes of the store as they are now; one that does not answer has a status that says so.

        An embedded store has two, `p[local]` and `t[local]`, which are this process.
        """
        ...

    def node_log(self, node: str, severity: str = "") -> Iterator[bytes]:
        """The log of a node in blocks, from its beginning; an open connection until the end.

        Args:
            node: id, or name (`t[ID]`), of a node of `cluster_info`.
            severity: `info`, `warning` or `error`: no lines below; "" is all.

        Raises:
            NotFoundError: no node has this id.
            UnsupportedError: an embedded store writes no log.
        """
        ...

    # jobs

    def list_xactions(self, wanted: XactionFilter = ALL_XACTIONS) -> list[XactionSnap]:
        """Jobs of every process that uses the store, oldest first; those that ended stay for an hour at least."""
        ...

    def find_xaction(self, job_id: str) -> XactionSnap:
        """One job.

        Raises:
            XactionNotFoundError: no job has this id.
        """
        ...

    def stop_xactions(self, wanted: XactionFilter) -> int:
        """Ask running jobs to stop, wherever they run; how many were asked. They end between two objects."""
        ...

    def counters(self) -> Mapping[str, int]:
        """Counters of this process since it opened the store, by upstream's internal names (`getbatch.n`)."""
        ...
