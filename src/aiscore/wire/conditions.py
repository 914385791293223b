"""Entity tags, and the conditions of writes, as headers have them."""

from collections.abc import Callable

from aiscore.errors import InvalidArgumentError
from aiscore.model.objects import Precondition
from aiscore.wire.names import H
from aiscore.wire.values import header_text

__all__ = ["precondition_headers", "precondition_of", "quote_etag", "unquote_etag"]


def precondition_headers(precondition: Precondition | None) -> list[tuple[str, str]]:
    """The conditions of a PUT or DELETE."""
    headers: list[tuple[str, str]] = []
    if precondition is None:
        return headers
    if precondition.if_absent:
        headers.append((H.IF_NONE_MATCH, "*"))
    if precondition.if_etag is not None:
        headers.append((H.IF_MATCH, quote_etag(precondition.if_etag)))
    if precondition.if_version is not None:
        headers.append((H.IF_VERSION, header_text(precondition.if_version)))
    return headers


def precondition_of(header: Callable[[str], str | None]) -> Precondition | None:
    """The conditions of a PUT or DELETE.

    Raises:
        InvalidArgumentError: a condition that cannot be kept: a list of tags, `If-Match: *`, or an `If-None-Match`
            other than `*`.
    """
    none_match, match, version = (
        header("if-none-match"),
        header("if-match"),
        header("ais-if-version"),
    )
    if none_match is None and match is None and version is None:
        return None
    if none_match is not None and none_match.strip() != "*":
        raise InvalidArgumentError(f'unsupported If-None-Match "{none_match[:100]}": expected *')
    if match is not None and ("," in match or match.strip() == "*"):
        raise InvalidArgumentError(f'unsupported If-Match "{match[:100]}": expected one ETag')
    return Precondition(
        if_absent=none_match is not None,
        if_etag=None if match is None else unquote_etag(match),
        if_version=version,
    )


def quote_etag(etag: str) -> str:
    """The tag in the quotes that headers want; a quote inside is encoded."""
    return '"' + header_text(etag).replace('"', "%22") + '"'


def unquote_etag(text: str) -> str:
    """The tag alone, also of a weak one."""
    return text.strip().removeprefix("W/").strip('"')
