"""One object on its way in, pushed block by block: what `put` is a loop over, and what a server feeds from a socket.

A writer is bound to no thread: each call may come from another one, as long as one call ends before the next begins,
and any number of writers may be open on one thread. Between calls it holds a file, and nothing of the index.
"""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Self

from aiscore.engine.bodies import verify
from aiscore.engine.checkpoint import Checkpoints
from aiscore.engine.commit import ETAG_KEY, commit_content
from aiscore.engine.core import Core
from aiscore.engine.index.buckets import BucketRow
from aiscore.engine.index.objects import ObjectRow, select_object
from aiscore.engine.read import open_content, props_of, verify_content
from aiscore.engine.write import writer_for
from aiscore.errors import CorruptionError, InvalidArgumentError, NotFoundError
from aiscore.model.access import Access
from aiscore.model.bucket import BucketRef
from aiscore.model.checksum import ChecksumType
from aiscore.model.names import check_object_name
from aiscore.model.objects import ObjectProps, PutOptions, check_custom

__all__ = ["ObjectWriter", "admit_put", "find_same"]


def admit_put(core: Core, bucket: BucketRef, name: str, options: PutOptions) -> BucketRow:
    """Check all of a put that can be checked before its body is looked at; the bucket.

    Raises:
        InvalidNameError: the name is not one.
        BucketNotFoundError: the bucket does not exist.
        AccessDeniedError: its mask forbids it.
        CapacityExceededError: no space.
        InvalidArgumentError: custom metadata is malformed or too long.
    """
    check_object_name(name)
    row = core.bucket(bucket, Access.PUT)
    core.admit_write()
    if options.custom:
        check_custom(options.custom)
    return row


def find_same(core: Core, bucket: BucketRow, name: str, options: PutOptions) -> ObjectRow | None:
    """The object as it is, if a body with `options.checksum` would change nothing of it.

    Its content is read and compared: what is damaged is not the same, and is mended by being written anew.
    """
    given = options.checksum
    if given is None or not options.skip_same or options.precondition is not None:
        return None
    old = select_object(core.connection(), bucket.id, name)
    if old is None or (old.checksum_type, old.checksum) != (given.type, given.value):
        return None
    if options.custom and (json.loads(old.custom) if old.custom else {}) != dict(options.custom):
        return None
    try:
        row, content = open_content(core, bucket, name)
        try:
            verify_content(row, content, bucket.bucket.object_cname(name))
        finally:
            content.close()
    except (CorruptionError, NotFoundError):
        return None
    return old if row.generation == old.generation else None


class ObjectWriter:
    """Takes a body and commits it whole, or leaves nothing. A context manager, which aborts what was not committed.

    Spent after `commit`, after `abort`, and after any error of either `write` or `commit`.
    """

    def __init__(self, core: Core, bucket: BucketRow, name: str, options: PutOptions) -> None:
        """Begin what `admit_put` admitted; no file is made before the first block."""
        given = options.checksum
        self._core = core
        self._bucket = bucket
        self._name = name
        self._options = options
        self._cname = f"{bucket.cname}/{name}"
        self._kind = options.compute or bucket.props.checksum.type
        self._sync = core.is_durable(bucket)
        self._is_open = True
        kinds = {self._kind} if given is None else {self._kind, given.type}
        if options.md5:
            kinds.add(ChecksumType.MD5)
        chunks = bucket.props.chunks
        checkpoints = None
        if chunks.checkpoint_every:
            checkpoints = Checkpoints(
                core,
                bucket,
                name,
                options.custom,
                self._kind,
                every=chunks.checkpoint_every,
                sync=self._sync,
            )
        self._content = writer_for(
            core,
            bucket,
            name,
            kinds,
            piece_checksum=self._kind,
            size=options.size,
            sync=self._sync,
            checkpoints=checkpoints,
        )

    @property
    def is_durable(self) -> bool:
        """True when `commit` waits for the disk."""
        return self._sync

    @property
    def size(self) -> int:
        """Bytes taken so far."""
        return self._content.size

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Take one block; it may be changed when this returns, unless it is `bytes`.

        Raises:
            InvalidArgumentError: the body is longer than announced, or the writer is spent.
            CapacityExceededError: no space.
            StorageError: the disk refused.
        """
        self._check_open()
        content = self._content
        announced = self._options.size
        try:
            if announced is not None and content.size + len(data) > announced:
                raise InvalidArgumentError(
                    f"the body of {self._cname} is longer than the {announced} bytes that were announced"
                )
            content.write(data)
        except BaseException:
            self.abort()
            raise

    def commit(self, custom: Mapping[str, str] | None = None) -> ObjectProps:
        """Make the object visible; on an error nothing of it stays.

        Args:
            custom: custom metadata besides that of the options: what is known only when the body is whole.

        Raises:
            ChecksumMismatchError: the body does not have the checksum that came with it.
            InvalidArgumentError: it is shorter than announced, or the writer is spent.
            PreconditionFailedError: the precondition does not hold now.
            BucketNotFoundError: the bucket was removed meanwhile.
        """
        self._check_open()
        try:
            if custom:
                merged = check_custom({**self._options.custom, **custom})
                self._options = replace(self._options, custom=merged)
            committed = self._commit()
        except BaseException:
            self.abort()
            raise
        self._is_open = False
        return props_of(self._core, committed)

    def abort(self) -> None:
        """Remove what was written; safe to repeat, and after `commit`."""
        if self._is_open:
            self._is_open = False
            self._content.abort()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.abort()

    def _commit(self) -> ObjectRow:
        content = self._content
        options = self._options
        announced = options.size
        if announced is not None and content.size != announced:
            raise InvalidArgumentError(
                f"the body of {self._cname} has {content.size} bytes, {announced} were announced"
            )
        content.finish()
        verify(options.checksum, content.hasher, self._cname)
        same = find_same(self._core, self._bucket, self._name, options)
        if same is not None:
            content.abort()
            return same
        custom = options.custom
        if options.md5:
            custom = {**custom, ETAG_KEY: content.hasher.value(ChecksumType.MD5)}
        return commit_content(
            self._core,
            self._bucket,
            self._name,
            content,
            checksum=content.hasher.checksum(self._kind),
            custom=custom,
            precondition=options.precondition,
            upload=content.upload,
            sync=self._sync,
        )

    def _check_open(self) -> None:
        if not self._is_open:
            raise InvalidArgumentError(f"the writer of {self._cname} is spent")
