"""The cluster map and node status of several versions, and answers that are none."""

import json

import pytest

from aiscore.errors import ProtocolError
from aiscore.model.cluster import NodeRole
from aiscore.wire.cluster import HEALTHY, NodeFlag
from aiscore.wire.nodes import alerts_of, decode_map, decode_status


def node(node_id: str, flags: int = 0) -> dict[str, object]:
    urls = {
        f"{net}_net": {"direct_url": f"http://{net}:1"}
        for net in ("public", "intra_control", "intra_data")
    }
    return {**urls, "daemon_id": node_id, "flags": flags}


MAP = {
    "pmap": {"p2": node("p2", NodeFlag.NON_ELECTABLE), "p1": node("p1")},
    "tmap": {"t1": node("t1", NodeFlag.MAINTENANCE), "t2": node("t2")},
    "proxy_si": node("p1"),
    "uuid": "u",
    "version": "6",
}


def test_the_map() -> None:
    found = decode_map(json.dumps(MAP).encode())
    assert (found.uuid, found.map_version) == ("u", "6")
    assert [one.name for one in found.nodes] == ["p[p1]", "p[p2]", "t[t1]", "t[t2]"]
    first, second, third, fourth = found.nodes
    assert first.is_primary
    assert not second.is_primary
    assert not second.is_electable
    assert (third.status, third.is_online) == ("maintenance", False)
    assert (fourth.url, fourth.control_url) == ("http://public:1", "http://intra_control:1")
    assert found.of(NodeRole.TARGET) == (third, fourth)


@pytest.mark.parametrize("key", ["capacity", "Mountpaths"])
def test_the_status(key: str) -> None:
    mountpaths = {"/a": {"used": "10", "avail": "90"}, "/b": {"used": 10, "avail": 90}}
    status = {
        "status": "",
        "ais_version": "4.1.",
        "deployment": "dev",
        "tracker": {"get.n": "3", "state.flags": HEALTHY | 1 << 20, "up.ns.time": 5},
        "capacity": {
            "Mountpaths" if key == "Mountpaths" else "mountpaths": mountpaths,
            "total_used": "10",
            "total_avail": "90",
        },
        "sys_info": {
            "mem_used": 1,
            "mem_avail": 2,
            "load_avg": {"One": 1, "Five": 2.5, "Fifteen": 3},
        },
    }
    target = decode_map(json.dumps(MAP).encode()).nodes[3]
    found = decode_status(target, json.dumps(status).encode())
    assert (found.status, found.version, found.alerts) == ("online", "4.1", ("out-of-cpu",))
    assert (found.disk_used, found.disk_total, found.uptime_ns) == (10, 100, 5)
    assert [info.path for info in found.mountpaths] == ["/a", "/b"]
    assert found.counters == {"get.n": 3}
    assert found.load == (1.0, 2.5, 3.0)
    bare = decode_status(target, b"{}")
    assert (bare.status, bare.alerts, bare.load, bare.disk_total) == ("online", (), None, 0)


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b"<html>", b'{"pmap": 3}', b"\xff"])
def test_no_map(body: bytes) -> None:
    with pytest.raises(ProtocolError):
        decode_map(body)


def test_alerts() -> None:
    assert alerts_of(HEALTHY) == ()
    assert alerts_of(HEALTHY | 1 << 8 | 1 << 13) == ("OOS", "disk-fault")
    assert alerts_of(1 << 2) == ("cluster-not-started-yet",)
    assert alerts_of(0) == ()
