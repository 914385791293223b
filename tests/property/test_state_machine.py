"""Sequences of operations against a dict: whatever the order, the store and the model agree.

Names and buckets are few, so operations meet each other; what does not exist is asked for as often
as what does, and must fail by the right class. A second transport over the same home reads along:
it sees every change at once.
"""

import os
import shutil
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, Phase, note, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from aiscore.engine.core import Core
from aiscore.engine.index.copies import copies_of
from aiscore.engine.index.objects import select_object
from aiscore.engine.layout import piece_path
from aiscore.errors import (
    AisError,
    ArchpathNotFoundError,
    BucketAlreadyExistsError,
    BucketNotFoundError,
    ChecksumMismatchError,
    InvalidArgumentError,
    NotFoundError,
    ObjectNotFoundError,
    PreconditionFailedError,
    RangeNotSatisfiableError,
)
from aiscore.model.archive import ArchiveFormat
from aiscore.model.batch import MISSING_PREFIX, BatchEntry, BatchRequest
from aiscore.model.bucket import BucketRef, Namespace
from aiscore.model.byterange import ByteRange
from aiscore.model.checksum import ChecksumType
from aiscore.model.chunks import RechunkOptions
from aiscore.model.multipart import CompleteOptions, PartRef, UploadOptions
from aiscore.model.objects import (
    ArchivePutMode,
    CopyOptions,
    GetOptions,
    ListOptions,
    Precondition,
    PutOptions,
    Selection,
)
from aiscore.model.stream import BLOCK_SIZE
from aiscore.model.xaction import XactionKind
from aiscore.serve import ServerSettings, running
from aiscore.testing.content import checksum_of, in_blocks, pattern
from aiscore.testing.listing import list_all
from aiscore.transport import MemberInput, Transport, open_transport
from aiscore.transport.local import LocalTransport

BUCKETS = (BucketRef("a"), BucketRef("b"), BucketRef("a", namespace=Namespace(name="ns")))
NAMES = ("o", "o/p", "o/p/q", "O", "dir/x", "dir/y", "z", "日本")
SHARDS = ("s.tar", "s.tgz", "dir/s.tar.lz4", "s.zip")
MEMBERS = ("m", "dir/m", "n", "日本.txt")

refs = st.sampled_from((BUCKETS[0],) * 4 + (BUCKETS[1],) * 3 + (BUCKETS[2],))
picks = st.integers(0, 9999)
names = st.sampled_from(NAMES + SHARDS)
shards = st.sampled_from(SHARDS)
seeds = st.integers(0, 1000)
sizes = st.sampled_from(
    (0, 1, 2, 100, 4095, 4096, 4097, 70_000, BLOCK_SIZE - 1, BLOCK_SIZE, BLOCK_SIZE + 1)
)
files = st.lists(
    st.tuples(st.sampled_from(MEMBERS), st.sampled_from((0, 1, 511, 512, 513, 5000)), seeds),
    min_size=1,
    max_size=4,
    unique_by=lambda file: file[0],
)

Members = list[tuple[str, bytes]]


def core_of(transport: Transport) -> Core:
    """What is behind an embedded store."""
    assert isinstance(transport, LocalTransport)
    return transport._store.core


class Stored:
    """One object of the model.

    Its bytes; for a shard the format and members it was written with; and whether the bytes are
    noise, which is no archive whatever the name says. An archive with bytes appended is neither:
    what it means is not ours to say.
    """

    def __init__(
        self,
        content: bytes,
        kind: ArchiveFormat | None = None,
        members: Members | None = None,
        *,
        is_noise: bool = True,
    ) -> None:
        self.content = content
        self.kind = kind
        self.members = members or []
        self.is_noise = is_noise and kind is None

    def members_as(self, name: str) -> Members | None:
        """Members under this name; None when the store may take it for no archive, or for another."""
        named = ArchiveFormat.of_name(name)
        return self.members if self.kind is not None and named in {None, self.kind} else None


class StoreMachine(RuleBasedStateMachine):
    """Operations on a store and on a dict of dicts."""

    def __init__(self) -> None:
        super().__init__()
        self.root = tempfile.mkdtemp(prefix="ais-machine-")
        self.home = f"{self.root}/home"
        self.one: Transport = self.open()
        self.two: Transport = open_transport(f"file://{self.home}")
        self.model: dict[BucketRef, dict[str, Stored]] = {}
        self.uploads: dict[tuple[BucketRef, str], tuple[str, dict[int, bytes]]] = {}

    def open(self) -> Transport:
        """The transport that changes things."""
        return open_transport(f"file://{self.home}")

    @initialize()
    def first_buckets(self) -> None:
        os.mkdir(f"{self.root}/disk")
        self.one.add_mountpath(f"{self.root}/disk")
        for ref in BUCKETS[:2]:
            self.create_bucket(ref)
        for i, shard in enumerate(SHARDS):
            self.create_shard(BUCKETS[i % 2], shard, [("m", 513, i), ("n", 0, i)])

    def teardown(self) -> None:
        try:
            for ref in self.model:
                self._compare(self.two, ref)
            assert self.one.validate().faults == ()
            self.two.close()
            self.one.close()
            with open_transport(f"file://{self.home}") as again:
                assert again.list_buckets() == self._buckets()
                for ref in self.model:
                    self._compare(again, ref)
                assert again.validate().faults == ()
        finally:
            self.two.close()
            self.one.close()
            shutil.rmtree(self.root)

    # buckets

    @rule(ref=refs)
    def create_bucket(self, ref: BucketRef) -> None:
        if ref in self.model:
            self._fails(BucketAlreadyExistsError, ref.cname, lambda: self.one.create_bucket(ref))
            return
        self.one.create_bucket(ref)
        self.model[ref] = {}

    @rule(ref=refs, sure=st.integers(0, 4))
    def destroy_bucket(self, ref: BucketRef, sure: int) -> None:
        if ref not in self.model:
            self._fails(BucketNotFoundError, ref.cname, lambda: self.one.destroy_bucket(ref))
        elif sure == 0:  # not as often as the rest: an empty store tests little
            self.one.destroy_bucket(ref)
            del self.model[ref]
            self.uploads = {key: value for key, value in self.uploads.items() if key[0] != ref}

    @rule(source=refs, goal=refs)
    def rename_bucket(self, source: BucketRef, goal: BucketRef) -> None:
        if source == goal:
            return
        if source not in self.model:
            expected: type[AisError] | None = BucketNotFoundError
        else:
            expected = BucketAlreadyExistsError if goal in self.model else None
        if expected is not None:
            culprit = source if expected is BucketNotFoundError else goal
            self._fails(expected, culprit.cname, lambda: self.one.rename_bucket(source, goal))
            return
        self.one.rename_bucket(source, goal)
        self.model[goal] = self.model.pop(source)
        self.uploads = {
            (goal if ref == source else ref, upload): value
            for (ref, upload), value in self.uploads.items()
        }

    @rule(source=refs, goal=refs, prefix=st.sampled_from(("", "o", "dir/")))
    def copy_bucket(self, source: BucketRef, goal: BucketRef, prefix: str) -> None:
        options = CopyOptions(prefix=prefix)
        if source == goal:
            return
        if source not in self.model:
            self._fails(
                BucketNotFoundError, source.cname, lambda: self.one.copy_bucket(source, goal)
            )
            return
        chosen = {n: o for n, o in self.model[source].items() if n.startswith(prefix)}
        result = self.one.copy_bucket(source, goal, options)
        assert result.objects == len(chosen)
        assert result.size == sum(len(stored.content) for stored in chosen.values())
        self.model.setdefault(goal, {}).update(chosen)

    # objects

    @rule(ref=refs, name=names, size=sizes, seed=seeds, streamed=st.booleans())
    def put(self, ref: BucketRef, name: str, size: int, seed: int, streamed: bool) -> None:
        data = pattern(size, seed)
        body = in_blocks(data) if streamed else data
        if ref not in self.model:
            self._fails(BucketNotFoundError, ref.cname, lambda: self.one.put(ref, name, body))
            return
        stored = self.one.put(ref, name, body)
        assert (stored.size, stored.name) == (size, name)
        self.model[ref][name] = Stored(data)

    @rule(ref=refs, name=names, seed=seeds)
    def put_wrong(self, ref: BucketRef, name: str, seed: int) -> None:
        if ref in self.model:
            wrong = PutOptions(checksum=checksum_of(ChecksumType.MD5, b"other"))
            cname = ref.object_cname(name)
            self._fails(
                ChecksumMismatchError,
                cname,
                lambda: self.one.put(ref, name, pattern(5000, seed), wrong),
            )

    @rule(ref=refs, name=names, seed=seeds)
    def put_if_absent(self, ref: BucketRef, name: str, seed: int) -> None:
        if ref not in self.model:
            return
        data = pattern(100, seed)
        options = PutOptions(precondition=Precondition(if_absent=True))
        if name in self.model[ref]:
            cname = ref.object_cname(name)
            self._fails(
                PreconditionFailedError, cname, lambda: self.one.put(ref, name, data, options)
            )
            return
        self.one.put(ref, name, data, options)
        self.model[ref][name] = Stored(data)

    @rule(pick=picks)
    def read(self, pick: int) -> None:
        ref, name = self._pick(pick)
        if self._missing(ref, name, lambda: self.one.read(ref, name)):
            return
        for transport in (self.one, self.two):
            read = transport.read(ref, name, GetOptions(verify_checksum=True))
            assert read == self.model[ref][name].content

    @rule(
        pick=picks,
        offset=st.integers(-100, 100) | st.integers(-100_000, BLOCK_SIZE + 1),
        length=st.sampled_from((None, 1, 2, 511, 512, 5000, 100_000)),
    )
    def read_range(self, pick: int, offset: int, length: int | None) -> None:
        ref, name = self._pick(pick)
        options = GetOptions(byte_range=ByteRange(offset, None if offset < 0 else length))
        if self._missing(ref, name, lambda: self.one.read(ref, name, options)):
            return
        content = self.model[ref][name].content
        start = max(len(content) + offset, 0) if offset < 0 else offset
        if start >= len(content):
            cname = ref.object_cname(name)
            self._fails(RangeNotSatisfiableError, cname, lambda: self.one.read(ref, name, options))
            return
        end = len(content) if offset < 0 or length is None else start + length
        assert self.one.read(ref, name, options) == content[start:end]

    @rule(pick=picks, size=st.sampled_from((0, 100, 70_000)), seed=seeds)
    def overwrite_while_reading(self, pick: int, size: int, seed: int) -> None:
        ref, name = self._pick(pick)
        if ref not in self.model or name not in self.model[ref]:
            return
        before = self.model[ref][name].content
        with self.two.open(ref, name) as reader:
            start = reader.read(10)
            self.put(ref, name, size, seed, False)
            assert start + reader.read() == before

    @rule(pick=picks)
    def delete(self, pick: int) -> None:
        ref, name = self._pick(pick)
        if not self._missing(ref, name, lambda: self.one.delete(ref, name)):
            self.one.delete(ref, name)
            del self.model[ref][name]

    @rule(ref=refs, chosen=st.lists(names, max_size=4, unique=True))
    def delete_many(self, ref: BucketRef, chosen: list[str]) -> None:
        if ref not in self.model:
            return
        result = self.one.delete_many(ref, Selection(names=tuple(chosen)))
        found = [name for name in chosen if name in self.model[ref]]
        assert result.deleted == len(found)
        assert set(result.missing) == set(chosen) - set(found)
        for name in found:
            del self.model[ref][name]

    @rule(pick=picks, goal=refs, new_name=names)
    def copy(self, pick: int, goal: BucketRef, new_name: str) -> None:
        source, name = self._pick(pick)
        if (source, name) == (goal, new_name):
            return
        if source in self.model and goal not in self.model:
            self._fails(
                BucketNotFoundError,
                goal.cname,
                lambda: self.one.copy(source, name, goal, new_name),
            )
            return
        if self._missing(source, name, lambda: self.one.copy(source, name, goal, new_name)):
            return
        self.one.copy(source, name, goal, new_name)
        self.model[goal][new_name] = self.model[source][name]

    @rule(pick=picks, new_name=names)
    def rename(self, pick: int, new_name: str) -> None:
        ref, name = self._pick(pick)
        if name == new_name:
            return
        if not self._missing(ref, name, lambda: self.one.rename(ref, name, new_name)):
            self.one.rename(ref, name, new_name)
            self.model[ref][new_name] = self.model[ref].pop(name)

    @rule(ref=refs, name=names, sizes=st.lists(st.sampled_from((0, 1, 5000)), max_size=3))
    def append(self, ref: BucketRef, name: str, sizes: list[int]) -> None:
        if ref not in self.model:
            self._fails(BucketNotFoundError, ref.cname, lambda: self.one.append(ref, name, b""))
            return
        parts = [pattern(size, i) for i, size in enumerate(sizes)]
        handle = self.one.append(ref, name, b"start")
        for i, part in enumerate(parts):
            handle = (self.one, self.two)[i % 2].append(ref, name, part, handle)
        self.one.flush_append(ref, name, handle)
        before = self.model[ref].get(name, Stored(b""))
        content = before.content + b"start" + b"".join(parts)
        self.model[ref][name] = Stored(content, is_noise=before.is_noise)

    # chunks and uploads

    @rule(ref=refs, limit=st.sampled_from((0, 100, 5000)), every=st.sampled_from((0, 1, 3)))
    def set_layout(self, ref: BucketRef, limit: int, every: int) -> None:
        if ref in self.model:
            changes = {"objsize_limit": f"{limit}", "chunk_size": "2KiB"}
            changes["checkpoint_every"] = f"{every}"
            self.one.set_bucket_props(ref, {f"chunks.{k}": v for k, v in changes.items()})

    @rule(
        ref=refs,
        limit=st.sampled_from((None, 0, 1, 5000)),
        chunk_size=st.sampled_from((None, 1024, 3000)),
        prefix=st.sampled_from(("", "o", "s")),
    )
    def rechunk(
        self, ref: BucketRef, limit: int | None, chunk_size: int | None, prefix: str
    ) -> None:
        options = RechunkOptions(objsize_limit=limit, chunk_size=chunk_size, prefix=prefix)
        if ref not in self.model:
            self._fails(
                BucketNotFoundError, ref.cname, lambda: self.one.rechunk_bucket(ref, options)
            )
            return
        chosen = [name for name in self.model[ref] if name.startswith(prefix)]
        before = {name: self.two.head(ref, name) for name in chosen}
        result = self.one.rechunk_bucket(ref, options)
        assert result.objects == len(chosen)
        assert result.overtaken == 0
        for name in chosen:
            after = self.two.head(ref, name)
            assert (after.etag, after.version) == (before[name].etag, before[name].version)
        assert self.two.rechunk_bucket(ref, options).skipped == len(chosen)

    # copies

    @rule(ref=refs, copies=st.sampled_from((1, 2, 2, 3)))
    @precondition(lambda self: isinstance(self.one, LocalTransport))
    def mirror(self, ref: BucketRef, copies: int) -> None:
        if ref not in self.model:
            self._fails(BucketNotFoundError, ref.cname, lambda: self.one.mirror_bucket(ref, copies))
            return
        if copies == 3:
            self._fails(
                InvalidArgumentError, ref.cname, lambda: self.one.mirror_bucket(ref, copies)
            )
            return
        for transport in (self.one, self.two):
            # Chunks of shards that batches keep open cannot be taken away.
            core_of(transport).open_shards.close()
        self.one.mirror_bucket(ref, copies)
        found = {self.two.head(ref, name).copies for name in self.model[ref]}
        assert found <= {copies}

    @rule(pick=picks, which=st.integers(0, 1))
    @precondition(lambda self: isinstance(self.one, LocalTransport))
    def lose_a_copy(self, pick: int, which: int) -> None:
        """Of every piece of an object, on the disk or on the other one."""
        ref, name = self._pick(pick, NAMES)
        if not self._has(ref, name) or self.one.head(ref, name).copies == 1:
            return
        core = core_of(self.one)
        row = select_object(core.connection(), core.bucket(ref, 0).id, name)
        assert row is not None
        paths = {found.id: found.path for found in core.mountpaths.all().values()}
        for places in copies_of(core.connection(), row):
            os.unlink(piece_path(paths[places[which].mountpath_id], places[which].piece_id))
        verified = GetOptions(verify_checksum=True)
        assert self.two.read(ref, name, verified) == self.model[ref][name].content
        # A copy behind the first place is found missing by the job, not by a reader.
        self.one.run_job(XactionKind.MIRROR, ref)
        assert self.two.head(ref, name).copies == 2

    @rule(ref=refs, name=names, md5=st.booleans())
    def begin_upload(self, ref: BucketRef, name: str, md5: bool) -> None:
        options = UploadOptions(md5=md5)
        if ref not in self.model:
            self._fails(
                BucketNotFoundError,
                ref.cname,
                lambda: self.one.create_upload(ref, name, options),
            )
            return
        self.uploads[ref, self.one.create_upload(ref, name, options)] = (name, {})

    @rule(
        pick=picks,
        number=st.integers(1, 4),
        size=st.sampled_from((1, 1024, 5000, 70_000)),
        seed=seeds,
        other=st.booleans(),
    )
    @precondition(lambda self: self.uploads)
    def send_part(self, pick: int, number: int, size: int, seed: int, other: bool) -> None:
        ref, upload = self._pick_upload(pick)
        name, parts = self.uploads[ref, upload]
        data = pattern(size, seed)
        transport = self.two if other else self.one
        assert transport.put_part(ref, name, upload, number, in_blocks(data)).number == number
        parts[number] = data

    @rule(pick=picks, partial=st.booleans())
    @precondition(lambda self: self.uploads)
    def complete_upload(self, pick: int, partial: bool) -> None:
        ref, upload = self._pick_upload(pick)
        name, parts = self.uploads[ref, upload]
        numbers = sorted(parts)
        sent = [PartRef(number=number) for number in numbers]
        options = CompleteOptions(partial=partial)
        if not parts or (not partial and numbers != list(range(1, len(numbers) + 1))):
            cname = ref.object_cname(name)
            self._fails(
                InvalidArgumentError,
                cname,
                lambda: self.one.complete_upload(ref, name, upload, sent, options),
            )
            return
        props = self.one.complete_upload(ref, name, upload, sent, options)
        assert props.chunk_count == len(parts)
        del self.uploads[ref, upload]
        self.model[ref][name] = Stored(b"".join(parts[number] for number in numbers))

    @rule(pick=picks)
    @precondition(lambda self: self.uploads)
    def abort_upload(self, pick: int) -> None:
        ref, upload = self._pick_upload(pick)
        name, _ = self.uploads.pop((ref, upload))
        self.one.abort_upload(ref, name, upload)
        self._fails(
            NotFoundError, ref.object_cname(name), lambda: self.two.abort_upload(ref, name, upload)
        )

    @rule(ref=refs)
    def list_uploads(self, ref: BucketRef) -> None:
        if ref not in self.model:
            return
        found = {(u.upload_id, u.name, u.part_count, u.size) for u in self.two.list_uploads(ref)}
        assert found == {
            (upload, name, len(parts), sum(map(len, parts.values())))
            for (of, upload), (name, parts) in self.uploads.items()
            if of == ref
        }

    # listings

    @rule(
        ref=refs,
        prefix=st.sampled_from(("", "o", "o/", "dir/", "s", "zz")),
        start_after=st.sampled_from(("", "o", "o/p", "s.tar")),
        page_size=st.sampled_from((0, 1, 2, 5)),
        fold=st.booleans(),
    )
    def listing(
        self, ref: BucketRef, prefix: str, start_after: str, page_size: int, fold: bool
    ) -> None:
        if ref not in self.model:
            self._fails(
                BucketNotFoundError, ref.cname, lambda: self.one.list_page(ref, ListOptions())
            )
            return
        start_after = "" if fold else start_after
        expected = set()
        for name in self.model[ref]:
            if name.startswith(prefix) and name.encode() > start_after.encode():
                head, slash, _ = name[len(prefix) :].partition("/")
                expected.add(f"{prefix}{head}{slash}" if fold else name)
        entries = list_all(
            self.two,
            ref,
            prefix=prefix,
            start_after=start_after,
            page_size=page_size,
            delimiter="/" if fold else "",
        )
        assert [entry.name for entry in entries] == sorted(expected, key=str.encode)

    # shards

    @rule(ref=refs, shard=shards, files=files)
    def create_shard(self, ref: BucketRef, shard: str, files: list[tuple[str, int, int]]) -> None:
        if ref not in self.model:
            return
        self._write_shard(ref, shard, files, ArchivePutMode.CREATE, [])

    @rule(pick=picks, files=files)
    def append_shard(self, pick: int, files: list[tuple[str, int, int]]) -> None:
        ref, shard = self._pick(pick, SHARDS)
        if ref not in self.model:
            return
        before = self.model[ref].get(shard)
        if before is None:
            members = [MemberInput(n, size, pattern(size, seed)) for n, size, seed in files]
            cname = ref.object_cname(shard)
            mode = ArchivePutMode.APPEND
            self._fails(
                ObjectNotFoundError,
                cname,
                lambda: self.one.put_members(ref, shard, members, mode),
            )
        elif (present := before.members_as(shard)) is not None:
            taken = {name for name, _ in present}
            new = [file for file in files if file[0] not in taken]
            if new:
                self._write_shard(ref, shard, new, ArchivePutMode.APPEND, present)

    @rule(pick=picks, member=st.sampled_from(MEMBERS))
    def read_member(self, pick: int, member: str) -> None:
        ref, shard = self._pick(pick, SHARDS)
        options = GetOptions(archpath=member)
        if self._missing(ref, shard, lambda: self.one.read(ref, shard, options)):
            return
        stored = self.model[ref][shard]
        members = stored.members_as(shard)
        cname = ref.object_cname(shard)
        if members is None:
            if stored.is_noise and stored.content:
                self._fails(InvalidArgumentError, cname, lambda: self.one.list_members(ref, shard))
            return
        listed = [(m.name, m.size) for m in self.two.list_members(ref, shard)]
        assert listed == [(name, len(content)) for name, content in members]
        if member not in dict(members):
            self._fails(ArchpathNotFoundError, cname, lambda: self.one.read(ref, shard, options))
            return
        assert self.one.read(ref, shard, options) == dict(members)[member]

    # GetBatch

    @rule(
        chosen=st.lists(picks, min_size=1, max_size=12),
        streaming=st.booleans(),
    )
    def batch(self, chosen: list[int], streaming: bool) -> None:
        wanted = [(ref, name) for ref, name in map(self._pick, chosen) if ref in self.model]
        entries: list[BatchEntry] = []
        expected: list[bytes | None] = []
        for of, name in wanted:
            stored = self.model[of].get(name)
            entries.append(BatchEntry(name, of))
            expected.append(None if stored is None else stored.content)
            for member, data in (stored.members_as(name) or []) if stored else []:
                entries.append(BatchEntry(name, of, member))
                expected.append(data)
        if not entries or expected.count(None) > 6:  # the budget of soft errors
            return
        request = BatchRequest(entries=entries, cont_on_err=True, streaming=streaming)
        with self.two.get_batch(request) as stream:
            answers = list(stream)
        assert [content for _, content in answers] == [content or b"" for content in expected]
        for (result, _), content in zip(answers, expected, strict=True):
            assert (result.error is None) == (content is not None)
            assert result.member_name.startswith(MISSING_PREFIX) == (content is None)

    # the store

    @rule()
    def reopen(self) -> None:
        self.one.close()
        self.one = self.open()

    @rule()
    @precondition(lambda self: self.model)
    def validate(self) -> None:
        report = self.two.validate()
        assert report.faults == ()
        assert report.objects == sum(map(len, self.model.values()))

    @invariant()
    def buckets_agree(self) -> None:
        assert self.one.list_buckets() == self.two.list_buckets() == self._buckets()

    def _pick(self, number: int, among: tuple[str, ...] = NAMES + SHARDS) -> tuple[BucketRef, str]:
        """An object: mostly one that exists, now and then one that may not."""
        which, luck = divmod(number, 6)
        present = [(ref, name) for ref in BUCKETS for name in among if self._has(ref, name)]
        if luck and present:
            return present[which % len(present)]
        which, of = divmod(which, len(BUCKETS))
        return BUCKETS[of], among[which % len(among)]

    def _pick_upload(self, number: int) -> tuple[BucketRef, str]:
        every = sorted(self.uploads, key=lambda key: (key[0].cname, key[1]))
        return every[number % len(every)]

    def _has(self, ref: BucketRef, name: str) -> bool:
        return name in self.model.get(ref, ())

    def _buckets(self) -> list[BucketRef]:
        return sorted(self.model, key=lambda ref: (ref.provider, ref.namespace, ref.name))

    def _write_shard(
        self,
        ref: BucketRef,
        shard: str,
        files: list[tuple[str, int, int]],
        mode: ArchivePutMode,
        before: Members,
    ) -> None:
        new = [(name, pattern(size, seed)) for name, size, seed in files]
        members = [MemberInput(name, len(data), data) for name, data in new]
        self.one.put_members(ref, shard, members, mode)
        content, kind = self.one.read(ref, shard), ArchiveFormat.of_name(shard)
        self.model[ref][shard] = Stored(content, kind, [*before, *new])

    def _missing(self, ref: BucketRef, name: str, operation: Callable[[], object]) -> bool:
        """Whether the model lacks the object; the operation must say so then."""
        if ref not in self.model:
            self._fails(BucketNotFoundError, ref.cname, operation)
        elif name not in self.model[ref]:
            self._fails(ObjectNotFoundError, ref.object_cname(name), operation)
        else:
            return False
        return True

    def _fails(self, error: type[AisError], cname: str, operation: Callable[[], object]) -> None:
        with pytest.raises(error) as info:
            operation()
        note(f"{error.__name__}: {info.value}")
        assert cname in info.value.message

    def _compare(self, transport: Transport, ref: BucketRef) -> None:
        listed = [entry.name for entry in list_all(transport, ref, page_size=3)]
        assert all(a.encode() < b.encode() for a, b in pairwise(listed))
        assert set(listed) == set(self.model[ref])
        for name, stored in self.model[ref].items():
            assert transport.read(ref, name, GetOptions(verify_checksum=True)) == stored.content


class ServedMachine(StoreMachine):
    """Changes come over HTTP, and are looked at in the home itself."""

    def open(self) -> Transport:
        if not hasattr(self, "served"):
            self.served = ExitStack()
            home = ServerSettings(home=self.home, port=0)
            self.url = self.served.enter_context(running(home))
        return open_transport(self.url)

    def teardown(self) -> None:
        self.one.close()
        self.served.close()
        self.one = open_transport(f"file://{self.home}")
        super().teardown()


_COMMON = settings(
    deadline=None,
    derandomize=True,
    print_blob=True,
    suppress_health_check=list(HealthCheck),
)


@pytest.mark.timeout(300)
def test_store_agrees_with_a_dict() -> None:
    run_state_machine_as_test(
        StoreMachine,
        settings=settings(_COMMON, max_examples=40, stateful_step_count=80),
    )


@pytest.mark.timeout(120)
def test_a_served_store_agrees_with_a_dict() -> None:
    run_state_machine_as_test(
        ServedMachine, settings=settings(_COMMON, max_examples=6, stateful_step_count=60)
    )


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("machine", [StoreMachine, ServedMachine])
def test_store_agrees_with_a_dict_for_long(machine: type[StoreMachine]) -> None:
    run_state_machine_as_test(
        machine,
        settings=settings(
            _COMMON,
            derandomize=False,
            max_examples=2000,
            stateful_step_count=200,
            phases=(Phase.generate, Phase.shrink),
        ),
    )
