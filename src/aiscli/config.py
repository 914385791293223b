"""Where the command gets its settings from: flag > environment > default, each with its origin."""

import os
from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["Setting", "Settings", "is_debug", "load_settings"]

_TRUE = frozenset({"1", "true", "yes", "on", "y", "t"})


@dataclass(frozen=True, slots=True)
class Setting:
    """A value, and the flag or variable it came from ("default" for neither)."""

    value: str
    origin: str


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of one run.

    Attributes:
        endpoint: URL, `file:///path`, or "" for the embedded store in its default home.
        output_format: "" means the command's default, a table.
        no_input: a question that cannot be avoided is an error.
        no_color: never colour.
    """

    endpoint: Setting
    output_format: Setting
    no_input: bool
    no_color: bool


def load_settings(environ: Mapping[str, str] | None = None) -> Settings:
    """Read the environment; flags are laid over it by the command."""
    env = os.environ if environ is None else environ
    return Settings(
        endpoint=_setting(env, "AIS_ENDPOINT"),
        output_format=_setting(env, "AIS_OUTPUT"),
        no_input=env.get("AIS_NO_INPUT", "").lower() in _TRUE,
        no_color=bool(env.get("NO_COLOR")) or env.get("TERM") == "dumb",
    )


def is_debug() -> bool:
    """True when tracebacks are wanted (`AIS_DEBUG`)."""
    return os.environ.get("AIS_DEBUG", "").lower() in _TRUE


def _setting(env: Mapping[str, str], name: str) -> Setting:
    value = env.get(name, "")
    return Setting(value, name if value else "default")
