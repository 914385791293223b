"""`ais object multipart-upload`: and `ais mpu`."""

from typing import Annotated

import typer

from aiscli.actions.multipart import (
    AbortManyRequest,
    AbortRequest,
    CompleteRequest,
    CreateUploadRequest,
    ListUploadsRequest,
    PutPartRequest,
    read_part_number,
    read_part_numbers,
    run_abort,
    run_abort_many,
    run_complete,
    run_create_upload,
    run_list_parts,
    run_list_uploads,
    run_put_part,
)
from aiscli.actions.transfers.in_parts import PutInPartsRequest, run_put_in_parts
from aiscli.commands.options import (
    DryRunOption,
    ObjectArgument,
    ProgressOption,
    WorkersOption,
    YesOption,
    read_size,
)
from aiscli.context import CliContext
from aiscli.uri import BucketQuery, parse_object, parse_query, parse_target
from aiscore.errors import InvalidArgumentError
from aiscore.model.units import parse_duration

__all__ = ["abort", "complete", "create", "ls", "parts", "put", "put_part"]

UploadIdOption = Annotated[
    str | None, typer.Option("--upload-id", metavar="ID", help="The upload, instead of UPLOAD_ID.")
]


def create(
    ctx: typer.Context,
    target: ObjectArgument,
    md5: Annotated[
        bool, typer.Option("--md5", help="ETags as S3 has them, out of MD5 checksums.")
    ] = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="The id and nothing else, in any format.")
    ] = False,
) -> int:
    """Begin an upload, and print its id.

    The id is for the other commands. An upload to which nothing is added for a week is dropped.

    Examples:
      ais mpu create ais://images/large.bin
      ais mpu create ais://a/o --quiet >upload.id
    """
    request = CreateUploadRequest(object=parse_object(target), md5=md5, quiet=quiet)
    return run_create_upload(CliContext.of(ctx), request)


def put_part(
    ctx: typer.Context,
    target: ObjectArgument,
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[UPLOAD_ID] [PART_NUMBER] FILE", help="Those that no flag gives; - is stdin."
        ),
    ] = None,
    upload_id: UploadIdOption = None,
    part_number: Annotated[
        str | None,
        typer.Option("--part-number", metavar="N", help="Number from 1, instead of PART_NUMBER."),
    ] = None,
    progress: ProgressOption = False,
) -> int:
    """Upload a part.

    Parts come in any order and in parallel. A part of a number that is there replaces it.

    Examples:
      ais mpu put-part ais://a/o $(cat upload.id) 1 cat.jpg
      ais mpu put-part ais://a/o --upload-id $(cat upload.id) --part-number 2 0.jpg
    """
    uri = parse_object(target)
    given = _fill(
        words,
        {"UPLOAD_ID": upload_id, "PART_NUMBER": part_number, "FILE": None},
    )
    request = PutPartRequest(
        object=uri,
        upload_id=given["UPLOAD_ID"],
        number=read_part_number(given["PART_NUMBER"]),
        path=given["FILE"],
        show_progress=progress,
    )
    return run_put_part(CliContext.of(ctx), request)


def complete(
    ctx: typer.Context,
    target: ObjectArgument,
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="[UPLOAD_ID] [PART_NUMBERS]", help="As in: ID 1,2,3."),
    ] = None,
    upload_id: UploadIdOption = None,
    part_numbers: Annotated[
        str | None,
        typer.Option("--part-numbers", metavar="LIST", help="Numbers, instead of PART_NUMBERS."),
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="All parts that are stored, which must be 1 to N.")
    ] = False,
) -> int:
    """Make the object of its parts.

    All of them must be named. They are read and compared with their checksums first.

    Examples:
      ais mpu complete ais://a/o $(cat upload.id) 1
      ais mpu complete ais://a/o $(cat upload.id) --all
    """
    uri = parse_object(target)
    expected: dict[str, str | None] = {"UPLOAD_ID": upload_id, "PART_NUMBERS": part_numbers}
    if everything:
        if part_numbers is not None:
            raise InvalidArgumentError("flags --all and --part-numbers are mutually exclusive")
        del expected["PART_NUMBERS"]
    given = _fill(words, expected)
    numbers = () if everything else read_part_numbers(given["PART_NUMBERS"])
    request = CompleteRequest(object=uri, upload_id=given["UPLOAD_ID"], numbers=numbers)
    return run_complete(CliContext.of(ctx), request)


def abort(
    ctx: typer.Context,
    target: Annotated[
        str,
        typer.Argument(
            metavar="BUCKET/OBJECT", help="ais://BUCKET/OBJECT; with --all BUCKET[/PREFIX]."
        ),
    ],
    words: Annotated[
        list[str] | None, typer.Argument(metavar="[UPLOAD_ID]", help="The upload.")
    ] = None,
    upload_id: UploadIdOption = None,
    everything: Annotated[
        bool, typer.Option("--all", help="All uploads of a bucket, or of a prefix.")
    ] = False,
    older_than: Annotated[
        str | None,
        typer.Option(
            "--older-than", metavar="DURATION", help="With --all: unused for so long: 12h."
        ),
    ] = None,
    yes: YesOption = False,
    dry_run: DryRunOption = False,
) -> int:
    """Drop an upload and its parts.

    Examples:
      ais mpu abort ais://a/o $(cat upload.id)
      ais mpu abort ais://images --all --older-than 24h --yes
    """
    context = CliContext.of(ctx)
    if not everything:
        if older_than is not None or dry_run:
            raise InvalidArgumentError("--older-than and --dry-run need --all")
        given = _fill(words, {"UPLOAD_ID": upload_id})
        return run_abort(
            context, AbortRequest(object=parse_object(target), upload_id=given["UPLOAD_ID"])
        )
    if words or upload_id is not None:
        raise InvalidArgumentError("an UPLOAD_ID and --all are mutually exclusive")
    request = AbortManyRequest(
        target=parse_target(target),
        older_than_ns=0 if older_than is None else parse_duration(older_than),
        assume_yes=yes,
        dry_run=dry_run,
    )
    return run_abort_many(context, request)


def ls(
    ctx: typer.Context,
    target: Annotated[
        str | None,
        typer.Argument(metavar="BUCKET[/PREFIX]", help="Default: every bucket."),
    ] = None,
) -> int:
    """List uploads that are neither completed nor aborted.

    Examples:
      ais mpu ls
      ais mpu ls ais://images -o json
    """
    query = BucketQuery() if target is None else parse_query(target)
    if query is None:
        assert target is not None
        return run_list_uploads(CliContext.of(ctx), ListUploadsRequest(target=parse_target(target)))
    return run_list_uploads(CliContext.of(ctx), ListUploadsRequest(target=query))


def parts(
    ctx: typer.Context,
    target: ObjectArgument,
    words: Annotated[
        list[str] | None, typer.Argument(metavar="[UPLOAD_ID]", help="The upload.")
    ] = None,
    upload_id: UploadIdOption = None,
) -> int:
    """List the parts of an upload.

    Examples:
      ais mpu parts ais://a/o $(cat upload.id)
    """
    uri = parse_object(target)
    given = _fill(words, {"UPLOAD_ID": upload_id})
    return run_list_parts(
        CliContext.of(ctx), AbortRequest(object=uri, upload_id=given["UPLOAD_ID"])
    )


def put(
    ctx: typer.Context,
    file: Annotated[str, typer.Argument(metavar="FILE", help="What to upload.")],
    target: Annotated[
        str, typer.Argument(metavar="BUCKET[/NAME]", help="Object name, or prefix of it.")
    ],
    chunk_size: Annotated[
        str | None,
        typer.Option(
            "--chunk-size", metavar="SIZE", help="Bytes of a part; 16MiB, or more for 156GiB."
        ),
    ] = None,
    workers: WorkersOption = None,
    resume: Annotated[
        bool,
        typer.Option("--resume/--no-resume", help="Go on with what an interrupted run left."),
    ] = True,
    compute_checksum: Annotated[
        bool, typer.Option("--compute-checksum", help="Checksum parts here and verify on arrival.")
    ] = False,
    dry_run: DryRunOption = False,
    progress: ProgressOption = False,
) -> int:
    """Upload a file in parts, several at a time.

    After an interruption the same command goes on: parts that the store has are compared by their
    checksums with the file, and not sent again.

    Examples:
      ais mpu put cat.jpg ais://images/large.bin
      ais mpu put cat.jpg ais://images --chunk-size 64MiB --num-workers 8 -o json
    """
    context = CliContext.of(ctx)
    request = PutInPartsRequest(
        path=file,
        object=parse_target(target),
        chunk_size=read_size(chunk_size, "--chunk-size", context),
        workers=workers,
        resume=resume,
        compute_checksum=compute_checksum,
        dry_run=dry_run,
        show_progress=progress,
    )
    return run_put_in_parts(context, request)


def _fill(words: list[str] | None, given: dict[str, str | None]) -> dict[str, str]:
    """Give the words, in order, to the arguments that no flag has given.

    Raises:
        InvalidArgumentError: some are missing, or there are too many.
    """
    left = list(words or ())
    filled: dict[str, str] = {}
    missing = []
    for name, value in given.items():
        if value is not None:
            filled[name] = value
        elif left:
            filled[name] = left.pop(0)
        else:
            missing.append(name)
    if missing:
        raise InvalidArgumentError(f"missing arguments: {' '.join(missing)}")
    if left:
        raise InvalidArgumentError(f"too many arguments: {' '.join(left)}")
    return filled
