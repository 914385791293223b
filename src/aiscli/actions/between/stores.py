"""The two stores of a copy: named by flags, else the one that every command uses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from aiscore.errors import InvalidArgumentError

if TYPE_CHECKING:
    from aiscli.context import CliContext
    from aiscore.transport.base import Transport

__all__ = ["HERE", "Place", "Stores", "open_stores"]

_REMOTE = ("http://", "https://")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One store, as flags name it.

    Attributes:
        flag: `--to` or `--from`, for messages.
        endpoint: URL or path; "" when it is not given.
        context_name: of the settings; "" when it is not given.
        token_file: file with the token for it; "" is none of its own.
    """

    flag: str = ""
    endpoint: str = ""
    context_name: str = ""
    token_file: str = ""

    def __post_init__(self) -> None:
        if self.endpoint and self.context_name:
            raise InvalidArgumentError(
                f"flags {self.flag}-endpoint and {self.flag}-context are mutually exclusive"
            )
        if self.token_file and not self.is_given:
            raise InvalidArgumentError(
                f"{self.flag}-token-file needs {self.flag}-context or {self.flag}-endpoint"
            )

    @property
    def is_given(self) -> bool:
        """True when flags name it; otherwise it is the store that every command uses."""
        return bool(self.endpoint or self.context_name)


HERE = Place()


@dataclass(frozen=True, slots=True)
class Stores:
    """The store that is read and the one that is written; the same object where they are one."""

    source: Transport
    target: Transport

    @property
    def are_one(self) -> bool:
        """True when both are the same store, as far as their endpoints tell."""
        return self.source is self.target

    @property
    def farther(self) -> Transport:
        """The one that decides how many transfers are worth while: one on the network, if there is."""
        return self.target if self.source.endpoint.startswith("file://") else self.source


def open_stores(context: CliContext, source: Place, target: Place) -> Stores:
    """Both stores, closed with the context.

    The token of the settings goes to one server only: to the store that every command uses, or to
    the only other one that is reached over the network. A second server needs a token of its own.

    Raises:
        AisError: an endpoint is malformed, a context unknown, or a store cannot be opened.
    """
    if not (source.is_given or target.is_given):
        return Stores(context.transport, context.transport)
    urls = [_url(context, place) for place in (source, target)]
    if urls[0] == urls[1]:
        one = _opened(context, source if source.is_given else target, has_token=True)
        return Stores(one, one)
    servers = {url for url in urls if url.startswith(_REMOTE)}
    made = []
    for place, url in zip((source, target), urls, strict=True):
        is_only = servers == {url}
        made.append(_opened(context, place, has_token=is_only or not place.is_given))
    return Stores(*made)


def _opened(context: CliContext, place: Place, *, has_token: bool) -> Transport:
    if not place.is_given:
        return context.transport
    settings = context.settings_of(endpoint=place.endpoint, context_name=place.context_name)
    return context.open_other(settings, token_file=place.token_file, has_token=has_token)


def _url(context: CliContext, place: Place) -> str:
    settings = context.settings
    if place.is_given:
        settings = context.settings_of(endpoint=place.endpoint, context_name=place.context_name)
    settings.check()
    return settings.store.rstrip("/")
