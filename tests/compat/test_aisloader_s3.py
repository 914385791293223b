"""`aisloader -s3endpoint` against an S3 endpoint that is not ours and checks every signature: SeaweedFS."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import ClientError
from tests.compat.clients.environments import SEAWEEDFS, ensure, program_of

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

DEADLINE_S = 90.0
KEY, WORD = "AKIAEXAMPLE", "hush-hush/hush+hush"
IDENTITIES = {
    "identities": [
        {
            "name": "me",
            "credentials": [{"accessKey": KEY, "secretKey": WORD}],
            "actions": ["Admin", "Read", "Write", "List"],
        }
    ]
}


def free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        found = []
        for _ in range(count):
            free = stack.enter_context(socket.socket())
            free.bind(("127.0.0.1", 0))
            found.append(free.getsockname()[1])
        return found


def answers(port: int) -> bool:
    with socket.socket() as peer:
        return peer.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def endpoint(tmp_path: Path) -> Iterator[str]:
    ensure(SEAWEEDFS)
    (tmp_path / "data").mkdir()
    config = tmp_path / "identities.json"
    config.write_text(json.dumps(IDENTITIES))
    names = ("master", "volume", "filer", "s3")
    ports = free_ports(2 * len(names))
    flags = [f"-{name}.port={port}" for name, port in zip(names, ports, strict=False)]
    flags += [f"-{name}.port.grpc={port}" for name, port in zip(names, ports[4:], strict=True)]
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            [program_of(SEAWEEDFS, "weed"), "server", f"-dir={tmp_path / 'data'}", "-ip=127.0.0.1",
             "-filer", "-s3", f"-s3.config={config}", "-volume.max=30",
             "-master.volumeSizeLimitMB=64", "-s3.port.iceberg=0", "-s3.port.lance=0", *flags],
            stdout=log, stderr=log, cwd=tmp_path,
        )  # fmt: skip
    try:
        url = f"http://127.0.0.1:{ports[3]}"
        limit = time.monotonic() + DEADLINE_S
        while not answers(ports[3]):
            assert process.poll() is None, (tmp_path / "log").read_text()[-2000:]
            assert time.monotonic() < limit
            time.sleep(0.1)
        yield url
    finally:
        process.kill()  # it takes half a minute to end by itself
        process.wait(DEADLINE_S)


@pytest.fixture
def s3(endpoint: str) -> "Iterator[S3Client]":
    client = boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id=KEY,
        aws_secret_access_key=WORD,
    )
    limit = time.monotonic() + DEADLINE_S
    while True:
        try:
            client.create_bucket(Bucket="bkt")
            break
        except ClientError as exc:  # it is starting
            is_late = time.monotonic() > limit
            if is_late or exc.response["ResponseMetadata"]["HTTPStatusCode"] < 500:
                raise
            time.sleep(0.2)
    yield client
    client.close()


def loader(endpoint: str, home: Path, *flags: str, word: str = WORD, code: int = 0) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "aisloader", "-quiet", "-json", "-numworkers=2", "-processes=1",
         "-cleanup=false", f"-s3endpoint={endpoint}", "-bucket=s3://bkt", *flags],
        capture_output=True, text=True, timeout=DEADLINE_S, check=False,
        env={"HOME": str(home), "AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": word,
             "PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    assert done.returncode == code, f"{done.stdout}\n{done.stderr}"
    assert "Traceback" not in done.stderr
    return done.stdout if code == 0 else done.stderr


def test_an_endpoint_that_is_not_ours(endpoint: str, s3: "S3Client", tmp_path: Path) -> None:
    def run(*flags: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(loader(endpoint, tmp_path, *flags))[-1]
        return found

    put = run(
        "-pctput=100", "-maxputs=30", "-minsize=1K", "-maxsize=9K", "-subdir=a b/+é%",
        "-cksum-type=crc32c",
    )["put"]  # fmt: skip
    listed = s3.list_objects_v2(Bucket="bkt", Prefix="a b/+é%/")["Contents"]
    assert (put["count"], put["errors"]) == ("30", 0)
    assert sum(each["Size"] for each in listed) == int(put["bytes"])
    parts = run(
        "-pctput=100", "-maxputs=2", "-minsize=11M", "-maxsize=11M", "-multipart-chunks=2",
        "-pctmultipart=100", "-subdir=large",
    )["put_multipart"]  # fmt: skip
    assert (parts["count"], parts["errors"]) == ("2", 0)
    for each in s3.list_objects_v2(Bucket="bkt", Prefix="large/")["Contents"]:
        assert each["Size"] == 11 << 20
        assert each["ETag"].endswith('-2"')
    ranged = run("-epochs=2", "-readoff=5", "-readlen=100", "-subdir=a b/+é%")["get"]
    assert (ranged["count"], ranged["bytes"], ranged["errors"]) == ("60", "6000", 0)
    assert "SignatureDoesNotMatch" in loader(endpoint, tmp_path, word="wrong", code=1)
    loader(endpoint, tmp_path, "-duration=0", "-cleanup=true", "-evict-batchsize=20")
    assert s3.list_objects_v2(Bucket="bkt")["KeyCount"] == 0
