"""Buckets, as S3 sees them: those of the global namespace of AIStore's own provider."""

from collections.abc import Awaitable

from aiscore.errors import BucketNotFoundError, PreconditionFailedError
from aiscore.model.bucket import GLOBAL_NAMESPACE, BucketRef, Provider
from aiscore.server.http import Outcome, Response, ServerContext
from aiscore.server.message import in_pool
from aiscore.server.s3.bodies import document
from aiscore.server.s3.call import Call, xml_response
from aiscore.server.s3.faults import S3Error
from aiscore.server.s3.writes import xml_time
from aiscore.server.s3.xml import XmlWriter, read_xml

__all__ = ["OWNER", "REGION", "Buckets", "write_owner"]

REGION = "ais"
OWNER = "ais"


class Buckets:
    """Answers what is about buckets."""

    def __init__(self, context: ServerContext) -> None:
        self._context = context
        self._store = context.node.store

    def list_all(self, call: Call) -> Response:
        """ListBuckets."""
        query = call.request.query
        prefix = query.get("prefix", "")
        after = query.get("continuation-token", "")
        limit = call.number("max-buckets", 10_000, 10_000)
        names = [
            bucket.name
            for bucket in self._store.list_buckets(Provider.AIS, GLOBAL_NAMESPACE)
            if bucket.name.startswith(prefix) and bucket.name > after
        ]
        writer = XmlWriter("ListAllMyBucketsResult")
        write_owner(writer)
        writer.start("Buckets")
        for name in names[:limit]:
            try:
                created_ns = self._store.head_bucket(BucketRef(name)).created
            except BucketNotFoundError:  # removed meanwhile
                continue
            writer.start("Bucket")
            writer.text("Name", name)
            writer.text("CreationDate", xml_time(created_ns))
            writer.end()
        writer.end()
        if 0 < limit < len(names):
            writer.text("ContinuationToken", names[limit - 1])
        if prefix:
            writer.text("Prefix", prefix)
        return xml_response(writer)

    def create(self, call: Call) -> Outcome:
        """CreateBucket; its configuration, if there is one, may name any location."""

        def create(body: bytes) -> Response:
            if body:
                read_xml(body, ("CreateBucketConfiguration",))
            self._store.create_bucket(call.bucket)
            return Response(200, [("Location", f"/{call.bucket.name}")])

        if call.request.header(
            "x-amz-bucket-object-lock-enabled",
        ) in {"true", "True"}:
            raise S3Error("NotImplemented", "object lock is not supported")
        return document(call, self._context, create)

    def delete(self, call: Call) -> Awaitable[Response]:
        """DeleteBucket."""

        def delete() -> Response:
            try:
                self._store.destroy_bucket(call.bucket, only_empty=True)
            except PreconditionFailedError as exc:
                raise S3Error("BucketNotEmpty", exc.message) from None
            return Response(204)

        return in_pool(self._context, delete)

    def head(self, call: Call) -> Response:
        """HeadBucket."""
        self._store.head_bucket(call.bucket)
        return Response(200, [("x-amz-bucket-region", REGION)], content_length=0)

    def location(self, call: Call) -> Response:
        """GetBucketLocation; no constraint, which stands for S3's default region."""
        self._store.head_bucket(call.bucket)
        return xml_response(XmlWriter("LocationConstraint"))

    def versioning(self, call: Call) -> Response:
        """GetBucketVersioning: of a bucket that never had it."""
        self._store.head_bucket(call.bucket)
        return xml_response(XmlWriter("VersioningConfiguration"))


def write_owner(writer: XmlWriter) -> None:
    """Who owns everything."""
    writer.start("Owner")
    writer.text("ID", OWNER)
    writer.text("DisplayName", OWNER)
    writer.end()
