"""Servers with handlers made for the tests: what is tested here is the protocol, whoever answers."""

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

ROOT = str(Path(__file__).resolve().parents[3])
if ROOT not in sys.path:
    sys.path.insert(0, ROOT)

from tests.integration.protocol.support import Served, serving  # noqa: E402


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Served]]:
    """Start a server with these settings."""
    with ExitStack() as stack:

        def begin(**settings: str | float) -> Served:
            return stack.enter_context(serving(str(tmp_path / "home"), **settings))

        yield begin


@pytest.fixture
def server(start: Callable[..., Served]) -> Served:
    """A server with short time limits."""
    return start()
