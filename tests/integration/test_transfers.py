"""`put`, `get` and `rm` of many objects: patterns, repetition, failures and interruptions."""

import json
import os
import signal
from pathlib import Path

import pytest
from tests.integration.ais import Cli, Reach, pytest_generate_tests, reach
from tests.integration.test_sync import BUSY, MIB, read_by, spawn, tree, wait_for, weak

from aiscore.model.bucket import BucketRef
from aiscore.transport import open_transport

__all__ = ["pytest_generate_tests", "reach"]

EMBEDDED_ONLY = frozenset({"test_no_resume_begins_anew"})
"""Too long to be run twice."""


@pytest.fixture
def cli(tmp_path: Path, reach: Reach) -> Cli:
    """A bucket `b` with a few objects."""
    made = Cli(tmp_path, reach)
    made.run("create", "ais://b")
    for name in ("a.jpg", "a.txt", "d/b.jpg", "d/e/c.jpg", "d/e/c.tmp"):
        made.file(f"src/{name}", name.encode())
    made.run("put", "src", "ais://b", "-r")
    return made


def names(cli: Cli, *args: str) -> list[str]:
    return [record["name"] for record in cli.json(*args)]


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        (["ais://b/*.jpg"], ["a.jpg"]),
        (["ais://b/d/*.jpg"], ["d/b.jpg"]),
        (["ais://b/d/**.jpg"], ["d/b.jpg", "d/e/c.jpg"]),
        (["ais://b/**/c.*"], ["d/e/c.jpg", "d/e/c.tmp"]),
        (["ais://b/?.[jt]*"], ["a.jpg", "a.txt"]),
        (["ais://b/d*"], ["d/b.jpg", "d/e/c.jpg", "d/e/c.tmp"]),
        (["ais://b", "--include", "*.jpg"], ["a.jpg", "d/b.jpg", "d/e/c.jpg"]),
        (["ais://b", "--include", "*.jpg", "--exclude", "e/"], ["a.jpg", "d/b.jpg"]),
        (["ais://b", "--exclude", "/d"], ["a.jpg", "a.txt"]),
        (["ais://b/d/", "--exclude", "*.tmp"], ["d/b.jpg", "d/e/c.jpg"]),
        (["ais://b", "--prefix", "d/e", "--include", "*.tmp"], ["d/e/c.tmp"]),
        (["ais://b", "--list", "a.jpg,a.txt", "--exclude", "*.txt"], ["a.jpg"]),
    ],
)
def test_get_by_patterns(cli: Cli, args: list[str], expected: list[str]) -> None:
    assert names(cli, "get", args[0], "out", *args[1:]) == expected
    assert sorted(tree(cli.work / "out")) == expected


def test_an_object_called_like_a_pattern_wins(cli: Cli) -> None:
    cli.run("put", "-", "ais://b/a.*", stdin=b"star")
    cli.run("get", "ais://b/a.*", "f")
    assert (cli.work / "f").read_bytes() == b"star"
    assert "need many objects" in cli.err("get", "ais://b/a.*", "--include", "x", code=2)
    assert cli.out("rm", "ais://b/a.*") == 'deleted "a.*" from ais://b\n'
    assert len(names(cli, "ls", "ais://b")) == 5


def test_a_pattern_without_a_match_is_an_error(cli: Cli) -> None:
    text = cli.err("get", "ais://b/*.zip", "out", code=4)
    assert text.startswith('ErrObjNotFound: no object of ais://b matches "*.zip"')
    assert "stopped" not in text
    assert "matches" in cli.err("rm", "ais://b/*.zip", "-y", code=4)
    assert "invalid pattern" in cli.err("get", "ais://b/[x", "out", code=2)


def test_put_by_patterns(cli: Cli) -> None:
    shown = names(cli, "put", "src", "ais://b/x/", "-r", "--exclude", "*.tmp", "--exclude", "/d/e")
    assert shown == ["x/a.jpg", "x/a.txt", "x/d/b.jpg"]
    assert names(cli, "put", "src/*/e/*.jpg", "ais://b/y/") == ["y/d/e/c.jpg"]
    assert sorted(names(cli, "put", "src/**.jpg", "ais://b/z/", "-r")) == [
        "z/a.jpg",
        "z/d/b.jpg",
        "z/d/e/c.jpg",
    ]
    assert "no files" in cli.err("put", "src", "ais://b", "-r", "--include", "*.zip", code=2)
    assert "need a directory" in cli.err("put", "src/a.jpg", "b", "--include", "x", code=2)


def test_rm_by_patterns_asks_with_the_count(cli: Cli) -> None:
    asked = cli.out("rm", "ais://b/**.jpg")
    assert "Proceed to delete 3 objects (a.jpg, d/b.jpg, d/e/c.jpg) from ais://b? [Y/N]" in asked
    assert "--yes" in cli.err("rm", "ais://b/**.jpg", "--no-input", code=2)
    assert cli.out("rm", "ais://b/d/*", "--exclude", "b*", "--dry-run").count("would delete") == 2
    assert len(names(cli, "ls", "ais://b")) == 5
    assert cli.json("rm", "ais://b/**.jpg", "-y")[0]["deleted"] == 3
    assert cli.json("rm", "ais://b", "--include", "*.tmp", "-y")[0]["deleted"] == 1
    assert names(cli, "ls", "ais://b") == ["a.txt"]
    assert "canceled" in cli.out("rm", "ais://b", "--exclude", "nothing")
    cli.err("rm", "ais://b/*.txt", "--exact", code=4)


def test_a_second_run_leaves_alone_what_is_equal(cli: Cli) -> None:
    def statuses(*args: str) -> set[str]:
        return {record["status"] for record in cli.json(*args)}

    assert statuses("put", "src", "ais://b", "-r") == {"unchanged"}
    assert statuses("put", "src", "ais://b", "-r", "--skip-vc") == {"done"}
    cli.file("src/a.jpg", b"A.jpg")
    changed = cli.json("put", "src", "ais://b", "-r")
    assert [r["name"] for r in changed if r["status"] == "done"] == ["a.jpg"]
    assert statuses("get", "ais://b", "out", "--all") == {"done"}
    before = (cli.work / "out/a.jpg").stat()
    assert statuses("get", "ais://b", "out", "--all") == {"unchanged"}
    assert "5 were there already" in cli.out("get", "ais://b", "out", "--all")
    assert (cli.work / "out/a.jpg").stat().st_ino == before.st_ino
    cli.file("out/a.jpg", b"x.jpg")
    again = cli.json("get", "ais://b", "out", "--all")
    assert [r["name"] for r in again if r["status"] == "done"] == ["a.jpg"]
    assert statuses("get", "ais://b", "out", "--all", "--overwrite") == {"done"}


def test_ranges_of_many(cli: Cli) -> None:
    cli.json("get", "ais://b", "out", "--include", "*.jpg", "--offset", "2", "--length", "3")
    assert tree(cli.work / "out") == {"a.jpg": b"jpg", "d/b.jpg": b"b.j", "d/e/c.jpg": b"e/c"}


def test_failures_are_counted_by_class(cli: Cli) -> None:
    missing = ",".join(f"no{number}" for number in range(30))
    flags = ("--list", f"a.jpg,{missing},a.txt", "--cont-on-err", "--flat")
    cli.file("out/a.txt/x", b"")
    done = cli.run("get", "ais://b", "out", *flags, "-o", "json", code=5)
    text = done.stderr.decode()
    assert "failed to GET 31 of 32 objects: 30 ErrObjNotFound, 1 is a directory" in text
    assert text.count("does not exist") == 10
    records = json.loads(done.stdout)
    assert len(records) == 32
    assert [r["name"] for r in records if r["error"] is None] == ["a.jpg"]


def test_the_first_failure_ends_it_and_the_records_stay_valid(cli: Cli) -> None:
    flags = ("--list", "a.jpg,zz,a.txt", "--num-workers", "1", "-o", "json")
    done = cli.run("get", "ais://b", "out", *flags, code=4)
    assert [r["status"] for r in json.loads(done.stdout)] == ["done", "failed"]
    assert b"stopped after 1 objects, 1 failed: the rest was not attempted" in done.stderr
    (cli.work / "src/a.txt").chmod(0)
    one_by_one = ("--num-workers", "1", "-o", "json")
    put = weak(cli, "put", "src", "ais://b/new/", "-r", *one_by_one)
    assert put.returncode == 1
    assert [r["status"] for r in json.loads(put.stdout)] == ["done", "failed"]
    assert b"stopped after 1 of 5 files, 1 failed" in put.stderr
    assert names(cli, "ls", "ais://b/new/") == ["new/a.jpg"]


def test_a_bucket_that_is_gone_ends_it_at_once(cli: Cli) -> None:
    assert "nope" in cli.err("put", "src", "ais://nope", "-r", "--cont-on-err", code=3)
    assert "nope" in cli.err("get", "ais://nope", "out", "--all", "--cont-on-err", code=3)


def test_names_do_not_leave_the_destination(cli: Cli, tmp_path: Path) -> None:
    cli.run("put", "-", "ais://b/.ais-0011223344556677.part", stdin=b"x")
    done = cli.json("get", "ais://b", "out", "--all", "--cont-on-err", code=5)
    assert [r["name"] for r in done if r["error"]] == [".ais-0011223344556677.part"]
    assert len(tree(cli.work / "out")) == 5


@pytest.fixture
def large(cli: Cli) -> bytes:
    data = os.urandom(32 * MIB)
    cli.file("large", data)
    cli.run("put", "large", "ais://b/large")
    return data


def test_a_killed_get_goes_on(cli: Cli, large: bytes) -> None:
    cli.file("f", b"old")
    with open_transport(f"file://{cli.env['AIS_HOME']}") as transport:
        checksum = transport.head(BucketRef.parse("ais://b"), "large").checksum
    process = spawn(cli, "get", "ais://b/large", "f", "--yes")
    wait_for(lambda: any(p.stat().st_size for p in cli.work.glob(".ais-*.part")))
    process.kill()
    process.communicate(timeout=60)
    if process.returncode == -9:
        assert (cli.work / "f").read_bytes() == b"old"
        note = json.loads(next(cli.work.glob(".ais-*.note")).read_text())
        assert note["checksum"] == str(checksum)
        text = cli.run("get", "ais://b/large", "f", "--yes").stderr.decode()
        assert "of ais://b/large are there from an earlier run" in text
    assert (cli.work / "f").read_bytes() == large
    assert not list(cli.work.glob(".ais-*"))


def test_no_resume_begins_anew(cli: Cli, large: bytes) -> None:
    process = spawn(cli, "get", "ais://b/large", "f")
    wait_for(lambda: any(p.stat().st_size for p in cli.work.glob(".ais-*.part")))
    process.kill()
    process.communicate(timeout=60)
    done = cli.run("get", "ais://b/large", "f", "--yes", "--no-resume")
    assert b"earlier run" not in done.stderr
    assert (cli.work / "f").read_bytes() == large
    assert not list(cli.work.glob(".ais-*"))


@pytest.mark.parametrize("workers", ["1", "3"])
def test_an_interrupted_put_stores_whole_objects_only(cli: Cli, workers: str) -> None:
    (cli.work / "big").mkdir()
    (cli.work / "big/a").write_bytes(b"1")
    (cli.work / "big/z").touch()
    os.truncate(cli.work / "big/z", 1 << 40)
    process = spawn(cli, "put", "big", "ais://b/i/", "--num-workers", workers, "-o", "json")
    try:
        wait_for(lambda: read_by(process) > BUSY)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
    finally:
        process.kill()  # it would fill the disk
    assert process.returncode == 130
    assert [record["status"] for record in json.loads(out)] == ["done"]
    assert b"interrupted after 1 of 2 files" in err
    assert names(cli, "ls", "ais://b/i/") == ["i/a"]


def test_a_device_takes_a_download_and_says_when_it_is_full(cli: Cli) -> None:
    assert "no space left" in cli.err("get", "ais://b/a.jpg", "/dev/full", "--yes", code=1)
    assert "GET 5 objects" in cli.out("get", "ais://b", "/dev/null", "--all")
