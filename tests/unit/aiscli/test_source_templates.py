"""A template in the path of a source."""

import os
from pathlib import Path

import pytest

from aiscli.actions.transfers.sources import SourceRequest, find_files, is_single_file


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in ("d1/f", "d2/f", "d2/g"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    return tmp_path


@pytest.mark.parametrize("relative", [False, True])
def test_names_are_relative_to_what_is_before_the_template(
    tree: Path, monkeypatch: pytest.MonkeyPatch, *, relative: bool
) -> None:
    monkeypatch.chdir(tree)
    prefix = "./" if relative else f"{tree}/"
    found = list(find_files(SourceRequest(path=prefix + "d{1..2}/f")))
    assert [file.name for file in found] == ["d1/f", "d2/f"]
    assert [Path(file.path).read_text() for file in found] == ["d1/f", "d2/f"]
    found = list(find_files(SourceRequest(path="d{1..2}/f")))
    assert [file.name for file in found] == ["d1/f", "d2/f"]


def test_a_name_without_a_file_is_an_error(tree: Path) -> None:
    with pytest.raises(FileNotFoundError):
        list(find_files(SourceRequest(path=f"{tree}/d{{1..3}}/f")))


def test_a_file_of_such_a_name_is_that_file(tree: Path) -> None:
    (tree / "x{1..2}").write_text("braces")
    request = SourceRequest(path=f"{tree}/x{{1..2}}")
    assert is_single_file(request)
    assert [file.name for file in find_files(request)] == ["x{1..2}"]


def test_a_pipe_and_a_device_are_files(tree: Path) -> None:
    os.mkfifo(tree / "fifo")
    assert is_single_file(SourceRequest(path=str(tree / "fifo")))
    assert is_single_file(SourceRequest(path="/dev/null"))
    assert not is_single_file(SourceRequest(path=str(tree)))
    assert not is_single_file(SourceRequest(path=str(tree / "none")))
