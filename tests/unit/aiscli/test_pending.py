"""Commands that do not work yet: known, marked, and out of the way of completion."""

import inspect

import pytest

from aiscli.commands import pending
from aiscli.complete import candidates
from aiscli.config import Setting, Settings
from aiscli.context import CliContext
from aiscli.pending import GROUPS, MARK, PENDING, Pending
from aiscli.tree import ALIASES, ROOT, Branch, Leaf, leaves

FIRST_WAVE = """
version, help, alias show, alias set, alias rm, alias reset, completion install, completion show
bucket ls, bucket create, bucket rm, bucket mv, bucket cp, bucket evict, bucket prefetch?, bucket rechunk
bucket summary, bucket show, bucket props show, bucket props set, bucket props reset
object get, object put, object cat, object rm, object mv, object cp, object promote, object set-custom
object show, object ls, object evict, object prefetch
object multipart-upload create, object multipart-upload put-part, object multipart-upload complete
object multipart-upload abort, mpu create, mpu put-part, mpu complete, mpu abort
get-batch, ml get-batch, archive put, archive get, archive ls, archive bucket
job start prefetch, job start blob-download, job start copy-bck, job start move-bck, job start rechunk
job stop, job wait, job show
show bucket, show object, show job, show cluster, show config cluster, show config cli
show auth user, show auth role, show auth cluster
auth login, auth logout, auth add user, auth add role, auth add cluster, auth set user, auth set role
auth set cluster, auth rm user, auth rm role, auth rm cluster, auth rm token, auth show user
auth show role, auth show cluster
config cluster, config cli show, config cli set, config cli reset, config reset
ls, create, cp, rmb, evict, get, put, rmo, prefetch, start prefetch, stop, wait, blob-download
rechunk, login, logout, cat
"""
SECOND_WAVE = """
object concat, archive gen-shards, job start lru, job start mirror, job start cleanup, scrub
ml lhotse-get-batch, job start download, download, performance counters, performance throughput
performance latency, performance capacity, performance disk, storage show, storage summary
storage validate, storage mountpath show, storage disk, storage cleanup, space-cleanup, bucket lru
show dashboard, cluster dashboard, show performance capacity, show storage show, show log
log show, log get, search, auth whoami, whoami, auth show oidc, auth show jwks, auth show config
auth show token, auth set config, config node, job rm, dsort
du, find, tree, diff, check, stat, run, resume, doctor, jobs, sync
config context ls, config context set, config context use, config context rm
"""
LATER = {"bucket prefetch?"}
"""Words of the list that are no command, in AIStore either."""


def settings(**aliases: str) -> Settings:
    unset = Setting("", "default")
    return Settings(
        endpoint=unset, output_format=unset, no_input=False, no_color=False, aliases=aliases
    )


def named(text: str) -> list[str]:
    names = [name.strip() for line in text.split("\n") for name in line.split(",")]
    return [name for name in names if name and name not in LATER]


def find(path: str) -> Branch | Leaf | None:
    node: Branch | Leaf = ROOT
    for word in path.split():
        if not isinstance(node, Branch) or word not in node.children:
            return None
        node = node.children[word]
    return node


@pytest.mark.parametrize("path", [*named(FIRST_WAVE), *named(SECOND_WAVE)])
def test_a_command_works_or_says_that_it_does_not(path: str) -> None:
    node = find(path)
    if isinstance(node, Branch) and node.default is not None:
        node = node.children[node.default]
    assert isinstance(node, Leaf), path
    assert node.pending == node.target.startswith("aiscli.commands.pending:")
    assert node.pending == node.help.endswith(MARK)


def test_the_table_is_in_the_tree_and_nothing_else_is_pending() -> None:
    found = {path: leaf for path, leaf in leaves(ROOT) if leaf.pending}
    assert PENDING.keys() <= found.keys()
    shortened = {
        path: f"{ALIASES[path.split()[0]]} {' '.join(path.split()[1:])}".rstrip()
        for path in found.keys() - PENDING.keys()
    }
    assert set(shortened.values()) <= PENDING.keys()
    for path, entry in PENDING.items():
        assert found[path].help == f"{entry.help} {MARK}"
        assert callable(getattr(pending, entry.function))


def test_a_group_is_marked_when_nothing_of_it_works() -> None:
    for path in GROUPS:
        node = find(path)
        assert isinstance(node, Branch)
        assert node.pending == node.help.endswith(MARK)


@pytest.mark.parametrize("entry", PENDING.values(), ids=PENDING.keys())
def test_texts_are_in_the_form_of_the_others(entry: Pending) -> None:
    help_line, instead, _ = entry
    assert help_line[0].isupper()
    assert help_line.endswith(".")
    assert not instead or not instead.endswith(".")


def test_what_is_suggested_instead_is_a_command_that_works() -> None:
    for entry in PENDING.values():
        for words in entry.instead.split("ais ")[1:]:
            node: Branch | Leaf = ROOT
            for word in words.replace(",", " ").split():
                if isinstance(node, Branch) and word in node.children:
                    node = node.children[word]
            assert node is not ROOT
            assert not node.pending, entry


def test_completion_leaves_them_out() -> None:
    with CliContext(settings()) as context:
        for path, leaf in leaves(ROOT):
            *group, name = path.split()
            shown = {candidate.value for candidate in candidates([*group, name], context)}
            assert (leaf.pending or leaf.hidden) != (name in shown), path
        assert "auth" not in {candidate.value for candidate in candidates(["a"], context)}


def test_completion_of_the_aliases_that_AIStore_writes() -> None:
    """Its `ais` writes all of its shortcuts into the file: these must not hide what they stand for."""
    own = {"evict": "bucket evict", "ls": "bucket ls", "start": "job start"}
    with CliContext(settings(**own)) as context:
        assert [c.value for c in candidates(["ls"], context)] == ["ls"]
        assert [c.value for c in candidates(["bucket", "ls"], context)] == ["ls"]
        assert [c.value for c in candidates(["evict"], context)] == []
        assert [c.value for c in candidates(["star"], context)] == ["start"]


def test_what_answers_is_documented() -> None:
    for name in pending.__all__:
        assert inspect.getdoc(getattr(pending, name))
