"""Counts requests for objects: how many, how many bytes, how long they took, how many failed.

It is told of a request when its answer has been handed over, so that the time includes the body.
"""

from aiscore.model.counters import Counters
from aiscore.server.head import HttpRequest
from aiscore.wire.names import Path, Q

__all__ = ["Meter"]

_PATHS = (f"{Path.OBJECTS}/".encode(), b"/ais/")
_APPEND = f"{Q.APPEND_TYPE}="
_ERROR = 400
_NAMES = {
    operation: (f"{operation}.n", f"{operation}.ns.total", f"err.{operation}.n")
    for operation in ("get", "put", "append", "head", "del")
}
_OPERATIONS = {"GET": "get", "PUT": "put", "HEAD": "head", "DELETE": "del"}


class Meter:
    """Counts for one worker."""

    __slots__ = ("_add", "_add_get", "_add_put")

    def __init__(self, counters: Counters) -> None:
        self._add = counters.add
        self._add_get = counters.adder("get.n", "get.ns.total", "get.size")
        self._add_put = counters.adder("put.n", "put.ns.total", "put.size")

    def note_get(self, sent: int, took_ns: int) -> None:
        """An object, or a part of it, was sent."""
        self._add_get(1, took_ns, sent)

    def note(self, request: HttpRequest, status: int, sent: int, took_ns: int) -> None:
        """An answer was given.

        Args:
            request: to what.
            status: of the answer.
            sent: bytes of its body.
            took_ns: since the request's head was there.
        """
        if not request.target_path.startswith(_PATHS):
            return
        operation = _OPERATIONS.get(request.method)
        if operation is None:
            return
        # As sent: a query that cannot be decoded was what the answer is about.
        if operation == "put" and _APPEND in request.raw_query:
            operation = "append"
        count, total_ns, failed = _NAMES[operation]
        if status >= _ERROR:
            self._add({failed: 1})
            return
        if operation == "get":
            self.note_get(sent, took_ns)
            return
        if operation == "put" and not request.raw_query:
            self._add_put(1, took_ns, request.content_length or 0)
            return
        amounts = {count: 1, total_ns: took_ns}
        if operation in {"put", "del"} and Q.UPLOAD_ID in request.query:
            # A part is no object: that is counted once, when the upload is complete.
            if operation == "del":
                return
            del amounts[count]
        if operation in {"put", "append"}:
            amounts[f"{operation}.size"] = request.content_length or 0
        self._add(amounts)
