"""A bucket of an S3 endpoint, as far as a run needs it: the same methods and errors as a transport's."""

import base64
import hashlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Self

from aiscore.errors import AisError, ProtocolError
from aiscore.model.bucket import BucketRef
from aiscore.model.byterange import ByteRange
from aiscore.model.checksum import Checksum, ChecksumType
from aiscore.model.multipart import PartInfo, PartOptions, PartRef
from aiscore.model.objects import GetOptions, ListOptions, ListPage, PutOptions
from aiscore.model.stream import BLOCK_SIZE, Body
from aiscore.transport.answer import MalformedAnswerError, Response
from aiscore.transport.base import DEFAULT_GET, DEFAULT_PUT
from aiscore.transport.body import BytesPayload, payload_of
from aiscore.transport.options import ConnectionOptions
from aisloader.s3.answers import (
    NotAllowedError,
    delete_body,
    error_in,
    failed_names,
    listing_of,
    parse,
    parts_body,
)
from aisloader.s3.place import Place, check_s3_endpoint, host_header, quote_value
from aisloader.s3.requests import Call, Requests
from aisloader.s3.signing import Signer

__all__ = ["S3Reader", "S3Store"]

_CHECKSUM_HEADERS = {
    ChecksumType.MD5: "content-md5",
    ChecksumType.CRC32C: "x-amz-checksum-crc32c",
    ChecksumType.SHA256: "x-amz-checksum-sha256",
}
_INITIATED = ("InitiateMultipartUploadResult", "InitiateMptUploadResult")
"""The second is what AIStore calls it."""
_XML = ("content-type", "application/xml")


class S3Reader:
    """An open object or range. A context manager; iterates over blocks."""

    def __init__(self, response: Response) -> None:
        self._response = response
        self.size = response.size

    def readinto(self, buffer: bytearray | memoryview, /) -> int:
        """Fill as much of `buffer` as one step gives; 0 at the end.

        Raises:
            TransportError: the connection broke.
        """
        return self._response.readinto(buffer)

    def __iter__(self) -> Iterator[bytes]:
        while block := self._response.read(BLOCK_SIZE):
            yield block

    def close(self) -> None:
        """Let the connection go; safe to repeat."""
        self._response.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


class S3Store:
    """One bucket. Shared by threads.

    Args:
        url: of the endpoint.
        bucket: the only one that the methods may be called with.
        signer: signs every request.
        in_path: address the bucket in the path of every request instead of its host.
        connection: timeouts, TLS, retries.

    Raises:
        InvalidArgumentError: no such URL.
    """

    DELETE_MAX = 1000
    """Names that S3 deletes at once; it lists as many."""

    def __init__(
        self,
        url: str,
        bucket: BucketRef,
        signer: Signer,
        connection: ConnectionOptions,
        *,
        in_path: bool,
    ) -> None:
        endpoint, base = check_s3_endpoint(url)
        scheme = "https" if endpoint.is_tls else "http"
        self.endpoint = f"{scheme}://{host_header(endpoint)}{base}"
        self._bucket = bucket
        self._place = Place.of(url, bucket.name, in_path=in_path)
        self._requests = Requests(self._place, signer, connection)

    def close(self) -> None:
        """Close all connections; safe to repeat."""
        self._requests.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    # the bucket

    def head_bucket(self, bucket: BucketRef) -> None:
        """Ask whether the bucket is there; credentials that may not list it may still be good for objects.

        Raises:
            BucketNotFoundError: it does not exist.
            AisError: nobody answers, or not as S3 does.
        """
        with suppress(NotAllowedError):
            # Not by HEAD: its answers do not say what is wrong.
            self.list_page(bucket, ListOptions(page_size=1))

    def list_page(self, bucket: BucketRef, options: ListOptions) -> ListPage:
        """One page of a listing: `prefix`, `token` and `page_size` count."""
        del bucket
        size = min(options.page_size or self.DELETE_MAX, self.DELETE_MAX)
        query = f"?list-type=2&encoding-type=url&max-keys={size}"
        if options.prefix:
            query += f"&prefix={quote_value(options.prefix)}"
        if options.token:
            query += f"&continuation-token={quote_value(options.token)}"
        return listing_of(self._requests.call(self._of_bucket("GET", query)), self.endpoint)

    def delete_names(self, names: Sequence[str]) -> None:
        """Delete up to `DELETE_MAX` objects; those that are gone already are no error.

        Raises:
            AisError: one of them could not be deleted.
        """
        body = delete_body(names)
        digest = base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()
        headers = (_XML, ("content-md5", digest))
        call = self._of_bucket("POST", "?delete=")
        call = call._replace(headers=headers, payload=BytesPayload(body))
        for name, reason in failed_names(self._requests.call(call), self.endpoint):
            raise AisError(f"cannot delete {self._bucket.object_cname(name)}: {reason}")

    # objects

    def put(
        self, bucket: BucketRef, name: str, body: Body, options: PutOptions = DEFAULT_PUT
    ) -> None:
        """Store an object in one request; a checksum that S3 knows is sent along."""
        del bucket
        payload = payload_of(body, options.size, name)
        call = self._of_object("PUT", name)
        call = call._replace(headers=_checksum_headers(options.checksum), payload=payload)
        self._requests.call(call)

    def open(self, bucket: BucketRef, name: str, options: GetOptions = DEFAULT_GET) -> S3Reader:
        """Open an object, or a range of it."""
        del bucket
        call = self._of_object("GET", name)
        if options.byte_range is None:
            return S3Reader(self._requests.open(call))
        response = self._requests.open(call._replace(headers=(_range_header(options.byte_range),)))
        if response.status != 206:
            response.close()
            raise ProtocolError(f"{self.endpoint} answers the request for a range with the whole")
        return S3Reader(response)

    # uploads in parts

    def create_upload(self, bucket: BucketRef, name: str) -> str:
        """Begin to store an object in parts; the id of the upload."""
        del bucket
        call = self._of_object("POST", name, "?uploads=")._replace(is_safe=False)
        root = parse(self._requests.call(call), self.endpoint, *_INITIATED)
        upload_id = root.findtext("UploadId")
        if not upload_id:
            raise MalformedAnswerError(f"{self.endpoint} begins an upload without an id")
        return upload_id

    def put_part(
        self,
        bucket: BucketRef,
        name: str,
        upload_id: str,
        number: int,
        body: Body,
        options: PartOptions,
    ) -> PartInfo:
        """Store a part."""
        del bucket
        payload = payload_of(body, options.size, name)
        query = f"?partNumber={number}&uploadId={quote_value(upload_id)}"
        call = self._of_object("PUT", name, query)._replace(payload=payload)
        with self._requests.open(call) as response:
            etag = response.header("ETag")
            response.read_all()
        if not etag:
            raise MalformedAnswerError(f"{self.endpoint} stores a part without an ETag")
        return PartInfo(number=number, size=payload.size or 0, etag=etag.strip('"'))

    def complete_upload(
        self, bucket: BucketRef, name: str, upload_id: str, parts: Sequence[PartRef]
    ) -> None:
        """Turn parts into the object."""
        del bucket
        body = parts_body([(part.number, part.etag) for part in parts])
        call = self._of_object("POST", name, f"?uploadId={quote_value(upload_id)}")
        call = call._replace(headers=(_XML,), payload=BytesPayload(body), is_safe=False)
        if error := error_in(self._requests.call(call), call.what):
            raise error

    def abort_upload(self, bucket: BucketRef, name: str, upload_id: str) -> None:
        """Drop an upload and its parts."""
        del bucket
        query = f"?uploadId={quote_value(upload_id)}"
        self._requests.open(self._of_object("DELETE", name, query)).close()

    def _of_bucket(self, method: str, query: str) -> Call:
        target = self._place.bucket_path + query
        return Call(method, target, str(self._bucket), is_bucket=True)

    def _of_object(self, method: str, name: str, query: str = "") -> Call:
        return Call(method, self._place.path(name) + query, self._bucket.object_cname(name))


def _checksum_headers(checksum: Checksum | None) -> Sequence[tuple[str, str]]:
    if checksum is None or checksum.type not in _CHECKSUM_HEADERS:
        return ()
    value = base64.b64encode(bytes.fromhex(checksum.value)).decode()
    return ((_CHECKSUM_HEADERS[checksum.type], value),)


def _range_header(wanted: ByteRange) -> tuple[str, str]:
    end = "" if wanted.length is None else f"{wanted.offset + wanted.length - 1}"
    return ("range", f"bytes={wanted.offset}-{end}")
