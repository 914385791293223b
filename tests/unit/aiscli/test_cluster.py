"""Which nodes a word means, how versions fit, which hint an error gets."""

from pathlib import Path

import pytest

from aiscli.actions.between.stores import Place
from aiscli.actions.cluster import choose_nodes
from aiscli.actions.performance import PerformanceRequest
from aiscli.actions.settings.doctor import compare_versions
from aiscli.config import Settings, load_settings, with_endpoint
from aiscli.hints import hint_of
from aiscore.errors import (
    AccessDeniedError,
    AisError,
    BucketNotFoundError,
    InvalidArgumentError,
    NotFoundError,
    ProtocolError,
    StorageError,
    UnauthenticatedError,
    UnavailableError,
)
from aiscore.model.cluster import ClusterInfo, NodeInfo, NodeRole

NODES = ClusterInfo(
    nodes=(
        NodeInfo(id="a", role=NodeRole.PROXY),
        NodeInfo(id="b", role=NodeRole.TARGET),
        NodeInfo(id="c", role=NodeRole.TARGET),
    )
)


@pytest.mark.parametrize(
    ("word", "ids"),
    [("", "abc"), ("proxy", "a"), ("Target", "bc"), ("c", "c"), ("t[b]", "b")],
)
def test_which_nodes(word: str, ids: str) -> None:
    assert "".join(node.id for node in choose_nodes(NODES, word)) == ids


def test_no_such_node() -> None:
    with pytest.raises(NotFoundError, match="expecting a valid NODE_ID") as caught:
        choose_nodes(NODES, "p[b]")
    assert caught.value.hint == "nodes are: p[a], t[b], t[c]"


@pytest.mark.parametrize(
    ("version", "text"),
    [
        ("4.1", ""),
        ("4.1.7", ""),
        ("4.0", "may not be fully"),
        ("4.2", "may not be fully"),
        ("4.3", "not compatible"),
        ("3.1", "not compatible"),
        ("5.0", "not compatible"),
        ("unknown", "not known"),
    ],
)
def test_versions(version: str, text: str) -> None:
    found = compare_versions(version)
    assert text in found
    assert bool(found) == bool(text)


def settings(tmp_path: Path, endpoint: str, **environ: str) -> Settings:
    return with_endpoint(load_settings({"AIS_CLI_CONFIG_DIR": str(tmp_path), **environ}), endpoint)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (UnauthenticatedError("x"), "give a token"),
        (AccessDeniedError("x"), "permission"),
        (UnavailableError("x"), "later"),
        (ProtocolError("x"), "ais doctor"),
        (NotFoundError("the server answered 404 not found"), "is it AIStore"),
        (NotFoundError("x"), None),
        (BucketNotFoundError("404"), None),
        (AccessDeniedError("x", hint="own"), "own"),
    ],
)
def test_hints(tmp_path: Path, error: AisError, words: str | None) -> None:
    hint = hint_of(error, settings(tmp_path, "http://h:1"))
    assert hint is None if words is None else words in (hint or "")


def test_hints_know_the_token_and_the_home(tmp_path: Path) -> None:
    with_token = settings(tmp_path, "http://h:1", AIS_AUTHN_TOKEN="t")
    assert "may have ended" in (hint_of(UnauthenticatedError("x"), with_token) or "")
    home = settings(tmp_path, "/home/x")
    assert "AIS_HOME" in (hint_of(StorageError("x"), home) or "")
    assert hint_of(AccessDeniedError("x"), home) is None


def test_places_and_patterns_are_checked() -> None:
    with pytest.raises(InvalidArgumentError, match="--to-endpoint and --to-context"):
        Place(flag="--to", endpoint="e", context_name="c")
    with pytest.raises(InvalidArgumentError, match="--from-token-file needs"):
        Place(flag="--from", token_file="f")
    with pytest.raises(InvalidArgumentError, match="invalid regular expression"):
        PerformanceRequest(regex="(")
