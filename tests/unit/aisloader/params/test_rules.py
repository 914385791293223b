"""Ranges, and combinations of flags that cannot work."""

import pytest

from aiscore.errors import InvalidArgumentError
from aisloader.params import Params, parse


def read(text: str) -> Params:
    return parse(text.split(), {})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        # of one flag
        ("-maxsize=1 -minsize=2", r"-maxsize \(1B\) is below -minsize \(2B\)"),
        ("-pctput=101", "-pctput 101"),
        ("-pctput=-1", "-pctput -1"),
        ("-pctupdate=101 -pctput=7", "-pctupdate 101"),
        ("-multipart-chunks=-1", "-multipart-chunks -1"),
        ("-pctmultipart=101", "-pctmultipart 101"),
        ("-mpdstream-workers=-1", "-mpdstream-workers -1"),
        ("-pctmpdstream=101", "-pctmpdstream 101"),
        ("-get-batchsize=-1", "-get-batchsize -1"),
        ("-get-batchsize=1001", "-get-batchsize 1001"),
        ("-numworkers=0", "-numworkers 0"),
        ("-numworkers=-1", "-numworkers -1"),
        ("-evict-batchsize=0", "-evict-batchsize 0"),
        ("-num-subdirs=100000", "-num-subdirs 100000"),
        ("-cksum-type=sha1", "-cksum-type"),
        ("-readertype=disk", "-readertype"),
        ("-subdir=/a", "-subdir"),
        ("-subdir=a/../../b", "-subdir"),
        ("-statsdport=0", "-statsdport 0"),
        ("-port=http", "-port"),
        ("-provider=nfs", "nfs"),
        # loaders
        ("-loaderid=", "-loaderid must not be empty"),
        ("-loaderid=x", "is not a number"),
        ("-loadernum=2 -loaderidhashlen=8", "exclude each other"),
        ("-loaderidhashlen=64", "-loaderidhashlen 64"),
        ("-loadernum=2 -loaderid=x", "is not a number"),
        ("-loadernum=2 -loaderid=3", "must be below"),
        ("-loadernum=2 -loaderid=2", "must be below"),
        ("-start-at=tomorrow", "-start-at"),
        ("-start-at=2026-12-01T09:30:00", "with its zone"),
        ("-start-at=-1", "-start-at"),
        ("-start-at=0", "-start-at"),
        ("-start-at=1e400", "-start-at"),
        # S3
        ("-s3endpoint=ftp://s", "invalid -s3endpoint"),
        ("-s3endpoint=http://s -latest", "-latest"),
        ("-s3endpoint=http://s -etl=md5", "-etl"),
        ("-s3endpoint=http://s -cksum-type=xxhash", "-cksum-type"),
        ("-s3endpoint=http://s -randomproxy", "-randomproxy"),
        ("-s3endpoint=http://s -ip=far", "-ip"),
        ("-s3endpoint=http://s -port=9", "-port"),
        ("-s3endpoint=http://s -verifyhash", "-verifyhash"),
        ("-s3endpoint=http://s -get-batchsize=3", "-get-batchsize"),
        ("-s3endpoint=http://s -arch.pct=3", "-arch.pct"),
        ("-s3endpoint=http://s -cached", "-cached"),
        ("-s3endpoint=http://s -bucket=ais://b", "provider is ais"),
        ("-s3-use-path-style", "needs -s3endpoint"),
        # writing
        ("-skiplist", "needs -pctput=100"),
        ("-arch.pct=3 -pctmultipart=3", "exclude each other"),
        ("-arch.pct=3 -pctput=9 -readertype=rand", "exclude each other"),
        ("-arch.pct=101", "-arch.pct 101"),
        ("-arch.num-files=10001", "-arch.num-files 10001"),
        ("-arch.format=rar", "-arch.format"),
        ("-arch.minsize=2 -arch.maxsize=1", "-arch.maxsize"),
        ("-arch.prefix=../x", "-arch.prefix"),
        ("-arch.prefix=/x", "-arch.prefix"),
        ("-pctput=100 -arch.pct=3 -minsize=0 -maxsize=0", "how large a shard is"),
        ("-pctput=100 -arch.pct=3 -arch.num-files=99 -arch.minsize=1MiB -maxsize=1GiB", "99 files"),
        # reading
        ("-readoff=1", "-readoff needs -readlen"),
        ("-readrandom", "-readrandom needs -readlen"),
        ("-get-batchsize=3 -readlen=1", "-readlen"),
        ("-get-batchsize=3 -verifyhash", "-verifyhash"),
        ("-get-batchsize=3 -etl=md5", "-etl"),
        ("-get-batchsize=3 -pctmpdstream=1", "-pctmpdstream"),
        ("-pctmpdstream=1 -pctput=1", "-pctput"),
        ("-pctmpdstream=1 -readlen=1", "-readlen"),
        ("-verifyhash -readlen=1", "-verifyhash"),
        ("-verifyhash -arch.list", "-verifyhash"),
        ("-cached -pctput=100", "exclude each other"),
        ("-cached", "remote bucket"),
        ("-list-dirs", "remote bucket"),
        ("-nbi", "remote bucket"),
        ("-etl=md5 -etl-spec=x", "exclude each other"),
        ("-etl=Rot_13", "Rot_13"),
        ("-etl-spec=/no/such/file", "/no/such/file"),
        ("-name-getter=affine -pctput=1", "fixed list"),
        ("-name-getter=random -epochs=1", "repeats names"),
        ("-shared-epochs -seed=1", "needs -loadernum"),
        ("-resume=10*5 -epochs=1", "needs the -seed"),
        ("-resume=10*5 -seed=1", "needs -epochs"),
        ("-resume=9*5 -seed=1 -epochs=1", "picks of 9 workers"),
        ("-resume=1,x -seed=1 -epochs=1", "invalid -resume"),
        ("-resume=99999999*1 -seed=1 -epochs=1", "too large"),
        ("-shared-epochs -loadernum=2", "needs -seed"),
        ("-filelist=x -pctput=100", "-filelist"),
        ("-name-template=x*", "has no end"),
        ("-name-template=x-{0..9} -name-count=11", "stands for 10"),
        # time and reports
        ("-arrival=poisson", "needs -rate"),
        ("-warmup=10s -duration=10s", "-warmup"),
        ("-stats-output=x -csv=x", "different files"),
        ("-json -live", "exclude each other"),
    ],
)
def test_what_cannot_work_is_refused_before_anything_is_touched(text: str, message: str) -> None:
    bucket = [] if "-bucket" in text else ["-bucket=b"]
    with pytest.raises(InvalidArgumentError, match=message):
        parse([*bucket, *text.split(" ")], {})


def test_the_environment_and_the_address_must_not_contradict_each_other() -> None:
    with pytest.raises(InvalidArgumentError, match="AIS_ENDPOINT"):
        parse(["-bucket=b", "-ip=far"], {"AIS_ENDPOINT": "http://near"})


def test_an_endpoint_has_a_scheme_of_ours() -> None:
    with pytest.raises(InvalidArgumentError, match="ftp"):
        parse(["-bucket=b"], {"AIS_ENDPOINT": "ftp://host"})


def test_s3_from_the_environment_is_said_aloud() -> None:
    params = parse(["-bucket=b"], {"S3_ENDPOINT": "http://s", "AWS_PROFILE": "p"})
    assert params.cluster.is_s3
    assert params.cluster.s3profile == "p"
    assert params.bucket.ref.cname == "s3://b"
    assert any("S3_ENDPOINT" in note for note in params.notes)


@pytest.mark.parametrize("size", [1, 1000])
def test_batches_of_1_and_of_1000_are_accepted(size: int) -> None:
    assert read(f"-bucket=b -get-batchsize={size}").read.get_batchsize == size


def test_reading_a_bucket_that_is_not_named_is_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="new bucket is empty"):
        read("-duration=1s")


@pytest.mark.parametrize(
    ("limit", "errors", "operations", "allowed"),
    [
        ("0", 0, 10, True),
        ("0", 1, 10, False),
        ("3", 3, 10, True),
        ("3", 4, 10, False),
        ("10%", 1, 10, True),
        ("10%", 2, 10, False),
        ("100%", 10, 10, True),
        ("0.1%", 0, 0, True),
    ],
)
def test_how_many_failures_are_allowed(
    limit: str, errors: int, operations: int, allowed: bool
) -> None:
    params = read(f"-bucket=b -max-errors={limit}")
    assert params.misc.allows(errors, operations) is allowed


@pytest.mark.parametrize(
    ("text", "bounds"),
    [
        ("", (1024, 1 << 20)),
        ("-arch.minsize=5", (5, 5)),
        ("-arch.maxsize=5", (5, 5)),
        ("-arch.maxsize=5KiB", (1024, 5120)),
        ("-arch.minsize=0 -arch.maxsize=0", (1024, 1 << 20)),
        ("-arch.minsize=5 -arch.maxsize=0", (5, 5)),
    ],
)
def test_sizes_of_members(text: str, bounds: tuple[int, int]) -> None:
    arch = read(f"-bucket=b {text}").arch
    assert (arch.minsize, arch.maxsize) == bounds


@pytest.mark.parametrize("text", ["tar", ".tar", "TGZ", ".tar.gz", "zip", "tar.lz4", "lz4", ""])
def test_formats_with_and_without_dot(text: str) -> None:
    assert read(f"-bucket=b -arch.format={text}").arch.archive_format


def test_a_chunk_size_out_of_range_is_clamped_and_that_is_said() -> None:
    params = read("-bucket=b -mpdstream-chunk-size=1")
    assert params.multipart.stream_chunk_size == 4096
    assert any("-mpdstream-chunk-size" in note for note in params.notes)
    assert read("-bucket=b -mpdstream-chunk-size=64MiB").multipart.stream_chunk_size == 64 << 20


def test_the_directory_is_cleaned() -> None:
    assert read("-bucket=b -subdir=a//b/./c/").naming.subdir == "a/b/c"
