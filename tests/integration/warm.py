"""`ais` without the start of an interpreter: a process that has everything imported forks for each command line.

What runs is a process of its own, as ever: its own streams, environment and exit code. Only the quarter of a second
that imports take is spent once. Run as a program it is the shim: what a shell finds as `ais`.
"""

import contextlib
import gc
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["warm_ais"]

_SHIM = """#!{python} -IS
import json, os, socket, sys
with socket.socket(socket.AF_UNIX) as link:
    link.connect({address!r})
    message = json.dumps([sys.argv, os.getcwd(), dict(os.environ)]).encode()
    socket.send_fds(link, [len(message).to_bytes(4, "big")], [0, 1, 2])
    link.sendall(message)
    code = link.recv(1)
os._exit(code[0] if code else 70)
"""


@contextmanager
def warm_ais(directory: Path) -> Iterator[Path]:
    """A folder for PATH, whose `ais` is quick."""
    address = str(directory / "link")
    folder = directory / "bin"
    folder.mkdir(parents=True)
    shim = folder / "ais"
    shim.write_text(_SHIM.format(python=sys.executable, address=address))
    shim.chmod(0o755)
    process = subprocess.Popen(
        [sys.executable, str(Path(__file__)), address],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline(), "it did not start"
        yield folder
        process.stdin.close()  # it ends


def _serve(address: str) -> None:
    _import_all()
    import selectors

    with socket.socket(socket.AF_UNIX) as listener, selectors.DefaultSelector() as ready:
        listener.bind(address)
        listener.listen(64)
        ready.register(listener, selectors.EVENT_READ)
        ready.register(0, selectors.EVENT_READ)
        os.write(1, b"ready\n")
        running: dict[int, tuple[int, socket.socket]] = {}
        while True:
            for key, _ in ready.select():
                if key.fileobj is listener:
                    link, _ = listener.accept()
                    pid = _start(link, listener)
                    watch = os.pidfd_open(pid)
                    running[watch] = pid, link
                    ready.register(watch, selectors.EVENT_READ)
                elif key.fd == 0:
                    return
                else:
                    ready.unregister(key.fd)
                    pid, link = running.pop(key.fd)
                    os.close(key.fd)
                    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
                    with contextlib.suppress(OSError), link:
                        link.send(bytes([code if code >= 0 else 128 - code]))


def _start(link: socket.socket, listener: socket.socket) -> int:
    head, streams, _, _ = socket.recv_fds(link, 4, 3)
    size, message = int.from_bytes(head, "big"), b""
    while len(message) < size:
        message += link.recv(size - len(message))
    pid = os.fork()
    if pid:
        for stream in streams:
            os.close(stream)
        return pid
    listener.close()
    link.close()
    words, folder, environment = json.loads(message)
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    os._exit(_run(words))


def _run(words: list[str]) -> int:
    from aiscli.__main__ import main

    sys.argv = words
    sys.stdin = open(0, closefd=False)  # noqa: SIM115
    sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", buffering=1, closefd=False)  # noqa: SIM115
    try:
        main(words[1:])
    except SystemExit as exit_:
        code = exit_.code if isinstance(exit_.code, int) else 1
    except BaseException:
        sys.excepthook(*sys.exc_info())
        code = 1
    try:
        sys.stdout.flush()
    except OSError:
        code = 120
    return code


def _import_all() -> None:
    import pkgutil
    from importlib import import_module

    import aiscli
    import aiscore

    skipped = ("aiscli.__main__", "aiscore.testing", "aiscore.server")
    for package in (aiscli, aiscore):
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not found.name.startswith(skipped):
                import_module(found.name)
    for name in ("aiscli.__main__", "httpx", "rich.table", "xxhash", "typer.rich_utils"):
        import_module(name)
    gc.freeze()  # collected in every child otherwise


if __name__ == "__main__":
    _serve(sys.argv[1])
