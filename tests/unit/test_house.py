"""Rules of the house that no tool checks."""

import ast
import importlib
import inspect
import json
import re
import sqlite3
import subprocess
import sys
import types
import typing
from collections.abc import Iterator
from pathlib import Path

import pytest

from aiscli.exitcodes import ExitCode, exit_code_of
from aiscore import _version, errors
from aiscore.engine.index.schema import migrate
from aiscore.engine.layout import APPLICATION_ID, FORMAT_VERSION, piece_path
from aiscore.transport.base import Transport

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src"
FILES = sorted(SOURCE.rglob("*.py"))
PUBLIC = (
    "aiscore",
    "aiscore.client",
    "aiscore.errors",
    "aiscore.model",
    "aiscore.testing",
    "aiscore.transport",
)
LINES_MAX = 600
HEAVY = ("httpx", "jwt", "numpy", "psutil", "pydantic", "rich", "typer")


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(SOURCE).with_suffix("").parts).removesuffix(".__init__")


def exports_of(tree: ast.Module) -> list[str]:
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return list(ast.literal_eval(node.value))
    return []


def kind_then_name(name: str) -> tuple[int, str]:
    """Constants, then classes, then the rest: the order that ruff keeps."""
    is_constant = name.isupper() and len(name) > 1
    return (0 if is_constant else 1 if name[0].isupper() else 2, name)


def error_classes() -> list[type[errors.AisError]]:
    return [
        cls
        for cls in vars(errors).values()
        if isinstance(cls, type) and issubclass(cls, errors.AisError)
    ]


def imported_by(statement: str) -> set[str]:
    """Modules that are loaded after `statement` in a fresh interpreter."""
    program = f"import json, sys; {statement}; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    return set(json.loads(done.stdout))


# modules


def test_exports_are_sorted_and_complete() -> None:
    wrong = []
    for path in FILES:
        tree = ast.parse(path.read_text())
        exports = exports_of(tree)
        defined = {
            node.name
            for node in tree.body
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_")
        }
        wrong += [f"{module_name(path)}: lacks {name}" for name in defined - set(exports)]
        if exports != sorted(set(exports), key=kind_then_name):
            wrong.append(f"{module_name(path)}: not sorted, or not unique")
    assert not wrong


def test_exports_resolve() -> None:
    missing = []
    for path in FILES:
        module = importlib.import_module(module_name(path))
        names = exports_of(ast.parse(path.read_text()))
        missing += [f"{module.__name__}.{name}" for name in names if not hasattr(module, name)]
    assert not missing


def test_modules_are_of_readable_length() -> None:
    # `_table.py` is generated: one line a command and a flag.
    written = [path for path in FILES if path.name != "_table.py"]
    long = [path.name for path in written if len(path.read_text().splitlines()) > LINES_MAX]
    assert not long


def test_modules_have_a_name_that_says_something() -> None:
    vague = {"utils", "util", "common", "helpers", "misc"}
    names = {module_name(path) for path in FILES}
    names.discard("aisloader.params.misc")  # one of the twelve groups that AIStore's loader names
    assert not [name for name in names if vague & set(name.split("."))]


def test_modules_say_what_they_own() -> None:
    assert not [path for path in FILES if not ast.get_docstring(ast.parse(path.read_text()))]


# the public interface


def public_objects() -> Iterator[tuple[str, object]]:
    for name in PUBLIC:
        module = importlib.import_module(name)
        for export in module.__all__:
            yield f"{name}.{export}", getattr(module, export)


def members_of(cls: type) -> Iterator[str]:
    """Methods and properties that the class itself defines."""
    for name, member in vars(cls).items():
        is_callable = isinstance(member, types.FunctionType | classmethod | staticmethod)
        if (is_callable or isinstance(member, property)) and not name.startswith(("_", "test_")):
            yield name


def test_public_names_are_documented() -> None:
    bare = []
    for name, thing in public_objects():
        if isinstance(thing, type | types.FunctionType) and not inspect.getdoc(thing):
            bare.append(name)
        if isinstance(thing, type) and thing.__module__.startswith("aiscore."):
            bare += [
                f"{name}.{member}"
                for member in members_of(thing)
                if not inspect.getdoc(getattr(thing, member))
            ]
    assert not bare


def test_public_packages_export_every_type_of_their_signatures() -> None:
    model = importlib.import_module("aiscore.model")
    transport = importlib.import_module("aiscore.transport")
    exported = [getattr(m, name) for m in (model, transport) for name in m.__all__]
    known = {found for thing in exported for found in ours_in(thing)}
    needed: set[object] = set()
    ours = [cls for cls in Transport.__mro__ if cls.__module__.startswith("aiscore.")]
    for name, method in (item for cls in ours for item in vars(cls).items()):
        if name.startswith("_"):
            continue
        hints = typing.get_type_hints(method.fget if isinstance(method, property) else method)
        for hint in hints.values():
            needed |= ours_in(hint)
    assert needed <= known


def ours_in(hint: object) -> set[object]:
    """Classes of this package that a type is made of."""
    parts = typing.get_args(hint)
    if parts:
        return {found for part in parts for found in ours_in(part)}
    is_ours = isinstance(hint, type) and hint.__module__.startswith("aiscore.")
    return {hint} if is_ours else set()


# errors


def test_every_error_is_exported() -> None:
    assert {cls.__name__ for cls in error_classes()} == set(errors.__all__)


def test_errors_have_status_and_code() -> None:
    for cls in error_classes():
        assert cls.__doc__, cls
        assert (cls.status == 0) == issubclass(cls, errors.TransportError), cls
        assert cls.status == 0 or 400 <= cls.status < 600, cls
        assert cls is errors.AisError or re.fullmatch(r"Err[A-Z][A-Za-z]+", cls.code), cls


def test_error_codes_are_unique() -> None:
    codes = [cls.code for cls in error_classes()]
    assert len(set(codes)) == len(codes)


def test_errors_have_an_exit_code() -> None:
    assert {cls for cls in error_classes() if exit_code_of(cls("message")) is ExitCode.ERROR} == {
        errors.AisError,
        errors.BatchAbortedError,
        errors.CapacityExceededError,
        errors.FormatVersionError,
        errors.RangeNotSatisfiableError,
        errors.StorageError,
        errors.UnsupportedError,
    }, "1 is for those without a better code"


# what an import costs


@pytest.mark.parametrize(
    ("statement", "unwanted"),
    [
        ("import aiscore", (*HEAVY, "sqlite3", "xxhash")),
        ("import aiscore.transport", (*HEAVY, "sqlite3")),
        ("import aiscore.model", (*HEAVY, "sqlite3")),
        ("import aiscore.errors", (*HEAVY, "sqlite3")),
        ("import aiscli.__main__", (*HEAVY, "sqlite3", "msgspec")),
        ("from aiscore import open_transport", (*HEAVY, "sqlite3")),
        ("from aiscore.node import Node", HEAVY),
    ],
)
def test_imports_are_light(statement: str, unwanted: tuple[str, ...]) -> None:
    assert not imported_by(statement) & set(unwanted)


# documents


def test_the_version_stands_in_one_place() -> None:
    version = _version.__version__
    holders = [
        path.relative_to(ROOT).as_posix()
        for path in [*FILES, ROOT / "pyproject.toml"]
        if f'"{version}"' in path.read_text()
    ]
    assert holders == ["src/aiscore/_version.py"]


def test_the_changelog_has_room_for_what_comes() -> None:
    text = (ROOT / "CHANGELOG.md").read_text()
    assert "\n## [Unreleased]\n" in text
    headings = set(re.findall(r"^### (.+)$", text, re.MULTILINE))
    assert headings <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}


def test_the_format_page_names_every_table_and_column() -> None:
    page = (ROOT / "docs" / "format.md").read_text()
    connection = sqlite3.connect(":memory:", isolation_level=None)
    migrate(connection, "/home")
    tables = [
        row[0]
        for row in connection.execute(
            "SELECT name FROM sqlite_schema WHERE type IN ('table', 'index') AND sql IS NOT NULL"
        )
        if not row[0].startswith("sqlite_")
    ]
    assert tables
    missing = []
    for table in tables:
        section = re.search(rf"^### `{table}`.*?(?=^#|\Z)", page, re.MULTILINE | re.DOTALL)
        columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
        if section is None:
            missing += [table] if columns or f"`{table}`" not in page else []
            continue
        missing += [f"{table}.{name}" for name in columns if f"| `{name}` |" not in section[0]]
        documented = re.findall(r"^\| `(\w+)` \|", section[0], re.MULTILINE)
        missing += [
            f"{table}.{name} (no such column)" for name in documented if name not in columns
        ]
    connection.close()
    assert not missing


def test_the_format_page_is_about_this_format() -> None:
    page = (ROOT / "docs" / "format.md").read_text()
    assert f"# On-disk format, version {FORMAT_VERSION}\n" in page
    assert f"`0x{APPLICATION_ID:08x}`" in page
    assert f"`{piece_path('', 0x3_0000_0105).lstrip('/')}`" in page


def test_the_limits_page_has_the_values_of_the_code() -> None:
    page = (ROOT / "docs" / "limits.md").read_text()
    rows = re.findall(
        r"^\|[^|]+\| ([\d,]+) \| `([\w.]+)\.(\w+)` \| (?:`(\w+)` )?\|$", page, re.MULTILINE
    )
    assert len(rows) == page.count("| `aisc") + page.count("| `aisl") > 0
    for value, module, constant, error in rows:
        actual = getattr(importlib.import_module(module), constant)
        assert int(value.replace(",", "")) == actual, constant
        assert not error or error in errors.__all__


def test_the_tools_are_pinned_where_they_are_listed() -> None:
    hooks = (ROOT / ".pre-commit-config.yaml").read_text()
    assert "./check" in hooks
    assert "rev:" not in hooks, (
        "hooks run from the environment of ./check, not from pins of their own"
    )


@pytest.mark.parametrize("name", ["check", "demo", ".ci/run"])
def test_scripts_can_be_run(name: str) -> None:
    path = ROOT / name
    assert path.stat().st_mode & 0o111
    assert path.read_text().startswith("#!/bin/sh\n")


def test_links_of_the_documents_lead_somewhere() -> None:
    broken = []
    for page in [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]:
        targets = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text())
        local = [target for target in targets if "://" not in target]
        broken += [f"{page.name}: {name}" for name in local if not (page.parent / name).exists()]
    assert not broken
