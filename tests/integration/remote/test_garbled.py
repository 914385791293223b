"""Listings that come back garbled are refused, and never believed, never waited for, never a bomb."""

import random
import socketserver
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from tests.integration.remote.support import QUICK, proxied, serving

from aiscore.errors import ProtocolError
from aiscore.model.bucket import BucketRef
from aiscore.model.objects import ListOptions, ListProp
from aiscore.transport.remote import RemoteTransport

BUCKET = BucketRef("bucket")
WANTED = ListOptions(props=frozenset(ListProp))
ROUNDS = 400


class Garbler(socketserver.ThreadingTCPServer):
    """Gives each request the same body."""

    allow_reuse_address = True
    daemon_threads = True
    body = b""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answers)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"


class Answers(socketserver.StreamRequestHandler):
    server: Garbler

    def handle(self) -> None:
        """Answer until the client goes."""
        while self.rfile.readline():
            length = 0
            while (line := self.rfile.readline().strip().lower()) != b"":
                if line.startswith(b"content-length:"):
                    length = int(line.partition(b":")[2])
            self.rfile.read(length)
            body = self.server.body
            self.wfile.write(
                b"HTTP/1.1 200 OK\r\nContent-Type: application/msgpack\r\nContent-Length: %d\r\n\r\n%b"
                % (len(body), body)
            )


@pytest.fixture
def garbler() -> Iterator[Garbler]:
    with Garbler() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def listing(tmp_path: Path) -> bytes:
    """The body of a listing as a server sends it."""
    with serving(tmp_path) as url, proxied(url) as (transport, proxy):
        transport.create_bucket(BUCKET)
        for number in range(20):
            transport.put(BUCKET, f"dir/o{number}", b"x" * number)
        transport.list_page(BUCKET, WANTED)
        proxy.record()
        assert len(transport.list_page(BUCKET, WANTED).entries) == 20
        head, _, body = proxy.recorded.partition(b"\r\n\r\n")
        assert b"application/msgpack" in head.lower()
        return body


def garbled(body: bytes, chosen: random.Random) -> bytes:
    """One of the things that can happen to it."""
    data = bytearray(body)
    match chosen.randrange(6):
        case 0:
            del data[chosen.randrange(len(data)) :]
        case 1:
            data += chosen.randbytes(chosen.randrange(1, 40))
        case 2:
            for _ in range(chosen.randrange(1, 9)):
                data[chosen.randrange(len(data))] = chosen.randrange(256)
        case 3:  # lengths that are not there: of an array, a map, a string, of bytes
            at = chosen.randrange(len(data))
            data[at : at + 1] = chosen.choice([b"\xdd", b"\xdf", b"\xdb", b"\xc6"]) + b"\xff" * 4
        case 4:  # deeper than anything should be
            at = chosen.randrange(len(data))
            data[at : at + 1] = chosen.choice([b"\x91", b"\x81\xa1a"]) * 100_000
        case _:
            start, stop = sorted(chosen.sample(range(len(data)), 2))
            data[start:stop] = chosen.randbytes(stop - start)
    return bytes(data)


def test_garbled_listings_are_refused(garbler: Garbler, listing: bytes) -> None:
    chosen = random.Random(7)
    refused = 0
    with RemoteTransport(garbler.url, QUICK) as transport:
        garbler.body = listing
        whole = transport.list_page(BUCKET, WANTED)
        assert len(whole.entries) == 20
        for _ in range(ROUNDS):
            garbler.body = garbled(listing, chosen)
            try:
                page = transport.list_page(BUCKET, WANTED)
            except ProtocolError:
                refused += 1
            else:  # a byte of a name is as good as another
                assert len(page.entries) <= 20 or msgspec.msgpack.decode(garbler.body)
        garbler.body = listing
        assert transport.list_page(BUCKET, WANTED) == whole
    assert refused > ROUNDS // 2
