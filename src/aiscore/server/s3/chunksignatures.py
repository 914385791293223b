"""Verifies the signatures of the chunks of an `aws-chunked` body, wherever its content is looked at.

Each signature continues the one before, from that of the head on: no chunk can be left out, added or moved. The decoder
says where chunks end and what their signatures are to be; who takes the content feeds it, maybe in another thread and
a while later. Nothing has been verified before `finish` has returned.
"""

import hashlib
import hmac
from collections import deque
from collections.abc import Mapping
from typing import Final

from aiscore.server.s3.faults import S3Error
from aiscore.server.s3.sigv4 import ALGORITHM, ChunkSigning, signature_of

__all__ = ["ChunkSignatures"]

WAITING_MAX: Final = 1_024
"""Chunks that may wait for their content to be looked at: it is a mebibyte, or some, and S3 wants 8 KiB in each."""
_EMPTY_SHA256: Final = hashlib.sha256().hexdigest()


class ChunkSignatures:
    """Of one body. `expect` and `end` are called by one thread, `update` and `finish` by another, if it must be."""

    __slots__ = ("_claimed", "_hasher", "_heads", "_left", "_previous", "_signing", "_trailers")

    def __init__(self, signing: ChunkSigning) -> None:
        """Begin with what the head of the request was signed with."""
        self._signing = signing
        self._previous = signing.seed
        # A deque, because adding to one and taking from it cannot be interrupted half way.
        self._heads: deque[tuple[int, str]] = deque()
        self._left = 0
        self._claimed = ""
        self._hasher = hashlib.sha256()
        self._trailers: tuple[str, str] | None = None

    def expect(self, size: int, claimed: str) -> None:
        """A chunk of `size` bytes comes, the last of 0; called before its content is fed.

        Raises:
            S3Error: there are too many of them for what is in them.
        """
        if len(self._heads) >= WAITING_MAX:
            raise S3Error(
                "InvalidRequest",
                "The aws-chunked body is malformed: its chunks are too small, send at least 8192 bytes in each",
            )
        self._heads.append((size, claimed))

    def end(self, trailers: Mapping[str, str], claimed: str) -> None:
        """These trailers came behind the last chunk, signed as well."""
        lines = "".join(f"{name}:{value}\n" for name, value in trailers.items())
        self._trailers = lines, claimed

    def update(self, data: bytes | bytearray | memoryview, /) -> None:
        """Feed content.

        Raises:
            S3Error: a chunk that ended has another signature.
        """
        view = memoryview(data)
        while view:
            if not self._left:
                self._left, self._claimed = self._heads.popleft()
            piece = view[: self._left]
            self._hasher.update(piece)
            self._left -= len(piece)
            view = view[len(piece) :]
            if not self._left:
                self._check_chunk()

    def finish(self) -> None:
        """All content has been fed.

        Raises:
            S3Error: the last chunk, or the trailers, have another signature.
        """
        _, self._claimed = self._heads.popleft()
        self._check_chunk()
        if self._trailers is not None:
            lines, claimed = self._trailers
            digest = hashlib.sha256(lines.encode()).hexdigest()
            self._check("TRAILER", digest, claimed, "the trailers")

    def _check_chunk(self) -> None:
        digest = f"{_EMPTY_SHA256}\n{self._hasher.hexdigest()}"
        self._previous = self._check("PAYLOAD", digest, self._claimed, "a chunk")
        self._hasher = hashlib.sha256()

    def _check(self, kind: str, digest: str, claimed: str, what: str) -> str:
        signing = self._signing
        signature = signature_of(
            signing.key,
            f"{ALGORITHM}-{kind}\n{signing.timestamp}\n{signing.scope}\n{self._previous}\n{digest}",
        )
        if not hmac.compare_digest(signature.encode(), claimed.encode()):
            raise S3Error(
                "SignatureDoesNotMatch",
                f"The signature of {what} does not match what was calculated. Check your key and signing method.",
            )
        return signature
