"""From an endpoint to a transport."""

import os

from aiscore.errors import InvalidArgumentError, UnsupportedError
from aiscore.transport.base import Transport

__all__ = ["default_home", "open_transport"]


def open_transport(endpoint: str | None = None) -> Transport:
    """Reach a store.

    Args:
        endpoint: `file:///HOME` or an absolute path is the embedded store in that directory; None or "" means
            `AIS_ENDPOINT`, and without that the embedded store in `default_home`.

    Raises:
        InvalidArgumentError: not an endpoint.
        UnsupportedError: `http(s)://`, which this release has no transport for.
    """
    given = endpoint or os.environ.get("AIS_ENDPOINT") or default_home()
    home = given
    if "://" in given:
        from urllib.parse import unquote, urlsplit

        parts = urlsplit(given)
        if parts.scheme in {"http", "https"}:
            raise UnsupportedError(
                f"cannot reach {given} - remote endpoints are not supported by this release",
                hint="use the embedded store: unset AIS_ENDPOINT, or set it to file:///PATH",
            )
        if parts.scheme != "file" or parts.netloc not in {"", "localhost"}:
            raise InvalidArgumentError(
                f'invalid endpoint "{given}": expected file:///PATH or an absolute path',
                hint="check AIS_ENDPOINT or --endpoint",
            )
        home = unquote(parts.path)
    if not os.path.isabs(home):
        raise InvalidArgumentError(
            f'invalid endpoint "{given}": expected file:///PATH or an absolute path',
            hint="check AIS_ENDPOINT or --endpoint",
        )
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
