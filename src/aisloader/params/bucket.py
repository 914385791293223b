"""The bucket under load."""

import json
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aiscore.errors import InvalidArgumentError
from aiscore.model.bucket import BucketRef, ObjectUri, Provider
from aisloader.params.option import Kind, check_section, option

__all__ = ["BucketParams", "check_props", "decode_props", "resolve"]

_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_NAME_LENGTH = 8
EC_SLICES_MAX = 32
MIRROR_COPIES = 2
MIRROR_BURST = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class BucketParams:
    """The bucket under load.

    Attributes:
        bucket: name, without provider and namespace; never empty after `parse`.
        provider: canonical provider word.
        namespace: `@uuid#name` as in the URI that named the bucket, or "".
        bprops: properties to set, as JSON text; "" leaves them alone.
        is_generated: True when the bucket was not named: its name is drawn, and the run creates it.
    """

    bucket: str = option(
        "", "bucket", Kind.TEXT, "bucket name or URI; a new one with a random name when absent"
    )
    provider: str = option("ais", "provider", Kind.TEXT, "ais, aws, azure, gcp or oci")
    bprops: str = option("", "bprops", Kind.TEXT, "bucket properties to set: JSON, braces optional")
    namespace: str = ""
    is_generated: bool = False

    @property
    def ref(self) -> BucketRef:
        """The bucket as the transport names it."""
        scheme = Provider.parse(self.provider).scheme
        return BucketRef.parse(
            f"{scheme}://{self.namespace}{'/' if self.namespace else ''}{self.bucket}"
        )

    @property
    def props(self) -> dict[str, Any]:
        """`bprops` decoded; empty when there are none."""
        return decode_props(self.bprops)

    def validate(self) -> None:
        """Check the values; raises `InvalidArgumentError`."""
        check_section(self)
        Provider.parse(self.provider)
        check_props(self.props)


def resolve(
    values: dict[str, Any], given: frozenset[str], environ: Mapping[str, str], notes: list[str]
) -> None:
    """Take a URI apart, or draw a name."""
    del environ, notes
    provider = Provider.parse(values["provider"])
    values["provider"] = provider.value
    text = values["bucket"].strip()
    if not text:
        values["bucket"] = "".join(secrets.choice(_LETTERS) for _ in range(_NAME_LENGTH))
        values["is_generated"] = True
        return
    if "/" in text.partition("://")[2] or "://" in text:
        ref = _bucket_of(text)
    else:
        ref = BucketRef.parse(text, default_provider=provider)
    if "provider" in given and provider not in {ref.provider, Provider.AIS}:
        raise InvalidArgumentError(
            f'-bucket "{text}" and -provider {provider} contradict each other',
            hint="leave -provider out",
        )
    values["bucket"] = ref.name
    values["provider"] = ref.provider.value
    values["namespace"] = "" if ref.namespace.is_global else str(ref.namespace)


def _bucket_of(text: str) -> BucketRef:
    """The bucket of a URI.

    Raises:
        InvalidArgumentError: not a URI, or it names an object.
    """
    try:
        return BucketRef.parse(text)
    except InvalidArgumentError:
        try:
            uri = ObjectUri.parse(text)
        except InvalidArgumentError:
            uri = None
        if uri is None:
            raise
        raise InvalidArgumentError(
            f'-bucket "{text}" names an object, expected a bucket',
            hint="to read below a prefix use -subdir",
        ) from None


def decode_props(text: str) -> dict[str, Any]:
    """The properties of `-bprops`: outer braces are optional, trailing commas are dropped.

    Raises:
        InvalidArgumentError: not a JSON object.
    """
    body = text.strip().rstrip(",").strip()
    if not body:
        return {}
    if not body.startswith("{"):
        body = f"{{{body}}}"
    body = re.sub(r",(\s*[}\]])", r"\1", body)
    try:
        props = json.loads(body)
    except ValueError as exc:
        raise InvalidArgumentError(f"invalid -bprops: {exc}") from None
    if not isinstance(props, dict):
        raise InvalidArgumentError("invalid -bprops: expected a JSON object")
    return props


def check_props(props: Mapping[str, Any]) -> None:
    """Check the two properties that a run may switch: erasure coding and mirroring.

    Raises:
        InvalidArgumentError: a count is out of range.
    """
    coding = props.get("ec")
    if isinstance(coding, Mapping) and coding.get("enabled"):
        for name in ("data_slices", "parity_slices"):
            value = coding.get(name) or 1
            if not isinstance(value, int) or not 1 <= value <= EC_SLICES_MAX:
                raise InvalidArgumentError(
                    f"invalid -bprops: ec.{name} is {value}, expected 1 to {EC_SLICES_MAX}"
                )
    mirror = props.get("mirror")
    if isinstance(mirror, Mapping) and mirror.get("enabled"):
        copies = mirror.get("copies") or MIRROR_COPIES
        if copies != MIRROR_COPIES:
            raise InvalidArgumentError(
                f"invalid -bprops: mirror.copies is {copies}, expected {MIRROR_COPIES}"
            )
