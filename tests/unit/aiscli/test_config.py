"""Settings of the command: who wins, and what the file may hold."""

import json
import os
import stat
from collections.abc import Mapping
from pathlib import Path

import pytest

from aiscli.clifile import CliTree, config_path, edit_file, flatten, read_file, reset_file
from aiscli.config import Settings, load_settings, with_context, with_endpoint
from aiscore.errors import AisError, NotFoundError

CONTEXTS = {"a": {"endpoint": "/a"}, "b": {"endpoint": "file:///b", "note": "kept"}}


def load(tmp_path: Path, tree: object = None, **environ: str) -> Settings:
    if tree is not None:
        text = tree if isinstance(tree, str) else json.dumps(tree)
        (tmp_path / "cli.json").write_text(text)
    return load_settings({"AIS_CLI_CONFIG_DIR": str(tmp_path), **environ})


@pytest.mark.parametrize(
    "url", ["", "http://127.0.0.1:8080", "https://127.0.0.1:8080", "http://127.0.0.1:8080/"]
)
def test_what_aistore_writes_on_its_own_redirects_nobody(tmp_path: Path, url: str) -> None:
    tree = {"cluster": {"url": url, "default_ais_host": "http://127.0.0.1:8080"}}
    assert load(tmp_path, tree).endpoint.value == ""
    assert load(tmp_path, tree).endpoint.origin == "default"


FULL = {
    "cluster": {"url": "http://h:1"},
    "contexts": CONTEXTS,
    "current_context": "b",
}


@pytest.mark.parametrize(
    ("tree", "environ", "value", "origin"),
    [
        ({}, {}, "", "default"),
        ({"cluster": {"url": "http://h:1"}}, {}, "http://h:1", "cluster.url"),
        (
            {"cluster": {"url": "", "default_ais_host": "http://h:2"}},
            {},
            "http://h:2",
            "cluster.default_ais_host",
        ),
        (FULL, {}, "file:///b", "current_context"),
        (FULL, {"AIS_HOME": "/x"}, "", "AIS_HOME"),
        (FULL, {"AIS_CONTEXT": "a", "AIS_HOME": "/x"}, "/a", "AIS_CONTEXT"),
        (FULL, {"AIS_ENDPOINT": "/e", "AIS_CONTEXT": "a"}, "/e", "AIS_ENDPOINT"),
    ],
)
def test_the_stronger_setting_wins(
    tmp_path: Path, tree: object, environ: Mapping[str, str], value: str, origin: str
) -> None:
    endpoint = load(tmp_path, tree, **environ).endpoint
    assert (endpoint.value, endpoint.origin) == (value, origin)


def test_flags_win_over_everything(tmp_path: Path) -> None:
    settings = load(tmp_path, FULL, AIS_ENDPOINT="/e")
    assert with_context(settings, "a").endpoint.value == "/a"
    assert with_endpoint(settings, "/f").endpoint.value == "/f"


def test_a_context_that_does_not_exist_is_an_error_when_it_is_needed(tmp_path: Path) -> None:
    settings = load(tmp_path, FULL, AIS_CONTEXT="none")
    with pytest.raises(NotFoundError, match="none"):
        settings.check()
    with_endpoint(settings, "/f").check()
    with pytest.raises(NotFoundError, match="other"):
        with_context(settings, "other")


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        '{"cluster": 5}',
        '{"cluster": {"url": 5}}',
        '{"no_color": "yes"}',
        '{"aliases": {"a": 5}}',
        '{"contexts": {"a": "/x"}}',
        '{"current_context": 5}',
        '{"removed_aliases": "ls"}',
        "\xff",
        "[" * 100_000,
    ],
)
def test_a_bad_file_is_an_error_that_says_how_to_repair_it(tmp_path: Path, text: str) -> None:
    settings = load(tmp_path, text)
    with pytest.raises(AisError, match=r"cli\.json") as raised:
        settings.check()
    assert "ais config reset" in str(raised.value.hint)


def test_nothing_is_written_by_loading(tmp_path: Path) -> None:
    load(tmp_path / "none")
    assert list(tmp_path.iterdir()) == []


def test_the_place_of_the_file() -> None:
    home = os.path.expanduser("~")
    assert config_path({}) == f"{home}/.config/ais/cli/cli.json"
    assert config_path({"AIS_CLI_CONFIG_DIR": "/d"}) == "/d/cli.json"


def test_an_edit_keeps_what_it_does_not_know(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "cli.json"
    path.parent.mkdir()
    path.write_text('{"new": {"x": [1]}, "contexts": {"b": {"endpoint": "/b", "note": "kept"}}}')

    def change(tree: CliTree) -> None:
        tree["verbose"] = True

    edit_file(str(path), change)
    tree = read_file(str(path))
    assert tree["new"] == {"x": [1]}
    assert tree["verbose"] is True
    assert flatten(tree)["contexts.b.note"] == "kept"
    assert flatten(tree)["timeout.tcp_timeout"] == "60s", "AIStore's ais needs it"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [item.name for item in path.parent.iterdir()] == ["cli.json"]


def test_an_edit_that_fails_or_changes_nothing_writes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "cli.json"

    def fail(tree: CliTree) -> None:
        raise NotFoundError("no")

    with pytest.raises(NotFoundError):
        edit_file(str(path), fail)
    edit_file(str(path), lambda tree: None)
    assert list(tmp_path.iterdir()) == []


def test_an_edit_follows_a_link(tmp_path: Path) -> None:
    (tmp_path / "real.json").write_text("{}")
    (tmp_path / "cli.json").symlink_to("real.json")
    edit_file(str(tmp_path / "cli.json"), lambda tree: tree.update(verbose=True))
    assert (tmp_path / "cli.json").is_symlink()
    assert json.loads((tmp_path / "real.json").read_text())["verbose"] is True


def test_reset_puts_the_file_aside(tmp_path: Path) -> None:
    path = tmp_path / "cli.json"
    assert reset_file(str(path)) is None
    path.write_text("{")
    assert reset_file(str(path)) == f"{path}.bak"
    assert not path.exists()
