"""Command lines: the grammar, old names, the environment, and what depends on what."""

import pickle
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiscore.errors import InvalidArgumentError
from aisloader.params import Params, parse
from aisloader.params.describe import command_line, listing, runtime_configuration
from aisloader.params.parser import UsageError
from aisloader.params.sections import SECTIONS, options_by_spelling, section_options
from aisloader.params.workload import decode_picks, encode_picks


def read(text: str, **environ: str) -> Params:
    return parse(text.split(), environ)


def test_the_command_line_of_the_first_example_needs_nothing_else() -> None:
    params = read("--bucket ais://b --get-batchsize 64 --epochs 3")
    assert params.bucket.ref.cname == "ais://b"
    assert params.read.get_batchsize == 64
    assert params.workload.epochs == 3
    assert params.workload.duration_ns is None
    assert params.cluster.is_embedded
    assert not params.misc.cleanup
    assert not params.notes


@pytest.mark.parametrize(
    "text",
    ["-numworkers=3", "--numworkers=3", "-numworkers 3", "--numworkers 3", "-numworkers 0x3"],
)
def test_one_dash_or_two_and_a_blank_or_an_equals_sign(text: str) -> None:
    assert read(f"-bucket=b {text}").workload.numworkers == 3


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("-cleanup", True),
        ("-cleanup=yes", True),
        ("-cleanup false", False),
        ("-cleanup=off", False),
        ("-cleanup -pctput=100", True),
        ("-cleanup=", True),
    ],
)
def test_booleans_with_and_without_a_word(text: str, value: bool) -> None:
    assert read(f"-bucket=b {text}").misc.cleanup is value


def test_a_word_after_a_boolean_does_not_swallow_the_rest() -> None:
    params = read("-bucket=b -cleanup false -pctput=100")
    assert params.workload.pctput == 100
    assert params.misc.cleanup is False


@pytest.mark.parametrize(
    "text",
    ["stray", "-bucket=b stray", "-cleanup false stray", "-- stray", "---bucket", "-", "-=3", ""],
)
def test_what_is_no_flag_is_an_error(text: str) -> None:
    with pytest.raises(UsageError):
        parse(text.split(" "), {})


def test_an_unknown_flag_names_the_nearest() -> None:
    with pytest.raises(UsageError) as caught:
        read("-get-batchsiz=3")
    assert caught.value.hint == "did you mean -get-batchsize?"


def test_a_flag_does_not_take_another_flag_for_its_value() -> None:
    with pytest.raises(UsageError, match="-bucket needs a value"):
        read("-bucket -cleanup")


def test_a_negative_number_is_a_value() -> None:
    assert read("-bucket=b -seed -5").workload.seed == -5


def test_the_last_of_a_repeated_flag_wins_and_that_is_said() -> None:
    params = read("-bucket=b -numworkers=3 -numworkers=4")
    assert params.workload.numworkers == 4
    assert any("twice" in note for note in params.notes)


@pytest.mark.parametrize(
    ("old", "section", "field", "value"),
    [
        ("-putshards=5", "naming", "num_subdirs", 5),
        ("-verify-hash", "size_cksum", "verifyhash", True),
        ("-batchsize=7", "read", "evict_batchsize", 7),
        ("-batch-size=7", "read", "evict_batchsize", 7),
        ("-objNamePrefix=p", "naming", "subdir", "p"),
        ("-arch.use", "arch", "pct", 100),
        ("-transformation=md5", "etl", "name", "transformer-md5"),
        ("-readertype=tar", "arch", "pct", 100),
        ("-uniquegets", "workload", "name_getter", "auto"),
    ],
)
def test_old_names_work_and_say_so(old: str, section: str, field: str, value: object) -> None:
    params = read(f"-bucket=b {old}")
    assert getattr(getattr(params, section), field) == value
    assert any("deprecated" in note for note in params.notes)


def test_both_spellings_of_the_soft_error_flag_are_silent() -> None:
    for name in ("cont-on-err", "continue-on-err"):
        params = read(f"-bucket=b -{name} -epochs=1")
        assert params.read.cont_on_err
        assert not params.notes


def test_every_flag_of_the_original_is_there() -> None:
    text = """
        ip port timeout tokenfile randomproxy s3endpoint s3profile s3-use-path-style bucket provider
        bprops duration numworkers epochs perm-shuffle-max pctput pctupdate maxputs totalputsize seed
        tmpdir readertype minsize maxsize cksum-type verifyhash arch.pct arch.format arch.prefix
        arch.num-files arch.minsize arch.maxsize arch.list subdir num-subdirs randomname filelist
        skiplist readoff readlen get-batchsize cont-on-err latest cached list-dirs evict-batchsize nbi
        multipart-chunks pctmultipart pctmpdstream mpdstream-workers mpdstream-chunk-size etl etl-spec
        loaderid loadernum loaderidhashlen getloaderid statsinterval stats-output json statsdip
        statsdport statsdprobe cleanup stoppable dry-run trace-http quiet
    """
    assert sorted(set(text.split()) - set(options_by_spelling())) == []


def test_there_are_twelve_sections_and_each_has_flags() -> None:
    assert len(SECTIONS) == 12
    assert all(section_options(section) for section in SECTIONS)


def test_every_help_is_one_sentence_without_full_stop() -> None:
    for section in SECTIONS:
        for each in section_options(section):
            assert each.help
            assert not each.help.endswith((".", " "))


def test_defaults_are_those_of_the_original() -> None:
    params = read("-bucket=b")
    assert params.cluster.timeout_ns == 600 * 10**9
    assert (params.size_cksum.minsize, params.size_cksum.maxsize) == (1 << 20, 1 << 30)
    assert params.workload.duration_ns == 60 * 10**9
    assert params.workload.numworkers == 10
    assert params.workload.perm_shuffle_max == 100_000
    assert params.size_cksum.cksum_type == "xxhash"
    assert params.read.evict_batchsize == 1000
    assert params.stats.interval_ns == 10 * 10**9
    assert params.arch.format == ".tar"
    assert params.naming.randomname
    assert params.workload.seed != 0
    assert params.notes == ("Duration not specified - running for 1m",)


@pytest.mark.parametrize(
    ("text", "bounds"),
    [
        ("-minsize=2GiB", (2 << 30, 2 << 30)),
        ("-minsize=1KiB", (1 << 10, 1 << 30)),
        ("-maxsize=4KiB", (4 << 10, 4 << 10)),
        ("-maxsize=4MiB", (1 << 20, 4 << 20)),
        ("-maxsize=4MiB -minsize=", (1 << 20, 4 << 20)),
        ("-minsize=0 -maxsize=0", (0, 0)),
    ],
)
def test_one_size_bound_moves_the_other(text: str, bounds: tuple[int, int]) -> None:
    sizes = read(f"-bucket=b -pctput=100 {text}").size_cksum
    assert (sizes.minsize, sizes.maxsize) == bounds


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        ("", 60 * 10**9),
        ("-epochs=1", None),
        ("-totalputsize=1 -pctput=100", None),
        ("-maxputs=1 -pctput=100", None),
        ("-duration=5s -epochs=1", 5 * 10**9),
        ("-duration=0 -epochs=1", 0),
    ],
)
def test_duration_beside_other_limits(text: str, duration: int | None) -> None:
    assert read(f"-bucket=b {text}").workload.duration_ns == duration


def test_epochs_without_reads_are_no_limit_and_that_is_said() -> None:
    params = read("-bucket=b -epochs=7 -pctput=100")
    assert params.workload.epochs == 0
    assert params.workload.duration_ns == 60 * 10**9
    assert any("-epochs" in note for note in params.notes)


@pytest.mark.parametrize(
    ("text", "no_op"),
    [("", True), ("-stoppable", False), ("-epochs=1", False), ("-maxputs=1 -pctput=100", False)],
)
def test_duration_0_alone_is_a_run_that_only_cleans_up(text: str, no_op: bool) -> None:
    params = read(f"-bucket=b -duration=0 {text}")
    assert params.is_no_op is no_op
    assert params.deadline_ns is None


@pytest.mark.parametrize(
    ("text", "environ", "endpoint"),
    [
        ("", {}, ""),
        ("-ip=host", {}, "http://host:8080"),
        ("-ip=localhost", {}, "http://localhost:8080"),
        ("-port=51080", {}, "http://localhost:51080"),
        ("-ip=https://host", {}, "https://host:8080"),
        ("-ip=https://host:9/", {}, "https://host:9"),
        ("-ip=::1", {}, "http://[::1]:8080"),
        ("", {"AIS_ENDPOINT": "host:1"}, "http://host:1"),
        ("", {"AIS_ENDPOINT": "HTTPS://host:1"}, "https://host:1"),
        ("-ip=127.0.0.1 -port=9", {"AIS_ENDPOINT": "http://host:1"}, "http://host:1"),
        ("-endpoint=http://a:2", {"AIS_ENDPOINT": "http://b:1"}, "http://a:2"),
        ("-endpoint=embedded:/data", {}, "file:///data"),
        ("-endpoint=file:///data", {}, "file:///data"),
        ("-endpoint=embedded:", {"AIS_ENDPOINT": "http://b:1"}, ""),
    ],
)
def test_where_the_load_goes(text: str, environ: dict[str, str], endpoint: str) -> None:
    params = parse(["-bucket=b", *text.split()], environ)
    assert params.cluster.endpoint == endpoint
    assert params.cluster.is_embedded is not endpoint.startswith("http")


def test_an_ignored_port_is_said() -> None:
    assert any("-port" in note for note in read("-bucket=b -port=9", AIS_ENDPOINT="h:1").notes)


@pytest.mark.parametrize(
    ("endpoint", "value", "is_said"),
    [("https://h", "true", True), ("https://h", "0", False), ("http://h", "true", False)],
)
def test_an_unverified_server_is_said(endpoint: str, value: str, is_said: bool) -> None:
    params = read("-bucket=b", AIS_ENDPOINT=endpoint, AIS_SKIP_VERIFY_CRT=value)
    assert any("AIS_SKIP_VERIFY_CRT" in note for note in params.notes) is is_said


@pytest.mark.parametrize(
    ("text", "cname"),
    [
        ("-bucket=b", "ais://b"),
        ("-bucket=ais://b", "ais://b"),
        ("-bucket=s3://b", "s3://b"),
        ("-bucket=b -provider=gcp", "gs://b"),
        ("-bucket=gs://b -provider=gcp", "gs://b"),
        ("-bucket=gs://b -provider=ais", "gs://b"),
        ("-bucket=ais://#ns/b", "ais://#ns/b"),
        ("-bucket=ais://@id#ns/b", "ais://@id#ns/b"),
    ],
)
def test_buckets_and_their_uris(text: str, cname: str) -> None:
    assert read(text).bucket.ref.cname == cname


def test_a_bucket_that_is_not_named_is_drawn() -> None:
    first, second = (read("-pctput=100 -maxputs=1") for _ in range(2))
    assert first.bucket.is_generated
    assert len(first.bucket.bucket) == 8
    assert first.bucket.bucket != second.bucket.bucket


@pytest.mark.parametrize(
    ("text", "props"),
    [
        ('{"ec":{"enabled":true}}', {"ec": {"enabled": True}}),
        ('"ec":{"enabled":true},', {"ec": {"enabled": True}}),
        ('"mirror":{"copies":2,},', {"mirror": {"copies": 2}}),
        ("", {}),
    ],
)
def test_braces_and_trailing_commas_of_bucket_properties(text: str, props: object) -> None:
    assert parse(["-bucket=b", f"-bprops={text}"], {}).bucket.props == props


@pytest.mark.parametrize(
    "text",
    ["{", "[1]", '"mirror":{"enabled":true,"copies":3}', '"ec":{"enabled":true,"data_slices":33}'],
)
def test_bucket_properties_that_cannot_be(text: str) -> None:
    with pytest.raises(InvalidArgumentError, match="-bprops"):
        parse(["-bucket=b", f"-bprops={text}"], {})


@pytest.mark.parametrize(
    ("text", "bits", "number"),
    [
        ("-loadernum=1", 4, 0),
        ("-loadernum=2 -loaderid=1", 4, 1),
        ("-loadernum=15", 4, 0),
        ("-loadernum=16", 4, 0),
        ("-loadernum=17", 8, 0),
        ("-loadernum=255", 8, 0),
        ("-loadernum=256 -loaderid=255", 8, 255),
        ("-loadernum=257", 12, 0),
        ("-loaderidhashlen=8 -loaderid=loaderstring", 8, 0xDB),
        ("-loaderidhashlen=5 -loaderid=loaderstring", 8, 0xDB),
        ("", 0, 0),
    ],
)
def test_loader_ids(text: str, bits: int, number: int) -> None:
    params = read(f"-bucket=b {text}")
    assert (params.loader.mask_bits, params.loader.number) == (bits, number)
    assert params.naming.randomname is (bits == 0)


@pytest.mark.parametrize(
    "text",
    [
        "-bucket=ais://b -pctput=100 -maxsize=1MiB -duration=90s -rate=5/s -warmup=1s",
        "-bucket=b -provider=gcp -epochs=3 -cached",
        "-bucket=ais://@id#ns/b -ip=::1 -port=9 -max-errors=1% -randomname=false",
        "-bucket=b -endpoint=embedded:/x -arch.pct=5 -arch.minsize=1 -minsize=1MiB -etl=",
        "-bucket=b -etl=md5 -loadernum=5 -loaderid=4 -statsinterval=2",
    ],
)
def test_a_run_can_be_repeated_from_what_it_says_of_itself(text: str) -> None:
    params = read(text)
    again = parse(command_line(params), {})
    for section in SECTIONS:
        assert getattr(again, section) == getattr(params, section)


@given(st.lists(st.integers(0, 2**63 - 1), max_size=50))
def test_picks_to_resume_from_read_back(picks: list[int]) -> None:
    assert decode_picks(encode_picks(picks)) == tuple(picks)


def test_parameters_travel_between_processes() -> None:
    params = read("-bucket=b -epochs=2")
    assert pickle.loads(pickle.dumps(params)) == params


def test_the_listing_tells_defaults_from_what_was_set() -> None:
    defaults, custom = listing(read("-bucket=b -epochs=2"))
    assert dict(custom) == {"bucket": "b", "epochs": "2"}
    assert dict(defaults)["minsize"] == "1MiB"


def test_the_runtime_configuration_has_the_originals_keys_in_order() -> None:
    params = read(
        "-bucket=b -pctput=50 -arch.pct=10 -arch.prefix=p/ -arch.num-files=5 -totalputsize=1GiB "
        "-duration=1m -cleanup -pctmpdstream=0"
    )
    shown = runtime_configuration(params, "random non-unique", "file:///x")
    assert [key for key in shown if key != "seed"] == [
        "proxy",
        "bucket",
        "duration",
        "# workers",
        "stats interval",
        "% PUT",
        "minimum object size (bytes)",
        "maximum object size (bytes)",
        "PUT upper bound",
        "archive (shards)",
        "name-getter",
        "reader-type",
        "cleanup",
    ]
    assert list(shown["archive (shards)"]) == [
        "% workload",
        "format",
        "prefix",
        "files per shard",
        "minimum file size",
        "maximum file size",
    ]


_WORDS = st.one_of(
    st.sampled_from([f"-{name}" for name in options_by_spelling()]),
    st.builds("-{}={}".format, st.sampled_from(sorted(options_by_spelling())), st.text(max_size=8)),
    st.text(max_size=8),
)


@given(st.lists(_WORDS, max_size=5))
def test_no_command_line_crashes(words: list[str]) -> None:
    with suppress(InvalidArgumentError):
        assert parse(words, {}).workload.seed
