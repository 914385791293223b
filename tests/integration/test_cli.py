"""The `ais` command as a process of its own, against an embedded store and over HTTP."""

import io
import json
import os
import signal
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
from tests.integration.ais import Cli, Reach, pytest_generate_tests, reach

from aiscore.model.bucket import BucketRef
from aiscore.transport import open_transport

__all__ = ["Cli", "pytest_generate_tests", "reach"]

EMBEDDED_ONLY = frozenset({"test_listing_does_not_hold_the_bucket_in_memory"})
"""Too long to be run twice."""


@pytest.fixture
def cli(tmp_path: Path, reach: Reach) -> Cli:
    return Cli(tmp_path, reach)


@pytest.fixture
def shard(cli: Cli) -> Cli:
    """A bucket `b` with the shard `s.tar` of three files."""
    for name in ("a.jpg", "b.jpg", "sub/c.cls"):
        cli.file(f"src/{name}", name.encode() * 10)
    cli.run("create", "ais://b")
    cli.run("archive", "put", "src", "ais://b/s.tar", "-r")
    return cli


# buckets


def test_bucket_life(cli: Cli) -> None:
    assert cli.out("ls") == "No buckets in the cluster.\n"
    assert cli.out("create", "ais://b", "c") == '"ais://b" created\n"ais://c" created\n'
    assert "already exists" in cli.err("create", "ais://b", code=8)
    assert "already exists" in cli.out("create", "ais://b", "--ignore-error")
    assert cli.out("ls").split() == [
        *("NAME", "PRESENT", "ais://b", "yes", "ais://c", "yes"),
        *("Total:", "[AIS", "buckets:", "2]", "========"),
    ]
    assert [item["name"] for item in cli.json("ls")] == ["ais://b", "ais://c"]
    assert cli.out("bucket", "mv", "b", "d") == "rename-bucket ais://b => ais://d\n"
    assert cli.out("rmb", "ais://d", "ais://c") == '"ais://d" destroyed\n"ais://c" destroyed\n'
    assert 'bucket "ais://d" does not exist' in cli.err("rmb", "d", code=3)
    assert cli.run("rmb", "d", "--ignore-error").stdout == b""


def test_a_bucket_that_is_not_empty_asks(cli: Cli) -> None:
    cli.run("create", "b")
    cli.run("put", "-", "b/o", stdin=b"x")
    refused = cli.out("rmb", "b")
    assert "Proceed to destroy ais://b? [Y/N]: " in refused
    assert refused.endswith("Operation canceled.\n")
    assert "--yes" in cli.err("rmb", "b", "--no-input", code=2)
    assert "not empty" in cli.out("rmb", "b", "--dry-run")
    assert cli.out("rmb", "b", stdin=b"y\n").endswith('"ais://b" destroyed\n')


def test_removing_all_buckets_takes_a_phrase(cli: Cli) -> None:
    cli.run("create", "a", "b")
    assert "cannot specify bucket name(s) with --all flag" in cli.err("rmb", "a", "--all", code=2)
    assert "Operation canceled." in cli.out("rmb", "--all", "--yes")
    text = cli.out("rmb", "--all", stdin=b"DELETE\n")
    assert "Found 2 AIS bucket(s) to remove:\n  - ais://a\n  - ais://b\n" in text
    assert cli.out("rmb", "--all") == "No AIS buckets to remove\n"


def test_properties(cli: Cli) -> None:
    cli.run("create", "b", "--props", "checksum.type=md5")
    assert cli.out("bucket", "props", "show", "b", "checksum.type").split()[-2:] == [
        "checksum.type",
        "md5",
    ]
    text = cli.out("bucket", "props", "set", "b", "checksum.type=sha256")
    assert (
        text
        == '"checksum.type" set to: "sha256" (was: "md5")\n\nBucket props successfully updated.\n'
    )
    assert "nothing to do" in cli.out("bucket", "props", "set", "b", "checksum.type", "sha256")
    assert cli.json("show", "bucket", "b")["checksum"]["type"] == "sha256"
    assert "reset to cluster defaults" in cli.out("bucket", "props", "reset", "b")
    assert "readonly" in cli.err("bucket", "props", "set", "b", "provider=s3", code=2)
    assert "unknown property" in cli.err("bucket", "props", "set", "b", "x.y=1", code=2)


def test_copy(cli: Cli) -> None:
    cli.run("create", "b")
    for name in ("a/1", "a/2", "c"):
        cli.run("put", "-", f"b/{name}", stdin=b"xy")
    assert cli.out("cp", "b/c", "ais://b/d") == "COPY ais://b/c => ais://b/d\n"
    assert cli.json("cp", "b", "n", "--prefix", "a/")["objects"] == 2
    assert cli.json("cp", "b/a/", "n2", "--prepend", "p/")["objects"] == 2
    assert [e["name"] for e in cli.json("ls", "n2")] == ["p/a/1", "p/a/2"]
    assert cli.json("cp", "b", "n3", "--dry-run")["objects"] == 4
    assert cli.json("bucket", "cp", "b", "n", "--template", "a/{1..2}")["objects"] == 2
    assert cli.out("bucket", "cp", "b", "n4", "--wait").endswith("Done.\n")
    assert cli.json("cp", "b", "n", "--list", "c,zz", "--cont-on-err", code=5)["failed"] == ["zz"]


# objects


def test_put_get_cat(cli: Cli) -> None:
    cli.run("create", "b")
    data = os.urandom(3 << 20)
    cli.file("in.bin", data)
    assert cli.out("put", "in.bin", "ais://b") == 'PUT "in.bin" => ais://b/in.bin\n\n'
    assert cli.out("put", "in.bin", "ais://b/d/", "-o", "json")
    assert cli.run("cat", "b/in.bin").stdout == data
    assert cli.run("get", "b/d/in.bin", "-").stdout == data
    assert cli.out("get", "b/in.bin", "out.bin") == "GET in.bin from ais://b as out.bin (3.00MiB)\n"
    assert (cli.work / "out.bin").read_bytes() == data
    text = cli.out("get", "b/in.bin", "r", "--offset", "1KiB", "--length", "10")
    assert text == "Read range (length 10B at offset 1024) from ais://b/in.bin as r\n"
    assert (cli.work / "r").read_bytes() == data[1024:1034]
    assert "(and discard)" in cli.out("get", "b/in.bin", "/dev/null")
    assert cli.run("cat", "b/in.bin", "--offset", str(len(data) - 3)).stdout == data[-3:]
    assert "not satisfiable" in cli.err("cat", "b/in.bin", "--offset", "1GiB", code=1)
    assert cli.run("get", "b/in.bin", "-", "--checksum").stdout == data


def test_an_existing_file_is_asked_for_only_when_named(cli: Cli) -> None:
    cli.run("create", "b")
    cli.run("put", "-", "b/o", stdin=b"new")
    cli.file("o", b"old")
    assert cli.out("get", "b/o", "o").endswith("Operation canceled.\n")
    assert (cli.work / "o").read_bytes() == b"old"
    cli.run("get", "b/o")
    assert (cli.work / "o").read_bytes() == b"new"
    cli.file("o", b"old")
    cli.run("get", "b/o", "o", "--yes")
    assert (cli.work / "o").read_bytes() == b"new"


def test_a_failed_get_leaves_nothing(cli: Cli) -> None:
    cli.run("create", "b")
    assert "does not exist" in cli.err("get", "b/nope", "f", code=4)
    assert 'bucket "ais://zz" does not exist' in cli.err("get", "zz/o", "f", code=3)
    assert os.listdir(cli.work) == []


def test_put_of_a_file_that_says_it_is_empty(cli: Cli) -> None:
    cli.run("create", "ais://b")
    cli.run("put", "/proc/version", "ais://b/version")
    assert cli.run("cat", "ais://b/version").stdout == Path("/proc/version").read_bytes()


def test_put_with_a_checksum(cli: Cli) -> None:
    cli.run("create", "b")
    cli.file("f", b"hello")
    cli.run("put", "f", "b", "--md5", "5d41402abc4b2a76b9719d911017c592")
    assert "md5" in cli.err("put", "f", "b/bad", "--md5", "0" * 32, code=11)
    given = cli.err("put", "f", "b/bad", "--md5", "xyz", code=11)
    assert "BAD DATA CHECKSUM: md5(xyz != 5d41402abc4b2a76b9719d911017c592)" in given
    assert [e["name"] for e in cli.json("ls", "b")] == ["f"]
    for kind in ("md5", "crc32c", "sha256", "sha512", "xxhash", "xxhash2"):
        cli.run("create", f"c-{kind}", "--props", f"checksum.type={kind}")
        cli.run("put", "f", f"c-{kind}", "--compute-checksum", "--skip-vc")


def test_put_many(cli: Cli) -> None:
    cli.run("create", "b")
    for name in ("d/1.txt", "d/2.txt", "d/s/3.jpg"):
        cli.file(name, name.encode())
    assert "[DRY RUN]" in cli.out("put", "d", "b", "-r", "--dry-run")
    assert cli.json("ls", "b") == []
    assert cli.out("put", "d", "b", "--recursive").splitlines()[0] == "Files to upload:"
    assert [e["name"] for e in cli.json("ls", "b")] == ["1.txt", "2.txt", "s/3.jpg"]
    cli.run("put", "d", "b/x/", "-r", "--include-src-dir")
    assert [e["name"] for e in cli.json("ls", "b/x/")] == ["x/d/1.txt", "x/d/2.txt", "x/d/s/3.jpg"]
    assert [r["name"] for r in cli.json("put", "d/*.txt", "b/g/")] == ["g/1.txt", "g/2.txt"]
    assert [r["name"] for r in cli.json("put", "d", "b", "--template", "{1..2}.txt")] == [
        "1.txt",
        "2.txt",
    ]
    assert [r["name"] for r in cli.json("put", "d", "b", "--list", "2.txt")] == ["2.txt"]
    assert "no files" in cli.err("put", "d/*.zip", "b", code=2)
    assert "no such file" in cli.err("put", "nope", "b", code=4)
    (cli.work / "d" / "bad\\..").mkdir()
    cli.file("d/..bad/ok", b"")
    cli.run("put", "d", "b", "-r")


def test_some_files_that_fail_exit_5(cli: Cli) -> None:
    cli.run("create", "b")
    cli.file("d/good", b"1")
    cli.file("d/" + "x" * 200 + "\\", b"2")
    (cli.work / "d" / "y").symlink_to("/proc/self/mem")
    done = cli.run("put", "d", "b", "--cont-on-err", "-o", "json", code=5)
    assert b"failed to PUT 1 of 3 files" in done.stderr
    assert sum(r["error"] is not None for r in json.loads(done.stdout)) == 1


def test_put_in_chunks(cli: Cli, tmp_path: Path) -> None:
    cli.run("create", "b")
    data = bytes(range(256)) * 100
    (tmp_path / "large").write_bytes(data)
    (tmp_path / "small").write_bytes(b"few")
    path = str(tmp_path / "large")
    text = cli.out("put", path, "ais://b/o", "--chunk-size", "10KB")
    assert text.splitlines()[0] == f'PUT in chunks "{path}" => ais://b/o'
    assert cli.json("object", "show", "b/o")["chunks"] == 3
    assert cli.run("cat", "ais://b/o").stdout == data
    text = cli.out("put", path, "ais://b/o", "--chunk-size", "1MiB")
    assert text.splitlines()[0] == f'PUT "{path}" => ais://b/o', "it is not longer than that"
    cli.run("put", str(tmp_path), "ais://b/d/", "--chunk-size", "20KB", "--compute-checksum", "-y")
    chunks = {
        name: cli.json("object", "show", f"b/d/{name}")["chunks"] for name in ("large", "small")
    }
    assert chunks == {"large": 2, "small": 1}
    assert not cli.json("mpu", "ls", "b")
    assert cli.json("put", path, "b/p", "--chunk-size", "10KB", "--dry-run")["chunks"] == 3
    cli.err("put", path, "ais://b/o", "--chunk-size", "0", code=2)
    cli.err("put", path, "ais://b/o", "--chunk-size", "1KB", "--append", code=2)
    cli.err("put", path, "ais://b/o", "--chunk-size", "1", code=2)


def test_standard_input_and_append(cli: Cli) -> None:
    cli.run("create", "b")
    assert cli.out("put", "-", "b/o", stdin=b"one") == "PUT (standard input) => ais://b/o\n\n"
    assert "missing object name" in cli.err("put", "-", "b", code=2)
    cli.run("put", "-", "b/o", "--append", stdin=b" two")
    assert cli.run("cat", "b/o").stdout == b"one two"


def test_get_many_keeps_the_tree(cli: Cli) -> None:
    cli.run("create", "b")
    for name in ("a/1", "a/b/1", "c"):
        cli.run("put", "-", f"b/{name}", stdin=name.encode())
    assert "GET 3 objects" in cli.out("get", "b", "out", "--all")
    assert (cli.work / "out/a/b/1").read_bytes() == b"a/b/1"
    cli.run("get", "b", "flat", "--prefix", "a/b", "--flat")
    assert os.listdir(cli.work / "flat") == ["1"]
    assert [r["name"] for r in cli.json("get", "b/a/", "p")] == ["a/1", "a/b/1"]
    records = cli.json("get", "b", "l", "--list", "c,zz", "--cont-on-err", code=5)
    assert [(r["name"], r["error"] is None) for r in records] == [("c", True), ("zz", False)]
    assert "does not exist" in cli.err(
        "get", "b", "l", "--list", "zz,c", "--num-workers", "1", code=4
    )
    assert len(cli.json("get", "b", "m", "--all", "--limit", "2")) == 2
    assert cli.run("get", "b", "-", "--template", "a/{1..1}").stdout == b"a/1"


def test_rm(cli: Cli) -> None:
    cli.run("create", "b")

    def fill() -> None:
        for name in ("a/1", "a/2", "c", "cc"):
            cli.run("put", "-", f"b/{name}", stdin=b"x")

    def names() -> list[str]:
        return [e["name"] for e in cli.json("ls", "b")]

    fill()
    assert cli.out("rm", "b/c") == 'deleted "c" from ais://b\n'
    assert "does not exist" in cli.err("rmo", "b/zz", code=4)
    cli.run("rm", "b/zz", "--ignore-error")
    assert "canceled" in cli.out("rm", "b/a")
    assert "does not exist" in cli.err("rm", "b/a", "--exact", code=4)
    assert names() == ["a/1", "a/2", "cc"]
    assert cli.out("rm", "b/a", "--dry-run").count("would delete") == 2
    assert cli.out("rm", "b/a", "--yes") == "Deleted 2 objects from ais://b\n"
    fill()
    assert cli.json("rm", "b", "--template", "a/{1..2}")[0]["deleted"] == 2
    assert cli.json("rm", "b", "--list", "c,zz", code=5)[0]["missing"] == ["zz"]
    assert "canceled" in cli.out("rm", "b", "--all")
    assert names() == ["cc"]
    assert cli.out("rm", "b", "--all", "-y") == "Deleted 1 objects from ais://b\n"
    assert "mutually exclusive" in cli.err("rm", "b", "--all", "--prefix", "x", code=2)
    assert "cannot be combined" in cli.err("rm", "b/x", "--all", code=2)
    assert "missing object name" in cli.err("rm", "b", code=2)


def test_object_properties(cli: Cli) -> None:
    cli.run("create", "b")
    cli.run("put", "-", "b/o", stdin=b"12345")
    table = cli.out("show", "object", "b/o").splitlines()
    assert [line.split()[0] for line in table] == ["PROPERTY", "atime", "checksum", "name", "size"]
    assert cli.out("ls", "b/o").splitlines() == table
    assert cli.json("show", "object", "b/o")["size"] == 5
    assert "invalid property" in cli.err("show", "object", "b/o", "--props", "zz", code=2)
    assert '"zz" not found in ais://b' in cli.err("show", "object", "b/zz", code=4)
    cli.run("object", "set-custom", "b/o", "k=v", "l=w")
    assert cli.json("object", "set-custom", "b/o", '{"k": ""}')["custom"] == {"l": "w"}
    assert cli.out("object", "mv", "b/o", "p") == '"o" moved to "p"\n'
    cli.file("host/f", b"x")
    assert cli.json("object", "promote", "host", "b/h", "-r")["objects"] == 1
    assert [e["name"] for e in cli.json("ls", "b")] == ["h/f", "p"]


def test_listing(cli: Cli) -> None:
    cli.run("create", "b")
    assert cli.out("ls", "b") == "No objects in ais://b\n"
    assert cli.json("ls", "b") == []
    for name in ("d/1", "d/2", "e", "f"):
        cli.run("put", "-", f"b/{name}", stdin=b"x")
    assert cli.out("ls", "b", "-nr").split() == ["NAME", "SIZE", "d/", "e", "1B", "f", "1B"]
    assert cli.out("ls", "b", "--nr", "--no-dirs", "-H").split() == ["e", "1B", "f", "1B"]
    assert cli.out("ls", "b", "-limit=1", "-name-only", "-H") == "d/1\n"
    assert (
        cli.out("ls", "b", "--page-size", "1", "-o", "csv") == "name,size\nd/1,1\nd/2,1\ne,1\nf,1\n"
    )
    for words in (("b", "--page-size", "-5"), ("--page-size", "-5"), ("--limit", "-1")):
        assert "--page-size and --max-pages must not be negative" in cli.err("ls", *words, code=2)
    assert cli.out("ls", "b", "--start-after", "d/2", "-H", "--units", "raw").split() == [
        "e",
        "1",
        "f",
        "1",
    ]
    assert cli.out("ls", "b", "--template", "d/{2..5}", "-H").split() == ["d/2", "1B"]
    assert cli.out("ls", "b", "--regex", "^[ef]$", "-H").split() == ["e", "1B", "f", "1B"]
    assert "Listed 4 names in" in cli.out("ls", "b", "--count-only")
    assert set(cli.json("ls", "b", "--props", "all")[0]) >= {
        "name",
        "size",
        "checksum",
        "version",
        "status",
    }
    assert cli.json("ls", "b", "--summary")[0]["objects"] == 4
    assert cli.json("bucket", "summary", "b/d/")[0]["objects"] == 2
    assert "does not exist" in cli.err("ls", "zz", code=3)


# shards


def test_archive_put_and_ls(shard: Cli) -> None:
    rows = shard.out("archive", "ls", "b/s.tar").splitlines()
    assert rows[1].startswith("s.tar ")
    assert rows[2].split() == ["s.tar/a.jpg", "50B"]
    assert rows[2].startswith("    ")
    listed = shard.json("archive", "ls", "b/s.tar")
    assert [(m["archpath"], m["size"]) for m in listed] == [
        ("a.jpg", 50),
        ("b.jpg", 50),
        ("sub/c.cls", 90),
    ]
    assert [e["archived"] for e in shard.json("ls", "b", "--archive")] == [False, True, True, True]
    text = shard.out("archive", "put", "src/a.jpg", "b/s.tar", "--archpath", "n/x.jpg", "--append")
    assert text == 'APPEND src/a.jpg to ais://b/s.tar as "n/x.jpg"\n\n'
    assert shard.run("cat", "b/s.tar/n/x.jpg").stdout == b"a.jpg" * 10
    shard.run("archive", "put", "-", "b/s.tar", "--archpath", "std", "--append", stdin=b"in")
    assert shard.run("get", "b/s.tar", "-", "--archpath", "std").stdout == b"in"
    assert "does not exist" in shard.err("archive", "put", "src", "b/zz.tar", "--append", code=4)
    assert "[DRY RUN]" in shard.out("archive", "put", "src", "b/zz.tar", "--dry-run")
    plan = shard.json(
        "archive", "put", "src/*.jpg", "b/new.tgz", "--archpath", "p", "--append-or-put"
    )
    assert [f["archpath"] for f in plan["files"]] == ["p/a.jpg", "p/b.jpg"]


def test_archive_get(shard: Cli) -> None:
    text = shard.out("archive", "get", "b/s.tar")
    assert text.startswith("GET s.tar from ais://b and extract to s/ (3 files,")
    assert (shard.work / "s/sub/c.cls").read_bytes() == b"sub/c.cls" * 10
    assert shard.out("get", "b/s.tar/a.jpg") == "GET a.jpg from ais://b/s.tar as a.jpg (50B)\n"
    assert "not found" in shard.err("get", "b/s.tar", "x", "--archpath", "zz", code=4)
    found = shard.run("get", "b/s.tar", "-", "--archregx", "jpg", "--archmode", "suffix").stdout
    with tarfile.open(fileobj=io.BytesIO(found)) as tar:
        assert tar.getnames() == ["a.jpg", "b.jpg"]
    assert "archmode" in shard.err("get", "b/s.tar", "-", "--archregx", "jpg", code=2)
    assert not list(shard.work.glob("**/.ais-*"))


def test_a_hostile_shard_does_not_leave_the_destination(cli: Cli, tmp_path: Path) -> None:
    cli.run("create", "b")
    blob = io.BytesIO()
    with tarfile.open(fileobj=blob, mode="w") as tar:
        for name in ("../evil", "/abs", "ok", "a/../../evil2"):
            info = tarfile.TarInfo(name)
            info.size = 1
            tar.addfile(info, io.BytesIO(b"x"))
    cli.run("put", "-", "b/h.tar", stdin=blob.getvalue())
    subprocess.run(
        [sys.executable, "-m", "aiscli", "archive", "get", "b/h.tar", "out/", "--cont-on-err"],
        cwd=cli.work,
        env=cli.env,
        capture_output=True,
        check=False,
    )
    assert not list(tmp_path.rglob("evil*"))
    assert not Path("/abs").exists()
    assert os.listdir(cli.work) in ([], ["out"])


def test_archive_bucket_and_gen_shards(cli: Cli) -> None:
    assert "Shards created: 3" in cli.out(
        "archive", "gen-shards", "ais://g/s-{0..2}.tar", "--fcount", "2"
    )
    assert len(cli.json("archive", "ls", "g/s-0.tar")) == 2
    assert cli.out("archive", "bucket", "g", "g/all.tar", "--prefix", "s-") == (
        'Archived ais://g/prefix "s-" => ais://g/all.tar\n'
    )
    assert [m["archpath"] for m in cli.json("archive", "ls", "g/all.tar")] == [
        "s-0.tar",
        "s-1.tar",
        "s-2.tar",
    ]


# get-batch


def test_get_batch(shard: Cli) -> None:
    assert (
        shard.out("get-batch", "b", "s.tar/b.jpg", "s.tar/a.jpg", "-o", "o.tar")
        == "Streamed 2 objects to o.tar\n"
    )
    with tarfile.open(shard.work / "o.tar") as tar:
        assert tar.getnames() == ["b/s.tar/b.jpg", "b/s.tar/a.jpg"]
    assert "already exists" in shard.err("get-batch", "b", "s.tar", "-o", "o.tar", code=2)
    shard.run(
        "get-batch", "b", "s.tar", "-archpath=a.jpg", "-o", "o.tar", "--yes", "--omit-src-bck"
    )
    with tarfile.open(shard.work / "o.tar") as tar:
        assert tar.getnames() == ["s.tar/a.jpg"]
    shard.run(
        "get-batch", "ais://b", "s.tar", "--archpath", "a.jpg", "--archpath", "b.jpg", "-o", "z.zip"
    )
    with zipfile.ZipFile(shard.work / "z.zip") as zipped:
        assert zipped.namelist() == ["b/s.tar/a.jpg", "b/s.tar/b.jpg"]
    shard.run("get-batch", "b/s.tar", "--archpath", "sub/c.cls", "-o", "dir/")
    assert (shard.work / "dir/b/s.tar/sub/c.cls").read_bytes() == b"sub/c.cls" * 10
    assert "do not fit" in shard.err(
        "get-batch", "b", "x", "y", "z", "--archpath", "1", "--archpath", "2", code=2
    )
    assert "no objects" in shard.err("get-batch", "b", code=2)
    assert "name no bucket" in shard.err("get-batch", "--spec", '["x"]', code=2)


def test_get_batch_to_standard_output_with_ranges(shard: Cli) -> None:
    archive = shard.run(
        "get-batch", "b", "s.tar/a.jpg", "-o", "-", "--start", "1", "--length", "4"
    ).stdout
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        member = tar.extractfile(tar.getnames()[0])
        assert member is not None
        assert member.read() == b".jpg"


def test_get_batch_with_missing_entries(shard: Cli) -> None:
    words = ["get-batch", "b", "s.tar", "--archpath", "a.jpg", "--archpath", "zz", "-o", "m.tar"]
    shard.run(*words, code=4)
    assert not (shard.work / "m.tar").exists()
    done = shard.run(*words, "--cont-on-err", "--json", code=5)
    report = json.loads(done.stdout)
    assert [e["status"] for e in report["entries"]] == ["ok", "missing"]
    assert (report["objects"], report["missing"]) == (2, 1)
    assert b"1 of 2 entries are missing:\nais://b/s.tar/zz: " in done.stderr
    with tarfile.open(shard.work / "m.tar") as tar:
        assert tar.getnames()[1] == "__404__/b/s.tar/zz"


def test_get_batch_from_a_spec_and_a_list(shard: Cli) -> None:
    spec = {"in": [{"objname": "s.tar", "archpath": "a.jpg"}], "mime": ".tgz", "onob": True}
    shard.file("spec.json", json.dumps(spec).encode())
    done = shard.run("get-batch", "b", "--spec", "spec.json", "-o", "-")
    with tarfile.open(fileobj=io.BytesIO(done.stdout), mode="r:gz") as tar:
        assert tar.getnames() == ["s.tar/a.jpg"]
    done = shard.run(
        "get-batch", "b", "--spec", "spec.json", "-o", "-", "--format", "tar", "--no-omit-src-bck"
    )
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as tar:
        assert tar.getnames() == ["b/s.tar/a.jpg"]
    listed = shard.run(
        "get-batch", "b", "--from-file", "-", "-o", "-", stdin=b"s.tar/b.jpg\n\ns.tar\n"
    ).stdout
    with tarfile.open(fileobj=io.BytesIO(listed)) as tar:
        assert tar.getnames() == ["b/s.tar/b.jpg", "b/s.tar"]
    assert "nor YAML" in shard.err("get-batch", "b", "--spec", "-", stdin=b"in: [x", code=2)


def test_ml_get_batch_has_upstreams_form(shard: Cli) -> None:
    text = shard.out("ml", "get-batch", "ais://b", "o.tar", "--list", "s.tar/a.jpg,s.tar")
    assert text.endswith("Created ML batch archive o.tar with 2 objects\n")
    refused = shard.out("ml", "get-batch", "ais://b", "o.tar", "--list", "s.tar")
    assert "Proceed to overwrite? [Y/N]: " in refused
    assert (
        shard.out("ml", "get-batch", "b/s.tar", "o.tar", "--streaming", "--yes")
        == "Streamed 1 objects to o.tar\n"
    )


# the store


def test_storage(shard: Cli, tmp_path: Path) -> None:
    assert "no faults found" in shard.out("storage", "validate")
    disk = tmp_path / "disk2"
    disk.mkdir()
    assert (
        shard.out("storage", "mountpath", "attach", str(disk))
        == f'mountpath "{disk}" is now attached\n'
    )
    assert len(shard.json("storage", "mountpath", "show")) == 2
    shard.run("storage", "mountpath", "disable", f"t1={disk}", "-y")
    assert {m["state"] for m in shard.json("storage", "mountpath")} == {"enabled", "disabled"}
    shard.run("storage", "mountpath", "enable", str(disk))
    assert "canceled" in shard.out("storage", "mountpath", "detach", str(disk))
    shard.run("storage", "mountpath", "detach", str(disk), "--yes")
    shard.err("storage", "mountpath", "enable", "/nowhere", code=3)


def test_mirror(cli: Cli, tmp_path: Path) -> None:
    cli.run("create", "b")
    (tmp_path / "f").write_bytes(b"content")
    cli.run("put", str(tmp_path / "f"), "ais://b/o")
    error = cli.err("start", "mirror", "b", "--copies", "2", code=2)
    assert "not enough mountpaths (1) to configure ais://b as 2-way mirror" in error
    error = cli.err("bucket", "props", "set", "b", "mirror.enabled=true", code=2)
    assert "not enough mountpaths (1)" in error
    disk = tmp_path / "disk2"
    disk.mkdir()
    cli.run("storage", "mountpath", "attach", str(disk))
    text = cli.out("job", "start", "mirror", "b", "--copies", "2")
    assert text == "Configured ais://b as 2-way mirror.\n"
    again = cli.out("start", "mirror", "ais://b", "--copies", "2")
    assert again == "ais://b is already 2-way mirror, nothing to do\n"
    assert cli.json("ls", "b", "--props", "copies")[0]["copies"] == 2
    shown = cli.out("object", "show", "b/o", "--props", "copies")
    assert shown.count("/mp") + shown.count("disk2") == 2
    (job,) = cli.json("show", "job", "mirror", "--all")
    assert (job["state"], job["objects"]) == ("finished", 1)
    assert cli.out("start", "resilver").startswith("resilver[")
    found = cli.out("job", "rm", "mirror", "--yes")
    assert found == f'Removed finished mirror job "{job["id"]}"\n'
    assert cli.out("job", "rm", "mirror") == "No finished 'mirror' jobs, nothing to do\n"
    cli.err("job", "rm", code=2)
    text = cli.out("start", "mirror", "b", "--copies", "1")
    assert text == "Configured ais://b for single-replica (no redundancy).\n"


def test_scrub_finds_damage_and_exits_11(cli: Cli, tmp_path: Path) -> None:
    cli.run("create", "b")
    cli.run("put", "-", "b/o", stdin=os.urandom(3 << 20))
    pieces = [
        p for p in (tmp_path / "home").rglob("*") if p.is_file() and p.stat().st_size == 3 << 20
    ]
    assert len(pieces) == 1
    pieces[0].chmod(0o644)
    with pieces[0].open("r+b") as file:
        file.seek(1000)
        file.write(b"damage")
    done = cli.run("scrub", "b", code=11)
    assert b"ais://b/o" in done.stdout
    assert cli.json("scrub", code=11)["faults"]


def test_config(cli: Cli) -> None:
    assert "checksum.type" in cli.out("config", "cluster", "checksum")
    text = cli.out("config", "cluster", "checksum.type=md5")
    assert text == '"checksum.type" set to: "md5" (was: "xxhash2")\n\nCluster config updated\n'
    assert cli.json("show", "config", "cluster", "checksum")["checksum"]["type"] == "md5"
    assert "did you mean" in cli.err("config", "cluster", "checksum.tipe=md5", code=2)


# the program


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["buckte"], "did you mean: 'ais bucket'"),
        (["bucket", "lss"], "did you mean: 'ais bucket ls'"),
        (["ls", "--nope"], "no such option"),
        (["get"], "missing argument"),
        (["ls", "ais:/b"], 'did you mean "ais://b"'),
        (["ls", "-o", "xml"], "invalid output format"),
        (["ls", "zz://b"], "invalid backend provider"),
        (["ls", "--json=maybe"], "invalid boolean"),
        (["ls", "b", "--limit", "x"], "--limit"),
        (["ls", "--endpoint", "ftp://x"], "invalid endpoint"),
    ],
)
def test_usage_errors_exit_2(cli: Cli, words: list[str], text: str) -> None:
    done = cli.run(*words, code=2)
    assert text in done.stderr.decode()
    assert done.stdout == b""


def test_version_and_help(cli: Cli) -> None:
    assert cli.out("version") == cli.out("--version") == cli.out("-v")
    assert cli.json("version")["version"] in cli.out("version")
    assert cli.out() == cli.out("--help")


def test_the_environment_is_overridden_by_the_flag(cli: Cli, tmp_path: Path) -> None:
    cli.run("create", "b")
    other = f"file://{tmp_path}/other"
    cli.env["AIS_ENDPOINT"] = other
    assert cli.json("ls") == []
    assert len(cli.json("ls", "--endpoint", str(tmp_path / "home"))) == 1
    cli.env["AIS_OUTPUT"] = "jsonl"
    assert cli.out("ls") == ""


def test_a_closed_pipe_is_silent(cli: Cli) -> None:
    cli.run("create", "b")
    cli.run("put", "-", "b/o", stdin=b"x" * (8 << 20))
    for words in (["cat", "b/o"], ["get", "b/o", "-"]):
        done = subprocess.run(
            [
                "bash",
                "-c",
                f'"{sys.executable}" -m aiscli {" ".join(words)} | head -c 1; exit ${{PIPESTATUS[0]}}',
            ],
            env=cli.env,
            cwd=cli.work,
            capture_output=True,
            check=False,
        )
        assert (done.returncode, done.stdout, done.stderr) == (141, b"x", b"")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_it_without_a_trace(cli: Cli, number: int, code: int) -> None:
    cli.run("create", "b")
    process = subprocess.Popen(
        [sys.executable, "-m", "aiscli", "put", "-", "b/o"],
        env=cli.env,
        cwd=cli.work,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdin is not None
    process.stdin.write(b"x" * (4 << 20))
    process.stdin.flush()
    process.send_signal(number)
    _, err = process.communicate(timeout=30)
    assert process.returncode == code
    assert err == b""
    assert cli.json("ls", "b") == []


def test_a_traceback_is_printed_on_demand_only(cli: Cli) -> None:
    assert "Traceback" not in cli.err("ls", "zz", code=3)
    cli.env["AIS_DEBUG"] = "1"
    done = subprocess.run(
        [sys.executable, "-m", "aiscli", "ls", "zz"], env=cli.env, capture_output=True, check=False
    )
    assert b"Traceback" in done.stderr


def peak_kib(cli: Cli, *args: str) -> int:
    code = (
        "import resource, subprocess, sys;"
        "subprocess.run([sys.executable, '-m', 'aiscli', *sys.argv[1:]], stdout=subprocess.DEVNULL, check=True);"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *args], env=cli.env, capture_output=True, check=True
    )
    return int(done.stdout)


def test_listing_does_not_hold_the_bucket_in_memory(cli: Cli) -> None:
    cli.run("create", "b")
    small = peak_kib(cli, "ls", "b", "--page-size", "100")
    with open_transport(cli.env["AIS_HOME"]) as transport:
        for index in range(5000):
            transport.put(BucketRef("b"), "long-name/" * 50 + f"{index:08d}", b"")
    for words in ([], ["-o", "json"]):
        assert peak_kib(cli, "ls", "b", "--page-size", "100", *words) < small + 4 * 1024
