"""The store itself over the network: disks, scrubs, configuration, counters, extensions."""

import threading
from collections.abc import Mapping
from dataclasses import replace

from aiscore.errors import (
    AccessDeniedError,
    AisError,
    InvalidArgumentError,
    MountpathNotFoundError,
    ProtocolError,
    ThrottledError,
    TransportError,
    UnavailableError,
    UnsupportedError,
)
from aiscore.model.bucket import BucketRef
from aiscore.model.config import ClusterConfig
from aiscore.model.storage import MountpathInfo, MountpathState, ValidateReport
from aiscore.transport.control import ControlClient
from aiscore.transport.session import Answer, Call, Session, query_text
from aiscore.wire.buckets import bucket_query
from aiscore.wire.names import Action, H, Path, Q, What

__all__ = ["RemoteStore"]


class RemoteStore:
    """Calls on `/v1/cluster`, `/v1/reverse/daemon` and `/v1/x`."""

    def __init__(self, session: Session, control: ControlClient) -> None:
        self._session = session
        self._control = control
        self._extensions: frozenset[str] | None = None
        # Rank 1 of 1: held while the server is asked for its extensions.
        self._lock = threading.Lock()

    # what it can do

    @property
    def extensions(self) -> frozenset[str]:
        """What the server can do beyond AIStore's API; nothing for a server that is not ours. Asked once."""
        with self._lock:
            if self._extensions is None:
                self._extensions = self._ask_extensions()
            return self._extensions

    def is_ours(self) -> bool:
        """True when the server has extensions."""
        return bool(self.extensions)

    def need(self, operation: str, *, name: str | None = None) -> None:
        """Refuse what the server cannot do.

        Raises:
            UnsupportedError: `operation` needs the extension `name`, or any, and the server has none.
        """
        if not self.extensions or (name is not None and name not in self.extensions):
            raise UnsupportedError(
                f"cannot {operation} - {self._session.endpoint.url} does not support it",
                hint="AIStore's API has no such operation; a server of `ais serve` has",
            )

    def _ask_extensions(self) -> frozenset[str]:
        try:
            answer = self._session.call(Call("GET", Path.EXTENSIONS))
        except (TransportError, UnavailableError, ThrottledError, AccessDeniedError):
            raise
        except AisError:
            return frozenset()
        found = _object(answer).get("extensions")
        return frozenset(map(str, found)) if isinstance(found, list) else frozenset()

    # disks

    def mountpaths(self) -> list[MountpathInfo]:
        """See `Transport.mountpaths`; a cluster of AIStore does not count pieces."""
        if "mountpaths" in self.extensions:
            from aiscore.wire.cluster import decode_mountpaths

            return decode_mountpaths(self._read(Path.MOUNTPATH_INFO).body)
        from aiscore.model.cluster import NodeRole
        from aiscore.transport.remote_cluster import read_cluster

        found = []
        for node in read_cluster(self._session).of(NodeRole.TARGET):
            filled = {info.path: info for info in node.mountpaths}
            for info in self._mountpaths_of(node.id):
                known = filled.get(info.path, info)
                found.append(replace(known, state=info.state))
        return found

    def change_mountpath(self, method: str, action: str, path: str) -> None:
        """Attach, detach, enable or disable a disk of the only target, or of the target that has it.

        Raises:
            UnsupportedError: which target to attach it to is not known.
            MountpathNotFoundError: no target has it.
        """
        from aiscore.wire.messages import encode_action

        node = self._target_for(action, path)
        body = encode_action(action, "", path)
        target = f"{Path.REVERSE_DAEMON}/mountpaths"
        self._control.call(method, target, body, ((H.NODE_ID, node),), is_long=True)

    def _target_for(self, action: str, path: str) -> str:
        nodes = self._targets()
        if len(nodes) == 1:
            return nodes[0]
        if action == Action.MOUNTPATH_ATTACH:
            raise UnsupportedError(
                f'cannot attach "{path}" - the cluster has {len(nodes)} targets, and the path names none of them'
            )
        holders = [
            node for node in nodes if path in {info.path for info in self._mountpaths_of(node)}
        ]
        if not holders:
            raise MountpathNotFoundError(f'mountpath "{path}" does not exist')
        if len(holders) > 1:
            raise UnsupportedError(
                f'cannot change "{path}" - {len(holders)} targets have a mountpath of this name'
            )
        return holders[0]

    def _targets(self) -> list[str]:
        answer = self._read(Path.DAEMON, {Q.WHAT: What.SMAP})
        targets = _object(answer).get("tmap")
        if not isinstance(targets, dict) or not targets:
            raise UnavailableError(f"the cluster of {self._session.endpoint.url} has no targets")
        return sorted(map(str, targets))

    def _mountpaths_of(self, node: str) -> list[MountpathInfo]:
        answer = self._session.call(
            Call(
                "GET",
                Path.REVERSE_DAEMON + query_text({Q.WHAT: What.MOUNTPATHS}),
                ((H.NODE_ID, node),),
            )
        )
        states = {
            "available": MountpathState.ENABLED,
            "waiting_dd": MountpathState.DRAINING,
            "disabled": MountpathState.DISABLED,
        }
        found = _object(answer)
        return [
            MountpathInfo(path=str(path), state=state)
            for name, state in states.items()
            for path in _list(found.get(name))
        ]

    # scrubs, configuration, counters

    def validate(self, bucket: BucketRef | None, prefix: str) -> ValidateReport:
        """See `Transport.validate`; AIStore has no such operation."""
        self.need("validate the store", name="validate")
        from aiscore.wire.cluster import decode_report

        path = Path.VALIDATE if bucket is None else f"{Path.VALIDATE}/{bucket.name}"
        query = {} if bucket is None else bucket_query(bucket)
        if prefix:
            query[Q.PREFIX] = prefix
        answer = self._control.call("POST", path + query_text(query), is_long=True)
        return decode_report(answer.body)

    def config(self) -> ClusterConfig:
        """See `Transport.config`."""
        from aiscore.wire.config import decode_config

        return decode_config(self._read(Path.CLUSTER, {Q.WHAT: What.CLUSTER_CONFIG}).body)

    def set_config(self, changes: Mapping[str, str]) -> ClusterConfig:
        """See `Transport.set_config`."""
        from urllib.parse import quote

        if changes:
            query = {quote(name, safe="."): value for name, value in changes.items()}
            self._control.call("PUT", f"{Path.CLUSTER}/set-config{query_text(query)}")
        return self.config()

    def reset_config(self) -> ClusterConfig:
        """See `Transport.reset_config`."""
        from aiscore.wire.messages import encode_action

        self._control.call("PUT", Path.CLUSTER, encode_action(Action.RESET_CONFIG))
        return self.config()

    def counters(self) -> Mapping[str, int]:
        """See `Transport.counters`; of a cluster of AIStore the sums over its targets."""
        if "counters" in self.extensions:
            found = _object(self._read(Path.COUNTERS))
            return {name: value for name, value in found.items() if isinstance(value, int)}
        nodes = _object(self._read(Path.CLUSTER, {Q.WHAT: What.NODE_STATS})).get("target")
        sums: dict[str, int] = {}
        for node in nodes.values() if isinstance(nodes, dict) else ():
            tracker = node.get("tracker") if isinstance(node, dict) else None
            for name, raw in (tracker or {}).items() if isinstance(tracker, dict) else ():
                value = raw.get("v") if isinstance(raw, dict) else raw
                if isinstance(value, str | int) and str(value).lstrip("-").isdigit():
                    sums[name] = sums.get(name, 0) + int(value)
        return sums

    def _read(self, path: str, query: dict[str, str] | None = None) -> Answer:
        return self._session.call(Call("GET", path + query_text(query or {})))


def _object(answer: Answer) -> dict[str, object]:
    from aiscore.wire.messages import decode_json

    try:
        value = decode_json(answer.body)
    except InvalidArgumentError as exc:
        raise ProtocolError(f"malformed answer: {exc.message}") from exc
    if not isinstance(value, dict):
        raise ProtocolError("malformed answer: expected a JSON object")
    return value


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []
