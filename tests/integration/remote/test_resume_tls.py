"""What broke goes on over TLS, too: a cut may fall into the handshake, into a record, or between two of them."""

import random
from collections.abc import Iterator
from dataclasses import replace

import pytest
from tests.integration.remote.support import QUICK, make_certificate, needs_openssl
from tests.integration.remote.test_resume import (
    BUCKET,
    CONTENTS,
    DATA,
    HOW,
    MEMBER,
    SIZE,
)

from aiscore.model.archive import ArchiveFormat
from aiscore.model.objects import GetOptions
from aiscore.serve import ServerSettings, running
from aiscore.testing.archives import build
from aiscore.testing.content import pattern
from aiscore.testing.proxy import FAULTS, Fault, FaultKind, FaultProxy
from aiscore.transport.options import ConnectionOptions
from aiscore.transport.remote import RemoteTransport

pytestmark = needs_openssl

RECORD_HEAD = 5
HANDSHAKE, CHANGE, ALERT, APPLICATION = 22, 20, 21, 23

Proxied = tuple[RemoteTransport, FaultProxy]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """URL, and the certificate to trust."""
    directory = tmp_path_factory.mktemp("resume-tls")
    cert, key = make_certificate(directory)
    settings = ServerSettings(home=str(directory / "home"), port=0, cert=cert, key=key)
    with (
        running(settings) as url,
        RemoteTransport(url, ConnectionOptions(ca_file=cert)) as transport,
    ):
        transport.create_bucket(BUCKET)
        transport.put(BUCKET, "big", DATA)
        transport.put(BUCKET, "s0", b"")
        transport.put(BUCKET, "s1", b"1")
        transport.put(BUCKET, "s700", pattern(700))
        transport.put(BUCKET, "s.tar", build(ArchiveFormat.TAR, [("a", b"a"), ("m", MEMBER)]))
        yield url, cert


@pytest.fixture
def broken(served: tuple[str, str]) -> Iterator[Proxied]:
    url, cert = served
    with FaultProxy(url) as proxy:
        secured = proxy.url.replace("http:", "https:")
        # Of a stall in the handshake nothing is known but that it takes long.
        options = replace(QUICK, ca_file=cert, connect_timeout_s=0.3)
        with RemoteTransport(secured, options) as transport:
            yield transport, proxy


def records(recorded: bytes) -> list[int]:
    """Where TLS records begin in what a server sent on one connection."""
    found, at = [], 0
    while at + RECORD_HEAD <= len(recorded):
        assert recorded[at] in {HANDSHAKE, CHANGE, ALERT, APPLICATION}
        found.append(at)
        at += RECORD_HEAD + int.from_bytes(recorded[at + 3 : at + 5], "big")
    return found


def places(recorded: bytes, kind: FaultKind) -> list[int]:
    """Around the first records, which are the handshake, around some of the others, and anywhere."""
    chosen = random.Random(5)
    starts = records(recorded)
    assert len(starts) > 20
    found = {0, len(recorded) - 1}
    for start in (*starts[:6], *chosen.sample(starts[6:], 4), starts[-1]):
        found |= {start, start + 1, start + RECORD_HEAD - 1, start + RECORD_HEAD, start + 9}
    found |= {chosen.randrange(len(recorded)) for _ in range(6)}
    ordered = sorted(place for place in found if place < len(recorded))
    return ordered if kind != "stall" else chosen.sample(ordered, 6)


@pytest.mark.parametrize("kind", FAULTS)
def test_read_goes_on_at_every_place(broken: Proxied, kind: FaultKind) -> None:
    transport, proxy = broken
    proxy.record()
    assert transport.read(BUCKET, "big") == DATA
    for place in places(proxy.recorded, kind):
        proxy.drop_all()  # the handshake comes first again
        proxy.arm(Fault(kind, place))
        assert transport.read(BUCKET, "big") == DATA, place


@pytest.mark.parametrize("step", [4, pytest.param(1, marks=pytest.mark.soak)])
@pytest.mark.parametrize("kind", FAULTS)
@pytest.mark.parametrize("how", ["streams", "archive"])
def test_batch_goes_on_at_every_place(
    broken: Proxied, how: str, kind: FaultKind, step: int
) -> None:
    transport, proxy = broken
    proxy.record()
    assert HOW[how](transport) == CONTENTS
    for place in places(proxy.recorded, kind)[(how == "archive") % step :: step]:
        proxy.drop_all()
        proxy.arm(Fault(kind, place))
        assert HOW[how](transport) == CONTENTS, place


@pytest.mark.parametrize("kind", FAULTS)
def test_put_is_repeated(broken: Proxied, kind: FaultKind) -> None:
    transport, proxy = broken
    transport.list_buckets()  # an endpoint that never answered is not tried again
    for is_request, place in ((False, 0), (False, 700), (True, 3), (True, 400), (True, 700_000)):
        proxy.drop_all()
        proxy.arm(Fault(kind, place, is_request=is_request))
        assert transport.put(BUCKET, "put", DATA).size == SIZE
        proxy.arm(None)
        assert transport.read(BUCKET, "put", GetOptions(verify_checksum=True)) == DATA
