"""The man pages and the reference are those of the code, and well-formed."""

import importlib.util
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from aiscli.environment import ENVIRONMENT
from aiscli.exitcodes import EXIT_MEANINGS, ExitCode
from aiscli.tree import ROOT, leaves

REPOSITORY = Path(__file__).parents[3]
MAN = REPOSITORY / "docs/man"
PAGES = sorted(MAN.iterdir())


def generator() -> ModuleType:
    path = REPOSITORY / ".ci/generate_reference.py"
    spec = importlib.util.spec_from_file_location("generate_reference", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look there
    spec.loader.exec_module(module)
    return module


def test_what_is_generated_is_current() -> None:
    files: dict[Path, str] = generator().files()
    stale = [
        path.name for path, text in files.items() if not path.exists() or path.read_text() != text
    ]
    assert not stale, "run .ci/generate_reference.py"
    present = {*MAN.iterdir(), *(REPOSITORY / "docs/reference").iterdir()}
    assert present == files.keys(), "run .ci/generate_reference.py"


def test_every_command_that_works_has_a_section() -> None:
    page = (REPOSITORY / "docs/reference/ais.md").read_text()
    working = {leaf.target: path for path, leaf in leaves(ROOT) if not leaf.pending}
    sections = set(re.findall(r"^### ais (.+)$", page, re.MULTILINE))
    assert len(sections) == len(working)
    for path, leaf in leaves(ROOT):
        assert leaf.pending or f"`ais {path}`" in page or path in sections, path


def test_links_of_the_reference_lead_to_sections() -> None:
    pages = {path.name: path.read_text() for path in (REPOSITORY / "docs/reference").glob("*.md")}
    anchors = {
        name: {
            re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")
            for heading in re.findall(r"^#+ (.+)$", text, re.MULTILINE)
        }
        for name, text in pages.items()
    }
    for name, text in pages.items():
        for page, section in re.findall(r"\]\(([\w.]*)#?([\w-]*)\)", text):
            assert not section or section in anchors[page or name], (name, section)
            assert not page or page in pages


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_man_pages_are_well_formed(page: Path) -> None:
    tool = shutil.which("mandoc")
    assert tool is not None, "needs mandoc (Debian: apt install mandoc)"
    done = subprocess.run(
        [tool, "-Tlint", "-W", "style", page], capture_output=True, text=True, check=False
    )
    said = [line for line in done.stdout.splitlines() if "missing date" not in line]
    assert not said


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_man_pages_fit_eighty_columns(page: Path) -> None:
    tool = shutil.which("mandoc")
    assert tool is not None, "needs mandoc (Debian: apt install mandoc)"
    done = subprocess.run(
        [tool, "-Tascii", "-O", "width=78", page], capture_output=True, text=True, check=True
    )
    plain = re.sub(r".\x08", "", done.stdout)
    examples = "ais "
    long = [line for line in plain.splitlines() if len(line) > 80 and examples not in line]
    assert not long


def test_every_exit_code_has_a_meaning() -> None:
    assert list(EXIT_MEANINGS) == list(ExitCode)


def test_every_variable_that_is_read_is_documented() -> None:
    sources = [path.read_text() for path in (REPOSITORY / "src/aiscli").rglob("*.py")]
    read = {name for text in sources for name in re.findall(r'"((?:AIS|XDG)_[A-Z_]+)"', text)}
    assert read - ENVIRONMENT.keys() == set()


def test_the_wheel_has_the_man_pages() -> None:
    text = (REPOSITORY / "pyproject.toml").read_text()
    assert '"docs/man" = "share/man/man1"' in text
