r"""The access log: one line a request, in UTC, fields separated by one space.

    2026-11-23T05:19:06.123Z 127.0.0.1:51022 "GET /v1/objects/b/o?provider=ais" 200 10240 153 "curl/8.5.0"

time of the answer, client, method and target as sent, status, bytes of body sent, microseconds from the head's arrival
until the answer was handed to the kernel, user agent. "-" stands for what is not known. Quotes and backslashes are
escaped by a backslash, control and non-ASCII characters as \xNN, and the values of parameters that carry secrets are
replaced by "***". Lines are written once a second, whole, to a file opened for appending: several workers may share it.
"""

import logging
import os
import re
import sys
import time
from datetime import UTC, datetime
from urllib.parse import unquote

from aiscore.errors import StorageError
from aiscore.server.http import Request

__all__ = ["AccessLog"]

log = logging.getLogger(__name__)

BUFFER_BYTES_MAX = 256 << 10
"""Written at once when so much has come together within the second."""
_AGENT_MAX = 200
_TARGET_MAX = 2048
_SECRET = frozenset(
    {
        "access_token",
        "authorization",
        "awsaccesskeyid",
        "key",
        "password",
        "secret",
        "sig",
        "signature",
        "token",
        "u",
        "x-amz-credential",
        "x-amz-security-token",
        "x-amz-signature",
    }
)
"""Parameters whose value is never written; `u` is the signature of AIStore's redirects."""
_UNSAFE = re.compile(r'[^\x20-\x7e]|["\\]')


class AccessLog:
    """One log file, or standard error."""

    def __init__(self, path: str) -> None:
        """Open `path` for appending; "-" is standard error.

        Raises:
            StorageError: it cannot be opened.
        """
        self._path = path
        self._lines: list[str] = []
        self._size = 0
        self._has_failed = False
        self._fd = self._open()

    def add(self, request: Request, status: int, sent: int, took_us: int) -> None:
        """Note an answered request."""
        target = request.raw_path
        if request.raw_query:
            target = f"{target}?{_without_secrets(request.raw_query)}"
        agent = (request.header("user-agent") or "-")[:_AGENT_MAX]
        self._append(
            f'{request.peer} "{request.method} {_escaped(target[:_TARGET_MAX])}" {status} {sent} {took_us}'
            f' "{_escaped(agent)}"'
        )

    def add_refused(self, peer: str, status: int, sent: int) -> None:
        """Note bytes that were no request."""
        self._append(f'{peer or "-"} "-" {status} {sent} 0 "-"')

    def flush(self) -> None:
        """Write what has come together. A full disk loses lines, never a request."""
        if not self._lines:
            return
        data = "".join(self._lines).encode("ascii", "backslashreplace")
        self._lines.clear()
        self._size = 0
        try:
            while data:
                data = data[os.write(self._fd, data) :]
            self._has_failed = False
        except OSError as exc:
            if not self._has_failed:  # once, not every second
                log.warning("access log not written: path=%s errno=%s", self._path, exc.errno)
            self._has_failed = True

    def reopen(self) -> None:
        """Go on in a new file of the same name: the old one was moved away."""
        self.flush()
        try:
            fd = self._open()
        except StorageError as exc:
            log.warning("access log not reopened: %s", exc.message)
            return
        self.close()
        self._fd = fd

    def close(self) -> None:
        """Write the rest, and close."""
        self.flush()
        if self._path != "-" and self._fd >= 0:
            os.close(self._fd)
        self._fd = -1

    def _open(self) -> int:
        if self._path == "-":
            return sys.stderr.fileno()
        try:
            return os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
        except OSError as exc:
            raise StorageError(
                f'access log "{self._path}" cannot be opened: {(exc.strerror or str(exc)).lower()}',
                hint="give another file with --access-log, or make its directory writable",
            ) from exc

    def _append(self, text: str) -> None:
        now = datetime.fromtimestamp(time.time(), UTC)
        line = f"{now:%Y-%m-%dT%H:%M:%S}.{now.microsecond // 1000:03d}Z {text}\n"
        self._lines.append(line)
        self._size += len(line)
        if self._size >= BUFFER_BYTES_MAX:
            self.flush()


def _without_secrets(query: str) -> str:
    return "&".join([_without_secret(pair) for pair in query.split("&")])


def _without_secret(pair: str) -> str:
    name, separator, _ = pair.partition("=")
    plain = unquote(name) if "%" in name else name
    return f"{name}=***" if separator and plain.lower() in _SECRET else pair


def _escaped(text: str) -> str:
    return _UNSAFE.sub(_escape, text) if _UNSAFE.search(text) else text


def _escape(match: re.Match[str]) -> str:
    character = match[0]
    if character in '"\\':
        return f"\\{character}"
    return "".join(f"\\x{byte:02x}" for byte in character.encode("utf-8", "replace"))
