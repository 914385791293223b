"""One request as an operation sees it."""

from dataclasses import dataclass

from aiscore.model.bucket import BucketRef
from aiscore.server.http import Request, Response
from aiscore.server.s3.body import Identity
from aiscore.server.s3.faults import S3Error
from aiscore.server.s3.xml import XmlWriter

__all__ = ["XML_TYPE", "Call", "s3_etag", "stored_etag", "xml_response"]

XML_TYPE = "application/xml"
_GENERATION_DIGITS = 16


@dataclass(frozen=True, slots=True)
class Call:
    """A request that has been understood as far as its path.

    Attributes:
        request: its head.
        identity: who asks.
        bucket_name: of the path; "" for the service itself.
        key: of the path; "" for a bucket.
        name: object name of the key.
        ref: the bucket.
    """

    request: Request
    identity: Identity
    bucket_name: str = ""
    key: str = ""
    name: str = ""
    ref: BucketRef | None = None

    @property
    def bucket(self) -> BucketRef:
        """The bucket of the path."""
        assert self.ref is not None
        return self.ref

    def number(self, parameter: str, default: int, highest: int = 2**31 - 1) -> int:
        """A number of the query, cut to `highest`.

        Raises:
            S3Error: it is none, or negative.
        """
        text = self.request.query.get(parameter)
        if text is None or text == "":
            return default
        if not (text.isascii() and text.isdigit()) or int(text) >= 2**31:
            raise S3Error(
                "InvalidArgument", f'invalid {parameter} "{text[:32]}": expected a number'
            )
        return min(int(text), highest)


def s3_etag(etag: str) -> str:
    """An ETag as S3's clients may see it: what is not an MD5 must not look like one that does not match."""
    return f"{etag}-1" if len(etag) == _GENERATION_DIGITS and "-" not in etag else etag


def stored_etag(etag: str) -> str:
    """Undo `s3_etag`."""
    short = etag.removesuffix("-1")
    return short if len(short) == _GENERATION_DIGITS else etag


def xml_response(
    writer: XmlWriter, headers: "list[tuple[str, str]] | None" = None, status: int = 200
) -> Response:
    """A document as the answer."""
    return Response(status, [("Content-Type", XML_TYPE), *(headers or [])], writer.finish())
