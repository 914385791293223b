"""From a path to its handler: a dictionary of the words that a path begins with."""

from collections.abc import Callable, Mapping

from aiscore.errors import NotFoundError
from aiscore.server.http import Handler, Outcome, Request, Response

__all__ = ["Router"]

_WORDS_MAX = 3
"""Words of the longest prefix, `/v1/reverse/daemon`."""


class Router:
    """Prefixes and what answers them. The longest prefix of whole words wins; repeated slashes are one."""

    def __init__(self) -> None:
        self._routes: dict[str, Mapping[str, Handler]] = {}
        # Prefixes of two words that no longer one begins with: nearly all requests, found at once.
        self._pairs: dict[str, Mapping[str, Handler]] = {}
        self._rest: Callable[[Request], Outcome | None] | None = None
        self._first: Callable[[Request], Outcome | None] | None = None

    def add_first(self, handler: Callable[[Request], Outcome | None]) -> None:
        """Ask `handler` before anything else; None when it leaves the request to the others."""
        self._first = handler

    def add_rest(self, handler: Callable[[Request], Outcome | None]) -> None:
        """Ask `handler` about paths that nothing else answers; None when it does not either."""
        self._rest = handler

    def add(self, prefix: str, methods: Mapping[str, Handler]) -> None:
        """Answer `prefix` and everything below it.

        Args:
            prefix: `/v1/objects`; one to three words.
            methods: handler of each method; "*" answers all that are not named.
        """
        words = [word for word in prefix.split("/") if word]
        key = "/".join(words)
        assert 0 < len(words) <= _WORDS_MAX, prefix
        assert key not in self._routes, f"{prefix} is answered twice"
        self._routes[key] = dict(methods)
        self._pairs = {
            f"/{key}/": route
            for key, route in self._routes.items()
            if key.count("/") == 1
            and not any(other.startswith(f"{key}/") for other in self._routes)
        }

    @property
    def prefixes(self) -> list[str]:
        """What is answered, sorted."""
        return sorted(f"/{key}" for key in self._routes)

    def dispatch(self, request: Request) -> Outcome:
        """Hand the request to its handler.

        Raises:
            NotFoundError: nothing answers this path.
            AisError: the path cannot be decoded, or the handler refuses.
        """
        if self._first is not None:
            outcome = self._first(request)
            if outcome is not None:
                return outcome
        path = request.path
        route = self._pairs.get(path[: path.find("/", path.find("/", 1) + 1) + 1])
        if route is not None:
            handler = route.get(request.method)
            if handler is not None:
                return handler(request)
        words = path.split("/", 4)[1:4]
        if "" in words:
            words = [word for word in path.split("/") if word][:_WORDS_MAX]
        for count in range(len(words), 0, -1):
            route = self._routes.get("/".join(words[:count]))
            if route is not None:
                handler = route.get(request.method) or route.get("*")
                return _not_allowed(route) if handler is None else handler(request)
        if self._rest is not None:
            outcome = self._rest(request)
            if outcome is not None:
                return outcome
        raise NotFoundError(f'invalid URL path "{path}": nothing answers it')


def _not_allowed(route: Mapping[str, Handler]) -> Response:
    headers = [
        ("Allow", ", ".join(sorted(route))),
        ("Content-Type", "text/plain; charset=utf-8"),
        ("X-Content-Type-Options", "nosniff"),
    ]
    return Response(405, headers, b"Method Not Allowed\n")
