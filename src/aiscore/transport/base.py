"""The one interface to a store, wherever it is.

A `Transport` is what the CLI, the loader and the Python client call. Every implementation passes
`aiscore.testing.TransportSuite`: same values, same errors.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol, Self

from aiscore.model.archive import ArchiveFormat
from aiscore.model.batch import BatchRequest, BatchResult
from aiscore.model.bucket import BucketRef, Namespace, Provider
from aiscore.model.checksum import Checksum
from aiscore.model.cluster import ClusterInfo
from aiscore.model.config import ClusterConfig
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
from aiscore.model.xaction import XactionFilter, XactionKind, XactionSnap
from aiscore.transport.uploads import (
    DEFAULT_COMPLETE,
    DEFAULT_PART,
    DEFAULT_RECHUNK,
    DEFAULT_UPLOAD,
    UploadTransport,
)

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


class Transport(UploadTransport, Protocol):
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

    def mirror_bucket(self, bucket: BucketRef, copies: int) -> BucketProps:
        """Keep every object on `copies` mountpaths, those there are and those to come; 1 ends mirroring.

        Runs as a job and is done when it returns; setting `mirror.enabled` and `mirror.copies` does the same, except
        that to switch mirroring off leaves the copies that there are. An acknowledged write has its copies.

        Returns:
            The new properties.

        Raises:
            InvalidArgumentError: fewer than one, or more than there are mountpaths.
            BusyError: another such job works on the bucket.
            CorruptionError: of some objects there is no good copy (all others are done).
        """
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

    def run_job(
        self, kind: XactionKind, bucket: BucketRef | None = None, *, force: bool = False
    ) -> XactionSnap:
        """Run a maintenance job to its end, and tell what it did; what is started elsewhere is `rechunk_bucket` etc.

        - `CLEANUP` removes what no name leads to: what killed processes and destroyed buckets left, uploads and appends
          that nobody came back to, files without a row that are older than `space.dont_cleanup_time`.
        - `LRU` drops what was not used for longest, of buckets that have a backend and `lru.enabled`, when disks are
          fuller than `space.highwm`, until they are down to `space.lowwm`. Objects without a backend stay: each is the
          only copy.
        - `MIRROR` makes the copies that objects of a bucket should have and lack, `RESILVER` those of all buckets; what
          is missing or short is replaced by a good copy.
        - `SHARD_INDEX` reads the headers of all shards of a bucket; `WARM_UP` reads the rows of its objects.

        Args:
            kind: one of these.
            bucket: of what is in it only; cleanup and resilver take no notice, all but these and LRU need one.
            force: cleanup removes young files, too; eviction takes no notice of `lru.enabled`.

        Raises:
            UnsupportedError: the store has no such job.
            XactionAbortedError: somebody stopped it.
        """
        ...

    def stop_xactions(self, wanted: XactionFilter) -> int:
        """Ask running jobs to stop, wherever they run; how many were asked. They end between two objects."""
        ...

    def forget_xactions(self, wanted: XactionFilter) -> int:
        """Remove jobs that have ended from the table; how many there were. Running ones stay."""
        ...

    def counters(self) -> Mapping[str, int]:
        """Counters of this process since it opened the store, by upstream's internal names (`getbatch.n`)."""
        ...
