"""`/v1/buckets`: buckets, listings, summaries, and actions on many objects."""

from collections.abc import Awaitable, Callable, Mapping
from time import perf_counter_ns
from typing import ClassVar

from aiscore.errors import (
    AisError,
    BucketAlreadyExistsError,
    BucketNotFoundError,
    InvalidArgumentError,
    UnsupportedError,
)
from aiscore.model.archive import ArchiveFormat
from aiscore.model.bucket import BucketRef, Namespace, Provider
from aiscore.model.names import check_object_name
from aiscore.model.objects import CopyOptions
from aiscore.model.xaction import XactionKind
from aiscore.server.http import Outcome, Request, Response, ServerContext
from aiscore.server.jobs import run_job
from aiscore.server.message import in_pool, read_message
from aiscore.server.router import Router
from aiscore.server.summaries import bucket_info, summarize
from aiscore.wire.buckets import bucket_of, bucket_to_json, parse_uname
from aiscore.wire.listing import ListRequest, decode_request, encode_json, encode_msgpack
from aiscore.wire.messages import (
    ActMsg,
    ArchiveMsg,
    CopyMsg,
    CopyObjectsMsg,
    ListRange,
    PromoteMsg,
    archive_options,
    bck_ref,
    copy_options,
    decode_action,
    decode_json,
    decode_value,
    promote_options,
    selection_of,
)
from aiscore.wire.messages import encode_json as encode
from aiscore.wire.names import JSON_TYPE, MSGPACK_TYPE, Action, H, Path, Q
from aiscore.wire.props import decode_changes, encode_props
from aiscore.wire.uploads import rechunk_options

__all__ = ["bucket_name", "json_response", "promotion", "register"]

Answer = Response | Awaitable[Response]
Handle = Callable[[Request, str, ActMsg], Answer]

_NOT_BUILT = {
    Action.ETL_BUCKET: "transform",
    Action.ETL_OBJECTS: "transform",
    Action.EC_ENCODE: "erasure-code",
    Action.CREATE_INVENTORY: "make an inventory of",
    Action.DESTROY_INVENTORY: "destroy the inventory of",
    Action.SHOW_INVENTORY: "show the inventory of",
    Action.SUMMARY_SHARD: "summarize the shards of",
    Action.ADD_REMOTE_BUCKET: "add",
}
"""Actions that clients may ask for and this release does not do: they are answered 501, never 200."""


def json_response(value: object, status: int = 200) -> Response:
    """A JSON value."""
    return Response(status, [(H.CONTENT_TYPE, JSON_TYPE)], encode(value))


def register(router: Router, context: ServerContext) -> None:
    """Answer `/v1/buckets`."""
    buckets = _Buckets(context)
    router.add(
        Path.BUCKETS,
        {
            "GET": buckets.acting(
                {Action.LIST: buckets.list, Action.SUMMARY_BUCKET: buckets.summary}
            ),
            "HEAD": buckets.head,
            "POST": buckets.acting(
                {
                    Action.CREATE_BUCKET: buckets.create,
                    Action.MOVE_BUCKET: buckets.rename,
                    Action.COPY_BUCKET: buckets.copy,
                    Action.COPY_OBJECTS: buckets.copy_objects,
                    Action.PREFETCH_OBJECTS: buckets.refuse_local,
                    Action.INDEX_SHARD: buckets.index_shards,
                    Action.RECHUNK: buckets.rechunk,
                    Action.MAKE_N_COPIES: buckets.mirror,
                }
            ),
            "PUT": buckets.acting({Action.ARCHIVE: buckets.archive}),
            "PATCH": buckets.acting(
                {Action.SET_PROPS: buckets.set_props, Action.RESET_PROPS: buckets.reset_props}
            ),
            "DELETE": buckets.acting(
                {
                    Action.DESTROY_BUCKET: buckets.destroy,
                    Action.DELETE_OBJECTS: buckets.delete_objects,
                    Action.EVICT_BUCKET: buckets.refuse_local,
                    Action.EVICT_OBJECTS: buckets.refuse_local,
                }
            ),
        },
    )


class _RenameTargetExistsError(BucketAlreadyExistsError):
    """The same with the status that AIStore gives it here."""

    status = 400


class _NotRemoteBucketError(InvalidArgumentError):
    """What is asked for makes sense only where the content lives elsewhere."""

    tcode: ClassVar[str] = "ErrNotRemoteBck"


class _NotDestroyableError(UnsupportedError):
    """Buckets of clouds are evicted."""

    status = 405


class _Buckets:
    """Handlers; each gets the request, the bucket's name from the path ("" for none) and the message."""

    def __init__(self, context: ServerContext) -> None:
        self._context = context
        self._store = context.node.store

    def acting(self, table: Mapping[str, Handle]) -> Callable[[Request], Outcome]:
        """A handler that reads the message and hands it to the entry of its action."""

        def handle(request: Request) -> Outcome:
            name = bucket_name(request)

            def then(body: bytes) -> Answer:
                message = decode_action(body)
                if not body and request.method == "GET":
                    message = _default_list(name)
                found = table.get(message.action)
                if found is not None:
                    return found(request, name, message)
                if message.action in _NOT_BUILT:
                    bucket = bucket_of(name, request.query)
                    raise UnsupportedError(
                        f"cannot {_NOT_BUILT[message.action]} {bucket} - operation not supported"
                    )
                raise InvalidArgumentError(
                    f'invalid action "{message.action[:100]}"',
                    hint=f"expected one of: {', '.join(sorted(table))}",
                )

            return read_message(request, self._context, then)

        return handle

    # buckets

    def head(self, request: Request) -> Outcome:
        """Properties; with `bsumm_remote` a summary too."""
        name = bucket_name(request)
        bucket = bucket_of(name, request.query)
        if Q.SUMMARY_REMOTE in request.query:
            return in_pool(self._context, bucket_info, self._context, request, bucket)
        rest = request.path.removeprefix(f"{Path.BUCKETS}/{name}").strip("/")
        if rest:
            raise InvalidArgumentError(
                f"invalid URL '{request.path[:200]}': expecting just the bucket name, got '{name}' and '{rest[:200]}'"
            )
        props = self._store.head_bucket(bucket)
        return Response(200, [(H.BUCKET_PROPS, encode_props(props))])

    def list(self, request: Request, name: str, message: ActMsg) -> Answer:
        """Buckets, or with a value the objects of one."""
        if not message.has_value:
            return self._list_buckets(request, name, message)
        bucket = bucket_of(name, request.query)
        wanted = decode_request(
            bytes(message.value), is_extended=request.header(H.EXTENDED.lower()) is not None
        )
        accepts_msgpack = MSGPACK_TYPE in (request.header("accept") or "")
        return in_pool(self._context, self._page, bucket, wanted, accepts_msgpack)

    def _list_buckets(self, request: Request, name: str, message: ActMsg) -> Response:
        wanted = message.name
        if name and name != wanted:
            raise InvalidArgumentError(
                f'bad list-buckets request: "{name}" vs "{wanted}" ({bucket_of(name, request.query)})'
            )
        provider, namespace = _scope(request)
        found = self._store.list_buckets(provider, namespace)
        return json_response([bucket_to_json(ref) for ref in found if wanted in {"", ref.name}])

    def _page(self, bucket: BucketRef, wanted: ListRequest, accepts_msgpack: bool) -> Response:
        started_ns = perf_counter_ns()
        try:
            page = self._store.list_page(bucket, wanted.options)
        except AisError:
            self._store.tally.add({"err.lst.n": 1})
            raise
        uuid = self._store.record_use(
            XactionKind.LIST, bucket, len(page.entries), 0, job_id=wanted.uuid, is_brief=True
        )
        if accepts_msgpack:
            kind, body = MSGPACK_TYPE, encode_msgpack(page, wanted, uuid)
        else:
            kind, body = JSON_TYPE, encode_json(page, wanted, uuid)
        self._store.tally.add({"lst.n": 1, "lst.ns.total": perf_counter_ns() - started_ns})
        return Response(200, [(H.CONTENT_TYPE, kind)], body)

    def summary(self, request: Request, name: str, message: ActMsg) -> Answer:
        """Counts of one bucket or of all."""
        bucket = bucket_of(name, request.query) if name else None
        scope = _scope(request)
        return in_pool(self._context, summarize, self._context, bucket, scope, message)

    def create(self, request: Request, name: str, message: ActMsg) -> Answer:
        """Create a bucket."""
        bucket = bucket_of(name, request.query)
        changes = decode_changes(decode_json(bytes(message.value)))

        def work() -> Response:
            self._store.create_bucket(bucket, changes.values)
            return Response()

        return in_pool(self._context, work)

    def destroy(self, request: Request, name: str, message: ActMsg) -> Answer:
        """Destroy a bucket."""
        bucket = bucket_of(name, request.query)
        if bucket.provider is not Provider.AIS:
            raise _NotDestroyableError(
                f"cannot destroy cloud bucket {bucket} - operation not supported", hint="evict it"
            )

        def work() -> Response:
            self._store.destroy_bucket(bucket)
            return Response()

        return in_pool(self._context, work)

    def set_props(self, request: Request, name: str, message: ActMsg) -> Answer:
        """Change properties."""
        bucket = bucket_of(name, request.query)
        changes = decode_changes(decode_json(bytes(message.value)))

        def work(announce: Callable[[str], None]) -> None:
            self._store.set_bucket_props(bucket, changes.values, announce, force=changes.force)

        if any(key.startswith("mirror.") for key in changes.values):
            return run_job(work)  # copies are made

        def change() -> Response:
            self._store.set_bucket_props(bucket, changes.values, force=changes.force)
            return Response()

        return in_pool(self._context, change)

    def reset_props(self, request: Request, name: str, message: ActMsg) -> Answer:
        """Back to the defaults."""
        bucket = bucket_of(name, request.query)

        def work() -> Response:
            self._store.reset_bucket_props(bucket)
            return Response()

        return in_pool(self._context, work)

    def rename(self, request: Request, name: str, message: ActMsg) -> Answer:
        """Rename; a taken name is 400 here, not 409: what clients of AIStore expect."""
        bucket, target = bucket_of(name, request.query), _target(request)

        def work(announce: Callable[[str], None]) -> None:
            try:
                self._store.rename_bucket(bucket, target, announce)
            except BucketAlreadyExistsError as exc:
                raise _RenameTargetExistsError(exc.message, hint=exc.hint) from exc

        return run_job(work)

    # jobs

    def copy(self, request: Request, name: str, message: ActMsg) -> Answer:
        """Copy a bucket."""
        bucket, target = bucket_of(name, request.query), _target(request)
        options = _copy_options(decode_value(message.value, CopyMsg))

        def work(announce: Callable[[str], None]) -> None:
            self._store.copy_bucket(bucket, target, options, announce)

        return run_job(work)

    def copy_objects(self, request: Request, name: str, message: ActMsg) -> Answer:
        """Copy a selection."""
        bucket = bucket_of(name, request.query)
        value = decode_value(message.value, CopyObjectsMsg)
        target, options = bck_ref(value.target) or bucket, _copy_options(value)
        selection = selection_of(value.names, value.template)

        def work(announce: Callable[[str], None]) -> None:
            self._store.copy_objects(bucket, selection, target, options, announce)

        return run_job(work)

    def delete_objects(self, request: Request, name: str, message: ActMsg) -> Answer:
        """Delete a selection."""
        bucket = bucket_of(name, request.query)
        value = decode_value(message.value, ListRange)
        selection = selection_of(value.names, value.template)

        def work(announce: Callable[[str], None]) -> None:
            self._store.delete_many(bucket, selection, announce)

        return run_job(work)

    def archive(self, request: Request, name: str, message: ActMsg) -> Answer:
        """Pack a selection into a shard."""
        bucket = bucket_of(name, request.query)
        value = decode_value(message.value, ArchiveMsg)
        target, options = bck_ref(value.target) or bucket, archive_options(value)
        selection = selection_of(value.names, value.template)
        shard = check_object_name(value.shard)
        named = ArchiveFormat.of_name(shard)
        if options.output_format is not None and named not in {None, options.output_format}:
            raise InvalidArgumentError(
                f'mime "{value.mime}" does not match the extension of "{shard}"'
            )

        def work(announce: Callable[[str], None]) -> None:
            self._store.archive_objects(bucket, selection, target, shard, options, announce)

        return run_job(work)

    def rechunk(self, request: Request, name: str, message: ActMsg) -> Answer:
        """Lay objects out in chunks, or in one piece."""
        bucket = bucket_of(name, request.query)
        options = rechunk_options(message.value)
        if options.chunk_size is None:
            raise InvalidArgumentError(
                f"cannot rechunk {bucket}: the chunk size is not set",
                hint="send ChunkSize and ObjSizeLimit, in bytes",
            )

        def work(announce: Callable[[str], None]) -> None:
            self._store.rechunk_bucket(bucket, options, announce)

        return run_job(work)

    def mirror(self, request: Request, name: str, message: ActMsg) -> Answer:
        """Keep objects on several mountpaths."""
        bucket = bucket_of(name, request.query)
        copies = decode_json(bytes(message.value))
        if isinstance(copies, str) and copies.isascii() and copies.isdigit():
            copies = int(copies)
        if not isinstance(copies, int) or isinstance(copies, bool):
            raise InvalidArgumentError(f"invalid number of copies {copies!r:.100}")

        def work(announce: Callable[[str], None]) -> None:
            self._store.mirror_bucket(bucket, copies, announce)

        return run_job(work)

    def index_shards(self, request: Request, name: str, message: ActMsg) -> Answer:
        """Read the headers of all shards."""
        bucket = bucket_of(name, request.query)

        def work(announce: Callable[[str], None]) -> None:
            self._store.run_job(XactionKind.SHARD_INDEX, bucket, announce)

        return run_job(work)

    def refuse_local(self, request: Request, name: str, message: ActMsg) -> Answer:
        """Prefetch and evict are for buckets that live elsewhere."""
        bucket = bucket_of(name, request.query)
        if bucket.is_remote:
            if message.action == Action.EVICT_BUCKET:
                return Response()
            raise BucketNotFoundError(f'remote bucket "{bucket}" does not exist')
        self._store.head_bucket(bucket)
        # As AIStore words it, of objects as of buckets.
        act = Action.EVICT_BUCKET if message.action == Action.EVICT_OBJECTS else message.action
        raise _NotRemoteBucketError(f"{act}: expecting remote bucket (have {bucket})")


def bucket_name(request: Request) -> str:
    """The bucket of the path, "" for none; what follows it belongs to the query's meaning."""
    words = [word for word in request.path.split("/") if word]
    return words[2] if len(words) > 2 else ""


def promotion(context: ServerContext, bucket: BucketRef, message: ActMsg) -> Awaitable[Response]:
    """Take files of this host into `bucket`."""
    value = decode_value(message.value, PromoteMsg)
    path = value.path or message.name

    def work(announce: Callable[[str], None]) -> None:
        context.node.store.promote(bucket, path, value.name, promote_options(value), announce)

    return run_job(work)


def _copy_options(value: CopyMsg) -> CopyOptions:
    if value.etl or value.pipeline:
        raise UnsupportedError("cannot transform objects - operation not supported")
    return copy_options(value)


def _default_list(name: str) -> ActMsg:
    message = ActMsg(action=Action.LIST)
    if name:
        message.value = type(message.value)(b"{}")
    return message


def _scope(request: Request) -> tuple[Provider | None, Namespace | None]:
    provider, namespace = request.query.get(Q.PROVIDER, ""), request.query.get(Q.NAMESPACE, "")
    return (
        Provider.parse(provider) if provider else None,
        Namespace.parse(namespace) if namespace else None,
    )


def _target(request: Request) -> BucketRef:
    text = request.query.get(Q.BUCKET_TO, "")
    if not text:
        raise InvalidArgumentError(f'missing "{Q.BUCKET_TO}": expected the uname of a bucket')
    return parse_uname(text)[0]
