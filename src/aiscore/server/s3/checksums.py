"""Makes sure that a body is what its client meant to send, and tells of checksums that were stored.

A body may come with several digests at once: `Content-MD5`, the SHA-256 that the signature covers, and a checksum in a
header or in a trailer behind it. All are verified before the operation that takes the body learns of its end.
"""

import hashlib
import re
from collections.abc import Awaitable, Iterable, Mapping
from typing import Final

from aiscore.model.checksum import Checksum, ChecksumType
from aiscore.server.http import BodySink, Request, Response
from aiscore.server.s3.algorithms import (
    ALGORITHM_OF,
    Algorithm,
    ChecksumKind,
    Digest,
    decode,
    encode,
    new_digest,
)
from aiscore.server.s3.awschunked import AwsChunkedDecoder
from aiscore.server.s3.body import CHECKSUM_KEY, Identity, Inbound, Received
from aiscore.server.s3.chunksignatures import ChunkSignatures
from aiscore.server.s3.faults import S3Error
from aiscore.server.s3.sigv4 import UNSIGNED, ChunkSigning

__all__ = [
    "Algorithm",
    "ChecksumKind",
    "algorithm_asked",
    "body_sink",
    "content_encoding",
    "content_length",
    "content_md5",
    "elements",
    "header_checksum",
    "parsed",
    "storable",
    "stored",
    "stored_headers",
]

_TYPE_HEADER: Final = "x-amz-checksum-type"
_NOT_VALUES: Final = {"x-amz-checksum-algorithm", "x-amz-checksum-mode", _TYPE_HEADER}
_STREAMING: Final = "STREAMING-"
_SIGNED: Final = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
_MODES: Final = {
    _SIGNED: False,
    f"{_SIGNED}-TRAILER": True,
    "STREAMING-UNSIGNED-PAYLOAD-TRAILER": True,
}
"""Mode of aws-chunked -> whether trailers follow."""
_LENGTH = re.compile(r"[0-9]{1,18}")
_SHA256 = re.compile(r"[0-9a-fA-F]{64}")
_WHAT_IS_STORED = re.compile(
    r"([A-Z0-9]+):(COMPOSITE|FULL_OBJECT):([A-Za-z0-9+/]+={0,2}(?:-[0-9]{1,5})?)"
)


# what comes


def content_length(request: Request) -> int | None:
    """Bytes of the content; None when they are not told.

    Raises:
        S3Error: what is told is no number.
    """
    if not _is_framed(request):
        return request.content_length
    text = request.header("x-amz-decoded-content-length")
    if text is None:
        return None
    if not _LENGTH.fullmatch(text):
        raise S3Error("InvalidArgument", "x-amz-decoded-content-length must be a number of bytes")
    return int(text)


def content_encoding(request: Request) -> str:
    """`Content-Encoding` of the content itself, without the framing; "" for none."""
    words = (request.header("content-encoding") or "").split(",")
    return ",".join(
        word.strip() for word in words if word.strip().lower() not in {"", "aws-chunked"}
    )


def body_sink(
    request: Request,
    inbound: Inbound,
    identity: Identity,
    *,
    compares_md5: bool = True,
) -> BodySink:
    """Stand between the protocol and who takes the content of a body.

    Args:
        request: whose body it is.
        inbound: takes the content; finished only when all that came with it is right.
        identity: who sends it.
        compares_md5: False when `inbound` compares `content_md5` itself.

    Raises:
        S3Error: what came with the body cannot be right, whatever the body is; `inbound` is aborted.
    """
    try:
        return _VerifyingSink(request, inbound, identity, compares_md5=compares_md5)
    except BaseException:
        inbound.abort()
        raise


def algorithm_asked(request: Request, header: str = "x-amz-checksum-algorithm") -> Algorithm | None:
    """The algorithm that a header names; None without it.

    Raises:
        S3Error: it names none that is known here.
    """
    name = request.header(header)
    if name is None:
        return None
    try:
        return Algorithm(name.strip().upper())
    except ValueError:
        raise S3Error(
            "InvalidRequest", f"Value for {header} header is invalid: use {', '.join(Algorithm)}"
        ) from None


def header_checksum(request: Request) -> tuple[Algorithm, str] | None:
    """The checksum in the headers of a request, as text; None without one.

    Raises:
        S3Error: several, or of an algorithm that is not known here.
    """
    names = [n for n in request.header_names("x-amz-checksum-") if n not in _NOT_VALUES]
    if not names:
        return None
    if len(names) > 1:
        raise S3Error(
            "InvalidRequest",
            "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.",
        )
    return _algorithm_of(names[0]), (request.header(names[0]) or "").strip()


def _algorithm_of(header: str) -> Algorithm:
    algorithm = ALGORITHM_OF.get(header)
    if algorithm is None:
        raise S3Error(
            "NotImplemented", f"{header} is not supported: use one of {', '.join(ALGORITHM_OF)}"
        )
    return algorithm


def _is_framed(request: Request) -> bool:
    if (request.header("x-amz-content-sha256") or "").startswith(_STREAMING):
        return True
    words = (request.header("content-encoding") or "").split(",")
    return any(word.strip().lower() == "aws-chunked" for word in words)


class _VerifyingSink:
    """Verifies a body on its way to who takes it (`http.BodySink`)."""

    __slots__ = (
        "_algorithm",
        "_checksum",
        "_decoder",
        "_inbound",
        "_length",
        "_md5",
        "_md5_wanted",
        "_sha256",
        "_sha256_wanted",
        "_signatures",
        "_size",
        "_trailer",
        "_value",
    )

    def __init__(
        self,
        request: Request,
        inbound: Inbound,
        identity: Identity,
        *,
        compares_md5: bool,
    ) -> None:
        self._inbound = inbound
        self._length = content_length(request)
        self._size = 0
        self._trailer = ""
        self._signatures: ChunkSignatures | None = None
        self._decoder = self._open_decoder(request, identity)
        self._algorithm: Algorithm | None = None
        self._value: bytes | None = None
        # In the request that completes an upload they are of the object, not of the body.
        if request.method != "POST" or "uploadId" not in request.query:
            self._algorithm, self._value = self._claimed(request)
        self._md5_wanted = _content_md5(request) if compares_md5 else None
        self._sha256_wanted = _payload_sha256(request)
        self._md5 = None if self._md5_wanted is None else hashlib.md5(usedforsecurity=False)
        self._sha256 = None if self._sha256_wanted is None else hashlib.sha256()
        self._checksum: Digest | None = None
        if self._algorithm is Algorithm.SHA256 and self._sha256 is not None:
            self._checksum = self._sha256  # one and the same
        elif self._algorithm is not None:
            self._checksum = new_digest(self._algorithm)
        watchers = dict.fromkeys((self._md5, self._sha256, self._checksum, self._signatures))
        inbound.watch([watcher for watcher in watchers if watcher is not None])

    def write(self, data: memoryview) -> Awaitable[None] | None:
        """Take a block of the body as it was sent.

        Raises:
            S3Error: framing or the length is wrong.
        """
        if self._decoder is None:
            return self._take(data)
        pieces = self._decoder.take(data)
        for piece in pieces:
            waiting = self._take(piece)
            if waiting is not None:
                return self._go_on(waiting, [bytes(rest) for rest in pieces])
        return None

    def finish(self) -> Response | Awaitable[Response]:
        """The body has ended.

        Raises:
            S3Error: it is not as long as it was said to be, or its framing is broken.
        """
        if self._decoder is not None:
            self._decoder.finish()
        if self._length is not None and self._size != self._length:
            raise S3Error(
                "IncompleteBody",
                f"You did not provide the number of bytes specified: {self._size} of {self._length} arrived",
            )
        return self._inbound.finish(self._verified)

    def abort(self) -> None:
        """Nothing of the body stays."""
        self._inbound.abort()

    # before the body

    def _open_decoder(self, request: Request, identity: Identity) -> AwsChunkedDecoder | None:
        if not _is_framed(request):
            return None
        mode = request.header("x-amz-content-sha256") or ""
        has_trailers = "x-amz-trailer" in request.header_names("x-amz-trailer")
        if mode.startswith(_STREAMING):
            if mode not in _MODES:
                raise S3Error("NotImplemented", f"{mode[:64]} is not supported")
            has_trailers = has_trailers or _MODES[mode]
        signing = identity.signing if mode.startswith(_SIGNED) else None
        assert signing is None or isinstance(signing, ChunkSigning)
        if mode.startswith(_SIGNED) and identity.access_key and signing is None:
            raise S3Error("InvalidRequest", f"{mode} needs a request that is signed with version 4")
        if signing is not None:
            self._signatures = ChunkSignatures(signing)
        return AwsChunkedDecoder(signatures=self._signatures, has_trailers=has_trailers)

    def _claimed(self, request: Request) -> tuple[Algorithm | None, bytes | None]:
        """The checksum that comes with the body; no value yet when it comes behind it."""
        claim = header_checksum(request)
        announced = self._announced(request)
        asked = algorithm_asked(request, "x-amz-sdk-checksum-algorithm")
        if claim is not None:
            if announced is not None:
                raise S3Error(
                    "InvalidRequest", "Expecting a single checksum, in a header or in a trailer"
                )
            algorithm, text = claim
            value = decode(text, algorithm.size)
            if value is None:
                raise S3Error("InvalidRequest", f"Value for {algorithm.header} header is invalid.")
        elif announced is not None:
            algorithm, value = announced, None
        elif asked is not None and _md5_header(request) is None:
            raise S3Error(
                "InvalidRequest",
                "x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* or "
                "x-amz-trailer headers were found.",
            )
        else:
            return None, None
        if asked is not None and asked is not algorithm:
            raise S3Error(
                "InvalidRequest", "Value for x-amz-sdk-checksum-algorithm header is invalid."
            )
        return algorithm, value

    def _announced(self, request: Request) -> Algorithm | None:
        """The algorithm of the trailer."""
        names = [n.strip().lower() for n in (request.header("x-amz-trailer") or "").split(",")]
        names = [name for name in names if name]
        if not names:
            return None
        if self._decoder is None:
            raise S3Error(
                "InvalidRequest", "x-amz-trailer is given, but the body is not aws-chunked"
            )
        if len(names) > 1 or not names[0].startswith("x-amz-checksum-"):
            raise S3Error(
                "InvalidRequest", "The value specified in the x-amz-trailer header is not supported"
            )
        self._trailer = names[0]
        return _algorithm_of(names[0])

    # the body

    def _take(self, piece: memoryview) -> Awaitable[None] | None:
        self._size += len(piece)
        if self._length is not None and self._size > self._length:
            raise S3Error(
                "IncompleteBody",
                f"You did not provide the number of bytes specified: more than {self._length} arrived",
            )
        return self._inbound.write(piece)

    async def _go_on(self, waiting: Awaitable[None], pieces: Iterable[bytes]) -> None:
        """The rest of a block whose content had to wait; copied, because the block is gone by then."""
        await waiting
        for piece in pieces:
            again = self._take(memoryview(piece))
            if again is not None:
                await again

    # behind the body

    def _read_trailer(self, trailers: Mapping[str, str]) -> None:
        if set(trailers) != ({self._trailer} if self._trailer else set()):
            raise S3Error(
                "MalformedTrailerError",
                "The request contained trailing data that was not well-formed: it is not what x-amz-trailer names",
            )
        if self._trailer:
            assert self._algorithm is not None
            self._value = decode(trailers[self._trailer], self._algorithm.size)
            if self._value is None:
                raise S3Error(
                    "InvalidRequest", f"Value for {self._trailer} trailing header is invalid."
                )

    def _verified(self) -> Received:
        """What the digests of the content say to what was said of it."""
        if self._signatures is not None:
            self._signatures.finish()
        if self._decoder is not None:
            self._read_trailer(self._decoder.trailers)
        if self._md5 is not None and self._md5.digest() != self._md5_wanted:
            raise S3Error(
                "BadDigest", "The Content-MD5 you specified did not match what we received."
            )
        if self._sha256 is not None and self._sha256.digest() != self._sha256_wanted:
            raise S3Error(
                "XAmzContentSHA256Mismatch",
                "The provided 'x-amz-content-sha256' header does not match what was computed.",
            )
        if self._checksum is not None and self._checksum.digest() != self._value:
            raise S3Error(
                "BadDigest",
                f"The {self._algorithm} you specified did not match the calculated checksum.",
            )
        if self._algorithm is None or self._value is None:
            return Received()
        text = encode(self._value)
        return Received(
            checksum=storable(self._algorithm, self._value),
            headers=(
                (self._algorithm.header, text),
                (_TYPE_HEADER, ChecksumKind.FULL_OBJECT.value),
            ),
        )


def _md5_header(request: Request) -> str | None:
    return request.header("content-md5")


def content_md5(request: Request) -> Checksum | None:
    """`Content-MD5` as the store compares it; None without one.

    Raises:
        S3Error: it is none.
    """
    value = _content_md5(request)
    return None if value is None else Checksum(ChecksumType.MD5, value.hex())


def _content_md5(request: Request) -> bytes | None:
    text = _md5_header(request)
    if text is None:
        return None
    value = decode(text.strip(), 16)
    if value is None:
        raise S3Error("InvalidDigest", "The Content-MD5 you specified is not valid.")
    return value


def _payload_sha256(request: Request) -> bytes | None:
    text = request.header("x-amz-content-sha256")
    if text is None or text == UNSIGNED or text.startswith(_STREAMING):
        return None
    if not _SHA256.fullmatch(text):
        raise S3Error(
            "InvalidArgument",
            f"x-amz-content-sha256 must be {UNSIGNED}, {_SIGNED}, or a valid sha256 value.",
        )
    return bytes.fromhex(text)


# what is stored


def storable(algorithm: Algorithm, value: bytes) -> str:
    """A checksum of all of something, as it is kept with it."""
    return f"{algorithm}:{ChecksumKind.FULL_OBJECT}:{encode(value)}"


def stored(custom: Mapping[str, str]) -> list[tuple[Algorithm, ChecksumKind, str]]:
    """The checksums that custom metadata has."""
    return parsed(custom.get(CHECKSUM_KEY, ""))


def parsed(text: str) -> list[tuple[Algorithm, ChecksumKind, str]]:
    """Checksums as they are kept; what cannot be read was not written by us, and does not count."""
    found = []
    for word in text.split():
        match = _WHAT_IS_STORED.fullmatch(word)
        if match and match[1] in Algorithm.__members__:
            found.append((Algorithm(match[1]), ChecksumKind(match[2]), match[3]))
    return found


def stored_headers(custom: Mapping[str, str], request: Request) -> list[tuple[str, str]]:
    """What an answer with the whole object says of its checksum, if the client asks for it."""
    if (request.header("x-amz-checksum-mode") or "").upper() != "ENABLED":
        return []
    found = stored(custom)
    headers = [(algorithm.header, value) for algorithm, _, value in found]
    return [*headers, *((_TYPE_HEADER, kind.value) for _, kind, _ in found[:1])]


def elements(custom: Mapping[str, str]) -> list[tuple[str, str]]:
    """The same in XML."""
    found = stored(custom)
    pairs = [(algorithm.element, value) for algorithm, _, value in found]
    return [*pairs, *(("ChecksumType", kind.value) for _, kind, _ in found[:1])]
