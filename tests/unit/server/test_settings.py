"""Settings of the server and where they come from."""

from dataclasses import fields
from pathlib import Path

import pytest

from aiscore.errors import InvalidArgumentError
from aiscore.server.configure import load_settings
from aiscore.server.settings import ServerSettings


def test_every_setting_is_explained() -> None:
    for field in fields(ServerSettings):
        assert f"{field.name}: " in (ServerSettings.__doc__ or "")


def test_flag_environment_file_default(tmp_path: Path) -> None:
    path = tmp_path / "serve.toml"
    path.write_text('port = 1\nworkers = 2\nhost = "::1"\nhome = "/file"\nbody_timeout_s = 5\n')
    found = load_settings(
        {"port": 3},
        home="/default",
        environ={"AIS_SERVE_PORT": "2", "AIS_SERVE_WORKERS": "3", "PATH": "/bin"},
        config=str(path),
    )
    assert (found.port, found.workers, found.host, found.home) == (3, 3, "::1", "/file")
    assert found.body_timeout_s == 5
    assert found.pool_threads == ServerSettings(home="/").pool_threads


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("head_bytes_max", "32KiB", 32 << 10),
        ("message_bytes_max", "1000000", 1_000_000),
        ("idle_timeout_s", "2m", 120),
        ("idle_timeout_s", "1.5", 1.5),
        ("workers", " 4 ", 4),
        ("access_log", "-", "-"),
    ],
)
def test_texts_are_converted(name: str, text: str, value: object) -> None:
    assert getattr(load_settings({name: text}, home="/h", environ={}), name) == value


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("port", -1),
        ("port", 65536),
        ("port", "http"),
        ("port", 1.5),
        ("port", True),
        ("workers", 0),
        ("workers", "two"),
        ("host", ""),
        ("host", 5),
        ("home", ""),
        ("home", "a\0b"),
        ("head_timeout_s", 0),
        ("head_timeout_s", "soon"),
        ("head_timeout_s", "nan"),
        ("head_timeout_s", "inf"),
        ("head_bytes_max", 10),
        ("access_log", 1),
    ],
)
def test_values_that_cannot_work_are_named(name: str, value: str | float) -> None:
    with pytest.raises(InvalidArgumentError, match=f"server setting {name} ") as caught:
        load_settings({name: value}, home="/h", environ={})
    assert "expected" in caught.value.message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("port", "is invalid"),
        ("port = ", "is invalid"),
        ("[server]\nport = 1", 'unknown server setting "server"'),
        ("prot = 1", 'unknown server setting "prot"'),
        ("port = [1]", "server setting port"),
        ("\ud800".encode("utf-8", "surrogatepass").decode("latin-1") + "\xff", "is invalid"),
    ],
)
def test_a_file_that_is_wrong_is_named(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "serve.toml"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(InvalidArgumentError) as caught:
        load_settings({}, home="/h", environ={}, config=str(path))
    assert message in caught.value.message
    assert caught.value.hint or "expected a number" in caught.value.message


def test_typing_errors_in_the_environment_are_found() -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        load_settings({}, home="/h", environ={"AIS_SERVE_WORKES": "2"})
    assert caught.value.hint == 'did you mean "workers"?'
