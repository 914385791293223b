"""From an endpoint to a transport."""

import os
from typing import TYPE_CHECKING

from aiscore.errors import InvalidArgumentError
from aiscore.transport.base import Transport

if TYPE_CHECKING:
    from aiscore.transport.options import ConnectionOptions

__all__ = ["default_home", "open_transport"]


def open_transport(
    endpoint: str | None = None, *, connection: "ConnectionOptions | None" = None
) -> Transport:
    """Reach a store.

    Args:
        endpoint: `http://HOST:PORT` or `https://HOST:PORT` is a server; `file:///HOME` or an absolute path is the
            embedded store in that directory; None or "" means `AIS_ENDPOINT`, and without that the embedded store in
            `default_home`.
        connection: how to connect to a server; None takes it from the environment.

    Raises:
        InvalidArgumentError: not an endpoint.
    """
    given = endpoint or os.environ.get("AIS_ENDPOINT") or default_home()
    home = given
    if "://" in given:
        scheme = given.partition("://")[0].lower()
        if scheme in {"http", "https"}:
            from aiscore.transport.remote import RemoteTransport

            return RemoteTransport(given, connection)
        from urllib.parse import unquote, urlsplit

        parts = urlsplit(given)
        if parts.scheme != "file" or parts.netloc not in {"", "localhost"}:
            raise _invalid(given)
        home = unquote(parts.path)
    if not os.path.isabs(home):
        raise _invalid(given)
    # Here, because a remote transport must not load the engine.
    from aiscore.node import Node
    from aiscore.transport.local import LocalTransport

    return LocalTransport(Node(os.path.normpath(home)))


def default_home() -> str:
    """`$AIS_HOME`, else the user's data directory of the platform."""
    configured = os.environ.get("AIS_HOME")
    if configured:
        return os.path.abspath(os.path.expanduser(configured))
    from platformdirs import user_data_dir

    return user_data_dir("aiscore")


def _invalid(given: str) -> InvalidArgumentError:
    return InvalidArgumentError(
        f'invalid endpoint "{given}": expected http://HOST:PORT, https://HOST:PORT, file:///PATH or an absolute path',
        hint="check AIS_ENDPOINT or --endpoint",
    )
