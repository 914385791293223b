"""The behaviour suite over an AIStore cluster: `AIS_TEST_ENDPOINT=http://HOST:PORT pytest THIS FILE`.

It makes buckets named `suite-…` and destroys them. What changes the cluster itself (disks, configuration) is left out:
a cluster may serve others. Without the variable nothing is collected: the default run has no cluster to test.
"""

import os
from collections.abc import Iterator

import pytest

from aiscore.testing.batch_errors import BatchErrorTests
from aiscore.testing.batch_output import BatchOutputTests
from aiscore.testing.batches import BatchTests
from aiscore.testing.buckets import BucketTests
from aiscore.testing.jobs import JobTests
from aiscore.testing.listing import ListingTests
from aiscore.testing.managing import ManagingTests
from aiscore.testing.reading import ReadingTests
from aiscore.testing.shard_hazards import ShardHazardTests
from aiscore.testing.shard_reads import ShardReadTests
from aiscore.testing.shard_writes import ShardWriteTests
from aiscore.testing.writing import WritingTests
from aiscore.transport import Transport, open_transport

ENDPOINT = os.environ.get("AIS_TEST_ENDPOINT", "")

if ENDPOINT:

    class TestCluster(
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
        JobTests,
    ):
        @pytest.fixture
        def transport(self) -> Iterator[Transport]:
            with open_transport(ENDPOINT) as transport:
                yield transport
