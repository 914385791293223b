"""Request heads as they come from a client, and as botocore signs them."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from unittest.mock import patch

from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from aiscore.server.head import HeadParser, HttpRequest
from aiscore.server.settings import ServerSettings

__all__ = ["ACCESS", "HOST", "SECRET", "head", "signed"]

HOST = "127.0.0.1:51080"
ACCESS, SECRET = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
_PARSER = HeadParser(ServerSettings(home="/none"))


def head(method: str, target: str, headers: Mapping[str, str] | None = None) -> HttpRequest:
    """What the server makes of a head."""
    lines = [f"{method} {target} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    if not any(line.lower().startswith("host:") for line in lines):
        lines.append(f"Host: {HOST}")
    return _PARSER.parse("\r\n".join([*lines, "", ""]).encode())


def signed(
    method: str,
    target: str,
    headers: Mapping[str, str] | None = None,
    *,
    at: float,
    body: bytes = b"",
    access: str = ACCESS,
    secret: str = SECRET,
    region: str = "us-east-1",
    expires: int | None = None,
    token: str | None = None,
) -> HttpRequest:
    """The head that botocore sends at a time; presigned when it expires."""
    request = AWSRequest(
        method=method, url=f"http://{HOST}{target}", headers=dict(headers or {}), data=body
    )
    request.context["payload_signing_enabled"] = True
    credentials = Credentials(access, secret, token)
    signer: Any
    if expires is None:
        signer = S3SigV4Auth(credentials, "s3", region)
    else:
        signer = S3SigV4QueryAuth(credentials, "s3", region, expires=expires)
    now = datetime.fromtimestamp(at, UTC).replace(tzinfo=None)
    # The signer asks a clock of its own, which takes no argument.
    with patch("botocore.auth.get_current_datetime", lambda *_: now):
        signer.add_auth(request)
    prepared = request.prepare()
    sent = {
        name: value.decode() if isinstance(value, bytes) else str(value)
        for name, value in prepared.headers.items()
    }
    if body and "Content-Length" not in sent:
        sent["Content-Length"] = str(len(body))
    url = str(prepared.url)
    return head(method, url.removeprefix(f"http://{HOST}"), sent)
