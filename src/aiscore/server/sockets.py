"""The listening sockets."""

import asyncio
import errno
import fcntl
import ipaddress
import socket
import sys
import termios

from aiscore.errors import AccessDeniedError, BusyError, InvalidArgumentError
from aiscore.server.settings import ServerSettings

__all__ = ["bind", "is_loopback", "unacknowledged", "url_of"]

BACKLOG = 1024
"""Connections the kernel keeps until they are accepted; `net.core.somaxconn` may lower it."""


def bind(settings: ServerSettings) -> list[socket.socket]:
    """Listen, on one socket for each worker.

    Several sockets share the port by SO_REUSEPORT: the kernel spreads connections evenly, and one whose worker has died
    keeps its queue while it is open here. A server that is there already is found first by a socket that does not
    share: with SO_REUSEPORT two servers of one user would silently halve the traffic.

    Returns:
        Listening sockets, inheritable by none but forked children.

    Raises:
        BusyError: somebody else listens there.
        AccessDeniedError: the port is not for this user.
        InvalidArgumentError: not an address of this machine.
    """
    host, port = settings.host, settings.port
    bound: list[socket.socket] = []
    try:
        found = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE | socket.AI_NUMERICSERV
        )
        family, address = found[0][0], found[0][4]
        first = _socket(family, address, is_shared=False)
        bound.append(first)
        if settings.workers > 1:
            address = (address[0], first.getsockname()[1], *address[2:])
            bound.pop().close()
            bound += [_socket(family, address, is_shared=True) for _ in range(settings.workers)]
        for one in bound:
            one.listen(BACKLOG)
            one.setblocking(False)
    except (OSError, UnicodeError) as exc:
        for one in bound:
            one.close()
        raise _refused(host, port, exc) from exc
    return bound


def is_loopback(host: str) -> bool:
    """True when nobody beyond this machine can reach `host`."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def url_of(settings: ServerSettings) -> str:
    """The URL that clients use."""
    scheme = "https" if settings.cert else "http"
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return f"{scheme}://{host}:{settings.port}"


def unacknowledged(transport: asyncio.BaseTransport) -> int:
    """Bytes that the kernel holds for the client.

    It may hold megabytes, and takes more only when a third of them has gone: a slow reader looks dead without this.
    """
    one = transport.get_extra_info("socket")
    if one is None:
        return 0
    try:
        found = fcntl.ioctl(one.fileno(), termios.TIOCOUTQ, b"\0\0\0\0")
    except OSError:
        return 0
    return int.from_bytes(found, sys.byteorder)


def _socket(
    family: int, address: tuple[str, int] | tuple[object, ...], *, is_shared: bool
) -> socket.socket:
    one = socket.socket(family, socket.SOCK_STREAM)
    try:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if is_shared:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6 and address[0] == "::":
            one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        one.bind(address)
    except OSError:
        one.close()
        raise
    return one


def _refused(host: str, port: int, exc: Exception) -> Exception:
    where = f"{host}:{port}"
    number = getattr(exc, "errno", None)
    if number == errno.EADDRINUSE:
        return BusyError(
            f"cannot listen on {where}: address already in use",
            hint="choose another port with --port, or 0 for a free one",
        )
    if number in {errno.EACCES, errno.EPERM}:
        return AccessDeniedError(
            f"cannot listen on {where}: permission denied",
            hint="choose a port from 1024 on with --port",
        )
    reason = (getattr(exc, "strerror", None) or str(exc)).lower()
    return InvalidArgumentError(
        f"cannot listen on {where}: {reason}",
        hint="expected an address of this machine: --host 127.0.0.1, or 0.0.0.0 for all of them",
    )
