"""A large object in parts, so that a copy that was interrupted goes on where it stopped.

The target keeps the parts in an upload, which a later run recognises by a mark in its custom
metadata: size and checksum (or ETag) of the source, and the size of the parts. The object becomes
visible as a whole, after the target has compared it with the checksum of the source.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from aiscli.actions.between.pick import End, carried_custom
from aiscli.actions.transfers.hashing import new_hash
from aiscore.errors import (
    ChecksumMismatchError,
    InvalidArgumentError,
    PreconditionFailedError,
    UnsupportedError,
)
from aiscore.model.byterange import ByteRange
from aiscore.model.checksum import Checksum, ChecksumType
from aiscore.model.multipart import (
    CHUNK_COUNT_MAX,
    CompleteOptions,
    PartOptions,
    PartRef,
    UploadOptions,
)
from aiscore.model.objects import GetOptions

if TYPE_CHECKING:
    from aiscore.model.multipart import PartInfo
    from aiscore.model.objects import ObjectProps
    from aiscore.transport.base import ObjectReader

__all__ = ["MARK", "copy_in_parts", "part_size_of"]

MARK = "copied-from"
"""Custom metadata of an upload; it goes when the object is complete."""


def part_size_of(size: int, part_size: int) -> int:
    """Bytes of each part but the last: `part_size`, or more where the parts would be too many."""
    return max(part_size, -(-size // CHUNK_COUNT_MAX))


def copy_in_parts(
    source: End,
    target: End,
    props: ObjectProps,
    new_name: str,
    *,
    kind: ChecksumType,
    part_size: int,
    on_block: Callable[[], None],
) -> bool:
    """Copy an object, going on from what an earlier run has brought; False if the target cannot.

    Args:
        source: where it is.
        target: where to.
        props: of the source, as it is now.
        new_name: in the target.
        kind: checksum type of the target.
        part_size: bytes of each part but the last.
        on_block: called between blocks; may raise to end the transfer.

    Raises:
        PreconditionFailedError: the source is another object meanwhile.
        ChecksumMismatchError: the target did not get what the source has; its parts are dropped.
    """
    custom = carried_custom(source.bucket, props.custom)
    upload_id = _begin(target, new_name, custom, f"{_identity(props)} {part_size}")
    if upload_id is None:
        return False
    upload = _Upload(source, target, props, new_name, upload_id, kind, on_block)
    try:
        upload.send(part_size)
        upload.complete()
    except (PreconditionFailedError, ChecksumMismatchError, InvalidArgumentError):
        target.transport.abort_upload(target.bucket, new_name, upload_id)
        raise
    target.transport.set_custom(target.bucket, new_name, custom, replace=True)
    return True


def _identity(props: ObjectProps) -> str:
    return f"{props.size} {props.checksum or props.etag or props.version}"


def _begin(target: End, name: str, custom: dict[str, str], mark: str) -> str | None:
    """The id of the upload to go on with, or of a new one; None if the target has no such thing."""
    transport, bucket = target
    try:
        for upload in transport.list_uploads(bucket, name):
            if upload.name == name and upload.custom.get(MARK) == mark:
                return upload.upload_id
        options = UploadOptions(custom={**custom, MARK: mark})
        return transport.create_upload(bucket, name, options)
    except (UnsupportedError, InvalidArgumentError):
        return None  # an InvalidArgumentError: with the mark the metadata is too long


class _Upload:
    """One object on its way."""

    def __init__(
        self,
        source: End,
        target: End,
        props: ObjectProps,
        new_name: str,
        upload_id: str,
        kind: ChecksumType,
        on_block: Callable[[], None],
    ) -> None:
        self._source = source
        self._target = target
        self._props = props
        self._name = new_name
        self._id = upload_id
        self._on_block = on_block
        checksum = props.checksum
        is_real = checksum is not None and checksum.type is not ChecksumType.NONE
        self._checksum = checksum if is_real else None
        # Parts are checked one by one where the whole cannot be.
        self._kind = None if is_real or kind is ChecksumType.NONE else kind
        self._count = 0

    def send(self, part_size: int) -> None:
        """Bring the parts that are not there."""
        transport, bucket = self._target
        have = {p.number: p.size for p in transport.list_parts(bucket, self._name, self._id)}
        size = self._props.size
        self._count = -(-size // part_size)
        for number in range(1, self._count + 1):
            offset = (number - 1) * part_size
            length = min(part_size, size - offset)
            if have.get(number) != length:
                self._send_part(number, ByteRange(offset=offset, length=length))

    def complete(self) -> None:
        """Make the object visible."""
        transport, bucket = self._target
        parts = [PartRef(number=number) for number in range(1, self._count + 1)]
        options = CompleteOptions(checksum=self._checksum)
        transport.complete_upload(bucket, self._name, self._id, parts, options)

    def _send_part(self, number: int, byte_range: ByteRange) -> None:
        source, target = self._source, self._target
        options = GetOptions(byte_range=byte_range)
        with source.transport.open(source.bucket, self._props.name, options) as reader:
            if _identity(reader.props) != _identity(self._props):
                raise PreconditionFailedError(
                    f"{source.bucket.object_cname(self._props.name)} was replaced while it was copied"
                )
            body = _Part(reader, self._kind, self._on_block)
            stored = target.transport.put_part(
                target.bucket,
                self._name,
                self._id,
                number,
                body,
                PartOptions(size=byte_range.length),
            )
        body.check(stored, self._target.bucket.object_cname(self._name))


class _Part:
    """A part of the source as the body of a part; its checksum is made where the source has none."""

    def __init__(
        self, reader: ObjectReader, kind: ChecksumType | None, on_block: Callable[[], None]
    ) -> None:
        self._reader = reader
        self._on_block = on_block
        self._digest = None if kind is None else new_hash(kind)

    def read(self, size: int = -1, /) -> bytes:
        """Up to `size` bytes; b"" at the end."""
        self._on_block()
        block = self._reader.read(size)
        if self._digest is not None:
            self._digest.update(memoryview(block))
        return block

    def check(self, stored: PartInfo, cname: str) -> None:
        """Compare what passed with what the target says that it has."""
        kept, digest = stored.checksum, self._digest
        if kept is not None and digest is not None and digest.hexdigest() != kept.value:
            sent = Checksum(kept.type, digest.hexdigest())
            raise ChecksumMismatchError(
                f"bad checksum of part {stored.number} of {cname}: sent {sent}, stored {kept}"
            )
