"""Orders that are kept as a table of one epoch: the shuffle, and the two that draw until a name is new.

All getters of a process share the tables (four bytes a name; of long lists two epochs, of short ones a few more), so
ten workers build one.
"""

import threading
from collections import OrderedDict

import numpy as np
import numpy.typing as npt

from aiscore.errors import InvalidArgumentError
from aisloader.namegetter.base import Indices

__all__ = ["TABLE_COUNT_MAX", "Table", "TableOrder"]

TABLE_COUNT_MAX = (1 << 32) - 1
_TABLES_KEPT = 2
_SHORT = 1 << 20
"""Names of all tables together that are kept beyond those: a block of picks runs over many epochs of a short list."""

Table = npt.NDArray[np.uint32]
_tables: OrderedDict[tuple[object, ...], Table] = OrderedDict()
_lock = threading.Lock()


class TableOrder:
    """An order that is kept as a table of one epoch; `_build` makes it."""

    label = ""

    def __init__(self, count: int, *key: int) -> None:
        if count > TABLE_COUNT_MAX:
            raise InvalidArgumentError(
                f"{count} names are too many for a table, the limit is {TABLE_COUNT_MAX}",
                hint="use -name-getter=affine or feistel",
            )
        self.count = count
        self._key = key

    def __reduce__(self) -> tuple[type, tuple[int, ...]]:
        return type(self), (self.count, *self._key)

    def at(self, epoch: int, positions: Indices) -> Indices:
        """Indices at `positions` of an epoch; the first call of an epoch builds its table."""
        return self.table(epoch)[positions].astype(np.int64)

    def table(self, epoch: int) -> Table:
        """The whole epoch; read only."""
        identity = (type(self), self.count, self._key, epoch)
        with _lock:
            found = _tables.get(identity)
            if found is None:
                found = self._build(epoch)
                found.flags.writeable = False
                _tables[identity] = found
            _tables.move_to_end(identity)
            while len(_tables) > max(_TABLES_KEPT, _SHORT // self.count):
                _tables.popitem(last=False)
            return found

    def _build(self, epoch: int) -> Table:
        raise NotImplementedError
