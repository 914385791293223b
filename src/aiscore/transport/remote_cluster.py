"""The nodes of a store over the network: the map from whoever answers, the status from each node."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from aiscore.errors import AccessDeniedError, AisError, NotFoundError
from aiscore.model.cluster import ClusterInfo, NodeInfo
from aiscore.model.stream import BLOCK_SIZE
from aiscore.transport.session import Call, Session, query_text
from aiscore.wire.names import H, Path, Q, What
from aiscore.wire.nodes import decode_map, decode_status

__all__ = ["cluster_map", "read_cluster", "read_log"]

_AT_ONCE_MAX = 16
"""Nodes asked at a time."""


def cluster_map(session: Session) -> ClusterInfo:
    """The nodes, without what only they can tell."""
    return decode_map(session.call(Call("GET", Path.DAEMON + query_text({Q.WHAT: What.SMAP}))).body)


def read_cluster(session: Session) -> ClusterInfo:
    """See `Transport.cluster_info`."""
    found = cluster_map(session)
    with ThreadPoolExecutor(min(_AT_ONCE_MAX, len(found.nodes))) as pool:
        nodes = tuple(pool.map(lambda node: _asked(session, node), found.nodes))
    return replace(found, nodes=nodes)


def read_log(session: Session, node: str, severity: str) -> Iterator[bytes]:
    """See `Transport.node_log`."""
    known = cluster_map(session).nodes
    bare = node[2:-1] if node[1:2] == "[" and node.endswith("]") else node
    if bare not in {one.id for one in known}:
        raise NotFoundError(
            f'no node "{node}"', hint=f"nodes are: {', '.join(one.name for one in known)}"
        )
    query = {Q.WHAT: What.LOG} | ({Q.SEVERITY: severity} if severity else {})
    target = Path.REVERSE_DAEMON + query_text(query)
    buffer = bytearray(BLOCK_SIZE)
    with session.open(Call("GET", target, ((H.NODE_ID, bare),))) as response:
        while count := response.readinto(buffer):
            yield bytes(memoryview(buffer)[:count])


def _asked(session: Session, node: NodeInfo) -> NodeInfo:
    """The node as it describes itself; one that does not answer says so in its status."""
    target = Path.REVERSE_DAEMON + query_text({Q.WHAT: What.NODE_STATUS})
    try:
        return decode_status(node, session.call(Call("GET", target, ((H.NODE_ID, node.id),))).body)
    except AccessDeniedError:
        raise
    except AisError as error:
        return replace(node, status=f"no answer: {error.message}")
