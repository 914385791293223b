"""PUT of objects whose body is at hand: one, or several in one transaction."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from aiscore.engine.bodies import blocks_of, check_given, verify
from aiscore.engine.checksum import MultiHasher, checksum_of
from aiscore.engine.commit import ETAG_KEY, SmallCommit, commit_content, commit_group
from aiscore.engine.core import Core
from aiscore.engine.index.buckets import BucketRow
from aiscore.engine.index.objects import ObjectRow
from aiscore.engine.mirror import wanted_copies
from aiscore.engine.objectwriter import ObjectWriter, admit_put, find_same
from aiscore.engine.read import props_of
from aiscore.engine.write import SinglePiece, write_small
from aiscore.model.bucket import BucketRef
from aiscore.model.checksum import Checksum, ChecksumType
from aiscore.model.chunks import is_chunked_at
from aiscore.model.objects import ObjectProps, PutOptions
from aiscore.model.stream import BLOCK_SIZE, Body

__all__ = ["SmallPut", "put_many", "put_object"]

log = logging.getLogger(__name__)


class SmallPut(NamedTuple):
    """What `put_many` is given of each object."""

    bucket: BucketRef
    name: str
    data: bytes
    options: PutOptions


def put_object(
    core: Core, bucket: BucketRef, name: str, body: Body, options: PutOptions
) -> ObjectProps:
    """Store an object. See `Transport.put`."""
    row = admit_put(core, bucket, name, options)
    cname = f"{row.cname}/{name}"
    if options.checksum is not None:
        same = find_same(core, row, name, options)
        if same is not None:
            _drain(options.checksum, body, options.size, cname)
            return props_of(core, same)
        # Decided: the writer does not look a second time.
        options = replace(options, skip_same=False)
    if isinstance(body, bytes) and _is_small(row, body, options):
        commit, content = _write(core, row, name, body, options)
        return props_of(core, _commit(core, commit, content))
    if isinstance(body, bytes | bytearray | memoryview) and options.size is None:
        # Known, so that what is chunked is so from its first byte.
        options = replace(options, size=memoryview(body).nbytes)
    with ObjectWriter(core, row, name, options) as writer:
        for block in blocks_of(body, None, cname):
            writer.write(block)
        return writer.commit()


def put_many(core: Core, puts: Sequence[SmallPut]) -> list[ObjectProps | Exception]:
    """Store several objects: what `put_object` gives for each, or raises; nearly always in one transaction.

    Each object is whole or not there, whatever becomes of the others. When one of them cannot be committed none is, and
    then each by itself.
    """
    results: dict[int, ObjectProps | Exception] = {}
    written: list[tuple[int, SmallCommit, SinglePiece]] = []
    try:
        for number, put in enumerate(puts):
            try:
                found = _write_for_group(core, put)
                if found is None:
                    results[number] = put_object(core, *put)
                else:
                    written.append((number, *found))
            except Exception as exc:
                # One that fails, for whatever reason, is no matter of the others.
                results[number] = exc
        results.update(_commit_all(core, written))
    except BaseException:
        for _, _, content in written:
            content.abort()
        raise
    return [results[number] for number in range(len(puts))]


def _commit_all(
    core: Core, written: Sequence[tuple[int, SmallCommit, SinglePiece]]
) -> list[tuple[int, ObjectProps | Exception]]:
    if len(written) > 1:
        try:
            rows = commit_group(core, [commit for _, commit, _ in written])
        except Exception as exc:
            log.debug("group of %d taken apart: reason=%s", len(written), exc)  # nothing was done
        else:
            return [(written[at][0], props_of(core, row)) for at, row in enumerate(rows)]
    results: list[tuple[int, ObjectProps | Exception]] = []
    for number, commit, content in written:
        try:
            results.append((number, props_of(core, _commit(core, commit, content))))
        except Exception as exc:
            results.append((number, exc))
    return results


def _is_small(bucket: BucketRow, data: bytes, options: PutOptions) -> bool:
    """True for what is one piece, written at once."""
    return (
        len(data) <= BLOCK_SIZE
        and options.size in {None, len(data)}
        and not is_chunked_at(bucket.props.chunks, len(data))
    )


def _write_for_group(core: Core, put: SmallPut) -> tuple[SmallCommit, SinglePiece] | None:
    """Write what can be committed with others; None for what is more than one piece and one row."""
    bucket, name, data, options = put
    row = admit_put(core, bucket, name, options)
    is_compared = options.checksum is not None and options.skip_same
    if is_compared or wanted_copies(row) > 1 or not _is_small(row, data, options):
        return None
    return _write(core, row, name, data, options)


def _write(
    core: Core, bucket: BucketRow, name: str, data: bytes, options: PutOptions
) -> tuple[SmallCommit, SinglePiece]:
    """Verify and write a small body: all of a put but its commit."""
    cname = f"{bucket.cname}/{name}"
    given = options.checksum
    kind = options.compute or bucket.props.checksum.type
    value = checksum_of(kind, data)
    if given is not None and given.type is not ChecksumType.NONE:
        check_given(given, value if given.type is kind else checksum_of(given.type, data), cname)
    custom = options.custom
    if options.md5:
        etag = value if kind is ChecksumType.MD5 else checksum_of(ChecksumType.MD5, data)
        custom = {**custom, ETAG_KEY: etag}
    sync = core.is_durable(bucket)
    content = write_small(core, bucket.uname + name, cname, data, sync=sync)
    checksum = None if kind is ChecksumType.NONE else Checksum(kind, value)
    commit = SmallCommit(bucket, name, content, checksum, custom, options.precondition, sync)
    return commit, content


def _commit(core: Core, commit: SmallCommit, content: SinglePiece) -> ObjectRow:
    try:
        return commit_content(
            core,
            commit.bucket,
            commit.name,
            content,
            checksum=commit.checksum,
            custom=commit.custom,
            precondition=commit.precondition,
            sync=commit.sync,
        )
    except BaseException:
        content.abort()
        raise


def _drain(given: Checksum, body: Body, size: int | None, cname: str) -> None:
    """Read a body that is not needed, and check it all the same."""
    hasher = MultiHasher([given.type])
    for block in blocks_of(body, size, cname):
        hasher.update(block)
    verify(given, hasher, cname)
