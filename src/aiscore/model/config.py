"""Configuration of a cluster and of a node: the trees, and what may be changed where.

A home is configured as a cluster of one node. Names and encodings are AIStore's, with one section
of ours, `store`; sections that nothing here reads yet are not modelled. Changes go through
`sections.replace_path`, which checks the whole tree before any of it is used.
"""

from collections.abc import Iterable, Mapping, Sequence

from aiscore.errors import InvalidArgumentError
from aiscore.model.assignments import parse_assignments
from aiscore.model.config_sections import (
    ClientConfig,
    DiskConfig,
    FshcConfig,
    GetBatchConfig,
    KeepaliveConfig,
    LogConfig,
    MemsysConfig,
    NetConfig,
    PeriodicConfig,
    SpaceConfig,
    StoreConfig,
    TimeoutConfig,
    TransportConfig,
)
from aiscore.model.features import FEATURE_NAMES, FEATURES_ALL, check_features
from aiscore.model.fields import bitmask, integer, text
from aiscore.model.fieldspec import refused
from aiscore.model.policies import (
    ChecksumPolicy,
    ChunksPolicy,
    EcPolicy,
    LruPolicy,
    MirrorPolicy,
    RateLimitPolicy,
    VersioningPolicy,
    WritePolicySection,
)
from aiscore.model.sections import Section, section, settings
from aiscore.model.units import format_duration

__all__ = [
    "CLUSTER_SCOPE",
    "RESTART_REQUIRED",
    "ClusterConfig",
    "HostNetConfig",
    "NodeConfig",
    "check_node_scope",
    "needs_restart",
    "parse_config_changes",
]

CLUSTER_SCOPE = frozenset(
    {
        "arch",
        "auth",
        "backend",
        "checksum",
        "chunks",
        "ec",
        "features",
        "get_batch",
        "mirror",
        "net",
        "periodic",
        "proxy",
        "rebalance",
        "tcb",
        "tco",
        "transport",
        "versioning",
    }
)
"""Sections that a single node cannot override; upstream's `allow:"cluster"`."""

RESTART_REQUIRED = frozenset({"memsys", "net"})
"""Sections whose change takes effect at the next start."""


@settings
class ClusterConfig(Section):
    """What every node of the cluster shares.

    `config_version` counts changes, `lastupdate_time` is when the last one happened, `uuid` is the
    cluster's; the store sets all three.
    """

    write_policy: WritePolicySection = section(WritePolicySection)
    checksum: ChecksumPolicy = section(ChecksumPolicy)
    versioning: VersioningPolicy = section(VersioningPolicy)
    mirror: MirrorPolicy = section(MirrorPolicy)
    ec: EcPolicy = section(EcPolicy)
    chunks: ChunksPolicy = section(ChunksPolicy)
    rate_limit: RateLimitPolicy = section(RateLimitPolicy)
    lru: LruPolicy = section(LruPolicy)
    space: SpaceConfig = section(SpaceConfig)
    get_batch: GetBatchConfig = section(GetBatchConfig)
    timeout: TimeoutConfig = section(TimeoutConfig)
    client: ClientConfig = section(ClientConfig)
    periodic: PeriodicConfig = section(PeriodicConfig)
    disk: DiskConfig = section(DiskConfig)
    fshc: FshcConfig = section(FshcConfig)
    memsys: MemsysConfig = section(MemsysConfig)
    log: LogConfig = section(LogConfig)
    transport: TransportConfig = section(TransportConfig)
    net: NetConfig = section(NetConfig)
    keepalivetracker: KeepaliveConfig = section(KeepaliveConfig)
    store: StoreConfig = section(StoreConfig)
    features: int = bitmask(0, FEATURE_NAMES, maximum=FEATURES_ALL)
    uuid: str = text(readonly=True)
    lastupdate_time: str = text(readonly=True)
    config_version: int = integer(0, quoted=True, readonly=True)

    def check_rules(self, path: str) -> None:
        """Rules between sections."""
        check_features(self.features)
        slowest_ns = self.timeout.max_keepalive_ns
        for name in ("proxy", "target"):
            interval_ns = getattr(self.keepalivetracker, name).interval_ns
            if interval_ns < slowest_ns:
                raise refused(
                    f"keepalivetracker.{name}.interval",
                    format_duration(interval_ns),
                    f"at least timeout.max_keepalive={format_duration(slowest_ns)}",
                )


@settings
class HostNetConfig(Section):
    """Addresses a node listens on; ports are JSON strings on the wire."""

    hostname: str = text()
    hostname_intra_control: str = text()
    hostname_intra_data: str = text()
    port: int = integer(8080, maximum=65535, quoted=True)
    port_intra_control: int = integer(9080, maximum=65535, quoted=True)
    port_intra_data: int = integer(10080, maximum=65535, quoted=True)


@settings
class NodeConfig(ClusterConfig):
    """What one node runs with: the cluster's sections and its own, as `what=config` answers."""

    confdir: str = text(readonly=True)
    log_dir: str = text(readonly=True)
    host_net: HostNetConfig = section(HostNetConfig)


def parse_config_changes(args: Sequence[str] | Mapping[str, object]) -> dict[str, str]:
    """Read changes: `KEY=VALUE` words, `KEY VALUE` pairs, one word of JSON, or a JSON object.

    Raises:
        InvalidArgumentError: not one of these forms, or a key given twice.
    """
    return parse_assignments(NodeConfig, args)


def check_node_scope(keys: Iterable[str]) -> None:
    """Refuse changes for one node alone that only the cluster may make.

    Raises:
        InvalidArgumentError: a key lies in a section of `CLUSTER_SCOPE`.
    """
    for key in keys:
        name = key.strip().lower().partition(".")[0]
        if name in CLUSTER_SCOPE:
            raise InvalidArgumentError(
                f"{name} configuration can only be globally updated",
                hint=f"use: ais config cluster {key}=VALUE",
            )


def needs_restart(keys: Iterable[str]) -> bool:
    """True if one of the changed keys takes effect only at the next start."""
    return any(key.strip().lower().partition(".")[0] in RESTART_REQUIRED for key in keys)
