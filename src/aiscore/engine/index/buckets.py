"""Rows of buckets."""

import json
from functools import lru_cache
from typing import NamedTuple

from aiscore.engine.index.database import Connection
from aiscore.errors import BucketNotFoundError
from aiscore.model.bucket import BucketRef, Namespace, Provider
from aiscore.model.props import BucketProps
from aiscore.model.sections import from_wire, to_wire

__all__ = [
    "BucketRow",
    "bucket_by_id",
    "delete_bucket",
    "find_bucket",
    "insert_bucket",
    "list_buckets",
    "rename_bucket",
    "select_bucket",
    "update_props",
]


class BucketRow(NamedTuple):
    """A bucket as the index holds it; `cname` and `uname` are the reference's, made once."""

    id: int
    bucket: BucketRef
    props: BucketProps
    cname: str
    uname: str


def find_bucket(connection: Connection, bucket: BucketRef) -> BucketRow:
    """The bucket, as of the begin of the operation (`Connection.fresh_cache`).

    Raises:
        BucketNotFoundError: it does not exist.
    """
    cache = connection.cache
    row: BucketRow | None = cache.get(bucket)
    if row is None:
        row = select_bucket(connection, bucket)
        if row is None:
            if bucket.namespace.uuid:
                raise BucketNotFoundError(
                    f'bucket "{bucket}" does not exist: remote cluster "{bucket.namespace.uuid}" is '
                    "not attached"
                )
            if bucket.provider is not Provider.AIS:
                raise BucketNotFoundError(
                    f'{bucket.provider.value} bucket "{bucket}" does not exist'
                )
            raise BucketNotFoundError(
                f'bucket "{bucket}" does not exist', hint=f"create it: ais create {bucket}"
            )
        cache[bucket] = row
    return row


def select_bucket(connection: Connection, bucket: BucketRef) -> BucketRow | None:
    """The bucket as it is now, or None."""
    found = connection.execute(
        "SELECT id, props FROM buckets WHERE provider = ? AND ns_uuid = ? AND ns_name = ? AND name = ?",
        _key(bucket),
    ).fetchone()
    if found is None:
        return None
    return BucketRow(found[0], bucket, _decode(found[1]), bucket.cname, bucket.uname)


def bucket_by_id(connection: Connection, bucket_id: int) -> BucketRow | None:
    """The bucket that objects refer to, or None when it has been destroyed."""
    found = connection.execute(
        "SELECT name, provider, ns_uuid, ns_name FROM buckets WHERE id = ?", (bucket_id,)
    ).fetchone()
    if found is None:
        return None
    name, provider, uuid, space = found
    return select_bucket(connection, BucketRef(name, Provider(provider), Namespace(uuid, space)))


def list_buckets(
    connection: Connection, provider: Provider | None, namespace: Namespace | None
) -> list[BucketRef]:
    """Buckets sorted by provider, namespace, name."""
    rows = connection.execute(
        "SELECT provider, ns_uuid, ns_name, name FROM buckets ORDER BY provider, ns_uuid, ns_name, name"
    ).fetchall()
    found = [BucketRef(name, Provider(kind), Namespace(uuid, ns)) for kind, uuid, ns, name in rows]
    return [
        bucket
        for bucket in found
        if provider in {None, bucket.provider} and namespace in {None, bucket.namespace}
    ]


def insert_bucket(connection: Connection, bucket: BucketRef, props: BucketProps) -> int:
    """Enter a bucket; its id."""
    cursor = connection.execute(
        "INSERT INTO buckets (provider, ns_uuid, ns_name, name, props) VALUES (?, ?, ?, ?, ?)",
        (*_key(bucket), _encode(props)),
    )
    connection.cache.clear()
    assert cursor.lastrowid is not None
    return cursor.lastrowid


def update_props(connection: Connection, bucket_id: int, props: BucketProps) -> None:
    """Replace the properties."""
    connection.execute("UPDATE buckets SET props = ? WHERE id = ?", (_encode(props), bucket_id))
    connection.cache.clear()


def rename_bucket(connection: Connection, bucket_id: int, target: BucketRef) -> None:
    """Give the bucket another name; objects refer to its id and stay as they are."""
    connection.execute(
        "UPDATE buckets SET provider = ?, ns_uuid = ?, ns_name = ?, name = ? WHERE id = ?",
        (*_key(target), bucket_id),
    )
    connection.cache.clear()


def delete_bucket(connection: Connection, bucket_id: int) -> None:
    """Take the name away at once; the objects follow in batches (`doomed_buckets`)."""
    connection.execute("DELETE FROM buckets WHERE id = ?", (bucket_id,))
    connection.execute("INSERT INTO doomed_buckets VALUES (?)", (bucket_id,))
    connection.cache.clear()


def _key(bucket: BucketRef) -> tuple[str, str, str, str]:
    return bucket.provider.value, bucket.namespace.uuid, bucket.namespace.name, bucket.name


def _encode(props: BucketProps) -> str:
    return json.dumps(to_wire(props, reveal=True), separators=(",", ":"))


@lru_cache(maxsize=1_024)
def _decode(text: str) -> BucketProps:
    # By text: a commit of another process empties the row cache, but rarely changes properties.
    return from_wire(BucketProps, json.loads(text))
