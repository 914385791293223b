"""Identity of a bucket: provider, namespace and name, and the URIs people write.

Syntax: `[PROVIDER://][@UUID][#NAMESPACE/]BUCKET[/OBJECT]`, e.g. `ais://@uuid#ns/bucket/object`.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Self

from aiscore.errors import InvalidArgumentError
from aiscore.model.names import check_bucket_name, check_namespace_part, check_object_name

__all__ = ["GLOBAL_NAMESPACE", "BucketRef", "Namespace", "ObjectUri", "Provider"]


class Provider(StrEnum):
    """Whose storage a bucket is; the value is the canonical wire name."""

    AIS = "ais"
    AWS = "aws"
    GCP = "gcp"
    AZURE = "azure"
    OCI = "oci"
    HT = "ht"

    @property
    def scheme(self) -> str:
        """The URI scheme in messages and listings, e.g. `s3` for AWS."""
        return _SCHEMES[self]

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a provider name or one of its aliases (`s3`, `gs`, `az`, `oc`); empty means `ais`.

        Raises:
            InvalidArgumentError: the provider is unknown.
        """
        word = text.strip().lower().removesuffix("://").removesuffix(":")
        try:
            return cls(_ALIASES.get(word, word))
        except ValueError:
            raise InvalidArgumentError(
                f'invalid backend provider "{text}"', hint="use one of: ais, s3, gs, az, oc, ht"
            ) from None


_SCHEMES = {
    Provider.AIS: "ais",
    Provider.AWS: "s3",
    Provider.GCP: "gs",
    Provider.AZURE: "az",
    Provider.OCI: "oc",
    Provider.HT: "ht",
}
_ALIASES = {
    "": "ais",
    "s3": "aws",
    "gs": "gcp",
    "az": "azure",
    "oc": "oci",
    "http": "ht",
    "https": "ht",
}


@dataclass(frozen=True, slots=True, order=True)
class Namespace:
    """Scope of a bucket name: `uuid` of a remote cluster (empty: this one) and a local name."""

    uuid: str = ""
    name: str = ""

    @property
    def is_global(self) -> bool:
        """True for the namespace that needs no spelling."""
        return not self.uuid and not self.name

    def __str__(self) -> str:
        """`@uuid#name`, each half only when set; empty for the global namespace."""
        return (f"@{self.uuid}" if self.uuid else "") + (f"#{self.name}" if self.name else "")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `@uuid#name`, `@uuid`, `#name` or nothing; the wire's `@#` is the global namespace."""
        if not text:
            return cls()
        if text[0] not in "@#":
            raise InvalidArgumentError(
                f'invalid namespace "{text}": expected @UUID, #NAME or @UUID#NAME'
            )
        uuid, _, name = text.lstrip("@").partition("#") if text[0] == "@" else ("", "", text[1:])
        return cls(check_namespace_part(uuid), check_namespace_part(name))


GLOBAL_NAMESPACE = Namespace()


@dataclass(frozen=True, slots=True, order=True)
class BucketRef:
    """Names one bucket; says nothing about whether it exists."""

    name: str
    provider: Provider = Provider.AIS
    namespace: Namespace = field(default=GLOBAL_NAMESPACE)

    def __post_init__(self) -> None:
        check_bucket_name(self.name)

    def __hash__(self) -> int:
        # The generated one hashes two enums and a dataclass: a microsecond on paths that have ten.
        return hash(self.name)

    @property
    def cname(self) -> str:
        """As people read it: `ais://b`, `ais://@uuid#ns/b`."""
        scope = f"{self.namespace}/" if not self.namespace.is_global else ""
        return f"{self.provider.scheme}://{scope}{self.name}"

    @property
    def uname(self) -> str:
        """Unique name used by the wire and for placement: `ais/@#/b/`."""
        scope = f"@{self.namespace.uuid}#{self.namespace.name}"
        return f"{self.provider.value}/{scope}/{self.name}/"

    @property
    def is_remote(self) -> bool:
        """True when another system owns the content."""
        return self.provider is not Provider.AIS or bool(self.namespace.uuid)

    def object_cname(self, object_name: str) -> str:
        """`ais://b/o`."""
        return f"{self.cname}/{object_name}"

    def __str__(self) -> str:
        return self.cname

    @classmethod
    def parse(cls, uri: str, *, default_provider: Provider | None = None) -> Self:
        """Read a bucket URI.

        Args:
            uri: `ais://b`, `ais://b/`, `ais://#ns/b`, or a bare name where `default_provider` is given.
            default_provider: what a name without scheme means; None refuses it.

        Raises:
            InvalidArgumentError: not a bucket URI.
        """
        bucket, rest = _split_uri(uri, default_provider)
        if rest:
            raise InvalidArgumentError(
                f'"{uri}" names an object, expected a bucket', hint=f"use {bucket.cname}"
            )
        return cls(bucket.name, bucket.provider, bucket.namespace)


@dataclass(frozen=True, slots=True)
class ObjectUri:
    """A bucket and what follows it: an object name, a prefix, or nothing (empty name)."""

    bucket: BucketRef
    name: str

    @property
    def cname(self) -> str:
        """`ais://b/o`, or `ais://b` without a name."""
        return self.bucket.object_cname(self.name) if self.name else self.bucket.cname

    @classmethod
    def parse(
        cls, uri: str, *, default_provider: Provider | None = None, require_name: bool = False
    ) -> Self:
        """Read `BUCKET[/NAME]`.

        Args:
            uri: what the user wrote; a trailing slash after the bucket alone is ignored.
            default_provider: what a URI without scheme means; None refuses it.
            require_name: refuse a bucket without object name, and check the name.

        Raises:
            InvalidArgumentError: not a URI, or the name is missing or invalid.
        """
        bucket, name = _split_uri(uri, default_provider)
        if require_name:
            if not name:
                raise InvalidArgumentError(
                    f'missing object name in "{uri}"', hint=f"use {bucket.cname}/OBJECT"
                )
            check_object_name(name)
        return cls(bucket, name)


def _split_uri(uri: str, default_provider: Provider | None) -> tuple[BucketRef, str]:
    scheme, separator, rest = uri.partition("://")
    if not separator:
        if default_provider is None or uri.startswith("/"):
            raise InvalidArgumentError(
                f'invalid URI "{uri}": expected PROVIDER://BUCKET[/OBJECT]', hint=_suggest(uri)
            )
        provider, rest = default_provider, uri
    else:
        provider = Provider.parse(scheme) if scheme else Provider.AIS
    namespace = GLOBAL_NAMESPACE
    if rest[:1] in {"@", "#"}:
        scope, _, rest = rest.partition("/")
        namespace = Namespace.parse(scope)
    name, _, object_name = rest.partition("/")
    if not name:
        raise InvalidArgumentError(
            f'missing bucket name in "{uri}"', hint=f"use {provider.scheme}://BUCKET"
        )
    return BucketRef(name, provider, namespace), object_name


def _suggest(uri: str) -> str:
    scheme, colon, rest = uri.partition(":/")
    if colon and scheme in {*_ALIASES, *Provider}:
        return f'did you mean "{scheme}://{rest.lstrip("/")}"'
    return f'did you mean "ais://{uri.lstrip("/")}"'
