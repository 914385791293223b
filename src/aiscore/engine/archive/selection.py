"""Which members a pattern selects."""

import re
from collections.abc import Callable

from aiscore.engine.archive.index import MemberIndex
from aiscore.errors import InvalidArgumentError
from aiscore.model.archive import ArchiveMode

__all__ = ["PATTERN_LENGTH_MAX", "matcher", "select", "wds_key"]

PATTERN_LENGTH_MAX = 1024
"""Longest pattern, in characters: the time of a regular expression has no bound, its length can."""

_ALL = ("", "*")


def wds_key(name: str) -> str:
    """Return the sample key of a member, as webdataset has it.

    It is the path up to the first dot of its last element. A dot that begins the last element is no
    extension.
    """
    dot = name.find(".", name.rfind("/") + 2)
    return name if dot < 0 else name[:dot]


def matcher(pattern: str, mode: ArchiveMode) -> Callable[[str], bool]:
    """Return the test that a pattern stands for; an empty one, and `*`, pass every name.

    Raises:
        InvalidArgumentError: longer than `PATTERN_LENGTH_MAX`, or not a regular expression.
    """
    if len(pattern) > PATTERN_LENGTH_MAX:
        raise InvalidArgumentError(
            f"pattern has {len(pattern)} characters, limit is {PATTERN_LENGTH_MAX}"
        )
    if pattern in _ALL:
        return lambda _: True
    match mode:
        case ArchiveMode.REGEXP:
            try:
                search = re.compile(pattern).search
            except (re.error, RecursionError, OverflowError) as exc:
                raise InvalidArgumentError(
                    f'invalid regular expression "{pattern}": {exc}'
                ) from exc
            return lambda name: search(name) is not None
        case ArchiveMode.PREFIX:
            return lambda name: name.startswith(pattern)
        case ArchiveMode.SUFFIX:
            return lambda name: name.endswith(pattern)
        case ArchiveMode.SUBSTR:
            return lambda name: pattern in name
        case ArchiveMode.WDSKEY:
            return lambda name: name.startswith(pattern) and wds_key(name) == pattern


def select(index: MemberIndex, pattern: str, mode: ArchiveMode) -> list[int]:
    """Return the positions of the members whose names match, ascending.

    Of members with the same name only the last counts, as in a look-up by name.

    Raises:
        InvalidArgumentError: see `matcher`.
    """
    matches = matcher(pattern, mode)
    return sorted(position for name, position in index.positions.items() if matches(name))
