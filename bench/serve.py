"""`ais serve` against nginx, and against any other server of AIStore's API: GET, PUT and GetBatch over loopback.

wrk is the client. Each server is pinned to CPU 0 and every client to CPU 1 (`taskset`); they take turns, a round each.
nginx serves as many files of the same sizes with sendfile and takes PUT through its DAV module, which writes a
temporary file on the same file system and renames it over the old one: what one naively does. `get-1k-many` asks for
more names than `ais serve` remembers requests: what a request costs that is new to it. Both sides have one process,
keep connections alive without limit and write no access log. CPU is what the server's processes used, p99 is wrk's.

What an overwriting PUT costs depends on the file system, which `--dir` chooses and the first line of the output names.
ext4 may write out a file that is renamed over another (`auto_da_alloc`), and whether the client waits for it is a
matter of the disk below: where it does not, naive PUTs cost little more than new files, and there is little to win.
With a journal, what anybody syncs waits for what everybody writes. Without one ext4 looks, for each new file, at the
inodes freed in the last minutes, which is the same for both sides. So quote a figure with that line, and one with a
journal, as nearly all file systems have; to make one where there is none (as root; 2 GiB hold what the largest test
writes):

    truncate -s 2G /tmp/journal.img && mkfs.ext4 -q /tmp/journal.img
    mkdir /tmp/journal && mount -o loop /tmp/journal.img /tmp/journal
    python bench/serve.py --dir /tmp/journal --only put-10k,put-1m,put-64m

    python bench/serve.py [--rounds 5] [--seconds 2] [--only get-10k,put-1m,batch]
    python bench/serve.py --peer http://127.0.0.1:51081 --peer-pids 4711 [--peer-query pid=P&utm=U] [--peer-admin URL]

The peer must have no bucket `bench-serve`; it is made there and destroyed. Of an AIStore cluster the peer is a target,
and `--peer-admin` a proxy: it makes the bucket, and sends GetBatch on to the target, as it does for every client.
Debian: apt install wrk nginx-light.
"""

import argparse
import http.client
import json
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

sys.path.insert(0, str(Path(__file__).parent))

import psutil

from harness import arguments, finish, goal, machine

KIB, MIB = 1 << 10, 1 << 20
BUCKET = "bench-serve"
NAMES_MANY = 20_000
"""More than `aiscore.server.repeats.REPEATS_MAX`: none of these requests is one that the server remembers."""
GETS = (
    ("get-1k", KIB, 100),
    ("get-1k-many", KIB, NAMES_MANY),
    ("get-10k", 10 * KIB, 100),
    ("get-1m", MIB, 16),
    ("get-64m", 64 * MIB, 2),
)
PUTS = (("put-10k", 10 * KIB, 100), ("put-1m", MIB, 16), ("put-64m", 64 * MIB, 2))
MEMBERS, MEMBER_SIZE = 64, 10 * KIB
LUA = """
local body = %s
local count = 0
request = function()
  count = count + 1
  return wrk.format("%s", string.format("%s", count %% %d), nil, body)
end
"""


@dataclass
class Server:
    """One contender: where it answers, whose CPU counts, and how a name becomes a path."""

    name: str
    url: str
    pids: list[int]
    path: str
    query: str = ""
    process: "subprocess.Popen[str] | None" = None
    peak: int = 0
    admin: str = ""

    def target(self, name: str, *, is_put: bool = False) -> str:
        query = f"?{self.query}" if self.query and is_put else ""
        return f"{self.path}/{name}{query}"

    @property
    def admin_url(self) -> str:
        """Where buckets are made, and batches asked for."""
        return self.admin or self.url

    def processes(self) -> list[psutil.Process]:
        found = [psutil.Process(pid) for pid in self.pids]
        return found + [child for parent in found for child in parent.children(recursive=True)]

    def cpu_s(self) -> float:
        times = [process.cpu_times() for process in self.processes()]
        self.peak = max(self.peak, sum(p.memory_info().rss for p in self.processes()))
        return float(sum(t.user + t.system for t in times))


@dataclass
class Figures:
    """Of one contender in one test, a value each round."""

    rate: list[float] = field(default_factory=list)
    cpu_us: list[float] = field(default_factory=list)
    p99_ms: list[float] = field(default_factory=list)


def main() -> None:
    parser = arguments(__doc__, rounds=5)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each run (%(default)s)")
    parser.add_argument("--only", default="", help="tests, comma separated")
    parser.add_argument("--connections", default="1,8,32", help="(%(default)s)")
    parser.add_argument("--peer", default="", help="URL of another server of AIStore's API")
    parser.add_argument("--peer-pids", default="", help="its processes, comma separated")
    parser.add_argument("--peer-query", default="", help="what its PUT needs in the query")
    parser.add_argument("--peer-admin", default="", help="URL that makes its buckets, if another")
    options = parser.parse_args()
    for tool in ("wrk", "nginx", "taskset"):
        if shutil.which(tool) is None:
            sys.exit(f"{tool} is missing (Debian: apt install wrk nginx-light util-linux)")
    only = set(filter(None, options.only.split(",")))
    connections = [int(count) for count in options.connections.split(",")]
    with tempfile.TemporaryDirectory(dir=options.dir) as directory:
        os.chmod(directory, 0o755)
        facts = machine(directory)
        ours, nginx = start_ours(directory), start_nginx(directory)
        servers = [ours, nginx]
        try:
            if options.peer:
                pids = [int(pid) for pid in options.peer_pids.split(",")]
                path = f"/v1/objects/{BUCKET}"
                servers.append(
                    Server(
                        "peer",
                        options.peer,
                        pids,
                        path,
                        options.peer_query,
                        admin=options.peer_admin,
                    )
                )
            os.sched_setaffinity(0, {1})  # this process is the client of GetBatch
            for server in servers:
                if server is not nginx:
                    call(server, "POST", f"/v1/buckets/{BUCKET}", {"action": "create-bck"})
            goals = run_all(servers, directory, options, only, connections)
        finally:
            if options.peer:
                call(servers[-1], "DELETE", f"/v1/buckets/{BUCKET}", {"action": "destroy-bck"})
            for server in (ours, nginx):
                stop(server)
        print(
            "\npeak memory of the servers: "
            + ", ".join(f"{s.name} {s.peak >> 20} MiB" for s in servers)
        )
        finish("serve", facts, goals, save=options.save)


def run_all(
    servers: list[Server],
    directory: str,
    options: argparse.Namespace,
    only: set[str],
    connections: list[int],
) -> list[dict[str, object]]:
    goals: list[dict[str, object]] = []
    for test, size, count in GETS:
        if only and test not in only:
            continue
        for server in servers:
            fill(server, test, size, count)
        for clients in connections:
            if size == 64 * MIB and clients > 8:
                continue
            goals += run(servers, test, "GET", size, count, clients, directory, options)
    for test, size, count in PUTS:
        if only and test not in only:
            continue
        for clients in connections:
            if size == 64 * MIB and clients > 8:
                continue
            goals += run(servers, test, "PUT", size, count, clients, directory, options)
    if not only or "batch" in only:
        goals += batches([s for s in servers if s.name != "nginx"], options)
    return goals


def run(
    servers: list[Server],
    test: str,
    method: str,
    size: int,
    count: int,
    clients: int,
    directory: str,
    options: argparse.Namespace,
) -> list[dict[str, object]]:
    figures = {server.name: Figures() for server in servers}
    for number in range(-1, options.rounds):
        for server in servers:
            found = load(server, test, method, size, count, clients, directory, options.seconds)
            if number >= 0:
                figures[server.name].rate.append(found[0])
                figures[server.name].cpu_us.append(found[1])
                figures[server.name].p99_ms.append(found[2])
    print(f"\n{test}, {clients} connections")
    print(
        f"  {'':10} {'req/s min':>10} {'median':>10} {'max':>10} {'cpu us/req':>11} {'p99 ms':>9}"
    )
    for server_name, f in figures.items():
        print(
            f"  {server_name:10} {min(f.rate):10.0f} {statistics.median(f.rate):10.0f} {max(f.rate):10.0f} "
            f"{statistics.median(f.cpu_us):11.1f} {statistics.median(f.p99_ms):9.2f}"
        )
    ours = figures["ours"]
    goals = []
    aim = 3.0 if method == "PUT" else 0.5 if size < MIB else 1.0
    goals.append(
        goal(f"{test} c{clients} over nginx", ratios(ours, figures["nginx"]), aim, at_most=False)
    )
    if "peer" in figures:
        goals.append(
            goal(f"{test} c{clients} over peer", ratios(ours, figures["peer"]), 1.0, at_most=False)
        )
    return goals


def ratios(one: Figures, other: Figures) -> tuple[float, float, float]:
    found = [a / b for a, b in zip(one.rate, other.rate, strict=True) if b]
    return (min(found), statistics.median(found), max(found)) if found else (0.0, 0.0, 0.0)


def load(
    server: Server,
    test: str,
    method: str,
    size: int,
    count: int,
    clients: int,
    directory: str,
    seconds: float,
) -> tuple[float, float, float]:
    """One run of wrk: requests a second, CPU microseconds a request, p99 in ms."""
    script = Path(directory, f"{server.name}-{test}.lua")
    body = f'string.rep("x", {size})' if method == "PUT" else "nil"
    path = server.target(f"{test}-%d", is_put=method == "PUT")
    script.write_text(
        LUA % (body, method, path.replace("%", "%%") if "%%" in path else path, count)
    )
    command = [
        "taskset",
        "-c",
        "1",
        "wrk",
        "-t1",
        f"-c{clients}",
        f"-d{seconds:g}s",
        "--timeout",
        "30s",
        "--latency",
    ]
    before = server.cpu_s()
    output = subprocess.run(
        [*command, "-s", str(script), server.url], capture_output=True, text=True, check=True
    ).stdout
    used = server.cpu_s() - before
    done = re.search(r"(\d+) requests in", output)
    rate = re.search(r"Requests/sec:\s+([\d.]+)", output)
    p99 = re.search(r"99%\s+([\d.]+)(us|ms|s)", output)
    if done is None or rate is None or not int(done[1]):
        return 0.0, 0.0, 0.0
    if "Non-2xx" in output:
        sys.exit(f"{server.name} refused {test}:\n{output}")
    scale = {"us": 1e-3, "ms": 1.0, "s": 1e3}
    tail = float(p99[1]) * scale[p99[2]] if p99 else 0.0
    return float(rate[1]), used * 1e6 / int(done[1]), tail


def batches(servers: list[Server], options: argparse.Namespace) -> list[dict[str, object]]:
    """64 objects of 10 KiB, and 64 members of a shard: in one GetBatch, and by one GET after another.

    One client on one kept connection in either case; the next request is sent when the answer before has been read.
    """
    goals: list[dict[str, object]] = []
    for server in servers:
        fill(server, "member", MEMBER_SIZE, MEMBERS)
        names = [f"member-{number}" for number in range(MEMBERS)]
        value = {
            "archname": "bench.tar",
            "objnames": names,
            "tobck": {"name": BUCKET, "provider": "ais"},
        }
        call(server, "PUT", f"/v1/buckets/{BUCKET}", {"action": "archive", "value": value})
    time.sleep(2)
    objects = [{"objname": f"member-{n}"} for n in range(MEMBERS)]
    archived = [{"objname": "bench.tar", "archpath": f"member-{n}"} for n in range(MEMBERS)]
    results: dict[tuple[str, str], Figures] = {}
    for number in range(-1, options.rounds):
        for server in servers:
            singles = [
                get_bytes(server, f"/v1/objects/{BUCKET}/member-{n}") for n in range(MEMBERS)
            ]
            single_members = [
                get_bytes(server, f"/v1/objects/{BUCKET}/bench.tar?archpath=member-{n}")
                for n in range(MEMBERS)
            ]
            for kind, requests in (
                ("single objects", singles),
                ("single members", single_members),
                ("batch of objects", [batch_bytes(server, objects)]),
                ("batch of members", [batch_bytes(server, archived)]),
            ):
                figures = results.setdefault((server.name, kind), Figures())
                rate, cpu = sequential(server, requests, options.seconds)
                if number >= 0:
                    figures.rate.append(rate)
                    figures.cpu_us.append(cpu)
    print(f"\n{MEMBERS} x {MEMBER_SIZE // KIB} KiB, one connection")
    print(f"  {'':26} {'sets/s min':>10} {'median':>10} {'max':>10} {'cpu us/set':>11}")
    for (name, kind), f in results.items():
        print(
            f"  {name + ', ' + kind:26} {min(f.rate):10.0f} {statistics.median(f.rate):10.0f} {max(f.rate):10.0f} "
            f"{statistics.median(f.cpu_us):11.0f}"
        )
    for kind in ("objects", "members"):
        ours, singles_of = results["ours", f"batch of {kind}"], results["ours", f"single {kind}"]
        faster = ratios(ours, singles_of)
        goals.append(goal(f"GetBatch of {kind} over single GETs, time", faster, 10, at_most=False))
        shares = [a / b for a, b in zip(ours.cpu_us, singles_of.cpu_us, strict=True)]
        each = [value / 1000 for value in ours.cpu_us]
        for what, values, aim in (
            ("over single GETs, CPU", shares, 0.5),
            ("alone, ms of CPU", each, 1.2),
        ):
            found = min(values), statistics.median(values), max(values)
            goals.append(goal(f"GetBatch of {kind} {what}", found, aim, at_most=True))
    if ("peer", "single objects") in results:
        for kind, aim in (("batch of objects", 1.0), ("batch of members", 3.0)):
            found = ratios(results["ours", kind], results["peer", kind])
            goals.append(goal(f"{kind} over peer", found, aim, at_most=False))
    return goals


def sequential(server: Server, requests: list[bytes], seconds: float) -> tuple[float, float]:
    """Send the requests one after another on one connection, again and again: sets a second, CPU us a set."""
    buffer = memoryview(bytearray(4 * MIB))
    is_batch = b"/moss" in requests[0]
    first = server.admin_url if is_batch else server.url
    with connect(first) as connection, connect(server.url) as target:
        before, started, sets = server.cpu_s(), time.perf_counter(), 0
        while time.perf_counter() - started < seconds:
            for request in requests:
                connection.sendall(request)
                location = read_answer(connection, buffer)
                if location:
                    target.sendall(redirected(request, location))
                    read_answer(target, buffer)
            sets += 1
        elapsed = time.perf_counter() - started
        return sets / elapsed, (server.cpu_s() - before) * 1e6 / sets


def connect(url: str) -> socket.socket:
    address = urlsplit(url)
    connection = socket.create_connection((address.hostname, address.port or 80))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def redirected(request: bytes, location: str) -> bytes:
    """The same request to where a proxy sends it."""
    address = urlsplit(location)
    _, _, rest = request.partition(b"\r\n")
    return f"GET {address.path}?{address.query} HTTP/1.1\r\n".encode() + rest


def read_answer(connection: socket.socket, buffer: memoryview) -> str:
    """Read one answer to its end and drop it; where it redirects to, if it does."""
    filled = 0
    while (end := bytes(buffer[:filled]).find(b"\r\n\r\n")) < 0:
        filled += connection.recv_into(buffer[filled:])
    raw = bytes(buffer[:end])
    head = raw.lower()
    status = head.split(b"\r\n", 1)[0]
    assert b" 200 " in status or b" 307 " in status, head
    found = re.search(rb"(?i)\r\nlocation: ([^\r]+)", raw)
    read_rest(connection, buffer, head, end, filled)
    return found[1].decode() if found is not None else ""


def read_rest(
    connection: socket.socket, buffer: memoryview, head: bytes, end: int, filled: int
) -> None:
    length = re.search(rb"content-length: (\d+)", head)
    if length is not None:
        left = int(length[1]) - (filled - end - 4)
        while left:
            left -= connection.recv_into(buffer[: min(left, len(buffer))])
        return
    tail = bytes(buffer[max(0, filled - 5) : filled])
    while tail != b"0\r\n\r\n":
        count = connection.recv_into(buffer)
        tail = (tail + bytes(buffer[max(0, count - 5) : count]))[-5:]


def get_bytes(server: Server, path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: {urlsplit(server.url).netloc}\r\n\r\n".encode()


def batch_bytes(server: Server, entries: list[dict[str, str]]) -> bytes:
    body = json.dumps({"in": entries, "mime": ".tar", "coer": False, "strm": True}).encode()
    head = (
        f"GET /v1/ml/moss/{BUCKET} HTTP/1.1\r\nHost: {urlsplit(server.url).netloc}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def fill(server: Server, test: str, size: int, count: int) -> None:
    data = os.urandom(size)
    address = urlsplit(server.url)
    client = http.client.HTTPConnection(address.hostname or "", address.port)
    for number in range(count):
        client.request("PUT", server.target(f"{test}-{number}", is_put=True), data)
        answer = client.getresponse()
        answer.read()
        if answer.status in {301, 307}:
            put_at(answer.headers["Location"], data)
        elif answer.status >= 300:
            sys.exit(f"{server.name} refused {test}: status {answer.status}")
    client.close()


def put_at(url: str, data: bytes) -> None:
    request = urllib.request.Request(url, data=data, method="PUT")
    with urllib.request.urlopen(request) as answer:
        answer.read()


def call(server: Server, method: str, path: str, message: dict[str, object]) -> None:
    request = urllib.request.Request(
        f"{server.admin_url}{path}?provider=ais",
        data=json.dumps(message).encode(),
        method=method,
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request) as answer:
        answer.read()


def start_ours(directory: str) -> Server:
    command = [
        *("taskset", "-c", "0", sys.executable, "-m", "aiscli", "serve"),
        *("--home", f"{directory}/home", "--port", "0", "-o", "json"),
    ]
    environment = {**os.environ, "AIS_ENDPOINT": ""}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    assert process.stdout is not None
    text = ""
    while not text.rstrip().endswith("}"):
        line = process.stdout.readline()
        if not line:
            sys.exit("ais serve did not start")
        text += line
    return Server(
        "ours", json.loads(text)["url"], [process.pid], f"/v1/objects/{BUCKET}", process=process
    )


def start_nginx(directory: str) -> Server:
    root = Path(directory, "www")
    for name in ("www", "tmp"):
        Path(directory, name).mkdir()
        os.chmod(Path(directory, name), 0o777)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    config = Path(directory, "nginx.conf")
    config.write_text(
        f"""daemon off; worker_processes 1; pid {directory}/nginx.pid; error_log /dev/null;
        events {{ worker_connections 1024; }}
        http {{ access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000000;
          client_max_body_size 0; client_body_temp_path {directory}/tmp; client_body_buffer_size 1m;
          server {{ listen 127.0.0.1:{port}; location / {{ root {root}; dav_methods PUT; }} }} }}
        """
    )
    process = subprocess.Popen(["taskset", "-c", "0", "nginx", "-c", str(config)], text=True)
    url = f"http://127.0.0.1:{port}"
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            break
        except OSError:
            time.sleep(0.05)
    return Server("nginx", url, [process.pid], "", process=process)


def stop(server: Server) -> None:
    if server.process is not None:
        server.process.send_signal(signal.SIGTERM)
        server.process.wait(30)


if __name__ == "__main__":
    main()
