"""What sections say about each other: combinations that cannot work are refused before anything is touched."""

from typing import TYPE_CHECKING

from aiscore.errors import InvalidArgumentError
from aiscore.model.bucket import Provider
from aiscore.model.checksum import ChecksumType

if TYPE_CHECKING:
    from aisloader.params import Params

__all__ = ["check_rules"]

_S3_CHECKSUMS = frozenset(
    {ChecksumType.NONE, ChecksumType.MD5, ChecksumType.CRC32C, ChecksumType.SHA256}
)


def check_rules(params: "Params") -> None:
    """Check every rule that needs no store.

    Raises:
        InvalidArgumentError: the first one that is broken.
    """
    _check_s3(params)
    _check_writes(params)
    _check_batch(params)
    _check_streams(params)
    _check_reads(params)
    _check_bucket(params)


def _refuse(condition: object, message: str, hint: str | None = None) -> None:
    if condition:
        raise InvalidArgumentError(message, hint=hint)


def _check_s3(params: "Params") -> None:
    if not params.cluster.is_s3:
        return
    excluded = {
        "verifyhash": params.size_cksum.verifyhash,
        "get-batchsize": params.read.get_batchsize,
        "arch.pct": params.arch.pct,
        "arch.list": params.arch.list,
        "cached": params.read.cached,
        "nbi": params.read.nbi,
        "latest": params.read.latest,
        "pctmpdstream": params.multipart.stream_pct,
        "etl": params.etl.name,
        "etl-spec": params.etl.spec,
        "bprops": params.bucket.bprops,
    }
    for name, value in excluded.items():
        _refuse(value, f"-s3endpoint and -{name} exclude each other")
    _refuse(
        params.bucket.provider != Provider.AWS,
        f"-s3endpoint needs an S3 bucket, and the provider is {params.bucket.provider}",
        "write -bucket=s3://NAME",
    )
    _refuse(params.bucket.is_generated, "-s3endpoint needs -bucket")
    _refuse(
        params.size_cksum.cksum_type not in _S3_CHECKSUMS,
        f"-s3endpoint and -cksum-type={params.size_cksum.cksum_type} exclude each other",
        f"what S3 compares: {', '.join(sorted(_S3_CHECKSUMS))}",
    )


def _check_writes(params: "Params") -> None:
    workload, arch, multipart = params.workload, params.arch, params.multipart
    _refuse(params.naming.skiplist and not workload.is_write_only, "-skiplist needs -pctput=100")
    _refuse(arch.pct and multipart.pct, "-arch.pct and -pctmultipart exclude each other")
    if not workload.pctput:
        return
    _refuse(
        arch.pct and workload.readertype == "rand",
        "-arch.pct and -readertype=rand exclude each other",
    )
    if arch.pct:
        arch.check_plan(params.size_cksum.minsize, params.size_cksum.maxsize)


def _check_batch(params: "Params") -> None:
    if not params.read.get_batchsize:
        return
    excluded = {
        "readoff": params.read.readoff,
        "readlen": params.read.readlen,
        "verifyhash": params.size_cksum.verifyhash,
        "etl": params.etl.name,
        "etl-spec": params.etl.spec,
        "latest": params.read.latest,
        "pctmpdstream": params.multipart.stream_pct,
        "pctupdate": params.workload.pctupdate,
    }
    for name, value in excluded.items():
        _refuse(value, f"-get-batchsize and -{name} exclude each other")


def _check_streams(params: "Params") -> None:
    if not params.multipart.stream_pct:
        return
    excluded = {
        "pctput": params.workload.pctput,
        "readlen": params.read.readlen,
        "latest": params.read.latest,
        "etl": params.etl.name,
        "etl-spec": params.etl.spec,
        "arch.pct": params.arch.pct,
        "arch.list": params.arch.list,
    }
    for name, value in excluded.items():
        _refuse(value, f"-pctmpdstream and -{name} exclude each other")


def _check_reads(params: "Params") -> None:
    read, workload = params.read, params.workload
    if params.size_cksum.verifyhash:
        _refuse(read.readlen, "-verifyhash and -readlen exclude each other")
        _refuse(params.etl.is_enabled, "-verifyhash and -etl exclude each other")
        _refuse(
            params.arch.reads_members and not workload.is_write_only,
            "-verifyhash needs whole objects, and members of shards are read",
            "leave -arch.list and -arch.pct out",
        )
    _refuse(
        params.arch.reads_members and workload.pctupdate,
        "-pctupdate needs whole objects, and members of shards are read",
        "leave -arch.list and -arch.pct out",
    )
    _refuse(read.readlen and workload.pctupdate, "-readlen and -pctupdate exclude each other")
    _refuse(
        workload.name_getter in {"shuffle", "affine", "feistel"} and workload.pctput,
        f"-name-getter={workload.name_getter} needs a fixed list of names, and -pctput adds to it",
        "use random, unique or unique-iter",
    )
    _refuse(
        workload.resume and "seed" not in params.given,
        "-resume needs the -seed of the run to go on with",
    )
    _refuse(
        workload.shared_epochs and not params.loader.loadernum,
        "-shared-epochs needs -loadernum",
        "say how many loaders there are, and give each its -loaderid",
    )
    _refuse(
        workload.shared_epochs and "seed" not in params.given,
        "-shared-epochs needs -seed, the same one for every loader",
    )
    _refuse(
        workload.name_getter == "random" and workload.epochs,
        "-name-getter=random repeats names, and every name is read once in each of -epochs",
        "use unique, shuffle, affine or feistel",
    )
    _refuse(
        read.read_random and (params.naming.name_template or read.get_batchsize),
        "-readrandom needs the sizes of listed objects",
    )
    for name in ("filelist", "name_template"):
        _refuse(
            getattr(params.naming, name) and workload.is_write_only,
            f"-{name.replace('_', '-')} names what to read, but -pctput=100 writes only",
        )


def _check_bucket(params: "Params") -> None:
    read, workload = params.read, params.workload
    _refuse(read.cached and workload.is_write_only, "-cached and -pctput=100 exclude each other")
    local = not params.bucket.ref.is_remote
    for name, value in (("cached", read.cached), ("list-dirs", read.list_dirs), ("nbi", read.nbi)):
        _refuse(local and value, f"-{name} needs a remote bucket, not {params.bucket.ref}")
    _refuse(
        params.bucket.is_generated
        and not workload.is_write_only
        and not params.is_no_op
        and not params.loader.getloaderid,
        "nothing to read: a new bucket is empty",
        "name one with -bucket, or write only with -pctput=100",
    )
