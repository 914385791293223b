"""Fixtures that the parts of the suite share."""

from collections.abc import Iterator, Mapping
from uuid import uuid4

import pytest

from aiscore.errors import BucketNotFoundError
from aiscore.model.bucket import GLOBAL_NAMESPACE, BucketRef, Namespace
from aiscore.transport.base import Transport

__all__ = ["BucketFactory", "Fixtures"]


class BucketFactory:
    """Makes buckets with names that are free in any store, and destroys them at the end of the test."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._made: list[BucketRef] = []

    def reserve(self, namespace: Namespace = GLOBAL_NAMESPACE) -> BucketRef:
        """A bucket that does not exist yet."""
        ref = BucketRef(f"suite-{uuid4().hex[:12]}", namespace=namespace)
        self._made.append(ref)
        return ref

    def create(self, changes: Mapping[str, str] | None = None) -> BucketRef:
        """An empty bucket with these property changes."""
        ref = self.reserve()
        self._transport.create_bucket(ref, changes)
        return ref

    def keep(self, ref: BucketRef) -> BucketRef:
        """Destroy this one as well."""
        self._made.append(ref)
        return ref

    def destroy(self) -> None:
        """Destroy what is left."""
        for ref in self._made:
            try:
                self._transport.destroy_bucket(ref)
            except BucketNotFoundError:
                continue


class Fixtures:
    """What the tests take."""

    @pytest.fixture
    def transport(self) -> Iterator[Transport]:
        """The transport to test."""
        raise NotImplementedError("a suite gives its own transport fixture")

    @pytest.fixture
    def buckets(self, transport: Transport) -> Iterator[BucketFactory]:
        """A factory of buckets."""
        factory = BucketFactory(transport)
        yield factory
        factory.destroy()

    @pytest.fixture
    def bucket(self, buckets: BucketFactory) -> BucketRef:
        """An empty bucket."""
        return buckets.create()
