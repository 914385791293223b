"""PermShuffle: a Fisher-Yates shuffle for every epoch.

Theory of operation. A shuffle of many names spends its time waiting for memory: each of its swaps is somewhere else.
So long lists are shuffled in two steps, as by Rao (1961) and Sandelius (1962). Every index draws one of a few parts,
each as likely as the others; the parts are written one behind the other; then each part, which a processor's cache
holds, gets a Fisher-Yates shuffle. Which indices are in a part, and their order in it, are both uniform and independent
of each other, so every order of the whole is as likely as any other.
"""

import numpy as np
import numpy.typing as npt

from aisloader.namegetter.table import Table, TableOrder
from aisloader.streams import derive_key

__all__ = ["PART_INDICES", "WHOLE_MAX", "ShuffleOrder"]

WHOLE_MAX = 1 << 19
"""Indices up to which the list is shuffled as a whole: caches hold it."""
PART_INDICES = 1 << 16
"""Indices in a part, about: half a mebibyte while they are shuffled."""
PART_COUNT_MAX = 256
"""Parts that a byte can name."""
_BLOCK = 1 << 16
"""Indices dealt out at a time, for the same reason."""


class ShuffleOrder(TableOrder):
    """PermShuffle: a Fisher-Yates shuffle of 32-bit indices, from a generator that the epoch keys."""

    label = "unique sequential"

    def _build(self, epoch: int) -> Table:
        key = [derive_key(*self._key, epoch, part) for part in range(2)]
        random = np.random.Generator(np.random.SFC64(key))
        table = np.arange(self.count, dtype=np.uint32)
        if self.count <= WHOLE_MAX:
            random.shuffle(table)
            return table
        parts = 2
        while parts < PART_COUNT_MAX and parts * PART_INDICES < self.count:
            parts *= 2
        draws = random.integers(parts, size=self.count, dtype=np.uint8)
        for part in np.split(table, _deal(table, draws, parts)):
            # Eight bytes an index: for that width numpy has a quicker way to swap.
            shuffled = part.astype(np.int64)
            random.shuffle(shuffled)
            part[:] = shuffled
        return table


def _deal(table: Table, draws: npt.NDArray[np.uint8], parts: int) -> list[int]:
    """Write the indices into `table` part by part; where the second part begins, the third, and so on."""
    blocks = [draws[first : first + _BLOCK] for first in range(0, len(draws), _BLOCK)]
    counts = np.array([np.bincount(block, minlength=parts) for block in blocks])
    begins = np.cumsum(counts.sum(axis=0))[:-1].tolist()
    ends = [0, *begins]
    for number, block in enumerate(blocks):
        dealt = np.argsort(block, kind="stable") + number * _BLOCK
        taken = 0
        for part, count in enumerate(counts[number].tolist()):
            end = ends[part]
            table[end : end + count] = dealt[taken : taken + count]
            ends[part] = end + count
            taken += count
    return [int(begin) for begin in begins]
