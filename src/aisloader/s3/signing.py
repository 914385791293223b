"""Credentials and signatures, both by AWS's own library (`awscrt`, the extra `s3`).

Signing towards real clouds is not written by hand. Of the libraries that do it, this one is in C and costs a request
some 20 us of CPU where botocore's costs 200. Bodies are not part of the signature: a load generator would measure its
own SHA-256 otherwise.
"""

import configparser
import os
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from aiscore.errors import AccessDeniedError, UnsupportedError

if TYPE_CHECKING:
    from awscrt.auth import AwsCredentialsProvider, AwsSigningConfig

__all__ = ["DEFAULT_REGION", "Signer", "region_of"]

DEFAULT_REGION = "us-east-1"
CREDENTIALS_WAIT_S = 20.0
"""Longest wait for credentials: a profile's command, or a cloud's metadata service."""
CREDENTIALS_AGE_S = 240.0
"""Credentials are asked for again after that, because some expire."""


def region_of(profile: str, environ: Mapping[str, str]) -> str:
    """`AWS_REGION`, else `AWS_DEFAULT_REGION`, else the profile's, else `us-east-1`."""
    return (
        environ.get("AWS_REGION")
        or environ.get("AWS_DEFAULT_REGION")
        or _region_of_profile(profile, environ)
        or DEFAULT_REGION
    )


class Signer:
    """Signs requests as of now. Shared by threads.

    Args:
        profile: of the AWS configuration; "" takes the environment's variables, then the default profile, then what
            the machine's cloud offers.
        region: that requests are signed for.

    Raises:
        UnsupportedError: the extra is not installed.
        AccessDeniedError: there are no credentials.
    """

    def __init__(self, profile: str, region: str) -> None:
        try:
            from awscrt import auth, http
        except ImportError:
            raise UnsupportedError(
                "-s3endpoint needs the package awscrt, which signs requests",
                hint='pip install "aiscore[s3]"',
            ) from None
        self._auth: Any = auth
        self._request: Any = http.HttpRequest
        self._headers: Any = http.HttpHeaders
        self._region = region
        self._profile = profile
        self._provider = _resolved(profile)
        self._resolved_at = time.monotonic()
        self._second: tuple[int, AwsSigningConfig | None] = (0, None)

    def head(
        self, method: str, host: str, target: str, headers: Sequence[tuple[str, str]] = ()
    ) -> bytes:
        """Request line and headers, signed; without those of the body's framing, and without the empty line.

        Args:
            method: HTTP method.
            host: value of the `Host` header.
            target: path and query, percent-encoded.
            headers: to send, and to sign.
        """
        request = self._request(method, target, self._headers([("host", host), *headers]))
        self._auth.aws_sign_request(request, self._config()).result()
        lines = [f"{method} {target} HTTP/1.1"]
        lines += [f"{name}: {value}" for name, value in request.headers]
        return "\r\n".join([*lines, ""]).encode()

    def _config(self) -> "AwsSigningConfig":
        """For this second: making one costs as much as half of a signature."""
        now = int(time.time())
        second, config = self._second
        if config is not None and now == second:
            return config
        if time.monotonic() - self._resolved_at > CREDENTIALS_AGE_S:
            self._resolved_at = time.monotonic()
            with suppress(AccessDeniedError):  # the old ones may still do: the endpoint will say
                self._provider = _resolved(self._profile)
        auth = self._auth
        config = auth.AwsSigningConfig(
            algorithm=auth.AwsSigningAlgorithm.V4,
            signature_type=auth.AwsSignatureType.HTTP_REQUEST_HEADERS,
            credentials_provider=self._provider,
            region=self._region,
            service="s3",
            date=datetime.fromtimestamp(now, UTC),
            use_double_uri_encode=False,
            should_normalize_uri_path=False,
            signed_body_value=auth.AwsSignedBodyValue.UNSIGNED_PAYLOAD,
            signed_body_header_type=auth.AwsSignedBodyHeaderType.X_AMZ_CONTENT_SHA_256,
        )
        self._second = (now, config)
        return config


def _resolved(profile: str) -> "AwsCredentialsProvider":
    """The credentials that there are now, as a provider that signs without asking.

    Raises:
        AccessDeniedError: there are none.
    """
    from concurrent.futures import TimeoutError as WaitTimeoutError

    from awscrt.auth import AwsCredentialsProvider
    from awscrt.exceptions import AwsCrtError

    try:
        found = _chain(profile).get_credentials().result(CREDENTIALS_WAIT_S)
    except (AwsCrtError, WaitTimeoutError, RuntimeError, ValueError):
        where = f'in the profile "{profile}"' if profile else "for S3"
        raise AccessDeniedError(
            f"no credentials {where}",
            hint="set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or name a profile with -s3profile",
        ) from None
    return AwsCredentialsProvider.new_static(
        found.access_key_id, found.secret_access_key, found.session_token
    )


def _chain(profile: str) -> "AwsCredentialsProvider":
    from awscrt.auth import AwsCredentialsProvider

    if not profile:
        return AwsCredentialsProvider.new_default_chain()
    # A profile that is named counts before the environment's variables.
    providers = []
    with suppress(RuntimeError):  # there are no files with profiles
        providers.append(AwsCredentialsProvider.new_profile(profile_name=profile))
    with suppress(RuntimeError):
        providers.append(AwsCredentialsProvider.new_process(profile_to_use=profile))
    return AwsCredentialsProvider.new_chain(providers)


def _region_of_profile(profile: str, environ: Mapping[str, str]) -> str:
    """From the AWS configuration file; "" when there is none, or nothing in it."""
    path = environ.get("AWS_CONFIG_FILE") or os.path.join(
        environ.get("HOME") or os.path.expanduser("~"), ".aws", "config"
    )
    name = profile or environ.get("AWS_PROFILE") or "default"
    found = configparser.RawConfigParser(strict=False)
    try:
        found.read(path, encoding="utf-8")
    except (configparser.Error, OSError, UnicodeDecodeError):
        return ""
    for section in (f"profile {name}", name):
        if found.has_option(section, "region"):
            return found.get(section, "region").strip()
    return ""
