"""Where a bucket's requests go: host and path, by one of S3's two ways of addressing."""

import ipaddress
import re
from dataclasses import dataclass
from typing import Self
from urllib.parse import quote

from aiscore.errors import InvalidArgumentError
from aiscore.transport.endpoint import Endpoint

__all__ = ["Place", "check_s3_endpoint", "host_header", "quote_key", "quote_value"]

_PLAIN_KEY = re.compile(r"[A-Za-z0-9/._~-]*", re.ASCII)
_DNS_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?", re.ASCII)
_BASE_PATH = re.compile(r"(?:/[A-Za-z0-9._~-]+)*/?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Place:
    """A bucket behind an endpoint.

    Attributes:
        endpoint: who is connected to.
        base: path of the bucket, without a slash at its end; that of the endpoint when the host is the bucket's.
        is_host_of_bucket: the bucket is in the host's name.
        url: of the bucket, as people read it.
    """

    endpoint: Endpoint
    base: str
    is_host_of_bucket: bool
    url: str

    @classmethod
    def of(cls, url: str, bucket: str, *, in_path: bool) -> Self:
        """The place of a bucket.

        The host of an address cannot begin with a bucket's name, and a certificate's wildcard stands for one label:
        such endpoints and buckets with dots are addressed in the path whatever was asked for.

        Args:
            url: of the endpoint: `http(s)://HOST[:PORT][/PATH]`.
            bucket: its name.
            in_path: address it in the path.

        Raises:
            InvalidArgumentError: no such URL.
        """
        endpoint, base = check_s3_endpoint(url)
        in_path = in_path or _is_address(endpoint.host) or not _DNS_NAME.fullmatch(bucket)
        if in_path:
            base = f"{base}/{quote_key(bucket)}"
        else:
            endpoint = Endpoint(f"{bucket}.{endpoint.host}", endpoint.port, endpoint.is_tls)
        scheme = "https" if endpoint.is_tls else "http"
        return cls(endpoint, base, not in_path, f"{scheme}://{host_header(endpoint)}{base}")

    def path(self, key: str) -> str:
        """Path of an object, percent-encoded as signatures need it."""
        return f"{self.base}/{quote_key(key)}"

    @property
    def bucket_path(self) -> str:
        """Path of the bucket itself."""
        return self.base or "/"


def check_s3_endpoint(url: str) -> tuple[Endpoint, str]:
    """Server, and path without a slash at its end.

    Raises:
        InvalidArgumentError: it is no URL of an S3 endpoint.
    """
    try:
        endpoint, path = Endpoint.split(url if "://" in url else f"http://{url}")
    except InvalidArgumentError as exc:
        raise InvalidArgumentError(
            exc.message.replace("endpoint", "-s3endpoint", 1).replace(":PORT", "[:PORT][/PATH]"),
            hint="check -s3endpoint, or S3_ENDPOINT",
        ) from None
    if _BASE_PATH.fullmatch(path) is None:
        raise InvalidArgumentError(
            f'invalid -s3endpoint "{url[:200]}": expected http(s)://HOST[:PORT][/PATH]',
            hint="the bucket goes into -bucket",
        )
    return endpoint, path.rstrip("/")


def host_header(endpoint: Endpoint) -> str:
    """Host, and the port unless it is that of the scheme: what is signed must be what servers expect."""
    if endpoint.port == (443 if endpoint.is_tls else 80):
        return endpoint.authority.rpartition(":")[0]
    return endpoint.authority


def quote_key(key: str) -> str:
    """Percent-encode once, all but what RFC 3986 leaves alone; slashes stay."""
    return key if _PLAIN_KEY.fullmatch(key) else quote(key, safe="/~")


def quote_value(text: str) -> str:
    """Percent-encode a value of a query."""
    return quote(text, safe="~")


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True
