"""Where the settings of a server come from: flag > environment (`AIS_SERVE_HOST`) > file (TOML) > default."""

import tomllib
from collections.abc import Mapping
from dataclasses import fields
from difflib import get_close_matches

from aiscore.errors import InvalidArgumentError
from aiscore.model.units import parse_duration, parse_size
from aiscore.server.settings import ServerSettings

__all__ = ["ENVIRONMENT_PREFIX", "load_settings"]

ENVIRONMENT_PREFIX = "AIS_SERVE_"
_CONFIG_BYTES_MAX = 1 << 20
_TYPES = {field.name: field.type for field in fields(ServerSettings)}
_NS = 10**9


def load_settings(
    flags: Mapping[str, str | int | float],
    *,
    home: str,
    environ: Mapping[str, str],
    config: str = "",
) -> ServerSettings:
    """Lay the sources over each other.

    Texts are converted: sizes may have a unit (`64KiB`) and times as well (`30s`).

    Args:
        flags: what was given, by the name of the setting.
        home: the home when nobody names one.
        environ: the environment; other variables with the prefix are refused, they are typing errors.
        config: path of a TOML file, "" for none.

    Raises:
        InvalidArgumentError: a name is unknown, a value invalid, or the file cannot be read.
    """
    values: dict[str, object] = {"home": home}
    if config:
        for name, value in _read(config).items():
            _put(values, name, value, f'"{config}"')
    for variable, text in environ.items():
        if variable.startswith(ENVIRONMENT_PREFIX):
            name = variable.removeprefix(ENVIRONMENT_PREFIX).lower()
            _put(values, name, text, f"the environment ({variable})")
    for name, given in flags.items():
        _put(values, name, given, "--set")
    return ServerSettings(**values)  # type: ignore[arg-type] # it checks them itself


def _read(path: str) -> dict[str, object]:
    try:
        with open(path, "rb") as file:
            data = file.read(_CONFIG_BYTES_MAX + 1)
        if len(data) > _CONFIG_BYTES_MAX:
            raise ValueError(f"more than {_CONFIG_BYTES_MAX} bytes")
        return tomllib.loads(data.decode())
    except OSError as exc:
        reason = (exc.strerror or str(exc)).lower()
        raise InvalidArgumentError(
            f'configuration "{path}" cannot be read: {reason}', hint="check --config"
        ) from exc
    except ValueError as exc:
        raise InvalidArgumentError(
            f'configuration "{path}" is invalid: {exc}',
            hint="expected TOML with one setting a line: port = 51080",
        ) from exc


def _put(values: dict[str, object], name: str, value: object, source: str) -> None:
    if name not in _TYPES:
        near = get_close_matches(name, _TYPES, n=1)
        hint = f'did you mean "{near[0]}"?' if near else f"there are: {', '.join(sorted(_TYPES))}"
        raise InvalidArgumentError(f'unknown server setting "{name}" in {source}', hint=hint)
    values[name] = _converted(name, value)


def _converted(name: str, value: object) -> object:
    """A text as the number that the setting is; everything else as it is, to be checked with the rest."""
    kind = _TYPES[name]
    if kind is str or not isinstance(value, str):
        return value
    text = value.strip()
    try:
        return int(text) if kind is int else float(text)
    except ValueError:
        pass
    try:
        if name.endswith("_bytes_max"):
            return parse_size(text)
        if name.endswith("_s"):
            return parse_duration(text) / _NS
    except InvalidArgumentError:
        pass
    return value
