"""Local destinations: whole or not at all, and never outside of where the user pointed."""

import os
from pathlib import Path

import pytest

from aiscli.actions.transfers.localfile import atomic_file, confine


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a", "/r/a"),
        ("a/b.c", "/r/a/b.c"),
        ("a//b", "/r/a/b"),
        ("..a/b..", "/r/..a/b.."),
        ("...", "/r/..."),
    ],
)
def test_names_stay_below_the_root(name: str, expected: str) -> None:
    assert confine("/r", name) == expected


@pytest.mark.parametrize(
    "name", ["", "/", "/etc/passwd", "..", ".", "../x", "a/../../x", "a/..", "./a", "a/", "a\0b"]
)
def test_names_that_would_leave_the_root_are_refused(name: str) -> None:
    assert confine("/r", name) is None


def test_a_file_appears_whole(tmp_path: Path) -> None:
    path = tmp_path / "d" / "f"
    with atomic_file(str(path)) as file:
        file.write(b"abc")
        assert not path.exists()
    assert path.read_bytes() == b"abc"
    assert os.listdir(path.parent) == ["f"]


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"old")

    def interrupted() -> None:
        with atomic_file(str(path)) as file:
            file.write(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["f"]


def test_a_file_has_the_mode_that_the_umask_leaves(tmp_path: Path) -> None:
    path = tmp_path / "f"
    before = os.umask(0o027)
    try:
        with atomic_file(str(path)):
            pass
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o640


def test_a_symbolic_link_is_followed_not_replaced(tmp_path: Path) -> None:
    target, link = tmp_path / "t", tmp_path / "l"
    target.write_bytes(b"old")
    link.symlink_to(target)
    with atomic_file(str(link)) as file:
        file.write(b"new")
    assert link.is_symlink()
    assert target.read_bytes() == b"new"


def test_a_device_is_written_directly() -> None:
    with atomic_file("/dev/null") as file:
        file.write(b"abc")
