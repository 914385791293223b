"""Single objects over the network: written, removed, renamed, copied, appended to."""

from collections.abc import Mapping
from dataclasses import replace

from aiscore.errors import ObjectNotFoundError, ProtocolError
from aiscore.model.bucket import BucketRef
from aiscore.model.checksum import Checksum
from aiscore.model.names import check_object_name
from aiscore.model.objects import ObjectProps, Precondition, PutOptions, check_custom
from aiscore.model.stream import Body
from aiscore.transport.answer import Response
from aiscore.transport.body import NO_BODY, BytesPayload, Payload, payload_of
from aiscore.transport.remote_read import plain_target
from aiscore.transport.remote_store import RemoteStore
from aiscore.transport.session import Call, Session, query_text
from aiscore.wire.buckets import bucket_query, object_path, object_uname
from aiscore.wire.conditions import precondition_headers
from aiscore.wire.names import JSON_TYPE, Action, H, Q
from aiscore.wire.objects import props_from_headers, put_request

__all__ = ["RemoteObjects"]

_JSON = (H.CONTENT_TYPE, JSON_TYPE)


class RemoteObjects:
    """Calls on `/v1/objects`, all over the lean client."""

    def __init__(self, session: Session, store: RemoteStore) -> None:
        self._session = session
        self._store = store

    def put(self, bucket: BucketRef, name: str, body: Body, options: PutOptions) -> ObjectProps:
        """See `Transport.put`."""
        check_object_name(name)
        check_custom(options.custom)
        if options.precondition is not None or options.compute is not None:
            self._store.need("put with a precondition or a checksum type of its own")
        payload = payload_of(body, options.size, bucket.object_cname(name))
        query, headers = put_request(options)
        target = object_path(bucket, name) + query_text(bucket_query(bucket) | query)
        # A second try after an unknown outcome could find its own object, and take it for another's.
        call = Call("PUT", target, headers, payload, is_safe=options.precondition is None)
        with self._session.open(call) as response:
            props = self._stored(response, bucket, name, payload)
            response.read_all()
        return props

    def head(self, bucket: BucketRef, name: str) -> ObjectProps:
        """See `Transport.head`."""
        check_object_name(name)
        target = plain_target(bucket, name)
        with self._session.open(Call("HEAD", target)) as response:
            return props_from_headers(name, response.headers.get, response.header_all)

    def delete(self, bucket: BucketRef, name: str, precondition: Precondition | None) -> None:
        """See `Transport.delete`."""
        check_object_name(name)
        if precondition is not None:
            self._store.need("delete with a precondition")
        target = plain_target(bucket, name)
        call = Call(
            "DELETE", target, precondition_headers(precondition), is_safe=precondition is None
        )
        attempts = self._session.attempts()
        try:
            self._session.open(call, attempts).close()
        except ObjectNotFoundError:
            # After a try whose answer was lost this is its success.
            if not attempts.failures:
                raise

    def rename(self, bucket: BucketRef, name: str, new_name: str) -> None:
        """See `Transport.rename`."""
        from aiscore.wire.messages import encode_action

        check_object_name(name)
        check_object_name(new_name)
        payload = BytesPayload(encode_action(Action.RENAME_OBJECT, new_name))
        target = plain_target(bucket, name)
        self._session.call(Call("POST", target, (_JSON,), payload, is_safe=False))

    def copy(
        self, bucket: BucketRef, name: str, target: BucketRef, target_name: str
    ) -> ObjectProps:
        """See `Transport.copy`."""
        check_object_name(name)
        check_object_name(target_name)
        query = bucket_query(bucket) | {Q.OBJECT_TO: object_uname(target, target_name)}
        call = Call("PUT", object_path(bucket, name) + query_text(query))
        with self._session.open(call) as response:
            if response.header(H.SIZE) is None:
                response.read_all()
                return self.head(target, target_name)
            return props_from_headers(target_name, response.headers.get, response.header_all)

    def append(self, bucket: BucketRef, name: str, body: Body, handle: str) -> str:
        """See `Transport.append`."""
        check_object_name(name)
        payload = payload_of(body, None, bucket.object_cname(name))
        query = bucket_query(bucket) | {Q.APPEND_TYPE: Q.APPEND, Q.APPEND_HANDLE: handle}
        target = object_path(bucket, name) + query_text(query)
        with self._session.open(Call("PUT", target, (), payload, is_safe=False)) as response:
            grown = response.header(H.APPEND_HANDLE)
        if not grown:
            raise ProtocolError(f"{response.url} gives no handle for {bucket.object_cname(name)}")
        return grown

    def flush_append(
        self, bucket: BucketRef, name: str, handle: str, checksum: Checksum | None
    ) -> ObjectProps:
        """See `Transport.flush_append`."""
        check_object_name(name)
        query = bucket_query(bucket) | {Q.APPEND_TYPE: Q.FLUSH, Q.APPEND_HANDLE: handle}
        target = object_path(bucket, name) + query_text(query)
        headers = []
        if checksum is not None:
            headers = [
                (H.CHECKSUM_TYPE, checksum.type.value),
                (H.CHECKSUM_VALUE, checksum.value),
            ]
        call = Call("PUT", target, headers, NO_BODY, is_safe=False)
        with self._session.open(call) as response:
            if response.header(H.SIZE) is None:
                response.read_all()
                return self.head(bucket, name)
            return props_from_headers(name, response.headers.get, response.header_all)

    def set_custom(
        self, bucket: BucketRef, name: str, custom: Mapping[str, str], *, replace_all: bool
    ) -> ObjectProps:
        """See `Transport.set_custom`."""
        from aiscore.wire.messages import encode_action

        check_object_name(name)
        check_custom(custom)
        if "members" not in self._store.extensions and not all(custom.values()):
            # AIStore would keep the empty values.
            old = {} if replace_all else self.head(bucket, name).custom
            custom = {key: value for key, value in {**old, **custom}.items() if value}
            replace_all = True
        query = bucket_query(bucket) | ({Q.NEW_CUSTOM: Q.TRUE} if replace_all else {})
        payload = BytesPayload(encode_action("", "", dict(custom)))
        target = object_path(bucket, name) + query_text(query)
        with self._session.open(Call("PATCH", target, (_JSON,), payload)) as response:
            if response.header(H.SIZE) is None:
                response.read_all()
                return self.head(bucket, name)
            return props_from_headers(name, response.headers.get, response.header_all)

    def _found(self, bucket: BucketRef, name: str) -> ObjectProps:
        """Properties, from a server that is not known to be AIStore."""
        with self._session.open(Call("HEAD", plain_target(bucket, name))) as response:
            if response.header(H.PRESENT) is None:
                raise ProtocolError(f"{response.url} answers a PUT as AIStore does not")
            return props_from_headers(name, response.headers.get, response.header_all)

    def _stored(
        self, response: Response, bucket: BucketRef, name: str, payload: Payload
    ) -> ObjectProps:
        """Properties of what was just written; AIStore's answer does not tell the size."""
        if not any(header.startswith("ais-") for header in response.headers):
            # AIStore says nothing when the object was there already, with this checksum; any web server may say 200.
            response.read_all()
            return self._found(bucket, name)
        props = props_from_headers(name, response.headers.get, response.header_all)
        if response.header(H.SIZE) is not None:
            return props
        if payload.size is None:
            return self.head(bucket, name)
        return replace(props, size=payload.size, chunk_size_max=payload.size)
