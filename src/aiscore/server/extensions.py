"""`/v1/x`: what AIStore's API cannot express, for clients of ours. `GET /v1/x` tells what there is.

Clients get an error there from other servers, and use the nearest that AIStore has, or refuse.
"""

import tarfile
from collections.abc import Awaitable, Callable, Iterator

from aiscore.errors import ArchiveError, InvalidArgumentError
from aiscore.model.bucket import BucketRef
from aiscore.model.chunks import RechunkOptions
from aiscore.model.multipart import UPLOADS_PAGE_MAX
from aiscore.model.objects import ArchivePutMode
from aiscore.model.stream import Body
from aiscore.server.buckets import json_response
from aiscore.server.http import Outcome, Request, Response, ServerContext
from aiscore.server.message import in_pool, read_message
from aiscore.server.objectpath import bucket_and_rest
from aiscore.server.objects_put import Member, SpoolSink
from aiscore.server.router import Router
from aiscore.server.shardwrites import put_members
from aiscore.wire.cluster import encode_mountpaths, encode_report
from aiscore.wire.jobs import filter_of
from aiscore.wire.names import Path, Q
from aiscore.wire.objects import archive_format_of, props_headers
from aiscore.wire.summaries import encode_summary
from aiscore.wire.uploads import encode_parts, encode_rechunk_result, encode_uploads
from aiscore.wire.values import query_int

__all__ = ["EXTENSIONS", "register"]

EXTENSIONS = (
    "counters",
    "members",
    "mountpaths",
    "rechunk",
    "summary",
    "uploads",
    "validate",
    "xactions",
)


def register(router: Router, context: ServerContext) -> None:
    """Answer `/v1/x` and what is below it."""
    extensions = _Extensions(context)
    router.add(
        Path.EXTENSIONS, {"GET": extensions.get, "POST": extensions.post, "PUT": extensions.put}
    )


class _Extensions:
    def __init__(self, context: ServerContext) -> None:
        self._context = context
        self._store = context.node.store

    def get(self, request: Request) -> Outcome:
        """Questions."""
        path = _trimmed(request)
        if path == Path.EXTENSIONS:
            return json_response({"extensions": EXTENSIONS})
        if path == Path.COUNTERS:
            return json_response(dict(self._store.counters()))
        if path == Path.MOUNTPATH_INFO:
            return self._later(lambda: encode_mountpaths(self._store.mountpaths()))
        if path.startswith(f"{Path.SUMMARY}/"):
            bucket, _ = bucket_and_rest(request, f"{Path.SUMMARY}/")
            prefix = request.query.get(Q.PREFIX, "")
            return self._later(lambda: encode_summary(self._store.summarize_bucket(bucket, prefix)))
        if path.startswith(f"{Path.UPLOADS}/"):
            return self._uploads(request)
        if path.startswith(f"{Path.RECHUNK}/"):
            return self._plan_rechunk(request)
        if path.startswith(f"{Path.MEMBERS}/"):
            bucket, shard = bucket_and_rest(request, f"{Path.MEMBERS}/")
            archmime = archive_format_of(request.query)
            return self._later(
                lambda: [
                    [member.name, member.size]
                    for member in self._store.list_members(bucket, shard, archmime)
                ]
            )
        raise _unknown(request)

    def post(self, request: Request) -> Outcome:
        """Scrub everything, or one bucket, or a prefix of it; forget jobs that have ended."""
        path = _trimmed(request)
        if path == Path.XACTIONS:
            return read_message(request, self._context, self._forget)
        bucket: BucketRef | None = None
        if path.startswith(f"{Path.VALIDATE}/"):
            bucket, _ = bucket_and_rest(request, f"{Path.VALIDATE}/")
        elif path != Path.VALIDATE:
            raise _unknown(request)
        prefix = request.query.get(Q.PREFIX, "")
        return self._later(lambda: encode_report(self._store.validate(bucket, prefix)))

    def _forget(self, body: bytes) -> Awaitable[Response]:
        wanted = filter_of(body)
        return self._later(lambda: self._store.forget_xactions(wanted))

    def put(self, request: Request) -> Outcome:
        """Write the members of a TAR into a shard, all of them or none."""
        if not _trimmed(request).startswith(f"{Path.MEMBERS}/"):
            raise _unknown(request)
        bucket, shard = bucket_and_rest(request, f"{Path.MEMBERS}/")
        mode = _mode(request.query.get(Q.MODE, ""))
        archmime = archive_format_of(request.query)
        self._store.head_bucket(bucket)

        def use(body: Body, size: int) -> Response:
            def members() -> Iterator[Member]:
                return _members(body, bucket.object_cname(shard))

            props = put_members(self._context, bucket, shard, body, members, mode, archmime)
            return Response(200, props_headers(props, with_size=True))

        return SpoolSink(self._store.open_spool(bucket.object_cname(shard)), use, self._context)

    def _uploads(self, request: Request) -> Outcome:
        """Uploads of a bucket, or the parts of one of an object, a page of them."""
        bucket, name = bucket_and_rest(request, f"{Path.UPLOADS}/")
        query = request.query
        limit = query_int(query, Q.LIMIT, UPLOADS_PAGE_MAX)
        if name:
            upload, after = query.get(Q.UPLOAD_ID, ""), query_int(query, Q.AFTER)
            return self._later(
                lambda: encode_parts(self._store.list_parts(bucket, name, upload, after, limit))
            )
        last = (query[Q.AFTER], query.get(Q.AFTER_ID, "")) if Q.AFTER in query else None
        prefix = query.get(Q.PREFIX, "")
        return self._later(
            lambda: encode_uploads(self._store.list_uploads(bucket, prefix, last, limit))
        )

    def _plan_rechunk(self, request: Request) -> Outcome:
        """What a rechunk would do; sizes that are not given are the bucket's."""
        bucket, _ = bucket_and_rest(request, f"{Path.RECHUNK}/")
        query = request.query
        options = RechunkOptions(
            objsize_limit=query_int(query, Q.OBJSIZE_LIMIT) if Q.OBJSIZE_LIMIT in query else None,
            chunk_size=query_int(query, Q.CHUNK_SIZE) if Q.CHUNK_SIZE in query else None,
            prefix=query.get(Q.PREFIX, ""),
            dry_run=True,
        )
        return self._later(
            lambda: encode_rechunk_result(self._store.rechunk_bucket(bucket, options))
        )

    def _later(self, work: Callable[[], object]) -> Awaitable[Response]:
        return in_pool(self._context, lambda: json_response(work()))


def _members(body: Body, cname: str) -> Iterator[Member]:
    try:
        with tarfile.open(fileobj=body, mode="r|") as archive:  # type: ignore[call-overload]
            for info in archive:
                content = archive.extractfile(info) if info.isfile() else None
                if content is None:
                    raise ArchiveError(
                        f'cannot write "{info.name}" into {cname}: not a regular file'
                    )
                yield Member(info.name, info.size, content)
    except (tarfile.TarError, UnicodeError, ValueError) as exc:
        raise ArchiveError(f"cannot write members into {cname}: the body is no TAR: {exc}") from exc


def _mode(text: str) -> ArchivePutMode:
    try:
        return ArchivePutMode(text or ArchivePutMode.CREATE)
    except ValueError:
        raise InvalidArgumentError(
            f'invalid mode "{text[:64]}"', hint=f"use one of: {', '.join(ArchivePutMode)}"
        ) from None


def _trimmed(request: Request) -> str:
    return request.path.rstrip("/")


def _unknown(request: Request) -> InvalidArgumentError:
    return InvalidArgumentError(
        f'invalid URL path "{request.path[:200]}"', hint=f"see: GET {Path.EXTENSIONS}"
    )
