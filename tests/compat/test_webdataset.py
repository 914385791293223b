"""webdataset reads and writes shards through `ais`: with `pipe:` commands, and with `ais://` URLs.

It runs in processes of its own, as its readers do: each has a share of the shards.
"""

import hashlib
import io
import json
import os
import random
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from tests.integration.server.process import ais_serve

SHARDS = 10
SAMPLES = 6  # in each shard
URLS = {
    "pipe": "pipe:ais get ais://b/shard-{000..009}.tar -",
    "ais": "ais://b/shard-{000..009}.tar",
    "cat": "pipe:ais cat ais://b/shard-{000..009}.tar",
}
READ = """
import hashlib, json, sys
import webdataset as wds

dataset = wds.DataPipeline(
    wds.SimpleShardList(sys.argv[1]), wds.split_by_worker, wds.tarfile_to_samples()
)
for sample in dataset:
    fields = {k: hashlib.sha256(v).hexdigest() for k, v in sample.items() if k[0] != "_"}
    print(json.dumps([sample["__key__"], fields]))
"""
STOP = """
import sys
import webdataset as wds

dataset = iter(wds.WebDataset(sys.argv[1], shardshuffle=False))
print(next(dataset)["__key__"])
dataset.close()
"""
PIPE = """
import sys
from webdataset.gopen import gopen

stream = gopen(sys.argv[1], "rb")
stream.read(512)
stream.close()
print(stream.status)
"""
WRITE = """
import json, sys
import webdataset as wds

with wds.ShardWriter(sys.argv[1], maxcount=5, verbose=0, mtime=0) as writer:
    for n in range(12):
        writer.write({"__key__": f"s{n:02d}", "txt": f"text {n}", "bin": bytes([n]) * 100_000})
with wds.TarWriter(sys.argv[2], mtime=0) as writer:
    writer.write({"__key__": "only", "cls": b"7"})
"""

Sample = dict[str, bytes]


class Runner:
    """Processes that find our `ais` on PATH, and a store of their own."""

    def __init__(self, tmp_path: Path, programs: Path) -> None:
        self.env = {
            **os.environ,
            "AIS_HOME": str(tmp_path / "home"),
            "AIS_CLI_CONFIG_DIR": str(tmp_path / "settings"),
            "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        }

    def start(self, *words: str, **env: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            words, env=self.env | env, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )

    def run(self, *words: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            words, env=self.env, input=stdin, capture_output=True, check=False, timeout=120
        )

    def ais(self, *words: str, stdin: bytes = b"") -> bytes:
        done = self.run("ais", *words, stdin=stdin)
        assert done.returncode == 0, done
        return done.stdout


@pytest.fixture(params=["local", "server"])
def runner(request: pytest.FixtureRequest, tmp_path: Path, quick_ais: str) -> Iterator[Runner]:
    """A bucket in a home, and the same behind `ais serve`."""
    runner = Runner(tmp_path, Path(quick_ais).parent)
    with ExitStack() as stack:
        if request.param == "server":
            directory = tmp_path / "served"
            directory.mkdir()
            server = stack.enter_context(ais_serve(directory, "--workers", "2"))
            runner.env["AIS_ENDPOINT"] = server.url
        runner.ais("create", "ais://b")
        yield runner


@pytest.fixture
def samples(runner: Runner, tmp_path: Path) -> dict[str, Sample]:
    """Samples by key, in `SHARDS` shards of the bucket."""
    source = random.Random(1)
    samples: dict[str, Sample] = {}
    folder = tmp_path / "shards"
    folder.mkdir()
    for shard in range(SHARDS):
        with tarfile.open(folder / f"shard-{shard:03d}.tar", "w") as tar:
            for number in range(SAMPLES):
                key = f"{shard:03d}/sample-{number}"
                image = source.randbytes(source.choice([0, 1, 511, 512, 513, 200_000]))
                samples[key] = {
                    "jpg": image,
                    "seg.png": source.randbytes(1000),
                    "cls": b"%d" % shard,
                }
                for extension, content in samples[key].items():
                    info = tarfile.TarInfo(f"{key}.{extension}")
                    info.size = len(content)
                    tar.addfile(info, io.BytesIO(content))
    runner.ais("put", str(folder), "ais://b", "--yes")
    return samples


def digests(samples: dict[str, Sample]) -> dict[str, dict[str, str]]:
    return {
        key: {name: hashlib.sha256(content).hexdigest() for name, content in sample.items()}
        for key, sample in samples.items()
    }


@pytest.mark.parametrize("form", URLS)
def test_workers_share_the_shards_and_read_every_byte(
    runner: Runner, samples: dict[str, Sample], form: str
) -> None:
    workers = [
        runner.start(sys.executable, "-c", READ, URLS[form], WORKER=str(n), NUM_WORKERS="4")
        for n in range(4)
    ]
    read: dict[str, dict[str, str]] = {}
    for worker in workers:
        stdout, stderr = worker.communicate(timeout=120)
        assert (worker.returncode, stderr) == (0, b"")
        lines = [json.loads(line) for line in stdout.splitlines()]
        assert lines, "every worker has shards"
        for key, fields in lines:
            assert key not in read, "no sample is read twice"
            read[key] = fields
    assert read == digests(samples)


def test_samples_come_in_the_order_of_the_shards(
    runner: Runner, samples: dict[str, Sample]
) -> None:
    done = runner.run(sys.executable, "-c", READ, URLS["ais"])
    assert [json.loads(line)[0] for line in done.stdout.splitlines()] == list(samples)


@pytest.mark.parametrize("form", URLS)
def test_a_reader_that_stops_early_hears_nothing(runner: Runner, form: str) -> None:
    runner.ais("archive", "gen-shards", "ais://b/shard-{000..009}.tar", "--fsize", "4MB")
    done = runner.run(sys.executable, "-c", STOP, URLS[form])
    assert (done.returncode, done.stdout, done.stderr) == (0, b"00000-00000\n", b"")


def test_ais_ends_with_141_when_its_reader_goes(runner: Runner) -> None:
    runner.ais("archive", "gen-shards", "ais://b/large.tar", "--fsize", "16MB")
    done = runner.run(sys.executable, "-c", PIPE, "ais://b/large.tar")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"141\n", b"")


def test_a_shard_that_does_not_exist_is_an_error_of_the_reader(runner: Runner) -> None:
    done = runner.run(sys.executable, "-c", READ, "ais://b/none.tar")
    assert done.returncode == 1
    assert b'"ais://b/none.tar" does not exist' in done.stderr
    assert b"none.tar" in done.stderr.splitlines()[-1], "and webdataset does not go on"


@pytest.mark.parametrize("form", ["ais://b/out-%03d.tar", "pipe:ais put - ais://b/out-%03d.tar"])
def test_writers_write_what_readers_read(runner: Runner, form: str) -> None:
    one = form.replace("out-%03d", "one")
    done = runner.run(sys.executable, "-c", WRITE, form, one)
    assert (done.returncode, done.stderr) == (0, b"")
    names = runner.ais("ls", "ais://b", "--name-only", "-H").decode().split()
    assert names == ["one.tar", "out-000.tar", "out-001.tar", "out-002.tar"]
    read = runner.run(sys.executable, "-c", READ, "ais://b/out-{000..002}.tar")
    assert read.returncode == 0, read
    assert dict(json.loads(line) for line in read.stdout.splitlines()) == digests(
        {f"s{n:02d}": {"txt": b"text %d" % n, "bin": bytes([n]) * 100_000} for n in range(12)}
    )
    assert runner.ais("cat", "ais://b/one.tar", "--archpath", "only.cls") == b"7"


def test_a_writer_that_dies_leaves_no_half_shard(runner: Runner, tmp_path: Path) -> None:
    # An `ais` that is one process: it is killed.
    ais = tmp_path / "cold" / "ais"
    ais.parent.mkdir()
    ais.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m aiscli "$@"\n')
    ais.chmod(0o755)
    runner.env["PATH"] = f"{ais.parent}{os.pathsep}{runner.env['PATH']}"
    script = (
        "import os, sys, webdataset as wds\n"
        "w = wds.TarWriter(sys.argv[1])\n"
        "w.write({'__key__': 'a', 'bin': b'x' * 3_000_000})\n"
        "os.kill(w.stream.proc.pid, 9)\n"
        "os._exit(9)\n"
    )
    assert runner.run(sys.executable, "-c", script, "ais://b/dead.tar").returncode == 9
    assert json.loads(runner.ais("ls", "ais://b", "-o", "json")) == []
