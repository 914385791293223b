"""`aisloader` as users run it, against the embedded engine and against `ais serve`."""

import json
import os
import pty
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from tests.integration.server.process import ais_serve

from aiscore.model.bucket import BucketRef
from aiscore.model.objects import ListOptions
from aiscore.serve import ServerSettings, running
from aiscore.transport import Transport, open_transport

DEADLINE_S = 90.0


@dataclass
class Target:
    """A store under load: where it is, and a transport to look at it."""

    endpoint: str
    environ: dict[str, str]
    transport: Transport = field(repr=False)
    processes: int = 1  # of a run: each has its own start, which takes longer than most runs here
    started: list[subprocess.Popen[str]] = field(default_factory=list)

    def command(self, *flags: str) -> list[str]:
        return [sys.executable, "-m", "aisloader", f"-endpoint={self.endpoint}", *flags]

    def run(self, *flags: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            self.command("-quiet", "-numworkers=4", f"-processes={self.processes}", *flags),
            capture_output=True,
            text=True,
            env=self.environ,
            timeout=DEADLINE_S,
            check=False,
        )
        assert done.returncode == code, f"{done.stdout}\n{done.stderr}"
        assert "Traceback" not in done.stderr
        return done

    def json(self, *flags: str, code: int = 0) -> dict[str, Any]:
        """The last element: the whole run."""
        elements = json.loads(self.run("-json", *flags, code=code).stdout)
        found: dict[str, Any] = elements[-1]
        return found

    def start(self, *flags: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            self.command("-quiet", "-numworkers=2", *flags),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=self.environ,
        )
        self.started.append(process)
        return process

    def end(self) -> None:
        """Nothing outlives its test."""
        for process in self.started:
            process.kill()
            process.wait()
            for stream in (process.stdout, process.stderr):
                if stream is not None:
                    stream.close()

    def names(self, bucket: str) -> list[str]:
        names: list[str] = []
        token = ""
        while True:
            page = self.transport.list_page(BucketRef(bucket), ListOptions(token=token))
            names += [entry.name for entry in page.entries]
            token = page.token
            if not token:
                return names

    def has_bucket(self, bucket: str) -> bool:
        return BucketRef(bucket) in self.transport.list_buckets()

    def fill(self, bucket: str, count: int = 100, size: int = 1000) -> None:
        self.transport.create_bucket(BucketRef(bucket))
        for number in range(count):
            self.transport.put(BucketRef(bucket), f"o-{number:04}", bytes(size))


def environment(home: Path) -> dict[str, str]:
    return {
        "AIS_HOME": str(home),
        "HOME": str(home),
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.pathsep.join(sys.path),
        "TMPDIR": str(home.parent),
    }


@pytest.fixture(params=["embedded", "server"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Target]:
    home = tmp_path / "home"
    environ = environment(home)
    if request.param == "server of two processes":
        with (
            ais_serve(tmp_path, "--workers", "2") as served,
            open_transport(served.url) as transport,
        ):
            made = Target(served.url, environ, transport)
            yield made
            made.end()
        return
    if request.param == "embedded":
        with open_transport(str(home)) as transport:
            made = Target(f"file://{home}", environ, transport)
            yield made
            made.end()
        return
    with (
        running(ServerSettings(home=str(home), port=0, workers=1)) as url,
        open_transport(url) as transport,
    ):
        made = Target(url, environ, transport)
        yield made
        made.end()


@pytest.fixture
def embedded(tmp_path: Path) -> Iterator[Target]:
    home = tmp_path / "home"
    with open_transport(str(home)) as transport:
        made = Target(f"file://{home}", environment(home), transport)
        yield made
        made.end()


def rows(text: str) -> dict[str, list[str]]:
    """Cells of the last table, by operation."""
    table = text[text.rindex("Time      OP") :]
    found = {}
    for line in table.splitlines()[1:]:
        if not line:
            break
        cells = line.split()
        found[cells[1]] = cells
    return found


@pytest.mark.parametrize("target", ["embedded", "server", "server of two processes"], indirect=True)
def test_the_five_stages(target: Target) -> None:
    """Populate; with multipart; mixed; GetBatch of 32; of 64 with cleanup."""
    target.processes = 2
    common = ("-bucket=b", "-provider=ais")
    put = target.json(
        *common, "-pctput=100", "-minsize=1KiB", "-maxsize=10KiB", "-totalputsize=4MiB",
        "-cleanup=false",
    )["put"]  # fmt: skip
    names = target.names("b")
    assert int(put["bytes"]) == 4 << 20
    assert int(put["count"]) == len(names)
    assert put["errors"] == 0

    if hasattr(target.transport, "create_upload"):
        stage = target.json(
            *common, "-pctput=100", "-minsize=5KiB", "-maxsize=20KiB", "-maxputs=500",
            "-cleanup=false", "-multipart-chunks=4", "-pctmultipart=30",
        )  # fmt: skip
        parts, whole = int(stage["put_multipart"]["count"]), int(stage["put"]["count"])
        assert parts + whole == 500
        assert abs(parts - 150) < 3 * (500 * 0.3 * 0.7) ** 0.5
        chunked = sum(
            target.transport.head(BucketRef("b"), name).chunk_count == 4
            for name in set(target.names("b")) - set(names)
        )
        assert chunked == parts
        names = target.names("b")

    mixed = target.json(
        *common, "-duration=1s", "-pctput=10", "-minsize=1KiB", "-maxsize=10KiB", "-cleanup=false"
    )
    puts, gets = int(mixed["put"]["count"]), int(mixed["get"]["count"])
    assert mixed["put"]["errors"] == mixed["get"]["errors"] == 0
    assert len(target.names("b")) == len(names) + puts
    total = puts + gets
    assert abs(puts - total * 0.1) < 4 * (total * 0.09) ** 0.5 + 4

    for size, cleanup in ((32, "false"), (64, "true")):
        batch = target.json(
            *common, "-duration=1s", "-pctput=0", f"-cleanup={cleanup}", f"-get-batchsize={size}"
        )["get_batch"]
        assert batch["errors"] == batch["missing"] == 0
        assert int(batch["count"]) > 0
        assert batch["entries"] == size * int(batch["count"])
    assert not target.has_bucket("b")


def test_epochs_read_every_name_exactly(target: Target) -> None:
    target.fill("b", 200)
    done = target.run("-bucket=ais://b", "-epochs=3", "-cleanup=false")
    assert "coverage 100.000% dup 0 (3 x 200 names)" in done.stdout
    assert rows(done.stdout)["GET"][2] == "600"
    done = target.run("-bucket=ais://b", "-epochs=3", "-get-batchsize=64", "-cleanup=false")
    assert "coverage 100.000% dup 0 (3 x 200 names)" in done.stdout
    assert "GBT entries: 600, missing 0" in done.stdout


@pytest.mark.parametrize("batch", ["0", "16"])
def test_an_interrupted_run_goes_on_where_it_was(embedded: Target, batch: str) -> None:
    embedded.fill("b", 500)
    flags = ["-bucket=ais://b", "-epochs=4", "-cleanup=false", f"-get-batchsize={batch}"]
    first = embedded.run(*flags, "-duration=300ms", "-rate=80")
    match = re.search(r"repeat it with (-seed=\S+ -resume=\S+)", first.stderr)
    assert match, first.stderr
    second = embedded.run(*flags, *match[1].split())
    assert "coverage 100.000% dup 0 (4 x 500 names)" in second.stdout

    def entries(text: str) -> int:
        found = re.search(r"GBT entries: ([\d,]+)", text)
        return int((found[1] if found else rows(text)["GET"][2]).replace(",", ""))

    assert entries(first.stdout) + entries(second.stdout) == 2000


def test_shards_are_written_and_their_files_read(target: Target) -> None:
    done = target.json(
        "-bucket=ais://b", "-pctput=100", "-maxputs=40", "-arch.pct=50", "-minsize=20KiB",
        "-maxsize=40KiB", "-arch.minsize=1KiB", "-arch.maxsize=4KiB", "-arch.prefix=in/x-",
        "-cleanup=false",
    )  # fmt: skip
    names = target.names("b")
    shards = [name for name in names if name.endswith(".tar")]
    assert len(names) == 40
    assert 8 <= len(shards) <= 32
    stored = target.transport.summarize_bucket(BucketRef("b")).size
    assert int(done["put"]["bytes"]) == stored
    files = [
        member.name
        for shard in shards
        for member in target.transport.list_members(BucketRef("b"), shard)
    ]
    assert all(name.startswith("in/x-obj-") for name in files)
    read = target.run("-bucket=ais://b", "-arch.list", "-epochs=1", "-cleanup=false")
    plain = len(names) - len(shards)
    assert f"Found {plain} plain objects and {len(files)} archived files (" in read.stdout
    assert rows(read.stdout)["GET"][2] == f"{plain + len(files):,}"
    for form in ("tar", "tar.gz", "tar.lz4", "zip"):
        batch = target.json(
            "-bucket=ais://b", "-arch.list", "-epochs=1", "-get-batchsize=16", "-cleanup=false",
            f"-get-batch-format={form}",
        )["get_batch"]  # fmt: skip
        assert batch["errors"] == 0, form
        assert batch["entries"] == plain + len(files)


def test_ranges_updates_verification_and_streams(target: Target) -> None:
    target.fill("b", 50, 5000)
    common = ("-bucket=ais://b", "-cleanup=false")
    ranged = target.json(*common, "-readoff=100", "-readlen=50", "-epochs=1")["get"]
    assert (ranged["count"], ranged["bytes"]) == ("50", "2500")
    verified = target.json(*common, "-verifyhash", "-epochs=1")["get"]
    assert (verified["count"], verified["errors"]) == ("50", 0)
    assert "unverified" not in verified
    updated = target.json(*common, "-pctupdate=100", "-epochs=1")
    assert updated["get"]["count"] == updated["put"]["count"] == "50"
    assert updated["put"]["bytes"] == "250000"
    assert len(target.names("b")) == 50
    streamed = target.json(*common, "-pctmpdstream=100", "-mpdstream-chunk-size=4KiB", "-epochs=1")[
        "get_mpdstream"
    ]
    assert (streamed["count"], streamed["bytes"]) == ("50", "250000")


def test_missing_objects_fail_the_run_and_max_errors_allows_them(
    target: Target, tmp_path: Path
) -> None:
    target.fill("b", 9)
    listing = tmp_path / "names"
    listing.write_text("".join(f"o-{n:04}\n" for n in range(9)) + "absent \x1b[31m\n")
    common = ("-bucket=ais://b", f"-filelist={listing}", "-epochs=1", "-cleanup=false")
    done = target.run(*common, code=1)
    assert "1 of 10 operations failed" in done.stderr
    assert "GET failed (not-found)" in done.stderr
    assert "\x1b" not in done.stderr + done.stdout
    assert "GET failures: not-found 1" in done.stdout
    assert rows(done.stdout)["GET"][2] == "9"
    target.run(*common, "-max-errors=10%")
    target.run(*common, "-max-errors=1")
    batch = ("-get-batchsize=10", "-json")
    failed = json.loads(target.run(*common, *batch, code=1).stdout)[-1]["get_batch"]
    assert (failed["count"], failed["errors"]) == ("0", 1)
    soft = json.loads(target.run(*common, *batch, "-cont-on-err").stdout)[-1]["get_batch"]
    assert (soft["count"], soft["entries"], soft["missing"]) == ("1", 10, 1)


def test_a_rate_is_kept_and_response_times_are_reported(target: Target) -> None:
    target.fill("b")
    done = target.json("-bucket=ais://b", "-rate=200/s", "-arrival=poisson", "-duration=2s",
                       "-cleanup=false", "-max-errors=100%")  # fmt: skip
    get = done["get"]
    # What a busy machine did not get round to is an error: the schedule is all there.
    assert abs(int(get["count"]) + get["errors"] - 400) < 5 * 400**0.5
    assert get["response_percentiles"]["p50"] >= get["percentiles"]["p50"]


def test_the_same_seed_writes_the_same_objects(embedded: Target) -> None:
    for bucket in ("a", "b"):
        embedded.run(
            f"-bucket=ais://{bucket}", "-pctput=100", "-maxputs=30", "-minsize=1K", "-maxsize=9K",
            "-seed=7", "-cleanup=false", "-numworkers=1",
        )  # fmt: skip
    assert embedded.names("a") == embedded.names("b")
    for name in embedded.names("a"):
        assert embedded.transport.read(BucketRef("a"), name) == embedded.transport.read(
            BucketRef("b"), name
        )


def test_a_dry_run_touches_nothing(tmp_path: Path) -> None:
    home = tmp_path / "home"
    done = subprocess.run(
        [sys.executable, "-m", "aisloader", "-bucket=ais://b", "-pctput=100", "-cleanup=true",
         "-dry-run", f"-result={tmp_path / 'r'}"],
        capture_output=True, text=True, env=environment(home), timeout=DEADLINE_S, check=True,
    )  # fmt: skip
    assert "Runtime configuration:" in done.stdout
    assert not list(tmp_path.iterdir())


def test_what_is_wrong_is_said_before_anything_is_made(embedded: Target) -> None:
    embedded.fill("empty", 0)
    cases = {
        ("-bucket=ais://absent", "-cleanup=false"): "ais://absent does not exist",
        ("-bucket=ais://empty", "-cleanup=false"): "ais://empty has no objects",
        ("-bucket=ais://empty", "-cleanup=false", "-get-batchsize=5"): "has no objects",
        ("-bucket=ais://new", "-pctput=50", "-cleanup=true"): "does not exist",
        ("-bucket=ais://empty", "-cleanup=false", "-pctput=100", "-stats-output=/no/f"): "/no/f",
        ("-bucket=ais://empty", "-cleanup=false", "-pctput=100", "-csv=/no/f"): "/no/f",
        ("-bucket=ais://empty", "-cleanup=false", "-pctput=100", "-result=/no/f"): "/no/f",
        (
            "-bucket=ais://new",
            "-cleanup=false",
            "-pctput=100",
            "-start-at=2001-09-09T03:46:40+02:00",
        ): "s ago",
        (
            "-bucket=ais://new",
            "-cleanup=false",
            "-pctput=100",
            "-start-at=4e12",
        ): "invalid -start-at",
        (
            "-bucket=ais://new",
            "-cleanup=false",
            "-pctput=100",
            "-start-at=4000000000",
        ): "a week ahead",
        ("-bucket=ais://empty", "-cleanup=false", "-etl=md5"): "-etl needs a cluster",
    }
    for flags, message in cases.items():
        done = embedded.run(*flags, code=1)
        assert message in done.stderr
        assert done.stdout == "" or "/no/f" in message or "{" not in done.stdout
    assert not embedded.has_bucket("new")
    assert not embedded.has_bucket("absent")


def test_an_unreachable_server_is_one_error(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    done = subprocess.run(
        [sys.executable, "-m", "aisloader", "-quiet", f"-port={port}", "-bucket=ais://b",
         "-cleanup=false"],
        capture_output=True, text=True, env=environment(tmp_path), timeout=DEADLINE_S, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "cannot reach" in done.stderr
    assert len(done.stderr.splitlines()) <= 3


def test_statistics_go_to_a_file_and_to_statsd(embedded: Target, tmp_path: Path) -> None:
    embedded.fill("b")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(10)
        done = embedded.run(
            "-bucket=ais://b", "-duration=2s", "-statsinterval=1", "-cleanup=false",
            f"-stats-output={tmp_path / 'stats'}", f"-csv={tmp_path / 'csv'}",
            f"-result={tmp_path / 'result'}", f"-statsdport={server.getsockname()[1]}",
            "-statsdip=127.0.0.1",
        )  # fmt: skip
        packet = server.recv(65536).decode()
    assert re.match(r"aisloader\.[^.]+-0\.get\.count:\d+\|c", packet)
    assert "Found 100 existing objects" in done.stdout
    assert f"Stats written to {tmp_path / 'stats'}" in done.stdout
    assert "Latency" not in done.stdout
    text = (tmp_path / "stats").read_text()
    assert len(re.findall(r"^\d\d:\d\d:\d\d  GET", text, re.MULTILINE)) >= 3
    lines = (tmp_path / "csv").read_text().splitlines()
    assert len(lines) >= 3
    counted = sum(int(line.split(",")[3]) for line in lines[1:])
    assert f"{counted:,}" == rows(text)["GET"][2]
    assert not (tmp_path / "result.partial").exists()
    page = subprocess.run(
        [sys.executable, "-m", "aisloader", "report", str(tmp_path / "result")],
        capture_output=True, text=True, env=embedded.environ, timeout=DEADLINE_S, check=True,
    )  # fmt: skip
    assert page.stdout == f"Report written to {tmp_path / 'result.html'}\n"
    assert "<svg" in (tmp_path / "result.html").read_text()


def wait_for_output(process: subprocess.Popen[str], word: str) -> str:
    assert process.stdout is not None
    text = ""
    for line in process.stdout:
        text += line
        if word in line:
            return text
    raise AssertionError(text + (process.stderr.read() if process.stderr else ""))


@pytest.mark.parametrize(("flag", "code"), [("-stoppable=false", 130), ("-stoppable", 0)])
def test_ctrl_c_ends_with_a_summary_and_cleans_up(target: Target, flag: str, code: int) -> None:
    target.fill("b")
    process = target.start(
        "-bucket=ais://b", "-duration=1h", "-cleanup=true", "-statsinterval=1", flag
    )
    wait_for_output(process, "  GET  ")
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == code, err
    assert int(rows(out)["GET"][2].replace(",", "")) > 0
    assert "Traceback" not in err
    assert not target.has_bucket("b")


def test_a_run_of_nothing_but_clean_up(target: Target) -> None:
    target.fill("b")
    done = target.run("-bucket=ais://b", "-duration=0", "-cleanup=true")
    assert "destroying bucket ais://b" in done.stderr
    assert not target.has_bucket("b")


def test_a_full_stdout_does_not_keep_the_bucket(embedded: Target, tmp_path: Path) -> None:
    with open("/dev/full", "w", encoding="utf-8") as full:
        done = subprocess.run(
            embedded.command(
                "-quiet", "-numworkers=1", "-bucket=ais://b", "-pctput=100", "-maxputs=5",
                "-maxsize=1K", f"-stats-output={tmp_path / 'stats'}", "-cleanup=true",
            ),
            stdout=full, stderr=subprocess.PIPE, text=True, env=embedded.environ,
            timeout=DEADLINE_S, check=False,
        )  # fmt: skip
    assert done.returncode == 1
    assert "cannot write to stdout: No space left on device" in done.stderr
    assert "Traceback" not in done.stderr
    assert "PUT" in (tmp_path / "stats").read_text()
    assert not embedded.has_bucket("b")


def test_hangup_does_not_end_the_run(embedded: Target) -> None:
    embedded.fill("b")
    process = embedded.start("-bucket=ais://b", "-duration=2s", "-cleanup=false")
    wait_for_output(process, "Latency (min")
    process.send_signal(signal.SIGHUP)
    out, err = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 0
    assert "HTTP tracing needs HTTP" in err
    assert "GET" in rows(out)


def processes_of(bucket: str) -> list[int]:
    """Processes with that word in their command line or environment, this one left out."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            text = (path / "environ").read_bytes()
        except OSError:
            continue
        if bucket.encode() in text and int(path.name) != os.getpid():
            found.append(int(path.name))
    return found


def until(condition: Callable[[], bool], timeout_s: float = 20.0) -> None:
    limit = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < limit
        time.sleep(0.05)


def test_a_killed_loader_leaves_no_process_and_no_half_result(
    embedded: Target, tmp_path: Path
) -> None:
    embedded.fill("b")
    marker = f"loader-{os.getpid()}-{time.monotonic_ns()}"
    embedded.environ["MARKER"] = marker
    process = embedded.start(
        "-bucket=ais://b", "-duration=1h", "-cleanup=false", f"-result={tmp_path / 'r'}"
    )
    wait_for_output(process, "Latency (min")
    assert len(processes_of(marker)) >= 2
    process.kill()
    process.communicate(timeout=DEADLINE_S)
    until(lambda: not processes_of(marker))
    assert not (tmp_path / "r").exists()


def test_a_worker_process_that_dies_fails_the_run(embedded: Target) -> None:
    embedded.fill("b")
    marker = f"loader-{os.getpid()}-{time.monotonic_ns()}"
    embedded.environ["MARKER"] = marker
    process = embedded.start(
        "-bucket=ais://b", "-duration=10s", "-statsinterval=1s", "-cleanup=false"
    )
    wait_for_output(process, "  GET  ")
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    workers = [
        pid for pid in children if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()
    ]
    os.kill(int(workers[0]), signal.SIGKILL)
    assert process.stderr is not None
    told = next(line for line in process.stderr if " died" in line)
    assert f"worker process {workers[0]} " in told
    assert process.poll() is None, "it is told when it happens, and the run goes on"
    out, err = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 1, out
    assert "died" in err
    assert "Traceback" not in err


def test_the_live_view_on_a_terminal(embedded: Target) -> None:
    embedded.fill("b")
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        embedded.command("-quiet", "-bucket=ais://b", "-duration=3s", "-cleanup=false", "-live"),
        stdout=subprocess.DEVNULL,
        stderr=follower,
        env=embedded.environ,
    )
    os.close(follower)
    seen = b""
    while True:
        try:
            block = os.read(leader, 65536)
        except OSError:
            break
        if not block:
            break
        seen += block
    os.close(leader)
    assert process.wait(DEADLINE_S) == 0
    text = seen.decode()
    assert "running 1s of 3s" in text
    assert "p99" in text
    assert "\x1b[2F\x1b[J" in text


def test_a_reader_that_goes_away_ends_the_run_quietly(embedded: Target) -> None:
    embedded.fill("b")
    process = embedded.start(
        "-bucket=ais://b", "-duration=1h", "-statsinterval=1", "-cleanup=false"
    )
    wait_for_output(process, "Latency (min")
    assert process.stdout is not None
    process.stdout.close()
    assert process.wait(DEADLINE_S) == 141
    assert process.stderr is not None
    assert process.stderr.read() == ""
    process.stderr.close()


def test_a_reader_that_goes_away_does_not_keep_the_bucket(embedded: Target) -> None:
    embedded.fill("b")
    process = embedded.start("-bucket=ais://b", "-duration=1h", "-statsinterval=1", "-cleanup=true")
    wait_for_output(process, "Latency (min")
    assert process.stdout is not None
    process.stdout.close()
    assert process.wait(DEADLINE_S) == 141
    assert not embedded.has_bucket("b")


def test_memory_stays_flat(embedded: Target) -> None:
    embedded.fill("b")
    process = embedded.start(
        "-bucket=ais://b",
        "-duration=5s",
        "-cleanup=false",
        "-statsinterval=1",
        "-name-getter=random",
    )
    wait_for_output(process, "  GET  ")
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    pids = [str(process.pid), *children]
    early = sum(memory_of(pid) for pid in pids)
    for _ in range(3):
        wait_for_output(process, "  GET  ")
    late = sum(memory_of(pid) for pid in pids)
    process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 0
    assert late - early < 6 << 20


def memory_of(pid: str) -> int:
    fields = Path(f"/proc/{pid}/status").read_text()
    found = re.search(r"RssAnon:\s+(\d+) kB", fields)
    assert found is not None
    return int(found[1]) << 10


def test_two_results_are_compared_and_merged(embedded: Target, tmp_path: Path) -> None:
    embedded.fill("b")
    results = [tmp_path / "one", tmp_path / "two"]
    for result, loader in zip(results, "01", strict=True):
        embedded.run(
            "-bucket=ais://b", "-duration=1500ms", f"-result={result}", f"-loaderid={loader}",
            "-cleanup=false",
        )  # fmt: skip

    def tool(*words: str, code: int) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "aisloader", *words],
            capture_output=True, text=True, env=embedded.environ, timeout=DEADLINE_S, check=False,
        )  # fmt: skip
        assert done.returncode == code, done.stderr
        assert "Traceback" not in done.stderr
        return done.stdout + done.stderr

    one, two = map(str, results)
    assert "too few" in tool("compare", one, two, code=3)
    assert "hint" in tool("compare", one, code=2)
    assert "cannot read" in tool("compare", one, "/absent", code=1)
    merged = tool("merge", one, two, "-o", str(tmp_path / "both"), code=0)
    assert "GET" in rows(merged[: merged.rindex("\n") + 1] + "\n")
    tool("report", str(tmp_path / "both"), code=0)
    said = tool("merge", code=2)
    assert said.startswith("aisloader: merge: the following arguments are required")
    assert "twice" in tool("merge", one, one, "-o", str(tmp_path / "x"), code=1)
    assert not (tmp_path / "x").exists()
    figures = json.loads(tool("calibrate", "--seconds=0.2", "--json", code=0))
    assert figures["workloads"]["GET"]["ops_per_second"] > 1000
