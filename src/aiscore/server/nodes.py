"""What the one node tells of itself: statistics, status, and the table of buckets."""

from aiscore._version import __version__
from aiscore.server import facts
from aiscore.server.http import ServerContext
from aiscore.server.identity import SMAP_VERSION, identity_of, smap_of
from aiscore.wire.buckets import namespace_text
from aiscore.wire.cluster import NodeStateInfo, PrimaryInfo, SmapInfo, Tcdf
from aiscore.wire.messages import ActMsg, decode_json
from aiscore.wire.props import props_to_json

__all__ = ["bmd", "node_stats", "node_status", "reset_stats", "state_info"]


def node_stats(context: ServerContext, url: str, *, is_target: bool) -> dict[str, object]:
    """Counters and capacity of one role."""
    smap = smap_of(identity_of(context.node.home_id), url)
    snode = next(iter(smap.tmap.values())) if is_target else smap.proxy_si
    return {
        "snode": snode,
        "tracker": facts.tracker(context, is_target=is_target),
        "capacity": facts.capacity(context) if is_target else Tcdf(),
    }


def node_status(context: ServerContext, url: str, *, is_target: bool) -> dict[str, object]:
    """The same and who it is; `status` is empty while nothing is wrong."""
    return {
        **node_stats(context, url, is_target=is_target),
        "status": "",
        "deployment": "aiscore",
        "ais_version": context.settings.version,
        "build_time": f"aiscore-{__version__}",
        "k8s_pod_name": "",
        "cluster": state_info(context, url, is_target=is_target),
        "pressure": context.node.store.load().texts,
        "sys_info": facts.sysinfo(context, is_target=is_target),
        "smap_version": SMAP_VERSION,
    }


def state_info(context: ServerContext, url: str, *, is_target: bool = True) -> NodeStateInfo:
    """Versions of what a cluster shares, and the state flags."""
    identity = identity_of(context.node.home_id)
    primary = PrimaryInfo(pub_url=url, control_url=url, id=identity.proxy_id)
    return NodeStateInfo(
        smap=SmapInfo(primary=primary, uuid=identity.cluster_id, version=SMAP_VERSION),
        flags=facts.flags_of(context, is_target=is_target),
    )


def reset_stats(context: ServerContext, message: ActMsg) -> None:
    """Begin to count at 0; a value of `true` means the counters of errors only."""
    errors_only = decode_json(message.value) is True
    context.node.store.tally.reset("err." if errors_only else "")


def bmd(context: ServerContext) -> dict[str, object]:
    """All buckets with their properties, by provider and namespace."""
    store = context.node.store
    providers: dict[str, dict[str, dict[str, object]]] = {}
    for bucket in store.list_buckets():
        namespaces = providers.setdefault(bucket.provider.value, {})
        found = namespaces.setdefault(namespace_text(bucket.namespace), {})
        found[bucket.name] = props_to_json(store.head_bucket(bucket))
    version = str(1 + sum(len(b) for n in providers.values() for b in n.values()))
    return {
        "ext": None,
        "providers": providers,
        "uuid": identity_of(context.node.home_id).cluster_id,
        "version": version,
    }
