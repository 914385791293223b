"""Certificates, timeouts and tokens: who wins, and what is refused."""

import base64
import json
from pathlib import Path

import pytest

from aiscli.config import Settings, load_settings
from aiscli.connection import (
    TOKEN_SIZE_MAX,
    Connection,
    connection_options,
    expiry,
    read_connection,
    read_token,
    token_source,
)
from aiscore.errors import AisError, InvalidArgumentError
from aiscore.transport.options import ConnectionOptions


def load(tmp_path: Path, tree: object = None, **environ: str) -> Settings:
    (tmp_path / "cli.json").write_text(json.dumps(tree or {}))
    return load_settings({"AIS_CLI_CONFIG_DIR": str(tmp_path), **environ})


def pem(tmp_path: Path, name: str) -> str:
    path = tmp_path / name
    path.write_text("pem")
    return str(path)


def test_nothing_set_leaves_everything_to_the_transport(tmp_path: Path) -> None:
    assert read_connection(load(tmp_path)) == Connection()


def test_what_aistore_writes_on_its_own_says_nothing_about_timeouts(tmp_path: Path) -> None:
    tree = {"timeout": {"tcp_timeout": "60s", "http_timeout": "0s"}}
    assert read_connection(load(tmp_path, tree)) == Connection()


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    ca, cert, key, other = (pem(tmp_path, name) for name in ("ca", "cert", "key", "other"))
    tree = {
        "cluster": {"client_ca_tls": ca, "client_crt": cert, "client_crt_key": key},
        "timeout": {"tcp_timeout": "1m30s", "http_timeout": "500ms"},
    }
    assert read_connection(load(tmp_path, tree)) == Connection(
        ca_file=ca, cert_file=cert, key_file=key, connect_timeout_s=90, read_timeout_s=0.5
    )
    settings = load(
        tmp_path,
        tree,
        AIS_CRT=other,
        AIS_SKIP_VERIFY_CRT="true",
        AIS_CONNECT_TIMEOUT="2.5",
        AIS_READ_TIMEOUT="0",
        AIS_AUTHN_TOKEN="t",
    )
    assert read_connection(settings) == Connection(
        ca_file=ca,
        cert_file=other,
        key_file=key,
        verify=False,
        connect_timeout_s=2.5,
        read_timeout_s=0,
        token="t",
    )
    assert settings.get("cluster.client_crt").origin == "AIS_CRT"
    assert settings.get("cluster.client_ca_tls").origin == "file"
    assert settings.get("cluster.url").origin == "default"


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        ({"AIS_CRT": "/none"}, "AIS_CRT: no file /none"),
        ({"AIS_CRT_KEY": "KEY"}, "needs its certificate"),
        ({"AIS_SKIP_VERIFY_CRT": "perhaps"}, "AIS_SKIP_VERIFY_CRT"),
        ({"AIS_CONNECT_TIMEOUT": "soon"}, "AIS_CONNECT_TIMEOUT"),
        ({"AIS_READ_TIMEOUT": "-1s"}, "AIS_READ_TIMEOUT"),
    ],
)
def test_what_is_refused_names_its_origin(
    tmp_path: Path, environ: dict[str, str], message: str
) -> None:
    given = {k: pem(tmp_path, "key") if v == "KEY" else v for k, v in environ.items()}
    with pytest.raises(InvalidArgumentError, match=message):
        read_connection(load(tmp_path, **given))


def test_the_address_of_the_token_service(tmp_path: Path) -> None:
    assert load(tmp_path).get("auth.url").value == "http://127.0.0.1:52001"
    assert load(tmp_path, AIS_USE_HTTPS="1").get("auth.url").value == "https://127.0.0.1:52001"
    chosen = {"auth": {"url": "http://auth:1"}}
    assert load(tmp_path, chosen, AIS_USE_HTTPS="1").get("auth.url").value == "http://auth:1"
    assert load(tmp_path, chosen, AIS_AUTHN_URL="http://x").get("auth.url").value == "http://x"


@pytest.mark.parametrize(
    ("endpoint", "https", "store"),
    [
        ("host:8080", "", "http://host:8080"),
        ("10.0.0.1:8080", "1", "https://10.0.0.1:8080"),
        ("http://host:8080", "1", "http://host:8080"),
        ("/path", "1", "/path"),
        ("", "1", ""),
    ],
)
def test_an_address_gets_a_scheme(tmp_path: Path, endpoint: str, https: str, store: str) -> None:
    assert load(tmp_path, AIS_ENDPOINT=endpoint, AIS_USE_HTTPS=https).store == store


def test_the_transport_gets_what_is_set_and_keeps_its_defaults_for_the_rest(tmp_path: Path) -> None:
    assert connection_options(load(tmp_path)) == ConnectionOptions(backoff_s=1.0)
    settings = load(
        tmp_path, {"timeout": {"http_timeout": "9s"}}, AIS_AUTHN_TOKEN="t", AIS_SKIP_VERIFY_CRT="1"
    )
    wanted = ConnectionOptions(read_timeout_s=9, token="t", verify=False, backoff_s=1.0)
    assert connection_options(settings) == wanted


def test_the_order_of_tokens(tmp_path: Path) -> None:
    named = tmp_path / "named"
    named.write_text('{"token": "from-named"}')
    assert read_token(load(tmp_path)) == ""
    assert token_source(load(tmp_path)).origin == "default"
    (tmp_path / "auth.token").write_text('{"token": "from-default"}\n')
    assert read_token(load(tmp_path)) == "from-default"
    assert read_token(load(tmp_path, AIS_AUTHN_TOKEN_FILE=str(named))) == "from-named"
    both = load(tmp_path, AIS_AUTHN_TOKEN_FILE=str(named), AIS_AUTHN_TOKEN=" raw\n")
    assert read_token(both) == "raw"
    assert "raw" not in repr(both)
    assert "raw" not in repr(read_connection(both))
    named.write_text("bare-token\n")
    assert read_token(load(tmp_path, AIS_AUTHN_TOKEN_FILE=str(named))) == "bare-token"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"{}",
        b'{"token": ""}',
        b'{"token": 5}',
        b'{"token": "two words"}',
        b'{"token": "secret\\nX-Header: y"}',
        b"\xff\xfe",
        b"x" * (TOKEN_SIZE_MAX + 1),
        None,
    ],
)
def test_a_bad_token_file_is_named_and_not_quoted(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "token"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(AisError) as raised:
        read_token(load(tmp_path, AIS_AUTHN_TOKEN_FILE=str(path)))
    assert str(path) in raised.value.message
    assert "AIS_AUTHN_TOKEN_FILE" in raised.value.message
    assert "secret" not in str(raised.value.message)


def test_when_a_token_ends() -> None:
    def token(claims: bytes) -> str:
        return f"h.{base64.urlsafe_b64encode(claims).decode().rstrip('=')}.s"

    assert expiry(token(b'{"exp": 1700000000}')) == 1_700_000_000
    for claims in (b"{}", b"[]", b"nope", b'{"exp": "x"}', b'{"exp": 1e300}', b'{"exp": -1}'):
        assert expiry(token(claims)) is None
    assert expiry("opaque") is None
    assert expiry("a.\u00e9.b") is None
