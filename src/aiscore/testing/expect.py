"""Assertions on failures."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from aiscore.errors import AisError

__all__ = ["refuses"]


@contextmanager
def refuses(error: type[AisError], *parts: str) -> Iterator[pytest.ExceptionInfo[AisError]]:
    """The block raises this error, and the message holds every part: the cname, what was asked for."""
    with pytest.raises(error) as info:
        yield info
    for part in parts:
        assert part in info.value.message, f"{part!r} is not in the message {info.value.message!r}"
