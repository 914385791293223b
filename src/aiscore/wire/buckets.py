"""A bucket in a query, in JSON, in a URL path and as `uname`."""

import re
from collections.abc import Mapping
from functools import lru_cache

from aiscore.errors import InvalidArgumentError
from aiscore.model.bucket import GLOBAL_NAMESPACE, BucketRef, Namespace, Provider
from aiscore.model.names import check_object_name, check_prefix
from aiscore.wire.names import Path, Q

__all__ = [
    "bucket_from_json",
    "bucket_of",
    "bucket_path",
    "bucket_query",
    "bucket_to_json",
    "checked_path",
    "namespace_text",
    "object_path",
    "object_uname",
    "parse_uname",
    "quote_path",
]

_KNOWN_MAX = 1024
"""Buckets remembered by their spelling: reading one anew costs as much as finding a small object."""
_PLAIN_MAX = 256
_PLAIN = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*(?:/[A-Za-z0-9_-][A-Za-z0-9_.-]*)*")
"""Names that no rule forbids, and that are the same in a URL."""


def bucket_query(bucket: BucketRef) -> dict[str, str]:
    """Parameters that go with a bucket's name in a path: `provider`, and `namespace` unless global."""
    query = {Q.PROVIDER: bucket.provider.value}
    if not bucket.namespace.is_global:
        query[Q.NAMESPACE] = namespace_text(bucket.namespace)
    return query


def bucket_of(name: str, query: Mapping[str, str]) -> BucketRef:
    """The bucket that a path item and the query name.

    Raises:
        InvalidArgumentError: unknown provider, or a bad namespace (`InvalidNameError`: a bad name).
    """
    return _bucket(name, query.get(Q.PROVIDER, ""), query.get(Q.NAMESPACE, ""))


def bucket_to_json(bucket: BucketRef | None) -> dict[str, object]:
    """AIStore's `Bck`; None gives one with empty fields, as jobs without a bucket have it."""
    namespace = GLOBAL_NAMESPACE if bucket is None else bucket.namespace
    return {
        "name": "" if bucket is None else bucket.name,
        "provider": "" if bucket is None else bucket.provider.value,
        "namespace": {"uuid": namespace.uuid, "name": namespace.name},
    }


def bucket_from_json(raw: object) -> BucketRef | None:
    """The bucket of a `Bck`; None when it has no name. Keys in any case.

    Raises:
        InvalidArgumentError: not an object, or its fields are no bucket.
    """
    if raw is None:
        return None
    if not isinstance(raw, Mapping):
        raise InvalidArgumentError("invalid bucket: expected a JSON object")
    fields = {str(key).lower(): value for key, value in raw.items()}
    scope = fields.get("namespace") or {}
    if not isinstance(scope, Mapping):
        raise InvalidArgumentError("invalid bucket: expected a JSON object as namespace")
    parts = {str(key).lower(): value for key, value in scope.items()}
    texts = [fields.get("name"), fields.get("provider"), parts.get("uuid"), parts.get("name")]
    if not all(text is None or isinstance(text, str) for text in texts):
        raise InvalidArgumentError("invalid bucket: expected texts as name, provider and namespace")
    name, provider, uuid, scope_name = (str(text or "") for text in texts)
    if not name:
        return None
    if not uuid and not scope_name:
        return _bucket(name, provider, "")
    return _bucket(name, provider, f"@{uuid}#{scope_name}")


def namespace_text(namespace: Namespace) -> str:
    """`@uuid#name`; both signs always stand, so the global namespace is `@#`."""
    return f"@{namespace.uuid}#{namespace.name}"


def object_uname(bucket: BucketRef, name: str) -> str:
    """`ais/@#/b/o`: what placement is computed from, and what `object_to` carries."""
    return bucket.uname + name


def parse_uname(text: str) -> tuple[BucketRef, str]:
    """Bucket and object name ("" for a bucket alone) of a `uname`.

    Raises:
        InvalidArgumentError: it does not have three parts, or one of them is invalid.
    """
    provider, first, rest = text.partition("/")
    scope, second, rest = rest.partition("/")
    name, _, object_name = rest.partition("/")
    if not (first and second and name and provider and scope[:1] == "@"):
        raise InvalidArgumentError(
            f'invalid uname "{text[:200]}": expected PROVIDER/@UUID#NAMESPACE/BUCKET/[OBJECT]'
        )
    return _bucket(name, provider, scope), object_name


def bucket_path(bucket: BucketRef, prefix: str = "") -> str:
    """Percent-encoded path of a bucket, without query; a prefix follows after a slash."""
    path = f"{Path.BUCKETS}/{bucket.name}"
    return f"{path}/{quote_path(prefix)}" if prefix else path


def object_path(bucket: BucketRef, name: str) -> str:
    """Percent-encoded path of an object, without query."""
    return f"{Path.OBJECTS}/{bucket.name}/{quote_path(name)}"


def quote_path(name: str) -> str:
    """Percent-encode once; slashes stay, as part of the name.

    Raises:
        InvalidNameError: it is not valid Unicode.
    """
    if name.isascii() and name.replace("/", "a").replace("-", "a").replace(".", "a").isalnum():
        return name
    from urllib.parse import quote

    try:
        return quote(name, safe="/")
    except UnicodeEncodeError:
        check_prefix(name)
        raise


def checked_path(name: str) -> str:
    """The name of an object, checked and percent-encoded.

    Raises:
        InvalidNameError: no object can have it.
    """
    # One look at it decides for nearly every name what both would find out in a dozen.
    if len(name) <= _PLAIN_MAX and _PLAIN.fullmatch(name):
        return name
    return quote_path(check_object_name(name))


@lru_cache(maxsize=_KNOWN_MAX)
def _bucket(name: str, provider: str, namespace: str) -> BucketRef:
    scope = Namespace.parse(namespace) if namespace else GLOBAL_NAMESPACE
    return BucketRef(name, Provider.parse(provider), GLOBAL_NAMESPACE if scope.is_global else scope)
