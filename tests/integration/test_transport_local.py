"""The behaviour suite over the local transport, and what only a store on this disk can be tested for."""

import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from aiscore.errors import (
    AisError,
    CorruptionError,
    InvalidArgumentError,
    UnavailableError,
)
from aiscore.model.bucket import BucketRef
from aiscore.model.byterange import ByteRange
from aiscore.model.objects import GetOptions, PutOptions, Selection
from aiscore.model.storage import FaultKind, MountpathState
from aiscore.testing import BucketFactory, TransportSuite, pattern
from aiscore.testing.content import LARGE
from aiscore.testing.expect import refuses
from aiscore.transport import Transport, open_transport

BUCKET = BucketRef("bucket")


@pytest.fixture
def home(tmp_path: Path) -> str:
    return f"file://{tmp_path}/home"


class TestLocal(TransportSuite):
    @pytest.fixture
    def transport(self, home: str) -> Iterator[Transport]:
        with open_transport(home) as transport:
            yield transport
            # Every test is a test of consistency too.
            assert transport.validate().faults == ()

    @pytest.fixture
    def buckets(self, transport: Transport) -> BucketFactory:
        # Leaves the buckets: the home is the test's own, and what is in them is to be validated.
        return BucketFactory(transport)


def test_no_test_of_the_suite_hides_another() -> None:
    names = Counter(
        name for part in TestLocal.__mro__ for name in vars(part) if name.startswith("test_")
    )
    assert len(names) > 100
    assert [name for name, count in names.items() if count > 1] == []


class TestLife:
    def test_everything_is_there_after_reopening(self, home: str) -> None:
        contents = {f"dir/o-{size}": pattern(size) for size in (0, 1, 5000, LARGE)}
        with open_transport(home) as transport:
            transport.create_bucket(BUCKET, {"checksum.type": "md5"})
            before = {
                name: transport.put(BUCKET, name, data, PutOptions(custom={"name": name}))
                for name, data in contents.items()
            }
            transport.set_config({"get_batch.max_soft_errs": "3"})
            handle = transport.append(BUCKET, "appended", b"first ")
        with open_transport(home) as transport:
            assert transport.list_buckets() == [BUCKET]
            assert transport.head_bucket(BUCKET).checksum.type == "md5"
            assert transport.config().get_batch.max_soft_errs == 3
            for name, data in contents.items():
                assert transport.read(BUCKET, name, GetOptions(verify_checksum=True)) == data
                after = transport.head(BUCKET, name)
                assert (after.checksum, after.version, after.etag, dict(after.custom)) == (
                    before[name].checksum,
                    "1",
                    before[name].etag,
                    {"name": name},
                )
            handle = transport.append(BUCKET, "appended", b"second", handle)
            transport.flush_append(BUCKET, "appended", handle)
            assert transport.read(BUCKET, "appended") == b"first second"
            assert transport.validate().faults == ()

    def test_two_see_the_same_store(self, home: str) -> None:
        with open_transport(home) as one, open_transport(home) as two:
            one.create_bucket(BUCKET)
            assert two.list_buckets() == [BUCKET]
            assert one.put(BUCKET, "o", b"first").version == "1"
            assert two.read(BUCKET, "o") == b"first"
            with two.open(BUCKET, "o") as reader:
                assert one.put(BUCKET, "o", pattern(LARGE)).version == "2"
                assert reader.read() == b"first"
            assert two.read(BUCKET, "o") == pattern(LARGE)
            two.set_bucket_props(BUCKET, {"checksum.type": "md5"})
            stored = one.put(BUCKET, "p", b"content")
            assert stored.checksum is not None
            assert stored.checksum.type == "md5"
            two.set_config({"get_batch.max_soft_errs": "2"})
            assert one.config().get_batch.max_soft_errs == 2
            two.destroy_bucket(BUCKET)
            assert one.list_buckets() == []
            assert one.validate().faults == two.validate().faults == ()

    def test_close_can_be_repeated(self, home: str) -> None:
        transport = open_transport(home)
        transport.create_bucket(BUCKET)
        transport.close()
        transport.close()
        with pytest.raises(AisError):
            transport.list_buckets()

    def test_close_of_one_leaves_the_other(self, home: str) -> None:
        with open_transport(home) as one:
            one.create_bucket(BUCKET)
            with open_transport(home) as two:
                two.put(BUCKET, "o", b"content")
            assert one.read(BUCKET, "o") == b"content"
            one.put(BUCKET, "o", b"again")

    def test_endpoint_opens_the_same_store(self, tmp_path: Path) -> None:
        with open_transport(f"{tmp_path}/with space/100%") as transport:
            transport.create_bucket(BUCKET)
            endpoint = transport.endpoint
        assert endpoint.startswith("file:///")
        with open_transport(endpoint) as transport:
            assert transport.list_buckets() == [BUCKET]

    def test_endpoint_comes_from_the_environment(
        self, home: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AIS_ENDPOINT", home)
        with open_transport() as transport:
            assert transport.endpoint == home
        monkeypatch.delenv("AIS_ENDPOINT")
        monkeypatch.setenv("AIS_HOME", f"{tmp_path}/other")
        with open_transport() as transport:
            assert transport.endpoint == f"file://{tmp_path}/other"

    @pytest.mark.parametrize("endpoint", ["relative/path", "ftp://host/x", "file://host/x", "ais:"])
    def test_bad_endpoint_is_named(self, endpoint: str) -> None:
        with refuses(InvalidArgumentError, endpoint):
            open_transport(endpoint)


def _flip(path: Path) -> None:
    with open(path, "r+b") as file:
        file.seek(path.stat().st_size // 2)
        byte = file.read(1)
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte[0] ^ 1]))


def _cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 1)


def _remove(path: Path) -> None:
    path.unlink()


DAMAGE: dict[str, tuple[Callable[[Path], None], FaultKind]] = {
    "flipped bit": (_flip, FaultKind.CHECKSUM),
    "cut": (_cut, FaultKind.SIZE),
    "removed": (_remove, FaultKind.MISSING),
}


class TestDamage:
    """What the disk did to us is reported by name, and never given out as content."""

    @pytest.fixture
    def damaged(
        self, home: str, tmp_path: Path, request: pytest.FixtureRequest
    ) -> Iterator[Transport]:
        damage: Callable[[Path], None] = request.param[0]
        with open_transport(home) as transport:
            transport.create_bucket(BUCKET)
            transport.put(BUCKET, "good", pattern(LARGE, seed=1))
            transport.put(BUCKET, "bad", pattern(LARGE, seed=2))
            holders = [path for path in tmp_path.rglob("*") if _holds(path, pattern(LARGE, seed=2))]
            assert len(holders) == 1, "the content of a large object is not in one file"
            damage(holders[0])
            yield transport

    @pytest.mark.parametrize("damaged", DAMAGE.values(), ids=DAMAGE, indirect=True)
    def test_damage_is_never_read_as_content(self, damaged: Transport) -> None:
        cname = BUCKET.object_cname("bad")
        with refuses(CorruptionError, cname):
            damaged.read(BUCKET, "bad", GetOptions(verify_checksum=True))
        with (
            refuses(CorruptionError, cname),
            damaged.open(BUCKET, "bad", GetOptions(verify_checksum=True)) as reader,
        ):
            reader.read()
        assert damaged.read(BUCKET, "good", GetOptions(verify_checksum=True)) == pattern(
            LARGE, seed=1
        )

    @pytest.mark.parametrize(
        "damaged", [DAMAGE["cut"], DAMAGE["removed"]], ids=["cut", "removed"], indirect=True
    )
    def test_what_is_not_there_is_missed_without_verification(self, damaged: Transport) -> None:
        cname = BUCKET.object_cname("bad")
        with refuses(CorruptionError, cname):
            damaged.read(BUCKET, "bad")
        with refuses(CorruptionError, cname):
            damaged.read(BUCKET, "bad", GetOptions(byte_range=ByteRange(offset=LARGE - 10)))

    @pytest.mark.parametrize(
        ("damaged", "kind"),
        [(pair, pair[1]) for pair in DAMAGE.values()],
        ids=DAMAGE,
        indirect=["damaged"],
    )
    def test_validate_names_what_is_damaged(self, damaged: Transport, kind: FaultKind) -> None:
        for report in (damaged.validate(), damaged.validate(BUCKET), damaged.validate(BUCKET, "b")):
            assert [(fault.kind, fault.name) for fault in report.faults] == [
                (kind, BUCKET.object_cname("bad"))
            ]
        assert damaged.validate(BUCKET, "good").faults == ()

    @pytest.mark.parametrize("damaged", DAMAGE.values(), ids=DAMAGE, indirect=True)
    def test_damaged_object_can_be_replaced_and_deleted(self, damaged: Transport) -> None:
        damaged.put(BUCKET, "bad", b"new")
        assert damaged.read(BUCKET, "bad") == b"new"
        assert damaged.validate().faults == ()
        damaged.delete(BUCKET, "bad")
        assert damaged.validate().faults == ()


def _holds(path: Path, data: bytes) -> bool:
    return path.is_file() and path.stat().st_size == len(data) and path.read_bytes() == data


class TestCopyOfAHome:
    """`cp -a` of a closed home makes a store of its own, which cannot harm the original."""

    def test_a_copy_has_its_own_pieces(self, tmp_path: Path) -> None:
        with open_transport(f"{tmp_path}/one") as one:
            one.create_bucket(BUCKET)
            one.put(BUCKET, "o", b"original")
        shutil.copytree(tmp_path / "one", tmp_path / "two")
        with open_transport(f"{tmp_path}/two") as two:
            assert two.read(BUCKET, "o") == b"original"
            two.delete(BUCKET, "o")
            assert two.validate().faults == ()
        with open_transport(f"{tmp_path}/one") as one:
            assert one.read(BUCKET, "o") == b"original"
            assert one.validate().faults == ()

    def test_a_mountpath_elsewhere_stays_with_the_original(self, tmp_path: Path) -> None:
        disk = tmp_path / "disk"
        disk.mkdir()
        with open_transport(f"{tmp_path}/one") as one:
            one.create_bucket(BUCKET)
            one.add_mountpath(str(disk))
            for number in range(20):
                one.put(BUCKET, f"o{number}", b"original")
        shutil.copytree(tmp_path / "one", tmp_path / "two")
        with open_transport(f"{tmp_path}/two") as two:
            states = {info.path: info.state for info in two.mountpaths()}
            assert states[str(disk)] is MountpathState.MISSING
            two.delete_many(BUCKET, Selection(everything=True))
            two.put(BUCKET, "new", b"copy")
        with open_transport(f"{tmp_path}/one") as one:
            assert all(one.read(BUCKET, f"o{number}") == b"original" for number in range(20))
            assert one.validate().faults == ()

    def test_a_moved_home_claims_its_mountpath(self, tmp_path: Path) -> None:
        disk = tmp_path / "disk"
        disk.mkdir()
        with open_transport(f"{tmp_path}/one") as one:
            one.create_bucket(BUCKET)
            one.add_mountpath(str(disk))
            for number in range(20):
                one.put(BUCKET, f"o{number}", b"content")
            one.set_bucket_props(BUCKET, {"chunks.objsize_limit": "1", "chunks.chunk_size": "1KiB"})
            one.put(BUCKET, "chunked", pattern(9_000))
        (tmp_path / "one").rename(tmp_path / "moved")
        with open_transport(f"{tmp_path}/moved") as moved:
            with pytest.raises(UnavailableError, match="missing"):
                [moved.read(BUCKET, f"o{number}") for number in range(20)]
            moved.enable_mountpath(str(disk))
            assert all(moved.read(BUCKET, f"o{number}") == b"content" for number in range(20))
            assert moved.read(BUCKET, "chunked") == pattern(9_000), "chunks lie where the disks are"
