"""Bit masks written as names: what access permissions and feature flags have in common."""

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from aiscore.errors import InvalidArgumentError
from aiscore.model.units import UINT64_MAX

__all__ = ["RESET", "BitNames"]

RESET = "none"
"""The word that clears a mask; also how an empty mask is shown."""

_NUMBER = r"(?ai)0x[0-9a-f]{1,16}|[0-9]{1,20}"
_TEXT_LENGTH_MAX = 2048
"""Characters; all names of the longest mask together take a third of it."""


@dataclass(frozen=True, slots=True)
class BitNames:
    """The names of the bits of one kind of mask.

    Attributes:
        what: the kind, as messages call it.
        names: name of bit 0, bit 1 and so on.
        aliases: words that stand for several bits.
    """

    what: str
    names: tuple[str, ...]
    aliases: Mapping[str, int] = field(default_factory=dict)

    def parse(self, text: str) -> int:
        """Read names and aliases joined by commas, a decimal or `0x` number, or `none`; any case.

        Returns:
            The mask, an unsigned 64-bit integer.

        Raises:
            InvalidArgumentError: a name is unknown, or a number does not fit.
        """
        if len(text) > _TEXT_LENGTH_MAX:
            raise InvalidArgumentError(
                f"invalid {self.what}: more than {_TEXT_LENGTH_MAX} characters"
            )
        words = [word for part in text.split(",") if (word := part.strip())]
        if not words or (len(words) == 1 and words[0].lower() == RESET):
            return 0
        mask = 0
        for word in words:
            mask |= self._parse_word(word)
        return mask

    def names_of(self, mask: int) -> list[str]:
        """Names of the bits that are set, lowest first; bits without a name are left out."""
        return [name for bit, name in enumerate(self.names) if mask >> bit & 1]

    def format(self, mask: int) -> str:
        """The names joined by commas, or `none`; a mask with unnamed bits only is shown in hex."""
        if mask == 0:
            return RESET
        return ",".join(self.names_of(mask)) or hex(mask)

    def _parse_word(self, word: str) -> int:
        lowered = word.lower()
        if re.fullmatch(_NUMBER, word):
            value = int(lowered, 16) if lowered.startswith("0x") else int(lowered)
            if value > UINT64_MAX:
                raise InvalidArgumentError(f"invalid {self.what} {word}: more than 64 bits")
            return value
        if lowered in self.aliases:
            return self.aliases[lowered]
        for bit, name in enumerate(self.names):
            if name.lower() == lowered:
                return 1 << bit
        raise self._unknown(word)

    def _unknown(self, word: str) -> InvalidArgumentError:
        known = {name.lower(): name for name in (*self.names, *self.aliases)}
        near = difflib.get_close_matches(word.lower()[:64], known, n=1)
        hint = (
            f'did you mean "{known[near[0]]}"'
            if near
            else f"use {', '.join(known.values())} or {RESET}"
        )
        return InvalidArgumentError(f'unknown {self.what} "{word[:64]}"', hint=hint)
