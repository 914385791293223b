"""`ais sync` as a subprocess: both directions, and everything that can go wrong on the way."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.fault.support import mounted_tmpfs
from tests.integration.ais import Cli, Reach, pytest_generate_tests, reach

__all__ = ["pytest_generate_tests", "reach"]

MIB = 1 << 20
BUSY = 64 * MIB
"""Bytes that a process has read when it is surely past its imports."""
OLD = (1_600_000_000, 1_600_000_000)
WEAK = ["setpriv", "--bounding-set=-dac_override,-dac_read_search", "--"]
"""Makes permissions count for root, too."""

EMBEDDED_ONLY = frozenset({"test_ten_thousand_names_survive_kills"})
"""Too long to be run twice."""


@pytest.fixture
def cli(tmp_path: Path, reach: Reach) -> Cli:
    made = Cli(tmp_path, reach)
    made.run("create", "ais://b")
    return made


def old(cli: Cli, name: str, content: bytes) -> Path:
    """A file that was not written just now."""
    cli.file(name, content)
    os.utime(cli.work / name, OLD)
    return cli.work / name


def tree(root: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()
    }


def objects(cli: Cli, bucket: str = "b") -> list[str]:
    return [entry["name"] for entry in cli.json("ls", f"ais://{bucket}")]


def spawn(cli: Cli, *args: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-m", "aiscli", *args],
        cwd=cli.work,
        env=cli.env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def weak(cli: Cli, *args: str) -> "subprocess.CompletedProcess[bytes]":
    prefix = WEAK if os.geteuid() == 0 else []
    return subprocess.run(
        [*prefix, sys.executable, "-m", "aiscli", *args],
        cwd=cli.work,
        env=cli.env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        timeout=60,
    )


def test_up_and_down_and_again(cli: Cli) -> None:
    for name in ("a.jpg", "b-c", "b/c", "d/e/f é"):
        old(cli, f"src/{name}", name.encode())
    planned = cli.json("sync", "src", "ais://b/p", "--dry-run")
    assert objects(cli) == []
    done = cli.json("sync", "src", "ais://b/p")
    assert [r | {"status": "planned"} for r in done] == planned
    assert done[0] == {
        "action": "copy",
        "source": "src/a.jpg",
        "destination": "ais://b/p/a.jpg",
        "size": 5,
        "reason": "new",
        "status": "done",
        "error": None,
    }
    assert objects(cli) == ["p/a.jpg", "p/b-c", "p/b/c", "p/d/e/f é"]
    assert cli.json("sync", "src", "ais://b/p") == []
    assert cli.json("sync", "src/", "ais://b/p/", "--checksum") == []
    assert "4 copied" in cli.out("sync", "ais://b/p", "out")
    assert tree(cli.work / "out") == tree(cli.work / "src")
    assert (cli.work / "out/b/c").stat().st_mtime == OLD[1]
    assert cli.json("sync", "ais://b/p", "out") == []
    assert cli.json("sync", "out", "ais://b/p") == []


def test_a_change_is_found_even_if_size_or_time_stay(cli: Cli) -> None:
    path = old(cli, "src/f", b"one")
    cli.run("sync", "src", "ais://b")
    path.write_bytes(b"two")
    assert [r["reason"] for r in cli.json("sync", "src", "ais://b")] == ["checksum"]
    # Written just now, or later: the time is not trusted, the content is read.
    path.write_bytes(b"six")
    soon = path.stat().st_mtime_ns + 10**12
    os.utime(path, ns=(1, soon))
    cli.run("sync", "src", "ais://b")
    path.write_bytes(b"ten")
    os.utime(path, ns=(1, soon))
    assert [r["reason"] for r in cli.json("sync", "src", "ais://b")] == ["checksum"]
    # An old time that is set back is what only --checksum sees.
    os.utime(path, OLD)
    cli.run("sync", "src", "ais://b")
    path.write_bytes(b"red")
    os.utime(path, OLD)
    assert cli.json("sync", "src", "ais://b") == []
    assert [r["reason"] for r in cli.json("sync", "src", "ais://b", "--checksum")] == ["checksum"]


def test_a_touched_file_is_not_sent_but_its_time_is_recorded(cli: Cli) -> None:
    path = old(cli, "src/f", b"one")
    cli.run("sync", "src", "ais://b")
    version = cli.json("show", "object", "ais://b/f")["version"]
    os.utime(path, (1_500_000_000, 1_500_000_000))
    assert cli.json("sync", "src", "ais://b") == []
    shown = cli.json("show", "object", "ais://b/f")
    assert shown["custom"] == {"source-mtime-ns": "1500000000000000000"}
    assert shown["version"] == version


def test_objects_that_were_put_are_compared_by_content(cli: Cli) -> None:
    old(cli, "src/f", b"one")
    cli.run("put", "src/f", "ais://b/f")
    assert cli.json("sync", "src", "ais://b") == []
    cli.run("put", "-", "ais://b/f", stdin=b"two")
    assert [r["reason"] for r in cli.json("sync", "src", "ais://b")] == ["checksum"]
    cli.run("create", "ais://n", "--props", "checksum.type=none")
    assert len(cli.json("sync", "src", "ais://n")) == 1
    assert cli.json("sync", "src", "ais://n") == []
    assert cli.json("sync", "ais://n", "out")[0]["status"] == "done"
    assert cli.json("sync", "ais://n", "out") == []


def test_buckets(cli: Cli) -> None:
    for name in ("a", "d/b"):
        old(cli, f"src/{name}", name.encode())
    cli.run("sync", "src", "ais://b/x")
    cli.run("create", "ais://c", "--props", "checksum.type=md5")
    assert len(cli.json("sync", "ais://b/x", "ais://c")) == 2
    assert cli.json("sync", "ais://b/x", "ais://c") == []
    cli.run("put", "-", "ais://c/a", stdin=b"z")
    cli.run("put", "-", "ais://c/extra", stdin=b"z")
    done = cli.json("sync", "ais://b/x", "ais://c", "--delete", "--yes")
    assert [(r["action"], r["destination"]) for r in done] == [
        ("copy", "ais://c/a"),
        ("delete", "ais://c/extra"),
    ]
    assert cli.run("cat", "ais://c/a").stdout == b"a"
    assert "overlap" in cli.err("sync", "ais://b/x", "ais://b/x/y", code=2)
    assert "overlap" in cli.err("sync", "ais://b", "ais://b", code=2)


def test_delete_asks_and_spares_what_is_excluded(cli: Cli) -> None:
    old(cli, "src/keep", b"1")
    for name in ("keep", "x/gone", "x/y.tmp"):
        old(cli, f"out/{name}", b"1")
    cli.run("sync", "src", "ais://b")
    asked = cli.out("sync", "ais://b", "out", "--delete", "--exclude", "*.tmp")
    assert "Delete 1 from out/ (x/gone)? [Y/N]: " in asked
    assert "Operation canceled." in asked
    assert "--yes" in cli.err("sync", "ais://b", "out", "--delete", "--no-input", code=2)
    assert len(tree(cli.work / "out")) == 3
    cli.run("sync", "ais://b", "out", "--delete", "--exclude", "*.tmp", stdin=b"y\n")
    assert set(tree(cli.work / "out")) == {"keep", "x/y.tmp"}
    cli.run("sync", "ais://b", "out", "--delete", "-y")
    assert os.listdir(cli.work / "out") == ["keep"]


def test_an_empty_source_deletes_nothing(cli: Cli) -> None:
    cli.run("put", "-", "ais://b/o", stdin=b"x")
    (cli.work / "empty").mkdir()
    text = cli.err("sync", "empty", "ais://b", "--delete", "--yes", code=2)
    assert "refusing to delete everything" in text
    assert objects(cli) == ["o"]
    cli.file("out/f", b"x")
    cli.err("sync", "ais://b/typo", "out", "--delete", "--yes", code=2)
    assert os.listdir(cli.work / "out") == ["f"]


def test_a_source_that_cannot_be_listed_deletes_nothing(cli: Cli) -> None:
    for name in ("a/1", "z/1"):
        old(cli, f"src/{name}", b"1")
    cli.run("sync", "src", "ais://b")
    (cli.work / "src/z").chmod(0)
    try:
        (cli.work / "src/a/1").unlink()
        cli.file("src/a/2", b"new")
        done = weak(cli, "sync", "src", "ais://b", "--delete", "--yes")
    finally:
        (cli.work / "src/z").chmod(0o700)
    assert done.returncode == 1
    assert done.stderr == b"Error: src/z/: permission denied\n"
    assert objects(cli) == ["a/1", "z/1"]


def test_a_target_that_cannot_be_listed_changes_nothing(cli: Cli) -> None:
    cli.run("put", "-", "ais://b/o", stdin=b"x")
    cli.file("out/z/f", b"x")
    (cli.work / "out/z").chmod(0)
    try:
        done = weak(cli, "sync", "ais://b", "out", "--delete", "--yes")
    finally:
        (cli.work / "out/z").chmod(0o700)
    assert done.returncode == 1
    assert set(tree(cli.work / "out")) == {"z/f"}


def test_deletions_wait_for_every_copy(cli: Cli) -> None:
    for name in ("good", "locked", "later"):
        old(cli, f"src/{name}", b"1")
    cli.run("put", "-", "ais://b/extra", stdin=b"x")
    (cli.work / "src/locked").chmod(0)
    flags = ("--delete", "--yes", "-o", "json")
    first = weak(cli, "sync", "src", "ais://b", *flags)
    assert first.returncode == 1
    assert b"stopped after 2 of 4 items, 1 failed" in first.stderr
    assert [r["status"] for r in json.loads(first.stdout)] == ["done", "done", "failed"]
    second = weak(cli, "sync", "src", "ais://b", "--cont-on-err", *flags)
    assert second.returncode == 5
    assert b"failed to sync 1 of 1 items: 1 permission denied" in second.stderr
    assert b"1 not deleted because not everything was copied" in second.stderr
    assert objects(cli) == ["extra", "good", "later"]
    third = weak(cli, "sync", "src", "ais://b", "--cont-on-err", "--delete-despite-errors", *flags)
    assert third.returncode == 5
    assert objects(cli) == ["good", "later"]


def test_names_that_cannot_be_synced(cli: Cli) -> None:
    for name in ("a", "a/b", "ok"):
        cli.run("put", "-", f"ais://b/{name}", stdin=b"x")
    text = cli.err("sync", "ais://b", "out", code=1)
    assert 'ais://b/a/b: "a" is an object, too' in text
    assert "nothing was done" in text
    assert not (cli.work / "out").exists()
    done = cli.run("sync", "ais://b", "out", "--cont-on-err", "-o", "json", code=5)
    assert [(r["action"], r["status"]) for r in json.loads(done.stdout)] == [
        ("refuse", "failed"),
        ("copy", "done"),
        ("copy", "done"),
    ]
    assert set(tree(cli.work / "out")) == {"a", "ok"}
    (cli.work / "src").mkdir()
    (cli.work / os.fsdecode(b"src/\xff")).write_bytes(b"x")
    assert "not valid Unicode" in cli.err("sync", "src", "ais://b/u", code=1)


def test_nothing_is_written_through_links(cli: Cli, tmp_path: Path) -> None:
    for name in ("d/f", "g", "h/f"):
        cli.run("put", "-", f"ais://b/{name}", stdin=b"new")
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "g").write_bytes(b"old")
    cli.file("out/h", b"file")
    (cli.work / "out/d").symlink_to(outside)
    (cli.work / "out/g").symlink_to(outside / "g")
    text = cli.err("sync", "ais://b", "out", "--cont-on-err", code=5)
    assert "symbolic link: not followed" in text
    assert "needs a directory there" in text
    assert tree(outside) == {"g": b"old"}
    assert (cli.work / "out/g").read_bytes() == b"new"
    assert not (cli.work / "out/g").is_symlink()
    (cli.work / "out2/g").mkdir(parents=True)
    assert "directory" in cli.err("sync", "ais://b/", "out2", "--include", "g", code=1)


def test_a_file_that_changes_while_it_is_sent_is_not_stored(cli: Cli) -> None:
    path = cli.work / "src/f"
    cli.file("src/f", b"")
    os.truncate(path, 1 << 40)  # sparse: it takes minutes to read
    process = spawn(cli, "put", "src/f", "ais://b/f")
    before = time.monotonic()
    wait_for(lambda: read_by(process) > BUSY)
    os.truncate(path, 1000)
    _, err = process.communicate(timeout=60)
    assert time.monotonic() - before < 60
    assert process.returncode == 8
    assert b"changed while it was being sent" in err
    assert objects(cli) == []


def read_by(process: "subprocess.Popen[bytes]") -> int:
    """Bytes that a process has read."""
    try:
        text = Path(f"/proc/{process.pid}/io").read_text()
    except OSError:
        return 0
    return int(text.split()[1])


@pytest.fixture
def many(cli: Cli) -> Cli:
    """Ten thousand files, all of them in the bucket."""
    for number in range(10_000):
        path = cli.work / f"src/{number % 10}/{number:05}"
        if number < 10:
            path.parent.mkdir(parents=True)
        path.write_bytes(b"%d" % number)
        os.utime(path, OLD)
    return cli


def test_ten_thousand_names_survive_kills(many: Cli) -> None:
    process = spawn(many, "sync", "src", "ais://b/p")
    time.sleep(1)
    process.kill()
    process.communicate(timeout=60)
    assert process.returncode == -9
    many.run("sync", "src", "ais://b/p")
    assert many.json("sync", "src", "ais://b/p") == []
    out = many.work / "out"
    process = spawn(many, "sync", "ais://b/p", "out")
    wait_for(lambda: (out / "0").is_dir() and len(os.listdir(out / "0")) > 200)
    process.kill()
    process.communicate(timeout=60)
    assert process.returncode == -9
    sizes = {path: path.stat().st_size for path in out.rglob("[0-9]*") if path.is_file()}
    assert 200 <= len(sizes) < 10_000
    assert all(size == len(str(int(path.name))) for path, size in sizes.items())
    summary = many.out("sync", "ais://b/p", "out")
    assert f"{len(sizes):,} unchanged" in summary
    assert tree(out) == tree(many.work / "src")
    assert many.json("sync", "ais://b/p", "out", "--delete", "--yes") == []


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interruption_ends_it_soon_and_clean(cli: Cli, number: int, code: int) -> None:
    cli.file("src/f", b"")
    os.truncate(cli.work / "src/f", 1 << 40)
    old(cli, "src/a", b"1")
    process = spawn(cli, "sync", "src", "ais://b", "-o", "json", "--num-workers", "2")
    wait_for(lambda: read_by(process) > BUSY)
    process.send_signal(number)
    out, err = process.communicate(timeout=20)
    assert process.returncode == code
    assert [record["source"] for record in json.loads(out)] == ["src/a"]
    assert b"interrupted after 1 of 2 items" in err
    assert b"Traceback" not in err
    assert objects(cli) == ["a"]


def test_a_full_disk_leaves_whole_files_only(cli: Cli) -> None:
    for name in ("1", "2", "3"):
        cli.file(f"src/{name}", os.urandom(3 * MIB))
    cli.run("sync", "src", "ais://b")
    with mounted_tmpfs(str(cli.work / "out"), 4 * MIB):
        text = cli.err("sync", "ais://b", "out", "--cont-on-err", "--num-workers", "1", code=1)
        assert "no space left on device" in text
        assert "stopped after 1 of 3 items" in text
        assert os.listdir(cli.work / "out") == ["1"]
        assert (cli.work / "out/1").read_bytes() == (cli.work / "src/1").read_bytes()


def test_a_directory_that_may_not_be_written(cli: Cli) -> None:
    cli.run("put", "-", "ais://b/d/f", stdin=b"x")
    cli.file("out/d/other", b"x")
    (cli.work / "out/d").chmod(0o555)
    done = weak(cli, "sync", "ais://b", "out")
    assert done.returncode == 1
    assert b"permission denied" in done.stderr
    assert os.listdir(cli.work / "out/d") == ["other"]


@pytest.mark.parametrize(
    ("args", "text", "code"),
    [
        (("src", "out"), "one of the two must be a bucket", 2),
        (("src", "ais://nope"), 'bucket "ais://nope" does not exist', 3),
        (("nope", "ais://b"), "nope: no such file", 4),
        (("file", "ais://b"), "is not a directory", 2),
        (("ais://b", "file"), "is not a directory", 2),
        (("src", "ais://b/../x"), "..", 2),
        (("src", "ais://b", "--include", "[x"), "invalid pattern", 2),
        (("src", "ais://b", "--num-workers", "0"), "--num-workers must be 1 to 128", 2),
        (("src", "ais://b", "--delete-despite-errors"), "needs --delete", 2),
    ],
)
def test_usage(cli: Cli, args: tuple[str, ...], text: str, code: int) -> None:
    cli.file("src/f", b"x")
    cli.file("file", b"x")
    assert text in cli.err("sync", *args, code=code)


def test_control_characters_in_names_stay_on_paper(cli: Cli) -> None:
    old(cli, "src/a\x1b[31m\n", b"x")
    cli.run("sync", "src", "ais://b")
    shown = cli.out("sync", "ais://b", "out", "--dry-run")
    assert "\x1b" not in shown
    cli.run("sync", "ais://b", "out")
    (cli.work / "src/a\x1b[31m\n").unlink()
    old(cli, "src/b", b"x")
    assert "\x1b" not in cli.out("sync", "src", "ais://b", "--delete")
