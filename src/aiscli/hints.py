"""The next step after an error that does not name one itself: what the settings make likely."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiscore.errors import (
    AccessDeniedError,
    AisError,
    NotFoundError,
    ProtocolError,
    StorageError,
    ThrottledError,
    UnauthenticatedError,
    UnavailableError,
)

if TYPE_CHECKING:
    from aiscli.config import Settings

__all__ = ["hint_of"]

_NOT_AISTORE = "is it AIStore that answers there? Check the endpoint: ais doctor"
_CHECK = "check that the server runs, and that it is AIStore: ais doctor"
_CHECK_HOME = "see what is wrong with the directory of the store (AIS_HOME): ais doctor"


def hint_of(error: AisError, settings: Settings) -> str | None:
    """What to do next; the error's own hint, if it has one."""
    if error.hint is not None:
        return error.hint
    if not settings.store.lower().startswith(("http://", "https://")):
        return _CHECK_HOME if isinstance(error, StorageError) else None
    match error:
        case UnauthenticatedError():
            return _hint_about_token(settings)
        case AccessDeniedError():
            return "ask for the permission, or use another token: AIS_AUTHN_TOKEN"
        case UnavailableError() | ThrottledError():
            return "try again later; see how the store is: ais show cluster"
        case ProtocolError():
            return _CHECK
        case NotFoundError() if type(error) is NotFoundError and "404" in error.message:
            return _NOT_AISTORE
    return None


def _hint_about_token(settings: Settings) -> str:
    from aiscli.connection import token_source

    if token_source(settings).origin == "default":
        return "give a token: AIS_AUTHN_TOKEN, or AIS_AUTHN_TOKEN_FILE"
    return "the token may have ended, or be for another store: ais doctor"
