"""What a name getter is: which name comes next, as an index into the list of names.

Two layers. An `Order` is a permutation of 0..n-1 for every epoch, computed by position: any position without the ones
before it, so a run can be divided among workers without talk, resumed, and audited. A `NameGetter` is one worker's
share: it knows how many picks it has made, and nothing of the other workers.
"""

from typing import Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

__all__ = ["BLOCK", "Indices", "NameGetter", "Order"]

Indices: TypeAlias = npt.NDArray[np.int64]

BLOCK = 8192
"""Picks that are computed at once: enough that a call costs little beside them, few enough to stay in the cache."""


class Order(Protocol):
    """A permutation of 0..n-1 for every epoch; a pure function, safe to share between threads."""

    @property
    def label(self) -> str:
        """What the run's configuration shows: upstream's words where it has the getter."""
        ...

    @property
    def count(self) -> int:
        """The number of names."""
        ...

    def at(self, epoch: int, positions: Indices) -> Indices:
        """Indices at `positions` of an epoch; each in 0..count-1."""
        ...


class NameGetter(Protocol):
    """One worker's picks, in order. Not for several threads at once."""

    @property
    def label(self) -> str:
        """What the run's configuration shows."""
        ...

    @property
    def picks(self) -> int:
        """Picks made so far; with it, `seek` in another process goes on from here."""
        ...

    def pick(self) -> int:
        """The next index; -1 when all epochs are done, or while there are no names."""
        ...

    def batch(self) -> list[int]:
        """The indices of the next GetBatch; empty when all epochs are done, or while there are no names."""
        ...

    def add(self) -> None:
        """One more name exists; getters of a fixed list ignore it."""
        ...

    def seek(self, picks: int) -> int:
        """Go on as after `picks` picks; returns how many whole operations those were."""
        ...
