"""The transport to a store in this process."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Self

from aiscore.errors import UnsupportedError
from aiscore.model.archive import ArchiveFormat
from aiscore.model.batch import BatchRequest
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
from aiscore.model.stream import Body
from aiscore.model.xaction import XactionFilter, XactionKind, XactionSnap
from aiscore.node import Node
from aiscore.transport.base import (
    ALL_XACTIONS,
    DEFAULT_ARCHIVE,
    DEFAULT_COMPLETE,
    DEFAULT_COPY,
    DEFAULT_GET,
    DEFAULT_LIST,
    DEFAULT_PART,
    DEFAULT_PROMOTE,
    DEFAULT_PUT,
    DEFAULT_RECHUNK,
    DEFAULT_UPLOAD,
    ArchiveStream,
    BatchStream,
    MemberInput,
    ObjectReader,
)

__all__ = ["LocalTransport"]


class LocalTransport:
    """Calls the engine directly; see `Transport` for every method."""

    def __init__(self, node: Node) -> None:
        """Take over an open node; `close` closes it."""
        self._node = node
        self._store = node.store

    @property
    def endpoint(self) -> str:
        """`file:///HOME`."""
        from urllib.parse import quote

        return f"file://{quote(self._node.home)}"

    def close(self) -> None:
        """Close the store; safe to repeat."""
        self._node.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def create_bucket(self, bucket: BucketRef, changes: Mapping[str, str] | None = None) -> None:
        """Create an empty bucket with the cluster's default properties and `changes` ("checksum.type" -> "md5")."""
        self._store.create_bucket(bucket, changes)

    def list_buckets(
        self, provider: Provider | None = None, namespace: Namespace | None = None
    ) -> list[BucketRef]:
        """Buckets sorted by provider, namespace, name; None is any."""
        return self._store.list_buckets(provider, namespace)

    def head_bucket(self, bucket: BucketRef) -> BucketProps:
        """Properties of the bucket."""
        return self._store.head_bucket(bucket)

    def set_bucket_props(
        self, bucket: BucketRef, changes: Mapping[str, str], *, force: bool = False
    ) -> BucketProps:
        """Apply dotted property changes as a whole or not at all; the new properties."""
        return self._store.set_bucket_props(bucket, changes, force=force)

    def mirror_bucket(self, bucket: BucketRef, copies: int) -> BucketProps:
        """Keep every object on `copies` mountpaths; 1 ends mirroring."""
        self._store.mirror_bucket(bucket, copies)
        return self._store.head_bucket(bucket)

    def reset_bucket_props(self, bucket: BucketRef) -> BucketProps:
        """Back to the cluster's defaults."""
        return self._store.reset_bucket_props(bucket)

    def rename_bucket(self, source: BucketRef, target: BucketRef) -> None:
        """Give the bucket another name; objects, versions and checksums stay."""
        self._store.rename_bucket(source, target)

    def copy_bucket(
        self, source: BucketRef, target: BucketRef, options: CopyOptions = DEFAULT_COPY
    ) -> CopyResult:
        """Copy objects; a missing target is created with the source's properties. Each object appears whole."""
        return self._store.copy_bucket(source, target, options)

    def copy_objects(
        self,
        source: BucketRef,
        selection: Selection,
        target: BucketRef,
        options: CopyOptions = DEFAULT_COPY,
    ) -> CopyResult:
        """Copy the objects of a selection; a missing target is created with the source's properties."""
        return self._store.copy_objects(source, selection, target, options)

    def destroy_bucket(self, bucket: BucketRef) -> None:
        """Remove the bucket and all it holds; from the first moment no reader sees any of it."""
        self._store.destroy_bucket(bucket)

    def summarize_bucket(self, bucket: BucketRef, prefix: str = "") -> BucketSummary:
        """Count objects and bytes."""
        return self._store.summarize_bucket(bucket, prefix)

    def put(
        self, bucket: BucketRef, name: str, body: Body, options: PutOptions = DEFAULT_PUT
    ) -> ObjectProps:
        """Store an object: visible whole when this returns, not at all when it raises."""
        return self._store.put(bucket, name, body, options)

    def open(self, bucket: BucketRef, name: str, options: GetOptions = DEFAULT_GET) -> ObjectReader:
        """Open an object, a range, a member, or a selection of members."""
        if options.etl_name:
            raise _no_etl()
        return self._store.open(bucket, name, options)

    def read(self, bucket: BucketRef, name: str, options: GetOptions = DEFAULT_GET) -> bytes:
        """The whole answer of `open` in memory: for small objects, ranges and members."""
        if options.etl_name:
            raise _no_etl()
        return self._store.read(bucket, name, options)

    def head(self, bucket: BucketRef, name: str) -> ObjectProps:
        """Properties of an object."""
        return self._store.head(bucket, name)

    def delete(
        self, bucket: BucketRef, name: str, precondition: Precondition | None = None
    ) -> None:
        """Remove an object."""
        self._store.delete(bucket, name, precondition)

    def delete_many(self, bucket: BucketRef, selection: Selection) -> DeleteResult:
        """Remove every object of the selection; names that do not exist are reported, not an error."""
        return self._store.delete_many(bucket, selection)

    def rename(self, bucket: BucketRef, name: str, new_name: str) -> None:
        """Give an object another name in its bucket; replaces an object of that name."""
        self._store.rename(bucket, name, new_name)

    def copy(
        self, bucket: BucketRef, name: str, target: BucketRef, target_name: str
    ) -> ObjectProps:
        """Copy one object; checksum and custom metadata go along, the version starts anew or counts on."""
        return self._store.copy(bucket, name, target, target_name)

    def append(self, bucket: BucketRef, name: str, body: Body, handle: str = "") -> str:
        """Add bytes to what a later `flush_append` makes visible; returns the handle for the next call."""
        return self._store.append(bucket, name, body, handle)

    def flush_append(
        self, bucket: BucketRef, name: str, handle: str, checksum: Checksum | None = None
    ) -> ObjectProps:
        """Make what was appended the object's content; ends the handle."""
        return self._store.flush_append(bucket, name, handle, checksum)

    def promote(
        self,
        bucket: BucketRef,
        path: str,
        name: str = "",
        options: PromoteOptions = DEFAULT_PROMOTE,
    ) -> PromoteResult:
        """Take a file, or the files of a directory, of the store's host into the bucket."""
        return self._store.promote(bucket, path, name, options)

    def set_custom(
        self, bucket: BucketRef, name: str, custom: Mapping[str, str], *, replace: bool = False
    ) -> ObjectProps:
        """Merge custom metadata (an empty value removes the key), or replace all of it."""
        return self._store.set_custom(bucket, name, custom, replace=replace)

    def list_page(self, bucket: BucketRef, options: ListOptions = DEFAULT_LIST) -> ListPage:
        """One page of a listing, in byte order of names."""
        return self._store.list_page(bucket, options)

    def create_upload(
        self, bucket: BucketRef, name: str, options: UploadOptions = DEFAULT_UPLOAD
    ) -> str:
        """Begin to store an object in parts; the id of the upload."""
        return self._store.create_upload(bucket, name, options)

    def put_part(
        self,
        bucket: BucketRef,
        name: str,
        upload_id: str,
        number: int,
        body: Body,
        options: PartOptions = DEFAULT_PART,
    ) -> PartInfo:
        """Store a part: it counts when this returns, not at all when it raises."""
        return self._store.put_part(bucket, name, upload_id, number, body, options)

    def list_uploads(
        self,
        bucket: BucketRef,
        prefix: str = "",
        after: tuple[str, str] | None = None,
        limit: int = UPLOADS_PAGE_MAX,
    ) -> list[MultipartUpload]:
        """Uploads that are neither completed nor aborted, by name, then by age."""
        return self._store.list_uploads(bucket, prefix, after, limit)

    def list_parts(
        self,
        bucket: BucketRef,
        name: str,
        upload_id: str,
        after: int = 0,
        limit: int = UPLOADS_PAGE_MAX,
    ) -> list[PartInfo]:
        """Stored parts with numbers greater than `after`, in order."""
        return self._store.list_parts(bucket, name, upload_id, after, limit)

    def complete_upload(
        self,
        bucket: BucketRef,
        name: str,
        upload_id: str,
        parts: Sequence[PartRef],
        options: CompleteOptions = DEFAULT_COMPLETE,
    ) -> ObjectProps:
        """Turn parts into the object, whole or not at all; the upload ends with success only."""
        return self._store.complete_upload(bucket, name, upload_id, parts, options)

    def abort_upload(self, bucket: BucketRef, name: str, upload_id: str) -> None:
        """Drop an upload and its parts."""
        self._store.abort_upload(bucket, name, upload_id)

    def rechunk_bucket(
        self, bucket: BucketRef, options: RechunkOptions = DEFAULT_RECHUNK
    ) -> RechunkResult:
        """Lay objects out in chunks, or in one piece, as a job."""
        return self._store.rechunk_bucket(bucket, options)

    def list_members(
        self, bucket: BucketRef, shard: str, archmime: ArchiveFormat | None = None
    ) -> list[ArchiveMember]:
        """Files of a shard in archive order."""
        return self._store.list_members(bucket, shard, archmime)

    def put_members(
        self,
        bucket: BucketRef,
        shard: str,
        members: Iterable[MemberInput],
        mode: ArchivePutMode = ArchivePutMode.CREATE,
        archmime: ArchiveFormat | None = None,
    ) -> ObjectProps:
        """Write files into a shard, all of them or none; the format is the shard's extension unless given."""
        return self._store.put_members(bucket, shard, members, mode, archmime)

    def archive_objects(
        self,
        bucket: BucketRef,
        selection: Selection,
        target: BucketRef,
        shard: str,
        options: ArchiveOptions = DEFAULT_ARCHIVE,
    ) -> ObjectProps:
        """Pack objects of a bucket into one shard."""
        return self._store.archive_objects(bucket, selection, target, shard, options)

    def get_batch(self, request: BatchRequest) -> BatchStream:
        """Fetch entries in order."""
        return self._store.get_batch(request)

    def get_batch_archive(self, request: BatchRequest) -> ArchiveStream:
        """Fetch entries in order, as one archive in `request.output_format`."""
        return self._store.get_batch_archive(request)

    def mountpaths(self) -> list[MountpathInfo]:
        """Disks of the store."""
        return self._store.mountpaths()

    def add_mountpath(self, path: str) -> None:
        """Begin to use a directory; it must be absolute, exist, be empty and not nest with another."""
        self._store.add_mountpath(path)

    def remove_mountpath(self, path: str) -> None:
        """Move what lies on it to the others, then forget it."""
        self._store.remove_mountpath(path)

    def enable_mountpath(self, path: str) -> None:
        """Use it again."""
        self._store.enable_mountpath(path)

    def disable_mountpath(self, path: str) -> None:
        """Neither read nor write it until it is enabled."""
        self._store.disable_mountpath(path)

    def validate(self, bucket: BucketRef | None = None, prefix: str = "") -> ValidateReport:
        """Read everything, or one bucket, or one prefix of it, and report what is wrong by name."""
        return self._store.validate(bucket, prefix)

    def config(self) -> ClusterConfig:
        """The store's configuration."""
        return self._store.config()

    def set_config(self, changes: Mapping[str, str]) -> ClusterConfig:
        """Apply dotted changes as a whole or not at all; takes effect in every process at its next operation."""
        return self._store.set_config(changes)

    def reset_config(self) -> ClusterConfig:
        """Every setting back to its default."""
        return self._store.reset_config()

    def cluster_info(self) -> ClusterInfo:
        """The two nodes that an embedded store stands for, both this process."""
        from aiscore.transport.local_cluster import embedded_cluster

        return embedded_cluster(self.mountpaths(), self._store.load(), self.config().space)

    def node_log(self, node: str, severity: str = "") -> Iterator[bytes]:
        """An embedded store writes no log."""
        raise UnsupportedError(
            "an embedded store writes no log",
            hint="AIS_DEBUG=1 shows the traceback of an error; a server has a log: ais serve",
        )

    def list_xactions(self, wanted: XactionFilter = ALL_XACTIONS) -> list[XactionSnap]:
        """Jobs of every process that uses the store, oldest first."""
        return self._store.list_xactions(wanted)

    def find_xaction(self, job_id: str) -> XactionSnap:
        """One job."""
        return self._store.find_xaction(job_id)

    def run_job(
        self, kind: XactionKind, bucket: BucketRef | None = None, *, force: bool = False
    ) -> XactionSnap:
        """Run a maintenance job to its end, and tell what it did."""
        return self._store.run_job(kind, bucket, force=force)

    def stop_xactions(self, wanted: XactionFilter) -> int:
        """Ask running jobs to stop, wherever they run; how many were asked."""
        return self._store.stop_xactions(wanted)

    def forget_xactions(self, wanted: XactionFilter) -> int:
        """Remove jobs that have ended from the table; how many there were."""
        return self._store.forget_xactions(wanted)

    def counters(self) -> Mapping[str, int]:
        """Counters of this process since it opened the store, by upstream's internal names (`getbatch.n`)."""
        return self._store.counters()


def _no_etl() -> UnsupportedError:
    return UnsupportedError("an embedded store transforms nothing")
