"""The SQLite index: the only truth about names, metadata and manifests."""
