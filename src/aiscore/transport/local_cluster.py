"""The nodes that an embedded store stands for, so that every store can be looked at alike."""

from collections.abc import Sequence

from aiscore._version import __version__
from aiscore.model.cluster import ONLINE, ClusterInfo, NodeInfo, NodeRole
from aiscore.model.config_sections import SpaceConfig
from aiscore.model.load import LoadVector
from aiscore.model.storage import MountpathInfo, MountpathState
from aiscore.wire.nodes import alerts_of, state_flags

__all__ = ["embedded_cluster"]

_ID = "local"
_DEPLOYMENT = "embedded"
_BUILD = f"aiscore-{__version__}"


def embedded_cluster(
    mountpaths: Sequence[MountpathInfo], load: LoadVector, space: SpaceConfig
) -> ClusterInfo:
    """One proxy and one target, which has the mountpaths; `space` tells when they are too full."""
    # Mountpaths of one disk share its space: counted once.
    disks = {(info.disk_used, info.disk_total) for info in mountpaths}
    unused = sum(info.state is not MountpathState.ENABLED for info in mountpaths)
    status = f"{unused} of {len(mountpaths)} mountpaths not in use" if unused else ONLINE
    proxy = NodeInfo(
        id=_ID,
        role=NodeRole.PROXY,
        is_primary=True,
        version=__version__,
        build=_BUILD,
        deployment=_DEPLOYMENT,
    )
    shares = [100 * info.disk_used // info.disk_total for info in mountpaths if info.disk_total]
    target = NodeInfo(
        id=_ID,
        role=NodeRole.TARGET,
        status=status,
        alerts=alerts_of(state_flags(load, max(shares, default=0), space)),
        pressure=load.texts,
        version=__version__,
        build=_BUILD,
        deployment=_DEPLOYMENT,
        disk_used=sum(used for used, _ in disks),
        disk_total=sum(total for _, total in disks),
        mountpaths=tuple(mountpaths),
    )
    return ClusterInfo(nodes=(proxy, target))
