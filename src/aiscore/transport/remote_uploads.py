"""Multipart upload and rechunk over HTTP.

AIStore's API begins, fills, completes and aborts uploads; it lists neither them nor their parts, and has no metadata,
no conditions and no checksums of the whole. Those are asked of our servers only.

Parts are repeated after a failure: the same number replaces the same content. A completion whose answer is lost is
not: first the server is asked what has become of the upload.
"""

import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from aiscore.errors import (
    AisError,
    BucketNotFoundError,
    NotFoundError,
    ObjectNotFoundError,
    TransportError,
)
from aiscore.model.bucket import BucketRef
from aiscore.model.chunks import RechunkOptions, RechunkResult
from aiscore.model.multipart import (
    UPLOADS_PAGE_MAX,
    CompleteOptions,
    MultipartUpload,
    PartInfo,
    PartOptions,
    PartRef,
    UploadOptions,
    check_part_number,
    check_upload_id,
)
from aiscore.model.names import check_object_name, check_prefix
from aiscore.model.objects import ListOptions, ListProp, ObjectProps
from aiscore.model.stream import Body
from aiscore.model.xaction import XactionKind
from aiscore.transport.body import BytesPayload, payload_of
from aiscore.transport.control import ControlClient
from aiscore.transport.remote_buckets import RemoteBuckets
from aiscore.transport.remote_jobs import Jobs
from aiscore.transport.remote_objects import RemoteObjects
from aiscore.transport.remote_store import RemoteStore
from aiscore.transport.retry import sent_nothing
from aiscore.transport.session import Answer, Call, Session, query_text
from aiscore.wire.buckets import bucket_query, object_path, quote_path
from aiscore.wire.names import JSON_TYPE, Action, H, Path, Q

if TYPE_CHECKING:
    from aiscore.model.policies import ChunksPolicy

__all__ = ["RemoteUploads"]

UPLOADS_KNOWN_MAX = 256
"""Uploads of which the sizes of the parts that were sent are remembered."""
_JSON = (H.CONTENT_TYPE, JSON_TYPE)


class RemoteUploads:
    """Calls about uploads on `/v1/objects` and `/v1/x/uploads`, and rechunk. Shared by threads."""

    def __init__(
        self,
        session: Session,
        control: ControlClient,
        store: RemoteStore,
        objects: RemoteObjects,
        buckets: RemoteBuckets,
        jobs: Jobs,
    ) -> None:
        self._session = session
        self._control = control
        self._store = store
        self._objects = objects
        self._buckets = buckets
        self._jobs = jobs
        self._sent: dict[str, dict[int, tuple[int, int]]] = {}
        # Rank 1 of 1: held while a part is remembered.
        self._lock = threading.Lock()

    # uploads

    def create(self, bucket: BucketRef, name: str, options: UploadOptions) -> str:
        """See `Transport.create_upload`."""
        from aiscore.wire.uploads import upload_request

        check_object_name(name)
        if options.custom or options.md5:
            self._store.need("begin an upload with metadata or MD5", name="uploads")
        query, headers = upload_request(options)
        answer = self._post(bucket, name, query, headers, Action.MPT_UPLOAD)
        return check_upload_id(answer.body.decode("utf-8", "replace").strip(' "\n'))

    def put_part(
        self,
        bucket: BucketRef,
        name: str,
        upload_id: str,
        number: int,
        body: Body,
        options: PartOptions,
    ) -> PartInfo:
        """See `Transport.put_part`."""
        from aiscore.wire.uploads import part_from_headers, part_request

        cname = bucket.object_cname(check_object_name(name))
        check_part_number(number, cname)
        check_upload_id(upload_id)
        payload = payload_of(
            body, options.size, f"part {number} of {_what(bucket, name, upload_id)}"
        )
        if payload.size is None:
            self._store.need("store a part of unknown size", name="uploads")
        query, headers = part_request(upload_id, number, options)
        target = object_path(bucket, name) + query_text(bucket_query(bucket) | query)
        with self._session.open(Call("PUT", target, headers, payload)) as response:
            response.read_all()
            part = part_from_headers(number, payload.size or 0, response.headers.get)
        self._remember(upload_id, part)
        return part

    def list_uploads(
        self, bucket: BucketRef, prefix: str, after: tuple[str, str] | None, limit: int
    ) -> list[MultipartUpload]:
        """See `Transport.list_uploads`."""
        from aiscore.wire.uploads import decode_uploads

        self._store.need("list uploads", name="uploads")
        query = bucket_query(bucket) | {Q.PREFIX: check_prefix(prefix), Q.LIMIT: str(limit)}
        if after is not None:
            query |= {Q.AFTER: after[0], Q.AFTER_ID: after[1]}
        target = f"{Path.UPLOADS}/{bucket.name}{query_text(query)}"
        return decode_uploads(self._session.call(Call("GET", target)).body)

    def list_parts(
        self, bucket: BucketRef, name: str, upload_id: str, after: int, limit: int
    ) -> list[PartInfo]:
        """See `Transport.list_parts`."""
        from aiscore.wire.uploads import decode_parts

        check_object_name(name)
        self._store.need("list the parts of an upload", name="uploads")
        query = bucket_query(bucket) | {
            Q.UPLOAD_ID: upload_id,
            Q.AFTER: str(after),
            Q.LIMIT: str(limit),
        }
        target = f"{Path.UPLOADS}/{bucket.name}/{quote_path(name)}{query_text(query)}"
        return decode_parts(self._session.call(Call("GET", target)).body)

    def complete(
        self,
        bucket: BucketRef,
        name: str,
        upload_id: str,
        parts: Sequence[PartRef],
        options: CompleteOptions,
    ) -> ObjectProps:
        """See `Transport.complete_upload`."""
        check_object_name(name)
        check_upload_id(upload_id)
        asks_more = options != CompleteOptions() or any(part.checksum for part in parts)
        if asks_more:
            self._store.need("complete an upload with conditions or checksums", name="uploads")
        if not asks_more and not self._session.options.retries:
            return self._complete_plainly(bucket, name, upload_id, parts)
        expected = self._expect(bucket, name, upload_id, parts)
        props = self._complete_once(bucket, name, upload_id, parts, options, expected)
        self._sent.pop(upload_id, None)
        return props

    def _complete_plainly(
        self, bucket: BucketRef, name: str, upload_id: str, parts: Sequence[PartRef]
    ) -> ObjectProps:
        """One request: where nothing is repeated, nothing has to be known of what was there before."""
        from aiscore.wire.messages import encode_action
        from aiscore.wire.objects import props_from_headers
        from aiscore.wire.uploads import parts_msg

        query = bucket_query(bucket) | {Q.UPLOAD_ID: upload_id}
        target = object_path(bucket, name) + query_text(query)
        payload = BytesPayload(encode_action(Action.MPT_COMPLETE, "", parts_msg(parts)))
        call = Call("POST", target, (_JSON,), payload, is_safe=False)
        with self._session.open(call) as response:
            response.read_all()
            headers = response.headers
            props = props_from_headers(name, headers.get, response.header_all)
        sent = self._sent.pop(upload_id, {})
        if H.SIZE.lower() in headers:
            return props
        if not all(part.number in sent for part in parts):
            return self._objects.head(bucket, name)
        size = sum(sent[part.number][0] for part in parts)
        return replace(props, size=size, chunk_count=len(parts))

    def _complete_once(
        self,
        bucket: BucketRef,
        name: str,
        upload_id: str,
        parts: Sequence[PartRef],
        options: CompleteOptions,
        expected: "_Expected",
    ) -> ObjectProps:
        """Complete, and after an answer that was lost look first: the upload may be open still, or the object."""
        attempts = self._session.attempts()
        while True:
            try:
                return self._complete(bucket, name, upload_id, parts, options)
            except TransportError as exc:
                if sent_nothing(exc) or not exc.retryable:
                    raise
                attempts.wait(exc)
                error: AisError = exc
            except NotFoundError as exc:
                if not attempts.failures:
                    raise
                error = exc
            if self._is_open(bucket, name, upload_id):
                continue
            with suppress(ObjectNotFoundError):
                props = self._objects.head(bucket, name)
                if expected.is_met_by(props):
                    return props
            raise error

    def abort(self, bucket: BucketRef, name: str, upload_id: str) -> None:
        """See `Transport.abort_upload`."""
        from aiscore.wire.messages import encode_action

        check_object_name(name)
        check_upload_id(upload_id)
        query = bucket_query(bucket) | {Q.UPLOAD_ID: upload_id}
        target = object_path(bucket, name) + query_text(query)
        payload = BytesPayload(encode_action(Action.MPT_ABORT))
        attempts = self._session.attempts()
        try:
            self._session.open(Call("DELETE", target, (_JSON,), payload), attempts).close()
        except NotFoundError as exc:
            # After a try whose answer was lost this is its success.
            if attempts.failures:
                return
            if isinstance(
                exc, ObjectNotFoundError
            ):  # AIStore's text of a file reads as one about the object
                raise NotFoundError(f"{_what(bucket, name, upload_id)} does not exist") from exc
            raise

    # rechunk

    def rechunk(self, bucket: BucketRef, options: RechunkOptions) -> RechunkResult:
        """See `Transport.rechunk_bucket`."""
        from aiscore.wire.uploads import rechunk_msg, rechunk_result

        is_ours = "rechunk" in self._store.extensions
        if options.dry_run and is_ours:
            return self._plan_there(bucket, options)
        props = self._buckets.head(bucket).chunks
        wanted = replace(
            options,
            objsize_limit=props.objsize_limit
            if options.objsize_limit is None
            else options.objsize_limit,
            chunk_size=props.chunk_size if options.chunk_size is None else options.chunk_size,
        )
        plan = None if is_ours else self._plan_here(bucket, props, wanted)
        if plan is not None and options.dry_run:
            return plan
        if options.bandwidth:
            self._store.need("limit the bandwidth of a rechunk", name="rechunk")
        answer = self._buckets.act("POST", bucket, Action.RECHUNK, rechunk_msg(wanted))
        snap = self._jobs.wait(XactionKind.RECHUNK, answer)
        if snap is None:
            return RechunkResult()
        done = rechunk_result(snap)
        return done if plan is None else replace(plan, objects=done.objects, size=done.size)

    def _plan_there(self, bucket: BucketRef, options: RechunkOptions) -> RechunkResult:
        from aiscore.wire.uploads import decode_rechunk_result

        query = bucket_query(bucket) | {Q.PREFIX: options.prefix}
        if options.objsize_limit is not None:
            query[Q.OBJSIZE_LIMIT] = str(options.objsize_limit)
        if options.chunk_size is not None:
            query[Q.CHUNK_SIZE] = str(options.chunk_size)
        target = f"{Path.RECHUNK}/{bucket.name}{query_text(query)}"
        return decode_rechunk_result(self._session.call(Call("GET", target)).body)

    def _plan_here(
        self, bucket: BucketRef, policy: "ChunksPolicy", options: RechunkOptions
    ) -> RechunkResult:
        """What AIStore rewrites: all that is large enough, whatever its chunks, and what is chunked and is not."""
        from aiscore.model.chunks import is_chunked_at, policy_of
        from aiscore.model.objects import EntryFlag

        policy = policy_of(policy, options)
        plan = RechunkResult()
        props = frozenset({ListProp.NAME, ListProp.SIZE, ListProp.CHUNKED})
        wanted = ListOptions(prefix=options.prefix, props=props)
        while True:
            page = self._buckets.page(bucket, wanted)
            for entry in page.entries:
                size = entry.size
                plan = replace(plan, objects=plan.objects + 1, size=plan.size + size)
                if is_chunked_at(policy, size):
                    plan = replace(
                        plan, chunked=plan.chunked + 1, chunked_size=plan.chunked_size + size
                    )
                elif EntryFlag.CHUNKED in entry.flags:
                    plan = replace(
                        plan, restored=plan.restored + 1, restored_size=plan.restored_size + size
                    )
            if not page.token:
                return plan
            wanted = replace(wanted, token=page.token)

    # completion whose answer may be lost

    def _complete(
        self,
        bucket: BucketRef,
        name: str,
        upload_id: str,
        parts: Sequence[PartRef],
        options: CompleteOptions,
    ) -> ObjectProps:
        from aiscore.wire.messages import encode_action
        from aiscore.wire.objects import props_from_headers
        from aiscore.wire.uploads import complete_request, parts_msg

        query, headers = complete_request(options)
        query = bucket_query(bucket) | {Q.UPLOAD_ID: upload_id} | query
        target = object_path(bucket, name) + query_text(query)
        body = encode_action(Action.MPT_COMPLETE, "", parts_msg(parts))
        # The server reads all parts once more, however long that takes.
        answer = self._control.call("POST", target, body, tuple(headers), is_long=True)
        if H.SIZE.lower() not in answer.headers:
            return self._objects.head(bucket, name)
        return props_from_headers(name, answer.headers.get, answer.header_all)

    def _expect(
        self, bucket: BucketRef, name: str, upload_id: str, parts: Sequence[PartRef]
    ) -> "_Expected":
        """What will tell that it was this upload that became the object."""
        numbers = {part.number for part in parts}
        is_ours = "uploads" in self._store.extensions
        known = self._sent.get(upload_id, {})
        if not numbers <= known.keys() and is_ours:
            stored = self.list_parts(bucket, name, upload_id, 0, UPLOADS_PAGE_MAX)
            known = {part.number: (part.size, part.mtime_ns) for part in stored}
        chosen = [known[number] for number in numbers if number in known]
        size = sum(size for size, _ in chosen) if len(chosen) == len(numbers) else None
        previous = None
        if not is_ours:
            with suppress(NotFoundError):
                previous = self._objects.head(bucket, name)
        since_ns = max((mtime_ns for _, mtime_ns in chosen), default=0)
        return _Expected(len(numbers), size, since_ns, previous)

    def _is_open(self, bucket: BucketRef, name: str, upload_id: str) -> bool:
        """Whether an upload can still be completed; not asked of AIStore, which cannot tell."""
        if "uploads" not in self._store.extensions:
            return False
        try:
            self.list_parts(bucket, name, upload_id, 0, 1)
        except BucketNotFoundError:
            raise
        except NotFoundError:
            return False
        return True

    def _remember(self, upload_id: str, part: PartInfo) -> None:
        with self._lock:
            while upload_id not in self._sent and len(self._sent) >= UPLOADS_KNOWN_MAX:
                self._sent.pop(next(iter(self._sent)))
            self._sent.setdefault(upload_id, {})[part.number] = (part.size, part.mtime_ns)

    def _post(
        self,
        bucket: BucketRef,
        name: str,
        query: dict[str, str],
        headers: Sequence[tuple[str, str]],
        action: str,
    ) -> Answer:
        from aiscore.wire.messages import encode_action

        target = object_path(bucket, name) + query_text(bucket_query(bucket) | query)
        payload = BytesPayload(encode_action(action))
        return self._session.call(Call("POST", target, (_JSON, *headers), payload, is_safe=False))


class _Expected(NamedTuple):
    """What an upload will have become, if it has.

    Attributes:
        part_count: how many parts.
        size: bytes of them; None when unknown.
        since_ns: when the last of them was stored, by the server's clock; 0 when unknown.
        previous: the object before, where the server cannot tell about the upload.
    """

    part_count: int
    size: int | None
    since_ns: int
    previous: ObjectProps | None

    def is_met_by(self, props: ObjectProps) -> bool:
        """True when this object can only be the one that was to be."""
        if self.size != props.size or props.mtime_ns < self.since_ns:
            return False
        if self.since_ns:
            return props.chunk_count == self.part_count
        return self.previous is None or self.previous.version != props.version


def _what(bucket: BucketRef, name: str, upload_id: str) -> str:
    return f'upload "{upload_id}" of {bucket.object_cname(name)}'
