"""Looking around with the `ais` command: du, find, tree, diff, stat, cat, ls; and concat, cuts, jobs."""

import io
import json
import os
import pty
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import pytest
from tests.integration.ais import Cli as Ais
from tests.integration.ais import Reach, pytest_generate_tests, reach

from aiscore.model.bucket import BucketRef
from aiscore.transport import open_transport
from aiscore.transport.base import Transport

__all__ = ["pytest_generate_tests", "reach"]


EMBEDDED_ONLY = frozenset(
    {"test_commands_that_do_not_work_yet", "test_they_are_marked_where_people_look"}
)
"""What no store is asked for."""


class Cli(Ais):
    """The same, with a look into the store beside the command."""

    def store(self) -> Transport:
        return open_transport(f"file://{self.home}")


B = BucketRef("b")
CONTENT = {"a/b/1": 10, "a/2": 200, "a.txt": 3000, "top": 1, "z\nz": 5, "é/ü": 7}


@pytest.fixture
def cli(tmp_path: Path, reach: Reach) -> Cli:
    """A bucket `b` with a few objects, and one shard with two files."""
    made = Cli(tmp_path, reach)
    with made.store() as transport:
        transport.create_bucket(B)
        for name, size in CONTENT.items():
            transport.put(B, name, b"x" * size)
    for name in ("0.jpg", "d/1.cls"):
        made.file(f"src/{name}", name.encode() * 10)
    made.run("archive", "put", "src", "ais://b/s/x.tar", "-r")
    return made


def shard_size(cli: Cli) -> int:
    with cli.store() as transport:
        return transport.head(B, "s/x.tar").size


# du


def test_du(cli: Cli) -> None:
    shard = shard_size(cli)
    assert cli.json("du", "ais://b") == [
        {"name": "ais://b/a/", "size": 210, "objects": 2, "depth": 1},
        {"name": "ais://b/s/", "size": shard, "objects": 1, "depth": 1},
        {"name": "ais://b/é/", "size": 7, "objects": 1, "depth": 1},
        {"name": "ais://b", "size": 3223 + shard, "objects": 7, "depth": 0},
    ]
    names = [item["name"] for item in cli.json("du", "ais://b", "--all")]
    assert names[:2] == ["ais://b/a/b/", "ais://b/a/"]
    assert cli.json("du", "ais://b/a", "-s")[0]["size"] == 3210, "a prefix, as everywhere"
    assert cli.json("du", "ais://b/a/", "-s")[0]["size"] == 210
    sizes = [item["size"] for item in cli.json("du", "ais://b", "--by-size")[:-1]]
    assert sizes == sorted(sizes, reverse=True)


def test_du_of_many_has_a_total_for_people_only(cli: Cli) -> None:
    cli.run("create", "c")
    table = cli.out("du").splitlines()
    assert [line.split()[-1] for line in table] == ["NAME", "ais://b", "ais://c", "total"]
    assert [item["name"] for item in cli.json("du")] == ["ais://b", "ais://c"]
    assert cli.json("du", "ais://c") == [{"name": "ais://c", "size": 0, "objects": 0, "depth": 0}]
    assert "does not exist" in cli.err("du", "ais://none", code=3)
    assert "--depth" in cli.err("du", "ais://b", "--depth", "-1", code=2)


# find


def find(cli: Cli, *args: str) -> list[str]:
    return [item["name"] for item in cli.json("find", "ais://b", *args)]


def test_find_by_name(cli: Cli) -> None:
    assert find(cli, "--name", "*.txt") == ["a.txt"]
    assert find(cli, "--name", "[12]") == ["a/2", "a/b/1"]
    assert find(cli, "--name", "a/*") == ["a/2", "a/b/1"]
    assert find(cli, "--name", "A*") == []
    assert find(cli, "--name", "A*", "-i") == ["a.txt"]
    assert find(cli, "--name", "*.txt", "--name", "top") == ["a.txt", "top"]
    assert find(cli, "--regex", "^a/.*[0-9]$") == ["a/2", "a/b/1"]
    assert find(cli, "--limit", "2") == ["a.txt", "a/2"]
    assert "regular expression" in cli.err("find", "ais://b", "--regex", "(", code=2)


def test_find_by_size_kind_and_age(cli: Cli) -> None:
    assert find(cli, "--size", "+1k", "--name", "a*", "--size", "-4k") == ["a.txt"]
    assert find(cli, "--size", "10") == ["a/b/1"]
    assert find(cli, "--type", "shard") == ["s/x.tar"]
    assert find(cli, "--type", "member") == ["s/x.tar/0.jpg", "s/x.tar/d/1.cls"]
    assert find(cli, "--archive", "--name", "*.cls") == ["s/x.tar/d/1.cls"]
    assert len(find(cli, "--newer", "1h")) == 7
    assert find(cli, "--type", "member", "--newer", "1h", "--limit", "1") == ["s/x.tar/0.jpg"]
    assert find(cli, "--older", "1h") == []
    assert find(cli, "--newer", "2999-01-01") == []
    assert "--newer" in cli.err("find", "ais://b", "--newer", "yesterday", code=2)
    assert "use one of" in cli.err("find", "ais://b", "--type", "dir", code=2)


def test_find_prints_what_can_be_piped(cli: Cli) -> None:
    assert cli.out("find", "ais://b/a").splitlines() == [
        "ais://b/a.txt",
        "ais://b/a/2",
        "ais://b/a/b/1",
    ]
    assert cli.out("find", "ais://b/z") == "ais://b/z\\nz\n", "a name must not forge a line"
    assert cli.run("find", "ais://b/z", "--print0").stdout == b"ais://b/z\nz\0"
    assert cli.out("find", "ais://b/none") == ""
    long = cli.out("find", "ais://b/a.txt", "-l").splitlines()
    assert long[0].split() == ["SIZE", "MODIFIED", "NAME"]
    assert long[1].split()[0] == "2.93KiB"


def test_find_ends_silently_when_the_reader_does(cli: Cli) -> None:
    with cli.store() as transport:
        for number in range(3000):
            transport.put(B, f"many/{number:06d}/{'x' * 60}", b"")
    run = subprocess.Popen(
        [sys.executable, "-m", "aiscli", "find", "ais://b"],
        cwd=cli.work,
        env=cli.env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert run.stdout is not None
    assert run.stderr is not None
    run.stdout.readline()
    run.stdout.close()
    assert run.stderr.read() == b""
    run.stderr.close()
    assert run.wait(30) == 141


# tree


def test_tree_when_piped(cli: Cli) -> None:
    lines = cli.out("tree", "ais://b").splitlines()
    assert lines[:11] == [
        "ais://b",
        "|-- a.txt",
        "|-- a/",
        "|   |-- 2",
        "|   `-- b/",
        "|       `-- 1",
        "|-- s/",
        "|   `-- x.tar",
        "|-- top",
        "|-- z\\nz",
        "`-- é/",
    ]
    assert lines[-1].startswith("4 directories, 7 objects (")
    assert cli.out("tree", "ais://b", "--depth", "1", "-d").splitlines() == [
        *("ais://b", "|-- a/", "|-- s/", "`-- é/", "", "3 directories"),
    ]
    assert "[        1B]  top" in cli.out("tree", "ais://b/t", "--size")
    assert cli.json("tree", "ais://b/a/") == [
        {"name": "a/2", "directory": False, "size": 200, "depth": 1},
        {"name": "a/b/", "directory": True, "size": None, "depth": 1},
        {"name": "a/b/1", "directory": False, "size": 10, "depth": 2},
    ]
    assert "--depth" in cli.err("tree", "ais://b", "--depth", "0", code=2)


def test_tree_on_a_terminal(cli: Cli) -> None:
    leader, follower = pty.openpty()
    with os.fdopen(leader, "rb", buffering=0) as screen:
        subprocess.run(
            [sys.executable, "-m", "aiscli", "tree", "ais://b/a/"],
            env={**cli.env, "LANG": "C.UTF-8", "PYTHONIOENCODING": "utf-8"},
            stdout=follower,
            check=True,
            timeout=60,
        )
        os.close(follower)
        text = screen.read(4096).decode()
    assert "├── 2\r\n└── b/\r\n    └── 1\r\n" in text


def test_a_name_of_many_parts(cli: Cli) -> None:
    with cli.store() as transport:
        transport.put(B, "deep/" + "d/" * 400 + "x", b"")
    assert len(cli.json("tree", "ais://b/deep/")) == 401
    assert len(cli.json("du", "ais://b/deep/", "--all")) == 401


# diff


def test_diff_of_a_directory_and_a_bucket_either_way_round(cli: Cli) -> None:
    cli.run("get", "ais://b", "--prefix", "a", "local", "--yes")
    cli.run("create", "c")
    cli.run("put", "local", "ais://c/x/", "-r", "--yes")
    assert cli.out("diff", "local", "ais://c/x") == "No differences: 3 names in both\n"
    assert cli.json("diff", "ais://c/x", "local") == []
    cli.file("local/a/2", b"y" * 200)
    cli.file("local/a.txt", b"short")
    cli.file("local/new", b"n")
    os.unlink(cli.work / "local/a/b/1")
    expected = [
        ("a.txt", "different", "size", 5, 3000),
        ("a/2", "different", "checksum", 200, 200),
        ("a/b/1", "right-only", None, None, 10),
        ("new", "left-only", None, 1, None),
    ]
    keys = ("name", "status", "reason", "size_left", "size_right")
    assert [
        tuple(r[k] for k in keys) for r in cli.json("diff", "local", "ais://c/x", code=11)
    ] == expected
    mirrored = cli.json("diff", "ais://c/x", "local", code=11)
    assert [r["status"] for r in mirrored] == ["different", "different", "left-only", "right-only"]
    assert [r["name"] for r in cli.json("diff", "local", "ais://c/x/", "--size-only", code=11)] == [
        *("a.txt", "a/b/1", "new"),
    ]
    table = cli.out("diff", "local", "ais://c/x", code=11).splitlines()
    assert table[0].split() == ["STATUS", "LEFT", "RIGHT", "REASON", "NAME"]
    assert table[-1] == "2 different, 1 only in local, 1 only in ais://c/x/, 0 the same"
    assert cli.run("diff", "local", "ais://c/x", "-q", code=11).stdout == b""


def test_diff_of_buckets_with_other_checksums_reads_the_content(cli: Cli) -> None:
    for name, kind in (("md5", "md5"), ("none", "none")):
        cli.run("create", name, "--props", f"checksum.type={kind}")
        cli.run("cp", "ais://b/a/2", f"ais://{name}/2")
        assert (
            cli.json("diff", "ais://b/a", f"ais://{name}", "--all", code=11)[0]["status"] == "same"
        )
        cli.run("put", "-", f"ais://{name}/2", stdin=b"y" * 200)
        found = cli.json("diff", "ais://b/a", f"ais://{name}", code=11)
        assert (found[0]["name"], found[0]["reason"]) == ("2", "checksum")


def test_diff_sorts_as_the_store_does_and_follows_links_to_files_only(cli: Cli) -> None:
    for name in ("a", "a.b/x", "a/b", "a-", "é", "z/é/1"):
        if name != "a":
            cli.file(f"tree/{name}", name.encode())
    os.symlink("a-", cli.work / "tree/link")
    os.symlink(".", cli.work / "tree/loop")
    os.symlink("nowhere", cli.work / "tree/broken")
    os.mkfifo(cli.work / "tree/pipe")
    cli.run("create", "c")
    found = [r["name"] for r in cli.json("diff", "tree", "ais://c", code=11)]
    assert found == sorted(["a-", "a.b/x", "a/b", "link", "z/é/1", "é"], key=str.encode)


def test_what_diff_refuses(cli: Cli) -> None:
    assert "ais://BUCKET" in cli.err("diff", "b", "ais://b", code=2)
    assert "does not exist" in cli.err("diff", "ais://none", "ais://b", code=3)
    if os.getuid():  # root may read everything
        cli.file("locked/sub/x", b"")
        (cli.work / "locked/sub").chmod(0)
        assert "locked/sub" in cli.err("diff", "locked", "ais://b", code=1)


# stat, cat, concat, ls


def test_stat(cli: Cli) -> None:
    assert cli.json("stat", "ais://b/a/2")["size"] == 200
    assert cli.json("stat", "ais://b")["checksum"]["type"] == "xxhash2"
    member = cli.json("stat", "ais://b/s/x.tar/d/1.cls")
    assert (member["size"], member["shard"], member["archpath"]) == (70, "s/x.tar", "d/1.cls")
    assert "etag" in cli.out("stat", "ais://b/a/2")
    assert "ais du ais://b/a/" in cli.err("stat", "ais://b/a", code=4)
    assert "archive ls" in cli.err("stat", "ais://b/s/x.tar/none", code=4)
    assert "not found" in cli.err("stat", "ais://b/none", code=4)


def test_cat_of_several(cli: Cli) -> None:
    cli.run("put", "-", "ais://b/digits", stdin=b"0123456789")
    assert (
        cli.out("cat", "ais://b/digits", "ais://b/top", "ais://b/digits") == "0123456789x0123456789"
    )
    assert (
        cli.out("cat", "ais://b/digits", "ais://b/digits", "--offset", "2", "--length", "3")
        == "234234"
    )
    assert cli.out("cat", "ais://b/s/x.tar", "--archpath", "0.jpg") == "0.jpg" * 10
    done = cli.run("cat", "ais://b/digits", "ais://b/none", "ais://b/top", code=4)
    assert done.stdout == b"0123456789", "not a byte behind what is missing"


def test_concat(cli: Cli) -> None:
    cli.file("p/2", b"two")
    cli.file("p/1", b"one")
    cli.file("p/sub/3", b"three")
    cli.file("last", b"!")
    text = cli.out("object", "concat", "p", "last", "ais://b/all")
    assert text == "\nCreated ais://b/all (size 7B)\n"
    assert cli.out("cat", "ais://b/all") == "onetwo!"
    more = cli.json("object", "concat", "p", "ais://b/all", "-r")
    assert (more["size"], more["appended"], len(more["files"])) == (18, 11, 3)
    assert cli.out("cat", "ais://b/all") == "onetwo!onetwothree"
    assert "no such file" in cli.err("object", "concat", "last", "none", "ais://b/all", code=4)
    assert cli.out("cat", "ais://b/all") == "onetwo!onetwothree", "all files, or none"
    assert "BUCKET/OBJECT" in cli.err("object", "concat", "last", code=2)


def test_ls_of_what_is_cached(cli: Cli) -> None:
    everything = cli.out("ls", "ais://b")
    assert cli.out("ls", "ais://b", "--cached") == everything
    assert "not cached" in cli.out("ls", "ais://b", "--not-cached")
    assert cli.json("ls", "ais://b", "--not-cached") == []
    assert "requires remote bucket" in cli.err("ls", "ais://b", "--diff", code=2)
    assert "mutually exclusive" in cli.err("ls", "ais://b", "--cached", "--not-cached", code=2)


def test_ls_again_and_again(cli: Cli) -> None:
    once = cli.out("ls", "ais://b/a")
    rule = f"{'-' * 40}\n"
    assert cli.out("ls", "ais://b/a", "--refresh", "1", "--count", "2") == once + rule + once
    assert "1s or more" in cli.err("ls", "--refresh", "10ms", code=2)
    assert "--count" in cli.err("ls", "--count", "0", code=2)


def test_names_of_files_from_a_file(cli: Cli) -> None:
    cli.file("names", b"d/1.cls\n\n0.jpg\r\n")
    cli.run("archive", "put", "src", "ais://b/n.tar", "--from-file", "names")
    assert [m["archpath"] for m in cli.json("archive", "ls", "ais://b/n.tar")] == [
        "d/1.cls",
        "0.jpg",
    ]
    cli.run("archive", "put", "src", "ais://b/m.tar", "--list-from", "-", stdin=b"0.jpg\n")
    assert [m["archpath"] for m in cli.json("archive", "ls", "ais://b/m.tar")] == ["0.jpg"]
    assert "no names" in cli.err(
        "archive", "put", "src", "ais://b/m.tar", "--from-file", "-", code=2
    )


def test_lru(cli: Cli) -> None:
    assert "lru.enabled" in cli.out("bucket", "lru", "b")
    assert "already disabled" in cli.out("bucket", "lru", "b", "--disable")
    assert "only copy" in cli.err("bucket", "lru", "b", "--enable", code=2)


# batches


def members(content: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        return {m.name: tar.extractfile(m).read() for m in tar}  # type: ignore[union-attr]


def test_a_spec_in_yaml(cli: Cli) -> None:
    cli.file(
        "spec.yaml", b"in:\n- objname: top\n- {objname: s/x.tar, archpath: 0.jpg, length: 3}\n"
    )
    found = members(cli.run("get-batch", "b", "--spec", "spec.yaml", "-o", "-").stdout)
    assert found == {"b/top": b"x", "b/s/x.tar/0.jpg": b"0.j"}
    inline = "{in: [{objname: top}], onob: true}"
    assert members(cli.run("get-batch", "b", "--spec", inline, "-o", "-").stdout) == {"top": b"x"}


def test_cuts_into_batches(cli: Cli) -> None:
    lines = []
    samples = bytes(range(256)) * 20
    with cli.store() as transport:
        for number in range(5):
            transport.put(B, f"w/{number}.wav", b"H" * 44 + samples)
            sources = [{"type": "file", "channels": [0], "source": f"ais://b/w/{number}.wav"}]
            cut = {
                "id": f"c{number}",
                "start": 0.05,
                "duration": 0.1,
                "recording": {"sources": sources},
            }
            lines.append(json.dumps(cut))
    cli.file("cuts.jsonl", "\n".join(lines).encode())
    assert cli.out("ml", "lhotse-get-batch", "--cuts", "cuts.jsonl", "all.tar") == (
        "Created all.tar with 5 objects and/or archived files\n"
    )
    assert list(members((cli.work / "all.tar").read_bytes())) == [f"b/w/{n}.wav" for n in range(5)]
    many = (
        "ml",
        "lhotse-get-batch",
        "--cuts",
        "cuts.jsonl",
        "--batch-size",
        "2",
        "--output-template",
    )
    text = cli.out(*many, "b-{0..9}.tar", "--sample-rate", "8000")
    assert text.splitlines()[-1] == "Generated 3 batches from 5 cuts"
    (content,) = members((cli.work / "b-2.tar").read_bytes()).values()
    assert content == samples[800:2400]
    assert [r["cuts"] for r in cli.json(*many, "j-{0..9}.tar")] == [2, 2, 1]
    assert "has names for 2 batches only" in cli.err(*many, "f-{0..1}.tar", code=2)
    refused = cli.run(*many, "b-{0..9}.tar")
    assert b"already exists" in refused.stderr
    assert b"Operation canceled." in refused.stdout


def test_a_recording_that_is_missing(cli: Cli) -> None:
    cli.file("cuts", b'{"audio_source": "b/top"}\n{"audio_source": "b/none"}\n')
    command = ("ml", "lhotse-get-batch", "--cuts", "cuts", "out.tar")
    cli.run(*command, code=4)
    assert not (cli.work / "out.tar").exists()
    assert "1 recordings are missing" in cli.err(*command, "--cont-on-err", code=5)
    assert list(members((cli.work / "out.tar").read_bytes())) == ["b/top", "__404__/b/none"]


# jobs and nodes


def test_jobs_that_have_ended(cli: Cli) -> None:
    cli.run("cp", "ais://b", "ais://c")
    assert "No running jobs" in cli.out("show", "job")
    (job,) = cli.json("job", "show", "copy-bucket", "ais://b", "--all")
    assert (job["bucket"], job["target"], job["objects"], job["state"]) == (
        *("ais://b", "ais://c", 7, "finished"),
    )
    assert cli.json("jobs", job["id"]) == [job]
    assert cli.json("jobs", "--all", "copy", "--top", "1") == [job]
    assert cli.json("jobs", "--all", "--regex", "^rename") == []
    header = cli.out("jobs", "--all").splitlines()[0].split("  ")
    assert [h.strip() for h in header if h][:3] == ["NODE", "ID", "KIND"]
    assert "nothing to do" in cli.out("wait")
    assert cli.out("wait", job["id"]) == "Done.\n"
    assert "already finished, nothing to do" in cli.out("stop", job["id"])
    assert "nothing to do" in cli.out("stop", "--all")
    assert "job" in cli.err("stop", code=2)
    assert "does not exist" in cli.err("wait", "aBcDeFgHi", code=3)
    assert "neither the name" in cli.err("jobs", "what", code=2)


def test_a_job_of_another_process_is_seen_waited_for_and_stopped(cli: Cli) -> None:
    with cli.store() as transport:
        for number in range(20_000):
            transport.put(B, f"many/{number}", b"")
    copy = subprocess.Popen(
        [sys.executable, "-m", "aiscli", "cp", "ais://b", "ais://c"],
        env=cli.env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    deadline = time.monotonic() + 30
    while not (running := cli.json("jobs", "copy-bucket")):
        assert time.monotonic() < deadline
        assert copy.poll() is None
    assert running[0]["state"] == "running"
    assert "still running" in cli.err("wait", "--timeout", "50ms", code=10)
    waiter = subprocess.Popen(
        [sys.executable, "-m", "aiscli", "wait", running[0]["id"]],
        env=cli.env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    interrupted = subprocess.Popen(
        [sys.executable, "-m", "aiscli", "wait", "copy-bucket"],
        env=cli.env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert interrupted.stdout is not None
    first = os.read(interrupted.stdout.fileno(), 100)  # the line is out before the waiting begins
    assert first.startswith(b"Waiting for copy-bucket[")
    interrupted.send_signal(signal.SIGINT)
    assert f"ais wait {running[0]['id']}".encode() in interrupted.communicate(timeout=30)[1]
    assert interrupted.returncode == 130
    assert "Stop all 'copy-bucket' jobs? [Y/N]: " in cli.out("stop", "copy-bucket")
    assert f"Stopped copy-bucket[{running[0]['id']}]" in cli.out("stop", "copy-bucket", "--yes")
    stderr = copy.communicate(timeout=30)[1]
    assert copy.returncode == 12, stderr
    assert waiter.communicate(timeout=30)[1]
    assert waiter.returncode == 12


def test_the_nodes(cli: Cli) -> None:
    text = cli.out("show", "cluster")
    deployment = "aiscore" if cli.reach.endpoint else "embedded"
    for word in ("PROXY", "TARGET", "Cluster:", "Deployment:", deployment, "2 online, 1 buckets"):
        assert word in text
    proxy, target = cli.json("show", "cluster")
    assert (proxy["type"], target["type"]) == ("proxy", "target")
    assert proxy["primary"]
    assert not target["primary"]
    assert target["status"] == "online"
    assert 0 < target["available"] < 1 << 60
    assert (proxy["node"], target["node"]) == ("p[local]", "t[local]") or cli.reach.endpoint
    for words in (["cluster", "show", "target"], ["show", "cluster", target["node"]]):
        assert [node["node"] for node in cli.json(*words)] == [target["node"]]
    assert "expecting a valid NODE_ID or node type" in cli.err("show", "cluster", "FOO", code=3)
    assert cli.json("performance", "capacity")[0]["mountpaths"] == 1
    for words in (["storage", "show"], ["show", "storage"], ["show", "performance", "capacity"]):
        assert cli.out(*words).split()[:2] == ["TARGET", "MOUNTPATHS"]


def test_the_map_the_buckets_and_rebalancing(cli: Cli) -> None:
    proxy, target = cli.json("show", "cluster", "smap")
    assert proxy["electable"]
    assert proxy["url"] == (cli.reach.endpoint or None) == target["url"]
    assert "proxies(1), targets(1)" in cli.out("cluster", "show", "smap")
    (bucket,) = cli.json("show", "cluster", "bmd")
    assert (bucket["provider"], bucket["name"], bucket["copies"]) == ("ais", "b", None)
    shown = cli.out("show", "cluster", "config", "checksum.type")
    assert shown.split()[-2:] == ["checksum.type", "xxhash2"]
    assert cli.json("show", "rebalance") == []
    assert "nothing to do" in cli.out("job", "start", "rebalance")


def test_what_nodes_count_and_log(cli: Cli) -> None:
    node = cli.json("show", "cluster", "target")[0]["node"]
    if not cli.reach.endpoint:
        assert cli.json("performance") == [{"target": node, "counters": {}}]
        assert "counts for itself" in cli.out("performance", "throughput")
        assert "writes no log" in cli.err("log", "show", node, code=1)
        return
    cli.run("config", "cluster", "store.load=disk:critical")
    cli.run("get-batch", "b", "top", "-o", "-")
    cli.run("config", "cluster", "store.load=auto")
    assert "GETBATCH-THROTTLE(ns)" in cli.out("performance", "counters")
    cli.run("get", "ais://b/top", "-")
    (record,) = cli.json("show", "performance", "counters", "--regex", "^get")
    assert record["target"] == node
    assert record["counters"]["get.n"] == 1
    assert record["counters"]["get.size"] == 1
    assert "GET(n)" in cli.out("performance")
    for view in ("throughput", "latency"):
        assert cli.out("performance", view, "--refresh", "1s", "--count", "1") == "idle\n"
    assert "Started up at" in cli.out("show", "log", node)
    assert f"nodes are: {cli.json('show', 'cluster')[0]['node']}" in cli.err(
        "log", "show", "x", code=3
    )
    assert "use one of: info" in cli.err("log", "show", node, "--severity", "loud", code=2)


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (
            ["job", "start", "etl", "--buckets", "b", "-z", "--", "x"],
            "'ais job start etl' is not available yet",
        ),
        (
            ["start", "download", "https://x/y", "ais://b"],
            "'ais start download' is not available yet",
        ),
        (["etl", "init", "b/o"], "'ais etl init' is not available yet"),
        (["auth", "login", "me", "-p", "secret"], "'ais auth login' is not available yet"),
        (["dsort", "ais://b", "--json"], "'ais dsort' is not available yet"),
        (["evict", "s3://bucket"], "'ais evict' is not available yet"),
        (["evict", "ais://b", "--list", "a,b"], "evicting objects from AIS buckets"),
        (["prefetch", "b"], "cannot prefetch from ais://b"),
    ],
)
def test_commands_that_do_not_work_yet(cli: Cli, words: list[str], text: str) -> None:
    done = cli.run(*words, code=1)
    assert text in done.stderr.decode()
    assert done.stdout == b""


def test_they_are_marked_where_people_look(cli: Cli) -> None:
    assert "(not available yet)" in cli.out("auth", "--help")
    assert "ais auth login  (not available yet)\n" in cli.out("search", "login")
    assert "(not available yet)" in cli.out("job", "start", "etl", "--help")


def test_an_alias_with_placeholders(cli: Cli) -> None:
    cli.run("alias", "set", "part", "cat ais://b/$1 --length $2")
    assert cli.out("part", "a.txt", "3") == "xxx"
    assert cli.out("part", "a.txt", "3", "--offset", "2999") == "x"
    assert "needs 2 arguments, found 1" in cli.err("part", "a.txt", code=2)
    assert cli.out("alias", "set", "j", "job").startswith("Aliased")
    assert "No running jobs" in cli.out("j", "show")
