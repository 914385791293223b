"""What the tests of the data path share: a server of one worker, its store opened beside it, and plain HTTP."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from aiscore.engine.store import Store
from aiscore.model.bucket import BucketRef
from aiscore.serve import ServerSettings, running

BUCKET = BucketRef("b")
MIB = 1 << 20


@dataclass
class Answer:
    """One answer, read whole."""

    status: int
    headers: dict[str, str]
    body: bytes
    repeated: dict[str, list[str]] = field(default_factory=dict)

    @property
    def error(self) -> dict[str, Any]:
        """AIStore's error, out of the body or the header of HEAD."""
        text = self.body.decode() or self.headers["hdr-error"]
        found: dict[str, Any] = json.loads(text)
        return found


@dataclass
class Server:
    """A running server and its store."""

    url: str
    store: Store
    cert: str = ""

    @property
    def address(self) -> tuple[str, int]:
        """Host and port."""
        host, _, port = self.url.rpartition("//")[2].partition(":")
        return host, int(port)

    def call(
        self,
        method: str,
        path: str,
        body: bytes | Iterator[bytes] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """One request on a connection of its own."""
        connection = HTTPConnection(*self.address, timeout=20)
        try:
            connection.request(method, path, body, dict(headers or {}))
            response = connection.getresponse()
            data = response.read()
            repeated: dict[str, list[str]] = {}
            for name, value in response.getheaders():
                repeated.setdefault(name.lower(), []).append(value)
            plain = {name: ", ".join(values) for name, values in repeated.items()}
            return Answer(response.status, plain, data, repeated)
        finally:
            connection.close()

    def act(
        self, method: str, path: str, action: str, name: str = "", value: object = None
    ) -> Answer:
        """An action message."""
        message = {"action": action, "name": name, "value": value}
        return self.call(method, path, json.dumps(message).encode())


@contextmanager
def serving(
    directory: Path, *, cert: str = "", key: str = "", body_timeout_s: float = 60
) -> Iterator[Server]:
    """A server on a new home with an empty bucket; the home is sound when it is over."""
    home = str(directory / "home")
    settings = ServerSettings(home=home, port=0, cert=cert, key=key, body_timeout_s=body_timeout_s)
    with running(settings) as url:
        store = Store(home)
        store.create_bucket(BUCKET)
        yield Server(url, store)
    assert store.validate(None, "").faults == ()
    store.close()


def pieces(store: Store) -> int:
    """Payload files on the disk."""
    return sum(1 for _ in Path(store.core.home, "mp", "pieces").glob("*/*"))
