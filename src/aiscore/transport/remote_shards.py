"""Shards over the network: members listed, and written all at once as one tar."""

import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Protocol

from aiscore.errors import InvalidArgumentError, InvalidNameError, ProtocolError, UnsupportedError
from aiscore.model.archive import ArchiveFormat
from aiscore.model.bucket import BucketRef
from aiscore.model.names import check_object_name
from aiscore.model.objects import (
    ArchiveMember,
    ArchivePutMode,
    ListOptions,
    ListProp,
    ObjectProps,
    PutOptions,
)
from aiscore.model.stream import Body
from aiscore.transport.body import Block, Payload, StreamPayload, payload_of
from aiscore.transport.remote_buckets import RemoteBuckets
from aiscore.transport.remote_objects import RemoteObjects
from aiscore.transport.remote_store import RemoteStore
from aiscore.transport.session import Call, Session, query_text
from aiscore.transport.tarstream import TAR_END
from aiscore.wire.buckets import bucket_query, object_path, quote_path
from aiscore.wire.messages import decode_json
from aiscore.wire.names import H, Path, Q
from aiscore.wire.objects import pine_of, props_from_headers

__all__ = ["Member", "RemoteShards", "check_member_name"]

MEMBER_NAME_MAX = 4096
"""Bytes of a member's name; what Linux accepts as a path."""
_BLOCK = 512


class Member(Protocol):
    """A file on its way into a shard (`transport.MemberInput`)."""

    @property
    def name(self) -> str:
        """Path inside the shard."""
        ...

    @property
    def size(self) -> int:
        """Bytes."""
        ...

    @property
    def body(self) -> Body:
        """Content of exactly that size."""
        ...


class RemoteShards:
    """Operations on the members of a shard."""

    def __init__(
        self,
        session: Session,
        store: RemoteStore,
        buckets: RemoteBuckets,
        objects: RemoteObjects,
    ) -> None:
        self._session = session
        self._store = store
        self._buckets = buckets
        self._objects = objects

    def members(
        self, bucket: BucketRef, shard: str, archmime: ArchiveFormat | None
    ) -> list[ArchiveMember]:
        """See `Transport.list_members`; AIStore lists them sorted by name, as entries of the bucket."""
        check_object_name(shard)
        if "members" not in self._store.extensions:
            return self._list_entries(bucket, shard)
        query = _query(bucket, archmime)
        target = f"{Path.MEMBERS}/{bucket.name}/{quote_path(shard)}{query_text(query)}"
        answer = self._session.call(Call("GET", target))
        try:
            raw = decode_json(answer.body)
            return [ArchiveMember(str(name), int(size)) for name, size in raw or ()]
        except (InvalidArgumentError, TypeError, ValueError) as exc:
            raise ProtocolError(f"malformed list of members: {exc}") from exc

    def _list_entries(self, bucket: BucketRef, shard: str) -> list[ArchiveMember]:
        self._objects.head(bucket, shard)
        begin = f"{shard}/"
        found: list[ArchiveMember] = []
        props = frozenset({ListProp.NAME, ListProp.SIZE})
        options = ListOptions(prefix=shard, archive=True, props=props)
        while True:
            page = self._buckets.page(bucket, options)
            found += [
                ArchiveMember(entry.name.removeprefix(begin), entry.size)
                for entry in page.entries
                if entry.in_archive and entry.name.startswith(begin)
            ]
            if not page.token:
                return found
            options = replace(options, token=page.token)

    def put(
        self,
        bucket: BucketRef,
        shard: str,
        members: Iterable[Member],
        mode: ArchivePutMode,
        archmime: ArchiveFormat | None,
    ) -> ObjectProps:
        """See `Transport.put_members`; AIStore takes a whole shard, or one member more."""
        check_object_name(shard)
        if "members" not in self._store.extensions:
            if mode is ArchivePutMode.CREATE:
                return self._put_whole(bucket, shard, members, archmime)
            return self._put_one(bucket, shard, list(members), mode, archmime)
        query = _query(bucket, archmime) | {Q.MODE: mode.value}
        target = f"{Path.MEMBERS}/{bucket.name}/{quote_path(shard)}{query_text(query)}"
        payload = StreamPayload(_tar_of(members, bucket.object_cname(shard)), None)
        return self._send(Call("PUT", target, (), payload, is_safe=False), shard)

    def _put_whole(
        self,
        bucket: BucketRef,
        shard: str,
        members: Iterable[Member],
        archmime: ArchiveFormat | None,
    ) -> ObjectProps:
        """Make the archive here."""
        from aiscore.engine.archive.writer import new_archive  # codecs, which no other call needs

        cname = bucket.object_cname(shard)
        new = ((m.name, m.size, _content(m, cname).blocks()) for m in members)
        archive = new_archive(cname, shard, new, archmime)
        return self._objects.put(bucket, shard, archive, PutOptions())

    def _put_one(
        self,
        bucket: BucketRef,
        shard: str,
        members: list[Member],
        mode: ArchivePutMode,
        archmime: ArchiveFormat | None,
    ) -> ObjectProps:
        for member in members:
            check_member_name(member.name)
        if len(members) != 1:
            raise UnsupportedError(
                f"cannot append {len(members)} members to {bucket.object_cname(shard)} at once - "
                f"{self._session.endpoint.url} does not support it",
                hint="put them one by one: then a failure leaves those before it",
            )
        (member,) = members
        payload = _content(member, bucket.object_cname(shard))
        query = _query(bucket, archmime) | {Q.ARCHPATH: member.name}
        headers = ((H.PINE, str(pine_of(mode))),)
        target = object_path(bucket, shard) + query_text(query)
        self._send(Call("PUT", target, headers, payload, is_safe=False), shard)
        return self._objects.head(bucket, shard)

    def _send(self, call: Call, shard: str) -> ObjectProps:
        with self._session.open(call) as response:
            props = props_from_headers(shard, response.headers.get, response.header_all)
            response.read_all()
        return props


def check_member_name(name: str) -> bytes:
    """The bytes of a member's name.

    Raises:
        InvalidNameError: empty, absolute, with a NUL or a `..` component, ends in `/`, or is too long.
    """
    raw = name.encode("utf-8", "surrogatepass")
    try:
        raw = name.encode("utf-8", "surrogateescape")
        is_text = True
    except UnicodeEncodeError:
        is_text = False
    parts = raw.split(b"/")
    if (
        not is_text
        or not 0 < len(raw) <= MEMBER_NAME_MAX
        or b"\0" in raw
        or not parts[0]
        or not parts[-1]
        or b".." in parts
        or raw.removeprefix(b"./") in {b"", b"."}
    ):
        shown = raw[:128].decode("utf-8", "backslashreplace")
        raise InvalidNameError(
            f'invalid archived name "{shown}": expected 1 to {MEMBER_NAME_MAX} bytes, relative, '
            "no NUL, no '..' component"
        )
    return raw


def _tar_of(members: Iterable[Member], cname: str) -> Iterator[Block]:
    """The members as a tar; a body that is not as long as its member says fails the upload."""
    for member in members:
        check_member_name(member.name)
        payload = _content(member, cname)
        info = tarfile.TarInfo(member.name)
        info.size = member.size
        yield info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")
        yield from payload.blocks()
        if member.size % _BLOCK:
            yield TAR_END[: -member.size % _BLOCK]
    yield TAR_END


def _content(member: Member, cname: str) -> Payload:
    return payload_of(member.body, member.size, f"{cname}/{member.name}")


def _query(bucket: BucketRef, archmime: ArchiveFormat | None) -> dict[str, str]:
    query = bucket_query(bucket)
    if archmime is not None:
        query[Q.ARCHMIME] = archmime.value
    return query
