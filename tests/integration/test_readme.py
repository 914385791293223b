"""The README's examples run and print what they show; its table has the dependencies that there are."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
MODULES = {"pyjwt": "jwt", "pyyaml": "yaml"}
"""Import names that differ from the names of the packages."""


class Example(NamedTuple):
    language: str
    code: str
    output: str | None


def examples() -> list[Example]:
    """Code blocks in order, each with the text block that follows it; blocks marked `not run` are left out."""
    fence = re.compile(
        r"(?P<mark><!-- not run -->\n)?```(?P<language>sh|python)\n(?P<code>.*?)```\n"
        r"(?:\n```text\n(?P<output>.*?)```\n)?",
        re.DOTALL,
    )
    return [
        Example(match["language"], match["code"], match["output"])
        for match in fence.finditer(README)
        if not match["mark"]
    ]


def test_examples_print_what_the_readme_shows(tmp_path: Path) -> None:
    work = tmp_path / "work"
    work.mkdir()
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "AIS_HOME": str(tmp_path / "home")}
    found = examples()
    assert {example.language for example in found} == {"sh", "python"}
    for example in found:
        command = ["sh", "-eu"] if example.language == "sh" else [sys.executable, "-"]
        done = subprocess.run(
            command,
            input=example.code,
            capture_output=True,
            text=True,
            cwd=work,
            env=environment,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, ""), example.code
        if example.output is not None:
            assert done.stdout == example.output


def test_every_text_block_is_the_output_of_an_example() -> None:
    shown = [example for example in examples() if example.output is not None]
    assert README.count("```text\n") == len(shown) > 0


def test_the_table_has_every_dependency_and_says_which_are_used() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    groups = [project["dependencies"], *project["optional-dependencies"].values()]
    names = {re.split(r"[^\w-]", requirement)[0] for group in groups for requirement in group}
    section = README.partition("\n## Dependencies\n")[2].partition("\n## ")[0]
    rows: dict[str, str] = dict(re.findall(r"^\| `([\w-]+)` \| (.+) \|$", section, re.MULTILINE))
    assert set(rows) == names
    source = "\n".join(path.read_text() for path in (ROOT / "src").rglob("*.py"))
    for name, purpose in rows.items():
        module = re.escape(MODULES.get(name, name))
        is_used = re.search(rf"^\s*(?:import|from) {module}\b", source, re.MULTILINE) is not None
        assert is_used == ("not used by this release" not in purpose), name


def test_both_commands_are_named() -> None:
    for command in ("./demo", "./check"):
        assert f"\n{command} " in README
