"""`ais get-batch`, and `ais ml get-batch` in upstream's form."""

from typing import Annotated

import typer

from aiscli.actions.batches.get_batch import GetBatchRequest, run_get_batch
from aiscli.actions.batches.retry import RETRIES_DEFAULT
from aiscli.commands.options import (
    ListOption,
    PrefixOption,
    TemplateOption,
    YesOption,
    make_selection,
    read_archmime,
    read_size,
)
from aiscli.context import CliContext
from aiscli.uri import parse_bucket, parse_target
from aiscore.errors import InvalidArgumentError
from aiscore.model.objects import Selection

__all__ = ["get_batch", "ml_get_batch"]

SpecOption = Annotated[
    str | None,
    typer.Option("--spec", "-f", metavar="SPEC", help="JSON or YAML: a file, the text, or -."),
]
StreamingOption = Annotated[
    bool | None,
    typer.Option("--streaming/--no-streaming", help="Emit while reading, or when all is read."),
]
ContinueOption = Annotated[
    bool | None,
    typer.Option(
        "--cont-on-err/--no-cont-on-err", help="Placeholders for what is missing; exit 5."
    ),
]
OmitOption = Annotated[
    bool | None,
    typer.Option("--omit-src-bck/--no-omit-src-bck", help="Member names without the bucket."),
]
RetriesOption = Annotated[
    int, typer.Option("--retries", metavar="N", help="Times to try again when the store is busy.")
]


def get_batch(
    ctx: typer.Context,
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="BUCKET [OBJECT...]", help="Objects: names, SHARD/FILE, or URIs."),
    ] = None,
    archpath: Annotated[
        list[str] | None,
        typer.Option("--archpath", metavar="PATH", help="File of a shard; may be repeated."),
    ] = None,
    output: Annotated[
        str, typer.Option("--output", "-o", metavar="FILE|DIR/|-", help="Where to; see below.")
    ] = "",
    spec: SpecOption = None,
    names: ListOption = None,
    template: TemplateOption = None,
    prefix: PrefixOption = None,
    from_file: Annotated[
        str | None, typer.Option("--from-file", metavar="FILE|-", help="File with a name a line.")
    ] = None,
    format_name: Annotated[
        str | None, typer.Option("--format", metavar="FORMAT", help="tar, tgz, tar.lz4, or zip.")
    ] = None,
    streaming: StreamingOption = None,
    cont_on_err: ContinueOption = None,
    omit_src_bck: OmitOption = None,
    split: Annotated[
        bool, typer.Option("--split/--no-split", help="Read a.tar/x as file x of shard a.tar.")
    ] = True,
    start: Annotated[
        str | None, typer.Option("--start", metavar="SIZE", help="First byte of every entry.")
    ] = None,
    length: Annotated[
        str | None, typer.Option("--length", metavar="SIZE", help="Bytes of every entry.")
    ] = None,
    retries: RetriesOption = RETRIES_DEFAULT,
    yes: YesOption = False,
) -> int:
    """Fetch many objects, files of shards, or ranges in one request.

    Entries come in the order they are asked for. One --archpath applies to every object; as many as
    objects make pairs in order; several with one object are files of that shard.

    -o is the output here: an archive file whose extension picks the format, a directory (with a
    slash at the end) to extract to, or - for standard output. For data about the batch use --json.

    Examples:
      ais get-batch ais://images a.jpg b.jpg -o batch.tar
      ais get-batch shards train-000.tar --archpath 0.jpg --archpath 1.jpg
      ais get-batch shards --template 's-{0..9}.tar' --archpath 0.jpg -o out/
      ais get-batch --spec batch.json -o - | tar t
    """
    context = CliContext.of(ctx)
    bucket, objects = _split_words(words or [])
    request = GetBatchRequest(
        bucket=None if bucket is None else parse_bucket(bucket),
        objects=tuple(objects),
        archpaths=tuple(archpath or ()),
        selection=make_selection(names, template, prefix),
        spec=spec,
        from_file=from_file,
        output=output,
        output_format=read_archmime(format_name),
        streaming=streaming,
        cont_on_err=cont_on_err,
        only_obj_name=omit_src_bck,
        split=split,
        start=read_size(start, "--start", context) or 0,
        length=read_size(length, "--length", context) or 0,
        retries=retries,
        assume_yes=yes,
    )
    return run_get_batch(context, request)


def ml_get_batch(
    ctx: typer.Context,
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="[BUCKET[/NAME|TEMPLATE]] DST_ARCHIVE", help="Archive file to write."
        ),
    ],
    spec: SpecOption = None,
    names: ListOption = None,
    template: TemplateOption = None,
    streaming: StreamingOption = False,
    cont_on_err: ContinueOption = None,
    omit_src_bck: OmitOption = None,
    retries: RetriesOption = RETRIES_DEFAULT,
    non_verbose: Annotated[
        bool, typer.Option("--non-verbose", "--nv", "-nv", help="No message.")
    ] = False,
    yes: YesOption = False,
) -> int:
    """Fetch a batch into an archive (upstream's form).

    The destination comes last; its extension picks the format. See also: ais get-batch.

    Examples:
      ais ml get-batch ais://images batch.tar --list a.jpg,b.jpg
      ais ml get-batch batch.tgz --spec batch.json
    """
    if len(words) > 2:
        raise InvalidArgumentError(
            f"expected BUCKET and DST_ARCHIVE, found {len(words)} arguments",
            hint="use ais get-batch for more",
        )
    destination = words[-1]
    if destination == "-" or "://" in destination:
        raise InvalidArgumentError(f'invalid destination "{destination}": expected an archive file')
    uri = parse_target(words[0]) if len(words) == 2 else None
    selection = make_selection(names, template, None)
    objects: tuple[str, ...] = ()
    if uri is not None and uri.name:
        if selection is not None:
            raise InvalidArgumentError(
                "--list and --template cannot be combined with a name behind the bucket"
            )
        if "{" in uri.name:
            selection = Selection(template=uri.name)
        else:
            objects = (uri.name,)
    request = GetBatchRequest(
        bucket=None if uri is None else uri.bucket,
        objects=objects,
        selection=selection,
        spec=spec,
        output=destination,
        streaming=streaming,
        cont_on_err=cont_on_err,
        only_obj_name=omit_src_bck,
        retries=retries,
        assume_yes=yes,
        quiet=non_verbose,
        asks_to_overwrite=True,
    )
    return run_get_batch(CliContext.of(ctx), request)


def _split_words(words: list[str]) -> tuple[str | None, list[str]]:
    """The bucket and the objects; a first word that is an object URI names its bucket, too."""
    if not words:
        return None, []
    head, rest = words[0], words[1:]
    uri = parse_target(head)
    return (uri.bucket.cname, [uri.name, *rest]) if uri.name else (head, rest)
