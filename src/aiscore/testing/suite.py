"""The behaviour suite as one class."""

from aiscore.testing.batch_errors import BatchErrorTests
from aiscore.testing.batch_output import BatchOutputTests
from aiscore.testing.batches import BatchTests
from aiscore.testing.buckets import BucketTests
from aiscore.testing.chunks import ChunkTests
from aiscore.testing.jobs import JobTests
from aiscore.testing.listing import ListingTests
from aiscore.testing.loaded import LoadTests
from aiscore.testing.managing import ManagingTests
from aiscore.testing.mirroring import MirrorTests
from aiscore.testing.multipart import MultipartTests
from aiscore.testing.reading import ReadingTests
from aiscore.testing.rechunk import RechunkTests
from aiscore.testing.shard_hazards import ShardHazardTests
from aiscore.testing.shard_reads import ShardReadTests
from aiscore.testing.shard_writes import ShardWriteTests
from aiscore.testing.store import StoreTests
from aiscore.testing.writing import WritingTests

__all__ = ["TransportSuite"]


class TransportSuite(
    BucketTests,
    WritingTests,
    ReadingTests,
    ManagingTests,
    ListingTests,
    ShardWriteTests,
    ShardReadTests,
    ShardHazardTests,
    BatchTests,
    BatchErrorTests,
    BatchOutputTests,
    ChunkTests,
    MultipartTests,
    RechunkTests,
    JobTests,
    LoadTests,
    MirrorTests,
    StoreTests,
):
    """What every transport does. A subclass whose name begins with `Test` gives the `transport` fixture.

    It may give `bucket` too, an empty bucket; otherwise one is made for each test and destroyed
    after it.
    """
