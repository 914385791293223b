"""Suite: the store itself. Mountpaths, validation, configuration, life."""

from pathlib import Path

import pytest

from aiscore.errors import (
    AlreadyExistsError,
    BucketNotFoundError,
    InvalidArgumentError,
    MountpathNotFoundError,
    NotFoundError,
    UnsupportedError,
)
from aiscore.model.bucket import BucketRef
from aiscore.model.cluster import NodeRole
from aiscore.model.config import ClusterConfig
from aiscore.model.objects import GetOptions
from aiscore.model.storage import MountpathState
from aiscore.testing.content import LARGE, pattern
from aiscore.testing.expect import refuses
from aiscore.testing.fixtures import BucketFactory, Fixtures
from aiscore.transport.base import Transport

__all__ = ["StoreTests"]


OF_THE_MACHINE = {
    "OOM",
    "OOS",
    "low-cpu",
    "low-memory",
    "low-usable-capacity",
    "out-of-cpu",
}
"""Alerts about what else the machine does."""


class StoreTests(Fixtures):
    """The store itself."""

    def test_endpoint_is_a_url(self, transport: Transport) -> None:
        scheme, separator, rest = transport.endpoint.partition("://")
        assert separator
        assert scheme
        assert rest

    # mountpaths

    def test_there_is_a_mountpath(self, transport: Transport, bucket: BucketRef) -> None:
        transport.put(bucket, "o", pattern(LARGE))
        mountpaths = transport.mountpaths()
        assert mountpaths
        for mountpath in mountpaths:
            assert mountpath.path.startswith("/")
            assert mountpath.state is MountpathState.ENABLED
            assert 0 < mountpath.disk_used <= mountpath.disk_total
        assert sum(mountpath.piece_count for mountpath in mountpaths) > 0

    def test_the_nodes_have_the_mountpaths(self, transport: Transport) -> None:
        found = transport.cluster_info()
        (proxy,), (target,) = found.of(NodeRole.PROXY), found.of(NodeRole.TARGET)
        assert proxy.is_primary
        assert proxy.is_online
        assert target.is_online
        assert set(target.alerts) <= OF_THE_MACHINE
        assert proxy.version == target.version != ""
        paths = [mountpath.path for mountpath in transport.mountpaths()]
        assert [mountpath.path for mountpath in target.mountpaths] == paths
        assert 0 < target.disk_used <= target.disk_total

    def test_the_log_of_no_node(self, transport: Transport) -> None:
        with pytest.raises((NotFoundError, UnsupportedError)):
            list(transport.node_log("no-such-node"))

    def test_mountpath_comes_and_goes(
        self, transport: Transport, bucket: BucketRef, tmp_path: Path
    ) -> None:
        before = [mountpath.path for mountpath in transport.mountpaths()]
        contents = {f"before-{i}": pattern(100_000, seed=i) for i in range(10)}
        for name, data in contents.items():
            transport.put(bucket, name, data)
        added = _directory(tmp_path, "disk")
        transport.add_mountpath(added)
        assert sorted(m.path for m in transport.mountpaths()) == sorted([*before, added])
        contents |= {f"after-{i}": pattern(100_000, seed=-i) for i in range(30)}
        for name, data in contents.items():
            transport.put(bucket, name, data)
        pieces = {mountpath.path: mountpath.piece_count for mountpath in transport.mountpaths()}
        assert pieces[added] > 0, "nothing was written to the new disk"
        transport.remove_mountpath(added)
        assert [mountpath.path for mountpath in transport.mountpaths()] == before
        for name, data in contents.items():
            assert transport.read(bucket, name, GetOptions(verify_checksum=True)) == data

    def test_disabled_mountpath_is_neither_read_nor_written(
        self, transport: Transport, bucket: BucketRef, tmp_path: Path
    ) -> None:
        added = _directory(tmp_path, "disk")
        transport.add_mountpath(added)
        contents = {f"o-{i}": pattern(50_000, seed=i) for i in range(30)}
        for name, data in contents.items():
            transport.put(bucket, name, data)
        transport.disable_mountpath(added)
        state = {mountpath.path: mountpath.state for mountpath in transport.mountpaths()}
        assert state[added] is MountpathState.DISABLED
        for i in range(10):
            transport.put(bucket, f"meanwhile-{i}", pattern(50_000, seed=i))
            assert transport.read(bucket, f"meanwhile-{i}") == pattern(50_000, seed=i)
        transport.enable_mountpath(added)
        state = {mountpath.path: mountpath.state for mountpath in transport.mountpaths()}
        assert state[added] is MountpathState.ENABLED
        for name, data in contents.items():
            assert transport.read(bucket, name, GetOptions(verify_checksum=True)) == data
        transport.remove_mountpath(added)

    def test_bad_mountpaths_are_refused(self, transport: Transport, tmp_path: Path) -> None:
        used = _directory(tmp_path, "used")
        (Path(used) / "file").write_bytes(b"content")
        (tmp_path / "file").write_bytes(b"content")
        known = transport.mountpaths()
        bad = [
            "relative/path",
            str(tmp_path / "missing"),
            str(tmp_path / "file"),
            used,
            known[0].path,
            str(Path(known[0].path) / "inside"),
            str(Path(known[0].path).parent),
        ]
        for path in bad:
            with pytest.raises(
                (InvalidArgumentError, MountpathNotFoundError, AlreadyExistsError)
            ) as info:
                transport.add_mountpath(path)
            assert path in info.value.message
        assert [m.path for m in transport.mountpaths()] == [m.path for m in known]

    def test_unknown_mountpath_is_named(self, transport: Transport, tmp_path: Path) -> None:
        path = _directory(tmp_path, "unknown")
        for operation in (
            transport.remove_mountpath,
            transport.enable_mountpath,
            transport.disable_mountpath,
        ):
            with refuses(MountpathNotFoundError, path):
                operation(path)

    def test_last_mountpath_stays(self, transport: Transport) -> None:
        first, *others = [mountpath.path for mountpath in transport.mountpaths()]
        if others:
            pytest.skip("the store has several mountpaths")
        with refuses(InvalidArgumentError, first):
            transport.remove_mountpath(first)
        assert [mountpath.path for mountpath in transport.mountpaths()] == [first]

    # validation

    def test_validate_reads_everything(
        self, transport: Transport, buckets: BucketFactory, bucket: BucketRef
    ) -> None:
        other = buckets.create()
        for i in range(5):
            transport.put(bucket, f"a/{i}", pattern(10_000, seed=i))
        transport.put(bucket, "b", pattern(LARGE))
        transport.put(other, "o", b"content")
        report = transport.validate(bucket)
        assert (report.objects, report.size, report.faults) == (6, 50_000 + LARGE, ())
        part = transport.validate(bucket, "a/")
        assert (part.objects, part.size, part.faults) == (5, 50_000, ())
        whole = transport.validate()
        assert whole.objects >= 7
        assert whole.faults == ()

    def test_validate_of_a_missing_bucket(
        self, transport: Transport, buckets: BucketFactory
    ) -> None:
        bucket = buckets.reserve()
        with refuses(BucketNotFoundError, bucket.cname):
            transport.validate(bucket, "a/")

    # configuration

    def test_configuration_changes_take_effect(self, transport: Transport) -> None:
        before = transport.config()
        changed = transport.set_config({"get_batch.max_soft_errs": "11"})
        try:
            assert changed.get_batch.max_soft_errs == 11
            assert transport.config().get_batch == changed.get_batch
            assert transport.config().config_version > before.config_version
        finally:
            transport.set_config({"get_batch.max_soft_errs": str(before.get_batch.max_soft_errs)})
        assert transport.config().get_batch == before.get_batch

    @pytest.mark.parametrize(
        "changes",
        [
            {"get_batch.max_soft_errs": "9", "get_batch.max_wait": "2h"},
            {"get_batch.max_soft_errs": "9", "no.such.setting": "1"},
            {"get_batch.max_soft_errs": "many"},
        ],
    )
    def test_configuration_changes_as_a_whole(
        self, transport: Transport, changes: dict[str, str]
    ) -> None:
        before = transport.config()
        with refuses(InvalidArgumentError):
            transport.set_config(changes)
        assert transport.config() == before

    def test_configuration_is_reset(self, transport: Transport) -> None:
        before = transport.config()
        changed = transport.set_config({"get_batch.max_soft_errs": "17", "lru.enabled": "false"})
        assert changed.get_batch.max_soft_errs == 17
        reset = transport.reset_config()
        assert reset.get_batch.max_soft_errs == ClusterConfig().get_batch.max_soft_errs
        assert reset.lru == ClusterConfig().lru
        assert reset.uuid == before.uuid
        assert reset.config_version > changed.config_version
        assert transport.config() == reset

    def test_new_buckets_follow_the_configuration(
        self, transport: Transport, buckets: BucketFactory
    ) -> None:
        before = transport.config().checksum.type
        transport.set_config({"checksum.type": "md5"})
        try:
            assert transport.head_bucket(buckets.create()).checksum.type == "md5"
        finally:
            transport.set_config({"checksum.type": str(before)})

    # life

    def test_counters_are_numbers(self, transport: Transport, bucket: BucketRef) -> None:
        transport.put(bucket, "o", b"content")
        transport.read(bucket, "o")
        assert all(isinstance(value, int) for value in transport.counters().values())


def _directory(tmp_path: Path, name: str) -> str:
    path = tmp_path / name
    path.mkdir()
    return str(path)
