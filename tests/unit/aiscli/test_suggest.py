"""What the user may have meant."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiscli.suggest import distance, nearest, nearest_name, suggest_command
from aiscli.tree import ROOT, Branch


def full_distance(left: str, right: str) -> int:
    """The textbook's table, without a limit."""
    table = [
        [i + j if not i * j else 0 for j in range(len(right) + 1)] for i in range(len(left) + 1)
    ]
    for i in range(1, len(left) + 1):
        for j in range(1, len(right) + 1):
            cost = left[i - 1] != right[j - 1]
            table[i][j] = min(table[i - 1][j] + 1, table[i][j - 1] + 1, table[i - 1][j - 1] + cost)
            if i > 1 and j > 1 and left[i - 1] == right[j - 2] and left[i - 2] == right[j - 1]:
                table[i][j] = min(table[i][j], table[i - 2][j - 2] + 1)
    return table[-1][-1]


WORDS = st.text("abc", max_size=8)


@given(WORDS, WORDS, st.integers(0, 9))
def test_the_distance_is_the_textbooks_up_to_the_limit(left: str, right: str, limit: int) -> None:
    assert distance(left, right, limit) == min(full_distance(left, right), limit + 1)


@pytest.mark.parametrize(
    ("word", "names", "expected"),
    [
        ("star", ["start", "stop"], "start"),
        ("rebolance", ["rebalance", "resilver"], "rebalance"),
        ("xq", ["ls", "rm"], None),
        ("wombat", ["ls", "rm", "bucket"], None),
        ("lss", ["ls", "rm"], "ls"),
    ],
)
def test_the_nearest_command(word: str, names: list[str], expected: str | None) -> None:
    assert nearest(word, names) == expected


def test_names_need_to_be_nearer_than_commands() -> None:
    names = ["train/shard-0001.tar", "train/shard-0010.tar", "val/x"]
    assert nearest_name("train/shrad-0010.tar", names) == "train/shard-0010.tar"
    assert nearest_name("test/abc", names) is None
    assert nearest_name("a", ["b"]) == "b"
    assert nearest_name("images", []) is None


BUCKET = ROOT.children["bucket"]
assert isinstance(BUCKET, Branch)


@pytest.mark.parametrize(
    ("path", "words", "expected"),
    [
        ("ais", ["copy", "a", "b", "--dry-run"], "'ais cp a b --dry-run'"),
        ("ais bucket", ["remove", "a b"], "\"ais bucket rm 'a b'\""),
        ("ais bucket", ["img", "show"], "'ais show bucket img'"),
        ("ais", ["ais://b"], "'ais ls ais://b'"),
        ("ais", ["buckte"], "'ais bucket'"),
        ("ais", ["wombat"], "'ais search wombat'"),
    ],
)
def test_the_ladder(path: str, words: Sequence[str], expected: str) -> None:
    branch = ROOT if path == "ais" else BUCKET
    assert isinstance(branch, Branch)
    hint = suggest_command(
        path, words[0], words[1:], list(branch.children), shown=ROOT.children.keys()
    )
    assert expected in hint
