"""What a sync would do: the merge of two listings, pure but for files that are compared."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiscli.actions.sync.compare import Item
from aiscli.actions.sync.plan import COPY, DELETE, MARK, REFUSE, Plan, Rules, Step, build_plan
from aiscli.actions.sync.tree import BROKEN, Tree
from aiscli.actions.transfers.filter import NameFilter
from aiscore.errors import ProtocolError
from aiscore.model.checksum import Checksum, ChecksumType


def rules(
    *,
    names: NameFilter | None = None,
    delete: bool = True,
    checksum: bool = False,
    source_is_local: bool = False,
    target_is_local: bool = False,
    same_bytes: bool = False,
) -> Rules:
    return Rules(
        names=names or NameFilter(),
        delete=delete,
        checksum=checksum,
        source_is_local=source_is_local,
        target_is_local=target_is_local,
        read_both=lambda name: same_bytes,
    )


def plan_of(sources: list[Item], targets: list[Item], how: Rules) -> list[tuple[str, str, str]]:
    with Plan() as plan:
        build_plan(plan, iter(sources), iter(targets), how)
        return [(s.kind, s.name, s.reason) for s in plan.steps(COPY, DELETE, MARK, REFUSE)]


def md5(value: str) -> Checksum:
    return Checksum(ChecksumType.MD5, value)


def test_new_different_same_and_extra_names() -> None:
    sources = [Item("a", 1), Item("b", 1, md5("1")), Item("c", 1, md5("1")), Item("d", 2)]
    targets = [Item("b", 1, md5("1")), Item("c", 1, md5("2")), Item("d", 1), Item("e", 1)]
    assert plan_of(sources, targets, rules()) == [
        ("copy", "a", "new"),
        ("copy", "c", "checksum"),
        ("copy", "d", "size"),
        ("delete", "e", "not in source"),
    ]
    assert not any(kind == "delete" for kind, *_ in plan_of([], targets, rules(delete=False)))


def test_buckets_without_a_common_checksum_are_read() -> None:
    sources, targets = [Item("a", 1, md5("1"))], [Item("a", 1)]
    assert plan_of(sources, targets, rules(same_bytes=True)) == []
    assert plan_of(sources, targets, rules()) == [("copy", "a", "content")]


def test_what_patterns_leave_out_is_not_deleted() -> None:
    how = rules(names=NameFilter(excludes=["*.tmp"]))
    assert plan_of([], [Item("a", 1), Item("x.tmp", 1)], how) == [("delete", "a", "not in source")]


def test_a_file_is_read_only_where_times_differ(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"hello")
    right, wrong = md5("5d41402abc4b2a76b9719d911017c592"), md5("0" * 32)

    def compare(stored: Item, *, checksum: bool = False) -> list[tuple[str, str]]:
        file = Item("f", 5, None, 100, str(path))
        how = rules(source_is_local=True, checksum=checksum)
        return [(kind, reason) for kind, _, reason in plan_of([file], [stored], how)]

    assert compare(Item("f", 5, wrong, 100)) == []
    assert compare(Item("f", 5, wrong, 100), checksum=True) == [("copy", "checksum")]
    assert compare(Item("f", 5, right, 100), checksum=True) == []
    assert compare(Item("f", 5, right, 0)) == [("mark", "")]
    assert compare(Item("f", 5, wrong, 99)) == [("copy", "checksum")]
    assert compare(Item("f", 5, None, 99)) == [("copy", "mtime")]
    path.unlink()
    assert compare(Item("f", 5, right, 99)) == [("refuse", "no such file or directory")]


def test_what_cannot_be_looked_at_is_neither_copied_nor_deleted() -> None:
    broken = Item("a", 0, origin=BROKEN)
    kinds = [kind for kind, *_ in plan_of([broken], [Item("a", 1)], rules(source_is_local=True))]
    assert kinds == ["refuse"]


@pytest.mark.parametrize("name", ["../x", "/etc/x", "a/../../x", "a//b", "a/.", "x" * 256])
def test_names_that_are_no_files_are_refused(name: str) -> None:
    assert [k for k, *_ in plan_of([Item(name, 1)], [], rules(target_is_local=True))] == ["refuse"]


def test_a_name_cannot_be_file_and_directory() -> None:
    names = ["a", "a-b", "a.c", "a/b", "a/b/c", "ab", "d", "d/e"]
    found = plan_of([Item(name, 1) for name in names], [], rules(target_is_local=True))
    assert [name for kind, name, _ in found if kind == "refuse"] == ["a/b", "a/b/c", "d/e"]


def test_names_that_are_no_objects_are_refused() -> None:
    found = plan_of([Item("a\udcff", 1), Item("b\n", 1)], [], rules(source_is_local=True))
    assert [(kind, name) for kind, name, _ in found] == [("refuse", "a\udcff"), ("copy", "b\n")]


def test_an_error_of_a_listing_ends_it() -> None:
    def ends_badly() -> Iterator[Item]:
        yield Item("a", 1)
        raise OSError(5, "input/output error")

    with Plan() as plan, pytest.raises(OSError, match="input/output"):
        build_plan(plan, ends_badly(), iter([Item("b", 1)]), rules())
    with Plan() as plan, pytest.raises(ProtocolError, match="not in order"):
        build_plan(plan, iter([Item("b", 1), Item("a", 1)]), iter([]), rules())


def test_steps_go_to_disk_and_come_back() -> None:
    with Plan() as plan:
        for number in range(60_000):
            plan.add(Step(COPY, f"{'n' * 80}{number}", number, "new"))
        assert plan.counts[COPY] == 60_000
        names = [step.name for step in plan.steps(COPY)]
    assert names[-1].endswith("n59999")
    assert len(names) == 60_000


NAMES = st.text(st.sampled_from("ab-./é\U0001f600￿"), min_size=1, max_size=6).filter(
    lambda name: all(part not in {"", ".", ".."} for part in name.split("/"))
)


@given(st.sets(NAMES))
def test_a_walk_is_in_the_order_of_a_listing(names: set[str]) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as root:
        made = set()
        for name in sorted(names):
            path = os.path.join(root, name)
            try:
                os.makedirs(os.path.dirname(path), exist_ok=True)
                with open(path, "xb"):
                    made.add(name)
            except (FileExistsError, NotADirectoryError, IsADirectoryError):
                continue
        assert [item.name for item in Tree(root).items()] == sorted(made)


def test_a_walk_follows_links_to_files_only(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d/f").write_bytes(b"abc")
    (tmp_path / "loop").symlink_to(tmp_path)
    (tmp_path / "link").symlink_to("d/f")
    (tmp_path / "dangling").symlink_to("nowhere")
    (tmp_path / ".ais-0011.part").write_bytes(b"x")
    os.mkfifo(tmp_path / "pipe")
    tree = Tree(str(tmp_path))
    found = {item.name: (item.size, item.origin == BROKEN) for item in tree.items()}
    assert found == {"d/f": (3, False), "link": (3, False), "dangling": (0, True)}
    assert (tree.links, tree.others, len(tree.work_files)) == (1, 1, 1)
    assert list(Tree(str(tmp_path / "none"), may_be_missing=True).items()) == []
    with pytest.raises(FileNotFoundError):
        list(Tree(str(tmp_path / "none")).items())
