"""What a stall looks like: the same store, loaded at a rate, and by a client that waits for each answer.

A server takes 1 ms for each request, one after the other, and once stops for a whole second, as stores do that collect
garbage or change a leader. At 500 requests a second, 500 fall due during the stall, and as many again while it catches
up: of a hundred seconds that is every fiftieth, late by anything up to a second. So the 99th percentile of response
times is 0.50 s, and the 99.9th 0.95 s. A client that asks only when it has its answer meets the stall once, and reports
percentiles in which it never happened: that is coordinated omission, and what `-rate` is for.

    python bench/stall.py [--seconds 100] [--stall 1.0] [--rate 500]

The percentiles that are due are computed for the duration, stall and rate that are given.
"""

import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from aisloader.stats.result import read_result
from aisloader.stats.series import Metric, Series
from harness import arguments, finish, goal, machine

SERVICE_S = 0.001
WORKERS = 4
CLOSED_WORKERS = 1
START_IN_S = 10


class Stalling(BaseHTTPRequestHandler):
    """A kilobyte after a millisecond; nothing at all while the stall lasts."""

    protocol_version = "HTTP/1.1"
    begin_s = end_s = free_s = 0.0
    turn = threading.Lock()

    def do_HEAD(self) -> None:
        self.send_response(200)
        self.send_header("Ais-Bucket-Props", json.dumps({"provider": "ais"}))
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_GET(self) -> None:
        if not self.path.startswith("/v1/objects/"):
            self.send_error(404)
            return
        with self.turn:
            now = time.monotonic()
            done = max(now, Stalling.free_s) + SERVICE_S
            if self.begin_s <= done < self.end_s:
                done = self.end_s + SERVICE_S
            Stalling.free_s = done
        time.sleep(done - now)
        self.wfile.write(
            b"HTTP/1.1 200 OK\r\nAis-Version: 1\r\nContent-Length: 1024\r\n\r\n" + bytes(1024)
        )

    def log_message(self, *_args: object) -> None:
        """Nothing."""


def main() -> None:
    parser = arguments(__doc__, rounds=1)
    parser.add_argument("--seconds", type=float, default=100.0, help="of each run (%(default)g)")
    parser.add_argument("--stall", type=float, default=1.0, help="seconds of it (%(default)g)")
    parser.add_argument("--rate", type=float, default=500.0, help="requests a second (%(default)g)")
    options = parser.parse_args()
    seconds, stall, rate = options.seconds, options.stall, options.rate
    goals = []
    with tempfile.TemporaryDirectory(dir=options.dir) as directory:
        facts = machine(directory)
        print(f"\n{seconds:g} s with one stall of {stall:g} s; percentiles in ms")
        print(f"  {'':34} {'requests':>9} {'p50':>9} {'p99':>9} {'p99.9':>9} {'max':>9}")
        with server() as url:
            flags = [f"-rate={rate:g}", "-arrival=constant", f"-numworkers={WORKERS}"]
            found = load(url, flags, directory, seconds, stall)
            p99 = show("open loop, response time", found[Metric.RESPONSE])
            show("  the same requests, service time", found[Metric.SERVICE])
            closed = load(url, [f"-numworkers={CLOSED_WORKERS}"], directory, seconds, stall)
            hidden = show("closed loop, service time", closed[Metric.SERVICE])
        late = rate * stall / (1 - rate * SERVICE_S)
        for percent, seen in ((99.0, p99[0]), (99.9, p99[1])):
            due_s = stall * (1 - (1 - percent / 100) * rate * seconds / late)
            text = f"p{percent:g} of response times over the {due_s:.2f} s that are due"
            value = seen / 1e9 / due_s if due_s > 0 else 0.0
            goals.append(goal(text, (value, value, value), 0.9, at_most=False))
            goals.append(goal(text, (value, value, value), 1.2, at_most=True))
        hides = hidden[0] / 1e9
        goals.append(
            goal(
                "closed loop: p99 in s, which knows nothing of it", (hides,) * 3, 0.1, at_most=True
            )
        )
    finish("stall", facts, goals, save=options.save)


def show(name: str, found: "object") -> tuple[int, int]:
    from aisloader.stats.histogram import Histogram

    assert isinstance(found, Histogram)
    p50, p99, p999 = found.percentiles((50, 99, 99.9))
    cells = "".join(f" {value / 1e6:9.2f}" for value in (p50, p99, p999, found.max_ns))
    print(f"  {name:34} {found.count:9d}{cells}")
    return p99, p999


def load(
    url: str, flags: list[str], directory: str, seconds: float, stall: float
) -> "dict[Metric, object]":
    """One run of the loader, with the stall in its middle; histograms by metric."""
    result = f"{directory}/result"
    command = [
        *(sys.executable, "-m", "aisloader", f"-endpoint={url}", "-bucket=ais://stall", "-quiet"),
        *(
            "-cleanup=false",
            "-name-template=o-{0000..9999}",
            f"-duration={round(seconds * 1000)}ms",
        ),
        *(f"-result={result}", "-statsinterval=1000", "-max-errors=1%", *flags),
    ]
    start_at = time.time() + START_IN_S
    Stalling.begin_s = time.monotonic() + START_IN_S + seconds / 2
    Stalling.end_s = Stalling.begin_s + stall
    done = subprocess.run(
        [*command, f"-start-at={start_at}"], capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(f"aisloader failed:\n{done.stdout}{done.stderr}")
    if "late start" in done.stderr:
        print(done.stderr, file=sys.stderr)
    totals = read_result(result).totals[Series.GET]
    return {metric: totals.of(metric) for metric in Metric}


@contextmanager
def server() -> Iterator[str]:
    """In threads of this process: it hardly computes."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Stalling) as listening:
        listening.daemon_threads = True
        thread = threading.Thread(target=listening.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{listening.server_address[1]}"
        listening.shutdown()
        thread.join()


if __name__ == "__main__":
    main()
