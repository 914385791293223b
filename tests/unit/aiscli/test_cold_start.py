"""What short commands import: each of these modules would be felt in a shell loop, or at every TAB."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from aiscore.model.bucket import BucketRef
from aiscore.transport import open_transport

HEAVY = {
    "asyncio",
    "concurrent.futures",
    "email",
    "http",
    "httpx",
    "lz4",
    "numpy",
    "psutil",
    "pydantic",
    "rich",
    "tempfile",
    "typer",
    "urllib",
    "zstandard",
}
PROGRAM = """
import atexit, sys
atexit.register(lambda: print(*sys.modules, file=sys.stderr))
from aiscli.__main__ import main
main()
"""


def modules_of(home: Path, *args: str) -> set[str]:
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM, *args],
        input="content",
        capture_output=True,
        text=True,
        check=True,
        env={
            "AIS_HOME": str(home),
            "HOME": str(home),
            "PYTHONPATH": os.pathsep.join(sys.path),
        },
    )
    assert "content" in run.stdout or args[0] not in {"cat", "get"}
    return set(run.stderr.split())


@pytest.mark.parametrize(
    "args",
    [
        ["get", "ais://b/o", "-"],
        ["cat", "ais://b/o"],
        ["put", "-", "ais://b/o"],
        ["ls"],
        ["ls", "ais://b"],
        ["object", "get", "ais://b/o", "-"],
        ["object", "put", "-", "ais://b/o"],
        ["bucket", "ls"],
        ["__complete", "get", "ais://b/"],
        ["__complete", "get", "--"],
    ],
    ids=" ".join,
)
def test_a_short_command_imports_nothing_heavy(args: list[str], tmp_path: Path) -> None:
    bucket = BucketRef.parse("ais://b")
    with open_transport(f"file://{tmp_path}") as transport:
        transport.create_bucket(bucket)
        transport.put(bucket, "o", b"content")
    assert not HEAVY & modules_of(tmp_path, *args)


def test_completion_of_flags_opens_no_store(tmp_path: Path) -> None:
    assert "aiscore.engine" not in modules_of(tmp_path, "__complete", "get", "--")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "args",
    [
        ["get", "ais://b/o", "-", "--offset", "0"],
        ["cat", "ais://b/o", "--checksum"],
        ["ls", "--name-only", "ais://b"],
    ],
    ids=" ".join,
)
def test_any_other_flag_needs_the_parser(args: list[str], tmp_path: Path) -> None:
    bucket = BucketRef.parse("ais://b")
    with open_transport(f"file://{tmp_path}") as transport:
        transport.create_bucket(bucket)
        transport.put(bucket, "o", b"content")
    assert "typer" in modules_of(tmp_path, *args)
