"""The same GET again and again: the same answer, until something has changed, and then at once the other one."""

import json
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.integration.server.data import BUCKET, MIB, Answer, Server, serving

from aiscore.engine.store import Store
from aiscore.model.objects import PutOptions
from aiscore.serve import ServerSettings, running
from aiscore.testing.content import pattern


class Client:
    """One connection, kept alive, that always says the same."""

    def __init__(self, server: Server) -> None:
        self._connection = socket.create_connection(server.address, timeout=20)
        self._file = self._connection.makefile("rb")

    def send(self, path: str, times: int = 1, method: str = "GET") -> None:
        """Ask, all at once."""
        self._connection.sendall(f"{method} {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode() * times)

    def answer(self) -> tuple[int, dict[str, str], bytes]:
        """The next answer."""
        status = int(self._file.readline().split()[1])
        headers = {}
        while (line := self._file.readline().decode().rstrip("\r\n")) != "":
            name, _, value = line.partition(": ")
            headers[name.lower()] = value
        return status, headers, self._file.read(int(headers["content-length"]))

    def get(self, path: str) -> tuple[int, dict[str, str], bytes]:
        """Ask and hear."""
        self.send(path)
        return self.answer()

    def close(self) -> None:
        """Go."""
        self._file.close()
        self._connection.close()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with serving(tmp_path) as server:
        yield server


@pytest.fixture
def client(server: Server) -> Iterator[Client]:
    client = Client(server)
    yield client
    client.close()


PATH = "/v1/objects/b/o"


def _settle(client: Client, content: bytes) -> dict[str, str]:
    """Until the answer is remembered; all of them are the same."""
    found = [client.get(PATH) for _ in range(5)]
    assert [(status, body) for status, _, body in found] == [(200, content)] * 5
    heads = [
        {name: value for name, value in head.items() if name != "date"} for _, head, _ in found
    ]
    assert heads == [heads[0]] * 5
    assert list(found[0][1]) == list(found[4][1]), "headers in another order"
    return found[0][1]


def test_a_repeated_answer_is_that_of_the_first_time(server: Server, client: Client) -> None:
    server.store.put(BUCKET, "o", pattern(10_240), PutOptions(custom={"a": "b"}))
    head = _settle(client, pattern(10_240))
    assert head["ais-custom-md"] == "a=b"
    assert head["content-length"] == "10240"
    client.send(PATH, times=50)
    for _ in range(50):
        assert client.answer()[2] == pattern(10_240)
    tracker = json.loads(server.call("GET", "/v1/daemon?what=node_stats").body)["tracker"]
    assert (tracker["get.n"], tracker["get.size"]) == (55, 55 * 10_240)


def _disable(store: Store) -> None:
    second = Path(store.core.home).parent / "second"
    second.mkdir()
    store.add_mountpath(str(second))
    store.disable_mountpath(f"{store.core.home}/mp")


ELSEWHERE: dict[str, tuple[Callable[[Store], object], int, bytes]] = {
    "overwritten": (lambda s: s.put(BUCKET, "o", b"new", PutOptions()), 200, b"new"),
    "longer": (lambda s: s.put(BUCKET, "o", pattern(MIB), PutOptions()), 200, pattern(MIB)),
    "deleted": (lambda s: s.delete(BUCKET, "o", None), 404, b""),
    "renamed": (lambda s: s.rename(BUCKET, "o", "other"), 404, b""),
    "bucket destroyed": (lambda s: s.destroy_bucket(BUCKET), 404, b""),
    "mountpath disabled": (_disable, 503, b""),
}
HERE: dict[str, tuple[Callable[[Server], Answer], int, bytes]] = {
    "overwritten": (lambda s: s.call("PUT", PATH, b"new"), 200, b"new"),
    "longer": (lambda s: s.call("PUT", PATH, pattern(3 * MIB)), 200, pattern(3 * MIB)),
    "deleted": (lambda s: s.call("DELETE", PATH), 404, b""),
    "renamed": (lambda s: s.act("POST", PATH, "rename-obj", "other"), 404, b""),
    "bucket destroyed": (lambda s: s.act("DELETE", "/v1/buckets/b", "destroy-bck"), 404, b""),
}


def _is_seen(client: Client, status: int, content: bytes) -> None:
    for _ in range(4):
        got = client.get(PATH)
        assert got[0] == status
        assert status != 200 or got[2] == content


@pytest.mark.parametrize("change", ELSEWHERE)
def test_what_another_process_changes_is_seen_by_the_next_request(
    server: Server, client: Client, change: str
) -> None:
    work, status, content = ELSEWHERE[change]
    server.store.put(BUCKET, "o", b"old", PutOptions())
    _settle(client, b"old")
    work(server.store)
    _is_seen(client, status, content)
    if status == 503:
        server.store.enable_mountpath(f"{server.store.core.home}/mp")
        _is_seen(client, 200, b"old")


@pytest.mark.parametrize("change", HERE)
def test_what_a_client_changes_is_seen_by_the_next_request(
    server: Server, client: Client, change: str
) -> None:
    work, status, content = HERE[change]
    server.store.put(BUCKET, "o", b"old", PutOptions())
    _settle(client, b"old")
    assert work(server).status == 200
    _is_seen(client, status, content)


def test_metadata_and_properties_count_too(server: Server, client: Client) -> None:
    server.store.put(BUCKET, "o", b"old", PutOptions())
    _settle(client, b"old")
    server.store.set_custom(BUCKET, "o", {"k": "v"}, replace=False)
    assert client.get(PATH)[1]["ais-custom-md"] == "k=v"
    _settle(client, b"old")
    piece = next(Path(server.store.core.home, "mp", "pieces").glob("*/*"))
    piece.write_bytes(b"odd")
    server.store.set_bucket_props(BUCKET, {"checksum.validate_warm_get": "true"})
    assert client.get(PATH)[0] == 500
    piece.write_bytes(b"old")
    assert client.get(PATH)[2] == b"old"


def test_a_damaged_piece_is_told_as_ever(server: Server, client: Client) -> None:
    server.store.put(BUCKET, "o", b"old", PutOptions())
    _settle(client, b"old")
    piece = next(Path(server.store.core.home, "mp", "pieces").glob("*/*"))
    piece.write_bytes(b"longer than before")
    assert client.get(PATH)[0] == 500
    piece.unlink()
    assert client.get(PATH)[0] == 500
    piece.write_bytes(b"old")
    assert client.get(PATH)[2] == b"old"


def test_what_is_sent_with_a_get_is_not_taken_for_the_next_request(
    server: Server, client: Client
) -> None:
    server.store.put(BUCKET, "o", b"old", PutOptions())
    answers = []
    for _ in range(4):
        client._connection.sendall(
            f"GET {PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nGET".encode()
        )
        answers.append(client.answer()[2])
    assert answers == [b"old"] * 4
    for _ in range(4):
        client.send(PATH, method="HEAD")
        assert client._file.readline() == b"HTTP/1.1 200 OK\r\n"
        while client._file.readline() != b"\r\n":
            pass
    _settle(client, b"old")


def test_repeats_are_in_the_access_log(tmp_path: Path) -> None:
    home, log = str(tmp_path / "home"), tmp_path / "access.log"
    with running(ServerSettings(home=home, port=0, access_log=str(log))) as url:
        store = Store(home)
        store.create_bucket(BUCKET)
        store.put(BUCKET, "o", b"old", PutOptions())
        clients = [Client(Server(url, store)) for _ in range(2)]
        for client in clients:
            _settle(client, b"old")
        peers = {":".join(map(str, client._connection.getsockname())) for client in clients}
        for client in clients:
            client.close()
        store.close()
    lines = log.read_text().splitlines()
    assert len(lines) == 10
    assert {line.split()[1] for line in lines} == peers
    assert all(f'"GET {PATH}" 200 3 ' in line for line in lines)
