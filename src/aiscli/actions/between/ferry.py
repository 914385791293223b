"""One object from a store to another, whole or not at all, and proven to be the same at the other end.

The target is given the checksum that the source keeps, and compares it with what arrives before the
object becomes visible: nothing on the way, here included, can change a byte unnoticed. Where only one
of the two keeps checksums, the content is checked as it passes.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from aiscli.actions.between.pick import End, Known, Verdict, Work, carried_custom
from aiscli.actions.transfers.hashing import Hash, check_content, new_hash
from aiscore.errors import (
    AisError,
    BusyError,
    ChecksumMismatchError,
    CorruptionError,
    ObjectNotFoundError,
    PreconditionFailedError,
    ThrottledError,
    TransportError,
    UnavailableError,
)
from aiscore.model.checksum import Checksum, ChecksumType
from aiscore.model.objects import PutOptions
from aiscore.model.stream import BLOCK_SIZE

if TYPE_CHECKING:
    from aiscore.model.objects import ObjectProps
    from aiscore.transport.base import ObjectReader

__all__ = ["PART_SIZE", "RECHECK_SIZE_MIN", "RESUME_SIZE_MIN", "TRIES", "Ferry"]

RESUME_SIZE_MIN = 256 << 20
"""Bytes from which an object is copied in parts: what is smaller is soon sent again."""
PART_SIZE = 64 << 20
"""Bytes of a part; what an interrupted copy loses at most."""
TRIES = 3
"""How often an object is begun that changes, or whose connection breaks, while it is copied."""
RECHECK_SIZE_MIN = 1 << 20
"""Bytes from which the source is looked at again after the copy: what is smaller passes in one piece."""
_PAUSE_S = 0.5


class Ferry:
    """Copies objects of one bucket into another; shared by threads."""

    def __init__(
        self,
        source: End,
        target: End,
        on_block: Callable[[], None],
        *,
        resume_size_min: int = RESUME_SIZE_MIN,
        part_size: int = PART_SIZE,
    ) -> None:
        """Look at the target.

        Args:
            source: bucket to read.
            target: bucket to write; it exists.
            on_block: called between blocks; may raise to end the transfer.
            resume_size_min: bytes from which an object goes in parts.
            part_size: bytes of such a part.
        """
        self._resume_size_min = resume_size_min
        self._part_size = part_size
        self._source = source
        self._target = target
        self._on_block = on_block
        props = target.transport.head_bucket(target.bucket)
        self._kind = ChecksumType(props.checksum.type)
        self._has_parts = True

    def do(self, work: Work) -> bool:
        """What the work asks for; False when the content turned out to be there already.

        Raises:
            AisError: nothing has changed in the target.
        """
        if work.reason == Verdict.UNKNOWN and self._is_there(work):
            self._set_custom(work)
            return False
        if work.reason == Verdict.METADATA:
            self._set_custom(work)
            return True
        self.copy(work.name, work.new_name)
        return True

    def copy(self, name: str, new_name: str) -> None:
        """Copy an object; one that changes meanwhile is copied again.

        Raises:
            BusyError: it did not stop changing; what was copied is one of its contents, whole.
            ObjectNotFoundError: the source does not have it.
            ChecksumMismatchError: what arrived is not what was sent.
            CorruptionError: what the source has is damaged.
        """
        source, target = self._source, self._target
        if source.transport is target.transport:
            source.transport.copy(source.bucket, name, target.bucket, new_name)
            return
        for left in reversed(range(TRIES)):
            try:
                taken = self._once(name, new_name)
            except PreconditionFailedError:
                if left:
                    continue
                raise self._restless(name) from None
            except (TransportError, ThrottledError, UnavailableError) as error:
                if not left or not error.retryable:
                    raise
                time.sleep(_PAUSE_S * (TRIES - left))
                continue
            except ChecksumMismatchError as error:
                raise self._explained(name, error) from error
            if taken.size < RECHECK_SIZE_MIN or self._is_still(taken):
                return
        raise self._restless(name)

    def _once(self, name: str, new_name: str) -> ObjectProps:
        source = self._source
        with source.transport.open(source.bucket, name) as reader:
            props = reader.props
            if not self._has_parts or props.size < self._resume_size_min:
                self._send(reader, new_name)
                return props
        # Parts are opened one by one: a reader that waits for them would keep a connection busy.
        if not self._in_parts(props, new_name):
            self._has_parts = False
            return self._once(name, new_name)
        return props

    def _send(self, reader: ObjectReader, new_name: str) -> None:
        target, props = self._target, reader.props
        checksum = _real(props.checksum)
        custom = carried_custom(self._source.bucket, props.custom)
        options = PutOptions(
            size=props.size, checksum=checksum, custom=custom, skip_same=not custom
        )
        body = _Passing(reader, self._hash_for(checksum), checksum, self._on_block)
        # What is small can be sent again, as a whole, when a connection breaks.
        sent = body.read_all() if props.size <= BLOCK_SIZE else body
        stored = target.transport.put(target.bucket, new_name, sent, options)
        self._check_stored(new_name, stored, body)

    def _in_parts(self, props: ObjectProps, new_name: str) -> bool:
        from aiscli.actions.between.parts import copy_in_parts, part_size_of

        return copy_in_parts(
            self._source,
            self._target,
            props,
            new_name,
            kind=self._kind,
            part_size=part_size_of(props.size, self._part_size),
            on_block=self._on_block,
        )

    def _hash_for(self, checksum: Checksum | None) -> Hash | None:
        """A checksum to make here; None where both ends have one."""
        if checksum is None:
            return None if self._kind is ChecksumType.NONE else new_hash(self._kind)
        return new_hash(checksum.type) if self._kind is ChecksumType.NONE else None

    def _check_stored(self, new_name: str, stored: ObjectProps, body: _Passing) -> None:
        """Where the source keeps no checksum, compare that of the target with what passed."""
        kept = _real(stored.checksum)
        if body.expected is not None or body.digest is None or kept is None:
            return
        if kept.value != body.digest.hexdigest():
            target = self._target
            target.transport.delete(target.bucket, new_name)
            raise ChecksumMismatchError(
                f"bad checksum of {target.bucket.object_cname(new_name)}: sent "
                f"{kept.type}[{body.digest.hexdigest()}], stored {kept}: removed"
            )

    def _is_still(self, taken: ObjectProps) -> bool:
        """True when the source has the content that was taken, or nothing any more."""
        try:
            now = self._source.transport.head(self._source.bucket, taken.name)
        except ObjectNotFoundError:
            return True
        if taken.etag and now.etag:
            return taken.etag == now.etag
        return (taken.version, taken.size, taken.checksum) == (now.version, now.size, now.checksum)

    def _restless(self, name: str) -> BusyError:
        return BusyError(
            f"{self._source.bucket.object_cname(name)} changed each of {TRIES} times it was copied",
            hint="run it again when nothing writes it",
        )

    def _explained(self, name: str, error: ChecksumMismatchError) -> AisError:
        """Whether the source is damaged, or the way: read once more, and compare here."""
        source = self._source
        try:
            with source.transport.open(source.bucket, name) as reader:
                checksum = _real(reader.props.checksum)
                if checksum is None:
                    return error
                body = _Passing(reader, new_hash(checksum.type), checksum, self._on_block)
                for _ in body:
                    pass
        except CorruptionError as damaged:
            return damaged
        except AisError:
            return error
        return error

    def _is_there(self, work: Work) -> bool:
        """Whether the content of the source has the checksum that the target has."""
        expected = _real(work.checksum)
        if expected is None:
            return False
        digest = new_hash(expected.type)
        with self._source.transport.open(self._source.bucket, work.name) as reader:
            for block in reader:
                self._on_block()
                digest.update(memoryview(block))
        return digest.hexdigest() == expected.value

    def _set_custom(self, work: Work) -> None:
        """Give the target the custom metadata of the source, if it has another.

        Both are looked up: what AIStore's listings tell of custom metadata is ambiguous.
        """
        source, target = self._source, self._target
        found = Known.of(source.transport.head(source.bucket, work.name))
        custom = carried_custom(source.bucket, found.custom)
        if Known.of(target.transport.head(target.bucket, work.new_name)).custom != custom:
            target.transport.set_custom(target.bucket, work.new_name, custom, replace=True)


class _Passing:
    """A reader as the body of a PUT: content is checked here, where the target cannot."""

    def __init__(
        self,
        reader: ObjectReader,
        digest: Hash | None,
        expected: Checksum | None,
        on_block: Callable[[], None],
    ) -> None:
        self._reader = reader
        self._on_block = on_block
        self._cname = reader.props.name
        self.digest = digest
        self.expected = expected
        self._is_checked = False

    def read(self, size: int = -1, /) -> bytes:
        """Up to `size` bytes; b"" at the end.

        Raises:
            CorruptionError: at the end, when the whole has not the checksum that the source keeps.
        """
        self._on_block()
        block = self._reader.read(size)
        if self.digest is not None:
            self.digest.update(memoryview(block))
            if not block and self.expected is not None and not self._is_checked:
                self._is_checked = True
                check_content(self.digest, self.expected, self._cname)
        return block

    def read_all(self) -> bytes:
        """The whole, which is not long."""
        parts = list(self)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def __iter__(self) -> _Passing:
        return self

    def __next__(self) -> bytes:
        block = self.read(BLOCK_SIZE)
        if not block:
            raise StopIteration
        return block


def _real(checksum: Checksum | None) -> Checksum | None:
    return None if checksum is None or checksum.type is ChecksumType.NONE else checksum
