"""DELETE, PATCH and POST of objects: small messages with an action in them."""

from aiscore.errors import InvalidArgumentError, UnsupportedError
from aiscore.model.bucket import BucketRef
from aiscore.server.changes import Changes
from aiscore.server.http import Outcome, Request, Response, ServerContext
from aiscore.server.jobs import run_job, text_response
from aiscore.server.message import Answer, in_pool, read_message
from aiscore.server.objectpath import bucket_and_rest, object_of
from aiscore.wire.conditions import precondition_of
from aiscore.wire.messages import (
    ActMsg,
    PromoteMsg,
    decode_action,
    decode_json,
    decode_value,
    promote_options,
)
from aiscore.wire.names import Action, Q
from aiscore.wire.objects import props_headers
from aiscore.wire.uploads import complete_options, parts_of, upload_options
from aiscore.wire.values import query_bool

__all__ = ["ObjectActions"]


class ObjectActions:
    """Answers DELETE, PATCH and POST. Belongs to one event loop."""

    def __init__(self, context: ServerContext, changes: Changes) -> None:
        self._context = context
        self._store = context.node.store
        self._changes = changes

    def delete(self, request: Request) -> Outcome:
        """Remove an object; evicting one of a bucket that has no other copy of it is the same."""
        bucket, name = object_of(request)
        precondition = precondition_of(request.header)
        is_durable = self._store.is_durable(bucket)

        def remove() -> Response:
            self._store.delete(bucket, name, precondition)
            return Response(200)

        def decide(body: bytes) -> Answer:
            action = decode_action(body).action
            if action == Action.MPT_ABORT:
                return in_pool(self._context, self._abort, bucket, name, _upload_of(request))
            if action not in {"", Action.EVICT_OBJECTS}:
                raise _unknown(action, "DELETE")
            return self._changes.run(is_durable, remove)

        return read_message(request, self._context, decide)

    def patch(self, request: Request) -> Outcome:
        """Merge custom metadata, or replace all of it."""
        bucket, name = object_of(request)
        replace = query_bool(request.query, Q.NEW_CUSTOM)
        is_durable = self._store.is_durable(bucket)

        def set_custom(custom: dict[str, str]) -> Response:
            props = self._store.set_custom(bucket, name, custom, replace=replace)
            return Response(200, props_headers(props, with_size=True))

        def decide(body: bytes) -> Answer:
            custom = _custom_of(decode_json(decode_action(body).value))
            return self._changes.run(is_durable, set_custom, custom)

        return read_message(request, self._context, decide)

    def post(self, request: Request) -> Outcome:
        """Do what the message says."""
        bucket, name = bucket_and_rest(request)

        def decide(body: bytes) -> Answer:
            message = decode_action(body)
            match message.action:
                case Action.RENAME_OBJECT:
                    return self._rename(bucket, _named(name, message.action), message.name)
                case Action.CHECK_LOCK:
                    return self._check_lock(bucket, _named(name, message.action))
                case Action.PROMOTE:
                    return self._promote(bucket, message)
                case Action.BLOB_DOWNLOAD:
                    self._store.head_bucket(bucket)
                    raise _unsupported(message.action, bucket.object_cname(message.name))
                case Action.MPT_UPLOAD:
                    return self._create_upload(request, bucket, _named(name, message.action))
                case Action.MPT_COMPLETE:
                    return self._complete(request, bucket, _named(name, message.action), message)
                case action:
                    raise _unknown(action, "POST")

        return read_message(request, self._context, decide)

    def _rename(self, bucket: BucketRef, name: str, new_name: str) -> Answer:
        def rename() -> Response:
            self._store.rename(bucket, name, new_name)
            self._store.tally.add({"ren.n": 1})
            return Response(200)

        return self._changes.run(self._store.is_durable(bucket), rename)

    def _promote(self, bucket: BucketRef, message: ActMsg) -> Answer:
        wanted = decode_value(message.value, PromoteMsg)
        path = message.name or wanted.path
        options = promote_options(wanted)
        return run_job(
            lambda announce: self._store.promote(bucket, path, wanted.name, options, announce)
        )

    # multipart upload

    def _create_upload(self, request: Request, bucket: BucketRef, name: str) -> Answer:
        options = upload_options(request.query, request.header_all)

        def create() -> Response:
            return text_response(self._store.create_upload(bucket, name, options))

        return self._changes.run(self._store.is_durable(bucket), create)

    def _complete(self, request: Request, bucket: BucketRef, name: str, message: ActMsg) -> Answer:
        """Reads every part once more, so it takes as long as that: in the pool, and not given up half way."""
        parts = parts_of(message.value, bucket.object_cname(name))
        options = complete_options(request.query, request.header)
        upload = _upload_of(request)

        def complete() -> Response:
            props = self._store.complete_upload(bucket, name, upload, parts, options)
            self._store.tally.add({"put.n": 1})
            return Response(200, props_headers(props, with_size=True))

        return in_pool(self._context, complete)

    def _abort(self, bucket: BucketRef, name: str, upload: str) -> Response:
        self._store.abort_upload(bucket, name, upload)
        return Response(200)

    def _check_lock(self, bucket: BucketRef, name: str) -> Response:
        """Readers and writers here never wait for one another: an object is always unlocked."""
        self._store.head_bucket(bucket)
        return Response(200)


def _custom_of(value: object) -> dict[str, str]:
    """The `value` of a PATCH: texts by key.

    Raises:
        InvalidArgumentError: it is something else.
    """
    if value is None:
        return {}
    if not isinstance(value, dict) or not all(isinstance(text, str) for text in value.values()):
        raise InvalidArgumentError(
            "invalid custom metadata: expected a JSON object of texts",
            hint='send {"action": "", "value": {"KEY": "VALUE"}}',
        )
    return value


def _upload_of(request: Request) -> str:
    """The upload that is meant; whether it can be one is for the store to say."""
    return request.query.get(Q.UPLOAD_ID, "")


def _named(name: str, action: str) -> str:
    if not name:
        raise InvalidArgumentError(
            f"cannot {action}: missing object name in the URL path",
            hint="expected /v1/objects/BUCKET/OBJECT",
        )
    return name


def _unsupported(action: str, what: str) -> UnsupportedError:
    return UnsupportedError(f"cannot {action} {what} - operation not supported")


def _unknown(action: str, method: str) -> InvalidArgumentError:
    return InvalidArgumentError(f'invalid action "{action[:100]}" of {method} /v1/objects')
