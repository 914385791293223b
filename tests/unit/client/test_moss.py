"""GetBatch messages: their JSON, the published client's models, and the engine's values."""

import base64
import copy
import json
import pickle

import pytest
from aistore.sdk.batch import types as published  # type: ignore[import-untyped]
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from aiscore.client import MossIn, MossOut, MossReq, MossResp
from aiscore.errors import AisError, InvalidArgumentError
from aiscore.model.archive import ArchiveFormat
from aiscore.model.batch import BatchEntry, BatchRequest, BatchResult
from aiscore.model.bucket import BucketRef, Namespace, Provider
from aiscore.testing.strategies import bucket_names, member_names, object_names

BUCKET = BucketRef("bucket")
SCOPED = BucketRef("bucket", namespace=Namespace("uuid", "ns"))
CLOUD = BucketRef("bucket", Provider.AWS)

opaques = st.none() | st.binary(max_size=50)
entries = st.builds(
    BatchEntry,
    name=object_names(),
    bucket=st.builds(
        BucketRef,
        bucket_names(),
        st.sampled_from(Provider),
        st.sampled_from([Namespace(), Namespace("", "ns"), Namespace("uuid", "ns")]),
    ),
    archpath=st.none() | member_names(),
    opaque=opaques,
    start=st.integers(0, 2**40),
    length=st.integers(-1, 2**40),
)
requests = st.builds(
    BatchRequest,
    entries=st.lists(entries, min_size=1, max_size=5),
    output_format=st.sampled_from(ArchiveFormat),
    cont_on_err=st.booleans(),
    only_obj_name=st.booleans(),
    streaming=st.booleans(),
)


def wire(model: BaseModel) -> object:
    """A message as it is sent."""
    return json.loads(model.model_dump_json(by_alias=True, exclude_none=True))


class TestJson:
    def test_names_are_those_of_the_wire(self) -> None:
        moss_in = MossIn(
            objname="o",
            bucket="b",
            provider="ais",
            uname="ais/@#/b/o",
            archpath="m",
            opaque="YQ==",
            start=1,
            length=2,
        )
        request = MossReq.model_validate(
            {"in": [moss_in], "mime": ".zip", "coer": True, "onob": False, "strm": True}
        )
        assert wire(request) == {
            "in": [
                {
                    "objname": "o",
                    "bucket": "b",
                    "provider": "ais",
                    "uname": "ais/@#/b/o",
                    "archpath": "m",
                    "opaque": "YQ==",
                    "start": 1,
                    "length": 2,
                }
            ],
            "mime": ".zip",
            "coer": True,
            "onob": False,
            "strm": True,
        }
        out = MossOut(objname="o", bucket="b", provider="ais", opaque=b"a", err_msg="no", size=0)
        assert wire(MossResp(out=[out], uuid="id")) == {
            "out": [
                {
                    "objname": "o",
                    "bucket": "b",
                    "provider": "ais",
                    "opaque": "YQ==",
                    "err_msg": "no",
                    "size": 0,
                }
            ],
            "uuid": "id",
        }

    def test_python_names_are_taken_too(self) -> None:
        moss_in = MossIn.model_validate({"obj_name": "o", "bck": "b"})
        assert (moss_in.obj_name, moss_in.bck) == ("o", "b")
        request = MossReq.model_validate({"moss_in": [moss_in], "output_format": ".tgz"})
        assert request.as_dict() == {"in": [{"objname": "o", "bucket": "b"}], "mime": ".tgz"}

    def test_fields_of_newer_versions_are_ignored(self) -> None:
        request = MossReq.model_validate_json('{"in": [{"objname": "o", "new": 1}], "coloc": 2}')
        assert request.as_dict() == {"in": [{"objname": "o"}]}

    def test_defaults_stay_at_home(self) -> None:
        assert MossReq().as_dict() == {}
        assert MossIn(objname="o").as_dict() == {"objname": "o"}

    @pytest.mark.parametrize("text", ["+/+/", "-_-_", "-_+/", "YQ==", "YQ", " YQ== "])
    def test_opaque_is_read_in_both_alphabets(self, text: str) -> None:
        data = base64.urlsafe_b64decode(
            text.strip().ljust(4, "=").replace("+", "-").replace("/", "_")
        )
        standard = base64.b64encode(data).decode()
        assert MossIn(objname="o", opaque=text).opaque == standard
        document = {"objname": "o", "bucket": "b", "provider": "ais", "opaque": text}
        out = MossOut.model_validate_json(json.dumps(document))
        assert out.opaque == data
        assert json.loads(out.model_dump_json())["opaque"] == standard

    @pytest.mark.parametrize("text", ["a", "a b", "é", "YQ==YQ=="])
    def test_opaque_that_is_no_base64_is_refused(self, text: str) -> None:
        with pytest.raises(ValidationError, match="opaque"):
            MossIn(objname="o", opaque=text)
        with pytest.raises(ValidationError, match="opaque"):
            MossOut.model_validate(
                {"objname": "o", "bucket": "b", "provider": "ais", "opaque": text}
            )

    def test_a_message_without_object_name_is_refused(self) -> None:
        with pytest.raises(ValidationError, match="objname"):
            MossIn.model_validate({"bucket": "b"})

    def test_requests_are_built_in_steps(self) -> None:
        request = MossReq().add(MossIn(objname="a")).extend([MossIn(objname="b")])
        assert [moss_in.obj_name for moss_in in request.moss_in] == ["a", "b"]


class TestPublishedClient:
    """The same JSON means the same to the models of the `aistore` package."""

    @given(requests)
    def test_request_goes_there_and_back(self, request: BatchRequest) -> None:
        ours = MossReq.from_request(request)
        theirs = published.MossReq.model_validate_json(ours.model_dump_json(by_alias=True))
        dumped = theirs.model_dump(by_alias=True)
        assert dumped.pop("coloc") is None  # newer than the protocol version here
        assert dumped == ours.model_dump(by_alias=True)
        assert theirs.dict() == ours.as_dict()
        again = MossReq.model_validate_json(theirs.model_dump_json(by_alias=True))
        assert again == ours

    @given(entries, st.none() | st.text(max_size=20), st.integers(0, 2**40))
    def test_response_goes_there_and_back(
        self, entry: BatchEntry, error: str | None, size: int
    ) -> None:
        entry = entry._replace(opaque=entry.opaque or None)  # theirs reads an empty one as None
        ours = MossResp.from_results(
            [BatchResult(entry, entry.bucket or BUCKET, "x", size, error)], "id"
        )
        theirs = published.MossResp.model_validate_json(ours.model_dump_json(by_alias=True))
        assert theirs.model_dump(by_alias=True) == ours.model_dump(by_alias=True)
        assert theirs.out[0].opaque == entry.opaque

    @given(st.binary(max_size=50))
    def test_their_opaque_is_read(self, data: bytes) -> None:
        for text in (base64.b64encode(data).decode(), base64.urlsafe_b64encode(data).decode()):
            theirs = published.MossIn(objname="o", opaque=text)
            ours = MossIn.model_validate_json(theirs.model_dump_json(by_alias=True))
            assert ours.to_entry().opaque == data

    def test_attributes_have_the_same_names(self) -> None:
        for ours, theirs in (
            (MossIn, published.MossIn),
            (MossOut, published.MossOut),
            (MossReq, published.MossReq),
            (MossResp, published.MossResp),
        ):
            newer = {"colocation"}
            assert set(ours.model_fields) == set(theirs.model_fields) - newer
            for name, field in ours.model_fields.items():
                alias = field.alias or name
                assert alias == (theirs.model_fields[name].alias or name)


class TestValues:
    @given(requests)
    def test_request_survives_as_a_message(self, request: BatchRequest) -> None:
        message = MossReq.model_validate_json(
            MossReq.from_request(request).model_dump_json(by_alias=True)
        )
        again = message.to_request()
        assert list(again.entries) == list(request.entries)
        assert again == request

    def test_entries_get_the_bucket_of_the_request(self) -> None:
        request = BatchRequest(entries=[BatchEntry("a"), BatchEntry("b", CLOUD)], bucket=BUCKET)
        first, second = MossReq.from_request(request).moss_in
        assert (first.bck, first.provider, first.uname) == ("bucket", "ais", None)
        assert (second.bck, second.provider, second.uname) == ("bucket", "aws", None)

    def test_a_namespace_needs_the_uname(self) -> None:
        moss_in = MossIn.from_entry(BatchEntry("dir/o", SCOPED))
        assert moss_in.uname == "ais/@uuid#ns/bucket/dir/o"
        assert moss_in.to_entry().bucket == SCOPED

    def test_uname_wins(self) -> None:
        moss_in = MossIn(objname="o", bucket="other", provider="gcp", uname="aws/@#/bucket/")
        assert moss_in.to_entry().bucket == CLOUD

    def test_bucket_without_provider_is_of_ais(self) -> None:
        assert MossIn(objname="o", bucket="bucket").to_entry().bucket == BUCKET
        assert MossIn(objname="o").to_entry().bucket is None

    @pytest.mark.parametrize(
        "fields",
        [
            {"uname": "bucket"},
            {"uname": "ais/bucket/o"},
            {"uname": "nfs/@#/bucket/o"},
            {"bucket": "b/d"},
            {"bucket": "b", "provider": "nfs"},
        ],
    )
    def test_bad_buckets_are_refused(self, fields: dict[str, str]) -> None:
        moss_in = MossIn.model_validate({"objname": "o", **fields})
        with pytest.raises(InvalidArgumentError):
            moss_in.to_entry()

    def test_empty_message_is_no_request(self) -> None:
        with pytest.raises(AisError, match="empty"):
            MossReq().to_request(BUCKET)

    def test_result_tells_missing_from_empty(self) -> None:
        empty = MossOut.from_result(BatchResult(BatchEntry("o"), BUCKET, "bucket/o", 0))
        missing = MossOut.from_result(BatchResult(BatchEntry("o"), BUCKET, "x", 0, "gone"))
        assert (empty.size, empty.err_msg) == (0, None)
        assert (missing.size, missing.err_msg) == (0, "gone")
        full = MossOut.from_result(
            BatchResult(BatchEntry("s.tar", CLOUD, "m", b"\xff"), CLOUD, "bucket/s.tar/m", 5)
        )
        assert (full.obj_name, full.archpath, full.bucket) == ("s.tar", "m", "bucket")
        assert (full.provider, full.opaque, full.size) == ("aws", b"\xff", 5)

    def test_result_is_a_model_like_any_other(self) -> None:
        # It is put together by hand; a validated one is the measure of what that must give.
        result = BatchResult(BatchEntry("s.tar", CLOUD, "m", b"\xff"), CLOUD, "x", 5, "gone")
        quick = MossOut.from_result(result)
        slow = MossOut(
            objname="s.tar",
            archpath="m",
            bucket="bucket",
            provider="aws",
            opaque=b"\xff",
            err_msg="gone",
            size=5,
        )
        assert quick == slow
        assert repr(quick) == repr(slow)
        assert quick.model_fields_set == slow.model_fields_set
        assert quick.model_dump_json(by_alias=True) == slow.model_dump_json(by_alias=True)
        for again in (
            pickle.loads(pickle.dumps(quick)),
            copy.deepcopy(quick),
            quick.model_copy(),
            MossOut.model_validate_json(quick.model_dump_json(by_alias=True)),
        ):
            assert again == slow
        changed = quick.model_copy(update={"size": 6})
        changed.err_msg = None
        assert (quick.size, quick.err_msg) == (5, "gone")
        assert MossOut.from_result(result) == slow
