"""Values that describe the nodes of a store."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from aiscore.model.storage import MountpathInfo, MountpathState

__all__ = ["ONLINE", "ClusterInfo", "NodeInfo", "NodeRole"]

ONLINE = "online"
"""`NodeInfo.status` of a node that works."""


class NodeRole(StrEnum):
    """What a node does."""

    PROXY = "proxy"
    """Knows where things are, and answers for all."""
    TARGET = "target"
    """Has the disks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeInfo:
    """One node. What it does not tell is empty, or 0.

    Attributes:
        id: unique in the cluster.
        role: proxy or target; a server that is both has a node of each.
        url: where clients reach it; "" for a store in this process.
        control_url: where other nodes send commands.
        data_url: where other nodes send objects.
        is_primary: the proxy that decides.
        is_electable: a proxy that may become the primary.
        status: `ONLINE`, or what is wrong, in words.
        alerts: what needs attention, by AIStore's names: `low-usable-capacity`.
        version: of AIStore that it is compatible with; of this package in an embedded store.
        build: of its software, in its own words: `aiscore-0.1.0` for a server of ours.
        deployment: `dev`, `K8s`, `aiscore`, or `embedded`.
        uptime_ns: since it started.
        memory_used: bytes of the process.
        memory_available: bytes that the machine has left.
        load: average over 1, 5 and 15 minutes.
        pressure: grades of its machine, by dimension (`memory` -> `low`); none of AIStore's nodes.
        disk_used: bytes of all its disks, a disk that several mountpaths share counted once.
        disk_total: likewise.
        mountpaths: of a target.
        counters: since it started, by AIStore's internal names (`get.n`).
    """

    id: str
    role: NodeRole
    url: str = ""
    control_url: str = ""
    data_url: str = ""
    is_primary: bool = False
    is_electable: bool = True
    status: str = ONLINE
    alerts: tuple[str, ...] = ()
    version: str = ""
    build: str = ""
    deployment: str = ""
    uptime_ns: int = 0
    memory_used: int = 0
    memory_available: int = 0
    load: tuple[float, float, float] | None = None
    pressure: Mapping[str, str] = field(default_factory=dict)
    disk_used: int = 0
    disk_total: int = 0
    mountpaths: tuple[MountpathInfo, ...] = ()
    counters: Mapping[str, int] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """As people write it: `p[ID]`, `t[ID]`."""
        return f"{self.role.value[0]}[{self.id}]"

    @property
    def is_online(self) -> bool:
        """True when it answers and is in service."""
        return self.status == ONLINE

    @property
    def mountpaths_unused(self) -> int:
        """Mountpaths that nothing is written to."""
        return sum(info.state is not MountpathState.ENABLED for info in self.mountpaths)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterInfo:
    """The nodes of a store, proxies first, and what they agree on.

    Attributes:
        nodes: at least one of each role in a store that works.
        uuid: of the cluster; "" for an embedded store.
        map_version: of the cluster map; "" for an embedded store.
    """

    nodes: tuple[NodeInfo, ...]
    uuid: str = ""
    map_version: str = ""

    def of(self, role: NodeRole) -> tuple[NodeInfo, ...]:
        """The nodes of one role."""
        return tuple(node for node in self.nodes if node.role is role)
