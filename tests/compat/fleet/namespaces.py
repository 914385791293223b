"""Hosts for a fleet on one machine: network namespaces, each with an address, and an `sshd` that ansible logs in to.

Needs root. The namespaces share the file system, so what is installed here is installed there.
"""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Host", "can_make_namespaces", "hosts"]

SSHD = "/usr/sbin/sshd"
DEADLINE_S = 30


@dataclass(frozen=True)
class Host:
    """A namespace: its name, its address, and the one under which it finds this machine."""

    name: str
    address: str
    gateway: str


def can_make_namespaces() -> bool:
    """True where this process may: as root, outside of containers that forbid it."""
    name = f"ais-try-{os.getpid()}"
    if os.geteuid() or subprocess.run(["ip", "netns", "add", name], check=False).returncode:
        return False
    _ip("netns", "del", name)
    return True


@contextmanager
def hosts(count: int, directory: Path) -> Iterator[tuple[list[Host], Path]]:
    """So many hosts, and the key that opens them; all of it is gone afterwards."""
    key, host_key = directory / "key", directory / "host-key"
    for path in (key, host_key):
        _run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path))
    Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    with ExitStack() as stack:
        made = [stack.enter_context(_host(number)) for number in range(count)]
        for host in made:
            stack.enter_context(_sshd(host, directory, key, host_key))
        yield made, key


@contextmanager
def _host(number: int) -> Iterator[Host]:
    # Of the addresses for carriers' own networks, 100.64.0.0/10: four for each host of each process.
    process = os.getpid() % (1 << 16)
    net, base = f"100.{64 + number}.{process >> 8}", process & 0xFC
    host = Host(f"ais-{os.getpid()}-{number}", f"{net}.{base + 2}", f"{net}.{base + 1}")
    outside, inside = f"aiso{process}-{number}", f"aisi{process}-{number}"
    _ip("netns", "add", host.name)
    try:
        _ip("link", "add", outside, "type", "veth", "peer", "name", inside, "netns", host.name)
        _ip("addr", "add", f"{host.gateway}/30", "dev", outside)
        _ip("link", "set", outside, "up")
        within = ("-n", host.name)
        _ip(*within, "addr", "add", f"{host.address}/30", "dev", inside)
        _ip(*within, "link", "set", inside, "up")
        _ip(*within, "link", "set", "lo", "up")
        _ip(*within, "route", "add", "default", "via", host.gateway)
        yield host
    finally:
        for pid in _ip("netns", "pids", host.name).split():
            _end(int(pid))
        _ip("netns", "del", host.name)


@contextmanager
def _sshd(host: Host, directory: Path, key: Path, host_key: Path) -> Iterator[None]:
    config, log = directory / f"{host.name}.conf", directory / f"{host.name}.log"
    config.write_text(
        f"ListenAddress {host.address}:22\nHostKey {host_key}\nAuthorizedKeysFile {key}.pub\n"
        "PermitRootLogin prohibit-password\nStrictModes no\nUsePAM no\nPidFile none\n"
        "Subsystem sftp internal-sftp\n"
    )
    command = ["ip", "netns", "exec", host.name, SSHD, "-D", "-f", str(config), "-E", str(log)]
    process = subprocess.Popen(command)
    try:
        deadline = time.monotonic() + DEADLINE_S
        while True:
            try:
                socket.create_connection((host.address, 22), 1).close()
                break
            except OSError:
                problem = log.read_text() if log.exists() else ""
                assert process.poll() is None, problem
                assert time.monotonic() < deadline, problem
                time.sleep(0.05)
        yield
    finally:
        process.terminate()
        process.wait()


def _end(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def _ip(*words: str) -> str:
    return _run("ip", *words)


def _run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
    return done.stdout
