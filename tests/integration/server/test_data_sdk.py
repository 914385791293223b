"""The published Python client against the data path, plain and over TLS."""

import io
import shlex
import ssl
import subprocess
from collections.abc import Iterator
from http.client import HTTPResponse, HTTPSConnection
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from aistore.sdk import Client  # type: ignore[import-untyped]
from aistore.sdk.archive_config import (  # type: ignore[import-untyped]
    ArchiveConfig,
    ArchiveMode,
)
from aistore.sdk.errors import (  # type: ignore[import-untyped]
    ErrBckNotFound,
    ErrObjNotFound,
)
from tests.integration.server.data import BUCKET, MIB, Server, serving

from aiscore.model.objects import ArchivePutMode, GetOptions, PutOptions
from aiscore.testing.content import pattern
from aiscore.transport.base import MemberInput

SIZES = [0, 1, 10_240, MIB + 1, 5 * MIB]


@pytest.fixture(scope="module", params=["http", "https"])
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    directory = tmp_path_factory.mktemp(request.param)
    cert = key = ""
    if request.param == "https":
        cert, key = make_certificate(directory)
    with serving(directory, cert=cert, key=key) as server:
        server.cert = cert
        yield server


@pytest.fixture(scope="module")
def client(server: Server) -> Iterator[Client]:
    with pytest.MonkeyPatch.context() as patch:
        # Of the environment and the client's own certificate, `requests` prefers the former.
        for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
            patch.delenv(name, raising=False)
        yield Client(server.url, ca_cert=server.cert or None)


def make_certificate(directory: Path) -> tuple[str, str]:
    cert, key = str(directory / "cert.pem"), str(directory / "key.pem")
    command = shlex.split(
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost "
        "-addext subjectAltName=DNS:localhost,IP:127.0.0.1 -keyout"
    )
    subprocess.run([*command, key, "-out", cert], check=True, capture_output=True)
    return cert, key


@pytest.mark.parametrize("size", SIZES)
def test_what_is_put_is_read(server: Server, client: Client, size: int, tmp_path: Path) -> None:
    data = pattern(size)
    remote = client.bucket("b").object(f"o{size}")
    remote.get_writer().put_content(data)
    assert server.store.read(BUCKET, f"o{size}", GetOptions(verify_checksum=True)) == data
    reader = remote.get_reader()
    assert reader.read_all() == data
    assert reader.attributes.checksum_type == "xxhash2"
    assert b"".join(remote.get_reader(chunk_size=100_000)) == data
    (tmp_path / "f").write_bytes(data)
    remote.get_writer().put_file(tmp_path / "f")
    assert remote.get_reader().read_all() == data


def test_an_upload_of_unknown_length_is_not_lost(server: Server, client: Client) -> None:
    """Over TLS the client asks first, without saying that data will follow."""
    blocks = [pattern(300_000, i) for i in range(5)]
    client.bucket("b").object("unknown").get_writer().put_content(iter(blocks))
    assert server.store.read(BUCKET, "unknown", GetOptions()) == b"".join(blocks)


def test_only_who_asks_first_is_redirected(server: Server) -> None:
    """The Python client sends head without body and waits; others send their body at once."""
    if not server.cert:
        pytest.skip("the Python client asks first over TLS only")
    context = ssl.create_default_context(cafile=server.cert)
    path = "/v1/objects/b/asked?provider=ais&skip_vc=true"

    def put(path: str, agent: str, body: bytes) -> HTTPResponse:
        connection = HTTPSConnection(*server.address, context=context, timeout=10)
        connection.putrequest("PUT", path)
        for name, value in (
            ("User-Agent", agent),
            ("Connection", "close"),
            ("Content-Length", "5"),
        ):
            connection.putheader(name, value)
        connection.endheaders(body)
        return connection.getresponse()

    asked = put(path, "ais/python/2.0.0", b"")
    assert asked.status == 307
    location = urlsplit(asked.headers["Location"])
    host, port = server.address
    assert (location.scheme, location.netloc, location.path) == (
        "https",
        f"{host}:{port}",
        "/v1/objects/b/asked",
    )
    assert location.query.startswith("provider=ais&skip_vc=true&pid=")
    assert put(f"{location.path}?{location.query}", "ais/python/2.0.0", b"12345").status == 200
    assert server.store.read(BUCKET, "asked", GetOptions()) == b"12345"
    assert put(path, "Python-urllib/3.11", b"54321").status == 200
    assert server.store.read(BUCKET, "asked", GetOptions()) == b"54321"


def test_properties(server: Server, client: Client) -> None:
    server.store.put(BUCKET, "p", b"12345", PutOptions(custom={"k": "v"}))
    remote = client.bucket("b").object("p")
    remote.get_writer().set_custom_props({"k2": "v2"})
    props = remote.props
    assert (props.size, props.name, props.bucket_name) == (5, "p", "b")
    assert props.custom_metadata == {"k": "v", "k2": "v2"}
    assert props.present
    assert props.mirror_copies == 1
    assert props.mirror_paths == [f"{server.store.core.home}/mp"]
    assert remote.head(props="size,checksum,etag").size == 5
    remote.get_writer().set_custom_props({"only": "x"}, replace_existing=True)
    assert server.store.head(BUCKET, "p").custom == {"only": "x"}


def test_ranges_and_parallel_reads(server: Server, client: Client) -> None:
    data = pattern(3 * MIB)
    server.store.put(BUCKET, "r", data, PutOptions())
    remote = client.bucket("b").object("r")
    assert remote.get_reader(byte_range="bytes=5-9").read_all() == data[5:10]
    assert remote.get_reader(byte_range="bytes=-9").read_all() == data[-9:]
    with remote.get_reader().as_file() as file:
        assert file.read() == data


def test_what_is_missing_is_told_apart(client: Client) -> None:
    with pytest.raises(ErrObjNotFound):
        client.bucket("b").object("nope").get_reader().read_all()
    with pytest.raises(ErrBckNotFound):
        client.bucket("nope").object("nope").get_reader().read_all()
    with pytest.raises(ErrObjNotFound):
        client.bucket("b").object("nope").delete()


def test_append_and_writer_files(server: Server, client: Client) -> None:
    writer = client.bucket("b").object("appended").get_writer()
    handle = writer.append_content(b"one ")
    handle = writer.append_content(b"two", handle=handle)
    writer.append_content(b"", handle=handle, flush=True)
    assert server.store.read(BUCKET, "appended", GetOptions()) == b"one two"
    with client.bucket("b").object("file").get_writer().as_file() as file:
        for block in (b"a" * 1000, b"b" * MIB, b"c"):
            file.write(block)
    assert server.store.read(BUCKET, "file", GetOptions()) == b"a" * 1000 + b"b" * MIB + b"c"


def test_members_of_shards(server: Server, client: Client) -> None:
    members = [MemberInput("d/1.txt", 3, b"one"), MemberInput("d/2.jpg", 3, b"two")]
    server.store.put_members(BUCKET, "s.tar", members, ArchivePutMode.CREATE, None)
    remote = client.bucket("b").object("s.tar")
    config = ArchiveConfig(archpath="d/1.txt")
    assert remote.get_reader(archive_config=config).read_all() == b"one"
    config = ArchiveConfig(regex="jpg", mode=ArchiveMode.SUFFIX)
    assert b"two" in remote.get_reader(archive_config=config).read_all()


def test_copy_and_delete(server: Server, client: Client) -> None:
    server.store.put(BUCKET, "from", b"x", PutOptions())
    source = client.bucket("b").object("from")
    source.copy(client.bucket("b").object("dir/to"))
    assert server.store.read(BUCKET, "dir/to", GetOptions()) == b"x"
    source.delete()
    with pytest.raises(ErrObjNotFound):
        source.get_reader().read_all()


@pytest.mark.parametrize("output_format", [".tar", ".tgz", ".zip"])
@pytest.mark.parametrize("is_streaming", [True, False])
def test_batches(server: Server, client: Client, output_format: str, is_streaming: bool) -> None:
    contents = {f"batch/{i}": pattern(50_000 + i, i) for i in range(40)}
    for name, data in contents.items():
        server.store.put(BUCKET, name, data, PutOptions())
    batch = client.batch(
        list(contents),
        bucket=client.bucket("b"),
        output_format=output_format,
        streaming_get=is_streaming,
    )
    batch.add("gone", opaque=b"\xff\x00")
    found = [(info.obj_name, content, info.opaque) for info, content in batch.get()]
    assert found[:-1] == [(name, data, None) for name, data in contents.items()]
    assert found[-1] == ("gone", b"", b"\xff\x00")


def test_a_raw_batch_is_the_archive(server: Server, client: Client) -> None:
    server.store.put(BUCKET, "raw", b"content", PutOptions())
    batch = client.batch("raw", bucket=client.bucket("b"))
    response = batch.get(raw=True)
    data = io.BytesIO(response.read())
    assert b"content" in data.getvalue()
    response.close()
