"""Checksums of multipart uploads: chosen when one begins, computed and compared when it is completed.

The store reads every part once more before an upload becomes an object; the checksums are computed on that occasion,
from what is really on disk. Nothing has to be remembered of each part.
"""

import re
from collections.abc import Mapping
from typing import Final

from aiscore.server.http import Request
from aiscore.server.s3.algorithms import Algorithm, ChecksumKind, Digest, decode, encode, new_digest
from aiscore.server.s3.body import CHECKSUM_KEY
from aiscore.server.s3.checksums import algorithm_asked, header_checksum
from aiscore.server.s3.faults import S3Error

__all__ = ["UPLOAD_KEY", "CompleteReview", "chosen_for", "upload_custom", "upload_headers"]

UPLOAD_KEY: Final = "S3-Checksum-Upload"
"""Custom metadata of an upload, not of the object: `ALGORITHM:KIND` that its client chose."""
_ELEMENTS: Final = {algorithm.element: algorithm for algorithm in Algorithm}


def upload_custom(request: Request) -> dict[str, str]:
    """What custom metadata the upload that `request` begins needs for its checksums.

    Raises:
        S3Error: algorithm or type are not known, or do not go together.
    """
    algorithm = algorithm_asked(request)
    kind = _kind_of(request)
    if algorithm is None:
        if kind is not None:
            raise S3Error(
                "InvalidRequest",
                "The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm header.",
            )
        return {}
    if kind is not None and kind not in algorithm.kinds:
        raise S3Error(
            "InvalidRequest",
            f"The {kind} checksum type cannot be used with the {algorithm.lower()} checksum algorithm.",
        )
    return {UPLOAD_KEY: f"{algorithm}:{kind or algorithm.kinds[0]}"}


def upload_headers(custom: Mapping[str, str]) -> list[tuple[str, str]]:
    """What the answer says of them."""
    chosen = chosen_for(custom)
    if chosen is None:
        return []
    algorithm, kind = chosen
    return [("x-amz-checksum-algorithm", algorithm.value), ("x-amz-checksum-type", kind.value)]


class CompleteReview:
    """Sees the parts of an upload that is being completed (`engine.multipart.PartsReview`)."""

    def __init__(
        self, request: Request, custom: Mapping[str, str], listed: Mapping[int, Mapping[str, str]]
    ) -> None:
        """Look at what the client claims.

        Args:
            request: completes the upload.
            custom: metadata of the upload.
            listed: what the client says of each part: `{1: {"ChecksumCRC32": "…"}}`; other elements do not count.

        Raises:
            S3Error: it cannot be right, whatever the parts are.
        """
        claim = header_checksum(request)
        chosen = chosen_for(custom) or self._guess(request, claim, listed)
        self._algorithm: Algorithm | None = None
        self._kind = ChecksumKind.FULL_OBJECT
        if chosen is not None:
            self._algorithm, self._kind = chosen
        self._claim = "" if claim is None else claim[1]
        self._listed = listed
        self._size_wanted = _size_of(request)
        kind = _kind_of(request)
        if kind is not None and chosen is not None and kind is not self._kind:
            raise S3Error(
                "InvalidRequest",
                f"The upload was created using the {self._kind} checksum mode. The complete request must use the same "
                "checksum mode.",
            )
        if claim is not None and claim[0] is not self._algorithm:
            raise S3Error(
                "InvalidRequest", f"The upload was created using another checksum than {claim[0]}."
            )
        self.elements: list[tuple[str, str]] = []
        """For the XML of the answer; there when the upload is complete."""
        self._size = 0
        self._number = 0
        self._digests: list[bytes] = []
        self._part: Digest | None = None
        self._whole: Digest | None = None

    def begin(self) -> None:
        """Forget what was seen."""
        self.elements = []
        self._size = 0
        self._number = 0
        self._digests = []
        self._part = None
        self._whole = None
        if self._algorithm is not None and not self._is_composite:
            self._whole = new_digest(self._algorithm)

    def update(self, number: int, data: memoryview, /) -> None:
        """The next block of part `number`."""
        self._size += len(data)
        if self._algorithm is None:
            return
        if number != self._number:
            self._end_part()
            self._number = number
            self._part = None
            if self._is_composite or self._has_claim(number):
                self._part = new_digest(self._algorithm)
        if self._part is not None:
            self._part.update(data)
        if self._whole is not None:
            self._whole.update(data)

    def finish(self) -> dict[str, str]:
        """Compare what was seen with what was claimed.

        Raises:
            S3Error: a part, the whole, or the size is another one.
        """
        if self._size_wanted is not None and self._size != self._size_wanted:
            raise S3Error(
                "InvalidRequest",
                f"The provided 'x-amz-mp-object-size' header value {self._size_wanted} does not match what was "
                f"computed: {self._size}",
            )
        if self._algorithm is None:
            return {}
        self._end_part()
        self._number = 0
        text = self._total()
        if self._claim and self._claim not in {text, text.partition("-")[0]}:
            raise S3Error(
                "BadDigest",
                f"The {self._algorithm} you specified did not match the calculated checksum.",
            )
        self.elements = [(self._algorithm.element, text), ("ChecksumType", self._kind.value)]
        return {CHECKSUM_KEY: f"{self._algorithm}:{self._kind}:{text}", UPLOAD_KEY: ""}

    @property
    def _is_composite(self) -> bool:
        return self._kind is ChecksumKind.COMPOSITE

    def _has_claim(self, number: int) -> bool:
        assert self._algorithm is not None
        return bool(self._listed.get(number, {}).get(self._algorithm.element))

    def _end_part(self) -> None:
        """Compare the part that was seen with what the list says of it."""
        algorithm, part, number = self._algorithm, self._part, self._number
        if algorithm is None or part is None or not number:
            return
        claimed = self._listed.get(number, {}).get(algorithm.element)
        if claimed is None:
            if self._is_composite:
                raise S3Error(
                    "InvalidRequest",
                    f"The upload was created using a {algorithm.lower()} checksum. The complete request must include "
                    f"the checksum for each part. It was missing for part {number} in the request.",
                )
        elif decode(claimed, algorithm.size) != part.digest():
            raise S3Error(
                "InvalidPart",
                f"Part {number} does not have the {algorithm} checksum that the request says.",
            )
        if self._is_composite:
            self._digests.append(part.digest())
        self._part = None

    def _total(self) -> str:
        assert self._algorithm is not None
        if self._whole is not None:
            return encode(self._whole.digest())
        digest = new_digest(self._algorithm)
        digest.update(b"".join(self._digests))
        return f"{encode(digest.digest())}-{len(self._digests)}"

    def _guess(
        self,
        request: Request,
        claim: tuple[Algorithm, str] | None,
        listed: Mapping[int, Mapping[str, str]],
    ) -> tuple[Algorithm, ChecksumKind] | None:
        """What an upload means that began without a choice, and ends with checksums."""
        if claim is not None:
            whole = ChecksumKind.FULL_OBJECT in claim[0].kinds and "-" not in claim[1]
            return claim[0], ChecksumKind.FULL_OBJECT if whole else ChecksumKind.COMPOSITE
        for part in listed.values():
            for element, algorithm in _ELEMENTS.items():
                if part.get(element) and all(other.get(element) for other in listed.values()):
                    kind = _kind_of(request)
                    return algorithm, kind if kind in algorithm.kinds else algorithm.kinds[0]
        return None


def _kind_of(request: Request) -> ChecksumKind | None:
    name = request.header("x-amz-checksum-type")
    if name is None:
        return None
    try:
        return ChecksumKind(name.strip().upper())
    except ValueError:
        raise S3Error(
            "InvalidRequest", "Value for x-amz-checksum-type header is invalid."
        ) from None


def chosen_for(custom: Mapping[str, str]) -> tuple[Algorithm, ChecksumKind] | None:
    """What the upload with this metadata was begun with; None when nothing was chosen."""
    name, _, kind = custom.get(UPLOAD_KEY, "").partition(":")
    if name in Algorithm.__members__ and kind in ChecksumKind.__members__:
        return Algorithm(name), ChecksumKind(kind)
    return None


def _size_of(request: Request) -> int | None:
    text = request.header("x-amz-mp-object-size")
    if text is None:
        return None
    if not re.fullmatch(r"[0-9]{1,18}", text):
        raise S3Error("InvalidRequest", "Value for x-amz-mp-object-size header is invalid.")
    return int(text)
