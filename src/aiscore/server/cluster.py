"""`/v1/cluster`: questions about the cluster and its jobs, configuration, and jobs to start and stop."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from functools import partial

from aiscore.errors import InvalidArgumentError, UnsupportedError, XactionNotFoundError
from aiscore.model.bucket import BucketRef
from aiscore.model.chunks import RechunkOptions
from aiscore.model.xaction import KINDS, XactionFilter, XactionKind, XactionSnap
from aiscore.server import facts
from aiscore.server.buckets import json_response
from aiscore.server.http import Outcome, Request, Response, ServerContext
from aiscore.server.identity import Identity, identity_of, public_url, smap_of
from aiscore.server.jobs import run_job, text_response
from aiscore.server.message import in_pool, read_message
from aiscore.server.nodes import bmd, node_stats, reset_stats
from aiscore.server.router import Router
from aiscore.wire.cluster import mountpath_list
from aiscore.wire.config import changes_of_query, changes_of_value, encode_config
from aiscore.wire.jobs import encode_snap, encode_status, filter_of, force_of, running_name
from aiscore.wire.messages import ActMsg, decode_action, decode_json
from aiscore.wire.names import Action, Path, Q, What
from aiscore.wire.values import query_bool

__all__ = ["register"]

Answer = Response | Awaitable[Response]
Announce = Callable[[str], None]
_SET_CONFIG_PATH = f"{Path.CLUSTER}/set-config"


def register(router: Router, context: ServerContext) -> None:
    """Answer `/v1/cluster`."""
    cluster = _Cluster(context)
    router.add(Path.CLUSTER, {"GET": cluster.get, "PUT": cluster.put, "POST": cluster.refuse})


class _Cluster:
    def __init__(self, context: ServerContext) -> None:
        self._context = context
        self._store = context.node.store
        self._questions: Mapping[str, Callable[[Request, bytes], Response]] = {
            What.ONE_XACTION: self._one_status,
            What.ALL_XACTIONS: self._all_statuses,
            What.XACTION_STATS: self._snaps,
            What.RUNNING_XACTIONS: self._running,
            What.CLUSTER_CONFIG: self._config,
            What.SMAP: self._smap,
            What.SMAP_VOTE: self._smap,
            What.SNODE: self._snode,
            What.BMD: self._bmd,
            What.NODE_STATS: self._node_stats,
            What.SYSINFO: self._sysinfo,
            What.MOUNTPATHS: self._mountpaths,
            What.BACKENDS: lambda request, body: json_response([]),
            What.REMOTE_AIS: lambda request, body: json_response({"a": None, "ver": 0}),
            What.TARGET_IPS: self._target_ips,
        }

    @property
    def _identity(self) -> Identity:
        return identity_of(self._store.home_id)

    def get(self, request: Request) -> Outcome:
        """A question, named by `what`."""
        what = request.query.get(Q.WHAT, "")
        question = self._questions.get(what)
        if question is None:
            raise InvalidArgumentError(f"unexpected query [what={what[:100]}]")
        return read_message(
            request, self._context, lambda body: in_pool(self._context, question, request, body)
        )

    def put(self, request: Request) -> Outcome:
        """A change of the configuration, or an action."""
        if request.path.rstrip("/") == _SET_CONFIG_PATH:
            changes, _ = changes_of_query(request.query)
            return in_pool(self._context, self._set_config, changes)
        words = [word for word in request.path.split("/") if word]
        if len(words) > 2:
            return self.refuse(request)
        return read_message(request, self._context, lambda body: self._act(request, body))

    def refuse(self, request: Request) -> Outcome:
        """Membership, attachment of other clusters, certificates: there is one node."""
        raise UnsupportedError(f"cannot {request.method} {request.path} - operation not supported")

    def _act(self, request: Request, body: bytes) -> Answer:
        message = decode_action(body)
        match message.action:
            case Action.START:
                return self._start(request, message)
            case Action.STOP:
                return in_pool(self._context, self._stop, message)
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
        if message.action in _MEMBERSHIP:
            raise UnsupportedError(f"cannot {message.action} this node - operation not supported")
        raise InvalidArgumentError(
            f'invalid action "{message.action[:100]}"',
            hint=f"expected one of: {', '.join(sorted(_ACTIONS))}",
        )

    # jobs

    def _start(self, request: Request, message: ActMsg) -> Answer:
        wanted = filter_of(message.value)
        if wanted.kind is None:
            raise InvalidArgumentError("missing the kind of job to start")
        info = KINDS[wanted.kind]
        if not info.is_startable:
            raise InvalidArgumentError(f"cannot start {info.display}: it has no start command")
        if wanted.kind is XactionKind.RECHUNK:
            return run_job(partial(self._rechunk, wanted.bucket))
        kind, bucket = wanted.kind, wanted.bucket
        force = query_bool(request.query, Q.FORCE) or force_of(message.value)
        return run_job(lambda announce: self._store.run_job(kind, bucket, announce, force=force))

    def _rechunk(self, bucket: BucketRef | None, announce: Announce) -> None:
        """Both sizes are the bucket's."""
        if bucket is None:
            raise InvalidArgumentError(
                f'xaction "{XactionKind.RECHUNK}" requires a bucket to start'
            )
        self._store.rechunk_bucket(bucket, RechunkOptions(), announce)

    def _stop(self, message: ActMsg) -> Response:
        wanted = filter_of(message.value)
        if not wanted.id and wanted.kind is None:
            raise InvalidArgumentError("cannot stop: neither the id nor the kind of a job is given")
        self._store.stop_xactions(wanted)
        return Response()

    def _one_status(self, request: Request, body: bytes) -> Response:
        wanted = filter_of(body)
        if not wanted.id and wanted.kind is None:
            raise InvalidArgumentError("neither the id nor the kind of a job is given")
        found = self._find(wanted)
        if not found:
            raise _no_job(wanted)
        return json_response(encode_status(found[-1]))

    def _all_statuses(self, request: Request, body: bytes) -> Response:
        found = self._find(filter_of(body))
        return json_response([encode_status(snap) for snap in found] or None)

    def _snaps(self, request: Request, body: bytes) -> Response:
        wanted = filter_of(body)
        found = self._find(wanted)
        if wanted.id and not found and wanted.only_running:
            # Who waits for such a job to become idle asks for a running one.
            ended = self._find(replace(wanted, only_running=False))
            found = [snap for snap in ended if snap.kind in _IDLING]
        if wanted.id and not found:
            raise _no_job(wanted)
        target_id = self._identity.target_id
        return json_response({target_id: [encode_snap(snap) for snap in found]})

    def _running(self, request: Request, body: bytes) -> Response:
        wanted = filter_of(body)
        return json_response(
            [running_name(snap) for snap in self._find(wanted) if not snap.is_finished]
        )

    def _find(self, wanted: XactionFilter) -> list[XactionSnap]:
        ids = [part for part in wanted.id.split(",") if part]
        if len(ids) > 1:
            # What copies and archives answered may be several ids in one text.
            return [
                s for job_id in ids for s in self._store.list_xactions(XactionFilter(id=job_id))
            ]
        return self._store.list_xactions(wanted)

    # the cluster

    def _config(self, request: Request, body: bytes) -> Response:
        url = public_url(request, self._context)
        return json_response(encode_config(self._store.config(), primary_url=url))

    def _smap(self, request: Request, body: bytes) -> Response:
        return json_response(smap_of(self._identity, public_url(request, self._context)))

    def _snode(self, request: Request, body: bytes) -> Response:
        smap = smap_of(self._identity, public_url(request, self._context))
        return json_response(smap.proxy_si)

    def _bmd(self, request: Request, body: bytes) -> Response:
        return json_response(bmd(self._context))

    def _node_stats(self, request: Request, body: bytes) -> Response:
        url = public_url(request, self._context)
        target = node_stats(self._context, url, is_target=True)
        proxy = node_stats(self._context, url, is_target=False)
        return json_response({"proxy": proxy, "target": {self._identity.target_id: target}})

    def _sysinfo(self, request: Request, body: bytes) -> Response:
        identity = self._identity
        return json_response(
            {
                "proxy": {identity.proxy_id: facts.sysinfo(self._context, is_target=False)},
                "target": {identity.target_id: facts.sysinfo(self._context, is_target=True)},
            }
        )

    def _mountpaths(self, request: Request, body: bytes) -> Response:
        found = mountpath_list(self._store.mountpaths())
        return json_response({"targets": {self._identity.target_id: found}})

    def _target_ips(self, request: Request, body: bytes) -> Response:
        authority = public_url(request, self._context).partition("://")[2]
        return text_response(authority.rpartition(":")[0] or authority)

    # configuration

    def _set_config(self, changes: Mapping[str, str]) -> Response:
        if not changes:
            raise InvalidArgumentError("no properties to update")
        self._store.set_config(changes)
        return Response()

    def _reset_config(self) -> Response:
        self._store.reset_config()
        return Response()


_IDLING = frozenset(
    {
        XactionKind.ARCHIVE,
        XactionKind.COPY_OBJECTS,
        XactionKind.EC_GET,
        XactionKind.EC_PUT,
        XactionKind.EC_RESPOND,
        XactionKind.ETL_OBJECTS,
        XactionKind.PUT_COPIES,
    }
)
"""Jobs that AIStore keeps for more work when theirs is done, and ends later; here they have ended by then."""
_ACTIONS = (
    Action.START,
    Action.STOP,
    Action.SET_CONFIG,
    Action.RESET_CONFIG,
    Action.RESET_STATS,
    Action.ROTATE_LOGS,
    Action.CLEAR_LCACHE,
)
_MEMBERSHIP = frozenset(
    {
        Action.START_MAINTENANCE,
        Action.STOP_MAINTENANCE,
        Action.SHUTDOWN_NODE,
        Action.DECOMMISSION_NODE,
        Action.RM_UNSAFE,
        Action.SHUTDOWN,
        Action.DECOMMISSION,
        Action.ATTACH,
        Action.DETACH,
        Action.RELOAD_CREDS,
    }
)


def _no_job(wanted: XactionFilter) -> XactionNotFoundError:
    name = KINDS[wanted.kind].display if wanted.kind is not None else "x-"
    return XactionNotFoundError(f"{name}[{wanted.id}] not found")
