"""Every case, against the `ais` of this interpreter."""

from pathlib import Path

import pytest
from tests.integration.replay.player import Status, play


def test_case(case: Path) -> None:
    result = play(case)
    if result.status is Status.SKIPPED:
        pytest.skip(result.detail)
    if result.status is Status.FAILED:
        pytest.fail(result.detail, pytrace=False)
