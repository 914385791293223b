"""Where the command gets its settings from: flag > environment > file > default, each with its origin.

What has a variable of its own is in `VARIABLES`.

The endpoint, first hit wins: `--endpoint` or `--context`; `AIS_ENDPOINT`, `AIS_CONTEXT`, `AIS_HOME`;
the current context of the file; `cluster.url` of the file; the embedded store in its default home.
AIStore's `ais` writes its default URL into the file at first run. Nobody has chosen that one, so it
does not count.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import cast

from aiscli.clifile import DEFAULTS, UPSTREAM_ENDPOINTS, CliTree, config_path, read_file
from aiscore.errors import AisError, InvalidArgumentError, NotFoundError

__all__ = [
    "VARIABLES",
    "Setting",
    "Settings",
    "endpoint_of_context",
    "is_debug",
    "load_settings",
    "with_context",
    "with_endpoint",
]

VARIABLES: Mapping[str, str] = MappingProxyType(
    {
        "cluster.client_crt": "AIS_CRT",
        "cluster.client_crt_key": "AIS_CRT_KEY",
        "cluster.client_ca_tls": "AIS_CLIENT_CA",
        "cluster.skip_verify_crt": "AIS_SKIP_VERIFY_CRT",
        "timeout.tcp_timeout": "AIS_CONNECT_TIMEOUT",
        "timeout.http_timeout": "AIS_READ_TIMEOUT",
        "auth.url": "AIS_AUTHN_URL",
    }
)
"""Key of the file -> variable that wins over it."""

_AUTH_URL_HTTPS = "https://127.0.0.1:52001"
_ADDRESS = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]*:[0-9]{1,5}")
_TRUE = frozenset({"1", "true", "yes", "on", "y", "t"})


@dataclass(frozen=True, slots=True)
class Setting:
    """A value, and the flag, variable or key it came from ("default" for none of them)."""

    value: str
    origin: str


_UNSET = Setting("", "default")


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of one run.

    Attributes:
        endpoint: URL, `file:///path`, or "" for the embedded store in its default home.
        output_format: "" means the command's default, a table.
        no_input: a question that cannot be avoided is an error.
        no_color: never colour.
        context: name of the context in use, "" for none.
        path: where the file is, or would be.
        tree: content of the file; empty when there is none.
        aliases: the user's own, and changed ones; name to command line.
        removed_aliases: built-in shortcuts that the user does not want.
        overrides: keys of the file that the environment has other values for.
        token: raw token of the environment.
        token_file: file with a token, named by the environment.
        use_https: an address without a scheme is https.
        pager: command that pages help; "" is none.
        file_error: why the file cannot be read.
        endpoint_error: why there is no endpoint: a context that does not exist.
    """

    endpoint: Setting
    output_format: Setting
    no_input: bool
    no_color: bool
    context: Setting = _UNSET
    path: str = ""
    tree: CliTree = field(default_factory=dict)
    aliases: Mapping[str, str] = field(default_factory=dict)
    removed_aliases: frozenset[str] = frozenset()
    overrides: Mapping[str, Setting] = field(default_factory=dict)
    token: Setting = field(default=_UNSET, repr=False)
    token_file: Setting = _UNSET
    use_https: bool = False
    pager: Setting = _UNSET
    file_error: AisError | None = None
    endpoint_error: AisError | None = None

    @property
    def store(self) -> str:
        """The endpoint; HOST:PORT has a scheme before it here."""
        value = self.endpoint.value
        if _ADDRESS.fullmatch(value):
            return f"{'https' if self.use_https else 'http'}://{value}"
        return value

    def get(self, name: str) -> Setting:
        """The value of a key of `clifile.DEFAULTS`; a boolean is "true" or "false"."""
        if name in self.overrides:
            return self.overrides[name]
        section, dot, key = name.rpartition(".")
        place = cast("CliTree", self.tree.get(section, {})) if dot else self.tree
        origin = "file" if key in place else "default"
        value = place.get(key, DEFAULTS[name])
        return Setting(str(value).lower() if isinstance(value, bool) else str(value), origin)

    def is_on(self, name: str) -> bool:
        """The value of a boolean key.

        Raises:
            InvalidArgumentError: its variable is set to something else.
        """
        from aiscore.model.units import parse_bool

        setting = self.get(name)
        try:
            return parse_bool(setting.value)
        except InvalidArgumentError as error:
            raise InvalidArgumentError(f"{setting.origin}: {error.message}") from None

    def check(self) -> None:
        """Raise what is wrong with the file or the context.

        Raises:
            AisError: the file cannot be read, or the context does not exist.
        """
        for error in (self.file_error, self.endpoint_error):
            if error is not None:
                raise error


def load_settings(environ: Mapping[str, str] | None = None) -> Settings:
    """Read environment and file; flags are laid over it by the command.

    Never raises: help, version and repair have to work with a broken file, too. See
    `Settings.check`.
    """
    env = os.environ if environ is None else environ
    path = config_path(env)
    tree: CliTree = {}
    file_error = None
    try:
        tree = read_file(path)
    except AisError as error:
        file_error = error
    settings = Settings(
        endpoint=_setting(env, "AIS_ENDPOINT"),
        output_format=_setting(env, "AIS_OUTPUT"),
        no_input=env.get("AIS_NO_INPUT", "").lower() in _TRUE,
        no_color=bool(env.get("NO_COLOR"))
        or env.get("TERM") == "dumb"
        or tree.get("no_color") is True,
        path=path,
        tree=tree,
        aliases=cast("dict[str, str]", tree.get("aliases") or {}),
        removed_aliases=frozenset(cast("list[str]", tree.get("removed_aliases", []))),
        overrides=_overrides(env, tree),
        token=_setting(env, "AIS_AUTHN_TOKEN"),
        token_file=_setting(env, "AIS_AUTHN_TOKEN_FILE"),
        use_https=env.get("AIS_USE_HTTPS", "").lower() in _TRUE,
        # An empty AIS_PAGER is an answer: none.
        pager=_setting(env, "AIS_PAGER" if "AIS_PAGER" in env else "PAGER"),
        file_error=file_error,
    )
    if settings.endpoint.value:
        return settings
    if name := env.get("AIS_CONTEXT", ""):
        return _with_context_if_any(settings, name, "AIS_CONTEXT")
    if env.get("AIS_HOME"):
        return replace(settings, endpoint=Setting("", "AIS_HOME"))
    if name := cast("str", tree.get("current_context", "")):
        return _with_context_if_any(settings, name, "current_context")
    return replace(settings, endpoint=_url_of(tree))


def with_endpoint(settings: Settings, endpoint: str) -> Settings:
    """`settings` with the endpoint of `--endpoint`."""
    return replace(
        settings, endpoint=Setting(endpoint, "--endpoint"), context=_UNSET, endpoint_error=None
    )


def with_context(settings: Settings, name: str, origin: str = "--context") -> Settings:
    """`settings` with the endpoint of a context.

    Raises:
        AisError: the file cannot be read.
        NotFoundError: there is no such context.
    """
    if settings.file_error is not None:
        raise settings.file_error
    return replace(
        settings,
        endpoint=Setting(endpoint_of_context(settings.tree, name), origin),
        context=Setting(name, origin),
        endpoint_error=None,
    )


def endpoint_of_context(tree: CliTree, name: str) -> str:
    """The endpoint of a context of the file.

    Raises:
        NotFoundError: there is no such context.
    """
    contexts = cast("dict[str, dict[str, str]]", tree.get("contexts") or {})
    if name not in contexts:
        raise NotFoundError(
            f'context "{name}" does not exist', hint="see which there are: ais config context ls"
        )
    return contexts[name]["endpoint"]


def is_debug() -> bool:
    """True when tracebacks are wanted (`AIS_DEBUG`)."""
    return os.environ.get("AIS_DEBUG", "").lower() in _TRUE


def _with_context_if_any(settings: Settings, name: str, origin: str) -> Settings:
    try:
        return with_context(settings, name, origin)
    except AisError as error:
        return replace(settings, context=Setting(name, origin), endpoint_error=error)


def _url_of(tree: CliTree) -> Setting:
    section = cast("dict[str, str]", tree.get("cluster") or {})
    url = section.get("url", "")
    for key, value in (
        ("cluster.url", url),
        ("cluster.default_ais_host", "" if url else section.get("default_ais_host", "")),
    ):
        if value.rstrip("/") not in UPSTREAM_ENDPOINTS:
            return Setting(value, key)
    return _UNSET


def _overrides(env: Mapping[str, str], tree: CliTree) -> dict[str, Setting]:
    """What variables say about keys of the file."""
    found = {
        key: Setting(env[variable], variable)
        for key, variable in VARIABLES.items()
        if env.get(variable)
    }
    url = cast("CliTree", tree.get("auth", {})).get("url", DEFAULTS["auth.url"])
    is_https = env.get("AIS_USE_HTTPS", "").lower() in _TRUE
    if is_https and "auth.url" not in found and url == DEFAULTS["auth.url"]:
        found["auth.url"] = Setting(_AUTH_URL_HTTPS, "AIS_USE_HTTPS")
    return found


def _setting(env: Mapping[str, str], name: str) -> Setting:
    value = env.get(name, "")
    return Setting(value, name if value else "default")
