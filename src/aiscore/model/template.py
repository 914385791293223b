"""Templates: one text that stands for many object names.

Grammar, tried in this order:

1. empty or `*`: all objects;
2. bash: `pre-{0001..0100..2}-mid-{1..3}.tar`, digits only, start <= end, step > 0; padded to the
   shorter of the two bounds as written, so `{0..100}` pads to one digit and `{001..100}` to three;
3. at: `pre@0100mid@5`, each from 0 to the number, padded to its digits;
4. fmt: `pre-%06d-suf`, one `%` only, from 0 without end; `%d` does not pad, a width starts with
   `0`;
5. anything else: a prefix; one trailing `*` is dropped.

Where a text has several ranges the rightmost varies fastest. Names come out lazily; a template is
never expanded as a whole.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from aiscore.errors import InvalidArgumentError
from aiscore.model.units import INT64_MAX

__all__ = ["NAME_COUNT_MAX", "NumberRange", "Template", "parse_template"]

NAME_COUNT_MAX = 10_000_000
"""Names that one bounded template may stand for; upstream's limit."""
TEXT_LENGTH_MAX = 4096
"""Characters of a template: the longest object name and room for the ranges."""
RANGE_COUNT_MAX = 32
"""Ranges in one template; expansion nests this deep."""
WIDTH_MAX = 255
"""Digits of a number; more would not fit into one component of a name on any filesystem."""

MATCH_ALL = "*"

_BASH = r"([0-9]+)\.\.([0-9]+)(?:\.\.([0-9]+))?"
_AT = r"@([0-9]*)"
_FMT = r"%(?:0([0-9]+))?d"


@dataclass(frozen=True, slots=True)
class NumberRange:
    """Numbers of one range, both ends included, and the text that follows it.

    Attributes:
        start: first number.
        stop: last number at most; None never ends.
        step: distance between numbers, at least 1.
        width: digits to pad to with zeros; 0 does not pad.
        gap: text up to the next range or the end.
    """

    start: int
    stop: int | None
    step: int
    width: int
    gap: str

    @property
    def count(self) -> int | None:
        """How many numbers there are; None when there is no end."""
        return None if self.stop is None else (self.stop - self.start) // self.step + 1

    def __iter__(self) -> Iterator[str]:
        stop = INT64_MAX if self.stop is None else self.stop
        for number in range(self.start, stop + 1, self.step):
            yield f"{number:0{self.width}d}{self.gap}"

    def ends_of_match(self, name: str, at: int) -> Iterator[int]:
        """Positions in `name` after a number of this range, and the gap, that begin at `at`."""
        stop = INT64_MAX if self.stop is None else self.stop
        shortest = max(self.width, 1)
        for length in range(shortest, max(shortest, len(str(stop))) + 1):
            digits = name[at : at + length]
            if len(digits) < length or not (digits.isascii() and digits.isdigit()):
                return
            if length > shortest and digits[0] == "0":
                return  # padded further than the template pads
            number = int(digits)
            inside = self.start <= number <= stop and (number - self.start) % self.step == 0
            if inside and name.startswith(self.gap, at + length):
                yield at + length + len(self.gap)


@dataclass(frozen=True, slots=True)
class Template:
    """A parsed template; iterate over it for the names.

    Attributes:
        text: what was parsed.
        prefix: text before the first range, or the whole prefix; empty for all objects.
        ranges: left to right; empty for a prefix.
    """

    text: str
    prefix: str
    ranges: tuple[NumberRange, ...] = ()

    @property
    def is_all(self) -> bool:
        """True if every object matches."""
        return not self.ranges and not self.prefix

    @property
    def is_prefix(self) -> bool:
        """True if there is no range: it stands for what exists below `prefix` (may be empty)."""
        return not self.ranges

    @property
    def count(self) -> int | None:
        """How many names it stands for; None for a prefix and for a counter without end."""
        if not self.ranges:
            return None
        total = 1
        for part in self.ranges:
            if part.count is None:
                return None
            total *= part.count
        return total

    def __iter__(self) -> Iterator[str]:
        """Names, the rightmost number fastest; endless when `count` is None.

        Raises:
            InvalidArgumentError: a prefix does not name anything by itself.
        """
        if not self.ranges:
            raise InvalidArgumentError(
                f'prefix-only template not supported (prefix: "{self.prefix}")',
                hint="use a range, as in shard-{0001..0100}.tar",
            )
        return _expand(self.prefix, self.ranges)

    def matches(self, name: str) -> bool:
        """True if the template stands for `name`; linear in the length of both."""
        if not name.startswith(self.prefix):
            return False
        if not self.ranges:
            return True
        positions = {len(self.prefix)}
        for part in self.ranges:
            positions = {end for at in positions for end in part.ends_of_match(name, at)}
        return len(name) in positions


def parse_template(text: str) -> Template:
    """Parse a template.

    Raises:
        InvalidArgumentError: a range is malformed, reversed or too wide, the text is too long, or
            it stands for more than `NAME_COUNT_MAX` names; the message holds the text and what is
            wrong.
    """
    if len(text) > TEXT_LENGTH_MAX:
        raise InvalidArgumentError(
            f"template has {len(text)} characters, the limit is {TEXT_LENGTH_MAX}"
        )
    if text in {"", MATCH_ALL}:
        return Template(text, "")
    if "{" in text:
        template = _parse_bash(text)
    elif "@" in text:
        template = _parse_at(text)
    elif text.count("%") == 1:
        template = _parse_fmt(text)
    else:
        return Template(text, text.removesuffix(MATCH_ALL))
    if len(template.ranges) > RANGE_COUNT_MAX:
        raise _invalid(text, f"it has more than {RANGE_COUNT_MAX} ranges")
    count = template.count
    if count is not None and count > NAME_COUNT_MAX:
        raise _invalid(text, f"it stands for {count} names, the limit is {NAME_COUNT_MAX}")
    return template


def _expand(head: str, ranges: tuple[NumberRange, ...]) -> Iterator[str]:
    first, rest = ranges[0], ranges[1:]
    for part in first:
        if rest:
            yield from _expand(head + part, rest)
        else:
            yield head + part


def _parse_bash(text: str) -> Template:
    prefix, _, rest = text.partition("{")
    if "}" in prefix:
        raise _invalid(text, "'}' comes before '{'")
    ranges: list[NumberRange] = []
    while True:
        inside, closed, rest = rest.partition("}")
        if not closed:
            raise _invalid(text, "'{' is not closed")
        gap, opened, after = rest.partition("{")
        if opened and "}" in gap:
            raise _invalid(text, "'}' comes before '{'")
        ranges.append(_bash_range(text, inside, gap))
        if not opened:
            return Template(text, prefix, tuple(ranges))
        rest = after


def _bash_range(text: str, inside: str, gap: str) -> NumberRange:
    match = re.fullmatch(_BASH, inside)
    if match is None:
        raise _invalid(
            text, f'"{{{inside}}}" is not a range of numbers, as in {{0001..0010}} or {{0..10..2}}'
        )
    first, last, step = match.groups()
    start, stop = _number(text, first), _number(text, last)
    stride = 1 if step is None else _number(text, step)
    if start > stop:
        raise _invalid(text, f'"{{{inside}}}" starts after its end')
    if stride == 0:
        raise _invalid(text, f'"{{{inside}}}" has step 0, expected at least 1')
    return NumberRange(start, stop, stride, min(len(first), len(last)), gap)


def _parse_at(text: str) -> Template:
    found = list(re.finditer(_AT, text))
    ranges = []
    for match, following in zip(found, [*found[1:], None], strict=True):
        digits = match[1]
        if not digits:
            raise _invalid(text, "'@' is not followed by a number, as in shard-@0100")
        gap = text[match.end() : following.start() if following else len(text)]
        ranges.append(NumberRange(0, _number(text, digits), 1, len(digits), gap))
    return Template(text, text[: found[0].start()], tuple(ranges))


def _parse_fmt(text: str) -> Template:
    match = re.search(_FMT, text)
    if match is None:
        raise _invalid(text, "'%' is not followed by d or a width such as 06d")
    width = _number(text, match[1] or "0")
    if width > WIDTH_MAX:
        raise _invalid(text, f"width {width} is more than {WIDTH_MAX}")
    whole = NumberRange(0, None, 1, width, text[match.end() :])
    return Template(text, text[: match.start()], (whole,))


def _number(text: str, digits: str) -> int:
    if len(digits) > WIDTH_MAX:
        raise _invalid(text, f"a number has more than {WIDTH_MAX} digits")
    number = int(digits)
    if number > INT64_MAX:
        raise _invalid(text, f"{number} is more than {INT64_MAX}")
    return number


def _invalid(text: str, why: str) -> InvalidArgumentError:
    shown = text if len(text) <= 100 else f"{text[:100]}..."
    return InvalidArgumentError(f'invalid template "{shown}": {why}')
