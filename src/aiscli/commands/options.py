"""Options and arguments that several commands share, and those that all commands have."""

from collections.abc import Sequence
from typing import Annotated

import typer

from aiscli.context import CliContext
from aiscli.output.base import Column
from aiscore.errors import InvalidArgumentError
from aiscore.model.archive import ArchiveFormat, ArchiveMode
from aiscore.model.byterange import ByteRange
from aiscore.model.objects import Selection
from aiscore.model.units import Units, parse_size

__all__ = [
    "SUBSTITUTES",
    "ArchmimeOption",
    "BucketArgument",
    "ContinueOption",
    "CountOption",
    "DryRunOption",
    "ExcludeOption",
    "FromContextOption",
    "FromEndpointOption",
    "FromTokenOption",
    "IncludeOption",
    "ListOption",
    "ObjectArgument",
    "PrefixOption",
    "ProgressOption",
    "RefreshOption",
    "TemplateOption",
    "ToContextOption",
    "ToEndpointOption",
    "ToTokenOption",
    "WorkersOption",
    "YesOption",
    "common",
    "make_selection",
    "read_archmime",
    "read_archmode",
    "read_range",
    "read_size",
    "read_units",
    "split_list",
]

BucketArgument = Annotated[
    str, typer.Argument(metavar="BUCKET", help="ais://NAME, or a bare name.")
]
ObjectArgument = Annotated[
    str, typer.Argument(metavar="BUCKET/OBJECT", help="ais://BUCKET/OBJECT.")
]
ListOption = Annotated[
    str | None, typer.Option("--list", metavar="NAMES", help="Names, comma separated.")
]
TemplateOption = Annotated[
    str | None,
    typer.Option(
        "--template", metavar="TEMPLATE", help="Names by template: 'shard-{000..099}.tar'."
    ),
]
PrefixOption = Annotated[
    str | None, typer.Option("--prefix", metavar="PREFIX", help="Names that start with it.")
]
IncludeOption = Annotated[
    list[str] | None,
    typer.Option("--include", metavar="GLOB", help="Only names that match; repeatable."),
]
ExcludeOption = Annotated[
    list[str] | None,
    typer.Option("--exclude", metavar="GLOB", help="No names that match; repeatable."),
]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Answer yes to questions.")]
DryRunOption = Annotated[
    bool, typer.Option("--dry-run", help="Show what would be done; change nothing.")
]
ContinueOption = Annotated[
    bool, typer.Option("--cont-on-err", help="Keep going; exit 5 if some items failed.")
]
ProgressOption = Annotated[bool, typer.Option("--progress", help="Show progress on a terminal.")]
WorkersOption = Annotated[
    int | None, typer.Option("--num-workers", metavar="N", help="Transfers at a time.")
]
ArchmimeOption = Annotated[
    str | None,
    typer.Option(
        "--archmime", metavar="FORMAT", help="Archive format when the name does not tell."
    ),
]
RefreshOption = Annotated[
    str | None,
    typer.Option(
        "--refresh", metavar="DURATION", help="Print again and again, until Ctrl-C: 10s, 1m."
    ),
]
CountOption = Annotated[
    int | None, typer.Option("--count", metavar="N", help="Print so often; every 5s by default.")
]
FromContextOption = Annotated[
    str, typer.Option("--from-context", metavar="NAME", help="Store of SRC, by its context.")
]
FromEndpointOption = Annotated[
    str, typer.Option("--from-endpoint", metavar="URL", help="Store of SRC, if it is another.")
]
FromTokenOption = Annotated[
    str, typer.Option("--from-token-file", metavar="FILE", help="Token for the store of SRC.")
]
ToContextOption = Annotated[
    str, typer.Option("--to-context", metavar="NAME", help="Store of DST, by its context.")
]
ToEndpointOption = Annotated[
    str, typer.Option("--to-endpoint", metavar="URL", help="Store of DST, if it is another.")
]
ToTokenOption = Annotated[
    str, typer.Option("--to-token-file", metavar="FILE", help="Token for the store of DST.")
]
SUBSTITUTES = {"--output": "--output-format"}
"""Spelling of a common option in a command that has another option of all its names."""


def common(
    ctx: CliContext,
    target: str,
    output_format: Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FORMAT",
            help="table, json, jsonl, csv, or yaml.",
            show_default="table",
        ),
    ] = None,
    json_output: Annotated[bool, typer.Option("--json", "-j", help="Same as -o json.")] = False,
    columns: Annotated[
        str | None,
        typer.Option("--columns", metavar="LIST", help="Fields to print, comma separated."),
    ] = None,
    no_headers: Annotated[
        bool, typer.Option("--no-headers", "-H", help="Tables and CSV without header.")
    ] = False,
    units: Annotated[
        str | None,
        typer.Option(
            "--units", metavar="UNITS", help="Sizes as iec, si, or raw.", show_default="iec"
        ),
    ] = None,
    endpoint: Annotated[
        str | None,
        typer.Option("--endpoint", metavar="URL", help="Store to use; wins over AIS_ENDPOINT."),
    ] = None,
    context_name: Annotated[
        str | None,
        typer.Option("--context", metavar="NAME", help="Store to use, by name of its context."),
    ] = None,
    no_input: Annotated[bool, typer.Option("--no-input", help="Never ask; fail instead.")] = False,
    no_color: Annotated[bool, typer.Option("--no-color", help="No colours.")] = False,
) -> None:
    """Apply the options that every command has; `target` is `MODULE:FUNCTION` of the command.

    Raises:
        InvalidArgumentError: unknown format, column or units, two formats, or two stores.
        NotFoundError: unknown context.
    """
    if endpoint and context_name:
        raise InvalidArgumentError("flags --endpoint and --context are mutually exclusive")
    if json_output and output_format not in {None, "json"}:
        raise InvalidArgumentError(
            f"flags --json and --output {output_format} are mutually exclusive"
        )
    ctx.configure(
        endpoint=endpoint,
        context_name=context_name,
        output_format="json" if json_output else output_format,
        headers=not no_headers,
        columns=() if columns is None else _read_columns(target, columns),
        units=read_units(units),
        no_input=no_input,
        no_color=no_color,
    )


def _read_columns(target: str, text: str) -> Sequence[Column]:
    from aiscli.output.fields import columns_of

    return columns_of(target, text)


def read_units(text: str | None) -> Units | None:
    """Read `--units`.

    Raises:
        InvalidArgumentError: unknown.
    """
    if text is None:
        return None
    try:
        return Units(text.lower())
    except ValueError:
        raise InvalidArgumentError(
            f'invalid units "{text}"', hint=f"use one of: {', '.join(Units)}"
        ) from None


def read_size(text: str | None, flag: str, context: CliContext) -> int | None:
    """Read a size such as `4MiB`; None when the flag is not given.

    Raises:
        InvalidArgumentError: not a size.
    """
    if text is None:
        return None
    try:
        return parse_size(text, context.output.options.units)
    except InvalidArgumentError as error:
        raise InvalidArgumentError(f"{flag}: {error.message}", hint=error.hint) from None


def read_range(offset: str | None, length: str | None, context: CliContext) -> ByteRange | None:
    """Read `--offset` and `--length`; a missing offset is 0, a missing length is up to the end.

    Raises:
        InvalidArgumentError: not sizes, or a length of zero.
    """
    if offset is None and length is None:
        return None
    return ByteRange(
        offset=read_size(offset, "--offset", context) or 0,
        length=read_size(length, "--length", context),
    )


def read_archmime(text: str | None) -> ArchiveFormat | None:
    """Read `--archmime` or `--format`.

    Raises:
        InvalidArgumentError: unknown format.
    """
    return None if text is None else ArchiveFormat.parse(text)


def read_archmode(text: str | None) -> ArchiveMode | None:
    """Read `--archmode`.

    Raises:
        InvalidArgumentError: unknown mode.
    """
    if text is None:
        return None
    try:
        return ArchiveMode(text.lower())
    except ValueError:
        raise InvalidArgumentError(
            f'invalid archmode "{text}"', hint=f"use one of: {', '.join(ArchiveMode)}"
        ) from None


def split_list(text: str) -> tuple[str, ...]:
    """Names of a comma-separated list, blanks around them trimmed.

    Raises:
        InvalidArgumentError: no name at all.
    """
    names = tuple(name for part in text.split(",") if (name := part.strip()))
    if not names:
        raise InvalidArgumentError("the list of names is empty")
    return names


def make_selection(
    names: str | None, template: str | None, prefix: str | None, *, everything: bool = False
) -> Selection | None:
    """The selection that the flags stand for; None without any.

    Raises:
        InvalidArgumentError: more than one of them.
    """
    given = {
        "--list": names,
        "--template": template,
        "--prefix": prefix,
        "--all": everything or None,
    }
    flags = [flag for flag, value in given.items() if value is not None]
    if len(flags) > 1:
        raise InvalidArgumentError(f"flags {' and '.join(flags)} are mutually exclusive")
    if names is not None:
        return Selection(names=split_list(names))
    if template is not None:
        return Selection(template=template)
    if prefix is not None:
        return Selection(prefix=prefix)
    return Selection(everything=True) if everything else None
