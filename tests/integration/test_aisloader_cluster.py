"""What `aisloader` asks of a cluster: gateways drawn at random, newer versions, transformations.

The cluster is two gateways that redirect to `ais serve`, as AIStore's do, and answer themselves what it does not know.
"""

import json
import os
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from aiscore.model.bucket import BucketRef
from aiscore.serve import ServerSettings, running
from aiscore.transport import open_transport
from aisloader.cli import run_command
from aisloader.stats.result import read_result
from aisloader.stats.series import PHASES, Series

DEADLINE_S = 60.0
BUCKET = BucketRef("b")


@dataclass
class Cluster:
    """Two gateways.

    Attributes:
        node: URL of the server behind them.
        urls: of the gateways.
        requests: for objects, by gateway.
        queries: of requests for objects.
        tokens: that came, by path's first part.
        transformations: requests about them: method, path, body.
    """

    node: str
    urls: list[str] = field(default_factory=list)
    requests: Counter[str] = field(default_factory=Counter)
    queries: list[dict[str, str]] = field(default_factory=list)
    tokens: set[str] = field(default_factory=set)
    transformations: list[tuple[str, str, Any]] = field(default_factory=list)
    running: list[str] = field(default_factory=list)

    def map(self) -> dict[str, Any]:
        nodes = {
            f"p{number}": {"daemon_id": f"p{number}", "daemon_type": "proxy",
                           "public_net": {"direct_url": url}}
            for number, url in enumerate(self.urls)
        }  # fmt: skip
        return {"pmap": nodes, "tmap": {}, "proxy_si": nodes["p0"], "uuid": "u", "version": "1"}


class Gateway(BaseHTTPRequestHandler):
    """Redirects objects and buckets; answers the map and the transformations."""

    protocol_version = "HTTP/1.1"
    cluster: Cluster

    def handle_any(self) -> None:
        cluster = self.cluster
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        url = urlsplit(self.path)
        query = dict(parse_qsl(url.query))
        cluster.tokens.add(self.headers.get("Authorization", ""))
        if url.path.startswith("/v1/etl"):
            cluster.transformations.append((self.command, url.path, json.loads(body or b"null")))
            self.answer(json.dumps([{"id": name} for name in cluster.running]).encode())
        elif query.get("what") == "smap":
            self.answer(json.dumps(cluster.map()).encode())
        else:
            if url.path.startswith("/v1/objects"):
                cluster.requests[f"http://{self.headers['Host']}"] += 1
                cluster.queries.append(query)
            target = self.path.replace(f"etl_name={query.get('etl_name')}", "")
            self.answer(b"", 307, f"{cluster.node}{target}")

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = handle_any

    def answer(self, body: bytes, status: int = 200, location: str = "") -> None:
        self.send_response(status)
        if location:
            self.send_header("Location", location)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    with ExitStack() as stack:
        node = stack.enter_context(
            running(ServerSettings(home=str(tmp_path / "home"), port=0, workers=1))
        )
        made = Cluster(node)
        handler = type("BoundGateway", (Gateway,), {"cluster": made})
        for _ in range(2):
            server = stack.enter_context(ThreadingHTTPServer(("127.0.0.1", 0), handler))
            thread = threading.Thread(target=server.serve_forever, daemon=True)
            thread.start()
            stack.callback(thread.join, DEADLINE_S)
            stack.callback(server.shutdown)
            made.urls.append(f"http://127.0.0.1:{server.server_port}")
        with open_transport(node) as transport:
            transport.create_bucket(BUCKET)
            for number in range(40):
                transport.put(BUCKET, f"o-{number}", b"0123456789")
        yield made


def loader(cluster: Cluster, *flags: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-m", "aisloader", "-quiet", "-numworkers=2", "-processes=1",
         "-bucket=ais://b", f"-endpoint={cluster.urls[0]}", *flags],
        capture_output=True, text=True, timeout=DEADLINE_S, check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "AIS_AUTHN_TOKEN": "t0ken"},
    )  # fmt: skip
    assert done.returncode == code, f"{done.stdout}\n{done.stderr}"
    assert "Traceback" not in done.stderr
    return done


def test_gateways_at_random_and_newer_versions(cluster: Cluster) -> None:
    done = loader(cluster, "-randomproxy", "-latest", "-epochs=3")
    assert "coverage 100.000% dup 0 (3 x 40 names)" in done.stdout
    # 120 requests, each at one of two: fewer than 30 at one has a chance of 1e-8.
    assert set(cluster.requests) == set(cluster.urls)
    assert min(cluster.requests.values()) >= 30
    assert sum(cluster.requests.values()) == 120
    assert all(query["latest-ver"] == "true" for query in cluster.queries)
    assert cluster.tokens == {"Bearer t0ken"}


@pytest.mark.parametrize("op", ["GET", "PUT"])
def test_phases_of_requests_that_are_redirected(cluster: Cluster, op: str, tmp_path: Path) -> None:
    load = ("-epochs=2",) if op == "GET" else ("-pctput=100", "-maxputs=9", "-maxsize=9K")
    result = tmp_path / "result"
    done = loader(cluster, "-trace-http", f"-result={result}", *load)
    found = read_result(str(result)).totals[Series[op]]
    assert list(found.phases) == list(PHASES)
    assert {count for count, _ in found.phases.values()} == {found.count}
    assert f"{op} phases of {found.count} requests, mean: proxyconn" in done.stdout
    assert cluster.tokens == {"Bearer t0ken"}
    total = {name: total_ns for name, (_, total_ns) in found.phases.items()}
    parts = ("conn", "header", "request", "response")
    for server in ("proxy", "target"):
        assert total[server] >= sum(total[f"{server}{part}"] for part in parts[1:])
    whole = sum(total[name] for name in ("proxyconn", "proxy", "targetconn", "target", "posthttp"))
    assert 0 < whole <= found.service.mean_ns * found.count


def test_one_gateway_without_the_flag(cluster: Cluster) -> None:
    loader(cluster, "-epochs=1")
    assert dict(cluster.requests) == {cluster.urls[0]: 40}
    assert not any("latest-ver" in query for query in cluster.queries)


def test_a_multipart_upload_takes_no_more_requests_than_it_must(cluster: Cluster) -> None:
    """What is asked beside them would count as the store's latency."""
    loader(
        cluster, "-pctput=100", "-maxputs=5", "-multipart-chunks=4", "-pctmultipart=100",
        "-minsize=8K", "-maxsize=8K",
    )  # fmt: skip
    # To create, for each part, to complete; a redirect is answered by the node.
    assert sum(cluster.requests.values()) == 5 * (1 + 4 + 1)
    with open_transport(cluster.node) as transport:
        entries = transport.list_page(BUCKET).entries
        large = [entry.name for entry in entries if entry.size == 8 << 10]
        assert len(large) == 5
        assert all(transport.head(BUCKET, name).chunk_count == 4 for name in large)


def test_a_transformation_is_started_asked_for_and_stopped(
    cluster: Cluster, tmp_path: Path
) -> None:
    spec = tmp_path / "spec.yaml"
    spec.write_text("name: my-etl\nruntime:\n  image: x/y:latest\n  command: [a, b]\n")
    result = tmp_path / "result"
    done = loader(cluster, "-epochs=1", f"-etl-spec={spec}", f"-result={result}")
    # Its variables may be secrets.
    assert "x/y:latest" not in result.read_text()
    assert "Starting transformation my-etl" in done.stdout
    assert all(query["etl_name"] == "my-etl" for query in cluster.queries)
    assert len(cluster.queries) == 40
    started, *ended = cluster.transformations
    assert started[:2] == ("PUT", "/v1/etl")
    assert started[2] == {
        "name": "my-etl",
        "communication": "hpush://",
        "runtime": {"image": "x/y:latest", "command": ["a", "b"]},
    }
    assert ended == [("POST", "/v1/etl/my-etl/stop", None), ("DELETE", "/v1/etl/my-etl", None)]


def test_a_transformation_of_aistore_needs_no_specification(cluster: Cluster) -> None:
    done = loader(cluster, "-epochs=1", "-etl=md5")
    assert "Starting transformation transformer-md5" in done.stdout
    assert all(query["etl_name"] == "transformer-md5" for query in cluster.queries)
    looked, started, *ended = cluster.transformations
    assert looked == ("GET", "/v1/etl", None)
    assert started == (
        "PUT",
        "/v1/etl",
        {
            "name": "transformer-md5",
            "communication": "hpush://",
            "runtime": {"image": "aistorage/transformer_md5:latest"},
        },
    )
    assert [call[:2] for call in ended] == [
        ("POST", "/v1/etl/transformer-md5/stop"),
        ("DELETE", "/v1/etl/transformer-md5"),
    ]


def test_a_transformation_that_runs_is_left_running(cluster: Cluster) -> None:
    cluster.running = ["transformer-md5"]
    loader(cluster, "-epochs=1", "-etl=md5")
    assert all(query["etl_name"] == "transformer-md5" for query in cluster.queries)
    assert cluster.transformations == [("GET", "/v1/etl", None)]


def test_what_is_not_there_is_one_error(
    cluster: Cluster, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def said(*flags: str) -> str:
        argv = ["-quiet", "-bucket=ais://b", "-duration=1s", *flags]
        assert run_command(argv, {}) == 1
        return capsys.readouterr().err

    spec = tmp_path / "spec.yaml"
    spec.write_text("name: my-etl\nruntime: {image: x}\n")
    cluster.running = ["other"]
    there, node = f"-endpoint={cluster.urls[0]}", f"-endpoint={cluster.node}"
    assert 'no transformation "mine" runs' in said(there, "-etl=mine")
    assert "running: other" in said(there, "-etl=mine")
    assert "transformer-md5" in said(there, "-etl=mine")
    for flags in (("-etl=md5",), (f"-etl-spec={spec}",)):
        assert "the cluster transforms nothing" in said(node, *flags)
        embedded = said(f"-endpoint={tmp_path / 'embedded'}", *flags)
        assert "the embedded engine transforms nothing" in embedded
    assert "has no gateways" in said(f"-endpoint={tmp_path / 'embedded'}", "-randomproxy")
    assert not cluster.queries
