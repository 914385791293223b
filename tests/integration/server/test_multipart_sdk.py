"""The published Python client's multipart upload and jobs, plain and over TLS."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from aistore.sdk import Client  # type: ignore[import-untyped]
from aistore.sdk.errors import AISError  # type: ignore[import-untyped]
from tests.integration.server.data import BUCKET, MIB, Server, serving
from tests.integration.server.test_data_sdk import make_certificate

from aiscore.model.objects import GetOptions
from aiscore.testing.content import pattern

VERIFIED = GetOptions(verify_checksum=True)


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
        for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
            patch.delenv(name, raising=False)
        yield Client(server.url, ca_cert=server.cert or None)


def test_chain(server: Server, client: Client) -> None:
    upload = client.bucket("b").object("dir/chain").multipart_upload().create()
    contents = [pattern(5 * MIB, 1), pattern(1, 2), pattern(70_000, 3)]
    for number, data in enumerate(contents, start=1):
        upload.add_part(number).put_content(data)
    assert upload.complete().status_code == 200
    assert server.store.read(BUCKET, "dir/chain", VERIFIED) == b"".join(contents)
    assert server.store.head(BUCKET, "dir/chain").chunk_count == 3
    reader = client.bucket("b").object("dir/chain").get_reader()
    assert reader.read_all() == b"".join(contents)


def test_parts_of_files_in_parallel(server: Server, client: Client, tmp_path: Path) -> None:
    """A large file as its writers split it: slices in parallel, in any order."""
    size, chunk = 24 * MIB + 5, 4 * MIB
    data = pattern(size)
    upload = client.bucket("b").object("parallel").multipart_upload().create()
    count = -(-size // chunk)
    writers = {number: upload.add_part(number) for number in range(count, 0, -1)}

    def send(number: int) -> int:
        path = tmp_path / f"{number}"
        path.write_bytes(data[(number - 1) * chunk : number * chunk])
        status: int = writers[number].put_file(path).status_code
        os.unlink(path)
        return status

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(send, writers)) == {200}
    upload.complete()
    assert server.store.read(BUCKET, "parallel", VERIFIED) == data
    reader = client.bucket("b").object("parallel").get_reader(num_workers=4)
    with reader.read_all() as found:  # fetched in ranges, over the borders of the chunks
        assert found.tobytes() == data


def test_abort_and_what_is_unknown(server: Server, client: Client) -> None:
    upload = client.bucket("b").object("aborted").multipart_upload().create()
    upload.add_part(1).put_content(b"data")
    assert upload.abort().status_code == 200
    for action in (upload.complete, upload.abort, lambda: upload.add_part(2).put_content(b"x")):
        with pytest.raises(AISError) as info:
            action()
        assert info.value.status_code == 404
    with pytest.raises(AISError) as info:
        client.bucket("none").object("o").multipart_upload().create()
    assert info.value.status_code == 404
    incomplete = client.bucket("b").object("aborted").multipart_upload().create()
    for number in (1, 3):
        incomplete.add_part(number).put_content(b"data")
    with pytest.raises(AISError) as info:
        incomplete.complete()
    assert info.value.status_code == 400


def test_chunked_objects_are_listed_as_such(client: Client) -> None:
    bucket = client.bucket("b")
    upload = bucket.object("listed/chunked").multipart_upload().create()
    for number in (1, 2):
        upload.add_part(number).put_content(b"data")
    upload.complete()
    bucket.object("listed/whole").get_writer().put_content(b"data")
    entries = bucket.list_all_objects(prefix="listed/", props="name,size,chunked")
    assert {entry.name: bool(entry.flags & 8192) for entry in entries} == {
        "listed/chunked": True,
        "listed/whole": False,
    }


def test_rechunk_as_a_job(server: Server, client: Client) -> None:
    bucket = client.bucket("b")
    server.store.set_bucket_props(
        BUCKET, {"chunks.objsize_limit": "10KB", "chunks.chunk_size": "4KiB"}
    )
    bucket.object("rechunk").get_writer().put_content(pattern(3000))
    job_id = client.job(job_kind="rechunk").start(buckets=[bucket])
    job = client.job(job_id=job_id)
    assert job.wait(timeout=30).success
    assert job.status().err == ""
    details = job.get_details()
    assert details.list_snapshots()[0].kind == "rechunk"
    server.store.reset_bucket_props(BUCKET)
    again = client.job(job_kind="rechunk").start(buckets=[bucket])
    assert again != job_id
    client.job(job_id=again).wait(timeout=30)
    assert client.job(job_id=again).status().end_time
