"""Makes `tests.fault.support` importable: here, and in the processes that the tests start."""

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = str(Path(__file__).resolve().parents[2])
if ROOT not in sys.path:
    sys.path.insert(0, ROOT)

from tests.fault.support import (  # noqa: E402
    BUCKET,
    FaultyFiles,
    assert_sound,
    open_store,
)

from aiscore.engine.store import Store  # noqa: E402


@pytest.fixture
def memory_path(tmp_path: Path) -> Iterator[Path]:
    """A directory in memory where there is such a file system: for tests that open hundreds of stores."""
    if not os.path.isdir("/dev/shm"):
        yield tmp_path
        return
    directory = tempfile.mkdtemp(prefix="aiscore-fault-", dir="/dev/shm")
    yield Path(directory)
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def home(tmp_path: Path) -> str:
    return str(tmp_path / "home")


@pytest.fixture
def store(home: str) -> Iterator[Store]:
    """A store with one bucket; what is left of it at the end must be consistent."""
    opened = open_store(home)
    opened.create_bucket(BUCKET)
    yield opened
    if not opened.core.is_closed:
        assert_sound(opened)
        opened.close()


@pytest.fixture
def faulty(home: str) -> Iterator[tuple[Store, FaultyFiles]]:
    """A store whose every file call can be made to fail."""
    files = FaultyFiles()
    opened = open_store(home, files)
    opened.create_bucket(BUCKET)
    yield opened, files
    files.disarm()
    opened.close()
