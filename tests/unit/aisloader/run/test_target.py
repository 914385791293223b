from collections.abc import Iterator
from pathlib import Path

import pytest

from aiscore.errors import InvalidArgumentError, UnsupportedError
from aiscore.model.bucket import BucketRef
from aiscore.transport import MemberInput, Transport, open_transport
from aisloader.available import check_target
from aisloader.names import FileNames
from aisloader.params import Params, parse
from aisloader.target import (
    TargetState,
    changes_of,
    clean_up,
    found_line,
    prepare_bucket,
    read_names,
)

BUCKET = BucketRef("b")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Transport]:
    with open_transport(str(tmp_path / "home")) as transport:
        yield transport


def params(*flags: str) -> Params:
    return parse(["-bucket=ais://b", "-cleanup=false", *flags], {})


def listed(store: Transport, tmp_path: Path, *flags: str) -> tuple[list[tuple[str, str, int]], str]:
    state = TargetState()
    names = read_names(store, params(*flags), state, str(tmp_path / "names"), print)
    assert isinstance(names, FileNames)
    found = [(*names.entry(index), names.size(index)) for index in range(len(names))]
    names.close()
    names.remove()
    return found, found_line(state)


def fill(store: Transport) -> None:
    store.create_bucket(BUCKET)
    for name in ("a/1", "a/2", "ab", "c"):
        store.put(BUCKET, name, b"12345")
    store.put_members(BUCKET, "a/s.tar", [MemberInput("x/y", 3, b"abc"), MemberInput("z", 1, b"d")])


def test_a_listing_gives_names_and_sizes(store: Transport, tmp_path: Path) -> None:
    fill(store)
    found, line = listed(store, tmp_path)
    assert [name for name, _, _ in found] == ["a/1", "a/2", "a/s.tar", "ab", "c"]
    assert found[0] == ("a/1", "", 5)
    assert line == "Found 5 existing objects"


def test_a_directory_is_a_prefix_that_ends_there(store: Transport, tmp_path: Path) -> None:
    fill(store)
    found, _ = listed(store, tmp_path, "-subdir=a")
    assert [name for name, _, _ in found] == ["a/1", "a/2", "a/s.tar"]


def test_files_of_shards_stand_for_the_shards(store: Transport, tmp_path: Path) -> None:
    fill(store)
    found, line = listed(store, tmp_path, "-arch.list", "-subdir=a")
    assert found == [("a/1", "", 5), ("a/2", "", 5), ("a/s.tar", "x/y", 3), ("a/s.tar", "z", 1)]
    assert line == "Found 2 plain objects and 2 archived files (50% archived)"


def test_the_counts_of_a_listing() -> None:
    assert found_line(TargetState(plain=1234)) == "Found 1,234 existing objects"
    assert found_line(TargetState(archived=1234)) == "Found 1,234 archived files"


def test_nothing_to_read_is_an_error_that_leaves_no_files(store: Transport, tmp_path: Path) -> None:
    fill(store)
    with pytest.raises(InvalidArgumentError, match="ais://b/none has no objects"):
        listed(store, tmp_path, "-subdir=none")
    with pytest.raises(InvalidArgumentError, match="-get-batchsize=9 is more than the 5 names"):
        listed(store, tmp_path, "-get-batchsize=9")
    assert [path.name for path in tmp_path.iterdir()] == ["home"]


def test_a_bucket_is_made_for_writes_only(store: Transport) -> None:
    with pytest.raises(InvalidArgumentError, match="does not exist"):
        prepare_bucket(store, params())
    assert store.list_buckets() == []
    assert prepare_bucket(store, params("-pctput=100")).created
    assert not prepare_bucket(store, params("-pctput=100")).created


def test_properties_are_applied_or_the_new_bucket_goes_again(store: Transport) -> None:
    prepare_bucket(store, params("-pctput=100", '-bprops={"versioning":{"enabled":false}}'))
    assert not store.head_bucket(BUCKET).versioning.enabled
    store.destroy_bucket(BUCKET)
    with pytest.raises(InvalidArgumentError):
        prepare_bucket(store, params("-pctput=100", '-bprops={"no":{"such":1}}'))
    assert store.list_buckets() == []


def test_properties_are_flattened() -> None:
    assert changes_of({"mirror": {"enabled": True, "copies": 2}, "x": "y"}) == {
        "mirror.enabled": "true",
        "mirror.copies": "2",
        "x": "y",
    }


def test_cleaning_up_destroys_the_bucket_and_may_be_repeated(store: Transport) -> None:
    fill(store)
    said: list[str] = []
    clean_up(store, params(), said.append)
    clean_up(store, params(), said.append)
    assert store.list_buckets() == []
    assert said[0] == "destroying bucket ais://b"


@pytest.mark.parametrize("flag", ["-etl=md5", "-nbi", "-randomproxy"])
def test_what_no_store_can_do_is_refused_by_name(flag: str) -> None:
    with pytest.raises(UnsupportedError, match=flag.partition("=")[0]):
        check_target(params("-bucket=s3://b", flag))
