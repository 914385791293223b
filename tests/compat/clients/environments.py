"""Environments of the published Python client, one for each release that must work: `python environments.py`.

They stay in a directory of the working tree, because four of them take a while to install; an environment is made
again when it is of another Python, or was not finished.
"""

import fcntl
import subprocess
import sys
from pathlib import Path

__all__ = ["RELEASES", "ensure", "python_of"]

RELEASES = ("1.17.0", "1.20.0", "1.26.0", "2.0.0")
"""The newest patch of each minor release that is supported."""
_ALSO = {"1.17.0": ("xxhash<4",), "1.20.0": ("xxhash<4",)}
"""What a release does not say it needs: xxhash 4 has other names of arguments than these two use."""
TREE = Path(__file__).parents[3]
FOLDER = TREE / ".venv-clients"
INSTALL_TIMEOUT_S = 240


def python_of(release: str) -> str:
    """The interpreter of an environment."""
    return str(FOLDER / f"aistore-{release}" / "bin" / "python")


def ensure() -> None:
    """Make what is not there. Processes that come at the same time wait for the first."""
    FOLDER.mkdir(exist_ok=True)
    with (FOLDER / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        absent = [release for release in RELEASES if not _is_ready(release)]
        # Two at a time: an installation is mostly work of one processor.
        while absent:
            some, absent = absent[:2], absent[2:]
            for release, process in [(release, _begin(release)) for release in some]:
                text, _ = process.communicate(timeout=INSTALL_TIMEOUT_S)
                if process.returncode:
                    raise RuntimeError(f"cannot install aistore {release}:\n{text}")
                _mark(release).write_text(_stamp(release))


def _mark(release: str) -> Path:
    return FOLDER / f"aistore-{release}" / ".ready"


def _is_ready(release: str) -> bool:
    mark = _mark(release)
    return mark.is_file() and mark.read_text() == _stamp(release)


def _stamp(release: str) -> str:
    return f"{sys.version} {FOLDER} {_ALSO.get(release)}"  # scripts of an environment hold its path


def _begin(release: str) -> "subprocess.Popen[str]":
    folder = FOLDER / f"aistore-{release}"
    _mark(release).unlink(missing_ok=True)
    subprocess.run(
        [sys.executable, "-m", "venv", "--clear", "--without-pip", str(folder)], check=True
    )
    pip = [sys.executable, "-m", "pip", "--python", python_of(release), "install", "-q"]
    return subprocess.Popen(
        [*pip, "--disable-pip-version-check", f"aistore=={release}", *_ALSO.get(release, ())],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


if __name__ == "__main__":
    ensure()
