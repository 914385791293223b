"""S3's API on the same store: what S3 clients write, AIStore's read, and the reverse.

Modules, and what they are to each other:

- `errors`: `S3Error` and what any error of ours is called in S3; `error_response`.
- `sigv4`, `sigv2`: who asks. `Verifier(keys).authorize(request) -> Identity`; raises `S3Error`.
- `checksums`, `awschunked`, `algorithms`: what arrives is what was sent (see `body`).
- `review`: checksums of multipart uploads, computed from the parts when one is completed.
- `post`, `forms`: what browsers post, and the policy that was signed for it.
- `body`: the seam between the two: `Inbound`, `Received`, `Identity`.
- `route`: every operation, supported or refused, in one table; `docs/s3.md` is generated from it.
- `buckets`, `objects`, `listing`, `delete`, `multipart`, `tagging`: the operations.
- `xml`: bodies, read within limits and written.
"""

from aiscore.server.s3.route import register

__all__ = ["register"]
