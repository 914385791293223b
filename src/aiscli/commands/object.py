"""`ais object`: and `ais get`, `put`, `cat`, `rm`."""

from typing import Annotated

import typer

from aiscli.actions.objects import (
    PromoteRequest,
    RenameObjectRequest,
    SetCustomRequest,
    ShowRequest,
    run_promote,
    run_rename_object,
    run_set_custom,
    run_show,
)
from aiscli.actions.transfers.concat import run_cat_all
from aiscli.actions.transfers.delete import DeleteRequest, run_delete
from aiscli.actions.transfers.expected import read_expected
from aiscli.actions.transfers.filter import NameFilter
from aiscli.actions.transfers.get import CatRequest, GetRequest, run_get
from aiscli.actions.transfers.put import PutRequest, run_put
from aiscli.actions.transfers.sources import SourceRequest
from aiscli.commands.options import (
    ArchmimeOption,
    ContinueOption,
    DryRunOption,
    ExcludeOption,
    IncludeOption,
    ListOption,
    ObjectArgument,
    PrefixOption,
    ProgressOption,
    TemplateOption,
    WorkersOption,
    YesOption,
    make_selection,
    read_archmime,
    read_archmode,
    read_range,
    read_size,
    split_list,
)
from aiscli.context import CliContext
from aiscli.uri import parse_object, parse_target
from aiscore.errors import InvalidArgumentError
from aiscore.model.checksum import Checksum
from aiscore.model.names import check_object_name
from aiscore.model.objects import GetOptions, PromoteOptions

__all__ = ["cat", "get", "mv", "promote", "put", "rm", "set_custom", "show"]

ArchpathOption = Annotated[
    str | None, typer.Option("--archpath", metavar="PATH", help="One file of a shard.")
]
ArchregxOption = Annotated[
    str | None,
    typer.Option("--archregx", metavar="PATTERN", help="Files of a shard that match, as TAR."),
]
ArchmodeOption = Annotated[
    str | None,
    typer.Option("--archmode", metavar="MODE", help="regexp, prefix, suffix, substr, or wdskey."),
]
OffsetOption = Annotated[str | None, typer.Option("--offset", metavar="SIZE", help="First byte.")]
LengthOption = Annotated[
    str | None, typer.Option("--length", metavar="SIZE", help="Bytes to read.")
]
VerifyOption = Annotated[
    bool, typer.Option("--checksum", help="Verify the stored checksum before delivering.")
]
ExactOption = Annotated[bool, typer.Option("--exact", help="A name is an object, never a prefix.")]


def get(
    ctx: typer.Context,
    source: Annotated[
        str,
        typer.Argument(metavar="BUCKET[/NAME]", help="Object, SHARD/FILE, prefix, or template."),
    ],
    destination: Annotated[
        str,
        typer.Argument(metavar="FILE|DIR|-", help="Where to; - is standard output."),
    ] = "",
    names: ListOption = None,
    template: TemplateOption = None,
    prefix: PrefixOption = None,
    everything: Annotated[bool, typer.Option("--all", help="The whole bucket.")] = False,
    include: IncludeOption = None,
    exclude: ExcludeOption = None,
    offset: OffsetOption = None,
    length: LengthOption = None,
    checksum: VerifyOption = False,
    archpath: ArchpathOption = None,
    archregx: ArchregxOption = None,
    archmode: ArchmodeOption = None,
    archmime: ArchmimeOption = None,
    extract: Annotated[bool, typer.Option("--extract", "-x", help="Unpack a shard.")] = False,
    flat: Annotated[
        bool, typer.Option("--flat", help="Many objects into one directory, by base name.")
    ] = False,
    limit: Annotated[
        int, typer.Option("--limit", metavar="N", help="Objects at most; 0 is all.")
    ] = 0,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Fetch files that are there and equal, too.")
    ] = False,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume/--no-resume",
            "--continue/--no-continue",
            help="Go on with large objects that an earlier run began.",
        ),
    ] = True,
    verify: Annotated[
        bool, typer.Option("--verify/--no-verify", help="Check what arrives by its checksum.")
    ] = True,
    workers: WorkersOption = None,
    cont_on_err: ContinueOption = False,
    yes: YesOption = False,
    progress: ProgressOption = False,
) -> int:
    """Download objects, ranges, or files of shards.

    A file appears when it is complete and has the object's checksum, never in part; of 8MiB and
    more, what arrived before an interruption is kept beside it, and the next run goes on from there.
    Many objects keep their paths below DIR; a name that would lie outside of it is refused, a file
    that is there with the same size and checksum is left alone. /dev/null reads and discards.

    In names behind the bucket and in --include and --exclude, * and ? stop at a slash, ** does not;
    a single * at the end of a name stands for any rest. A GLOB without slash counts at any depth.

    Examples:
      ais get ais://images/cat.jpg
      ais get ais://shards/train-000.tar --archpath a/0.jpg -
      ais get ais://images --prefix train/ ./data
      ais get 'ais://images/train/*.jpg' ./data --exclude 'tmp*'
      ais get ais://images/big.bin part --offset 1MiB --length 64KiB
    """
    selection = make_selection(names, template, prefix, everything=everything)
    request = GetRequest(
        source=parse_target(source),
        destination=destination,
        selection=selection,
        names=NameFilter(include or (), exclude or ()),
        options=GetOptions(
            byte_range=read_range(offset, length, CliContext.of(ctx)),
            archpath=archpath,
            archregx=archregx,
            archmode=read_archmode(archmode),
            archmime=read_archmime(archmime),
            verify_checksum=checksum,
        ),
        extract=extract,
        flat=flat,
        limit=limit,
        cont_on_err=cont_on_err,
        assume_yes=yes,
        show_progress=progress,
        overwrite=overwrite,
        resume=resume,
        verify=verify,
        workers=workers,
    )
    return run_get(CliContext.of(ctx), request)


def cat(
    ctx: typer.Context,
    sources: Annotated[
        list[str], typer.Argument(metavar="BUCKET/OBJECT", help="Objects, or SHARD/FILE.")
    ],
    offset: OffsetOption = None,
    length: LengthOption = None,
    checksum: VerifyOption = False,
    archpath: ArchpathOption = None,
    archmime: ArchmimeOption = None,
    force: Annotated[bool, typer.Option("--force", "-f", hidden=True)] = False,
) -> int:
    """Write objects to standard output.

    Nothing but the content is written, whatever --output says. Several are written behind each
    other, and the options are for each of them; the first that cannot be read ends it.

    Examples:
      ais cat ais://texts/readme.md
      ais cat ais://shards/train-000.tar/a/0.cls
      ais cat ais://logs/a.txt ais://logs/b.txt --length 1KiB
    """
    context = CliContext.of(ctx)
    options = GetOptions(
        byte_range=read_range(offset, length, context),
        archpath=archpath,
        archmime=read_archmime(archmime),
        verify_checksum=checksum,
    )
    requests = [CatRequest(object=parse_object(text), options=options) for text in sources]
    return run_cat_all(context, requests)


def _checksum_option(name: str) -> object:
    return typer.Option(f"--{name}", metavar="VALUE", help=f"Expected {name} of the content.")


def put(
    ctx: typer.Context,
    source: Annotated[
        str,
        typer.Argument(metavar="FILE|DIR[/PATTERN]|-", help="What to upload; - is standard input."),
    ],
    target: Annotated[
        str, typer.Argument(metavar="BUCKET[/NAME]", help="Object name, or prefix of many.")
    ],
    recursive: Annotated[
        bool, typer.Option("--recursive", "-r", help="Descend into subdirectories.")
    ] = False,
    include_src_dir: Annotated[
        bool, typer.Option("--include-src-dir", help="Begin names with the directory's name.")
    ] = False,
    names: ListOption = None,
    template: TemplateOption = None,
    include: IncludeOption = None,
    exclude: ExcludeOption = None,
    md5: Annotated[str | None, _checksum_option("md5")] = None,
    crc32c: Annotated[str | None, _checksum_option("crc32c")] = None,
    sha256: Annotated[str | None, _checksum_option("sha256")] = None,
    sha512: Annotated[str | None, _checksum_option("sha512")] = None,
    xxhash: Annotated[str | None, _checksum_option("xxhash")] = None,
    xxhash2: Annotated[str | None, _checksum_option("xxhash2")] = None,
    compute_checksum: Annotated[
        bool, typer.Option("--compute-checksum", help="Checksum files here and verify on arrival.")
    ] = False,
    skip_vc: Annotated[
        bool, typer.Option("--skip-vc", help="Write even if the object has the same checksum.")
    ] = False,
    append: Annotated[bool, typer.Option("--append", help="Add to an existing object.")] = False,
    chunk_size: Annotated[
        str | None,
        typer.Option(
            "--chunk-size",
            metavar="SIZE",
            help="Send longer files in parts of this size, in parallel.",
        ),
    ] = None,
    workers: WorkersOption = None,
    cont_on_err: ContinueOption = False,
    dry_run: DryRunOption = False,
    yes: YesOption = False,
    progress: ProgressOption = False,
) -> int:
    """Upload files, directories, or standard input.

    Names are relative to the directory; quote a PATTERN, or the shell expands it. Of many files,
    those whose objects are there with the same size and checksum are left alone, unless --skip-vc is
    given. A file that changes while it is sent is not stored.

    Examples:
      ais put cat.jpg ais://images
      ais put ./data ais://images/train/ --recursive
      ais put './data/*.jpg' ais://images --dry-run
      ais put ./data ais://images -r --exclude '.git/' --exclude '*.tmp'
      ais put large.tar ais://shards --chunk-size 64MiB
      echo hello | ais put - ais://texts/hello
    """
    given = {
        "md5": md5,
        "crc32c": crc32c,
        "sha256": sha256,
        "sha512": sha512,
        "xxhash": xxhash,
        "xxhash2": xxhash2,
    }
    context = CliContext.of(ctx)
    request = PutRequest(
        source=SourceRequest(
            path=source,
            names=None if names is None else split_list(names),
            template=template,
            recursive=recursive,
            include_source_dir=include_src_dir,
        ),
        target=parse_target(target),
        names=NameFilter(include or (), exclude or ()),
        checksum=_read_checksum(given, source),
        compute_checksum=compute_checksum,
        skip_same=not skip_vc,
        append=append,
        chunk_size=read_size(chunk_size, "--chunk-size", context),
        cont_on_err=cont_on_err,
        dry_run=dry_run,
        assume_yes=yes,
        show_progress=progress,
        workers=workers,
    )
    return run_put(context, request)


def rm(
    ctx: typer.Context,
    targets: Annotated[
        list[str],
        typer.Argument(metavar="BUCKET[/NAME]", help="Objects; prefixes and templates, too."),
    ],
    names: ListOption = None,
    template: TemplateOption = None,
    prefix: PrefixOption = None,
    everything: Annotated[bool, typer.Option("--all", help="All objects of the bucket.")] = False,
    include: IncludeOption = None,
    exclude: ExcludeOption = None,
    exact: ExactOption = False,
    ignore_error: Annotated[
        bool, typer.Option("--ignore-error", help="An object that does not exist is no error.")
    ] = False,
    yes: YesOption = False,
    dry_run: DryRunOption = False,
    non_recursive: Annotated[
        bool, typer.Option("--non-recursive", "--nr", "-nr", help="Same as --exact.", hidden=True)
    ] = False,
) -> int:
    """Delete objects.

    A name that is no object but begins names of objects is a prefix: that is said, and asked,
    before anything is deleted. --all and patterns ask, too; see ais get --help for patterns.

    Examples:
      ais rm ais://images/cat.jpg
      ais rm ais://images --prefix old/ --dry-run
      ais rm 'ais://images/train/*.tmp'
      ais rm ais://shards --template 'shard-{00..09}.tar'
    """
    request = DeleteRequest(
        targets=tuple(parse_target(text) for text in targets),
        selection=make_selection(names, template, prefix, everything=everything),
        names=NameFilter(include or (), exclude or ()),
        exact=exact or non_recursive,
        assume_yes=yes,
        dry_run=dry_run,
        ignore_missing=ignore_error,
    )
    return run_delete(CliContext.of(ctx), request)


def mv(
    ctx: typer.Context,
    source: ObjectArgument,
    new_name: Annotated[
        str, typer.Argument(metavar="NEW_NAME", help="Name, or URI in the same bucket.")
    ],
) -> int:
    """Give an object another name in its bucket.

    Examples:
      ais object mv ais://images/cat.jpg dog.jpg
    """
    uri = parse_object(source)
    name = new_name
    if "://" in new_name:
        target = parse_object(new_name)
        if target.bucket != uri.bucket:
            raise InvalidArgumentError(
                f"cannot move from {uri.bucket.cname} to {target.bucket.cname}",
                hint="copy, then delete",
            )
        name = target.name
    return run_rename_object(
        CliContext.of(ctx), RenameObjectRequest(object=uri, new_name=check_object_name(name))
    )


def promote(
    ctx: typer.Context,
    path: Annotated[
        str, typer.Argument(metavar="FILE|DIR", help="Absolute path on the store's host.")
    ],
    target: Annotated[
        str, typer.Argument(metavar="BUCKET[/NAME]", help="Object name, or prefix of many.")
    ],
    recursive: Annotated[
        bool, typer.Option("--recursive", "-r", help="Descend into subdirectories.")
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite-dst", help="Replace objects that exist.")
    ] = False,
    delete_src: Annotated[
        bool, typer.Option("--delete-src", help="Remove the files afterwards.")
    ] = False,
    yes: YesOption = False,
) -> int:
    """Take files of the store's host into a bucket.

    Examples:
      ais object promote /data/train ais://images/train --recursive
    """
    import os

    request = PromoteRequest(
        path=os.path.abspath(path),
        target=parse_target(target),
        options=PromoteOptions(recursive=recursive, overwrite=overwrite, delete_source=delete_src),
        assume_yes=yes,
    )
    return run_promote(CliContext.of(ctx), request)


def set_custom(
    ctx: typer.Context,
    source: ObjectArgument,
    words: Annotated[
        list[str],
        typer.Argument(metavar="KEY=VALUE", help="Or one JSON object; an empty value removes."),
    ],
    set_new: Annotated[
        bool, typer.Option("--set-new-custom", help="Replace all custom metadata.")
    ] = False,
) -> int:
    """Set custom metadata of an object.

    Examples:
      ais object set-custom ais://images/cat.jpg label=cat split=train
    """
    request = SetCustomRequest(
        object=parse_object(source), custom=_read_custom(words), replace=set_new
    )
    return run_set_custom(CliContext.of(ctx), request)


def show(
    ctx: typer.Context,
    source: ObjectArgument,
    props: Annotated[
        str | None,
        typer.Option("--props", metavar="LIST", help="Properties, comma separated, or all."),
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Same as --props all.")] = False,
) -> int:
    """Show the properties of an object.

    Examples:
      ais show object ais://images/cat.jpg
      ais object show ais://images/cat.jpg --props all
    """
    chosen = ("all",) if everything else None if props is None else split_list(props.lower())
    return run_show(CliContext.of(ctx), ShowRequest(object=parse_object(source), props=chosen))


def _read_checksum(given: dict[str, str | None], source: str) -> Checksum | None:
    found = [(kind, value) for kind, value in given.items() if value is not None]
    if len(found) > 1:
        raise InvalidArgumentError(
            f"flags {' and '.join(f'--{kind}' for kind, _ in found)} are mutually exclusive"
        )
    return read_expected(*found[0], source) if found else None


def _read_custom(words: list[str]) -> dict[str, str]:
    if len(words) == 1 and words[0].lstrip().startswith("{"):
        import json

        try:
            loaded: object = json.loads(words[0])
        except ValueError as error:
            raise InvalidArgumentError(f"invalid JSON: {error}") from None
        if not isinstance(loaded, dict) or not all(
            isinstance(value, str) for value in loaded.values()
        ):
            raise InvalidArgumentError("custom metadata must be a JSON object of strings")
        return loaded
    custom: dict[str, str] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or not key:
            raise InvalidArgumentError(f'invalid custom metadata "{word}"', hint="use KEY=VALUE")
        custom[key] = value
    return custom
