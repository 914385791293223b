"""Who this server says it is: one node that is proxy and target at once, in a cluster of its own.

Clients find targets by the cluster map and may go to them directly; both roles answer on the address that the client
itself used, so that the map is right behind a port mapping too.
"""

from dataclasses import dataclass
from functools import lru_cache

from aiscore.server.http import Request, ServerContext
from aiscore.wire.cluster import Net, NodeFlag, Smap, Snode, hrw_digest

__all__ = ["Identity", "identity_of", "public_url", "smap_of"]

SMAP_VERSION = "2"
"""Clients take 0 for "no map"; this one never changes while the server runs."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Ids of the two roles and of the cluster.

    Attributes:
        target_id: the id that object locations name.
        proxy_id: of the same process as proxy.
        cluster_id: `uuid` of the map.
    """

    target_id: str
    proxy_id: str
    cluster_id: str

    @property
    def target(self) -> str:
        """`t[ID]`."""
        return f"t[{self.target_id}]"


@lru_cache(maxsize=4)
def identity_of(home_id: str) -> Identity:
    """The identity that goes with a home; it stays as long as the home does."""
    return Identity(target_id=home_id, proxy_id=f"p{home_id[::-1]}", cluster_id=home_id)


def public_url(request: Request, context: ServerContext) -> str:
    """Scheme, host and port under which the client reached this server."""
    scheme = "https" if request.is_tls else "http"
    settings = context.settings
    host = request.header("host") or f"{settings.host}:{settings.port}"
    return f"{scheme}://{host}"


def smap_of(identity: Identity, url: str) -> Smap:
    """The cluster map as this client must see it."""
    proxy = _snode(identity.proxy_id, "proxy", url, NodeFlag.IC_MEMBER)
    target = _snode(identity.target_id, "target", url, 0)
    return Smap(
        pmap={proxy.daemon_id: proxy},
        tmap={target.daemon_id: target},
        proxy_si=proxy,
        uuid=identity.cluster_id,
        creation_time="",
        version=SMAP_VERSION,
    )


def _snode(node_id: str, role: str, url: str, flags: int) -> Snode:
    authority = url.partition("://")[2]
    host, _, port = authority.rpartition(":")
    if not port.isdigit():
        host, port = authority, "443" if url.startswith("https") else "80"
    net = Net(node_ip_addr=host.strip("[]"), daemon_port=port, direct_url=url)
    return Snode(
        public_net=net,
        intra_data_net=net,
        intra_control_net=net,
        daemon_type=role,
        daemon_id=node_id,
        flags=flags,
        id_digest=hrw_digest(node_id),
    )
