"""Action messages and what they carry.

Clients differ in the case of keys and in whether 64-bit numbers are strings; everything read here accepts both, as
AIStore does. What is written has AIStore's spelling.
"""

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar, get_args

import msgspec

from aiscore.errors import InvalidArgumentError, UnsupportedError
from aiscore.model.archive import ArchiveFormat
from aiscore.model.bucket import BucketRef
from aiscore.model.objects import (
    ArchiveOptions,
    CopyOptions,
    PromoteOptions,
    Selection,
)
from aiscore.model.template import parse_template
from aiscore.wire.buckets import bucket_from_json, bucket_to_json

__all__ = [
    "ActMsg",
    "ArchiveMsg",
    "Bck",
    "CopyMsg",
    "CopyObjectsMsg",
    "ListRange",
    "MptPart",
    "Ns",
    "PromoteMsg",
    "RmNodeMsg",
    "archive_msg",
    "archive_options",
    "bck_of",
    "bck_ref",
    "copy_msg",
    "copy_options",
    "decode_action",
    "decode_json",
    "decode_value",
    "encode_action",
    "encode_json",
    "promote_msg",
    "promote_options",
    "selection_msg",
    "selection_of",
]

T = TypeVar("T", bound=msgspec.Struct)

_NULL = msgspec.Raw(b"null")
_TEMPLATE_SIGNS = frozenset("{@%*")


class Ns(msgspec.Struct):
    """Namespace of a bucket."""

    uuid: str = ""
    name: str = ""


class Bck(msgspec.Struct):
    """A bucket; without a name it means none."""

    name: str = ""
    provider: str = ""
    namespace: Ns = msgspec.field(default_factory=Ns)


class ActMsg(msgspec.Struct):
    """What to do: `action`, a `name` where one is needed, and a `value` to be read by `decode_value`."""

    action: str = ""
    name: str = ""
    value: msgspec.Raw = _NULL

    @property
    def has_value(self) -> bool:
        """False for null and for a message without value: "list" then means buckets."""
        return bytes(self.value) != b"null"


class ListRange(
    msgspec.Struct,
    rename={
        "names": "objnames",
        "workers": "num-workers",
        "cont_on_err": "coer",
        "non_recursive": "non-recurs",
    },
):
    """Selection of objects for delete, evict and prefetch."""

    names: list[str] | None = None
    template: str = ""
    workers: int = 0
    cont_on_err: bool = False
    non_recursive: bool = False


class CopyMsg(
    msgspec.Struct,
    rename={
        "extensions": "ext",
        "latest_version": "latest-ver",
        "non_recursive": "non-recurs",
        "etl": "id",
        "workers": "num-workers",
        "cont_on_err": "coer",
    },
):
    """How to copy a bucket (AIStore's TCBMsg)."""

    extensions: dict[str, str] | None = None
    prepend: str = ""
    prefix: str = ""
    dry_run: bool = False
    force: bool = False
    latest_version: bool = False
    synchronize: bool = False
    non_recursive: bool = False
    etl: str = ""
    pipeline: list[str] | None = None
    request_timeout: int | str = 0
    workers: int = 0
    cont_on_err: bool = False


class CopyObjectsMsg(
    CopyMsg,
    rename={
        "names": "objnames",
        "target": "tobck",
        "extensions": "ext",
        "latest_version": "latest-ver",
        "non_recursive": "non-recurs",
        "etl": "id",
        "workers": "num-workers",
        "cont_on_err": "coer",
    },
):
    """How to copy selected objects (AIStore's TCOMsg)."""

    names: list[str] | None = None
    template: str = ""
    target: Bck = msgspec.field(default_factory=Bck)


class ArchiveMsg(
    msgspec.Struct,
    rename={
        "names": "objnames",
        "target": "tobck",
        "shard": "archname",
        "base_name_only": "bnonly",
        "include_bucket": "isbn",
        "append": "aate",
        "cont_on_err": "coer",
        "non_recursive": "non-recurs",
    },
):
    """How to pack objects into a shard."""

    target: Bck = msgspec.field(default_factory=Bck)
    shard: str = ""
    mime: str = ""
    names: list[str] | None = None
    template: str = ""
    base_name_only: bool = False
    include_bucket: bool = False
    append: bool = False
    cont_on_err: bool = False
    non_recursive: bool = False


class PromoteMsg(
    msgspec.Struct,
    rename={
        "target": "tid",
        "path": "src",
        "name": "obj",
        "recursive": "rcr",
        "overwrite": "ovw",
        "delete_source": "dls",
        "not_shared": "notshr",
    },
):
    """How to take files of the host into a bucket; the path is also the action's name."""

    target: str = ""
    path: str = ""
    name: str = ""
    recursive: bool = False
    overwrite: bool = False
    delete_source: bool = False
    not_shared: bool = False


class MptPart(msgspec.Struct, rename={"number": "part-number"}):
    """One part of a multipart upload to complete."""

    number: int = 0
    etag: str = ""


class RmNodeMsg(msgspec.Struct):
    """A change of the cluster's membership."""

    sid: str = ""
    sids: list[str] | None = None
    skip_rebalance: bool = False
    rm_user_data: bool = False
    keep_initial_config: bool = False
    no_shutdown: bool = False


# reading and writing


def decode_action(body: bytes | memoryview) -> ActMsg:
    """Read an action message; an empty body is one without action.

    Raises:
        InvalidArgumentError: not a JSON object, or action and name are no texts.
    """
    if not body:
        return ActMsg()
    try:
        fields = msgspec.json.decode(body, type=dict[str, msgspec.Raw] | None)
        found = {key.lower(): raw for key, raw in (fields or {}).items()}
        action, name = (
            msgspec.json.decode(found.get(key, _NULL), type=str | None) or ""
            for key in ("action", "name")
        )
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as exc:
        raise InvalidArgumentError(f"invalid action message: {exc}") from exc
    return ActMsg(action, name, found.get("value", _NULL))


def encode_action(action: str, name: str = "", value: object = None) -> bytes:
    """Write an action message; all three keys always stand."""
    return msgspec.json.encode({"action": action, "name": name, "value": value})


def decode_value(raw: bytes | memoryview | msgspec.Raw, cls: type[T]) -> T:
    """Read what a message carries; null and nothing give the defaults, unknown keys are ignored.

    Raises:
        InvalidArgumentError: not JSON, or a field of the wrong type; the message names it.
    """
    value = decode_json(raw)
    if value is None:
        return cls()
    if not isinstance(value, dict):
        raise InvalidArgumentError("invalid message: expected a JSON object")
    try:
        return msgspec.convert(_match_keys(value, cls), cls, strict=False)
    except (msgspec.ValidationError, RecursionError) as exc:
        raise InvalidArgumentError(f"invalid message: {exc}") from exc


def decode_json(body: bytes | memoryview | msgspec.Raw) -> Any:  # noqa: ANN401  what JSON holds is for the caller to find out
    """Read any JSON; nothing is None.

    Raises:
        InvalidArgumentError: not JSON.
    """
    if not body:
        return None
    try:
        return msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as exc:
        raise InvalidArgumentError(f"invalid JSON: {exc}") from exc


def encode_json(value: object) -> bytes:
    """Write JSON in one line without spaces."""
    return msgspec.json.encode(value)


def _match_keys(value: Mapping[str, Any], cls: type[msgspec.Struct]) -> dict[str, Any]:
    """Keys in the spelling of `cls`, whatever their case; nulls are left out, so that they give the default."""
    known = {field.encode_name.lower(): field for field in msgspec.structs.fields(cls)}
    matched: dict[str, Any] = {}
    for key, item in value.items():
        field = known.get(key.lower())
        if field is None or item is None:
            continue
        nested = _struct_in(field.type)
        if nested is not None and isinstance(item, dict):
            item = _match_keys(item, nested)
        matched[field.encode_name] = item
    return matched


def _struct_in(hint: object) -> type[msgspec.Struct] | None:
    for part in (hint, *get_args(hint)):
        if isinstance(part, type) and issubclass(part, msgspec.Struct):
            return part
    return None


# between messages and values


def bck_of(bucket: BucketRef | None) -> Bck:
    """A bucket as message; None gives the empty one."""
    if bucket is None:
        return Bck()
    return Bck(bucket.name, bucket.provider.value, Ns(bucket.namespace.uuid, bucket.namespace.name))


def bck_ref(bck: Bck) -> BucketRef | None:
    """The bucket of a message; None without a name.

    Raises:
        InvalidArgumentError: a name, provider or namespace that is none.
    """
    return bucket_from_json(msgspec.to_builtins(bck))


def selection_msg(selection: Selection) -> dict[str, Any]:
    """`objnames` or `template` of a selection; a prefix is a template too, and everything is neither.

    Raises:
        InvalidArgumentError: no names: on the wire that would be every object.
        UnsupportedError: a prefix that would be read as a template; name its objects instead.
    """
    if selection.names is not None:
        if not selection.names:
            raise InvalidArgumentError("no object names given")
        return {"objnames": list(selection.names)}
    prefix = selection.prefix or ""
    if not _TEMPLATE_SIGNS.isdisjoint(prefix):
        raise UnsupportedError(f'the prefix "{prefix}" cannot be sent: it reads as a template')
    return {"template": selection.template or prefix}


def selection_of(names: Sequence[str] | None, template: str) -> Selection:
    """The selection of a message: names, else a template; neither, or `*`, is the whole bucket.

    A template without a range is a prefix; a star at its end means nothing. An empty list of names is no object.

    Raises:
        InvalidArgumentError: both are given, or a name or the template is invalid.
    """
    if names and template:
        raise InvalidArgumentError("objnames and template are mutually exclusive")
    if names is not None and not template:
        return Selection(names=tuple(names))
    if template in {"", "*"}:
        return Selection(everything=True)
    prefix = template.removesuffix("*")
    if _TEMPLATE_SIGNS.isdisjoint(prefix):
        return Selection(prefix=prefix)
    parse_template(
        template
    )  # an invalid one is the error of the request, not of the job that it would begin
    return Selection(template=template)


def copy_msg(options: CopyOptions) -> dict[str, Any]:
    """Options of a bucket copy as message."""
    return {
        "prefix": options.prefix,
        "prepend": options.prepend,
        "dry_run": options.dry_run,
        "synchronize": options.synchronize,
        "coer": options.cont_on_err,
    }


def copy_options(message: CopyMsg) -> CopyOptions:
    """Options of a bucket copy.

    Raises:
        InvalidArgumentError: they exclude each other, or a prefix is invalid.
    """
    return CopyOptions(
        prefix=message.prefix,
        prepend=message.prepend,
        dry_run=message.dry_run,
        synchronize=message.synchronize,
        cont_on_err=message.cont_on_err,
    )


def archive_msg(
    selection: Selection, target: BucketRef, shard: str, options: ArchiveOptions
) -> dict[str, Any]:
    """An archiving as message."""
    return {
        "archname": shard,
        "mime": options.output_format.value if options.output_format else "",
        "bnonly": options.base_name_only,
        "isbn": options.include_bucket,
        "aate": options.append,
        "coer": options.cont_on_err,
        "tobck": bucket_to_json(target),
        **selection_msg(selection),
    }


def archive_options(message: ArchiveMsg) -> ArchiveOptions:
    """Options of an archiving.

    Raises:
        InvalidArgumentError: an unknown format.
    """
    return ArchiveOptions(
        output_format=ArchiveFormat.parse(message.mime) if message.mime else None,
        append=message.append,
        include_bucket=message.include_bucket,
        base_name_only=message.base_name_only,
        cont_on_err=message.cont_on_err,
    )


def promote_msg(path: str, name: str, options: PromoteOptions) -> dict[str, Any]:
    """A promotion as message."""
    return {
        "src": path,
        "obj": name,
        "rcr": options.recursive,
        "ovw": options.overwrite,
        "dls": options.delete_source,
        "notshr": True,
    }


def promote_options(message: PromoteMsg) -> PromoteOptions:
    """Options of a promotion."""
    return PromoteOptions(
        recursive=message.recursive,
        overwrite=message.overwrite,
        delete_source=message.delete_source,
    )
