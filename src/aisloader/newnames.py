"""The names that a run makes: computed from their number, never kept."""

from typing import TYPE_CHECKING

import numpy as np

from aisloader.streams import Stream, U64Array

if TYPE_CHECKING:
    from aisloader.params import Params

__all__ = ["NewNames"]

_LETTERS = np.frombuffer(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", dtype=np.uint8)
_LENGTH = 32
_PER_DRAW = 3
_DRAWS = -(-_LENGTH // _PER_DRAW)
_BITS = np.uint64(21)
"""Of a draw for one letter: no letter is likelier than another by more than 1 in 40,000."""
_STREAM = 0x6E616D65


class NewNames:
    """Names of the objects that one worker makes, by number; a pure function.

    Worker `w` of `W` has the numbers c = k*W + w + 1 for k = 0, 1, ...: together the workers have each number once.
    With a loader id the name is the hexadecimal number ((c - 1) << bits) | id, as AIStore's own loader has it.
    """

    def __init__(self, params: "Params", worker: int) -> None:
        naming, loader = params.naming, params.loader
        self._worker = worker
        self._workers = params.workload.numworkers
        self._is_random = naming.randomname and not loader.mask_bits
        self._bits = loader.mask_bits
        self._id = loader.number if self._bits else 0
        self._prefix = f"{naming.subdir}/" if naming.subdir else ""
        self._subdirs = naming.num_subdirs
        self._stream = Stream(params.workload.seed, loader.stream_key, _STREAM)

    def block(self, start: int, count: int) -> list[str]:
        """The names of this worker's PUTs `start`..`start + count - 1`."""
        numbers = range(
            start * self._workers + self._worker + 1,
            (start + count) * self._workers + self._worker + 1,
            self._workers,
        )
        if self._is_random:
            bases = self._random(numbers)
        else:
            bases = [f"{(number - 1) << self._bits | self._id:x}" for number in numbers]
        if self._subdirs:
            bases = [
                f"{number % self._subdirs:05x}/{base}"
                for number, base in zip(numbers, bases, strict=True)
            ]
        return [self._prefix + base for base in bases] if self._prefix else bases

    def _random(self, numbers: range) -> list[str]:
        """32 letters for each number."""
        counters = np.arange(numbers.start, numbers.stop, numbers.step, dtype=np.uint64)
        positions: U64Array = np.repeat(counters * np.uint64(_DRAWS), _DRAWS)
        positions += np.tile(np.arange(_DRAWS, dtype=np.uint64), len(counters))
        bits = self._stream.bits_at(positions)
        shifts = np.arange(_PER_DRAW, dtype=np.uint64) * _BITS
        fields = (bits[:, None] >> shifts) & np.uint64((1 << int(_BITS)) - 1)
        letters = _LETTERS[(fields * np.uint64(len(_LETTERS)) >> _BITS).astype(np.intp)]
        table = letters.reshape(len(counters), _DRAWS * _PER_DRAW)[:, :_LENGTH]
        text = table.tobytes().decode("ascii")
        return [text[at : at + _LENGTH] for at in range(0, len(text), _LENGTH)]
