"""One of many files as a multipart upload: its parts one after the other, because other files go beside it."""

from contextlib import suppress

from aiscli.actions.transfers.slices import FileSlice
from aiscli.actions.transfers.upload import Upload
from aiscore.errors import AisError, InvalidArgumentError
from aiscore.model.bucket import ObjectUri
from aiscore.model.checksum import Checksum
from aiscore.model.multipart import (
    CHUNK_COUNT_MAX,
    CompleteOptions,
    PartOptions,
    PartRef,
    UploadOptions,
)
from aiscore.model.objects import ObjectProps
from aiscore.transport.base import Transport

__all__ = ["upload_in_turn"]


def upload_in_turn(
    transport: Transport, uri: ObjectUri, path: str, how: Upload, checksum: Checksum | None
) -> ObjectProps:
    """Store a file in parts of `how.chunk_size`; a failure leaves nothing of them.

    Raises:
        BusyError: the file changed while it was read.
        InvalidArgumentError: it would have too many parts.
        OSError: the file cannot be read.
    """
    bucket, name, chunk_size = uri.bucket, uri.name, how.chunk_size
    assert chunk_size is not None
    with FileSlice(path) as whole:
        count = -(-whole.size // chunk_size)
        if count > CHUNK_COUNT_MAX:
            raise InvalidArgumentError(
                f'--chunk-size {chunk_size} makes {count} parts of "{path}", the limit is {CHUNK_COUNT_MAX}'
            )
        upload_id = transport.create_upload(bucket, name, UploadOptions(custom=how.custom))
        try:
            parts = []
            for number in range(1, count + 1):
                offset = (number - 1) * chunk_size
                with FileSlice(path, offset, min(chunk_size, whole.size - offset)) as body:
                    body.on_block = lambda _: how.on_block()
                    options = PartOptions(size=body.size)
                    part = transport.put_part(bucket, name, upload_id, number, body, options)
                parts.append(PartRef(number=number, etag=part.etag))
            whole.check_unchanged()
            return transport.complete_upload(
                bucket, name, upload_id, parts, CompleteOptions(checksum=checksum)
            )
        except BaseException:
            with suppress(AisError):
                transport.abort_upload(bucket, name, upload_id)
            raise
