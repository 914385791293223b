"""RandomUnique and RandomUniqueIter: draw until a name is one that the epoch has not had."""

import numpy as np

from aisloader.namegetter.table import Table, TableOrder
from aisloader.streams import Stream

__all__ = ["UniqueIterOrder", "UniqueOrder"]

_DRAW_BLOCK = 1 << 16
_DENSE = 16
"""The last 1/16 of an epoch is not drawn for but shuffled: the same distribution, without n draws for the last name."""


class UniqueOrder(TableOrder):
    """RandomUnique: draw until the name is one that the epoch has not had."""

    label = "random unique"

    def _build(self, epoch: int) -> Table:
        stream = Stream(*self._key, epoch)
        table = np.empty(self.count, dtype=np.uint32)
        is_free = np.ones(self.count, dtype=np.bool_)
        filled = drawn = 0
        while self.count - filled > max(64, self.count // _DENSE):
            count = min(_DRAW_BLOCK, max(256, self.count - filled))
            draws = stream.below(self.count, drawn, count)
            drawn += count
            draws = draws[is_free[draws]]
            first = np.sort(np.unique(draws, return_index=True)[1])
            fresh = draws[first][: self.count - filled]
            is_free[fresh] = False
            table[filled : filled + len(fresh)] = fresh
            filled += len(fresh)
        rest = np.flatnonzero(is_free)
        table[filled:] = rest[np.argsort(stream.bits(drawn, len(rest)), kind="stable")]
        return table


class UniqueIterOrder(TableOrder):
    """RandomUniqueIter: draw a start, take the first name from there on that the epoch has not had.

    Biased, as its original is: a name after a long run of taken ones is likelier, and a late epoch walks the list.
    """

    label = "random unique iterated"

    def _build(self, epoch: int) -> Table:
        starts = Stream(*self._key, epoch).below(self.count, 0, self.count).tolist()
        table = np.empty(self.count, dtype=np.uint32)
        taken = bytearray(self.count)
        free_from = 0
        for at, start in enumerate(starts):
            index = taken.find(0, start)
            if index < 0:
                index = taken.find(0, free_from)
                free_from = index
            taken[index] = 1
            table[at] = index
        return table
