"""What can be configured of S3's buckets and of none here: asked for, it is answered that there is nothing.

Clients ask before they act, and take a refusal for a failure. To set any of it is refused (`route.REFUSED`).
"""

from dataclasses import dataclass
from typing import Final

from aiscore.server.http import Response, ServerContext
from aiscore.server.s3.call import Call, xml_response
from aiscore.server.s3.faults import S3Error
from aiscore.server.s3.xml import XmlWriter

__all__ = ["UNCONFIGURED", "Absent", "Unconfigured"]


@dataclass(frozen=True, slots=True)
class Absent:
    """A configuration that no bucket has.

    Attributes:
        operation: S3's name for reading it.
        code: of the error that says so; "" when S3 answers with an empty document.
        root: of that document.
        content: of the root, as XML.
    """

    operation: str
    code: str = ""
    root: str = ""
    content: str = ""

    @property
    def note(self) -> str:
        """For the documentation."""
        return f"always `{self.code}`" if self.code else "never configured"


UNCONFIGURED: Final = {
    "accelerate": Absent("GetBucketAccelerateConfiguration", root="AccelerateConfiguration"),
    "cors": Absent("GetBucketCors", "NoSuchCORSConfiguration"),
    "encryption": Absent("GetBucketEncryption", "ServerSideEncryptionConfigurationNotFoundError"),
    "lifecycle": Absent("GetBucketLifecycleConfiguration", "NoSuchLifecycleConfiguration"),
    "logging": Absent("GetBucketLogging", root="BucketLoggingStatus"),
    "notification": Absent("GetBucketNotificationConfiguration", root="NotificationConfiguration"),
    "object-lock": Absent("GetObjectLockConfiguration", "ObjectLockConfigurationNotFoundError"),
    "ownershipControls": Absent("GetBucketOwnershipControls", "OwnershipControlsNotFoundError"),
    "policy": Absent("GetBucketPolicy", "NoSuchBucketPolicy"),
    "policyStatus": Absent("GetBucketPolicyStatus", "NoSuchBucketPolicy"),
    "publicAccessBlock": Absent("GetPublicAccessBlock", "NoSuchPublicAccessBlockConfiguration"),
    "replication": Absent("GetBucketReplication", "ReplicationConfigurationNotFoundError"),
    "requestPayment": Absent(
        "GetBucketRequestPayment",
        root="RequestPaymentConfiguration",
        content="<Payer>BucketOwner</Payer>",
    ),
    "tagging": Absent("GetBucketTagging", "NoSuchTagSet"),
    "website": Absent("GetBucketWebsite", "NoSuchWebsiteConfiguration"),
}
"""By sub-resource."""


class Unconfigured:
    """Answers what is asked of it."""

    def __init__(self, context: ServerContext) -> None:
        self._store = context.node.store

    def get(self, call: Call) -> Response:
        """Any of `UNCONFIGURED`."""
        self._store.head_bucket(call.bucket)
        query = call.request.query
        absent = next(found for name, found in UNCONFIGURED.items() if name in query)
        if absent.code:
            raise S3Error(absent.code, "The bucket has no such configuration: none is supported")
        writer = XmlWriter(absent.root)
        writer.raw(absent.content)
        return xml_response(writer)
