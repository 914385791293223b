"""What the user may write for buckets and objects.

A bare name is a bucket of the default provider: `ais`, unless the settings name another one.
"""

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
    "use_default_provider",
]

_KEY = "default_provider"
_default_names: list[str] = []
_WEB = frozenset({"http", "https"})
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
    if text[:1] in {"@", "#"}:
        text = f"ais://{text}"  # `@`, `@uuid`, `#ns`, as AIStore's ais has them
    word, separator, rest = text.partition("://")
    if not separator:
        word, colon, rest = text.partition(":")
        if not colon or rest:
            return None
    if word.lower() in _WEB:
        raise InvalidArgumentError(
            f'invalid backend provider "{word}"', hint="the URL of a store goes to --endpoint"
        )
    if not rest:
        return BucketQuery(Provider.parse(word))
    if rest[0] in "@#" and "/" not in rest.rstrip("/"):
        return BucketQuery(Provider.parse(word), Namespace.parse(rest.rstrip("/")))
    return None


def use_default_provider(name: str) -> None:
    """Take names without a scheme for buckets of this provider; for the rest of the process.

    A process is one run of the command, and the functions here are called from everywhere, so this
    is not handed through. The name is checked when it is needed: repairing it must stay possible.
    """
    _default_names[:] = [name]


def is_template(name: str) -> bool:
    """True when a name after the bucket stands for many objects rather than one."""
    return not _TEMPLATE_CHARACTERS.isdisjoint(name)


def _default_provider(text: str) -> Provider | None:
    # `ais:/b` and `s3:b` are typing errors: without a default the parser answers with what was
    # meant.
    if not text:
        raise InvalidArgumentError("empty bucket or object name", hint="use ais://BUCKET[/OBJECT]")
    if ":" in text.partition("/")[0] and "://" not in text:
        return None
    if "://" in text or not _default_names:
        return Provider.AIS
    try:
        return Provider.parse(_default_names[0])
    except InvalidArgumentError as error:
        raise InvalidArgumentError(
            f"{_KEY} of the settings: {error.message}",
            hint=f"set it: ais config cli set {_KEY}=ais",
        ) from None
