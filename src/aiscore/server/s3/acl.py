"""Access control lists, as of a bucket that has none: the owner may do everything, and nobody is granted anything else.

That is what S3 answers for buckets with ACLs disabled, which is its default. Clients ask for lists, and some set
`private` on whatever they write; what would share something is refused.
"""

from aiscore.server.http import BodySink, Response, ServerContext
from aiscore.server.s3.bodies import document
from aiscore.server.s3.buckets import OWNER, write_owner
from aiscore.server.s3.call import Call, xml_response
from aiscore.server.s3.faults import S3Error
from aiscore.server.s3.xml import XmlWriter, read_xml

__all__ = ["Acls"]

_CANNED = frozenset({"private", "bucket-owner-full-control", "bucket-owner-read"})
"""What changes nothing."""
_ALL = "FULL_CONTROL"
_GRANT = (
    '<Grant><Grantee xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="CanonicalUser">'
    f"<ID>{OWNER}</ID><DisplayName>{OWNER}</DisplayName></Grantee>"
    f"<Permission>{_ALL}</Permission></Grant>"
)


class Acls:
    """Answers what is about access control lists of buckets and objects."""

    def __init__(self, context: ServerContext) -> None:
        self._context = context
        self._store = context.node.store

    def get(self, call: Call) -> Response:
        """GetBucketAcl, GetObjectAcl."""
        self._find(call)
        writer = XmlWriter("AccessControlPolicy")
        write_owner(writer)
        writer.start("AccessControlList")
        writer.raw(_GRANT)
        return xml_response(writer)

    def put(self, call: Call) -> BodySink:
        """PutBucketAcl, PutObjectAcl."""
        canned = call.request.header("x-amz-acl")
        if call.request.header_names("x-amz-grant-") or (canned and canned not in _CANNED):
            raise _refusal()

        def put(body: bytes) -> Response:
            self._find(call)
            if body or canned is None:
                _check_grants(body)
            return Response(200)

        return document(call, self._context, put)

    def _find(self, call: Call) -> None:
        if call.name:
            self._store.head(call.bucket, call.name)
        else:
            self._store.head_bucket(call.bucket)


def _check_grants(body: bytes) -> None:
    """Only what holds anyway may be granted."""
    root = read_xml(body, ("AccessControlPolicy",))
    for grants in root.all("AccessControlList"):
        for grant in grants.all("Grant"):
            grantees = [grantee.get("ID") for grantee in grant.all("Grantee")]
            if grantees != [OWNER] or grant.get("Permission") != _ALL:
                raise _refusal()


def _refusal() -> S3Error:
    return S3Error("AccessControlListNotSupported", "The bucket does not allow ACLs")
