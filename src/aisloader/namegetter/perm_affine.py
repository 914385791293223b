"""PermAffinePrime: the order without memory that AIStore's own loader has."""

from functools import lru_cache

import numpy as np

from aisloader.namegetter.base import Indices
from aisloader.namegetter.primes import next_prime
from aisloader.streams import derive_key

__all__ = ["AFFINE_COUNT_MIN", "AffineOrder"]

AFFINE_COUNT_MIN = 11
"""Fewer names are shuffled: an arithmetic progression among ten is no order worth the name."""

_EPOCHS_KEPT = 8
_INT64 = 1 << 63


class AffineOrder:
    """PermAffinePrime: position k of an epoch has (b + a*k) mod p, where that is below n.

    p is the smallest prime of at least n, and a and b are drawn for each epoch. As a is not 0 and p is prime, every
    residue occurs once. The p - n residues that are no index are left out; as it is known where they fall, the index at
    any position is found without walking there.

    The order spreads over the list far more evenly than chance would, and in a few epochs (a near 0, p, p/2, p/3) it
    is nearly sequential: caches look better than under random access. `FeistelOrder` has neither property.
    """

    label = "unique epoch-based"

    def __init__(self, count: int, *key: int) -> None:
        self.count = count
        self.prime = next_prime(count)
        self._key = key
        self.factors = lru_cache(_EPOCHS_KEPT)(self._factors)
        self._gaps = lru_cache(_EPOCHS_KEPT)(self._gaps_of)

    def __reduce__(self) -> tuple[type, tuple[int, ...]]:
        return type(self), (self.count, *self._key)

    def at(self, epoch: int, positions: Indices) -> Indices:
        """Indices at `positions` of an epoch."""
        if not len(positions):
            return positions.copy()
        gaps = self._gaps(epoch)
        low, high = int(positions.min()), int(positions.max())
        before, until = np.searchsorted(gaps, (low, high), side="right").tolist()
        first = low + before
        steps = positions - low
        if before != until:  # a residue that is no index falls among them
            steps += np.searchsorted(gaps, positions, side="right") - before
        a, b = self.factors(epoch)
        base = (b + a * first) % self.prime
        if a * (high - low + until - before) + base < _INT64:
            steps *= a
            steps += base
            steps %= self.prime
            return steps
        # Exact whatever the size; only beyond 10**11 names.
        return np.array([(base + a * k) % self.prime for k in steps.tolist()], dtype=np.int64)

    def _factors(self, epoch: int) -> tuple[int, int]:
        """The epoch's a in 1..p-1 and b in 0..p-1; 128 random bits each leave no bias."""
        halves = [derive_key(*self._key, epoch, part) for part in range(4)]
        a = 1 + (halves[0] << 64 | halves[1]) % (self.prime - 1)
        return a, (halves[2] << 64 | halves[3]) % self.prime

    def _gaps_of(self, epoch: int) -> Indices:
        """For each residue that is no index, in order of occurrence: the position before which it would fall."""
        a, b = self.factors(epoch)
        inverse = pow(a, -1, self.prime)
        steps = sorted(
            (value - b) * inverse % self.prime for value in range(self.count, self.prime)
        )
        return np.array(steps, dtype=np.int64) - np.arange(len(steps), dtype=np.int64)
