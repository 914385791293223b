"""Every case, against the `ais` of this tree."""

from pathlib import Path

import pytest
from tests.integration.replay.player import Options, Status, play


def test_case(case: Path, quick_ais: str) -> None:
    result = play(case, Options(ais=quick_ais))
    if result.status is Status.SKIPPED:
        pytest.skip(result.detail)
    if result.status is Status.FAILED:
        pytest.fail(result.detail, pytrace=False)
