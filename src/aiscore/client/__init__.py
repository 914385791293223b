"""The Python API, in the shape of AIStore's own SDK: `Client`, `Bucket`, `Object`, `Batch`."""

from aiscore.client.attributes import ObjectAttributes
from aiscore.client.batch import ArchiveReader, Batch, BatchResults
from aiscore.client.bucket import Bucket
from aiscore.client.client import Client, ClientOptions, Cluster
from aiscore.client.errors import EmptyBatchError, UsageError
from aiscore.client.group import ObjectGroup
from aiscore.client.listing import BucketEntry, BucketList
from aiscore.client.moss import MossIn, MossOut, MossReq, MossResp
from aiscore.client.multipart import MultipartUpload, PartWriter
from aiscore.client.object import Object
from aiscore.client.reader import ArchiveConfig, ObjectFileReader, ObjectReader
from aiscore.client.writer import ObjectFileWriter, ObjectWriter

__all__ = [
    "ArchiveConfig",
    "ArchiveReader",
    "Batch",
    "BatchResults",
    "Bucket",
    "BucketEntry",
    "BucketList",
    "Client",
    "ClientOptions",
    "Cluster",
    "EmptyBatchError",
    "MossIn",
    "MossOut",
    "MossReq",
    "MossResp",
    "MultipartUpload",
    "Object",
    "ObjectAttributes",
    "ObjectFileReader",
    "ObjectFileWriter",
    "ObjectGroup",
    "ObjectReader",
    "ObjectWriter",
    "PartWriter",
    "UsageError",
]
