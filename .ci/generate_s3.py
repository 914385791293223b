"""Writes docs/s3.md from the table of operations; with --check it only says whether it is current."""

import sys
from pathlib import Path

from aiscore.server.s3.route import BUCKET, OBJECT, OPERATIONS, REFUSED, SERVICE, Operation

PAGE = Path(__file__).parent.parent / "docs" / "s3.md"
HEAD = """\
# S3

Made by `.ci/generate_s3.py` from the table that routes requests; change that one.

`ais serve` answers S3's API below `/s3`: give a client the endpoint `http://HOST:51080/s3` and path style. With the
cluster feature `S3-API-via-Root` the API is at `/` as well, and with the server setting `s3_domain = "DOMAIN"` a client
may ask for `BUCKET.DOMAIN` (virtual-host style), and at `DOMAIN` for the service. There is never a redirect. Without
the setting `s3_keys` any key and secret will do.

At `/` the paths of AIStore's own API come first: a bucket with a name like `v1`, `s3` or `ais` is reached below `/s3`.
Buckets are those of `ais://` in the global namespace. What S3 clients write AIStore's read, and the reverse.

## Operations
"""
FACTS = """\

## Refused

Answered 501 `NotImplemented`, but for the requests above, so that no client believes to have what it has not:
{refused}.
So are headers that ask for encryption, object lock, website redirects, grants, or appending.

## Rules

- **Keys** have up to 1,024 bytes. A key may end with a slash: `a/` is the object `a/` followed by U+0001 for AIStore's
  clients. A component `.` or `..`, a slash or `~/` at the start, and a NUL are answered 400 `InvalidArgument`, and
  nothing is stored. `a//b` is a key, and so are `a` and `a/b` at the same time.
- **ETags** are the MD5 of what was put, or S3's composite `MD5-N` of an upload in parts; a copy has its source's. What
  AIStore's clients wrote has one that is no MD5, and ends with `-1`, unless the bucket's checksum is `md5`.
- **Metadata**: `x-amz-meta-color: blue` is the custom metadata `color=blue`, both ways. `Content-Type`,
  `Cache-Control`, `Content-Disposition`, `Content-Encoding`, `Content-Language` and `Expires` are kept as they are;
  tags are in `S3-Tagging`, checksums in `S3-Checksum`. All of it has up to 1,792 bytes (400 `MetadataTooLarge`).
- **Ranges**: one; several, or one that is malformed, gives the whole, as with S3. One that starts behind the end: 416.
- **Conditions** of writes are checked at commit: `If-None-Match: *`, and `If-Match` with one ETag; others are refused.
  `If-Match` of a key that is not there is 412.
- **Versions** are not kept: a `versionId` other than `null` is answered 404 `NoSuchVersion`.
- **Uploads in parts**: every part but the last has 5 MiB at least, and there are 9,999 parts at most. To complete one
  reads all of it once more and compares it with its checksums; a second time with the same parts is answered like the
  first. An upload to which nothing is added for a week is dropped.
- **Signatures**: with `s3_keys`, a file of `ACCESS:SECRET` lines that is read when the server starts, every request
  must be signed with version 4: in a header, in a link (a week at most), in the chunks of a body, or in a browser's
  form. Links and forms of version 2 are verified as well, because botocore still makes them. Clocks may differ by
  15 minutes. Key pairs guard S3's API only, and all have the same rights.
- **Integrity**: `Content-MD5`, the SHA-256 of the payload, and one checksum (CRC32, CRC32C, CRC64NVME, SHA1,
  SHA256), in a header or in the trailer of `aws-chunked`, are compared before anything is stored. A checksum that
  was sent is kept and given back with `x-amz-checksum-mode: ENABLED`; of an upload in parts it is computed from the
  parts as they are on disk (`FULL_OBJECT` or `COMPOSITE`). Other content does not inherit it. ListParts tells of the
  checksums that were sent with parts; GetObjectAttributes computes those of an object's parts when it is asked, for
  1 GiB of them in one page.
- **Bodies** of XML have up to 4 MiB; a document type declaration is refused.
"""


def page() -> str:
    """The whole of it."""
    lines = [HEAD]
    for level, title in ((SERVICE, "The service"), (BUCKET, "Buckets"), (OBJECT, "Objects")):
        lines.append(f"### {title}\n")
        lines.append("| Operation | Request | |\n|---|---|---|")
        lines += [_row(operation) for operation in OPERATIONS if operation.level == level]
        lines.append("")
    refused = "; ".join(
        f"of {level}s " + ", ".join(f"`?{name}`" for name in names)
        for level, names in REFUSED.items()
    )
    return "\n".join(lines).rstrip("\n") + "\n" + FACTS.format(refused=refused)


def _row(operation: Operation) -> str:
    path = {SERVICE: "/", BUCKET: "/BUCKET", OBJECT: "/BUCKET/KEY"}[operation.level]
    query = f"?{'&'.join(operation.query)}" if operation.query else ""
    header = f" with `{operation.header}`" if operation.header else ""
    return f"| {operation.name} | `{operation.method} {path}{query}`{header} | {operation.note} |"


def main() -> int:
    """Write the page, or compare it."""
    text = page()
    if "--check" in sys.argv[1:]:
        if PAGE.read_text() != text:
            print("docs/s3.md is not current: run .ci/generate_s3.py")
            return 1
        return 0
    PAGE.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
