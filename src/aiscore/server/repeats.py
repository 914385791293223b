"""Requests that come again in the same words: the next epoch of a training loop, a file that everybody reads.

What a request asks for follows from the bytes of its head, and is found by them: nothing is parsed, nothing is looked
up by name. The store may have changed meanwhile, so it is asked each time (`Response.repeat`), before a byte is sent.
Only whole small objects are remembered, and only heads that leave nothing to be decided: no body, no condition, a
connection that goes on. Whatever else a GET must be asked for one day must be asked here, too.
"""

from collections.abc import Callable
from typing import NamedTuple

from aiscore.server.head import HttpRequest
from aiscore.server.heads import encode_head
from aiscore.server.http import Response

__all__ = ["Repeat", "Repeats"]

REPEATS_MAX = 16_384
"""Heads that are remembered, with what belongs to them a kibibyte each, or two."""
_ONCE_MAX = 65_536
"""Heads that were seen once, of which only a hash is kept."""
_HEAD_BYTES_MAX = 1 << 10


class Repeat(NamedTuple):
    """What answers a head that came before.

    Attributes:
        lines: of the answer, from the status on; `Date` and the empty line are still to come.
        body: the content as it is now; None when the request must be looked at anew.
        request: for the access log.
    """

    lines: bytes
    body: Callable[[], bytes | None]
    request: HttpRequest


class Repeats:
    """The heads that one event loop remembers."""

    def __init__(self) -> None:
        self._known: dict[bytes, Repeat] = {}
        self._once: set[int] = set()
        self._max = REPEATS_MAX
        self.get = self._known.get

    def remember(self, head: bytes, request: HttpRequest, response: Response) -> None:
        """Note how a request was answered, if it can be answered so again."""
        body = response.body
        if (
            response.repeat is None
            or not isinstance(body, bytes)
            or request.method != "GET"
            or request.content_length != 0
            or request.wants_continue
            or request.is_http_1_0
            or not request.keep_alive
            or len(head) > _HEAD_BYTES_MAX
        ):
            return
        # The second time: most heads of a load that reads everything once would only be in the way.
        mark = hash(head)
        if mark not in self._once:
            if len(self._once) >= _ONCE_MAX:
                self._once.clear()
            self._once.add(mark)
            return
        if len(self._known) >= self._max:
            self._known.clear()
            if not self._max:
                return
        lines = encode_head(response, b"", length=len(body), is_chunked=False, connection=b"")
        self._known[head] = Repeat(lines[:-2], response.repeat, request)

    def forget(self, head: bytes) -> None:
        """It may have another answer now."""
        self._known.pop(head, None)

    def stop(self) -> None:
        """Connections do not go on any more."""
        self._max = 0
        self._known.clear()
