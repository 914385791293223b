"""`/v1/daemon` and `/v1/reverse/daemon`: the node itself, and the same asked through the proxy."""

import io
import tarfile
from collections.abc import Awaitable, Callable, Mapping
from typing import ClassVar

import msgspec

from aiscore.errors import InvalidArgumentError, NotFoundError, UnsupportedError
from aiscore.server import facts
from aiscore.server.buckets import json_response
from aiscore.server.http import Outcome, Request, Response, ServerContext
from aiscore.server.identity import SMAP_VERSION, identity_of, public_url, smap_of
from aiscore.server.jobs import text_response
from aiscore.server.message import in_pool, read_message
from aiscore.server.nodes import bmd, node_stats, node_status, reset_stats
from aiscore.server.router import Router
from aiscore.wire.cluster import mountpath_list
from aiscore.wire.config import changes_of_query, changes_of_value, encode_node_config
from aiscore.wire.messages import decode_action, decode_json
from aiscore.wire.names import Action, H, Path, Q, What
from aiscore.wire.values import query_bool

__all__ = ["NodeNotFoundError", "register"]

Answer = Response | Awaitable[Response]
Question = Callable[[Request, bool], Response]


class NodeNotFoundError(NotFoundError):
    """No node of the map has this id."""

    tcode: ClassVar[str] = "errNodeNotFound"


def register(router: Router, context: ServerContext) -> None:
    """Answer `/v1/daemon` and `/v1/reverse/daemon`."""
    daemon = _Daemon(context)
    direct = daemon.serve(lambda request: False)
    reverse = daemon.serve(daemon.named_role)
    router.add(Path.DAEMON, {"GET": direct, "PUT": direct, "POST": direct, "DELETE": direct})
    router.add(
        Path.REVERSE_DAEMON, {"GET": reverse, "PUT": reverse, "POST": reverse, "DELETE": reverse}
    )


class _Daemon:
    """Handlers; `is_target` tells in which of its two roles the node is asked."""

    def __init__(self, context: ServerContext) -> None:
        self._context = context
        self._store = context.node.store
        self._questions: Mapping[str, Question] = {
            What.SMAP: self._smap,
            What.SMAP_VOTE: self._smap,
            What.BMD: lambda request, is_target: json_response(bmd(context)),
            What.SNODE: self._snode,
            What.NODE_CONFIG: self._config,
            What.SYSINFO: self._sysinfo,
            What.MOUNTPATHS: self._mountpaths,
            What.NODE_STATS: self._stats,
            What.NODE_STATUS: self._status,
            What.DISK: self._disk,
            What.METRIC_NAMES: self._metrics,
            What.SOFTWARE_VERSION: self._version,
            What.LOG: self._log,
            What.CERTIFICATE: self._certificate,
        }

    def named_role(self, request: Request) -> bool:
        """True when the header names the target.

        Raises:
            InvalidArgumentError: no header.
            NodeNotFoundError: another node.
        """
        node_id = request.header(H.NODE_ID.lower()) or ""
        identity = identity_of(self._context.node.home_id)
        if not node_id:
            raise InvalidArgumentError("missing node ID")
        if node_id not in {identity.proxy_id, identity.target_id}:
            raise NodeNotFoundError(
                f"p[{identity.proxy_id}]: cannot forward request to node {node_id[:64]}: "
                f"not present in the Smap v{SMAP_VERSION}"
            )
        return node_id == identity.target_id

    def serve(self, role: Callable[[Request], bool]) -> Callable[[Request], Outcome]:
        """The handler of one of the two paths."""

        def handle(request: Request) -> Outcome:
            is_target = role(request)
            if request.path.rstrip("/").endswith("/mountpaths"):
                return self._mountpath_action(request)
            if request.method == "GET":
                what = request.query.get(Q.WHAT, "")
                question = self._questions.get(what)
                if question is None:
                    raise InvalidArgumentError(
                        f"invalid '{Path.DAEMON}' request: unrecognized 'what={what[:100]}' query"
                    )
                return in_pool(self._context, question, request, is_target)
            if request.path.rstrip("/").endswith("/set-config"):
                changes, _ = changes_of_query(request.query)
                return in_pool(self._context, self._set_config, changes)
            return read_message(request, self._context, self._act)

        return handle

    def _act(self, body: bytes) -> Answer:
        message = decode_action(body)
        match message.action:
            case Action.SET_CONFIG:
                changes = changes_of_value(decode_json(message.value))
                return in_pool(self._context, self._set_config, changes)
            case Action.RESET_CONFIG:
                return in_pool(self._context, self._reset_config)
            case Action.RESET_STATS:
                reset_stats(self._context, message)
                return Response()
            case Action.ROTATE_LOGS | Action.CLEAR_LCACHE:
                return Response()
        raise UnsupportedError(
            f"cannot {message.action or 'act on'} this node - operation not supported"
        )

    def _set_config(self, changes: Mapping[str, str]) -> Response:
        if not changes:
            raise InvalidArgumentError("no properties to update")
        self._store.set_config(changes)
        return Response()

    def _reset_config(self) -> Response:
        self._store.reset_config()
        return Response()

    def _mountpath_action(self, request: Request) -> Outcome:
        if request.method == "GET":
            return in_pool(self._context, self._mountpaths, request, True)
        actions: Mapping[str, Callable[[str], None]] = {
            Action.MOUNTPATH_ATTACH: self._store.add_mountpath,
            Action.MOUNTPATH_DETACH: self._store.remove_mountpath,
            Action.MOUNTPATH_ENABLE: self._store.enable_mountpath,
            Action.MOUNTPATH_DISABLE: self._store.disable_mountpath,
        }

        def then(body: bytes) -> Answer:
            message = decode_action(body)
            action = actions.get(message.action)
            if action is None:
                raise UnsupportedError(
                    f'cannot "{message.action}" a mountpath - operation not supported'
                )
            path = decode_json(message.value)
            if not isinstance(path, str):
                raise InvalidArgumentError("invalid mountpath: expected its path as value")

            def work() -> Response:
                action(path)
                return Response()

            return in_pool(self._context, work)

        return read_message(request, self._context, then)

    # questions

    def _smap(self, request: Request, is_target: bool) -> Response:
        identity = identity_of(self._context.node.home_id)
        return json_response(smap_of(identity, public_url(request, self._context)))

    def _snode(self, request: Request, is_target: bool) -> Response:
        identity = identity_of(self._context.node.home_id)
        smap = smap_of(identity, public_url(request, self._context))
        return json_response(smap.tmap[identity.target_id] if is_target else smap.proxy_si)

    def _config(self, request: Request, is_target: bool) -> Response:
        settings = self._context.settings
        url = public_url(request, self._context)
        local = {
            "confdir": settings.home,
            "log_dir": settings.home,
            "fspaths": {m.path: "" for m in self._store.mountpaths()},
            "test_fspaths": {"root": "", "count": 0, "instance": 0},
            "host_net": {
                "hostname": settings.host,
                "hostname_intra_control": "",
                "hostname_intra_data": "",
                "port": str(settings.port),
                "port_intra_control": str(settings.port),
                "port_intra_data": str(settings.port),
            },
        }
        return json_response(encode_node_config(self._store.config(), local, primary_url=url))

    def _sysinfo(self, request: Request, is_target: bool) -> Response:
        return json_response(facts.sysinfo(self._context, is_target=is_target))

    def _mountpaths(self, request: Request, is_target: bool) -> Response:
        return json_response(mountpath_list(self._store.mountpaths()))

    def _stats(self, request: Request, is_target: bool) -> Response:
        url = public_url(request, self._context)
        return json_response(node_stats(self._context, url, is_target=is_target))

    def _status(self, request: Request, is_target: bool) -> Response:
        url = public_url(request, self._context)
        return json_response(node_status(self._context, url, is_target=is_target))

    def _disk(self, request: Request, is_target: bool) -> Response:
        capacity = facts.capacity(self._context)
        stats = facts.disk_stats(self._context)
        return json_response(msgspec.structs.replace(capacity, disk_stats=stats))

    def _metrics(self, request: Request, is_target: bool) -> Response:
        return json_response({name: _kind(name) for name in facts.tracker(self._context)})

    def _version(self, request: Request, is_target: bool) -> Response:
        return text_response(self._context.settings.version)

    def _certificate(self, request: Request, is_target: bool) -> Response:
        if not self._context.settings.cert:
            raise NotFoundError("no TLS certificate: this server does not use TLS")
        raise UnsupportedError("cannot show the TLS certificate - operation not supported")

    def _log(self, request: Request, is_target: bool) -> Response:
        text = facts.log_lines(self._context)
        if not query_bool(request.query, Q.ALL):
            return text_response(text)
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w:gz") as archive:
            member = tarfile.TarInfo("ais.log")
            member.size = len(text.encode())
            archive.addfile(member, io.BytesIO(text.encode()))
        return Response(200, [(H.CONTENT_TYPE, "application/gzip")], packed.getvalue())


def _kind(name: str) -> str:
    if name == "state.flags":
        return "gauge"
    if name == "up.ns.time":
        return "special"
    if name.endswith((".throttle.ns", ".rxwait.ns")):
        return "total"
    if name.endswith(".n"):
        return "counter"
    if name.endswith(".size"):
        return "size"
    if name.endswith(".total"):
        return "total"
    return "latency" if name.endswith(".ns") else "special"
