"""What the user may write for buckets and objects. A bare name is an `ais://` bucket."""

from dataclasses import dataclass

from aiscore.errors import InvalidArgumentError
from aiscore.model.bucket import BucketRef, Namespace, ObjectUri, Provider

__all__ = [
    "BucketQuery",
    "is_template",
    "parse_bucket",
    "parse_object",
    "parse_query",
    "parse_target",
]

_TEMPLATE_CHARACTERS = frozenset("*?{}\\")


@dataclass(frozen=True, slots=True)
class BucketQuery:
    """A set of buckets: `ais:`, `s3://`, `ais://#ns`, `ais://@uuid`; None is any."""

    provider: Provider | None = None
    namespace: Namespace | None = None


def parse_bucket(text: str) -> BucketRef:
    """Read `[ais://]BUCKET`.

    Raises:
        InvalidArgumentError: not a bucket.
    """
    return BucketRef.parse(text, default_provider=_default_provider(text))


def parse_object(text: str) -> ObjectUri:
    """Read `[ais://]BUCKET/OBJECT`.

    Raises:
        InvalidArgumentError: not an object.
    """
    return ObjectUri.parse(text, default_provider=_default_provider(text), require_name=True)


def parse_target(text: str) -> ObjectUri:
    """Read `[ais://]BUCKET[/NAME]`, where NAME is an object, a prefix or a template, unchecked.

    Raises:
        InvalidArgumentError: the bucket is missing or malformed.
    """
    return ObjectUri.parse(text, default_provider=_default_provider(text))


def parse_query(text: str) -> BucketQuery | None:
    """Read a set of buckets; None when `text` names a bucket.

    Raises:
        InvalidArgumentError: the provider is unknown.
    """
    word, separator, rest = text.partition("://")
    if not separator:
        word, colon, rest = text.partition(":")
        if not colon or rest:
            return None
    if not rest:
        return BucketQuery(Provider.parse(word))
    if rest[0] in "@#" and "/" not in rest.rstrip("/"):
        return BucketQuery(Provider.parse(word), Namespace.parse(rest.rstrip("/")))
    return None


def is_template(name: str) -> bool:
    """True when a name after the bucket stands for many objects rather than one."""
    return not _TEMPLATE_CHARACTERS.isdisjoint(name)


def _default_provider(text: str) -> Provider | None:
    # `ais:/b` and `s3:b` are typing errors: without a default the parser answers with what was
    # meant.
    if not text:
        raise InvalidArgumentError("empty bucket or object name", hint="use ais://BUCKET[/OBJECT]")
    return None if ":" in text.partition("/")[0] and "://" not in text else Provider.AIS
