"""Candidates for a word, and how bash gets them."""

import importlib.util
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from aiscli.complete import FILES, bash_replies, candidates
from aiscli.config import load_settings
from aiscli.context import CliContext
from aiscore.model.archive import ArchiveFormat
from aiscore.model.bucket import BucketRef
from aiscore.testing.archives import build
from aiscore.transport import open_transport

REPOSITORY = Path(__file__).parents[3]
BREAKS = " \t\n\"'@><=;|&(:"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("home")
    bucket = BucketRef.parse("ais://train")
    with open_transport(f"file://{path}") as transport:
        transport.create_bucket(bucket)
        transport.create_bucket(BucketRef.parse("ais://#team/data"))
        for name in ("z", "dir/a b", "dir/c'd", "two\nlines"):
            transport.put(bucket, name, b"12345")
        transport.put(
            bucket,
            "s.tar",
            build(ArchiveFormat.TAR, [("x.txt", b"1"), ("in/y.txt", b"2"), ("in/z.txt", b"3")]),
        )
    return path


@pytest.fixture
def context(home: Path) -> Iterator[CliContext]:
    with CliContext(load_settings({"AIS_ENDPOINT": f"file://{home}"})) as made:
        yield made


def values(context: CliContext, *words: str) -> list[str]:
    return [candidate.value for candidate in candidates(words, context)]


def test_commands_come_with_their_help(context: CliContext) -> None:
    assert dict(candidates(["bucket", "mv"], context)) == {"mv": "Give a bucket another name."}
    assert "__complete" not in values(context, "")


def test_flags_are_those_of_the_command(context: CliContext) -> None:
    assert values(context, "get", "--archr") == ["--archregx"]
    assert values(context, "ls", "--archr") == []
    assert {"--output", "--help", "--json"} <= set(values(context, "rmb", "--"))
    assert values(context, "get", "--", "--archr") == []


def test_values_of_flags(context: CliContext) -> None:
    assert values(context, "ls", "--output", "js") == ["json", "jsonl"]
    assert values(context, "ls", "-o", "c") == ["csv"]
    assert values(context, "ls", "--units=s") == ["--units=si"]
    assert values(context, "get-batch", "ais://train", "-o", "") == [FILES]
    assert values(context, "get", "ais://train/s.tar", "--archpath", "in/") == [
        "in/y.txt",
        "in/z.txt",
    ]


def test_buckets_end_with_a_slash_where_objects_may_follow(context: CliContext) -> None:
    assert values(context, "get", "ais:") == ["ais://train/", "ais://#team/data/"]
    assert values(context, "rmb", "ais://t") == ["ais://train"]
    assert values(context, "rmb", "tr") == ["train"]


def test_directories_come_before_objects(context: CliContext) -> None:
    found = candidates(["cat", "ais://train/"], context)
    assert [c.value for c in found] == [f"ais://train/{name}" for name in ("dir/", "s.tar", "z")]
    assert found[-1].description == "5B"
    assert values(context, "cat", "train/dir/a") == ["train/dir/a b"]


def test_files_of_shards_are_for_commands_that_read_them(context: CliContext) -> None:
    shard = "ais://train/s.tar"
    assert values(context, "get", f"{shard}/") == [f"{shard}/in/", f"{shard}/x.txt"]
    assert values(context, "get", f"{shard}/in/z") == [f"{shard}/in/z.txt"]
    assert values(context, "rm", f"{shard}/") == []


def test_keys_and_their_values(context: CliContext) -> None:
    assert "checksum.type=" in values(context, "config", "cluster", "checksum")
    assert "md5" in " ".join(values(context, "config", "cluster", "checksum.type="))
    set_props = ("bucket", "props", "set", "ais://train")
    assert values(context, *set_props, "versioning.enabled=t") == ["versioning.enabled=true"]
    assert "versioning.enabled" in values(context, "bucket", "props", "show", "train", "vers")


def test_names_of_the_command_line_itself(tmp_path: Path) -> None:
    settings = {"aliases": {"mine": "object get"}, "contexts": {"lab": {"endpoint": "/x"}}}
    (tmp_path / "cli.json").write_text(json.dumps(settings))
    with CliContext(load_settings({"AIS_CLI_CONFIG_DIR": str(tmp_path)})) as context:
        assert dict(candidates(["mi"], context)) == {"mine": "ais object get"}
        assert values(context, "mine", "--archr") == ["--archregx"]
        assert values(context, "alias", "rm", "m") == ["mine", "mpu"]
        assert values(context, "ls", "--context", "") == ["lab"]
        assert values(context, "config", "context", "use", "l") == ["lab"]
        assert all(v.endswith("=") for v in values(context, "config", "cli", "set", ""))
        assert values(context, "config", "cli", "set", "")


def test_local_files_are_left_to_the_shell(context: CliContext) -> None:
    assert values(context, "put", "x") == [FILES]
    assert values(context, "get", "ais://train/z", "x") == [FILES]


def test_a_store_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    home = tmp_path / "none"
    with CliContext(load_settings({"AIS_ENDPOINT": f"file://{home}"})) as context:
        assert values(context, "get", "ais:") == []
    assert not home.exists()


def test_the_flag_says_which_store(home: Path, tmp_path: Path) -> None:
    with CliContext(load_settings({"AIS_ENDPOINT": f"file://{tmp_path}/none"})) as context:
        line = ("--endpoint", f"file://{home}", "tr")
        assert values(context, "rmb", *line) == ["train"]


@pytest.mark.parametrize(
    ("line", "replies"),
    [
        ("ais rmb ais://t", ["//train"]),
        ("ais rmb ais:", ["//train", "//\\#team/data"]),
        ("ais rmb a", ["ais://train", "ais://\\#team/data"]),
        ('ais rmb "ais://t', ["ais://train"]),
        ("x; ais rmb tr", ["train"]),
        ("ais cat ais://train/dir/a", ["//train/dir/a\\ b"]),
        ("ais cat ais://train/dir/a\\ ", ["//train/dir/a\\ b"]),
        ("ais cat 'ais://train/dir/c", ["ais://train/dir/c'\\''d"]),
        ('ais cat ais://train/"dir/a', ["dir/a b"]),
        ("ais ls --units=s", ["si"]),
        ("ais put ", [FILES]),
    ],
)
def test_bash_replaces_from_its_last_break(
    line: str, replies: list[str], context: CliContext
) -> None:
    assert bash_replies(line, BREAKS, context) == replies


def test_what_is_generated_is_current() -> None:
    path = REPOSITORY / ".ci/generate_completion.py"
    spec = importlib.util.spec_from_file_location("generate_completion", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    stale = [file for file, text in module.files().items() if file.read_text() != text]
    assert not stale, f"run {path}"
