"""Names of the objects that are PUT, and where the names to read come from."""

import posixpath
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aiscore.errors import InvalidArgumentError
from aiscore.model.names import check_prefix
from aiscore.model.units import INT64_MAX
from aisloader.params.option import Kind, check_section, option

__all__ = ["NamingParams", "resolve"]

SUBDIRS_MAX = 99_999
"""Five digits, as the directory's name has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NamingParams:
    """Names of the objects that are PUT, and where the names to read come from.

    Attributes:
        subdir: no slash at either end, or "". PUT: directory of all new names. Reads: prefix of the listing.
        num_subdirs: new names spread over this many directories below `subdir`; 0 none.
        randomname: new names are 32 random letters; else they are numbered within the loader.
        filelist: file with the names to read; "-" is stdin.
        name_template: names to read, as a template; nothing is listed.
        name_count: how many of them; 0 all.
        skiplist: do not list before a run that only writes.
    """

    subdir: str = option(
        "", "subdir", Kind.TEXT, "directory of the objects to PUT, prefix of those to read"
    )
    num_subdirs: int = option(
        0,
        "num-subdirs",
        Kind.UINT,
        "spread the objects to PUT over this many directories",
        high=SUBDIRS_MAX,
    )
    randomname: bool = option(
        True,
        "randomname",
        Kind.BOOL,
        "name new objects with 32 random letters; off with -loadernum and -loaderidhashlen",
    )
    filelist: str = option(
        "",
        "filelist",
        Kind.TEXT,
        "file of names to read, one a line, archived file after a tab; may be .gz or .zst; - is stdin",
    )
    name_template: str = option(
        "",
        "name-template",
        Kind.TEXT,
        'names to read without listing: "shard-{0000..9999}.tar", or "shard-%08d.tar" with '
        "-name-count",
    )
    name_count: int = option(
        0, "name-count", Kind.UINT, "names of -name-template, counted from 0", high=INT64_MAX
    )
    skiplist: bool = option(
        False, "skiplist", Kind.BOOL, "do not list the bucket first; with -pctput=100"
    )

    def validate(self) -> None:
        """Check the values; raises `InvalidArgumentError`."""
        check_section(self)
        if self.subdir.startswith("/"):
            raise InvalidArgumentError(f'-subdir "{self.subdir}" must not start with "/"')
        if ".." in self.subdir.split("/"):
            raise InvalidArgumentError(f'-subdir "{self.subdir}" must not contain ".."')
        check_prefix(self.subdir)
        if self.filelist and self.name_template:
            raise InvalidArgumentError("-filelist and -name-template exclude each other")
        if self.name_count and not self.name_template:
            raise InvalidArgumentError("-name-count needs -name-template")
        if self.name_template:
            _check_template(self.name_template, self.name_count)


def resolve(
    values: dict[str, Any], given: frozenset[str], environ: Mapping[str, str], notes: list[str]
) -> None:
    """Clean the directory; a list of names makes `-skiplist` void."""
    del given, environ
    text = values["subdir"].strip()
    if text:
        if ".." in text.split("/"):
            raise InvalidArgumentError(f'-subdir "{text}" must not contain ".."')
        cleaned = posixpath.normpath(text)
        values["subdir"] = "" if cleaned == "." else cleaned
    if values["skiplist"] and values["filelist"]:
        notes.append("-skiplist is ignored: -filelist names the objects")
        values["skiplist"] = False


def _check_template(text: str, count: int) -> None:
    from aiscore.model.template import parse_template

    known = parse_template(text).count
    if known is None and not count:
        raise InvalidArgumentError(
            f'-name-template "{text}" has no end',
            hint='give it a range, "shard-{0000..9999}.tar", or add -name-count',
        )
    if known is not None and count > known:
        raise InvalidArgumentError(
            f'-name-template "{text}" stands for {known} names, and -name-count is {count}'
        )
