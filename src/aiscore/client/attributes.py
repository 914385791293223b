"""What the client tells about an object, under the names that AIStore's SDK uses."""

from collections.abc import Mapping
from dataclasses import dataclass

from aiscore.model.bucket import BucketRef
from aiscore.model.objects import ListEntry, ObjectProps

__all__ = ["ObjectAttributes"]


@dataclass(frozen=True, slots=True)
class ObjectAttributes:
    """Properties of one object, as of the request that brought them.

    Attributes:
        bucket: bucket of the object.
        values: the properties themselves, with types; everything below is read from them.
    """

    bucket: BucketRef
    values: ObjectProps

    @property
    def name(self) -> str:
        """Object name."""
        return self.values.name

    @property
    def bucket_name(self) -> str:
        """Name of the bucket."""
        return self.bucket.name

    @property
    def bucket_provider(self) -> str:
        """Canonical name of the bucket's provider."""
        return self.bucket.provider.value

    @property
    def size(self) -> int:
        """Bytes of the whole object, also when a range or a member was read."""
        return self.values.size

    @property
    def checksum_type(self) -> str:
        """`xxhash2`, `md5`, ...; empty when the object has no checksum."""
        return self.values.checksum.type.value if self.values.checksum else ""

    @property
    def checksum_value(self) -> str:
        """Hex digits; empty when the object has no checksum."""
        return self.values.checksum.value if self.values.checksum else ""

    @property
    def access_time(self) -> str:
        """Last access, decimal nanoseconds since the epoch as on the wire; empty when unknown."""
        return str(self.values.atime_ns) if self.values.atime_ns else ""

    @property
    def obj_version(self) -> str:
        """Version; empty when versioning is off."""
        return self.values.version

    @property
    def custom_metadata(self) -> Mapping[str, str]:
        """Custom metadata."""
        return self.values.custom

    @property
    def location(self) -> str:
        """Where the content lies, as `t[NODE]:mp[PATH]`."""
        return self.values.location

    @property
    def mirror_copies(self) -> int:
        """Copies of the content; 1 when it is not mirrored."""
        return self.values.copies

    @property
    def mirror_paths(self) -> list[str]:
        """Mountpaths of the copies; empty when it is not mirrored."""
        return list(self.values.mirror_paths)

    @property
    def present(self) -> bool:
        """True: a property that was read is of an object in the store."""
        return True

    @classmethod
    def of_entry(cls, bucket: BucketRef, entry: ListEntry) -> "ObjectAttributes":
        """What a listing says of an object; fields that were not listed have their defaults."""
        return cls(
            bucket,
            ObjectProps(
                name=entry.name,
                size=entry.size,
                checksum=entry.checksum,
                version=entry.version,
                atime_ns=entry.atime_ns,
                mtime_ns=entry.mtime_ns,
                custom=entry.custom or {},
                location=entry.location,
                copies=entry.copies,
                etag=entry.etag,
            ),
        )
