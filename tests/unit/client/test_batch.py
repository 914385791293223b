"""Building batches: no store needed."""

import time
from collections.abc import Callable, Iterable

import pytest

from aiscore import Client, MossIn, MossOut, Object
from aiscore.client import Batch, Bucket, EmptyBatchError, UsageError
from aiscore.errors import AisError, InvalidArgumentError
from aiscore.model.batch import BatchEntry, BatchResult
from aiscore.model.bucket import BucketRef


@pytest.fixture
def client() -> Client:
    return Client("file:///does/not/matter")


@pytest.fixture
def bucket(client: Client) -> Bucket:
    return client.bucket("bucket")


def names_of(batch: Batch) -> list[str]:
    return [moss_in.obj_name for moss_in in batch.requests_list]


class TestObjects:
    def test_every_form_of_objects_is_taken(self, client: Client, bucket: Bucket) -> None:
        one, two = bucket.object("a"), bucket.object("b")
        forms: list[tuple[Object | str | Iterable[Object | str] | None, list[str]]] = [
            (None, []),
            ("a", ["a"]),
            (["a", "b"], ["a", "b"]),
            (("a", "b"), ["a", "b"]),
            ((name for name in "ab"), ["a", "b"]),
            (one, ["a"]),
            ([one, two], ["a", "b"]),
            ([one, "b"], ["a", "b"]),
            ([], []),
        ]
        for objects, expected in forms:
            batch = client.batch(objects, bucket=bucket)
            assert names_of(batch) == expected
            assert len(batch) == len(expected)

    def test_objects_bring_their_bucket(self, client: Client, bucket: Bucket) -> None:
        batch = client.batch([bucket.object("a"), client.bucket("c", "s3").object("b")])
        assert [(m.bck, m.provider) for m in batch.requests_list] == [
            ("bucket", "ais"),
            ("c", "aws"),
        ]

    def test_name_without_bucket_says_what_to_do(self, client: Client) -> None:
        builds: list[Callable[[], object]] = [
            lambda: client.batch("o.jpg"),
            lambda: client.batch(["o.jpg"]),
            lambda: client.batch().add("o.jpg"),
            lambda: client.batch().add_many(["o.jpg"]),
        ]
        for build in builds:
            with pytest.raises(UsageError, match=r"o\.jpg.*bucket=client\.bucket\(NAME\)"):
                build()

    def test_other_types_are_refused(self, client: Client, bucket: Bucket) -> None:
        batch = client.batch(bucket=bucket)
        for bad in (7, b"o", None):
            with pytest.raises(ValueError, match="expected an object or its name"):
                batch.add(bad)  # type: ignore[arg-type]
            with pytest.raises(ValueError, match="expected an object or its name"):
                batch.add_many(["good", bad])  # type: ignore[list-item]
        assert len(batch) == 0


class TestAdd:
    def test_add_can_be_chained(self, client: Client, bucket: Bucket) -> None:
        batch = client.batch(bucket=bucket).add("a").add(bucket.object("b"), archpath="m")
        assert batch.add("c", opaque=b"\xff", start=3, length=-1) is batch
        assert [m.as_dict() for m in batch.requests_list] == [
            {"objname": "a", "bucket": "bucket", "provider": "ais"},
            {"objname": "b", "bucket": "bucket", "provider": "ais", "archpath": "m"},
            {
                "objname": "c",
                "bucket": "bucket",
                "provider": "ais",
                "opaque": "/w==",
                "start": 3,
                "length": -1,
            },
        ]

    @pytest.mark.parametrize(("start", "length"), [(-1, 5), (0, -2), (3, 0), (3, None), (-1, None)])
    def test_bad_ranges_are_refused(
        self, client: Client, bucket: Bucket, start: int, length: int | None
    ) -> None:
        batch = client.batch(bucket=bucket)
        with pytest.raises(UsageError, match="range"):
            batch.add("o", start=start, length=length)
        with pytest.raises(UsageError, match="range"):
            batch.add_many(["p", "o"], starts=[0, start], lengths=[0, length or 0])
        assert len(batch) == 0

    def test_add_many_equals_add(self, client: Client, bucket: Bucket) -> None:
        names = ["a", "b", "c"]
        one, many = client.batch(bucket=bucket), client.batch(bucket=bucket)
        for i, name in enumerate(names):
            one.add(name)
            one.add(name, b"t", f"m{i}", i, 5)
        many.add_many(names)
        many.add_many(
            names,
            archpaths=[f"m{i}" for i in range(3)],
            opaques=[b"t"] * 3,
            starts=range(3),
            lengths=[5] * 3,
        )
        key = MossIn.model_dump_json
        assert sorted(map(key, one.requests_list)) == sorted(map(key, many.requests_list))

    def test_add_many_out_of_one_shard(self, client: Client, bucket: Bucket) -> None:
        batch = client.batch(bucket=bucket)
        batch.add_many("s.tar", archpaths=["a", "b"])
        batch.add_many(bucket.object("t.tar"), archpaths=iter(["c"]))
        batch.add_many("single")
        assert [(m.obj_name, m.archpath) for m in batch.requests_list] == [
            ("s.tar", "a"),
            ("s.tar", "b"),
            ("t.tar", "c"),
            ("single", None),
        ]
        assert len(batch.clear().add_many("s.tar", archpaths=[])) == 0

    def test_add_many_with_arguments_of_other_lengths(self, client: Client, bucket: Bucket) -> None:
        batch = client.batch(bucket=bucket)
        with pytest.raises(UsageError, match="expected 2 values"):
            batch.add_many(["a", "b"], archpaths=["m"])
        with pytest.raises(UsageError, match="expected 3 values"):
            batch.add_many("s.tar", archpaths=["m"] * 3, opaques=[None] * 2)
        with pytest.raises(UsageError):
            batch.add_many([], archpaths=["m"])
        assert len(batch) == 0

    def test_add_many_does_not_keep_the_list(self, client: Client, bucket: Bucket) -> None:
        names = ["a"]
        batch = client.batch(names, bucket=bucket)
        names.append("b")
        assert names_of(batch) == ["a"]


class TestBatch:
    def test_request_is_a_snapshot(self, client: Client, bucket: Bucket) -> None:
        batch = client.batch(["a"], bucket, ".tgz", False, True, False)
        request = batch.request
        assert request.as_dict() == {
            "in": [{"objname": "a", "bucket": "bucket", "provider": "ais"}],
            "mime": ".tgz",
            "coer": False,
            "onob": True,
            "strm": False,
        }
        request.moss_in.clear()
        assert len(batch) == 1
        assert batch.bucket is bucket

    @pytest.mark.parametrize("output_format", [".tar", "tar", ".tar.gz", ".tgz", "zip", ".tar.lz4"])
    def test_output_formats(self, client: Client, bucket: Bucket, output_format: str) -> None:
        assert output_format.lstrip(".")[:2] in repr(
            client.batch(bucket=bucket, output_format=output_format)
        ).replace("tgz", "tar tgz")

    def test_unknown_output_format_is_a_value_error(self, client: Client, bucket: Bucket) -> None:
        with pytest.raises(ValueError, match="rar"):
            client.batch(bucket=bucket, output_format=".rar")

    def test_empty_batch_is_refused_as_ours_and_as_a_value_error(
        self, client: Client, bucket: Bucket
    ) -> None:
        batch = client.batch(bucket=bucket)
        for error in (EmptyBatchError, ValueError, InvalidArgumentError, AisError):
            with pytest.raises(error, match="no objects in the batch"):
                batch.get()
        with pytest.raises(EmptyBatchError):
            batch.get(raw=True)
        with pytest.raises(EmptyBatchError):
            list(batch)

    def test_clear_and_repr(self, client: Client, bucket: Bucket) -> None:
        batch = client.batch(["a", "b"], bucket=bucket)
        assert repr(batch) == "Batch(objects=2, format='.tar')"
        assert batch.clear() is batch
        assert len(batch) == 0


class TestCost:
    """Upper bounds with room for a slow machine: what they catch is work that does not belong there."""

    def test_adding_thousands_costs_next_to_nothing(self, client: Client, bucket: Bucket) -> None:
        names = [f"train/shard-{i:06d}.tar" for i in range(4096)]
        batch = client.batch(bucket=bucket)
        assert _best(lambda: batch.clear().add_many(names)) < 0.004
        assert _best(lambda: batch.clear().add_many(names, archpaths=names)) < 0.004
        assert len(batch) == 4096

    def test_describing_thousands_of_results_costs_little(self) -> None:
        ref = BucketRef("bucket")
        results = [BatchResult(BatchEntry(f"o-{i}"), ref, f"bucket/o-{i}", i) for i in range(4096)]
        assert _best(lambda: [MossOut.from_result(result) for result in results]) < 0.040


def _best(run: Callable[[], object]) -> float:
    times = []
    for _ in range(9):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return min(times)
