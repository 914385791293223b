"""What the fault tests share: a faulty file layer, multi-piece objects, child processes, and the soundness check."""

import errno
import multiprocessing
import os
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.process import BaseProcess

from aiscore.engine.commit import commit_content
from aiscore.engine.fileio import Files, OsFiles
from aiscore.engine.index.objects import ObjectRow
from aiscore.engine.layout import default_mountpath, piece_path
from aiscore.engine.puts import SmallPut
from aiscore.engine.shardcache import ShardCache
from aiscore.engine.store import Store
from aiscore.engine.write import ContentWriter
from aiscore.errors import AisError
from aiscore.model.access import Access
from aiscore.model.batch import BatchEntry, BatchRequest
from aiscore.model.bucket import BucketRef
from aiscore.model.byterange import ByteRange
from aiscore.model.chunks import RechunkOptions
from aiscore.model.multipart import CompleteOptions, PartOptions, PartRef, UploadOptions
from aiscore.model.objects import (
    ArchivePutMode,
    GetOptions,
    ListOptions,
    PromoteOptions,
    PutOptions,
    Selection,
)
from aiscore.model.storage import FaultKind, MountpathState
from aiscore.model.xaction import XactionKind
from aiscore.testing.content import pattern
from aiscore.transport.base import MemberInput

BUCKET = BucketRef("b")
OTHER = BucketRef("other")
GET = GetOptions()
PUT = PutOptions()
VERIFIED = GetOptions(verify_checksum=True)
KIB = 1 << 10
MIB = 1 << 20
PIECE = 64 * KIB

PROCESSES = multiprocessing.get_context("forkserver")
"""A child starts in milliseconds, and from a process without threads."""
PROCESSES.set_forkserver_preload(["tests.fault.support"])


def open_store(home: str, files: Files | None = None) -> Store:
    return Store(home, files)


def put(store: Store, name: str, data: bytes, bucket: BucketRef = BUCKET) -> None:
    store.put(bucket, name, data, PUT)


def put_many(store: Store, contents: Mapping[str, bytes], bucket: BucketRef = BUCKET) -> None:
    """Store several objects in one transaction; raises what the first of them that failed has failed with."""
    puts = [SmallPut(bucket, name, data, PUT) for name, data in contents.items()]
    for result in store.put_many(puts):
        if isinstance(result, Exception):
            raise result


def read(store: Store, name: str, bucket: BucketRef = BUCKET) -> bytes:
    return store.read(bucket, name, GET)


def put_pieces(
    store: Store,
    name: str,
    data: bytes,
    piece_size: int = PIECE,
    bucket: BucketRef = BUCKET,
) -> ObjectRow:
    """Store an object of several pieces; through `put` a piece has at least a gibibyte."""
    row = store.core.bucket(bucket, Access.PUT)
    kind = row.props.checksum.type
    sync = store.core.is_durable(row)
    writer = ContentWriter(
        store.core,
        bucket.uname + name,
        bucket.object_cname(name),
        {kind},
        piece_size_max=piece_size,
        hash_pieces=True,
        sync=sync,
    )
    try:
        for start in range(0, len(data), 3 * piece_size // 2):
            writer.write(data[start : start + 3 * piece_size // 2])
        writer.finish()
        return commit_content(
            store.core,
            row,
            name,
            writer,
            checksum=writer.hasher.checksum(kind),
            custom={},
            sync=sync,
        )
    except BaseException:
        writer.abort()
        raise


def push(store: Store, name: str, data: bytes) -> None:
    """Store an object block by block, through a buffer that is used again."""
    buffer = bytearray(300_000)
    with store.open_writer(BUCKET, name, PUT) as writer:
        for start in range(0, len(data), len(buffer)):
            part = data[start : start + len(buffer)]
            buffer[: len(part)] = part
            writer.write(memoryview(buffer)[: len(part)])
        writer.commit()


def members(contents: Mapping[str, bytes]) -> list[MemberInput]:
    return [MemberInput(name, len(data), data) for name, data in contents.items()]


def names_of(store: Store, bucket: BucketRef = BUCKET) -> list[str]:
    """Every name, page by page."""
    names: list[str] = []
    token = ""
    while True:
        page = store.list_page(bucket, ListOptions(token=token, page_size=1000))
        names.extend(entry.name for entry in page.entries)
        token = page.token
        if not token:
            return names


def contents_of(store: Store, bucket: BucketRef = BUCKET) -> dict[str, bytes]:
    return {name: store.read(bucket, name, VERIFIED) for name in names_of(store, bucket)}


def piece_files(store: Store) -> set[str]:
    """Every file that lies where pieces lie."""
    found: set[str] = set()
    for mountpath in store.core.mountpaths.all().values():
        for directory, _, files in os.walk(f"{mountpath.path}/pieces"):
            found.update(f"{directory}/{file}" for file in files)
    return found


def piece_rows(store: Store) -> set[str]:
    """Paths of all pieces that the index names, garbage included."""
    mountpaths = store.core.mountpaths.all()
    rows = store.core.connection().execute("SELECT id, mountpath_id FROM pieces").fetchall()
    return {
        piece_path(mountpaths[mountpath].path if mountpath in mountpaths else "?", piece)
        for piece, mountpath in rows
    }


def paths_of(store: Store, name: str, bucket: BucketRef = BUCKET) -> list[str]:
    """The piece files of an object, in order."""
    connection = store.core.connection()
    mountpaths = store.core.mountpaths.all()
    row = store.core.bucket(bucket, Access.GET)
    first = connection.execute(
        "SELECT piece_id, mountpath_id, piece_count FROM objects WHERE bucket_id = ? AND name = ?",
        (row.id, name),
    ).fetchone()
    pieces = [first[:2]]
    if first[2] > 1:
        pieces = connection.execute(
            "SELECT piece_id, mountpath_id FROM manifests WHERE manifest_id = ? ORDER BY number",
            (first[0],),
        ).fetchall()
    return [piece_path(mountpaths[mountpath].path, piece) for piece, mountpath in pieces]


def assert_sound(store: Store) -> None:
    """No fault, no orphan, no leftover: the disks hold what the index names and nothing else."""
    store.core.garbage.reclaim_marked()
    # Fewer copies than wanted are no damage: there may be no disk for them.
    found = store.validate(None, "").faults
    faults = [fault for fault in found if fault.kind is not FaultKind.COPIES]
    assert faults == [], faults
    files, rows = piece_files(store), piece_rows(store)
    assert files == rows, f"without row: {files - rows}, without file: {rows - files}"


def open_fds() -> int:
    return len(os.listdir("/proc/self/fd"))


def until(condition: Callable[[], bool], what: str, deadline_s: float = 20.0) -> None:
    """Wait for a condition."""
    end = time.monotonic() + deadline_s
    while not condition():
        assert time.monotonic() < end, f"not within {deadline_s:.0f} s: {what}"
        time.sleep(0.002)


class Crash(BaseException):
    """Not an `Exception`: no handler of the engine mistakes it for an error."""


@dataclass
class FaultyFiles:
    """The real calls, of which the k-th fails.

    Attributes:
        at: number of the call that fails, from 1; 0 is none. With `only`, calls of that name are counted.
        code: errno; 0 writes half of what was asked (other calls succeed), -1 ends the process.
        sticky: every later call of the same name fails too.
    """

    at: int = 0
    code: int = 0
    only: str = ""
    sticky: bool = False
    count: int = 0
    failed: str = ""

    def arm(self, at: int, code: int, *, only: str = "", sticky: bool = False) -> None:
        self.at, self.code, self.only, self.sticky = at, code, only, sticky
        self.count, self.failed = 0, ""

    def disarm(self) -> int:
        """Count on without failing; the calls since `arm`."""
        self.at = 0
        return self.count

    def _hit(self, name: str) -> bool:
        if self.only and name != self.only:
            return False
        self.count += 1
        if self.at and (self.count == self.at or (self.sticky and name == self.failed)):
            self.failed = name
            return True
        return False

    def _step(self, name: str) -> bool:
        """True when the call is to be short."""
        if not self._hit(name):
            return False
        if self.code == -1:
            os._exit(77)
        if self.code:
            raise OSError(self.code, os.strerror(self.code))
        return True

    def create(self, path: str) -> int:
        self._step("create")
        return OsFiles.create(path)

    def open(self, path: str) -> int:
        self._step("open")
        return OsFiles.open(path)

    def open_write(self, path: str) -> int:
        self._step("open_write")
        return OsFiles.open_write(path)

    def close(self, fd: int) -> None:
        # Linux gives the descriptor back even when close fails.
        if self._hit("close"):
            if self.code == -1:
                os._exit(77)
            os.close(fd)
            if self.code:
                raise OSError(self.code, os.strerror(self.code))
            return
        os.close(fd)

    def write(self, fd: int, data: bytes | bytearray | memoryview) -> int:
        if self._step("write"):
            return os.write(fd, memoryview(data)[: max(len(data) // 2, 1)])
        return os.write(fd, data)

    def pread(self, fd: int, count: int, offset: int) -> bytes:
        if self._step("pread"):
            return os.pread(fd, max(count // 2, 1), offset)
        return os.pread(fd, count, offset)

    def preadv(self, fd: int, buffers: list[memoryview], offset: int, flags: int = 0) -> int:
        if self._step("preadv"):
            first = buffers[0]
            return os.preadv(fd, [first[: max(len(first) // 2, 1)]], offset, flags)
        return os.preadv(fd, buffers, offset, flags)

    def size(self, fd: int) -> int:
        self._step("size")
        return os.fstat(fd).st_size

    def size_of(self, path: str) -> int:
        self._step("size_of")
        return os.stat(path).st_size

    def truncate(self, fd: int, size: int) -> None:
        self._step("truncate")
        os.ftruncate(fd, size)

    def seek(self, fd: int, offset: int) -> None:
        self._step("seek")
        os.lseek(fd, offset, os.SEEK_SET)

    def fsync(self, fd: int) -> None:
        self._step("fsync")
        os.fsync(fd)

    def fsync_dir(self, path: str) -> None:
        self._step("fsync_dir")
        OsFiles.fsync_dir(path)

    def unlink(self, path: str) -> None:
        self._step("unlink")
        os.unlink(path)

    def link(self, source: str, target: str) -> None:
        self._step("link")
        os.link(source, target)

    def mkdir(self, path: str) -> None:
        self._step("mkdir")
        OsFiles.mkdir(path)

    def copy_range(self, source: int, target: int, count: int, offset: int) -> int:
        if self._step("copy_range"):
            return OsFiles.copy_range(source, target, max(count // 2, 1), offset)
        return OsFiles.copy_range(source, target, count, offset)


ERRORS = {
    "ENOSPC": errno.ENOSPC,
    "EIO": errno.EIO,
    "EMFILE": errno.EMFILE,
    "EINTR": errno.EINTR,
    "short": 0,
}

Operation = Callable[[Store, str], object]
"""Takes the store and the directory of the test."""


@dataclass(frozen=True)
class Case:
    """An operation under fault, what it needs, and the contents of the bucket that are right before and after."""

    prepare: Operation
    run: Operation
    durable: bool = False


def small(seed: int = 0) -> bytes:
    return pattern(5_000, seed)


def large(seed: int = 0) -> bytes:
    return pattern(3 * MIB + 17, seed)


def chunked(seed: int = 0) -> bytes:
    return pattern(5 * PIECE + 3, seed)


def nothing(_store: Store, _directory: str) -> None:
    return


def second_mountpath(store: Store, directory: str) -> None:
    os.makedirs(f"{directory}/second", exist_ok=True)
    store.add_mountpath(f"{directory}/second")


def spread_names(store: Store, path: str, count: int) -> list[str]:
    """Names that are placed on the mountpath at `path`."""
    names: list[str] = []
    number = 0
    while len(names) < count:
        name = f"spread-{number}"
        number += 1
        if store.core.mountpaths.choose(BUCKET.uname + name).path == path:
            names.append(name)
    return names


def _shard(store: Store, _directory: str) -> None:
    store.put_members(
        BUCKET, "t.tar", members({"a": small(1), "b": small(2)}), ArchivePutMode.CREATE, None
    )


def _append_twice_and_flush(store: Store, _directory: str) -> None:
    handle = store.append(BUCKET, "grown", small(1), "")
    try:
        store.append(BUCKET, "grown", small(2), handle)
        store.flush_append(BUCKET, "grown", handle, None)
    except BaseException:
        with suppress(AisError):  # the handle is known: ending it is the caller's part
            store.flush_append(BUCKET, "grown", handle, None)
        raise


def _promote(store: Store, directory: str) -> None:
    os.makedirs(f"{directory}/host", exist_ok=True)
    with open(f"{directory}/host/file", "wb") as file:
        file.write(small(3))
    store.promote(BUCKET, f"{directory}/host/file", "promoted", PromoteOptions(overwrite=True))


def _two_disks(store: Store, directory: str) -> None:
    second_mountpath(store, directory)
    for name in spread_names(store, f"{directory}/second", 3):
        put(store, name, small(4))
    put_pieces(store, "chunked", chunked(5))


def _evacuate(store: Store, directory: str) -> None:
    if any(found.path == f"{directory}/second" for found in store.mountpaths()):
        store.remove_mountpath(f"{directory}/second")


def _destroy(store: Store, _directory: str) -> None:
    if OTHER in store.list_buckets():
        store.destroy_bucket(OTHER)


def _other_bucket(store: Store, _directory: str) -> None:
    store.create_bucket(OTHER)
    for number in range(4):
        put(store, f"o{number}", small(number), OTHER)
    put_pieces(store, "chunked", chunked(5), bucket=OTHER)


def _delete(name: str) -> Operation:
    def run(store: Store, _directory: str) -> None:
        store.delete_many(BUCKET, Selection(names=(name,)))

    return run


def _copy_across(store: Store, directory: str) -> None:
    source = spread_names(store, f"{directory}/second", 1)[0]
    target = spread_names(store, default_mountpath(store.core.home), 1)[0]
    store.copy(BUCKET, source, BUCKET, target)
    store.copy(BUCKET, "chunked", BUCKET, "chunked-copy")


def _read_all_ways(store: Store, _directory: str) -> None:
    assert read(store, "s") == small()
    with store.open(BUCKET, "l", GET) as reader:
        assert b"".join(reader) == large()
    middle = GetOptions(byte_range=ByteRange(PIECE - 5, PIECE + 10))
    assert store.read(BUCKET, "c", middle) == chunked()[PIECE - 5 : 2 * PIECE + 5]
    assert store.read(BUCKET, "c", VERIFIED) == chunked()


def upload(
    store: Store,
    name: str,
    parts: Sequence[bytes],
    *,
    again: int = 0,
    bucket: BucketRef = BUCKET,
) -> None:
    """A multipart upload from begin to end; part `again` is sent a second time."""
    upload_id = store.create_upload(bucket, name, UploadOptions())
    numbers = [*range(1, len(parts) + 1), *([again] if again else [])]
    try:
        for number in numbers:
            store.put_part(bucket, name, upload_id, number, parts[number - 1], PartOptions())
        refs = [PartRef(number=number) for number in range(1, len(parts) + 1)]
        store.complete_upload(bucket, name, upload_id, refs, CompleteOptions())
    except BaseException:
        with suppress(AisError):
            store.abort_upload(bucket, name, upload_id)
        raise


def _upload(store: Store, _directory: str) -> None:
    upload(store, "c", [small(1), large(2), small(3)], again=2)


def _abort_all(store: Store, _directory: str) -> None:
    for found in store.list_uploads(BUCKET, "", None, 100):
        store.abort_upload(BUCKET, found.name, found.upload_id)


def _parts(store: Store, directory: str) -> None:
    """Parts of an upload that has not ended, on two disks, which completes after all."""
    second_mountpath(store, directory)
    upload_id = store.create_upload(BUCKET, "c", UploadOptions())
    for number in range(1, 5):
        store.put_part(BUCKET, "c", upload_id, number, small(number), PartOptions())


def _complete_all(store: Store, _directory: str) -> None:
    for found in store.list_uploads(BUCKET, "", None, 100):
        refs = [PartRef(number=number) for number in range(1, found.part_count + 1)]
        store.complete_upload(BUCKET, found.name, found.upload_id, refs, CompleteOptions())


def _evacuate_and_complete(store: Store, directory: str) -> None:
    _evacuate(store, directory)
    _complete_all(store, directory)


def _two_layouts(store: Store, _directory: str) -> None:
    _fill(store, _directory)
    _chunking(store, _directory)


def _chunking(store: Store, _directory: str) -> None:
    changes = {
        "chunks.objsize_limit": f"{PIECE}",
        "chunks.chunk_size": f"{PIECE}",
        "chunks.checkpoint_every": "2",
    }
    store.set_bucket_props(BUCKET, changes)


def _put_chunked(store: Store, _directory: str) -> None:
    put(store, "c", chunked(1))


def _put_streamed(store: Store, _directory: str) -> None:
    data = chunked(1)
    blocks = [data[start : start + 50_000] for start in range(0, len(data), 50_000)]
    store.put(BUCKET, "c", blocks, PUT)


def _put_streamed_whole(store: Store, _directory: str) -> None:
    """Begun in chunks, and too short for them in the end."""
    store.set_bucket_props(BUCKET, {"chunks.objsize_limit": f"{10 * PIECE}"})
    _put_streamed(store, _directory)


def _rechunk(store: Store, _directory: str) -> None:
    store.rechunk_bucket(BUCKET, RechunkOptions(objsize_limit=PIECE, chunk_size=2 * PIECE))


def _unchunk(store: Store, _directory: str) -> None:
    store.rechunk_bucket(BUCKET, RechunkOptions(objsize_limit=0))


def _mirrored(store: Store, directory: str) -> None:
    """Two disks, two copies."""
    _fill_two_disks(store, directory)
    store.mirror_bucket(BUCKET, 2)


def _mirrored_on_three(store: Store, directory: str) -> None:
    """A disk more than copies: one can go."""
    os.makedirs(f"{directory}/third", exist_ok=True)
    store.add_mountpath(f"{directory}/third")
    _mirrored(store, directory)


def _fill_two_disks(store: Store, directory: str) -> None:
    second_mountpath(store, directory)
    put(store, "s", small())
    put_pieces(store, "c", chunked()[: 2 * PIECE + 3])


def _fill_before_disk(store: Store, directory: str) -> None:
    for number in range(3):
        put(store, f"s{number}", small(number))
    put_pieces(store, "c", chunked()[: 2 * PIECE + 3])
    second_mountpath(store, directory)


def _resilver(store: Store, _directory: str) -> None:
    store.run_job(XactionKind.RESILVER, None)


def _read_beside_damage(store: Store, _directory: str) -> None:
    """The first pieces are gone: reading takes the copies, and mends."""
    for path in [paths_of(store, name)[0] for name in ("s", "c")]:
        if os.path.exists(path):
            os.unlink(path)
    assert read(store, "s") == small()
    assert store.read(BUCKET, "c", VERIFIED) == chunked()[: 2 * PIECE + 3]


def _put_two_pieces(store: Store, _directory: str) -> None:
    put_pieces(store, "c", chunked(1)[: 2 * PIECE])


def _fill(store: Store, _directory: str) -> None:
    put(store, "s", small())
    put(store, "l", large())
    put_pieces(store, "c", chunked())


def _read_members(store: Store, _directory: str) -> None:
    store.core.shard_indexes = ShardCache()
    store.core.connection().execute("DELETE FROM shard_indexes")
    assert store.read(BUCKET, "t.tar", GetOptions(archpath="b")) == small(2)
    assert [m.name for m in store.list_members(BUCKET, "t.tar", None)] == ["a", "b"]


def _batch(store: Store, _directory: str) -> None:
    entries = [BatchEntry("s"), BatchEntry("c"), BatchEntry("l")]
    with store.get_batch(BatchRequest(entries=entries, bucket=BUCKET)) as stream:
        assert [data for _, data in stream] == [small(), chunked(), large()]


def _rename(store: Store, _directory: str) -> None:
    if "c" in names_of(store):
        store.rename(BUCKET, "c", "s")


def _put_many(store: Store, _directory: str) -> None:
    put_many(store, {"m0": small(1), "s": small(2), "c": small(3), "m1": b""})


CASES: dict[str, Case] = {
    "put-small": Case(nothing, lambda store, _: put(store, "s", small(1))),
    "put-large": Case(nothing, lambda store, _: put(store, "l", large(1))),
    "put-chunked": Case(nothing, lambda store, _: put_pieces(store, "c", chunked(1))),
    "put-durable": Case(nothing, lambda store, _: put(store, "s", small(1)), durable=True),
    "put-chunked-durable": Case(
        nothing, lambda store, _: put_pieces(store, "c", chunked(1)), durable=True
    ),
    "push": Case(_fill, lambda store, _: push(store, "l", large(1))),
    "push-durable": Case(nothing, lambda store, _: push(store, "l", large(1)), durable=True),
    "overwrite-small": Case(_fill, lambda store, _: put(store, "s", small(1))),
    "overwrite-chunked": Case(_fill, lambda store, _: put_pieces(store, "c", chunked(1))),
    "overwrite-chunked-by-small": Case(_fill, lambda store, _: put(store, "c", small(1))),
    "put-many": Case(_fill, _put_many),
    "put-many-durable": Case(_fill, _put_many, durable=True),
    "read": Case(_fill, _read_all_ways),
    "batch": Case(_fill, _batch),
    "members": Case(_shard, _read_members),
    "put-members": Case(nothing, _shard),
    "append-members": Case(
        _shard,
        lambda store, _: store.put_members(
            BUCKET, "t.tar", members({"c": small(3)}), ArchivePutMode.APPEND, None
        ),
    ),
    "append": Case(nothing, _append_twice_and_flush),
    "append-to-object": Case(
        lambda store, _: put(store, "grown", small()), _append_twice_and_flush
    ),
    "append-durable": Case(nothing, _append_twice_and_flush, durable=True),
    "upload": Case(nothing, _upload),
    "upload-over": Case(_fill, _upload),
    "upload-durable": Case(nothing, _upload, durable=True),
    "upload-abort": Case(_parts, _abort_all),
    "upload-complete": Case(_parts, _complete_all),
    "upload-evacuate": Case(_parts, _evacuate_and_complete),
    "checkpointed": Case(_chunking, _put_chunked),
    "checkpointed-over": Case(_two_layouts, _put_streamed),
    "checkpointed-durable": Case(_chunking, _put_streamed, durable=True),
    "checkpointed-whole": Case(_chunking, _put_streamed_whole),
    "rechunk": Case(_fill, _rechunk),
    "rechunk-durable": Case(_fill, _rechunk, durable=True),
    "rechunk-back": Case(_fill, _unchunk),
    "link-copy-chunked": Case(_fill, lambda store, _: store.copy(BUCKET, "c", BUCKET, "c2")),
    "link-copy-chunked-durable": Case(
        _fill, lambda store, _: store.copy(BUCKET, "c", BUCKET, "c2"), durable=True
    ),
    "link-copy": Case(_fill, lambda store, _: store.copy(BUCKET, "s", BUCKET, "s2")),
    "link-copy-durable": Case(
        _fill, lambda store, _: store.copy(BUCKET, "s", BUCKET, "s2"), durable=True
    ),
    "copy-across": Case(_two_disks, _copy_across),
    "rename-over": Case(_fill, _rename),
    "delete-small": Case(_fill, _delete("s")),
    "delete-chunked": Case(_fill, _delete("c")),
    "destroy": Case(_other_bucket, _destroy),
    "promote": Case(nothing, _promote),
    "mirror": Case(_fill_two_disks, lambda store, _: store.mirror_bucket(BUCKET, 2)),
    "mirror-off": Case(_mirrored, lambda store, _: store.mirror_bucket(BUCKET, 1)),
    "mirror-put": Case(_mirrored, lambda store, _: put(store, "s", small(1))),
    "mirror-put-chunked": Case(_mirrored, _put_two_pieces),
    "mirror-put-durable": Case(_mirrored, _put_two_pieces, durable=True),
    "mirror-delete": Case(_mirrored, _delete("c")),
    "mirror-evacuate": Case(_mirrored_on_three, _evacuate),
    "mirror-mend": Case(_mirrored, _read_beside_damage),
    "mirror-rechunk": Case(_mirrored, _rechunk),
    "evacuate": Case(_two_disks, _evacuate),
    "spread": Case(_fill_before_disk, _resilver),
    "add-mountpath": Case(
        nothing,
        lambda store, directory: (
            None
            if any(found.path == f"{directory}/second" for found in store.mountpaths())
            else second_mountpath(store, directory)
        ),
    ),
}
"""Every kind of operation that touches files; each `run` may be repeated after a failure."""


def prepare_case(case: Case, store: Store, directory: str) -> None:
    store.create_bucket(BUCKET)
    if case.durable:
        store.set_config({"store.durable": "true"})
    put(store, "bystander", small(9))
    case.prepare(store, directory)


def finish_process(process: BaseProcess, deadline_s: float = 60.0) -> int:
    """Join; the exit code (negative: the signal)."""
    process.join(deadline_s)
    if process.exitcode is None:
        process.kill()
        process.join()
        raise AssertionError(f"process did not end within {deadline_s:.0f} s")
    return process.exitcode


def run_children(
    target: Callable[..., None], arguments: Sequence[tuple[object, ...]], deadline_s: float = 60.0
) -> None:
    """Run one child per argument tuple, all at once; each must end well."""
    children = [PROCESSES.Process(target=target, args=each) for each in arguments]
    for child in children:
        child.start()
    codes = [finish_process(child, deadline_s) for child in children]
    assert codes == [0] * len(children)


@contextmanager
def mounted_tmpfs(path: str, size: int) -> Iterator[None]:
    """A disk of its own; fails, not skips, where mounting is not allowed."""
    os.makedirs(path, exist_ok=True)
    _mount("-t", "tmpfs", "-o", f"size={size},mode=0700", "tmpfs", path)
    try:
        yield
    finally:
        unmount(path)


def remount(path: str, options: str) -> None:
    _mount("-o", f"remount,{options}", path)


def unmount(path: str) -> None:
    """Lazily: a failed test may still have files open there."""
    if os.path.ismount(path):
        subprocess.run(["umount", "-l", path], check=True, capture_output=True)


def _mount(*arguments: str) -> None:
    done = subprocess.run(["mount", *arguments], check=False, capture_output=True, text=True)
    assert done.returncode == 0, f"these tests need root and mount(8): {done.stderr.strip()}"


def expect_typed(operation: Callable[[], object]) -> AisError | None:
    """Run; the typed error it raised, or None. Any other exception is a failure of the test."""
    try:
        operation()
    except AisError as exc:
        return exc
    return None


def enable_all(store: Store) -> None:
    """A removal that did not end leaves its mountpath disabled."""
    for found in store.mountpaths():
        store.enable_mountpath(found.path)


def is_enabled(store: Store, path: str) -> bool:
    return any(m.path == path and m.state is MountpathState.ENABLED for m in store.mountpaths())
