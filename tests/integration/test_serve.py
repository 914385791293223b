"""`ais serve` as users run it: processes, signals, TLS, settings, the access log."""

import http.client
import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from aiscore.errors import AisError, BusyError
from aiscore.serve import ServerSettings, running

DEADLINE_S = 30.0


@dataclass
class Process:
    """A running `ais serve`."""

    process: subprocess.Popen[str]
    url: str
    stderr: Path

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def workers(self) -> list[int]:
        """Pids of the children."""
        path = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [int(pid) for pid in path.read_text().split()]

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal, and wait for the exit code."""
        self.process.send_signal(number)
        return self.process.wait(DEADLINE_S)


def environment(home: Path, extra: Mapping[str, str] | None = None) -> dict[str, str]:
    return {
        "AIS_HOME": str(home),
        "HOME": str(home),
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.pathsep.join(sys.path),
        **(extra or {}),
    }


@contextmanager
def serve(home: Path, *args: str, environ: Mapping[str, str] | None = None) -> Iterator[Process]:
    stderr = home.parent / "stderr"
    with stderr.open("w") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "aiscli", "serve", "--port", "0", "-o", "json", *args],
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env=environment(home, environ),
        )
    workers: list[int] = []
    try:
        assert process.stdout is not None
        text = ""
        for line in process.stdout:
            text += line
            if line == "}\n":
                break
        assert text, stderr.read_text()
        served = Process(process, json.loads(text)["url"], stderr)
        workers = served.workers()
        yield served
    finally:
        process.kill()
        process.wait()
        process.stdout.close()  # type: ignore[union-attr]
        wait_for(lambda: not any(is_alive(pid) for pid in workers), "workers have ended")


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_for(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, f"never: {what}"
        time.sleep(0.01)


def get(port: int, target: str = "/v1/health", context: ssl.SSLContext | None = None) -> int:
    client: http.client.HTTPConnection
    if context is None:
        client = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE_S)
    else:
        client = http.client.HTTPSConnection("127.0.0.1", port, timeout=DEADLINE_S, context=context)
    try:
        client.request("GET", target)
        response = client.getresponse()
        response.read()
        return response.status
    finally:
        client.close()


def run(home: Path, *args: str, environ: Mapping[str, str] | None = None) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "aiscli", "serve", *args],
        capture_output=True,
        text=True,
        env=environment(home, environ),
        timeout=DEADLINE_S,
    )
    assert "Traceback" not in done.stderr
    return done.returncode, done.stderr


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_serves_until_told_to_stop(home: Path, workers: str, number: signal.Signals) -> None:
    with serve(home, "--workers", workers) as server:
        assert get(server.port) == 200
        assert len(server.workers()) == (0 if workers == "1" else 2)
        assert server.end(number) == 0
        assert server.stderr.read_text() == ""
        with pytest.raises(ConnectionRefusedError):
            get(server.port)


def test_it_prints_one_line(home: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "aiscli", "serve", "--port", "0"],
        stdout=subprocess.PIPE,
        text=True,
        env=environment(home),
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    assert re.fullmatch(rf"serving {home} at http://127\.0\.0\.1:\d+\n", line)
    process.terminate()
    assert process.stdout.read() == ""
    assert process.wait(DEADLINE_S) == 0
    process.stdout.close()


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_request_in_flight_is_finished(home: Path, workers: str) -> None:
    with serve(home, "--workers", workers) as server:
        address = ("127.0.0.1", server.port)
        with (
            socket.create_connection(address, DEADLINE_S) as one,
            socket.create_connection(address, DEADLINE_S) as prober,
        ):
            one.sendall(b"GET /v1/health HTTP/1.1\r\nHo")
            prober.sendall(b"GET /v1/health?readiness=true HTTP/1.1\r\nHo")
            wait_for(lambda: is_received(server.port), "the server has read it")
            server.process.terminate()
            wait_for(lambda: is_refused(server.port), "no more connections")
            for connection, status in ((one, b"200"), (prober, b"503")):
                connection.sendall(b"st: h\r\n\r\n")
                answer = connection.recv(65536)
                assert answer.startswith(b"HTTP/1.1 " + status)
                assert b"Connection: close\r\n" in answer
                assert connection.recv(1) == b""
        assert server.process.wait(DEADLINE_S) == 0


def is_received(port: int) -> bool:
    """Nothing waits in receive queues of our port; by /proc/net/tcp."""
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[1].endswith(f":{port:04X}") and fields[3] == "01" and fields[4][9:] != "0" * 8:
            return False
    return True


def is_refused(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), DEADLINE_S).close()
    except ConnectionRefusedError:
        return True
    except ConnectionResetError:
        return False
    return False


@pytest.mark.parametrize("workers", ["1", "2"])
def test_the_drain_time_is_a_limit(home: Path, workers: str) -> None:
    with (
        serve(home, "--workers", workers, "--set", "drain_timeout_s=0.3") as server,
        socket.create_connection(("127.0.0.1", server.port), DEADLINE_S) as one,
    ):
        one.sendall(b"GET /v1/health HTTP/1.1\r\nHo")
        wait_for(lambda: is_received(server.port), "the server has read it")
        assert server.end() == 0


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_second_signal_does_not_wait(home: Path, workers: str) -> None:
    with (
        serve(home, "--workers", workers, "--set", "drain_timeout_s=600") as server,
        socket.create_connection(("127.0.0.1", server.port), DEADLINE_S) as one,
    ):
        one.sendall(b"GET /v1/health HTTP/1.1\r\nHo")
        wait_for(lambda: is_received(server.port), "the server has read it")
        server.process.terminate()
        wait_for(lambda: is_refused(server.port), "no more connections")
        assert server.end() == 0


def test_a_dead_worker_is_replaced_and_nobody_is_refused(home: Path) -> None:
    with serve(home, "--workers", "2") as server:
        before = server.workers()
        statuses: list[int] = []
        is_over = threading.Event()

        def ask() -> None:
            while not is_over.is_set():
                try:
                    statuses.append(get(server.port))
                except (ConnectionResetError, http.client.RemoteDisconnected, BrokenPipeError):
                    statuses.append(0)  # the worker died with this one connection

        thread = threading.Thread(target=ask)
        thread.start()
        try:
            for pid in before:
                os.kill(pid, signal.SIGKILL)
                wait_for(partial(is_replaced, server, pid), "replaced")
        finally:
            wait_for(lambda: statuses[-1:] == [200], "served again")
            is_over.set()
            thread.join(DEADLINE_S)
        assert not set(server.workers()) & set(before)
        assert statuses.count(0) <= 2
        assert set(statuses) <= {0, 200}
        assert "worker ended" in server.stderr.read_text()
        after = server.workers()
        assert server.end() == 0
        assert not any(is_alive(pid) for pid in after)


def is_replaced(server: Process, pid: int) -> bool:
    workers = server.workers()
    return len(workers) == 2 and pid not in workers


def test_workers_do_not_outlive_the_supervisor(home: Path) -> None:
    with serve(home, "--workers", "2") as server:
        workers = server.workers()
        server.process.kill()
        server.process.wait(DEADLINE_S)
        wait_for(lambda: not any(is_alive(pid) for pid in workers), "workers have ended")


def test_workers_hold_no_store_of_the_supervisor(home: Path) -> None:
    with serve(home, "--workers", "2") as server:
        for link in Path(f"/proc/{server.process.pid}/fd").iterdir():
            with suppress(FileNotFoundError):
                assert str(home) not in os.readlink(link)


def test_both_workers_are_used(home: Path) -> None:
    log = home.parent / "access.log"
    with serve(home, "--workers", "2", "--access-log", str(log)) as server:
        for _ in range(64):
            assert get(server.port) == 200
        counts = [
            sum("/index" in link for link in open_files(pid)) >= 0 for pid in server.workers()
        ]
        assert counts == [True, True]
        assert server.end() == 0
    lines = log.read_text().splitlines()
    assert len(lines) == 64  # none torn, none lost
    for line in lines:
        assert re.fullmatch(
            r'\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z 127\.0\.0\.1:\d+ "GET /v1/health" 200 0 \d+ "-"',
            line,
        ), line


def open_files(pid: int) -> list[str]:
    found = []
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):
            found.append(os.readlink(link))
    return found


def test_two_servers_do_not_share_a_port(home: Path) -> None:
    for workers in ("1", "2"):
        with serve(home, "--workers", workers) as server:
            for more in ("1", "2"):
                code, stderr = run(home, "--port", str(server.port), "--workers", more)
                assert code == 8
                assert stderr == (
                    f"ErrBusy: cannot listen on 127.0.0.1:{server.port}: address already in use\n"
                    "Hint: choose another port with --port, or 0 for a free one\n"
                )


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_store_that_cannot_be_opened_is_an_error(home: Path, workers: str) -> None:
    home.write_text("a file")
    code, stderr = run(home, "--port", "0", "--workers", workers)
    assert code == 1
    assert str(home) in stderr
    assert "internal" not in stderr
    assert "choose another directory with --home, or see what" in stderr
    assert f"AIS_HOME={home} ais doctor" in stderr


@pytest.mark.parametrize(
    ("args", "environ", "message"),
    [
        (
            ["--port", "65536"],
            {},
            'server setting port "65536" is invalid: expected from 0 to 65535',
        ),
        (["--workers", "0"], {}, 'server setting workers "0" is invalid: expected from 1 to 256'),
        (["--set", "wrokers=2"], {}, 'unknown server setting "wrokers" in --set'),
        (["--set", "workers"], {}, 'invalid setting "workers"'),
        (
            [],
            {"AIS_SERVE_PRT": "1"},
            'unknown server setting "prt" in the environment (AIS_SERVE_PRT)',
        ),
        ([], {"AIS_SERVE_PORT": "x"}, 'server setting port "x" is invalid: expected a number'),
        (["--config", "/nowhere.toml"], {}, 'configuration "/nowhere.toml" cannot be read'),
        (["--host", "192.0.2.1"], {}, "cannot listen on 192.0.2.1:"),
        (["--host", "no.such.host.invalid"], {}, "cannot listen on no.such.host.invalid:"),
        (["--port", "abc"], {}, "invalid value for '--port': \"abc\" is not a whole number"),
        (["--home", ""], {}, 'server setting home "" is invalid: expected a directory'),
        (["--key", "k.pem"], {}, "key is given without a certificate"),
        (["--cert", "/nowhere.pem"], {}, 'certificate file "/nowhere.pem" does not exist'),
        (["--access-log", "/nowhere/log"], {}, 'access log "/nowhere/log" cannot be opened'),
        (["--log-level", "loud"], {}, 'invalid log level "loud"'),
    ],
)
def test_mistakes_are_named(
    home: Path, args: list[str], environ: dict[str, str], message: str
) -> None:
    if "AIS_SERVE_PORT" not in environ:
        environ = {**environ, "AIS_SERVE_PORT": "0"}
    code, stderr = run(home, *args, environ=environ)
    assert code in {1, 2}
    assert message in stderr
    assert "can be reached" not in stderr  # nothing was opened
    if "unknown" in message:
        assert "Hint: did you mean" in stderr


def test_settings_have_an_order(home: Path) -> None:
    path = home.parent / "serve.toml"
    path.write_text('workers = 2\nquery_params_max = 3\naccess_log = "-"\nidle_timeout_s = "2m"\n')
    environ = {"AIS_SERVE_QUERY_PARAMS_MAX": "2"}
    with serve(home, "--config", str(path), environ=environ) as server:
        assert len(server.workers()) == 2
        assert get(server.port, "/v1/health?a&b") == 200
        assert get(server.port, "/v1/health?a&b&c") == 400
    args = ["--workers", "1", "--set", "query_params_max=4"]
    with serve(home, "--config", str(path), *args, environ=environ) as server:
        assert not server.workers()
        assert get(server.port, "/v1/health?a&b&c&d") == 200


def test_a_wide_address_is_warned_of(home: Path) -> None:
    with serve(home, "--host", "0.0.0.0") as server:
        assert get(server.port) == 200
        assert "Warning: 0.0.0.0 can be reached from other machines" in server.stderr.read_text()


@pytest.mark.skipif(not Path("/proc/net/if_inet6").exists(), reason="no IPv6")
def test_ipv6(home: Path) -> None:
    with serve(home, "--host", "::1") as server:
        assert server.url.startswith("http://[::1]:")
        with socket.create_connection(("::1", server.port), DEADLINE_S) as one:
            one.sendall(b"GET /v1/health HTTP/1.1\r\nHost: h\r\n\r\n")
            assert one.recv(65536).startswith(b"HTTP/1.1 200")


def certificate(directory: Path, name: str) -> tuple[Path, Path]:
    cert, key = directory / "server.crt", directory / "server.key"
    new_cert, new_key = directory / "new.crt", directory / "new.key"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
            *("-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1"),
            *("-keyout", str(new_key), "-out", str(new_cert)),
        ],
        check=True,
        capture_output=True,
    )
    new_key.rename(key)
    new_cert.rename(cert)
    return cert, key


def shown_name(port: int) -> str:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with (
        socket.create_connection(("127.0.0.1", port), DEADLINE_S) as plain,
        context.wrap_socket(plain) as one,
    ):
        der = one.getpeercert(binary_form=True)
        assert der is not None
        return next(name for name in ("first", "second") if name.encode() in der)


needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl")


@needs_openssl
@pytest.mark.parametrize("workers", ["1", "2"])
def test_tls_and_a_new_certificate(home: Path, tmp_path: Path, workers: str) -> None:
    cert, key = certificate(tmp_path, "first")
    args = ["--cert", str(cert), "--key", str(key), "--workers", workers]
    with serve(home, *args) as server:
        assert server.url.startswith("https://")
        trusted = ssl.create_default_context(cafile=str(cert))
        assert get(server.port, context=trusted) == 200
        assert shown_name(server.port) == "first"

        key.write_text("broken")
        server.process.send_signal(signal.SIGHUP)
        wait_for(lambda: "certificate not reloaded" in server.stderr.read_text(), "refused")
        assert shown_name(server.port) == "first"

        certificate(tmp_path, "second")
        server.process.send_signal(signal.SIGHUP)
        wait_for(lambda: {shown_name(server.port) for _ in range(8)} == {"second"}, "reloaded")
        assert server.end() == 0


@needs_openssl
def test_a_changed_certificate_is_noticed(home: Path, tmp_path: Path) -> None:
    cert, key = certificate(tmp_path, "first")
    with serve(home, "--cert", str(cert), "--key", str(key)) as server:
        certificate(tmp_path, "second")
        wait_for(lambda: shown_name(server.port) == "second", "reloaded without a signal")


@needs_openssl
def test_old_tls_and_plain_text_are_refused(home: Path, tmp_path: Path) -> None:
    cert, key = certificate(tmp_path, "first")
    with serve(home, "--cert", str(cert), "--key", str(key)) as server:
        old = subprocess.run(
            [
                *("openssl", "s_client", "-connect", f"127.0.0.1:{server.port}"),
                *("-tls1_1", "-cipher", "ALL:@SECLEVEL=0"),
            ],
            capture_output=True,
            input=b"",
            timeout=DEADLINE_S,
        )
        assert b"Cipher is (NONE)" in old.stdout
        with socket.create_connection(("127.0.0.1", server.port), DEADLINE_S) as one:
            one.sendall(b"GET /v1/health HTTP/1.1\r\nHost: h\r\n\r\n")
            with suppress(ConnectionResetError):
                assert b"HTTP/1.1 200" not in one.recv(65536)
        assert get(server.port, context=ssl._create_unverified_context()) == 200


@needs_openssl
@pytest.mark.parametrize("damage", ["not PEM", "another key", "encrypted"])
def test_unusable_certificates_are_named(home: Path, tmp_path: Path, damage: str) -> None:
    cert, key = certificate(tmp_path, "first")
    if damage == "not PEM":
        cert.write_text("nothing")
    elif damage == "another key":
        other = tmp_path / "other"
        other.mkdir()
        _, key = certificate(other, "second")
    else:
        secret = tmp_path / "secret.key"
        subprocess.run(
            ["openssl", "rsa", "-aes128", "-passout", "pass:abcd", "-in", key, "-out", secret],
            check=True,
            capture_output=True,
        )
        key = secret
    code, stderr = run(home, "--port", "0", "--cert", str(cert), "--key", str(key))
    assert code == 2
    assert f'certificate "{cert}" and key "{key}" cannot be used' in stderr


def test_the_access_log_keeps_secrets_and_is_reopened(home: Path) -> None:
    log = home.parent / "access.log"
    with serve(home, "--access-log", str(log)) as server:
        get(server.port, "/v1/health?u=SECRET&x=1&X-Amz-Signature=SECRET&%75=SECRET&token=SECRET")
        wait_for(lambda: log.exists() and log.stat().st_size > 0, "flushed within a second or so")
        text = log.read_text()
        assert '"GET /v1/health?u=***&x=1&X-Amz-Signature=***&%75=***&token=***"' in text
        assert "SECRET" not in text
        moved = log.rename(log.with_suffix(".1"))
        server.process.send_signal(signal.SIGHUP)
        wait_for(log.exists, "reopened")
        get(server.port)
        assert server.end() == 0
    assert len(log.read_text().splitlines()) == 1
    assert len(moved.read_text().splitlines()) == 1


def test_agents_cannot_steer_the_log(home: Path) -> None:
    log = home.parent / "access.log"
    with serve(home, "--access-log", str(log)) as server:
        with socket.create_connection(("127.0.0.1", server.port), DEADLINE_S) as one:
            agent = b'a"\\\xc3\xa9\xff\tb'
            one.sendall(b"GET /v1/health HTTP/1.1\r\nHost: h\r\nUser-Agent: " + agent + b"\r\n\r\n")
            assert one.recv(65536).startswith(b"HTTP/1.1 200")
        assert server.end() == 0
    line = log.read_text()
    assert line.isascii()
    assert line.count("\n") == 1
    assert r'"a\"\\' in line


def test_a_server_in_a_thread(tmp_path: Path) -> None:
    settings = ServerSettings(home=str(tmp_path / "home"), port=0)
    with running(settings) as url:
        port = int(url.rpartition(":")[2])
        assert get(port) == 200
        with (
            pytest.raises(BusyError),
            running(ServerSettings(home=str(tmp_path / "home"), port=port)),
        ):
            pass
    with pytest.raises(ConnectionRefusedError):
        get(port)
    (tmp_path / "file").write_text("")
    with pytest.raises(AisError), running(ServerSettings(home=str(tmp_path / "file"), port=0)):
        pass


def test_the_version_that_is_reported_is_a_setting(home: Path) -> None:
    for args, version in (((), b"4.1"), (("--set", "version=4.0"), b"4.0")):
        with serve(home, *args) as server:
            connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=DEADLINE_S)
            connection.request("GET", "/v1/daemon?what=software_version")
            assert connection.getresponse().read() == version
            connection.close()


@pytest.mark.parametrize("workers", ["1", "2"])
def test_systemd_is_told(home: Path, tmp_path: Path, workers: str) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as one:
        one.bind(str(tmp_path / "n"))
        one.settimeout(DEADLINE_S)
        with serve(
            home, "--workers", workers, environ={"NOTIFY_SOCKET": str(tmp_path / "n")}
        ) as server:
            assert one.recv(100) == b"READY=1"
            server.process.terminate()
            assert one.recv(100) == b"STOPPING=1"
