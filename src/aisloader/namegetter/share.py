"""One worker's share of an order."""

from collections import deque

import numpy as np

from aiscore.errors import InvalidArgumentError
from aisloader.namegetter.base import BLOCK, Indices, Order

__all__ = ["OrderedGetter"]

_SEEK_BLOCK = 1 << 16


class OrderedGetter:
    """The picks of worker w among W: units w, w + W, w + 2W, ... of the epochs laid end to end.

    A unit is one name, or the names of one GetBatch. The workers' picks together are every name once in each epoch,
    whatever their number, and E epochs are exactly E*n picks.

    Args:
        order: of all workers.
        epochs: how many; 0 without end.
        worker: 0..workers-1.
        workers: how many share the order.
        unit: names of one GetBatch; 1 without.
        seam: what a batch does at the end of an epoch: `span` goes on into the next one, `short` ends, `dedup` goes on
            with names that the batch does not have yet; those it passes over come right after it.
    """

    def __init__(
        self,
        order: Order,
        *,
        epochs: int = 0,
        worker: int = 0,
        workers: int = 1,
        unit: int = 1,
        seam: str = "span",
    ) -> None:
        if seam == "dedup" and unit > 1 and order.count < 2 * unit:
            raise InvalidArgumentError(
                f"{order.count} names are too few for batches of {unit} without duplicates across "
                f"epochs: expected {2 * unit} or more",
                hint="use -epoch-batch=span or short",
            )
        self._order = order
        self._epochs = epochs
        self._worker, self._workers = worker, workers
        self._unit = unit
        self._is_short = seam == "short" and unit > 1
        self._is_dedup = seam == "dedup" and unit > 1 and order.count % unit != 0
        self._per_epoch = -(-order.count // unit)
        self._fixed: dict[int, Indices] = {}
        self._units = 0
        self._picks = 0
        self._ready: deque[list[int]] = deque()
        self._singles: deque[int] = deque()

    @property
    def label(self) -> str:
        """Of the order."""
        return self._order.label

    @property
    def picks(self) -> int:
        """Picks made so far."""
        return self._picks

    def pick(self) -> int:
        """The next index; -1 when all epochs are done."""
        if not self._singles:
            if self._ready:
                self._singles.extend(self._ready.popleft())
            else:
                self._singles.extend(self._block()[0])
            if not self._singles:
                return -1
        self._picks += 1
        return self._singles.popleft()

    def batch(self) -> list[int]:
        """The indices of the next GetBatch; empty when all epochs are done."""
        if not self._ready:
            indices, sizes = self._block()
            end = 0
            for size in sizes:
                self._ready.append(indices[end : end + size])
                end += size
            if not self._ready:
                return []
        batch = self._ready.popleft()
        self._picks += len(batch)
        return batch

    def add(self) -> None:
        """Ignored: an epoch is a pass over the names there were at the start."""

    def seek(self, picks: int) -> int:
        """Go on as after `picks` picks of this worker; returns how many whole units those were."""
        self._ready.clear()
        self._singles.clear()
        whole, self._picks = self._whole_units(picks)
        self._units = whole
        while self._picks < picks and self.pick() >= 0:
            pass
        return whole

    def _whole_units(self, picks: int) -> tuple[int, int]:
        """The units of this worker that the first `picks` picks fill, and how many picks those are."""
        number = done = 0
        if not self._is_short:
            number = picks // self._unit
            if self._epochs:
                full = self._epochs * self._order.count // self._unit
                number = min(number, max(0, -(-(full - self._worker) // self._workers)))
            return number, number * self._unit
        # Units differ in length: the last one of an epoch falls to this worker every so often.
        while True:
            numbers = np.arange(number, number + _SEEK_BLOCK, dtype=np.int64)
            sizes = self._first_and_size(numbers * self._workers + self._worker)[1]
            filled = int(np.searchsorted(done + np.cumsum(sizes), picks, side="right"))
            filled = min(filled, int(np.count_nonzero(sizes)))
            number, done = number + filled, done + int(sizes[:filled].sum())
            if filled < _SEEK_BLOCK:
                return number, done

    def _block(self) -> tuple[list[int], list[int]]:
        """The next units of this worker, as many as make a block: indices, and how many each unit has."""
        count = max(1, BLOCK // self._unit)
        numbers = np.arange(self._units, self._units + count, dtype=np.int64)
        numbers = numbers * self._workers + self._worker
        epochs, positions, sizes = self._places(numbers)
        sizes = sizes[sizes > 0]
        self._units += len(sizes)
        return self._look_up(epochs, positions).tolist(), sizes.tolist()

    def _places(self, numbers: Indices) -> tuple[Indices, Indices, Indices]:
        """Epoch and position of every pick of the units `numbers`, flat, and the size of each unit."""
        first, sizes = self._first_and_size(numbers)
        offsets = np.arange(int(sizes.sum()), dtype=np.int64)
        offsets -= np.repeat(np.cumsum(sizes) - sizes, sizes)
        flat = np.repeat(first, sizes) + offsets
        return flat // self._order.count, flat % self._order.count, sizes

    def _first_and_size(self, numbers: Indices) -> tuple[Indices, Indices]:
        """Where the units `numbers` begin in the epochs laid end to end, and their sizes; 0 past the last epoch."""
        n, unit = self._order.count, self._unit
        if self._is_short:
            epochs = numbers // self._per_epoch
            starts = numbers % self._per_epoch * unit
            sizes = np.minimum(unit, n - starts)
            if self._epochs:
                sizes[epochs >= self._epochs] = 0
            return epochs * n + starts, sizes
        first = numbers * unit
        if self._epochs:
            return first, np.clip(self._epochs * n - first, 0, unit)
        return first, np.full(len(numbers), unit, dtype=np.int64)

    def _look_up(self, epochs: Indices, positions: Indices) -> Indices:
        """The order's indices, one call for each epoch of the block; epochs ascend."""
        if not len(epochs):
            return positions
        cuts = np.flatnonzero(np.diff(epochs)) + 1
        parts = []
        for part, epoch in zip(
            np.split(positions, cuts), epochs[np.concatenate(([0], cuts))].tolist(), strict=True
        ):
            indices = self._order.at(epoch, part)
            if self._is_dedup and epoch > 0:
                head = self._head(epoch)
                early = part < len(head)
                indices[early] = head[part[early]]
            parts.append(indices)
        return np.concatenate(parts)

    def _head(self, epoch: int) -> Indices:
        """The first positions of an epoch, rearranged so that the batch over its start has no name twice."""
        found = self._fixed.get(epoch)
        if found is not None:
            return found
        n, unit = self._order.count, self._unit
        before = epoch * n % unit  # names of the batch that the epoch before has given
        if not before:
            head = np.empty(0, dtype=np.int64)
        else:
            tail = self._order.at(epoch - 1, np.arange(n - before, n, dtype=np.int64))
            window = self._order.at(epoch, np.arange(unit, dtype=np.int64))
            is_double = np.isin(window, tail)
            head = np.concatenate((window[~is_double], window[is_double]))
        if len(self._fixed) > 2:
            self._fixed.clear()
        self._fixed[epoch] = head
        return head
