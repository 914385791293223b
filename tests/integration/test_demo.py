"""The demo runs, cleans up behind itself, and notices when what it gets is wrong."""

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

DEMO = Path(__file__).parents[2] / "examples" / "demo.py"


@pytest.fixture
def demo(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    spec = importlib.util.spec_from_file_location("demo", DEMO)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "demo", module)  # a dataclass looks its module up
    spec.loader.exec_module(module)
    return module


def test_a_small_run_finds_no_mismatch_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    done = subprocess.run(
        [sys.executable, DEMO, "--files", "300", "--batches", "2"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "Entries that are not the file that was asked for: 0\n" in done.stdout
    rows = [line.split() for line in done.stdout.splitlines()]
    assert ["ais", "get-batch", "2", "128"] in [row[:4] for row in rows]
    assert ["Client.batch", "40", "2,560"] in [row[:3] for row in rows]
    assert list(tmp_path.iterdir()) == []


def test_wrong_bytes_names_and_counts_are_counted(demo: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"A")
    (tmp_path / "b").write_bytes(b"B")
    wanted = [("s.tar", "a"), ("s.tar", "b")]
    right = [("demo/s.tar/a", b"A"), ("demo/s.tar/b", b"B")]
    assert demo.check(tmp_path, wanted, right) == 0
    assert demo.check(tmp_path, wanted, right[::-1]) == 2
    assert demo.check(tmp_path, wanted, right[:1]) == 1
    assert demo.check(tmp_path, wanted, [*right, right[0]]) == 1
    assert demo.check(tmp_path, wanted, [right[0], ("demo/s.tar/b", b"A")]) == 1
