"""Buckets over the network: life, properties, listings, and operations on many objects."""

import time
from collections.abc import Mapping
from dataclasses import replace

from aiscore.errors import InvalidArgumentError, ProtocolError
from aiscore.model.bucket import BucketRef, Namespace, Provider
from aiscore.model.names import check_object_name
from aiscore.model.objects import (
    ArchiveOptions,
    BucketSummary,
    CopyOptions,
    CopyResult,
    DeleteResult,
    ListOptions,
    ListPage,
    ListProp,
    PromoteOptions,
    PromoteResult,
    Selection,
)
from aiscore.model.props import BucketProps
from aiscore.model.xaction import XactionKind, XactionSnap
from aiscore.transport.body import BytesPayload
from aiscore.transport.control import ControlClient
from aiscore.transport.remote_jobs import Jobs
from aiscore.transport.session import Answer, Call, Session, query_text
from aiscore.wire.buckets import bucket_path, bucket_query, namespace_text
from aiscore.wire.listing import decode_page, encode_request
from aiscore.wire.names import JSON_TYPE, MSGPACK_TYPE, Action, H, Path, Q

__all__ = ["RemoteBuckets"]

LIST_UUIDS_MAX = 64
"""Listings whose id is remembered for their next page; without it a cluster begins a new one, which costs time only."""
SUMMARY_POLL_S = 0.01
SUMMARY_POLL_MAX_S = 2.0
_JSON = (H.CONTENT_TYPE, JSON_TYPE)


class RemoteBuckets:
    """Calls on `/v1/buckets`. Reads go over the lean client, changes over httpx."""

    def __init__(self, session: Session, control: ControlClient, jobs: Jobs) -> None:
        self._session = session
        self._control = control
        self._jobs = jobs
        self._uuids: dict[tuple[BucketRef, str], str] = {}

    # life

    def create(self, bucket: BucketRef, changes: Mapping[str, str] | None) -> None:
        """See `Transport.create_bucket`."""
        from aiscore.wire.props import encode_changes

        self.act("POST", bucket, Action.CREATE_BUCKET, encode_changes(changes) if changes else None)

    def list(self, provider: Provider | None, namespace: Namespace | None) -> list[BucketRef]:
        """See `Transport.list_buckets`."""
        from aiscore.wire.buckets import bucket_from_json

        query: dict[str, str] = {}
        if provider is not None:
            query[Q.PROVIDER] = provider.value
        if namespace is not None:
            query[Q.NAMESPACE] = namespace_text(namespace)
        answer = self._read("GET", Path.BUCKETS, query, _action(Action.LIST))
        try:
            found = [bucket_from_json(raw) for raw in _array(answer)]
        except InvalidArgumentError as exc:
            raise ProtocolError(f"malformed list of buckets: {exc.message}") from exc
        buckets = [
            bucket
            for bucket in found
            if bucket is not None and namespace in {None, bucket.namespace}
        ]
        return sorted(
            buckets, key=lambda b: (b.provider, b.namespace.uuid, b.namespace.name, b.name)
        )

    def head(self, bucket: BucketRef) -> BucketProps:
        """See `Transport.head_bucket`."""
        from aiscore.wire.props import decode_props

        answer = self._read("HEAD", bucket_path(bucket), bucket_query(bucket))
        text = answer.headers.get(H.BUCKET_PROPS.lower())
        if text is None:
            raise ProtocolError(f"the server tells no properties of {bucket}")
        return decode_props(text)

    def set_props(
        self, bucket: BucketRef, changes: Mapping[str, str], *, force: bool
    ) -> BucketProps:
        """See `Transport.set_bucket_props`."""
        from aiscore.wire.props import encode_changes

        answer = self.act("PATCH", bucket, Action.SET_PROPS, encode_changes(changes, force=force))
        # A cluster answers with the id of the job that follows from the change.
        self._jobs.wait(XactionKind.MIRROR, answer)
        return self.head(bucket)

    def mirror(self, bucket: BucketRef, copies: int) -> BucketProps:
        """See `Transport.mirror_bucket`."""
        answer = self.act("POST", bucket, Action.MAKE_N_COPIES, copies)
        self._jobs.wait(XactionKind.MIRROR, answer)
        return self.head(bucket)

    def reset_props(self, bucket: BucketRef) -> BucketProps:
        """See `Transport.reset_bucket_props`."""
        self.act("PATCH", bucket, Action.RESET_PROPS)
        return self.head(bucket)

    def rename(self, source: BucketRef, target: BucketRef) -> None:
        """See `Transport.rename_bucket`."""
        answer = self.act("POST", source, Action.MOVE_BUCKET, query={Q.BUCKET_TO: target.uname})
        self._jobs.wait(XactionKind.RENAME_BUCKET, answer)

    def destroy(self, bucket: BucketRef) -> None:
        """See `Transport.destroy_bucket`."""
        self.act("DELETE", bucket, Action.DESTROY_BUCKET)

    def summarize(self, bucket: BucketRef, prefix: str) -> BucketSummary:
        """See `Transport.summarize_bucket`; the first answer is an id, by which the counts are asked for."""
        from aiscore.wire.summaries import decode_summary

        value: dict[str, object] = {
            "uuid": "",
            "prefix": prefix,
            "cached": True,
            "present": True,
            "dont_add_remote": False,
        }
        path, query = bucket_path(bucket), bucket_query(bucket)
        answer = self._read("GET", path, query, _action(Action.SUMMARY_BUCKET, value))
        delay = 0.0
        while answer.status != 200:
            if not value["uuid"]:
                value["uuid"] = answer.body.decode("ascii", "replace").strip(' "\n')
            if delay:
                time.sleep(delay)
            delay = min(max(delay * 2, SUMMARY_POLL_S), SUMMARY_POLL_MAX_S)
            answer = self._read("GET", path, query, _action(Action.SUMMARY_BUCKET, value))
        try:
            return decode_summary(answer.body, bucket)
        except InvalidArgumentError as exc:
            raise ProtocolError(f"malformed summary of {bucket}: {exc.message}") from exc

    # listing

    def page(self, bucket: BucketRef, options: ListOptions) -> ListPage:
        """See `Transport.list_page`."""
        uuid = self._uuids.pop((bucket, options.token), "") if options.token else ""
        call = Call(
            "GET",
            bucket_path(bucket) + query_text(bucket_query(bucket)),
            (_JSON, (H.ACCEPT, MSGPACK_TYPE), (H.EXTENDED, "1")),
            BytesPayload(encode_request(options, uuid)),
        )
        answer = self._session.call(call)
        page, uuid = decode_page(answer.body, answer.headers.get(H.CONTENT_TYPE.lower(), ""))
        if page.token and uuid:
            while len(self._uuids) >= LIST_UUIDS_MAX:
                self._uuids.pop(next(iter(self._uuids)), None)
            self._uuids[bucket, page.token] = uuid
        return page

    # many objects

    def copy(self, source: BucketRef, target: BucketRef, options: CopyOptions) -> CopyResult:
        """See `Transport.copy_bucket`."""
        from aiscore.wire.messages import copy_msg

        query = {Q.BUCKET_TO: target.uname}
        answer = self.act("POST", source, Action.COPY_BUCKET, copy_msg(options), query)
        return _copied(self._jobs.wait(XactionKind.COPY_BUCKET, answer))

    def copy_objects(
        self, source: BucketRef, selection: Selection, target: BucketRef, options: CopyOptions
    ) -> CopyResult:
        """See `Transport.copy_objects`."""
        from aiscore.wire.buckets import bucket_to_json
        from aiscore.wire.messages import copy_msg, selection_msg

        portable = self._portable(source, selection)
        if portable is None:
            return CopyResult(objects=0, size=0)
        value = copy_msg(options) | selection_msg(portable) | {"tobck": bucket_to_json(target)}
        answer = self.act("POST", source, Action.COPY_OBJECTS, value)
        return _copied(self._jobs.wait(XactionKind.COPY_OBJECTS, answer))

    def delete_objects(self, bucket: BucketRef, selection: Selection) -> DeleteResult:
        """See `Transport.delete_many`."""
        from aiscore.wire.messages import selection_msg

        portable = self._portable(bucket, selection)
        if portable is None:
            return DeleteResult(deleted=0)
        answer = self.act("DELETE", bucket, Action.DELETE_OBJECTS, selection_msg(portable))
        snap = self._jobs.wait(XactionKind.DELETE_OBJECTS, answer)
        if snap is None:
            return DeleteResult(deleted=0)
        return DeleteResult(deleted=snap.objects, missing=_names(snap))

    def archive(
        self,
        bucket: BucketRef,
        selection: Selection,
        target: BucketRef,
        shard: str,
        options: ArchiveOptions,
    ) -> None:
        """See `Transport.archive_objects`; the caller asks for the properties."""
        from aiscore.wire.messages import archive_msg

        check_object_name(shard)
        portable = self._portable(bucket, selection)
        if portable is None:
            raise InvalidArgumentError(f"no objects to pack into {target.object_cname(shard)}")
        value = archive_msg(portable, target, shard, options)
        answer = self.act("PUT", bucket, Action.ARCHIVE, value)
        self._jobs.wait(XactionKind.ARCHIVE, answer)

    def promote(
        self, bucket: BucketRef, path: str, name: str, options: PromoteOptions
    ) -> PromoteResult:
        """See `Transport.promote`."""
        from aiscore.wire.messages import promote_msg

        body = _action(Action.PROMOTE, promote_msg(path, name, options), path)
        target = f"{Path.OBJECTS}/{bucket.name}{query_text(bucket_query(bucket))}"
        answer = self._control.call("POST", target, body)
        snap = self._jobs.wait(XactionKind.PROMOTE, answer)
        if snap is None:
            return PromoteResult(objects=0, size=0)
        return PromoteResult(objects=snap.objects, size=snap.size, skipped=_number(snap, "skipped"))

    def _portable(self, bucket: BucketRef, selection: Selection) -> Selection | None:
        """The selection in a form that the wire has; None when it selects nothing.

        A prefix that reads as a template is sent as the names that begin with it.
        """
        if selection.names is not None and not selection.names:
            self.head(bucket)
            return None
        prefix = selection.prefix
        if prefix is None or not any(sign in prefix for sign in "{@%*"):
            return selection
        names: list[str] = []
        options = ListOptions(prefix=prefix, props=frozenset({ListProp.NAME}))
        while True:
            page = self.page(bucket, options)
            names += [entry.name for entry in page.entries]
            if not page.token:
                return Selection(names=tuple(names)) if names else None
            options = replace(options, token=page.token)

    # calls

    def act(
        self,
        method: str,
        bucket: BucketRef,
        action: str,
        value: object = None,
        query: dict[str, str] | None = None,
    ) -> Answer:
        """Send an action on a bucket."""
        target = bucket_path(bucket) + query_text(bucket_query(bucket) | (query or {}))
        return self._control.call(method, target, _action(action, value))

    def _read(self, method: str, path: str, query: dict[str, str], body: bytes = b"") -> Answer:
        headers = (_JSON,) if body else ()
        call = Call(method, path + query_text(query), headers, BytesPayload(body))
        return self._session.call(call)


def _action(action: str, value: object = None, name: str = "") -> bytes:
    from aiscore.wire.messages import encode_action

    return encode_action(action, name, value)


def _array(answer: Answer) -> list[object]:
    from aiscore.wire.messages import decode_json

    value = decode_json(answer.body)
    if value is None and answer.body.strip():
        return []  # Go's empty list
    if not isinstance(value, list):
        raise ProtocolError("malformed answer: expected a JSON array")
    return value


def _copied(snap: XactionSnap | None) -> CopyResult:
    if snap is None:
        return CopyResult(objects=0, size=0)
    return CopyResult(
        objects=snap.objects,
        size=snap.size,
        deleted=_number(snap, "deleted"),
        missing=_names(snap),
    )


def _number(snap: XactionSnap, name: str) -> int:
    value = snap.ext.get(name)
    return value if isinstance(value, int) else 0


def _names(snap: XactionSnap) -> tuple[str, ...]:
    value = snap.ext.get("missing")
    return tuple(map(str, value)) if isinstance(value, list | tuple) else ()
