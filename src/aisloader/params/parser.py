"""From a command line to parameters.

The grammar is that of Go's `flag` package, which upstream's scripts are written for: `-x` and `--x` are the same flag,
values follow `=` or a blank, booleans need none. Two things differ, because they hide mistakes there: a word that is no
flag is an error instead of ending the flags silently, and `-cleanup false` means what it says.
"""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from aiscore.errors import InvalidArgumentError
from aiscore.model.units import parse_bool
from aisloader.params import Params
from aisloader.params.option import Kind, Option, parse_value
from aisloader.params.sections import SECTIONS, options_by_spelling, section_options

__all__ = ["META_FLAGS", "CommandLine", "UsageError", "build", "parse_params", "scan"]

META_FLAGS = {
    "usage": "show all flags with examples and exit",
    "help": "same as -usage",
    "h": "same as -usage",
    "version": "show the version and exit",
}
"""Flags that the program answers itself, without a run."""

_RENAMED = {
    "putshards": "num-subdirs",
    "verify-hash": "verifyhash",
    "batch-size": "evict-batchsize",
    "batchsize": "evict-batchsize",
    "objNamePrefix": "subdir",
    "transformation": "etl",
}
"""Flags of older versions and of upstream's documents -> what they are called now."""
_GONE = {
    "getconfig": "reading the cluster's configuration is no load; measure GET instead",
}


_SIZES = frozenset(
    each.name for _, each in options_by_spelling().values() if each.kind is Kind.SIZE
)


class UsageError(InvalidArgumentError):
    """The command line itself is malformed: the exit code is 2, as for any command."""


@dataclass(slots=True)
class CommandLine:
    """A command line taken apart.

    Attributes:
        texts: flag name -> its text as given; the last one when repeated.
        meta: names of `META_FLAGS` that were asked for.
        notes: deprecations and repetitions, for stderr.
    """

    texts: dict[str, str] = field(default_factory=dict)
    meta: set[str] = field(default_factory=set)
    notes: list[str] = field(default_factory=list)


def parse_params(argv: Sequence[str], environ: Mapping[str, str]) -> Params:
    """See `aisloader.params.parse`."""
    return build(scan(argv), environ)


def scan(argv: Sequence[str]) -> CommandLine:
    """Take a command line apart without looking at values.

    Raises:
        UsageError: an unknown flag, a flag without its value, or a word that is no flag.
    """
    line = CommandLine()
    words = list(argv)
    at = 0
    while at < len(words):
        word = words[at]
        at += 1
        if word == "--" and at == len(words):
            break
        name, has_value, value = _split(word)
        if name in META_FLAGS:
            if not has_value or _bool(name, value):
                line.meta.add(name)
            continue
        name, has_value, value = _modernise(line, name, has_value, value)
        each = _find(name)
        if not has_value:
            following = words[at] if at < len(words) else None
            taken = _value_of(each, following)
            value = "true" if taken is None else taken
            at += taken is not None
        if each.name in line.texts:
            line.notes.append(f"-{each.name} is given twice: using {value!r}")
        _set(line, each, value)
    return line


def build(line: CommandLine, environ: Mapping[str, str]) -> Params:
    """Read the values, resolve what depends on other flags and on the environment, check everything.

    Raises:
        UsageError: a value that its flag cannot have.
        InvalidArgumentError: a rule that is broken.
    """
    given = frozenset(name for name, text in line.texts.items() if text or name not in _SIZES)
    notes = list(line.notes)
    values = {section: _read_section(section, line.texts) for section in SECTIONS}
    is_s3 = values["cluster"]["s3endpoint"] or environ.get("S3_ENDPOINT")
    if is_s3 and "provider" not in given:
        # A bare name beside an S3 endpoint can only be an S3 bucket.
        values["bucket"]["provider"] = "aws"
    if is_s3 and "cksum-type" not in given:
        # AIStore's default is a checksum that S3 does not know.
        values["size_cksum"]["cksum_type"] = "none"
    for section, what in SECTIONS.items():
        what.resolve(values[section], given, environ, notes)
    if values["loader"]["loadernum"] or values["loader"]["loaderidhashlen"]:
        values["naming"]["randomname"] = False
    sections: dict[str, Any] = {
        section: what.cls(**values[section]) for section, what in SECTIONS.items()
    }
    params = Params(**sections, given=given, notes=tuple(notes))
    params.validate()
    return params


def _read_section(section: str, texts: Mapping[str, str]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for each in section_options(section):
        # An empty size has always meant "as if it were not given".
        if each.name not in texts or (each.kind is Kind.SIZE and not texts[each.name].strip()):
            values[each.field] = each.default
            continue
        try:
            values[each.field] = parse_value(each, texts[each.name])
        except InvalidArgumentError as exc:
            raise UsageError(exc.message, hint=exc.hint) from None
    return values


def _split(word: str) -> tuple[str, bool, str]:
    """`--name=value` -> name, True, value."""
    body = word.removeprefix("-").removeprefix("-")
    if not word.startswith("-") or not body:
        raise UsageError(
            f'unexpected argument "{_shorten(word)}"',
            hint="every parameter is a flag: see aisloader usage",
        )
    if body.startswith(("-", "=")):
        raise UsageError(f'malformed flag "{_shorten(word)}"')
    name, equals, value = body.partition("=")
    return name, bool(equals), value


def _modernise(line: CommandLine, name: str, has_value: bool, value: str) -> tuple[str, bool, str]:
    """Old spellings, with a note."""
    if name in _GONE:
        raise UsageError(f"-{name} is not supported", hint=_GONE[name])
    if name in _RENAMED:
        line.notes.append(f"-{name} is deprecated: use -{_RENAMED[name]}")
        return _RENAMED[name], has_value, value
    return name, has_value, value


_SPECIAL = {
    "uniquegets": "-uniquegets is deprecated: reads without -pctput are unique in every epoch",
    "arch.use": "-arch.use is deprecated: use -arch.pct",
}


def _find(name: str) -> Option:
    if name in _SPECIAL:
        return Option(name, "", Kind.BOOL, "", (), (), None, None, False, "")
    found = options_by_spelling().get(name)
    if found is not None:
        return found[1]
    known = [*options_by_spelling(), *META_FLAGS]
    near = difflib.get_close_matches(name, known, 1, 0.6)
    raise UsageError(
        f'unknown flag "-{_shorten(name)}"',
        hint=f"did you mean -{near[0]}?" if near else "see aisloader usage",
    )


def _set(line: CommandLine, each: Option, value: str) -> None:
    """Note a flag's text; three old flags stand for something else."""
    if each.name == "arch.use":
        line.notes.append(_SPECIAL["arch.use"])
        if _bool("arch.use", value):
            line.texts["arch.pct"] = "100"
    elif each.name == "uniquegets":
        line.notes.append(_SPECIAL["uniquegets"])
        if not _bool("uniquegets", value):
            line.texts["name-getter"] = "random"
    elif each.name == "readertype" and value == "tar":
        line.notes.append("-readertype=tar is deprecated: use -arch.pct=100")
        line.texts["arch.pct"] = "100"
    else:
        line.texts[each.name] = value


def _value_of(each: Option, following: str | None) -> str | None:
    """The value that follows a flag as the next word; None for a boolean that has none."""
    if each.kind is Kind.BOOL:
        if following is None or following == "":
            return None
        try:
            parse_bool(following)
        except InvalidArgumentError:
            return None
        return following
    if following is None or _is_flag(following):
        found = "" if following is None else f', found "{_shorten(following)}"'
        raise UsageError(
            f"flag -{each.name} needs a value{found}", hint=f"write -{each.name}={each.kind.value}"
        )
    return following


def _is_flag(word: str) -> bool:
    """True for a word that begins like a flag of ours; `-1` and `-` do not."""
    if not word.startswith("-"):
        return False
    name = word.removeprefix("-").removeprefix("-").partition("=")[0]
    return name in options_by_spelling() or name in META_FLAGS or name in _RENAMED


def _bool(name: str, text: str) -> bool:
    try:
        return parse_bool(text)
    except InvalidArgumentError as exc:
        raise UsageError(f"invalid value for -{name}: {exc.message}") from None


def _shorten(text: str) -> str:
    """A word of the command line as an error shows it: short, and without control characters."""
    short = text if len(text) <= 64 else f"{text[:64]}..."
    return short if short.isprintable() else ascii(short)[1:-1]
