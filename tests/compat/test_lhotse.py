"""Lhotse's own loader of batches, unchanged, against a real server: with the soak, because it brings PyTorch."""

import os
import subprocess
from pathlib import Path

import pytest
from tests.compat.clients.environments import LHOTSE, ensure, program_of
from tests.integration.server.process import ais_serve

PROGRAM = Path(__file__).parent / "clients" / "cuts.py"
DEADLINE_S = 300


@pytest.mark.soak
@pytest.mark.parametrize("workers", ["1", "2"])
def test_lhotse_loads_cuts_in_one_batch(tmp_path: Path, workers: str) -> None:
    ensure(LHOTSE)
    with ais_serve(tmp_path, "--workers", workers) as server:
        done = subprocess.run(
            [program_of(LHOTSE, "python"), str(PROGRAM)],
            capture_output=True,
            text=True,
            timeout=DEADLINE_S,
            check=False,
            env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "AIS_ENDPOINT": server.url},
        )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "40 cuts\n"
    # It falls back to single requests, and says so, when a batch does not do.
    assert "alling back" not in done.stderr
