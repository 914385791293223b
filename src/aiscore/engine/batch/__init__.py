"""GetBatch: many objects, members and ranges in one ordered stream."""
