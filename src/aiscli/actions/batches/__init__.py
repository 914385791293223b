"""GetBatch: requests from flags and files, and what is made of the answer."""
