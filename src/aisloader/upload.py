"""Multipart PUT over a transport: create, parts in parallel, complete; abort when any of it fails."""

from concurrent.futures import Executor
from contextlib import suppress

from aiscore.errors import AisError
from aiscore.model.bucket import BucketRef
from aiscore.model.multipart import PartOptions, PartRef
from aiscore.transport.base import Transport
from aisloader.content import Made
from aisloader.payload import part_bounds

__all__ = ["put_in_parts"]


def put_in_parts(
    transport: Transport,
    bucket: BucketRef,
    name: str,
    made: Made,
    chunks: int,
    pool: Executor,
) -> None:
    """Store an object of one byte at least in `chunks` parts.

    Raises:
        AisError: any request failed; the upload is aborted.
    """
    upload_id = transport.create_upload(bucket, name)
    futures = []
    try:
        for number, (begin, end) in enumerate(part_bounds(made.size, chunks), 1):
            body, options = made.part(begin, end), PartOptions(size=end - begin)
            futures.append(
                pool.submit(transport.put_part, bucket, name, upload_id, number, body, options)
            )
        parts = [future.result() for future in futures]
        references = [PartRef(number=part.number, etag=part.etag) for part in parts]
        transport.complete_upload(bucket, name, upload_id, references)
    except BaseException:
        for future in futures:
            future.cancel()
        for future in futures:
            if not future.cancelled():
                future.exception()  # a part that is still on its way reads the buffer
        with suppress(AisError):
            transport.abort_upload(bucket, name, upload_id)
        raise
