"""Transformation of what is read."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aiscore.errors import InvalidArgumentError
from aisloader.params.option import Kind, check_section, option

__all__ = ["ETL_ALIASES", "EtlParams", "resolve"]

ETL_ALIASES = {"md5": "transformer-md5", "echo": "transformer-echo"}
ETL_NAMES = (
    "tar2tf",
    "transformer-md5",
    "transformer-echo",
    "echo-go",
    "hash-with-args",
    "tar2tf-filters",
    "parquet-parser",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class EtlParams:
    """Transformation of what is read: a predefined one, or one from a specification file."""

    name: str = option(
        "", "etl", Kind.TEXT, "predefined transformation of every GET: tar2tf, md5, echo"
    )
    spec: str = option("", "etl-spec", Kind.TEXT, "file that specifies the transformation")

    @property
    def is_enabled(self) -> bool:
        """True when reads are transformed."""
        return bool(self.name or self.spec)

    def validate(self) -> None:
        """Check the values; raises `InvalidArgumentError`."""
        check_section(self)
        if self.name and self.spec:
            raise InvalidArgumentError("-etl and -etl-spec exclude each other")
        if self.name and self.name not in ETL_NAMES:
            raise InvalidArgumentError(
                f'unknown -etl "{self.name}"',
                hint=f"use one of: {', '.join(sorted((*ETL_NAMES, *ETL_ALIASES)))}",
            )
        if self.spec and not os.access(self.spec, os.R_OK):
            raise InvalidArgumentError(f'cannot read -etl-spec "{self.spec}"')


def resolve(
    values: dict[str, Any], given: frozenset[str], environ: Mapping[str, str], notes: list[str]
) -> None:
    """The names upstream documents stand for those its registry knows."""
    del given, environ, notes
    values["name"] = ETL_ALIASES.get(values["name"], values["name"])
