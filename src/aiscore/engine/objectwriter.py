"""One object on its way in, pushed block by block: what `put` is a loop over, and what a server feeds from a socket.

A writer is bound to no thread: each call may come from another one, as long as one call ends before the next begins,
and any number of writers may be open on one thread. Between calls it holds a file, and nothing of the index.
"""

import json
from collections.abc import Mapping
from dataclasses import replace

from aiscore.engine.bodies import verify
from aiscore.engine.checkpoint import Checkpoints
from aiscore.engine.commit import ETAG_KEY, commit_content
from aiscore.engine.core import Core
from aiscore.engine.index.buckets import BucketRow
from aiscore.engine.index.objects import ObjectRow, select_object
from aiscore.engine.pushed import PushedBody
from aiscore.engine.read import open_content, props_of
from aiscore.engine.verify import verify_content
from aiscore.engine.write import writer_for
from aiscore.errors import CorruptionError, NotFoundError
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


class ObjectWriter(PushedBody[ObjectRow]):
    """Takes an object. See `PushedBody`."""

    def __init__(self, core: Core, bucket: BucketRow, name: str, options: PutOptions) -> None:
        """Begin what `admit_put` admitted; no file is made before the first block."""
        given = options.checksum
        self._core = core
        self._bucket = bucket
        self._name = name
        self._options = options
        self._kind = options.compute or bucket.props.checksum.type
        sync = core.is_durable(bucket)
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
                sync=sync,
            )
        content = writer_for(
            core,
            bucket,
            name,
            kinds,
            hash_pieces=self._kind is not ChecksumType.NONE,
            size=options.size,
            sync=sync,
            checkpoints=checkpoints,
        )
        super().__init__(f"{bucket.cname}/{name}", content, options.size, sync=sync)

    def commit(self, custom: Mapping[str, str] | None = None) -> ObjectProps:
        """Make the object visible; on an error nothing of it stays.

        Args:
            custom: custom metadata besides that of the options: what is known only when the body is whole.

        Raises:
            ChecksumMismatchError: the body does not have the checksum that came with it.
            InvalidArgumentError: it is shorter than announced, `custom` is malformed, or the writer is spent.
            PreconditionFailedError: the precondition does not hold now.
            BucketNotFoundError: the bucket was removed meanwhile.
        """
        if custom:
            self._options = replace(self._options, custom={**self._options.custom, **custom})
        return props_of(self._core, self._settle())

    def _record(self) -> ObjectRow:
        content = self._content
        options = self._options
        check_custom(options.custom)
        content.finish()
        verify(options.checksum, content.hasher, self.what)
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
