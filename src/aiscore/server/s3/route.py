"""Every operation of S3: which request it is, and who answers it, or that nobody does.

One table decides; `docs/s3.md` is generated from it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from aiscore.model.features import Feature
from aiscore.server.http import Outcome, Request, ServerContext
from aiscore.server.router import Router
from aiscore.server.s3.call import Call
from aiscore.server.s3.errors import error_response
from aiscore.server.s3.faults import S3Error
from aiscore.server.s3.names import bucket_named, name_of
from aiscore.server.s3.post import is_form, post_object
from aiscore.server.s3.unconfigured import UNCONFIGURED

__all__ = ["OPERATIONS", "REFUSED", "Dispatcher", "Operation", "register"]

CallHandler = Callable[[Call], Outcome]

ROOT = "/s3"
SERVICE, BUCKET, OBJECT = "service", "bucket", "object"


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation, and the requests that mean it.

    Attributes:
        name: S3's.
        level: of what: the service, a bucket, an object.
        method: HTTP method.
        handler: module and method that answer it.
        query: parameters that must be there; `name=value` for one with a value.
        header: that must be there.
        note: what differs from S3.
    """

    name: str
    level: str
    method: str
    handler: str
    query: tuple[str, ...] = ()
    header: str = ""
    note: str = ""

    def matches(self, request: Request) -> bool:
        """True when the request means this operation."""
        if self.header and request.header(self.header) is None:
            return False
        query = request.query
        for wanted in self.query:
            name, equals, value = wanted.partition("=")
            if name not in query or (equals and query[name] != value):
                return False
        return True


def _operation(
    name: str,
    level: str,
    method: str,
    handler: str,
    *query: str,
    header: str = "",
    note: str = "",
) -> Operation:
    return Operation(name, level, method, handler, query, header, note)


_ACL_NOTE = "`private`, and what changes nothing; others: `AccessControlListNotSupported`"

OPERATIONS: Final = (
    _operation("ListBuckets", SERVICE, "GET", "buckets.list_all"),
    _operation("CreateBucket", BUCKET, "PUT", "buckets.create", note="any location"),
    _operation(
        "DeleteBucket", BUCKET, "DELETE", "buckets.delete", note="an empty one, uploads go with it"
    ),
    _operation("HeadBucket", BUCKET, "HEAD", "buckets.head"),
    _operation("GetBucketLocation", BUCKET, "GET", "buckets.location", "location"),
    _operation(
        "GetBucketVersioning",
        BUCKET,
        "GET",
        "buckets.versioning",
        "versioning",
        note="never enabled: an overwritten object is gone",
    ),
    _operation("ListObjects", BUCKET, "GET", "listing.list_v1"),
    _operation("ListObjectsV2", BUCKET, "GET", "listing.list_v2", "list-type=2"),
    _operation(
        "ListObjectVersions",
        BUCKET,
        "GET",
        "listing.list_versions",
        "versions",
        note="every object has the version `null`",
    ),
    _operation("ListMultipartUploads", BUCKET, "GET", "multipart.list_uploads", "uploads"),
    _operation("GetBucketAcl", BUCKET, "GET", "acl.get", "acl", note="the owner may do all"),
    _operation("PutBucketAcl", BUCKET, "PUT", "acl.put", "acl", note=_ACL_NOTE),
    *(
        _operation(absent.operation, BUCKET, "GET", "unconfigured.get", name, note=absent.note)
        for name, absent in UNCONFIGURED.items()
    ),
    _operation(
        "PostObject",
        BUCKET,
        "POST",
        "forms.refuse",
        note="a form with a policy; `success_action_redirect` is ignored: 204",
    ),
    _operation("DeleteObjects", BUCKET, "POST", "delete.delete_objects", "delete"),
    _operation(
        "GetObject",
        OBJECT,
        "GET",
        "objects.get",
        note="one range; `partNumber`; `response-*`; a `versionId` is refused",
    ),
    _operation("HeadObject", OBJECT, "HEAD", "objects.head"),
    _operation(
        "PutObject",
        OBJECT,
        "PUT",
        "writes.put",
        note="`If-Match` with one ETag, `If-None-Match: *`; canned ACLs and storage classes are ignored",
    ),
    _operation(
        "CopyObject",
        OBJECT,
        "PUT",
        "writes.copy",
        header="x-amz-copy-source",
        note="the ETag of the source is kept, and its checksum unless `x-amz-checksum-algorithm` wants another",
    ),
    _operation("DeleteObject", OBJECT, "DELETE", "writes.delete", note="`If-Match` with one ETag"),
    _operation("GetObjectAttributes", OBJECT, "GET", "attributes.get", "attributes"),
    _operation("GetObjectTagging", OBJECT, "GET", "tagging.get", "tagging"),
    _operation("PutObjectTagging", OBJECT, "PUT", "tagging.put", "tagging"),
    _operation("DeleteObjectTagging", OBJECT, "DELETE", "tagging.delete", "tagging"),
    _operation("GetObjectAcl", OBJECT, "GET", "acl.get", "acl", note="the owner may do all"),
    _operation("PutObjectAcl", OBJECT, "PUT", "acl.put", "acl", note=_ACL_NOTE),
    _operation("CreateMultipartUpload", OBJECT, "POST", "multipart.create", "uploads"),
    _operation("UploadPart", OBJECT, "PUT", "multipart.put_part", "partNumber", "uploadId"),
    _operation(
        "UploadPartCopy",
        OBJECT,
        "PUT",
        "multipart.copy_part",
        "partNumber",
        "uploadId",
        header="x-amz-copy-source",
    ),
    _operation("ListParts", OBJECT, "GET", "multipart.list_parts", "uploadId"),
    _operation(
        "CompleteMultipartUpload",
        OBJECT,
        "POST",
        "multipart.complete",
        "uploadId",
        note="up to 9,999 parts",
    ),
    _operation("AbortMultipartUpload", OBJECT, "DELETE", "multipart.abort", "uploadId"),
)
"""What is supported."""

REFUSED: Final = {
    BUCKET: (
        *("accelerate", "analytics", "cors", "encryption", "intelligent-tiering"),
        *("inventory", "lifecycle", "logging", "metadataTable", "metrics", "notification"),
        *("object-lock", "ownershipControls", "policy", "policyStatus", "publicAccessBlock"),
        *("replication", "requestPayment", "session", "tagging", "website"),
    ),
    OBJECT: ("legal-hold", "renameObject", "restore", "retention", "select", "torrent"),
}
"""Sub-resources that are answered `NotImplemented`, but for what `OPERATIONS` says of them."""

_SHARED = frozenset({"uploadId", "partNumber", "list-type"})
"""Parameters that are no sub-resource."""
_SUBRESOURCES: Final = {
    level: frozenset(REFUSED.get(level, ())).union(
        name.partition("=")[0]
        for operation in OPERATIONS
        if operation.level == level
        for name in operation.query
    )
    - _SHARED
    for level in (SERVICE, BUCKET, OBJECT)
}


def register(router: Router, context: ServerContext) -> None:
    """Answer S3's API below `/s3`; by `Host` and at the root where the settings say so."""
    dispatcher = Dispatcher(context)
    router.add(ROOT, {"*": dispatcher.below_prefix})
    router.add_rest(dispatcher.at_root)
    if context.settings.s3_domain:
        router.add_first(dispatcher.by_host)


class Dispatcher:
    """From a request to the operation that it means. Belongs to one event loop."""

    def __init__(self, context: ServerContext) -> None:
        from aiscore.server.s3.sigv4 import Verifier, load_keys

        self._context = context
        self._store = context.node.store
        self._verifier = Verifier(load_keys(context.settings.s3_keys))
        names = context.settings.s3_domain.split(",")
        self._domains = tuple(f".{name.strip().lower()}" for name in names if name.strip())
        self._operations = _handlers(context)

    def below_prefix(self, request: Request) -> Outcome:
        """`/s3/BUCKET/KEY`."""
        request.on_error = error_response
        path = request.path
        if not path.startswith(f"{ROOT}/"):
            path = path.lstrip("/")
            path = path[len(ROOT) - 1 :] or "/"
        else:
            path = path[len(ROOT) :]
        bucket, _, key = path[1:].partition("/")
        return self._answer(request, bucket, key)

    def at_root(self, request: Request) -> Outcome | None:
        """`/BUCKET/KEY`, when the configuration has it, or of the host that is the domain itself; None otherwise."""
        is_domain = bool(self._domains) and f".{_host_of(request)}" in self._domains
        if not is_domain and not self._store.config().features & Feature.S3_API_VIA_ROOT:
            return None
        request.on_error = error_response
        bucket, _, key = request.path[1:].partition("/")
        return self._answer(request, bucket, key)

    def by_host(self, request: Request) -> Outcome | None:
        """`/KEY` of a host that names the bucket; None for other hosts."""
        name = _host_of(request)
        for domain in self._domains:
            if name.endswith(domain) and len(name) > len(domain):
                request.on_error = error_response
                return self._answer(request, name.removesuffix(domain), request.path[1:])
        return None

    def _answer(self, request: Request, bucket: str, key: str) -> Outcome:
        level = OBJECT if key else BUCKET if bucket else SERVICE
        found = self._operations.get((level, request.method), ())
        if level == BUCKET and is_form(request):
            return post_object(request, bucket, self._verifier, self._context)
        identity = self._verifier.authorize(request)
        for operation, handler in found:
            if not operation.matches(request):
                continue
            if not operation.query:
                _refuse_others(request, level)
            call = Call(request, identity)
            if bucket:
                ref = bucket_named(bucket)
                call = Call(request, identity, bucket, key, name_of(key) if key else "", ref)
            return handler(call)
        _refuse_others(request, level)
        raise S3Error("MethodNotAllowed", f"{request.method} is not allowed against a {level}")


def _host_of(request: Request) -> str:
    """`Host` without the port."""
    host = (request.header("host") or "").lower()
    name, _, port = host.rpartition(":")
    return name if port.isdigit() else host


def _refuse_others(request: Request, level: str) -> None:
    """Refuse a sub-resource that is not supported, or not with this method: it must not act on the whole."""
    query = request.query
    if not query:
        return
    for name in _SUBRESOURCES[level] & query.keys():
        raise S3Error("NotImplemented", f"{request.method} of ?{name} is not implemented")
    if (
        level == OBJECT
        and request.method == "PUT"
        and ("uploadId" in query or "partNumber" in query)
    ):
        raise S3Error("InvalidArgument", "a part needs both uploadId and partNumber")


def _handlers(
    context: ServerContext,
) -> dict[tuple[str, str], list[tuple[Operation, CallHandler]]]:
    """Operations by level and method, the most particular first."""
    from aiscore.server.s3.acl import Acls
    from aiscore.server.s3.attributes import Attributes
    from aiscore.server.s3.buckets import Buckets
    from aiscore.server.s3.delete import MultiDelete
    from aiscore.server.s3.listing import Listings
    from aiscore.server.s3.multipart import Multipart
    from aiscore.server.s3.objects import Objects
    from aiscore.server.s3.post import Forms
    from aiscore.server.s3.tagging import Tagging
    from aiscore.server.s3.unconfigured import Unconfigured
    from aiscore.server.s3.writes import Writes

    owners: dict[str, object] = {
        "acl": Acls(context),
        "attributes": Attributes(context),
        "buckets": Buckets(context),
        "delete": MultiDelete(context),
        "forms": Forms(context),
        "listing": Listings(context),
        "multipart": Multipart(context),
        "objects": Objects(context),
        "tagging": Tagging(context),
        "unconfigured": Unconfigured(context),
        "writes": Writes(context),
    }
    found: dict[tuple[str, str], list[tuple[Operation, CallHandler]]] = {}
    for operation in OPERATIONS:
        owner, _, method = operation.handler.partition(".")
        handler: CallHandler = getattr(owners[owner], method)
        found.setdefault((operation.level, operation.method), []).append((operation, handler))
    for entries in found.values():
        entries.sort(key=lambda entry: -len(entry[0].query) - bool(entry[0].header))
    return found
