"""What is written: sizes, content and archives."""

from aisloader.payload.content import STAMP_SIZE, Pool, fresh_content, part_bounds
from aisloader.payload.shards import Shard, build_shard
from aisloader.payload.sizes import SizeDrawer

__all__ = [
    "STAMP_SIZE",
    "Pool",
    "Shard",
    "SizeDrawer",
    "build_shard",
    "fresh_content",
    "part_bounds",
]
