"""House rules of the command tree: every command is documented, and help imports no command."""

import inspect
import subprocess
import sys
from importlib import import_module

import pytest

from aiscli.output.fields import RECORDS, key_of
from aiscli.tree import ALIASES, ROOT, Branch, Leaf, leaves

ALL = {path: leaf for path, leaf in leaves(ROOT) if not leaf.pending}


@pytest.mark.parametrize("path", ALL)
def test_a_command_has_help_an_example_and_documented_fields(path: str) -> None:
    module, _, name = ALL[path].target.partition(":")
    doc = inspect.getdoc(getattr(import_module(module), name)) or ""
    assert doc.splitlines()[0] == ALL[path].help
    assert "\n  ais " in doc
    assert "Fields (" not in doc, "they are declared in aiscli.output.fields"
    assert key_of(ALL[path].target) in RECORDS


def test_aliases_stand_for_commands() -> None:
    for alias, path in ALIASES.items():
        node: Branch | Leaf = ROOT
        for word in path.split():
            assert isinstance(node, Branch)
            node = node.children[word]
        assert ROOT.children[alias] == node


@pytest.mark.parametrize("path", ["", *ALL])
def test_help_fits_eighty_columns(path: str, quick_ais: str) -> None:
    run = subprocess.run(
        [quick_ais, *path.split(), "--help"],
        capture_output=True,
        text=True,
        check=True,
        env={"COLUMNS": "80", "PYTHONPATH": ":".join(sys.path)},
    )
    assert max(map(len, run.stdout.splitlines())) <= 80
    assert run.stderr == ""


def modules_of(*args: str) -> set[str]:
    code = (
        "import sys, atexit; sys.argv[1:] = sys.argv[2:];"
        "atexit.register(lambda: print(*sys.modules, file=sys.stderr));"
        "from aiscli.__main__ import main; main()"
    )
    run = subprocess.run(
        [sys.executable, "-c", code, "ais", *args],
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": ":".join(sys.path)},
    )
    return set(run.stderr.split())


HEAVY = {"rich", "httpx", "pydantic", "numpy", "asyncio", "aiscore.engine", "aiscore.node"}


def test_the_entry_point_alone_imports_nothing_heavy() -> None:
    run = subprocess.run(
        [sys.executable, "-c", "import sys, aiscli.__main__; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": ":".join(sys.path)},
    )
    assert not (HEAVY | {"typer", "aiscore.model", "aiscore.transport"}) & set(run.stdout.split())


def test_help_of_the_root_imports_no_command() -> None:
    loaded = modules_of("--help")
    assert not HEAVY & loaded
    assert not {
        m
        for m in loaded
        if m.startswith(("aiscli.actions.", "aiscli.commands."))
        if m != "aiscli.commands.options"
    }


def test_version_needs_no_typer() -> None:
    assert not (HEAVY | {"typer"}) & modules_of("version")
