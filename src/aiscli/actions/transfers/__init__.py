"""Moving bytes between this machine and buckets: put, get, rm, and what they share."""
