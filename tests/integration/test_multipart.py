"""`ais mpu` and `ais rechunk` as processes: over a store in the process, and over a server."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.integration.remote.support import serving

from aiscore.model.bucket import BucketRef
from aiscore.model.multipart import PartRef, UploadOptions
from aiscore.model.objects import GetOptions
from aiscore.testing.content import pattern
from aiscore.transport import Transport, open_transport

AIS = str(Path(sys.executable).parent / "ais")
BUCKET = BucketRef("b")
MIB = 1 << 20
VERIFIED = GetOptions(verify_checksum=True)


class Shell:
    """Runs `ais` in a directory, against one store."""

    def __init__(self, directory: Path, endpoint: str, command: str) -> None:
        self.directory = directory
        self._command = command
        self.endpoint = endpoint
        self._env = {
            **{name: value for name, value in os.environ.items() if not name.startswith("AIS_")},
            "AIS_ENDPOINT": endpoint,
            "HOME": str(directory),
        }

    def begin(self, *words: str, command: str = AIS) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [command, *words],
            cwd=self.directory,
            env=self._env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *words: str, code: int = 0) -> str:
        """The output, of both streams."""
        with self.begin(*words, command=self._command) as process:
            out, err = process.communicate(timeout=60)
        assert process.returncode == code, (words, out, err)
        assert "Traceback" not in err
        return out + err

    def json(self, *words: str) -> object:
        return json.loads(self.run(*words, "-o", "json"))

    def file(self, name: str, data: bytes) -> None:
        (self.directory / name).write_bytes(data)


@pytest.fixture(params=["file", "http"])
def shell(request: pytest.FixtureRequest, tmp_path: Path, quick_ais: str) -> Iterator[Shell]:
    if request.param == "file":
        yield Shell(tmp_path, f"file://{tmp_path}/home", quick_ais)
        return
    with serving(tmp_path) as url:
        yield Shell(tmp_path, url, quick_ais)


@pytest.fixture
def store(shell: Shell) -> Iterator[Transport]:
    with open_transport(shell.endpoint) as transport:
        transport.create_bucket(BUCKET)
        yield transport
        assert transport.validate().faults == ()


def test_step_by_step(shell: Shell, store: Transport) -> None:
    shell.file("one", b"1" * 1000)
    shell.file("two", b"2" * 10)
    made = shell.json("mpu", "create", "ais://b/dir/o")
    assert isinstance(made, dict)
    upload = made["upload_id"]
    said = shell.run("object", "mpu", "put-part", "ais://b/dir/o", upload, "2", "two")
    assert said == f"Uploaded part 2 for ais://b/dir/o (upload ID: {upload})\n"
    flags = ("--upload-id", upload, "--part-number", "1", "one")
    shell.run("mpu", "put-part", "ais://b/dir/o", *flags)
    listed = shell.json("mpu", "ls", "ais://b/dir/")
    assert isinstance(listed, list)
    assert (listed[0]["name"], listed[0]["parts"], listed[0]["size"]) == ("dir/o", 2, 1010)
    parts = shell.json("mpu", "parts", "ais://b/dir/o", upload)
    assert isinstance(parts, list)
    assert [(part["part"], part["size"]) for part in parts] == [(1, 1000), (2, 10)]
    assert "have 2" in shell.run("mpu", "complete", "ais://b/dir/o", upload, "1", code=2)
    said = shell.run("mpu", "complete", "ais://b/dir/o", "--upload-id", upload, "2,1")
    assert said == "Successfully completed multipart upload for ais://b/dir/o\n"
    assert store.read(BUCKET, "dir/o", VERIFIED) == b"1" * 1000 + b"2" * 10
    assert shell.run("mpu", "ls") == "No multipart uploads.\n"
    assert "yes" in shell.run("ls", "ais://b", "--chunked")


def test_all_parts_and_abort(shell: Shell, store: Transport) -> None:
    shell.file("one", b"1" * 1000)
    upload = store.create_upload(BUCKET, "o")
    shell.run("mpu", "put-part", "ais://b/o", upload, "1", "one")
    gap = store.create_upload(BUCKET, "gap")
    shell.run("mpu", "put-part", "ais://b/gap", gap, "2", "one")
    assert "exactly 1..1" in shell.run("mpu", "complete", "ais://b/gap", gap, "--all", code=2)
    shell.run("mpu", "complete", "ais://b/o", upload, "--all")
    for _ in range(2):
        store.create_upload(BUCKET, "left/o")
    assert "No uploads" in shell.run("mpu", "abort", "ais://b", "--all", "--older-than", "1h")
    assert "would abort 3" in shell.run("mpu", "abort", "ais://b", "--all", "--dry-run")
    assert "canceled" in shell.run("mpu", "abort", "ais://b/left/", "--all")
    shell.run("mpu", "abort", "ais://b/left/", "--all", "--yes")
    assert [upload.name for upload in store.list_uploads(BUCKET)] == ["gap"]
    shell.run("mpu", "abort", "ais://b/gap", gap)
    assert store.list_uploads(BUCKET) == []


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        ("put-part ais://b/o invalidID 1 one", 3, "failed to upload part 1: upload"),
        ("put-part ais://b/o someID00 0 one", 2, "part number must be positive"),
        ("put-part ais://b/o someID00 -1 one", 2, "part number must be positive"),
        ("put-part ais://b/o someID00 x one", 2, 'invalid part number "x"'),
        ("put-part ais://b/o someID00 1 none", 4, "none"),
        ("put-part ais://b/o someID00 1 .", 2, "not a regular file"),
        ("put-part ais://b/o someID00", 2, "missing arguments: PART_NUMBER FILE"),
        ("complete ais://b/o invalidID 1,2,3", 3, "failed to complete multipart upload"),
        ("complete ais://b/o invalidID ,", 2, "list of part numbers is empty"),
        ("complete ais://b/o", 2, "missing arguments"),
        ("abort ais://b/o invalidID", 3, "failed to abort multipart upload"),
        ("abort ais://b/o a b c", 2, "too many arguments: b c"),
        ("create ais://b", 2, "object name"),
        ("create ais://none/o", 3, 'bucket "ais://none" does not exist'),
        ("put one ais://b/o --chunk-size 0", 2, "--chunk-size must be positive"),
        ("put - ais://b/o", 2, "standard input"),
        ("put none ais://b/o", 4, "none"),
        ("put one ais://none/o", 3, 'bucket "ais://none" does not exist'),
        ("put big ais://b/o --chunk-size 1", 2, "the limit is 9999"),
    ],
)
def test_errors(shell: Shell, store: Transport, words: str, code: int, text: str) -> None:
    shell.file("one", b"1")
    shell.file("big", bytes(10_000))
    assert text in shell.run("mpu", *words.split(), code=code)
    assert store.list_uploads(BUCKET) == []


def test_whole_file(shell: Shell, store: Transport) -> None:
    data = pattern(5 * MIB + 3)
    shell.file("f.bin", data)
    shell.file("empty", b"")
    record = shell.json("mpu", "put", "f.bin", "ais://b/x/", "--chunk-size", "1MiB")
    assert isinstance(record, dict)
    assert (record["name"], record["size"], record["chunks"]) == ("x/f.bin", len(data), 6)
    assert store.read(BUCKET, "x/f.bin", VERIFIED) == data
    assert store.head(BUCKET, "x/f.bin").chunk_count == 6
    shell.run("mpu", "put", "empty", "ais://b")
    assert store.read(BUCKET, "empty") == b""
    shell.run("mpu", "put", "f.bin", "ais://b/y", "--compute-checksum", "--num-workers", "1")
    assert store.read(BUCKET, "y", VERIFIED) == data
    assert store.list_uploads(BUCKET) == []


def test_interrupted_run_goes_on(shell: Shell, store: Transport) -> None:
    """What is there is compared by content: a part of the right size and of other bytes is sent again."""
    data, chunk = pattern(4 * MIB), MIB
    shell.file("f.bin", data)
    other = store.create_upload(BUCKET, "o")
    store.put_part(BUCKET, "o", other, 1, bytes(chunk))  # of another file
    store.create_upload(BUCKET, "o")  # has nothing yet
    upload = store.create_upload(BUCKET, "o")
    for number in (1, 3):
        store.put_part(BUCKET, "o", upload, number, data[(number - 1) * chunk : number * chunk])
    store.put_part(BUCKET, "o", upload, 2, bytes(chunk))
    s3 = store.create_upload(BUCKET, "o", UploadOptions(md5=True))
    store.put_part(BUCKET, "o", s3, 1, data[:chunk])
    plan = shell.json("mpu", "put", "f.bin", "ais://b/o", "--dry-run")
    assert isinstance(plan, dict)
    assert (plan["chunks"], plan["resumed"], plan["dry_run"]) == (4, 3, True)
    record = shell.json("mpu", "put", "f.bin", "ais://b/o")
    assert isinstance(record, dict)
    assert (record["upload_id"], record["chunks"]) == (upload, 4)
    assert store.read(BUCKET, "o", VERIFIED) == data
    assert {found.upload_id for found in store.list_uploads(BUCKET)} >= {other, s3}
    record = shell.json("mpu", "put", "f.bin", "ais://b/o", "--no-resume")
    assert isinstance(record, dict)
    assert (record["resumed"], record["chunks"]) == (0, 1)


def test_killed_run_goes_on(shell: Shell, store: Transport) -> None:
    size, chunk = 96 * MIB, MIB
    data = pattern(size)
    shell.file("f.bin", data)
    words = ("mpu", "put", "f.bin", "ais://b/o", "--chunk-size", "1MiB", "--num-workers", "2")
    with shell.begin(*words) as process:
        deadline = time.monotonic() + 30
        while process.poll() is None and time.monotonic() < deadline:
            uploads = store.list_uploads(BUCKET)
            if uploads and uploads[0].part_count >= 5:
                process.send_signal(signal.SIGKILL)
                break
            time.sleep(0.002)
        process.communicate()
    assert process.returncode == -signal.SIGKILL
    (upload,) = store.list_uploads(BUCKET)
    assert 5 <= upload.part_count < size // chunk
    before = {part.number: part for part in store.list_parts(BUCKET, "o", upload.upload_id)}
    record = shell.json(*words[:4])
    assert isinstance(record, dict)
    assert (record["upload_id"], record["chunks"]) == (upload.upload_id, size // chunk)
    assert record["resumed"] == len(before)
    assert store.read(BUCKET, "o", VERIFIED) == data
    assert store.list_uploads(BUCKET) == []


def test_interrupted_run_says_so(shell: Shell, store: Transport) -> None:
    shell.file("f.bin", pattern(96 * MIB))
    with shell.begin("mpu", "put", "f.bin", "ais://b/o", "--chunk-size", "1MiB") as process:
        deadline = time.monotonic() + 30
        while process.poll() is None and time.monotonic() < deadline:
            uploads = store.list_uploads(BUCKET)
            if uploads and uploads[0].part_count >= 3:
                process.send_signal(signal.SIGINT)
                break
            time.sleep(0.002)
        _, err = process.communicate(timeout=30)
    assert process.returncode == 130, err
    (upload,) = store.list_uploads(BUCKET)
    assert upload.upload_id in err
    assert "run the command again" in err
    assert "Traceback" not in err


class TestRechunk:
    def test_there_and_back(self, shell: Shell, store: Transport) -> None:
        for name, size in (("small", 10_240), ("large", 102_400), ("p/large", 102_400)):
            store.put(BUCKET, name, pattern(size))
        sizes = ("--objsize-limit", "51200", "--chunk-size", "20480")
        plan = shell.json("rechunk", "ais://b", *sizes, "--dry-run")
        assert isinstance(plan, dict)
        assert (plan["objects"], plan["chunked"], plan["chunked_size"]) == (3, 2, 204_800)
        assert store.head(BUCKET, "large").chunk_count == 1
        done = shell.json("job", "start", "rechunk", "ais://b/p/", *sizes)
        assert isinstance(done, dict)
        assert (done["objects"], done["chunked"], done["prefix"]) == (1, 1, "p/")
        said = shell.run("bucket", "rechunk", "ais://b", *sizes, "--wait")
        assert "1 (100.00KiB) written in chunks" in said
        assert "2 left as they are" in said
        assert said.endswith("Done.\n")
        assert store.head(BUCKET, "large").chunk_count == 5
        assert store.read(BUCKET, "large", VERIFIED) == pattern(102_400)
        shell.run("rechunk", "ais://b", "--objsize-limit", "0", "--yes")
        assert store.head(BUCKET, "large").chunk_count == 1

    def test_sizes_of_the_bucket_are_asked_about(self, shell: Shell, store: Transport) -> None:
        store.set_bucket_props(
            BUCKET, {"chunks.objsize_limit": "1KiB", "chunks.chunk_size": "1KiB"}
        )
        store.set_bucket_props(BUCKET, {"chunks.objsize_limit": "0"})
        store.put(BUCKET, "o", pattern(5000))
        said = shell.run("rechunk", "ais://b")
        assert "chunking disabled" in said
        assert "canceled" in said
        shell.run("rechunk", "ais://b", "--objsize-limit", "2KiB", "--yes")
        assert store.head(BUCKET, "o").chunk_count == 5

    @pytest.mark.parametrize(
        ("words", "code", "text"),
        [
            ("ais://b --chunk-size 0", 2, "chunk size"),
            ("ais://b --chunk-size 1 --objsize-limit 1", 2, "chunks.chunk_size"),
            ("ais://b --objsize-limit x", 2, "--objsize-limit"),
            ("ais://b/p --prefix q", 2, "does not begin with"),
            ("ais://none", 3, 'bucket "ais://none" does not exist'),
        ],
    )
    def test_errors(self, shell: Shell, store: Transport, words: str, code: int, text: str) -> None:
        assert text in shell.run("rechunk", *words.split(), "--yes", code=code)


def test_maintenance(shell: Shell, store: Transport) -> None:
    store.put(BUCKET, "o", pattern(100))
    for words in (
        ("storage", "cleanup"),
        ("job", "start", "cleanup", "ais://b", "--force"),
        ("space-cleanup", "--wait"),
        ("start", "lru"),
        ("job", "start", "lru", "ais://b", "--force", "--yes"),
        ("job", "start", "warm-up-metadata", "ais://b"),
        ("bucket", "shard-index", "build", "ais://b"),
    ):
        assert "objects" in shell.run(*words)
    assert "canceled" in shell.run("job", "start", "lru", "--force")
    assert store.read(BUCKET, "o") == pattern(100)
    kinds = shell.run("show", "job", "--all")
    for kind in ("cleanup", "lru-eviction", "warm-up-metadata", "shard-index"):
        assert kind in kinds


def test_upload_of_another_client_can_be_completed(shell: Shell, store: Transport) -> None:
    upload = store.create_upload(BUCKET, "o")
    part = store.put_part(BUCKET, "o", upload, 1, b"data")
    store.complete_upload(BUCKET, "o", upload, [PartRef(number=1, etag=part.etag)])
    assert "does not exist" in shell.run("mpu", "parts", "ais://b/o", upload, code=3)
