"""Random: names drawn with replacement, from a list that may grow."""

from aisloader.namegetter.base import BLOCK
from aisloader.streams import Stream

__all__ = ["RandomGetter"]


class RandomGetter:
    """Names drawn uniformly, with replacement; the list may grow.

    A batch has no name twice, unless there are fewer names than it needs.

    Args:
        count: names there are at the start.
        unit: names of one GetBatch.
        key: of the stream; each worker has its own.
    """

    label = "random non-unique"

    def __init__(self, count: int, *key: int, unit: int = 1) -> None:
        self._count = count
        self._unit = unit
        self._stream = Stream(*key)
        self._drawn = 0
        self._picks = 0
        self._bits: list[int] = []

    @property
    def picks(self) -> int:
        """Picks made so far."""
        return self._picks

    def pick(self) -> int:
        """The next index; -1 while there are no names."""
        if not self._count:
            return -1
        self._picks += 1
        return self._draw()

    def batch(self) -> list[int]:
        """Distinct indices; empty while there are no names."""
        wanted = min(self._unit, self._count)
        chosen: dict[int, None] = {}
        while len(chosen) < wanted:
            chosen[self._draw()] = None
        self._picks += wanted
        return list(chosen)

    def add(self) -> None:
        """One more name exists."""
        self._count += 1

    def seek(self, picks: int) -> int:
        """Go on as after `picks` picks; batches are drawn again, because they leave out what they have."""
        self._bits.clear()
        self._drawn = self._picks = 0
        if self._unit == 1:
            self._drawn = self._picks = picks
            return picks
        batches = 0
        while self._picks < picks and self._count:
            self.batch()
            batches += 1
        return batches

    def _draw(self) -> int:
        if not self._bits:
            self._bits = self._stream.bits(self._drawn, BLOCK).tolist()
            self._bits.reverse()
            self._drawn += BLOCK
        return self._bits.pop() * self._count >> 64
