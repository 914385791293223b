"""The cluster map and the status of nodes, read into values; AIStore's, or of a server of ours.

Everything that is not needed is ignored, and what is missing is empty: nodes of several versions may answer.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import cast

from aiscore.errors import InvalidArgumentError, ProtocolError
from aiscore.model.cluster import ONLINE, ClusterInfo, NodeInfo, NodeRole
from aiscore.model.config_sections import SpaceConfig
from aiscore.model.load import Grade, LoadVector
from aiscore.model.storage import MountpathInfo, MountpathState
from aiscore.wire.cluster import HEALTHY, NodeFlag, NodeState
from aiscore.wire.messages import decode_json

__all__ = ["alerts_of", "decode_map", "decode_status", "state_flags"]

_ALERTS: Mapping[int, str] = {
    0: "vote-in-progress",
    3: "rebalancing",
    4: "rebalance-interrupted",
    5: "resilvering",
    6: "resilver-interrupted",
    7: "restarted",
    8: "OOS",
    9: "OOM",
    10: "in-maintenance-mode",
    11: "low-usable-capacity",
    12: "low-memory",
    13: "disk-fault",
    14: "number-of-goroutines",
    15: "high-number-of-goroutines",
    16: "tls-cert-will-soon-expire",
    17: "tls-cert-expired",
    18: "tls-cert-invalid",
    19: "keep-alive-errors",
    20: "out-of-cpu",
    21: "low-cpu",
    22: "disk-out-of-space",
    23: "disk-low-capacity",
}
"""Bit of `state.flags` -> AIStore's name of it."""
_NOT_YET = {1: "cluster-not-started-yet", 2: "node-not-started-yet"}
_MEMORY_FLAGS = {Grade.HIGH: NodeState.LOW_MEMORY, Grade.CRITICAL: NodeState.OUT_OF_MEMORY}
_CPU_FLAGS = {Grade.HIGH: NodeState.LOW_CPU, Grade.CRITICAL: NodeState.OUT_OF_CPU}
_STATE_FLAGS = "state.flags"
_UPTIME = "up.ns.time"


def decode_map(body: bytes) -> ClusterInfo:
    """Read the cluster map; nodes come without what only they can tell.

    Raises:
        ProtocolError: it is no map.
    """
    found = _object(body, "cluster map")
    primary = str(_below(found, "proxy_si").get("daemon_id", ""))
    nodes = [
        _node(node_id, raw, role, primary)
        for role, key in ((NodeRole.PROXY, "pmap"), (NodeRole.TARGET, "tmap"))
        for node_id, raw in sorted(_below(found, key).items())
        if isinstance(raw, dict)
    ]
    if not nodes:
        raise ProtocolError("invalid cluster map in the answer: it has no nodes")
    return ClusterInfo(
        nodes=tuple(nodes),
        uuid=str(found.get("uuid", "")),
        map_version=str(found.get("version", "")),
    )


def decode_status(node: NodeInfo, body: bytes) -> NodeInfo:
    """`node` with what it tells of itself.

    Raises:
        ProtocolError: the answer is no status.
    """
    found = _object(body, "node status")
    system = _below(found, "sys_info")
    load = _below(system, "load_avg")
    capacity = _below(found, "capacity")
    counters = {name: _integer(value) for name, value in _below(found, "tracker").items()}
    used, available = _integer(capacity.get("total_used")), _integer(capacity.get("total_avail"))
    return replace(
        node,
        status=str(found.get("status") or node.status),
        alerts=alerts_of(counters.get(_STATE_FLAGS, HEALTHY)),
        version=str(found.get("ais_version", "")).rstrip("."),
        build=str(found.get("build_time", "")),
        deployment=str(found.get("deployment", "")),
        uptime_ns=counters.get(_UPTIME, 0),
        memory_used=_integer(system.get("mem_used")),
        memory_available=_integer(system.get("mem_avail")),
        load=(_float(load.get("One")), _float(load.get("Five")), _float(load.get("Fifteen")))
        if load
        else None,
        pressure={k: str(v) for k, v in _below(found, "pressure").items()},
        disk_used=used,
        disk_total=used + available,
        mountpaths=_mountpaths(capacity),
        counters={n: v for n, v in counters.items() if n not in {_STATE_FLAGS, _UPTIME}},
    )


def alerts_of(flags: int) -> tuple[str, ...]:
    """Names of the bits of `state.flags` that need attention."""
    if not flags:
        return ()  # a node that does not tell
    missing = [name for bit, name in _NOT_YET.items() if not flags >> bit & 1]
    return (*missing, *(name for bit, name in _ALERTS.items() if flags >> bit & 1))


def state_flags(load: LoadVector, used_pct: int = 0, space: SpaceConfig | None = None) -> int:
    """`state.flags` of a node that works.

    Args:
        load: of its machine.
        used_pct: of its fullest disk.
        space: what is too full; None for a node without disks.
    """
    flags = HEALTHY | _MEMORY_FLAGS.get(load.memory, 0) | _CPU_FLAGS.get(load.cpu, 0)
    if space is None:
        return flags
    if used_pct >= space.out_of_space:
        return flags | NodeState.OUT_OF_SPACE
    return flags | (NodeState.LOW_CAPACITY if used_pct >= space.highwm else 0)


def _node(node_id: str, raw: Mapping[str, object], role: NodeRole, primary: str) -> NodeInfo:
    flags = _integer(raw.get("flags"))
    status = ONLINE
    if flags & NodeFlag.MAINTENANCE:
        status = "maintenance"
    if flags & NodeFlag.DECOMMISSION:
        status = "decommission"
    return NodeInfo(
        id=node_id,
        role=role,
        url=str(_below(raw, "public_net").get("direct_url", "")),
        control_url=str(_below(raw, "intra_control_net").get("direct_url", "")),
        data_url=str(_below(raw, "intra_data_net").get("direct_url", "")),
        is_primary=node_id == primary,
        is_electable=not flags & NodeFlag.NON_ELECTABLE,
        status=status,
    )


def _mountpaths(capacity: Mapping[str, object]) -> tuple[MountpathInfo, ...]:
    # The key is capitalised in some versions.
    found = _below(capacity, "Mountpaths") or _below(capacity, "mountpaths")
    infos = []
    for path, raw in sorted(found.items()):
        fill = cast("dict[str, object]", raw) if isinstance(raw, dict) else {}
        used, available = _integer(fill.get("used")), _integer(fill.get("avail"))
        infos.append(
            MountpathInfo(
                path=path,
                state=MountpathState.ENABLED,
                disk_used=used,
                disk_total=used + available,
            )
        )
    return tuple(infos)


def _object(body: bytes, what: str) -> Mapping[str, object]:
    try:
        value = decode_json(body)
    except InvalidArgumentError as exc:
        raise ProtocolError(f"invalid {what} in the answer: {exc.message}") from exc
    if not isinstance(value, dict):
        raise ProtocolError(f"invalid {what} in the answer: expected a JSON object")
    return value


def _below(value: Mapping[str, object], key: str) -> Mapping[str, object]:
    found = value.get(key)
    return cast("dict[str, object]", found) if isinstance(found, dict) else {}


def _integer(value: object) -> int:
    """A number, also as text; 0 for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return 0
    try:
        return int(value)
    except (ValueError, OverflowError):
        return 0


def _float(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0
