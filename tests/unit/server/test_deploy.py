"""What is shipped for operators is true: the page on the server, and the files in `deploy`."""

import configparser
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
from dataclasses import MISSING, fields
from pathlib import Path

import yaml

from aiscore.serve import running
from aiscore.server.configure import load_settings
from aiscore.server.settings import PORT_DEFAULT, ServerSettings

ROOT = Path(__file__).parents[3]
DEPLOY = ROOT / "deploy"
START_S = 30


def flags_of_serve() -> set[str]:
    return set(re.findall(r'"(--[a-z-]+)"', (ROOT / "src/aiscli/commands/serve.py").read_text()))


def assert_is_a_command(line: list[str]) -> None:
    assert line[1] == "serve"
    used = {word for word in line if word.startswith("--")}
    assert used
    assert used <= flags_of_serve()


def test_the_example_file_has_every_default() -> None:
    path = DEPLOY / "serve.toml"
    assert load_settings({}, home="/h", environ={}, config=str(path)) == ServerSettings(home="/h")
    text = path.read_text()
    for field in fields(ServerSettings):
        assert re.search(rf"^(# )?{field.name} = ", text, re.MULTILINE), field.name


def test_the_page_has_every_setting_with_its_default() -> None:
    page = (ROOT / "docs" / "server.md").read_text()
    rows = dict(re.findall(r"^\| `(\w+)` \| (.+?) \|", page, re.MULTILINE))
    assert list(rows) == [field.name for field in fields(ServerSettings)]
    for field in fields(ServerSettings):
        if field.default is MISSING:
            continue
        assert rows[field.name] == (f"`{field.default}`" if field.default != "" else "none")


def unit() -> configparser.SectionProxy:
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(DEPLOY / "ais-serve.service")
    return parser["Service"]


def test_the_unit_starts_what_there_is() -> None:
    service = unit()
    assert_is_a_command(shlex.split(service["ExecStart"]))
    assert service["Type"] == "notify"
    assert int(service["TimeoutStopSec"]) > ServerSettings(home="/h").drain_timeout_s + 10


def test_the_unit_runs(tmp_path: Path) -> None:
    config = tmp_path / "serve.toml"
    config.write_text((DEPLOY / "serve.toml").read_text().replace(f"{PORT_DEFAULT}", "0"))
    program, *words = shlex.split(unit()["ExecStart"])
    assert program == "/usr/local/bin/ais"
    places = {"/var/lib/aiscore/store": str(tmp_path / "store"), words[-1]: str(config)}
    command = [sys.executable, "-m", "aiscli", *(places.get(word, word) for word in words)]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        address = str(tmp_path / "notify")
        notify.bind(address)
        notify.settimeout(START_S)
        environ = {"NOTIFY_SOCKET": address, "PATH": os.environ["PATH"], "HOME": str(tmp_path)}
        with subprocess.Popen(
            command, env=environ, cwd="/", stdout=subprocess.PIPE, text=True
        ) as process:
            try:
                assert notify.recv(100) == b"READY=1"
                process.send_signal(
                    getattr(signal, unit()["ExecReload"].split()[1].replace("-", "SIG"))
                )
                process.send_signal(signal.SIGTERM)
                assert process.wait(START_S) == 0
            finally:
                process.kill()


def test_the_health_check_of_the_container(tmp_path: Path) -> None:
    text = (DEPLOY / "Containerfile").read_text()
    found = re.search(r'HEALTHCHECK .*\\\n +\["python", "-c", "(.+)"\]$', text, re.MULTILINE)
    assert found
    with running(ServerSettings(home=str(tmp_path / "home"), port=0)) as url:
        check = found[1].replace(f"http://127.0.0.1:{PORT_DEFAULT}", url)
        assert url in check
        assert subprocess.run([sys.executable, "-c", check], timeout=START_S).returncode == 0
    gone = subprocess.run([sys.executable, "-c", check], timeout=START_S, capture_output=True)
    assert gone.returncode == 1


def test_the_container_starts_what_there_is() -> None:
    text = (DEPLOY / "Containerfile").read_text()
    entry = re.search(r"^ENTRYPOINT \[(.+)\]$", text, re.MULTILINE)
    assert entry
    assert_is_a_command([word.strip('" ') for word in entry[1].split(",")])
    assert f"EXPOSE {PORT_DEFAULT}\n" in text
    for source in re.findall(r"^COPY (.+) \S+$", text, re.MULTILINE):
        for name in source.split():
            assert (ROOT / name).exists()


def test_the_compose_file_publishes_to_this_machine_only() -> None:
    service = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]["store"]
    assert service["ports"] == [f"127.0.0.1:{PORT_DEFAULT}:{PORT_DEFAULT}"]
    assert (DEPLOY / service["build"]["context"] / service["build"]["dockerfile"]).exists()
