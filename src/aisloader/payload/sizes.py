"""How large the next object is."""

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from aisloader.streams import Stream

if TYPE_CHECKING:
    from aisloader.params.size_cksum import SizeCksumParams

__all__ = ["SizeDrawer"]

_SIGMAS = 6.0
"""Standard deviations of a lognormal distribution between the smallest and the largest size."""


class SizeDrawer:
    """Object sizes by position, between two bounds that are both included.

    Args:
        sizes: bounds and distribution.
        key: of the stream.
    """

    def __init__(self, sizes: "SizeCksumParams", *key: int) -> None:
        self._low, self._high = sizes.minsize, sizes.maxsize
        self._draw = {"uniform": self._uniform, "log2": self._log2, "lognormal": self._lognormal}[
            sizes.size_dist
        ]
        self._stream = Stream(*key, 1)
        self._angle = Stream(*key, 2)

    def block(self, start: int, count: int) -> list[int]:
        """Sizes, in bytes, of the positions from `start` on."""
        if self._low == self._high:
            return [self._low] * count
        sizes: list[int] = np.clip(self._draw(start, count), self._low, self._high).tolist()
        return sizes

    def _uniform(self, start: int, count: int) -> npt.NDArray[np.int64]:
        return self._stream.below(self._high - self._low + 1, start, count) + self._low

    def _log2(self, start: int, count: int) -> npt.NDArray[np.int64]:
        """Every octave alike; one is added and taken off again, so that 0 has an octave too."""
        low, high = np.log2(self._low + 1.0), np.log2(self._high + 2.0)
        powers = low + self._stream.unit(start, count) * (high - low)
        sizes: npt.NDArray[np.int64] = np.exp2(powers).astype(np.int64) - 1
        return sizes

    def _lognormal(self, start: int, count: int) -> npt.NDArray[np.int64]:
        """Around the geometric mean of the bounds, which lie three standard deviations off; Box-Muller."""
        low, high = np.log(self._low + 1.0), np.log(self._high + 1.0)
        radius = np.sqrt(-2.0 * np.log1p(-self._stream.unit(start, count)))
        normal = radius * np.cos(2.0 * np.pi * self._angle.unit(start, count))
        logs = (low + high) / 2.0 + normal * (high - low) / _SIGMAS
        sizes: npt.NDArray[np.int64] = np.exp(np.clip(logs, low, high)).astype(np.int64) - 1
        return sizes
