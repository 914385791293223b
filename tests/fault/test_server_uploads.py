"""SIGKILL of `ais serve` while uploads in parts and a rechunk go on.

What a client was told is there, byte for byte, after the server is back: every part that was acknowledged can be
completed, and every completion that was acknowledged is an object. What was not acknowledged is whole or not there.
"""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path
from random import Random

import pytest
from tests.fault.serving import ONCE, Server, serving
from tests.fault.support import BUCKET, VERIFIED, assert_sound, open_store, until

from aiscore.errors import BusyError, NotFoundError, TransportError, UnavailableError
from aiscore.model.chunks import RechunkOptions
from aiscore.model.multipart import PartInfo, PartRef
from aiscore.model.objects import ObjectProps
from aiscore.testing.content import pattern
from aiscore.transport.options import ConnectionOptions
from aiscore.transport.remote import RemoteTransport

ROUNDS = 2
PARTS = 12
SIZES = (1, 5_000, 300_000, 1_500_000)
LOST = (TransportError, BusyError, UnavailableError)
PATIENT = ConnectionOptions(
    backoff_s=0.05, retries=100, deadline_s=30, connect_timeout_s=1, read_timeout_s=10
)


def content(upload: str, number: int) -> bytes:
    return pattern(SIZES[number % len(SIZES)], hash_of(upload) + number)


def hash_of(text: str) -> int:
    return sum(map(ord, text)) % 1000


def send_until_killed(
    server: Server, uploads: dict[str, str], kill: Callable[[], None], after: int
) -> dict[str, dict[int, PartInfo]]:
    """Send parts of all uploads from several threads; the server dies when `after` of them were acknowledged."""
    known: dict[str, dict[int, PartInfo]] = {name: {} for name in uploads}
    lock = threading.Lock()
    is_dead = threading.Event()

    def send(job: tuple[str, int]) -> None:
        name, number = job
        if is_dead.is_set():
            return
        with suppress(*LOST):
            part = client.put_part(BUCKET, name, uploads[name], number, content(name, number))
            with lock:
                known[name][number] = part
                count = sum(map(len, known.values()))
            if count == after:
                is_dead.set()
                kill()

    jobs = [(name, number) for number in range(1, PARTS + 1) for name in uploads]
    with RemoteTransport(server.url, ONCE) as client, ThreadPoolExecutor(6) as pool:
        list(pool.map(send, jobs))
    return known


@pytest.mark.parametrize("workers", [1, 2])
def test_kill_during_parts(tmp_path: Path, workers: int) -> None:
    random = Random(workers)
    with serving(tmp_path, workers) as server:
        for turn in range(ROUNDS):
            with RemoteTransport(server.url, ONCE) as client:
                names = [f"t{turn}-{n}" for n in range(4)]
                uploads = {name: client.create_upload(BUCKET, name) for name in names}
            after = random.randrange(1, 4 * PARTS - 6)
            known = send_until_killed(server, uploads, server.kill, after)
            server.start()
            with RemoteTransport(server.url, ONCE) as client:
                for name, upload in uploads.items():
                    finish(client, name, upload, known[name])
        with closing(open_store(server.home)) as store:
            assert_sound(store)


def finish(client: RemoteTransport, name: str, upload: str, known: dict[int, PartInfo]) -> None:
    """What was acknowledged is there; the rest is sent, and the object is right."""
    stored = {part.number: part for part in client.list_parts(BUCKET, name, upload)}
    for number, part in known.items():
        assert stored[number] == part, f"{name}: part {number} is not as it was acknowledged"
    for number in range(1, PARTS + 1):
        if number not in known:
            stored[number] = client.put_part(BUCKET, name, upload, number, content(name, number))
    refs = [PartRef(number=n, etag=stored[n].etag) for n in range(1, PARTS + 1)]
    client.complete_upload(BUCKET, name, upload, refs)
    whole = b"".join(content(name, number) for number in range(1, PARTS + 1))
    assert client.read(BUCKET, name, VERIFIED) == whole


def test_kill_during_completions(tmp_path: Path) -> None:
    """Clients that repeat get their object, and once only, whatever moment the server died at."""
    random = Random(3)
    with serving(tmp_path) as server:
        for turn in range(ROUNDS):
            names = [f"t{turn}-{n}" for n in range(6)]
            ready: dict[str, tuple[str, list[PartRef]]] = {}
            with RemoteTransport(server.url, ONCE) as client:
                for name in names:
                    upload = client.create_upload(BUCKET, name)
                    parts = [
                        client.put_part(BUCKET, name, upload, n, content(name, n))
                        for n in range(1, PARTS + 1)
                    ]
                    ready[name] = upload, [PartRef(number=p.number, etag=p.etag) for p in parts]
            timer = threading.Timer(random.uniform(0, 0.08), lambda: restart(server))
            timer.start()
            with RemoteTransport(server.url, PATIENT) as client:
                client.list_uploads(BUCKET)

                def complete(
                    name: str, client: RemoteTransport = client, ready: object = ready
                ) -> ObjectProps:
                    upload, refs = ready[name]  # type: ignore[index]
                    return client.complete_upload(BUCKET, name, upload, refs)

                with ThreadPoolExecutor(3) as pool:
                    found = list(pool.map(complete, names))
                timer.join()
                for name, props in zip(names, found, strict=True):
                    whole = b"".join(content(name, number) for number in range(1, PARTS + 1))
                    assert (props.version, props.size) == ("1", len(whole))
                    assert client.read(BUCKET, name, VERIFIED) == whole
                assert client.list_uploads(BUCKET) == []
        with closing(open_store(server.home)) as store:
            assert_sound(store)


def restart(server: Server) -> None:
    server.kill()
    server.start()


def test_kill_during_a_rechunk(tmp_path: Path) -> None:
    """Some objects are done, none is damaged, and the next run does the rest."""
    contents = {f"o{n:02}": pattern(400_000, n) for n in range(24)}
    options = RechunkOptions(objsize_limit=1, chunk_size=64 << 10)
    with serving(tmp_path) as server:
        with RemoteTransport(server.url, ONCE) as client:
            for name, data in contents.items():
                client.put(BUCKET, name, data)
            slow = RechunkOptions(objsize_limit=1, chunk_size=64 << 10, bandwidth=8_000_000)
            thread = threading.Thread(target=lambda: _lost(client, slow))
            thread.start()
            with RemoteTransport(server.url, ONCE) as other:
                until(lambda: other.head(BUCKET, "o02").chunk_count > 1, "some are done")
            server.kill()
            thread.join()
        server.start()
        with RemoteTransport(server.url, ONCE) as client:
            done = sum(client.head(BUCKET, name).chunk_count == 7 for name in contents)
            assert 3 <= done < len(contents)
            result = client.rechunk_bucket(BUCKET, options)
            assert (result.chunked, result.skipped) == (len(contents) - done, done)
            for name, data in contents.items():
                assert client.read(BUCKET, name, VERIFIED) == data
                assert client.head(BUCKET, name).version == "1"
        with closing(open_store(server.home)) as store:
            assert_sound(store)


def _lost(client: RemoteTransport, options: RechunkOptions) -> None:
    with suppress(*LOST, NotFoundError):
        client.rechunk_bucket(BUCKET, options)
