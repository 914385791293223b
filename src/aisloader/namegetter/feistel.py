"""An order that is random-like and needs no memory: a keyed Feistel network."""

from functools import lru_cache

import numpy as np

from aisloader.namegetter.base import Indices
from aisloader.streams import U64Array, derive_key

__all__ = ["FeistelOrder"]

_EPOCHS_KEPT = 8
_F1, _F2, _S32 = (
    np.uint64(0xFF51AFD7ED558CCD),
    np.uint64(0xC4CEB9FE1A85EC53),
    np.uint64(32),
)


class FeistelOrder:
    """A keyed Feistel network over the next power of four, walked until the value is an index.

    Random-like: no correlation between neighbours, hits spread as chance spreads them, and every epoch differs in more
    than two numbers.
    """

    label = "unique random-like"

    def __init__(self, count: int, *key: int) -> None:
        self.count = count
        self._key = key
        half = max(1, -(-max(1, (count - 1).bit_length()) // 2))
        self._half = np.uint64(half)
        self._mask = np.uint64((1 << half) - 1)
        self._down = np.uint64(64 - half)
        # Few bits mix slowly; small lists can afford more rounds.
        self._rounds = 4 if half >= 8 else 8
        self._keys = lru_cache(_EPOCHS_KEPT)(self._keys_of)

    def __reduce__(self) -> tuple[type, tuple[int, ...]]:
        return type(self), (self.count, *self._key)

    def at(self, epoch: int, positions: Indices) -> Indices:
        """Indices at `positions` of an epoch."""
        keys = self._keys(epoch)
        value = self._permute(positions.astype(np.uint64), keys)
        outside = np.flatnonzero(value >= self.count)
        while len(outside):
            again = self._permute(value[outside], keys)
            value[outside] = again
            outside = outside[again >= self.count]
        return value.astype(np.int64)

    def _permute(self, value: U64Array, keys: U64Array) -> U64Array:
        left, right = value >> self._half, value & self._mask
        for key in keys:
            mixed = (right ^ key) * _F1
            mixed ^= mixed >> _S32
            mixed *= _F2
            left, right = right, left ^ (mixed >> self._down)
        return left << self._half | right

    def _keys_of(self, epoch: int) -> U64Array:
        return np.array(
            [derive_key(*self._key, epoch, number) for number in range(self._rounds)],
            dtype=np.uint64,
        )
