"""S3 endpoints under load, without AIStore: requests over the lean connection, signed by AWS's own library."""

from aisloader.s3.store import S3Store

__all__ = ["S3Store"]
