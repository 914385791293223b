"""What a GetBatch command line asks for, as entries: pure rules, no store and no terminal.

- One `--archpath` applies to every object; as many as objects make pairs in order; several with one
  object are files of that one shard; anything else is refused.
- `shard.tar/inner` names a file of a shard, unless splitting is off.
- What the command line says wins over the spec.
"""

import base64
import binascii
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from aiscli.uri import parse_bucket, parse_object
from aiscore.errors import InvalidArgumentError
from aiscore.model.archive import ArchiveFormat, split_archpath
from aiscore.model.batch import BatchEntry
from aiscore.model.bucket import BucketRef, Namespace, Provider
from aiscore.model.names import check_object_name

__all__ = ["BatchSpec", "parse_spec", "plan_entries"]

YAML_DEPTH_MAX = 64
"""Levels of a YAML spec; one needs four."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchSpec:
    """A batch read from a JSON or YAML document; None where the document is silent."""

    entries: tuple[BatchEntry, ...] = ()
    output_format: ArchiveFormat | None = None
    cont_on_err: bool | None = None
    only_obj_name: bool | None = None
    streaming: bool | None = None


def plan_entries(
    names: Iterable[str],
    archpaths: Sequence[str] = (),
    *,
    split: bool = True,
    start: int = 0,
    length: int = 0,
) -> list[BatchEntry]:
    """Entries of the objects that were named, in order.

    Args:
        names: object names of the batch's bucket, or URIs of any.
        archpaths: files of shards, by the rules of this module.
        split: read `shard.tar/inner` as a file of a shard.
        start: first byte of every entry.
        length: bytes of every entry; 0 or -1 is up to the end.

    Raises:
        InvalidArgumentError: the numbers of objects and archpaths do not fit, or a name is invalid.
    """
    if start and not length:
        length = -1  # the wire refuses 0 behind a start
    objects = [_read_name(name, split=split and not archpaths) for name in names]
    if any(not path for path in archpaths):
        raise InvalidArgumentError("--archpath must not be empty")
    if not archpaths:
        return [BatchEntry(o.name, o.bucket, o.archpath, None, start, length) for o in objects]
    if not objects:
        raise InvalidArgumentError("--archpath needs at least one object")
    if len(archpaths) == 1:
        pairs = [(item, archpaths[0]) for item in objects]
    elif len(objects) == 1:
        pairs = [(objects[0], path) for path in archpaths]
    elif len(objects) == len(archpaths):
        pairs = list(zip(objects, archpaths, strict=True))
    else:
        raise InvalidArgumentError(
            f"{len(archpaths)} archpaths do not fit {len(objects)} objects",
            hint="give one archpath for all, or one for each object",
        )
    return [
        BatchEntry(o.name, o.bucket, path.lstrip("/"), None, start, length) for o, path in pairs
    ]


def _read_name(text: str, *, split: bool) -> BatchEntry:
    bucket = None
    name = text
    if "://" in text:
        uri = parse_object(text)
        bucket, name = uri.bucket, uri.name
    found = split_archpath(name) if split else None
    name, archpath = found or (name, None)
    return BatchEntry(check_object_name(name), bucket, archpath)


def parse_spec(document: str) -> BatchSpec:
    """Read a batch in the JSON of the wire, the same in YAML, or the list of its entries alone.

    `{"in": [{"objname", "archpath", "start", "length", ...}], "mime", "coer", "onob", "strm"}`

    Raises:
        InvalidArgumentError: neither JSON nor YAML, or not of this form.
    """
    loaded = _load(document)
    if isinstance(loaded, list):
        loaded = {"in": loaded}
    if not isinstance(loaded, dict):
        raise InvalidArgumentError('the spec is not an object with "in", nor a list')
    raw = loaded.get("in", [])
    if not isinstance(raw, list):
        raise InvalidArgumentError('"in" of the spec is not a list')
    default = _bucket_of(loaded, "the spec")
    mime = loaded.get("mime")
    return BatchSpec(
        entries=tuple(_read_entry(item, index, default) for index, item in enumerate(raw)),
        output_format=ArchiveFormat.parse(mime) if isinstance(mime, str) and mime else None,
        cont_on_err=_flag(loaded, "coer"),
        only_obj_name=_flag(loaded, "onob"),
        streaming=_flag(loaded, "strm"),
    )


def _load(document: str) -> object:
    try:
        if document.lstrip()[:1] in {"{", "["}:
            try:
                loaded: object = json.loads(document)
            except ValueError as error:
                # Flow style of YAML begins so, too.
                loaded = _load_yaml(document, f"the spec is not valid JSON: {error}")
            return loaded
        return _load_yaml(document, "the spec is neither JSON nor YAML")
    except RecursionError:
        raise InvalidArgumentError("the spec is nested too deeply") from None


def _load_yaml(document: str, message: str) -> object:
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        _check_depth(yaml.parse(document, Loader=loader))
        loaded: object = yaml.load(document, Loader=loader)
    except (yaml.YAMLError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise InvalidArgumentError(message, hint=f"as YAML: {reason}"[:300]) from None
    return loaded


def _check_depth(events: Iterable[object]) -> None:
    """Refuse deep nesting: the fast loader recurses in C, and would crash.

    Raises:
        RecursionError: deeper than any spec.
    """
    depth = 0
    for event in events:
        kind = type(event).__name__
        if kind in {"SequenceStartEvent", "MappingStartEvent"}:
            depth += 1
            if depth > YAML_DEPTH_MAX:
                raise RecursionError
        elif kind in {"SequenceEndEvent", "MappingEndEvent"}:
            depth -= 1


def _read_entry(raw: object, index: int, default: BucketRef | None) -> BatchEntry:
    where = f"entry {index} of the spec"
    if isinstance(raw, str):
        return _read_name(raw, split=True)
    if not isinstance(raw, dict):
        raise InvalidArgumentError(f"{where} is neither an object nor a name")
    name = raw.get("objname", raw.get("name"))
    bucket = _bucket_of(raw, where) or default
    uname = raw.get("uname")
    if isinstance(uname, str) and uname:
        bucket, rest = _parse_uname(uname, where)
        name = name or rest
    if name is not None and not isinstance(name, str):
        raise InvalidArgumentError(f'"objname" of {where} is not a string', hint="quote it")
    if not name:
        raise InvalidArgumentError(f'{where} has no "objname"')
    archpath = raw.get("archpath")
    if archpath is not None and not isinstance(archpath, str):
        raise InvalidArgumentError(f'"archpath" of {where} is not a string')
    opaque = raw.get("opaque")
    entry = BatchEntry(
        check_object_name(name),
        bucket,
        archpath or None,
        _decode_opaque(opaque, where) if opaque else None,
        _integer(raw, "start", where),
        _integer(raw, "length", where),
    )
    if entry.archpath is None and (found := split_archpath(entry.name)) is not None:
        return entry._replace(name=found[0], archpath=found[1])
    return entry


def _bucket_of(raw: dict[str, object], where: str) -> BucketRef | None:
    name, provider = raw.get("bucket"), raw.get("provider", "")
    if name is None or name == "":
        return None
    if not isinstance(name, str) or not isinstance(provider, str):
        raise InvalidArgumentError(f'"bucket" and "provider" of {where} must be strings')
    return parse_bucket(name) if "://" in name else BucketRef(name, Provider.parse(provider))


def _parse_uname(uname: str, where: str) -> tuple[BucketRef, str]:
    """`PROVIDER/@UUID#NAMESPACE/BUCKET/OBJECT`."""
    parts = uname.split("/", 3)
    if len(parts) < 3:
        raise InvalidArgumentError(f'invalid "uname" of {where}: "{uname}"')
    bucket = BucketRef(parts[2], Provider.parse(parts[0]), Namespace.parse(parts[1]))
    return bucket, parts[3] if len(parts) > 3 else ""


def _decode_opaque(value: object, where: str) -> bytes:
    if isinstance(value, str):
        try:
            return base64.b64decode(value.replace("-", "+").replace("_", "/"), validate=True)
        except binascii.Error:
            pass
    raise InvalidArgumentError(f'"opaque" of {where} is not base64')


def _integer(raw: dict[str, object], key: str, where: str) -> int:
    value = raw.get(key, 0)
    if not isinstance(value, int) or isinstance(value, bool):
        raise InvalidArgumentError(f'"{key}" of {where} is not an integer')
    return value


def _flag(raw: dict[str, object], key: str) -> bool | None:
    value = raw.get(key)
    if value is None or isinstance(value, bool):
        return value
    raise InvalidArgumentError(f'"{key}" of the spec is not true or false')
