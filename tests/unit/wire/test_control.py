import json
from dataclasses import replace

import msgspec
import pytest
from aistore.sdk.types import JobSnap, JobStatus  # type: ignore[import-untyped]
from aistore.sdk.types import Smap as TheirSmap

from aiscore.errors import BusyError, InvalidArgumentError, ProtocolError, XactionAbortedError
from aiscore.model.bucket import BucketRef
from aiscore.model.config import ClusterConfig
from aiscore.model.props import change_props, default_props
from aiscore.model.storage import (
    Fault,
    FaultKind,
    MountpathInfo,
    MountpathState,
    ValidateReport,
)
from aiscore.model.xaction import XactionFilter, XactionKind, XactionSnap, XactionState
from aiscore.wire.cluster import (
    Net,
    NodeFlag,
    Smap,
    Snode,
    decode_mountpaths,
    decode_report,
    encode_mountpaths,
    encode_report,
    hrw_digest,
    hrw_mix,
    hrw_target,
    mountpath_list,
)
from aiscore.wire.config import (
    changes_of_query,
    changes_of_value,
    decode_config,
    encode_config,
    encode_node_config,
)
from aiscore.wire.jobs import (
    decode_snap,
    decode_snaps,
    decode_status,
    encode_filter,
    encode_snap,
    encode_status,
    error_of_snap,
    filter_of,
    running_name,
)
from aiscore.wire.messages import encode_json
from aiscore.wire.props import decode_changes, decode_props, encode_changes, encode_props

# placement


def test_mixing_has_upstreams_vectors() -> None:
    assert hrw_mix(0) == 1905207664160064169
    assert hrw_mix(4573842) == 5026071747115404967


def test_python_client_places_objects_as_we_do() -> None:
    nodes = {
        name: Snode(
            public_net=Net("h", "1", "http://h:1"),
            daemon_type="target",
            daemon_id=name,
            id_digest=hrw_digest(name),
            flags=NodeFlag.MAINTENANCE if name == "tgtresting" else 0,
        )
        for name in ("tgtABCDE1", "tgtABCDE2", "tgtABCDE3", "tgtresting")
    }
    smap = Smap({}, nodes, nodes["tgtABCDE1"], "uuid", "now")
    theirs = TheirSmap.model_validate_json(msgspec.json.encode(smap))
    chosen = set()
    for number in range(100):
        uname = f"ais/@#/b/o{number}"
        ours = hrw_target(uname, nodes.values())
        assert ours is not None
        assert theirs.get_target_for_object(uname).daemon_id == ours.daemon_id
        chosen.add(ours.daemon_id)
    assert len(chosen) == 3
    assert hrw_target("x", [nodes["tgtresting"]]) is None


# jobs

SNAP = XactionSnap(
    id="abcdefghi",
    kind=XactionKind.COPY_BUCKET,
    state=XactionState.FINISHED,
    bucket=BucketRef("b"),
    target=BucketRef("c"),
    started_ns=1_763_875_080_123_456_789,
    ended_ns=1_763_875_081_000_000_000,
    objects=7,
    size=2**60,
    control="b to c",
    ext={"missing": ["a"]},
)
FAILED = replace(SNAP, state=XactionState.FAILED, error="x is busy", error_code="ErrBusy")
ABORTED = replace(SNAP, state=XactionState.ABORTED, error="stopped", ext={})
RUNNING = XactionSnap(id="abcdefghi", kind=XactionKind.LRU, started_ns=1)


@pytest.mark.parametrize("snap", [SNAP, FAILED, ABORTED, RUNNING])
def test_snapshots_come_back(snap: XactionSnap) -> None:
    encoded = json.loads(json.dumps(encode_snap(snap)))
    assert decode_snap(encoded) == snap
    theirs = JobSnap.model_validate(encoded)
    assert (theirs.id, theirs.kind, theirs.aborted) == (snap.id, snap.kind, snap.is_aborted)
    status = encode_status(snap)
    assert JobStatus.model_validate(status).end_time == snap.ended_ns
    assert decode_status(status).state is snap.state


def test_answers_about_jobs() -> None:
    strange = encode_snap(SNAP) | {"kind": "future-job"}
    body = encode_json({"t1": [encode_snap(SNAP), strange], "t2": None, "t3": []})
    assert decode_snaps(body) == [SNAP]
    for bad in (b"[]", b"{", b'{"t":[1]}', b'{"t":[{"kind":"lru","start-time":"x"}]}'):
        with pytest.raises(ProtocolError):
            decode_snaps(bad)


def test_error_of_a_job_has_its_class() -> None:
    assert type(error_of_snap(FAILED)) is BusyError
    assert type(error_of_snap(ABORTED)) is XactionAbortedError
    assert error_of_snap(SNAP) is error_of_snap(RUNNING) is None
    assert running_name(RUNNING) == "lru[abcdefghi]"


def test_questions_about_jobs() -> None:
    wanted = XactionFilter(
        id="abcdefghi", kind=XactionKind.LRU, bucket=BucketRef("b"), only_running=True
    )
    assert filter_of(encode_json(encode_filter(wanted))) == wanted
    assert filter_of(b"") == filter_of(b"null") == filter_of(b"{}") == XactionFilter()
    found = filter_of(b'{"ID":"abcdefghi","Kind":"copy-bucket","DaemonID":"","Bck":null}')
    assert found == XactionFilter(id="abcdefghi", kind=XactionKind.COPY_BUCKET)
    for bad in (b"[]", b'{"kind":"x"}', b'{"id":1}'):
        with pytest.raises(InvalidArgumentError):
            filter_of(bad)


# properties and configuration

CONFIG = ClusterConfig()
PROPS = default_props("ais", CONFIG)


def test_properties_come_back() -> None:
    changed = change_props(PROPS, {"checksum.type": "md5", "mirror.enabled": "true"})
    text = encode_props(changed)
    assert text.isascii()
    assert "\n" not in text
    assert decode_props(text) == changed
    for bad in ("", "[]", '{"mirror":1}'):
        with pytest.raises(ProtocolError):
            decode_props(bad)


def test_changes_have_types() -> None:
    changes = {
        "checksum.type": "md5",
        "mirror.copies": "3",
        "mirror.enabled": "yes",
        "access": "ro",
        "chunks.chunk_size": "8mb",
        "nosuch.thing": "1",
        "ec.enabled": "maybe",
    }
    encoded = encode_changes(changes, force=True)
    assert encoded == {
        "checksum": {"type": "md5"},
        "mirror": {"copies": 3, "enabled": True},
        "access": "771",
        "chunks": {"chunk_size": "8MiB"},
        "nosuch": {"thing": "1"},
        "ec": {"enabled": "maybe"},
        "force": True,
    }
    found = decode_changes(encoded)
    assert found.force
    assert found.values["chunks.chunk_size"] == "8MiB"
    assert found.values["ec.enabled"] == "maybe"
    assert decode_changes(None).values == {}
    assert decode_changes({"lru": None, "ec": {"enabled": None}}).values == {}


def test_backend_of_a_bucket() -> None:
    attached = encode_changes({"backend_bck": "s3://x"})["backend_bck"]
    assert attached == {"name": "x", "provider": "aws", "namespace": {"uuid": "", "name": ""}}
    detached = decode_changes({"backend_bck": {"name": "", "provider": ""}})
    assert detached.values == {"backend_bck.name": "", "backend_bck.provider": ""}


def test_configuration_has_every_section() -> None:
    encoded = encode_config(CONFIG, primary_url="http://h:1")
    assert decode_config(json.dumps(encoded)) == CONFIG
    wanted = (
        "backend mirror ec chunks log periodic timeout client proxy space lru disk rebalance resilver "
        "checksum transport memsys versioning net fshc auth keepalivetracker downloader distributed_sort "
        "tcb tco arch lso write_policy rate_limit get_batch features tracing uuid lastupdate_time config_version"
    )
    assert set(wanted.split()) <= set(encoded)
    assert encoded["auth"]["enabled"] is False
    assert encoded["proxy"]["primary_url"] == "http://h:1"
    node = encode_node_config(CONFIG, {"host_net": {"port": "8080"}})
    assert node["host_net"]["port"] == "8080"
    assert node["fspaths"] == {}
    encoded["auth"]["enabled"] = True
    assert encode_config(CONFIG)["auth"]["enabled"] is False


def test_configuration_changes() -> None:
    assert changes_of_query({"LRU.enabled": "false", "transient": "true"}) == (
        {"lru.enabled": "false"},
        True,
    )
    assert changes_of_value({"lru": {"enabled": False}, "ec": None}) == {"lru.enabled": "false"}
    nothing: tuple[object, ...] = (None, [], {}, {"lru": {}})
    for bad in nothing:
        with pytest.raises(InvalidArgumentError):
            changes_of_value(bad)
    with pytest.raises(InvalidArgumentError):
        changes_of_query({"transient": "true"})


# disks


def test_disks_and_scrubs_come_back() -> None:
    infos = [
        MountpathInfo(path=f"/{state.value}", state=state, disk_used=1, disk_total=2, piece_count=3)
        for state in MountpathState
    ]
    assert decode_mountpaths(encode_json(encode_mountpaths(infos))) == infos
    listed = mountpath_list(infos)
    assert listed.available == ["/enabled"]
    assert listed.disabled == ["/disabled", "/missing"]
    report = ValidateReport(
        objects=1, pieces=2, size=3, faults=(Fault(FaultKind.ORPHAN, "x", "y"),)
    )
    assert decode_report(encode_json(encode_report(report))) == report
    for bad in (b"", b"{}", b"\xff"):
        with pytest.raises(ProtocolError):
            decode_report(bad)
