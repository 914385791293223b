"""The page of `aisloader report` as a browser shows it: Chromium without a screen, at two widths of its window."""

import json
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from aiscore.model.bucket import BucketRef
from aiscore.transport import open_transport

CHROMIUM = (
    *("chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic"),
    *("--no-first-run", "--disable-background-networking", "--disable-component-update"),
    "--disable-sync",
)
OWN_HOSTS = re.compile(rb"\w+ (https?://)?[\w.]+\.(google|googleapis)\.com[:/]")
"""What the browser asks of its maker, whatever the page is."""
ELSEWHERE = "http://elsewhere.invalid/style.css"
LOOK = """<script>
const boxes = (what) => [...document.querySelectorAll(what)].map((e) => e.getBoundingClientRect());
const plots = [...document.querySelectorAll("svg")].map((svg) => ({
  label: svg.getAttribute("aria-label"),
  box: svg.getBoundingClientRect(),
  lines: [...svg.querySelectorAll("polyline")].map((e) => e.getBoundingClientRect()),
  text: Math.min(...[...svg.querySelectorAll("text")].map((e) => e.getBoundingClientRect().height)),
}));
const cut = [...document.querySelectorAll(".wide")].filter((e) => e.scrollWidth > e.clientWidth).length;
const page = document.documentElement;
document.title = "seen" + JSON.stringify(
  {plots, cut, tables: boxes("table").length, isCut: page.scrollWidth > page.clientWidth});
</script></body>"""


@dataclass
class Outside:
    """A proxy that answers nothing and remembers what was asked of it: all of the network, for the browser."""

    listener: socket.socket
    asked: list[bytes] = field(default_factory=list)

    def serve(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            with connection:
                self.asked.append(connection.recv(1000))

    @property
    def of_the_page(self) -> list[bytes]:
        return [request for request in self.asked if not OWN_HOSTS.match(request)]


@pytest.fixture
def outside() -> Iterator[Outside]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        found = Outside(listener)
        thread = threading.Thread(target=found.serve)
        thread.start()
        yield found
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Of a real run, in which a tenth of the objects was missing."""
    folder = tmp_path_factory.mktemp("report")
    store = f"file://{folder}/home"
    with open_transport(store) as transport:
        transport.create_bucket(BucketRef("b"))
        for number in range(45):
            transport.put(BucketRef("b"), f"o-{number}", bytes(1000))
    (folder / "names").write_text("".join(f"o-{number}\n" for number in range(50)))
    loader = [sys.executable, "-m", "aisloader"]
    flags = (
        f"-endpoint={store} -bucket=b -filelist={folder}/names -duration=3s -rate=150 -numworkers=2"
    )
    keep = f"-quiet -cleanup=false -max-errors=50% -result={folder}/run.jsonl"
    run([*loader, *flags.split(), *keep.split()])
    run([*loader, "report", f"{folder}/run.jsonl", "-o", f"{folder}/run.html"])
    return (folder / "run.html").read_text()


def run(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


def look(page: str, width: int, outside: Outside, folder: Path) -> dict[str, Any]:
    """How the browser lays the page out."""
    (folder / "page.html").write_text(page.replace("</body>", LOOK))
    proxy = f"http://127.0.0.1:{outside.listener.getsockname()[1]}"
    text = run(
        [
            *CHROMIUM,
            f"--user-data-dir={folder}/profile",
            f"--proxy-server={proxy}",
            "--proxy-bypass-list=<-loopback>",
            f"--window-size={width},1200",
            "--dump-dom",
            f"file://{folder}/page.html",
        ]
    )
    seen = re.search(r"<title>seen(.*?)</title>", text)
    assert seen is not None, text
    found: dict[str, Any] = json.loads(seen[1].replace("&amp;", "&"))
    return found


@pytest.mark.parametrize("width", [800, 1600])
def test_the_page_opens_and_shows_its_plots(
    page: str, width: int, outside: Outside, tmp_path: Path
) -> None:
    wide = width == 1600
    # At one of the widths with something that must be asked for: the proxy does see what a page wants.
    given = page.replace("</head>", f'<link rel="stylesheet" href="{ELSEWHERE}"></head>')
    seen = look(given if wide else page, width, outside, tmp_path)
    asked = outside.of_the_page
    assert bool(asked) == wide, asked
    assert all(ELSEWHERE.encode() in request for request in asked)
    labels = [plot["label"] for plot in seen["plots"]]
    assert labels == [
        "MiB/s over s",
        "operations/s, failures/s over s",
        "p50, p90, p99, p99.9 over s",
        "response time over percentiles",
    ]
    assert seen["tables"] == 2
    assert not seen["isCut"]
    assert not seen["cut"]
    for plot in seen["plots"]:
        box = plot["box"]
        assert 0.6 * width < box["width"] <= width
        assert plot["text"] >= 10, f"{plot['label']}: too small to read"
        for line in plot["lines"]:
            assert line["width"] > box["width"] / 3
            assert box["left"] < line["left"] <= line["right"] < box["right"]
            assert box["top"] < line["top"] <= line["bottom"] < box["bottom"]
