import json

import msgspec
import pytest
from aistore.sdk.types import ActionMsg  # type: ignore[import-untyped]

from aiscore.errors import InvalidArgumentError, UnsupportedError
from aiscore.model.archive import ArchiveFormat
from aiscore.model.bucket import BucketRef, Provider
from aiscore.model.objects import (
    ArchiveOptions,
    BucketSummary,
    CopyOptions,
    PromoteOptions,
    Selection,
)
from aiscore.wire.messages import (
    ArchiveMsg,
    Bck,
    CopyMsg,
    CopyObjectsMsg,
    ListRange,
    PromoteMsg,
    archive_msg,
    archive_options,
    bck_of,
    bck_ref,
    copy_msg,
    copy_options,
    decode_action,
    decode_json,
    decode_value,
    encode_action,
    encode_json,
    promote_msg,
    promote_options,
    selection_msg,
    selection_of,
)
from aiscore.wire.summaries import BsummMsg, decode_summary, encode_summary

BUCKET = BucketRef("b")


def test_action_messages() -> None:
    body = encode_action("copy-bck", "n", {"a": 1})
    assert ActionMsg.model_validate_json(body).value == {"a": 1}
    found = decode_action(body)
    assert (found.action, found.name, decode_json(found.value)) == ("copy-bck", "n", {"a": 1})
    assert decode_action(b'{"ACTION":"x","Value":null,"other":[]}').action == "x"
    for empty in (b"", b"null", b"{}", b'{"value":null}'):
        assert not decode_action(empty).has_value
    for bad in (b"[]", b"{", b'{"action":1}', b"\xff", b"[" * 100_000):
        with pytest.raises(InvalidArgumentError):
            decode_action(bad)


def test_values_in_any_case_and_numbers_as_text() -> None:
    found = decode_value(
        b'{"PREPEND":"p","Dry_Run":true,"num-workers":"7","ext":null,"objnames":["a"],'
        b'"ToBck":{"Name":"c","PROVIDER":"aws","namespace":null},"x":{}}',
        CopyObjectsMsg,
    )
    assert (found.prepend, found.dry_run, found.workers) == ("p", True, 7)
    assert found.names == ["a"]
    assert bck_ref(found.target) == BucketRef("c", Provider.AWS)
    assert decode_value(b"null", BsummMsg) == BsummMsg()
    assert decode_value(msgspec.Raw(b""), BsummMsg) == BsummMsg()
    for bad in (b"[]", b'{"prefix":1}', b'{"prefix":', b"7"):
        with pytest.raises(InvalidArgumentError):
            decode_value(bad, BsummMsg)


def test_what_is_written_has_upstreams_keys() -> None:
    assert msgspec.to_builtins(ListRange(names=["a"])) == {
        "objnames": ["a"],
        "template": "",
        "num-workers": 0,
        "coer": False,
        "non-recurs": False,
    }
    assert {"ext", "latest-ver", "id", "coer", "prepend", "synchronize"} <= set(
        msgspec.to_builtins(CopyMsg())
    )
    assert {"tobck", "archname", "bnonly", "isbn", "aate"} <= set(msgspec.to_builtins(ArchiveMsg()))


@pytest.mark.parametrize(
    "selection",
    [
        Selection(names=("a", "b")),
        Selection(template="a-{0..9}"),
        Selection(prefix="a/b"),
        Selection(everything=True),
    ],
)
def test_selections_come_back(selection: Selection) -> None:
    found = decode_value(encode_json(selection_msg(selection)), ListRange)
    assert selection_of(found.names, found.template) == selection


def test_no_names_is_never_everything() -> None:
    with pytest.raises(InvalidArgumentError):
        selection_msg(Selection(names=()))
    assert selection_of([], "") == Selection(names=())
    for prefix in ("a{b", "a@1", "a%d", "a*"):
        with pytest.raises(UnsupportedError):
            selection_msg(Selection(prefix=prefix))
    with pytest.raises(InvalidArgumentError):
        selection_of(["a"], "b")


def test_options_come_back() -> None:
    copied = CopyOptions(prefix="p", prepend="q/", dry_run=True)
    assert copy_options(decode_value(encode_json(copy_msg(copied)), CopyMsg)) == copied
    packed = ArchiveOptions(
        output_format=ArchiveFormat.ZIP, append=True, include_bucket=True, cont_on_err=True
    )
    message = decode_value(
        encode_json(archive_msg(Selection(names=("a",)), BUCKET, "s.zip", packed)), ArchiveMsg
    )
    assert archive_options(message) == packed
    assert (bck_ref(message.target), message.shard) == (BUCKET, "s.zip")
    promoted = PromoteOptions(recursive=True, overwrite=True)
    found = decode_value(encode_json(promote_msg("/p", "n", promoted)), PromoteMsg)
    assert promote_options(found) == promoted
    assert (found.path, found.name) == ("/p", "n")


def test_buckets() -> None:
    assert bck_ref(bck_of(BUCKET)) == BUCKET
    assert bck_of(None) == Bck()
    assert bck_ref(Bck()) is None


def test_summary_comes_back() -> None:
    summary = BucketSummary(
        bucket=BUCKET,
        object_count=3,
        size=9,
        size_min=1,
        size_avg=3,
        size_max=5,
        size_on_disk=2**60,
        disk_total=2**62,
    )
    encoded = encode_summary(summary)
    assert encoded["ObjCount"] == {"obj_count_present": "3", "obj_count_remote": "0"}
    assert encoded["used_pct"] == 25
    assert decode_summary(json.dumps([encoded]).encode(), BUCKET) == summary
    assert decode_summary(json.dumps(encoded).encode(), BUCKET) == summary
