"""Suite: jobs. What multi-object operations leave in the table, and how it is asked."""

from pathlib import Path

import pytest

from aiscore.errors import (
    BucketNotFoundError,
    InvalidArgumentError,
    ObjectNotFoundError,
    UnsupportedError,
    XactionNotFoundError,
)
from aiscore.model.bucket import BucketRef
from aiscore.model.multipart import PartRef
from aiscore.model.objects import ArchiveOptions, CopyOptions, PromoteOptions, Selection
from aiscore.model.xaction import (
    XactionFilter,
    XactionKind,
    XactionSnap,
    XactionState,
    is_xaction_id,
)
from aiscore.testing.content import pattern
from aiscore.testing.expect import refuses
from aiscore.testing.fixtures import BucketFactory, Fixtures
from aiscore.transport.base import MemberInput, Transport

__all__ = ["JobTests"]


class JobTests(Fixtures):
    """Jobs."""

    @pytest.mark.parametrize("kind", [XactionKind.CLEANUP, XactionKind.LRU], ids=str)
    @pytest.mark.parametrize("everywhere", [False, True], ids=["bucket", "everywhere"])
    def test_maintenance_leaves_what_is_in_use(
        self, transport: Transport, bucket: BucketRef, kind: XactionKind, everywhere: bool
    ) -> None:
        transport.put(bucket, "o", pattern(1000))
        upload = transport.create_upload(bucket, "p")
        transport.put_part(bucket, "p", upload, 1, b"part")
        handle = transport.append(bucket, "q", b"appended")
        snap = transport.run_job(kind, None if everywhere else bucket, force=True)
        assert (snap.kind, snap.state) == (kind, XactionState.FINISHED)
        assert transport.find_xaction(snap.id) == snap
        assert transport.read(bucket, "o") == pattern(1000)
        transport.complete_upload(bucket, "p", upload, [PartRef(number=1)])
        transport.flush_append(bucket, "q", handle)
        assert transport.read(bucket, "q") == b"appended"

    def test_indexing_of_shards(self, transport: Transport, bucket: BucketRef) -> None:
        for number in range(3):
            members = [MemberInput(f"m{n}", 10, pattern(10, n)) for n in range(5)]
            transport.put_members(bucket, f"s{number}.tar", members)
        transport.put(bucket, "o", pattern(100))
        snap = transport.run_job(XactionKind.SHARD_INDEX, bucket)
        assert (snap.state, snap.objects, snap.bucket) == (XactionState.FINISHED, 3, bucket)

    def test_jobs_that_need_a_bucket(
        self, transport: Transport, bucket: BucketRef, buckets: BucketFactory
    ) -> None:
        transport.put(bucket, "o", pattern(100))
        snap = transport.run_job(XactionKind.WARM_UP, bucket)
        assert (snap.objects, snap.size) == (1, 100)
        with refuses(InvalidArgumentError, "requires a bucket"):
            transport.run_job(XactionKind.WARM_UP)
        absent = buckets.reserve()
        for kind in (XactionKind.WARM_UP, XactionKind.SHARD_INDEX, XactionKind.LRU):
            with refuses(BucketNotFoundError, absent.cname):
                transport.run_job(kind, absent)

    def test_kinds_that_are_not_run_so(self, transport: Transport, bucket: BucketRef) -> None:
        for kind in (XactionKind.ETL_INLINE, XactionKind.EC_ENCODE, XactionKind.REBALANCE):
            with pytest.raises((UnsupportedError, InvalidArgumentError)):
                transport.run_job(kind, bucket)

    def test_copy_leaves_a_job(
        self, transport: Transport, bucket: BucketRef, buckets: BucketFactory
    ) -> None:
        for number in range(3):
            transport.put(bucket, f"o{number}", pattern(100 + number))
        target = buckets.reserve()
        transport.copy_bucket(bucket, target)
        job = _only(transport, XactionKind.COPY_BUCKET, bucket)
        assert is_xaction_id(job.id)
        assert job.state is XactionState.FINISHED
        assert (job.objects, job.size) == (3, 303)
        assert (job.bucket, job.target) == (bucket, target)
        assert 0 < job.started_ns <= job.ended_ns
        assert not job.error
        assert transport.find_xaction(job.id) == job
        assert job.id in {
            found.id for found in transport.list_xactions(XactionFilter(bucket=target))
        }

    def test_copy_of_a_selection(
        self, transport: Transport, bucket: BucketRef, buckets: BucketFactory
    ) -> None:
        for number in range(4):
            transport.put(bucket, f"o{number}", pattern(100 + number))
        target = buckets.reserve()
        result = transport.copy_objects(
            bucket, Selection(template="o{1..2}"), target, CopyOptions(prepend="copied/")
        )
        assert (result.objects, result.size, result.missing) == (2, 203, ())
        names = [entry.name for entry in transport.list_page(target).entries]
        assert names == ["copied/o1", "copied/o2"]
        assert transport.read(target, "copied/o2") == pattern(102)
        job = _only(transport, XactionKind.COPY_OBJECTS, bucket)
        assert (job.state, job.objects, job.size) == (XactionState.FINISHED, 2, 203)
        assert job.target == target

    def test_copy_of_a_selection_with_a_name_that_is_missing(
        self, transport: Transport, bucket: BucketRef, buckets: BucketFactory
    ) -> None:
        transport.put(bucket, "o", b"123")
        selection = Selection(names=("o", "missing"))
        target = buckets.reserve()
        with pytest.raises(ObjectNotFoundError, match="missing"):
            transport.copy_objects(bucket, selection, target)
        options = CopyOptions(cont_on_err=True)
        result = transport.copy_objects(bucket, selection, target, options)
        assert (result.objects, result.missing) == (1, ("missing",))

    def test_copy_of_a_prefix_into_its_own_bucket(
        self, transport: Transport, bucket: BucketRef
    ) -> None:
        for name in ("a{1..2}/x", "a1/x", "b"):
            transport.put(bucket, name, b"1")
        options = CopyOptions(prepend="a{1..2}/again/")
        result = transport.copy_objects(bucket, Selection(prefix="a{1..2}/"), bucket, options)
        assert result.objects == 1
        assert transport.read(bucket, "a{1..2}/again/a{1..2}/x") == b"1"

    def test_delete_leaves_a_job(self, transport: Transport, bucket: BucketRef) -> None:
        transport.put(bucket, "o", b"12345")
        transport.delete_many(bucket, Selection(names=("o", "missing")))
        job = _only(transport, XactionKind.DELETE_OBJECTS, bucket)
        assert (job.state, job.objects, job.size) == (XactionState.FINISHED, 1, 5)

    def test_rename_leaves_a_job(
        self, transport: Transport, bucket: BucketRef, buckets: BucketFactory
    ) -> None:
        target = buckets.reserve()
        transport.rename_bucket(bucket, target)
        job = _only(transport, XactionKind.RENAME_BUCKET, target)
        assert (job.state, job.target) == (XactionState.FINISHED, target)

    def test_archive_leaves_a_job(self, transport: Transport, bucket: BucketRef) -> None:
        transport.put(bucket, "o", b"12345")
        transport.archive_objects(bucket, Selection(prefix="o"), bucket, "s.tar")
        job = _only(transport, XactionKind.ARCHIVE, bucket)
        assert (job.state, job.objects, job.size) == (XactionState.FINISHED, 1, 5)

    def test_failed_job_says_why(self, transport: Transport, bucket: BucketRef) -> None:
        transport.put(bucket, "o", b"12345")
        selection = Selection(names=("o", "missing"))
        with pytest.raises(ObjectNotFoundError):
            transport.archive_objects(bucket, selection, bucket, "s.tar", ArchiveOptions())
        job = _only(transport, XactionKind.ARCHIVE, bucket)
        assert job.state is XactionState.FAILED
        assert "missing" in job.error
        assert job.is_finished

    def test_promote_leaves_a_job(
        self, transport: Transport, bucket: BucketRef, tmp_path: Path
    ) -> None:
        root = tmp_path / "promoted"
        root.mkdir()
        for number in range(2):
            (root / f"f{number}").write_bytes(b"123")
        transport.promote(bucket, str(root), "", PromoteOptions(recursive=True))
        job = _only(transport, XactionKind.PROMOTE, bucket)
        assert (job.state, job.objects, job.size) == (XactionState.FINISHED, 2, 6)

    def test_refused_request_leaves_none(
        self, transport: Transport, bucket: BucketRef, buckets: BucketFactory
    ) -> None:
        absent = buckets.reserve()
        with pytest.raises(BucketNotFoundError):
            transport.copy_bucket(absent, bucket)
        assert not transport.list_xactions(XactionFilter(bucket=absent))

    def test_only_running(self, transport: Transport, bucket: BucketRef) -> None:
        transport.delete_many(bucket, Selection(everything=True))
        running = XactionFilter(bucket=bucket, kind=XactionKind.DELETE_OBJECTS, only_running=True)
        assert transport.list_xactions(running) == []

    def test_stop_of_what_has_ended_is_nothing(
        self, transport: Transport, bucket: BucketRef
    ) -> None:
        transport.delete_many(bucket, Selection(everything=True))
        job = _only(transport, XactionKind.DELETE_OBJECTS, bucket)
        transport.stop_xactions(XactionFilter(id=job.id))
        assert transport.find_xaction(job.id).state is XactionState.FINISHED

    def test_jobs_are_forgotten(
        self, transport: Transport, bucket: BucketRef, buckets: BucketFactory
    ) -> None:
        other = buckets.create()
        for ref in (bucket, bucket, other):
            transport.delete_many(ref, Selection(everything=True))
        kept = _only(transport, XactionKind.DELETE_OBJECTS, other)
        wanted = XactionFilter(bucket=bucket, kind=XactionKind.DELETE_OBJECTS)
        first = transport.list_xactions(wanted)[0]
        assert transport.forget_xactions(XactionFilter(id=first.id)) == 1
        with pytest.raises(XactionNotFoundError, match=first.id):
            transport.find_xaction(first.id)
        assert len(transport.list_xactions(wanted)) == 1
        assert transport.forget_xactions(wanted) == 1
        assert transport.forget_xactions(wanted) == 0
        assert transport.list_xactions(wanted) == []
        assert transport.find_xaction(kept.id) == kept

    def test_unknown_id(self, transport: Transport) -> None:
        with pytest.raises(XactionNotFoundError, match="nosuchjob1"):
            transport.find_xaction("nosuchjob1")
        assert transport.list_xactions(XactionFilter(id="nosuchjob1")) == []


def _only(transport: Transport, kind: XactionKind, bucket: BucketRef) -> XactionSnap:
    found = transport.list_xactions(XactionFilter(kind=kind, bucket=bucket))
    assert len(found) == 1, found
    return found[0]
