"""Where a redirect leads, and which are refused."""

import re

from aiscore.errors import InvalidArgumentError, ProtocolError
from aiscore.transport.answer import MalformedAnswerError
from aiscore.transport.endpoint import Endpoint

__all__ = ["REDIRECTS", "REDIRECTS_MAX", "next_place"]

REDIRECTS = frozenset({301, 307, 308})
"""Statuses that keep method and body here; AIStore means 301 so too."""
REDIRECTS_MAX = 5
"""Of one request; AIStore needs one."""

_TARGET = re.compile(r"/(?!/)[!-~]*")


def next_place(endpoint: Endpoint, location: str | None) -> tuple[Endpoint, str]:
    """Server and target of a redirect.

    Args:
        endpoint: who redirects.
        location: the header; a path alone means the same server.

    Raises:
        ProtocolError: there is no place, or it leads out of an encrypted connection.
    """
    text = location or ""
    try:
        place, target = (endpoint, text) if text[:1] == "/" else Endpoint.split(text)
    except InvalidArgumentError:
        raise _nowhere(endpoint, text) from None
    if target[:1] != "/":
        target = f"/{target}"
    if _TARGET.fullmatch(target) is None:
        raise _nowhere(endpoint, text)
    if endpoint.is_tls and not place.is_tls:
        raise MalformedAnswerError(
            f"{endpoint.url} redirects to {place.url}, which is not encrypted"
        )
    return place, target


def _nowhere(endpoint: Endpoint, text: str) -> ProtocolError:
    return MalformedAnswerError(f"{endpoint.url} redirects to nowhere: {text[:200]!r}")
