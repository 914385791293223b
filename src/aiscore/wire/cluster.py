"""The cluster map, the state of nodes, their disks; and highest-random-weight placement.

Field names are the JSON keys. MessagePack, which some clients accept for node statistics, has shorter keys of its own;
JSON is always a valid answer and the only one here.
"""

from collections.abc import Iterable
from typing import Any, TypeVar

import msgspec

from aiscore.errors import ProtocolError
from aiscore.model.storage import MountpathInfo, MountpathState, ValidateReport

__all__ = [
    "HEALTHY",
    "HRW_SEED",
    "Cdf",
    "DiskStats",
    "FileSystem",
    "MetaVersion",
    "MountpathList",
    "Net",
    "NodeFlag",
    "NodeState",
    "NodeStateInfo",
    "PrimaryInfo",
    "Smap",
    "SmapInfo",
    "Snode",
    "Tcdf",
    "decode_mountpaths",
    "decode_report",
    "encode_mountpaths",
    "encode_report",
    "hrw_digest",
    "hrw_mix",
    "hrw_target",
    "mountpath_list",
]

T = TypeVar("T")

HRW_SEED = 1103515245
"""Seed of every placement digest; checksums have seed 0."""
_MASK = (1 << 64) - 1
_GOLDEN = 0x9E3779B97F4A7C15
_MIX_1 = 0xBF58476D1CE4E5B9
_MIX_2 = 0x94D049BB133111EB


class NodeFlag:
    """Bits of `Snode.flags`."""

    NON_ELECTABLE = 1 << 0
    IC_MEMBER = 1 << 1
    MAINTENANCE = 1 << 2
    DECOMMISSION = 1 << 3
    MAINTENANCE_POST_REBALANCE = 1 << 4


class NodeState:
    """Bits of `NodeStateInfo.flags`."""

    VOTE_IN_PROGRESS = 1 << 0
    CLUSTER_STARTED = 1 << 1
    NODE_STARTED = 1 << 2
    REBALANCING = 1 << 3
    REBALANCE_INTERRUPTED = 1 << 4
    RESILVERING = 1 << 5
    RESILVER_INTERRUPTED = 1 << 6
    RESTARTED = 1 << 7
    OUT_OF_SPACE = 1 << 8
    OUT_OF_MEMORY = 1 << 9
    MAINTENANCE = 1 << 10
    LOW_CAPACITY = 1 << 11
    LOW_MEMORY = 1 << 12
    DISK_FAULT = 1 << 13
    CERT_EXPIRES_SOON = 1 << 16
    CERT_EXPIRED = 1 << 17
    CERT_INVALID = 1 << 18
    OUT_OF_CPU = 1 << 20
    LOW_CPU = 1 << 21


HEALTHY = NodeState.CLUSTER_STARTED | NodeState.NODE_STARTED
"""Exactly these bits; clients show anything else as an alert."""


class Net(msgspec.Struct):
    """One address of a node."""

    node_ip_addr: str = ""
    daemon_port: str = ""
    direct_url: str = ""


class Snode(msgspec.Struct):
    """A node of the cluster map."""

    public_net: Net = msgspec.field(default_factory=Net)
    intra_data_net: Net = msgspec.field(default_factory=Net)
    intra_control_net: Net = msgspec.field(default_factory=Net)
    daemon_type: str = ""
    daemon_id: str = ""
    flags: int = 0
    id_digest: int = 0


class Smap(msgspec.Struct):
    """The cluster map; `version` is text, and never "0"."""

    pmap: dict[str, Snode]
    tmap: dict[str, Snode]
    proxy_si: Snode
    uuid: str
    creation_time: str
    version: str = "1"


class PrimaryInfo(msgspec.Struct):
    """Where the primary is."""

    pub_url: str = ""
    control_url: str = ""
    id: str = ""


class SmapInfo(msgspec.Struct, rename={"primary": "Primary"}):
    """The cluster map in short; the key of `primary` is capitalised."""

    primary: PrimaryInfo = msgspec.field(default_factory=PrimaryInfo)
    uuid: str = ""
    version: str = "1"


class MetaVersion(msgspec.Struct):
    """Version of one kind of cluster metadata."""

    uuid: str = ""
    version: str = "1"


class NodeStateInfo(msgspec.Struct):
    """Answer of health with `cii`, and the `cluster` of a node's status."""

    smap: SmapInfo = msgspec.field(default_factory=SmapInfo)
    bmd: MetaVersion = msgspec.field(default_factory=MetaVersion)
    rmd: MetaVersion = msgspec.field(default_factory=MetaVersion)
    config: MetaVersion = msgspec.field(default_factory=MetaVersion)
    etlmd: MetaVersion = msgspec.field(default_factory=MetaVersion)
    flags: int = HEALTHY


class FileSystem(msgspec.Struct, rename={"name": "Fs", "kind": "FsType", "id": "FsID"}):
    """The file system of a mountpath; its keys are capitalised, the id is two numbers in one text."""

    name: str = ""
    kind: str = ""
    id: str = "0,0"


class Cdf(msgspec.Struct):
    """Capacity of one mountpath; byte counts are text."""

    used: str = "0"
    avail: str = "0"
    pct_used: int = 0
    mountpath_label: str = ""
    fs: FileSystem = msgspec.field(default_factory=FileSystem)
    disks: list[str] = msgspec.field(default_factory=list)


class DiskStats(
    msgspec.Struct,
    rename={
        "read_bps": "RBps",
        "read_avg": "Ravg",
        "write_bps": "WBps",
        "write_avg": "Wavg",
        "util": "Util",
    },
):
    """Load of one disk: bytes a second, average request, percent busy."""

    read_bps: int = 0
    read_avg: int = 0
    write_bps: int = 0
    write_avg: int = 0
    util: int = 0


class Tcdf(msgspec.Struct, rename={"disk_stats": "AllDiskStats"}):
    """Capacity of a target; `disk_stats` goes along in the answer to `disk` only."""

    mountpaths: dict[str, Cdf] = msgspec.field(default_factory=dict)
    cs_err: str = ""
    total_used: str = "0"
    total_avail: str = "0"
    pct_max: int = 0
    pct_avg: int = 0
    pct_min: int = 0
    disk_stats: dict[str, DiskStats] | msgspec.UnsetType = msgspec.UNSET


class MountpathList(msgspec.Struct):
    """Paths of a target's mountpaths by state."""

    available: list[str] = msgspec.field(default_factory=list)
    waiting_dd: list[str] = msgspec.field(default_factory=list)
    disabled: list[str] = msgspec.field(default_factory=list)


# placement


def hrw_digest(text: str) -> int:
    """Digest of a node id or a uname: XXH64 with `HRW_SEED`."""
    import xxhash

    return xxhash.xxh64_intdigest(text.encode(), seed=HRW_SEED)


def hrw_mix(seed: int) -> int:
    """One step of xoshiro256** seeded by splitmix64; `X(0)` is 1905207664160064169."""
    z = _splitmix((seed + _GOLDEN) & _MASK)
    z = _splitmix((z + _GOLDEN) & _MASK)
    z = z * 5 & _MASK
    return ((z << 7 | z >> 57) & _MASK) * 9 & _MASK


def hrw_target(uname: str, targets: Iterable[Snode]) -> Snode | None:
    """The target that an object belongs to: the largest weight of those in service; None without any."""
    digest = hrw_digest(uname)
    out_of_service = NodeFlag.MAINTENANCE | NodeFlag.DECOMMISSION
    chosen: Snode | None = None
    largest = -1
    for node in targets:
        if node.flags & out_of_service:
            continue
        weight = hrw_mix(node.id_digest ^ digest)
        if weight >= largest:
            chosen, largest = node, weight
    return chosen


def _splitmix(z: int) -> int:
    z = ((z ^ z >> 30) * _MIX_1) & _MASK
    z = ((z ^ z >> 27) * _MIX_2) & _MASK
    return z ^ z >> 31


# disks and scrubs


def mountpath_list(mountpaths: Iterable[MountpathInfo]) -> MountpathList:
    """Mountpaths as AIStore lists them: what is missing counts as disabled, what is being removed as waiting."""
    found = MountpathList()
    places = {
        MountpathState.ENABLED: found.available,
        MountpathState.DRAINING: found.waiting_dd,
        MountpathState.DISABLED: found.disabled,
        MountpathState.MISSING: found.disabled,
    }
    for info in mountpaths:
        places[info.state].append(info.path)
    return found


def encode_mountpaths(mountpaths: Iterable[MountpathInfo]) -> list[dict[str, Any]]:
    """Mountpaths with states and fill, for `Path.MOUNTPATH_INFO`."""
    return [
        {
            "path": info.path,
            "state": info.state.value,
            "disk_used": info.disk_used,
            "disk_total": info.disk_total,
            "piece_count": info.piece_count,
        }
        for info in mountpaths
    ]


def decode_mountpaths(body: bytes | memoryview) -> list[MountpathInfo]:
    """The reverse of `encode_mountpaths`.

    Raises:
        ProtocolError: something else.
    """
    return _convert(body, list[MountpathInfo], "mountpaths")


def encode_report(report: ValidateReport) -> dict[str, Any]:
    """Result of a scrub, for `Path.VALIDATE`."""
    return {
        "objects": report.objects,
        "pieces": report.pieces,
        "size": report.size,
        "faults": [
            {"kind": fault.kind.value, "name": fault.name, "detail": fault.detail}
            for fault in report.faults
        ],
    }


def decode_report(body: bytes | memoryview) -> ValidateReport:
    """The reverse of `encode_report`.

    Raises:
        ProtocolError: something else.
    """
    return _convert(body, ValidateReport, "validation report")


def _convert(body: bytes | memoryview, cls: type[T], what: str) -> T:
    try:
        return msgspec.json.decode(body, type=cls)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as exc:
        raise ProtocolError(f"invalid {what} in the answer: {exc}") from exc
