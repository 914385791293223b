"""The certificate: loaded, checked, and loaded again when its files change."""

import logging
import os
import ssl

from aiscore.errors import InvalidArgumentError

__all__ = ["Certificate"]

log = logging.getLogger(__name__)


class Certificate:
    """A TLS context that follows its files. Connections that stand keep the certificate they began with."""

    def __init__(self, cert: str, key: str = "") -> None:
        """Load it.

        Args:
            cert: PEM file of the chain, the server's own certificate first.
            key: PEM file of the key; "" when it is in `cert`.

        Raises:
            InvalidArgumentError: a file is missing, malformed, or does not match the other one.
        """
        self._cert = cert
        self._key = key
        self.context = _new_context()
        self._stamp = self._look()
        _load(self.context, cert, key)

    def reload_if_changed(self) -> bool:
        """Load the files again if they are others than before."""
        stamp = self._look()
        if stamp == self._stamp:
            return False
        self._stamp = stamp
        return self.reload()

    def reload(self) -> bool:
        """Load the files again; what cannot be used is logged, and the old certificate stays."""
        try:
            _load(
                _new_context(), self._cert, self._key
            )  # half a pair must not get into the live one
            _load(self.context, self._cert, self._key)
        except InvalidArgumentError as exc:
            log.warning("certificate not reloaded: %s", exc.message)
            return False
        log.info("certificate reloaded: cert=%s", self._cert)
        return True

    def _look(self) -> tuple[tuple[int, int, int] | None, ...]:
        return tuple(_stamp_of(path) for path in (self._cert, self._key) if path)


def _new_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    return context


def _load(context: ssl.SSLContext, cert: str, key: str) -> None:
    for path in filter(None, (cert, key)):
        if not os.path.isfile(path):
            raise InvalidArgumentError(
                f'certificate file "{path}" does not exist', hint="check --cert and --key"
            )
        if not os.access(path, os.R_OK):
            raise InvalidArgumentError(
                f'certificate file "{path}" cannot be read: permission denied',
                hint="let the user of the server read it",
            )
    try:
        # With a password at hand OpenSSL does not ask the terminal for one.
        context.load_cert_chain(cert, key or None, password="")
    except (ssl.SSLError, OSError) as exc:
        reason = getattr(exc, "reason", None) or exc.strerror or str(exc)
        raise InvalidArgumentError(
            f'certificate "{cert}" and key "{key or cert}" cannot be used:'
            f" {str(reason).replace('_', ' ').lower()}",
            hint="expected two PEM files that belong together, the key without a password",
        ) from exc


def _stamp_of(path: str) -> tuple[int, int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino, found.st_size
