"""The facade of the engine: what the layers above call. One method an operation, each documented in `Transport`."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager

from aiscore.engine import (
    append,
    buckets,
    check,
    copying,
    evacuate,
    listing,
    maintenance,
    members,
    multipart,
    objects,
    partwriter,
    rechunk,
)
from aiscore.engine.batch.assemble import BatchArchive
from aiscore.engine.batch.spool import SpooledEntries
from aiscore.engine.batch.stream import EntryStream
from aiscore.engine.bodyspool import BodySpool
from aiscore.engine.core import Core
from aiscore.engine.fileio import Files
from aiscore.engine.index import buckets as bucket_index
from aiscore.engine.index.checkpoints import Submit
from aiscore.engine.index.objects import ObjectRow
from aiscore.engine.objectwriter import ObjectWriter, admit_put
from aiscore.engine.opened import (
    Glance,
    OpenObject,
    glance_at,
    is_quick,
    open_object,
    read_again,
    read_object,
)
from aiscore.engine.promote import promote
from aiscore.engine.puts import SmallPut, put_many, put_object
from aiscore.engine.read import props_of
from aiscore.engine.resilver import resilver
from aiscore.engine.xaction.job import Announce, Job, unannounced
from aiscore.model.access import Access
from aiscore.model.archive import ArchiveFormat
from aiscore.model.batch import BatchRequest
from aiscore.model.bucket import BucketRef, Namespace, Provider
from aiscore.model.checksum import Checksum
from aiscore.model.chunks import ChunkInfo, RechunkOptions, RechunkResult
from aiscore.model.config import ClusterConfig
from aiscore.model.counters import Counters
from aiscore.model.load import LoadVector
from aiscore.model.multipart import (
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
    CopyTerms,
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
from aiscore.model.storage import MountpathInfo, MountpathState, ValidateReport
from aiscore.model.stream import Body
from aiscore.model.xaction import XactionFilter, XactionKind, XactionSnap

__all__ = ["Store"]


class Store:
    """One open home."""

    def __init__(self, home: str, files: Files | None = None) -> None:
        """Open the home at an absolute path, making it if it is new. `files` is for fault tests."""
        self.core = Core(home, files)
        append.expire_appends(self.core)
        multipart.expire_uploads(self.core)

    @property
    def home_id(self) -> str:
        """Id of the home."""
        return self.core.home_id

    def close(self) -> None:
        """Close it; safe to repeat."""
        self.core.close()

    def create_bucket(self, bucket: BucketRef, changes: Mapping[str, str] | None = None) -> None:
        """Create an empty bucket."""
        buckets.create_bucket(self.core, bucket, changes)

    def list_buckets(
        self, provider: Provider | None = None, namespace: Namespace | None = None
    ) -> list[BucketRef]:
        """Buckets sorted by provider, namespace, name."""
        return bucket_index.list_buckets(self.core.connection(), provider, namespace)

    def head_bucket(self, bucket: BucketRef) -> BucketProps:
        """Properties of the bucket."""
        return self.core.bucket(bucket, Access.HEAD_BUCKET).props

    def set_bucket_props(
        self,
        bucket: BucketRef,
        changes: Mapping[str, str],
        announce: Announce = unannounced,
        *,
        force: bool = False,
    ) -> BucketProps:
        """Apply property changes."""
        return buckets.set_props(self.core, bucket, changes, announce, force=force)

    def mirror_bucket(
        self, bucket: BucketRef, copies: int, announce: Announce = unannounced
    ) -> None:
        """Keep objects on so many mountpaths."""
        buckets.mirror_bucket(self.core, bucket, copies, announce)

    def reset_bucket_props(self, bucket: BucketRef) -> BucketProps:
        """Back to the defaults."""
        return buckets.reset_props(self.core, bucket)

    def rename_bucket(
        self, source: BucketRef, target: BucketRef, announce: Announce = unannounced
    ) -> None:
        """Give the bucket another name."""
        buckets.rename_bucket(self.core, source, target, announce)

    def copy_bucket(
        self,
        source: BucketRef,
        target: BucketRef,
        options: CopyOptions,
        announce: Announce = unannounced,
    ) -> CopyResult:
        """Copy objects into another bucket."""
        return buckets.copy_bucket(self.core, source, target, options, announce)

    def copy_objects(
        self,
        source: BucketRef,
        selection: Selection,
        target: BucketRef,
        options: CopyOptions,
        announce: Announce = unannounced,
    ) -> CopyResult:
        """Copy the objects of a selection."""
        return buckets.copy_objects(self.core, source, selection, target, options, announce)

    def destroy_bucket(self, bucket: BucketRef, *, only_empty: bool = False) -> None:
        """Remove the bucket and what it holds; with `only_empty` not if that is anything."""
        buckets.destroy_bucket(self.core, bucket, only_empty=only_empty)

    def summarize_bucket(self, bucket: BucketRef, prefix: str = "") -> BucketSummary:
        """Count objects and bytes."""
        return buckets.summarize(self.core, bucket, prefix)

    def put(self, bucket: BucketRef, name: str, body: Body, options: PutOptions) -> ObjectProps:
        """Store an object."""
        return put_object(self.core, bucket, name, body, options)

    def put_many(self, puts: Sequence[SmallPut]) -> list[ObjectProps | Exception]:
        """Store several small objects, nearly always in one transaction: for each what `put` gives, or raises."""
        return put_many(self.core, puts)

    def open_writer(self, bucket: BucketRef, name: str, options: PutOptions) -> ObjectWriter:
        """Begin to store an object whose blocks are pushed."""
        row = admit_put(self.core, bucket, name, options)
        return ObjectWriter(self.core, row, name, options)

    def briefly(self) -> AbstractContextManager[None]:
        """Inside, this thread does not wait for writers of other processes: `BusyError` comes at once, nearly."""
        return self.core.database.briefly()

    def enter_event_loop(self, submit: Submit) -> None:
        """This thread is an event loop: what waits for the disk now and then, `submit` has done in another one."""
        self.core.database.enter_event_loop(submit)

    def is_durable(self, bucket: BucketRef) -> bool:
        """True when writes to this bucket wait for the disk."""
        return self.core.is_durable(self.core.bucket(bucket, 0))

    def open_spool(self, what: str) -> BodySpool:
        """A file without a name on the disk of the home, for a body that must be whole before it is used."""
        self.core.admit_write()
        return BodySpool(self.core.home, what)

    @property
    def is_writing(self) -> bool:
        """True while another thread holds the index for writing: a write would wait for it."""
        return self.core.database.is_writing

    def open(self, bucket: BucketRef, name: str, options: GetOptions) -> OpenObject:
        """Open an object, a range, a member, or a selection of members."""
        return open_object(self.core, bucket, name, options)

    def read(self, bucket: BucketRef, name: str, options: GetOptions) -> bytes:
        """The same in memory."""
        return read_object(self.core, bucket, name, options)

    def glance(self, bucket: BucketRef, name: str, size_max: int) -> Glance:
        """Look up an object, with its bytes if they are `size_max` at most."""
        return glance_at(self.core, bucket, name, size_max)

    def read_again(self, state: ObjectRow) -> bytes | None:
        """What a glance read (`Glance.state`), if nothing has changed since; None: take another glance."""
        return read_again(self.core, state)

    def is_quick(self, glance: Glance, options: GetOptions) -> bool:
        """True when opening what was looked up, with these options, is one file and, of a shard, one seek."""
        return is_quick(self.core, glance, options)

    def props_of(self, state: ObjectRow) -> ObjectProps:
        """Properties of an object that was looked up or opened."""
        return props_of(self.core, state)

    def head(self, bucket: BucketRef, name: str) -> ObjectProps:
        """Properties of an object."""
        return objects.head_object(self.core, bucket, name)

    def delete(self, bucket: BucketRef, name: str, precondition: Precondition | None) -> None:
        """Remove an object."""
        objects.delete_one(self.core, bucket, name, precondition)

    def delete_many(
        self, bucket: BucketRef, selection: Selection, announce: Announce = unannounced
    ) -> DeleteResult:
        """Remove every object of a selection."""
        return objects.delete_many(self.core, bucket, selection, announce)

    def rename(self, bucket: BucketRef, name: str, new_name: str) -> None:
        """Give an object another name."""
        objects.rename_object(self.core, bucket, name, new_name)

    def copy(
        self,
        bucket: BucketRef,
        name: str,
        target: BucketRef,
        target_name: str,
        terms: CopyTerms | None = None,
    ) -> ObjectProps:
        """Copy one object."""
        return copying.copy_object(self.core, bucket, name, target, target_name, terms)

    def append(self, bucket: BucketRef, name: str, body: Body, handle: str) -> str:
        """Add bytes for a later flush."""
        return append.append_object(self.core, bucket, name, body, handle)

    def flush_append(
        self, bucket: BucketRef, name: str, handle: str, checksum: Checksum | None
    ) -> ObjectProps:
        """Make what was appended visible."""
        return append.flush_append(self.core, bucket, name, handle, checksum)

    def create_upload(self, bucket: BucketRef, name: str, options: UploadOptions) -> str:
        """Begin a multipart upload; its id."""
        return multipart.create_upload(self.core, bucket, name, options)

    def put_part(
        self,
        bucket: BucketRef,
        name: str,
        upload_id: str,
        number: int,
        body: Body,
        options: PartOptions,
    ) -> PartInfo:
        """Store a part."""
        return partwriter.put_part(self.core, bucket, name, upload_id, number, body, options)

    def open_part_writer(
        self, bucket: BucketRef, name: str, upload_id: str, number: int, options: PartOptions
    ) -> partwriter.PartWriter:
        """Begin to store a part whose blocks are pushed."""
        return partwriter.open_part_writer(self.core, bucket, name, upload_id, number, options)

    def list_uploads(
        self, bucket: BucketRef, prefix: str, after: tuple[str, str] | None, limit: int
    ) -> list[MultipartUpload]:
        """Uploads by name and id."""
        return multipart.list_uploads(self.core, bucket, prefix, after, limit)

    def find_upload(self, bucket: BucketRef, name: str, upload_id: str) -> MultipartUpload:
        """One upload."""
        return multipart.describe_upload(self.core, bucket, name, upload_id)

    def list_parts(
        self, bucket: BucketRef, name: str, upload_id: str, after: int, limit: int
    ) -> list[PartInfo]:
        """Parts by number."""
        return multipart.list_parts(self.core, bucket, name, upload_id, after, limit)

    def complete_upload(
        self,
        bucket: BucketRef,
        name: str,
        upload_id: str,
        parts: Sequence[PartRef],
        options: CompleteOptions,
        review: multipart.PartsReview | None = None,
    ) -> ObjectProps:
        """Turn parts into the object; `review` sees their content before, and may refuse it."""
        return multipart.complete_upload(self.core, bucket, name, upload_id, parts, options, review)

    def abort_upload(self, bucket: BucketRef, name: str, upload_id: str) -> None:
        """Drop an upload and its parts."""
        multipart.abort_upload(self.core, bucket, name, upload_id)

    def list_chunks(self, bucket: BucketRef, name: str) -> list[ChunkInfo]:
        """Chunks of an object; one for a monolithic one."""
        return rechunk.list_chunks(self.core, bucket, name)

    def rechunk_bucket(
        self, bucket: BucketRef, options: RechunkOptions, announce: Announce = unannounced
    ) -> RechunkResult:
        """Lay objects out in chunks, or in one piece."""
        return rechunk.rechunk_bucket(self.core, bucket, options, announce)

    def promote(
        self,
        bucket: BucketRef,
        path: str,
        name: str,
        options: PromoteOptions,
        announce: Announce = unannounced,
    ) -> PromoteResult:
        """Take files of this host into the bucket."""
        return promote(self.core, bucket, path, name, options, announce)

    def set_custom(
        self, bucket: BucketRef, name: str, custom: Mapping[str, str], *, replace: bool
    ) -> ObjectProps:
        """Merge or replace custom metadata."""
        return objects.set_custom(self.core, bucket, name, custom, replace=replace)

    def list_page(self, bucket: BucketRef, options: ListOptions) -> ListPage:
        """One page of a listing."""
        return listing.list_page(self.core, bucket, options)

    def list_members(
        self, bucket: BucketRef, shard: str, archmime: ArchiveFormat | None
    ) -> list[ArchiveMember]:
        """Files of a shard."""
        return members.list_members(self.core, bucket, shard, archmime)

    def put_members(
        self,
        bucket: BucketRef,
        shard: str,
        new: Iterable[members.Member],
        mode: ArchivePutMode,
        archmime: ArchiveFormat | None,
    ) -> ObjectProps:
        """Write files into a shard."""
        return members.put_members(self.core, bucket, shard, new, mode, archmime)

    def archive_objects(
        self,
        bucket: BucketRef,
        selection: Selection,
        target: BucketRef,
        shard: str,
        options: ArchiveOptions,
        announce: Announce = unannounced,
    ) -> ObjectProps:
        """Pack objects into a shard."""
        return members.archive_objects(
            self.core, bucket, selection, target, shard, options, announce
        )

    def get_batch(self, request: BatchRequest) -> EntryStream | SpooledEntries:
        """Fetch entries in order."""
        if not request.streaming:
            return SpooledEntries(self.core, request)
        return EntryStream(self.core, request)

    def get_batch_archive(self, request: BatchRequest, soft_errors: int = 0) -> BatchArchive:
        """Fetch entries in order, as one archive; `soft_errors` count already."""
        return BatchArchive(self.core, request, soft_errors)

    def mountpaths(self) -> list[MountpathInfo]:
        """Disks of the home."""
        return self.core.mountpaths.infos()

    def add_mountpath(self, path: str) -> None:
        """Begin to use a directory."""
        self.core.mountpaths.add(path, self.core.home_id)
        resilver(self.core, f"attach {path}")

    def remove_mountpath(self, path: str) -> None:
        """Empty a mountpath and forget it."""
        evacuate.remove_mountpath(self.core, path)

    def enable_mountpath(self, path: str) -> None:
        """Use it again."""
        self.core.mountpaths.set_state(path, MountpathState.ENABLED)
        resilver(self.core, f"enable {path}")

    def disable_mountpath(self, path: str) -> None:
        """Neither read nor write it."""
        self.core.mountpaths.set_state(path, MountpathState.DISABLED)

    def validate(self, bucket: BucketRef | None, prefix: str) -> ValidateReport:
        """Read everything and report what is wrong."""
        return check.validate(self.core, bucket, prefix)

    def config(self) -> ClusterConfig:
        """The home's configuration."""
        return self.core.config()

    def set_config(self, changes: Mapping[str, str]) -> ClusterConfig:
        """Change it as a whole or not at all."""
        return self.core.set_config(changes)

    def reset_config(self) -> ClusterConfig:
        """Back to the defaults."""
        return self.core.reset_config()

    def list_xactions(self, wanted: XactionFilter) -> list[XactionSnap]:
        """Jobs of every process, by start."""
        return self.core.xactions.list(wanted)

    def run_job(
        self,
        kind: XactionKind,
        bucket: BucketRef | None,
        announce: Announce = unannounced,
        *,
        force: bool = False,
    ) -> XactionSnap:
        """Run a maintenance job to its end."""
        return maintenance.run_job(self.core, kind, bucket, announce, force=force)

    def start_xaction(self, kind: XactionKind, bucket: BucketRef | None = None) -> Job:
        """Begin a job whose work the caller does."""
        return self.core.xactions.start(kind, bucket)

    def find_xaction(self, job_id: str) -> XactionSnap:
        """One job."""
        return self.core.xactions.find(job_id)

    def stop_xactions(self, wanted: XactionFilter) -> int:
        """Ask jobs to stop; how many were running."""
        return self.core.xactions.stop(wanted)

    def stop_own_xactions(self) -> None:
        """Ask the jobs of this process to stop."""
        self.core.xactions.stop_own()

    def forget_xactions(self, wanted: XactionFilter) -> int:
        """Remove jobs that have ended from the table; how many there were."""
        return self.core.xactions.forget(wanted)

    def record_use(
        self,
        kind: XactionKind,
        bucket: BucketRef | None,
        objects: int,
        size: int,
        *,
        job_id: str = "",
        is_brief: bool = False,
    ) -> str:
        """Count work of an on-demand job; its id."""
        return self.core.xactions.record_use(
            kind, bucket, objects, size, job_id=job_id, is_brief=is_brief
        )

    def fullest_pct(self) -> int:
        """How full the fullest disk is, in percent."""
        return self.core.mountpaths.fullest_pct()

    def load(self) -> LoadVector:
        """How loaded the machine is."""
        return self.core.load.vector()

    def let_go(self) -> None:
        """Close what is kept open and was deleted or moved since: a process that does nothing else may hold a disk."""
        self.core.open_shards.drop_removed()

    def note_lag(self, lag_s: float) -> None:
        """Tell how late an event loop in this process is; called regularly."""
        self.core.load.note_lag(lag_s)

    @property
    def tally(self) -> Counters:
        """What this process counts with."""
        return self.core.counters

    def counters(self) -> Mapping[str, int]:
        """Counters of this process, or of all that it shares them with."""
        return self.core.counters.totals()

    def share_counters(self, counters: Counters) -> None:
        """Count into `counters` from now on; call it before the store is used."""
        self.core.counters = counters
