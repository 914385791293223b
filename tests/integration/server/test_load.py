"""A server that is short of memory or file descriptors, over a socket."""

import json
import threading
import time
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import quote

import pytest
from tests.integration.server.data import BUCKET, Answer, Server, serving

from aiscore.model.batch import BatchEntry, BatchRequest
from aiscore.model.objects import PutOptions
from aiscore.transport.options import ConnectionOptions
from aiscore.transport.remote import RemoteTransport

WAIT_S = 20


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with serving(tmp_path) as server:
        server.store.put(BUCKET, "o", b"content", PutOptions())
        yield server


def force(server: Server, load: str) -> None:
    """Grades for the server, from its next request on."""
    assert server.call("PUT", f"/v1/cluster/set-config?store.load={quote(load)}").status == 200


def ask(server: Server) -> Answer:
    message = json.dumps({"in": [{"objname": "o"}], "strm": True}).encode()
    return server.call("GET", "/v1/ml/moss/b?provider=ais", message)


def counters(server: Server) -> dict[str, int]:
    found: dict[str, int] = json.loads(server.call("GET", "/v1/x/counters").body)
    return found


def test_a_batch_that_is_refused_says_when_to_come_back(server: Server) -> None:
    force(server, "memory:critical")
    refused = ask(server)
    assert (refused.status, refused.headers["retry-after"]) == (429, "1")
    assert refused.error["tcode"] == "ErrTooManyRequests"
    assert "memory=critical" in refused.error["message"]
    assert counters(server)["err.getbatch.n"] == 1
    assert server.call("GET", "/v1/objects/b/o?provider=ais").body == b"content"
    force(server, "off")
    assert ask(server).status == 200
    assert counters(server)["getbatch.n"] == 1


def test_a_client_comes_back(server: Server) -> None:
    force(server, "memory:critical")
    found: list[bytes] = []
    with RemoteTransport(server.url, ConnectionOptions(backoff_s=0.01, retries=50)) as transport:

        def read() -> None:
            request = BatchRequest(entries=[BatchEntry("o")], bucket=BUCKET)
            found.extend(data for _, data in transport.get_batch(request))

        begun = time.monotonic()
        reader = threading.Thread(target=read)
        reader.start()
        while "err.getbatch.n" not in counters(server):
            assert time.monotonic() - begun < WAIT_S
        force(server, "off")
        reader.join(WAIT_S)
    assert found == [b"content"]
    assert time.monotonic() - begun >= 1, "it was asked to wait for a second"


def test_connections_are_refused_before_files_run_out(server: Server) -> None:
    kept = HTTPConnection(*server.address, timeout=WAIT_S)

    def get(target: str, method: str = "GET") -> tuple[int, bytes]:
        kept.request(method, target)
        response = kept.getresponse()
        return response.status, response.read()

    assert get("/v1/cluster/set-config?store.load=files:critical", "PUT") == (200, b"")
    refused = server.call("GET", "/v1/objects/b/o?provider=ais")
    assert (refused.status, refused.headers["retry-after"]) == (503, "1")
    assert refused.error["message"] == "too many open files"
    assert get("/v1/objects/b/o?provider=ais") == (200, b"content"), "who is served stays served"
    assert get("/v1/cluster/set-config?store.load=auto", "PUT") == (200, b"")
    assert server.call("GET", "/v1/objects/b/o?provider=ais").status == 200
    kept.close()


def test_what_was_waited_for_is_counted(server: Server) -> None:
    force(server, "disk:critical")
    assert ask(server).status == 200
    assert counters(server)["getbatch.throttle.ns"] >= 10e6
    kinds = json.loads(server.call("GET", "/v1/daemon?what=metrics").body)
    assert kinds["getbatch.throttle.ns"] == "total"


def test_a_node_tells_how_loaded_it_is(server: Server) -> None:
    force(server, "memory:critical,cpu:low")
    found = json.loads(server.call("GET", "/v1/daemon?what=node_status").body)
    assert found["pressure"]["memory"] == "critical"
    assert found["cluster"]["flags"] & 0b1000000110 == 0b1000000110, "out of memory, but it works"
    assert found["tracker"]["state.flags"] & 1 << 9
