"""Layout of an object in chunks: how large they are for a given size, and what a rechunk job does about those it finds.

Pure rules, shared by PUT, copy and rechunk, so that an object that one of them wrote conforms for the others.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from aiscore.errors import InvalidArgumentError
from aiscore.model.multipart import CHUNK_COUNT_MAX
from aiscore.model.names import check_prefix
from aiscore.model.policies import ChunksPolicy

__all__ = [
    "ChunkInfo",
    "RechunkOptions",
    "RechunkResult",
    "chunk_size_for",
    "conforms",
    "is_chunked_at",
    "policy_of",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkInfo:
    """One chunk of an object: number from 1, place in the content, and where it is stored (`t[NODE]:mp[PATH]`)."""

    number: int
    offset: int
    size: int
    location: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RechunkOptions:
    """What a rechunk job does.

    Attributes:
        objsize_limit: bytes from which objects are chunked, 0 to make them whole again; None takes the bucket's.
        chunk_size: bytes of a chunk; None takes the bucket's.
        prefix: only names that start with it.
        dry_run: count, change nothing.
        bandwidth: bytes a second that are rewritten at most; 0 is no limit.
    """

    objsize_limit: int | None = None
    chunk_size: int | None = None
    prefix: str = ""
    dry_run: bool = False
    bandwidth: int = 0

    def __post_init__(self) -> None:
        check_prefix(self.prefix)
        if self.chunk_size is not None and self.chunk_size <= 0:
            raise InvalidArgumentError(f"invalid chunk size {self.chunk_size}: must be positive")
        if self.objsize_limit is not None and self.objsize_limit < 0:
            raise InvalidArgumentError(
                f"invalid objsize limit {self.objsize_limit}: must not be negative"
            )
        if self.bandwidth < 0:
            raise InvalidArgumentError(f"invalid bandwidth {self.bandwidth}: must not be negative")


@dataclass(frozen=True, slots=True, kw_only=True)
class RechunkResult:
    """Outcome of a rechunk job, or what it would do.

    Attributes:
        objects: objects looked at.
        size: bytes of them.
        chunked: objects rewritten in chunks.
        chunked_size: bytes of them.
        restored: objects rewritten as one piece.
        restored_size: bytes of them.
        overtaken: objects that were to be rewritten, and were replaced or deleted meanwhile.
    """

    objects: int = 0
    size: int = 0
    chunked: int = 0
    chunked_size: int = 0
    restored: int = 0
    restored_size: int = 0
    overtaken: int = 0

    @property
    def skipped(self) -> int:
        """Objects that were as they should be."""
        return self.objects - self.chunked - self.restored - self.overtaken


def is_chunked_at(policy: ChunksPolicy, size: int) -> bool:
    """True if an object of this many bytes is stored in chunks."""
    return 0 < policy.objsize_limit <= size or size > policy.max_monolithic_size


def chunk_size_for(policy: ChunksPolicy, size: int | None) -> int:
    """Bytes of every chunk but the last; for a monolithic object, what it may have.

    Chunks grow where `CHUNK_COUNT_MAX` of the configured ones would not hold the object, and are never larger than one
    file may be. The size may be unknown: then an object that is chunked at any size is expected.
    """
    if size is None:
        is_chunked = policy.is_auto
    else:
        is_chunked = is_chunked_at(policy, size)
    if not is_chunked:
        return policy.max_monolithic_size
    least = -(-(size or 0) // CHUNK_COUNT_MAX)
    return min(max(policy.chunk_size, least), policy.max_monolithic_size)


def conforms(policy: ChunksPolicy, sizes: Sequence[int]) -> bool:
    """True if an object whose chunks have these sizes is laid out as the policy has it."""
    total = sum(sizes)
    if not is_chunked_at(policy, total):
        return len(sizes) == 1
    chunk_size = chunk_size_for(policy, total)
    return all(size == chunk_size for size in sizes[:-1]) and 0 < sizes[-1] <= chunk_size


def policy_of(bucket: ChunksPolicy, options: RechunkOptions) -> ChunksPolicy:
    """The bucket's policy with what the options say instead.

    Raises:
        InvalidArgumentError: a size is out of bounds.
    """
    changed = replace(
        bucket,
        objsize_limit=bucket.objsize_limit
        if options.objsize_limit is None
        else options.objsize_limit,
        chunk_size=bucket.chunk_size if options.chunk_size is None else options.chunk_size,
    )
    changed.validate("chunks")
    return changed
