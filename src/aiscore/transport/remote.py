"""The transport to a store behind HTTP: a server of ours, or a cluster of AIStore.

What AIStore's API cannot express is asked of our servers under `/v1/x`; a cluster gets the nearest native call, or the
operation is refused by name.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Self

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
from aiscore.model.names import check_object_name, check_prefix
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
from aiscore.transport.control import ControlClient
from aiscore.transport.drain import Drain
from aiscore.transport.options import ConnectionOptions
from aiscore.transport.remote_buckets import RemoteBuckets
from aiscore.transport.remote_jobs import Jobs
from aiscore.transport.remote_objects import RemoteObjects
from aiscore.transport.remote_read import open_remote, read_remote
from aiscore.transport.remote_store import RemoteStore
from aiscore.transport.session import Session
from aiscore.wire.names import Action

if TYPE_CHECKING:
    from aiscore.transport.remote_uploads import RemoteUploads

__all__ = ["RemoteTransport"]


class RemoteTransport:
    """Calls a server; see `Transport` for every method. Shared by threads, and usable after a fork."""

    def __init__(self, endpoint: str, connection: ConnectionOptions | None = None) -> None:
        """Connect at the first call.

        Args:
            endpoint: `http://HOST:PORT` or `https://HOST:PORT`.
            connection: timeouts, TLS, token; None takes them from the environment.

        Raises:
            InvalidArgumentError: not an endpoint, or the environment has a malformed value.
        """
        options = ConnectionOptions.from_environ() if connection is None else connection
        self._session = Session(endpoint, options)
        self._control = ControlClient(self._session)
        self._store = RemoteStore(self._session, self._control)
        self._jobs = Jobs(self._session, self._store.is_ours)
        self._buckets = RemoteBuckets(self._session, self._control, self._jobs)
        self._objects = RemoteObjects(self._session, self._store)
        self._made_uploads: RemoteUploads | None = None

    @property
    def endpoint(self) -> str:
        """`http://HOST:PORT`."""
        return self._session.endpoint.url

    def close(self) -> None:
        """Close all connections; safe to repeat."""
        self._session.close()
        self._control.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    # buckets

    def create_bucket(self, bucket: BucketRef, changes: Mapping[str, str] | None = None) -> None:
        """Create an empty bucket with the cluster's default properties and `changes` ("checksum.type" -> "md5")."""
        self._buckets.create(bucket, changes)

    def list_buckets(
        self, provider: Provider | None = None, namespace: Namespace | None = None
    ) -> list[BucketRef]:
        """Buckets sorted by provider, namespace, name; None is any."""
        return self._buckets.list(provider, namespace)

    def head_bucket(self, bucket: BucketRef) -> BucketProps:
        """Properties of the bucket."""
        return self._buckets.head(bucket)

    def set_bucket_props(
        self, bucket: BucketRef, changes: Mapping[str, str], *, force: bool = False
    ) -> BucketProps:
        """Apply dotted property changes as a whole or not at all; the new properties."""
        return self._buckets.set_props(bucket, changes, force=force)

    def mirror_bucket(self, bucket: BucketRef, copies: int) -> BucketProps:
        """Keep every object on `copies` mountpaths; 1 ends mirroring."""
        return self._buckets.mirror(bucket, copies)

    def reset_bucket_props(self, bucket: BucketRef) -> BucketProps:
        """Back to the cluster's defaults."""
        return self._buckets.reset_props(bucket)

    def rename_bucket(self, source: BucketRef, target: BucketRef) -> None:
        """Give the bucket another name; objects, versions and checksums stay."""
        self._buckets.rename(source, target)

    def copy_bucket(
        self, source: BucketRef, target: BucketRef, options: CopyOptions = DEFAULT_COPY
    ) -> CopyResult:
        """Copy objects; a missing target is created with the source's properties. Each object appears whole."""
        return self._buckets.copy(source, target, options)

    def copy_objects(
        self,
        source: BucketRef,
        selection: Selection,
        target: BucketRef,
        options: CopyOptions = DEFAULT_COPY,
    ) -> CopyResult:
        """Copy the objects of a selection; a missing target is created with the source's properties."""
        return self._buckets.copy_objects(source, selection, target, options)

    def destroy_bucket(self, bucket: BucketRef) -> None:
        """Remove the bucket and all it holds; from the first moment no reader sees any of it."""
        self._buckets.destroy(bucket)

    def summarize_bucket(self, bucket: BucketRef, prefix: str = "") -> BucketSummary:
        """Count objects and bytes."""
        return self._buckets.summarize(bucket, check_prefix(prefix))

    # objects

    def put(
        self, bucket: BucketRef, name: str, body: Body, options: PutOptions = DEFAULT_PUT
    ) -> ObjectProps:
        """Store an object: visible whole when this returns, not at all when it raises."""
        return self._objects.put(bucket, name, body, options)

    def open(self, bucket: BucketRef, name: str, options: GetOptions = DEFAULT_GET) -> ObjectReader:
        """Open an object, a range, a member, or a selection of members."""
        return open_remote(self._session, bucket, check_object_name(name), options)

    def drain(self, bucket: BucketRef) -> Drain | None:
        """What reads whole objects only for the time it takes; None over TLS, and with gateways drawn at random."""
        session = self._session
        if session.endpoint.is_tls or session.options.gateways:
            return None
        return Drain(session, bucket)

    def read(self, bucket: BucketRef, name: str, options: GetOptions = DEFAULT_GET) -> bytes:
        """The whole answer of `open` in memory: for small objects, ranges and members."""
        return read_remote(self._session, bucket, check_object_name(name), options)

    def head(self, bucket: BucketRef, name: str) -> ObjectProps:
        """Properties of an object."""
        return self._objects.head(bucket, name)

    def delete(
        self, bucket: BucketRef, name: str, precondition: Precondition | None = None
    ) -> None:
        """Remove an object."""
        self._objects.delete(bucket, name, precondition)

    def delete_many(self, bucket: BucketRef, selection: Selection) -> DeleteResult:
        """Remove every object of the selection; names that do not exist are reported, not an error."""
        return self._buckets.delete_objects(bucket, selection)

    def rename(self, bucket: BucketRef, name: str, new_name: str) -> None:
        """Give an object another name in its bucket; replaces an object of that name."""
        self._objects.rename(bucket, name, new_name)

    def copy(
        self, bucket: BucketRef, name: str, target: BucketRef, target_name: str
    ) -> ObjectProps:
        """Copy one object; checksum and custom metadata go along, the version starts anew or counts on."""
        return self._objects.copy(bucket, name, target, target_name)

    def append(self, bucket: BucketRef, name: str, body: Body, handle: str = "") -> str:
        """Add bytes to what a later `flush_append` makes visible; returns the handle for the next call."""
        return self._objects.append(bucket, name, body, handle)

    def flush_append(
        self, bucket: BucketRef, name: str, handle: str, checksum: Checksum | None = None
    ) -> ObjectProps:
        """Make what was appended the object's content; ends the handle."""
        return self._objects.flush_append(bucket, name, handle, checksum)

    def promote(
        self,
        bucket: BucketRef,
        path: str,
        name: str = "",
        options: PromoteOptions = DEFAULT_PROMOTE,
    ) -> PromoteResult:
        """Take a file, or the files of a directory, of the store's host into the bucket."""
        return self._buckets.promote(bucket, path, name, options)

    def set_custom(
        self, bucket: BucketRef, name: str, custom: Mapping[str, str], *, replace: bool = False
    ) -> ObjectProps:
        """Merge custom metadata (an empty value removes the key), or replace all of it."""
        return self._objects.set_custom(bucket, name, custom, replace_all=replace)

    def list_page(self, bucket: BucketRef, options: ListOptions = DEFAULT_LIST) -> ListPage:
        """One page of a listing, in byte order of names."""
        return self._buckets.page(bucket, options)

    # multipart upload

    @property
    def _uploads(self) -> "RemoteUploads":
        found = self._made_uploads
        if found is None:
            # Here: most runs upload nothing in parts.
            from aiscore.transport.remote_uploads import RemoteUploads

            found = self._made_uploads = RemoteUploads(
                self._session, self._control, self._store, self._objects, self._buckets, self._jobs
            )
        return found

    def create_upload(
        self, bucket: BucketRef, name: str, options: UploadOptions = DEFAULT_UPLOAD
    ) -> str:
        """Begin to store an object in parts; the id of the upload."""
        return self._uploads.create(bucket, name, options)

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
        return self._uploads.put_part(bucket, name, upload_id, number, body, options)

    def list_uploads(
        self,
        bucket: BucketRef,
        prefix: str = "",
        after: tuple[str, str] | None = None,
        limit: int = UPLOADS_PAGE_MAX,
    ) -> list[MultipartUpload]:
        """Uploads that are neither completed nor aborted, by name, then by age."""
        return self._uploads.list_uploads(bucket, prefix, after, limit)

    def list_parts(
        self,
        bucket: BucketRef,
        name: str,
        upload_id: str,
        after: int = 0,
        limit: int = UPLOADS_PAGE_MAX,
    ) -> list[PartInfo]:
        """Stored parts with numbers greater than `after`, in order."""
        return self._uploads.list_parts(bucket, name, upload_id, after, limit)

    def complete_upload(
        self,
        bucket: BucketRef,
        name: str,
        upload_id: str,
        parts: Sequence[PartRef],
        options: CompleteOptions = DEFAULT_COMPLETE,
    ) -> ObjectProps:
        """Turn parts into the object, whole or not at all; the upload ends with success only."""
        return self._uploads.complete(bucket, name, upload_id, parts, options)

    def abort_upload(self, bucket: BucketRef, name: str, upload_id: str) -> None:
        """Drop an upload and its parts."""
        self._uploads.abort(bucket, name, upload_id)

    def rechunk_bucket(
        self, bucket: BucketRef, options: RechunkOptions = DEFAULT_RECHUNK
    ) -> RechunkResult:
        """Lay objects out in chunks, or in one piece, as a job."""
        return self._uploads.rechunk(bucket, options)

    # shards

    def list_members(
        self, bucket: BucketRef, shard: str, archmime: ArchiveFormat | None = None
    ) -> list[ArchiveMember]:
        """Files of a shard in archive order."""
        from aiscore.transport.remote_shards import RemoteShards

        shards = RemoteShards(self._session, self._store, self._buckets, self._objects)
        return shards.members(bucket, shard, archmime)

    def put_members(
        self,
        bucket: BucketRef,
        shard: str,
        members: Iterable[MemberInput],
        mode: ArchivePutMode = ArchivePutMode.CREATE,
        archmime: ArchiveFormat | None = None,
    ) -> ObjectProps:
        """Write files into a shard, all of them or none; the format is the shard's extension unless given."""
        from aiscore.transport.remote_shards import RemoteShards

        shards = RemoteShards(self._session, self._store, self._buckets, self._objects)
        return shards.put(bucket, shard, members, mode, archmime)

    def archive_objects(
        self,
        bucket: BucketRef,
        selection: Selection,
        target: BucketRef,
        shard: str,
        options: ArchiveOptions = DEFAULT_ARCHIVE,
    ) -> ObjectProps:
        """Pack objects of a bucket into one shard."""
        self._buckets.archive(bucket, selection, target, shard, options)
        return self._objects.head(target, shard)

    # GetBatch

    def get_batch(self, request: BatchRequest) -> BatchStream:
        """Fetch entries in order."""
        from aiscore.transport.remote_entries import open_batch

        return open_batch(self._session, request, self._store.is_ours)

    def get_batch_archive(self, request: BatchRequest) -> ArchiveStream:
        """Fetch entries in order, as one archive in `request.output_format`."""
        from aiscore.transport.remote_archive import open_archive

        return open_archive(self._session, request, self._store.is_ours)

    # the store itself

    def mountpaths(self) -> list[MountpathInfo]:
        """Disks of the store."""
        return self._store.mountpaths()

    def add_mountpath(self, path: str) -> None:
        """Begin to use a directory; it must be absolute, exist, be empty and not nest with another."""
        self._store.change_mountpath("PUT", Action.MOUNTPATH_ATTACH, path)

    def remove_mountpath(self, path: str) -> None:
        """Move what lies on it to the others, then forget it."""
        self._store.change_mountpath("DELETE", Action.MOUNTPATH_DETACH, path)

    def enable_mountpath(self, path: str) -> None:
        """Use it again."""
        self._store.change_mountpath("POST", Action.MOUNTPATH_ENABLE, path)

    def disable_mountpath(self, path: str) -> None:
        """Neither read nor write it until it is enabled."""
        self._store.change_mountpath("POST", Action.MOUNTPATH_DISABLE, path)

    def validate(self, bucket: BucketRef | None = None, prefix: str = "") -> ValidateReport:
        """Read everything, or one bucket, or one prefix of it, and report what is wrong by name."""
        return self._store.validate(bucket, check_prefix(prefix))

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
        """The nodes of the store as they are now; one that does not answer has a status that says so."""
        from aiscore.transport.remote_cluster import read_cluster

        return read_cluster(self._session)

    def node_log(self, node: str, severity: str = "") -> Iterator[bytes]:
        """The log of a node in blocks, from its beginning; an open connection until the end."""
        from aiscore.transport.remote_cluster import read_log

        return read_log(self._session, node, severity)

    # jobs

    def list_xactions(self, wanted: XactionFilter = ALL_XACTIONS) -> list[XactionSnap]:
        """Jobs of every process that uses the store, oldest first."""
        return self._jobs.list(wanted)

    def find_xaction(self, job_id: str) -> XactionSnap:
        """One job."""
        return self._jobs.find(job_id)

    def run_job(
        self, kind: XactionKind, bucket: BucketRef | None = None, *, force: bool = False
    ) -> XactionSnap:
        """Run a maintenance job to its end, and tell what it did."""
        return self._jobs.run(kind, bucket, self._control, force=force)

    def stop_xactions(self, wanted: XactionFilter) -> int:
        """Ask running jobs to stop, wherever they run; how many were asked."""
        return self._jobs.stop(wanted, self._control)

    def forget_xactions(self, wanted: XactionFilter) -> int:
        """Remove jobs that have ended from the table; how many there were."""
        self._store.need("forget jobs", name="xactions")
        return self._jobs.forget(wanted, self._control)

    def counters(self) -> Mapping[str, int]:
        """Counters of the server's process since it opened the store, by upstream's internal names."""
        return self._store.counters()
