"""Suite: mirrored buckets. Copies are counted, survive the loss of pieces and of disks, and go with the object."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from aiscore.errors import CorruptionError, InvalidArgumentError
from aiscore.model.bucket import BucketRef
from aiscore.model.chunks import RechunkOptions
from aiscore.model.multipart import PartRef
from aiscore.model.objects import CopyOptions, GetOptions, ListOptions, ListProp, Selection
from aiscore.model.storage import FaultKind, MountpathState
from aiscore.model.xaction import XactionFilter, XactionKind, XactionState
from aiscore.testing.content import pattern
from aiscore.testing.expect import refuses
from aiscore.testing.fixtures import BucketFactory, Fixtures
from aiscore.transport.base import MemberInput, Transport

__all__ = ["MirrorTests"]

KIB = 1024
VERIFIED = GetOptions(verify_checksum=True)
MIRRORED = {"mirror.enabled": "true", "mirror.copies": "2"}
IN_CHUNKS = {"chunks.objsize_limit": "8KiB", "chunks.chunk_size": "4KiB"}


class MirrorTests(Fixtures):
    """Mirrored buckets."""

    @pytest.fixture
    def disks(self, transport: Transport, tmp_path: Path) -> Iterator[list[Path]]:
        """Two more mountpaths for the time of the test."""
        paths = [tmp_path / f"disk{number}" for number in range(2)]
        for path in paths:
            path.mkdir()
            transport.add_mountpath(str(path))
        yield paths
        for info in transport.mountpaths():
            if Path(info.path) in paths:
                transport.remove_mountpath(info.path)

    @pytest.fixture
    def mirrored(
        self, transport: Transport, buckets: BucketFactory, disks: list[Path]
    ) -> Iterator[BucketRef]:
        ref = buckets.reserve()
        transport.create_bucket(ref, {**MIRRORED, **IN_CHUNKS})
        yield ref
        # What is damaged cannot be moved off a disk.
        transport.delete_many(ref, Selection(everything=True))

    def test_more_copies_than_disks(self, transport: Transport, bucket: BucketRef) -> None:
        count = len(transport.mountpaths())
        message = f"not enough mountpaths ({count}) to configure {bucket} as {count + 2}-way mirror"
        changes = {"mirror.enabled": "true", "mirror.copies": f"{count + 2}"}
        with refuses(InvalidArgumentError, message):
            transport.set_bucket_props(bucket, changes)
        with refuses(InvalidArgumentError, message):
            transport.mirror_bucket(bucket, count + 2)
        for bad in (0, -1, 33):
            with refuses(InvalidArgumentError, f"invalid num copies {bad}"):
                transport.mirror_bucket(bucket, bad)
        assert not transport.head_bucket(bucket).mirror.enabled

    def test_everything_that_is_written_has_its_copies(
        self, transport: Transport, mirrored: BucketRef
    ) -> None:
        before = _count_pieces(transport)
        transport.put(mirrored, "small", b"123")
        transport.put(mirrored, "empty", b"")
        transport.put(mirrored, "chunked", pattern(20 * KIB))
        transport.put(mirrored, "replaced", pattern(20 * KIB))
        transport.put(mirrored, "replaced", b"new")
        transport.copy(mirrored, "chunked", mirrored, "copied")
        upload = transport.create_upload(mirrored, "parts")
        for number in (1, 2):
            transport.put_part(mirrored, "parts", upload, number, pattern(5000, number))
        transport.complete_upload(mirrored, "parts", upload, [PartRef(number=n) for n in (1, 2)])
        handle = transport.append(mirrored, "appended", b"one")
        transport.append(mirrored, "appended", b"two", handle)
        transport.flush_append(mirrored, "appended", handle)
        transport.put_members(mirrored, "s.tar", [MemberInput("m", 3, b"abc")])
        transport.put(mirrored, "old", b"o")
        transport.rename(mirrored, "old", "renamed")
        page = transport.list_page(mirrored, ListOptions(props=frozenset(ListProp)))
        assert {entry.name: entry.copies for entry in page.entries} == dict.fromkeys(
            (
                "small",
                "empty",
                "chunked",
                "replaced",
                "copied",
                "parts",
                "appended",
                "s.tar",
                "renamed",
            ),
            2,
        )
        for entry in page.entries:
            props = transport.head(mirrored, entry.name)
            assert props.copies == 2
            assert len(set(props.mirror_paths)) == 2
        assert transport.validate(mirrored).faults == ()
        transport.delete_many(mirrored, Selection(everything=True))
        assert _count_pieces(transport) == before

    def test_what_is_there_is_copied_and_copies_go_again(
        self, transport: Transport, buckets: BucketFactory, disks: list[Path]
    ) -> None:
        ref = buckets.create()
        for number in range(5):
            transport.put(ref, f"o{number}", pattern(3000, number))
        transport.rechunk_bucket(ref, RechunkOptions(objsize_limit=2000, chunk_size=1024))
        before = _count_pieces(transport)
        for copies in (3, 2):
            props = transport.mirror_bucket(ref, copies)
            assert (props.mirror.enabled, props.mirror.copies) == (True, copies)
            assert {transport.head(ref, f"o{n}").copies for n in range(5)} == {copies}
            assert _count_pieces(transport) == before + 15 * (copies - 1)
        job = transport.list_xactions(XactionFilter(kind=XactionKind.MIRROR, bucket=ref))[-1]
        assert (job.state, job.objects, job.control) == (XactionState.FINISHED, 5, "copies:2")
        assert not transport.mirror_bucket(ref, 1).mirror.enabled
        assert {transport.head(ref, f"o{n}").copies for n in range(5)} == {1}
        assert _count_pieces(transport) == before
        transport.set_bucket_props(ref, MIRRORED)
        assert {transport.head(ref, f"o{n}").copies for n in range(5)} == {2}
        assert transport.rechunk_bucket(ref, RechunkOptions(objsize_limit=0)).restored == 5
        assert {transport.head(ref, f"o{n}").copies for n in range(5)} == {2}
        for number in range(5):
            assert transport.read(ref, f"o{number}", VERIFIED) == pattern(3000, number)
        transport.copy_bucket(ref, target := buckets.reserve(), CopyOptions())
        assert transport.head(target, "o0").copies == 2
        assert transport.validate().faults == ()
        for bucket in (ref, target):
            transport.mirror_bucket(bucket, 1)

    def test_a_disk_goes_and_comes(
        self, transport: Transport, mirrored: BucketRef, disks: list[Path], tmp_path: Path
    ) -> None:
        contents = {f"o{n}": pattern(n * 3 * KIB, n) for n in range(8)}
        for name, data in contents.items():
            transport.put(mirrored, name, data)
        transport.remove_mountpath(str(disks[0]))
        assert {transport.head(mirrored, name).copies for name in contents} == {2}
        transport.disable_mountpath(str(disks[1]))
        for name, data in contents.items():
            assert transport.read(mirrored, name, VERIFIED) == data
        transport.enable_mountpath(str(disks[1]))
        assert transport.validate(mirrored).faults == ()
        transport.remove_mountpath(str(disks[1]))
        states = [info.state for info in transport.mountpaths()]
        assert states.count(MountpathState.ENABLED) == len(states)
        if len(states) > 1:
            pytest.skip("the store has several mountpaths")
        assert {transport.head(mirrored, name).copies for name in contents} == {1}
        kinds = [fault.kind for fault in transport.validate(mirrored).faults]
        assert kinds == [FaultKind.COPIES] * len(contents)
        again = tmp_path / "again"
        again.mkdir()
        transport.add_mountpath(str(again))
        job = transport.list_xactions(XactionFilter(kind=XactionKind.RESILVER))[-1]
        assert (job.state, job.objects) == (XactionState.FINISHED, len(contents))
        assert {transport.head(mirrored, name).copies for name in contents} == {2}
        for name, data in contents.items():
            assert transport.read(mirrored, name, VERIFIED) == data
        assert transport.validate(mirrored).faults == ()
        transport.mirror_bucket(mirrored, 1)
        transport.remove_mountpath(str(again))

    def test_a_new_disk_gets_its_share(
        self, transport: Transport, buckets: BucketFactory, tmp_path: Path
    ) -> None:
        ref = buckets.create(IN_CHUNKS)
        contents = {f"o{n}": pattern(n * 1500, n) for n in range(12)}
        for name, data in contents.items():
            transport.put(ref, name, data)
        before = {name: transport.head(ref, name) for name in contents}
        (added := tmp_path / "added").mkdir()
        transport.add_mountpath(str(added))
        assert not any(path.is_file() for path in added.glob("pieces/*/*"))
        done = transport.run_job(XactionKind.RESILVER)
        assert (done.state, done.ext["busy"]) == (XactionState.FINISHED, 0)
        assert any(path.is_file() for path in added.glob("pieces/*/*"))
        for name, data in contents.items():
            assert transport.read(ref, name, VERIFIED) == data
            after = transport.head(ref, name)
            assert (after.etag, after.version, after.mtime_ns) == (
                before[name].etag,
                before[name].version,
                before[name].mtime_ns,
            )
        assert transport.validate(ref).faults == ()
        assert transport.run_job(XactionKind.RESILVER).objects == 0
        transport.remove_mountpath(str(added))
        assert transport.read(ref, "o11", VERIFIED) == contents["o11"]

    @pytest.mark.parametrize("damage", ["missing", "short", "flipped"])
    @pytest.mark.parametrize("size", [3000, 20 * KIB], ids=["whole", "chunked"])
    def test_a_damaged_disk(
        self,
        transport: Transport,
        mirrored: BucketRef,
        disks: list[Path],
        damage: str,
        size: int,
    ) -> None:
        """All that lies on one disk is damaged: nothing is lost, and reading mends it."""
        contents = {f"o{n}": pattern(size + n, n) for n in range(6)}
        for name, data in contents.items():
            transport.put(mirrored, name, data)
        damaged = [path for path in disks[0].glob("pieces/*/*") if path.is_file()]
        assert damaged
        for path in damaged:
            _damage(path, damage)
        faults = transport.validate(mirrored).faults
        assert faults
        assert {fault.name.removeprefix(f"{mirrored}/") for fault in faults} <= contents.keys()
        options = VERIFIED if damage == "flipped" else GetOptions()
        for name, data in contents.items():
            assert transport.read(mirrored, name, options) == data
        # A main piece that is good hides a copy that is not.
        transport.run_job(XactionKind.MIRROR, mirrored)
        faults = transport.validate(mirrored).faults
        if damage == "flipped":
            assert {fault.kind for fault in faults} <= {FaultKind.CHECKSUM}
        else:
            assert faults == ()
        assert {transport.head(mirrored, name).copies for name in contents} == {2}

    def test_all_copies_damaged(
        self, transport: Transport, mirrored: BucketRef, disks: list[Path]
    ) -> None:
        transport.put(mirrored, "o", pattern(3000))
        for info in transport.mountpaths():
            for path in Path(info.path).glob("pieces/*/*"):
                if path.read_bytes() == pattern(3000):
                    _damage(path, "flipped")
        with pytest.raises(CorruptionError, match="damaged"):
            transport.read(mirrored, "o", VERIFIED)
        assert len(transport.validate(mirrored).faults) == 2


def _damage(path: Path, damage: str) -> None:
    data = path.read_bytes()
    if damage == "missing":
        path.unlink()
    elif damage == "short":
        path.write_bytes(data[:-1])
    elif data:
        path.write_bytes(bytes([data[0] ^ 1]) + data[1:])


def _count_pieces(transport: Transport) -> int:
    """On all disks, when what was removed is forgotten."""
    transport.run_job(XactionKind.CLEANUP)
    return sum(info.piece_count for info in transport.mountpaths())
