"""The option that names another directory of cases, and one test for each case."""

import sys
from pathlib import Path

import pytest

ROOT = str(Path(__file__).resolve().parents[3])
if ROOT not in sys.path:
    sys.path.insert(0, ROOT)

from tests.integration.replay.player import find_cases  # noqa: E402

OWN_CASES = Path(__file__).with_name("cases")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Known when this directory is named on the command line, as docs/replay.md has it."""
    parser.addoption("--replay-dir", type=Path, help="play the cases of this directory")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Parametrize what asks for a `case`."""
    if "case" in metafunc.fixturenames:
        directory = metafunc.config.getoption("replay_dir", None) or OWN_CASES
        if not directory.is_dir():
            raise pytest.UsageError(f"--replay-dir: no directory {directory}")
        cases = find_cases(directory)
        if not cases:
            raise pytest.UsageError(f"--replay-dir: no .in files in {directory}")
        metafunc.parametrize("case", cases, ids=[case.stem for case in cases])
