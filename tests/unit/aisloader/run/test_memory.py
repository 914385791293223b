import os
import subprocess
import sys
from pathlib import Path

import pytest

from aisloader.memory import SharedBlock


def test_another_process_sees_and_changes_it() -> None:
    block = SharedBlock.create(1 << 16)
    block.view[5] = 7
    program = (
        "import sys; from aisloader.memory import SharedBlock; b = SharedBlock.attach(sys.argv[1]);"
        "b.view[6] = b.view[5] + 1; b.close()"
    )
    subprocess.run([sys.executable, "-c", program, block.path], check=True)
    assert bytes(block.view[5:7]) == b"\x07\x08"
    block.close()
    block.close()


def test_nothing_is_left_and_untouched_pages_cost_nothing() -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    block = SharedBlock.create(8 << 30)
    path = block.path
    assert os.stat(path).st_blocks == 0
    block.close()
    assert len(list(Path("/proc/self/fd").iterdir())) == before
    with pytest.raises(OSError, match="No such file"):
        SharedBlock.attach(path)
