"""Proof that a run asked for every name exactly as often as it should have.

Picks are a function of (seed, loader, epoch, position), so what a worker asked for follows from how many picks it made.
The audit computes those picks again and counts them in one byte a name; the run itself carries no bookkeeping.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from aisloader.params import Params

__all__ = ["Coverage", "coverage"]

_BLOCK = 1 << 20
EPOCHS_MAX = 254
"""Epochs that one byte a name can count; with more only the sums are compared."""


@dataclass(frozen=True, slots=True)
class Coverage:
    """How often names were asked for.

    Attributes:
        names: how many there are.
        picks: how many picks were made.
        missing: picks that whole epochs lack.
        duplicates: picks beyond one in each epoch begun.
    """

    names: int
    picks: int
    missing: int
    duplicates: int

    @property
    def is_exact(self) -> bool:
        """True when every name was picked once in each epoch."""
        return not self.missing and not self.duplicates

    def __str__(self) -> str:
        whole = self.picks + self.missing - self.duplicates
        share = 100.0 * (self.picks - self.duplicates) / whole if whole else 100.0
        return f"coverage {share:.3f}% dup {self.duplicates}"


def coverage(params: "Params", count: int, picks: Sequence[int]) -> Coverage | None:
    """Audit a run that has ended.

    Args:
        params: of the run.
        count: names there were to read.
        picks: made by each worker, in the order of workers.

    Returns:
        The audit, over `-epochs` epochs, or without over the ones begun; None when names repeat by intent, when
        several loaders share the epochs, or when there were more than `EPOCHS_MAX` of them.
    """
    from aisloader.namegetter import open_names, open_order

    total = sum(picks)
    epochs = params.workload.epochs or (-(-total // count) if count else 0)
    if params.workload.shared_epochs:
        return None  # the other loaders' picks are not known here
    if not count or epochs > EPOCHS_MAX or open_order(params, count) is None:
        return None
    counts = np.zeros(count, dtype=np.uint8)
    is_batched = params.read.get_batchsize > 0
    for worker, made in enumerate(picks):
        getter = open_names(params, count, worker, len(picks))
        while getter.picks < made:
            some: list[int] = []
            while len(some) < 4096 and getter.picks < made:
                following = getter.batch() if is_batched else [getter.pick()]
                if not following or following[0] < 0:
                    raise AssertionError(f"worker {worker} reports {made} picks of {getter.picks}")
                some += following
            np.add.at(counts, some, 1)
    hits = _histogram(counts)
    above = sum((picked - epochs) * names for picked, names in hits if picked > epochs)
    below = sum((epochs - picked) * names for picked, names in hits if picked < epochs)
    return Coverage(count, total, below, above)


def _histogram(counts: npt.NDArray[np.uint8]) -> list[tuple[int, int]]:
    """How many names were picked how often; block by block, because numpy widens what it counts eightfold."""
    names = np.zeros(256, dtype=np.int64)
    for start in range(0, len(counts), _BLOCK):
        names += np.bincount(counts[start : start + _BLOCK], minlength=256)
    return list(enumerate(names.tolist()))
