"""The file with the command's own settings: AIStore's `cli.json`, shared with AIStore's own `ais`.

Both programs may own the file, so keys that this one does not know are kept. It is written only
when something is set, whole (temporary file, then rename) and readable by its owner alone.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType

from aiscore.errors import AisError

__all__ = [
    "DEFAULTS",
    "UPSTREAM_ENDPOINTS",
    "CliTree",
    "config_path",
    "edit_file",
    "flatten",
    "read_file",
    "reset_file",
    "with_defaults",
]

CliTree = dict[str, object]

_NAME = "cli.json"
_UPSTREAM_URL = "http://127.0.0.1:8080"
UPSTREAM_ENDPOINTS = frozenset({"", _UPSTREAM_URL, "https://127.0.0.1:8080"})
"""What AIStore writes into `cluster.url` on its own at first run: nobody has chosen it."""

DEFAULTS: Mapping[str, str | bool] = MappingProxyType(
    {
        "cluster.url": _UPSTREAM_URL,
        "cluster.default_ais_host": _UPSTREAM_URL,
        "cluster.default_docker_host": "http://172.50.0.2:8080",
        "cluster.client_crt": "",
        "cluster.client_crt_key": "",
        "cluster.client_ca_tls": "",
        "cluster.skip_verify_crt": False,
        "timeout.tcp_timeout": "60s",
        "timeout.http_timeout": "0s",
        "auth.url": "http://127.0.0.1:52001",
        "default_provider": "ais",
        "no_color": False,
        "verbose": False,
        "no_more": False,
    }
)
"""Settings of one value, by dotted name."""

_JSON_TYPES: Mapping[type, str] = {str: "string", bool: "boolean"}


def config_path(environ: Mapping[str, str]) -> str:
    """`$AIS_CLI_CONFIG_DIR/cli.json`, else `~/.config/ais/cli/cli.json`."""
    directory = environ.get("AIS_CLI_CONFIG_DIR") or "~/.config/ais/cli"
    return os.path.abspath(os.path.join(os.path.expanduser(directory), _NAME))


def read_file(path: str) -> CliTree:
    """The content of the file; empty when there is none.

    Raises:
        AisError: it cannot be read, or is not what it should be.
    """
    try:
        with open(path, encoding="utf-8") as file:
            tree: object = json.load(file)
        return _checked(tree)
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as exc:
        raise _unreadable(path, (exc.strerror or str(exc)).lower()) from exc
    except (ValueError, RecursionError) as exc:
        raise _unreadable(path, str(exc)) from exc


def edit_file(path: str, change: Callable[[CliTree], None]) -> None:
    """Read the file, let `change` alter the tree, and put it back, if it is another one then.

    A new file has the defaults too: AIStore's `ais` does not do without.

    Raises:
        AisError: the file cannot be read.
        OSError: it cannot be written.
    """
    path = os.path.realpath(path)  # a link stays one
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    with _locked(os.path.dirname(path)):
        tree = read_file(path)
        before = json.dumps(tree)
        change(tree)
        if json.dumps(tree) != before:
            _write(path, with_defaults(tree))


def reset_file(path: str) -> str | None:
    """Put the file aside, readable or not; the path it has now, None when there was none."""
    aside = f"{path}.bak"
    try:
        os.replace(path, aside)
    except FileNotFoundError:
        return None
    return aside


def flatten(tree: Mapping[str, object], path: str = "") -> dict[str, object]:
    """Leaves by dotted name, in the order of the tree."""
    flat: dict[str, object] = {}
    for key, value in tree.items():
        name = f"{path}.{key}" if path else key
        if isinstance(value, dict):
            flat.update(flatten(value, name))
        else:
            flat[name] = value
    return flat


def with_defaults(tree: CliTree) -> CliTree:
    """A copy of `tree` in which no setting of `DEFAULTS` is missing."""
    full: CliTree = json.loads(json.dumps(tree))
    for name, value in DEFAULTS.items():
        section, dot, key = name.rpartition(".")
        place = full.setdefault(section, {}) if dot else full
        assert isinstance(place, dict)
        place.setdefault(key, value)
    return full


class _MalformedError(ValueError):
    """JSON, but not the settings."""


def _checked(tree: object) -> CliTree:
    if not isinstance(tree, dict):
        raise _MalformedError("expected a JSON object")
    for name, default in DEFAULTS.items():
        section, dot, key = name.rpartition(".")
        place = tree.get(section, {}) if dot else tree
        if not isinstance(place, dict):
            raise _MalformedError(f'"{section}" is not an object')
        if not isinstance(place.get(key, default), type(default)):
            raise _MalformedError(f'"{name}" is not a {_JSON_TYPES[type(default)]}')
    aliases = tree.get("aliases") or {}
    if not isinstance(aliases, dict) or not all(isinstance(v, str) for v in aliases.values()):
        raise _MalformedError('"aliases" is not an object of strings')
    contexts = tree.get("contexts") or {}
    if not isinstance(contexts, dict) or not all(
        isinstance(entry, dict) and isinstance(entry.get("endpoint"), str)
        for entry in contexts.values()
    ):
        raise _MalformedError('"contexts" is not an object of {"endpoint": URL}')
    if not isinstance(tree.get("current_context", ""), str):
        raise _MalformedError('"current_context" is not a string')
    removed = tree.get("removed_aliases", [])
    if not isinstance(removed, list) or not all(isinstance(name, str) for name in removed):
        raise _MalformedError('"removed_aliases" is not a list of strings')
    return tree


def _unreadable(path: str, reason: str) -> AisError:
    return AisError(
        f"cannot read CLI configuration {path}: {reason}",
        hint="repair the file, or put it aside and start anew: ais config reset",
    )


@contextmanager
def _locked(directory: str) -> Iterator[None]:
    import fcntl

    descriptor = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _write(path: str, tree: CliTree) -> None:
    import tempfile

    descriptor, temporary = tempfile.mkstemp(prefix=f".{_NAME}.", dir=os.path.dirname(path))
    try:
        # mkstemp gives mode 0600.
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(tree, file, indent=4, ensure_ascii=False)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
