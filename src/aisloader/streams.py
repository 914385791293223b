"""Streams of random numbers that are functions of a counter.

Every decision of a run draws from a stream of its own, keyed by what the run is (seed, loader, worker) and what the
decision is for. Number `i` of a stream is computed from `i` alone: nothing has to be replayed to get there, and drawing
more from one stream changes no other. The mixer is two rounds of a 64-bit finaliser with a key before each; a single
round keyed by addition would make streams shifted copies of each other.
"""

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

__all__ = ["MASK64", "Stream", "U64Array", "derive_key", "mix64"]

U64Array: TypeAlias = npt.NDArray[np.uint64]

MASK64 = (1 << 64) - 1
_GOLDEN = 0x9E3779B97F4A7C15
_M1 = 0xBF58476D1CE4E5B9
_M2 = 0x94D049BB133111EB

_S30, _S27, _S31, _S11 = (np.uint64(shift) for shift in (30, 27, 31, 11))
_N_GOLDEN, _N_M1, _N_M2 = np.uint64(_GOLDEN), np.uint64(_M1), np.uint64(_M2)
_TO_UNIT = 2.0**-53


def mix64(value: int) -> int:
    """A bijection of 64-bit numbers whose output bits each depend on every input bit."""
    value &= MASK64
    value = (value ^ (value >> 30)) * _M1 & MASK64
    value = (value ^ (value >> 27)) * _M2 & MASK64
    return value ^ (value >> 31)


def derive_key(*parts: int) -> int:
    """One 64-bit key of several numbers; order matters."""
    key = 0x243F6A8885A308D3
    for part in parts:
        key = mix64(key + _GOLDEN ^ mix64(part & MASK64) + (part >> 64 & MASK64))
    return key


class Stream:
    """Random numbers by position; the same position always has the same number."""

    __slots__ = ("_first", "_second")

    def __init__(self, *key: int) -> None:
        self._first = np.uint64(derive_key(*key, 1))
        self._second = np.uint64(derive_key(*key, 2))

    def bits(self, start: int, count: int) -> U64Array:
        """64 random bits for each position from `start` on."""
        return self.bits_at(np.arange(start, start + count, dtype=np.uint64))

    def bits_at(self, positions: U64Array) -> U64Array:
        """64 random bits for each of `positions`."""
        value = positions * _N_GOLDEN
        value += self._first
        value = _finalise(value)
        value += self._second
        return _finalise(value)

    def unit(self, start: int, count: int) -> npt.NDArray[np.float64]:
        """Uniform in [0, 1), in steps of 2**-53, for each position from `start` on."""
        return (self.bits(start, count) >> _S11).astype(np.float64) * _TO_UNIT

    def below(self, bound: int, start: int, count: int) -> npt.NDArray[np.int64]:
        """Uniform in 0..bound-1; `bound` at most 2**53, where the bias is below 2**-53 * bound."""
        return (self.unit(start, count) * bound).astype(np.int64)

    def at(self, position: int) -> int:
        """The 64 bits of one position."""
        return int(self.bits(position, 1)[0])


def _finalise(value: U64Array) -> U64Array:
    value ^= value >> _S30
    value *= _N_M1
    value ^= value >> _S27
    value *= _N_M2
    value ^= value >> _S31
    return value
