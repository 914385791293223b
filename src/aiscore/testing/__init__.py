"""Test kit: the behaviour suite that every transport passes. Needs pytest.

    class TestMyTransport(TransportSuite):
        @pytest.fixture
        def transport(self) -> Iterator[Transport]:
            with open_my_transport() as transport:
                yield transport

`aiscore.testing.strategies` has hypothesis strategies for names and content; nothing else here
needs hypothesis.
"""

import pytest

# Before the modules are imported: a failed assertion then shows its operands, as in a test module.
pytest.register_assert_rewrite(
    "aiscore.testing.batches",
    "aiscore.testing.batch_errors",
    "aiscore.testing.batch_output",
    "aiscore.testing.buckets",
    "aiscore.testing.chunks",
    "aiscore.testing.expect",
    "aiscore.testing.listing",
    "aiscore.testing.loaded",
    "aiscore.testing.managing",
    "aiscore.testing.mirroring",
    "aiscore.testing.multipart",
    "aiscore.testing.reading",
    "aiscore.testing.rechunk",
    "aiscore.testing.shard_hazards",
    "aiscore.testing.shard_reads",
    "aiscore.testing.shard_writes",
    "aiscore.testing.store",
    "aiscore.testing.writing",
)

from aiscore.testing.content import pattern  # noqa: E402
from aiscore.testing.fixtures import BucketFactory  # noqa: E402
from aiscore.testing.suite import TransportSuite  # noqa: E402

__all__ = ["BucketFactory", "TransportSuite", "pattern"]
