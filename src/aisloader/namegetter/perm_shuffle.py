"""PermShuffle: a Fisher-Yates shuffle for every epoch."""

import numpy as np

from aisloader.namegetter.table import Table, TableOrder
from aisloader.streams import derive_key

__all__ = ["ShuffleOrder"]


class ShuffleOrder(TableOrder):
    """PermShuffle: a Fisher-Yates shuffle of 32-bit indices, from a generator that the epoch keys."""

    label = "unique sequential"

    def _build(self, epoch: int) -> Table:
        key = [derive_key(*self._key, epoch, part) for part in range(2)]
        table = np.arange(self.count, dtype=np.uint32)
        np.random.Generator(np.random.SFC64(key)).shuffle(table)
        return table
